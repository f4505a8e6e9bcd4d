/* SPDX-License-Identifier: MIT */
/* Restricted injection. The machine's interrupts come to the simulator, whatever flags the guest has; it keeps them, says one at a time
 * in the guest's doorbell page, and rings: #HV is all that it injects. Every other one it ends at the interrupt controller itself and
 * says so (NoEoiRequired), but for level-triggered ones. Attacks are those of attack.c by this way, and events out of turn.
 * Spec: AMD APM volume 2, 15.36.16; GHCB specification 2.03, 5. */
#include "ccsim.h"
#include "vmcb.h"
#include "x86_64/x86.h"

#include <string.h>

struct doorbell {
    uint16_t pending;
    uint8_t ended;
};

enum {
    PENDING_NMI = 1 << 8,
    PENDING_MC = 1 << 9,
    QUIET = 1 << 15, /* has rung, and does not again before the word was taken */
    EVENT_VALID = 1u << 31,
    EVENT_EXCEPTION = 3 << 8,
    INTERCEPT_INTR = 1 << 0,
    INTERCEPT_HLT = 1 << 24,
    V_INTR_MASKING = 1 << 24,
    VEC_STRAY =
        0xf, /* what an 8259 as a BIOS leaves it gives for a line that was masked in the meantime */
    VEC_OWN = 0x21,        /* to get a CPU of the machine out of a halt */
    VEC_LEGACY_END = 0x30, /* of an 8259, which the guest does not use: it ends none of them */
    AFTER = 700,           /* exits: the guest is past its boot code */
    STORM = 60,            /* exits; serving one takes some */
    VECTOR_FIRST = 32,
    STEPS = 20000,
    NEAR = 64, /* bytes */
};
#define APIC         0xfee00000ull
#define APIC_EOI     0xb0u
#define APIC_TMR     0x180u
#define APIC_COMMAND 0x300u

static struct PACKED {
    uint16_t offset_low, selector;
    uint8_t ist, type;
    uint16_t offset_mid;
    uint32_t offset_high, reserved;
} idt[256];

extern const char sim_nmi[], sim_irq_stubs[];
extern uint8_t sim_takes_interrupts;
void sim_interrupt(unsigned vector);

static volatile uint32_t *apic(unsigned reg)
{
    return (volatile uint32_t *)(APIC + reg);
}

static void gate(unsigned vector, const char *entry)
{
    idt[vector].offset_low = (uint16_t)(uintptr_t)entry;
    idt[vector].selector = 0x08;
    idt[vector].type = 0x8e;
    idt[vector].offset_mid = (uint16_t)((uintptr_t)entry >> 16);
    idt[vector].offset_high = (uint32_t)((uintptr_t)entry >> 32);
}

void sim_doorbell_init(void)
{
    const struct PACKED {
        uint16_t limit;
        uint64_t base;
    } pointer = { sizeof(idt) - 1, (uintptr_t)idt };

    gate(VEC_NMI, sim_nmi);
    gate(VEC_STRAY, sim_nmi);
    for (unsigned v = VECTOR_FIRST; v < 256; v++)
        gate(v, sim_irq_stubs + (v - VECTOR_FIRST) * 16);
    x86_out8(0x21, 0xff); /* what a BIOS has left to fire, with vectors of exceptions */
    x86_out8(0xa1, 0xff);
    sim_takes_interrupts = 1;
    __asm__ volatile("lidt %0" : : "m"(pointer));
}

void sim_doorbell_intercepts(struct vmcb *v)
{
    v->intercept_1 |= INTERCEPT_INTR | INTERCEPT_HLT;
    v->v_intr |= V_INTR_MASKING;
    if (sim_attack("hv-late"))
        v->intercept_exceptions |= 1u << VEC_DB;
}

static bool by_level(unsigned vector)
{
    return *apic(APIC_TMR + vector / 32 * 16) >> vector % 32 & 1;
}

/* On this CPU of the machine, with interrupts off: one has come. */
void sim_interrupt(unsigned vector)
{
    struct vcpu *c = sim_this_cpu();

    if (vector == VEC_OWN || (vector % 2 && !by_level(vector))) {
        *apic(APIC_EOI) = 0;
        if (vector != VEC_OWN)
            c->bell.ended[vector / 64] |= 1ull << vector % 64;
    }
    if (vector != VEC_OWN)
        c->bell.vectors[vector / 64] |= 1ull << vector % 64;
}

static bool take(uint64_t *bits, unsigned vector)
{
    bool was = bits[vector / 64] >> vector % 64 & 1;

    bits[vector / 64] &= ~(1ull << vector % 64);
    return was;
}

/* The one of the highest priority, 0: there is none. */
static unsigned next_vector(const struct vcpu *c)
{
    for (unsigned i = 4; i-- > 0;)
        if (c->bell.vectors[i])
            return 64 * i + 63 - (unsigned)__builtin_clzll(c->bell.vectors[i]);
    return 0;
}

uint64_t sim_doorbell_request(struct vcpu *c, uint64_t what, uint64_t gpa)
{
    enum { SET = 1 };

    if (!sim_options.rinj || what != SET || gpa % PAGE_SIZE || gpa >= GUEST_MEMORY ||
        sim_page_state(gpa) != PAGE_SHARED)
        sim_fail("doorbell request %lu of page 0x%lx", what, gpa);
    if (sim_attack("hv-refused"))
        return UINT64_MAX;
    c->bell.page = gpa;
    return gpa;
}

