/* SPDX-License-Identifier: MIT */
/* Reading, writing and sizing of files. */
#define _GNU_SOURCE
#include <t_file.h>

#include <sys/socket.h>
#include <sys/uio.h>

static char buf[8192];
static long fd;

static void reads_and_writes(void)
{
    fd = call(SYS_open, "f", O_RDWR | O_CREAT | O_EXCL, 0644);
    CHECK(5, call(SYS_write, fd, "hello", 5));
    CHECK(5, call(SYS_lseek, fd, 0, SEEK_CUR));
    CHECK(0, call(SYS_read, fd, buf, 10));
    CHECK(1, call(SYS_lseek, fd, 1, SEEK_SET));
    CHECK(4, call(SYS_read, fd, buf, 10));
    CHECK(0, memcmp(buf, "ello", 4));
    CHECK(2, call(SYS_pread64, fd, buf, 2, 3));
    CHECK(5, call(SYS_lseek, fd, 0, SEEK_CUR));
    CHECK(3, call(SYS_pwrite64, fd, "XYZ", 3, 10));
    CHECK(13, call(SYS_lseek, fd, 0, SEEK_END));
    CHECK(13, call(SYS_pread64, fd, buf, 100, 0));
    CHECK(0, memcmp(buf, "hello\0\0\0\0\0XYZ", 13)); /* the gap reads as zeros */
    CHECK(0, call(SYS_pread64, fd, buf, 100, 13));
    CHECK(-EINVAL, call(SYS_pread64, fd, buf, 1, -1));
    CHECK(-EINVAL, call(SYS_pwrite64, fd, buf, 1, -1));
    CHECK(-EFAULT, call(SYS_read, fd, T_BAD, 1) ?: call(SYS_pread64, fd, T_BAD, 1, 0));
    CHECK(-EFAULT, call(SYS_write, fd, T_BAD, 1));
    CHECK(0, call(SYS_read, fd, T_BAD, 0));
    CHECK(0, call(SYS_write, fd, T_BAD, 0));
    CHECK(13, call(SYS_lseek, fd, 0, SEEK_END));
    long only = call(SYS_open, "f", O_RDONLY);
    CHECK(-EBADF, call(SYS_write, only, "x", 1));
    CHECK(-EINVAL, call(SYS_ftruncate, only, 0));
    call(SYS_close, only);
    only = call(SYS_open, "f", O_WRONLY);
    CHECK(-EBADF, call(SYS_read, only, buf, 1));
    call(SYS_close, only);
    only = call(SYS_open, ".", O_RDONLY);
    CHECK(-EISDIR, call(SYS_read, only, buf, 1));
    CHECK(-EBADF, call(SYS_write, only, buf, 1));
    call(SYS_close, only);
    only = call(SYS_open, "f", O_WRONLY | O_APPEND);
    CHECK(0, call(SYS_lseek, only, 0, SEEK_CUR));
    CHECK(3, call(SYS_write, only, "end", 3));
    CHECK(16, call(SYS_lseek, only, 0, SEEK_CUR));
    CHECK(2,
          call(SYS_pwrite64, only, "!!", 2, 0)); /* appends all the same: Linux's own bug, kept */
    CHECK(18, call(SYS_lseek, only, 0, SEEK_END));
    call(SYS_close, only);
}

static void seeks(void)
{
    CHECK(-EINVAL, call(SYS_lseek, fd, -1, SEEK_SET));
    CHECK(-EINVAL, call(SYS_lseek, fd, 0, 5));
    CHECK(-EINVAL, call(SYS_lseek, fd, 0, -1));
    CHECK(100, call(SYS_lseek, fd, 82, SEEK_END));
    CHECK(90, call(SYS_lseek, fd, -10, SEEK_CUR));
    CHECK(-EINVAL, call(SYS_lseek, fd, -91, SEEK_CUR));
    CHECK(-EINVAL, call(SYS_lseek, fd, INT64_MAX, SEEK_CUR) < 0 ? -EINVAL : 0);
    CHECK(0, call(SYS_ftruncate, fd, 0));
    CHECK(0, call(SYS_ftruncate, fd, 16384));
    CHECK(4, call(SYS_pwrite64, fd, "data", 4, 8192));
    CHECK(8192, call(SYS_lseek, fd, 0, SEEK_DATA));
    CHECK(8192, call(SYS_lseek, fd, 8192, SEEK_DATA));
    CHECK(0, call(SYS_lseek, fd, 0, SEEK_HOLE));
    CHECK(12288, call(SYS_lseek, fd, 8193, SEEK_HOLE));
    CHECK(-ENXIO, call(SYS_lseek, fd, 12288, SEEK_DATA));
    CHECK(-ENXIO, call(SYS_lseek, fd, 16384, SEEK_DATA));
    CHECK(-ENXIO, call(SYS_lseek, fd, 16384, SEEK_HOLE));
    CHECK(-ENXIO, call(SYS_lseek, fd, -1, SEEK_DATA));
}

