/* SPDX-License-Identifier: MIT */
/* What the compiler calls. Strings of the processor: short, and fast enough for what is done once. */
#include "stub.h"

void *memcpy(void *dst, const void *src, size_t n)
{
    void *d = dst;
    size_t words = n / 8, rest = n % 8;

    __asm__ volatile("rep movsq; movq %3, %%rcx; rep movsb"
                     : "+D"(d), "+S"(src), "+c"(words)
                     : "r"(rest)
                     : "memory");
    return dst;
}

void *memset(void *dst, int c, size_t n)
{
    void *d = dst;
    size_t words = n / 8, rest = n % 8;

    __asm__ volatile("rep stosq; movq %3, %%rcx; rep stosb"
                     : "+D"(d), "+c"(words)
                     : "a"((uint8_t)c * 0x0101010101010101ull), "r"(rest)
                     : "memory");
    return dst;
}

int memcmp(const void *a, const void *b, size_t n)
{
    const uint8_t *x = a, *y = b;

    for (size_t i = 0; i < n; i++)
        if (x[i] != y[i])
            return x[i] - y[i];
    return 0;
}
