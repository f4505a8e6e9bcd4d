/* SPDX-License-Identifier: MIT */
/* Plays the module at VMPL 0: the guest is at VMPL 2 then, where PVALIDATE faults and RMPADJUST is refused. Each call has to come
 * from the calling area that the CPU has; what is wrong with one ends the run, but for what the module may refuse.
 * Spec: Secure VM Service Module for SEV-SNP Guests 1.01, chapters 5 to 7. */
#include "ccsim.h"
#include "vmcb.h"
#include "x86_64/x86.h"

#include <mbedtls/sha512.h>
#include <string.h>

enum {
    AREA_BUFFER = 8,
    REMAP_CA = 0,
    PVALIDATE = 1,
    CREATE_VCPU = 2,
    ENTRIES_MAX = 510,
    STEP = 100, /* entries after which it rests */
    REPORT = 0x4a0,
    MANIFEST = 48,
};
#define CORE(call)          (uint64_t)(call)
#define ATTEST(call)        (1ull << 32 | (uint64_t)(call))
#define INCOMPLETE          0x80000000ull
#define UNSUPPORTED_CALL    0x80000002ull
#define INVALID_ADDRESS     0x80000003ull
#define INVALID_PARAMETER   0x80000005ull
#define PVALIDATE_MISMATCH  0x80001006ull
#define PVALIDATE_UNCHANGED 0x80001010ull

/* n bytes of the guest's private memory, which do not leave their page. */
static void *private_bytes(uint64_t gpa, uint64_t n)
{
    if (gpa >= GUEST_MEMORY || gpa % PAGE_SIZE + n > PAGE_SIZE || sim_page_state(gpa) != PAGE_VALID)
        sim_fail("SVSM: 0x%lx, %lu bytes, is not the guest's private memory", gpa, n);
    return sim_host(sim_private(gpa));
}

static uint64_t remap(struct vcpu *c)
{
    if (c->regs.rcx % PAGE_SIZE)
        return INVALID_PARAMETER;
    private_bytes(c->regs.rcx, PAGE_SIZE);
    c->svsm_area = c->regs.rcx;
    return 0;
}

static uint64_t validate_one(struct vcpu *c, uint64_t e)
{
    uint64_t gpa = e & PAGE_MASK, size = e & 3 ? LARGE_SIZE : PAGE_SIZE;
    bool on = e & 4, changed = false;

    if (gpa % size || gpa + size > GUEST_MEMORY)
        return INVALID_ADDRESS;
    if (size == LARGE_SIZE && sim_attack("size-mismatch"))
        return PVALIDATE_MISMATCH;
    for (uint64_t at = gpa; at < gpa + size; at += PAGE_SIZE) {
        if (sim_page_state(at) == PAGE_SHARED || sim_page_state(at) == PAGE_VMSA)
            sim_fail("SVSM: validation of page 0x%lx, which is not assigned", at);
        changed |= (sim_page_state(at) == PAGE_VALID) != on;
        sim_page_set(at, on ? PAGE_VALID : PAGE_ASSIGNED);
    }
    c->flush = true;
    return changed && !sim_attack("no-change") ? 0 : PVALIDATE_UNCHANGED;
}

static uint64_t validate(struct vcpu *c)
{
    struct {
        uint16_t count, next;
        uint32_t reserved;
        uint64_t entries[];
    } *list = private_bytes(c->regs.rcx, 8);
    uint64_t err;

    if (list->count > ENTRIES_MAX || list->next > list->count)
        return INVALID_PARAMETER;
    private_bytes(c->regs.rcx, 8 + 8u * list->count);
    sim_counts.pvalidates++;
    for (unsigned n = 0; list->next < list->count; n++, list->next++) {
        if (n == STEP)
            return INCOMPLETE;
        err = validate_one(c, list->entries[list->next]);
        if (err)
            return err;
    }
    return 0;
}

static uint64_t create(struct vcpu *c)
{
    uint64_t vmsa = c->regs.rcx, area = c->regs.rdx;

    if (vmsa % PAGE_SIZE || vmsa % LARGE_SIZE == 0 || area % PAGE_SIZE)
        return INVALID_PARAMETER;
    private_bytes(vmsa, PAGE_SIZE);
    private_bytes(area, PAGE_SIZE);
    if (!sim_set_area((uint32_t)c->regs.r8, area))
        return INVALID_PARAMETER;
    sim_page_set(vmsa, PAGE_VMSA);
    c->flush = true;
    return 0;
}

struct location {
    uint64_t gpa;
    uint32_t length, reserved;
};

/* The report's data is a digest of nonce and manifest; there are no services but this one. */
static uint64_t attest(struct vcpu *c, bool single)
{
    static const char manifest[MANIFEST] = "the services of a module that a test plays";
    static const uint8_t service[16] = "ccsim's service";
    struct {
        struct location report, nonce, manifest, certs;
        uint8_t guid[16];
        uint32_t version, reserved;
    } *q = private_bytes(c->regs.rcx, 88);
    uint8_t text[64 + MANIFEST], data[64];

    if (q->nonce.length != 64 || (single && (memcmp(q->guid, service, 16) != 0 || q->version > 1)))
        return INVALID_PARAMETER;
    c->regs.rcx = MANIFEST;
    c->regs.rdx = 0;
    c->regs.r8 = REPORT;
    if (q->report.length < REPORT || q->manifest.length < MANIFEST)
        return INVALID_PARAMETER;
    memcpy(text, private_bytes(q->nonce.gpa, 64), 64);
    memcpy(text + 64, manifest, MANIFEST);
    mbedtls_sha512_ret(text, sizeof(text), data, 0);
    sim_report(data, 0, private_bytes(q->report.gpa, REPORT));
    memcpy(private_bytes(q->manifest.gpa, MANIFEST), manifest, MANIFEST);
    if (sim_attack("svsm-size"))
        c->regs.r8 = 1 << 20;
    return 0;
}

void sim_svsm(struct vcpu *c, unsigned level)
{
    uint8_t *area;

    if (level || !c->svsm_area)
        sim_fail("a switch to VMPL %u, area 0x%lx", level, c->svsm_area);
    area = private_bytes(c->svsm_area, PAGE_SIZE);
    c->ghcb_msr = 0x017;
    if (sim_attack("svsm-never") || !area[0])
        return;
    area[0] = 0;
    switch (c->vmcb->rax) {
    case CORE(REMAP_CA):
        c->vmcb->rax = remap(c);
        break;
    case CORE(PVALIDATE):
        c->vmcb->rax = validate(c);
        break;
    case CORE(CREATE_VCPU):
        c->vmcb->rax = create(c);
        break;
    case ATTEST(0):
    case ATTEST(1):
        c->vmcb->rax = attest(c, c->vmcb->rax & 1);
        break;
    default:
        c->vmcb->rax = UNSUPPORTED_CALL;
    }
}
