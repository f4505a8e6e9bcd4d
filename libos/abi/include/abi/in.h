/* SPDX-License-Identifier: MIT */
/* Internet addresses and options (linux/in.h, linux/in6.h, linux/tcp.h, linux/udp.h, linux/errqueue.h). */
#ifndef ABI_IN_H
#define ABI_IN_H

#include <stdint.h>

#define IPPROTO_IP     0
#define IPPROTO_ICMP   1
#define IPPROTO_TCP    6
#define IPPROTO_UDP    17
#define IPPROTO_IPV6   41
#define IPPROTO_ICMPV6 58
#define IPPROTO_RAW    255
#define IPPROTO_MAX    263

#define IP_TOS                  1
#define IP_TTL                  2
#define IP_HDRINCL              3
#define IP_OPTIONS              4
#define IP_RECVOPTS             6
#define IP_RETOPTS              7
#define IP_PKTINFO              8
#define IP_MTU_DISCOVER         10
#define IP_RECVERR              11
#define IP_RECVTTL              12
#define IP_RECVTOS              13
#define IP_MTU                  14
#define IP_FREEBIND             15
#define IP_TRANSPARENT          19
#define IP_MINTTL               21
#define IP_RECVORIGDSTADDR      20
#define IP_BIND_ADDRESS_NO_PORT 24
#define IP_MULTICAST_IF         32
#define IP_MULTICAST_TTL        33
#define IP_MULTICAST_LOOP       34
#define IP_ADD_MEMBERSHIP       35
#define IP_DROP_MEMBERSHIP      36
#define MCAST_JOIN_GROUP        42
#define MCAST_LEAVE_GROUP       45
#define IP_MULTICAST_ALL        49
#define IP_PMTUDISC_DONT        0
#define IP_PMTUDISC_WANT        1
#define IP_PMTUDISC_DO          2
#define IP_PMTUDISC_PROBE       3

#define IPV6_CHECKSUM         7
#define IPV6_UNICAST_HOPS     16
#define IPV6_MULTICAST_IF     17
#define IPV6_MULTICAST_HOPS   18
#define IPV6_MULTICAST_LOOP   19
#define IPV6_JOIN_GROUP       20
#define IPV6_LEAVE_GROUP      21
#define IPV6_MTU_DISCOVER     23
#define IPV6_MTU              24
#define IPV6_RECVERR          25
#define IPV6_V6ONLY           26
#define IPV6_RECVPKTINFO      49
#define IPV6_PKTINFO          50
#define IPV6_RECVHOPLIMIT     51
#define IPV6_HOPLIMIT         52
#define IPV6_DONTFRAG         62
#define IPV6_RECVTCLASS       66
#define IPV6_TCLASS           67
#define IPV6_AUTOFLOWLABEL    70
#define IPV6_MINHOPCOUNT      73
#define IPV6_ADDR_PREFERENCES 72
#define IPV6_FREEBIND         78

#define TCP_NODELAY          1
#define TCP_MAXSEG           2
#define TCP_CORK             3
#define TCP_KEEPIDLE         4
#define TCP_KEEPINTVL        5
#define TCP_KEEPCNT          6
#define TCP_SYNCNT           7
#define TCP_LINGER2          8
#define TCP_DEFER_ACCEPT     9
#define TCP_WINDOW_CLAMP     10
#define TCP_INFO             11
#define TCP_QUICKACK         12
#define TCP_CONGESTION       13
#define TCP_USER_TIMEOUT     18
#define TCP_FASTOPEN         23
#define TCP_NOTSENT_LOWAT    25
#define TCP_FASTOPEN_CONNECT 30

#define UDP_CORK    1
#define UDP_SEGMENT 103
#define UDP_GRO     104

#define SO_EE_ORIGIN_LOCAL         1
#define SO_EE_ORIGIN_ICMP          2
#define SO_EE_ORIGIN_ICMP6         3
#define SO_EE_ORIGIN_ZEROCOPY      5
#define SO_EE_CODE_ZEROCOPY_COPIED 1

struct abi_sock_extended_err {
    uint32_t ee_errno;
    uint8_t ee_origin;
    uint8_t ee_type;
    uint8_t ee_code;
    uint8_t pad;
    uint32_t ee_info;
    uint32_t ee_data;
};

struct abi_sockaddr_in {
    uint16_t sin_family;
    uint16_t sin_port; /* network order */
    uint32_t sin_addr;
    uint8_t pad[8];
};

struct abi_sockaddr_in6 {
    uint16_t sin6_family;
    uint16_t sin6_port;
    uint32_t sin6_flowinfo;
    uint8_t sin6_addr[16];
    uint32_t sin6_scope_id;
};

struct abi_in_pktinfo {
    int32_t ipi_ifindex;
    uint32_t ipi_spec_dst;
    uint32_t ipi_addr;
};

struct abi_in6_pktinfo {
    uint8_t ipi6_addr[16];
    uint32_t ipi6_ifindex;
};

struct abi_ip_mreqn {
    uint32_t imr_multiaddr;
    uint32_t imr_address;
    int32_t imr_ifindex;
};

struct abi_ipv6_mreq {
    uint8_t ipv6mr_multiaddr[16];
    int32_t ipv6mr_ifindex;
};

struct abi_tcp_info {
    uint8_t tcpi_state;
    uint8_t tcpi_ca_state;
    uint8_t tcpi_retransmits;
    uint8_t tcpi_probes;
    uint8_t tcpi_backoff;
    uint8_t tcpi_options;
    uint8_t pad_scale, pad_flags;
    uint32_t tcpi_rto;
    uint32_t tcpi_ato;
    uint32_t tcpi_snd_mss;
    uint32_t tcpi_rcv_mss;
    uint32_t tcpi_unacked;
    uint32_t tcpi_sacked;
    uint32_t tcpi_lost;
    uint32_t tcpi_retrans;
    uint32_t tcpi_fackets;
    uint32_t tcpi_last_data_sent;
    uint32_t tcpi_last_ack_sent;
    uint32_t tcpi_last_data_recv;
    uint32_t tcpi_last_ack_recv;
    uint32_t tcpi_pmtu;
    uint32_t tcpi_rcv_ssthresh;
    uint32_t tcpi_rtt;
    uint32_t tcpi_rttvar;
    uint32_t tcpi_snd_ssthresh;
    uint32_t tcpi_snd_cwnd;
    uint32_t tcpi_advmss;
    uint32_t tcpi_reordering;
    uint32_t tcpi_rcv_rtt;
    uint32_t tcpi_rcv_space;
    uint32_t tcpi_total_retrans;
};

#endif
