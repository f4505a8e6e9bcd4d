/* SPDX-License-Identifier: MIT */
/* Limits and usage. */
#define _GNU_SOURCE
#include <t.h>

#include <errno.h>
#include <signal.h>
#include <sys/resource.h>

int main(void)
{
    struct rlimit a, b;
    struct rusage ru;
    for (int i = 0; i < RLIM_NLIMITS; i++) {
        CHECK(0, call(SYS_getrlimit, i, &a));
        CHECK(0, call(SYS_prlimit64, 0, i, NULL, &b));
        CHECK(true, a.rlim_cur == b.rlim_cur && a.rlim_max == b.rlim_max);
        CHECK(0, call(SYS_setrlimit, i, &a));
    }
    CHECK(-EINVAL, call(SYS_getrlimit, 16, &a));
    CHECK(-EINVAL, call(SYS_prlimit64, 0, -1, NULL, &a));
    CHECK(-ESRCH, call(SYS_prlimit64, 0x3ffff0, RLIMIT_CORE, NULL, &a));
    CHECK(-EFAULT, call(SYS_setrlimit, RLIMIT_CORE, T_BAD));
    CHECK(-EFAULT, call(SYS_getrlimit, RLIMIT_CORE, T_BAD));
    CHECK(0, call(SYS_getrlimit, RLIMIT_NOFILE, &a));
    b = a;
    b.rlim_cur = a.rlim_cur / 2;
    CHECK(0, call(SYS_prlimit64, 0, RLIMIT_NOFILE, &b, &a));
    CHECK(0, call(SYS_getrlimit, RLIMIT_NOFILE, &b));
    CHECK(a.rlim_cur / 2, b.rlim_cur);
    b.rlim_cur = b.rlim_max + 1;
    if (b.rlim_cur)
        CHECK(-EINVAL, call(SYS_setrlimit, RLIMIT_NOFILE, &b));
    CHECK(0, call(SYS_getrusage, RUSAGE_SELF, &ru));
#ifndef T_IN_PROCESS /* where the program's faults are not libOS's */
    CHECK(true, ru.ru_minflt > 0);
#endif
    CHECK(0, call(SYS_getrusage, RUSAGE_CHILDREN, &ru));
    CHECK(-EINVAL, call(SYS_getrusage, 7, &ru));
    CHECK(-EFAULT, call(SYS_getrusage, RUSAGE_SELF, T_BAD));
    return t_end();
}
