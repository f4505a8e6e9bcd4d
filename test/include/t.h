/* SPDX-License-Identifier: MIT */
/* For test/sys: plain Linux programs, built three ways. `oracle` makes real system calls on the developer's Linux and
 * shows that the test is right; `guest` is the same static file booted in the image; `unit` (T_IN_PROCESS) calls libOS
 * in this process under sanitizers. call() answers like the kernel: a result or a negative errno. */
#ifndef T_H
#define T_H

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/utsname.h>

#define T_BAD ((void *)16) /* an address that is never mapped */

#ifdef T_IN_PROCESS
long plat_host_syscall(long nr, long a0, long a1, long a2, long a3, long a4, long a5);
#else
static inline long plat_host_syscall(long nr, long a0, long a1, long a2, long a3, long a4, long a5)
{
    register long r10 __asm__("r10") = a3, r8 __asm__("r8") = a4, r9 __asm__("r9") = a5;
    long ret;
    __asm__ volatile("syscall"
                     : "=a"(ret)
                     : "a"(nr), "D"(a0), "S"(a1), "d"(a2), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return ret;
}
#endif

/* call(SYS_x, arguments...): up to six, numbers or pointers. */
#define call(...) T_CALL(__VA_ARGS__, 0, 0, 0, 0, 0, 0, 0)
#define T_CALL(nr, a, b, c, d, e, f, ...)                                                          \
    plat_host_syscall((nr), (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f))

/* CHECK(want, got): numbers. The program goes on after a failure, and main ends with `return t_end();`. */
#define CHECK(want, got) t_check(__FILE__, __LINE__, #got, (long)(want), (long)(got))

static int t_checks, t_failures;

static inline const char *t_name(long v)
{
    const char *name = v < 0 && v > -4096 ? strerrorname_np((int)-v) : NULL;
    return name ? name : "";
}

/* True when it holds. */
static inline bool t_check(const char *file, int line, const char *what, long want, long got)
{
    t_checks++;
    if (want == got)
        return true;
    t_failures++;
    fprintf(stderr, "%s:%d: %s: want %ld %s, got %ld %s\n", file, line, what, want, t_name(want),
            got, t_name(got));
    return false;
}

/* if (DIFFERS("why")) what Alcove does on purpose; else what Linux does. The reason lands in COVERAGE.md. */
#define DIFFERS(why) ((void)(why), t_alcove())

static inline bool t_alcove(void)
{
    struct utsname u;
    return plat_host_syscall(SYS_uname, (long)&u, 0, 0, 0, 0, 0) == 0 &&
           strstr(u.version, "Alcove") != NULL;
}

static inline int t_end(void)
{
    printf("%d checks, %d failed\n", t_checks, t_failures);
    return t_failures != 0 || t_checks == 0;
}

#endif
