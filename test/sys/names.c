/* SPDX-License-Identifier: MIT */
/* A name that files take from each other is always there: whoever opens it while another process renames finds the old
 * file or the new one, never none. rename(2). Of an exchange, both names. */
#define _GNU_SOURCE
#include <t.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
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
    unlink("new");
    unlink("below/new");
    unlink("name");
    unlink("below/name");
    rmdir("below");
    CHECK(0, chdir("/"));
    CHECK(0, rmdir(dir));
    return t_end();
}
