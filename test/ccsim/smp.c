/* SPDX-License-Identifier: MIT */
/* The machine's CPUs. Each runs the guest's CPU of the same number. Further ones wait, out of the guest's sight, until the
 * guest has made a state for them (SNP) or has put an address into the mailbox of what would be its firmware (TDX). */
#include "ccsim.h"
#include "vmcb.h"
#include "x86_64/x86.h"

#include <string.h>

enum {
    TRAMPOLINE = 0x8000,
    APIC_ID = 0x20,
    APIC_COMMAND = 0x300,
    APIC_COMMAND_HIGH = 0x310,
    COMMAND_INIT = 0x4500,
    COMMAND_STARTUP = 0x4600,
    COMMAND_NMI = 0x4400,
    RESEND = 10000,
    PATIENCE = 100000000,
    MAILBOX_WAKE = 1,
    VMSA_SAVED = 0x270, /* bytes that a VMCB's save area has as well */
    VMSA_VMPL = 0xca,
    VMSA_FEATURES = 0x3b0,
    VMSA_XCR0 = 0x3e8,
    VMSA_TSC_SCALE = 0x2f0,
    VMSA_TSC_OFFSET = 0x2f8,
    FEATURE_RESTRICTED = 1 << 3,
    FEATURE_SECURE_TSC = 1 << 9,
};
#define APIC 0xfee00000ull

struct vcpu sim_cpus[CPUS_MAX];
unsigned sim_cpu_count;
static ALIGNED(PAGE_SIZE) struct vmcb vmcbs[CPUS_MAX];
static uint32_t lock, arrived;

void sim_lock(void)
{
    while (__atomic_exchange_n(&lock, 1, __ATOMIC_ACQUIRE))
        x86_pause();
}

void sim_unlock(void)
{
    __atomic_store_n(&lock, 0, __ATOMIC_RELEASE);
}

static volatile uint32_t *apic(unsigned reg)
{
    return (volatile uint32_t *)(APIC + reg);
}

void sim_send(uint32_t id, uint32_t command)
{
    uint32_t high = *apic(APIC_COMMAND_HIGH); /* the guest may be in the middle of sending */

    *apic(APIC_COMMAND_HIGH) = id << 24;
    *apic(APIC_COMMAND) = command;
    *apic(APIC_COMMAND_HIGH) = high;
}

void sim_add_cpu(uint32_t apic_id)
{
    struct vcpu *c = &sim_cpus[sim_cpu_count];

    if (sim_cpu_count == CPUS_MAX)
        sim_fail("more than %u CPUs", CPUS_MAX);
    c->vmcb = &vmcbs[sim_cpu_count++];
    c->apic_id = apic_id;
    sim_intercepts(c->vmcb);
}

struct vcpu *sim_find_cpu(uint32_t apic_id)
{
    for (unsigned i = 0; i < sim_cpu_count; i++)
        if (sim_cpus[i].apic_id == apic_id)
            return &sim_cpus[i];
    return NULL;
}

struct vcpu *sim_this_cpu(void)
{
    return sim_find_cpu(*apic(APIC_ID) >> 24);
}

void sim_start_cpus(void)
{
    memcpy((void *)TRAMPOLINE, sim_ap_start, (size_t)(sim_ap_end - sim_ap_start));
    for (unsigned i = 1; i < sim_cpu_count; i++) {
        unsigned spins = 0;

        sim_send(sim_cpus[i].apic_id, COMMAND_INIT);
        sim_send(sim_cpus[i].apic_id, COMMAND_STARTUP | TRAMPOLINE >> PAGE_SHIFT);
        while (__atomic_load_n(&arrived, __ATOMIC_ACQUIRE) != i) {
            x86_pause();
            if (++spins == PATIENCE)
                sim_fail("the machine's CPU %u does not start", i);
        }
    }
}

/* TDX: what the firmware of a guest does with CPUs that nobody needs. True: the guest has called for this one. */
static bool called(struct vcpu *c)
{
    struct {
        uint16_t command, reserved;
        uint32_t apic_id;
        uint64_t vector;
    } volatile *box = sim_host(sim_private(GPA_MAILBOX));

    if (!sim_options.tdx || box->command != MAILBOX_WAKE || box->apic_id != c->apic_id ||
        sim_attack("ap-never"))
        return false;
    sim_boot_state(c->vmcb, box->vector);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    box->command = 0;
    return true;
}

