/* SPDX-License-Identifier: MIT */
/* POSIX timers: timer_create(2). Each expiry sends one signal; while that is pending, further ones are counted as overrun.
 * Timers on wall time follow clock_settime. Lock: sig_lock of the process; timer callbacks take it. */
#include "time_int.h"
#include <abi/errno.h>
#include <libos/heap.h>
#include <libos/process.h>
#include <libos/sched.h>
#include <libos/signal.h>
#include <libos/time.h>
#include <libos/waitq.h>
#include <plat/time.h>
#include <utlist.h>

enum { TIMERS_MAX = 4096, DELAY_MAX = INT32_MAX };

struct ktimer {
    struct ktimer *next, *prev; /* p->timers */
    struct process *p;
    int id, clockid;
    struct abi_sigevent event;
    struct thread *target; /* SIGEV_THREAD_ID: holds a reference */
    struct thread *timed;  /* whose CPU time it counts, if a thread's; a reference */
    struct timer timer;
    struct waiter clock_waiter; /* wall clocks: in clock_was_set() */
    uint64_t next_ns;           /* in the clock's time; 0: off */
    uint64_t interval_ns;
    uint32_t overrun;     /* expiries since the signal was sent */
    int32_t last_overrun; /* what timer_getoverrun says */
    bool absolute;        /* on a wall clock: moves when that is set */
    bool pending;         /* its signal has not been taken yet */
    bool on_cpu_time;
    bool gone;     /* not in the list any more: is not armed again */
    uint32_t refs; /* the list's, and of those who use it without the lock */
};

static bool is_cpu_clock(int clockid)
{
    return clockid < 0 || clockid == CLOCK_PROCESS_CPUTIME_ID || clockid == CLOCK_THREAD_CPUTIME_ID;
}

/* On a clock that leaves out libOS's time (bits 0 and 1 of the id are 1)? */
static bool counts_user_only(const struct ktimer *k)
{
    return k->clockid < 0 && (k->clockid & 3) == 1;
}

/* Count the expiries up to now, move next_ns on. How many. The lock is held. */
static uint64_t advance(struct ktimer *k, uint64_t now)
{
    if (!k->next_ns || k->next_ns > now)
        return 0;
    uint64_t n = 1;
    if (k->interval_ns) {
        n += (now - k->next_ns) / k->interval_ns;
        k->next_ns += n * k->interval_ns;
    } else {
        k->next_ns = 0;
    }
    return n;
}

static void arm(struct ktimer *k)
{
    uint64_t deadline;
    if (k->next_ns && !k->on_cpu_time && !clock_deadline(k->clockid, k->next_ns, &deadline))
        timer_start(&k->timer, deadline);
}

/* n expiries have happened. The lock is held; the signal is sent by the caller without it. True: send it. */
static bool expire(struct ktimer *k, uint64_t n)
{
    if (!n || k->event.sigev_notify == SIGEV_NONE)
        return false;
    if (k->pending) {
        k->overrun = k->overrun + n > DELAY_MAX ? DELAY_MAX : (uint32_t)(k->overrun + n);
        return false;
    }
    k->overrun = (uint32_t)(n - 1 > DELAY_MAX ? DELAY_MAX : n - 1);
    k->pending = true;
    return true;
}

static void notify(struct ktimer *k)
{
    struct abi_siginfo info = {
        .si_signo = k->event.sigev_signo,
        .si_code = SI_TIMER,
        .timer = { .si_tid = k->id, .si_value = k->event.sigev_value, .si_sys_private = k->id + 1 },
    };
    int err = k->target ? signal_send_thread(k->target, &info) : signal_send_process(k->p, &info);
    if (!err)
        return;
    spin_lock(&k->p->sig_lock);
    k->pending = false; /* the queue is full or the thread gone: the next expiry tries again */
    spin_unlock(&k->p->sig_lock);
}

static void fired(struct timer *timer)
{
    struct ktimer *k = CONTAINER_OF(timer, struct ktimer, timer);
    uint64_t now;
    if (clock_read(k->clockid, &now))
        return;
    spin_lock(&k->p->sig_lock);
    bool send = expire(k, advance(k, now));
    arm(k);
    spin_unlock(&k->p->sig_lock);
    if (send)
        notify(k);
}

/* The wall clock was set: absolute deadlines are somewhere else now. */
static bool clock_moved(struct waiter *w, unsigned events)
{
    struct ktimer *k = CONTAINER_OF(w, struct ktimer, clock_waiter);
    if (k->next_ns && k->absolute)
        timer_start(&k->timer, plat_time_ns()); /* look at once; arms itself again */
    return false;
}

static struct ktimer *find(struct process *p, int id)
{
    struct ktimer *k;
    DL_FOREACH(p->timers, k)
    if (k->id == id)
        return k;
    return NULL;
}

/* The same with a reference, for use without the lock. */
static struct ktimer *find_get(struct process *p, int id)
{
    spin_lock(&p->sig_lock);
    struct ktimer *k = find(p, id);
    if (k)
        k->refs++;
    spin_unlock(&p->sig_lock);
    return k;
}

