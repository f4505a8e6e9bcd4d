/* SPDX-License-Identifier: MIT */
/* eventfd(2), signalfd(2), timerfd_create(2) files. */
#ifndef LIBOS_EVENT_H
#define LIBOS_EVENT_H

#include <abi/time.h>
#include <base/compiler.h>
#include <base/types.h>

struct file;

/* flags: EFD_SEMAPHORE, EFD_NONBLOCK. -ENFILE, -ENOMEM. */
NODISCARD int eventfd_create(unsigned count, unsigned flags, struct file **ret_file);

/* Add value to the count of an eventfd file; a count that is full stays. From any context. */
void eventfd_signal(struct file *f, uint64_t value);
bool file_is_eventfd(const struct file *f);

/* flags: SFD_NONBLOCK. -ENFILE, -ENOMEM. signalfd_set: -EINVAL when f is no signalfd. */
NODISCARD int signalfd_create(uint64_t mask, unsigned flags, struct file **ret_file);
NODISCARD int signalfd_set(struct file *f, uint64_t mask);

/* flags: TFD_NONBLOCK. -EINVAL (clock), -ENFILE, -ENOMEM, -EPERM (alarm clocks without CAP_WAKE_ALARM). */
NODISCARD int timerfd_create_file(int clock, unsigned flags, struct file **ret_file);
/* -EINVAL (not a timerfd, bad times or flags). old may be NULL. */
NODISCARD int timerfd_set(struct file *f, unsigned flags, const struct abi_itimerspec *value,
                          struct abi_itimerspec *old);
NODISCARD int timerfd_get(struct file *f, struct abi_itimerspec *ret);

#endif
