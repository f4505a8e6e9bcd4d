/* SPDX-License-Identifier: MIT */
/* io_uring: transfers between files and memory, and what makes them durable. */
#include "uring_op.h"
#include "sys_proto.h"
#include "vector.h"

#include <abi/errno.h>
#include <abi/stat.h>
#include <libos/errseq.h>
#include <libos/heap.h>
#include <libos/inotify.h>
#include <libos/mm.h>
#include <libos/pagemap.h>
#include <libos/pipe.h>
#include <libos/thread.h>

enum {
    RW_KNOWN = RWF_HIPRI | RWF_DSYNC | RWF_SYNC | RWF_NOWAIT | RWF_APPEND,
    CURRENT = -1 /* sqe.off: the file's own position */
};

static bool writes(const struct uring_req *r)
{
    return r->sqe.opcode == IORING_OP_WRITE || r->sqe.opcode == IORING_OP_WRITEV ||
           r->sqe.opcode == IORING_OP_WRITE_FIXED;
}

int uring_prep_rw(struct uring_req *r)
{
    const struct abi_io_uring_sqe *s = &r->sqe;
    if (UNLIKELY(s->rw_flags & RWF_NOWAIT))
        r->flags |= URING_F_NOWAIT;
    return 0;
}

int uring_prep_rwv(struct uring_req *r)
{
    int err = uring_prep_rw(r);
    if (err || r->sqe.flags & IOSQE_BUFFER_SELECT)
        return err ? err : r->sqe.len > 1 ? -EINVAL : 0;
    struct vector *v = heap_alloc(sizeof(*v));
    if (!v)
        return -ENOMEM;
    err = vector_get(v, user_at(user_iovec_in_t, r->sqe.addr), r->sqe.len);
    if (err) {
        heap_free(v);
        return err;
    }
    r->data = v;
    return 0;
}

void uring_free_rwv(struct uring_req *r)
{
    vector_put(r->data);
    heap_free(r->data);
}

/* The memory of the transfer, from r->done on. *ret_segs is to be freed. */
static int memory(struct uring_req *r, unsigned flags, struct iter *it, struct iter_seg **ret_segs)
{
    const struct abi_io_uring_sqe *s = &r->sqe;
    *ret_segs = NULL;
    if (UNLIKELY(s->flags & IOSQE_BUFFER_SELECT)) {
        size_t len = s->opcode == IORING_OP_READV ? 0 : s->len;
        uintptr_t addr;
        if (s->opcode == IORING_OP_READV && s->len) {
            struct abi_iovec iov;
            if (user_get(&iov, user_at(user_iovec_in_t, s->addr), 1))
                return -EFAULT;
            len = iov.iov_len;
        }
        int err = uring_select(r, &addr, &len, flags);
        iter_user(it, addr, len);
        return err;
    }
    if (s->opcode == IORING_OP_READ_FIXED || s->opcode == IORING_OP_WRITE_FIXED)
        return uring_buffer_iter(r, s->addr + r->done, s->len - r->done, flags, it, ret_segs);
    if (UNLIKELY(r->data)) {
        const struct vector *v = r->data;
        size_t skip = r->done;
        *it = v->it;
        while (skip) {
            size_t n = iter_span(it, skip);
            iter_advance(it, n);
            skip -= n;
        }
        return 0;
    }
    iter_user(it, s->addr + r->done, s->len - r->done);
    return 0;
}

static int check(const struct uring_req *r, bool write)
{
    const struct file *f = r->file;
    uint32_t flags = r->sqe.rw_flags;
    if (UNLIKELY(!(write ? f->can_write : f->can_read)))
        return -EBADF;
    if (UNLIKELY(flags) && (flags & ~(uint32_t)RW_KNOWN || flags & RWF_HIPRI))
        return -EOPNOTSUPP;
    if (UNLIKELY(flags & RWF_NOWAIT) && !f->ops->nowait)
        return -EOPNOTSUPP;
    return 0;
}

static void done(void *arg, ssize_type result)
{
    struct uring_req *r = arg;
    if (result >= 0 && (size_t)result != r->priv[0])
        r->flags |= URING_F_FAIL;
    uring_finish_later(r, result);
}

/* O_DIRECT: the device does it meanwhile. -EAGAIN: it has to be done in the ordinary way. */
static long start_direct(struct uring_req *r, struct iter *it, uint64_t pos, bool write)
{
    struct file *f = r->file;
    if (!(f->flags & O_DIRECT) || !f->ops->direct || !f->seekable || r->done ||
        r->sqe.rw_flags & (RWF_DSYNC | RWF_SYNC | RWF_APPEND) || uring_hold(r))
        return -EAGAIN;
    r->priv[0] = it->left;
    ssize_type n = f->ops->direct(f, it, pos, write, done, r);
    return n > 0 ? URING_PENDING : n;
}

