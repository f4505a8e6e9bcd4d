/* SPDX-License-Identifier: MIT */
/* The one TPM: it is started if nobody has, and asked once which commands it has. Spec: TPM 2.0 library, part 3: 9.3
 * (Startup), 30.2 (GetCapability). */
#include "tpm_int.h"

#include <abi/errno.h>
#include <abi/stat.h>
#include <base/log.h>
#include <libos/heap.h>
#include <libos/vfs.h>
#include <libos/waitq.h>
#include <plat/time.h>
#include <string.h>

enum { COMMANDS_MAX = 512, ASK = 128, CAP_DATA = 19 };

static const struct tpm_chip *chip; /* set once at boot */
static uint32_t attributes[COMMANDS_MAX];
static unsigned commands;
struct mutex tpm_lock;

ssize_type tpm_send(const uint8_t *command, size_t n, uint8_t *ret)
{
    ssize_type got = chip ? chip->command(command, n, ret) : -ENODEV;

    if (got >= 0 && (got < TPM_HEADER || got > TPM_BUFFER || tpm_get32(ret + 2) != (size_t)got))
        return -EIO;
    return got;
}

void tpm_rest(unsigned us)
{
    thread_prepare_sleep(SLEEP_UNINTERRUPTIBLE);
    (void)!thread_sleep(plat_time_ns() + us * 1000ull);
    thread_finish_sleep();
}

uint32_t tpm_attributes(uint32_t code)
{
    for (unsigned i = 0; i < commands; i++)
        if ((attributes[i] & TPM_CC_MASK) == code)
            return attributes[i];
    return 0;
}

static int startup(uint8_t *buf)
{
    ssize_type n;

    tpm_header(buf, 12, TPM_CC_STARTUP);
    buf[10] = buf[11] = 0; /* TPM_SU_CLEAR */
    n = tpm_send(buf, 12, buf);
    return n < 0 ? (int)n : tpm_get32(buf + 6) ? -EIO : 0;
}

/* The attributes of commands from code on; *ret_next: where to go on, 0 at the end. */
static int ask_commands(uint8_t *buf, uint32_t code, uint32_t *ret_next)
{
    uint32_t count;
    ssize_type n;

    tpm_header(buf, 22, TPM_CC_GET_CAPABILITY);
    tpm_put32(buf + 10, TPM_CAP_COMMANDS);
    tpm_put32(buf + 14, code);
    tpm_put32(buf + 18, ASK);
    n = tpm_send(buf, 22, buf);
    if (n < 0)
        return (int)n;
    if (tpm_get32(buf + 6) == TPM_RC_INITIALIZE)
        return -EAGAIN;
    if (tpm_get32(buf + 6) || n < CAP_DATA || tpm_get32(buf + 11) != TPM_CAP_COMMANDS)
        return -EIO;
    count = tpm_get32(buf + 15);
    if (count > ((size_t)n - CAP_DATA) / 4 || count > COMMANDS_MAX - commands)
        return -EIO;
    for (uint32_t i = 0; i < count; i++)
        attributes[commands++] = tpm_get32(buf + CAP_DATA + 4 * i);
    *ret_next = buf[10] && count ? (attributes[commands - 1] & TPM_CC_MASK) + 1 : 0;
    return 0;
}

/* Flushing and saving name their object in what the library calls a parameter, or a handle: a handle to a space. */
static void correct_attributes(void)
{
    for (unsigned i = 0; i < commands; i++) {
        uint32_t code = attributes[i] & TPM_CC_MASK;

        if (code == TPM_CC_CONTEXT_SAVE || code == TPM_CC_FLUSH_CONTEXT) {
            attributes[i] &= ~(7u << TPM_CC_HANDLES_SHIFT);
            attributes[i] |= 1u << TPM_CC_HANDLES_SHIFT;
        }
    }
}

static int learn(void)
{
    uint8_t *buf = heap_alloc(TPM_BUFFER);
    uint32_t code = TPM_CC_FIRST;
    int err;

    if (!buf)
        return -ENOMEM;
    mutex_lock(&tpm_lock);
    err = ask_commands(buf, code, &code);
    if (err == -EAGAIN) {
        err = startup(buf);
        if (!err)
            err = ask_commands(buf, code, &code);
    }
    while (!err && code)
        err = ask_commands(buf, code, &code);
    mutex_unlock(&tpm_lock);
    heap_free(buf);
    return err == -EAGAIN ? -EIO : err;
}

bool tpm_exists(void)
{
    return chip;
}

int tpm_register(const struct tpm_chip *c)
{
    int err;

    if (chip)
        return -EEXIST;
    mutex_init(&tpm_lock, RANK_CC);
    chip = c;
    err = learn();
    correct_attributes();
    if (!err)
        err = tpm_files_init();
    if (!err)
        err = vfs_make("/dev/tpm0", S_IFCHR | 0600, (uint32_t)abi_makedev(10, TPM_MINOR), NULL);
    if (!err)
        err = vfs_make("/dev/tpmrm0", S_IFCHR | 0600,
                       (uint32_t)abi_makedev(TPMRM_MAJOR, TPMRM_MINOR), NULL);
    if (err)
        chip = NULL;
    else
        log_info("tpm: TPM 2.0 with %u commands", commands);
    return err;
}
