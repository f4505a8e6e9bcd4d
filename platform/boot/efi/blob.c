/* SPDX-License-Identifier: MIT */
/* What firmware says of an SEV-SNP guest: the "confidential computing blob", a configuration table (Linux's struct
 * cc_blob_sev_info). It only names places; libOS asks the processor whether it is true. Of the generations before there is
 * no word: CPUID, which the host serves, says whether there is a register, and that, which it cannot serve, what is on. */
#include "stub.h"

enum { MAGIC = 0x45444d41 /* "AMDE" */, LEAF_HAS_SEV = 1 << 1, STATUS_SEV = 1 };
#define LEAF_SEV       0x8000001fu
#define MSR_SEV_STATUS 0xc0010131u

static const EFI_GUID guid = {
    0x067b1f5f, 0xcf26, 0x44c5, { 0x85, 0x54, 0x93, 0xd7, 0x77, 0x91, 0x2d, 0x42 }
};

bool blob_copy(const EFI_SYSTEM_TABLE *st, struct cc_blob *ret)
{
    for (UINTN i = 0; i < st->NumberOfTableEntries; i++) {
        const EFI_CONFIGURATION_TABLE *t = &st->ConfigurationTable[i];

        if (memcmp(&t->VendorGuid, &guid, sizeof(guid)) || !t->VendorTable)
            continue;
        memcpy(ret, t->VendorTable, sizeof(*ret));
        return ret->magic == MAGIC;
    }
    return false;
}

static uint32_t cpuid(uint32_t leaf)
{
    uint32_t eax = leaf, ebx, ecx = 0, edx;

    __asm__ volatile("cpuid" : "+a"(eax), "=b"(ebx), "+c"(ecx), "=d"(edx));
    return eax;
}

bool sev_active(void)
{
    uint32_t lo, hi;

    if (cpuid(0x80000000) < LEAF_SEV || !(cpuid(LEAF_SEV) & LEAF_HAS_SEV))
        return false;
    __asm__ volatile("rdmsr" : "=a"(lo), "=d"(hi) : "c"(MSR_SEV_STATUS));
    return lo & STATUS_SEV;
}
