/* SPDX-License-Identifier: MIT */
/* Taking signals: delivery on the way to ring 3, the return from a handler, job control stops, and the restart of
 * interrupted system calls. signal(7). Only the thread itself comes here. */
#include "proc.h"
#include "trace_int.h"
#include <abi/errno.h>
#include <base/log.h>
#include <libos/sched.h>
#include <libos/time.h>
#include <plat/debug.h>
#include <plat/thread.h>
#include <utlist.h>

enum { NR_RESTART_SYSCALL = 219 };

/* The action of sig as it is taken: SA_RESETHAND takes effect. */
static ALWAYS_INLINE void take_action(struct sighand *s, int sig, struct abi_sigaction *ret)
{
    struct abi_sigaction *a = &s->action[sig - 1];
    spin_lock(&s->lock);
    *ret = *a;
    if (UNLIKELY(a->flags & SA_RESETHAND) && a->handler > ABI_SIG_IGN)
        a->handler = ABI_SIG_DFL;
    spin_unlock(&s->lock);
}

/* The system call that was interrupted: with handler (and its action) or without one. */
static void settle_call(struct plat_frame *f, const struct abi_sigaction *handler)
{
    long ret = plat_frame_ret(f), nr;
    if (LIKELY(ret < -ERESTART_RESTARTBLOCK || ret > -ERESTARTSYS) || (nr = plat_frame_nr(f)) < 0)
        return;
    switch (-ret) {
    case ERESTARTNOINTR:
        plat_frame_restart(f, nr);
        break;
    case ERESTARTSYS:
        if (handler && !(handler->flags & SA_RESTART))
            plat_frame_set_ret(f, -EINTR);
        else
            plat_frame_restart(f, nr);
        break;
    case ERESTARTNOHAND:
        if (handler)
            plat_frame_set_ret(f, -EINTR);
        else
            plat_frame_restart(f, nr);
        break;
    case ERESTART_RESTARTBLOCK:
        if (handler)
            plat_frame_set_ret(f, -EINTR);
        else
            plat_frame_restart(f, NR_RESTART_SYSCALL);
        break;
    default:
        break;
    }
}

/* Sleep while the process is stopped. sig_lock is held on entry and on return. */
static void stop(struct thread *t)
{
    struct process *p = t->process;
    while (p->stopped && !p->exiting && !t->trace.tracer && !(t->plat.work & WORK_KILLED)) {
        /* The state is set under the lock that a waker needs first. */
        atomic_store(&t->state, THREAD_STOPPED);
        spin_unlock(&t->process->sig_lock);
        sched_switch();
        spin_lock(&t->process->sig_lock);
    }
}

/* A stop signal's default action: not for a group that nobody would continue, except by SIGSTOP. sig_lock is held
 * on entry and on return. */
static void begin_stop(struct thread *t, int sig)
{
    struct process *p = t->process;
    struct thread *other;
    if (sig != SIGSTOP) {
        p->stop_due = true;
        spin_unlock(&t->process->sig_lock);
        bool orphaned = process_group_orphaned(p->pgid);
        spin_lock(&t->process->sig_lock);
        if (orphaned || !p->stop_due || p->exiting)
            return;
    }
    p->stopped = true;
    p->continued = false;
    p->stop_signal = p->group_stop_signal = sig;
    DL_FOREACH(p->threads, other)
    {
        if (other->trace.tracer && other != t)
            trace_group_changed(other, true);
        thread_set_work(other, WORK_SIGNAL);
        if (other != t)
            thread_wake_state(other, 1u << THREAD_SLEEPING);
    }
    spin_unlock(&t->process->sig_lock);
    spin_lock(&process_lock);
    process_notify_parent(p, CLD_STOPPED, sig);
    spin_unlock(&process_lock);
    spin_lock(&t->process->sig_lock);
    if (t->trace.tracer)
        t->trace.pending |= TRACE_STOP;
    else
        stop(t);
}

/* The program dies of sig: say so where a person would want to know. */
static NORETURN void die(struct thread *t, const struct plat_frame *f,
                         const struct abi_siginfo *info)
{
    int sig = info->si_signo;
    uintptr_t addr = info->si_code > 0 && info->si_code != SI_KERNEL ? t->fault_addr : 0;
    bool dumps = signal_dumps_by_default(sig), dumped = dumps && core_dump(info);
    if (dumps && sig != SIGQUIT)
        log_error("%s[%d]: killed by %s at ip %lx sp %lx addr %lx%s", t->comm, t->process->pid,
                  signal_name(sig), (unsigned long)plat_frame_ip(f),
                  (unsigned long)plat_frame_sp(f), (unsigned long)addr,
                  dumped ? " (core dumped)" : "");
    spin_lock(&t->process->sig_lock);
    process_begin_exit(t->process, sig);
    spin_unlock(&t->process->sig_lock);
    thread_exit(t->process->exit_code);
}

static bool on_alt_stack(const struct thread *t, uintptr_t sp)
{
    return !(t->alt_flags & (int)SS_AUTODISARM) && sp - t->alt_sp - 1 < t->alt_size;
}

/* What sigaltstack reports as flags. */
int signal_alt_flags(const struct thread *t, uintptr_t sp)
{
    if (!t->alt_size)
        return SS_DISABLE;
    return (on_alt_stack(t, sp) ? SS_ONSTACK : 0) | (t->alt_flags & (int)SS_AUTODISARM);
}

