/* SPDX-License-Identifier: MIT */
/* SEV-SNP: what the processor vouches for, the pages that the guest accepts, and the way out. What the loader says in its
 * blob is believed only as far as SEV_STATUS, which the host cannot intercept, and the CPUID page, which the security
 * processor has checked, bear it out. */
#include "boot/boot.h"
#include "cc/cc_int.h"
#include "cc/cpuid.h"
#include "cc/doorbell.h"
#include "cc/ghcb.h"
#include "x86_64/cpu.h"
#include "x86_64/kmap.h"
#include "x86_64/x86.h"

#include <base/log.h>
#include <plat/mem.h>

#define MSR_SEV_STATUS 0xc0010131u
#define MSR_TSC_FREQ   0xc0010134u
#define LEAF_SEV       0x8000001fu

/* struct cc_blob_sev_info of Linux, which UEFI firmware hands over too. */
struct PACKED cc_blob {
    uint32_t magic;
    uint16_t version, reserved0;
    uint64_t secrets_pa;
    uint32_t secrets_size, reserved1;
    uint64_t cpuid_pa;
    uint32_t cpuid_size, reserved2;
};

enum {
    BLOB_MAGIC = 0x45444d41, /* "AMDE" */
    STATUS_SNP = 7,          /* SEV, SEV-ES and SEV-SNP are on */
    STATUS_RESTRICTED =
        1
        << 5, /* injection: a relinked program, which runs with interrupts on in ring 0, cannot do with it */
    STATUS_SECURE_TSC = 1 << 11,
    STATUS_SERVED = STATUS_SECURE_TSC | (CONFIG_RELINK ? 0 : STATUS_RESTRICTED),
    FREQ_MHZ = 0x3ffff,
    /* Features that ask nothing of the guest: DebugSwap, PreventHostIBS, BTB isolation, IBS virtualisation, SMT
     * protection, IBPB on entry. Every other bit means code that is not here. */
    STATUS_HARMLESS = 1 << 7 | 1 << 8 | 1 << 9 | 1 << 14 | 1 << 17 | 1 << 23,
    FEATURE_SNP = 1,
    FEATURE_AP_CREATION = 2,
    FEATURE_RESTRICTED = 1 << 2,
    FEATURE_LEVELS = 1 << 5,
    SVSM_LARGE = 1,
    SVSM_VALIDATE = 1 << 2,
    PSC_MAX = 253,
    PSC_ROUNDS = 1000,
    PVALIDATE_SIZE_MISMATCH = 6,
};
#define PSC_PRIVATE (1ull << 52)
#define PSC_SHARED  (2ull << 52)
#define PSC_LARGE   (1ull << 56)

static struct cc_cpuid_table table;
static ALIGNED(GHCB_SIZE) struct ghcb first_ghcb;
static uint64_t host_features; /* as answered */
static uint64_t sev_status;

static uint64_t xcr0(void)
{
    uint32_t lo, hi;

    if (!(x86_cr4() & CR4_OSXSAVE))
        return 1;
    __asm__ volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(0));
    return lo | (uint64_t)hi << 32;
}

struct x86_cpuid snp_cpuid(uint32_t leaf, uint32_t sub)
{
    struct x86_cpuid r;
    uint32_t out[4];

    cc_cpuid_lookup(&table, leaf, sub, xcr0(), out);
    r = (struct x86_cpuid){ out[0], out[1], out[2], out[3] };
    return r;
}

void snp_say(uint8_t c)
{
    struct ghcb_regs r = { .rax = c };

    if (ghcb_ready() && !ghcb_exit(GHCB_EXIT_IOIO, 0x3f8u << 16 | 1 << 4, 0, GHCB_RAX, 0, &r))
        return; /* a last word: there is nothing else to do about it */
}

void snp_end(enum cc_reason why)
{
    (void)ghcb_msr((uint64_t)((uint32_t)why & 0xff) << 16 | (uint64_t)((uint32_t)why >> 8) << 12 |
                   GHCB_MSR_TERMINATE);
    __asm__ volatile("cli; hlt");
}

