/* SPDX-License-Identifier: MIT */
/* Why the guest stopped, and what the hardware or the host would do then. */
#include "ccsim.h"
#include "vmcb.h"
#include "x86_64/x86.h"

#include <string.h>

enum {
    EVENT_VALID = 1u << 31,
    EVENT_EXCEPTION = 3 << 8,
    EVENT_NMI = 2 << 8,
    MSR_GHCB = 0xc0010130u,
    MSR_SEV_STATUS = 0xc0010131u,
    MSR_TSC_FREQ = 0xc0010134u,
    RESTRICTED = 1 << 5,
    SECURE_TSC = 1 << 11,
    SEV_STATUS = 7, /* SEV, SEV-ES, SEV-SNP */
    SEV_ES_STATUS = 3,
    EFER_SVME = 0x1000,
    RECENT = 16,
};

static struct {
    uint64_t code, rip, info1, info2;
} recent[RECENT];

static void show_recent(void)
{
    for (unsigned i = 0; i < RECENT; i++) {
        unsigned at = (unsigned)(sim_counts.exits + 1 + i) % RECENT;
        if (recent[at].rip)
            sim_say("  exit 0x%lx at 0x%lx, 0x%lx 0x%lx", recent[at].code, recent[at].rip,
                    recent[at].info1, recent[at].info2);
    }
}

static void flags_carry(struct vmcb *v, bool carry)
{
    v->rflags = (v->rflags & ~0x8d5ull) | (carry ? 1 : 0);
}

/* PVALIDATE: rax = address, ecx = size, edx = 1 to validate. */
static void pvalidate(struct vcpu *c)
{
    struct vmcb *v = c->vmcb;
    uint64_t gpa, size = c->regs.rcx & 1 ? LARGE_SIZE : PAGE_SIZE;
    bool on = c->regs.rdx & 1, changed = false;

    if (sim_vmpl()) {
        v->rip -= 4;
        v->event_inject = 13 | EVENT_EXCEPTION | 1u << 11 | EVENT_VALID;
        return;
    }
    sim_counts.pvalidates++;
    if (!sim_translate(c, v->rax, &gpa) || !sim_is_private(gpa))
        sim_fail("PVALIDATE of 0x%lx, which is not mapped as private memory", v->rax);
    gpa &= ~ALIAS_BIT;
    if (gpa % size || gpa >= GUEST_MEMORY)
        sim_fail("PVALIDATE of 0x%lx", gpa);
    if (size == LARGE_SIZE && sim_attack("size-mismatch")) {
        v->rax = 6;
        return;
    }
    for (uint64_t at = gpa; at < gpa + size; at += PAGE_SIZE) {
        enum page_state s = sim_page_state(at);
        if (s == PAGE_SHARED && sim_attack("lie-private"))
            sim_end("the processor does not run on: the page is not the guest's");
        if (s == PAGE_SHARED)
            sim_fail("PVALIDATE of page 0x%lx, which is not assigned", at);
        changed |= (s == PAGE_VALID) != on;
        sim_page_set(at, on ? PAGE_VALID : PAGE_ASSIGNED);
    }
    if (sim_attack("no-change"))
        changed = false;
    v->rax = 0;
    flags_carry(v, !changed);
    c->flush = true;
}

/* RMPADJUST: rax = address, ecx = size, rdx = level and rights; only "is a CPU's state" is looked at. */
static void rmpadjust(struct vcpu *c)
{
    enum { VMSA = 1 << 16 };
    struct vmcb *v = c->vmcb;
    uint64_t gpa;

    if (sim_vmpl()) {
        v->rax = 2; /* FAIL_PERMISSION */
        return;
    }
    if (!sim_translate(c, v->rax, &gpa) || !sim_is_private(gpa) || c->regs.rcx & 1)
        sim_fail("RMPADJUST of 0x%lx, size %lu", v->rax, c->regs.rcx);
    gpa &= ~ALIAS_BIT & PAGE_MASK;
    if (gpa % LARGE_SIZE == 0)
        sim_fail("RMPADJUST of 0x%lx, which begins a large page", gpa);
    if (sim_page_state(gpa) != (c->regs.rdx & VMSA ? PAGE_VALID : PAGE_VMSA) ||
        !(c->regs.rdx & 0xff))
        sim_fail("RMPADJUST of 0x%lx to 0x%lx", gpa, c->regs.rdx);
    sim_page_set(gpa, c->regs.rdx & VMSA ? PAGE_VMSA : PAGE_VALID);
    v->rax = 0;
    c->flush = true;
}

