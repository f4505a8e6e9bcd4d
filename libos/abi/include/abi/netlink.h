/* SPDX-License-Identifier: MIT */
/* Netlink: messages, routing (linux/netlink.h, linux/rtnetlink.h, linux/if_link.h, linux/if_addr.h, linux/neighbour.h,
 * linux/fib_rules.h) and questions about sockets (linux/sock_diag.h, linux/inet_diag.h, linux/unix_diag.h). */
#ifndef ABI_NETLINK_H
#define ABI_NETLINK_H

#include <stdint.h>

#define NETLINK_ROUTE          0
#define NETLINK_SOCK_DIAG      4
#define NETLINK_KOBJECT_UEVENT 15

#define NLM_F_REQUEST  0x1
#define NLM_F_MULTI    0x2
#define NLM_F_ACK      0x4
#define NLM_F_ECHO     0x8
#define NLM_F_ROOT     0x100
#define NLM_F_MATCH    0x200
#define NLM_F_DUMP     0x300
#define NLM_F_REPLACE  0x100
#define NLM_F_EXCL     0x200
#define NLM_F_CREATE   0x400
#define NLM_F_CAPPED   0x100
#define NLMSG_NOOP     1
#define NLMSG_ERROR    2
#define NLMSG_DONE     3
#define NLMSG_MIN_TYPE 0x10
#define NLA_F_NESTED   0x8000

#define SOL_NETLINK              270
#define NETLINK_ADD_MEMBERSHIP   1
#define NETLINK_DROP_MEMBERSHIP  2
#define NETLINK_PKTINFO          3
#define NETLINK_BROADCAST_ERROR  4
#define NETLINK_NO_ENOBUFS       5
#define NETLINK_LISTEN_ALL_NSID  8
#define NETLINK_LIST_MEMBERSHIPS 9
#define NETLINK_CAP_ACK          10
#define NETLINK_EXT_ACK          11
#define NETLINK_GET_STRICT_CHK   12

#define RTM_NEWLINK  16
#define RTM_DELLINK  17
#define RTM_GETLINK  18
#define RTM_SETLINK  19
#define RTM_NEWADDR  20
#define RTM_DELADDR  21
#define RTM_GETADDR  22
#define RTM_NEWROUTE 24
#define RTM_DELROUTE 25
#define RTM_GETROUTE 26
#define RTM_NEWNEIGH 28
#define RTM_DELNEIGH 29
#define RTM_GETNEIGH 30
#define RTM_NEWRULE  32
#define RTM_GETRULE  34

#define RTNLGRP_LINK        1
#define RTNLGRP_NEIGH       3
#define RTNLGRP_IPV4_IFADDR 5
#define RTNLGRP_IPV4_ROUTE  7
#define RTNLGRP_IPV6_IFADDR 9

#define IFLA_ADDRESS       1
#define IFLA_BROADCAST     2
#define IFLA_IFNAME        3
#define IFLA_MTU           4
#define IFLA_QDISC         6
#define IFLA_STATS         7
#define IFLA_TXQLEN        13
#define IFLA_OPERSTATE     16
#define IFLA_LINKMODE      17
#define IFLA_STATS64       23
#define IFLA_AF_SPEC       26
#define IFLA_GROUP         27
#define IFLA_EXT_MASK      29
#define IFLA_PROMISCUITY   30
#define IFLA_NUM_TX_QUEUES 31
#define IFLA_NUM_RX_QUEUES 32
#define IFLA_CARRIER       33
#define IFLA_MIN_MTU       50
#define IFLA_MAX_MTU       51
#define IFLA_ALT_IFNAME    53

#define IFA_ADDRESS   1
#define IFA_LOCAL     2
#define IFA_LABEL     3
#define IFA_BROADCAST 4
#define IFA_CACHEINFO 6
#define IFA_FLAGS     8

#define IFA_F_SECONDARY 0x01
#define IFA_F_TENTATIVE 0x40
#define IFA_F_PERMANENT 0x80

#define RTA_DST      1
#define RTA_OIF      4
#define RTA_GATEWAY  5
#define RTA_PRIORITY 6
#define RTA_PREFSRC  7
#define RTA_TABLE    15
#define RTA_PREF     20

#define RT_TABLE_UNSPEC   0
#define RT_TABLE_DEFAULT  253
#define RT_TABLE_MAIN     254
#define RT_TABLE_LOCAL    255
#define RTPROT_UNSPEC     0
#define RTPROT_KERNEL     2
#define RTPROT_BOOT       3
#define RTPROT_STATIC     4
#define RTPROT_RA         9
#define RTPROT_DHCP       16
#define RT_SCOPE_UNIVERSE 0
#define RT_SCOPE_LINK     253
#define RT_SCOPE_HOST     254
#define RT_SCOPE_NOWHERE  255
#define RTM_F_CLONED      0x200
#define RTN_UNICAST       1
#define RTN_LOCAL         2
#define RTN_BROADCAST     3

