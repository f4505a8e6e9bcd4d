/* SPDX-License-Identifier: MIT */
/* read, write and their relatives; positions; copies between files; sizes. */
#include "name.h"
#include "sys_proto.h"
#include "uring_op.h"
#include "vector.h"

#include <abi/errno.h>
#include <abi/fcntl.h>
#include <abi/stat.h>
#include <abi/uio.h>
#include <libos/errseq.h>
#include <libos/file.h>
#include <libos/flock.h>
#include <libos/heap.h>
#include <libos/hint.h>
#include <libos/inotify.h>
#include <libos/sched.h>
#include <libos/user.h>

enum { COPY_CHUNK = 64 * 1024 };

typedef ssize_type transfer_fn(struct file *f, struct iter *it, uint64_t *pos);

/* The program's memory: n bytes at addr, or n buffers that are listed there. */
struct memory {
    uintptr_t addr;
    unsigned long n;
    bool vector;
};

static long vector_transfer(struct file *f, const struct memory *m, uint64_t *pos, unsigned flags,
                            transfer_fn *fn)
{
    struct vector v;
    user_iovec_in_t iov = { m->addr };
    long n = vector_get(&v, iov, m->n);
    if (n)
        return n;
    v.it.append = flags & RWF_APPEND;
    v.it.nowait = flags & RWF_NOWAIT;
    v.it.sync = flags & RWF_SYNC ? ITER_SYNC : flags & RWF_DSYNC ? ITER_DSYNC : 0;
    n = fn(f, &v.it, pos);
    vector_put(&v);
    return n;
}

/* Every form of read(2) and write(2). pos NULL: at the file's own position. */
static ALWAYS_INLINE long transfer(int fd, struct memory m, const long *pos, unsigned flags,
                                   transfer_fn *fn)
{
    struct fd_ref ref;
    uint64_t at = pos ? (uint64_t)*pos : 0;
    if (pos && UNLIKELY(*pos < 0))
        return -EINVAL;
    long n = fd_borrow(fd, &ref);
    if (UNLIKELY(n))
        return n;
    if (pos && UNLIKELY(!ref.file->seekable)) {
        n = -ESPIPE;
    } else if (m.vector) {
        n = flags & RWF_NOWAIT && !ref.file->ops->nowait
                ? -EOPNOTSUPP
                : vector_transfer(ref.file, &m, pos ? &at : NULL, flags, fn);
    } else {
        struct iter it;
        iter_user(&it, m.addr, m.n);
        n = LIKELY((ssize_type)m.n >= 0) ? fn(ref.file, &it, pos ? &at : NULL) : -EINVAL;
    }
    fd_return(&ref);
    return n;
}

#define BUFFER(up, n) ((struct memory){ (up).addr, n, false })
#define VECTOR(up, n) ((struct memory){ (up).addr, n, true })

long sys_read(int fd, user_u8_out_t buf, size_t count)
{
    return transfer(fd, BUFFER(buf, count), NULL, 0, file_read);
}

long sys_write(int fd, user_u8_in_t buf, size_t count)
{
    return transfer(fd, BUFFER(buf, count), NULL, 0, file_write);
}

long sys_pread64(int fd, user_u8_out_t buf, size_t count, long pos)
{
    return transfer(fd, BUFFER(buf, count), &pos, 0, file_read);
}

long sys_pwrite64(int fd, user_u8_in_t buf, size_t count, long pos)
{
    return transfer(fd, BUFFER(buf, count), &pos, 0, file_write);
}

long sys_readv(int fd, user_iovec_in_t iov, unsigned long iovcnt)
{
    return transfer(fd, VECTOR(iov, iovcnt), NULL, 0, file_read);
}

long sys_writev(int fd, user_iovec_in_t iov, unsigned long iovcnt)
{
    return transfer(fd, VECTOR(iov, iovcnt), NULL, 0, file_write);
}

/* The low half of a position has all 64 bits here. */
long sys_preadv(int fd, user_iovec_in_t iov, unsigned long iovcnt, unsigned long pos_l,
                unsigned long pos_h)
{
    (void)pos_h;
    return transfer(fd, VECTOR(iov, iovcnt), &(const long){ (long)pos_l }, 0, file_read);
}

