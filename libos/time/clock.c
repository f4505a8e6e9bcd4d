/* SPDX-License-Identifier: MIT */
/* Clocks. CLOCK_MONOTONIC is plat_time_ns(); CLOCK_REALTIME is that plus an offset which only clock_settime changes; the
 * vDSO's page has the same two facts. clock_gettime(2). Lock: clock_lock for changes, seq for readers in ring 3. */
#include <abi/errno.h>
#include <base/log.h>
#include <libos/page.h>
#include <libos/process.h>
#include <libos/sched.h>
#include <libos/time.h>
#include <libos/timer.h>
#include <libos/vdso.h>
#include <libos/waitq.h>
#include <plat/time.h>
#include <plat/upcall.h>

static struct spin clock_lock = SPIN_INIT(RANK_TIMER);
static _Atomic uint64_t offset_ns;   /* CLOCK_REALTIME - CLOCK_MONOTONIC */
static uint64_t platform_wall;       /* the same as the platform last said; guarded by clock_lock */
static struct abi_timezone timezone; /* guarded by clock_lock */
static struct waitq was_set = { .lock = SPIN_INIT(RANK_WAITQ) };
static struct vdso_data *vvar;
static struct page *vvar_page;

uint64_t clock_realtime_offset(void)
{
    return atomic_load_explicit(&offset_ns, memory_order_relaxed);
}

struct waitq *clock_was_set(void)
{
    return &was_set;
}

paddr_t vdso_data_page(void)
{
    return page_addr(vvar_page);
}

/* Bring the vDSO's page up to date. clock_lock is held. */
static void publish(void)
{
    struct plat_clock c;
    plat_clock(&c);
    uint64_t real = c.ns_base + clock_realtime_offset();
    atomic_fetch_add(&vvar->begun, 1);
    /* Release: what is written is not seen before begun, nor after done. */
    atomic_thread_fence(memory_order_release);
    vvar->usable = c.usable;
    vvar->tsc_base = c.tsc_base;
    vvar->mult = c.mult;
    vvar->cpu_by = c.cpu_by;
    for (int i = 0; i < VDSO_CLOCKS; i++)
        vvar->offset[i] =
            i == CLOCK_REALTIME || i == CLOCK_REALTIME_COARSE || i == CLOCK_TAI ? real : c.ns_base;
    vvar->tz_minuteswest = timezone.tz_minuteswest;
    vvar->tz_dsttime = timezone.tz_dsttime;
    atomic_thread_fence(memory_order_release);
    if (c.usable)
        atomic_store(&vvar->done, vvar->begun);
}

void time_init(void)
{
    uint64_t wall = plat_wall_at_boot_ns();
    vvar_page = page_alloc(0, PAGE_KERNEL, PAGE_ZERO);
    must(vvar_page);
    vvar = page_ptr(vvar_page);
    atomic_store(&offset_ns, wall);
    platform_wall = wall;
    spin_lock(&clock_lock);
    publish();
    spin_unlock(&clock_lock);
}

void clock_set_realtime(uint64_t realtime_ns)
{
    spin_lock(&clock_lock);
    atomic_store(&offset_ns, realtime_ns - plat_time_ns());
    publish();
    spin_unlock(&clock_lock);
    waitq_wake(&was_set, WAITQ_ALL, 0);
}

void clock_resumed(void)
{
    uint64_t doubt, now = plat_wall_again_ns(&doubt);
    spin_lock(&clock_lock);
    int64_t step = now ? (int64_t)(now - platform_wall) : 0;
    /* Two readings, each off by as much. */
    if ((step < 0 ? -step : step) <= (int64_t)(2 * doubt)) {
        spin_unlock(&clock_lock);
        return;
    }
    platform_wall = now;
    atomic_fetch_add(&offset_ns, (uint64_t)step);
    publish();
    spin_unlock(&clock_lock);
    log_info("clock: wall time goes on %s by %lu ms", step < 0 ? "earlier" : "later",
             (unsigned long)((step < 0 ? -step : step) / 1000000));
    waitq_wake(&was_set, WAITQ_ALL, 0);
}

void upcall_clock_changed(void)
{
    spin_lock(&clock_lock);
    publish();
    spin_unlock(&clock_lock);
}

void clock_set_timezone(const struct abi_timezone *tz)
{
    spin_lock(&clock_lock);
    timezone = *tz;
    publish();
    spin_unlock(&clock_lock);
}

struct abi_timezone clock_timezone(void)
{
    spin_lock(&clock_lock);
    struct abi_timezone tz = timezone;
    spin_unlock(&clock_lock);
    return tz;
}

enum { KIND_PROF, KIND_VIRTUAL, KIND_RUN };

/* CPU time of t, or with NULL of all of p, of this kind. */
static uint64_t cpu_time(struct process *p, struct thread *t, int kind)
{
    struct cpu_told cpu;
    if (kind != KIND_VIRTUAL)
        return t ? sched_cpu_ns(t) : process_cpu_ns(p);
    if (t)
        thread_cpu_split(t, &cpu);
    else
        process_cpu_split(p, &cpu);
    return cpu.user_ns;
}

/* The CPU-time clock of a process or thread: the id is ~pid << 3, bit 2 for threads, bits 0 and 1 the kind (2: run time; 0
 * and 1: what ITIMER_PROF and ITIMER_VIRTUAL count). */