bool snp_creates_cpus(void)
{
    return host_features >> 12 & FEATURE_AP_CREATION;
}

uint64_t snp_features(void)
{
    return sev_status >> 2;
}

bool snp_restricted(void)
{
    return sev_status & STATUS_RESTRICTED;
}

bool snp_secure_tsc(void)
{
    return sev_status & STATUS_SECURE_TSC;
}

/* The register is the processor's: the host cannot have it served by itself (vc.c). */
uint64_t snp_counter_hz(void)
{
    uint64_t hz;

    if (!snp_secure_tsc())
        return 0;
    hz = (x86_rdmsr(MSR_TSC_FREQ) & FREQ_MHZ) * 1000000;
    return hz - hz / 100000 * snp_tsc_factor();
}

uint64_t snp_start(uint64_t blob_pa)
{
    const struct cc_blob *blob = (const struct cc_blob *)blob_pa;
    const struct cc_cpuid_table *loaded;
    uint32_t sev[4];
    uint64_t status;

    if (blob->magic != BLOB_MAGIC || blob->cpuid_pa % PAGE_SIZE || blob->cpuid_pa >> 30 ||
        blob->cpuid_size < sizeof(*loaded) || !blob->secrets_pa || blob->secrets_pa % PAGE_SIZE ||
        blob->secrets_pa >> 30 || blob->secrets_size < PAGE_SIZE)
        cc_terminate(CC_BLOB);
    status = x86_rdmsr(MSR_SEV_STATUS);
    if ((status & STATUS_SNP) != STATUS_SNP)
        cc_terminate(CC_BLOB);
    if (status & ~(uint64_t)(STATUS_SNP | STATUS_SERVED | STATUS_HARMLESS))
        cc_terminate(CC_UNSUPPORTED);
    sev_status = status;
    loaded = (const struct cc_cpuid_table *)blob->cpuid_pa;
    x86_copy(&table, loaded, sizeof(table));
    snp_secrets_read(blob->secrets_pa);
    cc_cpuid_lookup(&table, LEAF_SEV, 0, 1, sev);
    return sev_mask(sev[1] & 63);
}

/* 0, PVALIDATE_SIZE_MISMATCH, or the end of the guest. "No change" means that the page was in that state already: when it is
 * to be validated, somebody had put another page there. */
static unsigned pvalidate(uintptr_t va, bool large, bool validate)
{
    uint32_t result;
    bool unchanged;

    __asm__ volatile(".byte 0xf2, 0x0f, 0x01, 0xff"
                     : "=a"(result), "=@ccc"(unchanged)
                     : "a"(va), "c"((uint32_t)large), "d"((uint32_t)validate)
                     : "memory");
    if (result == PVALIDATE_SIZE_MISMATCH && large)
        return result;
    if (result || unchanged)
        cc_terminate(CC_PVALIDATE);
    return 0;
}

static void agree_on_protocol(void)
{
    sev_agree_on_protocol(2);
    host_features = ghcb_msr(GHCB_MSR_FEATURES);
    if ((host_features & 0xfff) != GHCB_MSR_FEATURES_ANSWER || !(host_features >> 12 & FEATURE_SNP))
        cc_terminate(CC_UNSUPPORTED);
}

void snp_share_page(uintptr_t va, uint64_t pa)
{
    if (svsm_level())
        svsm_validate((uint64_t[]){ pa }, 1);
    else
        (void)pvalidate(va, false, false);
    if (ghcb_msr(PSC_SHARED | pa | GHCB_MSR_PSC) != GHCB_MSR_PSC_ANSWER)
        cc_terminate(CC_PSC_REFUSED);
    kmap_share_page(va);
    x86_clear((void *)va, PAGE_SIZE);
}

void snp_init(void)
{
    uint64_t pa = x86_image_phys((const char *)&first_ghcb);

    agree_on_protocol();
    snp_find_svsm();
    if ((svsm_level() && !(host_features >> 12 & FEATURE_LEVELS)) ||
        (snp_restricted() && !(host_features >> 12 & FEATURE_RESTRICTED)))
        cc_terminate(CC_UNSUPPORTED);
    snp_share_page((uintptr_t)&first_ghcb, pa);
    ghcb_set(x86_this_cpu(), &first_ghcb, pa);
    if (!ghcb_register(x86_this_cpu()))
        cc_terminate(CC_GHCB_PROTOCOL);
    doorbell_register(x86_this_cpu());
}

