/* SPDX-License-Identifier: MIT */
/* Out of memory: the process whose death gives back most is killed, as its oom_score says (proc(5)). One at a time: while a
 * victim is on its way out, others that want memory wait for it. Process 1 counts like any other. */
#include "proc.h"

#include <abi/errno.h>
#include <abi/signal.h>
#include <base/log.h>
#include <libos/mm.h>
#include <libos/page.h>
#include <libos/process.h>
#include <libos/sched.h>
#include <libos/signal.h>
#include <libos/uring.h>
#include <libos/waitq.h>
#include <plat/time.h>
#include <utlist.h>

enum {
    NEVER = -1000,     /* oom_score_adj of those that are not killed */
    SHARERS = 16,      /* processes with one memory */
    WAIT_NS = 5000000, /* between two tries to get memory */
};
#define GRACE_NS (2 * NS_PER_SEC) /* for a victim, before another one is chosen */

static struct {
    struct spin lock;
    int pid; /* guarded by lock: the last victim, and when it was killed */
    uint64_t at_ns;
} last = { SPIN_INIT(RANK_FILE), 0, 0 };

/* The memory of p; NULL: none, or it goes already. p->sig_lock is held. */
static struct mm *memory_of(struct process *p)
{
    struct thread *t;
    DL_FOREACH(p->threads, t)
    if (!t->exiting && t->mm)
        return t->mm;
    return NULL;
}

static int64_t resident(const struct mm *mm)
{
    int64_t n = mm->rss_anon + mm->rss_file + mm->rss_shmem;
    return n > 0 ? n + n / 512 : 0; /* and what page tables it takes at least */
}

/* Pages of libOS that go with p, by what its threads wait for. p->sig_lock is held. */
static int64_t weight(const struct process *p)
{
    const struct thread *t;
    uint64_t bytes = 0;
    DL_FOREACH(p->threads, t)
    bytes += uring_weight(t);
    return (int64_t)(bytes >> PAGE_SHIFT);
}

static int64_t points(struct process *p, struct mm **ret_mm)
{
    int64_t adj = (int16_t)p->oom_score_adj, n = INT64_MIN;
    spin_lock(&p->sig_lock);
    struct mm *mm = p->exiting ? NULL : memory_of(p);
    if (mm && adj != NEVER)
        n = resident(mm) + weight(p) + adj * (int64_t)page_total_count() / 1000;
    spin_unlock(&p->sig_lock);
    *ret_mm = mm;
    return n;
}

int oom_score(struct process *p)
{
    struct mm *mm;
    spin_lock(&process_lock);
    int64_t n = points(p, &mm);
    spin_unlock(&process_lock);
    if (n == INT64_MIN)
        return 0;
    n = (1000 + n * 1000 / (int64_t)page_total_count()) * 2 / 3;
    return n > 0 ? (int)n : 0;
}

struct choice {
    struct mm *mm; /* only compared */
    int64_t points;
    struct process *victim[SHARERS]; /* a reference each; the chosen one first */
    size_t n;
};

static int consider(struct process *p, void *arg)
{
    struct choice *c = arg;
    struct mm *mm;
    int64_t n = points(p, &mm);
    if (n > c->points) {
        c->points = n;
        c->victim[0] = p;
        c->mm = mm;
        c->n = 1;
    }
    return 0;
}

static int consider_sharer(struct process *p, void *arg)
{
    struct choice *c = arg;
    struct mm *mm;
    (void)points(p, &mm);
    if (mm == c->mm && p != c->victim[0] && c->n < SHARERS)
        c->victim[c->n++] = p;
    return 0;
}

static void report(const struct process *p, int64_t rss)
{
    struct page_stats s;
    page_stats(&s);
    log_error("out of memory: killed process %d (%s): %lld KiB of its own, %llu of %llu KiB free, "
              "%llu KiB of files, %llu KiB of libOS",
              p->pid, p->leader ? p->leader->comm : "?", (long long)rss * 4,
              (unsigned long long)s.free * 4, (unsigned long long)s.total * 4,
              (unsigned long long)s.file * 4, (unsigned long long)s.kernel * 4);
}

/* Is the last victim still on its way out? */
static bool victim_goes(uint64_t now)
{
    spin_lock(&last.lock);
    int pid = now - last.at_ns < GRACE_NS ? last.pid : 0;
    spin_unlock(&last.lock);
    struct process *p = pid ? process_find(pid) : NULL;
    bool goes = p && !p->zombie;
    if (p)
        process_put(p);
    return goes;
}

static void choose_and_kill(void)
{
    uint64_t now = plat_time_ns();
    struct choice c = { .points = INT64_MIN };
    if (victim_goes(now))
        return;
    spin_lock(&process_lock);
    process_each(0, consider, &c);
    if (c.n)
        process_each(0, consider_sharer, &c);
    for (size_t i = 0; i < c.n; i++)
        process_get(c.victim[i]);
    int64_t rss = 0;
    if (c.n) {
        spin_lock(&c.victim[0]->sig_lock);
        struct mm *mm = memory_of(c.victim[0]);
        rss = mm ? resident(mm) : 0;
        spin_unlock(&c.victim[0]->sig_lock);
    }
    spin_unlock(&process_lock);
    if (!c.n) { /* none may be killed: then the one that asks, since the machine must live */
        c.victim[c.n++] = process_current();
        process_get(c.victim[0]);
    }
    spin_lock(&last.lock);
    last.pid = c.victim[0]->pid;
    last.at_ns = now;
    spin_unlock(&last.lock);
    report(c.victim[0], rss);
    while (c.n) {
        signal_kernel(c.victim[--c.n], SIGKILL);
        process_put(c.victim[c.n]);
    }
}

/* One at a time: two CPUs that run short of memory at once must not choose a victim each. */
static void kill_one(void)
{
    static _Atomic bool choosing;
    if (atomic_exchange(&choosing, true))
        return;
    choose_and_kill();
    atomic_store(&choosing, false);
}

bool oom_wait(void)
{
    struct thread *t = thread_current();
    if (t->process->exiting)
        return false;
    kill_one();
    if (t->process->exiting)
        return false;
    thread_prepare_sleep(SLEEP_KILLABLE);
    int err = thread_sleep(plat_time_ns() + WAIT_NS);
    thread_finish_sleep();
    return err != -EINTR;
}
