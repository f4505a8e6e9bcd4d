/* SPDX-License-Identifier: MIT */
/* A name that files take from each other is always there: whoever opens it while another process renames finds the old
 * file or the new one, never none. rename(2). Of an exchange, both names. And what else has to hold while names change:
 * openat2(2) stays where it has to, inotify(7) tells names that there were. */
#define _GNU_SOURCE
#include <t.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { LOOKS = 4000 };

static char dir[] = "/tmp/t_names_XXXXXX";

static void put(const char *name)
{
    int fd = open(name, O_CREAT | O_RDWR, 0600);
    if (fd < 0) {
        perror(name);
        _exit(1);
    }
    close(fd);
}

static void replace_for_ever(void)
{
    for (;;) {
        put("new");
        if (rename("new", "name"))
            _exit(1);
    }
}

static void replace_from_elsewhere(void)
{
    for (;;) {
        put("below/new");
        if (rename("below/new", "name"))
            _exit(1);
    }
}

static void exchange_for_ever(void)
{
    for (;;)
        if (renameat2(AT_FDCWD, "name", AT_FDCWD, "below/name", RENAME_EXCHANGE))
            _exit(1);
}

/* How often one of the names was not there, while a child does body. */
static int missed(void (*body)(void))
{
    struct stat st;
    int missed = 0, status = 0, pid = fork();
    if (pid == 0)
        body();
    for (int i = 0; i < LOOKS; i++)
        missed += stat("name", &st) != 0 || stat("below/name", &st) != 0;
    CHECK(0, waitpid(pid, &status, WNOHANG)); /* it goes on */
    kill(pid, SIGKILL);
    CHECK(pid, waitpid(pid, &status, 0));
    return missed;
}

/* A directory that comes and goes: ".." of it never leads out of where openat2(2) has to stay. */
static void move_for_ever(void)
{
    for (;;)
        if (rename("below/moving", "moving") || rename("moving", "below/moving"))
            _exit(1);
}

static int escaped(uint64_t resolve)
{
    struct open_how how = { .flags = O_PATH | O_DIRECTORY, .resolve = resolve };
    struct stat below, st;
    int outside = 0, status = 0;
    int dirfd = open("below", O_RDONLY | O_DIRECTORY), pid = fork();
    CHECK(0, fstat(dirfd, &below));
    if (pid == 0)
        move_for_ever();
    for (int i = 0; i < 5 * LOOKS; i++) {
        int fd = (int)call(SYS_openat2, dirfd, "moving/..", &how, sizeof(how));
        if (fd >= 0) {
            outside += fstat(fd, &st) != 0 || st.st_ino != below.st_ino;
            close(fd);
        } else {
            outside += fd != -EAGAIN && fd != -EXDEV && fd != -ENOENT;
        }
    }
    CHECK(0, waitpid(pid, &status, WNOHANG));
    kill(pid, SIGKILL);
    CHECK(pid, waitpid(pid, &status, 0));
    if (rename("moving", "below/moving"))
        CHECK(ENOENT, errno);
    int fd = (int)call(SYS_openat2, dirfd, "moving/..", &how, sizeof(how));
    CHECK(true, fd >= 0); /* now that nothing moves */
    close(fd);
    close(dirfd);
    return outside;
}

/* Names too long for the cache's own memory, as inotify(7) tells them while they change. */
static char long_name[3][101];

static void rename_for_ever(void)
{
    for (int i = 0;; i++) {
        char from[120], to[120];
        snprintf(from, sizeof(from), "%s%s", i % 3 == 2 ? "below/" : "", long_name[i % 3]);
        snprintf(to, sizeof(to), "%s%s", i % 3 == 1 ? "below/" : "", long_name[(i + 1) % 3]);
        if (rename(from, to))
            _exit(1);
    }
}

static bool is_known(const char *name)
{
    for (int i = 0; i < 3; i++)
        if (!strcmp(name, long_name[i]))
            return true;
    return false;
}

static int unknown_names(void)
{
    char buf[4096] __attribute__((aligned(8)));
    int unknown = 0, told = 0, status = 0, in = inotify_init1(IN_NONBLOCK);
    for (int i = 0; i < 3; i++)
        memset(long_name[i], 'a' + i, 100);
    int fd = open(long_name[0], O_CREAT | O_RDWR, 0600);
    CHECK(true, inotify_add_watch(in, ".", IN_MODIFY) > 0);
    CHECK(true, inotify_add_watch(in, "below", IN_MODIFY) > 0);
    int pid = fork();
    if (pid == 0)
        rename_for_ever();
    for (int i = 0; i < LOOKS; i++) {
        if (pwrite(fd, "x", 1, 0) != 1)
            unknown++;
        ssize_t n = read(in, buf, sizeof(buf));
        for (char *p = buf; p < buf + n;) {
            const struct inotify_event *e = (const struct inotify_event *)p;
            unknown += !is_known(e->name);
            told++;
            p += sizeof(*e) + e->len;
        }
    }
    CHECK(0, waitpid(pid, &status, WNOHANG));
    kill(pid, SIGKILL);
    CHECK(pid, waitpid(pid, &status, 0));
    CHECK(true, told > 0);
    close(in);
    close(fd);
    return unknown;
}

int main(void)
{
    CHECK(true, mkdtemp(dir) != NULL);
    CHECK(0, chdir(dir));
    CHECK(0, mkdir("below", 0700));
    put("name");
    put("below/name");
    CHECK(0, missed(replace_for_ever));
    CHECK(0, missed(replace_from_elsewhere));
    CHECK(0, missed(exchange_for_ever));
    CHECK(0, mkdir("below/moving", 0700));
    CHECK(0, escaped(RESOLVE_BENEATH));
    CHECK(0, escaped(RESOLVE_IN_ROOT));
    CHECK(0, rmdir("below/moving"));
    CHECK(0, unknown_names());
    for (int i = 0; i < 3; i++) {
        unlink(long_name[i]);
        if (!chdir("below"))
            unlink(long_name[i]);
        CHECK(0, chdir(dir));
    }
    unlink("new");
    unlink("below/new");
    unlink("name");
    unlink("below/name");
    rmdir("below");
    CHECK(0, chdir("/"));
    CHECK(0, rmdir(dir));
    return t_end();
}
