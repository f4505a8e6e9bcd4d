/* SPDX-License-Identifier: MIT */
/* Descriptors: close, close_range, dup*, fcntl, the limit. */
#define _GNU_SOURCE
#include <t_file.h>

#include <linux/close_range.h>
#include <sys/ioctl.h>
#include <sys/resource.h>

static long open_null(int flags)
{
    return call(SYS_open, "/dev/null", O_RDWR | flags);
}

static void closes(void)
{
    long a = open_null(0), b = open_null(0), c = open_null(0);
    CHECK(a + 1, b);
    CHECK(0, call(SYS_close, b));
    CHECK(-EBADF, call(SYS_close, b));
    CHECK(b, open_null(0)); /* the lowest free one */
    CHECK(0, call(SYS_close_range, a, c, 0));
    CHECK(-EBADF, call(SYS_close, a));
    CHECK(-EBADF, call(SYS_close, c));
    CHECK(0, call(SYS_close_range, a, c, 0)); /* none open is no error */
    CHECK(-EINVAL, call(SYS_close_range, 5, 4, 0));
    CHECK(-EINVAL, call(SYS_close_range, 900, 901, 8));
    a = open_null(0);
    CHECK(0, call(SYS_close_range, a, ~0u, CLOSE_RANGE_CLOEXEC));
    CHECK(FD_CLOEXEC, call(SYS_fcntl, a, F_GETFD));
    CHECK(0, call(SYS_close_range, a, ~0u, 0));
    CHECK(-EBADF, call(SYS_fcntl, a, F_GETFD));
}

static void duplicates(void)
{
    long a = open_null(O_CLOEXEC), b = call(SYS_dup, a);
    CHECK(a + 1, b);
    CHECK(0, call(SYS_fcntl, b, F_GETFD)); /* close-on-exec is the descriptor's, not the file's */
    CHECK(a, call(SYS_dup2, a, a));
    CHECK(FD_CLOEXEC, call(SYS_fcntl, a, F_GETFD)); /* nothing happened */
    CHECK(-EBADF, call(SYS_dup2, 800, 800));
    CHECK(-EBADF, call(SYS_dup2, 800, a));
    CHECK(0, call(SYS_fcntl, a, F_GETFD) < 0);
    CHECK(50, call(SYS_dup2, a, 50));
    CHECK(50, call(SYS_dup2, a, 50));
    CHECK(-EINVAL, call(SYS_dup3, a, a, 0));
    CHECK(-EINVAL, call(SYS_dup3, a, 51, O_NONBLOCK));
    CHECK(51, call(SYS_dup3, a, 51, O_CLOEXEC));
    CHECK(FD_CLOEXEC, call(SYS_fcntl, 51, F_GETFD));
    CHECK(60, call(SYS_fcntl, a, F_DUPFD, 60));
    CHECK(61, call(SYS_fcntl, a, F_DUPFD_CLOEXEC, 60));
    CHECK(0, call(SYS_fcntl, 60, F_GETFD));
    CHECK(FD_CLOEXEC, call(SYS_fcntl, 61, F_GETFD));
    CHECK(0,
          call(SYS_fcntl, a, F_SETFL, O_NONBLOCK)); /* status flags are the file's: all see them */
    CHECK(O_RDWR | O_NONBLOCK | 0100000, call(SYS_fcntl, 60, F_GETFL));
    call(SYS_close_range, a, 61, 0);
}

static void shares_the_position(void)
{
    char c;
    t_write("f", "abcdef");
    long a = call(SYS_open, "f", O_RDONLY), b = call(SYS_dup, a),
         other = call(SYS_open, "f", O_RDONLY);
    CHECK(1, call(SYS_read, a, &c, 1));
    CHECK(1, call(SYS_read, b, &c, 1));
    CHECK('b', c);
    CHECK(1, call(SYS_read, other, &c, 1));
    CHECK('a', c);
    call(SYS_close_range, a, other, 0);
}

static void limits(void)
{
    struct rlimit old, low = { 40, 0 };
    CHECK(0, call(SYS_prlimit64, 0, RLIMIT_NOFILE, NULL, &old));
    low.rlim_max = old.rlim_max;
    CHECK(0, call(SYS_prlimit64, 0, RLIMIT_NOFILE, &low, NULL));
    long a = open_null(0);
    CHECK(-EBADF, call(SYS_dup2, a, 40));
    CHECK(-EBADF, call(SYS_dup3, a, 40, 0));
    CHECK(-EINVAL, call(SYS_fcntl, a, F_DUPFD, 40));
    CHECK(39, call(SYS_dup2, a, 39));
    CHECK(-EMFILE, call(SYS_fcntl, a, F_DUPFD, 39));
    long last = a;
    for (long fd; (fd = call(SYS_dup, a)) >= 0;)
        last = fd;
    CHECK(38, last);
    CHECK(-EMFILE, open_null(0));
    int fds[2];
    CHECK(-EMFILE, call(SYS_pipe2, fds, 0));
    call(SYS_close, 38);
    CHECK(-EMFILE, call(SYS_pipe2, fds, 0)); /* one is not enough, and is not used up */
    CHECK(38, open_null(0));
    call(SYS_close_range, a, 39, 0);
    CHECK(0, call(SYS_prlimit64, 0, RLIMIT_NOFILE, &old, NULL));
}

