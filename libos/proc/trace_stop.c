/* SPDX-License-Identifier: MIT */
/* The stops of a traced thread: for a signal, a group stop, a system call, an event. A stop is a state of the thread that
 * only its tracer (or its end) undoes; what the tracer left behind says how it goes on. ptrace(2).
 * Lock: sig_lock for the state, process_lock to tell the tracer. */
#include "proc.h"
#include "trace_int.h"
#include <abi/errno.h>
#include <abi/sched.h>
#include <libos/dispatch.h>
#include <libos/sched.h>
#include <libos/seccomp.h>
#include <libos/waitq.h>
#include <plat/debug.h>

/* The signal that a stop is told by: as do_notify_parent's for a tracer. process_lock is held. */
void trace_notify_exit(struct thread *t, int code, int status)
{
    struct thread *tracer = t->trace.tracer;
    if (!tracer)
        return;
    struct process *p = tracer->process;
    struct abi_sigaction action, *a = &action;
    sighand_get_action(p->sighand, SIGCHLD, a);
    bool ends = code != CLD_STOPPED && code != CLD_TRAPPED;
    struct abi_siginfo info = {
        .si_signo = SIGCHLD,
        .si_code = code,
        .chld = { .si_pid = t->tid, .si_uid = t->cred ? t->cred->uid : 0, .si_status = status },
    };
    if (ends || (a->handler != ABI_SIG_IGN && !(a->flags & SA_NOCLDSTOP)))
        (void)signal_send_process(p, &info); /* it ends itself: fine */
    waitq_wake(&p->child_wait, WAITQ_ALL, 0);
}

/* Must a stop end although the tracer said nothing? */
static bool must_go(const struct thread *t, bool exits)
{
    return !t->trace.tracer || (!exits && (t->process->exiting || t->plat.work & WORK_KILLED));
}

static int stop_until_told(struct thread *t, int code, int why, bool exits)
{
    struct trace *tr = &t->trace;
    tr->code = code;
    tr->stopped = true;
    tr->listening = false;
    atomic_store(&t->state, THREAD_TRACED);
    spin_unlock(&t->process->sig_lock);
    spin_lock(&process_lock);
    trace_notify_exit(t, why, code & 0x7f);
    spin_unlock(&process_lock);
    sched_switch();
    spin_lock(&t->process->sig_lock);
    while (tr->stopped && !must_go(t, exits)) {
        atomic_store(&t->state, THREAD_TRACED);
        spin_unlock(&t->process->sig_lock);
        sched_switch();
        spin_lock(&t->process->sig_lock);
    }
    int told = tr->stopped ? 0 : tr->code;
    tr->stopped = tr->listening = false;
    tr->code = 0;
    tr->message = 0;
    tr->siginfo = NULL;
    return told;
}

int trace_stop(struct thread *t, int code, int why, unsigned long message, struct abi_siginfo *info)
{
    struct trace *tr = &t->trace;
    bool exits = code == (SIGTRAP | PTRACE_EVENT_EXIT << 8);
    if (must_go(t, exits))
        return 0;
    tr->pending &= (uint8_t)~TRACE_STOP;
    if (info && info->si_code >> 8 == PTRACE_EVENT_STOP)
        tr->pending &= (uint8_t)~TRACE_NOTIFY;
    tr->siginfo = info;
    tr->message = message;
    return stop_until_told(t, code, why, exits);
}

static struct abi_siginfo trap_info(const struct thread *t, int sig, int code)
{
    return (struct abi_siginfo){ .si_signo = sig,
                                 .si_code = code,
                                 .rt = { .si_pid = t->tid, .si_uid = t->cred->uid } };
}

/* Stop as a trap with this code; the signal that the tracer gave. */
static int report(struct thread *t, int code, unsigned long message)
{
    struct abi_siginfo info = trap_info(t, SIGTRAP, code);
    spin_lock(&t->process->sig_lock);
    int sig = trace_stop(t, code, CLD_TRAPPED, message, &info);
    spin_unlock(&t->process->sig_lock);
    return sig;
}

static bool wants_event(const struct thread *t, unsigned event)
{
    return t->trace.tracer && t->trace.options >> event & 1;
}

void trace_event(unsigned event, unsigned long message)
{
    struct thread *t = thread_current();
    if (LIKELY(!t->trace.tracer))
        return;
    if (wants_event(t, event)) {
        (void)report(t, SIGTRAP | (int)event << 8, message); /* a signal means nothing here */
        if (!t->trace.in_call && (t->trace.mode == TRACE_CALLS || t->trace.step))
            thread_set_work(
                t, WORK_TRACE); /* the call came by the usual entry: tell its end all the same */
    } else if (event == PTRACE_EVENT_EXEC && !t->trace.seized) {
        struct abi_siginfo info = { .si_signo = SIGTRAP, .si_code = SI_USER, .rt.si_pid = t->tid };
        (void)signal_send_thread(t, &info); /* as ever: an old tracer expects it */
    }
}

unsigned trace_clone_event(uint64_t flags, int exit_signal)
{
    unsigned event = flags & CLONE_VFORK                                   ? PTRACE_EVENT_VFORK
                     : flags & CLONE_THREAD || exit_signal != (int)SIGCHLD ? PTRACE_EVENT_CLONE
                                                                           : PTRACE_EVENT_FORK;
    return !(flags & CLONE_UNTRACED) && wants_event(thread_current(), event) ? event : 0;
}

