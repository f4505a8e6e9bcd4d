/* SPDX-License-Identifier: MIT */
/* SEV and SEV-ES: the generations before SEV-SNP. Memory is encrypted, and with SEV-ES the registers are when the host runs; nothing
 * keeps the host from putting old or other cipher text into a page, and nobody vouches for what was loaded. SEV needs the
 * C-bit alone: the host serves instructions by itself. SEV-ES raises #VC (vc.c) for them, and further CPUs wait in the
 * firmware, which takes where they go from a table in its memory.
 * Spec: AMD APM volume 2, 15.34 and 15.35; GHCB specification 2.03, 2.3, 4.1 and 4.3. */
#include "boot/boot.h"
#include "cc/cc_int.h"
#include "cc/ghcb.h"
#include "x86_64/cpu.h"
#include "x86_64/kmap.h"
#include "x86_64/x86.h"

#include <base/log.h>

#define MSR_SEV_STATUS 0xc0010131u
#define LEAF_SEV       0x8000001fu

enum {
    STATUS_SEV = 1 << 0,
    STATUS_ES = 1 << 1,
    STATUS_SNP = 1 << 2,
    /* Debug registers that the processor switches, and IBS: they ask nothing of the guest. */
    STATUS_HARMLESS = 1 << 7 | 1 << 14,
    COHERENT = 1 << 10, /* caches know that both addresses are one line */
    C_BIT_MIN = 32,
    C_BIT_MAX = 51,
    CPUID_XSAVE = 0xd,
    JUMP_TABLE_GET = 1,
    CACHE_LINE = 64,
};

static ALIGNED(GHCB_SIZE) struct ghcb first_ghcb;

void sev_protect_boot_tables(uint64_t mask)
{
    struct boot_tables *t = &boot_tables;

    t->root[0] |= mask;
    t->root[256] |= mask;
    t->linear_pdpt[0] |= mask;
    for (unsigned i = 0; i < 512; i++)
        if (t->linear_pd[i])
            t->linear_pd[i] |= mask;
}

/* Does the loader map this image as private memory where it lies? It runs, so the bit that its tables have is the
 * processor's, whatever the host says. */
static bool loader_agrees(uint64_t mask)
{
    uint64_t va = (uintptr_t)&boot_tables, entry = x86_cr3();

    for (unsigned level = 4; level > 0; level--) {
        unsigned shift = 12 + 9 * (level - 1);
        uint64_t size = 1ull << shift, table = entry & PTE_ADDR & ~mask;

        if (table >> 32) /* with another bit, which would not be memory */
            return false;
        entry = ((const uint64_t *)table)[va >> shift & 511];
        if (!(entry & PTE_P))
            return false;
        if (level == 1 || (level < 4 && entry & PTE_LARGE))
            return (entry & PTE_ADDR & ~(size - 1)) == (align_down(va, size) | mask);
    }
    return false;
}

uint64_t sev_mask(unsigned position)
{
    uint64_t mask = 1ull << position;

    if (position < C_BIT_MIN || position > C_BIT_MAX || !loader_agrees(mask))
        cc_terminate(CC_CBIT);
    x86_facts.enc_mask = mask;
    sev_protect_boot_tables(mask);
    return mask;
}

void sev_agree_on_protocol(unsigned need)
{
    uint64_t info = ghcb_msr(GHCB_MSR_SEV_INFO);
    unsigned most = (unsigned)(info >> 48), least = info >> 32 & 0xffff;

    if ((info & 0xfff) != GHCB_MSR_SEV_INFO_ANSWER || most < need || least > 2)
        cc_terminate(CC_GHCB_PROTOCOL);
    ghcb_speak(most < 2 ? most : 2);
}

uint64_t sev_start(enum cc_kind *ret_kind)
{
    uint64_t status = x86_rdmsr(MSR_SEV_STATUS);

    *ret_kind = status & STATUS_ES ? CC_SEV_ES : CC_SEV;
    if (!(status & STATUS_SEV) || status & STATUS_SNP) /* SEV-SNP has a blob */
        cc_terminate(CC_BLOB);
    if (status & ~(uint64_t)(STATUS_SEV | STATUS_ES | STATUS_HARMLESS))
        cc_terminate(CC_UNSUPPORTED);
    if (*ret_kind == CC_SEV_ES)
        sev_agree_on_protocol(1);
    return sev_mask(x86_cpuid(LEAF_SEV, 0).ebx & 63);
}