NORETURN void sim_ap_main(void)
{
    struct vcpu *c = sim_this_cpu();

    if (!c)
        sim_fail("a CPU that the tables do not name");
    sim_cpu_init((unsigned)(c - sim_cpus));
    __atomic_fetch_add(&arrived, 1, __ATOMIC_RELEASE);
    for (;;) {
        sim_lock();
        c->running |= called(c);
        if (c->running)
            sim_run(c);
        sim_unlock();
        for (unsigned i = 0; i < 100; i++)
            x86_pause();
    }
}

void sim_flush_others(struct vcpu *c)
{
    for (unsigned i = 0; i < sim_cpu_count; i++) {
        struct vcpu *o = &sim_cpus[i];

        if (o == c || !o->running)
            continue;
        __atomic_store_n(&o->flush, true, __ATOMIC_SEQ_CST);
        for (unsigned spins = 0; __atomic_load_n(&o->in_guest, __ATOMIC_SEQ_CST); spins++) {
            if (spins % RESEND == 0) { /* it may have been on the way in */
                __atomic_store_n(&o->kicked, true, __ATOMIC_SEQ_CST);
                sim_send(o->apic_id, COMMAND_NMI);
            }
            x86_pause();
        }
    }
}

bool sim_set_area(uint32_t apic_id, uint64_t gpa)
{
    struct vcpu *c = sim_find_cpu(apic_id);

    if (!c || c->running)
        return false;
    c->svsm_area = gpa;
    return true;
}

void sim_start_cpu(uint32_t apic_id, uint16_t cs, uint16_t ip)
{
    struct vcpu *c = sim_find_cpu(apic_id);
    struct vmcb *v;

    if (!c || c->running || sim_attack("ap-never"))
        return;
    v = c->vmcb;
    sim_boot_state(v, ip);
    v->cs = (struct vmcb_segment){ cs, 0x9b, 0xffff, (uint64_t)cs << 4 };
    v->ds = v->es = v->ss = v->fs = v->gs = (struct vmcb_segment){ 0, 0x93, 0xffff, 0 };
    v->efer = 0x1000;
    v->cr0 = 0x60000010;
    v->cr3 = v->cr4 = 0;
    v->nested_cr3 = sim_nested_root_private();
    v->intercept_cr |= INTERCEPT_CR3_WRITE;
    c->running = true;
}

bool sim_create_cpu(uint32_t apic_id, uint64_t gpa)
{
    struct vcpu *c = sim_find_cpu(apic_id);
    const uint8_t *state = sim_host(sim_private(gpa));
    uint64_t features, scale,
        want = 1 | (sim_options.secure_tsc ? FEATURE_SECURE_TSC : 0) |
               (sim_options.rinj ? FEATURE_RESTRICTED : 0);

    if (!c || c->running)
        return false;
    if (!state || gpa % PAGE_SIZE || sim_page_state(gpa) != PAGE_VMSA)
        sim_fail("the CPU's state at 0x%lx is no such page", gpa);
    memcpy(&features, state + VMSA_FEATURES, 8);
    if (state[VMSA_VMPL] != sim_vmpl() || features != want || !(state[VMSA_XCR0] & 1))
        sim_fail("the CPU's state has level %u, features 0x%lx", state[VMSA_VMPL], features);
    memcpy(&scale, state + VMSA_TSC_SCALE, 8);
    if (sim_options.secure_tsc && scale != 1ull << 32)
        sim_fail("the CPU's counter has scale 0x%lx", scale);
    if (sim_options.secure_tsc)
        memcpy(&c->vmcb->tsc_offset, state + VMSA_TSC_OFFSET, 8);
    memcpy((uint8_t *)c->vmcb + 0x400, state, VMSA_SAVED);
    if (!(c->vmcb->efer & 0x1000))
        sim_fail("the CPU's state has EFER 0x%lx", c->vmcb->efer);
    c->running = !sim_attack("ap-never");
    return true;
}