static void vectors(void)
{
    struct iovec out[3] = { { "one", 3 }, { NULL, 0 }, { "two!", 4 } },
                 in[2] = { { buf, 5 }, { buf + 100, 100 } };
    static struct iovec many[1025];
    CHECK(0, call(SYS_ftruncate, fd, 0));
    CHECK(0, call(SYS_lseek, fd, 0, SEEK_SET));
    CHECK(7, call(SYS_writev, fd, out, 3));
    CHECK(7, call(SYS_preadv, fd, in, 2, 0, 0));
    CHECK(0, memcmp(buf, "onetw", 5));
    CHECK(0, memcmp(buf + 100, "o!", 2));
    CHECK(7, call(SYS_pwritev, fd, out, 3, 7, 0));
    CHECK(7, call(SYS_lseek, fd, 0, SEEK_CUR));
    CHECK(7, call(SYS_readv, fd, in, 2));
    CHECK(0, call(SYS_readv, fd, in, 2));
    CHECK(0, call(SYS_readv, fd, in, 0));
    CHECK(7, call(SYS_preadv2, fd, in, 2, 7, 0, 0));
    CHECK(0, call(SYS_preadv2, fd, in, 2, -1, -1, 0)); /* -1: at the file position */
    CHECK(-EOPNOTSUPP, call(SYS_preadv2, fd, in, 2, 0, 0, 0x8000));
    CHECK(-EINVAL, call(SYS_readv, fd, in, 1025));
    CHECK(-EINVAL, call(SYS_writev, fd, many, 1025));
    CHECK(0, call(SYS_writev, fd, many, 1024));
    CHECK(-EINVAL, call(SYS_readv, fd, in, -1));
    CHECK(-EFAULT, call(SYS_readv, fd, T_BAD, 1));
    in[1].iov_len = SIZE_MAX;
    CHECK(-EINVAL, call(SYS_readv, fd, in, 2)); /* a length is negative */
    in[0].iov_base = T_BAD;
    in[1].iov_len = 1;
    CHECK(-EFAULT, call(SYS_preadv, fd, in, 2, 0, 0));
    in[0] = (struct iovec){ buf, 3 };
    in[1] = (struct iovec){ T_BAD, 3 };
    CHECK(3, call(SYS_preadv, fd, in, 2, 0, 0)); /* what was read before the fault counts */
    CHECK(-EINVAL, call(SYS_preadv, fd, in, 2, -1, -1));
    CHECK(3, call(SYS_pwritev2, fd, out, 1, 0, 0, RWF_APPEND));
    CHECK(17, call(SYS_lseek, fd, 0, SEEK_END));
}