void trace_trap(struct thread *t)
{
    struct process *p = t->process;
    int group = p->stopped ? p->group_stop_signal : 0;
    t->trace.pending &= (uint8_t) ~(TRACE_STOP | TRACE_NOTIFY | TRACE_GROUP);
    if (t->trace.seized) {
        int sig = group ? group : SIGTRAP;
        struct abi_siginfo info = trap_info(t, sig, sig | PTRACE_EVENT_STOP << 8);
        (void)trace_stop(t, info.si_code, CLD_STOPPED, 0, &info);
    } else if (group) {
        (void)trace_stop(t, group, CLD_STOPPED, 0, NULL);
    }
}

int trace_take_signal(struct thread *t, struct abi_siginfo *info)
{
    int was = info->si_signo, sig = trace_stop(t, was, CLD_TRAPPED, 0, info);
    if (!sig)
        return 0;
    if (sig != info->si_signo) {
        const struct thread *tracer = t->trace.tracer;
        *info = (struct abi_siginfo){ .si_signo = sig, .si_code = SI_USER };
        info->rt.si_pid = tracer ? tracer->process->pid : 0;
        info->rt.si_uid = tracer ? t->trace.cred->uid : 0;
    }
    if (t->sigmask & ABI_SIGBIT(sig)) {
        signal_send_locked(t, info); /* blocked: it waits */
        return 0;
    }
    return sig;
}

void trace_handler_entered(struct thread *t)
{
    (void)report(t, SIGTRAP, 0);
}

void trace_group_changed(struct thread *t, bool stops)
{
    struct trace *tr = &t->trace;
    if (!tr->seized) {
        tr->pending = (uint8_t)(stops ? tr->pending | TRACE_GROUP : tr->pending & ~TRACE_GROUP);
        return;
    }
    tr->pending |= TRACE_NOTIFY;
    thread_set_work(t, WORK_SIGNAL);
    if (tr->listening) {
        tr->stopped = tr->listening = false;
        tr->code = 0;
        signal_poke(t, 1u << THREAD_TRACED);
    } else {
        signal_poke(t, 1u << THREAD_SLEEPING);
    }
}

void trace_kill(struct process *p)
{
    struct thread *t;
    for (t = p->threads; t; t = t->next) {
        if (!t->trace.stopped)
            continue;
        t->trace.stopped = false;
        t->trace.code = 0;
        signal_poke(t, 1u << THREAD_TRACED);
    }
}

/* A system call's begin or end; the tracer may send a signal along. */
static void report_call(struct thread *t, unsigned long which)
{
    int good = t->trace.options & PTRACE_O_TRACESYSGOOD ? 0x80 : 0;
    int sig = report(t, SIGTRAP | good, which);
    if (sig) {
        struct abi_siginfo info = { .si_signo = sig, .si_code = SI_KERNEL };
        (void)signal_send_thread(t, &info); /* it ends: nobody to tell */
    }
}

/* What the tracer and the filters make of the call in the frame. */
static bool may_call(void)
{
    struct thread *t = thread_current();
    struct plat_frame *f = t->plat.frame;
    enum trace_mode mode = t->trace.mode;
    t->trace.in_call = true;
    if (t->dispatch.on && !dispatch_check(t))
        return false;
    plat_frame_set_ret(f, -ENOSYS);
    if (t->trace.tracer && mode != TRACE_RUN) {
        report_call(t, PTRACE_EVENTMSG_SYSCALL_ENTRY);
        if (mode == TRACE_EMULATE || t->plat.work & WORK_KILLED)
            return false;
    }
    if (t->seccomp.mode && !seccomp_check(t))
        return false;
    return plat_frame_nr(f) >= 0 && !(t->plat.work & WORK_KILLED);
}

bool trace_call_begin(unsigned long args[6], unsigned long *nr, long *ret)
{
    const struct plat_frame *f = thread_current()->plat.frame;
    bool go = may_call();
    *ret = plat_frame_ret(f);
    *nr = (unsigned long)plat_frame_nr(f);
    for (unsigned i = 0; go && i < 6; i++)
        args[i] = plat_frame_arg(f, i);
    return go;
}

long trace_call_end(long ret)
{
    struct thread *t = thread_current();
    struct plat_frame *f = t->plat.frame;
    plat_frame_set_ret(f, ret);
    if (t->trace.tracer && t->trace.step) {
        signal_fault(SIGTRAP, SI_USER, plat_frame_ip(f), 1,
                     0); /* the call was the one instruction */
        if (t->trace.mode == TRACE_CALLS)
            report_call(t, PTRACE_EVENTMSG_SYSCALL_EXIT);
    } else if (t->trace.tracer && t->trace.mode == TRACE_CALLS) {
        report_call(t, PTRACE_EVENTMSG_SYSCALL_EXIT);
    }
    t->trace.in_call = false;
    return plat_frame_ret(f);
}

void trace_late_end(struct plat_frame *f)
{
    (void)trace_call_end(plat_frame_ret(f)); /* it is in the frame */
}

void trace_update_calls(struct thread *t)
{
    bool on = (t->trace.tracer && (t->trace.mode != TRACE_RUN || t->trace.step)) ||
              t->seccomp.mode || t->dispatch.on;
    plat_thread_trap_calls(&t->plat, on);
}
