/* SPDX-License-Identifier: MIT */
/* PR_SET_SYSCALL_USER_DISPATCH: system calls from outside of one region are the program's own to handle. */
#define _GNU_SOURCE
#include <t.h>

#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

#define DISPATCH 59
enum { OFF, ON, ALLOW = 0, BLOCK = 1 };

static volatile char selector;
static volatile int calls, number, code, arch;
static void *volatile where;

static void on_sys(int sig, siginfo_t *info, void *context)
{
    ucontext_t *uc = context;
    selector = ALLOW;
    (void)sig;
    calls++;
    number = info->si_syscall;
    code = info->si_code;
    arch = (int)info->si_arch;
    where = info->si_call_addr;
    CHECK(info->si_syscall, uc->uc_mcontext.gregs[REG_RAX]); /* as it was */
    CHECK((long)info->si_call_addr, uc->uc_mcontext.gregs[REG_RIP]);
    uc->uc_mcontext.gregs[REG_RAX] = 4711;
}

static void errors(void)
{
    CHECK(-EINVAL, call(SYS_prctl, DISPATCH, 7, 0, 0, 0));
    CHECK(-EINVAL, call(SYS_prctl, DISPATCH, OFF, 1, 0, 0));
    CHECK(-EINVAL, call(SYS_prctl, DISPATCH, OFF, 0, 1, 0));
    CHECK(-EINVAL, call(SYS_prctl, DISPATCH, OFF, 0, 0, &selector));
    CHECK(-EINVAL, call(SYS_prctl, DISPATCH, ON, 4096, 0, &selector));
    CHECK(-EINVAL, call(SYS_prctl, DISPATCH, ON, -4096, 8192, &selector));
    CHECK(-EFAULT, call(SYS_prctl, DISPATCH, ON, 0, 0, 0xffff800000000000ul));
    CHECK(0, call(SYS_prctl, DISPATCH, OFF, 0, 0, 0));
}

static void handled(void)
{
    selector = ALLOW;
    CHECK(0, call(SYS_prctl, DISPATCH, ON, 0, 0, &selector));
    CHECK(getpid(), call(SYS_getpid));
    selector = BLOCK;
    long got = call(SYS_getpid);
    CHECK(4711, got);
    CHECK(1, calls);
    CHECK(SYS_getpid, number);
    CHECK(2, code); /* SYS_USER_DISPATCH */
    CHECK(0xc000003e, (unsigned)arch);
    selector = BLOCK;
    got = call(0x7fff); /* whatever the number */
    CHECK(4711, got);
    CHECK(0x7fff, number);
    CHECK(getpid(), call(SYS_getpid));
    /* A child has none of it. */
    selector = BLOCK;
    int pid = fork(), status;
    selector = ALLOW;
    if (pid == 4711) { /* but the fork itself was handled */
        pid = fork();
        if (pid == 0) {
            selector = BLOCK;
            call(SYS_exit_group, 5);
        }
    }
    CHECK(pid, waitpid(pid, &status, 0));
    CHECK(5 << 8, status);
    CHECK(0, call(SYS_prctl, DISPATCH, OFF, 0, 0, 0));
    selector = BLOCK;
    CHECK(getpid(), call(SYS_getpid));
}

/* All of the address space is the region: nothing is handled. */
static void region(void)
{
    calls = 0;
    selector = BLOCK;
    CHECK(0, call(SYS_prctl, DISPATCH, ON, 4096, 0x7ffffffff000ul, &selector));
    CHECK(getpid(), call(SYS_getpid));
    CHECK(0, calls);
    selector = ALLOW;
    CHECK(0, call(SYS_prctl, DISPATCH, OFF, 0, 0, 0));
}

static int ends(int how)
{
    int status, pid = fork();
    if (pid == 0) {
        call(SYS_prctl, DISPATCH, ON, 0, 0, how ? (void *)&selector : T_BAD);
        selector = (char)how;
        call(SYS_getpid);
        selector = ALLOW;
        _exit(0);
    }
    CHECK(pid, waitpid(pid, &status, 0));
    return status & 0x7f;
}

int main(void)
{
    struct sigaction sa = { .sa_sigaction = on_sys, .sa_flags = SA_SIGINFO };
    sigaction(SIGSYS, &sa, NULL);
    errors();
    handled();
    region();
    CHECK(SIGSYS, ends(9));  /* not a value */
    CHECK(SIGSEGV, ends(0)); /* not an address */
    return t_end();
}
