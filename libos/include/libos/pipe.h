/* SPDX-License-Identifier: MIT */
/* Pipes and FIFOs. pipe(7), fifo(7). */
#ifndef LIBOS_PIPE_H
#define LIBOS_PIPE_H

#include <base/compiler.h>
#include <base/types.h>

struct file;
struct inode;

enum {
    PIPE_ATOMIC = 4096,           /* PIPE_BUF: writes up to this many bytes are not interleaved */
    PIPE_DEFAULT_SIZE = 65536,    /* bytes */
    PIPE_MAX_SIZE = 1024 * 1024,  /* bytes; for processes without CAP_SYS_RESOURCE */
};

/* Create a pipe. ret_ends[0] reads, ret_ends[1] writes; one reference each, the caller's.
 * flags: O_NONBLOCK, O_DIRECT (packets). -ENFILE, -ENOMEM. May sleep: no. */
NODISCARD int pipe_create(unsigned flags, struct file *ret_ends[2]);

/* Open the FIFO that inode (S_IFIFO) names, for path_open: sets f->ops and f->data. Waits for the other side unless
 * O_NONBLOCK. -ENXIO (writing, O_NONBLOCK, no reader), -ENOMEM, -ERESTARTSYS. May sleep. */
NODISCARD int fifo_open(struct inode *inode, struct file *f);

/* fcntl(F_GETPIPE_SZ, F_SETPIPE_SZ). Bytes; -EBADF (not a pipe), -EBUSY (too small for what it holds), -EPERM,
 * -EINVAL, -ENOMEM. */
long pipe_size(struct file *f);
long pipe_set_size(struct file *f, unsigned long size);

#endif
