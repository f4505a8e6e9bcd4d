/* SPDX-License-Identifier: MIT */
/* RAM of a confidential guest that its host has not given to it so far is asked for when it is needed, so that a guest of 64 GiB
 * starts as soon as one of 64 MiB: in units of a large page, some of them at a time. The boot of one CPU, then whoever opens
 * memory (plat_mem_accept), one at a time. */
#include "boot/lazy.h"
#include "cc/cc.h"

#include <plat/mem.h>

enum { UNITS = 1 << 15, AHEAD = 8 }; /* 64 GiB; 16 MiB */
#define LIMIT ((uint64_t)UNITS * LARGE_SIZE)

static uint64_t waiting[UNITS / 64];
static unsigned count; /* of waiting units */

static bool waits(uint64_t unit)
{
    return unit < UNITS && waiting[unit / 64] >> unit % 64 & 1;
}

static void flip(uint64_t unit, bool on)
{
    waiting[unit / 64] ^= 1ull << unit % 64;
    count = on ? count + 1 : count - 1;
}

void lazy_add(uint64_t start, uint64_t end)
{
    uint64_t first = align_up(start, LARGE_SIZE),
             last = align_down(min_u64(end, LIMIT), LARGE_SIZE);

    if (first >= last) {
        cc_accept(start, end, false);
        return;
    }
    if (start < first)
        cc_accept(start, first, false);
    if (last < end)
        cc_accept(last, end, false);
    for (uint64_t at = first; at < last; at += LARGE_SIZE)
        if (!waits(at / LARGE_SIZE)) /* a range that is named twice is one */
            flip(at / LARGE_SIZE, true);
}

/* Accept units from this one on, as many as wait there up to end or a few more. */
static void accept_from(uint64_t unit, uint64_t end)
{
    uint64_t n = 0;

    while (waits(unit + n) && (unit + n < end || n < AHEAD))
        flip(unit + n++, false);
    cc_accept(unit * LARGE_SIZE, (unit + n) * LARGE_SIZE, true);
}

void plat_mem_accept(paddr_t pa, uint64_t size)
{
    uint64_t end = align_up(pa.v + size, LARGE_SIZE) / LARGE_SIZE;

    for (uint64_t unit = pa.v / LARGE_SIZE; count && unit < end; unit++)
        if (waits(unit))
            accept_from(unit, end);
}
