/* SPDX-License-Identifier: MIT */
/* The n-th allocation fails, for all n: of each scenario the first, then the second, ... until none is left that could, and
 * then the same with all from there on. Each ends in the right errno or well, and everything is given back: as many
 * objects and pages exist afterwards as before. On Linux, where no allocation fails, it shows that the scenarios are right.
 * usage: alloc [NAME...] */
#define _GNU_SOURCE
#include "alloc.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ROUNDS_MAX = 3000, SETTLE_TRIES = 400, WARM_UP = 3, SHOWN = 4 };

static bool hooked;
static long turn = -1, at_once; /* how many succeed before one fails; how many fail then */

static long hook(enum fault_what what, long a, long b)
{
    return call(SYS_prctl, FAULT_PRCTL, what, a, b, 0);
}

void faults_begin(void)
{
    if (hooked && turn >= 0)
        hook(FAULT_ARM, turn, at_once);
}

void faults_end(void)
{
    if (hooked)
        hook(FAULT_DISARM, 0, 0);
}

long faulty(const long *a)
{
    faults_begin();
    long r = call(a[0], a[1], a[2], a[3], a[4], a[5], a[6]);
    faults_end();
    return r;
}

long in_child(long (*fn)(void))
{
    int status = 0;
    pid_t pid = fork();
    if (pid == 0) {
        long r = fn();
        _exit(r < 0 ? (int)-r : 0);
    }
    if (pid < 0 || waitpid(pid, &status, 0) != pid)
        return -EIO;
    return WIFEXITED(status) ? -WEXITSTATUS(status) : -EINTR;
}

/* All allocations of the scenario fail from some on, those for its own memory too: it may die of it, and shall be the one
 * who does. */
static const struct scenario *deadly;

static long run_deadly(void)
{
    int fd = open("/proc/self/oom_score_adj", O_WRONLY);
    if (fd < 0 || write(fd, "1000", 4) != 4 || close(fd))
        return -EIO;
    return deadly->run();
}

static long run_once(const struct scenario *s)
{
    deadly = s;
    return at_once > 1 ? in_child(run_deadly) : s->run();
}

/* What a killed scenario has left: names, and children whose parent it was. */
static void tidy(void)
{
    static const char *const names[] = { "a", "b", "script", "socket", "aio" };
    char path[64];
    while (waitpid(-1, NULL, WNOHANG) > 0)
        ;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        snprintf(path, sizeof(path), DIR "/%s", names[i]);
        if (unlink(path))
            rmdir(path);
    }
    rmdir(DIR);
}

struct counts {
    long n[FAULT_COUNTS];
};

static void count(struct counts *c)
{
    for (int i = 0; i < FAULT_COUNTS; i++)
        c->n[i] = hook(FAULT_LIVE, i, 0);
}

/* What exists is what did before; threads that have ended need a moment to be gone. */
static bool settled(const struct counts *before, struct counts *now)
{
    for (int tries = 0; tries < SETTLE_TRIES; tries++) {
        bool same = true;
        if (at_once > 1)
            tidy();
        count(now);
        for (int i = 0; i < FAULT_COUNTS; i++)
            same = same && now->n[i] <= before->n[i];
        if (same)
            return true;
        usleep(500);
    }
    return false;
}

static bool allowed(const struct scenario *s, long r)
{
    if (r >= 0 || r == -ENOMEM || (r == -EINTR && at_once > 1))
        return true;
    for (int i = 0; i < 4; i++)
        if (s->errnos[i] && r == -s->errnos[i])
            return true;
    return false;
}

static void complain(const struct scenario *s, const char *what, const struct counts *a,
                     const struct counts *b)
{
    static const char *const names[] = { "objects",    "kernel pages", "anon pages",
                                         "file pages", "processes",    "threads" };
    fprintf(stderr, "%s: turn %ld, %ld at once: %s\n", s->name, turn, at_once, what);
    for (int i = 0; a && i < FAULT_COUNTS; i++)
        if (a->n[i] != b->n[i])
            fprintf(stderr, "  %s: %ld before, %ld after\n", names[i], a->n[i], b->n[i]);
    hook(FAULT_WHERE, 0, 0);
}

/* One turn. False: nothing was there to fail. What is left behind once only is a table that grew. */
static bool take_turn(const struct scenario *s, int *bad)
{
    struct counts before, after;
    long r = 0;
    bool failed = false, left = true;
    for (int again = 0; again < 3 && left; again++) {
        count(&before);
        hook(FAULT_MARK, 0, 0);
        r = run_once(s);
        failed = hook(FAULT_FAILED, 0, 0) > 0;
        left = !settled(&before, &after);
    }
    t_checks += 2;
    if (!failed && r >= 0)
        return false;
    if (!allowed(s, r) && (*bad)++ < SHOWN) {
        t_failures++;
        complain(s, t_name(r), NULL, NULL);
    }
    if (left && (*bad)++ < SHOWN) {
        t_failures++;
        complain(s, "left something behind", &before, &after);
        hook(FAULT_LEAKS, 0, 0);
    }
    return failed;
}

static void run(const struct scenario *s)
{
    long most = 0;
    turn = -1;
    for (int i = 0; i < WARM_UP; i++) {
        long r = s->run();
        if (!t_check(__FILE__, __LINE__, s->name, 1, r >= 0)) {
            fprintf(stderr, "%s: %s\n", s->name, t_name(r));
            return;
        }
    }
    int bad = 0;
    for (int all = 0; hooked && all < 2; all++) {
        at_once = all ? 1 << 30 : 1;
        for (turn = 0; turn < ROUNDS_MAX && take_turn(s, &bad); turn++)
            ;
        CHECK(true, turn < ROUNDS_MAX);
        most = turn > most ? turn : most;
    }
    if (hooked)
        fprintf(stderr, "%s: %ld allocations\n", s->name, most);
}

static bool wanted(const char *name, char **only)
{
    if (!*only)
        return true;
    while (*only)
        if (strstr(name, *only++))
            return true;
    return false;
}

int main(int argc, char **argv)
{
    static const struct scenario *const groups[] = { process_scenarios, memory_scenarios,
                                                     file_scenarios, other_scenarios };
    if (argc == 2 && !strcmp(argv[1], "executed"))
        return 0;
    hooked = hook(FAULT_LIVE, 0, 0) > 0;
    fprintf(stderr, hooked ? "allocations fail\n" : "no allocation fails here\n");
    int fd = open("/proc/self/oom_score_adj", O_WRONLY);
    if (hooked && fd >= 0)
        CHECK(5, write(fd, "-1000", 5)); /* children, which may die of it, say so */
    close(fd);
    if (!hooked && argc == 1)
        t_checks++;
    for (size_t g = 0; g < sizeof(groups) / sizeof(groups[0]); g++)
        for (const struct scenario *s = groups[g]; s->name; s++)
            if (wanted(s->name, argv + 1))
                run(s);
    return t_end();
}
