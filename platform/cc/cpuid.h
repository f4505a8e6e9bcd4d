/* SPDX-License-Identifier: MIT */
/* CPUID from the table that the security processor has checked. */
#ifndef CC_CPUID_H
#define CC_CPUID_H

#include <base/compiler.h>
#include <base/types.h>

struct cc_cpuid_entry {
    uint32_t eax_in, ecx_in;
    uint64_t xcr0_in, xss_in;
    uint32_t eax, ebx, ecx, edx;
    uint64_t reserved;
};

enum { CC_CPUID_MAX = 64 };

/* As loaded: count entries, at most CC_CPUID_MAX are used. */
struct cc_cpuid_table {
    uint32_t count, reserved0;
    uint64_t reserved1;
    struct cc_cpuid_entry entries[CC_CPUID_MAX];
};

/* Look (leaf, sub) up: out gets eax, ebx, ecx, edx, all zero for a leaf that is not there. xcr0: what is enabled, which
 * leaf 0xd sub-leaf 0 and 1 depend on. Pure. */
void cc_cpuid_lookup(const struct cc_cpuid_table *t, uint32_t leaf, uint32_t sub, uint64_t xcr0,
                     uint32_t out[4]);

/* Bits of ecx that say what cr4 has on (OSXSAVE in leaf 1, OSPKE in leaf 7), which whoever made the table cannot know: ecx with
 * them as they are. Pure. */
uint32_t cc_cpuid_enabled(uint32_t leaf, uint32_t sub, uint64_t cr4, uint32_t ecx);

#endif
