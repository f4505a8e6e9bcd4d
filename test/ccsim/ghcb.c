/* SPDX-License-Identifier: MIT */
/* VMGEXIT: the MSR protocol, and the GHCB page. Spec: GHCB specification 2.03, sections 2.3 and 4. The guest's mistakes end
 * the run; what the host may do wrong is done on request (attack=NAME). */
#include "ccsim.h"
#include "vmcb.h"
#include "x86_64/x86.h"

#include <string.h>

struct PACKED ghcb {
    uint8_t save[0x1f8];
    uint64_t rax;
    uint8_t pad0[0x308 - 0x200];
    uint64_t rcx, rdx, rbx;
    uint8_t pad1[0x390 - 0x320];
    uint64_t exitcode, exitinfo1, exitinfo2, scratch;
    uint8_t pad2[0x3e8 - 0x3b0];
    uint64_t xcr0;
    uint8_t valid[16];
    uint8_t pad3[0x800 - 0x400];
    uint8_t buffer[0x7f0];
    uint8_t pad4[0xffa - 0xff0];
    uint16_t version;
    uint32_t usage;
};
_Static_assert(sizeof(struct ghcb) == PAGE_SIZE, "");
_Static_assert(offsetof(struct ghcb, valid) == 0x3f0, "");

enum {
    PSC_PRIVATE = 1,
    PSC_SHARED = 2,
    SW_MMIO_READ = 0x80000001,
    SW_MMIO_WRITE = 0x80000002,
    SW_JUMP_TABLE = 0x80000005u,
    SW_PSC = 0x80000010u,
    SW_REQUEST = 0x80000011u,
    SW_REQUEST_CERTS = 0x80000012u,
    SW_AP_CREATION = 0x80000013u,
    SW_DOORBELL = 0x80000014u,
    SW_FEATURES = 0x8000fffdu,
    SW_TERMINATE = 0x8000fffeu,
    FEATURES = 3, /* SNP, AP creation */
    FEATURE_RESTRICTED = 1 << 2,
    FEATURE_LEVELS = 1 << 5,
    CREATE_NOW = 1,
    SEV_FEATURES = 1,
    PSC_MAX = 253,
};

static bool valid(const struct ghcb *g, size_t offset)
{
    return g->valid[offset / 64] >> (offset / 8 % 8) & 1;
}

static void set_valid(struct ghcb *g, size_t offset)
{
    if (!sim_attack("no-valid-bits"))
        g->valid[offset / 64] |= (uint8_t)(1 << (offset / 8 % 8));
}

