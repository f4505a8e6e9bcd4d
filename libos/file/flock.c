/* SPDX-License-Identifier: MIT */
/* Advisory locks: none can be taken yet. */
#include <libos/flock.h>

#include <abi/errno.h>

void flock_close(struct file *f, struct fd_table *t)
{
    (void)f, (void)t;
}

void flock_release(struct file *f)
{
    (void)f;
}

int lease_break(struct inode *inode, unsigned flags)
{
    (void)inode, (void)flags;
    return 0;
}

int posix_lock_set(struct file *f, int fd, int cmd, const struct abi_flock *l)
{
    (void)f, (void)fd, (void)cmd, (void)l;
    return -ENOLCK;
}

int posix_lock_get(struct file *f, int cmd, struct abi_flock *l)
{
    (void)f, (void)cmd, (void)l;
    return -ENOLCK;
}

int lease_set(struct file *f, long arg)
{
    (void)f, (void)arg;
    return -EINVAL;
}

int lease_get(struct file *f)
{
    (void)f;
    return F_UNLCK;
}
