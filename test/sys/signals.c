/* SPDX-License-Identifier: MIT */
/* Signals: actions, masks, queues, delivery, the alternate stack, waiting. */
#define _GNU_SOURCE
#include <t_signal.h>

#include <errno.h>
#include <signal.h>
#include <time.h>
#include <ucontext.h>

static volatile int caught, count, code, value;
static volatile long on_stack;
static char stack[16384];

static void simple(int sig)
{
    caught = sig;
    count++;
}

static void detailed(int sig, siginfo_t *info, void *uc)
{
    char here;
    caught = sig;
    count++;
    code = info->si_code;
    value = info->si_value.sival_int;
    on_stack = &here > stack && &here < stack + sizeof(stack);
    (void)uc;
}

static void send(int sig)
{
    CHECK(0, call(SYS_tgkill, call(SYS_getpid), call(SYS_gettid), sig));
}

static void actions(void)
{
    struct t_sigaction old;
    CHECK(0, t_handle(SIGUSR1, simple, 0));
    CHECK(0, call(SYS_rt_sigaction, SIGUSR1, NULL, &old, 8));
    CHECK(true, old.handler == simple && old.restorer == t_restorer);
    send(SIGUSR1);
    CHECK(SIGUSR1, caught);
    CHECK(1, count);
    CHECK(0, t_handle(SIGUSR1, simple, SA_RESETHAND));
    send(SIGUSR1);
    CHECK(2, count);
    CHECK(0, call(SYS_rt_sigaction, SIGUSR1, NULL, &old, 8));
    CHECK(true, old.handler == SIG_DFL);
    CHECK(0, t_handle(SIGUSR1, SIG_IGN, 0));
    send(SIGUSR1);
    CHECK(2, count);
    CHECK(0, t_handle(SIGCHLD, SIG_DFL, 0));
    send(SIGCHLD); /* ignored by default */
    CHECK(-EINVAL, t_handle(SIGKILL, simple, 0));
    CHECK(-EINVAL, t_handle(SIGSTOP, simple, 0));
    CHECK(-EINVAL, t_handle(0, simple, 0));
    CHECK(-EINVAL, t_handle(65, simple, 0));
    CHECK(-EINVAL, call(SYS_rt_sigaction, SIGUSR1, NULL, NULL, 4));
    CHECK(0, call(SYS_rt_sigaction, SIGKILL, NULL, &old, 8));
    CHECK(-EFAULT, call(SYS_rt_sigaction, SIGUSR1, T_BAD, NULL, 8));
    CHECK(-EFAULT, call(SYS_rt_sigaction, SIGUSR1, NULL, T_BAD, 8));
}

static void masks(void)
{
    uint64_t usr = T_BIT(SIGUSR1), all = ~0ull, old, got;
    CHECK(0, call(SYS_rt_sigprocmask, SIG_SETMASK, &all, &old, 8));
    CHECK(0, call(SYS_rt_sigprocmask, SIG_BLOCK, NULL, &got, 8));
    CHECK(~(T_BIT(SIGKILL) | T_BIT(SIGSTOP)), got); /* these two cannot be blocked */
    CHECK(0, call(SYS_rt_sigprocmask, SIG_SETMASK, &old, NULL, 8));
    count = 0;
    CHECK(0, t_handle(SIGUSR1, simple, 0));
    CHECK(0, call(SYS_rt_sigprocmask, SIG_BLOCK, &usr, NULL, 8));
    send(SIGUSR1);
    send(SIGUSR1);
    CHECK(0, count);
    CHECK(0, call(SYS_rt_sigpending, &got, 8));
    CHECK(usr, got);
    CHECK(0, call(SYS_rt_sigpending, &got, 4));
    CHECK(-EINVAL, call(SYS_rt_sigpending, &got, 9));
    CHECK(0, call(SYS_rt_sigprocmask, SIG_UNBLOCK, &usr, NULL, 8));
    CHECK(1, count); /* two sent, one delivered */
    CHECK(-EINVAL, call(SYS_rt_sigprocmask, 5, &usr, NULL, 8));
    CHECK(0, call(SYS_rt_sigprocmask, 5, NULL, NULL, 8)); /* no set, no look at how */
    CHECK(-EINVAL, call(SYS_rt_sigprocmask, SIG_BLOCK, &usr, NULL, 4));
}

static long queue(int sig, int v)
{
    siginfo_t info;
    memset(&info, 0, sizeof(info));
    info.si_signo = sig;
    info.si_code = SI_QUEUE;
    info.si_pid = (int)call(SYS_getpid);
    info.si_value.sival_int = v;
    return call(SYS_rt_tgsigqueueinfo, call(SYS_getpid), call(SYS_gettid), sig, &info);
}