/* Block what a's handler of sig does not want meanwhile. The mask before. sig_lock is held. */
static uint64_t block(struct thread *t, const struct abi_sigaction *a, int sig)
{
    uint64_t before = t->sigmask;
    uint64_t mask = before | a->mask | (a->flags & SA_NODEFER ? 0 : ABI_SIGBIT(sig));
    uint64_t newly = mask & ~before & t->process->pending.set;
    t->sigmask = mask;
    if (UNLIKELY(newly))
        signal_retarget(t, newly);
    signal_update_work(t);
    return before;
}

/* Enter the handler, whose signals are blocked by now; before: what was so before. sig_lock is not held. */
static void enter(struct thread *t, struct plat_frame *f, const struct abi_sigaction *a,
                  const struct abi_siginfo *info, uint64_t before)
{
    int sig = info->si_signo;
    uint64_t mask = t->restore_sigmask ? t->saved_sigmask : before;
    uintptr_t sp = plat_frame_sp(f);
    bool faulted = info->si_code > 0 && SYNCHRONOUS & ABI_SIGBIT(sig);
    struct plat_signal s = {
        .number = sig,
        .handler = a->handler,
        .restorer = a->restorer,
        .siginfo = true,
        .info = info,
        .mask = mask,
        .stack_sp = a->flags & SA_ONSTACK && t->alt_size && !on_alt_stack(t, sp)
                        ? t->alt_sp + t->alt_size
                        : 0,
        .alt_sp = t->alt_sp,
        .alt_size = t->alt_size,
        .alt_flags = signal_alt_flags(t, sp),
        .fault_addr = faulted ? t->fault_addr : 0,
        .trap_nr = faulted ? t->trap_nr : 0,
        .trap_error = faulted ? t->trap_error : 0,
    };
    bool stepping = t->trace.tracer && t->trace.step;
    settle_call(f, a);
    rseq_signal(t, f);
    if (stepping)
        plat_thread_step(&t->plat, false); /* the handler's frame does not show it */
    if (plat_signal_push(&t->plat, &s) < 0) {
        signal_set_mask(before);
        signal_force(sig == SIGSEGV, SIGSEGV);
        return;
    }
    if (t->alt_flags & (int)SS_AUTODISARM) {
        t->alt_sp = t->alt_size = 0;
        t->alt_flags = SS_DISABLE;
    }
    t->restore_sigmask = false;
    if (stepping)
        trace_handler_entered(t);
}

void signal_force(bool fatal, int sig)
{
    struct thread *t = thread_current();
    if (fatal)
        sighand_set_default(t->sighand, sig);
    signal_fault(sig, SI_KERNEL, 0, t->trap_nr, t->trap_error);
}

/* Take the next signal that has an effect, and block it and what else its handler wants; *ret_before: the mask before. 0: none is
 * left. sig_lock is held on entry, not on return. */
static int take(struct thread *t, struct plat_frame *f, struct abi_siginfo *info,
                struct abi_sigaction *ret_action, uint64_t *ret_before)
{
    for (;;) {
        if (UNLIKELY(t->trace.tracer) && t->trace.pending && !t->process->exiting) {
            trace_trap(t);
            continue;
        }
        if (t->process->stopped && !t->trace.tracer)
            stop(t);
        int sig = t->process->exiting || t->plat.work & WORK_KILLED
                      ? 0
                      : signal_dequeue(t, ~t->sigmask, info);
        if (!sig) {
            signal_update_work(t);
            spin_unlock(&t->process->sig_lock);
            return 0;
        }
        if (UNLIKELY(t->trace.tracer) && sig != SIGKILL) {
            siginfo_complete(info);
            if (!(sig = trace_take_signal(t, info)))
                continue;
        }
        take_action(t->process->sighand, sig, ret_action);
        if (ret_action->handler == ABI_SIG_IGN)
            continue;
        if (ret_action->handler != ABI_SIG_DFL) {
            *ret_before = block(t, ret_action, sig);
            spin_unlock(&t->process->sig_lock);
            return sig;
        }
        if (signal_ignored_by_default(sig))
            continue;
        if (signal_stops_by_default(sig)) {
            begin_stop(t, sig);
            continue;
        }
        spin_unlock(&t->process->sig_lock);
        siginfo_complete(info);
        die(t, f, info);
    }
}

/* Put the mask back that sigsuspend, ppoll and the like replaced. */
static void restore_mask(struct thread *t)
{
    if (!t->restore_sigmask)
        return;
    t->restore_sigmask = false;
    signal_set_mask(t->saved_sigmask);
}

void signal_deliver(struct plat_frame *f)
{
    struct thread *t = thread_current();
    struct abi_siginfo info;
    struct abi_sigaction action;
    uint64_t before;

    if (t->restore_sigmask && plat_frame_ret(f) != -ERESTARTNOHAND && plat_frame_ret(f) != -EINTR)
        restore_mask(t); /* the call had a result: what its mask let through waits again */
    spin_lock(&t->process->sig_lock);
    if (take(t, f, &info, &action, &before)) {
        enter(t, f, &action, &info, before);
        return;
    }
    settle_call(f, NULL);
    restore_mask(t);
}

long signal_return(void)
{
    struct thread *t = thread_current();
    struct plat_signal s; /* filled as far as it is read */
    t->restart = NULL;
    if (plat_signal_pop(&t->plat, &s) < 0) {
        signal_force(false, SIGSEGV);
        return plat_frame_ret(t->plat.frame);
    }
    signal_set_mask(s.mask);
    if (s.alt_sp == t->alt_sp && s.alt_size == t->alt_size)
        return plat_frame_ret(t->plat.frame);
    if (signal_alt_stack(s.alt_sp, s.alt_size, s.alt_flags) < 0)
        return plat_frame_ret(
            t->plat.frame); /* the program put nonsense there: as Linux, ignored */
    return plat_frame_ret(t->plat.frame);
}
