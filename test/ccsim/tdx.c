/* SPDX-License-Identifier: MIT */
/* The TDX module and the host behind it. Spec: Intel TDX module 1.5 ABI reference, chapter 5; GHCI 1.5, chapter 3. */
#include "ccsim.h"
#include "vmcb.h"
#include "x86_64/x86.h"

#include <mbedtls/sha512.h>
#include <string.h>

enum {
    VP_VMCALL = 0,
    VP_INFO = 1,
    MR_EXTEND = 2,
    VP_VEINFO_GET = 3,
    MR_REPORT = 4,
    PAGE_ACCEPT = 6,
    GPA_WIDTH = 48,
    EXPOSED_FIRST = 10,
    MSR_ICR = 0x830,
};
#define APIC_PAGE       0xfee00000ull
#define STATUS_OPERAND  (0xc0000100ull << 32)
#define STATUS_NO_VE    (0xc0000704ull << 32)
#define STATUS_ACCEPTED (0x00000b0aull << 32)
#define STATUS_SIZE     (0xc0000b0bull << 32)
#define ATTRIBUTES      (1ull << 28) /* SEPT_VE_DISABLE */
#define VMCALL_INVALID  0x8000000000000000ull
#define VMCALL_MAP_GPA  0x10001ull
#define VMCALL_RETRY    1
#define VMCALL_QUOTE    0x10002ull
#define VMCALL_NOTIFY   0x10004ull
#define VMCALL_FATAL    0x10003ull

bool sim_tdx_cpuid(struct vcpu *c)
{
    uint32_t leaf = (uint32_t)c->vmcb->rax;
    struct sim_cpuid r = { 0 };

    if (leaf == 0x21)
        r = (struct sim_cpuid){ 0, 0x65746e49, 0x20202020, 0x5844546c };
    else if (!sim_cpuid_find(leaf, (uint32_t)c->regs.rcx, &r))
        return false;
    sim_os_features(c, leaf, (uint32_t)c->regs.rcx, &r);
    c->vmcb->rax = r.eax;
    c->regs.rbx = r.ebx;
    c->regs.rcx = r.ecx;
    c->regs.rdx = r.edx;
    c->vmcb->rip += 2;
    return true;
}

/* x2APIC registers over the page of the xAPIC that the emulator has. */
static volatile uint32_t *x2apic(uint32_t msr)
{
    return (volatile uint32_t *)(APIC_PAGE + ((uint64_t)(msr - MSR_X2APIC) << 4));
}

static uint64_t x2apic_read(uint32_t msr)
{
    volatile uint32_t *reg = x2apic(msr);

    if (msr == MSR_X2APIC + 2)
        return *reg >> 24;
    return msr == MSR_ICR ? *reg | (uint64_t)reg[4] << 32 : *reg;
}

static void x2apic_write(uint32_t msr, uint64_t value)
{
    if (msr == MSR_ICR)
        x2apic(msr)[4] = (uint32_t)(value >> 32) << 24;
    *x2apic(msr) = (uint32_t)value;
}

static bool is_x2apic(uint64_t msr)
{
    return msr >= MSR_X2APIC && msr < MSR_X2APIC + 0x40;
}

/* What the processor virtualises: APIC base, task priority, end of interrupt. */
bool sim_tdx_msr(struct vcpu *c, bool write)
{
    uint32_t msr = (uint32_t)c->regs.rcx;
    uint64_t value = (uint32_t)c->vmcb->rax | c->regs.rdx << 32;

    if (msr == MSR_APIC_BASE) {
        if (!write)
            value = APIC_PAGE | 0xd00;
    } else if (msr == MSR_X2APIC + 8 || msr == MSR_X2APIC + 0xb) {
        if (write)
            x2apic_write(msr, value);
        else
            value = x2apic_read(msr);
    } else {
        return false;
    }
    if (!write) {
        c->vmcb->rax = (uint32_t)value;
        c->regs.rdx = value >> 32;
    }
    c->vmcb->rip += 2;
    return true;
}

/* Until the interrupt controller has something for the guest. */
static void halt(struct vcpu *c)
{
    bool pending = false;

    c->vmcb->int_shadow = 0;
    sim_unlock();
    while (!pending) {
        for (unsigned i = 0; i < 8; i++)
            pending |= *(volatile uint32_t *)(APIC_PAGE + 0x200 + 16 * i) != 0;
        x86_pause();
    }
    sim_lock();
}

