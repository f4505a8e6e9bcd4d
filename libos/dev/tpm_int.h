/* SPDX-License-Identifier: MIT */
/* Shared between the files of this folder: commands by their bytes. All numbers of the TPM are big-endian. */
#ifndef TPM_TPM_INT_H
#define TPM_TPM_INT_H

#include <base/compiler.h>
#include <libos/lock.h>
#include <libos/dev/tpm.h>

/* TPM 2.0 library, part 2: 6.5.2 (command codes), 6.6 (response codes), 6.9 (tags), 6.12 (capabilities), 7.2 (handle types),
 * 8.9 (command attributes). */
enum {
    TPM_NO_SESSIONS = 0x8001,
    TPM_CC_FIRST = 0x11f,
    TPM_CC_STARTUP = 0x144,
    TPM_CC_CONTEXT_LOAD = 0x161,
    TPM_CC_CONTEXT_SAVE = 0x162,
    TPM_CC_FLUSH_CONTEXT = 0x165,
    TPM_CC_GET_CAPABILITY = 0x17a,
    TPM_CC_PCR_READ = 0x17e,
    TPM_RC_INITIALIZE = 0x100,
    TPM_RC_COMMAND_CODE = 0x143,
    TPM_CAP_HANDLES = 1,
    TPM_CAP_COMMANDS = 2,
    TPM_CAP_PCRS = 5,
    TPM_HT_HMAC_SESSION = 0x02,
    TPM_HT_POLICY_SESSION = 0x03,
    TPM_HT_TRANSIENT = 0x80,
    TPM_CC_HANDLES_SHIFT = 25, /* of 3 bits: handles in the command */
};
#define TPM_CC_MASK    0x2000ffffu /* number, and the vendor's bit */
#define TPM_CC_RHANDLE (1u << 28)  /* the answer has a handle */
#define TPM_RM_LAYER   (11u << 16) /* said by the resource manager (TSS 2.0, 3.5) */

static inline uint32_t tpm_get32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static inline uint32_t tpm_get16(const uint8_t *p)
{
    return (uint32_t)p[0] << 8 | p[1];
}

static inline void tpm_put32(uint8_t *p, uint32_t v)
{
    for (int i = 0; i < 4; i++)
        p[i] = (uint8_t)(v >> (24 - 8 * i));
}

/* Write a header without sessions. */
static inline void tpm_header(uint8_t *p, uint32_t size, uint32_t code)
{
    p[0] = TPM_NO_SESSIONS >> 8;
    p[1] = TPM_NO_SESSIONS & 0xff;
    tpm_put32(p + 2, size);
    tpm_put32(p + 6, code);
}

/* One command at a time, and what belongs together to one space. */
extern struct mutex tpm_lock;

/* Send a command and take its answer (TPM_BUFFER bytes), at least TPM_HEADER of them and as many as its header says;
 * tpm_lock is held. Errors as of tpm_chip's; -ENODEV: no TPM. */
NODISCARD ssize_type tpm_send(const uint8_t *command, size_t n, uint8_t *ret);
/* What the TPM says of a command (TPMA_CC); 0: it has none of that code. */
uint32_t tpm_attributes(uint32_t code);

/* At boot, when the TPM answers: find its banks, and copy the firmware's log. -ENOMEM, -EIO, and what tpm_send() gives. */
NODISCARD int tpm_files_init(void);

struct tpm_space;

struct tpm_space *tpm_space_create(void); /* NULL */
/* Forget its objects and end its sessions. Takes tpm_lock, sleeps. */
void tpm_space_destroy(struct tpm_space *s);
/* As tpm_send, for a command that names objects of this space only; command is changed. -EINVAL: it names others, or is too
 * short; -ENOMEM: there is no room for the object that it made, which is gone. */
NODISCARD ssize_type tpm_space_send(struct tpm_space *s, uint8_t *command, size_t n, uint8_t *ret);

#endif
