/* SPDX-License-Identifier: MIT */
/* pipe, pipe2, and what read, write, fcntl, poll and splice do on a pipe. */
#define _GNU_SOURCE
#include <t_signal.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/uio.h>

static char buf[1 << 17];
static int fds[2];

static void make(int flags)
{
    CHECK(0, call(SYS_pipe2, fds, flags));
}

static void close_both(void)
{
    call(SYS_close, fds[0]);
    call(SYS_close, fds[1]);
}

static long ready(int fd, short events)
{
    struct pollfd p = { fd, events, 0 };
    long n = call(SYS_poll, &p, 1, 0);
    return n < 0 ? n : p.revents;
}

static void moves_bytes(void)
{
    make(0);
    CHECK(5, call(SYS_write, fds[1], "hello", 5));
    int waiting = 0;
    CHECK(0, call(SYS_ioctl, fds[0], FIONREAD, &waiting));
    CHECK(5, waiting);
    CHECK(2, call(SYS_read, fds[0], buf, 2));
    CHECK(3, call(SYS_read, fds[0], buf + 2, 100));
    CHECK(0, memcmp(buf, "hello", 5));
    CHECK(0, call(SYS_write, fds[1], "", 0));
    CHECK(0, call(SYS_read, fds[0], buf, 0)); /* does not wait */
    struct iovec out[2] = { { "ab", 2 }, { "cde", 3 } }, in[2] = { { buf, 4 }, { buf + 10, 4 } };
    CHECK(5, call(SYS_writev, fds[1], out, 2));
    CHECK(5, call(SYS_readv, fds[0], in, 2));
    CHECK(0, memcmp(buf, "abcd", 4));
    CHECK('e', buf[10]);
    CHECK(-EBADF, call(SYS_write, fds[0], "x", 1));
    CHECK(-EBADF, call(SYS_read, fds[1], buf, 1));
    CHECK(-EFAULT, call(SYS_write, fds[1], T_BAD, 1));
    CHECK(1, call(SYS_write, fds[1], "x", 1));
    CHECK(-EFAULT, call(SYS_read, fds[0], T_BAD, 1));
    CHECK(-ESPIPE, call(SYS_lseek, fds[0], 0, SEEK_CUR));
    CHECK(-ESPIPE, call(SYS_pread64, fds[0], buf, 1, 0));
    CHECK(-ESPIPE, call(SYS_pwrite64, fds[1], buf, 1, 0));
    CHECK(-EINVAL, call(SYS_ftruncate, fds[1], 0));
    CHECK(-EINVAL, call(SYS_fsync, fds[1]));
    close_both();
}

static void says_what_it_is(void)
{
    struct stat st;
    make(O_CLOEXEC | O_NONBLOCK);
    CHECK(0, call(SYS_fstat, fds[0], &st));
    CHECK(S_IFIFO | 0600, st.st_mode);
    CHECK(4096, st.st_blksize);
    CHECK(FD_CLOEXEC, call(SYS_fcntl, fds[0], F_GETFD));
    CHECK(FD_CLOEXEC, call(SYS_fcntl, fds[1], F_GETFD));
    CHECK(O_RDONLY | O_NONBLOCK, call(SYS_fcntl, fds[0], F_GETFL));
    CHECK(O_WRONLY | O_NONBLOCK, call(SYS_fcntl, fds[1], F_GETFL));
    close_both();
    make(0);
    CHECK(0, call(SYS_fcntl, fds[0], F_GETFD));
    CHECK(O_RDONLY, call(SYS_fcntl, fds[0], F_GETFL));
    close_both();
    CHECK(-EINVAL, call(SYS_pipe2, fds, O_APPEND));
    CHECK(-EFAULT, call(SYS_pipe2, T_BAD, 0));
    int next = fds[0];
    make(0);
    CHECK(next, fds[0]); /* the failed ones left no descriptor behind */
    CHECK(next + 1, fds[1]);
    close_both();
}

static void ends_when_an_end_closes(void)
{
    make(O_NONBLOCK);
    CHECK(-EAGAIN, call(SYS_read, fds[0], buf, 1));
    CHECK(0, ready(fds[0], POLLIN));
    CHECK(POLLOUT, ready(fds[1], POLLOUT));
    CHECK(1, call(SYS_write, fds[1], "x", 1));
    CHECK(POLLIN, ready(fds[0], POLLIN));
    call(SYS_close, fds[1]);
    CHECK(POLLIN | POLLHUP, ready(fds[0], POLLIN));
    CHECK(1, call(SYS_read, fds[0], buf, 10));
    CHECK(0, call(SYS_read, fds[0], buf, 10));
    CHECK(POLLHUP, ready(fds[0], POLLIN));
    call(SYS_close, fds[0]);

    CHECK(0, t_handle(SIGPIPE, SIG_IGN, 0));
    make(0);
    call(SYS_close, fds[0]);
    CHECK(POLLOUT | POLLERR, ready(fds[1], POLLOUT));
    CHECK(-EPIPE, call(SYS_write, fds[1], "x", 1));
    CHECK(0, call(SYS_write, fds[1], "x", 0));
    call(SYS_close, fds[1]);
}