#define NDA_DST       1
#define NDA_LLADDR    2
#define NDA_CACHEINFO 3

#define NUD_INCOMPLETE 0x01
#define NUD_REACHABLE  0x02
#define NUD_STALE      0x04
#define NUD_DELAY      0x08
#define NUD_PROBE      0x10
#define NUD_PERMANENT  0x80
#define NTF_ROUTER     0x80

#define FRA_PRIORITY  6
#define FRA_TABLE     15
#define FR_ACT_TO_TBL 1

#define TCPDIAG_GETSOCK     18
#define DCCPDIAG_GETSOCK    19
#define SOCK_DIAG_BY_FAMILY 20
#define SOCK_DESTROY        21
#define INET_DIAG_MEMINFO   1
#define INET_DIAG_INFO      2
#define INET_DIAG_CONG      4
#define INET_DIAG_SKMEMINFO 7
#define INET_DIAG_SHUTDOWN  8
#define UNIX_DIAG_NAME      0
#define UNIX_DIAG_PEER      2
#define UNIX_DIAG_RQLEN     4
#define UNIX_DIAG_SHUTDOWN  6
#define UDIAG_SHOW_NAME     0x1
#define UDIAG_SHOW_PEER     0x4
#define UDIAG_SHOW_RQLEN    0x10

struct abi_sockaddr_nl {
    uint16_t nl_family;
    uint16_t nl_pad;
    uint32_t nl_pid;
    uint32_t nl_groups;
};

struct abi_nlmsghdr {
    uint32_t nlmsg_len; /* with this header */
    uint16_t nlmsg_type;
    uint16_t nlmsg_flags;
    uint32_t nlmsg_seq;
    uint32_t nlmsg_pid;
};

struct abi_nlattr {
    uint16_t nla_len; /* with this header */
    uint16_t nla_type;
};

struct abi_ifinfomsg {
    uint8_t ifi_family;
    uint8_t pad0;
    uint16_t ifi_type;
    int32_t ifi_index;
    uint32_t ifi_flags;
    uint32_t ifi_change;
};

struct abi_ifaddrmsg {
    uint8_t ifa_family;
    uint8_t ifa_prefixlen;
    uint8_t ifa_flags;
    uint8_t ifa_scope;
    uint32_t ifa_index;
};

struct abi_ifa_cacheinfo {
    uint32_t ifa_prefered;
    uint32_t ifa_valid;
    uint32_t cstamp;
    uint32_t tstamp;
};

struct abi_rtmsg {
    uint8_t rtm_family;
    uint8_t rtm_dst_len;
    uint8_t rtm_src_len;
    uint8_t rtm_tos;
    uint8_t rtm_table;
    uint8_t rtm_protocol;
    uint8_t rtm_scope;
    uint8_t rtm_type;
    uint32_t rtm_flags;
};

struct abi_ndmsg {
    uint8_t ndm_family;
    uint8_t pad0;
    uint16_t pad1;
    int32_t ndm_ifindex;
    uint16_t ndm_state;
    uint8_t ndm_flags;
    uint8_t ndm_type;
};

struct abi_fib_rule_hdr {
    uint8_t family;
    uint8_t dst_len;
    uint8_t src_len;
    uint8_t tos;
    uint8_t table;
    uint8_t res1;
    uint8_t res2;
    uint8_t action;
    uint32_t flags;
};

struct abi_rtnl_link_stats64 {
    uint64_t rx_packets, tx_packets, rx_bytes, tx_bytes, rx_errors, tx_errors, rx_dropped,
        tx_dropped;
    uint64_t reserved[17];
};

struct abi_inet_diag_sockid {
    uint16_t idiag_sport, idiag_dport; /* network order */
    uint32_t idiag_src[4], idiag_dst[4];
    uint32_t idiag_if;
    uint32_t idiag_cookie[2];
};

struct abi_inet_diag_req_v2 {
    uint8_t sdiag_family;
    uint8_t sdiag_protocol;
    uint8_t idiag_ext;
    uint8_t pad;
    uint32_t idiag_states;
    struct abi_inet_diag_sockid id;
};

struct abi_inet_diag_msg {
    uint8_t idiag_family;
    uint8_t idiag_state;
    uint8_t idiag_timer;
    uint8_t idiag_retrans;
    struct abi_inet_diag_sockid id;
    uint32_t idiag_expires;
    uint32_t idiag_rqueue;
    uint32_t idiag_wqueue;
    uint32_t idiag_uid;
    uint32_t idiag_inode;
};

struct abi_unix_diag_req {
    uint8_t sdiag_family;
    uint8_t sdiag_protocol;
    uint16_t pad;
    uint32_t udiag_states;
    uint32_t udiag_ino;
    uint32_t udiag_show;
    uint32_t udiag_cookie[2];
};

struct abi_unix_diag_msg {
    uint8_t udiag_family;
    uint8_t udiag_type;
    uint8_t udiag_state;
    uint8_t pad;
    uint32_t udiag_ino;
    uint32_t udiag_cookie[2];
};

#endif
