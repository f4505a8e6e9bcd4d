/* SPDX-License-Identifier: MIT */
/* The secure VM service module: software of the guest's owner at VMPL 0, with the guest at a level above, where the processor
 * lets it change neither validation nor rights of pages. What needs these is asked of the module by a page that the two
 * share (the calling area), one per CPU; the host only switches. It may refuse to, which shows: the call stays pending.
 * Spec: Secure VM Service Module for SEV-SNP Guests 1.01, chapters 5 to 7. */
#include "boot/boot.h"
#include "cc/cc_int.h"
#include "cc/ghcb.h"
#include "x86_64/cpu.h"
#include "x86_64/x86.h"

#include <abi/errno.h>
#include <plat/cc.h>
#include <plat/mem.h>
#include <plat/upcall.h>

struct PACKED area {
    uint8_t call_pending, mem_available, reserved[6];
    uint8_t buffer[PAGE_SIZE - 8];
};
_Static_assert(sizeof(struct area) == PAGE_SIZE, "");

/* Parameters, and what comes back in the same registers. */
struct call {
    uint64_t rcx, rdx, r8, r9;
};

struct PACKED validate_list {
    uint16_t count, next;
    uint32_t reserved;
    uint64_t entries[SVSM_LIST_MAX];
};

struct PACKED location {
    uint64_t pa;
    uint32_t length, reserved;
};
struct PACKED attest {
    struct location report, nonce, manifest, certs;
    uint8_t guid[16];
    uint32_t version, reserved;
    uint8_t nonce_bytes[PLAT_SVSM_NONCE];
};

enum {
    CORE = 0,
    CORE_REMAP_CA = 0,
    CORE_PVALIDATE = 1,
    CORE_CREATE_VCPU = 2,
    ATTEST = 1,
    ATTEST_SERVICES = 0,
    ATTEST_SINGLE_SERVICE = 1,
    ENTRY_LARGE = 1,
    ENTRY_VALIDATE = 1 << 2,
    HALF = 256, /* small pages of half a large one */
    ROUNDS = 1000,
    MSR_VMPL = 0x016,
    MSR_VMPL_ANSWER = 0x017,
    LEVELS = 4,
};
#define ERR_INCOMPLETE        0x80000000ull
#define ERR_UNSUPPORTED       0x80000002ull /* this and the one before: protocol, call */
#define ERR_INVALID_PARAMETER 0x80000005ull
#define ERR_SIZE_MISMATCH     0x80001006ull

static ALIGNED(PAGE_SIZE) struct area first_area;
static struct {
    uint32_t apic_id;
    struct area *area;
} others[PLAT_CPU_MAX];
static unsigned other_count; /* grows on the first CPU alone, before the CPU runs */
static unsigned level;       /* this guest's; 0: there is no module */

unsigned svsm_level(void)
{
    return level;
}

static uint64_t phys(const struct area *a)
{
    return a == &first_area ? x86_image_phys(a) : plat_virt_to_phys(a).v;
}

/* This CPU's. Which one the module knows goes by the APIC id that the CPU was created with. */
static struct area *this_area(void)
{
    struct x86_cpu *c = x86_this_cpu();

    for (unsigned i = 0; c->p.cpu && i < other_count; i++)
        if (others[i].apic_id == c->apic_id)
            return others[i].area;
    if (c->p.cpu)
        cc_terminate(CC_SVSM);
    return &first_area;
}

static uint64_t call_by(volatile struct area *a, unsigned protocol, unsigned number, struct call *c)
{
    uint64_t status = (uint64_t)protocol << 32 | number;
    register uint64_t r8 __asm__("r8") = c->r8;
    register uint64_t r9 __asm__("r9") = c->r9;

    a->call_pending = 1;
    x86_wrmsr(MSR_GHCB, MSR_VMPL); /* VMPL 0 */
    __asm__ volatile(".byte 0xf3, 0x0f, 0x01, 0xd9"
                     : "+a"(status), "+c"(c->rcx), "+d"(c->rdx), "+r"(r8), "+r"(r9)
                     :
                     : "memory");
    c->r8 = r8;
    c->r9 = r9;
    if (x86_rdmsr(MSR_GHCB) != MSR_VMPL_ANSWER ||
        __atomic_exchange_n(&a->call_pending, 0, __ATOMIC_SEQ_CST))
        cc_terminate(CC_SVSM);
    return status;
}

