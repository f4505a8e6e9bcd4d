/* SPDX-License-Identifier: MIT */
/* For tests of files: a fresh directory on a tmpfs, entered at the start and emptied at the end. */
#ifndef T_FILE_H
#define T_FILE_H

#include <t.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/stat.h>

static char t_dir[64];

/* Remove what is in the current directory, two levels deep. */
static inline void t_empty(int depth)
{
    static char buf[2][4096];
    long fd = call(SYS_open, ".", O_RDONLY | O_DIRECTORY), n;
    while ((n = call(SYS_getdents64, fd, buf[depth], sizeof(buf[0]))) > 0)
        for (long at = 0; at < n;) {
            struct dirent64 *d = (struct dirent64 *)(buf[depth] + at);
            at += d->d_reclen;
            if (strcmp(d->d_name, ".") == 0 || strcmp(d->d_name, "..") == 0 ||
                call(SYS_unlink, d->d_name) == 0)
                continue;
            if (depth == 0 && call(SYS_chdir, d->d_name) == 0) {
                t_empty(1);
                call(SYS_chdir, "..");
            }
            call(SYS_rmdir, d->d_name);
        }
    call(SYS_close, fd);
}

/* Make the directory and go there. tmpfs on Linux too, as file systems differ in what is left to them. */
static inline void t_enter(void)
{
    struct stat st;
    const char *base =
        call(SYS_stat, "/dev/shm", &st) == 0 && S_ISDIR(st.st_mode) ? "/dev/shm" : "/tmp";
    snprintf(t_dir, sizeof(t_dir), "%s/t_%ld", base, call(SYS_getpid));
    call(SYS_mkdir, "/tmp", 01777);
    CHECK(0, call(SYS_mkdir, t_dir, 0755));
    CHECK(0, call(SYS_chdir, t_dir));
    call(SYS_umask, 022);
}

static inline int t_leave(void)
{
    call(SYS_chdir, t_dir);
    t_empty(0);
    call(SYS_chdir, "/");
    call(SYS_rmdir, t_dir);
    return t_end();
}

/* A new file with this text, closed again. */
static inline void t_write(const char *name, const char *text)
{
    long fd = call(SYS_open, name, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    CHECK((long)strlen(text), call(SYS_write, fd, text, strlen(text)));
    call(SYS_close, fd);
}

/* Does the file hold exactly this text? */
static inline bool t_holds(const char *name, const char *text)
{
    char buf[256];
    long fd = call(SYS_open, name, O_RDONLY), n = call(SYS_read, fd, buf, sizeof(buf));
    call(SYS_close, fd);
    return n == (long)strlen(text) && memcmp(buf, text, (size_t)n) == 0;
}

#endif
