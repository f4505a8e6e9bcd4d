/* SPDX-License-Identifier: MIT */
/* Two threads or processes meet at something that is just being made, moved or ended: a timer that is deleted by its number
 * before its maker has it, a terminal that is looked at while it is opened, a thread that is made while another one calls
 * execve, a fork or a stop that a signal overtakes, a wait that a wake overtakes.
 * usage: meet [exec ROUNDS] */
#define _GNU_SOURCE
#include <t.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    ROUNDS = 1500,
    EXECS = 40,
    GROUPS = 40,
    STOPS = 150,
    WAKES = 3000,
    FORKS = 40,
    DEADLINE = 120
};

static atomic_int over;

static void start(pthread_t *t, void *(*fn)(void *))
{
    CHECK(0, pthread_create(t, NULL, fn, NULL));
}

static void *delete_timers(void *arg)
{
    while (!over)
        for (int id = 0; id < 4; id++)
            syscall(SYS_timer_delete, id);
    return arg;
}

static void timers(void)
{
    struct sigevent ev = { .sigev_notify = SIGEV_NONE };
    pthread_t t[2];
    int id, failed = 0;
    over = 0;
    for (int i = 0; i < 2; i++)
        start(&t[i], delete_timers);
    for (int i = 0; i < ROUNDS; i++)
        failed += syscall(SYS_timer_create, CLOCK_REALTIME, i % 2 ? &ev : NULL, &id) != 0;
    CHECK(0, failed);
    over = 1;
    for (int i = 0; i < 2; i++)
        pthread_join(t[i], NULL);
    for (id = 0; id < 4; id++)
        syscall(SYS_timer_delete, id);
}

static void *look_at_terminals(void *arg)
{
    char name[32];
    struct stat st;
    while (!over) {
        for (int i = 0; i < 4; i++) {
            snprintf(name, sizeof(name), "/dev/pts/%d", i);
            stat(name, &st);
        }
    }
    return arg;
}

static void terminals(void)
{
    pthread_t t[2];
    int failed = 0;
    over = 0;
    for (int i = 0; i < 2; i++)
        start(&t[i], look_at_terminals);
    for (int i = 0; i < ROUNDS; i++) {
        int fd = open("/dev/ptmx", O_RDWR | O_NOCTTY);
        failed += fd < 0;
        close(fd);
    }
    CHECK(0, failed);
    over = 1;
    for (int i = 0; i < 2; i++)
        pthread_join(t[i], NULL);
}

/* --- a thread is made while another one calls execve --- */

static void *rest(void *arg)
{
    for (;;)
        pause();
    return arg;
}

static void *make_threads(void *arg)
{
    pthread_attr_t a;
    pthread_t t;
    pthread_attr_init(&a);
    pthread_attr_setstacksize(&a, 65536);
    for (int i = 0; i < 40; i++)
        pthread_create(&t, &a, rest, NULL);
    return arg;
}

static void exec_again(int rounds)
{
    char left[16];
    char *const argv[] = { "meet", "exec", left, NULL };
    pthread_t t[2];
    if (!rounds)
        _exit(0);
    for (int i = 0; i < 2; i++)
        pthread_create(&t[i], NULL, make_threads, NULL);
    usleep((useconds_t)(rounds * 7919 % 40) * 50);
    snprintf(left, sizeof(left), "%d", rounds - 1);
    execv("/proc/self/exe", argv);
    _exit(1);
}

static void execs(void)
{
    int status = -1, pid = fork();
    if (!pid)
        exec_again(EXECS);
    CHECK(pid, waitpid(pid, &status, 0));
    CHECK(0, status);
}

/* --- signals to a group that forks --- */

static void fork_on(volatile int *begun)
{
    setpgid(0, 0);
    *begun = 1;
    for (int i = 0; i < FORKS; i++)
        if (fork() == 0)
            rest(NULL);
    rest(NULL);
}

