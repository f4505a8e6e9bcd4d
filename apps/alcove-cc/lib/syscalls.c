/* SPDX-License-Identifier: MIT */
/* What newlib asks of an operating system, each by one call into libOS. newlib's flags, structures and signal numbers
 * are not Linux's, so they are translated here. */
#include "sys.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/times.h>
#include <sys/wait.h>
#include <unistd.h>

static long call(long nr, long a, long b, long c)
{
    return result(alcove_syscall(nr, a, b, c, 0, 0, 0));
}

static long addr(const void *p)
{
    return (long)(uintptr_t)p;
}

/* newlib's bit, Linux's bit. */
static const struct {
    int ours;
    long linux_bit;
} open_flags[] = {
    { O_APPEND, 0x400 },     { O_CREAT, 0x40 },        { O_TRUNC, 0x200 },
    { O_EXCL, 0x80 },        { O_NONBLOCK, 0x800 },    { O_NOCTTY, 0x100 },
    { O_SYNC, 0x101000 },    { _FNOINHERIT, 0x80000 }, { _FDIRECT, 0x4000 },
    { _FNOFOLLOW, 0x20000 }, { _FDIRECTORY, 0x10000 },
};

static long flags_to_linux(int flags)
{
    long to = flags & O_ACCMODE;
    for (size_t i = 0; i < sizeof open_flags / sizeof open_flags[0]; i++)
        if (flags & open_flags[i].ours)
            to |= open_flags[i].linux_bit;
    return to;
}

static int flags_from_linux(long flags)
{
    int to = (int)flags & O_ACCMODE;
    for (size_t i = 0; i < sizeof open_flags / sizeof open_flags[0]; i++)
        if ((flags & open_flags[i].linux_bit) == open_flags[i].linux_bit)
            to |= open_flags[i].ours;
    return to;
}

int open(const char *path, int flags, ...)
{
    va_list ap;
    va_start(ap, flags);
    long mode = flags & O_CREAT ? va_arg(ap, int) : 0;
    va_end(ap);
    return (int)call(LINUX_OPEN, addr(path), flags_to_linux(flags), mode);
}

int close(int fd)
{
    return (int)call(LINUX_CLOSE, fd, 0, 0);
}

/* The result is an int in newlib; Linux too moves at most this much at once. */
static long bounded(size_t n)
{
    enum { MOST = 0x7ffff000 };
    return n < MOST ? (long)n : MOST;
}

_READ_WRITE_RETURN_TYPE read(int fd, void *buf, size_t n)
{
    return (_READ_WRITE_RETURN_TYPE)call(LINUX_READ, fd, addr(buf), bounded(n));
}

_READ_WRITE_RETURN_TYPE write(int fd, const void *buf, size_t n)
{
    return (_READ_WRITE_RETURN_TYPE)call(LINUX_WRITE, fd, addr(buf), bounded(n));
}

off_t lseek(int fd, off_t off, int whence)
{
    return call(LINUX_LSEEK, fd, off, whence);
}

int link(const char *from, const char *to)
{
    return (int)call(LINUX_LINK, addr(from), addr(to), 0);
}

int unlink(const char *path)
{
    return (int)call(LINUX_UNLINK, addr(path), 0, 0);
}

int mkdir(const char *path, mode_t mode)
{
    return (int)call(LINUX_MKDIR, addr(path), (long)mode, 0);
}

/* The commands whose numbers newlib and Linux share (F_DUPFD 0 to F_SETFL 4). */
int fcntl(int fd, int cmd, ...)
{
    va_list ap;
    va_start(ap, cmd);
    long arg = va_arg(ap, long);
    va_end(ap);
    switch (cmd) {
    case F_DUPFD:
    case F_GETFD:
    case F_SETFD:
        return (int)call(LINUX_FCNTL, fd, cmd, arg);
    case F_SETFL:
        return (int)call(LINUX_FCNTL, fd, cmd, flags_to_linux((int)arg));
    case F_GETFL: {
        long flags = call(LINUX_FCNTL, fd, cmd, 0);
        return flags < 0 ? -1 : flags_from_linux(flags);
    }
    default:
        errno = EINVAL;
        return -1;
    }
}

/* struct stat of x86-64 Linux. */
struct linux_stat {
    uint64_t dev, ino, nlink;
    uint32_t mode, uid, gid, pad;
    uint64_t rdev;
    int64_t size, blksize, blocks, atime, atime_ns, mtime, mtime_ns, ctime, ctime_ns, spare[3];
};

