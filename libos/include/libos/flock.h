/* SPDX-License-Identifier: MIT */
/* Advisory locks of files, fcntl(2) and flock(2): POSIX locks belong to a descriptor table, OFD locks, flock locks and
 * leases to an open file. */
#ifndef LIBOS_FLOCK_H
#define LIBOS_FLOCK_H

#include <abi/fcntl.h>
#include <base/compiler.h>
#include <base/types.h>

struct fd_table;
struct file;
struct inode;

/* What file_ops.lock is told. */
struct lock_range {
    short type;          /* F_RDLCK, F_WRLCK, F_UNLCK */
    uint64_t start, end; /* the last byte; INT64_MAX: no end */
    int pid;             /* whose it is */
};

/* flock(2). op: LOCK_SH, LOCK_EX or LOCK_UN, maybe with LOCK_NB. -EWOULDBLOCK, -EINVAL, -ERESTARTSYS, -ENOMEM. Sleeps. */
NODISCARD int flock_set(struct file *f, unsigned op);

/* F_SETLK, F_SETLKW, F_OFD_SETLK, F_OFD_SETLKW. fd: the descriptor that f was found by. -EAGAIN, -EBADF (f is not open for
 * that), -EINVAL, -EOVERFLOW, -EDEADLK, -ERESTARTSYS, -ENOMEM. Sleeps. */
NODISCARD int posix_lock_set(struct file *f, int fd, int cmd, const struct abi_flock *l);
/* F_GETLK, F_OFD_GETLK: *l becomes the first lock that is in the way, or F_UNLCK. -EINVAL, -EOVERFLOW. */
NODISCARD int posix_lock_get(struct file *f, int cmd, struct abi_flock *l);

/* A descriptor of table t for f was closed: the table's POSIX locks on the inode go. Cheap without locks. */
void flock_close(struct file *f, struct fd_table *t);
/* The open file goes: its flock and OFD locks and leases go. Cheap without locks. */
void flock_release(struct file *f);

/* F_SETLEASE by descriptor fd, F_GETLEASE. arg: F_RDLCK, F_WRLCK, F_UNLCK. -EINVAL, -EACCES, -EAGAIN, -ENOMEM. */
int lease_set(struct file *f, int fd, long arg);
int lease_get(struct file *f);
/* inode is being opened with flags O_* (or truncated: O_WRONLY): holders of leases in the way are told by signal and have
 * 45 seconds. -EWOULDBLOCK (O_NONBLOCK), -ERESTARTSYS. Sleeps. Cheap without leases. */
NODISCARD int lease_break(struct inode *inode, unsigned flags);

#endif