void sim_doorbell_halt(struct vcpu *c)
{
    c->vmcb->int_shadow = 0;
    if (!sim_attack(
            "hv-before-halt")) /* else it rings when the guest has looked, and not halted yet */
        c->vmcb->rip++;
    sim_unlock();
    while (!next_vector(c) && !__atomic_load_n(&c->bell.nmi, __ATOMIC_SEQ_CST))
        __asm__ volatile("sti; hlt; cli" : : : "memory");
    sim_lock();
}

bool sim_doorbell_apic(struct vcpu *c, uint64_t gpa, uint64_t value)
{
    struct doorbell *d = sim_host(c->bell.page);
    struct vcpu *to;

    if (gpa == APIC + APIC_EOI && c->bell.serving) {
        if (c->bell.needs_no_end && d->ended && !*sim_options.attack)
            sim_fail("an end of interrupt that was not needed");
        c->bell.serving = false;
    }
    if (gpa != APIC + APIC_COMMAND || (value & 0x700) != 0x400)
        return false;
    to = sim_find_cpu(*apic(0x310) >> 24);
    if (to) {
        __atomic_store_n(&to->bell.nmi, true, __ATOMIC_SEQ_CST);
        sim_send(to->apic_id, 0x4000 | VEC_OWN);
    }
    return true;
}

static bool rings_out_of_turn(struct vcpu *c, struct doorbell *d)
{
    static unsigned next = AFTER, vector = VECTOR_FIRST;

    if (strncmp(sim_options.attack, "hv-", 3) != 0 || sim_counts.exits < next || c->bell.serving ||
        c->bell.done)
        return false;
    next = (unsigned)sim_counts.exits + STORM;
    if (sim_attack("hv-spurious"))
        return true;
    if (sim_attack("hv-storm"))
        d->pending = (uint16_t)(VECTOR_FIRST + (sim_counts.exits * 2654435761u >> 7) % 224);
    else if (sim_attack("hv-all") && vector < 256)
        d->pending = (uint16_t)vector++;
    else if (sim_attack("hv-reserved"))
        d->pending = 0x7c00;
    else if (sim_attack("hv-no-end"))
        d->ended = 1; /* of an interrupt that needs it, or of none */
    else if (sim_attack("hv-exception"))
        d->pending = VEC_PF;
    else if (sim_attack("hv-nmi"))
        d->pending = PENDING_NMI;
    else if (sim_attack("hv-machine-check"))
        d->pending = PENDING_MC;
    else if (sim_attack("hv-nested"))
        sim_raise(c, VEC_HV, 0); /* and then the other */
    else
        return false;
    c->bell.done =
        sim_attack("hv-nested") || sim_attack("hv-nmi") || sim_attack("hv-machine-check");
    return true;
}

/* With attack=hv-late, c is let on by single instructions to where ring 0 is about to leave, or somewhat before that. */
static bool later(struct vcpu *c)
{
    static uint64_t last;
    static uint32_t seed = 1;
    struct vmcb *v = c->vmcb;
    uint8_t op[3] = { 0 };
    uint64_t frame[3];
    bool iret, leaves;

    if (!sim_attack("hv-late") || v->cpl || sim_counts.exits < AFTER)
        return false;
    if (!c->bell.steps) {
        c->bell.steps = STEPS;
        seed = seed * 1103515245 + 12345;
    }
    sim_guest_read(c, v->rip, op, sizeof(op));
    iret = op[0] == 0x48 && op[1] == 0xcf;
    leaves = op[0] == 0x48 && op[1] == 0x0f && op[2] == 0x07;
    if (iret && sim_guest_read(c, v->rsp, frame, sizeof(frame)) == sizeof(frame)) {
        leaves = frame[1] & 3;
        frame[2] |= RFLAGS_TF;
        if (!leaves)
            sim_guest_write(c, v->rsp + 16, &frame[2], 8);
    }
    if (leaves)
        last = v->rip;
    if (leaves || !--c->bell.steps ||
        (v->rip < last && v->rip + seed / 65536 % NEAR > last && seed & 0x1000000)) {
        sim_counts.late += leaves;
        c->bell.steps = 0;
        v->rflags &= ~(uint64_t)RFLAGS_TF;
        return false;
    }
    v->rflags |= RFLAGS_TF;
    return true;
}

void sim_doorbell_enter(struct vcpu *c)
{
    struct doorbell *d = sim_host(c->bell.page);
    struct vmcb *v = c->vmcb;
    unsigned vector = next_vector(c);
    bool ring;

    if (!c->bell.page || v->event_inject)
        return;
    if (c->bell.serving && c->bell.needs_no_end && !d->ended)
        c->bell.serving = false;
    ring = rings_out_of_turn(c, d);
    if (__atomic_exchange_n(&c->bell.nmi, false, __ATOMIC_SEQ_CST)) {
        __atomic_fetch_or(&d->pending, PENDING_NMI, __ATOMIC_SEQ_CST);
        ring = true;
    }
    if (!ring && vector && !c->bell.serving && !(d->pending & 0xff)) {
        if (later(c))
            return;
        if (!sim_attack("hv-twice") || (c->bell.again = !c->bell.again) == false)
            take(c->bell.vectors, vector);
        c->bell.serving = vector >= VEC_LEGACY_END && vector != VEC_SPURIOUS;
        c->bell.needs_no_end = take(c->bell.ended, vector);
        d->ended = c->bell.needs_no_end;
        __atomic_fetch_or(&d->pending, vector, __ATOMIC_SEQ_CST);
        ring = true;
    }
    if (!ring || __atomic_fetch_or(&d->pending, QUIET, __ATOMIC_SEQ_CST) & QUIET)
        return;
    v->event_inject = VEC_HV | EVENT_EXCEPTION | EVENT_VALID;
    sim_counts.rings++;
}
