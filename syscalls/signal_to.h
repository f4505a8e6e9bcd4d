/* SPDX-License-Identifier: MIT */
/* Signals to several processes, for kill(2) and pidfd_send_signal(2). */
#ifndef SYSCALLS_SIGNAL_TO_H
#define SYSCALLS_SIGNAL_TO_H

#include <base/compiler.h>

struct abi_siginfo;

/* Send info, with number sig (0: only check), to the processes of group pgid (0: all but the first and the caller's). -ESRCH, -EPERM
 * (none of them), -EAGAIN. */
NODISCARD int signal_to_group(int pgid, int sig, const struct abi_siginfo *info);

#endif
