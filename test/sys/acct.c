/* SPDX-License-Identifier: MIT */
/* Process accounting: acct(2), acct(5). And quotactl(2) where there are no quotas. */
#define _GNU_SOURCE
#include <t_file.h>

#include <signal.h>
#include <sys/acct.h>
#include <sys/quota.h>
#include <sys/wait.h>
#include <unistd.h>

static void child_of(int status, int sig)
{
    pid_t pid = fork();
    if (pid == 0) {
        if (sig)
            kill(getpid(), sig);
        _exit(status);
    }
    int s;
    waitpid(pid, &s, 0);
}

/* The record of a child that ended so; false: there is none. */
static bool find(const struct acct_v3 *r, long n, unsigned exit_code, struct acct_v3 *ret)
{
    for (long i = 0; i < n; i++)
        if (r[i].ac_exitcode == exit_code && r[i].ac_ppid == (unsigned)getpid()) {
            *ret = r[i];
            return true;
        }
    return false;
}

static void records(void)
{
    static struct acct_v3 r[64];
    struct acct_v3 one = { 0 };
    CHECK(-ENOENT, call(SYS_acct, "nothere"));
    CHECK(-EFAULT, call(SYS_acct, T_BAD));
    CHECK(0, mkdir("dir", 0700));
    CHECK(-EISDIR, call(SYS_acct, "dir"));
    rmdir("dir");
    CHECK(-EACCES, call(SYS_acct, "/dev/null"));
    t_write("log", "");
    CHECK(0, call(SYS_acct, "log"));
    child_of(7, 0);
    child_of(0, SIGKILL);
    CHECK(0, call(SYS_acct, NULL));
    child_of(9, 0); /* not any more */
    int fd = open("log", O_RDONLY);
    long n = read(fd, r, sizeof(r)) / (long)sizeof(r[0]);
    close(fd);
    CHECK(true, n >= 2);
    CHECK(true, find(r, n, 7 << 8, &one));
    CHECK(3, one.ac_version & 0x7f);
    CHECK(AFORK, one.ac_flag & (AFORK | AXSIG | ACORE));
    CHECK((long)getuid(), one.ac_uid);
    CHECK((long)getgid(), one.ac_gid);
    CHECK(true, one.ac_pid > 1);
    CHECK(true, one.ac_btime > 1000000);
    CHECK(0, strncmp(one.ac_comm, "sys-acct", 8) && strncmp(one.ac_comm, "acct", 4));
    CHECK(true, find(r, n, SIGKILL, &one));
    CHECK(AFORK | AXSIG, one.ac_flag & (AFORK | AXSIG | ACORE));
    CHECK(false, find(r, n, 9 << 8, &one));
    CHECK(0, call(SYS_acct, NULL)); /* it is off already */
}

static void rights(void)
{
    int s;
    pid_t pid = fork();
    if (pid == 0) {
        if (setresuid(1000, 1000, 1000))
            _exit(2);
        _exit(call(SYS_acct, NULL) == -EPERM && call(SYS_acct, "log") == -EPERM ? 0 : 1);
    }
    waitpid(pid, &s, 0);
    CHECK(0, s);
}

static void quotas(void)
{
    char b[4096];
    long fd = call(SYS_open, ".", O_RDONLY);
    CHECK(0, call(SYS_quotactl, QCMD(Q_SYNC, 0), NULL, 0, 0));
    CHECK(-ENODEV, call(SYS_quotactl, QCMD(Q_GETINFO, 0), NULL, 0, b));
    CHECK(-ENOENT, call(SYS_quotactl, QCMD(Q_GETINFO, 0), "nothere", 0, b));
    CHECK(-ENOTBLK, call(SYS_quotactl, QCMD(Q_GETINFO, 0), "/dev/null", 0, b));
    CHECK(-ENOTBLK, call(SYS_quotactl, QCMD(0x123456, 0), "/dev/null", 0, b));
    CHECK(-EINVAL, call(SYS_quotactl, QCMD(Q_GETINFO, 7), "/dev/null", 0, b));
    CHECK(-EFAULT, call(SYS_quotactl, QCMD(Q_GETINFO, 0), T_BAD, 0, b));
    CHECK(-ENOSYS, call(SYS_quotactl_fd, fd, QCMD(Q_GETINFO, 0), 0, b));
    CHECK(-EINVAL, call(SYS_quotactl_fd, fd, QCMD(Q_GETINFO, 9), 0, b));
    CHECK(-EBADF, call(SYS_quotactl_fd, 99, QCMD(Q_GETINFO, 0), 0, b));
    call(SYS_close, fd);
}

int main(void)
{
    t_enter();
    records();
    rights();
    quotas();
    unlink("log");
    return t_leave();
}
