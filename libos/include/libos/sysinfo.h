/* SPDX-License-Identifier: MIT */
/* Names of the system, as uname(2) and /proc/sys/kernel show them. */
#ifndef LIBOS_SYSINFO_H
#define LIBOS_SYSINFO_H

#include <abi/utsname.h>
#include <stdbool.h>

/* Fill in the names as they are now. */
void system_names(struct abi_utsname *ret);
/* Set the host name, or the domain name: zero-terminated, at most 64 bytes. */
void system_set_name(const char *name, bool domain);

#endif