/* Has the file content that is not in memory? */
static bool on_disk(const struct file *f)
{
    const struct pagemap_ops *ops = f->inode->pages.ops;
    return S_ISBLK(f->inode->mode) || (ops && ops->fill_waits);
}

/* Must it not wait, and can that be said to the file? -EAGAIN: not even try. */
static int may_try(struct uring_req *r, unsigned flags, bool write, struct iter *it)
{
    struct file *f = r->file;
    if (flags & URING_MAY_WAIT)
        return 0;
    it->nowait = true;
    if (LIKELY(f->ops->nowait))
        return 0;
    it->nowait = false;
    if (!f->ops->poll)
        return on_disk(f) ? -EAGAIN : 0;
    if (f->ops->poll(f, NULL) & (write ? EPOLLOUT : EPOLLIN))
        r->flags |= URING_F_WORKER; /* it may be somebody else who gets what is there */
    return -EAGAIN;
}

static long transfer(struct uring_req *r, struct iter *it, bool write, unsigned flags)
{
    struct file *f = r->file;
    uint64_t pos = r->sqe.off + r->done;
    bool own = r->sqe.off == (uint64_t)(int64_t)CURRENT || !f->seekable;
    uint32_t rw = r->sqe.rw_flags;
    size_t want = it->left;
    long n;
    if (!own && UNLIKELY((int64_t)r->sqe.off < 0))
        return -EINVAL;
    if (UNLIKELY(f->flags & O_DIRECT) && !own && (n = start_direct(r, it, pos, write)) != -EAGAIN)
        return n;
    it->append = rw & RWF_APPEND;
    it->sync = rw & RWF_SYNC ? ITER_SYNC : rw & RWF_DSYNC ? ITER_DSYNC : 0;
    n = may_try(r, flags, write, it);
    if (UNLIKELY(n))
        return n;
    n = write ? file_write(f, it, own ? NULL : &pos) : file_read(f, it, own ? NULL : &pos);
    if (n == -ERESTARTSYS)
        return -EINTR;
    if (n == -EOPNOTSUPP && it->nowait && !(rw & RWF_NOWAIT))
        return -EAGAIN; /* a file whose writes always may wait */
    if (LIKELY(n < 0 || (size_t)n == want))
        return n;
    /* Part of it was in memory: the rest is for who may wait. */
    if (n > 0 && it->nowait && f->inode && S_ISREG(f->inode->mode) && !own && !(rw & RWF_NOWAIT) &&
        !(r->flags & URING_F_BUFFER)) {
        r->done += (size_t)n;
        return -EAGAIN;
    }
    r->flags |= URING_F_FAIL; /* short: the chain ends */
    return n;
}

long uring_op_rw(struct uring_req *r, unsigned flags)
{
    struct iter it;
    struct iter_seg *segs;
    bool write = writes(r);
    int err = check(r, write);
    if (UNLIKELY(err))
        return err;
    err = memory(r, flags, &it, &segs);
    if (UNLIKELY(err))
        return err;
    size_t before = r->done;
    long n = transfer(r, &it, write, flags);
    if (UNLIKELY(segs))
        heap_free(segs);
    if (n == URING_PENDING)
        return n;
    if (n == -EAGAIN) {
        if (!(flags & URING_MAY_WAIT))
            uring_unselect(r);
        return n;
    }
    if (UNLIKELY(before)) {
        n = n < 0 ? (long)before : n + (long)before;
        if (n == (long)r->sqe.len)
            r->flags &= ~(uint32_t)URING_F_FAIL;
    }
    return n;
}

/* ---- durability and room ---- */

int uring_prep_fsync(struct uring_req *r)
{
    const struct abi_io_uring_sqe *s = &r->sqe;
    if (s->addr || s->buf_index || s->file_index || s->rw_flags & ~(uint32_t)IORING_FSYNC_DATASYNC)
        return -EINVAL;
    uint64_t end = s->off + s->len;
    return (int64_t)s->off < 0 || (int64_t)end < 0 ? -EINVAL : 0;
}

long uring_op_fsync(struct uring_req *r, unsigned flags)
{
    struct file *f = r->file;
    if (!(flags & URING_MAY_WAIT) && on_disk(f))
        return -EAGAIN;
    const struct abi_io_uring_sqe *s = &r->sqe;
    uint64_t end = s->off + s->len;
    return file_sync(f, s->off, end ? end : UINT64_MAX, s->rw_flags & IORING_FSYNC_DATASYNC);
}

