/* SPDX-License-Identifier: MIT */
/* A TPM with a FIFO (TIS). Locality 0, no interrupts. Spec: TCG PTP 1.05, 6.3 and 6.5.2. */
#include "tpm/tpm.h"

#include <abi/errno.h>
#include <plat/mmio.h>

enum {
    ACCESS = 0x00, /* 8 bits */
    STS = 0x18,
    FIFO = 0x24, /* 8 bits */
    DID_VID = 0xf00,

    ACCESS_REQUEST = 1 << 1,
    ACCESS_ACTIVE = 1 << 5,
    ACCESS_VALID = 1 << 7,
    STS_EXPECT = 1 << 3,
    STS_DATA = 1 << 4,
    STS_GO = 1 << 5,
    STS_READY = 1 << 6,
    STS_VALID = 1 << 7,
    STS_CANCEL = 1 << 24,
    STEP_MS = 2000,
};

static void set_status(uint32_t v)
{
    plat_mmio_write32(tpm_regs + STS, v);
}

/* How many bytes can go through the FIFO now, 0 to max. */
static size_t burst(size_t max)
{
    size_t n = plat_mmio_read32(tpm_regs + STS) >> 8 & 0xffff;

    if (!n && tpm_wait(STS, STS_VALID, STS_VALID, STEP_MS))
        n = plat_mmio_read32(tpm_regs + STS) >> 8 & 0xffff;
    return n < max ? n : max;
}

int tpm_tis_probe(const char **ret_what)
{
    uint32_t id = plat_mmio_read32(tpm_regs + DID_VID);

    *ret_what = "is no FIFO";
    return id == 0 || id == UINT32_MAX ? -ENODEV : 0;
}

static bool send(const uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n;) {
        size_t m = burst(n - i);

        if (!m)
            return false;
        while (m--)
            plat_mmio_write8(tpm_regs + FIFO, p[i++]);
    }
    return true;
}

static bool receive(uint8_t *p, size_t n)
{
    const uint32_t data = STS_DATA | STS_VALID;

    for (size_t i = 0; i < n;) {
        size_t m;

        if (!tpm_wait(STS, data, data, STEP_MS))
            return false;
        m = burst(n - i);
        if (!m)
            return false;
        while (m--)
            p[i++] = plat_mmio_read8(tpm_regs + FIFO);
    }
    return true;
}

/* It wants the last byte exactly when it is told there is one. */
static bool send_command(const uint8_t *command, size_t n)
{
    const uint32_t more = STS_EXPECT | STS_VALID;

    set_status(STS_READY);
    return tpm_wait(STS, STS_READY, STS_READY, STEP_MS) && send(command, n - 1) &&
           tpm_wait(STS, more, more, STEP_MS) && send(command + n - 1, 1) &&
           tpm_wait(STS, more, STS_VALID, STEP_MS);
}

static ssize_type take_answer(uint8_t *ret)
{
    size_t n;

    if (!receive(ret, TPM_HEADER))
        return -EIO;
    n = tpm_answer_size(ret, TPM_BUFFER);
    if (!n || !receive(ret + TPM_HEADER, n - TPM_HEADER))
        return -EIO;
    return (ssize_type)n;
}

static ssize_type transact(const uint8_t *command, size_t n, uint8_t *ret)
{
    const uint32_t done = STS_DATA | STS_VALID;

    if (!send_command(command, n))
        return -EIO;
    set_status(STS_GO);
    if (!tpm_wait(STS, done, done, TPM_WAIT_S * 1000)) {
        set_status(STS_CANCEL);
        return -ETIME;
    }
    return take_answer(ret);
}

static ssize_type tis_command(const uint8_t *command, size_t n, uint8_t *ret)
{
    const uint8_t ours = ACCESS_ACTIVE | ACCESS_VALID;
    ssize_type got;

    plat_mmio_write8(tpm_regs + ACCESS, ACCESS_REQUEST);
    if (!tpm_wait8(ACCESS, ours, ours, STEP_MS))
        return -EIO;
    got = transact(command, n, ret);
    set_status(STS_READY); /* ends what did not go well, too */
    plat_mmio_write8(tpm_regs + ACCESS, ACCESS_ACTIVE);
    return got;
}

const struct tpm_chip tpm_tis = { tis_command };
