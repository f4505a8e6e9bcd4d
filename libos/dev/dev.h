/* SPDX-License-Identifier: MIT */
/* Shared between the files of this folder: the open functions that the device table names. */
#ifndef DEV_DEV_H
#define DEV_DEV_H

#include <base/compiler.h>
#include <base/types.h>

struct file;
struct superblock;

enum {
    MAJOR_MEM = 1,
    MAJOR_TTY_SERIAL = 4,
    MAJOR_MISC = 10,
    MAJOR_TTY = 5,
    MAJOR_PTS = 136,
    MAJOR_HVC = 229,
    MINOR_NULL = 3,
    MINOR_ZERO = 5,
    MINOR_FULL = 7,
    MINOR_RANDOM = 8,
    MINOR_URANDOM = 9,
    MINOR_KMSG = 11,
    MINOR_TTY = 0,
    MINOR_CONSOLE = 1,
    MINOR_PTMX = 2,
    MINOR_TTYS0 = 64,
    MINOR_HVC_ERRORS = 1,  /* standard error's own channel */
    MINOR_SEV_GUEST = 125, /* of those that Linux gives out as they come */
    MINOR_TDX_GUEST = 126,
    MINOR_VSOCK = 127,
    PTS_MAX = 4096, /* pseudo-terminals at a time */
};

/* /dev/null and its family. -ENXIO: no such minor. */
NODISCARD int mem_open(struct file *f, uint32_t minor);
/* /dev/console, /dev/ttyS0. -ENXIO: there is no console terminal. */
NODISCARD int console_device_open(struct file *f, uint32_t minor);
/* /dev/hvc1. -ENXIO: standard error has no channel of its own. */
NODISCARD int console_errors_device_open(struct file *f, uint32_t minor);
/* /dev/tty, /dev/console, /dev/ptmx. */
NODISCARD int tty_device_open(struct file *f, uint32_t minor);
/* /dev/ptmx, /dev/pts/N. -EIO: no such pseudo-terminal, or locked. -ENOSPC, -ENOMEM. */
NODISCARD int ptmx_open(struct file *f);
NODISCARD int pts_open(struct file *f, uint32_t minor);
/* /dev/tdx_guest. -ENXIO: not in a TDX guest. */
NODISCARD int tdx_guest_open(struct file *f, uint32_t minor);
/* /dev/vsock. 0. */
NODISCARD int vsock_node_open(struct file *f, uint32_t minor);
/* The file system of /dev/pts. -ENOMEM. */
NODISCARD int devpts_create(struct superblock **ret_sb);
/* What each mount of devtmpfs and devpts shows; set once at boot. */
extern struct superblock *dev_super, *pts_super;

/* Send a line of the control channel to the host. -ENODEV: there is no control channel; -EIO: it makes no progress. */
int control_send(const char *text, size_t len);
/* The host's line "key TEXT": a piece of what control_ask_key waits for, "end" or "none". From interrupts. */
void control_key(const char *text);

#endif