long sys_pwritev(int fd, user_iovec_in_t iov, unsigned long iovcnt, unsigned long pos_l,
                 unsigned long pos_h)
{
    (void)pos_h;
    return transfer(fd, VECTOR(iov, iovcnt), &(const long){ (long)pos_l }, 0, file_write);
}

static NOINLINE long transfer2(int fd, user_iovec_in_t iov, unsigned long n, unsigned long pos_l,
                               unsigned flags, transfer_fn *fn)
{
    long pos = (long)pos_l;
    if (flags & ~(unsigned)(RWF_HIPRI | RWF_DSYNC | RWF_SYNC | RWF_NOWAIT | RWF_APPEND))
        return -EOPNOTSUPP;
    return transfer(fd, VECTOR(iov, n), pos == -1 ? NULL : &pos, flags, fn);
}

long sys_preadv2(int fd, user_iovec_in_t iov, unsigned long iovcnt, unsigned long pos_l,
                 unsigned long pos_h, unsigned flags)
{
    (void)pos_h;
    return transfer2(fd, iov, iovcnt, pos_l, flags, file_read);
}

long sys_pwritev2(int fd, user_iovec_in_t iov, unsigned long iovcnt, unsigned long pos_l,
                  unsigned long pos_h, unsigned flags)
{
    (void)pos_h;
    return transfer2(fd, iov, iovcnt, pos_l, flags, file_write);
}

long sys_lseek(int fd, long offset, int whence)
{
    struct fd_ref ref;
    long to = fd_borrow(fd, &ref);
    if (to)
        return to;
    struct file *f = ref.file;
    if ((unsigned)whence > SEEK_HOLE) {
        to = -EINVAL;
    } else if (!f->ops->seek) {
        to = -ESPIPE;
    } else {
        bool locked = file_pos_lock(f);
        to = f->ops->seek(f, offset, whence);
        file_pos_unlock(f, locked);
    }
    fd_return(&ref);
    return to;
}

/* Copy up to count bytes from in at *in_pos to out at *out_pos (NULL: the file's own). */
static long copy_between(struct file *in, uint64_t *in_pos, struct file *out, uint64_t *out_pos,
                         size_t count)
{
    char *buf = heap_alloc(COPY_CHUNK);
    size_t total = 0;
    long n = buf ? 0 : -ENOMEM;
    while (buf && total < count) {
        struct iter it;
        uint64_t from = *in_pos;
        size_t part = count - total < COPY_CHUNK ? count - total : COPY_CHUNK;
        iter_kernel(&it, buf, part);
        long got = n = file_read(in, &it, &from);
        if (n <= 0)
            break;
        iter_kernel(&it, buf, (size_t)got);
        n = file_write(out, &it, out_pos);
        if (n <= 0)
            break;
        *in_pos += (uint64_t)n;
        total += (size_t)n;
        if (n < got || thread_preempt_point())
            break;
    }
    heap_free(buf);
    return total ? (long)total : n;
}

/* An optional position of the program's: fetched, or the file's own. */
static int position_get(user_off_inout_t up, const struct file *f, uint64_t *ret)
{
    long pos = (long)f->pos;
    if (!user_is_null(up) && user_get(&pos, user_cast(user_off_in_t, up), 1))
        return -EFAULT;
    *ret = (uint64_t)pos;
    return pos < 0 ? -EINVAL : 0;
}

static int position_put(user_off_inout_t up, struct file *f, uint64_t pos)
{
    long value = (long)pos;
    if (!user_is_null(up))
        return user_put(up, &value, 1);
    f->pos = pos;
    return 0;
}

static long send_file(struct file *out, struct file *in, user_off_inout_t offset, size_t count)
{
    uint64_t pos;
    if (!in->can_read || !out->can_write)
        return -EBADF;
    if (!in->seekable)
        return user_is_null(offset) ? -EINVAL : -ESPIPE;
    if (out->flags & O_APPEND)
        return -EINVAL;
    long n = position_get(offset, in, &pos);
    if (n)
        return n;
    if ((ssize_type)count < 0)
        return -EINVAL;
    n = copy_between(in, &pos, out, NULL, count < TRANSFER_MAX ? count : TRANSFER_MAX);
    if (n >= 0 && position_put(offset, in, pos))
        return -EFAULT;
    return n;
}

