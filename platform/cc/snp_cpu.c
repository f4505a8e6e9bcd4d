/* SPDX-License-Identifier: MIT */
/* Further CPUs of an SEV-SNP guest: the state in which one starts is a page of the guest (VMSA), made unwritable for the
 * host by the processor; the host is only told where it is. Nothing of what a start-up IPI or a firmware's mailbox does is
 * needed. Spec: AMD APM volume 2, 15.36.8 and table B-4; GHCB specification 2.03, 4.1.9. */
#include "cc/cc_int.h"
#include "cc/ghcb.h"
#include "x86_64/cpu.h"
#include "x86_64/kmap.h"
#include "x86_64/x86.h"

#include <plat/cc.h>
#include <plat/dma.h>
#include <plat/mem.h>
#include <plat/upcall.h>

struct PACKED segment {
    uint16_t selector, attributes;
    uint32_t limit;
    uint64_t base;
};

/* As far as it is set; all other fields start as zero. */
struct PACKED vmsa {
    struct segment es, cs, ss, ds, fs, gs, gdtr, ldtr, idtr, tr;
    uint8_t pad0[0xca - 0xa0];
    uint8_t vmpl, cpl;
    uint32_t pad1;
    uint64_t efer;
    uint8_t pad2[0x148 - 0xd8];
    uint64_t cr4, cr3, cr0, dr7, dr6, rflags, rip;
    uint8_t pad3[0x268 - 0x180];
    uint64_t pat;
    uint8_t pad4[0x2f0 - 0x270];
    uint64_t tsc_scale, tsc_offset;
    uint8_t pad8[0x3b0 - 0x300];
    uint64_t sev_features;
    uint8_t pad5[0x3e8 - 0x3b8];
    uint64_t xcr0;
    uint8_t pad6[0x408 - 0x3f0];
    uint32_t mxcsr;
    uint16_t ftw, fsw, fcw;
    uint8_t pad7[PAGE_SIZE - 0x412];
};
_Static_assert(sizeof(struct vmsa) == PAGE_SIZE, "");
_Static_assert(offsetof(struct vmsa, efer) == 0xd0, "");
_Static_assert(offsetof(struct vmsa, rip) == 0x178, "");
_Static_assert(offsetof(struct vmsa, tsc_scale) == 0x2f0, "");
_Static_assert(offsetof(struct vmsa, fcw) == 0x410, "");

enum {
    MSR_PAT = 0x277,
    EFER_START =
        0x1d01, /* SVME NXE LMA LME SCE: what x86_cpu_init expects, and SVME, which VMRUN wants */
    CR0_START = (int)0x80050033,
    SEGMENT_CODE64 = 0x29b,
    SEGMENT_DATA = 0xc93,
    SEGMENT_LDT = 0x82,
    SEGMENT_TSS = 0x8b,
    CREATE_NOW = 1,
    /* RMPADJUST: the least privileged level that may be named, whose rights do not change, and "is a VMSA". */
    ADJUST_VMSA = 1 << 16 | 1,
};

/* SecureTSC: how each CPU's counter is made of the machine's; scale 0: not known. */
static struct {
    uint64_t scale, offset;
} counter;

bool plat_snp_secure_tsc(void)
{
    return plat_snp() && snp_secure_tsc();
}

void plat_snp_set_counter(uint64_t scale, uint64_t offset)
{
    counter.scale = scale;
    counter.offset = offset;
}

bool snp_prepare_cpu(struct x86_cpu *c)
{
    struct plat_dma page;

    if (!plat_dma_is_pooled() || plat_dma_alloc(GHCB_SIZE, &page))
        return false;
    ghcb_set(c, page.ptr, page.addr);
    return true;
}

/* From now on the page is a CPU's state: neither the guest nor the host writes to it. */
static bool make_vmsa(const struct vmsa *page)
{
    uint32_t result;

    __asm__ volatile(".byte 0xf3, 0x0f, 0x01, 0xfe"
                     : "=a"(result)
                     : "a"(page), "c"(0), "d"(ADJUST_VMSA)
                     : "memory", "cc");
    return result == 0;
}

static void fill(struct vmsa *v, uintptr_t entry)
{
    x86_clear(v, sizeof(*v));
    v->cs = (struct segment){ 0x08, SEGMENT_CODE64, UINT32_MAX, 0 };
    v->ss = v->ds = v->es = v->fs = v->gs = (struct segment){ 0x10, SEGMENT_DATA, UINT32_MAX, 0 };
    v->ldtr = (struct segment){ 0, SEGMENT_LDT, 0xffff, 0 };
    v->tr = (struct segment){ 0, SEGMENT_TSS, 0xffff, 0 };
    v->efer = EFER_START;
    v->cr4 = CR4_PAE;
    v->cr3 = kmap_root_phys() | x86_facts.enc_mask;
    v->cr0 = (uint32_t)CR0_START;
    v->dr6 = 0xffff0ff0;
    v->dr7 = 0x400;
    v->rflags = 2;
    v->rip = entry;
    v->pat = x86_rdmsr(MSR_PAT);
    v->vmpl = (uint8_t)svsm_level();
    v->sev_features = snp_features();
    v->tsc_scale = counter.scale;
    v->tsc_offset = counter.offset;
    v->xcr0 = 1;
    v->mxcsr = 0x1f80;
    v->fcw = 0x37f;
}

/* A page for the state; never one that begins a large page, which the first processors of the kind did not protect. */
static struct vmsa *state_page(paddr_t *ret_pa)
{
    paddr_t first = upcall_page_alloc(), pa = first;

    if (first.v && first.v % LARGE_SIZE == 0) {
        pa = upcall_page_alloc();
        upcall_page_free(first);
    }
    *ret_pa = pa;
    return pa.v ? plat_phys_to_virt(pa) : NULL;
}

bool snp_start_cpu(uint32_t apic_id, uintptr_t entry)
{
    struct ghcb_regs r = { .rax = snp_features() };
    paddr_t pa;
    struct vmsa *v;

    if (!snp_creates_cpus() || (snp_secure_tsc() && !counter.scale) || !(v = state_page(&pa)))
        return false;
    fill(v, entry);
    if (svsm_level() ? !svsm_create_cpu(apic_id, pa.v) : !make_vmsa(v)) {
        upcall_page_free(pa);
        return false;
    }
    /* The page is the CPU's for good, even when it does not come: the host may start it late. */
    return ghcb_exit(GHCB_EXIT_AP_CREATION,
                     (uint64_t)apic_id << 32 | svsm_level() << 16 | CREATE_NOW, pa.v, GHCB_RAX, 0,
                     &r);
}
