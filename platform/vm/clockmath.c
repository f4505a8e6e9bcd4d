/* SPDX-License-Identifier: MIT */
/* Pure functions: see clockmath.h. No input makes them divide by zero, loop long or overflow. */
#include "vm/clockmath.h"

bool clock_plausible(uint64_t hz)
{
    return hz >= 100000000ull && hz <= 20000000000ull;
}

enum { DOUBT_ONE = 1 << 24 };

/* How long dt ticks of the reference are at hz. */
static uint64_t ticks_tsc(uint64_t dt, uint64_t hz, uint64_t ref_hz)
{
    return dt / ref_hz * hz +
           ((dt % ref_hz * (hz >> 4) / ref_hz) << 4); /* fits: hz < 2^35, ref_hz < 2^31 */
}

/* Does each window from edge i to edge j say hz too? Not if the reference wrapped unseen in one of them, or stopped. */
static bool agrees(const struct clock_edge *edges, unsigned i, unsigned j, uint64_t hz,
                   uint64_t ref_hz, uint64_t mask)
{
    for (; i < j; i++) {
        const struct clock_edge *a = &edges[i], *b = &edges[i + 1];
        uint64_t tsc = b->tsc - a->tsc;
        uint64_t want = ticks_tsc((b->ticks - a->ticks) & mask, hz, ref_hz);
        uint64_t off = tsc > want ? tsc - want : want - tsc;

        if (off > a->slack + b->slack + tsc / 1000)
            return false;
    }
    return true;
}

uint64_t clock_fit(const struct clock_edge *edges, unsigned n, uint64_t ref_hz, uint64_t mask,
                   uint64_t sureness)
{
    uint64_t best = 0, best_doubt = DOUBT_ONE / sureness + 1;

    if (ref_hz >> 31)
        return 0;
    for (unsigned i = 0; i + 2 < n; i++) {
        uint64_t ticks = (edges[i + 1].ticks - edges[i].ticks) & mask;

        for (unsigned j = i + 2; j < n; j++) {
            uint64_t tsc = edges[j].tsc - edges[i].tsc, slack = edges[i].slack + edges[j].slack, hz;

            ticks += (edges[j].ticks - edges[j - 1].ticks) & mask;
            if (!tsc || tsc >> 33 || !ticks || ticks >> 33 || edges[i].slack >> 32 ||
                edges[j].slack >> 32 || slack * DOUBT_ONE / tsc >= best_doubt)
                continue;
            hz = tsc * ref_hz / ticks;
            if (!clock_plausible(hz) || !agrees(edges, i, j, hz, ref_hz, mask))
                continue;
            best = hz;
            best_doubt = slack * DOUBT_ONE / tsc;
        }
    }
    return best;
}

uint64_t clock_snap(uint64_t hz)
{
    uint64_t round = (hz + 500000) / 1000000 * 1000000, off = hz > round ? hz - round : round - hz;

    return off < hz / 25000 ? round : hz;
}

uint64_t clock_factor(uint64_t hz)
{
    return (NS_PER_SEC << PLAT_CLOCK_SHIFT) / hz;
}

uint64_t clock_kvm_hz(uint32_t mult, int8_t shift)
{
    uint64_t hz;

    if (!mult || shift < -31 || shift > 31)
        return 0;
    /* ns = (tsc << shift) * mult >> 32 */
    hz = (NS_PER_SEC << 32) / mult;
    hz = shift >= 0 ? hz >> shift : hz >> 32 ? 0 : hz << -shift;
    return clock_plausible(hz) ? hz : 0;
}

uint64_t clock_kvm_ns(uint64_t ticks, uint32_t mult, int8_t shift)
{
    if (!mult || shift < -31 || shift > 31)
        return 0;
    ticks = shift >= 0 ? ticks << shift : ticks >> -shift;
    return (uint64_t)((unsigned __int128)ticks * mult >> 32);
}

static bool starts(const char *text, size_t size, const char *prefix)
{
    size_t i = 0;

    while (prefix[i] && i < size && text[i] == prefix[i])
        i++;
    return !prefix[i];
}

uint64_t clock_option(const char *text, size_t size)
{
    uint64_t hz = 0;
    size_t i = 0;

    while (i < size) {
        if (starts(text + i, size - i, "-- "))
            return 0;
        if (starts(text + i, size - i, "clock=")) {
            for (i += 6; i < size && text[i] >= '0' && text[i] <= '9' && hz <= 20000000000ull; i++)
                hz = hz * 10 + (uint64_t)(text[i] - '0');
            return clock_plausible(hz) ? hz : 0;
        }
        while (i < size && text[i] != ' ')
            i++;
        i++;
    }
    return 0;
}

uint64_t clock_date(unsigned year, unsigned month, unsigned day, unsigned hour, unsigned minute,
                    unsigned second)
{
    static const uint8_t lengths[12] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    uint64_t days = 0;
    bool leap = year % 4 == 0 && (year % 100 || year % 400 == 0);

    if (year < 1970 || year > 2199 || month < 1 || month > 12 || day < 1 || hour > 23 ||
        minute > 59 || second > 60)
        return 0;
    if (day > lengths[month - 1] + (month == 2 && leap ? 1u : 0u))
        return 0;
    for (unsigned y = 1970; y < year; y++)
        days += y % 4 == 0 && (y % 100 || y % 400 == 0) ? 366 : 365;
    for (unsigned m = 1; m < month; m++)
        days += lengths[m - 1] + (m == 2 && leap ? 1u : 0u);
    return ((days + day - 1) * 24 + hour) * 3600 + minute * 60ull + second;
}
