/* SPDX-License-Identifier: MIT */
/* Every page that is given to the guest before it starts extends the digest with what it is, where it is and, where it has
 * content, with the hash of that. */
#include "snp.h"

#include <stdlib.h>
#include <string.h>

enum { PAGE = 4096, INFO_SIZE = 0x70, HASHES_SIZE = 176 };
enum page_type { NORMAL = 1, VMSA = 2, ZERO = 3, UNMEASURED = 4, SECRETS = 5, CPUID = 6 };
#define VMSA_GPA    0xFFFFFFFFF000ULL
#define FIRST_EIP   0xfffffff0u
#define FEATURE_SNP 1u

static const struct snp_vmm vmms[] = {
    { "qemu", true, 0, 0x1f80, 0x37f, 0x9b, 0x9b, 0x93, 0x8b, 0x0007040600070406, false, false },
    { "ec2", false, 0x600, 0, 0, 0x9a, 0x9b, 0x92, 0x83, 0x0007040600070406, false, true },
    { "gce", false, 0x600, 0, 0, 0x9b, 0x9b, 0x93, 0x8b, 0x00070106, true, false },
};

/* Family, model and stepping as CPUID leaf 1 has them. */
static const struct {
    const char *type;
    uint32_t family, model, stepping;
} cpus_known[] = {
    { "EPYC", 23, 1, 2 },       { "EPYC-v4", 23, 1, 2 },     { "EPYC-Rome", 23, 49, 0 },
    { "EPYC-Milan", 25, 1, 1 }, { "EPYC-Genoa", 25, 17, 0 }, { "EPYC-Turin", 26, 0, 0 },
};

const struct snp_vmm *snp_vmm_find(const char *name)
{
    for (size_t i = 0; i < sizeof(vmms) / sizeof(*vmms); i++)
        if (strcmp(vmms[i].name, name) == 0)
            return &vmms[i];
    return NULL;
}

bool snp_cpu_signature(const char *type, uint32_t *ret)
{
    for (size_t i = 0; i < sizeof(cpus_known) / sizeof(*cpus_known); i++) {
        uint32_t family = cpus_known[i].family, model = cpus_known[i].model;
        if (strcmp(cpus_known[i].type, type) != 0)
            continue;
        *ret = (family - 15) << 20 | model >> 4 << 16 | 15 << 8 | (model & 15) << 4 |
               cpus_known[i].stepping;
        return true;
    }
    return false;
}

char *snp_cpu_types(void)
{
    struct buf b = { 0 };
    for (size_t i = 0; i < sizeof(cpus_known) / sizeof(*cpus_known); i++)
        buf_printf(&b, "%s%s", i ? ", " : "", cpus_known[i].type);
    return b.s;
}

static void put(uint8_t *p, uint64_t v, size_t n)
{
    for (size_t i = 0; i < n; i++)
        p[i] = (uint8_t)(v >> (8 * i));
}

void snp_page(uint8_t digest[SNP_DIGEST], uint8_t type, uint64_t gpa, const uint8_t *content)
{
    uint8_t info[INFO_SIZE] = { 0 }, sum[HASH_MAX];
    memcpy(info, digest, SNP_DIGEST);
    if (content) {
        (void)hash_bytes("SHA384", content, PAGE, sum);
        memcpy(info + SNP_DIGEST, sum, SNP_DIGEST);
    }
    put(info + 96, INFO_SIZE, 2);
    info[98] = type;
    put(info + 104, gpa, 8);
    (void)hash_bytes("SHA384", info, sizeof(info), sum);
    memcpy(digest, sum, SNP_DIGEST);
}

static void put_segment(uint8_t *p, uint32_t selector, uint32_t attributes, uint32_t base)
{
    put(p, selector, 2);
    put(p + 2, attributes, 2);
    put(p + 4, 0xffff, 4);
    put(p + 8, base, 8);
}

/* Offsets of the save area: AMD's Architecture Programmer's Manual, volume 2, table B-4. */
static void make_vmsa(const struct snp_vmm *v, uint32_t signature, uint32_t eip, uint8_t p[PAGE])
{
    enum { ES, CS, SS, DS, FS, GS, GDTR, LDTR, IDTR, TR, SEGMENTS };
    uint32_t attributes[SEGMENTS] = {
        0x93, eip == FIRST_EIP ? v->cs_first : v->cs, v->ss, 0x93, 0x93, 0x93, 0, 0x82, 0, v->tr
    };
    memset(p, 0, PAGE);
    for (int i = 0; i < SEGMENTS; i++)
        put_segment(p + 16 * i, i == CS ? 0xf000 : 0, attributes[i],
                    i == CS ? eip & 0xffff0000 : 0);
    put(p + 0xd0, 0x1000, 8);      /* EFER.SVME */
    put(p + 0x148, 0x40, 8);       /* CR4.MCE */
    put(p + 0x158, 0x10, 8);       /* CR0.ET */
    put(p + 0x160, 0x400, 8);      /* DR7 */
    put(p + 0x168, 0xffff0ff0, 8); /* DR6 */
    put(p + 0x170, 2, 8);          /* RFLAGS */
    put(p + 0x178, eip & 0xffff, 8);
    put(p + 0x268, v->pat, 8);
    put(p + 0x310, v->cpu_signature ? signature : v->rdx, 8);
    put(p + 0x3b0, FEATURE_SNP, 8);
    put(p + 0x3e8, 1, 8); /* XCR0 */
    put(p + 0x408, v->mxcsr, 4);
    put(p + 0x410, v->fcw, 2);
}

