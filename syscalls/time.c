/* SPDX-License-Identifier: MIT */
/* Clocks and sleeps: clock_gettime(2), clock_nanosleep(2), gettimeofday(2), adjtimex(2). */
#include "sys_proto.h"
#include <abi/prctl.h>
#include <base/types.h>
#include <libos/process.h>
#include <libos/time.h>
#include <libos/timer.h>
#include <libos/user.h>

long sys_clock_gettime(int clockid, user_timespec_out_t tp)
{
    uint64_t ns;
    int err = clock_read(clockid, &ns);
    if (err)
        return err;
    struct abi_timespec ts = timespec_of(ns);
    return user_put(tp, &ts, 1);
}

long sys_clock_settime(int clockid, user_timespec_in_t tp)
{
    struct abi_timespec ts;
    uint64_t ns, now;
    if (clockid != CLOCK_REALTIME)
        return -EINVAL;
    if (user_get(&ts, tp, 1) < 0)
        return -EFAULT;
    int err = timespec_to_ns(&ts, &ns);
    if (!err)
        err = clock_read(CLOCK_MONOTONIC, &now);
    if (err)
        return err;
    if (!cred_capable(CAP_SYS_TIME))
        return -EPERM;
    if (ns < now || ts.tv_sec > INT64_MAX / (int64_t)NS_PER_SEC / 2)
        return -EINVAL; /* before the boot, or so far off that time would wrap */
    clock_set_realtime(ns);
    return 0;
}

long sys_clock_getres(int clockid, user_timespec_out_t res)
{
    uint64_t ns;
    int err = clock_resolution(clockid, &ns);
    if (err || user_is_null(res))
        return err;
    struct abi_timespec ts = timespec_of(ns);
    return user_put(res, &ts, 1);
}

/* Write what is left of the sleep, then say that restart_syscall goes on with it. */
static int interrupted(struct thread *t)
{
    int clockid = (int)t->restart_data[0];
    uint64_t now, deadline = t->restart_data[1];
    uintptr_t rem = t->restart_data[2];
    int err = clock_read(clockid, &now);
    if (err)
        return err;
    struct abi_timespec left = timespec_of(deadline > now ? deadline - now : 0);
    if (rem && user_put(user_at(user_timespec_out_t, rem), &left, 1) < 0)
        return -EFAULT;
    return -ERESTART_RESTARTBLOCK;
}

static int sleep_on(struct thread *t)
{
    int err = clock_sleep((int)t->restart_data[0], t->restart_data[1]);
    return err == -EINTR ? interrupted(t) : err;
}

/* A relative sleep. */
static long sleep_for(int clockid, uint64_t ns, uintptr_t rem)
{
    struct thread *t = thread_current();
    uint64_t now;
    /* A relative sleep is not moved by setting the wall clock. */
    if (clock_is_settable(clockid))
        clockid = CLOCK_MONOTONIC;
    int err = clock_read(clockid, &now);
    if (err)
        return err;
    t->restart = sleep_on;
    t->restart_data[0] = (unsigned long)clockid;
    t->restart_data[1] = now + ns;
    t->restart_data[2] = rem;
    return sleep_on(t);
}

long sys_clock_nanosleep(int clockid, unsigned flags, user_timespec_in_t req,
                         user_timespec_out_t rem)
{
    struct abi_timespec ts;
    uint64_t ns, now;
    if (clock_read(clockid, &now))
        return -EINVAL;
    if (clockid == CLOCK_THREAD_CPUTIME_ID || clockid == CLOCK_MONOTONIC_RAW ||
        clockid == CLOCK_MONOTONIC_COARSE || clockid == CLOCK_REALTIME_COARSE)
        return -EOPNOTSUPP;
    if (user_get(&ts, req, 1) < 0)
        return -EFAULT;
    int err = timespec_to_ns(&ts, &ns);
    if (err)
        return err;
    if (!(flags & TIMER_ABSTIME))
        return sleep_for(clockid, ns, rem.addr);
    err = clock_sleep(clockid, ns);
    return err == -EINTR ? -ERESTARTNOHAND : err;
}

long sys_nanosleep(user_timespec_in_t req, user_timespec_out_t rem)
{
    struct abi_timespec ts;
    uint64_t ns;
    if (user_get(&ts, req, 1) < 0)
        return -EFAULT;
    int err = timespec_to_ns(&ts, &ns);
    return err ? err : sleep_for(CLOCK_MONOTONIC, ns, rem.addr);
}

