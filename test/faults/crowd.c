/* SPDX-License-Identifier: MIT */
/* Too many of everything: ten thousand zombies, bombs of processes and of threads, with a limit and without one. The machine
 * lives, the one who asks gets EAGAIN or ENOMEM, and afterwards everything is given back and a program runs.
 * On Linux (the oracle) with smaller numbers, and without the bomb that has no limit. */
#define _GNU_SOURCE
#include <t.h>

#include "fault.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { USER = 4321, LIMIT = 40, BOMB_SECONDS = 5, DEADLINE = 120, BOMB_STACK = 16384 };

static bool hooked;
static int zombies;

struct counts {
    long n[FAULT_COUNTS];
};

static void count(struct counts *c)
{
    for (int i = 0; hooked && i < FAULT_COUNTS; i++)
        c->n[i] = call(SYS_prctl, FAULT_PRCTL, FAULT_LIVE, i, 0, 0);
}

/* No more than before. */
static void check_counts(const char *what, const struct counts *before)
{
    static const char *const names[] = { "objects",    "kernel pages", "anon pages",
                                         "file pages", "processes",    "threads" };
    /* The table of numbers, and stacks that wait for the next thread. */
    static const long slack[FAULT_COUNTS] = {
        [FAULT_OBJECTS] = 300, [FAULT_KERNEL_PAGES] = 400, [FAULT_ANON_PAGES] = 8
    };
    struct counts now;
    time_t end = time(NULL) + DEADLINE;
    bool same = !hooked;
    while (!same && time(NULL) < end) {
        while (waitpid(-1, NULL, WNOHANG) > 0)
            ;
        count(&now);
        same = true;
        for (int i = 0; i < FAULT_COUNTS; i++)
            same = same && now.n[i] <= before->n[i] + slack[i];
        usleep(1000);
    }
    CHECK(true, same);
    for (int i = 0; !same && i < FAULT_COUNTS; i++)
        fprintf(stderr, "%s: %s: %ld before, %ld after\n", what, names[i], before->n[i], now.n[i]);
}

/* A program runs: the machine is well. */
static void check_alive(void)
{
    int status = -1, pid = fork();
    if (pid == 0) {
        execl("/bin/true", "true", NULL);
        _exit(127);
    }
    CHECK(true, pid > 0);
    CHECK(pid, waitpid(pid, &status, 0));
    CHECK(0, status);
}

/* Children of ours that /proc shows in state Z. */
static int count_zombies(void)
{
    char path[300], text[512];
    DIR *d = opendir("/proc");
    int n = 0;
    for (struct dirent *e; d && (e = readdir(d));) {
        if (e->d_name[0] < '0' || e->d_name[0] > '9')
            continue;
        snprintf(path, sizeof(path), "/proc/%s/stat", e->d_name);
        int fd = open(path, O_RDONLY);
        ssize_t got = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
        close(fd);
        if (got <= 0)
            continue;
        text[got] = '\0';
        char *p = strrchr(text, ')');
        n += p && p[2] == 'Z' && atoi(p + 4) == getpid();
    }
    closedir(d);
    return n;
}

static void test_zombies(void)
{
    struct counts before;
    siginfo_t info;
    int made = 0, reaped = 0, last = 0;
    count(&before);
    for (int pid; made < zombies && (pid = fork()) >= 0; made++) {
        if (pid == 0)
            _exit(0);
        last = pid;
    }
    CHECK(zombies, made);
    CHECK(0, waitid(P_PID, (id_t)last, &info, WEXITED | WNOWAIT));
    for (int i = 0; i < 1000 && count_zombies() < zombies; i++)
        usleep(1000);
    CHECK(zombies, count_zombies());
    while (waitpid(-1, NULL, 0) > 0)
        reaped++;
    CHECK(zombies, reaped);
    CHECK(0, count_zombies());
    check_counts("zombies", &before);
    check_alive();
}

/* Fork, and so does each child, until nothing more can be made; then wait to be killed. */
static void bomb(int tell)
{
    for (;;) {
        pid_t pid = fork();
        if (pid >= 0)
            continue;
        char c = errno == EAGAIN ? 'A' : errno == ENOMEM ? 'M' : '?';
        if (write(tell, &c, 1) < 0)
            usleep(1000);
        sched_yield();
    }
}

/* End all processes of the group, which make new ones meanwhile. */
static void end_group(int group)
{
    time_t end = time(NULL) + DEADLINE;
    while (kill(-group, SIGKILL) == 0 && time(NULL) < end)
        while (waitpid(-1, NULL, WNOHANG) > 0)
            ;
    CHECK(-ESRCH, kill(-group, 0) ? -errno : 0);
    while (waitpid(-1, NULL, WNOHANG) > 0)
        ;
}