static uint64_t accept(struct vcpu *c)
{
    uint64_t gpa = c->regs.rcx & ~0xfffull, level = c->regs.rcx & 7;
    uint64_t size = PAGE_SIZE << 9 * level;

    if (level > 2 || gpa % size || gpa + size > GUEST_MEMORY)
        sim_fail("page acceptance of 0x%lx, level %lu", gpa, level);
    sim_counts.pvalidates++;
    if (level == 2 || (level && sim_attack("size-mismatch")))
        return STATUS_SIZE;
    for (uint64_t at = gpa; at < gpa + size; at += PAGE_SIZE) {
        if (sim_page_state(at) == PAGE_VALID || sim_attack("no-change"))
            return STATUS_ACCEPTED;
        memset(sim_host(sim_private(at)), 0, PAGE_SIZE);
        sim_page_set(at, PAGE_VALID);
        sim_counts.psc_pages++;
    }
    c->flush = true;
    return 0;
}

static void host_port(struct regs *r)
{
    if (r->r13 == 1)
        sim_port_out((uint16_t)r->r14, (unsigned)r->r12, r->r15);
    else
        r->r11 = sim_port_in((uint16_t)r->r14, (unsigned)r->r12);
}

static void host_mmio(struct regs *r)
{
    if (!(r->r14 & ALIAS_BIT))
        sim_fail("the host is asked for private device memory 0x%lx", r->r14);
    if (r->r13 == 1)
        sim_mmio_write(r->r14 & ~ALIAS_BIT, (unsigned)r->r12, r->r15);
    else
        r->r11 = sim_mmio_read(r->r14 & ~ALIAS_BIT, (unsigned)r->r12);
}

static void host_msr(struct regs *r, bool write)
{
    sim_counts.msr++;
    if (!is_x2apic(r->r12))
        r->r10 = VMCALL_INVALID;
    else if (write)
        x2apic_write((uint32_t)r->r12, r->r13);
    else
        r->r11 = x2apic_read((uint32_t)r->r12);
}

/* To shared where the address says so, else back to private, not accepted. */
static void map_gpa(struct vcpu *c, struct regs *r)
{
    uint64_t gpa = r->r12 & ~ALIAS_BIT, end = gpa + r->r13;

    if (gpa % PAGE_SIZE || r->r13 % PAGE_SIZE || end > GUEST_MEMORY || end < gpa)
        sim_fail("MapGPA of 0x%lx, 0x%lx bytes", gpa, r->r13);
    if (sim_attack("psc-refused")) {
        r->r10 = VMCALL_INVALID;
        return;
    }
    for (unsigned n = 0; gpa < end; gpa += PAGE_SIZE, n++) {
        if (sim_attack("psc-partial") && n == 100) {
            r->r10 = VMCALL_RETRY;
            r->r11 = gpa | (r->r12 & ALIAS_BIT);
            break;
        }
        if (n == 100 && (sim_attack("psc-back") || sim_attack("psc-beyond"))) {
            r->r10 = VMCALL_RETRY;
            r->r11 = sim_attack("psc-back") ? (r->r12 & ~ALIAS_BIT) - PAGE_SIZE : end;
            break;
        }
        memset(sim_host(sim_shared(gpa)), 0xdd, PAGE_SIZE);
        sim_page_set(gpa, r->r12 & ALIAS_BIT ? PAGE_SHARED : PAGE_ASSIGNED);
        sim_counts.psc_pages++;
    }
    c->flush = true;
}

static void get_quote(struct regs *r);

/* Who is told that a quote is finished, by which vector; 0: nobody. */
static struct {
    struct vcpu *cpu;
    uint8_t vector;
} notify;

