/* SPDX-License-Identifier: MIT */
/* A TDX guest: what the module vouches for, pages that the guest accepts, calls to the host. Private memory needs no mark in
 * page tables; shared memory and devices have the shared bit (x86_facts.shared_mask).
 * Spec: Intel TDX module 1.5 ABI reference, chapter 5; GHCI 1.5, chapter 3. */
#include "cc/tdx.h"
#include "cc/cc_int.h"
#include "x86_64/cpu.h"
#include "x86_64/x86.h"

#include <abi/errno.h>
#include <plat/cc.h>
#include <plat/cpu.h>
#include <plat/irq.h>

enum {
    LEAF_TDX = 0x21,
    TDG_VP_VMCALL = 0,
    TDG_VP_INFO = 1,
    TDG_MR_RTMR_EXTEND = 2,
    TDG_VP_VEINFO_GET = 3,
    TDG_MR_REPORT = 4,
    TDG_MEM_PAGE_ACCEPT = 6,
    VMCALL_IO = TDX_IO,
    ATTRIBUTE_DEBUG = 1 << 0,
    ATTRIBUTE_SEPT_VE_DISABLE = 1 << 28,
    EXPOSE_ALWAYS = 3 << 10, /* r10, r11 */
    EXPOSE_R12 = 1 << 12,
    EXPOSE_R13 = 1 << 13,
    EXPOSE_ALL = 15 << 12,
    MAP_RETRY = 1,
    RTMRS = 4,
    MAP_ROUNDS = 1000,
};
#define VMCALL_MAP_GPA     0x10001ull
#define VMCALL_GET_QUOTE   0x10002ull
#define VMCALL_FATAL_ERROR 0x10003ull
#define VMCALL_SET_NOTIFY  0x10004ull
#define SIZE_MISMATCH      0xc0000b0bull /* the status's upper half */

static bool debug;

bool tdx_debug(void)
{
    return debug;
}

uint64_t tdx_vmcall(uint64_t function, unsigned exposed, struct tdx_regs *r)
{
    r->rcx = EXPOSE_ALWAYS | exposed;
    r->r10 = 0;
    r->r11 = function;
    if (tdx_call(TDG_VP_VMCALL, r))
        cc_terminate(CC_GHCB_ANSWER);
    return r->r10;
}

void tdx_ve_info(struct tdx_regs *ret)
{
    *ret = (struct tdx_regs){ 0 };
    if (tdx_call(TDG_VP_VEINFO_GET, ret))
        cc_terminate(CC_VC_MISMATCH); /* there was no #VE: the host made the exception up */
}

bool tdx_detect(void)
{
    struct x86_cpuid id = x86_cpuid_raw(0, 0);

    if (id.eax < LEAF_TDX)
        return false;
    id = x86_cpuid_raw(LEAF_TDX, 0); /* the module answers it, not the host */
    return id.ebx == 0x65746e49 && id.edx == 0x5844546c && id.ecx == 0x20202020;
}

void tdx_start(void)
{
    struct tdx_regs r = { 0 };
    unsigned width;

    if (tdx_call(TDG_VP_INFO, &r))
        cc_terminate(CC_UNSUPPORTED);
    width = r.rcx & 63;
    if (width != 48 && width != 52)
        cc_terminate(CC_CBIT);
    x86_facts.shared_mask = 1ull << (width - 1);
    debug = r.rdx & ATTRIBUTE_DEBUG;
    /* Else the host could make any access of ring 0 to private memory trap. */
    if (!(r.rdx & ATTRIBUTE_SEPT_VE_DISABLE))
        cc_terminate(CC_UNSUPPORTED);
}

bool plat_cc_debug(void)
{
    return cc_kind() == CC_TDX && debug;
}

bool plat_tdx(void)
{
    return cc_kind() == CC_TDX;
}

/* One report or digest at a time: the buffers are aligned as the module wants them. */
static ALIGNED(PLAT_TDX_REPORT) uint8_t report[PLAT_TDX_REPORT];
static ALIGNED(PLAT_TDX_DATA) uint8_t given[PLAT_TDX_DATA];
static uint32_t buffer_lock; /* of both */

int plat_tdx_report(const uint8_t data[PLAT_TDX_DATA], uint8_t ret_report[PLAT_TDX_REPORT])
{
    struct tdx_regs r = { .rcx = x86_image_phys(report), .rdx = x86_image_phys(given) };
    uint64_t status;

    if (!plat_tdx())
        return -ENODEV;
    while (__atomic_exchange_n(&buffer_lock, 1, __ATOMIC_ACQUIRE))
        plat_relax();
    x86_copy(given, data, sizeof(given));
    status = tdx_call(TDG_MR_REPORT, &r);
    if (!status)
        x86_copy(ret_report, report, sizeof(report));
    __atomic_store_n(&buffer_lock, 0, __ATOMIC_RELEASE);
    return status ? -EIO : 0;
}

