/* SPDX-License-Identifier: MIT */
/* chmod, chown, time stamps, extended attributes. */
#include "name.h"
#include "sys_proto.h"

#include <abi/errno.h>
#include <abi/fcntl.h>
#include <abi/time.h>
#include <abi/xattr.h>
#include <libos/file.h>
#include <libos/heap.h>
#include <libos/user.h>
#include <libos/xattr.h>

#define UTIME_NOW  0x3fffffff /* for tv_nsec */
#define UTIME_OMIT 0x3ffffffe

static long set_attr(int dfd, user_str_t path, unsigned flags, struct inode_attr *a)
{
    struct path p;
    long err = name_walk(dfd, path, flags, &p);
    if (err)
        return err;
    if (a->set & ATTR_MODE && S_ISLNK(p.dentry->inode->mode))
        err = -EOPNOTSUPP; /* links have no mode of use */
    else
        err = inode_setattr(&p, a);
    path_put(&p);
    return err;
}

static long set_attr_fd(int fd, struct inode_attr *a)
{
    struct fd_ref ref;
    long err = fd_borrow(fd, &ref);
    if (err)
        return err;
    err = inode_setattr(&ref.file->path, a);
    fd_return(&ref);
    return err;
}

static struct inode_attr to_mode(unsigned mode)
{
    return (struct inode_attr){ .set = ATTR_MODE, .mode = mode & 07777 };
}

long sys_fchmodat2(int dfd, user_str_t path, unsigned mode, unsigned flags)
{
    struct inode_attr a = to_mode(mode);
    return set_attr(dfd, path, flags, &a);
}

long sys_fchmodat(int dfd, user_str_t path, unsigned mode)
{
    return sys_fchmodat2(dfd, path, mode, 0);
}

long sys_chmod(user_str_t path, unsigned mode)
{
    return sys_fchmodat2(AT_FDCWD, path, mode, 0);
}

long sys_fchmod(int fd, unsigned mode)
{
    struct inode_attr a = to_mode(mode);
    return set_attr_fd(fd, &a);
}

static struct inode_attr to_owner(unsigned uid, unsigned gid)
{
    struct inode_attr a = { .set = ATTR_CHOWN, .uid = uid, .gid = gid };
    if (uid != UINT32_MAX)
        a.set |= ATTR_UID;
    if (gid != UINT32_MAX)
        a.set |= ATTR_GID;
    return a;
}

long sys_fchownat(int dfd, user_str_t path, unsigned uid, unsigned gid, unsigned flags)
{
    struct inode_attr a = to_owner(uid, gid);
    return set_attr(dfd, path, flags, &a);
}

long sys_chown(user_str_t path, unsigned uid, unsigned gid)
{
    return sys_fchownat(AT_FDCWD, path, uid, gid, 0);
}

long sys_lchown(user_str_t path, unsigned uid, unsigned gid)
{
    return sys_fchownat(AT_FDCWD, path, uid, gid, AT_SYMLINK_NOFOLLOW);
}

long sys_fchown(int fd, unsigned uid, unsigned gid)
{
    struct inode_attr a = to_owner(uid, gid);
    return set_attr_fd(fd, &a);
}

/* What to set for two times; NULL: now. 1: nothing at all. */
static int to_times(const struct abi_timespec *t, struct inode_attr *a)
{
    struct abi_timespec now = vfs_now();
    *a = (struct inode_attr){ .set = ATTR_ATIME | ATTR_MTIME | ATTR_TOUCH,
                              .atime = now,
                              .mtime = now };
    if (!t)
        return 0;
    for (int i = 0; i < 2; i++)
        if ((uint64_t)t[i].tv_nsec >= NS_PER_SEC && t[i].tv_nsec != UTIME_NOW &&
            t[i].tv_nsec != UTIME_OMIT)
            return -EINVAL;
    if (t[0].tv_nsec == UTIME_NOW && t[1].tv_nsec == UTIME_NOW)
        return 0;
    if (t[0].tv_nsec == UTIME_OMIT && t[1].tv_nsec == UTIME_OMIT)
        return 1;
    a->set = ATTR_TIMES_SET;
    if (t[0].tv_nsec != UTIME_OMIT)
        a->set |= ATTR_ATIME;
    if (t[1].tv_nsec != UTIME_OMIT)
        a->set |= ATTR_MTIME;
    if (t[0].tv_nsec != UTIME_NOW)
        a->atime = t[0];
    if (t[1].tv_nsec != UTIME_NOW)
        a->mtime = t[1];
    return 0;
}