/* RWF_NOWAIT says no where it would have to wait; RWF_SYNC and RWF_DSYNC write as well as any other. */
static void flags(void)
{
    struct iovec v = { buf, 8 };
    int fds[2];
    CHECK(8, call(SYS_pwritev2, fd, &v, 1, 0, 0, RWF_SYNC));
    CHECK(8, call(SYS_pwritev2, fd, &v, 1, 0, 0, RWF_DSYNC));
    CHECK(8, call(SYS_preadv2, fd, &v, 1, 0, 0, RWF_SYNC | RWF_HIPRI));
    CHECK(0, call(SYS_pipe2, fds, 0));
    CHECK(-EAGAIN, call(SYS_preadv2, fds[0], &v, 1, -1, -1, RWF_NOWAIT));
    CHECK(8, call(SYS_pwritev2, fds[1], &v, 1, -1, -1, RWF_NOWAIT));
    CHECK(8, call(SYS_preadv2, fds[0], &v, 1, -1, -1, RWF_NOWAIT));
    CHECK(-ESPIPE, call(SYS_preadv2, fds[0], &v, 1, 0, 0, RWF_NOWAIT));
    CHECK(-ESPIPE, call(SYS_sync_file_range, fds[0], 0, 0, 1));
    CHECK(-EINVAL, call(SYS_sync_file_range, fds[0], 0, 0, 8));
    CHECK(0, call(SYS_syncfs, fds[0]));
    CHECK(-EINVAL, call(SYS_fsync, fds[0]));
    call(SYS_close, fds[0]);
    call(SYS_close, fds[1]);
    CHECK(0, call(SYS_socketpair, AF_UNIX, SOCK_STREAM, 0, fds));
    CHECK(-EAGAIN, call(SYS_preadv2, fds[0], &v, 1, -1, -1, RWF_NOWAIT));
    CHECK(8, call(SYS_pwritev2, fds[1], &v, 1, -1, -1, RWF_NOWAIT));
    CHECK(8, call(SYS_preadv2, fds[0], &v, 1, -1, -1, RWF_NOWAIT));
    call(SYS_close, fds[0]);
    call(SYS_close, fds[1]);
    long e = call(SYS_eventfd2, 0, 0), i = call(SYS_inotify_init1, 0);
    CHECK(-EAGAIN, call(SYS_preadv2, e, &v, 1, -1, -1, RWF_NOWAIT));
    CHECK(-EOPNOTSUPP, call(SYS_preadv2, i, &v, 1, -1, -1, RWF_NOWAIT));
    call(SYS_close, e);
    call(SYS_close, i);
}

static void sizes(void)
{
    struct stat st;
    CHECK(0, call(SYS_ftruncate, fd, 3));
    CHECK(3, call(SYS_pread64, fd, buf, 100, 0));
    CHECK(0, call(SYS_truncate, "f", 6));
    CHECK(6, call(SYS_pread64, fd, buf, 100, 0));
    CHECK(0, memcmp(buf, "one\0\0\0", 6)); /* nothing of before comes back */
    CHECK(-EINVAL, call(SYS_ftruncate, fd, -1));
    CHECK(-EINVAL, call(SYS_truncate, "f", -1));
    CHECK(-ENOENT, call(SYS_truncate, "none", 0));
    CHECK(-EISDIR, call(SYS_truncate, ".", 0));
    CHECK(0, call(SYS_fallocate, fd, 0, 0, 10000));
    CHECK(0, call(SYS_fstat, fd, &st));
    CHECK(10000, st.st_size);
    CHECK(24, st.st_blocks);
    CHECK(0, call(SYS_fallocate, fd, FALLOC_FL_KEEP_SIZE, 0, 20000));
    CHECK(0, call(SYS_fallocate, fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096));
    CHECK(0, call(SYS_fstat, fd, &st));
    CHECK(10000, st.st_size);
    CHECK(1, call(SYS_pread64, fd, buf, 1, 0));
    CHECK(0, buf[0]);
    CHECK(-EOPNOTSUPP, call(SYS_fallocate, fd, FALLOC_FL_PUNCH_HOLE, 0, 4096));
    CHECK(-EINVAL, call(SYS_fallocate, fd, 0, 0, 0));
    CHECK(-EINVAL, call(SYS_fallocate, fd, 0, -1, 1));
    CHECK(-EOPNOTSUPP, call(SYS_fallocate, fd, 0x400, 0, 1));
    CHECK(-EFBIG, call(SYS_fallocate, fd, 0, INT64_MAX, 1));
    int fds[2];
    CHECK(0, call(SYS_pipe2, fds, 0));
    CHECK(-ESPIPE, call(SYS_fallocate, fds[1], 0, 0, 1));
    CHECK(-EBADF, call(SYS_fallocate, fds[0], 0, 0, 1));
    CHECK(-ESPIPE, call(SYS_fadvise64, fds[0], 0, 0, POSIX_FADV_NORMAL));
    CHECK(-EINVAL, call(SYS_readahead, fds[0], 0, 1));
    call(SYS_close, fds[0]);
    call(SYS_close, fds[1]);
    CHECK(0, call(SYS_fadvise64, fd, 0, 0, POSIX_FADV_DONTNEED));
    CHECK(-EINVAL, call(SYS_fadvise64, fd, 0, 0, 9));
    CHECK(-EINVAL, call(SYS_fadvise64, fd, 0, -1, POSIX_FADV_NORMAL));
    CHECK(0, call(SYS_fsync, fd));
    CHECK(0, call(SYS_fdatasync, fd));
    CHECK(0, call(SYS_syncfs, fd));
    CHECK(0, call(SYS_sync_file_range, fd, 0, 0, 7));
    CHECK(-EINVAL, call(SYS_sync_file_range, fd, 0, 0, 8));
    CHECK(-EINVAL, call(SYS_sync_file_range, fd, -1, 0, 0));
    CHECK(0, call(SYS_sync));
}

