/* SPDX-License-Identifier: MIT */
/* Where newlib's assert() ends in the kernel. On the host the C library has its own. */
#include <base/log.h>

void __assert_func(const char *file, int line, const char *function, const char *expression);

void __assert_func(const char *file, int line, const char *function, const char *expression)
{
    panic("%s:%d: %s: %s", file, line, function, expression);
}