int uring_prep_sync_range(struct uring_req *r)
{
    const struct abi_io_uring_sqe *s = &r->sqe;
    return s->addr || s->buf_index || s->file_index ? -EINVAL : 0;
}

long uring_op_sync_range(struct uring_req *r, unsigned flags)
{
    const struct abi_io_uring_sqe *s = &r->sqe;
    const uint32_t known =
        SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER;
    if (s->rw_flags & ~known)
        return -EINVAL;
    return file_write_back(r->file, s->off, s->len, s->rw_flags);
}

int uring_prep_fallocate(struct uring_req *r)
{
    const struct abi_io_uring_sqe *s = &r->sqe;
    return s->buf_index || s->rw_flags || s->file_index ? -EINVAL : 0;
}

long uring_op_fallocate(struct uring_req *r, unsigned flags)
{
    const struct abi_io_uring_sqe *s = &r->sqe;
    int64_t off = (int64_t)s->off, len = (int64_t)s->addr;
    if (off < 0 || len <= 0)
        return -EINVAL;
    return fallocate_file(r->file, (int)s->len, (uint64_t)off, (uint64_t)len);
}

int uring_prep_advise(struct uring_req *r)
{
    const struct abi_io_uring_sqe *s = &r->sqe;
    bool memory = s->opcode == IORING_OP_MADVISE;
    return s->buf_index || s->file_index || (memory && s->off) || (!memory && s->addr) ? -EINVAL
                                                                                       : 0;
}

long uring_op_fadvise(struct uring_req *r, unsigned flags)
{
    const struct abi_io_uring_sqe *s = &r->sqe;
    if (S_ISFIFO(r->file->inode->mode))
        return -ESPIPE;
    return s->rw_flags > POSIX_FADV_NOREUSE ? -EINVAL : 0;
}

long uring_op_madvise(struct uring_req *r, unsigned flags)
{
    return sys_madvise(r->sqe.addr, r->sqe.len, (int)r->sqe.rw_flags);
}

/* ---- pipes ---- */

int uring_prep_splice(struct uring_req *r)
{
    const struct abi_io_uring_sqe *s = &r->sqe;
    const uint32_t known = SPLICE_F_MOVE | SPLICE_F_NONBLOCK | SPLICE_F_MORE | SPLICE_F_GIFT;
    if (s->opcode == IORING_OP_TEE && (s->addr || s->off))
        return -EINVAL;
    return s->rw_flags & ~(known | SPLICE_F_FD_IN_FIXED) ? -EINVAL : 0;
}

static int splice_source(struct uring_req *r, unsigned flags, struct file **ret)
{
    const struct abi_io_uring_sqe *s = &r->sqe;
    return s->rw_flags & SPLICE_F_FD_IN_FIXED ? uring_slot_file(r->ring, s->file_index, flags, ret)
                                              : fd_get((int)s->file_index, ret);
}

/* One end's position: NULL in *ret for a pipe, and for a file's own. */
static int splice_position(const struct file *f, uint64_t off, uint64_t *pos, uint64_t **ret)
{
    *ret = NULL;
    if (off == UINT64_MAX)
        return 0;
    if (pipe_is(f))
        return -ESPIPE;
    if (!f->seekable || (int64_t)off < 0)
        return -EINVAL;
    *pos = off;
    *ret = pos;
    return 0;
}

long uring_op_splice(struct uring_req *r, unsigned flags)
{
    const struct abi_io_uring_sqe *s = &r->sqe;
    struct file *in;
    uint64_t from, to, *in_pos, *out_pos;
    long n = splice_source(r, flags, &in);
    if (n)
        return n;
    n = splice_position(in, s->addr, &from, &in_pos);
    if (!n)
        n = splice_position(r->file, s->off, &to, &out_pos);
    if (!n && s->len)
        n = pipe_splice(in, in_pos, r->file, out_pos, s->len, s->rw_flags & SPLICE_F_NONBLOCK);
    file_put(in);
    if (n != (long)s->len)
        r->flags |= URING_F_FAIL;
    return n == -ERESTARTSYS ? -EINTR : n;
}

long uring_op_tee(struct uring_req *r, unsigned flags)
{
    const struct abi_io_uring_sqe *s = &r->sqe;
    struct file *in;
    long n = splice_source(r, flags, &in);
    if (n)
        return n;
    if (s->len)
        n = pipe_tee(in, r->file, s->len, s->rw_flags & SPLICE_F_NONBLOCK);
    file_put(in);
    if (n != (long)s->len)
        r->flags |= URING_F_FAIL;
    return n == -ERESTARTSYS ? -EINTR : n;
}
