/* SPDX-License-Identifier: MIT */
/* Sending signals: what is ignored, what is queued, who is woken. signal(7), sigqueue(3); Linux where POSIX leaves a
 * choice. Lock: a process's sig_lock guards everything pending of it and its threads; the sighand's its actions, which
 * processes can share. */
#include "proc.h"
#include "trace_int.h"
#include <abi/errno.h>
#include <abi/prctl.h>
#include <libos/heap.h>
#include <libos/sched.h>
#include <libos/time.h>
#include <plat/cpu.h>
#include <string.h>
#include <utlist.h>

static struct slab queue_slab = SLAB_INIT("sigqueue", struct sigqueue);
static struct slab sighand_slab = SLAB_INIT("sighand", struct sighand);

#define STOP_SIGNALS                                                                               \
    (ABI_SIGBIT(SIGSTOP) | ABI_SIGBIT(SIGTSTP) | ABI_SIGBIT(SIGTTIN) | ABI_SIGBIT(SIGTTOU))
#define IGNORED_BY_DEFAULT                                                                         \
    (ABI_SIGBIT(SIGCHLD) | ABI_SIGBIT(SIGCONT) | ABI_SIGBIT(SIGURG) | ABI_SIGBIT(SIGWINCH))
#define CORE_SIGNALS                                                                               \
    (ABI_SIGBIT(SIGQUIT) | ABI_SIGBIT(SIGILL) | ABI_SIGBIT(SIGTRAP) | ABI_SIGBIT(SIGABRT) |        \
     ABI_SIGBIT(SIGFPE) | ABI_SIGBIT(SIGSEGV) | ABI_SIGBIT(SIGBUS) | ABI_SIGBIT(SIGSYS) |          \
     ABI_SIGBIT(SIGXCPU) | ABI_SIGBIT(SIGXFSZ))

const char *signal_name(int sig)
{
    static const char names[32][10] = {
        "0",         "SIGHUP",  "SIGINT",    "SIGQUIT", "SIGILL",   "SIGTRAP", "SIGABRT", "SIGBUS",
        "SIGFPE",    "SIGKILL", "SIGUSR1",   "SIGSEGV", "SIGUSR2",  "SIGPIPE", "SIGALRM", "SIGTERM",
        "SIGSTKFLT", "SIGCHLD", "SIGCONT",   "SIGSTOP", "SIGTSTP",  "SIGTTIN", "SIGTTOU", "SIGURG",
        "SIGXCPU",   "SIGXFSZ", "SIGVTALRM", "SIGPROF", "SIGWINCH", "SIGIO",   "SIGPWR",  "SIGSYS",
    };
    return sig >= 0 && sig < 32 ? names[sig] : "SIGRT";
}

bool signal_ignored_by_default(int sig)
{
    return IGNORED_BY_DEFAULT & ABI_SIGBIT(sig);
}

bool signal_stops_by_default(int sig)
{
    return STOP_SIGNALS & ABI_SIGBIT(sig);
}

bool signal_dumps_by_default(int sig)
{
    return CORE_SIGNALS & ABI_SIGBIT(sig);
}

struct sighand *sighand_create(void)
{
    struct sighand *s = slab_alloc(&sighand_slab);
    if (!s)
        return NULL;
    memset(s, 0, sizeof(*s));
    s->refs = 1;
    spin_init(&s->lock, RANK_SIGHAND);
    return s;
}

int sighand_copy(struct sighand *src, bool clear_handlers, struct sighand **ret_sighand)
{
    struct sighand *s = sighand_create();
    if (!s)
        return -ENOMEM;
    spin_lock(&src->lock);
    s->touched = src->touched;
    memcpy(s->action, src->action, sizeof(s->action));
    spin_unlock(&src->lock);
    for (int i = 0; clear_handlers && i < ABI_NSIG; i++)
        if (s->action[i].handler != ABI_SIG_IGN)
            s->action[i] = (struct abi_sigaction){ 0 };
    *ret_sighand = s;
    return 0;
}

struct sighand *sighand_get(struct sighand *s)
{
    s->refs++;
    return s;
}

uintptr_t sighand_handler(const struct sighand *s, int sig)
{
    return __atomic_load_n(&s->action[sig - 1].handler, __ATOMIC_RELAXED);
}

void sighand_get_action(struct sighand *s, int sig, struct abi_sigaction *ret)
{
    spin_lock(&s->lock);
    *ret = s->action[sig - 1];
    spin_unlock(&s->lock);
}

void sighand_set_default(struct sighand *s, int sig)
{
    spin_lock(&s->lock);
    s->action[sig - 1].handler = ABI_SIG_DFL;
    spin_unlock(&s->lock);
}

void sighand_put(struct sighand *s)
{
    if (!--s->refs)
        slab_free(&sighand_slab, s);
}

