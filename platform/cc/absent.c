/* SPDX-License-Identifier: MIT */
/* In place of confidential guests in a libOS that is linked without them. In such a guest it ends at once, before it has
 * used anything that the host could have changed: by the GHCB's request to terminate, or by a halt that nobody serves. */
#include "boot/boot.h"
#include "boot/image.h"
#include "cc/cc.h"
#include "cc/doorbell.h"
#include "x86_64/x86.h"

#include <abi/errno.h>
#include <plat/cc.h>

#define MSR_GHCB       0xc0010130u
#define GHCB_TERMINATE 0x100u
#define LEAF_TDX       0x21u

enum cc_kind cc_kind(void)
{
    return CC_NONE;
}

const char *cc_name(void)
{
    return "";
}

struct x86_cpuid x86_cpuid(uint32_t leaf, uint32_t sub)
{
    return x86_cpuid_raw(leaf, sub);
}

static NORETURN void end(bool snp)
{
    for (;;) {
        if (snp) {
            x86_wrmsr(MSR_GHCB, GHCB_TERMINATE | CC_UNSUPPORTED << 16);
            __asm__ volatile("rep; vmmcall");
        }
        __asm__ volatile("hlt");
    }
}

uint64_t cc_start(const struct boot_start_info *info)
{
    if (info->flags & ALCOVE_START_CC)
        end(true);
    if (x86_cpuid_raw(0, 0).eax >= LEAF_TDX) {
        struct x86_cpuid id = x86_cpuid_raw(LEAF_TDX, 0);
        if (id.ebx == 0x65746e49 && id.edx == 0x5844546c) /* "IntelTDX" */
            end(false);
    }
    return 0;
}

void cc_init(void)
{
}

void cc_report(void)
{
}

uint64_t cc_counter_hz(void)
{
    return 0;
}

bool cc_counter_moves(void)
{
    return false;
}

void cc_accept(uint64_t start, uint64_t end, bool mapped)
{
}

void cc_share(uint64_t pa, uint64_t size)
{
}

bool cc_trap(unsigned long error, struct plat_frame *f, bool from_user)
{
    return false;
}

bool cc_halt(void)
{
    return false;
}

bool doorbell_rings(struct plat_frame *f, bool from_user)
{
    return false;
}

bool doorbell_serve(struct plat_frame *f)
{
    return false;
}

bool doorbell_halt(void)
{
    return false;
}

bool doorbell_ended(void)
{
    return false;
}

bool plat_snp(void)
{
    return false;
}

bool plat_cc_debug(void)
{
    return false;
}

bool plat_tdx(void)
{
    return false;
}

int plat_tdx_report(const uint8_t data[PLAT_TDX_DATA], uint8_t ret_report[PLAT_TDX_REPORT])
{
    return -ENODEV;
}

int plat_tdx_extend(unsigned n, const uint8_t digest[PLAT_TDX_DIGEST])
{
    return -ENODEV;
}

bool cc_prepare_cpu(struct x86_cpu *c)
{
    return true;
}

void cc_init_cpu(struct x86_cpu *c)
{
}

bool cc_hand_over_cpus(uint64_t low)
{
    return true;
}

bool cc_starts_cpus(void)
{
    return false;
}

bool cc_start_cpu(uint32_t apic_id, uintptr_t entry)
{
    return false;
}