void svsm_init(uint64_t base, uint64_t size, uint64_t area_pa, unsigned version, unsigned vmpl)
{
    struct call c = { .rcx = x86_image_phys(&first_area) };
    struct area *theirs;

    if (!version || !vmpl || vmpl >= LEVELS || area_pa % PAGE_SIZE || area_pa < base ||
        area_pa - base >= size || !(theirs = boot_window(area_pa, PAGE_SIZE)))
        cc_terminate(CC_BLOB);
    level = vmpl;
    if (call_by(theirs, CORE, CORE_REMAP_CA, &c))
        cc_terminate(CC_SVSM);
}

/* Number of entries that were done; less than n: the next one is a large page, which is not one for the host. */
static unsigned validate_some(const uint64_t *entries, unsigned n)
{
    struct area *a = this_area();
    volatile struct validate_list *list = (void *)a->buffer;

    list->count = (uint16_t)n;
    list->next = 0;
    list->reserved = 0;
    for (unsigned i = 0; i < n; i++)
        list->entries[i] = entries[i];
    for (unsigned round = 0; round < ROUNDS; round++) {
        struct call c = { .rcx = phys(a) + offsetof(struct area, buffer) };
        uint64_t status = call_by(a, CORE, CORE_PVALIDATE, &c);
        unsigned next = list->next;

        if (!status)
            return n;
        if (status == ERR_SIZE_MISMATCH && next < n && entries[next] & ENTRY_LARGE)
            return next;
        if (status != ERR_INCOMPLETE)
            break; /* "no change" among them: somebody had put another page there */
    }
    cc_terminate(CC_PVALIDATE);
}

static void validate_small(uint64_t entry)
{
    static uint64_t small[HALF];
    uint64_t pa = entry & PAGE_MASK;

    for (unsigned half = 0; half < LARGE_SIZE / PAGE_SIZE / HALF; half++) {
        for (unsigned i = 0; i < HALF; i++, pa += PAGE_SIZE)
            small[i] = pa | (entry & ENTRY_VALIDATE);
        (void)validate_some(small, HALF);
    }
}

void svsm_validate(uint64_t *entries, unsigned n)
{
    for (unsigned i = 0; i < n;) {
        i += validate_some(entries + i, n - i);
        if (i < n)
            validate_small(entries[i++]);
    }
}

bool svsm_create_cpu(uint32_t apic_id, uint64_t vmsa_pa)
{
    struct call c = { .rcx = vmsa_pa, .r8 = apic_id };
    paddr_t page = upcall_page_alloc();
    struct area *a;

    if (!page.v || other_count == PLAT_CPU_MAX)
        return false;
    a = plat_phys_to_virt(page);
    x86_clear(a, sizeof(*a));
    c.rdx = page.v;
    if (call_by(this_area(), CORE, CORE_CREATE_VCPU, &c)) {
        upcall_page_free(page);
        return false;
    }
    others[other_count].apic_id = apic_id;
    others[other_count++].area = a;
    return true;
}

unsigned plat_svsm(void)
{
    return cc_kind() == CC_SNP ? level : 0;
}

static struct location place(const void *p, size_t n)
{
    return (struct location){ p ? plat_virt_to_phys(p).v : 0, p ? (uint32_t)n : 0, 0 };
}

int plat_svsm_attest(struct plat_svsm_attest *q)
{
    struct area *a;
    struct call c = { 0 };
    struct attest r;
    uint64_t status, request;

    if (!plat_svsm())
        return -ENODEV;
    a = this_area();
    r = (struct attest){ .report = place(q->report, q->report_size),
                         .manifest = place(q->manifest, q->manifest_size),
                         .certs = place(q->certs, q->certs_size),
                         .version = q->version };
    r.nonce = (struct location){ phys(a) + offsetof(struct area, buffer) +
                                     offsetof(struct attest, nonce_bytes),
                                 PLAT_SVSM_NONCE, 0 };
    x86_copy(r.guid, q->guid, sizeof(r.guid));
    x86_copy(r.nonce_bytes, q->nonce, PLAT_SVSM_NONCE);
    x86_copy(a->buffer, &r, sizeof(r));
    c.rcx = request = phys(a) + offsetof(struct area, buffer);
    status = call_by(a, ATTEST, q->single ? ATTEST_SINGLE_SERVICE : ATTEST_SERVICES, &c);
    if (status == ERR_INVALID_PARAMETER && c.rcx != request && /* else sizes are not told */
        (c.rcx > q->manifest_size || c.rdx > q->certs_size || c.r8 > q->report_size))
        return -ENOSPC;
    if (status == ERR_INVALID_PARAMETER)
        return -EINVAL;
    if (status || c.rcx > q->manifest_size || c.rdx > q->certs_size || c.r8 > q->report_size)
        return status && status <= ERR_UNSUPPORTED ? -EOPNOTSUPP : -EIO;
    q->manifest_size = c.rcx;
    q->certs_size = c.rdx;
    q->report_size = c.r8;
    return 0;
}
