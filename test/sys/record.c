/* SPDX-License-Identifier: MIT */
/* Record locks of fcntl, of a process and of open files, and leases. */
#include <t_files.h>

#include <signal.h>
#include <sys/file.h>

static long a, b, w; /* a and b read, w writes too: three open files */

static struct flock lock(int type, long start, long len)
{
    return (struct flock){
        .l_type = (short)type, .l_whence = SEEK_SET, .l_start = start, .l_len = len
    };
}

static long set(long fd, int cmd, int type, long start, long len)
{
    struct flock l = lock(type, start, len);
    return call(SYS_fcntl, fd, cmd, &l);
}

/* What an OFD lock of fd would meet: "type start len", all in one number for CHECK. */
static long meets(long fd, int type, long start, long len)
{
    struct flock l = lock(type, start, len);
    long err = call(SYS_fcntl, fd, F_OFD_GETLK, &l);
    return err                   ? err
           : l.l_type == F_UNLCK ? 0
                                 : 1000000 * (l.l_type + 1) + 1000 * l.l_start + l.l_len;
}

static void of_the_process(void)
{
    CHECK(0, set(w, F_SETLK, F_WRLCK, 100, 100));
    CHECK(0, set(a, F_SETLK, F_RDLCK, 150, 10)); /* the same owner: converted */
    CHECK(2100050, meets(b, F_RDLCK, 0, 0));
    CHECK(0, meets(b, F_RDLCK, 150, 10));
    CHECK(1150010, meets(b, F_WRLCK, 150, 10));
    CHECK(2160040, meets(b, F_RDLCK, 160, 1));
    CHECK(0, set(a, F_SETLK, F_UNLCK, 120, 60));
    CHECK(2100020, meets(b, F_RDLCK, 0, 0));
    CHECK(0, meets(b, F_RDLCK, 120, 60));
    CHECK(2180020, meets(b, F_RDLCK, 120, 0));
    CHECK(0, set(w, F_SETLK, F_WRLCK, 120, 60)); /* joined again */
    CHECK(2100100, meets(b, F_RDLCK, 0, 0));
    CHECK(0, set(w, F_SETLK, F_WRLCK, 199, 0));
    CHECK(2100000, meets(b, F_RDLCK, 0, 0)); /* to the end of the file */
    struct flock l = lock(F_RDLCK, 0, 0);
    CHECK(0, call(SYS_fcntl, b, F_GETLK, &l)); /* one's own is not in the way */
    CHECK(F_UNLCK, l.l_type);
    CHECK(-EAGAIN, set(b, F_OFD_SETLK, F_RDLCK, 150, 1));
    CHECK(0, set(b, F_OFD_SETLK, F_RDLCK, 0, 100));
    CHECK(-EAGAIN, set(w, F_SETLK, F_WRLCK, 99, 1));
    CHECK(0, set(w, F_SETLK, F_WRLCK, 100, 1));
    CHECK(0, set(b, F_OFD_SETLK, F_UNLCK, 0, 0));

    long c = call(SYS_open, P("f"), O_RDONLY);
    CHECK(0, call(SYS_close, c)); /* any descriptor of the file: all locks of the process go */
    CHECK(0, meets(b, F_WRLCK, 0, 0));
}

static void bad_locks(void)
{
    struct flock l = lock(F_RDLCK, 0, 0);
    CHECK(-EBADF, set(a, F_SETLK, F_WRLCK, 0, 1));
    CHECK(-EINVAL, set(a, F_SETLK, 7, 0, 1));
    CHECK(-EINVAL, set(a, F_SETLK, F_RDLCK, -1, 1));
    CHECK(-EINVAL, set(a, F_SETLK, F_RDLCK, 5, -6));
    CHECK(0, set(a, F_SETLK, F_RDLCK, 5, -5));
    CHECK(-EAGAIN, set(w, F_OFD_SETLK, F_WRLCK, 0, 5));
    CHECK(0, set(w, F_OFD_SETLK, F_WRLCK, 5, 1));
    CHECK(0, set(w, F_OFD_SETLK, F_UNLCK, 0, 0));
    CHECK(0, set(a, F_SETLK, F_UNLCK, 0, 0));
    CHECK(-EOVERFLOW, set(a, F_SETLK, F_RDLCK, INT64_MAX, 10));
    l.l_whence = SEEK_CUR;
    l.l_start = INT64_MAX;
    CHECK(2, call(SYS_lseek, a, 2, SEEK_SET));
    CHECK(-EOVERFLOW, call(SYS_fcntl, a, F_SETLK, &l));
    l = lock(F_RDLCK, 0, 0);
    l.l_whence = 9;
    CHECK(-EINVAL, call(SYS_fcntl, a, F_SETLK, &l));
    l = lock(F_RDLCK, 0, 0);
    l.l_pid = 1;
    CHECK(-EINVAL, call(SYS_fcntl, a, F_OFD_SETLK, &l));
    CHECK(-EINVAL, call(SYS_fcntl, a, F_OFD_GETLK, &l));
    l = lock(F_UNLCK, 0, 0);
    CHECK(-EINVAL, call(SYS_fcntl, a, F_GETLK, &l));
    CHECK(-EFAULT, call(SYS_fcntl, a, F_SETLK, T_BAD));
    CHECK(-EFAULT, call(SYS_fcntl, a, F_GETLK, T_BAD));
    l = lock(F_RDLCK, 0, 0);
    CHECK(-EBADF, call(SYS_fcntl, 999, F_SETLK, &l));
}

