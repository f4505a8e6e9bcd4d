/* SPDX-License-Identifier: MIT */
/* How lwIP is built: its raw interface only, one lock around it (libos/net/core.c), memory from libOS's heap within a bound.
 * UDP and raw sockets are our own, above its IP layer; its UDP serves DHCP alone. */
#ifndef NET_LWIPOPTS_H
#define NET_LWIPOPTS_H

#define NO_SYS                1
#define SYS_LIGHTWEIGHT_PROT  0 /* the core lock is held */
#define LWIP_SOCKET           0
#define LWIP_NETCONN          0
#define LWIP_STATS            1 /* the counters of /proc/net/snmp alone */
#define LWIP_STATS_DISPLAY    0
#define MIB2_STATS            1
#define LINK_STATS            0
#define ETHARP_STATS          0
#define IP_STATS              0
#define IPFRAG_STATS          0
#define ICMP_STATS            0
#define IGMP_STATS            0
#define UDP_STATS             0
#define TCP_STATS             0
#define MEM_STATS             0
#define MEMP_STATS            0
#define SYS_STATS             0
#define IP6_STATS             0
#define ICMP6_STATS           0
#define IP6_FRAG_STATS        0
#define MLD6_STATS            0
#define ND6_STATS             0
#define LWIP_NO_CTYPE_H       1
#define LWIP_PROVIDE_ERRNO    0
#define LWIP_ERRNO_STDINCLUDE 0
#define LWIP_TIMERS           1
#define LWIP_TIMERS_CUSTOM    1 /* core.c: no tick while nothing happens */
#define LWIP_CHKSUM_ALGORITHM 3

/* Memory: net_mem_alloc counts what is in use and refuses above its bound. */
#define MEM_LIBC_MALLOC     1
#define MEMP_MEM_MALLOC     1
#define MEM_ALIGNMENT       8
#define mem_malloc          net_mem_alloc
#define mem_calloc          net_mem_calloc
#define mem_free            net_mem_free
#define MEMP_OVERFLOW_CHECK 0

/* IP. */
#define IP_DEFAULT_TTL                  64
#define LWIP_IPV4                       1
#define LWIP_IPV6                       1
#define IP_FORWARD                      0
#define IP_REASSEMBLY                   1
#define IP_FRAG                         1
#define IP_REASS_MAX_PBUFS              256
#define MEMP_NUM_REASSDATA              16
#define IP_OPTIONS_ALLOWED              1
#define LWIP_ICMP                       1
#define LWIP_RAW                        1
#define RAW_TTL                         64
#define LWIP_DHCP                       1
#define LWIP_DHCP_BOOTP_FILE            0
#define LWIP_DHCP_GET_NTP_SRV           0
#define LWIP_DHCP_MAX_DNS_SERVERS       3
#define DHCP_DOES_ARP_CHECK             0
#define LWIP_DNS                        1 /* net.c keeps the servers; lwIP asks none */
#define LWIP_IGMP                       1
#define LWIP_MULTICAST_TX_OPTIONS       1
#define LWIP_IPV6_MLD                   1
#define LWIP_IPV6_AUTOCONFIG            1
#define LWIP_IPV6_SEND_ROUTER_SOLICIT   1
#define LWIP_IPV6_DHCP6                 1
#define LWIP_IPV6_DHCP6_STATELESS       1
#define LWIP_IPV6_DUP_DETECT_ATTEMPTS   1
#define LWIP_ND6_RDNSS_MAX_DNS_SERVERS  3
#define LWIP_ND6_TCP_REACHABILITY_HINTS 1
#define LWIP_IPV6_NUM_ADDRESSES         5
#define LWIP_ND6_NUM_NEIGHBORS          64
#define LWIP_ND6_NUM_DESTINATIONS       100 /* lwIP counts in s8_t */
#define LWIP_IPV6_REASS                 1
#define IPV6_FRAG_COPYHEADER            1 /* pointers have eight bytes */
#define LWIP_IPV6_FRAG                  1
#define ARP_TABLE_SIZE                  127
#define ARP_QUEUEING                    1
#define ARP_QUEUE_LEN                   16
#define ETHARP_SUPPORT_STATIC_ENTRIES   1
#define ETH_PAD_SIZE                    0
#define LWIP_NETIF_HOSTNAME             1
#define LWIP_NETIF_STATUS_CALLBACK      1
#define LWIP_NETIF_LINK_CALLBACK        1
#define LWIP_NETIF_EXT_STATUS_CALLBACK  1
#define LWIP_NETIF_LOOPBACK             1
#define LWIP_HAVE_LOOPIF                1
#define LWIP_LOOPBACK_MAX_PBUFS         512
#define LWIP_NETIF_TX_SINGLE_PBUF       0
#define LWIP_BROADCAST_PING             0
#define LWIP_MULTICAST_PING             0

