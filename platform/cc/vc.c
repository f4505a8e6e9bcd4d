/* SPDX-License-Identifier: MIT */
/* The #VC exception: an instruction that the host has to serve. Ring 0's are a short list (ports, MSRs, device memory); of
 * ring 3, which may execute CPUID and RDTSC only, anything else is the program's error. The host can inject #VC with an exit
 * code of its choice, so each code must fit the instruction that is there. Runs on a stack of its own and uses no
 * instruction that could raise it again. Spec: AMD APM volume 2, 15.35.5; GHCB specification 2.03, 4.1. */
#include "cc/cc_int.h"
#include "cc/ghcb.h"
#include "cc/insn.h"
#include "cc/stringio.h"
#include "x86_64/cpu.h"
#include "x86_64/kmap.h"
#include "x86_64/x86.h"

#include <plat/user.h>

enum {
    VC_CPUID = 0x72,
    VC_MMIO = 0x400,
    VC_NOT_VALIDATED = 0x404,
    IO_IN = 1,
    IO_STRING = 1 << 2,
    IO_REPEAT = 1 << 3,
    IO_A64 = 1 << 9,
    DR7_RESET = 0x400,
    MSR_TSC = 0x10,
    STRING_MOST = 256, /* bytes: on a small stack, and then once more */
};
#define MSR_TSC_FREQ 0xc0010134u

extern const char __image_start[], __text_end[];

static uint64_t dr7 = DR7_RESET; /* what a read gives; nothing of ours sets it to anything else */

static void serve_cpuid(struct plat_frame *f)
{
    struct x86_cpuid r = x86_cpuid((uint32_t)f->rax, (uint32_t)f->rcx);

    f->rax = r.eax;
    f->rbx = r.ebx;
    f->rcx = r.ecx;
    f->rdx = r.edx;
}

static void serve_port(struct plat_frame *f, const struct insn *i)
{
    uint64_t port = i->immediate ? i->value : f->rdx & 0xffff;
    uint64_t info = port << 16 | (uint64_t)i->size << 4 | IO_A64;
    struct insn rax = { .reg = 0, .size = i->size };
    struct ghcb_regs r = { .rax = f->rax & insn_mask(i->size) };

    if (i->kind == INSN_OUT) {
        if (!ghcb_exit(GHCB_EXIT_IOIO, info, 0, GHCB_RAX, 0, &r))
            cc_terminate(CC_GHCB_ANSWER);
        return;
    }
    if (!ghcb_exit(GHCB_EXIT_IOIO, info | IO_IN, 0, 0, GHCB_RAX, &r))
        cc_terminate(CC_GHCB_ANSWER);
    insn_set(f, &rax, r.rax);
}

/* INS and OUTS, as much as the buffer holds: the instruction begins again for the rest. Its memory must be ring 0's. */
static void serve_string(struct plat_frame *f, const struct insn *i)
{
    uint64_t info = (f->rdx & 0xffff) << 16 | (uint64_t)i->size << 4 | IO_A64 | IO_STRING |
                    (i->repeat ? IO_REPEAT : 0) | (i->kind == INSN_IN ? IO_IN : 0);
    uint8_t buf[STRING_MOST];
    struct string_io s;
    struct ghcb_regs none = { 0 };

    if (!string_plan(f, i, sizeof(buf), &s))
        cc_terminate(CC_VC_UNSUPPORTED);
    if (s.count && i->kind == INSN_OUT) {
        string_gather(&s, buf);
        ghcb_buffer_put(buf, s.count * s.size);
    }
    if (s.count && !ghcb_exit(GHCB_EXIT_IOIO, info, s.count, GHCB_SCRATCH, 0, &none))
        cc_terminate(CC_GHCB_ANSWER);
    if (s.count && i->kind == INSN_IN) {
        ghcb_buffer_get(buf, s.count * s.size);
        string_scatter(&s, buf);
    }
    string_advance(f, i, &s);
}

/* False: there is no such MSR. */
static bool serve_msr(struct plat_frame *f, bool write)
{
    struct ghcb_regs r = { .rax = (uint32_t)f->rax,
                           .rcx = (uint32_t)f->rcx,
                           .rdx = (uint32_t)f->rdx };

    if (write)
        return ghcb_exit(GHCB_EXIT_MSR, 1, 0, GHCB_RAX | GHCB_RCX | GHCB_RDX, 0, &r);
    if (!ghcb_exit(GHCB_EXIT_MSR, 0, 0, GHCB_RCX, GHCB_RAX | GHCB_RDX, &r))
        return false;
    f->rax = (uint32_t)r.rax;
    f->rdx = (uint32_t)r.rdx;
    return true;
}

static void serve_tsc(struct plat_frame *f, bool aux)
{
    struct ghcb_regs r = { 0 };

    if (!ghcb_exit(aux ? GHCB_EXIT_RDTSCP : GHCB_EXIT_RDTSC, 0, 0, 0, GHCB_RAX | GHCB_RDX, &r))
        cc_terminate(CC_GHCB_ANSWER);
    f->rax = (uint32_t)r.rax;
    f->rdx = (uint32_t)r.rdx;
    if (aux)
        f->rcx = x86_this_cpu()->p.cpu; /* MSR_TSC_AUX */
}

