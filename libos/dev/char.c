/* SPDX-License-Identifier: MIT */
/* The table of character devices, and the tree of /dev: a devtmpfs that libOS fills once, with /dev/pts and /dev/shm
 * mounted in it. Numbers are Linux's (Documentation/admin-guide/devices.txt). */
#include "dev.h"
#include <abi/errno.h>
#include <abi/stat.h>
#include <abi/statfs.h>
#include <libos/dev/char.h>
#include <libos/file.h>
#include <libos/mount.h>
#include <libos/snp.h>
#include <libos/dev/tpm.h>
#include <libos/vfs.h>
#include <plat/cc.h>

static const struct char_device devices[] = {
    { MAJOR_MEM, 0, 16, mem_open },
    { MAJOR_TTY_SERIAL, MINOR_TTYS0, 1, console_device_open },
    { MAJOR_TTY, 0, 3, tty_device_open },
    { MAJOR_PTS, 0, PTS_MAX, pts_open },
    { MAJOR_HVC, MINOR_HVC_ERRORS, 1, console_errors_device_open },
    { MAJOR_MISC, TPM_MINOR, 1, tpm_open },
    { TPMRM_MAJOR, TPMRM_MINOR, 1, tpmrm_open },
    { MAJOR_MISC, MINOR_SEV_GUEST, 1, sev_guest_open },
    { MAJOR_MISC, MINOR_TDX_GUEST, 1, tdx_guest_open },
    { MAJOR_MISC, MINOR_VSOCK, 1, vsock_node_open },
};

int char_device_open(struct inode *inode, struct file *f)
{
    uint32_t major = abi_major(inode->rdev), minor = abi_minor(inode->rdev);
    for (size_t i = 0; i < ARRAY_SIZE(devices); i++) {
        const struct char_device *d = &devices[i];
        if (d->major == major && minor - d->minor < d->count)
            return d->open(f, minor);
    }
    return -ENXIO;
}

/* A node of /dev: symbolic links have a target, the others a number. */
struct node {
    const char *name;
    uint32_t mode, major, minor;
    const char *target;
};

static const struct node nodes[] = {
    { "/dev/null", S_IFCHR | 0666, MAJOR_MEM, MINOR_NULL, NULL },
    { "/dev/zero", S_IFCHR | 0666, MAJOR_MEM, MINOR_ZERO, NULL },
    { "/dev/full", S_IFCHR | 0666, MAJOR_MEM, MINOR_FULL, NULL },
    { "/dev/random", S_IFCHR | 0666, MAJOR_MEM, MINOR_RANDOM, NULL },
    { "/dev/urandom", S_IFCHR | 0666, MAJOR_MEM, MINOR_URANDOM, NULL },
    { "/dev/kmsg", S_IFCHR | 0644, MAJOR_MEM, MINOR_KMSG, NULL },
    { "/dev/ttyS0", S_IFCHR | 0620, MAJOR_TTY_SERIAL, MINOR_TTYS0, NULL },
    { "/dev/tty", S_IFCHR | 0666, MAJOR_TTY, MINOR_TTY, NULL },
    { "/dev/console", S_IFCHR | 0620, MAJOR_TTY, MINOR_CONSOLE, NULL },
    { "/dev/vsock", S_IFCHR | 0666, MAJOR_MISC, MINOR_VSOCK, NULL },
    { "/dev/ptmx", S_IFCHR | 0666, MAJOR_TTY, MINOR_PTMX, NULL },
    { "/dev/fd", S_IFLNK | 0777, 0, 0, "/proc/self/fd" },
    { "/dev/stdin", S_IFLNK | 0777, 0, 0, "/proc/self/fd/0" },
    { "/dev/stdout", S_IFLNK | 0777, 0, 0, "/proc/self/fd/1" },
    { "/dev/stderr", S_IFLNK | 0777, 0, 0, "/proc/self/fd/2" },
    { "/dev/pts", S_IFDIR | 0755, 0, 0, NULL },
    { "/dev/shm", S_IFDIR | 01777, 0, 0, NULL },
};

/* The way to the security firmware of a confidential guest. */
static int make_firmware_node(void)
{
    if (plat_tdx())
        return vfs_make("/dev/tdx_guest", S_IFCHR | 0600,
                        (uint32_t)abi_makedev(MAJOR_MISC, MINOR_TDX_GUEST), NULL);
    if (plat_snp() && snp_messages_init() == 0)
        return vfs_make("/dev/sev-guest", S_IFCHR | 0600,
                        (uint32_t)abi_makedev(MAJOR_MISC, MINOR_SEV_GUEST), NULL);
    return 0;
}

int dev_init(void)
{
    struct superblock *sb;
    int err = tmpfs_create("devtmpfs", 0755, &sb);
    if (err)
        return err;
    dev_super = sb;
    if (!superblock_get(sb)) /* it stays, mounted or not */
        return -EINVAL;
    err = vfs_mount(sb, "/dev", "devtmpfs", ST_NOSUID);
    for (size_t i = 0; !err && i < ARRAY_SIZE(nodes); i++) {
        const struct node *n = &nodes[i];
        err = vfs_make(n->name, n->mode, (uint32_t)abi_makedev(n->major, n->minor), n->target);
    }
    if (!err)
        err = make_firmware_node();
    if (err)
        return err;
    err = devpts_create(&sb);
    if (!err && superblock_get(sb))
        pts_super = sb;
    if (!err)
        err = vfs_mount(sb, "/dev/pts", "devpts", ST_NOSUID | ST_NOEXEC);
    if (err)
        return err;
    err = tmpfs_create("tmpfs", 01777, &sb);
    return err ? err : vfs_mount(sb, "/dev/shm", "tmpfs", ST_NOSUID | ST_NODEV);
}
