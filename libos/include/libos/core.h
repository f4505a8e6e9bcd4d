/* SPDX-License-Identifier: MIT */
/* Where core files are put. core(5). */
#ifndef LIBOS_CORE_H
#define LIBOS_CORE_H

#include <base/compiler.h>
#include <base/types.h>

/* The pattern of /proc/sys/kernel/core_pattern (size bytes with its end), and core_uses_pid. Setting: -EINVAL. */
enum { CORE_PATTERN_MAX = 128 };
void core_pattern_get(char buf[CORE_PATTERN_MAX]);
NODISCARD int core_pattern_set(const char *pattern, size_t len);
bool core_uses_pid(bool change, bool value);

#endif
