/* SPDX-License-Identifier: MIT */
/* The #VE exception of a TDX guest. What the module says about it (reason, qualification, length) is true; only the answers to
 * what is then asked of the host are not to be trusted. Device accesses are decoded, as the module does not. The first act is
 * to take the information: until then a further #VE is a double fault. Spec: Intel TDX module 1.5 base, 10.7; GHCI 1.5, 3. */
#include "cc/cc_int.h"
#include "cc/insn.h"
#include "cc/stringio.h"
#include "cc/tdx.h"
#include "x86_64/cpu.h"
#include "x86_64/kmap.h"
#include "x86_64/x86.h"

enum {
    EXPOSE_R12 = 1 << 12,
    EXPOSE_R13 = 1 << 13,
    EXPOSE_R14 = 1 << 14,
    EXPOSE_R15 = 1 << 15,
    EXPOSE_ALL = 15 << 12,
    IO_IN = 1 << 3,
    IO_STRING = 1 << 4,
};

extern const char __image_start[], __text_end[];

/* Leaves for the hypervisor go to the host; of all others the module has answered what there is. */
static void serve_cpuid(struct plat_frame *f, bool from_user)
{
    struct tdx_regs r = { .r12 = (uint32_t)f->rax, .r13 = (uint32_t)f->rcx };

    if (r.r12 >> 28 != 4 || from_user)
        r = (struct tdx_regs){ 0 };
    else if (tdx_vmcall(TDX_CPUID, EXPOSE_ALL, &r))
        cc_terminate(CC_GHCB_ANSWER);
    f->rax = (uint32_t)r.r12;
    f->rbx = (uint32_t)r.r13;
    f->rcx = (uint32_t)r.r14;
    f->rdx = (uint32_t)r.r15;
}

static void serve_port(struct plat_frame *f, uint64_t qualification)
{
    struct insn rax = { .reg = 0, .size = (uint8_t)((qualification & 7) + 1) };
    struct tdx_regs r = { .r12 = rax.size, .r14 = qualification >> 16 & 0xffff };
    bool in = qualification & IO_IN;

    if ((rax.size != 1 && rax.size != 2 && rax.size != 4))
        cc_terminate(CC_VC_UNSUPPORTED);
    if (!in) {
        r.r13 = 1;
        r.r15 = insn_get(f, &rax);
    }
    if (tdx_vmcall(TDX_IO, EXPOSE_R12 | EXPOSE_R13 | EXPOSE_R14 | (in ? 0 : EXPOSE_R15), &r))
        cc_terminate(CC_GHCB_ANSWER);
    if (in)
        insn_set(f, &rax, r.r11);
}

/* One element of INS or OUTS: the host's call has no other. The instruction begins again for the rest. */
static void serve_string(struct plat_frame *f, uint64_t qualification)
{
    struct insn i;
    struct string_io s;
    struct tdx_regs r = { 0 };
    ALIGNED(8) uint8_t buf[8] = { 0 };

    if (f->rip < (uintptr_t)__image_start || f->rip >= (uintptr_t)__text_end ||
        !insn_decode((const uint8_t *)f->rip, (uintptr_t)__text_end - f->rip, f, &i) || !i.string ||
        (i.kind == INSN_IN) != !!(qualification & IO_IN) || !string_plan(f, &i, i.size, &s))
        cc_terminate(CC_VC_UNSUPPORTED);
    if (s.count && i.kind == INSN_OUT)
        string_gather(&s, buf);
    r = (struct tdx_regs){ .r12 = i.size, .r13 = i.kind == INSN_OUT, .r14 = f->rdx & 0xffff };
    r.r15 = *(uint64_t *)buf;
    if (s.count && tdx_vmcall(TDX_IO, EXPOSE_ALL, &r))
        cc_terminate(CC_GHCB_ANSWER);
    *(uint64_t *)buf = r.r11;
    if (s.count && i.kind == INSN_IN)
        string_scatter(&s, buf);
    string_advance(f, &i, &s);
}

/* False: there is no such MSR. */
static bool serve_msr(struct plat_frame *f, bool write)
{
    struct tdx_regs r = { .r12 = (uint32_t)f->rcx };

    if (write) {
        r.r13 = (uint32_t)f->rax | f->rdx << 32;
        return tdx_vmcall(TDX_WRMSR, EXPOSE_R12 | EXPOSE_R13, &r) == 0;
    }
    if (tdx_vmcall(TDX_RDMSR, EXPOSE_R12, &r))
        return false;
    f->rax = (uint32_t)r.r11;
    f->rdx = r.r11 >> 32;
    return true;
}

static void serve_memory(struct plat_frame *f, uint64_t gpa, uint64_t *ret_length)
{
    struct insn i;
    struct tdx_regs r = { 0 };
    uint64_t pa;

    if (f->rip < (uintptr_t)__image_start || f->rip >= (uintptr_t)__text_end ||
        !insn_decode((const uint8_t *)f->rip, (uintptr_t)__text_end - f->rip, f, &i) ||
        (i.kind != INSN_LOAD && i.kind != INSN_STORE))
        cc_terminate(CC_VC_UNSUPPORTED);
    if (!kmap_device_phys(i.address, i.size, &pa) || (gpa & ~x86_facts.shared_mask) != pa)
        cc_terminate(CC_MMIO_PRIVATE);
    r.r12 = i.size;
    r.r13 = i.kind == INSN_STORE;
    r.r14 = pa | x86_facts.shared_mask;
    if (i.kind == INSN_STORE)
        r.r15 = i.immediate ? i.value & insn_mask(i.size) : insn_get(f, &i);
    if (tdx_vmcall(TDX_MMIO, EXPOSE_ALL, &r))
        cc_terminate(CC_GHCB_ANSWER);
    if (i.kind == INSN_LOAD)
        insn_set(f, &i, r.r11);
    *ret_length = i.length;
}

bool tdx_ve(struct plat_frame *f, bool from_user)
{
    struct tdx_regs info;
    uint64_t length;

    tdx_ve_info(&info);
    length = (uint32_t)info.r10;
    if (from_user && (uint32_t)info.rcx != TDX_CPUID)
        return false;
    switch ((uint32_t)info.rcx) {
    case TDX_CPUID:
        serve_cpuid(f, from_user);
        break;
    case TDX_HLT:
        tdx_halt();
        break;
    case TDX_IO:
        if (info.rdx & IO_STRING) {
            serve_string(f, info.rdx);
            return true;
        }
        serve_port(f, info.rdx);
        break;
    case TDX_RDMSR:
    case TDX_WRMSR:
        if (!serve_msr(f, (uint32_t)info.rcx == TDX_WRMSR))
            cc_terminate(CC_VC_UNSUPPORTED);
        break;
    case TDX_MMIO:
        serve_memory(f, info.r9, &length);
        break;
    default:
        cc_terminate(CC_VC_UNSUPPORTED);
    }
    f->rip += length;
    return true;
}