#define NEED(g, field)                                                                             \
    do {                                                                                           \
        if (!valid(g, offsetof(struct ghcb, field)))                                               \
            sim_fail("GHCB exit 0x%lx without a valid %s", (g)->exitcode, #field);                 \
    } while (0)

/* One page to private or shared. False: the host refuses. */
static bool change(struct vcpu *c, uint64_t gpa, unsigned op)
{
    enum page_state s;

    if (gpa >= GUEST_MEMORY)
        sim_fail("page state change of 0x%lx, which is no RAM", gpa);
    s = sim_page_state(gpa);
    if (op == PSC_PRIVATE) {
        if (s != PAGE_SHARED)
            sim_fail("page 0x%lx is made private twice", gpa);
        memset(sim_host(sim_private(gpa)), 0xcc,
               PAGE_SIZE); /* not the guest's zeros: it has to clear it */
        sim_page_set(gpa, PAGE_ASSIGNED);
        if (sim_attack("lie-private"))
            sim_page_set(gpa, PAGE_SHARED);
    } else if (op == PSC_SHARED) {
        if (s == PAGE_VALID)
            sim_fail("page 0x%lx is made shared while it is validated", gpa);
        memset(sim_host(gpa), 0xdd, PAGE_SIZE);
        sim_page_set(gpa, PAGE_SHARED);
    } else {
        sim_fail("page state change with operation %u", op);
    }
    sim_counts.psc_pages++;
    c->flush = true;
    return true;
}

static void psc_list(struct vcpu *c, struct ghcb *g)
{
    struct PACKED {
        uint16_t cur, end;
        uint32_t reserved;
        uint64_t entries[PSC_MAX];
    } *list = (void *)g->buffer;
    unsigned todo = sim_attack("psc-partial") ? 3 : PSC_MAX + 1;

    NEED(g, scratch);
    if (g->scratch != (c->ghcb_page | offsetof(struct ghcb, buffer)))
        sim_fail("the page state list is not in the GHCB");
    if (list->end >= PSC_MAX || list->cur > list->end)
        sim_fail("page state list from %u to %u", list->cur, list->end);
    for (; list->cur <= list->end && todo; list->cur++, todo--) {
        uint64_t e = list->entries[list->cur], gpa = e & 0xffffffffff000;
        uint64_t size = e >> 56 & 1 ? LARGE_SIZE : PAGE_SIZE;

        if (sim_attack("psc-refused")) {
            g->exitinfo2 = 1ull << 32 | 1;
            set_valid(g, offsetof(struct ghcb, exitinfo2));
            return;
        }
        if (gpa % size)
            sim_fail("page state change of 0x%lx is not aligned to its size", gpa);
        for (uint64_t at = 0; at < size; at += PAGE_SIZE)
            change(c, gpa + at, e >> 52 & 15);
    }
    if (sim_attack("psc-back"))
        list->cur = (uint16_t)-1;
    if (sim_attack("psc-beyond"))
        list->cur = (uint16_t)(list->end + 2);
    g->exitinfo2 = 0;
    set_valid(g, offsetof(struct ghcb, exitinfo2));
}

/* As many elements as exitinfo2 says, in the buffer, one after the other. */
static void string(struct vcpu *c, struct ghcb *g, uint16_t number, unsigned size)
{
    uint64_t count = g->exitinfo2;

    NEED(g, scratch);
    if (g->scratch != (c->ghcb_page | offsetof(struct ghcb, buffer)) ||
        !(size == 1 || size == 2 || size == 4) || !count || count > sizeof(g->buffer) / size ||
        (count > 1 && !(g->exitinfo1 & 8)))
        sim_fail("string I/O of port 0x%x, %lu times %u bytes", number, count, size);
    for (uint64_t k = 0; k < count; k++) {
        uint64_t value = 0;

        if (g->exitinfo1 & 1) {
            value = sim_port_in(number, size);
            memcpy(g->buffer + k * size, &value, size);
        } else {
            memcpy(&value, g->buffer + k * size, size);
            sim_port_out(number, size, value);
        }
    }
}

static void port(struct vcpu *c, struct ghcb *g)
{
    uint16_t number = (uint16_t)(g->exitinfo1 >> 16);
    unsigned size = g->exitinfo1 >> 4 & 7;

    if (g->exitinfo1 & 4) {
        string(c, g, number, size);
        return;
    }
    if (g->exitinfo1 & 1) {
        g->rax = sim_port_in(number, size);
        set_valid(g, offsetof(struct ghcb, rax));
        return;
    }
    NEED(g, rax);
    sim_port_out(number, size, g->rax);
}

static void mmio(struct vcpu *c, struct ghcb *g, bool write)
{
    uint64_t value = 0;

    NEED(g, scratch);
    if (g->scratch != (c->ghcb_page | offsetof(struct ghcb, buffer)))
        sim_fail("the MMIO buffer is not in the GHCB");
    if (write) {
        memcpy(&value, g->buffer, min_u64(g->exitinfo2, 8));
        if (sim_options.rinj && sim_doorbell_apic(c, g->exitinfo1, value))
            return;
        sim_mmio_write(g->exitinfo1, (unsigned)g->exitinfo2, value);
    } else {
        value = sim_mmio_read(g->exitinfo1, (unsigned)g->exitinfo2);
        memcpy(g->buffer, &value, min_u64(g->exitinfo2, 8));
    }
}

/* Ask the guest to take a general protection fault: an MSR that does not exist. */
static void answer_gp(struct ghcb *g)
{
    g->exitinfo1 = 1;
    g->exitinfo2 = 13 | 3 << 8 | 1 << 11 | 1ull << 31;
    set_valid(g, offsetof(struct ghcb, exitinfo2));
}

/* False: the guest is told to fault. */
static bool msr(struct ghcb *g)
{
    NEED(g, rcx);
    sim_counts.msr++;
    if (g->rcx != MSR_APIC_BASE) { /* the one that QEMU has and a guest needs */
        answer_gp(g);
        return false;
    }
    if (g->exitinfo1) {
        NEED(g, rax);
        NEED(g, rdx);
        x86_wrmsr((uint32_t)g->rcx, (uint32_t)g->rax | g->rdx << 32);
        return true;
    }
    uint64_t value = sim_attack("msr") ? UINT64_MAX : x86_rdmsr((uint32_t)g->rcx);
    g->rax = (uint32_t)value;
    g->rdx = value >> 32;
    set_valid(g, offsetof(struct ghcb, rax));
    set_valid(g, offsetof(struct ghcb, rdx));
    return true;
}

/* A guest message, with room for certificates or without. */
static void guest_request(struct ghcb *g)
{
    uint64_t certs = 0, pages = 0;

    if (g->exitcode == SW_REQUEST_CERTS) {
        NEED(g, rax);
        NEED(g, rbx);
        certs = g->rax;
        pages = g->rbx;
    }
    g->exitinfo2 = sim_guest_request(g->exitinfo1, g->exitinfo2, certs, &pages);
    set_valid(g, offsetof(struct ghcb, exitinfo2));
    if (pages != g->rbx) {
        g->rbx = pages;
        set_valid(g, offsetof(struct ghcb, rbx));
    }
}

/* False: the guest is told to fault. */
static bool create_cpu(struct ghcb *g)
{
    NEED(g, rax);
    if ((uint32_t)g->exitinfo1 != (CREATE_NOW | sim_vmpl() << 16) ||
        g->rax != (SEV_FEATURES | (sim_options.secure_tsc ? 1u << 9 : 0) |
                   (sim_options.rinj ? 1u << 3 : 0)))
        sim_fail("CPU creation 0x%lx with features 0x%lx", g->exitinfo1, g->rax);
    if (sim_attack("ap-refused") || !sim_create_cpu((uint32_t)(g->exitinfo1 >> 32), g->exitinfo2)) {
        answer_gp(g);
        return false;
    }
    return true;
}

/* SEV-ES: a leaf as the host likes it. */
static void cpuid(struct ghcb *g)
{
    struct sim_cpuid r = { 0 };

    NEED(g, rax);
    NEED(g, rcx);
    if (g->rax == 0xd)
        NEED(g, xcr0);
    if (!sim_cpuid_find((uint32_t)g->rax, (uint32_t)g->rcx, &r))
        r = (struct sim_cpuid){ 0 };
    sim_xsave_size((uint32_t)g->rax, (uint32_t)g->rcx, &r);
    if (sim_attack("cpuid")) /* all features, all sizes, all leaves */
        r = (struct sim_cpuid){ UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX };
    g->rax = r.eax;
    g->rbx = r.ebx;
    g->rcx = r.ecx;
    g->rdx = r.edx;
    set_valid(g, offsetof(struct ghcb, rax));
    set_valid(g, offsetof(struct ghcb, rbx));
    set_valid(g, offsetof(struct ghcb, rcx));
    set_valid(g, offsetof(struct ghcb, rdx));
}

/* Exits of SEV-ES alone. False: it is none of these. */
static bool es_exit(struct ghcb *g)
{
    if (g->exitcode == EXIT_CPUID) {
        cpuid(g);
        return true;
    }
    if (g->exitcode != SW_JUMP_TABLE || g->exitinfo1 != 1)
        return false;
    g->exitinfo2 = sim_attack("jump-table") ? 0x2000000 : GPA_MAILBOX;
    set_valid(g, offsetof(struct ghcb, exitinfo2));
    return true;
}

static void page_exit(struct vcpu *c)
{
    struct ghcb *g;

    if (sim_options.es && !(c->ghcb_msr & 0xfff) && c->ghcb_msr < GUEST_MEMORY)
        c->ghcb_page = c->ghcb_msr; /* SEV-ES knows no registration */
    if (c->ghcb_msr != c->ghcb_page || !c->ghcb_page)
        sim_fail("VMGEXIT with GHCB 0x%lx, registered is 0x%lx", c->ghcb_msr, c->ghcb_page);
    if (!sim_options.es && sim_page_state(c->ghcb_page) != PAGE_SHARED)
        sim_fail("the GHCB is not shared");
    sim_scan_page(c->ghcb_page);
    g = sim_host(c->ghcb_page);
    NEED(g, exitcode);
    NEED(g, exitinfo1);
    NEED(g, exitinfo2);
    if (g->version != (sim_options.es ? 1 : 2) || g->usage != 0)
        sim_fail("GHCB of version %u, usage %u", g->version, g->usage);
    if (sim_options.es && es_exit(g)) {
        g->exitinfo1 = 0;
        goto answered;
    }
    if (sim_options.es && g->exitcode >= SW_PSC && g->exitcode <= SW_FEATURES)
        sim_fail("GHCB exit 0x%lx, which SEV-ES does not have", g->exitcode);
    switch (g->exitcode) {
    case EXIT_IOIO:
        port(c, g);
        break;
    case EXIT_MSR:
        if (!msr(g))
            goto answered;
        break;
    case EXIT_WBINVD:
        break;
    case SW_MMIO_READ:
    case SW_MMIO_WRITE:
        mmio(c, g, g->exitcode == SW_MMIO_WRITE);
        break;
    case SW_PSC:
        psc_list(c, g);
        g->exitinfo1 = 0;
        goto answered;
    case SW_REQUEST:
    case SW_REQUEST_CERTS:
        guest_request(g);
        break;
    case SW_AP_CREATION:
        if (!create_cpu(g))
            goto answered;
        break;
    case SW_DOORBELL:
        g->exitinfo2 = sim_doorbell_request(c, g->exitinfo1, g->exitinfo2);
        set_valid(g, offsetof(struct ghcb, exitinfo2));
        break;
    case SW_FEATURES:
        g->exitinfo2 = FEATURES;
        set_valid(g, offsetof(struct ghcb, exitinfo2));
        break;
    case SW_TERMINATE:
        sim_end("terminated by the guest through its GHCB");
    default:
        sim_fail("unknown GHCB exit 0x%lx", g->exitcode);
    }
    g->exitinfo1 = 0;
    if (sim_attack("answer-error"))
        g->exitinfo1 = 2;
    if (sim_attack("answer-event")) {
        g->exitinfo1 = 1; /* a page fault, please */
        g->exitinfo2 = 14 | 3 << 8 | 1 << 11 | 1ull << 31;
        set_valid(g, offsetof(struct ghcb, exitinfo2));
    }
answered:
    set_valid(g, offsetof(struct ghcb, exitinfo1));
}

static uint64_t msr_cpuid(uint64_t request)
{
    struct sim_cpuid r = { 0 };
    sim_cpuid_find((uint32_t)(request >> 32), 0, &r);
    const uint32_t values[] = { r.eax, r.ebx, r.ecx, r.edx };

    return (uint64_t)values[request >> 30 & 3] << 32 | (request & 3ull << 30) | 5;
}

void sim_vmgexit(struct vcpu *c)
{
    uint64_t m = c->ghcb_msr;

    sim_counts.vmgexits++;
    switch (m & 0xfff) {
    case 0:
        page_exit(c);
        return;
    case 0x002:
        if (sim_attack("protocol")) {
            c->ghcb_msr = 9ull << 48 | 3ull << 32 | 47u << 24 | 1;
            return;
        }
        c->ghcb_msr =
            (uint64_t)(sim_options.es ? 1 : 2) << 48 | 1ull << 32 | 47u << 24 | 1; /* as KVM */
        return;
    case 0x004:
        c->ghcb_msr = msr_cpuid(m);
        return;
    case 0x012:
        if (sim_options.es)
            sim_fail("SEV-ES: request 0x%lx by GHCB MSR", m);
        c->ghcb_page = m & ~0xfffull;
        if (c->ghcb_page >= GUEST_MEMORY || sim_page_state(c->ghcb_page) != PAGE_SHARED)
            sim_fail("the GHCB 0x%lx is not a shared page", c->ghcb_page);
        c->ghcb_msr =
            (sim_attack("ghcb-refused") ? c->ghcb_page + PAGE_SIZE : c->ghcb_page) | 0x013;
        return;
    case 0x014:
        if (sim_options.es)
            sim_fail("SEV-ES: request 0x%lx by GHCB MSR", m);
        c->ghcb_msr = change(c, m & 0xffffffffff000, m >> 52 & 15) && !sim_attack("psc-refused")
                          ? 0x015
                          : 1ull << 32 | 0x015;
        return;
    case 0x016:
        if (!sim_options.svsm || m >> 40)
            sim_fail("a request 0x%lx for another VMPL", m);
        sim_svsm(c, m >> 32 & 255);
        return;
    case 0x080:
        if (sim_attack("no-features")) {
            c->ghcb_msr = 0x081;
            return;
        }
        c->ghcb_msr =
            (uint64_t)(FEATURES | (sim_options.svsm ? FEATURE_LEVELS : 0) |
                       (sim_options.rinj && !sim_attack("hv-none") ? FEATURE_RESTRICTED : 0))
                << 12 |
            0x081;
        return;
    case 0x100:
        sim_end_terminated(m >> 12 & 15, m >> 16 & 255);
    default:
        sim_fail("unknown request 0x%lx by GHCB MSR", m);
    }
}
