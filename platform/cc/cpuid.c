/* SPDX-License-Identifier: MIT */
/* Looking up the CPUID table. Pure, for the host's tests too. Spec: AMD SEV-SNP firmware ABI 1.55, 7.1 and 8.14.2.6. */
#include "cc/cpuid.h"

enum { LEAF_XSAVE = 0xd, XSAVE_LEGACY = 576, COMPACT_ALIGN = 2 };

/* Leaves whose answer depends on ecx. */
static bool has_sub_leaves(uint32_t leaf)
{
    switch (leaf) {
    case 4:
    case 7:
    case 0xb:
    case LEAF_XSAVE:
    case 0xf:
    case 0x10:
    case 0x12:
    case 0x14:
    case 0x17:
    case 0x18:
    case 0x1f:
    case 0x8000001d:
    case 0x80000020:
        return true;
    default:
        return false;
    }
}

static const struct cc_cpuid_entry *find(const struct cc_cpuid_table *t, uint32_t leaf,
                                         uint32_t sub)
{
    size_t count = t->count < CC_CPUID_MAX ? t->count : CC_CPUID_MAX;

    for (size_t i = 0; i < count; i++) {
        const struct cc_cpuid_entry *e = &t->entries[i];
        if (e->eax_in == leaf && (!has_sub_leaves(leaf) || e->ecx_in == sub))
            return e;
    }
    return NULL;
}

/* Bytes that the state of features needs, in the standard or the compacted form. */
static uint32_t xsave_size(const struct cc_cpuid_table *t, uint64_t features, bool compact)
{
    uint32_t size = XSAVE_LEGACY;

    for (unsigned i = 2; i < 63; i++) {
        const struct cc_cpuid_entry *e;
        if (!(features >> i & 1) || !(e = find(t, LEAF_XSAVE, i)))
            continue;
        if (compact)
            size = (e->ecx & COMPACT_ALIGN ? (size + 63) & ~63u : size) + e->eax;
        else if (e->eax + e->ebx > size)
            size = e->eax + e->ebx;
    }
    return size;
}

uint32_t cc_cpuid_enabled(uint32_t leaf, uint32_t sub, uint64_t cr4, uint32_t ecx)
{
    enum { OSXSAVE = 1 << 27, OSPKE = 1 << 4, SHIFT_XSAVE = 18, SHIFT_PKE = 22 };

    if (leaf == 1)
        return (ecx & ~(uint32_t)OSXSAVE) | (cr4 >> SHIFT_XSAVE & 1 ? OSXSAVE : 0);
    if (leaf == 7 && !sub)
        return (ecx & ~(uint32_t)OSPKE) | (cr4 >> SHIFT_PKE & 1 ? OSPKE : 0);
    return ecx;
}

void cc_cpuid_lookup(const struct cc_cpuid_table *t, uint32_t leaf, uint32_t sub, uint64_t xcr0,
                     uint32_t out[4])
{
    const struct cc_cpuid_entry *e = find(t, leaf, sub);

    out[0] = e ? e->eax : 0;
    out[1] = e ? e->ebx : 0;
    out[2] = e ? e->ecx : 0;
    out[3] = e ? e->edx : 0;
    if (e && leaf == LEAF_XSAVE && sub < 2)
        out[1] = xsave_size(t, xcr0, sub == 1);
}
