/* SPDX-License-Identifier: MIT */
/* Files: tmpfs, /proc, descriptors, locks, watches. */
#define _GNU_SOURCE
#include "alloc.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

static const char *where = DIR;
static char path[64], other[64];

/* Begin with an empty directory whose names are not in the way. */
static void names(void)
{
    mkdir(where, 0755);
    snprintf(path, sizeof(path), "%s/a", where);
    snprintf(other, sizeof(other), "%s/b", where);
}

static long clean(long r)
{
    unlink(path);
    unlink(other);
    rmdir(path);
    rmdir(where);
    return r;
}

static void give_back(long fd)
{
    if (fd >= 0)
        close((int)fd);
}

static long do_open(void)
{
    long fd = FAULTY(SYS_open, "/proc/self/exe", O_RDONLY, 0);
    give_back(fd);
    return fd;
}

static long do_create(void)
{
    names();
    long fd = FAULTY(SYS_open, path, O_CREAT | O_RDWR | O_EXCL, 0644);
    give_back(fd);
    return clean(fd);
}

static long do_tmpfile(void)
{
    long fd = FAULTY(SYS_open, "/tmp", O_TMPFILE | O_RDWR, 0644);
    give_back(fd);
    return fd;
}

static long do_write(void)
{
    static char buf[100 << 10];
    names();
    int fd = open(path, O_CREAT | O_RDWR, 0644);
    faults_begin();
    long r = call(SYS_write, fd, buf, sizeof(buf));
    if (r >= 0)
        r = call(SYS_pread64, fd, buf, sizeof(buf), 0);
    if (r >= 0)
        r = call(SYS_ftruncate, fd, 5000);
    if (r >= 0)
        r = call(SYS_fsync, fd);
    faults_end();
    close(fd);
    return clean(r);
}

static long do_mkdir(void)
{
    names();
    long r = FAULTY(SYS_mkdir, path, 0755);
    return clean(r);
}

static long do_links(void)
{
    names();
    close(open(path, O_CREAT | O_RDWR, 0644));
    faults_begin();
    long r = call(SYS_link, path, other);
    if (r >= 0)
        r = call(SYS_unlink, other);
    if (r >= 0)
        r = call(SYS_symlink,
                 "a long text that the symbolic link shall lead to and that nobody follows", other);
    if (r >= 0)
        r = call(SYS_rename, other, path);
    if (r >= 0)
        r = call(SYS_mknod, other, S_IFIFO | 0600, 0);
    faults_end();
    return clean(r);
}

static long do_rename(void)
{
    names();
    close(open(path, O_CREAT | O_RDWR, 0644));
    close(open(other, O_CREAT | O_RDWR, 0644));
    long r = FAULTY(SYS_renameat2, AT_FDCWD, path, AT_FDCWD, other, 2 /* RENAME_EXCHANGE */);
    if (r >= 0)
        r = FAULTY(SYS_rename, path, other);
    return clean(r);
}

static long do_lookup(void)
{
    static char to[4096];
    struct stat st;
    faults_begin();
    long r = call(SYS_stat, "/proc/self/task/../status", &st);
    if (r >= 0)
        r = call(SYS_readlink, "/proc/self/exe", to, sizeof(to));
    if (r >= 0)
        r = call(SYS_getcwd, to, sizeof(to));
    if (r >= 0)
        r = call(SYS_access, "/usr/../proc/../tmp", R_OK);
    faults_end();
    return r;
}

static long do_proc(void)
{
    static const char *const files[] = { "/proc/self/maps", "/proc/self/status", "/proc/meminfo",
                                         "/proc/self/environ", "/proc/mounts" };
    static char buf[8192];
    long r = 0;
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]) && r >= 0; i++) {
        faults_begin();
        long fd = r = call(SYS_open, files[i], O_RDONLY, 0);
        if (r >= 0)
            r = call(SYS_read, fd, buf, sizeof(buf));
        faults_end();
        give_back(fd);
    }
    return r;
}

static long do_getdents(void)
{
    static char buf[8192];
    long r = 0;
    static const char *const dirs[] = { "/", "/proc", "/proc/self/fd", "/dev" };
    for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]) && r >= 0; i++) {
        faults_begin();
        long fd = r = call(SYS_open, dirs[i], O_RDONLY | O_DIRECTORY, 0);
        while (r > 0 || (r >= 0 && r == fd))
            if ((r = call(SYS_getdents64, fd, buf, sizeof(buf))) == 0)
                break;
        faults_end();
        give_back(fd);
    }
    return r;
}

