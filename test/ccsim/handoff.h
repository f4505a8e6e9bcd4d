/* SPDX-License-Identifier: MIT */
/* What the simulator tells the firmware that it gives its guest (firmware/): written into the guest's private memory. */
#ifndef CCSIM_HANDOFF_H
#define CCSIM_HANDOFF_H

#include <stdint.h>

#define FIRMWARE_PA   0x800000ull /* where it lies and is entered; firmware.lds has the same number */
#define FIRMWARE_SIZE 0x40000ull
#define FIRMWARE_FILE 0x1000000ull /* the file that it starts */
#define FIRMWARE_GHCB 0x74000ull   /* the page by which it talks to the host; stays its own */

enum handoff_kind { HANDOFF_SEV, HANDOFF_SEV_ES, HANDOFF_SNP, HANDOFF_TDX };

struct handoff {
    uint32_t kind;
    uint32_t all; /* it does not know of memory that is left to be accepted */
    uint64_t file_size, cmdline_pa, rsdp_pa, blob_pa;
    uint64_t launched; /* end of the memory that was private at launch, from FIRMWARE_FILE on */
    uint64_t ram_end;
};

#endif
