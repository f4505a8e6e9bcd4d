/* SPDX-License-Identifier: MIT */
/* CRC-32C by the instruction of SSE4.2, which works on general registers. */
#include "cpu.h"
#include "x86.h"

#include <base/crc.h>
#include <plat/cpu.h>
#include <string.h>

uint32_t plat_crc32c(uint32_t crc, const void *buf, size_t len)
{
    const char *p = buf;
    uint64_t c = crc, eight;
    if (!x86_facts.crc32)
        return crc32c_add(crc, buf, len);
    for (; len >= 256; len -= 256, p += 256)
        __asm__(".set at, 0\n .rept 32\n crc32q at(%1), %0\n .set at, at + 8\n .endr"
                : "+r"(c)
                : "r"(p), "m"(*(const char(*)[256])p));
    for (; len >= 64; len -= 64, p += 64)
        __asm__("crc32q (%1), %0; crc32q 8(%1), %0; crc32q 16(%1), %0; crc32q 24(%1), %0;"
                "crc32q 32(%1), %0; crc32q 40(%1), %0; crc32q 48(%1), %0; crc32q 56(%1), %0"
                : "+r"(c)
                : "r"(p), "m"(*(const char(*)[64])p));
    for (; len >= 8; len -= 8, p += 8) {
        memcpy(&eight, p, 8);
        __asm__("crc32q %1, %0" : "+r"(c) : "r"(eight));
    }
    for (; len; len--, p++)
        __asm__("crc32b %1, %0" : "+r"(c) : "r"(*p));
    return (uint32_t)c;
}
