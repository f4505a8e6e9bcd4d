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

#define SIOCGIFNAME     0x8910
#define SIOCGIFCONF     0x8912
#define SIOCGIFFLAGS    0x8913
#define SIOCGIFADDR     0x8915
#define SIOCGIFBRDADDR  0x8919
#define SIOCGIFNETMASK  0x891b
#define SIOCGIFMETRIC   0x891d
#define SIOCGIFMTU      0x8921
#define SIOCGIFHWADDR   0x8927
#define SIOCGIFINDEX    0x8933
#define SIOCGIFTXQLEN   0x8942
#define ARPHRD_ETHER    1
#define ARPHRD_LOOPBACK 772

struct abi_ifreq {
    char ifr_name[IFNAMSIZ];
    uint8_t ifr_data[24];
};
USER_TYPES(ifreq, struct abi_ifreq);

struct abi_ifconf {
    int32_t ifc_len;
    int32_t pad0;
    user_u8_inout_t ifc_buf;
};
USER_TYPES(ifconf, struct abi_ifconf);

#endif