static void of_open_files(void)
{
    long d = call(SYS_dup, a);
    CHECK(0, set(a, F_OFD_SETLK, F_RDLCK, 0, 10));
    CHECK(0, set(b, F_OFD_SETLK, F_RDLCK, 5, 10));
    CHECK(-EAGAIN, set(w, F_OFD_SETLK, F_WRLCK, 0, 1));
    CHECK(-EAGAIN, set(w, F_OFD_SETLK, F_WRLCK, 12, 1));
    CHECK(0, set(w, F_OFD_SETLK, F_WRLCK, 15, 1));
    CHECK(0, call(SYS_flock, w, LOCK_EX | LOCK_NB)); /* another kind: no conflict */
    CHECK(0, call(SYS_close, d));
    CHECK(-EAGAIN, set(w, F_OFD_SETLK, F_WRLCK, 0, 1));
    CHECK(0, set(a, F_OFD_SETLK, F_UNLCK, 0, 0));
    CHECK(0, set(w, F_OFD_SETLK, F_WRLCK, 0, 1));
    struct flock l = lock(F_RDLCK, 0, 1);
    CHECK(0, call(SYS_fcntl, a, F_GETLK, &l));
    CHECK(F_WRLCK, l.l_type);
    CHECK(-1, l.l_pid);
    CHECK(0, call(SYS_close, b)); /* its lock goes with the open file */
    b = call(SYS_open, P("f"), O_RDONLY);
    CHECK(0, set(w, F_OFD_SETLKW, F_WRLCK, 0, 100));
    CHECK(0, set(w, F_OFD_SETLK, F_UNLCK, 0, 0));
    CHECK(0, call(SYS_flock, w, LOCK_UN));
}

static void leases(void)
{
    uint64_t mask = 1ull << (SIGIO - 1), pending = 0;
    CHECK(0, call(SYS_close, w));
    CHECK(0, call(SYS_close, b));
    CHECK(0, call(SYS_rt_sigprocmask, SIG_BLOCK, &mask, 0, 8));
    CHECK(F_UNLCK, call(SYS_fcntl, a, F_GETLEASE));
    CHECK(-EINVAL, call(SYS_fcntl, a, F_SETLEASE, 9));
    CHECK(0, call(SYS_fcntl, a, F_SETLEASE, F_RDLCK));
    CHECK(F_RDLCK, call(SYS_fcntl, a, F_GETLEASE));
    b = call(SYS_open, P("f"), O_RDONLY | O_NONBLOCK);
    CHECK(true, b >= 0);
    CHECK(-EAGAIN, call(SYS_open, P("f"), O_WRONLY | O_NONBLOCK));
    CHECK(0, call(SYS_rt_sigpending, &pending, 8));
    CHECK(mask, pending & mask);
    CHECK(0, call(SYS_fcntl, a, F_SETLEASE, F_UNLCK));
    w = call(SYS_open, P("f"), O_RDWR | O_NONBLOCK);
    CHECK(true, w >= 0);
    CHECK(-EAGAIN, call(SYS_fcntl, a, F_SETLEASE, F_RDLCK)); /* somebody writes */
    CHECK(-EAGAIN, call(SYS_fcntl, w, F_SETLEASE, F_RDLCK));
    CHECK(-EAGAIN, call(SYS_fcntl, w, F_SETLEASE, F_WRLCK)); /* others have it open */
    CHECK(-EINVAL, call(SYS_fcntl, dir_fd, F_SETLEASE, F_RDLCK));
    struct timespec now = { 0, 0 };
    CHECK(SIGIO, call(SYS_rt_sigtimedwait, &mask, 0, &now, 8));
    CHECK(0, call(SYS_rt_sigprocmask, SIG_UNBLOCK, &mask, 0, 8));
}

int main(void)
{
    begin("record");
    make_file("f", "0123456789");
    a = call(SYS_open, P("f"), O_RDONLY);
    b = call(SYS_open, P("f"), O_RDONLY);
    w = call(SYS_open, P("f"), O_RDWR);
    of_the_process();
    bad_locks();
    of_open_files();
    leases();
    call(SYS_close, a);
    call(SYS_close, b);
    call(SYS_close, w);
    finish();
    return t_end();
}
