/* SPDX-License-Identifier: MIT */
/* Clocks, timers and time structures (linux/time.h, linux/timex.h, linux/times.h). */
#ifndef ABI_TIME_H
#define ABI_TIME_H

#include <base/user_ptr.h>
#include <stdint.h>

#define CLOCK_REALTIME           0
#define CLOCK_MONOTONIC          1
#define CLOCK_PROCESS_CPUTIME_ID 2
#define CLOCK_THREAD_CPUTIME_ID  3
#define CLOCK_MONOTONIC_RAW      4
#define CLOCK_REALTIME_COARSE    5
#define CLOCK_MONOTONIC_COARSE   6
#define CLOCK_BOOTTIME           7
#define CLOCK_REALTIME_ALARM     8
#define CLOCK_BOOTTIME_ALARM     9
#define CLOCK_TAI                11
#define TIMER_ABSTIME            1
#define ITIMER_REAL              0
#define ITIMER_VIRTUAL           1
#define ITIMER_PROF              2
#define TFD_CLOEXEC              02000000
#define TFD_NONBLOCK             04000
#define TFD_TIMER_ABSTIME        0x1
#define TFD_TIMER_CANCEL_ON_SET  0x2
/* adjtimex: modes, status, result */
#define ADJ_OFFSET            0x1
#define ADJ_FREQUENCY         0x2
#define ADJ_MAXERROR          0x4
#define ADJ_ESTERROR          0x8
#define ADJ_STATUS            0x10
#define ADJ_TIMECONST         0x20
#define ADJ_TAI               0x80
#define ADJ_SETOFFSET         0x100
#define ADJ_MICRO             0x1000
#define ADJ_NANO              0x2000
#define ADJ_TICK              0x4000
#define ADJ_OFFSET_SINGLESHOT 0x8001
#define ADJ_OFFSET_SS_READ    0xa001
#define STA_UNSYNC            0x40
#define STA_NANO              0x2000
#define TIME_OK               0
#define TIME_ERROR            5

#define ABI_USER_HZ 100 /* clock ticks per second in times(2), /proc and AT_CLKTCK */

struct abi_timespec {
    int64_t tv_sec;
    int64_t tv_nsec; /* 0 to 999,999,999 */
};

struct abi_timeval {
    int64_t tv_sec;
    int64_t tv_usec; /* 0 to 999,999 */
};

struct abi_timezone {
    int32_t tz_minuteswest;
    int32_t tz_dsttime;
};

struct abi_itimerspec {
    struct abi_timespec it_interval;
    struct abi_timespec it_value;
};

struct abi_itimerval {
    struct abi_timeval it_interval;
    struct abi_timeval it_value;
};

struct abi_utimbuf {
    int64_t actime;
    int64_t modtime;
};

struct abi_tms { /* clock ticks */
    int64_t tms_utime;
    int64_t tms_stime;
    int64_t tms_cutime;
    int64_t tms_cstime;
};

struct abi_timex {
    uint32_t modes; /* ADJ_* */
    int32_t pad0;
    int64_t offset;
    int64_t freq;
    int64_t maxerror;
    int64_t esterror;
    int32_t status; /* STA_* */
    int32_t pad1;
    int64_t constant;
    int64_t precision;
    int64_t tolerance;
    struct abi_timeval time;
    int64_t tick;
    int64_t ppsfreq;
    int64_t jitter;
    int32_t shift;
    int32_t pad2;
    int64_t stabil;
    int64_t jitcnt;
    int64_t calcnt;
    int64_t errcnt;
    int64_t stbcnt;
    int32_t tai;
    int32_t pad3[11];
};
USER_TYPES(timespec, struct abi_timespec);
USER_TYPES(timeval, struct abi_timeval);
USER_TYPES(timezone, struct abi_timezone);
USER_TYPES(itimerspec, struct abi_itimerspec);
USER_TYPES(itimerval, struct abi_itimerval);
USER_TYPES(utimbuf, struct abi_utimbuf);
USER_TYPES(tms, struct abi_tms);
USER_TYPES(timex, struct abi_timex);

#endif