static void put(struct ktimer *k)
{
    struct process *p = k->p;
    spin_lock(&p->sig_lock);
    bool last = --k->refs == 0;
    spin_unlock(&p->sig_lock);
    if (!last)
        return;
    if (k->clock_waiter.wake)
        waitq_remove(clock_was_set(), &k->clock_waiter);
    timer_stop(&k->timer);
    if (k->target)
        thread_put(k->target);
    if (k->timed)
        thread_put(k->timed);
    heap_free(k);
}

/* Which clock reading a CPU-time timer wants, whoever asks: those of threads are named by tid. */
static int own_clock(int clockid)
{
    if (clockid == CLOCK_PROCESS_CPUTIME_ID)
        clockid = (int)(~0u << 3 | 2);
    if (clockid == CLOCK_THREAD_CPUTIME_ID)
        clockid = (int)(~0u << 3 | 6);
    if (clockid >= 0 || ~(clockid >> 3)) /* names somebody */
        return clockid;
    int own = clockid & 4 ? thread_current()->tid : process_current()->pid;
    return (int)(~(unsigned)own << 3) | (clockid & 7);
}

static int check_event(const struct abi_sigevent *ev, struct thread **ret_target)
{
    int how = ev->sigev_notify;
    *ret_target = NULL;
    if (how != SIGEV_NONE && how != SIGEV_SIGNAL && how != SIGEV_THREAD &&
        how != (SIGEV_SIGNAL | SIGEV_THREAD_ID))
        return -EINVAL;
    if (how != SIGEV_NONE && (ev->sigev_signo < 1 || ev->sigev_signo > ABI_NSIG))
        return -EINVAL;
    if (!(how & SIGEV_THREAD_ID))
        return 0;
    struct thread *t = thread_find(ev->sigev_tid);
    if (t && t->process == process_current()) {
        *ret_target = t;
        return 0;
    }
    if (t)
        thread_put(t);
    return -EINVAL;
}

/* The lowest free id. sig_lock is held. */
static int free_id(const struct process *p)
{
    uint64_t used[TIMERS_MAX / 64] = { 0 };
    const struct ktimer *k;
    int at = 0;
    DL_FOREACH(p->timers, k)
    used[k->id / 64] |= 1ull << k->id % 64;
    while (at < TIMERS_MAX / 64 && !~used[at])
        at++;
    return at == TIMERS_MAX / 64 ? TIMERS_MAX : at * 64 + __builtin_ctzll(~used[at]);
}

/* Give k the lowest free id and put it into the list, where any thread can find and delete it from then on. The id, -EAGAIN. */
static int enlist(struct process *p, struct ktimer *k, bool own_value)
{
    spin_lock(&p->sig_lock);
    int id = free_id(p);
    if (id < TIMERS_MAX) {
        k->id = id;
        if (own_value)
            k->event.sigev_value.sival_int = id;
        DL_APPEND(p->timers, k);
    }
    spin_unlock(&p->sig_lock);
    return id < TIMERS_MAX ? id : -EAGAIN;
}

int ktimer_create(int clockid, const struct abi_sigevent *ev, int *ret_id)
{
    struct process *p = process_current();
    uint64_t now, deadline;
    struct thread *target;
    int err = clock_read(clockid, &now);
    if (err)
        return err;
    if (!is_cpu_clock(clockid) && clock_deadline(clockid, 0, &deadline))
        return -EOPNOTSUPP;
    err = ev ? check_event(ev, &target) : 0;
    if (err)
        return err;
    struct ktimer *k = heap_zalloc(sizeof(*k));
    if (!k) {
        if (ev && target)
            thread_put(target);
        return -EAGAIN;
    }
    k->p = p;
    k->refs = 1;
    k->clockid = own_clock(clockid);
    k->on_cpu_time = is_cpu_clock(clockid);
    if (k->clockid < 0 && k->clockid & 4)
        k->timed = thread_find(~(k->clockid >> 3)); /* NULL: it has ended, and counts no more */
    k->target = ev ? target : NULL;
    timer_init(&k->timer, fired);
    if (ev)
        k->event = *ev;
    else
        k->event = (struct abi_sigevent){ .sigev_signo = SIGALRM, .sigev_notify = SIGEV_SIGNAL };
    if (clock_is_settable(clockid)) {
        k->clock_waiter.wake = clock_moved;
        waitq_add_entry(clock_was_set(), &k->clock_waiter);
    }
    int id = enlist(p, k, !ev);
    if (id < 0) {
        put(k);
        return id;
    }
    *ret_id = id;
    return 0;
}

static void value_of(const struct ktimer *k, uint64_t now, uint64_t *ret_value,
                     uint64_t *ret_interval)
{
    uint64_t next = k->next_ns;
    *ret_interval = k->interval_ns;
    if (next && next <= now && k->interval_ns) /* due, not yet seen */
        next += (1 + (now - next) / k->interval_ns) * k->interval_ns;
    *ret_value = !next ? 0 : next > now ? next - now : k->event.sigev_notify == SIGEV_NONE ? 0 : 1;
}

