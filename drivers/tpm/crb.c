/* SPDX-License-Identifier: MIT */
/* A TPM with a command response buffer. Locality 0, no interrupts; the buffers lie in the page of its registers.
 * Spec: TCG PTP 1.05, 6.4 and 6.5.3. */
#include "tpm/tpm.h"

#include <abi/errno.h>
#include <plat/mmio.h>

enum {
    LOC_STATE = 0x00,
    LOC_CTRL = 0x08,
    INTERFACE_ID = 0x30,
    CTRL_REQ = 0x40,
    CTRL_STS = 0x44,
    CTRL_CANCEL = 0x48,
    CTRL_START = 0x4c,
    CMD_SIZE = 0x58,
    CMD_LOW = 0x5c,
    CMD_HIGH = 0x60,
    RSP_SIZE = 0x64,
    RSP_LOW = 0x68,
    RSP_HIGH = 0x6c,
    BUFFERS = 0x80,

    STATE_ASSIGNED = 1 << 1,
    STATE_VALID = 1 << 7,
    CTRL_REQUEST = 1 << 0,
    CTRL_RELINQUISH = 1 << 1,
    REQ_READY = 1 << 0,
    REQ_IDLE = 1 << 1,
    STS_ERROR = 1 << 0,
    ID_CRB = 1,
    STEP_MS = 2000,
    HEADER_WORDS = (TPM_HEADER + 3) / 4 * 4,
};

static size_t command_at, command_size, answer_at, answer_size; /* set once at boot */

static uint32_t get(unsigned reg)
{
    return plat_mmio_read32(tpm_regs + reg);
}

static void put(unsigned reg, uint32_t v)
{
    plat_mmio_write32(tpm_regs + reg, v);
}

/* Is a buffer of so many bytes, at an address that ends in low, behind the registers in their page? */
static bool in_page(uint64_t page, uint64_t pa, uint32_t size, size_t *ret_at, size_t *ret_size)
{
    uint64_t at = pa - page;

    /* At least what is read of an answer at once, in words (take_answer). */
    if (at < BUFFERS || at > TPM_PAGE - HEADER_WORDS || size < TPM_HEADER)
        return false;
    *ret_at = at;
    *ret_size = size < TPM_PAGE - at ? size : TPM_PAGE - at;
    return at % 4 == 0;
}

int tpm_crb_probe(const char **ret_what)
{
    uint64_t command = get(CMD_LOW) | (uint64_t)get(CMD_HIGH) << 32;
    uint64_t answer = get(RSP_LOW) | (uint64_t)get(RSP_HIGH) << 32;
    uint64_t page = align_down(command, TPM_PAGE);

    *ret_what = "is no command response buffer";
    if ((get(INTERFACE_ID) & 15) != ID_CRB)
        return -ENODEV;
    *ret_what = "keeps its buffers elsewhere";
    if (!in_page(page, command, get(CMD_SIZE), &command_at, &command_size) ||
        !in_page(page, answer, get(RSP_SIZE), &answer_at, &answer_size))
        return -EIO;
    return 0;
}

/* Registers are read and written by words. */
static void buffer_write(size_t at, const uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i += 4) {
        uint32_t v = 0;

        for (size_t k = 0; k < 4 && i + k < n; k++)
            v |= (uint32_t)p[i + k] << 8 * k;
        put((unsigned)(at + i), v);
    }
}

static void buffer_read(size_t at, uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i += 4) {
        uint32_t v = get((unsigned)(at + i));

        for (size_t k = 0; k < 4 && i + k < n; k++)
            p[i + k] = (uint8_t)(v >> 8 * k);
    }
}

/* The header is read once, so that the length that was checked is the one that is passed on. */
static ssize_type take_answer(uint8_t *ret)
{
    size_t n;

    if (get(CTRL_STS) & STS_ERROR)
        return -EIO;
    buffer_read(answer_at, ret, HEADER_WORDS); /* two bytes more than the header */
    n = tpm_answer_size(ret, answer_size);
    if (n > HEADER_WORDS)
        buffer_read(answer_at + HEADER_WORDS, ret + HEADER_WORDS, n - HEADER_WORDS);
    return n ? (ssize_type)n : -EIO;
}

static ssize_type transact(const uint8_t *command, size_t n, uint8_t *ret)
{
    put(CTRL_REQ, REQ_READY);
    if (!tpm_wait(CTRL_REQ, REQ_READY, 0, STEP_MS))
        return -EIO;
    put(CTRL_CANCEL, 0);
    buffer_write(command_at, command, n);
    put(CTRL_START, 1);
    if (!tpm_wait(CTRL_START, 1, 0, TPM_WAIT_S * 1000)) {
        put(CTRL_CANCEL, 1);
        (void)!tpm_wait(CTRL_START, 1, 0, STEP_MS);
        put(CTRL_CANCEL, 0);
        return -ETIME;
    }
    return take_answer(ret);
}

static ssize_type crb_command(const uint8_t *command, size_t n, uint8_t *ret)
{
    const uint32_t ours = STATE_ASSIGNED | STATE_VALID;
    ssize_type got;

    if (n > command_size)
        return -E2BIG;
    put(LOC_CTRL, CTRL_REQUEST);
    if (!tpm_wait(LOC_STATE, ours, ours, STEP_MS))
        return -EIO;
    got = transact(command, n, ret);
    put(CTRL_REQ, REQ_IDLE);
    if (!tpm_wait(CTRL_REQ, REQ_IDLE, 0, STEP_MS) && got > 0)
        got = -EIO;
    put(LOC_CTRL, CTRL_RELINQUISH);
    return got;
}

const struct tpm_chip tpm_crb = { crb_command };
