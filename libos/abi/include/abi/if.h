/* SPDX-License-Identifier: MIT */
/* Network interfaces (linux/if.h, linux/sockios.h). */
#ifndef ABI_IF_H
#define ABI_IF_H

#include <base/user_ptr.h>
#include <stdint.h>

#define IFF_UP        0x1
#define IFF_BROADCAST 0x2
#define IFF_LOOPBACK  0x8
#define IFF_RUNNING   0x40
#define IFF_MULTICAST 0x1000
#define IFF_LOWER_UP  0x10000
#define IFNAMSIZ      16
#define RTF_UP        0x1
#define RTF_GATEWAY   0x2
#define RTF_HOST      0x4

#define SIOCADDRT       0x890b
#define SIOCDELRT       0x890c
#define SIOCGIFNAME     0x8910
#define SIOCGIFCONF     0x8912
#define SIOCGIFFLAGS    0x8913
#define SIOCSIFFLAGS    0x8914
#define SIOCGIFADDR     0x8915
#define SIOCSIFADDR     0x8916
#define SIOCGIFBRDADDR  0x8919
#define SIOCSIFBRDADDR  0x891a
#define SIOCGIFNETMASK  0x891b
#define SIOCSIFNETMASK  0x891c
#define SIOCGIFMETRIC   0x891d
#define SIOCGIFMTU      0x8921
#define SIOCSIFMTU      0x8922
#define SIOCSIFHWADDR   0x8924
#define SIOCGIFHWADDR   0x8927
#define SIOCGIFINDEX    0x8933
#define SIOCGIFTXQLEN   0x8942
#define SIOCSIFTXQLEN   0x8943
#define SIOCETHTOOL     0x8946
#define ARPHRD_ETHER    1
#define ARPHRD_LOOPBACK 772

struct abi_ifreq {
    char ifr_name[IFNAMSIZ];
    uint8_t ifr_data[24];
};
USER_TYPES(ifreq, struct abi_ifreq);

struct abi_rtentry {
    uint64_t pad0;
    uint8_t rt_dst[16], rt_gateway[16], rt_genmask[16];
    uint16_t rt_flags;
    uint16_t pad1;
    uint32_t pad2;
    uint64_t pad3[2];
    int16_t rt_metric;
    user_u8_in_t rt_dev;
    uint64_t rt_mtu, rt_window;
    uint16_t rt_irtt;
};
USER_TYPES(rtentry, struct abi_rtentry);

struct abi_ifconf {
    int32_t ifc_len;
    int32_t pad0;
    user_u8_inout_t ifc_buf;
};
USER_TYPES(ifconf, struct abi_ifconf);

#endif
