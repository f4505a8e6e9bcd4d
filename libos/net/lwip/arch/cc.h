/* SPDX-License-Identifier: MIT */
/* lwIP's idea of the compiler. */
#ifndef NET_ARCH_CC_H
#define NET_ARCH_CC_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../hooks.h"

#define LWIP_NO_INTTYPES_H      1
#define LWIP_NO_UNISTD_H        1
#define X8_F                    "02x"
#define U16_F                   "u"
#define S16_F                   "d"
#define X16_F                   "x"
#define U32_F                   "u"
#define S32_F                   "d"
#define X32_F                   "x"
#define SZT_F                   "zu"
#define SSIZE_MAX               INTPTR_MAX
#define BYTE_ORDER              1234
#define LITTLE_ENDIAN           1234
#define BIG_ENDIAN              4321
#define LWIP_PLATFORM_DIAG(x)   ((void)0)
#define LWIP_PLATFORM_ASSERT(x) net_hook_assert(x)
/* What lwIP has functions for. */
#define lwip_htons(x) __builtin_bswap16((uint16_t)(x))
#define lwip_htonl(x) __builtin_bswap32((uint32_t)(x))
/* libk has no atoi. */
#define atoi(s) ((int)strtol((s), NULL, 10))
typedef long ssize_t;

#endif