static void serve_memory(struct plat_frame *f, const struct insn *i)
{
    uint64_t pa, value = i->immediate ? i->value : insn_get(f, i);
    struct ghcb_regs r = { 0 };
    bool write = i->kind == INSN_STORE;

    if (!kmap_device_phys(i->address, i->size, &pa))
        cc_terminate(CC_MMIO_PRIVATE);
    if (write)
        ghcb_buffer_put(&value, i->size);
    if (!ghcb_exit(write ? GHCB_EXIT_MMIO_WRITE : GHCB_EXIT_MMIO_READ, pa, i->size, GHCB_SCRATCH, 0,
                   &r))
        cc_terminate(CC_GHCB_ANSWER);
    if (write)
        return;
    value = 0;
    ghcb_buffer_get(&value, i->size);
    insn_set(f, i, value);
}

static void serve_dr7(struct plat_frame *f, const struct insn *i)
{
    if (i->kind == INSN_DR7_READ)
        *insn_register(f, i->reg) = dr7;
    else if (*insn_register(f, i->reg) != DR7_RESET)
        cc_terminate(CC_VC_UNSUPPORTED); /* ring 0 sets no breakpoints */
}

static bool fits(unsigned long error, enum insn_kind kind)
{
    switch (error) {
    case VC_CPUID:
        return kind == INSN_CPUID;
    case GHCB_EXIT_IOIO:
        return kind == INSN_IN || kind == INSN_OUT;
    case GHCB_EXIT_MSR:
        return kind == INSN_RDMSR || kind == INSN_WRMSR;
    case VC_MMIO:
        return kind == INSN_LOAD || kind == INSN_STORE;
    case GHCB_EXIT_WBINVD:
        return kind == INSN_WBINVD;
    case GHCB_EXIT_DR7_READ:
        return kind == INSN_DR7_READ;
    case GHCB_EXIT_DR7_WRITE:
        return kind == INSN_DR7_WRITE;
    case GHCB_EXIT_RDTSC:
        return kind == INSN_RDTSC;
    case GHCB_EXIT_RDTSCP:
        return kind == INSN_RDTSCP;
    default:
        return false;
    }
}

static bool serve_user(unsigned long error, struct plat_frame *f)
{
    uint8_t bytes[INSN_MAX];
    size_t n = plat_user_read_part(bytes, f->rip, sizeof(bytes));
    struct insn i;

    if (!insn_decode(bytes, n, f, &i) || !fits(error, i.kind))
        return false;
    if (i.kind == INSN_CPUID)
        serve_cpuid(f);
    else if (i.kind == INSN_RDTSC || i.kind == INSN_RDTSCP)
        serve_tsc(f, i.kind == INSN_RDTSCP);
    else
        return false;
    f->rip += i.length;
    return true;
}

/* Is the counter's what the processor would have served itself? Then the host had it trap. */
static bool is_counter(unsigned long error, const struct plat_frame *f)
{
    return error == GHCB_EXIT_RDTSC || error == GHCB_EXIT_RDTSCP ||
           (error == GHCB_EXIT_MSR &&
            ((uint32_t)f->rcx == MSR_TSC || (uint32_t)f->rcx == MSR_TSC_FREQ));
}

bool snp_vc(unsigned long error, struct plat_frame *f, bool from_user)
{
    struct insn i;
    struct ghcb_regs none = { 0 };

    if (error == VC_NOT_VALIDATED && cc_kind() == CC_SNP)
        cc_terminate(CC_NOT_VALIDATED);
    if (cc_kind() == CC_SNP && snp_secure_tsc() && is_counter(error, f))
        cc_terminate(CC_COUNTER);
    if (from_user)
        return serve_user(error, f);
    if (f->rip < (uintptr_t)__image_start || f->rip >= (uintptr_t)__text_end)
        cc_terminate(CC_VC_MISMATCH);
    if (!insn_decode((const uint8_t *)f->rip, (uintptr_t)__text_end - f->rip, f, &i) ||
        !fits(error, i.kind))
        cc_terminate(CC_VC_MISMATCH);
    switch (i.kind) {
    case INSN_CPUID:
        serve_cpuid(f);
        break;
    case INSN_RDMSR:
    case INSN_WRMSR:
        if (!serve_msr(f, i.kind == INSN_WRMSR))
            cc_terminate(
                CC_VC_UNSUPPORTED); /* and no panic from here: its messages would need this stack */
        break;
    case INSN_IN:
    case INSN_OUT:
        if (i.string) {
            serve_string(f, &i);
            return true;
        }
        serve_port(f, &i);
        break;
    case INSN_LOAD:
    case INSN_STORE:
        serve_memory(f, &i);
        break;
    case INSN_WBINVD:
        if (!ghcb_exit(GHCB_EXIT_WBINVD, 0, 0, 0, 0, &none))
            cc_terminate(CC_GHCB_ANSWER);
        break;
    case INSN_DR7_READ:
    case INSN_DR7_WRITE:
        serve_dr7(f, &i);
        break;
    case INSN_RDTSC:
    case INSN_RDTSCP:
        serve_tsc(f, i.kind == INSN_RDTSCP);
        break;
    }
    f->rip += i.length;
    return true;
}
