/* SPDX-License-Identifier: MIT */
/* Pipes and FIFOs. pipe(7), fifo(7). */
#ifndef LIBOS_PIPE_H
#define LIBOS_PIPE_H

#include <base/compiler.h>
#include <base/types.h>

struct file;
struct inode;

enum {
    PIPE_ATOMIC = 4096,          /* PIPE_BUF: writes up to this many bytes are not interleaved */
    PIPE_DEFAULT_SIZE = 65536,   /* bytes */
    PIPE_MAX_SIZE = 1024 * 1024, /* bytes; for processes without CAP_SYS_RESOURCE */
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

/* splice(2): move up to len bytes from in to out, one of which is a pipe. Positions: NULL for pipes and for a file's own
 * position. Bytes; -EINVAL (no pipe, the same pipe, O_APPEND), -EAGAIN, -EPIPE, -EBADF, -ERESTARTSYS, or what the file said. May sleep. */
long pipe_splice(struct file *in, uint64_t *in_pos, struct file *out, uint64_t *out_pos, size_t len,
                 bool no_wait);
/* tee(2): the same from pipe to pipe, and the bytes stay in the first too. */
long pipe_tee(struct file *in, struct file *out, size_t len, bool no_wait);
/* True when f is an end of a pipe. */
bool pipe_is(const struct file *f);
/* SIGPIPE to the current thread. */
void pipe_sigpipe(void);
/* An end of a pipe could read or write something now. */
bool pipe_ready(const struct file *f);

#endif