static void invalid_opcode(struct vcpu *c)
{
    struct vmcb *v = c->vmcb;
    uint8_t op[4] = { 0 };

    sim_guest_read(c, v->rip, op, sizeof(op));
    if (sim_options.tdx && !v->cpl && !memcmp(op, "\x66\x0f\x01\xcc", 4)) {
        v->rip += 4;
        sim_tdcall(c);
        return;
    }
    if (!sim_options.tdx && !sim_options.sev && !v->cpl && !memcmp(op, "\xf2\x0f\x01\xff", 4)) {
        v->rip += 4;
        pvalidate(c);
        return;
    }
    if (!sim_options.tdx && !sim_options.sev && !v->cpl && !memcmp(op, "\xf3\x0f\x01\xfe", 4)) {
        v->rip += 4;
        rmpadjust(c);
        return;
    }
    v->event_inject = VEC_UD | EVENT_EXCEPTION | EVENT_VALID;
}

static void vmmcall(struct vcpu *c)
{
    uint8_t op[4] = { 0 };

    sim_guest_read(c, c->vmcb->rip, op, sizeof(op));
    if (memcmp(op, "\xf3\x0f\x01\xd9", 4) != 0)
        sim_fail("vmmcall at 0x%lx", c->vmcb->rip);
    if (c->vmcb->cpl) {
        sim_raise_vc(c, EXIT_VMMCALL);
        return;
    }
    c->vmcb->rip += 4;
    sim_vmgexit(c);
}

static void msr_exit(struct vcpu *c)
{
    struct vmcb *v = c->vmcb;
    bool write = v->exit_info1 & 1;
    uint64_t value = (uint32_t)v->rax | c->regs.rdx << 32;

    if (sim_options.tdx) {
        if (!sim_tdx_msr(c, write))
            sim_raise_ve(c, write ? 32 : 31, 0, 0, 2);
        return;
    }
    if ((uint32_t)c->regs.rcx == MSR_GHCB) {
        if (write)
            c->ghcb_msr = value;
        else
            value = c->ghcb_msr;
    } else if ((uint32_t)c->regs.rcx == MSR_SEV_STATUS && !write) {
        value = (sim_options.sev ? SEV_ES_STATUS : SEV_STATUS) |
                (sim_attack("unknown-feature") ? 1u << 30 : 0);
        value |= (sim_options.secure_tsc ? SECURE_TSC : 0) | (sim_options.rinj ? RESTRICTED : 0);
    } else if ((uint32_t)c->regs.rcx == MSR_TSC_FREQ && !write && sim_options.secure_tsc &&
               !sim_attack("counter-msr")) {
        value = sim_tsc_mhz();
    } else {
        sim_raise_vc(c, EXIT_MSR);
        return;
    }
    if (!write) {
        v->rax = (uint32_t)value;
        c->regs.rdx = value >> 32;
    }
    v->rip += 2;
}

static void nested_fault(struct vcpu *c)
{
    struct vmcb *v = c->vmcb;
    uint64_t gpa = v->exit_info2, plain = gpa & ~ALIAS_BIT;

    if (plain >= GUEST_MEMORY) {
        if (sim_is_private(gpa))
            sim_fail("private access to 0x%lx, which is no RAM, at 0x%lx", plain, v->rip);
        if (sim_options.tdx)
            sim_raise_ve(c, 48, v->exit_info1 & 2 ? 2 : 1, gpa, 0);
        else
            sim_raise_vc(c, EXIT_NPF);
        return;
    }
    if (!sim_options.tdx && sim_is_private(gpa) && sim_page_state(plain) == PAGE_ASSIGNED) {
        sim_raise_vc(c, EXIT_NOT_VALIDATED);
        return;
    }
    if (sim_is_private(gpa) && sim_page_refused(plain))
        sim_end("the processor stops the guest: the RMP's entry is another page's");
    if (sim_options.tdx && sim_is_private(gpa) && sim_page_state(plain) == PAGE_ASSIGNED &&
        *sim_options.attack)
        sim_end("the module stops the guest: a page was taken away");
    show_recent();
    sim_fail("%s access to page 0x%lx, which is %s, at 0x%lx",
             sim_is_private(gpa) ? "private" : "shared", plain,
             sim_page_state(plain) == PAGE_SHARED ? "shared" : "private", v->rip);
}