long sys_sendfile(int out_fd, int in_fd, user_off_inout_t offset, size_t count)
{
    struct fd_ref in, out;
    long n = fd_borrow(in_fd, &in);
    if (n)
        return n;
    n = fd_borrow(out_fd, &out);
    if (!n) {
        n = send_file(out.file, in.file, offset, count);
        fd_return(&out);
    }
    fd_return(&in);
    return n;
}

static long copy_range(struct file *in, user_off_inout_t in_off, struct file *out,
                       user_off_inout_t out_off, size_t len)
{
    uint64_t from, to;
    long n = position_get(in_off, in, &from);
    if (!n)
        n = position_get(out_off, out, &to);
    if (n)
        return n;
    if (S_ISDIR(in->inode->mode) || S_ISDIR(out->inode->mode))
        return -EISDIR;
    if (!S_ISREG(in->inode->mode) || !S_ISREG(out->inode->mode))
        return -EINVAL;
    if (!in->can_read || !out->can_write || out->flags & O_APPEND)
        return -EBADF;
    if (from + len < from || to + len < to)
        return -EOVERFLOW;
    uint64_t size = in->inode->size;
    if (from >= size)
        return 0;
    if (len > size - from)
        len = size - from;
    if (in->inode == out->inode && from < to + len && to < from + len)
        return -EINVAL;
    n = copy_between(in, &from, out, &to, len < TRANSFER_MAX ? len : TRANSFER_MAX);
    if (n > 0 && (position_put(in_off, in, from) || position_put(out_off, out, to)))
        return -EFAULT;
    return n;
}

long sys_copy_file_range(int in_fd, user_off_inout_t in_off, int out_fd, user_off_inout_t out_off,
                         size_t len, unsigned flags)
{
    struct fd_ref in, out;
    long n = fd_borrow(in_fd, &in);
    if (n)
        return n;
    n = fd_borrow(out_fd, &out);
    if (!n) {
        n = flags ? -EINVAL : copy_range(in.file, in_off, out.file, out_off, len);
        fd_return(&out);
    }
    fd_return(&in);
    return n;
}

long sys_readahead(int fd, long offset, size_t count)
{
    struct fd_ref ref;
    long err = fd_borrow(fd, &ref);
    if (err)
        return err;
    if (!ref.file->can_read)
        err = -EBADF;
    else if (!S_ISREG(ref.file->inode->mode))
        err = -EINVAL;
    else if (count && offset >= 0)
        hint_will_need(ref.file, (uint64_t)offset, count);
    fd_return(&ref);
    return err;
}

long sys_cachestat(int fd, user_void_in_t range, user_void_out_t stat, unsigned flags)
{
    struct fd_ref ref;
    uint64_t of[2], out[5] = { 0 }; /* off, len; cached, dirty, writeback, and evicted twice */
    struct pagemap_count count = { 0 };
    long err = fd_borrow(fd, &ref);
    if (err)
        return err;
    if (user_get(of, user_cast(user_u64_in_t, range), 2))
        err = -EFAULT;
    else if (flags)
        err = -EINVAL;
    else if (S_ISREG(ref.file->inode->mode)) {
        uint64_t last = of[1] ? of[0] + of[1] - 1 : UINT64_MAX;
        pagemap_count(&ref.file->inode->pages, of[0] >> PAGE_SHIFT, (last >> PAGE_SHIFT) + 1,
                      &count);
    }
    fd_return(&ref);
    out[0] = count.cached;
    out[1] = count.dirty;
    out[2] = count.writeback;
    return err ? err : user_put(user_cast(user_u64_out_t, stat), out, ARRAY_SIZE(out));
}

long sys_fadvise64(int fd, long offset, size_t len, int advice)
{
    struct fd_ref ref;
    long err = fd_borrow(fd, &ref);
    if (err)
        return err;
    if (S_ISFIFO(ref.file->inode->mode))
        err = -ESPIPE;
    else if ((long)len < 0 || (unsigned)advice > POSIX_FADV_NOREUSE)
        err = -EINVAL;
    else if (advice == POSIX_FADV_WILLNEED && offset >= 0)
        hint_will_need(ref.file, (uint64_t)offset, len);
    else if (advice == POSIX_FADV_DONTNEED && offset >= 0)
        hint_dont_need(ref.file, (uint64_t)offset, len);
    fd_return(&ref);
    return err;
}