static long do_attributes(void)
{
    names();
    close(open(path, O_CREAT | O_RDWR, 0644));
    faults_begin();
    long r = call(SYS_setxattr, path, "user.alloc", "value", 5, 0);
    if (r >= 0)
        r = call(SYS_setxattr, path, "user.alloc", "a longer value", 14, 0);
    if (r >= 0)
        r = call(SYS_listxattr, path, other, sizeof(other));
    if (r >= 0)
        r = call(SYS_chmod, path, 0600);
    if (r >= 0)
        r = call(SYS_utimensat, AT_FDCWD, path, NULL, 0);
    faults_end();
    names();
    return clean(r);
}

static long do_pipe(void)
{
    static char buf[40000];
    int fds[2] = { -1, -1 };
    faults_begin();
    long r = call(SYS_pipe2, fds, O_NONBLOCK);
    if (r >= 0)
        r = call(SYS_write, fds[1], buf, sizeof(buf));
    if (r >= 0)
        r = call(SYS_fcntl, fds[1], F_SETPIPE_SZ, 1 << 20);
    if (r >= 0)
        r = call(SYS_read, fds[0], buf, sizeof(buf));
    faults_end();
    give_back(fds[0]);
    give_back(fds[1]);
    return r;
}

/* The table of descriptors grows. */
static long many(void)
{
    struct pollfd set[200];
    fd_set reads;
    FD_ZERO(&reads);
    FD_SET(1, &reads);
    struct timeval none = { 0 };
    faults_begin();
    long r = call(SYS_dup2, 1, 900);
    for (int i = 0; i < 200; i++)
        set[i] = (struct pollfd){ .fd = i % 2 ? 900 : 1, .events = POLLIN };
    if (r >= 0)
        r = call(SYS_poll, set, 200, 1);
    if (r >= 0)
        r = call(SYS_select, 901, &reads, NULL, NULL, &none);
    if (r >= 0)
        r = call(SYS_close_range, 3, 2000, 2 /* CLOSE_RANGE_UNSHARE */);
    faults_end();
    return r;
}

static long do_many(void)
{
    return in_child(many);
}

static long do_events(void)
{
    sigset_t set;
    struct itimerspec when = { .it_value.tv_sec = 100 };
    struct epoll_event ev = { .events = EPOLLIN }, got;
    long fd[4] = { -1, -1, -1, -1 }, r;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    faults_begin();
    r = fd[0] = call(SYS_epoll_create1, 0);
    if (r >= 0)
        r = fd[1] = call(SYS_eventfd2, 1, 0);
    if (r >= 0)
        r = fd[2] = call(SYS_timerfd_create, CLOCK_MONOTONIC, 0);
    if (r >= 0)
        r = fd[3] = call(SYS_signalfd4, -1, &set, 8, 0);
    if (r >= 0)
        r = call(SYS_timerfd_settime, fd[2], 0, &when, NULL);
    for (int i = 1; i < 4 && r >= 0; i++)
        r = call(SYS_epoll_ctl, fd[0], EPOLL_CTL_ADD, fd[i], &ev);
    if (r >= 0)
        r = call(SYS_epoll_wait, fd[0], &got, 1, 1);
    faults_end();
    for (int i = 3; i >= 0; i--)
        give_back(fd[i]);
    return r;
}

static long do_inotify(void)
{
    static char buf[4096];
    names();
    faults_begin();
    long fd = call(SYS_inotify_init1, IN_NONBLOCK), r = fd;
    if (r >= 0)
        r = call(SYS_inotify_add_watch, fd, where, IN_ALL_EVENTS);
    if (r >= 0)
        r = call(SYS_mkdir, path, 0700);
    if (r >= 0)
        r = call(SYS_rename, path, other);
    if (r >= 0)
        r = call(SYS_rmdir, other);
    if (r >= 0)
        r = call(SYS_read, fd, buf, sizeof(buf));
    faults_end();
    give_back(fd);
    rmdir(other);
    return clean(r);
}