long sys_gettimeofday(user_timeval_out_t tv, user_timezone_out_t tz)
{
    uint64_t ns;
    int err = clock_read(CLOCK_REALTIME, &ns);
    if (err)
        return err;
    struct abi_timeval now = { (int64_t)(ns / NS_PER_SEC), (int64_t)(ns % NS_PER_SEC / 1000) };
    struct abi_timezone zone = clock_timezone();
    if (!user_is_null(tv) && user_put(tv, &now, 1) < 0)
        return -EFAULT;
    return user_is_null(tz) ? 0 : user_put(tz, &zone, 1);
}

long sys_settimeofday(user_timeval_in_t tv, user_timezone_in_t tz)
{
    struct abi_timeval now;
    struct abi_timezone zone;
    uint64_t mono;
    if (!user_is_null(tv)) {
        if (user_get(&now, tv, 1) < 0)
            return -EFAULT;
        if (now.tv_usec < 0 || now.tv_usec > 1000000)
            return -EINVAL;
    }
    if (!user_is_null(tz) && user_get(&zone, tz, 1) < 0)
        return -EFAULT;
    if (!user_is_null(tv) && (now.tv_sec < 0 || now.tv_sec > INT64_MAX / (int64_t)NS_PER_SEC / 2 ||
                              now.tv_usec == 1000000))
        return -EINVAL;
    if (!cred_capable(CAP_SYS_TIME))
        return -EPERM;
    if (!user_is_null(tz)) {
        if (zone.tz_minuteswest > 15 * 60 || zone.tz_minuteswest < -15 * 60)
            return -EINVAL;
        clock_set_timezone(&zone);
    }
    if (user_is_null(tv))
        return 0;
    uint64_t ns = (uint64_t)now.tv_sec * NS_PER_SEC + (uint64_t)now.tv_usec * 1000;
    int err = clock_read(CLOCK_MONOTONIC, &mono);
    if (err || ns < mono)
        return err ? err : -EINVAL;
    clock_set_realtime(ns);
    return 0;
}

long sys_time(user_long_out_t tloc)
{
    uint64_t ns;
    int err = clock_read(CLOCK_REALTIME, &ns);
    long sec = (long)(ns / NS_PER_SEC);
    if (err)
        return err;
    return user_is_null(tloc) || user_put(tloc, &sec, 1) == 0 ? sec : -EFAULT;
}

static int64_t ticks(struct abi_timeval tv)
{
    return tv.tv_sec * ABI_USER_HZ + tv.tv_usec * ABI_USER_HZ / 1000000;
}

long sys_times(user_tms_out_t buf)
{
    struct abi_rusage self, children;
    uint64_t ns;
    int err = clock_read(CLOCK_MONOTONIC, &ns);
    if (err)
        return err;
    if (!user_is_null(buf)) {
        process_rusage(NULL, RUSAGE_SELF, &self);
        process_rusage(NULL, RUSAGE_CHILDREN, &children);
        struct abi_tms t = { ticks(self.ru_utime), ticks(self.ru_stime), ticks(children.ru_utime),
                             ticks(children.ru_stime) };
        if (user_put(buf, &t, 1) < 0)
            return -EFAULT;
    }
    return (long)(ns / (NS_PER_SEC / ABI_USER_HZ));
}

/* What an undisciplined clock says of itself. */
static long adjust(user_timex_inout_t tx, int clockid)
{
    struct abi_timex t;
    uint64_t ns;
    if (user_get(&t, tx, 1) < 0)
        return -EFAULT;
    /* adjtime(3) with nothing to adjust takes back what is left of an earlier one: nothing, here. */
    bool changes = t.modes && t.modes != ADJ_OFFSET_SS_READ;
    bool nothing = t.modes == ADJ_OFFSET_SINGLESHOT && !t.offset && cred_capable(CAP_SYS_TIME);
    if (changes && !nothing)
        return cred_capable(CAP_SYS_TIME) ? -EOPNOTSUPP : -EPERM;
    int err = clock_read(clockid, &ns);
    if (err)
        return err;
    struct abi_timex now = {
        .maxerror = 16000000,
        .esterror = 16000000,
        .status = STA_UNSYNC,
        .constant = 2,
        .precision = 1,
        .tolerance = 32768000,
        .time = { (int64_t)(ns / NS_PER_SEC), (int64_t)(ns % NS_PER_SEC / 1000) },
        .tick = 10000,
    };
    return user_put(tx, &now, 1) < 0 ? -EFAULT : TIME_ERROR;
}

long sys_adjtimex(user_timex_inout_t tx)
{
    return adjust(tx, CLOCK_REALTIME);
}

long sys_clock_adjtime(int clockid, user_timex_inout_t tx)
{
    uint64_t ns;
    if (clock_read(clockid, &ns))
        return -EINVAL;
    return clockid == CLOCK_REALTIME ? adjust(tx, clockid) : -EOPNOTSUPP;
}
