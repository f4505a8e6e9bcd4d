/* SPDX-License-Identifier: MIT */
/* timerfd_create(2). The timer fires once and then rests until somebody looks: read and gettime work out how often an
 * interval passed. All times are kept on the platform's clock (CLOCK_MONOTONIC); an absolute time on CLOCK_REALTIME is kept
 * as it was given too, because setting the clock moves it.
 *
 * lock guards everything. The timer is never stopped but at the end: one that is not wanted any more fires and finds
 * nothing to do. Setting the clock only makes the timer fire, since its callback may wake and the observer of the clock,
 * which runs under a wait queue's lock, may not. */
#include <abi/errno.h>
#include <abi/fcntl.h>
#include <abi/poll.h>
#include <libos/event.h>
#include <libos/file.h>
#include <libos/heap.h>
#include <libos/poll.h>
#include <libos/process.h>
#include <libos/timer.h>
#include <plat/time.h>
#include <stdio.h>

enum { CAP_WAKE_ALARM = 35 };

struct timerfd {
    struct spin lock;
    struct timer timer;
    struct waitq wait;
    struct waiter clock_watch; /* of CLOCK_REALTIME being set */
    int clock;
    /* guarded by lock */
    uint64_t deadline_ns; /* 0: not armed */
    uint64_t interval_ns; /* 0: once */
    uint64_t realtime_ns; /* the deadline on CLOCK_REALTIME; 0: it does not depend on that clock */
    uint64_t ticks;       /* expirations not read yet */
    uint64_t offset_ns;   /* of CLOCK_REALTIME when it was last looked at */
    unsigned flags;       /* of the last timerfd_settime */
    bool expired;         /* the deadline has passed and is counted */
    bool canceled;
};

static uint64_t to_ns(const struct abi_timespec *ts)
{
    return (uint64_t)ts->tv_sec >= INT64_MAX / NS_PER_SEC
               ? INT64_MAX
               : (uint64_t)ts->tv_sec * NS_PER_SEC + (uint64_t)ts->tv_nsec;
}

static struct abi_timespec to_timespec(uint64_t ns)
{
    return (struct abi_timespec){ (int64_t)(ns / NS_PER_SEC), (int64_t)(ns % NS_PER_SEC) };
}

static bool is_realtime(const struct timerfd *t)
{
    return t->clock == CLOCK_REALTIME || t->clock == CLOCK_REALTIME_ALARM;
}

/* Follow a change of CLOCK_REALTIME. True when somebody must be told. Locks: t->lock held. */
static bool follow_clock(struct timerfd *t)
{
    uint64_t offset = clock_realtime_offset();
    if (offset == t->offset_ns)
        return false;
    t->offset_ns = offset;
    if (t->realtime_ns && !t->expired)
        t->deadline_ns = t->realtime_ns > offset ? t->realtime_ns - offset : 1;
    if (t->realtime_ns && t->flags & TFD_TIMER_CANCEL_ON_SET)
        t->canceled = true;
    return t->canceled;
}

static void timerfd_fire(struct timer *timer)
{
    struct timerfd *t = CONTAINER_OF(timer, struct timerfd, timer);
    uint64_t now = plat_time_ns();
    spin_lock(&t->lock);
    bool tell = follow_clock(t);
    if (t->deadline_ns && !t->expired) {
        if (now >= t->deadline_ns) {
            t->expired = true;
            t->ticks++;
            tell = true;
        } else {
            timer_start(&t->timer, t->deadline_ns);
        }
    }
    spin_unlock(&t->lock);
    if (tell && waitq_active(&t->wait))
        waitq_wake(&t->wait, WAITQ_ALL, EPOLLIN);
}

static bool clock_set(struct waiter *w, unsigned events)
{
    struct timerfd *t = w->arg;
    timer_start(&t->timer, 0);
    return false;
}

/* Count the intervals that passed since the deadline, and arm for the next. Locks: t->lock held. */
static void catch_up(struct timerfd *t)
{
    if (!t->expired || !t->interval_ns)
        return;
    uint64_t now = plat_time_ns();
    uint64_t passed = now > t->deadline_ns ? (now - t->deadline_ns) / t->interval_ns : 0;
    t->ticks += passed;
    t->deadline_ns += (passed + 1) * t->interval_ns;
    if (t->realtime_ns)
        t->realtime_ns = t->deadline_ns + t->offset_ns;
    t->expired = false;
    timer_start(&t->timer, t->deadline_ns);
}

/* Take what there is to read: 1 with a count, -ECANCELED, or 0: nothing. */
static int timerfd_take(struct timerfd *t, uint64_t *ret)
{
    int result = 0;
    spin_lock(&t->lock);
    if (t->canceled) {
        t->canceled = false;
        t->ticks = 0;
        t->expired = false;
        result = -ECANCELED;
    } else if (t->ticks) {
        catch_up(t);
        *ret = t->ticks;
        t->ticks = 0;
        result = 1;
    }
    spin_unlock(&t->lock);
    return result;
}

static bool timerfd_ready(const struct timerfd *t)
{
    return *(const volatile uint64_t *)&t->ticks || *(const volatile bool *)&t->canceled;
}