static int start_bomb(bool limited, int tell)
{
    int pid = fork();
    if (pid)
        return pid;
    struct rlimit limit = { LIMIT, LIMIT };
    setpgid(0, 0);
    int fd = open("/proc/self/oom_score_adj", O_WRONLY);
    if (fd >= 0 && write(fd, "500", 3) != 3)
        _exit(3);
    close(fd);
    if (limited && (setrlimit(RLIMIT_NPROC, &limit) || setgid(USER) || setuid(USER) ||
                    prctl(PR_SET_DUMPABLE, 1)))
        _exit(2);
    bomb(tell);
    _exit(1);
}

/* Processes of the group that /proc shows. */
static int group_size(int group)
{
    char path[300], text[512];
    DIR *d = opendir("/proc");
    int n = 0, of;
    for (struct dirent *e; d && (e = readdir(d));) {
        snprintf(path, sizeof(path), "/proc/%.20s/stat", e->d_name);
        int fd = e->d_name[0] > '9' ? -1 : open(path, O_RDONLY);
        ssize_t got = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
        close(fd);
        text[got > 0 ? got : 0] = '\0';
        char *p = strrchr(text, ')');
        n += p && sscanf(p + 4, "%*d %d", &of) == 1 && of == group;
    }
    closedir(d);
    return n;
}

static void test_bomb_limited(void)
{
    struct counts before;
    int fds[2];
    char c = 0;
    CHECK(0, pipe2(fds, O_CLOEXEC));
    fcntl(fds[1], F_SETFL, O_NONBLOCK);
    count(&before);
    int group = start_bomb(true, fds[1]);
    CHECK(1, read(fds[0], &c, 1));
    CHECK('A', c);
    CHECK(true, group_size(group) <= LIMIT);
    check_alive(); /* others are not concerned */
    end_group(group);
    check_counts("bomb with a limit", &before);
    check_alive();
    close(fds[0]);
    close(fds[1]);
}

static void test_bomb_free(void)
{
    struct counts before;
    int fds[2], refused = 0, status;
    char c = 0;
    CHECK(0, pipe2(fds, O_CLOEXEC));
    fcntl(fds[1], F_SETFL, O_NONBLOCK);
    count(&before);
    int group = start_bomb(false, fds[1]);
    CHECK(1, read(fds[0], &c, 1));
    CHECK(true, c == 'A' || c == 'M');
    for (time_t end = time(NULL) + BOMB_SECONDS; time(NULL) < end;) {
        int pid = fork(); /* the shell's part */
        if (pid == 0)
            _exit(0);
        refused += pid < 0 && (errno == EAGAIN || errno == ENOMEM);
        if (pid > 0)
            CHECK(pid, waitpid(pid, &status, 0));
        else
            usleep(10000);
    }
    CHECK(true, refused > 0);
    end_group(group);
    check_counts("bomb without a limit", &before);
    check_alive();
    close(fds[0]);
    close(fds[1]);
}

static int idle(void *arg)
{
    (void)arg;
    for (;;)
        call(SYS_pause);
    return 0;
}

static void test_threads(void)
{
    struct counts before;
    int status, pid,
        *result = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    count(&before);
    pid = fork();
    if (pid == 0) {
        struct rlimit limit = { 300, 300 };
        if (!hooked && (setrlimit(RLIMIT_NPROC, &limit) || setgid(USER) || setuid(USER)))
            _exit(2);
        for (;;) {
            char *stack =
                mmap(NULL, BOMB_STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
            if (stack == MAP_FAILED ||
                clone(idle, stack + BOMB_STACK,
                      CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD, NULL) < 0)
                break;
            ++*result;
        }
        _exit(errno == EAGAIN ? 10 : errno == ENOMEM ? 11 : 1);
    }
    CHECK(pid, waitpid(pid, &status, 0));
    CHECK(true, WIFEXITED(status) && (WEXITSTATUS(status) == 10 || WEXITSTATUS(status) == 11));
    CHECK(true, *result > 100);
    munmap(result, 4096);
    check_counts("threads", &before);
    check_alive();
}

int main(int argc, char **argv)
{
    const char *only = argc > 1 ? argv[1] : NULL;
    hooked = call(SYS_prctl, FAULT_PRCTL, FAULT_LIVE, 0, 0, 0) > 0;
    zombies = hooked ? 10000 : 100;
    int fd = open("/proc/self/oom_score_adj", O_WRONLY);
    if (hooked)
        CHECK(5, write(fd, "-1000", 5));
    close(fd);
    check_alive();
    if (geteuid() && !hooked)
        return t_end(); /* bombs are somebody else's, whom only root can become */
    if (!only || !strcmp(only, "zombies"))
        test_zombies();
    if (!only || !strcmp(only, "limited"))
        test_bomb_limited();
    if (hooked && (!only || !strcmp(only, "free")))
        test_bomb_free();
    if (!only || !strcmp(only, "threads"))
        test_threads();
    return t_end();
}
