/* SPDX-License-Identifier: MIT */
/* The TPM 2.0 of the machine: /dev/tpm0, which one opens at a time, and /dev/tpmrm0, where each has a space of objects and
 * sessions of its own. What a TPM answers was written by the host or by whoever emulates it: a text to pass on, whose
 * numbers are bounded before use. Spec: TCG, TPM 2.0 library, parts 1 to 3; Linux, tpm(4) as drivers/char/tpm shows it. */
#ifndef LIBOS_DEV_TPM_H
#define LIBOS_DEV_TPM_H

#include <base/compiler.h>
#include <base/types.h>

struct file;

/* The numbers of the two nodes. Linux gives the second as they come. */
enum { TPM_MINOR = 224, TPMRM_MAJOR = 253, TPMRM_MINOR = 65536 };
enum { TPM_BUFFER = 4096, TPM_HEADER = 10, TPM_WAIT_S = 300 };

/* How a driver reaches its TPM. One command at a time: the caller sees to it. */
struct tpm_chip {
    /* Send the command of n bytes (TPM_HEADER to TPM_BUFFER) and take its answer to ret, TPM_BUFFER bytes; how many there
     * are, at least TPM_HEADER. -E2BIG: it takes no command as long; -EIO: it errs or lies; -ETIME: no answer in
     * TPM_WAIT_S. Sleeps. */
    ssize_type (*command)(const uint8_t *command, size_t n, uint8_t *ret);
};

/* The TPM of this machine, which a driver found: start it and make its nodes. At boot. -EEXIST: there is one already, -EIO
 * and what command() gives: it does not answer as a TPM 2.0 does. -ENOMEM. */
NODISCARD int tpm_register(const struct tpm_chip *chip);

/* For drivers that look again and again: let others run for so many microseconds. Sleeps. */
void tpm_rest(unsigned us);

/* Is there one? */
bool tpm_exists(void);

/* Has it a bank of registers with digests of so many bits (256, 384, 512; 1: SHA-1, as Linux calls it)? */
bool tpm_has_bank(unsigned bits);
/* Read register index of such a bank: how many bytes were written to ret. -ENODEV: no such register; -ENOMEM; -EIO and what
 * command() gives. Sleeps. */
enum { TPM_DIGEST_MAX = 64 };
NODISCARD int tpm_pcr(unsigned bits, unsigned index, uint8_t ret[TPM_DIGEST_MAX]);

/* The firmware's log of what it measured, whole events alone; borrowed for good. NULL: there is none. */
const uint8_t *tpm_log(size_t *ret_size);

/* Open /dev/tpm0, -EBUSY: somebody has; /dev/tpmrm0. -ENXIO, -ENOMEM. */
NODISCARD int tpm_open(struct file *f, uint32_t minor);
NODISCARD int tpmrm_open(struct file *f, uint32_t minor);

#endif
