/* SPDX-License-Identifier: MIT */
/* Interval and POSIX timers: setitimer(2), alarm(2), timer_create(2). */
#include "sys_proto.h"
#include <base/types.h>
#include <libos/time.h>
#include <libos/user.h>

static int timeval_to_ns(struct abi_timeval tv, uint64_t *ret)
{
    if (tv.tv_sec < 0 || tv.tv_usec < 0 || tv.tv_usec >= 1000000)
        return -EINVAL;
    if (tv.tv_sec >= INT64_MAX / (int64_t)NS_PER_SEC / 2)
        *ret = INT64_MAX / 2;
    else
        *ret = (uint64_t)tv.tv_sec * NS_PER_SEC + (uint64_t)tv.tv_usec * 1000;
    return 0;
}

/* A timer that runs never shows 0. */
static struct abi_timeval timeval_of(uint64_t ns)
{
    uint64_t us = ns && ns < 1000 ? 1 : ns / 1000;
    return (struct abi_timeval){ (int64_t)(us / 1000000), (int64_t)(us % 1000000) };
}

static struct abi_itimerval itimerval_of(uint64_t value_ns, uint64_t interval_ns)
{
    return (struct abi_itimerval){ timeval_of(interval_ns), timeval_of(value_ns) };
}

long sys_getitimer(int which, user_itimerval_out_t cur)
{
    uint64_t value, interval;
    if (which < ITIMER_REAL || which > ITIMER_PROF)
        return -EINVAL;
    itimer_get(which, &value, &interval);
    struct abi_itimerval it = itimerval_of(value, interval);
    return user_put(cur, &it, 1);
}

long sys_setitimer(int which, user_itimerval_in_t new, user_itimerval_out_t old)
{
    struct abi_itimerval it = { 0 };
    uint64_t value, interval, old_value, old_interval;
    if (!user_is_null(new) && user_get(&it, new, 1) < 0)
        return -EFAULT;
    if (which < ITIMER_REAL || which > ITIMER_PROF)
        return -EINVAL;
    int err = timeval_to_ns(it.it_value, &value);
    if (!err)
        err = timeval_to_ns(it.it_interval, &interval);
    if (err)
        return err;
    itimer_set(which, value, interval, &old_value, &old_interval);
    if (user_is_null(old))
        return 0;
    it = itimerval_of(old_value, old_interval);
    return user_put(old, &it, 1);
}

long sys_alarm(unsigned seconds)
{
    uint64_t value, interval;
    itimer_set(ITIMER_REAL, (uint64_t)seconds * NS_PER_SEC, 0, &value, &interval);
    uint64_t left = value / NS_PER_SEC, rest = value % NS_PER_SEC;
    /* Rounded to the nearest second, but never to 0 while one is set. */
    return (long)((!left && rest) || rest >= NS_PER_SEC / 2 ? left + 1 : left);
}

long sys_timer_create(int clockid, user_sigevent_in_t sev, user_int_out_t id)
{
    struct abi_sigevent ev;
    int new_id;
    if (!user_is_null(sev) && user_get(&ev, sev, 1) < 0)
        return -EFAULT;
    int err = ktimer_create(clockid, user_is_null(sev) ? NULL : &ev, &new_id);
    if (err)
        return err;
    if (user_put(id, &new_id, 1) == 0)
        return 0;
    err = ktimer_delete(new_id);
    return err ? err : -EFAULT;
}

static struct abi_itimerspec itimerspec_of(uint64_t value_ns, uint64_t interval_ns)
{
    return (struct abi_itimerspec){ timespec_of(interval_ns), timespec_of(value_ns) };
}

long sys_timer_settime(int id, unsigned flags, user_itimerspec_in_t new, user_itimerspec_out_t old)
{
    struct abi_itimerspec it;
    uint64_t value, interval, old_value, old_interval;
    if (user_is_null(new))
        return -EINVAL;
    if (user_get(&it, new, 1) < 0)
        return -EFAULT;
    int err = timespec_to_ns(&it.it_value, &value);
    if (!err)
        err = timespec_to_ns(&it.it_interval, &interval);
    if (!err)
        err = ktimer_settime(id, flags, value, interval, &old_value, &old_interval);
    if (err || user_is_null(old))
        return err;
    it = itimerspec_of(old_value, old_interval);
    return user_put(old, &it, 1);
}

long sys_timer_gettime(int id, user_itimerspec_out_t cur)
{
    uint64_t value, interval;
    int err = ktimer_gettime(id, &value, &interval);
    if (err)
        return err;
    struct abi_itimerspec it = itimerspec_of(value, interval);
    return user_put(cur, &it, 1);
}

long sys_timer_getoverrun(int id)
{
    return ktimer_overrun(id);
}

long sys_timer_delete(int id)
{
    return ktimer_delete(id);
}