static int read_cpu_clock(int clockid, uint64_t *ret_ns)
{
    int pid = ~(clockid >> 3);
    if ((clockid & 3) == 3)
        return -EINVAL;
    if (clockid & 4) {
        struct thread *t = pid ? thread_find(pid) : thread_current();
        int err = t && t->process == process_current() ? 0 : -EINVAL;
        if (!err)
            *ret_ns = cpu_time(NULL, t, clockid & 3);
        if (t && pid)
            thread_put(t);
        return err;
    }
    struct process *p = pid ? process_find(pid) : process_current();
    if (!p)
        return -EINVAL;
    *ret_ns = cpu_time(p, NULL, clockid & 3);
    if (pid)
        process_put(p);
    return 0;
}

int clock_read(int clockid, uint64_t *ret_ns)
{
    switch (clockid) {
    case CLOCK_MONOTONIC:
    case CLOCK_MONOTONIC_RAW:
    case CLOCK_MONOTONIC_COARSE:
    case CLOCK_BOOTTIME:
    case CLOCK_BOOTTIME_ALARM:
        *ret_ns = plat_time_ns();
        return 0;
    case CLOCK_REALTIME:
    case CLOCK_REALTIME_COARSE:
    case CLOCK_REALTIME_ALARM:
    case CLOCK_TAI:
        *ret_ns = plat_time_ns() + clock_realtime_offset();
        return 0;
    case CLOCK_PROCESS_CPUTIME_ID:
        *ret_ns = process_cpu_ns(process_current());
        return 0;
    case CLOCK_THREAD_CPUTIME_ID:
        *ret_ns = sched_cpu_ns(thread_current());
        return 0;
    default:
        return clockid < 0 ? read_cpu_clock(clockid, ret_ns) : -EINVAL;
    }
}

int clock_resolution(int clockid, uint64_t *ret_ns)
{
    uint64_t now;
    int err = clock_read(clockid, &now);
    if (err)
        return err;
    *ret_ns = clockid == CLOCK_REALTIME_COARSE || clockid == CLOCK_MONOTONIC_COARSE ? 4000000 : 1;
    return 0;
}

bool clock_is_settable(int clockid)
{
    return clockid == CLOCK_REALTIME || clockid == CLOCK_REALTIME_ALARM || clockid == CLOCK_TAI;
}

int clock_deadline(int clockid, uint64_t ns, uint64_t *ret_deadline_ns)
{
    switch (clockid) {
    case CLOCK_MONOTONIC:
    case CLOCK_BOOTTIME:
    case CLOCK_BOOTTIME_ALARM:
        *ret_deadline_ns = ns;
        return 0;
    case CLOCK_REALTIME:
    case CLOCK_REALTIME_ALARM:
    case CLOCK_TAI: {
        uint64_t offset = clock_realtime_offset();
        *ret_deadline_ns = ns == NO_DEADLINE ? ns : ns > offset ? ns - offset : 0;
        return 0;
    }
    default:
        return -EINVAL;
    }
}

int timespec_to_ns(const struct abi_timespec *ts, uint64_t *ret_ns)
{
    if (ts->tv_sec < 0 || ts->tv_nsec < 0 || ts->tv_nsec >= (int64_t)NS_PER_SEC)
        return -EINVAL;
    if (ts->tv_sec >= INT64_MAX / (int64_t)NS_PER_SEC)
        *ret_ns = INT64_MAX;
    else
        *ret_ns = (uint64_t)ts->tv_sec * NS_PER_SEC + (uint64_t)ts->tv_nsec;
    return 0;
}

struct abi_timespec timespec_of(uint64_t ns)
{
    return (struct abi_timespec){ (int64_t)(ns / NS_PER_SEC), (int64_t)(ns % NS_PER_SEC) };
}

/* Sleep until the wall clock shows deadline_ns, looking again when it is set. */
static int sleep_wall(int clockid, uint64_t deadline_ns)
{
    struct waiter w;
    uint64_t deadline;
    int err = 0;
    waitq_add(&was_set, &w);
    do {
        thread_prepare_sleep(SLEEP_INTERRUPTIBLE);
        err = clock_deadline(clockid, deadline_ns, &deadline);
        if (!err)
            err = thread_sleep(deadline);
    } while (!err);
    thread_finish_sleep();
    waitq_remove(&was_set, &w);
    return err;
}

/* Sleep until a CPU-time clock shows deadline_ns: others make it go on, so look now and then. */
static int sleep_cpu(int clockid, uint64_t deadline_ns)
{
    uint64_t now;
    for (;;) {
        if (clock_read(clockid, &now) || now >= deadline_ns)
            return -ETIMEDOUT;
        uint64_t until =
            plat_time_ns() + (deadline_ns - now < 1000000 ? 1000000 : deadline_ns - now);
        int err;
        while (thread_prepare_sleep(SLEEP_INTERRUPTIBLE), !(err = thread_sleep(until)))
            ;
        if (err == -EINTR)
            return err;
    }
}

int clock_sleep(int clockid, uint64_t deadline_ns)
{
    uint64_t deadline, now;
    int err = clock_deadline(clockid, deadline_ns, &deadline);
    if (err && clockid != CLOCK_PROCESS_CPUTIME_ID &&
        (clockid >= 0 || clock_read(clockid, &now) || clockid & 4))
        return clockid < 0 ? -EINVAL : -EOPNOTSUPP;
    if (err)
        err = sleep_cpu(clockid, deadline_ns);
    else if (clock_is_settable(clockid))
        err = sleep_wall(clockid, deadline_ns);
    else
        while (thread_prepare_sleep(SLEEP_INTERRUPTIBLE), !(err = thread_sleep(deadline)))
            ;
    thread_finish_sleep();
    return err == -ETIMEDOUT ? 0 : err;
}