struct PACKED psc_list {
    uint16_t cur, end;
    uint32_t reserved;
    uint64_t entries[PSC_MAX];
};

/* Ask for all of the list, as often as the host stops in the middle. */
static void change_states(struct psc_list *todo)
{
    struct psc_list head;

    for (unsigned round = 0; round < PSC_ROUNDS; round++) {
        struct ghcb_regs r = { 0 };

        ghcb_buffer_put(todo, sizeof(*todo));
        if (!ghcb_exit(GHCB_EXIT_PSC, 0, 0, GHCB_SCRATCH, 0, &r) || r.info2)
            cc_terminate(CC_PSC_REFUSED);
        ghcb_buffer_get(&head, offsetof(struct psc_list, entries));
        if (head.cur < todo->cur || head.cur > todo->end + 1)
            cc_terminate(CC_PSC_REFUSED);
        if (head.cur == todo->end + 1)
            return;
        todo->cur = head.cur;
    }
    cc_terminate(CC_PSC_REFUSED);
}

/* [va, va + size), 4 KiB or 2 MiB; in small pages where the host has broken a large one up. */
static void validate(uintptr_t va, uint64_t size, bool on)
{
    if (size == LARGE_SIZE && pvalidate(va, true, on) == 0)
        return;
    for (uint64_t at = 0; at < size; at += PAGE_SIZE)
        (void)pvalidate(va + at, false, on);
}

/* Fill the list from start on, in pages as large as they come; where it ended. */
static uint64_t fill_list(struct psc_list *list, uint64_t start, uint64_t end, uint64_t operation)
{
    unsigned n = 0;

    for (; start < end && n < PSC_MAX; n++) {
        bool large = start % LARGE_SIZE == 0 && end - start >= LARGE_SIZE;
        list->entries[n] = start | operation | (large ? PSC_LARGE : 0);
        start += large ? LARGE_SIZE : PAGE_SIZE;
    }
    list->cur = 0;
    list->end = (uint16_t)(n - 1);
    return start;
}

/* All of the list, by the module at VMPL 0. */
static void validate_list(const struct psc_list *l, bool on)
{
    static uint64_t entries[PSC_MAX];

    for (unsigned i = 0; i <= l->end; i++)
        entries[i] = (l->entries[i] & PTE_ADDR) | (l->entries[i] & PSC_LARGE ? SVSM_LARGE : 0) |
                     (on ? SVSM_VALIDATE : 0);
    svsm_validate(entries, l->end + 1u);
}

static struct psc_list list; /* boot runs on one CPU; plat_mem_accept has one caller at a time */

void snp_accept(uint64_t start, uint64_t end, bool mapped)
{
    while (start < end) {
        uint64_t stop = fill_list(&list, start, end, PSC_PRIVATE);

        change_states(&list);
        if (svsm_level()) {
            list.cur = 0;
            validate_list(&list, true);
            start = stop;
        }
        while (start < stop) {
            uint64_t size =
                start % LARGE_SIZE == 0 && end - start >= LARGE_SIZE ? LARGE_SIZE : PAGE_SIZE;

            const void *va = mapped ? plat_phys_to_virt(PADDR(start)) : boot_window(start, size);

            validate((uintptr_t)va, size, true);
            start += size;
        }
    }
}

void snp_share(uint64_t pa, uint64_t size)
{
    for (uint64_t end = pa + size; pa < end;) {
        uint64_t stop = fill_list(&list, pa, end, PSC_SHARED);

        if (svsm_level()) {
            validate_list(&list, false);
            pa = stop;
        }
        for (; pa < stop; pa += LARGE_SIZE)
            validate((uintptr_t)plat_phys_to_virt(PADDR(pa)), LARGE_SIZE, false);
        change_states(&list);
    }
}
