/* SPDX-License-Identifier: MIT */
/* Starting the other CPUs, and stopping them for a panic.
 *
 * Memory for each CPU is made first; then each that the MADT says is enabled is sent to the trampoline (boot/ap.S) and
 * takes the next prepared block, or, in a guest that makes its CPUs' first state itself, starts in ap_entry at once. The first CPU gives out the numbers, in the MADT's order, after it has compared the
 * other's counter with its own: time must not go back when a thread moves.
 * Spec: Intel SDM volume 3, 9.4 (INIT-SIPI-SIPI); ACPI 6.5, 5.2.12.19 (wake-up mailbox). */
#include "boot/boot.h"
#include "boot/memory.h"
#include "cc/cc.h"
#include "vm/vm.h"
#include "x86_64/cpu.h"
#include "x86_64/kmap.h"
#include "x86_64/trap.h"
#include "x86_64/x86.h"

#include <base/log.h>
#include <plat/boot.h>
#include <plat/mem.h>
#include <plat/time.h>
#include <plat/upcall.h>
#include <stdatomic.h>

enum { START_ARRIVED = 1, START_GO, START_PARK, START_TURN }; /* from START_TURN on: comparison */
enum {
    COMPARISONS = 16,
    RESEND_NS = 1000000,
    LATE_SECONDS = 30, /* an emulator on a loaded host takes long */
    LOW_PAGES = 4,     /* trampoline and three tables */
    MSR_TSC_ADJUST = 0x3b,
    MAILBOX_WAKE = 1,
};

/* ap.S */
extern const char ap_start[], ap_end[], ap_32[], ap_long[], ap_gdt[], ap_gdt_base[], ap_jump32[],
    ap_jump64[], ap_cr3[], ap_target[];
void ap_entry(void);
void smp_ap_main(struct x86_cpu *c);
struct x86_cpu *ap_blocks[PLAT_CPU_MAX];
uint32_t ap_prepared, ap_taken;

struct mailbox {
    uint16_t command, reserved;
    uint32_t apic_id;
    uint64_t vector;
};

static uint64_t low;              /* LOW_PAGES pages below 1 MiB */
static unsigned count = 1;        /* CPUs that run */
static _Atomic uint32_t panic_by; /* number + 1 of the CPU that stops the others */

unsigned plat_cpu_count(void)
{
    return count;
}

void vm_smp_reserve(void)
{
    if (vm_acpi()->cpu_count > 1 && !cc_starts_cpus())
        low = boot_low_pages(LOW_PAGES);
}

static void patch32(const char *field, uint64_t value)
{
    uint32_t v = (uint32_t)value;

    __builtin_memcpy((char *)plat_phys_to_virt(PADDR(low)) + (field - ap_start), &v, sizeof(v));
}

/* The trampoline, and tables that map it where it lies, the rest as everywhere. */
static void make_trampoline(void)
{
    const uint64_t bits = PTE_P | PTE_W | PTE_A | x86_facts.enc_mask;
    uint64_t *root = plat_phys_to_virt(PADDR(low + PAGE_SIZE)), *pdpt = root + 512,
             *pd = pdpt + 512;
    uint64_t target = (uintptr_t)ap_entry;

    x86_copy(root + 256, kmap_root() + 256, PAGE_SIZE / 2);
    root[0] = (low + 2 * PAGE_SIZE) | bits;
    pdpt[0] = (low + 3 * PAGE_SIZE) | bits;
    pd[0] = bits | PTE_D | PTE_LARGE; /* the first 2 MiB, executable */
    x86_copy(plat_phys_to_virt(PADDR(low)), ap_start, (size_t)(ap_end - ap_start));
    patch32(ap_gdt_base, low + (uint64_t)(ap_gdt - ap_start));
    patch32(ap_jump32, low + (uint64_t)(ap_32 - ap_start));
    patch32(ap_jump64, low + (uint64_t)(ap_long - ap_start));
    patch32(ap_cr3, low + PAGE_SIZE);
    patch32(ap_target, target);
    patch32(ap_target + 4, target >> 32);
}

