/* SPDX-License-Identifier: MIT */
/* link, unlink, symlink, readlink, rename. */
#include "name.h"
#include "sys_proto.h"

#include <abi/errno.h>
#include <abi/fcntl.h>
#include <abi/prctl.h>
#include <libos/process.h>
#include <libos/user.h>

/* Two names in; the caller frees both. */
static int names_get(struct name *a, user_str_t up_a, struct name *b, user_str_t up_b)
{
    int err = name_get(a, up_a);
    if (err)
        return err;
    err = name_get(b, up_b);
    if (err)
        name_put(a);
    return err;
}

long sys_linkat(int olddfd, user_str_t old, int newdfd, user_str_t new, unsigned flags)
{
    struct name n;
    struct path from;
    if (flags & AT_EMPTY_PATH && !cred_capable(CAP_DAC_READ_SEARCH))
        flags &= ~(unsigned)AT_EMPTY_PATH; /* an empty name is then ENOENT */
    long err = name_walk(
        olddfd, old,
        (flags & AT_EMPTY_PATH) | (flags & AT_SYMLINK_FOLLOW ? 0 : AT_SYMLINK_NOFOLLOW), &from);
    if (err)
        return err;
    err = name_get(&n, new);
    if (!err) {
        err = vfs_link(&from, newdfd, n.text);
        name_put(&n);
    }
    path_put(&from);
    return err;
}

long sys_link(user_str_t old, user_str_t new)
{
    return sys_linkat(AT_FDCWD, old, AT_FDCWD, new, 0);
}

long sys_unlinkat(int dfd, user_str_t path, unsigned flags)
{
    struct name n;
    long err = name_get(&n, path);
    if (err)
        return err;
    err = vfs_unlink(dfd, n.text, flags & AT_REMOVEDIR);
    name_put(&n);
    return err;
}

long sys_unlink(user_str_t path)
{
    return sys_unlinkat(AT_FDCWD, path, 0);
}

long sys_symlinkat(user_str_t target, int dfd, user_str_t path)
{
    struct name to, n;
    long err = names_get(&to, target, &n, path);
    if (err)
        return err;
    err = vfs_symlink(to.text, dfd, n.text);
    name_put(&to);
    name_put(&n);
    return err;
}

long sys_symlink(user_str_t target, user_str_t path)
{
    return sys_symlinkat(target, AT_FDCWD, path);
}

static long read_link(const struct path *p, bool empty, user_char_out_t buf, size_t size)
{
    struct inode *inode = p->dentry->inode;
    if (!S_ISLNK(inode->mode) || !inode->ops->readlink)
        return empty ? -ENOENT : -EINVAL;
    char *text = path_buf_alloc();
    if (!text)
        return -ENOMEM;
    long n = inode->ops->readlink(inode, text, ABI_PATH_MAX);
    if (n > 0) {
        inode_touch(p);
        n = (size_t)n < size ? n : (long)size;
        int err = user_put(buf, text, (size_t)n);
        n = err ? err : n;
    }
    path_buf_free(text);
    return n;
}

long sys_readlinkat(int dfd, user_str_t path, user_char_out_t buf, int size)
{
    struct name n;
    struct path p;
    if (size <= 0)
        return -EINVAL;
    long err = name_get(&n, path);
    if (err)
        return err;
    bool empty = !n.text[0]; /* a descriptor of a link itself (O_PATH | O_NOFOLLOW) */
    err = path_walk(dfd, n.text, WALK_EMPTY, &p);
    name_put(&n);
    if (err)
        return err;
    err = empty && dfd == AT_FDCWD ? -ENOENT : read_link(&p, empty, buf, (size_t)size);
    path_put(&p);
    return err;
}

long sys_readlink(user_str_t path, user_char_out_t buf, int size)
{
    return sys_readlinkat(AT_FDCWD, path, buf, size);
}

long sys_renameat2(int olddfd, user_str_t old, int newdfd, user_str_t new, unsigned flags)
{
    struct name from, to;
    long err = names_get(&from, old, &to, new);
    if (err)
        return err;
    err = vfs_rename(olddfd, from.text, newdfd, to.text, flags);
    name_put(&from);
    name_put(&to);
    return err;
}

long sys_renameat(int olddfd, user_str_t old, int newdfd, user_str_t new)
{
    return sys_renameat2(olddfd, old, newdfd, new, 0);
}

long sys_rename(user_str_t old, user_str_t new)
{
    return sys_renameat2(AT_FDCWD, old, AT_FDCWD, new, 0);
}