/* One more signal queued for u, which stays there as long; false: p may not have as many. In line, as each signal comes here. */
static ALWAYS_INLINE bool charge(struct process *p, struct account *u, bool always)
{
    uint64_t n = atomic_fetch_add(&u->counts[ACCOUNT_SIGNALS], 1) + 1;
    if (UNLIKELY(!always) && n > process_limit(p, RLIMIT_SIGPENDING)) {
        account_uncharge(u, ACCOUNT_SIGNALS, 1);
        return false;
    }
    u->refs++;
    return true;
}

static ALWAYS_INLINE void uncharge(struct account *u)
{
    atomic_fetch_sub(&u->counts[ACCOUNT_SIGNALS], 1);
    uint32_t refs = u->refs;
    if (UNLIKELY(refs == 1 || !atomic_compare_exchange_strong(&u->refs, &refs, refs - 1)))
        account_put(u);
}

static ALWAYS_INLINE void queue_free(struct sigqueue *e)
{
    uncharge(e->account);
    slab_free(&queue_slab, e);
}

void sigpending_clear(struct sigpending *q)
{
    struct sigqueue *e, *next;
    DL_FOREACH_SAFE(q->queue, e, next)
    {
        DL_DELETE(q->queue, e);
        queue_free(e);
    }
    q->set = 0;
}

/* Remove all of set from q. */
void sigpending_flush(struct sigpending *q, uint64_t set)
{
    struct sigqueue *e, *next;
    if (!(q->set & set))
        return;
    DL_FOREACH_SAFE(q->queue, e, next)
    {
        if (ABI_SIGBIT(e->sig) & set) {
            DL_DELETE(q->queue, e);
            queue_free(e);
        }
    }
    q->set &= ~set;
}

static void flush_all(struct process *p, uint64_t set)
{
    struct thread *t;
    sigpending_flush(&p->pending, set);
    DL_FOREACH(p->threads, t)
    sigpending_flush(&t->pending, set);
}

/* Take one sig, which is in q->set, out of q. Of *ret the first SIGINFO_KEPT bytes are written: without a queued one the number
 * alone. */
static ALWAYS_INLINE void take(struct sigpending *q, int sig, struct abi_siginfo *ret)
{
    struct sigqueue *e, *found = NULL;
    bool more = false;
    DL_FOREACH(q->queue, e)
    {
        if (e->sig != sig)
            continue;
        more = found != NULL;
        if (more)
            break;
        found = e;
        if (sig < ABI_SIGRTMIN)
            break; /* never twice */
    }
    if (!more)
        q->set &= ~ABI_SIGBIT(sig);
    if (!found) { /* it could not be queued when it was sent */
        memset(ret, 0, SIGINFO_KEPT);
        ret->si_signo = sig;
        return;
    }
    memcpy(ret, found->info, SIGINFO_KEPT);
    DL_DELETE(q->queue, found);
    queue_free(found);
}

/* The next of set that is pending for t: faults first, then its own, then the process's; lowest number first. 0: none. */
static ALWAYS_INLINE int next_signal(const struct thread *t, uint64_t set)
{
    uint64_t own = t->pending.set & set;
    if (own)
        return __builtin_ctzll(own & SYNCHRONOUS ? own & SYNCHRONOUS : own) + 1;
    set &= t->process->pending.set;
    return set ? __builtin_ctzll(set) + 1 : 0;
}

int signal_dequeue(struct thread *t, uint64_t set, struct abi_siginfo *ret)
{
    int sig = next_signal(t, set);
    if (!sig)
        return 0;
    take(t->pending.set & ABI_SIGBIT(sig) ? &t->pending : &t->process->pending, sig, ret);
    if (UNLIKELY(ret->si_code == SI_TIMER) && ret->timer.si_sys_private)
        ktimer_taken(t->process, ret);
    return sig;
}

void signal_poke(struct thread *t, unsigned states)
{
    if (t == thread_current() && t->state == THREAD_RUNNING)
        return; /* it looks on its way out */
    if (!thread_wake_state(t, states) && t->on_cpu && t->cpu != plat_cpu_id())
        plat_cpu_kick(t->cpu);
}

void process_begin_exit(struct process *p, int status)
{
    struct thread *t;
    if (p->exiting)
        return;
    p->exiting = true;
    p->exit_code = status;
    p->stopped = false;
    DL_FOREACH(p->threads, t)
    {
        thread_set_work(t, WORK_KILLED);
        if (t != thread_current())
            signal_poke(t, 1u << THREAD_SLEEPING | 1u << THREAD_KILLABLE | 1u << THREAD_STOPPED |
                               1u << THREAD_TRACED);
    }
}

static bool is_fatal(const struct sighand *sh, int sig)
{
    return UNLIKELY(sighand_handler(sh, sig) == ABI_SIG_DFL) &&
           !(ABI_SIGBIT(sig) & (IGNORED_BY_DEFAULT | STOP_SIGNALS));
}

