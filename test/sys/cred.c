/* SPDX-License-Identifier: MIT */
/* User and group ids, capabilities. What root can do is tried when the test is root, ending as another user. */
#define _GNU_SOURCE
#include <t.h>

#include <errno.h>
#include <linux/capability.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <unistd.h>

static unsigned r, e, s;

static void ids(unsigned want_r, unsigned want_e, unsigned want_s)
{
    CHECK(0, call(SYS_getresuid, &r, &e, &s));
    CHECK(want_r, r);
    CHECK(want_e, e);
    CHECK(want_s, s);
}

static void reads(void)
{
    CHECK(0, call(SYS_getresuid, &r, &e, &s));
    CHECK(r, call(SYS_getuid));
    CHECK(e, call(SYS_geteuid));
    CHECK(-EFAULT, call(SYS_getresuid, T_BAD, &e, &s));
    CHECK(0, call(SYS_getresgid, &r, &e, &s));
    CHECK(r, call(SYS_getgid));
    CHECK(e, call(SYS_getegid));
    CHECK(true, call(SYS_getgroups, 0, NULL) >= 0);
    CHECK(-EINVAL, call(SYS_getgroups, -1, NULL));
    CHECK(call(SYS_geteuid), call(SYS_setfsuid, -1));
    CHECK(call(SYS_getegid), call(SYS_setfsgid, -1));
    CHECK(-EINVAL, call(SYS_setuid, -1));
}

static void capabilities(void)
{
    struct __user_cap_header_struct h = { _LINUX_CAPABILITY_VERSION_3, 0 };
    struct __user_cap_data_struct d[2];
    CHECK(0, call(SYS_capget, &h, d));
    CHECK(0, d[0].effective & ~d[0].permitted);
    CHECK(0, call(SYS_capset, &h, d));
    h.version = 0x1234;
    CHECK(-EINVAL, call(SYS_capget, &h, d));
    CHECK(_LINUX_CAPABILITY_VERSION_3, h.version);
    h.version = 0x1234;
    CHECK(0, call(SYS_capget, &h, NULL));
    CHECK(-EFAULT, call(SYS_capget, T_BAD, d));
    h.pid = -1;
    CHECK(-EINVAL, call(SYS_capget, &h, d));
    h.pid = 0x3ffff0;
    CHECK(-ESRCH, call(SYS_capget, &h, d));
}

static void root(void)
{
    unsigned groups[3] = { 30, 10, 20 }, back[8];
    struct __user_cap_header_struct h = { _LINUX_CAPABILITY_VERSION_3, 0 };
    struct __user_cap_data_struct d[2];
    CHECK(0, call(SYS_setgroups, 3, groups));
    CHECK(3, call(SYS_getgroups, 8, back));
    CHECK(10, back[0]);
    CHECK(30, back[2]);
    CHECK(-EINVAL, call(SYS_getgroups, 2, back));
    CHECK(-EINVAL, call(SYS_setgroups, -1, groups));
    CHECK(-EFAULT, call(SYS_setgroups, 3, T_BAD));
    CHECK(0, call(SYS_setresgid, 5, 6, 7));
    CHECK(0, call(SYS_getresgid, &r, &e, &s));
    CHECK(5, r);
    CHECK(6, e);
    CHECK(7, s);
    CHECK(0, call(SYS_setresuid, 0, 1000, 0));
    ids(0, 1000, 0);
    CHECK(1000, call(SYS_setfsuid, 0));
    CHECK(0, call(SYS_setfsuid, 1000));
    CHECK(0, call(SYS_capget, &h, d));
    CHECK(0, d[0].effective);
    CHECK(true, d[0].permitted != 0);
    CHECK(-EPERM, call(SYS_setgroups, 0, NULL));
    CHECK(0, call(SYS_setresuid, -1, 0, -1));
    CHECK(0, call(SYS_capget, &h, d));
    CHECK(true, d[0].effective == d[0].permitted);
    CHECK(0, call(SYS_setreuid, 1000, 2000));
    ids(1000, 2000, 2000);
    CHECK(0, call(SYS_capget, &h, d));
    CHECK(0, d[0].permitted);
    CHECK(-EPERM, call(SYS_setuid, 0));
    CHECK(0, call(SYS_setuid, 1000));
    ids(1000, 1000, 2000);
    CHECK(-EPERM, call(SYS_setresuid, 0, -1, -1));
    CHECK(-EPERM, call(SYS_setreuid, 3, -1));
    CHECK(-EPERM, call(SYS_setregid, 3, -1));
    CHECK(0, call(SYS_setregid, 6, 5));
    CHECK(-EPERM, call(SYS_setgid, 99));
    d[0].permitted = 1;
    CHECK(-EPERM, call(SYS_capset, &h, d));
    CHECK(-EPERM, call(SYS_sethostname, "x", 1));
    CHECK(-EPERM, call(SYS_prctl, PR_CAPBSET_DROP, 5));
}

int main(void)
{
    reads();
    capabilities();
    if (getuid() == 0 && geteuid() == 0)
        root();
    return t_end();
}
