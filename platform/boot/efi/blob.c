/* SPDX-License-Identifier: MIT */
/* What firmware says of an SEV-SNP guest: the "confidential computing blob", a configuration table (Linux's struct
 * cc_blob_sev_info). It only names places; libOS asks the processor whether it is true. */
#include "stub.h"

enum { MAGIC = 0x45444d41 }; /* "AMDE" */

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