/* The function in r11, with what of r the guest exposes. */
static void serve(struct vcpu *c, uint64_t function, struct regs *r)
{
    switch (function) {
    case 10:
        r->r12 = r->r13 = r->r14 = r->r15 = 0; /* no hypervisor leaves */
        if (sim_attack("cpuid"))
            r->r12 = r->r13 = r->r14 = r->r15 = UINT64_MAX; /* and all of them */
        break;
    case 12:
        halt(c);
        break;
    case 30:
        host_port(r);
        if (sim_attack("answer-error"))
            r->r10 = VMCALL_INVALID;
        break;
    case 31:
    case 32:
        host_msr(r, function == 32);
        break;
    case 48:
        host_mmio(r);
        break;
    case VMCALL_MAP_GPA:
        map_gpa(c, r);
        break;
    case VMCALL_QUOTE:
        get_quote(r);
        break;
    case VMCALL_NOTIFY:
        if (r->r12 < 32 || r->r12 > 255)
            sim_fail("it wants to be notified by vector %lu", r->r12);
        notify.cpu = c;
        notify.vector = (uint8_t)r->r12;
        if (sim_attack("quote-silent"))
            r->r10 = VMCALL_INVALID;
        break;
    case VMCALL_FATAL:
        sim_end_terminated((unsigned)(r->r12 >> 8), r->r12 & 255);
    default:
        sim_fail("unknown VMCALL 0x%lx", function);
    }
}

/* The host sees and sets only the registers of the mask. */
static void vmcall(struct vcpu *c)
{
    struct regs *r = &c->regs, seen = { 0 };
    uint64_t *const all[] = { &r->r10, &r->r11, &r->r12, &r->r13, &r->r14, &r->r15 };
    uint64_t *const shown[] = { &seen.r10, &seen.r11, &seen.r12, &seen.r13, &seen.r14, &seen.r15 };
    uint64_t mask = r->rcx, function;

    sim_counts.vmgexits++;
    if (mask & ~0xfc00ull || (mask & 0xc00) != 0xc00)
        sim_fail("registers 0x%lx are exposed to the host", mask);
    for (unsigned i = 0; i < ARRAY_SIZE(all); i++)
        if (mask >> (EXPOSED_FIRST + i) & 1)
            *shown[i] = *all[i];
    function = seen.r11;
    if (seen.r10)
        sim_fail("VMCALL of vendor function 0x%lx", seen.r10);
    seen.r11 = 0;
    serve(c, function, &seen);
    for (unsigned i = 0; i < ARRAY_SIZE(all); i++)
        if (mask >> (EXPOSED_FIRST + i) & 1)
            *all[i] = *shown[i];
    c->vmcb->rax = 0;
}

static uint8_t rtmr[4][48];

/* TDREPORT_STRUCT with what a test can tell: the data given, the attributes, measurements. The checksum is none: the
 * simulator has no key. */
static void make_report(uint8_t *out, const uint8_t *data)
{
    uint64_t attributes = ATTRIBUTES | (sim_attack("debug") ? 1 : 0);

    memset(out, 0, 1024);
    out[0] = 0x81;
    memcpy(out + 128, data, 64);
    memcpy(out + 512, &attributes, 8);
    sim_measurement(out + 528);
    memcpy(out + 720, rtmr, sizeof(rtmr));
}

static uint64_t extend(struct vcpu *c)
{
    const uint8_t *digest = sim_host(sim_private(c->regs.rcx));
    uint8_t text[96], hash[64];

    if (c->regs.rcx % 64 || !digest || sim_page_state(c->regs.rcx) != PAGE_VALID || c->regs.rdx > 3)
        return STATUS_OPERAND;
    memcpy(text, rtmr[c->regs.rdx], 48);
    memcpy(text + 48, digest, 48);
    mbedtls_sha512_ret(text, sizeof(text), hash, 1);
    memcpy(rtmr[c->regs.rdx], hash, 48);
    return 0;
}

/* The host's quoting service: a quote of version 4, signed by the test's quoting enclave, whose certification the test gives. */
static uint32_t make_quote(const uint8_t *tdreport, uint8_t *out)
{
    enum { HEADER = 48, BODY = 584, SIGNED = HEADER + BODY, NUMBERS = 128, CERT_MAX = 8192 };
    uint8_t *body = out + HEADER, *cert = out + SIGNED + 4 + NUMBERS;
    uint32_t length;

    memset(out, 0, SIGNED);
    out[0] = 4;
    out[2] = 2; /* ECDSA over P-256 */
    out[4] = 0x81;
    memset(body, 5, 16); /* TEE_TCB_SVN */
    memcpy(body + 120, tdreport + 512, 16 + 8 * 48);
    memcpy(body + 520, tdreport + 128, 64);
    sim_sign_quote(out, SIGNED, out + SIGNED + 4);
    length = NUMBERS + (uint32_t)sim_file("opt/ccsim/qe-cert", cert, CERT_MAX);
    memcpy(out + SIGNED, &length, 4);
    return SIGNED + 4 + length;
}