static ssize_type timerfd_read(struct file *f, struct iter *it, uint64_t *pos)
{
    struct timerfd *t = f->data;
    uint64_t ticks;
    int got;
    if (it->left < sizeof(ticks))
        return -EINVAL;
    while (!(got = timerfd_take(t, &ticks))) {
        if (file_nowait(f, it))
            return -EAGAIN;
        int err = WAIT_EVENT(&t->wait, SLEEP_INTERRUPTIBLE, NO_DEADLINE, timerfd_ready(t));
        if (err)
            return -ERESTARTSYS;
    }
    if (got < 0)
        return got;
    return iter_put(it, &ticks, sizeof(ticks)) == sizeof(ticks) ? (ssize_type)sizeof(ticks)
                                                                : -EFAULT;
}

static unsigned timerfd_poll(struct file *f, struct poll_table *pt)
{
    struct timerfd *t = f->data;
    poll_wait(pt, &t->wait);
    return timerfd_ready(t) ? EPOLLIN : 0;
}

static void timerfd_release(struct file *f)
{
    struct timerfd *t = f->data;
    if (is_realtime(t))
        waitq_remove(clock_was_set(), &t->clock_watch);
    timer_stop(&t->timer);
    heap_free(t);
}

/* What timerfd_gettime says. Locks: t->lock held. */
static void current_value(struct timerfd *t, struct abi_itimerspec *ret)
{
    catch_up(t);
    uint64_t left = 0;
    if (t->deadline_ns && !t->expired) {
        uint64_t now = plat_time_ns();
        left = t->deadline_ns > now ? t->deadline_ns - now : 1;
    }
    ret->it_value = to_timespec(left);
    ret->it_interval = to_timespec(t->interval_ns);
}

static void timerfd_fdinfo(struct file *f, char *buf, size_t size)
{
    struct timerfd *t = f->data;
    struct abi_itimerspec v;
    spin_lock(&t->lock);
    current_value(t, &v);
    uint64_t ticks = t->ticks;
    unsigned flags = t->flags;
    spin_unlock(&t->lock);
    snprintf(buf, size,
             "clockid: %d\nticks: %llu\nsettime flags: 0%o\nit_value: (%lld, %lld)\nit_interval: "
             "(%lld, %lld)\n",
             t->clock, (unsigned long long)ticks, flags, (long long)v.it_value.tv_sec,
             (long long)v.it_value.tv_nsec, (long long)v.it_interval.tv_sec,
             (long long)v.it_interval.tv_nsec);
}

static const struct file_ops timerfd_ops = { .seek = file_seek_nowhere,
                                             .read = timerfd_read,
                                             .poll = timerfd_poll,
                                             .release = timerfd_release,
                                             .fdinfo = timerfd_fdinfo,
                                             .nowait = true };

int timerfd_create_file(int clock, unsigned flags, struct file **ret_file)
{
    bool alarm = clock == CLOCK_REALTIME_ALARM || clock == CLOCK_BOOTTIME_ALARM;
    if (!alarm && clock != CLOCK_REALTIME && clock != CLOCK_MONOTONIC && clock != CLOCK_BOOTTIME)
        return -EINVAL;
    if (alarm && !cred_capable(CAP_WAKE_ALARM))
        return -EPERM;
    struct timerfd *t = heap_zalloc(sizeof(*t));
    if (!t)
        return -ENOMEM;
    spin_init(&t->lock, RANK_TIMERFD);
    timer_init(&t->timer, timerfd_fire);
    waitq_init(&t->wait);
    t->clock = clock;
    t->offset_ns = clock_realtime_offset();
    int err =
        file_create_anon(&timerfd_ops, "[timerfd]", O_RDWR | (flags & TFD_NONBLOCK), t, ret_file);
    if (err) {
        heap_free(t);
        return err;
    }
    t->clock_watch = (struct waiter){ .wake = clock_set, .arg = t };
    if (is_realtime(t))
        waitq_add_entry(clock_was_set(), &t->clock_watch);
    return 0;
}

static bool valid(const struct abi_timespec *ts)
{
    return ts->tv_sec >= 0 && ts->tv_nsec >= 0 && ts->tv_nsec < (int64_t)NS_PER_SEC;
}

/* Locks: t->lock held. */
static void arm(struct timerfd *t, unsigned flags, uint64_t value, uint64_t interval)
{
    bool absolute = flags & TFD_TIMER_ABSTIME;
    t->offset_ns = clock_realtime_offset();
    t->flags = flags;
    t->interval_ns = interval;
    t->ticks = 0;
    t->expired = t->canceled = false;
    t->deadline_ns = t->realtime_ns = 0;
    if (!value)
        return;
    if (absolute && is_realtime(t)) {
        t->realtime_ns = value;
        t->deadline_ns = value > t->offset_ns ? value - t->offset_ns : 1;
    } else {
        t->deadline_ns = absolute ? value : plat_time_ns() + value;
    }
    timer_start(&t->timer, t->deadline_ns);
}

int timerfd_set(struct file *f, unsigned flags, const struct abi_itimerspec *value,
                struct abi_itimerspec *old)
{
    if (flags & ~(unsigned)(TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET) ||
        !valid(&value->it_value) || !valid(&value->it_interval) || f->ops != &timerfd_ops)
        return -EINVAL;
    struct timerfd *t = f->data;
    spin_lock(&t->lock);
    if (old)
        current_value(t, old);
    arm(t, flags, to_ns(&value->it_value), to_ns(&value->it_interval));
    spin_unlock(&t->lock);
    return 0;
}

int timerfd_get(struct file *f, struct abi_itimerspec *ret)
{
    if (f->ops != &timerfd_ops)
        return -EINVAL;
    struct timerfd *t = f->data;
    spin_lock(&t->lock);
    current_value(t, ret);
    spin_unlock(&t->lock);
    return 0;
}
