/* SPDX-License-Identifier: MIT */
/* This CPU's one-shot timer: TSC deadline where there is one, else the local APIC's counter, whose frequency is
 * measured against the clock. A deadline further away than the counter reaches is set again when it runs out. */
#include "vm/vm.h"
#include "x86_64/cpu.h"
#include "x86_64/x86.h"

#include <base/log.h>
#include <plat/time.h>
#include <plat/upcall.h>

static uint64_t count_mult; /* counts (or counter ticks) = ns * count_mult >> COUNT_SHIFT */

enum {
    COUNT_SHIFT = 24,
    MEASURE_NS = 24000,
    REACH_NS = 1000000000
}; /* REACH_NS * count_mult fits 64 bits */

static uint64_t measure_count(uint64_t tsc_hz)
{
    uint64_t ticks = vm_clock_ticks(MEASURE_NS), best = 0, best_span = UINT64_MAX;

    for (unsigned i = 0; i < 3; i++) {
        uint64_t start, span, counted;

        vm_apic_timer_probe();
        start = x86_rdtsc();
        while (x86_rdtsc() - start < ticks / 2)
            x86_pause();
        counted = UINT32_MAX - vm_apic_timer_left();
        span = x86_rdtsc() - start;
        /* The shortest span was disturbed least. Bounded so that the product fits: tsc_hz is below 2^35. */
        if (span < best_span && span && counted < 1 << 28) {
            best_span = span;
            best = counted * tsc_hz / span;
        }
    }
    return best;
}

void vm_timer_init(void)
{
    struct plat_clock clock;
    uint64_t hz;

    plat_clock(&clock);
    hz = x86_facts.tsc_deadline ? clock.tsc_hz : vm_lapic_hz();
    if (!hz)
        hz = measure_count(clock.tsc_hz);
    if (!x86_facts.tsc_deadline && vm_lapic_promise() &&
        (hz < vm_lapic_promise() / 100 * 99 || hz > vm_lapic_promise() / 100 * 101))
        log_warn("clock: %s and the APIC's timer differ by more than 1 %%: %lu Hz instead of %lu",
                 clock.source, hz, vm_lapic_promise());
    if (!hz || hz >> 36)
        panic("the local APIC's timer does not count");
    count_mult = (hz << COUNT_SHIFT) / NS_PER_SEC;
    vm_clock_check_init();
    vm_timer_init_cpu();
}

void vm_timer_init_cpu(void)
{
    vm_apic_timer_count(0);
    vm_apic_timer_mode(x86_facts.tsc_deadline);
}

void plat_timer_set(uint64_t deadline_ns)
{
    uint64_t now, left, count;

    x86_this_cpu()->timer_deadline = deadline_ns;
    if (deadline_ns == UINT64_MAX) {
        if (x86_facts.tsc_deadline)
            x86_wrmsr(MSR_TSC_DEADLINE, 0);
        else
            vm_apic_timer_count(0);
        return;
    }
    now = plat_time_ns();
    left = min_u64(deadline_ns > now ? deadline_ns - now : 0, REACH_NS);
    count = (left * count_mult >> COUNT_SHIFT) + 1;
    if (x86_facts.tsc_deadline)
        x86_wrmsr(MSR_TSC_DEADLINE, x86_rdtsc() + count);
    else
        vm_apic_timer_count((uint32_t)count);
}

void vm_timer_interrupt(bool in_program)
{
    struct x86_cpu *c = x86_this_cpu();

    vm_clock_check();
    if (c->timer_deadline == UINT64_MAX)
        return;
    if (plat_time_ns() < c->timer_deadline) {
        plat_timer_set(c->timer_deadline);
        return;
    }
    c->timer_deadline = UINT64_MAX;
    upcall_timer(in_program);
}
