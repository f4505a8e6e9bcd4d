/* SPDX-License-Identifier: MIT */
/* The short way of a TCP segment over IPv4. lwIP looks at each header in a layer of its own, and asks each time what does not change
 * from one segment of a connection to the next. Here the common case is known by its headers all at once: an Ethernet frame with
 * an IPv4 packet for our address, without options and whole, of a connection that is there. On the way out Ethernet's and IP's
 * header are written at once, to a neighbour whose address was seen lately. Everything else, and whatever is not as it should be, goes
 * lwIP's way, which decides.
 *
 * A neighbour is asked for anew each second, by way of lwIP, so that its table's entries are used and renewed as always; and
 * whatever can change one makes all be forgotten. */
#include "tcp_path.h"
#include "core.h"
#include "ether.h"
#include "raw.h"
#include "tcp_table.h"
#include <abi/time.h>
#include <base/log.h>
#include <libos/time.h>
#include <lwip/etharp.h>
#include <lwip/ip.h>
#include <lwip/netif.h>
#include <lwip/priv/tcp_priv.h>
#include <lwip/prot/ethernet.h>
#include <lwip/snmp.h>
#include <plat/time.h>
#include <string.h>
#include "lwip/replace.h"

enum {
    ETH = SIZEOF_ETH_HDR,
    HEADERS = ETH + IP_HLEN,
    NEIGHBOURS = 32,
    VERSION_AND_LENGTH = 0x45, /* IPv4, five words */
};

/* Where frames to an address go. Guarded by the core lock. */
struct neighbour {
    struct netif *netif; /* NULL: not known */
    uint32_t addr;
    uint8_t mac[ETH_HWADDR_LEN];
    uint64_t until_ns;
};
static struct neighbour neighbours[NEIGHBOURS];
static struct neighbour *learning;

/* The sum of an IP header's ten halves; 0xffff: with its checksum, which is right then. */
static uint32_t header_sum(const struct ip_hdr *ip)
{
    uint32_t w[5];
    memcpy(w, ip, sizeof(w));
    uint64_t sum = (uint64_t)w[0] + w[1] + w[2] + w[3] + w[4];
    sum = (sum & 0xffffffff) + (sum >> 32);
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    return (uint32_t)((sum & 0xffff) + (sum >> 16));
}

/* ---- in ---- */

/* Is it a whole TCP packet for n's address, without options, and right? */
static bool is_common(const struct pbuf *p, const struct netif *n)
{
    const struct eth_hdr *eth = p->payload;
    const struct ip_hdr *ip = (const struct ip_hdr *)((const uint8_t *)p->payload + ETH);
    return p->len >= HEADERS + TCP_HLEN && eth->type == PP_HTONS(ETHTYPE_IP) &&
           ip->_v_hl == VERSION_AND_LENGTH && ip->_proto == IP_PROTO_TCP &&
           !(ip->_offset & PP_HTONS(IP_OFFMASK | IP_MF)) &&
           ip->dest.addr == netif_ip4_addr(n)->addr && ip->dest.addr && netif_is_up(n) &&
           lwip_ntohs(ip->_len) >= IP_HLEN + TCP_HLEN && lwip_ntohs(ip->_len) <= p->tot_len - ETH &&
           header_sum(ip) == 0xffff;
}

bool tcp_path_input(struct pbuf *take_p, struct netif *n)
{
    struct pbuf *p = take_p;
    if (!is_common(p, n) || rawsock_hooked(IP_PROTO_TCP))
        return false;
    const struct ip_hdr *ip = (const struct ip_hdr *)((const uint8_t *)p->payload + ETH);
    const struct tcp_hdr *h = (const struct tcp_hdr *)(ip + 1);
    ip_addr_copy_from_ip4(ip_data.current_iphdr_dest, ip->dest);
    ip_addr_copy_from_ip4(ip_data.current_iphdr_src, ip->src);
    struct tcp_pcb *pcb = tcp_table_find(&ip_data.current_iphdr_dest, lwip_ntohs(h->dest),
                                         &ip_data.current_iphdr_src, lwip_ntohs(h->src));
    if (!pcb || pcb->state != ESTABLISHED)
        return false;
    uint32_t len = lwip_ntohs(ip->_len);
    if (len + ETH < p->tot_len)
        pbuf_realloc(p, (u16_t)(ETH + len)); /* the padding of a short frame */
    p->payload = (uint8_t *)p->payload + HEADERS;
    p->len = (u16_t)(p->len - HEADERS);
    p->tot_len = (u16_t)(p->tot_len - HEADERS);
    p->if_idx = netif_get_index(n);
    ip_data.current_netif = ip_data.current_input_netif = n;
    ip_data.current_ip4_header = ip;
    ip_data.current_ip_header_tot_len = IP_HLEN;
    MIB2_STATS_INC(mib2.ipinreceives);
    MIB2_STATS_INC(mib2.ipindelivers);
    if (!net_tcp_predicted(pcb, p))
        tcp_table_input(p, n);
    ip_data.current_netif = ip_data.current_input_netif = NULL;
    ip_data.current_ip4_header = NULL;
    ip_data.current_ip_header_tot_len = 0;
    ip4_addr_set_any(ip4_current_src_addr());
    ip4_addr_set_any(ip4_current_dest_addr());
    return true;
}

