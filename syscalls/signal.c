/* SPDX-License-Identifier: MIT */
/* Signals: sigaction(2), sigprocmask(2), kill(2) and their relatives. */
#include "signal_to.h"
#include "sys_proto.h"
#include <libos/signal.h>
#include <libos/time.h>
#include <libos/user.h>
#include <libos/waitq.h>

/* The old action is asked for, or no new one is given. */
static NOINLINE long look_at_action(int sig, user_sigaction_in_t act, user_sigaction_out_t old)
{
    struct abi_sigaction new, before;
    bool set = !user_is_null(act);
    if (set && user_get(&new, act, 1) < 0)
        return -EFAULT;
    if (user_is_null(old))
        return signal_action(sig, NULL, NULL);
    int err = signal_action(sig, set ? &new : NULL, &before);
    return err ? err : user_put(old, &before, 1);
}

long sys_rt_sigaction(int sig, user_sigaction_in_t act, user_sigaction_out_t old, size_t sigsetsize)
{
    if (sigsetsize != sizeof(abi_sigset))
        return -EINVAL;
    if (user_is_null(act) || !user_is_null(old))
        return look_at_action(sig, act, old);
    return signal_install(sig, act);
}

long sys_rt_sigprocmask(int how, user_sigset_in_t set, user_sigset_out_t old, size_t sigsetsize)
{
    uint64_t before = thread_current()->sigmask, mask;
    if (sigsetsize != sizeof(abi_sigset))
        return -EINVAL;
    if (!user_is_null(set)) {
        if (user_get(&mask, set, 1) < 0)
            return -EFAULT;
        if (how == SIG_BLOCK)
            mask |= before;
        else if (how == SIG_UNBLOCK)
            mask = before & ~mask;
        else if (how != SIG_SETMASK)
            return -EINVAL;
        signal_set_mask(mask);
    }
    return user_is_null(old) ? 0 : user_put(old, &before, 1);
}

long sys_rt_sigreturn(void)
{
    return signal_return();
}

long sys_rt_sigpending(user_sigset_out_t set, size_t sigsetsize)
{
    uint64_t pending = signal_pending() & thread_current()->sigmask;
    if (sigsetsize > sizeof(abi_sigset))
        return -EINVAL;
    return user_put(user_cast(user_u8_out_t, set), (const uint8_t *)&pending, sigsetsize);
}

long sys_rt_sigtimedwait(user_sigset_in_t set, user_siginfo_out_t info, user_timespec_in_t timeout,
                         size_t sigsetsize)
{
    struct abi_siginfo got;
    struct abi_timespec ts;
    uint64_t wanted, now, ns, deadline = NO_DEADLINE;
    if (sigsetsize != sizeof(abi_sigset))
        return -EINVAL;
    if (user_get(&wanted, set, 1) < 0)
        return -EFAULT;
    if (!user_is_null(timeout)) {
        if (user_get(&ts, timeout, 1) < 0)
            return -EFAULT;
        int err = timespec_to_ns(&ts, &ns);
        if (!err)
            err = clock_read(CLOCK_MONOTONIC, &now);
        if (err)
            return err;
        deadline = ns ? now + ns : 0;
    }
    int sig = signal_take(wanted, &got, deadline);
    if (sig > 0 && !user_is_null(info) && user_put(info, &got, 1) < 0)
        return -EFAULT;
    return sig;
}

long sys_rt_sigsuspend(user_sigset_in_t set, size_t sigsetsize)
{
    uint64_t mask;
    if (sigsetsize != sizeof(abi_sigset))
        return -EINVAL;
    if (user_get(&mask, set, 1) < 0)
        return -EFAULT;
    signal_set_mask_temporarily(mask);
    return sys_pause();
}

long sys_pause(void)
{
    while (thread_prepare_sleep(SLEEP_INTERRUPTIBLE), !thread_sleep(NO_DEADLINE))
        ;
    return -ERESTARTNOHAND;
}

long sys_restart_syscall(void)
{
    struct thread *t = thread_current();
    return t->restart ? t->restart(t) : -EINTR;
}

long sys_sigaltstack(user_stack_in_t new, user_stack_out_t old)
{
    struct abi_stack st, before;
    signal_alt_get(&before);
    if (!user_is_null(new)) {
        if (user_get(&st, new, 1) < 0)
            return -EFAULT;
        int err = signal_alt_stack(st.ss_sp, st.ss_size, st.ss_flags);
        if (err)
            return err;
    }
    return user_is_null(old) ? 0 : user_put(old, &before, 1);
}

/* Who sends: filled in by libOS, not by the program. */
static struct abi_siginfo sender_info(int sig, int code)
{
    return (struct abi_siginfo){
        .si_signo = sig,
        .si_code = code,
        .rt = { .si_pid = process_current()->pid, .si_uid = thread_current()->cred->uid },
    };
}

/* Send info, whose number may be 0 (only check), to the process pid. */
static int send_process(int pid, int sig, const struct abi_siginfo *info)
{
    struct process *p = process_find(pid);
    if (!p)
        return -ESRCH;
    int err = signal_permission(p, sig);
    if (!err && sig)
        err = signal_send_process(p, info);
    process_put(p);
    return err;
}

