/* SPDX-License-Identifier: MIT */
/* Masks, actions, the alternate stack, and waiting for signals without a handler. */
#include "proc.h"
#include <abi/errno.h>
#include <libos/sched.h>
#include <libos/user.h>
#include <libos/waitq.h>
#include <plat/time.h>
#include <plat/thread.h>
#include <string.h>
#include <utlist.h>

#define UNBLOCKABLE (ABI_SIGBIT(SIGKILL) | ABI_SIGBIT(SIGSTOP))

void signal_set_mask(uint64_t mask)
{
    struct thread *t = thread_current();
    mask &= ~UNBLOCKABLE;
    if (mask == t->sigmask)
        return;
    spin_lock(&t->process->sig_lock);
    uint64_t newly = mask & ~t->sigmask;
    t->sigmask = mask;
    if (newly & t->process->pending.set)
        signal_retarget(t, newly); /* it had been chosen to take these */
    signal_update_work(t);
    spin_unlock(&t->process->sig_lock);
}

void signal_set_mask_temporarily(uint64_t mask)
{
    struct thread *t = thread_current();
    t->saved_sigmask = t->sigmask;
    t->restore_sigmask = true;
    signal_set_mask(mask);
    thread_set_work(t, WORK_TASK); /* so that the way out restores it */
}

/* Ignoring discards what is pending, blocked or not. sig_lock is held. */
static NOINLINE void discard_ignored(struct process *p, uintptr_t handler, int sig)
{
    struct thread *t;
    if (handler == ABI_SIG_DFL && !signal_ignored_by_default(sig))
        return;
    sigpending_flush(&p->pending, ABI_SIGBIT(sig));
    DL_FOREACH(p->threads, t)
    sigpending_flush(&t->pending, ABI_SIGBIT(sig));
}

static ALWAYS_INLINE void set_action(struct sighand *sh, unsigned i,
                                     const struct abi_sigaction *new)
{
    struct abi_sigaction *a = &sh->action[i];
    sh->touched |= 1ull << i;
    a->handler = new->handler;
    a->flags = new->flags;
    a->restorer = new->restorer;
    a->mask = new->mask & ~UNBLOCKABLE;
}

int signal_action(int sig, const struct abi_sigaction *new, struct abi_sigaction *old)
{
    struct thread *t = thread_current();
    struct sighand *sh = t->sighand;
    if (sig < 1 || sig > ABI_NSIG || (new &&UNBLOCKABLE &ABI_SIGBIT(sig)))
        return -EINVAL;
    bool discards = new &&new->handler <= ABI_SIG_IGN;
    if (discards)
        spin_lock(&t->process->sig_lock); /* between the change and that, nothing is sent */
    spin_lock(&sh->lock);
    if (old)
        *old = sh->action[sig - 1];
    if (new)
        set_action(sh, (unsigned)sig - 1, new);
    spin_unlock(&sh->lock);
    if (discards) {
        discard_ignored(t->process, new->handler, sig);
        spin_unlock(&t->process->sig_lock);
    }
    return 0;
}

/* By value, so that the address of the caller's does not take a register. */
static NOINLINE long install_any(int sig, struct abi_sigaction new)
{
    return signal_action(sig, &new, NULL);
}

long signal_install(int sig, user_sigaction_in_t act)
{
    struct abi_sigaction new;
    if (UNLIKELY(user_get(&new, act, 1) < 0))
        return -EFAULT;
    struct sighand *sh = thread_current()->sighand;
    unsigned i = (unsigned)sig - 1;
    /* A handler, which discards nothing: no other lock, no call. */
    if (UNLIKELY(new.handler <= ABI_SIG_IGN || i >= ABI_NSIG) || UNLIKELY(UNBLOCKABLE >> i & 1) ||
        UNLIKELY(!spin_trylock(&sh->lock)))
        return install_any(sig, new);
    sh->touched |= 1ull << i;
    new.mask &= ~UNBLOCKABLE;
    sh->action[i] = new;
    spin_unlock(&sh->lock);
    return 0;
}

int signal_alt_stack(uintptr_t sp, size_t size, int flags)
{
    struct thread *t = thread_current();
    int mode = flags & ~(int)SS_AUTODISARM;
    if (mode != SS_DISABLE && mode != SS_ONSTACK && mode != 0)
        return -EINVAL;
    if (signal_alt_flags(t, plat_frame_sp(t->plat.frame)) & SS_ONSTACK)
        return sp == t->alt_sp && size == t->alt_size && flags == t->alt_flags ? 0 : -EPERM;
    if (mode == SS_DISABLE) {
        sp = size = 0;
    } else if (size < MINSIGSTKSZ) {
        return -ENOMEM;
    }
    t->alt_sp = sp;
    t->alt_size = size;
    t->alt_flags = flags;
    return 0;
}

void signal_alt_get(struct abi_stack *ret)
{
    const struct thread *t = thread_current();
    *ret = (struct abi_stack){ .ss_sp = t->alt_sp,
                               .ss_size = t->alt_size,
                               .ss_flags = signal_alt_flags(t, plat_frame_sp(t->plat.frame)) };
}

uint64_t signal_pending(void)
{
    struct thread *t = thread_current();
    spin_lock(&t->process->sig_lock);
    uint64_t set = t->pending.set | t->process->pending.set;
    spin_unlock(&t->process->sig_lock);
    return set;
}

bool signal_take_now(uint64_t set, struct abi_siginfo *ret)
{
    struct thread *t = thread_current();
    siginfo_complete(ret);
    spin_lock(&t->process->sig_lock);
    int sig = signal_dequeue(t, set & ~UNBLOCKABLE, ret);
    signal_update_work(t);
    spin_unlock(&t->process->sig_lock);
    return sig;
}

int signal_take(uint64_t set, struct abi_siginfo *ret, uint64_t deadline_ns)
{
    struct thread *t = thread_current();
    int err = 0;
    set &= ~UNBLOCKABLE;
    if (signal_take_now(set, ret))
        return ret->si_signo;
    if (plat_time_ns() >= deadline_ns)
        return -EAGAIN;
    spin_lock(&t->process->sig_lock);
    t->wait_set = set;
    uint64_t mask = t->sigmask;
    t->sigmask |= set; /* they are taken here, not delivered */
    signal_update_work(t);
    spin_unlock(&t->process->sig_lock);
    while (thread_prepare_sleep(SLEEP_INTERRUPTIBLE),
           !(signal_pending() & set) && !(err = thread_sleep(deadline_ns)))
        ;
    thread_finish_sleep();
    spin_lock(&t->process->sig_lock);
    t->wait_set = 0;
    t->sigmask = mask;
    int sig = signal_dequeue(t, set, ret);
    signal_update_work(t);
    spin_unlock(&t->process->sig_lock);
    return sig ? sig : err == -EINTR ? -EINTR : -EAGAIN;
}

struct waitq *signal_waitq(void)
{
    return &process_current()->signal_wait;
}

void signal_exec(struct thread *t)
{
    struct sighand *sh = t->sighand;
    spin_lock(&sh->lock);
    for (uint64_t rest = sh->touched; rest; rest &= rest - 1) {
        struct abi_sigaction *a = &sh->action[__builtin_ctzll(rest)];
        uintptr_t keep = a->handler == ABI_SIG_IGN ? ABI_SIG_IGN : ABI_SIG_DFL;
        *a = (struct abi_sigaction){ .handler = keep };
    }
    spin_unlock(&sh->lock);
    t->alt_sp = t->alt_size = 0;
    t->alt_flags = SS_DISABLE;
    t->restart = NULL;
}