/* A further CPU, on its own stack, with the trampoline's tables. */
void smp_ap_main(struct x86_cpu *c)
{
    uint32_t turn = START_ARRIVED;

    x86_set_cr3(kmap_root_phys() | x86_facts.enc_mask);
    x86_cpu_init(c);
    cc_init_cpu(c);
    vm_apic_init_cpu();
    c->apic_id = vm_apic_id();
    vm_timer_init_cpu();
    atomic_store(&c->start, START_ARRIVED);
    for (;;) {
        uint32_t now = atomic_load_explicit(&c->start, memory_order_acquire);

        if (now == START_GO)
            break;
        if (now == turn) {
            x86_pause();
            continue;
        }
        if (now == START_PARK)
            for (;;)
                __asm__ volatile("cli; hlt");
        atomic_store_explicit(&c->start_tsc, x86_rdtsc(), memory_order_relaxed);
        turn = now + 1;
        atomic_store_explicit(&c->start, turn, memory_order_release);
    }
    if (atomic_load(&c->start_tsc)) /* what it is ahead by, to be taken off */
        x86_wrmsr(MSR_TSC_ADJUST, x86_rdmsr(MSR_TSC_ADJUST) - atomic_load(&c->start_tsc));
    x86_cpu_set_number(c);
    upcall_cpu_start(c->p.cpu);
}

/* How far the CPU's counter is ahead of this one's as far as can be told: 0 when its readings lie between this one's. */
static int64_t compare_counter(struct x86_cpu *c)
{
    uint64_t best = UINT64_MAX;
    int64_t ahead = 0;
    bool outside = false;

    for (uint32_t i = 0; i < COMPARISONS; i++) {
        uint64_t before = x86_rdtsc(), theirs, after;

        atomic_store_explicit(&c->start, START_TURN + 2 * i, memory_order_release);
        while (atomic_load_explicit(&c->start, memory_order_acquire) == START_TURN + 2 * i)
            x86_pause();
        theirs = atomic_load_explicit(&c->start_tsc, memory_order_relaxed);
        after = x86_rdtsc();
        outside |= theirs < before || theirs > after;
        if (after - before < best) {
            best = after - before;
            ahead = (int64_t)(theirs - before - best / 2);
        }
    }
    return outside ? ahead : 0;
}

/* Whether c may run: its counter is ours, or can be made so. */
static bool counters_agree(struct x86_cpu *c)
{
    bool adjustable = cc_kind() == CC_NONE && x86_cpuid(0, 0).eax >= 7 && x86_cpuid(7, 0).ebx & 2;
    int64_t ahead = compare_counter(c);

    atomic_store(&c->start_tsc, adjustable ? (uint64_t)ahead : 0);
    if (ahead)
        log_warn("clock: the counter of the CPU with APIC id %u is %ld ticks off%s", c->apic_id,
                 (long)ahead, adjustable ? "" : "; that CPU is not used");
    return !ahead || adjustable;
}

static void release(struct x86_cpu *c)
{
    bool use = counters_agree(c);

    if (use) {
        c->p.cpu = count;
        x86_cpus[count] = c;
        atomic_fetch_or(&x86_online, 1ull << count);
        count++;
    }
    atomic_store(&c->start, use ? START_GO : START_PARK);
}

/* The block that the CPU with this id has taken; NULL: it has not come yet. */
static struct x86_cpu *find_arrived(uint32_t id)
{
    for (unsigned i = 0; i < ap_prepared; i++)
        if (atomic_load_explicit(&ap_blocks[i]->start, memory_order_acquire) == START_ARRIVED &&
            ap_blocks[i]->apic_id == id)
            return ap_blocks[i];
    return NULL;
}

static struct x86_cpu *wait_arrived(uint32_t id, uint64_t ns)
{
    uint64_t start = plat_time_ns();
    struct x86_cpu *c;

    while (!(c = find_arrived(id)) && plat_time_ns() - start < ns)
        x86_pause();
    return c;
}

/* Through the firmware's mailbox, which is free again when command is 0. */
static void wake_by_mailbox(volatile struct mailbox *m, uint32_t id)
{
    uint64_t start = plat_time_ns();

    m->apic_id = id;
    m->vector = low + (uint64_t)(ap_long - ap_start);
    atomic_thread_fence(memory_order_seq_cst);
    m->command = MAILBOX_WAKE;
    while (m->command && plat_time_ns() - start < LATE_SECONDS * NS_PER_SEC)
        x86_pause();
}

static void wake_by_ipi(uint32_t id)
{
    uint32_t startup = APIC_STARTUP | (uint32_t)(low / PAGE_SIZE);

    vm_apic_send(id, APIC_INIT);
    vm_apic_send(id, startup);
    if (!wait_arrived(id, RESEND_NS))
        vm_apic_send(id, startup); /* a CPU that runs already ignores the second one */
}