/* The page with the table: QEMU's target/i386/sev.c writes it. */
static void make_hashes(const struct snp_hashes *h, uint32_t at, uint8_t p[PAGE])
{
    static const uint8_t table[16] = { 0x06, 0xd6, 0x38, 0x94, 0x22, 0x4f, 0xc9, 0x4c,
                                       0xb4, 0x79, 0xa7, 0x93, 0xd4, 0x11, 0xfd, 0x21 };
    static const uint8_t entries[3][16] = {
        { 0xd8, 0x2d, 0xd0, 0x97, 0x20, 0xbd, 0x94, 0x4c, 0xaa, 0x78, 0xe7, 0x71, 0x4d, 0x36, 0xab,
          0x2a },
        { 0x31, 0xf7, 0xba, 0x44, 0x2f, 0x3a, 0xd7, 0x4b, 0x9a, 0xf1, 0x41, 0xe2, 0x91, 0x69, 0x78,
          0x1d },
        { 0x37, 0x94, 0xe7, 0x4d, 0xd2, 0xab, 0x7f, 0x42, 0xb8, 0x35, 0xd5, 0xb1, 0x72, 0xd2, 0x04,
          0x5b },
    };
    const uint8_t *sums[3] = { h->cmdline, h->initrd, h->kernel };
    memset(p, 0, PAGE);
    p += at % PAGE;
    memcpy(p, table, 16);
    put(p + 16, 18 + 3 * 50, 2);
    for (int i = 0; i < 3; i++) {
        uint8_t *e = p + 18 + 50 * i;
        memcpy(e, entries[i], 16);
        put(e + 16, 50, 2);
        memcpy(e + 18, sums[i], 32);
    }
}

void snp_firmware_digest(const struct firmware *f, uint8_t ret[SNP_DIGEST])
{
    memset(ret, 0, SNP_DIGEST);
    if (!f->size || f->size % PAGE || f->size > 1u << 28)
        fail(f->path, "is not a whole number of pages");
    for (size_t at = 0; at < f->size; at += PAGE)
        snp_page(ret, NORMAL, (1ULL << 32) - f->size + at, f->data + at);
}

static void update_range(const struct firmware *f, size_t i, const struct snp_vmm *vmm,
                         const struct snp_hashes *hashes, uint8_t digest[SNP_DIGEST])
{
    uint8_t page[PAGE];
    uint32_t type = f->snp[i].type, base = f->snp[i].base;
    bool memory = type == SNP_SEC_MEMORY || type == SNP_SVSM;
    if (type == SNP_SECRETS || type == SNP_CPUID) {
        snp_page(digest, type == SNP_SECRETS ? SECRETS : CPUID, base, NULL);
        return;
    }
    if (!memory && type != SNP_KERNEL_HASHES)
        fail(f->path, "has a range of type %u, which is not known", type);
    if (f->snp[i].size > 1u << 28)
        fail(f->path, "has damaged metadata (a range of %u bytes)", f->snp[i].size);
    if (!memory && hashes) {
        if (f->hashes_at / PAGE != base / PAGE || f->hashes_at % PAGE > PAGE - HASHES_SIZE)
            fail(f->path, "has damaged metadata (the place of the hashes)");
        make_hashes(hashes, f->hashes_at, page);
        snp_page(digest, NORMAL, base, page);
        return;
    }
    for (uint32_t at = 0; at < f->snp[i].size; at += PAGE)
        snp_page(digest, memory && vmm->memory_unmeasured ? UNMEASURED : ZERO, base + (uint64_t)at,
                 NULL);
}

void snp_launch_digest(const struct firmware *f, const struct snp_vmm *vmm, uint32_t signature,
                       unsigned cpus, const struct snp_hashes *hashes, uint8_t digest[SNP_DIGEST])
{
    uint8_t page[PAGE];
    for (int last = 0; last < 2; last++)
        for (size_t i = 0; i < f->snp_count; i++)
            if ((vmm->cpuid_last && f->snp[i].type == SNP_CPUID) == last)
                update_range(f, i, vmm, hashes, digest);
    for (unsigned i = 0; i < cpus; i++) {
        make_vmsa(vmm, signature, i ? f->ap_entry : FIRST_EIP, page);
        snp_page(digest, VMSA, VMSA_GPA, page);
    }
}