/* TCP. */
#define LWIP_TCP          1
#define TCP_MSS           1460
#define LWIP_WND_SCALE    1
#define TCP_RCV_SCALE     7
#define TCP_WND           (4 * 1024 * 1024)
#define TCP_SND_BUF       (4 * 1024 * 1024)
#define TCP_SND_QUEUELEN  16384
#define MEMP_NUM_TCP_SEG  16384
#define TCP_SNDLOWAT      32768
#define TCP_SNDQUEUELOWAT 256
#define TCP_WND_UPDATE_THRESHOLD                                                                   \
    16384 /* REPORT_MIN of tcp_remote.c: what is reported, the peer is told at once */
#define LWIP_TCP_SACK_OUT          1
#define LWIP_TCP_MAX_SACK_NUM      4
#define LWIP_TCP_TIMESTAMPS        1
#define LWIP_TCP_KEEPALIVE         1
#define LWIP_TCP_PCB_NUM_EXT_ARGS  4 /* tcp_table.c, tcp_sack.c */
#define TCP_QUEUE_OOSEQ            1
#define TCP_OOSEQ_MAX_PBUFS        2048
#define TCP_LISTEN_BACKLOG         1
#define TCP_DEFAULT_LISTEN_BACKLOG 255
#define TCP_OVERSIZE                                                                               \
    0 /* segments differ in their most: what one has room for, the next may not take */
#define TCP_TTL           64
#define TCP_TMR_INTERVAL  50   /* so that what is lost is sent again in less than seconds */
#define LWIP_TCP_RTO_TIME 1000 /* RFC 6298 */
#define TCP_MAXRTX        12   /* replace.h has more */
#define TCP_SYNMAXRTX     6
#define TCP_MSL           30000UL
#define LWIP_CALLBACK_API 1
#define SO_REUSE          1
#define SO_REUSE_RXTOALL  0
#define IP_SOF_BROADCAST  0

/* UDP: for DHCP. */
#define LWIP_UDP     1
#define LWIP_UDPLITE 0

/* Checksums: what the device does, each interface leaves out. */
#define LWIP_CHECKSUM_CTRL_PER_NETIF 1
#define LWIP_CHECKSUM_ON_COPY        0

/* Initial sequence numbers and everything else that must not be guessed. */
#include "hooks.h"
#define LWIP_HOOK_TCP_ISN(lip, lport, rip, rport) net_hook_isn((lip), (lport), (rip), (rport))
#define LWIP_HOOK_TCP_INPACKET_PCB(pcb, header, optlen, opt1len, opt2, p)                          \
    net_hook_segment((pcb), (header), (optlen), (opt1len), (opt2))
#define LWIP_HOOK_TCP_OUT_ADD_TCPOPTS(p, header, pcb, opts)                                        \
    net_hook_options((header), (pcb), (opts))
#define LWIP_HOOK_IP4_ROUTE_SRC(src, dest) net_hook_route((src), (dest))
#define LWIP_HOOK_ETHARP_GET_GW(n, dest)   net_hook_gateway((n), (dest))
#define LWIP_RAND()                        net_hook_random()

#endif
