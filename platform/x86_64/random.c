/* SPDX-License-Identifier: MIT */
/* The CPU's random numbers: RDSEED, then RDRAND. Each instruction may fail for a while, and broken ones have been
 * seen that always give the same word: those credit nothing. Spec: Intel SDM volume 1, 7.3.17. */
#include "x86_64/cpu.h"
#include "x86_64/x86.h"

#include <plat/boot.h>

static bool rdrand(uint64_t *ret)
{
    uint8_t ok = 0;

    for (int i = 0; i < 10 && !ok; i++)
        __asm__ volatile("rdrand %0; setc %1" : "=r"(*ret), "=qm"(ok) : : "cc");
    return ok;
}

static bool rdseed(uint64_t *ret)
{
    uint8_t ok = 0;

    for (int i = 0; i < 100 && !ok; i++) {
        __asm__ volatile("rdseed %0; setc %1" : "=r"(*ret), "=qm"(ok) : : "cc");
        if (!ok)
            x86_pause();
    }
    return ok;
}

unsigned plat_random(void *buf, size_t n)
{
    uint8_t *out = buf;
    uint64_t word = 0, last = 0;
    bool first = true, good = true;
    unsigned bits = 0;

    for (size_t done = 0; done < n; done += 8, first = false, last = word) {
        size_t take = n - done < 8 ? n - done : 8;
        bool ok = (x86_facts.rdseed && rdseed(&word)) || (x86_facts.rdrand && rdrand(&word));

        if (!ok) {
            word = x86_rdtsc() * 0x9e3779b97f4a7c15ull + done; /* not random: nothing is credited */
            good = false;
        } else if (word == 0 || word == UINT64_MAX || (!first && word == last)) {
            good = false;
        } else {
            bits += (unsigned)take * 8;
        }
        __builtin_memcpy(out + done, &word, take);
    }
    return good ? bits : 0;
}