int plat_tdx_extend(unsigned n, const uint8_t digest[PLAT_TDX_DIGEST])
{
    struct tdx_regs r = { .rcx = x86_image_phys(given), .rdx = n };
    uint64_t status;

    if (!plat_tdx())
        return -ENODEV;
    if (n >= RTMRS)
        return -EINVAL;
    while (__atomic_exchange_n(&buffer_lock, 1, __ATOMIC_ACQUIRE))
        plat_relax();
    x86_copy(given, digest, PLAT_TDX_DIGEST);
    status = tdx_call(TDG_MR_RTMR_EXTEND, &r);
    __atomic_store_n(&buffer_lock, 0, __ATOMIC_RELEASE);
    return status ? -EIO : 0;
}

int plat_tdx_get_quote(uint64_t addr, size_t size)
{
    struct tdx_regs r = { .r12 = addr | x86_facts.shared_mask, .r13 = size };

    if (!plat_tdx())
        return -ENODEV;
    return tdx_vmcall(VMCALL_GET_QUOTE, EXPOSE_R12 | EXPOSE_R13, &r) ? -EIO : 0;
}

/* The host raises the vector on the CPU that gave it. GHCI 1.5, 3.5 (TDG.VP.VMCALL<SetupEventNotifyInterrupt>). */
int plat_tdx_quote_notify(void (*fn)(void *arg), void *arg)
{
    struct plat_msi m;
    struct tdx_regs r = { 0 };

    if (!plat_tdx() || plat_msi_attach(plat_cpu_id(), fn, arg, &m))
        return -ENODEV;
    r.r12 = m.data & 0xff;
    if (!tdx_vmcall(VMCALL_SET_NOTIFY, EXPOSE_R12, &r))
        return 0;
    plat_msi_detach(&m);
    return -ENODEV;
}

/* Level 0: 4 KiB, 1: 2 MiB, 2: 1 GiB. False: the host has mapped it in smaller pages. */
static bool accept(uint64_t pa, unsigned level)
{
    struct tdx_regs r = { .rcx = pa | level };
    uint64_t status = tdx_call(TDG_MEM_PAGE_ACCEPT, &r);

    if (status >> 32 == SIZE_MISMATCH && level)
        return false;
    if (status)
        cc_terminate(
            CC_PVALIDATE); /* accepted already means that the host put another page there */
    return true;
}

void tdx_accept(uint64_t start, uint64_t end)
{
    while (start < end) {
        uint64_t size;

        for (unsigned level = 2;; level--) {
            size = PAGE_SIZE << 9 * level;
            if (start % size == 0 && end - start >= size && accept(start, level))
                break;
            if (!level)
                cc_terminate(CC_PVALIDATE);
        }
        start += size;
    }
}

/* The host may stop in the middle and say where. */
void tdx_share(uint64_t pa, uint64_t size)
{
    uint64_t end = pa + size;

    for (unsigned round = 0; round < MAP_ROUNDS; round++) {
        struct tdx_regs r = { .r12 = pa | x86_facts.shared_mask, .r13 = end - pa };
        uint64_t status = tdx_vmcall(VMCALL_MAP_GPA, EXPOSE_R12 | EXPOSE_R13, &r);

        if (!status)
            return;
        r.r11 &= ~x86_facts.shared_mask;
        if (status != MAP_RETRY || r.r11 < pa || r.r11 >= end || r.r11 % PAGE_SIZE)
            break;
        pa = r.r11;
    }
    cc_terminate(CC_PSC_REFUSED);
}

void tdx_halt(void)
{
    tdx_halt_call();
}

void tdx_say(uint8_t c)
{
    struct tdx_regs r = { .r12 = 1, .r13 = 1, .r14 = 0x3f8, .r15 = c };

    (void)tdx_vmcall(VMCALL_IO, EXPOSE_ALL, &r); /* a last word */
}

void tdx_end(enum cc_reason why)
{
    struct tdx_regs r = { .r12 = (uint64_t)why };

    r.rcx = EXPOSE_ALWAYS | 1 << 12;
    r.r11 = VMCALL_FATAL_ERROR;
    (void)tdx_call(TDG_VP_VMCALL, &r);
    __asm__ volatile("cli");
}
