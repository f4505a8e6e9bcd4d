/* SPDX-License-Identifier: MIT */
/* pipe, pipe2, splice, tee, vmsplice. */
#include "sys_proto.h"
#include <abi/errno.h>
#include <abi/fcntl.h>
#include <abi/uio.h>
#include <libos/file.h>
#include <libos/pipe.h>
#include <libos/user.h>

long sys_pipe2(user_int_out_t fds, unsigned flags)
{
    struct file *ends[2];
    int numbers[2];
    if (flags & O_NOTIFICATION_PIPE)
        return -ENOPKG; /* as Linux without CONFIG_WATCH_QUEUE */
    int err = pipe_create(flags, ends);
    if (err)
        return err;
    err = fd_install_pair(ends[0], ends[1], flags & O_CLOEXEC, numbers);
    if (err)
        return err;
    err = user_put(fds, numbers, 2);
    if (err) {
        (void)fd_close(numbers[0]); /* another thread may have closed them already: its business */
        (void)fd_close(numbers[1]);
    }
    return err;
}

long sys_pipe(user_int_out_t fds)
{
    return sys_pipe2(fds, 0);
}

/* The position that splice was given; NULL in *ret: none. -ESPIPE: a pipe has none. */
static int position_get(const struct file *f, user_off_inout_t up, long *pos, uint64_t **ret)
{
    *ret = NULL;
    if (user_is_null(up))
        return 0;
    if (pipe_is(f))
        return -ESPIPE;
    if (!f->seekable)
        return -EINVAL;
    int err = user_get(pos, user_cast(user_off_in_t, up), 1);
    if (!err && *pos < 0)
        err = -EINVAL;
    *ret = (uint64_t *)pos;
    return err;
}

static long splice_files(struct file *in, user_off_inout_t in_off, struct file *out,
                         user_off_inout_t out_off, size_t len, unsigned flags)
{
    long from, to;
    uint64_t *in_pos, *out_pos;
    int err = position_get(in, in_off, &from, &in_pos);
    if (!err)
        err = position_get(out, out_off, &to, &out_pos);
    if (err)
        return err;
    long n = pipe_splice(in, in_pos, out, out_pos, len, flags & SPLICE_F_NONBLOCK);
    if (n > 0 && in_pos)
        err = user_put(in_off, &from, 1);
    if (n > 0 && out_pos && !err)
        err = user_put(out_off, &to, 1);
    return err ? err : n;
}

/* Borrow the files of both descriptors. */
static int borrow_two(int a, int b, struct fd_ref *ret_a, struct fd_ref *ret_b)
{
    int err = fd_borrow(a, ret_a);
    if (err)
        return err;
    err = fd_borrow(b, ret_b);
    if (err)
        fd_return(ret_a);
    return err;
}

long sys_splice(int in_fd, user_off_inout_t in_off, int out_fd, user_off_inout_t out_off,
                size_t len, unsigned flags)
{
    struct fd_ref in, out;
    if (!len)
        return 0;
    int err = borrow_two(in_fd, out_fd, &in, &out);
    if (err)
        return err;
    long n = splice_files(in.file, in_off, out.file, out_off, len, flags);
    fd_return(&in);
    fd_return(&out);
    return n;
}

long sys_tee(int in_fd, int out_fd, size_t len, unsigned flags)
{
    struct fd_ref in, out;
    if (!len)
        return 0;
    int err = borrow_two(in_fd, out_fd, &in, &out);
    if (err)
        return err;
    long n = pipe_tee(in.file, out.file, len, flags & SPLICE_F_NONBLOCK);
    fd_return(&in);
    fd_return(&out);
    return n;
}

/* One buffer of vmsplice. Pages are copied: what the program changes afterwards is not seen by the reader. */
static long vmsplice_one(struct file *f, const struct abi_iovec *v)
{
    struct iter it;
    iter_user(&it, v->iov_base.addr, v->iov_len);
    return f->can_write ? file_write(f, &it, NULL) : file_read(f, &it, NULL);
}

long sys_vmsplice(int fd, user_iovec_in_t iov, unsigned long iovcnt, unsigned flags)
{
    struct fd_ref ref;
    long done = 0;
    if (iovcnt > UIO_MAXIOV)
        return -EINVAL;
    int err = fd_borrow(fd, &ref);
    if (err)
        return err;
    if (!pipe_is(ref.file))
        err = -EBADF;
    for (unsigned long i = 0; i < iovcnt && !err; i++) {
        struct abi_iovec v;
        err = user_get(&v, user_advance(iov, i), 1);
        if (err)
            break;
        /* Only the first buffer may have to wait; the pipe's own flag says whether it does. */
        bool full = (done || flags & SPLICE_F_NONBLOCK) && !pipe_ready(ref.file);
        long n = full ? -EAGAIN : vmsplice_one(ref.file, &v);
        done += n > 0 ? n : 0;
        if (n < (long)v.iov_len)
            err = n < 0 ? (int)n : 1; /* short: the end */
    }
    fd_return(&ref);
    return done || err > 0 ? done : err;
}
