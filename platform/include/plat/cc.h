/* SPDX-License-Identifier: MIT */
/* What a confidential guest can ask the processor's security firmware. */
#ifndef PLAT_CC_H
#define PLAT_CC_H

#include <base/compiler.h>
#include <base/types.h>

enum { PLAT_TDX_DATA = 64, PLAT_TDX_REPORT = 1024, PLAT_TDX_DIGEST = 48 };

/* Is this a TDX guest? */
bool plat_tdx(void);

/* The TDX module's report on this guest, with data in it: TDREPORT_STRUCT, which only this machine can check (a quoting
 * enclave makes a quote of it). -ENODEV: no TDX guest; -EIO: the module refused. Does not sleep.
 * Spec: Intel TDX module 1.5 ABI reference, TDG.MR.REPORT. */
NODISCARD int plat_tdx_report(const uint8_t data[PLAT_TDX_DATA],
                              uint8_t ret_report[PLAT_TDX_REPORT]);

#endif
