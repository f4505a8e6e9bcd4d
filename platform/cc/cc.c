/* SPDX-License-Identifier: MIT */
/* Which kind of confidential guest this is, and the ends that they have in common. Set once, at the identity mapping. */
#include "cc/cc_int.h"
#include "cc/cpuid.h"
#include "cc/doorbell.h"
#include "cc/ghcb.h"

#include "boot/boot.h"
#include "boot/image.h"
#include "x86_64/kmap.h"
#include "x86_64/x86.h"

#include <base/log.h>
#include <plat/mem.h>

enum { COM1 = 0x3f8 };

static enum cc_kind kind;

enum cc_kind cc_kind(void)
{
    return kind;
}

const char *cc_name(void)
{
    static const char names[][8] = { "", "sev", "sev-es", "snp", "tdx" };

    return names[kind];
}

/* Whether the host serves instructions through a GHCB. */
static bool has_ghcb(void)
{
    return kind == CC_SEV_ES || kind == CC_SNP;
}

uint64_t cc_start(const struct boot_start_info *info)
{
    uint64_t mask = 0;

    if (info->flags & ALCOVE_START_CC && info->cc_blob) {
        kind = CC_SNP;
        mask = snp_start(info->cc_blob);
    } else if (info->flags & ALCOVE_START_CC) {
        mask = sev_start(&kind);
    } else if (tdx_detect()) {
        kind = CC_TDX;
        tdx_start();
    }
    return mask;
}

void cc_init(void)
{
    if (kind == CC_SNP)
        snp_init();
    else if (kind == CC_SEV_ES)
        sev_es_init();
}

void cc_report(void)
{
    if (kind == CC_TDX && tdx_debug())
        log_warn("this confidential guest can be debugged by its host: nothing in it is secret");
}

uint64_t cc_counter_hz(void)
{
    return kind == CC_SNP ? snp_counter_hz() : 0;
}

bool cc_counter_moves(void)
{
    return kind != CC_NONE && kind != CC_TDX && !(kind == CC_SNP && snp_secure_tsc());
}

void cc_accept(uint64_t start, uint64_t end, bool mapped)
{
    if (kind == CC_SNP)
        snp_accept(start, end, mapped);
    else if (kind == CC_TDX)
        tdx_accept(start, end);
}

void cc_share(uint64_t pa, uint64_t size)
{
    if (kind == CC_NONE)
        return;
    if (kind == CC_SNP)
        snp_share(pa, size);
    else if (kind == CC_TDX)
        tdx_share(pa, size);
    else
        sev_flush((uintptr_t)plat_phys_to_virt(PADDR(pa)), size);
    kmap_linear_share(pa, size);
    x86_clear(plat_phys_to_virt(PADDR(pa)), size);
}

bool cc_prepare_cpu(struct x86_cpu *c)
{
    return !has_ghcb() || (snp_prepare_cpu(c) && doorbell_prepare(c));
}

void cc_init_cpu(struct x86_cpu *c)
{
    if (kind == CC_SNP && !ghcb_register(c))
        cc_terminate(CC_GHCB_PROTOCOL);
    doorbell_register(c);
}

bool cc_starts_cpus(void)
{
    return kind == CC_SNP;
}

bool cc_start_cpu(uint32_t apic_id, uintptr_t entry)
{
    return snp_start_cpu(apic_id, entry);
}

bool cc_trap(unsigned long error, struct plat_frame *f, bool from_user)
{
    if (has_ghcb())
        return snp_vc(error, f, from_user);
    return kind == CC_TDX && tdx_ve(f, from_user);
}

bool cc_halt(void)
{
    if (kind != CC_TDX)
        return false;
    tdx_halt();
    return true;
}

struct x86_cpuid x86_cpuid(uint32_t leaf, uint32_t sub)
{
    struct x86_cpuid r;

    if (!has_ghcb())
        return x86_cpuid_raw(leaf, sub);
    r = kind == CC_SNP ? snp_cpuid(leaf, sub) : sev_es_cpuid(leaf, sub);
    r.ecx = cc_cpuid_enabled(leaf, sub, x86_cr4(), r.ecx);
    return r;
}

static const char *reason_text(enum cc_reason why)
{
    switch (why) {
    case CC_GHCB_PROTOCOL:
        return "the host speaks no version of the GHCB protocol that is known here";
    case CC_UNSUPPORTED:
        return "it has a feature that this version does not support";
    case CC_PSC_REFUSED:
        return "the host did not change a page's state";
    case CC_PVALIDATE:
        return "a page could not be accepted, or was already";
    case CC_NOT_VALIDATED:
        return "the host took a page away";
    case CC_VC_MISMATCH:
        return "an exit does not fit its instruction";
    case CC_VC_UNSUPPORTED:
        return "an exit that is not supported";
    case CC_GHCB_ANSWER:
        return "a malformed answer of the host";
    case CC_COUNTER:
        return "the host serves the time, which is the processor's";
    case CC_SVSM:
        return "the module at VMPL 0 does not answer";
    case CC_DOORBELL:
        return "the host announces an event that it may not, or refuses the doorbell page";
    case CC_CBIT:
        return "no such encryption bit";
    case CC_MMIO_PRIVATE:
        return "a device access outside of device memory";
    default:
        return "an error";
    }
}

static void say(const char *text)
{
    for (; *text; text++)
        switch (kind) {
        case CC_TDX:
            tdx_say((uint8_t)*text);
            break;
        case CC_SNP:
        case CC_SEV_ES:
            snp_say((uint8_t)*text);
            break;
        default:
            x86_out8(COM1, (uint8_t)*text);
        }
}

NORETURN void cc_terminate(enum cc_reason why)
{
    static bool ending;

    if (!ending) {
        ending = true;
        say("alcove: the confidential guest ends itself: ");
        say(reason_text(why));
        say("\r\n");
    }
    if (kind == CC_SEV)
        sev_end();
    for (;;)
        kind == CC_TDX ? tdx_end(why) : snp_end(why);
}