/* ---- out ---- */

void tcp_path_forget(void)
{
    for (int i = 0; i < NEIGHBOURS; i++)
        neighbours[i].netif = NULL;
    learning = NULL;
}

void tcp_path_learn(const struct pbuf *p)
{
    struct neighbour *b = learning;
    const struct eth_hdr *eth = p->payload;
    const struct ip_hdr *ip = (const struct ip_hdr *)((const uint8_t *)p->payload + ETH);
    if (LIKELY(!b) || p->len < HEADERS || eth->type != PP_HTONS(ETHTYPE_IP) ||
        ip->dest.addr != b->addr || eth->dest.addr[0] & 1)
        return;
    memcpy(b->mac, eth->dest.addr, sizeof(b->mac));
    b->until_ns = plat_time_ns() + NS_PER_SEC;
}

/* lwIP's way; who the frame goes to is looked at. */
static err_t output_and_learn(struct pbuf *p, const ip_addr_t *src, const ip_addr_t *dest,
                              uint8_t ttl, uint8_t tos, struct netif *n, struct neighbour *b)
{
    *b = (struct neighbour){ .addr = ip_2_ip4(dest)->addr };
    learning = b;
    err_t err = ip_output_if(p, src, dest, ttl, tos, IP_PROTO_TCP, n);
    if (learning == b && b->until_ns)
        b->netif = n;
    learning = NULL;
    return err;
}

static void write_headers(struct pbuf *p, const struct netif *n, const struct neighbour *b,
                          uint32_t src, uint8_t ttl, uint8_t tos)
{
    struct eth_hdr *eth = p->payload;
    struct ip_hdr *ip = (struct ip_hdr *)((uint8_t *)p->payload + ETH);
    memcpy(eth->dest.addr, b->mac, ETH_HWADDR_LEN);
    memcpy(eth->src.addr, n->hwaddr, ETH_HWADDR_LEN);
    eth->type = PP_HTONS(ETHTYPE_IP);
    ip->_v_hl = VERSION_AND_LENGTH;
    ip->_tos = tos;
    ip->_len = lwip_htons((u16_t)(p->tot_len - ETH));
    ip->_id = lwip_htons(ether_ip4_id(net_ip4_id()));
    ip->_offset = 0;
    ip->_ttl = ttl;
    ip->_proto = IP_PROTO_TCP;
    ip->_chksum = 0;
    ip->src.addr = src;
    ip->dest.addr = b->addr;
    ip->_chksum = (u16_t)~header_sum(ip);
}

static struct neighbour *neighbour_at(uint32_t addr)
{
    return &neighbours[(addr ^ addr >> 24) % NEIGHBOURS];
}

/* No route asks who sends (net_hook_route). */
struct netif *net_tcp_route(const ip_addr_t *src, const ip_addr_t *dest)
{
    const struct neighbour *b = neighbour_at(ip_2_ip4(dest)->addr);
    if (IP_IS_V4(dest) && b->netif && b->addr == ip_2_ip4(dest)->addr)
        return b->netif;
    return ip_route(src, dest);
}

err_t net_tcp_ip_output(struct pbuf *p, const ip_addr_t *src, const ip_addr_t *dest, uint8_t ttl,
                        uint8_t tos, struct netif *n)
{
    if (!IP_IS_V4(dest) || !ether_is(n) || !src || !IP_IS_V4(src) || ip_addr_isany(src))
        return ip_output_if(p, src, dest, ttl, tos, IP_PROTO_TCP, n);
    uint32_t addr = ip_2_ip4(dest)->addr;
    struct neighbour *b = neighbour_at(addr);
    if (b->netif != n || b->addr != addr || plat_time_ns() >= b->until_ns || p->ref != 1 ||
        (p->tot_len + IP_HLEN > n->mtu && !ether_cuts(n, false)))
        return output_and_learn(p, src, dest, ttl, tos, n, b);
    if (pbuf_add_header(p, HEADERS))
        return ERR_BUF;
    write_headers(p, n, b, ip_2_ip4(src)->addr, ttl, tos);
    MIB2_STATS_INC(mib2.ipoutrequests);
    return ether_send_tcp4(n, p);
}