/* One at a time: a CPU that waits for its turn would only take time from the others where CPUs are shared. */
static void start_all(const uint32_t *ids, unsigned n)
{
    uint64_t pa = cc_starts_cpus() ? 0 : vm_acpi()->mailbox;
    volatile struct mailbox *box = pa ? kmap_firmware(pa, PAGE_SIZE) : NULL;

    if (pa && !box) {
        log_warn("the CPUs' mailbox at 0x%lx is not in the firmware's memory: they are not used",
                 (unsigned long)pa);
        return;
    }
    if (!pa && !cc_starts_cpus() && !cc_hand_over_cpus(low))
        return;
    for (unsigned i = 0; i < n; i++) {
        struct x86_cpu *c;

        if (cc_starts_cpus()) {
            if (!cc_start_cpu(ids[i], (uintptr_t)ap_entry)) {
                log_warn("the host does not start the CPU with APIC id %u", ids[i]);
                continue;
            }
        } else if (box)
            wake_by_mailbox(box, ids[i]);
        else
            wake_by_ipi(ids[i]);
        c = wait_arrived(ids[i], LATE_SECONDS * NS_PER_SEC);
        if (c)
            release(c);
        else
            log_warn("the CPU with APIC id %u did not start", ids[i]);
    }
    for (unsigned i = 0; i < n; i++) /* whoever came too late */
        if (atomic_load(&ap_blocks[i]->start) == START_ARRIVED)
            atomic_store(&ap_blocks[i]->start, START_PARK);
}

/* The CPUs to start: enabled, in reach, not this one. */
static unsigned others(uint32_t ids[PLAT_CPU_MAX])
{
    const struct acpi_facts *f = vm_acpi();
    unsigned n = 0;

    for (unsigned i = 0; i < f->cpu_count && n < PLAT_CPU_MAX - 1; i++)
        if (f->cpus[i] != x86_this_cpu()->apic_id && vm_apic_reaches(f->cpus[i]))
            ids[n++] = f->cpus[i];
    return n;
}

static void prepare(unsigned n)
{
    while (ap_prepared < n) {
        struct x86_cpu *c = x86_cpu_create();

        if (!c)
            break;
        if (!cc_prepare_cpu(c)) {
            x86_cpu_destroy(c);
            break;
        }
        ap_blocks[ap_prepared++] = c;
    }
}

void plat_cpu_start_all(void)
{
    uint32_t ids[PLAT_CPU_MAX];
    unsigned n = others(ids);

    if (!n)
        return;
    if (low || cc_starts_cpus())
        prepare(n);
    if (ap_prepared < n) {
        log_warn("%u CPUs are not used: no memory for them", n - ap_prepared);
        n = ap_prepared;
    }
    if (!n)
        return;
    if (low)
        make_trampoline();
    start_all(ids, n);
}

void vm_smp_stop_others(void)
{
    struct x86_cpu *c = x86_this_cpu();
    uint32_t nobody = 0, self = c->p.cpu + 1;

    __asm__ volatile("cli");
    if (!atomic_compare_exchange_strong(&panic_by, &nobody, self)) {
        while (nobody != self)
            __asm__ volatile("hlt"); /* until the NMI, and after it */
        return;
    }
    for (unsigned i = 0; i < count; i++)
        if (i != c->p.cpu)
            vm_apic_send(x86_cpus[i]->apic_id, APIC_NMI);
    for (unsigned i = 0; i < count; i++)
        for (unsigned spins = 0;
             i != c->p.cpu && !atomic_load(&x86_cpus[i]->stopped) && spins < 1000000; spins++)
            x86_pause();
}

void vm_smp_stopped(const struct plat_frame *f)
{
    struct x86_cpu *c = x86_this_cpu();
    uint32_t by = atomic_load(&panic_by);

    if (!by || by == c->p.cpu + 1)
        return;
    atomic_store(&c->stopped, f);
    for (;;)
        __asm__ volatile("cli; hlt");
}

void vm_smp_say_others(void)
{
    for (unsigned i = 0; i < count; i++) {
        const struct plat_frame *f = atomic_load(&x86_cpus[i]->stopped);

        if (i == plat_cpu_id())
            continue;
        x86_say_hex("CPU 0x", i);
        if (f)
            x86_say_stack(f);
        else
            x86_say(": does not answer\r\n");
    }
}
