/* SPDX-License-Identifier: MIT */
/* Finds the TPM 2.0 that the firmware's tables announce. Spec: TCG PC Client Platform TPM Profile (PTP) 1.05, 6. */
#include "tpm/tpm.h"

#include "drivers.h"

#include <abi/errno.h>
#include <base/log.h>
#include <plat/mmio.h>
#include <plat/time.h>

enum { REST_MIN_US = 50, REST_MAX_US = 5000 };

volatile uint8_t *tpm_regs;

static bool wait(unsigned reg, bool byte, uint32_t mask, uint32_t value, unsigned ms)
{
    uint64_t end = plat_time_ns() + ms * 1000000ull;

    for (unsigned us = REST_MIN_US;; us = us < REST_MAX_US ? 2 * us : us) {
        uint32_t now = byte ? plat_mmio_read8(tpm_regs + reg) : plat_mmio_read32(tpm_regs + reg);

        if ((now & mask) == value)
            return true;
        if (plat_time_ns() > end)
            return false;
        tpm_rest(us);
    }
}

bool tpm_wait(unsigned reg, uint32_t mask, uint32_t value, unsigned ms)
{
    return wait(reg, false, mask, value, ms);
}

bool tpm_wait8(unsigned reg, uint8_t mask, uint8_t value, unsigned ms)
{
    return wait(reg, true, mask, value, ms);
}

size_t tpm_answer_size(const uint8_t *h, size_t max)
{
    uint32_t n = (uint32_t)h[2] << 24 | (uint32_t)h[3] << 16 | (uint32_t)h[4] << 8 | h[5];

    return n >= TPM_HEADER && n <= max ? n : 0;
}

static int tpm_probe(void)
{
    struct plat_tpm t;
    const char *what = "is not answered for";
    int err = -ENODEV;

    if (!plat_tpm(&t))
        return 0;
    tpm_regs = plat_mmio_map(t.pa, TPM_PAGE);
    if (tpm_regs)
        err = t.crb ? tpm_crb_probe(&what) : tpm_tis_probe(&what);
    if (!err) {
        what = "does not speak TPM 2.0";
        err = tpm_register(t.crb ? &tpm_crb : &tpm_tis);
    }
    if (err)
        log_warn("tpm: the one at 0x%llx %s (error %d): there is no /dev/tpm0",
                 (unsigned long long)t.pa, what, -err);
    return 0;
}

const struct driver tpm_driver = { "tpm", tpm_probe };
