/* SPDX-License-Identifier: MIT */
/* Pure: see clockwatch.h. Which of two clocks is wrong is not to be known in general: one that went back or stood is; else the
 * one that went further has jumped, since nothing makes a clock slow down for a moment. */
#include "vm/clockwatch.h"

#include <base/compiler.h>

#define SLACK_NS 2000000ull              /* what differs less is no news */
#define DOUBT_NS 500000ull               /* a reading that took longer says nothing */
#define PAUSE_NS (86400ull * 1000000000) /* readings further apart say nothing either */

static uint64_t ns_of(uint64_t ticks, uint64_t hz)
{
    return ticks / hz * NS_PER_SEC + ticks % hz * NS_PER_SEC / hz; /* hz is below 2^34 */
}

static struct clock_verdict judge(const struct clock_watch *w, uint64_t own, uint64_t ref)
{
    uint64_t off = own > ref ? own - ref : ref - own, more = own > ref ? own : ref;

    if (off <= SLACK_NS + more / 100)
        return (struct clock_verdict){ CLOCK_GOOD, 0, own };
    if (own < ref / 16)
        return (struct clock_verdict){ CLOCK_STOPPED, off, ref };
    if (ref < own / 16)
        return (struct clock_verdict){ CLOCK_REF_STOPPED, off, own };
    (void)w;
    return own > ref ? (struct clock_verdict){ CLOCK_JUMPED, off, ref }
                     : (struct clock_verdict){ CLOCK_REF_JUMPED, off, own };
}

struct clock_verdict clock_watch(struct clock_watch *w, const struct clock_reading *now)
{
    struct clock_reading last = w->last;
    bool begun = w->begun;
    uint64_t own, ref, wrap;

    if (now->after < now->before)
        return (struct clock_verdict){ CLOCK_BACK, ns_of(now->before - now->after, w->hz), 0 };
    w->last = *now;
    w->begun = true;
    if (!begun)
        return (struct clock_verdict){ 0 };
    if (now->before < last.after) {
        struct clock_verdict v = { CLOCK_BACK, ns_of(last.after - now->before, w->hz), 0 };

        if (w->ref_hz)
            v.elapsed_ns = ns_of((now->ref - last.ref) & w->ref_mask, w->ref_hz);
        return v;
    }
    own = ns_of(now->before - last.before, w->hz);
    if (!w->ref_hz || own > PAUSE_NS || ns_of(now->after - now->before, w->hz) > DOUBT_NS ||
        ns_of(last.after - last.before, w->hz) > DOUBT_NS)
        return (struct clock_verdict){ CLOCK_GOOD, 0, own };
    if (w->ref_mask == UINT64_MAX && now->ref < last.ref)
        return (struct clock_verdict){ CLOCK_REF_BACK, ns_of(last.ref - now->ref, w->ref_hz), own };
    wrap = w->ref_mask == UINT64_MAX ? UINT64_MAX : ns_of(w->ref_mask, w->ref_hz);
    if (own > wrap / 2)
        return (struct clock_verdict){ CLOCK_GOOD, 0, own };
    ref = ns_of((now->ref - last.ref) & w->ref_mask, w->ref_hz);
    return judge(w, own, ref);
}

const char *clock_fault_name(enum clock_fault fault)
{
    static const char *const names[] = {
        [CLOCK_GOOD] = "agrees",
        [CLOCK_BACK] = "the CPU's counter ran backwards",
        [CLOCK_STOPPED] = "the CPU's counter stopped",
        [CLOCK_JUMPED] = "the CPU's counter jumped ahead",
        [CLOCK_REF_BACK] = "ran backwards",
        [CLOCK_REF_STOPPED] = "stopped",
        [CLOCK_REF_JUMPED] = "jumped ahead",
    };

    return names[fault];
}
