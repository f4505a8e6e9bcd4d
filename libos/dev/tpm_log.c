/* SPDX-License-Identifier: MIT */
/* What of the TPM is shown as files: the firmware's log, copied once and cut behind its last whole event, and the registers.
 * Spec: Linux, Documentation/security/tpm/tpm_event_log.rst, Documentation/ABI/stable/sysfs-class-tpm; TPM 2.0 library,
 * part 3: 22.4 (PCR_Read), 30.2 (GetCapability). */
#include "tpm_int.h"

#include <abi/errno.h>
#include <base/eventlog.h>
#include <libos/heap.h>
#include <plat/mmio.h>
#include <string.h>

enum { LOG_MAX = 1 << 20, BANKS_MAX = 16, CAP_DATA = 19, SELECT = 3 };

static const struct {
    uint16_t algorithm;
    uint16_t bits; /* as the bank is called */
} names[] = { { 0x04, 1 }, { 0x0b, 256 }, { 0x0c, 384 }, { 0x0d, 512 } };

static uint8_t *the_log;
static size_t log_bytes;
static bool has_bank[ARRAY_SIZE(names)]; /* set once at boot, as the log is */

static int bank_of(unsigned bits)
{
    for (unsigned i = 0; i < ARRAY_SIZE(names); i++)
        if (names[i].bits == bits && has_bank[i])
            return (int)i;
    return -1;
}

bool tpm_has_bank(unsigned bits)
{
    return bank_of(bits) >= 0;
}

/* Which banks have registers. The TPM's lock is held. */
static int learn_banks(uint8_t *buf)
{
    ssize_type n;
    size_t at = CAP_DATA;
    uint32_t count;

    tpm_header(buf, 22, TPM_CC_GET_CAPABILITY);
    tpm_put32(buf + 10, TPM_CAP_PCRS);
    tpm_put32(buf + 14, 0);
    tpm_put32(buf + 18, 1);
    n = tpm_send(buf, 22, buf);
    if (n < 0)
        return (int)n;
    if (tpm_get32(buf + 6) || n < CAP_DATA || tpm_get32(buf + 11) != TPM_CAP_PCRS)
        return -EIO;
    count = tpm_get32(buf + 15);
    for (uint32_t i = 0; i < count && i < BANKS_MAX; i++) {
        unsigned any = 0, select;

        if ((size_t)n - at < 3 || (size_t)n - at - 3 < buf[at + 2])
            return -EIO;
        select = buf[at + 2];
        for (unsigned k = 0; k < select; k++)
            any |= buf[at + 3 + k];
        for (unsigned k = 0; k < ARRAY_SIZE(names); k++)
            if (any && tpm_get16(buf + at) == names[k].algorithm)
                has_bank[k] = true;
        at += 3 + select;
    }
    return 0;
}

static int take_log(void)
{
    size_t size = plat_tpm_log(NULL, 0), keep;
    uint8_t *copy;

    if (!size)
        return 0;
    if (size > LOG_MAX)
        size = LOG_MAX;
    copy = heap_alloc(size);
    if (!copy)
        return -ENOMEM;
    size = plat_tpm_log(copy, size);
    keep = eventlog_size(copy, size);
    the_log = keep ? heap_alloc(keep) : NULL;
    if (the_log) {
        memcpy(the_log, copy, keep);
        log_bytes = keep;
    }
    heap_free(copy);
    return keep && !the_log ? -ENOMEM : 0;
}

int tpm_files_init(void)
{
    uint8_t *buf = heap_alloc(TPM_BUFFER);
    int err;

    if (!buf)
        return -ENOMEM;
    mutex_lock(&tpm_lock);
    err = learn_banks(buf);
    mutex_unlock(&tpm_lock);
    heap_free(buf);
    return err ? err : take_log();
}

const uint8_t *tpm_log(size_t *ret_size)
{
    *ret_size = log_bytes;
    return the_log;
}

/* The answer of n bytes to PCR_Read: its digest, of want bytes; NULL: it is not one. */
static const uint8_t *digest_of(const uint8_t *answer, size_t n, size_t want)
{
    size_t at = TPM_HEADER + 4 + 4; /* update counter, number of selections */

    if (n < at + 3 || tpm_get32(answer + 6) || tpm_get32(answer + at - 4) != 1)
        return NULL;
    at += 3u + answer[at + 2];
    if (n < at || n - at < 4 + 2 + want || tpm_get32(answer + at) != 1 ||
        tpm_get16(answer + at + 4) != want)
        return NULL;
    return answer + at + 6;
}

int tpm_pcr(unsigned bits, unsigned index, uint8_t ret[TPM_DIGEST_MAX])
{
    size_t size = bits == 1 ? 20 : bits / 8;
    int bank = bank_of(bits);
    const uint8_t *digest;
    ssize_type n;
    uint8_t *buf;

    if (bank < 0 || index >= 8 * SELECT)
        return -ENODEV;
    buf = heap_alloc(TPM_BUFFER);
    if (!buf)
        return -ENOMEM;
    tpm_header(buf, 20, TPM_CC_PCR_READ);
    tpm_put32(buf + 10, 1);
    buf[14] = (uint8_t)(names[bank].algorithm >> 8);
    buf[15] = (uint8_t)names[bank].algorithm;
    buf[16] = SELECT;
    for (unsigned i = 0; i < SELECT; i++)
        buf[17 + i] = i == index / 8 ? (uint8_t)(1 << index % 8) : 0;
    mutex_lock(&tpm_lock);
    n = tpm_send(buf, 20, buf);
    mutex_unlock(&tpm_lock);
    digest = n < 0 ? NULL : digest_of(buf, (size_t)n, size);
    if (digest)
        memcpy(ret, digest, size);
    heap_free(buf);
    return digest ? (int)size : n < 0 ? (int)n : -EIO;
}