struct broadcast {
    const struct abi_siginfo *info;
    int sig;
    bool all;   /* kill(-1): not to the first process and not to oneself */
    int result; /* 0 as soon as one was sent */
};

static int broadcast_one(struct process *p, void *arg)
{
    struct broadcast *b = arg;
    if (b->all && (p->pid == 1 || p == process_current()))
        return 0;
    int err = signal_permission(p, b->sig);
    if (!err && b->sig)
        err = signal_send_process(p, b->info);
    if (!err || b->result == -ESRCH)
        b->result = err;
    return 0;
}

int signal_to_group(int pgid, int sig, const struct abi_siginfo *info)
{
    struct broadcast b = { .info = info, .sig = sig, .all = !pgid, .result = -ESRCH };
    spin_lock(&process_lock);
    process_each(pgid, broadcast_one, &b);
    spin_unlock(&process_lock);
    return b.result;
}

long sys_kill(int pid, int sig)
{
    struct abi_siginfo info = sender_info(sig, SI_USER);
    if (sig < 0 || sig > ABI_NSIG)
        return -EINVAL;
    if (pid > 0)
        return send_process(pid, sig, &info);
    if (pid == INT32_MIN)
        return -ESRCH;
    return signal_to_group(pid == -1 ? 0 : pid ? -pid : process_current()->pgid, sig, &info);
}

/* Send info to thread tid, which must belong to tgid unless that is negative. */
static NOINLINE long send_other(int tgid, int tid, int sig, const struct abi_siginfo *info)
{
    struct thread *t = thread_find_ended(tid);
    if (!t)
        return -ESRCH;
    int err = 0;
    if (tgid > 0 && t->process->pid != tgid)
        err = -ESRCH;
    else
        err = signal_permission_thread(t, sig);
    if (!err && sig && (err = signal_send_thread(t, info)) == -ESRCH)
        err = 0; /* it has ended, and is there until it has been waited for: the signal is lost */
    thread_put(t);
    return err;
}

/* The same, quicker when it is the current thread. */
static ALWAYS_INLINE long send_thread(int tgid, int tid, int sig, const struct abi_siginfo *info)
{
    struct thread *self = thread_current();
    if (tid != self->tid)
        return send_other(tgid, tid, sig, info);
    if (tgid > 0 && self->process->pid != tgid)
        return -ESRCH;
    return sig ? signal_send_thread(self, info) : 0;
}

long sys_tgkill(int tgid, int tid, int sig)
{
    if (tgid <= 0 || tid <= 0 || sig < 0 || sig > ABI_NSIG)
        return -EINVAL;
    struct abi_siginfo info = sender_info(sig, SI_TKILL);
    return send_thread(tgid, tid, sig, &info);
}

long sys_tkill(int tid, int sig)
{
    if (tid <= 0 || sig < 0 || sig > ABI_NSIG)
        return -EINVAL;
    struct abi_siginfo info = sender_info(sig, SI_TKILL);
    return send_thread(-1, tid, sig, &info);
}

/* Does a code say which members a siginfo has? Linux refuses others that have more than it keeps. */
static bool knows_code(int code)
{
    return (code >= SI_DETHREAD && code <= SI_USER) || code == SI_ASYNCNL || code > 0;
}

/* A program may only pretend to be sigqueue and the like, except to itself. */
static int get_info(user_siginfo_in_t up, int sig, int pid, struct abi_siginfo *ret)
{
    if (user_get(ret, up, 1) < 0)
        return -EFAULT;
    ret->si_signo = sig;
    const char *rest = (const char *)ret + SIGINFO_KEPT;
    for (size_t i = SIGINFO_KEPT; i < sizeof(*ret) && !knows_code(ret->si_code); i++)
        if (*rest++)
            return -E2BIG;
    if ((ret->si_code >= 0 || ret->si_code == SI_TKILL) && pid != process_current()->pid)
        return -EPERM;
    if (ret->si_code == SI_TIMER)
        ret->timer.si_sys_private = 0; /* no timer of libOS's sent it */
    return 0;
}

long sys_rt_sigqueueinfo(int pid, int sig, user_siginfo_in_t info)
{
    struct abi_siginfo si;
    int err = get_info(info, sig, pid, &si);
    if (err)
        return err;
    return sig < 0 || sig > ABI_NSIG ? -EINVAL : send_process(pid, sig, &si);
}

long sys_rt_tgsigqueueinfo(int tgid, int tid, int sig, user_siginfo_in_t info)
{
    struct abi_siginfo si;
    int err = get_info(info, sig, tgid, &si);
    if (err != -EFAULT &&
        (tgid <= 0 || tid <= 0)) /* looked at before the right to send this si_code */
        return -EINVAL;
    if (err)
        return err;
    if (sig < 0 || sig > ABI_NSIG)
        return -EINVAL;
    return send_thread(tgid, tid, sig, &si);
}