int ktimer_settime(int id, unsigned flags, uint64_t value_ns, uint64_t interval_ns,
                   uint64_t *ret_value, uint64_t *ret_interval)
{
    struct process *p = process_current();
    uint64_t now = 0;
    struct ktimer *k = find_get(p, id);
    if (!k)
        return -EINVAL;
    if (clock_read(k->clockid, &now)) {
        put(k);
        return -EINVAL;
    }
    timer_stop(&k->timer); /* not under the lock, which the callback takes */
    spin_lock(&p->sig_lock);
    value_of(k, now, ret_value, ret_interval);
    k->absolute = flags & TIMER_ABSTIME;
    k->next_ns = !value_ns ? 0 : k->absolute ? value_ns : now + value_ns;
    k->interval_ns = interval_ns;
    k->pending = false;
    k->overrun = 0;
    k->last_overrun = 0;
    bool gone = k->gone, on_cpu_time = k->on_cpu_time;
    if (!gone)
        arm(k);
    spin_unlock(&p->sig_lock);
    put(k);
    if (on_cpu_time && value_ns)
        cpu_timers_changed(p);
    return gone ? -EINVAL : 0;
}

int ktimer_gettime(int id, uint64_t *ret_value, uint64_t *ret_interval)
{
    struct process *p = process_current();
    uint64_t now = 0;
    struct ktimer *k = find_get(p, id);
    if (!k)
        return -EINVAL;
    int err = clock_read(k->clockid, &now) ? -EINVAL : 0;
    spin_lock(&p->sig_lock);
    if (!err)
        value_of(k, now, ret_value, ret_interval);
    spin_unlock(&p->sig_lock);
    put(k);
    return err;
}

int ktimer_overrun(int id)
{
    struct process *p = process_current();
    spin_lock(&p->sig_lock);
    struct ktimer *k = find(p, id);
    int n = k ? k->last_overrun : -EINVAL;
    spin_unlock(&p->sig_lock);
    return n;
}

int ktimer_delete(int id)
{
    struct process *p = process_current();
    spin_lock(&p->sig_lock);
    struct ktimer *k = find(p, id);
    if (k) {
        DL_DELETE(p->timers, k);
        k->gone = true;
        k->next_ns = 0;
    }
    spin_unlock(&p->sig_lock);
    if (!k)
        return -EINVAL;
    timer_stop(&k->timer); /* it does not fire after this, whoever else still uses k */
    put(k);
    return 0;
}

void ktimer_taken(struct process *p, struct abi_siginfo *info)
{
    struct ktimer *k = find(p, info->timer.si_sys_private - 1);
    info->timer.si_sys_private = 0;
    if (!k)
        return;
    k->pending = false;
    k->last_overrun = (int32_t)k->overrun;
    info->timer.si_overrun = k->last_overrun;
    k->overrun = 0;
}

/* What k's clock says when the process has had *cpu. sig_lock is held. */
static uint64_t cpu_now(const struct ktimer *k, const struct cpu_told *cpu)
{
    if (k->clockid &
        4) /* one that leaves libOS's time out fires early: a thread's is not told apart here */
        return k->timed ? sched_cpu_ns(k->timed) : 0;
    return cpu->user_ns + (counts_user_only(k) ? 0 : cpu->system_ns);
}

/* One timer that is due, with a reference; NULL: none, and *ret_wait is the CPU time until there is. */
static struct ktimer *cpu_due(struct process *p, const struct cpu_told *cpu, uint64_t *ret_wait)
{
    struct ktimer *k, *due = NULL;
    *ret_wait = UINT64_MAX;
    spin_lock(&p->sig_lock);
    DL_FOREACH(p->timers, k)
    {
        if (!k->on_cpu_time || !k->next_ns)
            continue;
        uint64_t now = cpu_now(k, cpu);
        if (expire(k, advance(k, now))) {
            due = k;
            k->refs++;
            break;
        }
        if (k->next_ns) {
            uint64_t wait = k->next_ns > now ? k->next_ns - now : 0;
            *ret_wait = wait < *ret_wait ? wait : *ret_wait;
        }
    }
    spin_unlock(&p->sig_lock);
    return due;
}

uint64_t ktimer_cpu_check(struct process *p, const struct cpu_told *cpu)
{
    struct ktimer *k;
    uint64_t wait;
    while ((k = cpu_due(p, cpu, &wait))) {
        notify(k);
        put(k);
    }
    return wait;
}

void ktimer_exit(struct process *p)
{
    struct ktimer *k;
    spin_lock(&p->sig_lock); /* another CPU may be looking for timers on CPU time that are due */
    while ((k = p->timers)) {
        DL_DELETE(p->timers, k);
        k->gone = true;
        k->next_ns = 0;
        spin_unlock(&p->sig_lock);
        put(k);
        spin_lock(&p->sig_lock);
    }
    spin_unlock(&p->sig_lock);
}