long fallocate_file(struct file *f, int mode, uint64_t off, uint64_t len)
{
    if (mode & ~(FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE | FALLOC_FL_COLLAPSE_RANGE |
                 FALLOC_FL_ZERO_RANGE | FALLOC_FL_INSERT_RANGE | FALLOC_FL_UNSHARE_RANGE) ||
        (mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE)) == FALLOC_FL_PUNCH_HOLE)
        return -EOPNOTSUPP;
    if (!f->can_write)
        return -EBADF;
    if (S_ISFIFO(f->inode->mode))
        return -ESPIPE;
    if (S_ISDIR(f->inode->mode))
        return -EISDIR;
    if (!S_ISREG(f->inode->mode))
        return -ENODEV;
    if (off + len > INT64_MAX)
        return -EFBIG;
    if (!f->ops->fallocate)
        return -EOPNOTSUPP;
    int err = f->ops->fallocate(f, mode, off, len);
    if (!err)
        inotify_event(f->path.dentry, IN_MODIFY);
    return err;
}

long sys_fallocate(int fd, unsigned mode, long off, long len)
{
    struct fd_ref ref;
    long err = fd_borrow(fd, &ref);
    if (err)
        return err;
    err = off < 0 || len <= 0 ? -EINVAL
                              : fallocate_file(ref.file, (int)mode, (uint64_t)off, (uint64_t)len);
    fd_return(&ref);
    return err;
}

static long truncate_path(const struct path *p, uint64_t size)
{
    struct inode *inode = p->dentry->inode;
    if (S_ISDIR(inode->mode))
        return -EISDIR;
    if (!S_ISREG(inode->mode))
        return -EINVAL;
    int err = path_truncate(p, size);
    if (!err)
        inotify_event(p->dentry, IN_MODIFY);
    return err;
}

long sys_truncate(user_str_t path, long length)
{
    struct path p;
    if (length < 0)
        return -EINVAL;
    long err = name_walk(AT_FDCWD, path, 0, &p);
    if (err)
        return err;
    err = truncate_path(&p, (uint64_t)length);
    path_put(&p);
    return err;
}

long sys_ftruncate(int fd, long length)
{
    struct fd_ref ref;
    if (length < 0)
        return -EINVAL;
    long err = fd_borrow(fd, &ref);
    if (err)
        return err;
    if (!S_ISREG(ref.file->inode->mode) || !ref.file->can_write)
        err = -EINVAL;
    else
        err = inode_truncate(ref.file->inode, (uint64_t)length);
    if (!err)
        inotify_event(ref.file->path.dentry, IN_MODIFY);
    fd_return(&ref);
    return err;
}

static long sync_fd(int fd, bool data_only)
{
    struct fd_ref ref;
    long err = fd_borrow(fd, &ref);
    if (err)
        return err;
    err = file_sync(ref.file, 0, UINT64_MAX, data_only);
    fd_return(&ref);
    return err;
}

long sys_fsync(int fd)
{
    return sync_fd(fd, false);
}

long sys_fdatasync(int fd)
{
    return sync_fd(fd, true);
}

long sys_sync(void)
{
    (void)vfs_sync(); /* sync(2) has no errors; fsync tells them */
    return 0;
}

long sys_syncfs(int fd)
{
    struct fd_ref ref;
    long err = fd_borrow(fd, &ref);
    if (err)
        return err;
    struct superblock *sb = ref.file->inode->sb;
    if (sb->ops && sb->ops->sync)
        err = sb->ops->sync(sb);
    int err2 = errseq_check(&sb->wb_error, &ref.file->sb_seen);
    err = err2 ? err2 : err;
    fd_return(&ref);
    return err;
}

long sys_sync_file_range(int fd, long offset, long len, unsigned flags)
{
    struct fd_ref ref;
    if (offset < 0 || len < 0 || offset > INT64_MAX - len)
        return -EINVAL;
    long err = fd_borrow(fd, &ref);
    if (err)
        return err;
    err = file_write_back(ref.file, (uint64_t)offset, (uint64_t)len, flags);
    fd_return(&ref);
    return err;
}