static void groups(void)
{
    volatile int *begun =
        mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    int status;
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    for (int i = 0; i < GROUPS; i++) {
        *begun = 0;
        int pid = fork();
        if (!pid)
            fork_on(begun);
        while (!*begun)
            sched_yield();
        usleep((useconds_t)(i * 7919 % 50) * 40);
        CHECK(0, kill(-pid, i % 2 ? SIGKILL : SIGTERM));
        while (waitpid(-1, &status, 0) > 0) /* nobody is left that the signal did not reach */
            ;
        CHECK(ECHILD, errno);
    }
    prctl(PR_SET_CHILD_SUBREAPER, 0);
    munmap((void *)begun, 4096);
}

/* A stop and at once what continues: it goes on. */
static void stops(void)
{
    volatile unsigned *count =
        mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    int status, pid = fork();
    if (!pid) {
        for (;;) {
            ++*count;
            getppid();
        }
    }
    for (int i = 0; i < STOPS; i++) {
        kill(pid, SIGTSTP);
        for (int j = 0; j < i % 20; j++)
            getppid();
        kill(pid, SIGCONT);
        for (unsigned before = *count; *count == before;)
            sched_yield();
    }
    kill(pid, SIGKILL);
    CHECK(pid, waitpid(pid, &status, 0));
    CHECK(true, WIFSIGNALED(status));
    munmap((void *)count, 4096);
}

/* What a parent leaves unwaited for goes with it when the next one does not want to hear of it. */
static void orphans(void)
{
    siginfo_t info;
    int pair[2], grandchild = 0;
    CHECK(0, pipe(pair));
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    signal(SIGCHLD, SIG_IGN);
    if (!fork()) {
        signal(SIGCHLD, SIG_DFL);
        int pid = fork();
        if (!pid)
            _exit(3);
        waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT);
        _exit(write(pair[1], &pid, sizeof(pid)) != sizeof(pid));
    }
    CHECK(sizeof(grandchild), read(pair[0], &grandchild, sizeof(grandchild)));
    CHECK(-1, waitpid(-1, NULL, 0)); /* all are gone */
    CHECK(ECHILD, errno);
    CHECK(-1, kill(grandchild, 0));
    CHECK(ESRCH, errno);
    signal(SIGCHLD, SIG_DFL);
    prctl(PR_SET_CHILD_SUBREAPER, 0);
    close(pair[0]);
    close(pair[1]);
}

/* --- waits --- */

static int event;
static atomic_int taken;

static void *take(void *arg)
{
    uint64_t n;
    for (int i = 0; i < WAKES; i++) {
        struct pollfd p = { .fd = event, .events = POLLIN };
        if (i % 2 && poll(&p, 1, DEADLINE * 1000) != 1)
            break;
        if (read(event, &n, sizeof(n)) != sizeof(n))
            break;
        taken++;
    }
    return arg;
}

static void wakes(void)
{
    uint64_t one = 1;
    pthread_t t;
    event = eventfd(0, 0);
    start(&t, take);
    for (int i = 0; i < WAKES; i++) {
        while (taken != i)
            sched_yield();
        for (volatile int j = 0; j < i % 97 * 8; j++)
            ;
        if (write(event, &one, sizeof(one)) != sizeof(one))
            break;
    }
    pthread_join(t, NULL);
    CHECK(WAKES, taken);
    close(event);
}

static uint32_t word;

static void *wait_for_word(void *arg)
{
    syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0);
    return arg;
}

/* All that wait are moved to where they are: once each. */
static void requeue_in_place(void)
{
    pthread_t t[3];
    for (int i = 0; i < 3; i++)
        start(&t[i], wait_for_word);
    while (syscall(SYS_futex, &word, FUTEX_REQUEUE_PRIVATE, 0, INT32_MAX, &word, 0) != 3)
        sched_yield();
    for (int woken = 0; woken < 3;)
        woken += (int)syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
    for (int i = 0; i < 3; i++)
        pthread_join(t[i], NULL);
}

int main(int argc, char **argv)
{
    if (argc > 2)
        exec_again(atoi(argv[2]));
    requeue_in_place();
    timers();
    terminals();
    execs();
    groups();
    stops();
    orphans();
    wakes();
    return t_end();
}