static void copies(void)
{
    t_write("from", "0123456789");
    long in = call(SYS_open, "from", O_RDONLY),
         out = call(SYS_open, "to", O_RDWR | O_CREAT | O_TRUNC, 0644);
    int64_t at = 2, to = 1;
    CHECK(4, call(SYS_sendfile, out, in, &at, 4));
    CHECK(6, at);
    CHECK(0, call(SYS_lseek, in, 0, SEEK_CUR));
    CHECK(3, call(SYS_sendfile, out, in, NULL, 3));
    CHECK(3, call(SYS_lseek, in, 0, SEEK_CUR));
    CHECK(1, t_holds("to", "2345012"));
    CHECK(7, call(SYS_sendfile, out, in, NULL, 1000));
    CHECK(0, call(SYS_sendfile, out, in, NULL, 1000));
    CHECK(0, call(SYS_ftruncate, out, 0));
    at = 8;
    CHECK(2, call(SYS_copy_file_range, in, &at, out, &to, 100, 0));
    CHECK(10, at);
    CHECK(3, to);
    CHECK(3, call(SYS_pread64, out, buf, 100, 0));
    CHECK(0, memcmp(buf, "\00089", 3));
    CHECK(-EINVAL, call(SYS_copy_file_range, in, &at, out, &to, 1, 1));
    CHECK(-EBADF, call(SYS_copy_file_range, out, NULL, in, NULL, 1, 0));
    CHECK(-EBADF, call(SYS_sendfile, in, in, NULL, 1));
    at = -1;
    CHECK(-EINVAL, call(SYS_sendfile, out, in, &at, 1));
    CHECK(-EFAULT, call(SYS_sendfile, out, in, T_BAD, 1));
    call(SYS_close, in);
    call(SYS_close, out);
}

static void devices(void)
{
    long null = call(SYS_open, "/dev/null", O_RDWR), zero = call(SYS_open, "/dev/zero", O_RDWR);
    long full = call(SYS_open, "/dev/full", O_RDWR);
    CHECK(0, call(SYS_read, null, buf, 10));
    CHECK(10, call(SYS_write, null, buf, 10));
    CHECK(10, call(SYS_write, null, T_BAD, 10)); /* never looked at */
    memset(buf, 1, 100);
    CHECK(100, call(SYS_read, zero, buf, 100));
    CHECK(0, buf[0] | buf[99]);
    CHECK(-EFAULT, call(SYS_read, zero, T_BAD, 1));
    CHECK(10, call(SYS_write, zero, buf, 10));
    CHECK(-ENOSPC, call(SYS_write, full, buf, 10));
    CHECK(10, call(SYS_read, full, buf, 10));
    CHECK(0, call(SYS_lseek, null, 0, SEEK_END));
    call(SYS_close, null);
    call(SYS_close, zero);
    call(SYS_close, full);
}

int main(void)
{
    t_enter();
    reads_and_writes();
    seeks();
    vectors();
    flags();
    sizes();
    copies();
    devices();
    return t_leave();
}
