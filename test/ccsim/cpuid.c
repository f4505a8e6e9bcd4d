/* SPDX-License-Identifier: MIT */
/* The CPUID page and the secrets page, as the security processor fills them. */
#include "ccsim.h"
#include "vmcb.h"
#include "x86_64/x86.h"

#include <string.h>

struct entry {
    uint32_t eax_in, ecx_in;
    uint64_t xcr0_in, xss_in;
    uint32_t eax, ebx, ecx, edx;
    uint64_t reserved;
};
struct table {
    uint32_t count, reserved0;
    uint64_t reserved1;
    struct entry entries[64];
};

static struct table table;
static uint32_t hz; /* of the counter */

enum {
    LEAF_SEV = 0x8000001f,
    ECX_X2APIC = 1 << 21,
    ECX_DEADLINE = 1 << 24,
    ECX_HYPERVISOR = 1u << 31,
    PIT_HZ = 1193182,
    PIT_COUNT = 12000
};

static void add(struct table *t, uint32_t leaf, uint32_t sub)
{
    struct x86_cpuid r = x86_cpuid_raw(leaf, sub);
    struct entry *e = &t->entries[t->count++];

    *e = (struct entry){ leaf, sub, 0, 0, r.eax, r.ebx, r.ecx, r.edx, 0 };
    if (leaf == 0xd)
        e->xcr0_in = 1;
    switch (leaf) {
    case 1:
        e->ecx &= ~(uint32_t)(ECX_X2APIC | ECX_DEADLINE); /* the emulator has neither */
        e->ecx |= ECX_HYPERVISOR | (sim_options.tdx ? ECX_X2APIC : 0);
        break;
    case 0x80000000:
        e->eax = sim_options.tdx ? 0x80000008 : LEAF_SEV;
        break;
    case 0x80000001:
        e->ecx &= ~4u; /* no SVM of its own */
        break;
    case 0x80000008:
        e->eax = (e->eax & ~0xffu) | 48;
        break;
    case 0x8000000a:
        e->eax = e->ebx = e->ecx = e->edx = 0;
        break;
    case LEAF_SEV:
        e->eax = sim_options.es ? 0xa : sim_options.sev ? 0x2 : 0x1a; /* SEV, SEV-ES, SEV-SNP */
        e->ebx = (sim_attack("c-bit") ? 46 : 47) | 1 << 6;
        e->ecx = 16;
        e->edx = 1;
        break;
    }
}

static uint32_t pit(void)
{
    uint32_t low;

    x86_out8(0x43, 0); /* latch channel 0 */
    low = x86_in8(0x40);
    return low | (uint32_t)x86_in8(0x40) << 8;
}

/* The counter's frequency by the PIT, from the least disturbed of a few windows. */
static uint32_t counter_hz(void)
{
    uint64_t best = 0, least = UINT64_MAX;

    x86_out8(0x43, 0x34); /* mode 2, from 65536 */
    x86_out8(0x40, 0);
    x86_out8(0x40, 0);
    for (unsigned i = 0; i < 20; i++) {
        uint64_t t0 = x86_rdtsc(), t1, t2, t3;
        uint32_t from = pit(), to;

        t1 = x86_rdtsc();
        do {
            t2 = x86_rdtsc();
            to = pit();
            t3 = x86_rdtsc();
        } while ((uint16_t)(from - to) < PIT_COUNT);
        if (t1 - t0 + t3 - t2 < least) {
            least = t1 - t0 + t3 - t2;
            best = ((t2 + t3) / 2 - (t0 + t1) / 2) * PIT_HZ / (uint16_t)(from - to);
        }
    }
    return (uint32_t)best;
}

void sim_cpuid_page(void *page)
{
    static const uint32_t leaves[][2] = {
        { 0, 0 },          { 1, 0 },          { 2, 0 },          { 4, 0 },
        { 4, 1 },          { 4, 2 },          { 4, 3 },          { 5, 0 },
        { 6, 0 },          { 7, 0 },          { 7, 1 },          { 0xb, 0 },
        { 0xb, 1 },        { 0xd, 0 },        { 0xd, 1 },        { 0xd, 2 },
        { 0xd, 5 },        { 0xd, 6 },        { 0xd, 7 },        { 0xd, 9 },
        { 0x80000000, 0 }, { 0x80000001, 0 }, { 0x80000002, 0 }, { 0x80000003, 0 },
        { 0x80000004, 0 }, { 0x80000005, 0 }, { 0x80000006, 0 }, { 0x80000007, 0 },
        { 0x80000008, 0 }, { 0x8000000a, 0 }, { LEAF_SEV, 0 },
    };
    struct table *t = &table;

    memset(t, 0, sizeof(*t));
    for (unsigned i = 0; i < ARRAY_SIZE(leaves); i++)
        add(t, leaves[i][0], leaves[i][1]);
    t->entries[0].eax = (uint32_t)max_u64(t->entries[0].eax, sim_options.tdx ? 0x21 : 0x15);
    hz = counter_hz();
    if (!sim_options.secure_tsc) /* crystal frequency in ecx, one to one */
        t->entries[t->count++] = (struct entry){ 0x15, 0, 0, 0, 1, 1, hz, 0, 0 };
    memset(page, 0, PAGE_SIZE);
    memcpy(page, t, sizeof(*t));
}

bool sim_cpuid_find(uint32_t leaf, uint32_t sub, struct sim_cpuid *ret)
{
    const struct table *t = &table;

    for (unsigned i = 0; i < t->count; i++) {
        const struct entry *e = &t->entries[i];
        bool indexed = leaf == 4 || leaf == 7 || leaf == 0xb || leaf == 0xd;

        if (e->eax_in != leaf || (indexed && e->ecx_in != sub))
            continue;
        *ret = (struct sim_cpuid){ e->eax, e->ebx, e->ecx, e->edx };
        return true;
    }
    return false;
}

void sim_xsave_size(uint32_t leaf, uint32_t sub, struct sim_cpuid *r)
{
    if (leaf == 0xd && sub < 2)
        r->ebx = x86_cpuid_raw(leaf, sub).ebx;
}

void sim_os_features(const struct vcpu *c, uint32_t leaf, uint32_t sub, struct sim_cpuid *r)
{
    enum { OSXSAVE = 1 << 27 };

    sim_xsave_size(leaf, sub, r);
    if (leaf == 1)
        r->ecx = (r->ecx & ~(uint32_t)OSXSAVE) | (c->vmcb->cr4 & CR4_OSXSAVE ? OSXSAVE : 0);
}

uint64_t sim_tsc_mhz(void)
{
    return (hz + 999999) / 1000000;
}

uint32_t sim_tsc_factor(void)
{
    return (uint32_t)((sim_tsc_mhz() * 1000000 - hz) / (sim_tsc_mhz() * 10));
}

void sim_secrets_page(void *page)
{
    uint32_t factor = sim_options.secure_tsc ? sim_tsc_factor() : 0;

    uint8_t *p = page;

    memset(p, 0, PAGE_SIZE);
    p[0] = 3;
    for (unsigned i = 0; i < 4; i++)
        if (i >= sim_vmpl()) /* the module keeps its own */
            sim_key(i, p + 0x20 + 32 * i);
    if (sim_options.svsm) {
        memcpy(p + 0x140, (const uint64_t[]){ GPA_MAILBOX, PAGE_SIZE, GPA_MAILBOX }, 24);
        memcpy(p + 0x158, (const uint8_t[]){ 1, 0, 0, 0, (uint8_t)sim_vmpl() }, 5);
    }
    memcpy(p + 0x160, &factor, sizeof(factor));
}