static void queues(void)
{
    int rt = 40;
    uint64_t set = T_BIT(rt) | T_BIT(rt + 1);
    struct timespec now = { 0, 0 };
    siginfo_t info;
    CHECK(0, t_handle(rt, detailed, SA_SIGINFO));
    CHECK(0, call(SYS_rt_sigprocmask, SIG_BLOCK, &set, NULL, 8));
    count = 0;
    CHECK(0, queue(rt, 1));
    CHECK(0, queue(rt, 2)); /* real-time signals are counted and keep their order */
    CHECK(0, queue(rt + 1, 3));
    CHECK(rt, call(SYS_rt_sigtimedwait, &set, &info, &now, 8));
    CHECK(1, info.si_value.sival_int);
    CHECK(SI_QUEUE, info.si_code);
    CHECK(call(SYS_getpid), info.si_pid);
    CHECK(rt, call(SYS_rt_sigtimedwait, &set, NULL, &now, 8));
    CHECK(rt + 1, call(SYS_rt_sigtimedwait, &set, &info, NULL, 8));
    CHECK(3, info.si_value.sival_int);
    CHECK(-EAGAIN, call(SYS_rt_sigtimedwait, &set, &info, &now, 8));
    struct timespec soon = { 0, 10000000 };
    CHECK(-EAGAIN, call(SYS_rt_sigtimedwait, &set, &info, &soon, 8));
    soon.tv_nsec = 1000000000;
    CHECK(-EINVAL, call(SYS_rt_sigtimedwait, &set, &info, &soon, 8));
    CHECK(0, queue(rt, 9));
    CHECK(0, call(SYS_rt_sigprocmask, SIG_UNBLOCK, &set, NULL, 8));
    CHECK(1, count);
    CHECK(9, value);
    CHECK(SI_QUEUE, code);
    memset(&info, 0, sizeof(info));
    info.si_code = SI_USER; /* one may pretend to be kill only to oneself */
    CHECK(-EPERM, call(SYS_rt_tgsigqueueinfo, 99999999, 99999999, rt, &info));
    CHECK(-EINVAL, call(SYS_rt_tgsigqueueinfo, 0, 0, rt, &info));
    CHECK(-EINVAL, queue(65, 0));
    CHECK(0, queue(0, 0)); /* only asks */
}

static void alternate_stack(void)
{
    stack_t s = { stack, 0, sizeof(stack) }, old;
    CHECK(0, call(SYS_sigaltstack, &s, NULL));
    CHECK(0, call(SYS_sigaltstack, NULL, &old));
    CHECK(true, old.ss_sp == stack && old.ss_flags == 0 && old.ss_size == sizeof(stack));
    CHECK(0, t_handle(SIGUSR2, detailed, SA_SIGINFO | SA_ONSTACK));
    send(SIGUSR2);
    CHECK(SIGUSR2, caught);
    CHECK(1, on_stack);
    CHECK(0, t_handle(SIGUSR2, detailed, SA_SIGINFO));
    send(SIGUSR2);
    CHECK(0, on_stack);
    CHECK(SI_TKILL, code);
    s.ss_size = 100;
    CHECK(-ENOMEM, call(SYS_sigaltstack, &s, NULL));
    s.ss_flags = 77;
    CHECK(-EINVAL, call(SYS_sigaltstack, &s, NULL));
    s.ss_flags = SS_DISABLE;
    CHECK(0, call(SYS_sigaltstack, &s, NULL));
    CHECK(0, call(SYS_sigaltstack, NULL, &old));
    CHECK(SS_DISABLE, old.ss_flags);
}

static void nested(int sig)
{
    uint64_t now;
    call(SYS_rt_sigprocmask, SIG_BLOCK, NULL, &now, 8);
    value = (now & T_BIT(sig)) != 0;
    count++;
    if (count == 1)
        send(sig); /* waits until the handler returns, unless SA_NODEFER */
    code = count;
}

static void handlers_block_themselves(void)
{
    uint64_t usr = T_BIT(SIGUSR2), old, set = 0;
    count = 0;
    CHECK(0, t_handle(SIGUSR1, nested, 0));
    send(SIGUSR1);
    CHECK(2, count);
    CHECK(1, value);
    count = 0;
    CHECK(0, t_handle(SIGUSR1, nested, SA_NODEFER));
    send(SIGUSR1);
    CHECK(2, count);
    CHECK(0, value);
    CHECK(0, call(SYS_rt_sigprocmask, SIG_BLOCK, &usr, &old, 8));
    CHECK(0, t_handle(SIGUSR2, simple, 0));
    count = 0;
    send(SIGUSR2);
    CHECK(-EINTR,
          call(SYS_rt_sigsuspend, &set, 8)); /* lets it in, and comes back with the old mask */
    CHECK(1, count);
    CHECK(0, call(SYS_rt_sigprocmask, SIG_SETMASK, &old, &set, 8));
    CHECK(old | usr, set);
    CHECK(-EINVAL, call(SYS_rt_sigsuspend, &set, 4));
}

static void sending(void)
{
    CHECK(0, call(SYS_kill, call(SYS_getpid), 0));
    CHECK(-EINVAL, call(SYS_kill, call(SYS_getpid), 65));
    CHECK(-EINVAL, call(SYS_kill, call(SYS_getpid), -1));
    CHECK(-ESRCH, call(SYS_kill, 99999999, 0));
    CHECK(-ESRCH, call(SYS_kill, -99999999, 0));
    CHECK(0, call(SYS_tkill, call(SYS_gettid), 0));
    CHECK(-EINVAL, call(SYS_tkill, 0, 0));
    CHECK(-ESRCH, call(SYS_tkill, 99999999, 0));
    CHECK(-EINVAL, call(SYS_tgkill, 0, 1, 0));
    CHECK(-ESRCH, call(SYS_tgkill, 99999999, call(SYS_gettid), 0));
    count = 0;
    CHECK(0, t_handle(SIGTERM, detailed, SA_SIGINFO));
    CHECK(0, call(SYS_kill, call(SYS_getpid), SIGTERM));
    CHECK(1, count);
    CHECK(SI_USER, code);
}

int main(void)
{
    actions();
    masks();
    queues();
    alternate_stack();
    handlers_block_themselves();
    sending();
    return t_end();
}