/* SVM's description of a port access as VMX has it. */
static uint64_t ve_io(uint64_t info)
{
    return ((info >> 4 & 7) - 1) | (info & 1) << 3 | (info & 4) << 2 | (info & 8) << 2 |
           (info & 0xffff0000);
}

static void handle(struct vcpu *c)
{
    struct vmcb *v = c->vmcb;

    switch (v->exit_code) {
    case EXIT_CPUID:
        sim_counts.cpuid++;
        if (!sim_options.tdx)
            sim_raise_vc(c, EXIT_CPUID);
        else if (!sim_tdx_cpuid(c))
            sim_raise_ve(c, 10, 0, 0, 2);
        break;
    case EXIT_IOIO:
        if (sim_options.tdx) {
            sim_raise_ve(c, 30, ve_io(v->exit_info1), 0, v->exit_info2 - v->rip);
            break;
        }
        sim_raise_vc(c, v->exit_code);
        break;
    case EXIT_NMI:
        if (!__atomic_exchange_n(&c->kicked, false, __ATOMIC_SEQ_CST))
            v->event_inject =
                VEC_NMI | EVENT_NMI | EVENT_VALID; /* another CPU of the guest sent it */
        break;
    case EXIT_INTR:               /* it has been taken */
    case EXIT_EXCEPTION + VEC_DB: /* a step of ours (doorbell.c) */
        v->rflags &= ~(uint64_t)RFLAGS_TF;
        break;
    case EXIT_HLT:
        sim_doorbell_halt(c);
        break;
    case EXIT_RDTSC:
    case EXIT_WBINVD:
    case EXIT_MONITOR:
    case EXIT_MWAIT:
    case EXIT_DR7_READ:
    case EXIT_DR7_WRITE:
        sim_raise_vc(c, v->exit_code);
        break;
    case EXIT_MSR:
        msr_exit(c);
        break;
    case EXIT_VMMCALL:
        vmmcall(c);
        break;
    case EXIT_EXCEPTION + VEC_UD:
        invalid_opcode(c);
        break;
    case EXIT_NPF:
        nested_fault(c);
        break;
    case EXIT_SHUTDOWN:
        if (sim_options.sev && !sim_options.es && *sim_options.attack)
            sim_end("the guest shut down"); /* what a SEV guest has for an end */
        show_recent();
        sim_fail("the guest shut down (triple fault) at 0x%lx, stack 0x%lx, cr2 0x%lx", v->rip,
                 v->rsp, v->cr2);
    default:
        show_recent();
        sim_fail("unexpected exit 0x%lx at 0x%lx (0x%lx, 0x%lx)", v->exit_code, v->rip,
                 v->exit_info1, v->exit_info2);
    }
}

void sim_run(struct vcpu *c)
{
    struct vmcb *v = c->vmcb;

    for (;;) {
        if (sim_options.rinj)
            sim_doorbell_enter(c);
        __atomic_store_n(&c->in_guest, true, __ATOMIC_SEQ_CST);
        v->tlb_control = __atomic_exchange_n(&c->flush, false, __ATOMIC_SEQ_CST);
        v->efer |= EFER_SVME; /* the processor's, though the guest may write its own */
        sim_unlock();
        sim_vmrun((uintptr_t)v, &c->regs);
        __atomic_store_n(&c->in_guest, false, __ATOMIC_SEQ_CST);
        sim_lock();
        sim_counts.exits++;
        recent[sim_counts.exits % RECENT].code = v->exit_code;
        recent[sim_counts.exits % RECENT].rip = v->rip;
        recent[sim_counts.exits % RECENT].info1 = v->exit_info1;
        recent[sim_counts.exits % RECENT].info2 = v->exit_info2;
        if (sim_options.trace)
            sim_say("exit 0x%lx at 0x%lx, 0x%lx 0x%lx, rcx 0x%lx", v->exit_code, v->rip,
                    v->exit_info1, v->exit_info2, c->regs.rcx);
        /* An event that was being delivered is delivered again. */
        v->event_inject = v->exit_int_info & EVENT_VALID ? v->exit_int_info : 0;
        sim_tdx_work();
        sim_psp_work();
        if (!sim_attack_running(c) && !(sim_options.sev && sim_sev_exit(c)))
            handle(c);
        if (c->flush)
            sim_flush_others(c);
    }
}
