/* SPDX-License-Identifier: MIT */
/* How the machine gets its addresses: static ones from the command line, or DHCP and router advertisements through lwIP; and
 * the files of /etc in which programs look for names. Interface 1 is the loopback. */
#include "core.h"
#include "ip.h"
#include "netconf.h"
#include "vsock.h"
#include <abi/errno.h>
#include <abi/fcntl.h>
#include <base/log.h>
#include <libos/dev/netdev.h>
#include <libos/file.h>
#include <libos/net.h>
#include <lwip/dhcp.h>
#include <lwip/dhcp6.h>
#include <lwip/dns.h>
#include <lwip/netif.h>
#include <plat/time.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DNS_MAX = 4, NAME_MAX_LEN = 64 };
#define DHCP_WAIT_NS (8 * NS_PER_SEC)

static ip_addr_t dns[DNS_MAX]; /* guarded by the core lock */
static struct waitq address_wait = { .lock = SPIN_INIT(RANK_WAITQ) };
static char host[NAME_MAX_LEN + 1];

/* ---- what lwIP calls of its resolver ---- */

void dns_init(void)
{
}

void dns_tmr(void)
{
}

void dns_setserver(u8_t i, const ip_addr_t *server)
{
    if (i < DNS_MAX && server)
        dns[i] = *server;
}

const ip_addr_t *dns_getserver(u8_t i)
{
    return i < DNS_MAX ? &dns[i] : IP_ADDR_ANY;
}

/* ---- addresses ---- */

static void status_changed(struct netif *n)
{
    waitq_wake(&address_wait, WAITQ_ALL, 0);
}

static bool parse_prefix(const char *text, ip4_addr_t *addr, ip4_addr_t *mask)
{
    char buf[32];
    const char *slash = strchr(text, '/');
    size_t len = slash ? (size_t)(slash - text) : strlen(text);
    unsigned long bits = slash ? strtoul(slash + 1, NULL, 10) : 24;
    if (len >= sizeof(buf) || bits > 32)
        return false;
    memcpy(buf, text, len);
    buf[len] = 0;
    ip4_addr_set_u32(mask, bits ? lwip_htonl(0xffffffffu << (32 - bits)) : 0);
    return ip4addr_aton(buf, addr);
}

static int set_static(struct netif *n, const struct net_config *c)
{
    ip4_addr_t addr, mask, gateway = { 0 };
    if (!parse_prefix(c->ip, &addr, &mask) || (c->gateway && !ip4addr_aton(c->gateway, &gateway)))
        return -EINVAL;
    netif_set_addr(n, &addr, &mask, &gateway);
    return 0;
}

static int parse_dns(const char *text)
{
    for (unsigned i = 0; *text && i < DNS_MAX; i++) {
        char buf[48];
        size_t len = strcspn(text, ",");
        if (len >= sizeof(buf))
            return -EINVAL;
        memcpy(buf, text, len);
        buf[len] = 0;
        if (!ipaddr_aton(buf, &dns[i]))
            return -EINVAL;
        text += len + (text[len] == ',');
    }
    return 0;
}

static struct netif *first_device(void)
{
    struct netif *n;
    NETIF_FOREACH(n)
    if (n->flags & NETIF_FLAG_ETHERNET && !netconf_is_alias(n))
        return n;
    return NULL;
}

static bool has_address(void)
{
    struct netif *n = first_device();
    return n && !ip4_addr_isany_val(*netif_ip4_addr(n));
}

/* Begin to configure the first interface. 1: an address has to be waited for. */
static int configure(struct netif *n, const struct net_config *c)
{
    int err = c->dns ? parse_dns(c->dns) : 0;
    if (err)
        return err;
    netif_set_hostname(n, host);
    netif_set_status_callback(n, status_changed);
    if (c->ip && strcmp(c->ip, "dhcp"))
        return strcmp(c->ip, "none") ? set_static(n, c) : 0;
    net_touch();
    dhcp6_enable_stateless(n);
    return dhcp_start(n) == ERR_OK ? 1 : -ENOMEM;
}

/* ---- files ---- */

static void write_file(const char *path, const char *text)
{
    struct file *f;
    struct iter it;
    if (path_open_kernel(path, O_WRONLY | O_CREAT | O_TRUNC, &f))
        return; /* the image has no /etc: nobody misses it */
    iter_kernel(&it, (void *)(uintptr_t)text, strlen(text));
    if (file_write(f, &it, NULL) < 0)
        log_warn("%s: cannot be written", path);
    file_put(f);
}

static void write_resolv_conf(void)
{
    char text[DNS_MAX * 64 + 1];
    size_t len = 0;
    text[0] = 0;
    net_lock();
    for (unsigned i = 0; i < DNS_MAX; i++)
        if (!ip_addr_isany_val(dns[i])) {
            char one[IPADDR_STRLEN_MAX];
            ipaddr_ntoa_r(&dns[i], one, sizeof(one));
            len += (size_t)snprintf(text + len, sizeof(text) - len, "nameserver %s\n", one);
        }
    net_unlock();
    if (len)
        write_file("/etc/resolv.conf", text);
}

static void write_hosts(void)
{
    char text[256], address[48];
    net_address(address, sizeof(address));
    snprintf(text, sizeof(text),
             "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n%s\t%s\n",
             address[0] ? address : "127.0.1.1", host);
    write_file("/etc/hosts", text);
}

int net_start(const struct net_config *c, const char *hostname)
{
    struct netdev *dev;
    int err = 0;
    snprintf(host, sizeof(host), "%s", hostname);
    vsock_init();
    for (unsigned i = 0; (dev = netdev_at(i)); i++)
        if ((err = ether_attach(dev)) < 0)
            log_warn("%s: cannot be used (error %d)", dev->name, -err);
    net_lock();
    struct netif *n = first_device();
    err = n ? configure(n, c) : 0;
    net_unlock();
    if (err < 0)
        return err;
    if (err == 1 && WAIT_EVENT(&address_wait, SLEEP_UNINTERRUPTIBLE, plat_time_ns() + DHCP_WAIT_NS,
                               has_address()))
        log_warn("net: no answer from a DHCP server yet");
    if (n)
        write_resolv_conf();
    write_hosts();
    return 0;
}

void net_address(char *buf, size_t size)
{
    net_lock();
    struct netif *n = first_device();
    buf[0] = 0;
    if (n && !ip4_addr_isany_val(*netif_ip4_addr(n)))
        ip4addr_ntoa_r(netif_ip4_addr(n), buf, (int)size);
    net_unlock();
}

void net_init(void)
{
    net_core_init();
}
