/* SPDX-License-Identifier: MIT */
/* Now and then the CPU's counter is compared with another clock: KVM's, or the ACPI PM timer. On the first CPU, in timer
 * interrupts that come anyway. What is found is named, and time goes on from where it was: never back, and no further behind
 * than the other clock says. Not in a confidential guest, where the other clocks are the adversary's. */
#include "cc/cc.h"
#include "vm/clockmath.h"
#include "vm/clockwatch.h"
#include "vm/kvmclock.h"
#include "vm/vm.h"
#include "x86_64/x86.h"

#include <base/log.h>
#include <plat/cpu.h>
#include <plat/time.h>
#include <plat/upcall.h>

enum { PM_TIMER_HZ = 3579545, OFTEN = 64, NAMED_MAX = 8 };

static struct clock_watch watch;
static const char *reference; /* NULL: there is none */
static bool kvm;
static uint32_t kvm_mult;
static int8_t kvm_shift;
static uint64_t last_ns, next_ns; /* at the last look; when the next one is due */

void vm_clock_check_init(void)
{
    const struct acpi_facts *f = vm_acpi();
    struct plat_clock clock;

    plat_clock(&clock);
    watch = (struct clock_watch){ .hz = clock.tsc_hz };
    if (vm_kvm_has_clock()) {
        kvm = true;
        reference = "kvmclock";
        watch.ref_hz = NS_PER_SEC;
        watch.ref_mask = UINT64_MAX;
        vm_kvm_clock_start();
    } else if (f->pm_timer.space == 1 && f->pm_timer.address && f->pm_timer.address <= 0xffff) {
        reference = "the ACPI PM timer";
        watch.ref_hz = PM_TIMER_HZ;
        watch.ref_mask = f->pm_timer_32 ? 0xffffffff : 0xffffff;
    }
}

/* False: there is nothing to be read. */
static bool take_reading(struct clock_reading *ret, struct vm_kvm_time *t)
{
    *ret = (struct clock_reading){ .before = x86_rdtsc() };
    if (kvm && !vm_kvm_read(t))
        return false;
    if (kvm)
        ret->ref = vm_kvm_ns(t, ret->before);
    else if (reference)
        ret->ref = x86_in32((uint16_t)vm_acpi()->pm_timer.address);
    ret->after = kvm ? ret->before : x86_rdtsc();
    return true;
}

static void say(const struct clock_verdict *v)
{
    static unsigned named;
    bool other = v->fault >= CLOCK_REF_BACK;

    if (named++ < NAMED_MAX)
        log_warn("clock: %s%s%s by %lu ms against %s", other ? reference : "", other ? " " : "",
                 clock_fault_name(v->fault), (unsigned long)(v->off_ns / 1000000),
                 other       ? "the CPU's counter"
                 : reference ? reference
                             : "itself");
}

static void rebase(uint64_t tsc, uint64_t ns, bool distrust)
{
    vm_clock_rebase(tsc, ns, watch.hz, distrust);
    upcall_clock_changed();
}

/* The machine may have come to a host whose counter has another frequency. */
static void look_at_factor(const struct vm_kvm_time *t, uint64_t tsc)
{
    uint64_t hz, off;

    if (t->mult == kvm_mult && t->shift == kvm_shift)
        return;
    hz = clock_kvm_hz(t->mult, t->shift);
    off = hz > watch.hz ? hz - watch.hz : watch.hz - hz;
    if (kvm_mult && hz && off > watch.hz / 1000) {
        log_warn("clock: the CPU's counter runs at %lu Hz, and did at %lu", hz, watch.hz);
        watch.hz = hz;
        watch.begun = false;
        rebase(tsc, plat_time_ns(), false);
    }
    kvm_mult = t->mult;
    kvm_shift = t->shift;
}

static void act(const struct clock_verdict *v, uint64_t tsc)
{
    if (v->fault == CLOCK_BACK)
        rebase(tsc, last_ns + v->elapsed_ns, true);
    else if (v->fault == CLOCK_STOPPED)
        rebase(tsc, max_u64(last_ns + v->elapsed_ns, plat_time_ns()), false);
    if (v->fault != CLOCK_GOOD) {
        say(v);
        upcall_resumed();
    }
}

void vm_clock_check(void)
{
    static unsigned interrupts;
    struct clock_reading now;
    struct vm_kvm_time t = { 0 };
    struct clock_verdict v;

    if (plat_cpu_id() != 0 || cc_kind() != CC_NONE || !watch.hz)
        return;
    if (++interrupts % OFTEN && x86_rdtsc() >= watch.last.after && plat_time_ns() < next_ns)
        return;
    if (!take_reading(&now, &t))
        return;
    vm_generation_look();
    if (kvm)
        look_at_factor(&t, now.before);
    v = clock_watch(&watch, &now);
    act(&v, now.after);
    if (t.stopped) {
        vm_kvm_stop_seen();
        log_info("clock: the host stopped this machine for a while");
        upcall_resumed();
    }
    last_ns = plat_time_ns();
    next_ns = last_ns + NS_PER_SEC;
}
