/* SPDX-License-Identifier: MIT */
/* open, openat, openat2, creat. */
#include "name.h"
#include "sys_proto.h"
#include "uring_op.h"

#include <abi/errno.h>
#include <abi/fcntl.h>
#include <libos/file.h>
#include <libos/user.h>

#define OPEN_FLAGS                                                                                 \
    (O_ACCMODE | O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC | O_APPEND | O_NONBLOCK | O_DSYNC |         \
     O_ASYNC | O_DIRECT | O_LARGEFILE | O_DIRECTORY | O_NOFOLLOW | O_NOATIME | O_CLOEXEC |         \
     O_SYNC | O_PATH | O_TMPFILE)

static long open_name(int dfd, user_str_t path, unsigned flags, uint32_t mode, unsigned walk)
{
    struct name n;
    struct file *f;
    long err = name_get(&n, path);
    if (err)
        return err;
    err = path_open(dfd, n.text, flags, mode, walk, &f);
    name_put(&n);
    return err ? err : fd_install(f, flags & O_CLOEXEC);
}

/* open and openat ignore flags that they do not know, and the mode where none is made. */
long sys_openat(int dfd, user_str_t path, unsigned flags, unsigned mode)
{
    flags &= OPEN_FLAGS;
    if (!(flags & O_PATH))
        flags |= O_LARGEFILE;
    return open_name(dfd, path, flags, mode & 07777, 0);
}

long sys_open(user_str_t path, unsigned flags, unsigned mode)
{
    return sys_openat(AT_FDCWD, path, flags, mode);
}

long sys_creat(user_str_t path, unsigned mode)
{
    return sys_openat(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode);
}

/* The structure grows at its end: what is beyond what is known here must be zero. */
static int how_get(struct abi_open_how *how, user_open_how_in_t up, size_t size)
{
    uint8_t beyond[64];
    if (size < sizeof(*how))
        return -EINVAL;
    if (size > 4096)
        return -E2BIG;
    int err = user_get(how, up, 1);
    for (size_t at = sizeof(*how); at < size && !err; at += sizeof(beyond)) {
        size_t n = size - at < sizeof(beyond) ? size - at : sizeof(beyond);
        err = user_get(beyond, user_advance(user_cast(user_u8_in_t, up), at), n);
        for (size_t i = 0; i < n && !err; i++)
            if (beyond[i])
                err = -E2BIG;
    }
    return err;
}

static int how_check(const struct abi_open_how *how)
{
    if (how->flags & ~(uint64_t)OPEN_FLAGS)
        return -EINVAL;
    if (how->resolve & ~(uint64_t)(RESOLVE_NO_XDEV | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS |
                                   RESOLVE_BENEATH | RESOLVE_IN_ROOT | RESOLVE_CACHED))
        return -EINVAL;
    if (how->resolve & RESOLVE_BENEATH && how->resolve & RESOLVE_IN_ROOT)
        return -EINVAL;
    bool makes = how->flags & O_CREAT || (how->flags & O_TMPFILE) == O_TMPFILE;
    if (makes ? how->mode & ~(uint64_t)07777 : how->mode != 0)
        return -EINVAL;
    if (how->flags & O_PATH &&
        how->flags & ~(uint64_t)(O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC))
        return -EINVAL;
    if (how->resolve & RESOLVE_CACHED && (makes || how->flags & O_TRUNC))
        return -EAGAIN;
    return 0;
}

int open_how_get(struct abi_open_how *how, user_open_how_in_t up, size_t size)
{
    int err = how_get(how, up, size);
    return err ? err : how_check(how);
}

unsigned open_how_walk(const struct abi_open_how *how)
{
    static const uint16_t walk_flags[] = { WALK_NO_XDEV, WALK_NO_MAGICLINKS, WALK_NO_SYMLINKS,
                                           WALK_BENEATH, WALK_IN_ROOT };
    unsigned walk = 0;
    for (unsigned i = 0; i < ARRAY_SIZE(walk_flags); i++)
        if (how->resolve >> i & 1)
            walk |= walk_flags[i];
    return walk;
}

long sys_openat2(int dfd, user_str_t path, user_open_how_in_t up, size_t size)
{
    struct abi_open_how how;
    int err = open_how_get(&how, up, size);
    if (err)
        return err;
    return open_name(dfd, path, (unsigned)how.flags | (how.flags & O_PATH ? 0 : O_LARGEFILE),
                     (uint32_t)how.mode, open_how_walk(&how));
}