static long do_locks(void)
{
    struct flock whole = { .l_type = F_WRLCK },
                 part = { .l_type = F_UNLCK, .l_start = 100, .l_len = 10 };
    names();
    int fd = open(path, O_CREAT | O_RDWR, 0644);
    faults_begin();
    long r = call(SYS_flock, fd, LOCK_EX);
    if (r >= 0)
        r = call(SYS_fcntl, fd, F_SETLK, &whole);
    if (r >= 0)
        r = call(SYS_fcntl, fd, F_SETLK, &part); /* one lock becomes two */
    whole.l_type = F_UNLCK;
    if (r >= 0)
        r = call(SYS_fcntl, fd, F_SETLK, &whole);
    whole.l_type = F_WRLCK;
    if (r >= 0)
        r = call(SYS_fcntl, fd, F_OFD_SETLK, &whole);
    faults_end();
    close(fd);
    return clean(r);
}

static long do_lease(void)
{
    names();
    close(open(path, O_CREAT | O_RDWR, 0644));
    int fd = open(path, O_RDONLY);
    long r = FAULTY(SYS_fcntl, fd, F_SETLEASE, F_RDLCK);
    close(fd);
    return clean(r);
}

static long do_splice(void)
{
    static char buf[20000];
    int fds[2];
    if (pipe2(fds, O_NONBLOCK))
        return -EIO;
    names();
    int fd = open(path, O_CREAT | O_RDWR, 0644);
    if (write(fd, buf, sizeof(buf)) != sizeof(buf))
        return -EIO;
    long from = 0;
    faults_begin();
    long r = call(SYS_splice, fd, &from, fds[1], NULL, 10000, 0);
    if (r >= 0)
        r = call(SYS_sendfile, fds[1], fd, &from, 5000);
    if (r >= 0)
        r = call(SYS_copy_file_range, fd, NULL, fd, &from, 100, 0);
    faults_end();
    close(fd);
    close(fds[0]);
    close(fds[1]);
    return clean(r);
}

static long do_fifo(void)
{
    names();
    mkfifo(path, 0600);
    long fd = FAULTY(SYS_open, path, O_RDWR | O_NONBLOCK, 0);
    give_back(fd);
    return clean(fd);
}

static long do_pty(void)
{
    char name[32] = "/dev/pts/";
    unsigned n = 0, zero = 0;
    faults_begin();
    long fd = call(SYS_open, "/dev/ptmx", O_RDWR | O_NOCTTY, 0), r = fd, slave = -1;
    if (r >= 0)
        r = call(SYS_ioctl, fd, 0x40045431 /* TIOCSPTLCK */, &zero);
    if (r >= 0)
        r = call(SYS_ioctl, fd, 0x80045430 /* TIOCGPTN */, &n);
    if (r >= 0) {
        snprintf(name, sizeof(name), "/dev/pts/%u", n);
        r = slave = call(SYS_open, name, O_RDWR | O_NOCTTY, 0);
    }
    if (r >= 0)
        r = call(SYS_write, fd, "hello\n", 6);
    faults_end();
    give_back(slave);
    give_back(fd);
    return r;
}

const struct scenario file_scenarios[] = {
    { "open", do_open, { ENFILE } },
    { "create", do_create, { ENOSPC, ENFILE } },
    { "tmpfile", do_tmpfile, { ENOSPC, ENFILE, EOPNOTSUPP } },
    { "write", do_write, { ENOSPC } },
    { "mkdir", do_mkdir, { ENOSPC } },
    { "links", do_links, { ENOSPC } },
    { "rename", do_rename, { ENOSPC } },
    { "lookup", do_lookup, { 0 } },
    { "proc", do_proc, { ENFILE } },
    { "getdents", do_getdents, { ENFILE } },
    { "attributes", do_attributes, { ENOSPC, EOPNOTSUPP } },
    { "pipe", do_pipe, { ENFILE, EAGAIN } },
    { "many", do_many, { 0 } },
    { "events", do_events, { ENFILE } },
    { "inotify", do_inotify, { ENFILE, ENOSPC, EAGAIN, EMFILE } },
    { "locks", do_locks, { ENOLCK, EAGAIN } },
    { "lease", do_lease, { ENOLCK } },
    { "splice", do_splice, { EAGAIN } },
    { "fifo", do_fifo, { ENFILE } },
    { "pty", do_pty, { ENFILE, ENOSPC } },
    { NULL, NULL, { 0 } },
};
