/* SPDX-License-Identifier: MIT */
/* What prctl(2) shares with seccomp(2). */
#ifndef SYSCALLS_SECCOMP_H
#define SYSCALLS_SECCOMP_H

#include <stdint.h>

/* Install the filter that the struct sock_fprog at user describes. */
long seccomp_filter_from(uintptr_t user, unsigned flags);

#endif