static int stat_result(long r, const struct linux_stat *from, struct stat *to)
{
    if (result(r) < 0)
        return -1;
    memset(to, 0, sizeof *to);
    to->st_dev = (dev_t)from->dev;
    to->st_ino = (ino_t)from->ino;
    to->st_mode = from->mode;
    to->st_nlink = (nlink_t)from->nlink;
    to->st_uid = (uid_t)from->uid;
    to->st_gid = (gid_t)from->gid;
    to->st_rdev = (dev_t)from->rdev;
    to->st_size = from->size;
    to->st_atim = (struct timespec){ from->atime, from->atime_ns };
    to->st_mtim = (struct timespec){ from->mtime, from->mtime_ns };
    to->st_ctim = (struct timespec){ from->ctime, from->ctime_ns };
    to->st_blksize = from->blksize;
    to->st_blocks = from->blocks;
    return 0;
}

int stat(const char *path, struct stat *st)
{
    struct linux_stat from;
    return stat_result(alcove_syscall(LINUX_STAT, addr(path), addr(&from), 0, 0, 0, 0), &from, st);
}

int fstat(int fd, struct stat *st)
{
    struct linux_stat from;
    return stat_result(alcove_syscall(LINUX_FSTAT, fd, addr(&from), 0, 0, 0, 0), &from, st);
}

int isatty(int fd)
{
    enum { LINUX_TCGETS = 0x5401 };
    char termios[64];
    return call(LINUX_IOCTL, fd, LINUX_TCGETS, addr(termios)) == 0;
}

/* malloc's source of memory; newlib calls it with its malloc lock held. */
void *sbrk(ptrdiff_t by)
{
    static uintptr_t end;
    if (!end)
        end = (uintptr_t)alcove_syscall(LINUX_BRK, 0, 0, 0, 0, 0, 0);
    uintptr_t want = end + (uintptr_t)by;
    if ((uintptr_t)alcove_syscall(LINUX_BRK, (long)want, 0, 0, 0, 0, 0) != want) {
        errno = ENOMEM;
        return (void *)-1;
    }
    void *old = (void *)end;
    end = want;
    return old;
}

int posix_memalign(void **ret_p, size_t align, size_t size)
{
    if (align < sizeof(void *) || (align & (align - 1)))
        return EINVAL;
    void *p = memalign(align, size);
    if (!p)
        return ENOMEM;
    *ret_p = p;
    return 0;
}

pid_t getpid(void)
{
    return (pid_t)call(LINUX_GETPID, 0, 0, 0);
}

static int signal_to_linux(int sig)
{
    static const unsigned char to_linux[32] = {
        [SIGBUS] = 7,   [SIGSYS] = 31,  [SIGURG] = 23, [SIGSTOP] = 19, [SIGTSTP] = 20,
        [SIGCONT] = 18, [SIGCHLD] = 17, [SIGIO] = 29,  [SIGUSR1] = 10, [SIGUSR2] = 12,
    };
    return sig > 0 && sig < 32 && to_linux[sig] ? to_linux[sig] : sig;
}

int kill(pid_t pid, int sig)
{
    return (int)call(LINUX_KILL, pid, signal_to_linux(sig), 0);
}

void _exit(int status)
{
    for (;;)
        (void)alcove_syscall(LINUX_EXIT_GROUP, status, 0, 0, 0, 0, 0);
}

int gettimeofday(struct timeval *restrict tv, void *restrict zone)
{
    (void)zone;
    return (int)call(LINUX_GETTIMEOFDAY, addr(tv), 0, 0);
}

/* Linux counts hundredths of a second, newlib CLOCKS_PER_SEC. */
clock_t times(struct tms *t)
{
    enum { LINUX_HZ = 100 };
    long ticks[4] = { 0 };
    long now = call(LINUX_TIMES, addr(ticks), 0, 0);
    if (now < 0)
        return (clock_t)-1;
    const long scale = (long)CLOCKS_PER_SEC / LINUX_HZ;
    t->tms_utime = (clock_t)(ticks[0] * scale);
    t->tms_stime = (clock_t)(ticks[1] * scale);
    t->tms_cutime = (clock_t)(ticks[2] * scale);
    t->tms_cstime = (clock_t)(ticks[3] * scale);
    return (clock_t)(now * scale);
}

int getentropy(void *buf, size_t n)
{
    if (n > 256) {
        errno = EIO;
        return -1;
    }
    return call(LINUX_GETRANDOM, addr(buf), (long)n, 0) == (long)n ? 0 : -1;
}

/* One program, one image: there is no second one to start. */
static int no_process(void)
{
    errno = ENOSYS;
    return -1;
}

pid_t fork(void)
{
    return no_process();
}

int execve(const char *path, char *const argv[], char *const envp[])
{
    (void)path, (void)argv, (void)envp;
    return no_process();
}

pid_t wait(int *status)
{
    (void)status;
    errno = ECHILD;
    return -1;
}

int sigprocmask(int how, const sigset_t *set, sigset_t *old)
{
    (void)how, (void)set, (void)old;
    return no_process();
}