static void controls(void)
{
    long fd = call(SYS_open, "f", O_RDWR | O_SYNC | O_NOATIME);
    CHECK(O_RDWR | O_SYNC | O_NOATIME | 0100000, call(SYS_fcntl, fd, F_GETFL));
    CHECK(0, call(SYS_fcntl, fd, F_SETFL,
                  O_APPEND | O_WRONLY | O_CREAT | O_CLOEXEC)); /* only some can change */
    CHECK(O_RDWR | O_SYNC | O_APPEND | 0100000, call(SYS_fcntl, fd, F_GETFL));
    CHECK(0, call(SYS_fcntl, fd, F_GETFD));
    CHECK(0, call(SYS_fcntl, fd, F_SETFD, FD_CLOEXEC));
    CHECK(FD_CLOEXEC, call(SYS_fcntl, fd, F_GETFD));
    CHECK(0, call(SYS_fcntl, fd, F_SETFD, 0));
    CHECK(-EINVAL, call(SYS_fcntl, fd, 9999, 0));
    CHECK(-EBADF, call(SYS_fcntl, 999, F_GETFD));
    CHECK(0, call(SYS_fcntl, fd, F_GETOWN));
    CHECK(0, call(SYS_fcntl, fd, F_SETOWN, call(SYS_getpid)));
    CHECK(call(SYS_getpid), call(SYS_fcntl, fd, F_GETOWN));
    CHECK(-EBADF, call(SYS_fcntl, fd, F_SETPIPE_SZ, 4096));
    CHECK(-EBADF, call(SYS_fcntl, fd, F_GETPIPE_SZ));
    int on = 1;
    CHECK(0, call(SYS_ioctl, fd, FIONBIO, &on));
    CHECK(O_NONBLOCK, call(SYS_fcntl, fd, F_GETFL) & O_NONBLOCK);
    CHECK(0, call(SYS_ioctl, fd, FIOCLEX));
    CHECK(FD_CLOEXEC, call(SYS_fcntl, fd, F_GETFD));
    CHECK(-ENOTTY, call(SYS_ioctl, fd, TCGETS, &on));
    CHECK(-ENOTTY, call(SYS_ioctl, fd, 0x12345678, &on));
    CHECK(-EBADF, call(SYS_ioctl, 999, FIOCLEX));
    int left = 0;
    CHECK(2, call(SYS_lseek, fd, 2, SEEK_SET));
    CHECK(0, call(SYS_ioctl, fd, FIONREAD, &left));
    CHECK(4, left);
    call(SYS_close, fd);
}

static long lock(long fd, int cmd, short type, long start, long len, struct flock *ret)
{
    struct flock l = { .l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = len };
    long err = call(SYS_fcntl, fd, cmd, &l);
    if (ret)
        *ret = l;
    return err;
    int dir = (int)call(SYS_open, ".", O_RDONLY | O_DIRECTORY);
    CHECK(0, call(SYS_fcntl, dir, F_NOTIFY, DN_MULTISHOT));
    CHECK(0, call(SYS_fcntl, dir, F_NOTIFY, 0));
    call(SYS_close, dir);
}

/* Record locks: a process does not conflict with itself; open file description locks do. */
static void record_locks(void)
{
    struct flock l;
    long a = call(SYS_open, "f", O_RDWR), b = call(SYS_open, "f", O_RDWR),
         only = call(SYS_open, "f", O_RDONLY);
    CHECK(0, lock(a, F_SETLK, F_WRLCK, 0, 10, NULL));
    CHECK(0, lock(b, F_GETLK, F_WRLCK, 0, 10, &l));
    CHECK(F_UNLCK, l.l_type);
    CHECK(0, lock(a, F_SETLK, F_UNLCK, 0, 0, NULL));
    CHECK(0, lock(a, F_OFD_SETLK, F_WRLCK, 4, 2, NULL));
    CHECK(0, lock(b, F_OFD_SETLK, F_WRLCK, 0, 4, NULL));
    CHECK(-EAGAIN, lock(b, F_OFD_SETLK, F_RDLCK, 0, 5, NULL));
    CHECK(0, lock(b, F_OFD_GETLK, F_RDLCK, 0, 0, &l));
    CHECK(F_WRLCK, l.l_type);
    CHECK(4, l.l_start);
    CHECK(2, l.l_len);
    CHECK(-1, l.l_pid);
    CHECK(0, lock(b, F_OFD_SETLK, F_RDLCK, 6, 0, NULL));
    CHECK(0, lock(a, F_OFD_SETLK, F_UNLCK, 0, 0, NULL));
    CHECK(0, lock(b, F_OFD_SETLK, F_RDLCK, 0, 5, NULL));
    CHECK(-EINVAL, lock(b, F_SETLK, 7, 0, 5, NULL));
    CHECK(-EINVAL, lock(b, F_SETLK, F_RDLCK, -1, 5, NULL));
    CHECK(-EBADF, lock(only, F_SETLK, F_WRLCK, 0, 5, NULL));
    CHECK(-EFAULT, call(SYS_fcntl, a, F_GETLK, T_BAD));
    call(SYS_close_range, a, only, 0);
}

int main(void)
{
    t_enter();
    closes();
    duplicates();
    shares_the_position();
    limits();
    controls();
    record_locks();
    return t_leave();
}
