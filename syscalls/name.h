/* SPDX-License-Identifier: MIT */
/* Path names of the program: a short one on the stack, a long one in a buffer. */
#ifndef SYSCALLS_NAME_H
#define SYSCALLS_NAME_H

#include <abi/fcntl.h>
#include <libos/user.h>
#include <libos/vfs.h>

struct name {
    char *text;
    char small[128];
};

/* Copy a name in. -EFAULT, -ENAMETOOLONG, -ENOMEM; then nothing is to be freed. */
static inline int name_get(struct name *n, user_str_t up)
{
    long len = user_str(n->small, sizeof(n->small), up);
    n->text = n->small;
    if (LIKELY(len >= 0))
        return 0;
    if (len != -ENAMETOOLONG)
        return (int)len;
    n->text = path_buf_alloc();
    if (!n->text)
        return -ENOMEM;
    len = user_str(n->text, ABI_PATH_MAX, up);
    if (len >= 0)
        return 0;
    path_buf_free(n->text);
    return (int)len;
}

static inline void name_put(struct name *n)
{
    if (UNLIKELY(n->text != n->small))
        path_buf_free(n->text);
}

/* The path that dfd and a name lead to, with references. flags: AT_EMPTY_PATH, AT_SYMLINK_NOFOLLOW; others are ignored. */
static inline int name_walk(int dfd, user_str_t up, unsigned flags, struct path *ret)
{
    struct name n;
    int err = name_get(&n, up);
    if (UNLIKELY(err))
        return err;
    err = path_walk(dfd, n.text,
                    (flags & AT_SYMLINK_NOFOLLOW ? 0 : WALK_FOLLOW) |
                        (flags & AT_EMPTY_PATH ? WALK_EMPTY : 0),
                    ret);
    name_put(&n);
    return err;
}

#endif
