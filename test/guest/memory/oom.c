// SPDX-License-Identifier: MIT
/* Out of memory: the child that has most is killed, not the parent that asks for the last page; oom_score_adj decides before
 * size does; the machine goes on, time after time. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/io_uring.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static void fail(const char *what, long value)
{
    printf("%s (%ld)\n", what, value);
    fflush(stdout);
    _exit(1);
}

static long free_kb(void)
{
    char line[128];
    long value = -1;
    FILE *f = fopen("/proc/meminfo", "r");
    while (f && fgets(line, sizeof(line), f))
        if (!strncmp(line, "MemAvailable:", 13))
            value = atol(line + 13);
    if (!f || value < 0)
        fail("no MemAvailable", value);
    fclose(f);
    return value;
}

static void touch(size_t kb)
{
    char *p = mmap(NULL, kb << 10, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED)
        fail("mmap", (long)kb);
    for (size_t i = 0; i < kb << 10; i += 4096)
        p[i] = 1;
}

static void set_adj(int adj)
{
    char text[16];
    int fd = open("/proc/self/oom_score_adj", O_WRONLY),
        n = snprintf(text, sizeof(text), "%d", adj);
    if (fd < 0 || write(fd, text, (size_t)n) != n)
        fail("oom_score_adj", adj);
    close(fd);
}

static int score(pid_t pid)
{
    char name[64], text[16] = "";
    snprintf(name, sizeof(name), "/proc/%d/oom_score", pid);
    int fd = open(name, O_RDONLY);
    if (fd < 0 || read(fd, text, sizeof(text) - 1) <= 0)
        fail("oom_score", pid);
    close(fd);
    return atoi(text);
}

/* A child that has so much memory and waits. */
static pid_t holder(size_t kb, int adj)
{
    int ready[2];
    char c;
    if (pipe(ready))
        fail("pipe", 0);
    pid_t pid = fork();
    if (pid == 0) {
        set_adj(adj);
        touch(kb);
        if (write(ready[1], "x", 1) != 1)
            _exit(1);
        for (;;)
            pause();
    }
    if (pid < 0 || read(ready[0], &c, 1) != 1)
        fail("holder", pid);
    close(ready[0]);
    close(ready[1]);
    return pid;
}

static void expect_killed(pid_t pid, const char *who)
{
    int status = 0;
    if (waitpid(pid, &status, 0) != pid || !WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
        fail(who, status);
}

static void expect_alive(pid_t pid, const char *who)
{
    int status = 0;
    if (waitpid(pid, &status, WNOHANG) != 0)
        fail(who, status);
    kill(pid, SIGKILL);
    waitpid(pid, &status, 0);
}

/* A child that never stops asking; the parent is not harmed. */
static void hog(void)
{
    pid_t pid = fork();
    if (pid == 0)
        for (;;)
            touch(1024);
    expect_killed(pid, "the hog was not killed");
}

/* Have n more requests of io_uring wait for an eventfd. */
static void arm(int ring, unsigned n, uint32_t *sq, const struct io_uring_params *p,
                struct io_uring_sqe *sqes, int event)
{
    uint32_t *tail = sq + p->sq_off.tail / 4, *array = sq + p->sq_off.array / 4;
    for (unsigned i = 0; i < n; i++) {
        unsigned at = (*tail + i) & (p->sq_entries - 1);
        sqes[at] =
            (struct io_uring_sqe){ .opcode = IORING_OP_POLL_ADD, .fd = event, .poll_events = 1 };
        array[at] = at;
    }
    __atomic_store_n(tail, *tail + n, __ATOMIC_RELEASE);
    if (syscall(SYS_io_uring_enter, ring, n, 0, 0, NULL, 0) != (long)n)
        fail("io_uring_enter", n);
}

/* A child that has nothing itself, but lets libOS have so much for what it waits for. */
static pid_t waiter(size_t kb)
{
    int ready[2];
    char c;
    if (pipe(ready))
        fail("pipe", 0);
    pid_t pid = fork();
    if (pid == 0) {
        struct io_uring_params p = { 0 };
        int event = eventfd(0, 0), ring = (int)syscall(SYS_io_uring_setup, 256, &p);
        void *sq = mmap(NULL, p.sq_off.array + p.sq_entries * sizeof(uint32_t),
                        PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_SQ_RING);
        void *sqes = mmap(NULL, 256 * sizeof(struct io_uring_sqe), PROT_READ | PROT_WRITE,
                          MAP_SHARED, ring, IORING_OFF_SQES);
        if (ring < 0 || sq == MAP_FAILED || sqes == MAP_FAILED)
            fail("io_uring", ring);
        for (long first = free_kb(); first - free_kb() < (long)kb;)
            arm(ring, 256, sq, &p, sqes, event);
        if (write(ready[1], "x", 1) != 1)
            _exit(1);
        for (;;)
            pause();
    }
    close(ready[1]);
    if (pid < 0 || read(ready[0], &c, 1) != 1)
        fail("waiter", pid);
    close(ready[0]);
    return pid;
}

int main(void)
{
    long before = free_kb();
    for (int i = 0; i < 5; i++)
        hog();
    /* The one that asks is small, the one that has most goes. */
    size_t most = (size_t)before / 2;
    pid_t big = holder(most, 0), small = holder((size_t)before / 8, 0);
    if (score(big) <= score(small))
        fail("the larger one has the lower score", score(big));
    pid_t asker = fork();
    if (asker == 0) {
        touch((size_t)before * 7 / 16);
        _exit(0);
    }
    int status;
    expect_killed(big, "the largest was not killed");
    if (waitpid(asker, &status, 0) != asker || status)
        fail("the one that asked ended badly", status);
    expect_alive(small, "the small one was killed");
    /* The large one is protected, the small one volunteers. */
    big = holder(most, -1000);
    small = holder((size_t)before / 8, 1000);
    pid_t third = holder((size_t)before / 8, 0);
    asker = fork();
    if (asker == 0) {
        set_adj(-500);
        touch((size_t)before * 5 / 16);
        _exit(0);
    }
    expect_killed(small, "the volunteer was not killed");
    if (waitpid(asker, &status, 0) != asker || status)
        fail("the one that asked ended badly", status);
    expect_alive(third, "the third one was killed");
    expect_alive(big, "the protected one was killed");
    /* What counts is what comes back, not only memory of its own. */
    pid_t ring = waiter((size_t)before / 2);
    big = holder((size_t)before / 8, 0);
    if (score(big) >= score(ring))
        fail("what waits does not count", score(ring));
    asker = fork();
    if (asker == 0) {
        set_adj(-300); /* it has nearly as much in the end */
        touch((size_t)before * 7 / 16);
        _exit(0);
    }
    expect_killed(ring, "the one with requests was not killed");
    if (waitpid(asker, &status, 0) != asker || status)
        fail("the one that asked ended badly", status);
    expect_alive(big, "the one without requests was killed");
    for (int i = 0; i < 600 && free_kb() < before - 1024; i++)
        usleep(100000); /* libOS gives the last of it back a little later */
    long after = free_kb();
    if (after < before - 1024)
        fail("memory is missing, KiB", before - after);
    puts("oom: ok");
    return 0;
}
