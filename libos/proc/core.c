/* SPDX-License-Identifier: MIT */
/* The process's side of a core dump: the thread that dies has all others of its process wait, with their registers as they
 * left ring 3, until the core file is written; then all of them end. Lock: sig_lock for p->core_*. core(5). */
#include "proc.h"
#include <abi/sched.h>
#include <libos/mm.h>
#include <utlist.h>

/* Is t one of the threads that the dump of its process waits for, or has? sig_lock is held. */
static bool takes_part(const struct thread *t)
{
    return t != t->process->core_dumper && !t->is_worker && (t->core_parked || !t->exiting);
}

bool core_dump(const struct abi_siginfo *info)
{
    struct thread *t = thread_current(), *other;
    struct process *p = t->process;
    uint64_t limit = process_limit(p, RLIMIT_CORE);
    if (!t->mm->dumpable || limit < PAGE_SIZE)
        return false;
    spin_lock(&p->sig_lock);
    bool may = !p->exiting;
    if (may) {
        p->core_dumper = t;
        p->core_killed = false;
        p->core_left = 0;
        DL_FOREACH(p->threads, other)
        p->core_left += takes_part(other);
        process_begin_exit(p, info->si_signo);
        thread_clear_work(t, WORK_KILLED); /* this one still sleeps on locks and on the disk */
    }
    spin_unlock(&p->sig_lock);
    if (!may)
        return false;
    (void)WAIT_EVENT(&p->exit_wait, SLEEP_UNINTERRUPTIBLE, NO_DEADLINE,
                     *(const volatile uint32_t *)&p->core_left == 0); /* cannot be interrupted */
    bool written = core_write(info, limit);
    spin_lock(&p->sig_lock);
    p->exit_code = info->si_signo | (written ? WCOREFLAG : 0);
    p->core_dumper = NULL;
    spin_unlock(&p->sig_lock);
    waitq_wake(&p->exit_wait, WAITQ_ALL, 0);
    return written;
}

void core_park(struct thread *t)
{
    struct process *p = t->process;
    while (UNLIKELY(p->core_dumper) && p->core_dumper != t && !t->is_worker) {
        bool last = !t->core_parked && --p->core_left == 0;
        t->core_parked = true;
        spin_unlock(&p->sig_lock);
        if (last)
            waitq_wake(&p->exit_wait, WAITQ_ALL, 0);
        (void)WAIT_EVENT(&p->exit_wait, SLEEP_UNINTERRUPTIBLE, NO_DEADLINE,
                         !*(struct thread *const volatile *)&p->core_dumper); /* as above */
        spin_lock(&p->sig_lock);
    }
}

size_t core_threads(struct thread **ret, size_t max)
{
    struct process *p = process_current();
    struct thread *t;
    size_t n = 0;
    spin_lock(&p->sig_lock);
    DL_FOREACH(p->threads, t)
    if (n < max && t->core_parked)
        ret[n++] = t;
    spin_unlock(&p->sig_lock);
    return n;
}

bool core_interrupted(void)
{
    return *(const volatile bool *)&process_current()->core_killed;
}