static struct {
    uint64_t gpa, due; /* due: the exit at which the service answers */
} pending;

/* The answer to GetQuote, some exits later. */
void sim_tdx_work(void)
{
    struct {
        uint64_t version, status;
        uint32_t in, out;
        uint8_t data[];
    } * q;
    static uint64_t answered;
    uint8_t report[1024];

    if (answered && sim_attack("quote-late") && sim_counts.exits > pending.due + 20) {
        memset(sim_host(sim_shared(answered)), 0xee, PAGE_SIZE); /* it was read */
        answered = 0;
    }
    if (!pending.gpa || sim_counts.exits < pending.due || sim_attack("quote-never"))
        return;
    q = sim_host(sim_shared(pending.gpa));
    answered = pending.gpa;
    pending.gpa = 0;
    memcpy(report, q->data, sizeof(report));
    q->out = make_quote(report, q->data);
    if (sim_attack("quote-length"))
        q->out = 0xfffffff0;
    q->status = sim_attack("quote-error") ? 1ull << 63 : 0;
    if (notify.vector && !sim_attack("quote-silent") && !sim_attack("quote-forgotten"))
        sim_send(notify.cpu->apic_id, notify.vector);
}

static void get_quote(struct regs *r)
{
    uint64_t gpa = r->r12 & ~ALIAS_BIT;
    struct {
        uint64_t version, status;
        uint32_t in, out;
    } *q = sim_host(sim_shared(gpa));

    if (!(r->r12 & ALIAS_BIT) || gpa % PAGE_SIZE || !r->r13 || r->r13 % PAGE_SIZE || !q)
        sim_fail("GetQuote with a buffer at 0x%lx, %lu bytes", r->r12, r->r13);
    for (uint64_t at = gpa; at < gpa + r->r13; at += PAGE_SIZE)
        if (at >= GUEST_MEMORY || sim_page_state(at) != PAGE_SHARED)
            sim_fail("GetQuote with a buffer that is not shared");
    if (q->version != 1 || q->status || q->in != 1024 || pending.gpa)
        sim_fail("GetQuote version %lu, status 0x%lx, %u bytes", q->version, q->status, q->in);
    if (sim_attack("quote-refused")) {
        r->r10 = VMCALL_INVALID;
        return;
    }
    q->status = UINT64_MAX;
    pending.gpa = gpa;
    pending.due = sim_counts.exits + 10;
}

static uint64_t report(struct vcpu *c)
{
    uint8_t *out = sim_host(sim_private(c->regs.rcx)), *data = sim_host(sim_private(c->regs.rdx));

    if (c->regs.rcx % 1024 || c->regs.rdx % 64 || c->regs.r8 || !out || !data ||
        sim_page_state(c->regs.rcx) != PAGE_VALID || sim_page_state(c->regs.rdx) != PAGE_VALID)
        return STATUS_OPERAND;
    make_report(out, data);
    return 0;
}

static void vp_info(struct vcpu *c)
{
    c->regs.rcx = GPA_WIDTH;
    c->regs.rdx = (sim_attack("unknown-feature") ? 0 : ATTRIBUTES) | (sim_attack("debug") ? 1 : 0);
    c->regs.r8 = sim_cpu_count | (uint64_t)sim_cpu_count << 32;
    c->regs.r9 = c->regs.r10 = c->regs.r11 = 0;
    c->vmcb->rax = 0;
}

static void ve_info(struct vcpu *c)
{
    c->vmcb->rax = c->ve.pending ? 0 : STATUS_NO_VE;
    c->regs.rcx = c->ve.reason;
    c->regs.rdx = c->ve.qualification;
    c->regs.r8 = 0;
    c->regs.r9 = c->ve.gpa;
    c->regs.r10 = c->ve.length;
    c->ve.pending = false;
}

void sim_tdcall(struct vcpu *c)
{
    switch (c->vmcb->rax) {
    case VP_VMCALL:
        vmcall(c);
        break;
    case VP_INFO:
        vp_info(c);
        break;
    case VP_VEINFO_GET:
        ve_info(c);
        break;
    case MR_REPORT:
        c->vmcb->rax = report(c);
        break;
    case MR_EXTEND:
        c->vmcb->rax = extend(c);
        break;
    case PAGE_ACCEPT:
        c->vmcb->rax = accept(c);
        break;
    default:
        sim_fail("TDCALL leaf %lu", c->vmcb->rax);
    }
}
