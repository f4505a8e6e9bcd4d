/* SPDX-License-Identifier: MIT */
/* Clocks, and the interval and POSIX timers of a process. */
#ifndef LIBOS_TIME_H
#define LIBOS_TIME_H

#include <abi/signal.h>
#include <abi/time.h>
#include <base/compiler.h>
#include <base/types.h>

struct process;

/* Wall time, and the data of the vDSO. Needs the page allocator. Called once at boot. */
void time_init(void);

/* Read a clock into *ret_ns. Knows the fixed ids and the CPU-time clocks of processes and threads that
 * clock_getcpuclockid(3) makes. -EINVAL: no such clock, or no such process. */
NODISCARD int clock_read(int clockid, uint64_t *ret_ns);
/* Resolution in ns. -EINVAL. */
NODISCARD int clock_resolution(int clockid, uint64_t *ret_ns);
/* The plat_time_ns() value at which a settable or monotonic clock shows ns; what has passed gives 0, too far
 * NO_DEADLINE. -EINVAL: the clock cannot be slept on. */
NODISCARD int clock_deadline(int clockid, uint64_t ns, uint64_t *ret_deadline_ns);
/* Is it CLOCK_REALTIME or one that follows it, so that setting it moves deadlines? */
bool clock_is_settable(int clockid);

/* A timespec as ns, saturating; -EINVAL: tv_nsec out of range, or negative. And back. */
NODISCARD int timespec_to_ns(const struct abi_timespec *ts, uint64_t *ret_ns);
struct abi_timespec timespec_of(uint64_t ns);

/* Sleep on a clock until it shows deadline_ns (the clock's own time). 0, -EINTR, -EINVAL. */
NODISCARD int clock_sleep(int clockid, uint64_t deadline_ns);

/* setitimer(2) in ns; ret_old_* may not be NULL. which: ITIMER_*. */
void itimer_set(int which, uint64_t value_ns, uint64_t interval_ns, uint64_t *ret_old_value,
                uint64_t *ret_old_interval);
void itimer_get(int which, uint64_t *ret_value, uint64_t *ret_interval);

/* timer_create(2) and its family. -EINVAL, -EAGAIN, -ENOMEM, -EOPNOTSUPP (clock cannot have timers). */
NODISCARD int ktimer_create(int clockid, const struct abi_sigevent *ev, int *ret_id);
NODISCARD int ktimer_settime(int id, unsigned flags, uint64_t value_ns, uint64_t interval_ns,
                             uint64_t *ret_value, uint64_t *ret_interval);
NODISCARD int ktimer_gettime(int id, uint64_t *ret_value, uint64_t *ret_interval);
int ktimer_overrun(int id);
NODISCARD int ktimer_delete(int id);
/* A timer's signal was taken: fill in the overrun and rearm. Called by signal delivery. */
void ktimer_taken(struct process *p, struct abi_siginfo *info);

/* What settimeofday's time zone says. */
void clock_set_timezone(const struct abi_timezone *tz);
struct abi_timezone clock_timezone(void);

#endif
