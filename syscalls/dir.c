/* SPDX-License-Identifier: MIT */
/* Listing and making directories, device nodes. Listings are put together in libOS memory: names are read under a lock
 * that must not be held over a user copy. */
#include "name.h"
#include "sys_proto.h"

#include <abi/dirent.h>
#include <abi/errno.h>
#include <abi/stat.h>
#include <libos/file.h>
#include <libos/heap.h>
#include <libos/inotify.h>
#include <libos/user.h>
#include <string.h>

enum { LIST_MAX = 32 * 1024 }; /* bytes of one call */

struct list {
    struct dir_sink sink;
    char *buf;
    size_t size, used;
    bool old; /* struct abi_dirent: the type is the last byte */
    bool too_small;
};

static bool emit(struct dir_sink *sink, const char *name, size_t len, uint64_t ino,
                 uint64_t next_pos, unsigned type)
{
    struct list *l = (struct list *)sink;
    size_t head =
        l->old ? offsetof(struct abi_dirent, d_name) : offsetof(struct abi_dirent64, d_name);
    size_t need = align_up(head + len + 1 + l->old, 8);
    if (need > l->size - l->used) {
        l->too_small = l->used == 0;
        return false;
    }
    char *at = l->buf + l->used;
    memset(at + need - 8, 0, 8);
    if (l->old) {
        struct abi_dirent d = { .d_ino = ino, .d_off = next_pos, .d_reclen = (uint16_t)need };
        memcpy(at, &d, head);
        at[need - 1] = (char)type;
    } else {
        struct abi_dirent64 d = { .d_ino = ino,
                                  .d_off = (int64_t)next_pos,
                                  .d_reclen = (uint16_t)need,
                                  .d_type = (uint8_t)type };
        memcpy(at, &d, head);
    }
    memcpy(at + head, name, len);
    at[head + len] = '\0';
    l->used += need;
    return true;
}

static long list_dir(struct file *f, user_u8_out_t buf, struct list *l)
{
    bool locked = file_pos_lock(f);
    uint64_t pos = f->pos;
    long err = f->ops->readdir(f, &l->sink, &pos);
    if (!err && l->too_small)
        err = -EINVAL;
    if (!err && l->used)
        err = user_put(buf, (uint8_t *)l->buf, l->used);
    if (!err) {
        f->pos = pos;
        inode_touch(&f->path);
    }
    file_pos_unlock(f, locked);
    if (!err)
        inotify_event(f->path.dentry, IN_ACCESS | IN_ISDIR);
    return err ? err : (long)l->used;
}

static long getdents(int fd, user_u8_out_t buf, unsigned count, bool old)
{
    struct fd_ref ref;
    struct list l = { .sink.emit = emit, .size = count < LIST_MAX ? count : LIST_MAX, .old = old };
    long err = fd_borrow(fd, &ref);
    if (err)
        return err;
    if (!ref.file->ops->readdir) {
        err = -ENOTDIR;
    } else {
        l.buf = heap_alloc(l.size);
        err = l.buf ? list_dir(ref.file, buf, &l) : -ENOMEM;
        heap_free(l.buf);
    }
    fd_return(&ref);
    return err;
}

long sys_getdents64(int fd, user_u8_out_t buf, unsigned count)
{
    return getdents(fd, buf, count, false);
}

long sys_getdents(int fd, user_u8_out_t buf, unsigned count)
{
    return getdents(fd, buf, count, true);
}

long sys_mkdirat(int dfd, user_str_t path, unsigned mode)
{
    struct name n;
    long err = name_get(&n, path);
    if (err)
        return err;
    err = vfs_mknod(dfd, n.text, S_IFDIR | (mode & 01777), 0);
    name_put(&n);
    return err;
}

long sys_mkdir(user_str_t path, unsigned mode)
{
    return sys_mkdirat(AT_FDCWD, path, mode);
}

long sys_mknodat(int dfd, user_str_t path, unsigned mode, unsigned dev)
{
    struct name n;
    switch (mode & S_IFMT) {
    case 0:
        mode |= S_IFREG;
        break;
    case S_IFREG:
    case S_IFCHR:
    case S_IFBLK:
    case S_IFIFO:
    case S_IFSOCK:
        break;
    case S_IFDIR:
        return -EPERM;
    default:
        return -EINVAL;
    }
    long err = name_get(&n, path);
    if (err)
        return err;
    err = vfs_mknod(dfd, n.text, mode & (S_IFMT | 07777), dev);
    name_put(&n);
    return err;
}

long sys_mknod(user_str_t path, unsigned mode, unsigned dev)
{
    return sys_mknodat(AT_FDCWD, path, mode, dev);
}

long sys_rmdir(user_str_t path)
{
    struct name n;
    long err = name_get(&n, path);
    if (err)
        return err;
    err = vfs_unlink(AT_FDCWD, n.text, true);
    name_put(&n);
    return err;
}
