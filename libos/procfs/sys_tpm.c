/* SPDX-License-Identifier: MIT */
/* A TPM's files: /sys/class/tpm, /sys/class/tpmrm, the device that these lead to, and securityfs with the firmware's log.
 * Spec: Linux, Documentation/ABI/stable/sysfs-class-tpm, drivers/char/tpm as programs see it. */
#include "gen.h"

#include <abi/errno.h>
#include <abi/statfs.h>
#include <libos/dev/tpm.h>
#include <libos/mount.h>
#include <libos/sysfs.h>

enum { PCRS = 24 };

/* There is one TPM, or none. */
static bool exists(const struct gen_ctx *dir, int n)
{
    return n == 0 && tpm_exists();
}

static int next(const struct gen_ctx *dir, int from)
{
    return from <= 0 && tpm_exists() ? 0 : -1;
}

static void enter(struct gen_ctx *c, int n)
{
}

static int show_pcr(struct text *t, const struct gen_ctx *c)
{
    uint8_t digest[TPM_DIGEST_MAX];
    int n = tpm_pcr((unsigned)c->tid, (unsigned)c->number, digest);

    for (int i = 0; i < n; i++)
        text_printf(t, "%02X", digest[i]);
    if (n > 0)
        text_printf(t, "\n");
    return n < 0 ? n : 0;
}

static bool pcr_exists(const struct gen_ctx *dir, int n)
{
    return n >= 0 && n < PCRS;
}

static int pcr_next(const struct gen_ctx *dir, int from)
{
    return from < 0 ? 0 : from < PCRS ? from : -1;
}

static void pcr_enter(struct gen_ctx *c, int n)
{
    c->number = n;
}

static const struct gen_names pcrs = { .prefix = "",
                                       .exists = pcr_exists,
                                       .next = pcr_next,
                                       .enter = pcr_enter,
                                       .entry = GEN_FILE(NULL, show_pcr) };

/* Banks are called by the bits of their digests, but for SHA-1. */
static bool bank_exists(const struct gen_ctx *dir, int n)
{
    return n > 0 && tpm_has_bank((unsigned)n);
}

static int bank_next(const struct gen_ctx *dir, int from)
{
    static const int banks[] = { 1, 256, 384, 512 };

    for (unsigned i = 0; i < ARRAY_SIZE(banks); i++)
        if (banks[i] >= from && tpm_has_bank((unsigned)banks[i]))
            return banks[i];
    return -1;
}

static void bank_enter(struct gen_ctx *c, int n)
{
    c->tid = n;
}

static const struct gen_entry none[] = { { .name = NULL } };
static const struct gen_names banks = {
    .prefix = "pcr-sha",
    .exists = bank_exists,
    .next = bank_next,
    .enter = bank_enter,
    .entry = { .mode = S_IFDIR | 0755, .children = none, .names = &pcrs }
};

static const struct gen_entry tpm_entries[] = {
    GEN_FIXED("dev", "10:224\n"),
    GEN_FIXED("tpm_version_major", "2\n"),
    GEN_FIXED("uevent", "MAJOR=10\nMINOR=224\nDEVNAME=tpm0\n"),
    { .name = NULL },
};
static const struct gen_entry tpmrm_entries[] = {
    GEN_FIXED("dev", "253:65536\n"),
    GEN_FIXED("uevent", "MAJOR=253\nMINOR=65536\nDEVNAME=tpmrm0\n"),
    { .name = NULL },
};

#define ONE(called, e)                                                                             \
    {                                                                                              \
        .prefix = (called), .exists = exists, .next = next, .enter = enter, .entry = e             \
    }
#define LINK(target)                                                                               \
    {                                                                                              \
        .mode = S_IFLNK | 0777, .fixed = (target)                                                  \
    }
#define NAMES_DIR(n, which)                                                                        \
    {                                                                                              \
        .name = (n), .mode = S_IFDIR | 0755, .children = none, .names = (which)                    \
    }
#define DIR(entries, more)                                                                         \
    {                                                                                              \
        .mode = S_IFDIR | 0755, .children = (entries), .names = (more)                             \
    }

static const struct gen_names tpm_devices = ONE("tpm", DIR(tpm_entries, &banks));
static const struct gen_names tpmrm_devices = ONE("tpmrm", DIR(tpmrm_entries, NULL));
static const struct gen_entry chip_entries[] = { NAMES_DIR("tpm", &tpm_devices),
                                                 NAMES_DIR("tpmrm", &tpmrm_devices),
                                                 { .name = NULL } };
const struct gen_names sysfs_tpm_names =
    ONE("tpm", LINK("../../devices/platform/MSFT0101:00/tpm/tpm0"));
const struct gen_names sysfs_tpmrm_names =
    ONE("tpmrm", LINK("../../devices/platform/MSFT0101:00/tpmrm/tpmrm0"));

const struct gen_names sysfs_platform_names = ONE("MSFT0101:0", DIR(chip_entries, NULL));

static int show_log(struct text *t, const struct gen_ctx *c)
{
    size_t size;
    const uint8_t *log = tpm_log(&size);

    text_add(t, log, size);
    return 0;
}

static const struct gen_entry log_entries[] = {
    GEN_FILE_MODE("binary_bios_measurements", 0440, show_log), { .name = NULL }
};
static const struct gen_names log_dirs = ONE("tpm", DIR(log_entries, NULL));
static const struct gen_entry security_root = { .mode = S_IFDIR | 0755,
                                                .children = none,
                                                .names = &log_dirs };

int securityfs_init(void)
{
    static const struct gen_tree tree = { .file_size = 0 };
    struct superblock *sb;
    size_t size;
    int err;

    if (!tpm_log(&size))
        return 0;
    err = gen_create("securityfs", SECURITYFS_MAGIC, &security_root, &tree, &sb);
    if (err)
        return err;
    return vfs_mount(sb, "/sys/kernel/security", "securityfs",
                     ST_NOSUID | ST_NODEV | ST_NOEXEC | ST_RDONLY);
}