static void fills(void)
{
    make(O_NONBLOCK);
    CHECK(65536, call(SYS_fcntl, fds[0], F_GETPIPE_SZ));
    CHECK(65536, call(SYS_write, fds[1], buf, sizeof(buf)));
    CHECK(-EAGAIN, call(SYS_write, fds[1], buf, 1));
    CHECK(0, ready(fds[1], POLLOUT));
    CHECK(4096, call(SYS_read, fds[0], buf, 4096));
    CHECK(POLLOUT, ready(fds[1], POLLOUT));
    CHECK(-EBUSY, call(SYS_fcntl, fds[0], F_SETPIPE_SZ, 4096));
    CHECK(1, call(SYS_write, fds[1], buf, 1));
    CHECK(-EAGAIN, call(SYS_write, fds[1], buf, 4096)); /* up to PIPE_BUF: all or nothing */
    CHECK(4095, call(SYS_write, fds[1], buf, 4095));
    CHECK(65536, call(SYS_read, fds[0], buf, sizeof(buf)));
    CHECK(8192, call(SYS_fcntl, fds[0], F_SETPIPE_SZ, 5000));
    CHECK(8192, call(SYS_fcntl, fds[1], F_GETPIPE_SZ));
    CHECK(8192, call(SYS_write, fds[1], buf, sizeof(buf)));
    CHECK(131072, call(SYS_fcntl, fds[0], F_SETPIPE_SZ, 131072));
    CHECK(8192, call(SYS_read, fds[0], buf, sizeof(buf)));
    CHECK(4096, call(SYS_fcntl, fds[0], F_SETPIPE_SZ, 1));
    close_both();
}

static void keeps_packets(void)
{
    make(O_DIRECT | O_NONBLOCK);
    CHECK(3, call(SYS_write, fds[1], "abc", 3));
    CHECK(2, call(SYS_write, fds[1], "de", 2));
    CHECK(3, call(SYS_read, fds[0], buf, 100));
    CHECK(1, call(SYS_read, fds[0], buf, 1)); /* the rest of that packet is gone */
    CHECK(-EAGAIN, call(SYS_read, fds[0], buf, 100));
    close_both();
}

static void opens_again(void)
{
    char path[40];
    make(0);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fds[0]);
    long again = call(SYS_open, path, O_WRONLY | O_NONBLOCK);
    CHECK(1, again >= 0);
    CHECK(2, call(SYS_write, again, "hi", 2));
    CHECK(2, call(SYS_read, fds[0], buf, 10));
    call(SYS_close, again);
    /* Unlike a FIFO, a pipe whose other side is gone opens at once. */
    call(SYS_close, fds[1]);
    again = call(SYS_open, path, O_RDONLY);
    CHECK(1, again >= 0);
    CHECK(POLLHUP, ready(again, POLLIN));
    CHECK(0, call(SYS_read, again, buf, 10));
    call(SYS_close, again);
    make(0);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fds[1]);
    call(SYS_close, fds[0]);
    again = call(SYS_open, path, O_WRONLY | O_NONBLOCK);
    CHECK(1, again >= 0);
    CHECK(POLLERR, ready(again, 0));
    call(SYS_close, again);
    close_both();
}

static void splices(void)
{
    int other[2];
    make(O_NONBLOCK);
    CHECK(0, call(SYS_pipe2, other, O_NONBLOCK));
    CHECK(4, call(SYS_write, fds[1], "four", 4));
    CHECK(4, call(SYS_tee, fds[0], other[1], 100, 0));
    CHECK(4, call(SYS_read, other[0], buf, 100));
    CHECK(3, call(SYS_splice, fds[0], NULL, other[1], NULL, 3, 0));
    CHECK(3, call(SYS_read, other[0], buf, 100));
    CHECK(0, memcmp(buf, "fou", 3));
    CHECK(1, call(SYS_read, fds[0], buf, 100));
    CHECK(-EAGAIN, call(SYS_splice, fds[0], NULL, other[1], NULL, 3, SPLICE_F_NONBLOCK));
    CHECK(-EINVAL, call(SYS_splice, fds[0], NULL, fds[1], NULL, 1, 0)); /* the same pipe */
    CHECK(-EINVAL, call(SYS_splice, fds[0], NULL, other[1], NULL, 1, 0x100));
    int64_t offset = 0;
    CHECK(-ESPIPE, call(SYS_splice, fds[0], &offset, other[1], NULL, 1, 0));
    struct iovec iov = { "user", 4 };
    CHECK(4, call(SYS_vmsplice, fds[1], &iov, 1, 0));
    CHECK(4, call(SYS_read, fds[0], buf, 100));
    CHECK(0, memcmp(buf, "user", 4));
    call(SYS_close, other[0]);
    call(SYS_close, other[1]);
    close_both();
}

int main(void)
{
    moves_bytes();
    says_what_it_is();
    ends_when_an_end_closes();
    fills();
    keeps_packets();
    opens_again();
    splices();
    return t_end();
}
