/* SPDX-License-Identifier: MIT */
/* Temporary files that vanish however the command ends. A child process, the janitor, holds the reading end of a pipe
 * and is told each path; when the pipe closes, because the command ended by exit, by a signal or by kill -9, it removes
 * them. It is in a session of its own, so that Ctrl-C on the terminal does not reach it. */
#include "util.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/magic.h>

#define SHM_FREE (4ULL << 30)

static int janitor_pipe = -1;
static pid_t janitor_pid;

/* Directories are made writable on the way down (a packed directory may not be), removed on the way up. */
static int open_up(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)at;
    if (type == FTW_D || type == FTW_DNR)
        (void)chmod(path, (st->st_mode & 07777) | 0700);
    return 0;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)st, (void)type, (void)at;
    (void)remove(path);
    return 0;
}

static void remove_tree(const char *path)
{
    struct stat st;
    if (lstat(path, &st) < 0)
        return;
    if (S_ISDIR(st.st_mode))
        (void)nftw(path, open_up, 32, FTW_PHYS);
    (void)nftw(path, remove_one, 32, FTW_PHYS | FTW_DEPTH);
}

/* Paths arrive zero-terminated. */
static void janitor_main(int fd)
{
    struct buf b = { 0 };
    char chunk[4096];
    ssize_t n;
    (void)setsid();
    (void)!chdir("/");
    for (int s = 1; s < 32; s++)
        (void)signal(s, SIG_IGN);
    while ((n = read(fd, chunk, sizeof(chunk))) > 0 || (n < 0 && errno == EINTR))
        if (n > 0)
            buf_add(&b, chunk, (size_t)n);
    for (size_t i = 0; i < b.len; i += strlen(b.s + i) + 1)
        remove_tree(b.s + i);
    _exit(0);
}

static void janitor_start(void)
{
    int p[2];
    if (pipe2(p, O_CLOEXEC) < 0)
        fail_errno(NULL, errno, "cannot make a pipe");
    janitor_pid = fork();
    if (janitor_pid < 0)
        fail_errno(NULL, errno, "cannot start a process");
    if (janitor_pid == 0) {
        close(p[1]);
        if (p[0] != 0)
            (void)dup2(p[0], 0);
        /* Nothing that somebody waits for the end of may stay open here. */
        if (close_range(1, ~0U, 0) < 0)
            for (int fd = 1; fd < 1024; fd++)
                close(fd);
        janitor_main(0);
    }
    close(p[0]);
    janitor_pipe = p[1];
}

void remove_at_exit(const char *path)
{
    if (janitor_pipe < 0)
        janitor_start();
    char *full = path_absolute(path);
    write_all(janitor_pipe, full, strlen(full) + 1, full);
}

void remove_finish(void)
{
    if (janitor_pipe < 0)
        return;
    close(janitor_pipe);
    janitor_pipe = -1;
    while (waitpid(janitor_pid, NULL, 0) < 0 && errno == EINTR)
        ;
}

void remove_forget(void)
{
    if (janitor_pipe >= 0)
        close(janitor_pipe);
    janitor_pipe = -1;
}

/* /dev/shm where there is plenty of it: an image is written several times over on its way. */
static const char *temp_base(void)
{
    const char *given = getenv("TMPDIR");
    struct statfs fs;
    struct sysinfo mem;
    if (given && given[0] == '/')
        return given;
    if (statfs("/dev/shm", &fs) == 0 && fs.f_type == TMPFS_MAGIC && access("/dev/shm", W_OK) == 0 &&
        fs.f_bavail * (uint64_t)fs.f_bsize >= SHM_FREE && sysinfo(&mem) == 0 &&
        (mem.freeram + mem.bufferram) * (uint64_t)mem.mem_unit >= SHM_FREE)
        return "/dev/shm";
    return "/tmp";
}

char *temp_dir(void)
{
    char *path = path_join(temp_base(), "alcove.XXXXXX");
    /* Started before the directory exists: no moment without somebody who removes it. */
    if (janitor_pipe < 0)
        janitor_start();
    if (!mkdtemp(path))
        fail_errno(path, errno, "cannot make a temporary directory; set TMPDIR");
    remove_at_exit(path);
    return path;
}