/* Before there is a page, and on a CPU that has none yet: a register of a leaf at a time, sub-leaf 0 alone. */
static uint32_t cpuid_by_msr(uint32_t leaf, unsigned reg)
{
    uint64_t r = ghcb_msr((uint64_t)leaf << 32 | (uint64_t)reg << 30 | GHCB_MSR_CPUID);

    if ((r & 0xfff) != GHCB_MSR_CPUID_ANSWER)
        cc_terminate(CC_GHCB_ANSWER);
    return (uint32_t)(r >> 32);
}

/* What the host says: SEV-ES has nobody else to ask. Whoever uses it bounds it. */
struct x86_cpuid sev_es_cpuid(uint32_t leaf, uint32_t sub)
{
    struct ghcb_regs r = { .rax = leaf, .rcx = sub, .xcr0 = 1 };
    struct x86_cpuid out = { 0, 0, 0, 0 };
    uint32_t lo, hi;

    if (ghcb_ready()) {
        if (x86_cr4() & CR4_OSXSAVE) {
            __asm__ volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(0));
            r.xcr0 = lo | (uint64_t)hi << 32;
        }
        if (!ghcb_exit(GHCB_EXIT_CPUID, 0, 0,
                       GHCB_RAX | GHCB_RCX | (leaf == CPUID_XSAVE ? GHCB_XCR0 : 0),
                       GHCB_RAX | GHCB_MUST_RBX | GHCB_RCX | GHCB_RDX, &r))
            cc_terminate(CC_GHCB_ANSWER);
        out = (struct x86_cpuid){ (uint32_t)r.rax, (uint32_t)r.rbx, (uint32_t)r.rcx,
                                  (uint32_t)r.rdx };
    } else if (!sub) {
        out = (struct x86_cpuid){ cpuid_by_msr(leaf, 0), cpuid_by_msr(leaf, 1),
                                  cpuid_by_msr(leaf, 2), cpuid_by_msr(leaf, 3) };
    }
    return out;
}

void sev_es_init(void)
{
    sev_flush((uintptr_t)&first_ghcb, sizeof(first_ghcb));
    kmap_share_page((uintptr_t)&first_ghcb);
    x86_clear(&first_ghcb, sizeof(first_ghcb));
    ghcb_set(x86_this_cpu(), &first_ghcb, x86_image_phys((const char *)&first_ghcb));
    if (!ghcb_register(x86_this_cpu()))
        cc_terminate(CC_GHCB_PROTOCOL);
}

void sev_flush(uintptr_t va, uint64_t size)
{
    if (x86_cpuid(LEAF_SEV, 0).eax & COHERENT)
        return;
    for (uint64_t at = 0; at < size; at += CACHE_LINE)
        __asm__ volatile("clflush (%0)" : : "r"(va + at) : "memory");
    __asm__ volatile("mfence" : : : "memory");
}

bool cc_hand_over_cpus(uint64_t low)
{
    struct ghcb_regs r = { 0 };
    volatile uint16_t *table;

    if (cc_kind() != CC_SEV_ES)
        return true;
    if (!ghcb_exit(GHCB_EXIT_AP_JUMP_TABLE, JUMP_TABLE_GET, 0, 0, GHCB_INFO2, &r))
        cc_terminate(CC_GHCB_ANSWER);
    table = r.info2 && r.info2 % PAGE_SIZE == 0 ? kmap_firmware(r.info2, PAGE_SIZE) : NULL;
    if (!table) {
        log_warn("the CPUs' jump table at 0x%lx is not in the firmware's memory: they are not used",
                 (unsigned long)r.info2);
        return false;
    }
    table[0] = 0; /* ip, cs: the page's first byte */
    table[1] = (uint16_t)(low >> 4);
    return true;
}

NORETURN void sev_end(void)
{
    const struct PACKED {
        uint16_t limit;
        uint64_t base;
    } none = { 0, 0 };

    for (;;) /* a triple fault, which any host takes for the end */
        __asm__ volatile("lidt %0; ud2" : : "m"(none));
}
