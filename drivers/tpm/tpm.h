/* SPDX-License-Identifier: MIT */
/* Shared between the two kinds of TPM registers. */
#ifndef DRIVERS_TPM_TPM_H
#define DRIVERS_TPM_TPM_H

#include <base/compiler.h>
#include <libos/dev/tpm.h>

enum { TPM_PAGE = 4096 };

/* Where the registers of locality 0 are, TPM_PAGE bytes; set once at boot. */
extern volatile uint8_t *tpm_regs;

/* Wait until the 32-bit register has value in the bits of mask; false: not within so many milliseconds. Sleeps. The other: of
 * an 8-bit register. */
NODISCARD bool tpm_wait(unsigned reg, uint32_t mask, uint32_t value, unsigned ms);
NODISCARD bool tpm_wait8(unsigned reg, uint8_t mask, uint8_t value, unsigned ms);

/* The length that the header of an answer says, if it is between TPM_HEADER and max; else 0. */
size_t tpm_answer_size(const uint8_t *header, size_t max);

/* Look whether the registers are of the kind that was announced. -ENODEV: they are not, -EIO: not usable; *ret_what says why. */
NODISCARD int tpm_crb_probe(const char **ret_what);
NODISCARD int tpm_tis_probe(const char **ret_what);
extern const struct tpm_chip tpm_crb, tpm_tis;

#endif
