/* SPDX-License-Identifier: MIT */
/* Time is the CPU's counter (TSC) times a factor. The factor comes from the first rung of a ladder that answers: the
 * processor (SecureTSC), the configuration, CPUID leaves of the hypervisor, kvmclock, CPUID 0x15, then counting against a clock of known
 * frequency: ACPI PM timer, HPET, PIT, and where the hypervisor fixes its frequency the local APIC's timer.
 * Counting takes short windows, well below 2 ms in sum; longer ones where the host keeps disturbing them.
 * The host can lie in each of these; nothing here loops on a device without a bound. */
#include "vm/vm.h"
#include "boot/boot.h"
#include "boot/memory.h"
#include "cc/cc.h"
#include "vm/clockmath.h"
#include "vm/kvmclock.h"
#include "x86_64/cpu.h"
#include "x86_64/kmap.h"
#include "x86_64/x86.h"

#include "boot/image.h"
#include <base/log.h>
#include <plat/mem.h>
#include <plat/time.h>
#include <stdatomic.h>

#define PM_TIMER_HZ 3579545u
#define PIT_HZ      1193182u
#define LAPIC_HZ    1000000000u

/* The facts in use, one of a few: readers on other CPUs may still hold the ones before, for some instructions. */
static struct plat_clock clocks[8];
static _Atomic(const struct plat_clock *) clock = &clocks[0];
static uint64_t boot_tsc;
static bool held;               /* the host may turn the counter back: time stands still then */
static _Atomic uint64_t latest; /* the highest that was read, when held */

/* A clock of known frequency to count against. */
struct reference {
    const char *name;
    uint64_t (*read)(void);
    uint32_t hz;
    uint64_t mask;
};

static volatile uint32_t *hpet;

static uint64_t read_pm_timer(void)
{
    return x86_in32((uint16_t)vm_acpi()->pm_timer.address);
}

static uint64_t read_hpet(void)
{
    return hpet[0xf0 / 4];
}

static uint64_t read_pit(void)
{
    unsigned lo;

    x86_out8(0x43, 0x80); /* latch channel 2 */
    lo = x86_in8(0x42);
    return 0u - (lo | (unsigned)x86_in8(0x42) << 8);
}

static uint64_t read_lapic(void)
{
    return 0u - vm_apic_timer_left();
}

/* The next moment at which ref moves: the counter's value right after the reading that shows it (the delay is the
 * same at each) and how long before it the edge may have been. False: it does not move. */
static bool wait_edge(const struct reference *ref, struct clock_edge *ret)
{
    uint64_t last = ref->read(), before = x86_rdtsc(), after, now;

    for (unsigned i = 0; i < 4000; i++) {
        now = ref->read();
        after = x86_rdtsc();
        if (i && ((now - last) & ref->mask)) { /* not the first: it took longer than the others */
            *ret = (struct clock_edge){ .ticks = now, .tsc = after, .slack = after - before };
            return true;
        }
        last = now;
        before = after;
    }
    return false;
}

/* An edge that is not much worse than the best one so far, if there is one to have soon: where other guests take the
 * CPU away, it is the next try that is quiet. */
static bool good_edge(const struct reference *ref, uint64_t *best_slack, struct clock_edge *ret)
{
    struct clock_edge next;

    if (!wait_edge(ref, ret))
        return false;
    for (unsigned i = 0; i < 8 && ret->slack > *best_slack * 2; i++) {
        if (!wait_edge(ref, &next))
            return false;
        if (next.slack < ret->slack)
            *ret = next;
    }
    if (ret->slack < *best_slack)
        *best_slack = ret->slack;
    return true;
}

static void pause_ticks(uint64_t tsc_ticks)
{
    uint64_t start = x86_rdtsc();

    while (x86_rdtsc() - start < tsc_ticks)
        ;
}

/* How sure to be after so many ticks of the counter: a quiet machine is within the first line at once, and the
 * longer it takes, the less is asked for. */
static uint64_t sureness_after(uint64_t tsc_ticks, uint64_t first)
{
    return tsc_ticks >> 21 == 0   ? first
           : tsc_ticks >> 24 == 0 ? 250
           : tsc_ticks >> 27 == 0 ? 100
                                  : 30;
}

enum { EDGES = 26, FIRST_GAP = 6000 };