static long set_times(int dfd, user_str_t path, const struct abi_timespec *t, unsigned flags)
{
    struct inode_attr a;
    int err = to_times(t, &a);
    if (err)
        return err > 0 ? 0 : err;
    if (flags & ~(unsigned)(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH))
        return -EINVAL;
    if (user_is_null(path) && dfd != AT_FDCWD)
        return flags ? -EINVAL : set_attr_fd(dfd, &a);
    return set_attr(dfd, path, flags, &a);
}

long sys_utimensat(int dfd, user_str_t path, user_timespec_in_t times, unsigned flags)
{
    struct abi_timespec t[2];
    if (user_is_null(times))
        return set_times(dfd, path, NULL, flags);
    int err = user_get(t, times, 2);
    return err ? err : set_times(dfd, path, t, flags);
}

long sys_futimesat(int dfd, user_str_t path, user_timeval_in_t times)
{
    struct abi_timeval v[2];
    struct abi_timespec t[2];
    if (user_is_null(times))
        return set_times(dfd, path, NULL, 0);
    if (user_get(v, times, 2))
        return -EFAULT;
    for (int i = 0; i < 2; i++) {
        if ((uint64_t)v[i].tv_usec >= 1000000)
            return -EINVAL;
        t[i] = (struct abi_timespec){ v[i].tv_sec, v[i].tv_usec * 1000 };
    }
    return set_times(dfd, path, t, 0);
}

long sys_utimes(user_str_t path, user_timeval_in_t times)
{
    return sys_futimesat(AT_FDCWD, path, times);
}

long sys_utime(user_str_t path, user_utimbuf_in_t times)
{
    struct abi_utimbuf u;
    if (user_is_null(times))
        return set_times(AT_FDCWD, path, NULL, 0);
    if (user_get(&u, times, 1))
        return -EFAULT;
    struct abi_timespec t[2] = { { u.actime, 0 }, { u.modtime, 0 } };
    return set_times(AT_FDCWD, path, t, 0);
}

static long by_name(user_str_t path, bool follow, struct path *ret)
{
    return name_walk(AT_FDCWD, path, follow ? 0 : AT_SYMLINK_NOFOLLOW, ret);
}

static long by_fd(int fd, struct path *ret)
{
    struct fd_ref ref;
    long err = fd_borrow(fd, &ref);
    if (err)
        return err;
    *ret = ref.file->path;
    path_get(ret);
    fd_return(&ref);
    return 0;
}

/* The name of an attribute: 1 to 255 bytes. */
static long xattr_name(char name[XATTR_NAME_MAX + 1], user_str_t up)
{
    long len = user_str(name, XATTR_NAME_MAX + 1, up);
    if (len == -ENAMETOOLONG || len == 0)
        return -ERANGE;
    return len < 0 ? len : 0;
}

static long set_value(long err, struct path *p, const char *name, const void *value, size_t size,
                      unsigned flags)
{
    if (err)
        return err;
    err = path_setxattr(p, name, value, size, (int)flags);
    path_put(p);
    return err;
}

/* What all three forms of setxattr copy in. */
struct xattr_args {
    char name[XATTR_NAME_MAX + 1];
    uint8_t *value;
};

static long xattr_args_get(struct xattr_args *a, user_str_t name, user_u8_in_t value, size_t size,
                           unsigned flags)
{
    if (flags & ~(unsigned)(XATTR_CREATE | XATTR_REPLACE))
        return -EINVAL;
    long err = xattr_name(a->name, name);
    if (err)
        return err;
    if (size > XATTR_SIZE_MAX)
        return -E2BIG;
    a->value = heap_alloc(size ? size : 1);
    if (!a->value)
        return -ENOMEM;
    err = user_get(a->value, value, size);
    if (err)
        heap_free(a->value);
    return err;
}

static long setxattr_name(user_str_t path, bool follow, user_str_t name, user_u8_in_t value,
                          size_t size, unsigned flags)
{
    struct xattr_args a;
    struct path p;
    long err = xattr_args_get(&a, name, value, size, flags);
    if (err)
        return err;
    err = by_name(path, follow, &p);
    err = set_value(err, &p, a.name, a.value, size, flags);
    heap_free(a.value);
    return err;
}

