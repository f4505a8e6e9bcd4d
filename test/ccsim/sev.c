/* SPDX-License-Identifier: MIT */
/* The host of a SEV guest, whose instructions it serves without asking; and how further CPUs of SEV and SEV-ES guests
 * start: by IPIs, in real mode. Those of SEV-ES have been in their firmware, which sends them to where its jump table says. */
#include "ccsim.h"
#include "vmcb.h"
#include "x86_64/x86.h"

#include <cc/insn.h>
#include <string.h>

enum {
    MSR_SEV_STATUS = 0xc0010131u,
    STATUS_SEV = 1,
    EVENT_GP = 13 | 3 << 8 | 1 << 11,
    EVENT_VALID = 1u << 31,
    COMMAND_KIND = 7 << 8,
    COMMAND_INIT = 5 << 8,
    COMMAND_STARTUP = 6 << 8,
};
#define APIC_COMMAND      0xfee00300ull
#define APIC_COMMAND_HIGH 0xfee00310ull

static void cpuid(struct vcpu *c)
{
    struct sim_cpuid r = { 0 };

    if (!sim_cpuid_find((uint32_t)c->vmcb->rax, (uint32_t)c->regs.rcx, &r))
        r = (struct sim_cpuid){ 0 };
    sim_os_features(c, (uint32_t)c->vmcb->rax, (uint32_t)c->regs.rcx, &r);
    c->vmcb->rax = r.eax;
    c->regs.rbx = r.ebx;
    c->regs.rcx = r.ecx;
    c->regs.rdx = r.edx;
    c->vmcb->rip += 2;
}

static void port(struct vcpu *c)
{
    struct vmcb *v = c->vmcb;
    uint16_t number = (uint16_t)(v->exit_info1 >> 16);
    unsigned size = v->exit_info1 >> 4 & 7;

    if (v->exit_info1 & 4)
        sim_fail("string I/O of port 0x%x", number);
    if (v->exit_info1 & 1) {
        uint64_t value = sim_port_in(number, size);
        v->rax = size == 4 ? value : (v->rax & ~insn_mask(size)) | value;
    } else {
        sim_port_out(number, size, v->rax & insn_mask(size));
    }
    v->rip = v->exit_info2;
}

static void msr(struct vcpu *c)
{
    struct vmcb *v = c->vmcb;
    bool write = v->exit_info1 & 1;
    uint64_t value = (uint32_t)v->rax | c->regs.rdx << 32;

    sim_counts.msr++;
    if ((uint32_t)c->regs.rcx == MSR_SEV_STATUS && !write) {
        value = STATUS_SEV | (sim_attack("unknown-feature") ? 1u << 30 : 0);
    } else if ((uint32_t)c->regs.rcx == MSR_APIC_BASE) {
        if (write)
            x86_wrmsr(MSR_APIC_BASE, value);
        else
            value = x86_rdmsr(MSR_APIC_BASE);
    } else {
        v->event_inject = EVENT_GP | EVENT_VALID;
        return;
    }
    if (!write) {
        v->rax = (uint32_t)value;
        c->regs.rdx = value >> 32;
    }
    v->rip += 2;
}

static struct plat_frame frame_of(const struct vcpu *c)
{
    const struct vmcb *v = c->vmcb;
    const struct regs *r = &c->regs;

    return (struct plat_frame){
        .rax = v->rax,
        .rcx = r->rcx,
        .rdx = r->rdx,
        .rbx = r->rbx,
        .rsp = v->rsp,
        .rbp = r->rbp,
        .rsi = r->rsi,
        .rdi = r->rdi,
        .r8 = r->r8,
        .r9 = r->r9,
        .r10 = r->r10,
        .r11 = r->r11,
        .r12 = r->r12,
        .r13 = r->r13,
        .r14 = r->r14,
        .r15 = r->r15,
        .rip = v->rip,
    };
}

static void device(struct vcpu *c, uint64_t gpa)
{
    struct vmcb *v = c->vmcb;
    struct plat_frame f = frame_of(c);
    uint8_t bytes[INSN_MAX];
    struct insn i;

    if (!insn_decode(bytes, sim_guest_read(c, v->rip, bytes, sizeof(bytes)), &f, &i) ||
        (i.kind != INSN_LOAD && i.kind != INSN_STORE))
        sim_fail("an access to 0x%lx at 0x%lx that cannot be served", gpa, v->rip);
    if (i.kind == INSN_STORE) {
        sim_mmio_write(gpa, i.size, i.immediate ? i.value : insn_get(&f, &i));
    } else {
        insn_set(&f, &i, sim_mmio_read(gpa, i.size));
        v->rax = f.rax;
        c->regs = (struct regs){ f.rcx, f.rdx, f.rbx, f.rbp, f.rsi, f.rdi, f.r8,
                                 f.r9,  f.r10, f.r11, f.r12, f.r13, f.r14, f.r15 };
    }
    v->rip += i.length;
}

/* MOV to CR3: with the C-bit, the two aliases are two things from now on. */
static void load_root(struct vcpu *c)
{
    struct vmcb *v = c->vmcb;
    struct plat_frame f = frame_of(c);
    bool paging = v->cr0 >> 31;
    uint8_t op[4] = { 0 };
    unsigned n = 0, reg = 0;

    if (paging)
        sim_guest_read(c, v->rip, op, sizeof(op));
    else
        memcpy(op, sim_host(sim_private(v->cs.base + v->rip)), sizeof(op));
    if (paging && op[0] >> 4 == 4) {
        reg = op[0] & 1 ? 8 : 0;
        n = 1;
    }
    if (op[n] != 0x0f || op[n + 1] != 0x22 || op[n + 2] >> 3 != 0x1b)
        sim_fail("CR3 is written at 0x%lx by what is no MOV", v->rip);
    reg |= op[n + 2] & 7;
    v->cr3 = *insn_register(&f, reg);
    v->rip += n + 3;
    c->flush = true;
    if (!(v->cr3 & ALIAS_BIT))
        return;
    v->nested_cr3 = sim_nested_root();
    v->intercept_cr &= ~(uint32_t)INTERCEPT_CR3_WRITE;
}

bool sim_sev_exit(struct vcpu *c)
{
    struct vmcb *v = c->vmcb;

    if (v->exit_code == EXIT_CR3_WRITE) {
        load_root(c);
        return true;
    }
    if (sim_options.es)
        return false;
    switch (v->exit_code) {
    case EXIT_CPUID:
        sim_counts.cpuid++;
        cpuid(c);
        return true;
    case EXIT_IOIO:
        port(c);
        return true;
    case EXIT_MSR:
        msr(c);
        return true;
    case EXIT_NPF:
        if (sim_is_private(v->exit_info2) || v->exit_info2 < GUEST_MEMORY)
            return false;
        device(c, v->exit_info2);
        return true;
    default:
        return false;
    }
}

bool sim_sev_command(uint64_t pa, uint64_t value)
{
    const uint16_t *table = sim_host(sim_private(GPA_MAILBOX));
    uint32_t id = *(volatile uint32_t *)APIC_COMMAND_HIGH >> 24;

    if (pa != APIC_COMMAND)
        return false;
    switch (value & COMMAND_KIND) {
    case COMMAND_INIT:
        return true;
    case COMMAND_STARTUP:
        if (sim_options.es)
            sim_start_cpu(id, table[1], table[0]);
        else
            sim_start_cpu(id, (uint16_t)((value & 0xff) << 8), 0);
        return true;
    default:
        return false;
    }
}
