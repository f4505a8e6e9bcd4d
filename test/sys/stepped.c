/* SPDX-License-Identifier: MIT */
/* A signal at every instruction: of a fork, a vfork, an execve, an exit, page faults and the return from a handler. A tracer
 * steps the process to the n-th instruction, for all n, and lets the signal come there: once it is handled and everything
 * goes on as if nothing had been, once it kills, and nobody is left. Then the same by a timer whose delay grows, which
 * comes inside of the calls too. */
#define _GNU_SOURCE
#include <t.h>

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    PAGE = 4096,
    STEPS = 1500,
    FINE = 70,
    COARSE = 97,
    DELAYS = 120,
    DELAY_NS = 4000,
    GOOD = 42,
    BAD = 1
};

static volatile sig_atomic_t handled;
static volatile char *memory;

static void handler(int sig)
{
    (void)sig;
    handled++;
}

static void wait_for(long pid, int want)
{
    int status = -1;
    while (call(SYS_wait4, pid, &status, 0, NULL) == -EINTR)
        ;
    if (pid <= 0 || status != want << 8)
        _exit(BAD);
}

static void do_fork(void)
{
    long pid = call(SYS_fork);
    if (pid == 0)
        _exit(3);
    wait_for(pid, 3);
    _exit(GOOD);
}

static void do_vfork(void)
{
    long pid = vfork();
    if (pid == 0)
        _exit(4);
    wait_for(pid, 4);
    _exit(GOOD);
}

static void do_exec(void)
{
    static char *const argv[] = { "stepped", "executed", NULL };
    call(SYS_execve, "/proc/self/exe", argv, NULL);
    _exit(BAD);
}

static void do_exit(void)
{
    call(SYS_exit_group, GOOD);
}

static void do_fault(void)
{
    for (int i = 0; i < 8; i++)
        memory[i * PAGE] = (char)(i + 1);
    for (int i = 0; i < 8; i++)
        if (memory[i * PAGE] != i + 1)
            _exit(BAD);
    _exit(GOOD);
}

static volatile int second;

static void other_handler(int sig)
{
    (void)sig;
    second = 1;
}

static void do_return(void)
{
    signal(SIGUSR2, other_handler);
    call(SYS_tkill, call(SYS_gettid), SIGUSR2);
    _exit(second ? GOOD : BAD);
}

static const struct operation {
    const char *name;
    void (*run)(void);
    bool new_program; /* the signal finds another program, to which it is nothing */
} operations[] = {
    { "fork", do_fork, false }, { "vfork", do_vfork, false }, { "exec", do_exec, true },
    { "exit", do_exit, false }, { "fault", do_fault, false }, { "sigreturn", do_return, false },
};

/* SIGWINCH is nothing to a program that does not ask for it. */
static void prepare(void)
{
    struct sigaction act = { .sa_handler = handler };
    sigaction(SIGWINCH, &act, NULL);
    memory = mmap(NULL, 8 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

/* Nobody is left: orphans come to us. */
static bool all_gone(void)
{
    while (waitpid(-1, NULL, __WALL) > 0)
        ;
    return errno == ECHILD;
}

/* Step to instruction n; false: it had ended before. *status: the last wait status. */
static bool step(int pid, int n, int *status)
{
    for (int i = 0; i < n; i++) {
        if (ptrace(PTRACE_SINGLESTEP, pid, 0, 0) || waitpid(pid, status, 0) != pid)
            return false;
        if (!WIFSTOPPED(*status))
            return false;
        if (WSTOPSIG(*status) != SIGTRAP) /* a signal of its own: let it have that */
            if (ptrace(PTRACE_CONT, pid, 0, WSTOPSIG(*status)) || waitpid(pid, status, 0) != pid ||
                !WIFSTOPPED(*status))
                return false;
    }
    return true;
}

/* Go on with sig, and with what else comes, to the end. */
static int finish(int pid, int sig)
{
    int status;
    for (;;) {
        if (ptrace(PTRACE_CONT, pid, 0, sig) || waitpid(pid, &status, 0) != pid)
            return -1;
        if (!WIFSTOPPED(status))
            return status;
        sig = WSTOPSIG(status) == SIGTRAP ? 0 : WSTOPSIG(status);
    }
}

/* False: it has fewer than n instructions. */
static bool at(const struct operation *o, int n, int sig)
{
    int status = 0, pid = fork();
    if (pid == 0) {
        prepare();
        ptrace(PTRACE_TRACEME, 0, 0, 0);
        raise(SIGSTOP);
        o->run();
    }
    waitpid(pid, &status, 0);
    bool there = step(pid, n, &status);
    if (there)
        status = finish(pid, sig);
    bool good = there && sig == SIGKILL ? WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL
                                        : status == GOOD << 8;
    t_checks++;
    if ((!good || !all_gone()) && t_failures++ < 10)
        fprintf(stderr, "%s: instruction %d, signal %d: status %#x\n", o->name, n, sig, status);
    return there;
}

static void sweep_instructions(const struct operation *o)
{
    static const int sigs[] = { SIGWINCH, SIGKILL };
    for (int i = 0; i < 2; i++)
        for (int n = 0; n < STEPS && at(o, n, sigs[i]); n += n < FINE ? 1 : COARSE)
            ;
}

/* In a child: the operation, with a timer that ends after delay. */
static void timed(const struct operation *o, long delay)
{
    timer_t timer;
    struct sigevent ev = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGWINCH };
    struct itimerspec when = { .it_value.tv_nsec = delay };
    prepare();
    if (timer_create(CLOCK_MONOTONIC, &ev, &timer) || timer_settime(timer, 0, &when, NULL))
        _exit(BAD);
    o->run();
}

static void sweep_delays(const struct operation *o)
{
    for (int i = 1; i <= DELAYS; i++) {
        int status = -1, pid = fork();
        if (pid == 0)
            timed(o, (long)i * DELAY_NS);
        waitpid(pid, &status, 0);
        t_checks++;
        if ((status != GOOD << 8 || !all_gone()) && t_failures++ < 10)
            fprintf(stderr, "%s: after %d ns: status %#x\n", o->name, i * DELAY_NS, status);
    }
}

int main(int argc, char **argv)
{
    if (argc > 1 && !strcmp(argv[1], "executed"))
        return GOOD;
    prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
    for (size_t i = 0; i < sizeof(operations) / sizeof(operations[0]); i++) {
        sweep_instructions(&operations[i]);
        sweep_delays(&operations[i]);
    }
    return t_end();
}