long sys_setxattr(user_str_t path, user_str_t name, user_u8_in_t value, size_t size, unsigned flags)
{
    return setxattr_name(path, true, name, value, size, flags);
}

long sys_lsetxattr(user_str_t path, user_str_t name, user_u8_in_t value, size_t size,
                   unsigned flags)
{
    return setxattr_name(path, false, name, value, size, flags);
}

long sys_fsetxattr(int fd, user_str_t name, user_u8_in_t value, size_t size, unsigned flags)
{
    struct xattr_args a;
    struct path p;
    long err = by_fd(fd, &p);
    if (err)
        return err;
    err = xattr_args_get(&a, name, value, size, flags);
    if (err) {
        path_put(&p);
        return err;
    }
    err = set_value(0, &p, a.name, a.value, size, flags);
    heap_free(a.value);
    return err;
}

/* Values and lists go through a buffer of at most 64 KiB. */
static long through_buffer(struct path *p, const char *name, user_u8_out_t out, size_t size)
{
    if (size > XATTR_SIZE_MAX)
        size = XATTR_SIZE_MAX;
    char *buf = size ? heap_alloc(size) : NULL;
    long n = size && !buf ? -ENOMEM
             : name       ? path_getxattr(p, name, buf, size)
                          : path_listxattr(p, buf, size);
    if (n > 0 && size) {
        int err = user_put(out, (uint8_t *)buf, (size_t)n);
        n = err ? err : n;
    }
    if (n == -ERANGE && size == XATTR_SIZE_MAX)
        n = -E2BIG;
    heap_free(buf);
    path_put(p);
    return n;
}

static long getxattr_name(user_str_t path, bool follow, user_str_t up, user_u8_out_t value,
                          size_t size)
{
    char name[XATTR_NAME_MAX + 1];
    struct path p;
    long err = xattr_name(name, up);
    if (!err)
        err = by_name(path, follow, &p);
    return err ? err : through_buffer(&p, name, value, size);
}

long sys_getxattr(user_str_t path, user_str_t name, user_u8_out_t value, size_t size)
{
    return getxattr_name(path, true, name, value, size);
}

long sys_lgetxattr(user_str_t path, user_str_t name, user_u8_out_t value, size_t size)
{
    return getxattr_name(path, false, name, value, size);
}

long sys_fgetxattr(int fd, user_str_t up, user_u8_out_t value, size_t size)
{
    char name[XATTR_NAME_MAX + 1];
    struct path p;
    long err = by_fd(fd, &p);
    if (err)
        return err;
    err = xattr_name(name, up);
    if (!err)
        return through_buffer(&p, name, value, size);
    path_put(&p);
    return err;
}

long sys_listxattr(user_str_t path, user_char_out_t list, size_t size)
{
    struct path p;
    long err = by_name(path, true, &p);
    return err ? err : through_buffer(&p, NULL, user_cast(user_u8_out_t, list), size);
}

long sys_llistxattr(user_str_t path, user_char_out_t list, size_t size)
{
    struct path p;
    long err = by_name(path, false, &p);
    return err ? err : through_buffer(&p, NULL, user_cast(user_u8_out_t, list), size);
}

long sys_flistxattr(int fd, user_char_out_t list, size_t size)
{
    struct path p;
    long err = by_fd(fd, &p);
    return err ? err : through_buffer(&p, NULL, user_cast(user_u8_out_t, list), size);
}

static long removexattr_name(user_str_t path, bool follow, user_str_t up)
{
    char name[XATTR_NAME_MAX + 1];
    struct path p;
    long err = xattr_name(name, up);
    if (!err)
        err = by_name(path, follow, &p);
    return err ? err : set_value(0, &p, name, NULL, 0, 0);
}

long sys_removexattr(user_str_t path, user_str_t name)
{
    return removexattr_name(path, true, name);
}

long sys_lremovexattr(user_str_t path, user_str_t name)
{
    return removexattr_name(path, false, name);
}

long sys_fremovexattr(int fd, user_str_t up)
{
    char name[XATTR_NAME_MAX + 1];
    struct path p;
    long err = by_fd(fd, &p);
    if (err)
        return err;
    err = xattr_name(name, up);
    if (!err)
        return set_value(0, &p, name, NULL, 0, 0);
    path_put(&p);
    return err;
}
