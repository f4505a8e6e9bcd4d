/* SPDX-License-Identifier: MIT */
/* AF_PACKET and its ring, socket filters (linux/if_packet.h, linux/if_ether.h, linux/filter.h). */
#ifndef ABI_IF_PACKET_H
#define ABI_IF_PACKET_H

#include <stdint.h>

#define ETH_P_ALL        0x0003
#define PACKET_HOST      0
#define PACKET_BROADCAST 1
#define PACKET_MULTICAST 2
#define PACKET_OTHERHOST 3
#define PACKET_OUTGOING  4

#define SOL_PACKET             263
#define PACKET_ADD_MEMBERSHIP  1
#define PACKET_DROP_MEMBERSHIP 2
#define PACKET_RX_RING         5
#define PACKET_STATISTICS      6
#define PACKET_AUXDATA         8
#define PACKET_VERSION         10
#define PACKET_HDRLEN          11
#define PACKET_RESERVE         12
#define PACKET_TIMESTAMP       17
#define PACKET_IGNORE_OUTGOING 23
#define PACKET_MR_MULTICAST    0
#define PACKET_MR_PROMISC      1
#define PACKET_MR_ALLMULTI     2
#define PACKET_MR_UNICAST      3
#define TPACKET_V1             0
#define TPACKET_V2             1
#define TPACKET_ALIGNMENT      16
#define TP_STATUS_KERNEL       0
#define TP_STATUS_USER         0x1
#define TP_STATUS_COPY         0x2
#define TP_STATUS_LOSING       0x4

#define SKF_AD_OFF              (-0x1000)
#define SKF_AD_PROTOCOL         0
#define SKF_AD_PKTTYPE          4
#define SKF_AD_IFINDEX          8
#define SKF_AD_VLAN_TAG         44
#define SKF_AD_VLAN_TAG_PRESENT 48

struct abi_sockaddr_ll {
    uint16_t sll_family;
    uint16_t sll_protocol; /* network order */
    int32_t sll_ifindex;
    uint16_t sll_hatype;
    uint8_t sll_pkttype;
    uint8_t sll_halen;
    uint8_t sll_addr[8];
};

struct abi_packet_mreq {
    int32_t mr_ifindex;
    uint16_t mr_type;
    uint16_t mr_alen;
    uint8_t mr_address[8];
};

struct abi_tpacket_stats {
    uint32_t tp_packets;
    uint32_t tp_drops;
};

struct abi_tpacket_auxdata {
    uint32_t tp_status;
    uint32_t tp_len;
    uint32_t tp_snaplen;
    uint16_t tp_mac;
    uint16_t tp_net;
    uint16_t tp_vlan_tci;
    uint16_t tp_vlan_tpid;
};

struct abi_tpacket_req {
    uint32_t tp_block_size;
    uint32_t tp_block_nr;
    uint32_t tp_frame_size;
    uint32_t tp_frame_nr;
};

struct abi_tpacket2_hdr {
    uint32_t tp_status;
    uint32_t tp_len;
    uint32_t tp_snaplen;
    uint16_t tp_mac;
    uint16_t tp_net;
    uint32_t tp_sec;
    uint32_t tp_nsec;
    uint16_t tp_vlan_tci;
    uint16_t tp_vlan_tpid;
    uint8_t tp_padding[4];
};

#endif