static bool wants(const struct thread *t, int sig)
{
    if (t->exiting || sig == SIGKILL)
        return !t->exiting;
    return !t->trace.stopped && !t->is_worker &&
           (sig == SIGSTOP || !(t->sigmask & ABI_SIGBIT(sig)));
}

/* Who of p is to take sig: first choice is the thread asked for, then an undisturbed one, then any. */
static struct thread *choose(struct process *p, struct thread *first, int sig)
{
    struct thread *t, *any = NULL;
    if (first && wants(first, sig))
        return first;
    DL_FOREACH(p->threads, t)
    {
        if (!wants(t, sig))
            continue;
        if (!(t->plat.work & WORK_SIGNAL))
            return t;
        any = any ? any : t;
    }
    return any;
}

/* Somebody may wait for it although it is blocked. */
static void wake_waiting(struct process *p, struct thread *only, int sig)
{
    struct thread *t;
    if (waitq_active(&p->signal_wait))
        waitq_wake(&p->signal_wait, WAITQ_ALL, 1 /* EPOLLIN */);
    for (t = only ? only : p->threads; t; t = only ? NULL : t->next)
        if (t->wait_set & ABI_SIGBIT(sig))
            thread_wake_state(t, 1u << THREAD_SLEEPING);
}

/* sig is pending: make the thread that shall take it do so. only: it alone may. */
static void notify(struct process *p, struct thread *only, int sig)
{
    wake_waiting(p, only, sig);
    struct thread *t = only ? (wants(only, sig) ? only : NULL) : choose(p, p->leader, sig);
    if (!t)
        return;
    if (sig == SIGKILL ||
        (is_fatal(p->sighand, sig) && !signal_dumps_by_default(sig) && !t->trace.tracer)) {
        process_begin_exit(p, sig);
        return;
    }
    thread_set_work(t, WORK_SIGNAL);
    signal_poke(t, 1u << THREAD_SLEEPING);
}

void signal_retarget(struct thread *leaving, uint64_t set)
{
    struct process *p = leaving->process;
    set &= p->pending.set;
    for (int sig = 1; set && sig <= ABI_NSIG; sig++) {
        if (!(set & ABI_SIGBIT(sig)))
            continue;
        struct thread *t = choose(p, NULL, sig);
        if (t && t != leaving) {
            thread_set_work(t, WORK_SIGNAL);
            signal_poke(t, 1u << THREAD_SLEEPING);
        }
    }
}

/* What SIGCONT and the stop signals do at the moment they are sent, whether blocked, ignored or caught. */
static void job_control(struct process *p, int sig)
{
    struct thread *t;
    if (signal_stops_by_default(sig)) {
        flush_all(p, ABI_SIGBIT(SIGCONT));
    } else if (sig == SIGCONT) {
        flush_all(p, STOP_SIGNALS);
        p->stop_due = false; /* nor one that was taken a moment ago */
        if (!p->stopped)
            return;
        p->stopped = false;
        p->continued = true;
        DL_FOREACH(p->threads, t)
        {
            if (t->trace.tracer)
                trace_group_changed(t, false);
            signal_poke(t, 1u << THREAD_STOPPED);
        }
    }
}

static bool is_ignored(struct process *p, struct thread *t, int sig)
{
    uintptr_t h = sighand_handler(p->sighand, sig);
    if (t->trace.tracer && sig != SIGKILL)
        return false; /* the tracer sees it */
    if (h != ABI_SIG_IGN && !(h == ABI_SIG_DFL && signal_ignored_by_default(sig)))
        return false;
    return !((t->sigmask | t->wait_set) & ABI_SIGBIT(sig));
}

/* Whose queue room p's signals take. sig_lock is held. */
static struct account *whose(const struct process *p)
{
    const struct thread *t = p->leader ? p->leader : p->threads;
    return t->cred->account;
}

/* Put info into q. 0, -EAGAIN: a real-time signal cannot be queued. */
static int queue_info(struct process *p, struct sigpending *q, const struct abi_siginfo *info)
{
    int sig = info->si_signo;
    struct account *u = whose(p);
    /* The old signals are queued at any rate when they come from kill(2) or from libOS. */
    bool always = sig < ABI_SIGRTMIN && info->si_code >= 0;
    struct sigqueue *e = NULL;
    if (LIKELY(charge(p, u, always)) && UNLIKELY(!(e = slab_alloc(&queue_slab))))
        uncharge(u);
    if (LIKELY(e != NULL)) {
        memcpy(e->info, info, SIGINFO_KEPT);
        e->account = u;
        DL_APPEND(q->queue, e);
    } else if (sig >= ABI_SIGRTMIN && info->si_code != SI_USER) {
        return -EAGAIN;
    }
    q->set |= ABI_SIGBIT(sig);
    return 0;
}

