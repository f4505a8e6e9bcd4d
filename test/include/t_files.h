/* SPDX-License-Identifier: MIT */
/* For tests of files: a fresh directory on a tmpfs, and names in it. */
#ifndef T_FILES_H
#define T_FILES_H

#define _GNU_SOURCE
#include <t.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/stat.h>
#include <unistd.h>

static char t_dir[64];
static long dir_fd; /* of that directory */
__attribute__((unused)) static char from_buf[65536];

/* The path of a name in the directory; several may be in use at once. */
static inline char *P(const char *name)
{
    static char paths[8][400];
    static unsigned next;
    char *p = paths[next++ % 8];
    snprintf(p, sizeof(paths[0]), "%s/%s", t_dir, name);
    return p;
}

static inline void make_file(const char *name, const char *content)
{
    long fd = call(SYS_open, P(name), O_WRONLY | O_CREAT | O_TRUNC, 0644);
    CHECK(true, fd >= 0);
    CHECK((long)strlen(content), call(SYS_write, fd, content, strlen(content)));
    CHECK(0, call(SYS_close, fd));
}

static inline struct stat stat_of(const char *name)
{
    struct stat st;
    memset(&st, 0, sizeof(st));
    CHECK(0, call(SYS_lstat, P(name), &st));
    return st;
}

static inline long mode_of(const char *name)
{
    return stat_of(name).st_mode;
}

static inline long size_of(const char *name)
{
    return stat_of(name).st_size;
}

/* Remove all that is in the directory that fd names. */
static inline void empty_dir(long fd)
{
    static char buf[4096];
    long n;
    call(SYS_lseek, fd, 0, SEEK_SET);
    while ((n = call(SYS_getdents64, fd, buf, sizeof(buf))) > 0) {
        for (long at = 0; at < n; at += *(unsigned short *)(buf + at + 16)) {
            const char *name = buf + at + 19;
            if (!strcmp(name, ".") || !strcmp(name, ".."))
                continue;
            if (call(SYS_unlinkat, fd, name, 0) == -EISDIR &&
                call(SYS_unlinkat, fd, name, AT_REMOVEDIR)) {
                long sub = call(SYS_openat, fd, name, O_RDONLY | O_DIRECTORY);
                char again[300];
                strcpy(again, name);
                empty_dir(sub);
                call(SYS_close, sub);
                call(SYS_unlinkat, fd, again, AT_REMOVEDIR);
                call(SYS_lseek, fd, 0, SEEK_SET);
                break;
            }
        }
    }
}

static inline void begin(const char *test)
{
    struct stat st;
    const char *base = call(SYS_stat, "/dev/shm", &st) == 0 ? "/dev/shm" : "/tmp";
    snprintf(t_dir, sizeof(t_dir), "%s/t_%s.%ld", base, test, call(SYS_getpid));
    call(SYS_umask, 022);
    CHECK(0, call(SYS_mkdir, t_dir, 0755));
    dir_fd = call(SYS_open, t_dir, O_RDONLY | O_DIRECTORY);
    CHECK(true, dir_fd >= 0);
}

static inline void finish(void)
{
    empty_dir(dir_fd);
    CHECK(0, call(SYS_rmdir, t_dir));
    CHECK(0, call(SYS_close, dir_fd));
}

#endif
