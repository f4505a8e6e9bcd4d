/* SPDX-License-Identifier: MIT */
/* uname, sysinfo, getrandom, host name, reboot's refusals. */
#define _GNU_SOURCE
#include <t.h>

#include <errno.h>
#include <sys/random.h>
#include <sys/sysinfo.h>
#include <unistd.h>

static void names(void)
{
    struct utsname u;
    char old[65];
    CHECK(0, call(SYS_uname, &u));
    CHECK(0, strcmp(u.sysname, "Linux"));
    CHECK(0, strcmp(u.machine, "x86_64"));
    CHECK(true, u.release[0] >= '3' && u.nodename[0]);
    CHECK(-EFAULT, call(SYS_uname, T_BAD));
    CHECK(0, call(SYS_personality, 8 | 0x20000)); /* PER_LINUX32, UNAME26 */
    CHECK(0, call(SYS_uname, &u));
    CHECK(0, strcmp(u.machine, "i686"));
    CHECK(0, strncmp(u.release, "2.6.", 4));
    CHECK(8 | 0x20000, call(SYS_personality, 0));
    CHECK(0, call(SYS_uname, &u));
    strcpy(old, u.nodename);
    CHECK(true, call(SYS_sethostname, "x", -1) < 0);
    CHECK(true, call(SYS_sethostname, "x", 65) < 0);
    if (!t_alcove()) /* the developer's machine keeps its name */
        return;
    CHECK(0, call(SYS_sethostname, "other", 5));
    CHECK(0, call(SYS_uname, &u));
    CHECK(0, strcmp(u.nodename, "other"));
    CHECK(0, call(SYS_setdomainname, "example.org", 11));
    CHECK(0, call(SYS_uname, &u));
    CHECK(0, strcmp(u.domainname, "example.org"));
    CHECK(-EFAULT, call(SYS_sethostname, T_BAD, 4));
    CHECK(0, call(SYS_sethostname, old, strlen(old)));
    CHECK(-EINVAL, call(SYS_reboot, 1, 2, 3, NULL));
}

int main(void)
{
    struct sysinfo si;
    unsigned char a[300] = { 0 }, b[300] = { 0 };
    names();
    CHECK(0, call(SYS_sysinfo, &si));
    CHECK(true, si.totalram > 0 && si.freeram > 0 && si.freeram <= si.totalram &&
                    si.mem_unit >= 1 && si.procs > 0);
    CHECK(-EFAULT, call(SYS_sysinfo, T_BAD));
    CHECK(300, call(SYS_getrandom, a, 300, 0));
    CHECK(300, call(SYS_getrandom, b, 300, GRND_NONBLOCK));
    CHECK(true, memcmp(a, b, 300) != 0);
    CHECK(0, call(SYS_getrandom, a, 0, 0));
    CHECK(-EINVAL, call(SYS_getrandom, a, 300, 16));
    CHECK(-EINVAL, call(SYS_getrandom, a, 300, 6));
    CHECK(-EFAULT, call(SYS_getrandom, T_BAD, 300, 0));
    return t_end();
}