/* 0, or the frequency. The windows between the edges get twice as long each time: a slow device or a busy host makes
 * short ones useless. At most about 10^9 ticks of the counter. */
static uint64_t try_reference(const struct reference *ref)
{
    struct clock_edge edges[EDGES];
    /* A reference that counts nanoseconds needs less of them. */
    uint64_t first = ref->hz >= 100000000 ? 400 : 1000;
    /* Not so long that a short counter wraps in one. */
    uint64_t gap = FIRST_GAP, max_gap = ref->mask > 0xffff ? 1 << 27 : 1 << 23;
    uint64_t best_slack = UINT64_MAX / 2, hz = 0;
    unsigned n = 0;

    while (n < EDGES && good_edge(ref, &best_slack, &edges[n])) {
        n++;
        if (n >= 3) {
            hz = clock_fit(edges, n, ref->hz, ref->mask,
                           sureness_after(edges[n - 1].tsc - edges[0].tsc, first));
            if (hz)
                return hz;
            gap = gap * 2 < max_gap ? gap * 2 : max_gap;
        }
        pause_ticks(gap);
    }
    return clock_fit(edges, n, ref->hz, ref->mask, 10);
}

/* Frequencies that CPUID states. */
static uint64_t from_cpuid(uint32_t hv_top, const char *signature, const char **ret_name)
{
    struct x86_cpuid r;
    uint64_t hz = 0;

    if (hv_top >= 0x40000010 && hv_top < 0x40010000) {
        *ret_name = "cpuid-0x40000010";
        hz = x86_cpuid(0x40000010, 0).eax * 1000ull;
    }
    if (!clock_plausible(hz)) {
        *ret_name = "kvmclock";
        hz = vm_kvm_hz();
    }
    if (!clock_plausible(hz) && cc_kind() == CC_NONE && hv_top >= 0x40000003 &&
        vm_is(signature, "Microsoft") && x86_cpuid(0x40000003, 0).eax & 1u << 11) {
        *ret_name = "hyperv";
        hz = x86_rdmsr(0x40000022);
    }
    if (!clock_plausible(hz) && x86_cpuid(0, 0).eax >= 0x15) {
        *ret_name = "cpuid-0x15";
        r = x86_cpuid(0x15, 0);
        hz = r.eax ? (uint64_t)r.ecx * r.ebx / r.eax : 0;
    }
    return clock_plausible(hz) ? hz : 0;
}

static uint64_t from_counting(const char *signature, const char **ret_name)
{
    const struct acpi_facts *f = vm_acpi();
    struct reference refs[4];
    unsigned n = 0;
    uint64_t hz;

    if (vm_lapic_hz()) /* to the nanosecond, and no device is slower to ask */
        refs[n++] = (struct reference){ "lapic", read_lapic, LAPIC_HZ, 0xffffffff };
    if (f->pm_timer.address && f->pm_timer.space == 1 && f->pm_timer.address <= 0xffff)
        refs[n++] = (struct reference){ "acpi-pm", read_pm_timer, PM_TIMER_HZ,
                                        f->pm_timer_32 ? 0xffffffff : 0xffffff };
    if (f->hpet && (hpet = kmap_device(f->hpet, 1024)) != NULL) {
        uint32_t fs = hpet[1]; /* femtoseconds per tick */
        if (fs >= 1000000 && fs <= 100000000) {
            hpet[0x10 / 4] |= 1;
            refs[n++] = (struct reference){ "hpet", read_hpet, (uint32_t)(1000000000000000ull / fs),
                                            0xffffffff };
        }
    }
    refs[n++] = (struct reference){ "pit", read_pit, PIT_HZ, 0xffff };
    if (vm_is(signature, "KVMKVMKVM"))
        refs[n++] = (struct reference){ "lapic", read_lapic, LAPIC_HZ, 0xffffffff };

    for (unsigned i = 0; i < n; i++) {
        if (refs[i].read == read_pit) {
            x86_out8(0x61, (x86_in8(0x61) & ~2) | 1); /* gate on, speaker off */
            x86_out8(0x43, 0xb4);                     /* channel 2, both bytes, mode 2 */
            x86_out8(0x42, 0);
            x86_out8(0x42, 0);
        } else if (refs[i].read == read_lapic) {
            vm_apic_timer_probe();
        }
        hz = try_reference(&refs[i]);
        if (clock_plausible(hz)) {
            *ret_name = refs[i].name;
            return clock_snap(hz);
        }
    }
    return 0;
}