/* Send to p, or to t of it alone. sig_lock is held. */
static int send(struct process *p, struct thread *t, const struct abi_siginfo *info)
{
    int sig = info->si_signo;
    struct thread *judge = t ? t : p->leader ? p->leader : p->threads;
    job_control(p, sig);
    if (sig == SIGKILL && p->exiting) {
        p->core_killed = true;
        trace_kill(p);
    }
    if (!judge || p->exiting || is_ignored(p, judge, sig))
        return 0;
    struct sigpending *q = t ? &t->pending : &p->pending;
    if (sig < ABI_SIGRTMIN && q->set & ABI_SIGBIT(sig))
        return 0;
    int err = queue_info(p, q, info);
    if (!err)
        notify(p, t, sig);
    return err;
}

int signal_send_thread(struct thread *t, const struct abi_siginfo *info)
{
    struct process *p = t->process;
    if (!p)
        return -ESRCH; /* a libOS thread */
    spin_lock(&p->sig_lock);
    int err = t->exiting ? -ESRCH : send(p, t, info);
    spin_unlock(&p->sig_lock);
    return err;
}

int signal_send_process(struct process *p, const struct abi_siginfo *info)
{
    spin_lock(&p->sig_lock);
    int err = send(p, NULL, info);
    spin_unlock(&p->sig_lock);
    return err;
}

void signal_kernel(struct process *p, int sig)
{
    struct abi_siginfo info = { .si_signo = sig, .si_code = SI_KERNEL };
    (void)signal_send_process(p, &info); /* has ended: nobody to tell */
}

struct group_send {
    const struct abi_siginfo *info;
    bool found;
};

static int send_one(struct process *p, void *arg)
{
    struct group_send *g = arg;
    g->found = true;
    (void)signal_send_process(p, g->info); /* a full queue loses it, as on Linux */
    return 0;
}

int signal_send_group(int pgid, const struct abi_siginfo *info)
{
    struct group_send g = { .info = info };
    spin_lock(&process_lock);
    process_each(pgid, send_one, &g);
    spin_unlock(&process_lock);
    return g.found ? 0 : -ESRCH;
}

void signal_send_locked(struct thread *t, const struct abi_siginfo *info)
{
    (void)send(t->process, t, info); /* it ends: nobody to tell */
}

void signal_fault(int sig, int code, uintptr_t addr, unsigned long trap_nr,
                  unsigned long trap_error)
{
    struct thread *t = thread_current();
    struct abi_siginfo info = { .si_signo = sig, .si_code = code, .fault.si_addr = addr };
    if (sig == SIGBUS && code == BUS_MCEERR_AR)
        info.fault.si_addr_lsb = PAGE_SHIFT;
    t->fault_addr = addr;
    t->trap_nr = trap_nr;
    t->trap_error = trap_error;
    signal_force_info(t, &info, false);
}

void signal_force_info(struct thread *t, const struct abi_siginfo *info, bool fatal)
{
    int sig = info->si_signo;
    spin_lock(&t->process->sig_lock);
    if (fatal || sighand_handler(t->sighand, sig) == ABI_SIG_IGN || t->sigmask & ABI_SIGBIT(sig)) {
        sighand_set_default(t->sighand, sig); /* a fault cannot wait: the program dies of it */
        t->sigmask &= ~ABI_SIGBIT(sig);
    }
    if (!t->process->exiting && !(t->pending.set & ABI_SIGBIT(sig)) &&
        !queue_info(t->process, &t->pending, info))
        thread_set_work(t, WORK_SIGNAL);
    spin_unlock(&t->process->sig_lock);
}

/* kill(2): real or effective user id against real or saved one, or the capability, or SIGCONT within the session. */
static int permit(struct process *p, const struct cred *target, int sig)
{
    const struct cred *c = thread_current()->cred;
    return c->euid == target->suid || c->euid == target->uid || c->uid == target->suid ||
                   c->uid == target->uid || cred_capable(CAP_KILL) ||
                   (sig == SIGCONT && p->sid == process_current()->sid)
               ? 0
               : -EPERM;
}

int signal_permission_thread(struct thread *t, int sig)
{
    if (!t->process || t->process == process_current())
        return 0;
    spin_lock(&t->process->sig_lock);
    int err = permit(t->process, t->cred, sig);
    spin_unlock(&t->process->sig_lock);
    return err;
}

int signal_permission(struct process *p, int sig)
{
    if (p == process_current())
        return 0;
    spin_lock(&p->sig_lock);
    const struct thread *t = p->leader ? p->leader : p->threads ? p->threads : p->ended_leader;
    int err = t ? permit(p, t->cred, sig) : 0;
    spin_unlock(&p->sig_lock);
    return err;
}