uint64_t vm_lapic_promise(void)
{
    char signature[13];

    vm_hypervisor(signature);
    return vm_is(signature, "TCGTCGTCG") || vm_is(signature, "KVMKVMKVM") ? LAPIC_HZ : 0;
}

uint64_t vm_lapic_hz(void)
{
    char signature[13];

    vm_hypervisor(signature);
    return vm_is(signature, "TCGTCGTCG") ? LAPIC_HZ : 0;
}

void vm_clock_begin(void)
{
    boot_tsc = x86_rdtsc();
}

void vm_clock_began(uint64_t tsc)
{
    if (tsc && tsc < boot_tsc)
        boot_tsc = tsc;
}

uint64_t vm_clock_boot_tsc(void)
{
    return boot_tsc;
}

/* clock=HZ of the measured command line. */
static uint64_t from_configuration(void)
{
    uint64_t max;
    const struct alcove_image *image = boot_payload(&max);
    uint64_t offset, size;

    if (!image)
        return 0;
    offset = image->cmdline.offset;
    size = image->cmdline.size;
    if (offset > max || size > max - offset || size > ALCOVE_CMDLINE_MAX)
        return 0;
    return clock_option((const char *)image + offset, size);
}

void vm_clock_init(void)
{
    char signature[13];
    uint32_t top = vm_hypervisor(signature);
    const char *name = "option";
    uint64_t hz = cc_counter_hz();

    if (clock_plausible(hz))
        name = "processor";
    else
        hz = from_configuration();
    if (!hz)
        hz = from_cpuid(top, signature, &name);
    if (!hz)
        hz = from_counting(signature, &name);
    if (!hz)
        boot_fail("alcove: no clock tells the CPU's frequency; build the image with clock=HZ");
    held = cc_counter_moves();
    atomic_store(&latest, boot_tsc);
    clocks[0] = (struct plat_clock){
        .tsc_base = boot_tsc,
        .usable = !cc_counter_moves(), /* ring 3 cannot hold it back */
        .mult = clock_factor(hz),
        .tsc_hz = hz,
        .source = name,
        .cpu_by = x86_cpu_number_by(),
    };
}

/* A counter below zero is one that went back, too. */
static uint64_t hold(uint64_t tsc)
{
    uint64_t before = atomic_load_explicit(&latest, memory_order_relaxed);

    while ((int64_t)(tsc - before) > 0)
        if (atomic_compare_exchange_weak(&latest, &before, tsc))
            return tsc;
    return before;
}

static ALWAYS_INLINE uint64_t ns_at(uint64_t tsc)
{
    /* Consume: what it points to was written before. */
    const struct plat_clock *c = atomic_load_explicit(&clock, memory_order_acquire);

    return (uint64_t)((unsigned __int128)(tsc - c->tsc_base) * c->mult >> PLAT_CLOCK_SHIFT) +
           c->ns_base;
}

static NOINLINE uint64_t ns_held(uint64_t tsc)
{
    return ns_at(hold(tsc));
}

uint64_t plat_time_ns(void)
{
    uint64_t tsc;

    __asm__ volatile("lfence" : : : "memory"); /* not before what came before */
    tsc = x86_rdtsc();
    return UNLIKELY(held) ? ns_held(tsc) : ns_at(tsc);
}

void vm_clock_rebase(uint64_t tsc, uint64_t ns, uint64_t hz, bool distrust)
{
    const struct plat_clock *now = atomic_load(&clock);
    struct plat_clock *next = &clocks[(now - clocks + 1) % (ptrdiff_t)ARRAY_SIZE(clocks)];

    *next = *now;
    next->tsc_base = tsc;
    next->ns_base = ns;
    next->tsc_hz = hz;
    next->mult = clock_factor(hz);
    if (distrust || held) {
        next->usable = false;
        atomic_store(&latest, tsc);
        held = true;
    }
    atomic_store(&clock, next);
}

uint64_t vm_clock_ticks(uint64_t ns)
{
    return ns * (atomic_load(&clock)->tsc_hz / 1000) / 1000000;
}

void plat_clock(struct plat_clock *ret)
{
    *ret = *atomic_load(&clock);
}
