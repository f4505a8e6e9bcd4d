/* SPDX-License-Identifier: MIT */
/* Who may do what to another process: /proc/PID by credentials and dumpable, kill, sched_*, prlimit, ids of others. Run as
 * root; children become users. */
#define _GNU_SOURCE
#include <t.h>

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

enum { USER = 1234, OTHER = 4321 };

static char word[16] = "a word";

static void become(long uid)
{
    CHECK(0, call(SYS_setgroups, 0, NULL));
    CHECK(0, call(SYS_setresgid, uid, uid, uid));
    CHECK(0, call(SYS_setresuid, uid, uid, uid));
}

/* Run fn(arg) in a child that is uid; its failures count here. */
static void as(long uid, void (*fn)(long arg), long arg)
{
    long pid = call(SYS_fork);
    if (pid == 0) {
        t_failures = 0;
        if (uid)
            become(uid);
        fn(arg);
        _exit(t_failures ? 1 : 0);
    }
    int status = -1;
    CHECK(pid, call(SYS_wait4, pid, &status, 0, NULL));
    CHECK(0, status);
}

/* A process of uid that waits to be killed. */
static long target(long uid, bool dumpable)
{
    int fds[2];
    char c;
    CHECK(0, call(SYS_pipe, fds));
    long pid = call(SYS_fork);
    if (pid == 0) {
        if (uid)
            become(uid);
        call(SYS_prctl, PR_SET_DUMPABLE, dumpable, 0, 0, 0);
        call(SYS_write, fds[1], "r", 1);
        for (;;)
            call(SYS_pause);
    }
    CHECK(1, call(SYS_read, fds[0], &c, 1));
    call(SYS_close, fds[0]);
    call(SYS_close, fds[1]);
    return pid;
}

static void end(long pid)
{
    CHECK(0, call(SYS_kill, pid, SIGKILL));
    CHECK(pid, call(SYS_wait4, pid, NULL, 0, NULL));
}

static char *of(long pid, const char *name)
{
    static char path[64];
    snprintf(path, sizeof(path), "/proc/%ld/%s", pid, name);
    return path;
}

static long opens(long pid, const char *name, int flags)
{
    long fd = call(SYS_open, of(pid, name), flags);
    if (fd >= 0)
        call(SYS_close, fd);
    return fd < 0 ? fd : 0;
}

/* Open and read: 0 or the first error. */
static long reads(long pid, const char *name)
{
    static char buf[4096];
    long fd = call(SYS_open, of(pid, name), O_RDONLY);
    if (fd < 0)
        return fd;
    long n = call(SYS_read, fd, buf, sizeof(buf));
    call(SYS_close, fd);
    return n < 0 ? n : 0;
}

static long links(long pid, const char *name)
{
    static char buf[256];
    long n = call(SYS_readlink, of(pid, name), buf, sizeof(buf));
    return n < 0 ? n : 0;
}

static long owner(long pid, const char *name)
{
    struct stat st = { .st_uid = 99 };
    long err = call(SYS_lstat, of(pid, name), &st);
    return err ? err : (long)st.st_uid;
}

/* What everybody may read. */
static void public_files(long pid)
{
    static const char *const names[] = {
        "stat",   "status",    "statm",         "cmdline", "comm",
        "limits", "oom_score", "oom_score_adj", "mounts",  "cgroup"
    };
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        CHECK(0, reads(pid, names[i]));
}

static void may_look(long pid)
{
    struct stat st;
    public_files(pid);
    CHECK(0, reads(pid, "maps"));
    CHECK(0, reads(pid, "smaps_rollup"));
    CHECK(0, reads(pid, "environ"));
    CHECK(0, reads(pid, "auxv"));
    CHECK(0, opens(pid, "mem", O_RDWR));
    CHECK(0, links(pid, "exe"));
    CHECK(0, links(pid, "cwd"));
    CHECK(0, links(pid, "root"));
    CHECK(0, links(pid, "fd/0"));
    CHECK(0, call(SYS_stat, of(pid, "exe"), &st));
    CHECK(0, opens(pid, "fd", O_RDONLY | O_DIRECTORY));
    CHECK(0, reads(pid, "fdinfo/0"));
    CHECK(0, reads(pid, "personality"));
    CHECK(0, call(SYS_kcmp, getpid(), pid, 0, 0, 0) < 0);
    struct iovec here = { word, sizeof(word) }, there = { word, sizeof(word) };
    CHECK(sizeof(word), call(SYS_process_vm_readv, pid, &here, 1, &there, 1, 0));
    CHECK(sizeof(word), call(SYS_process_vm_writev, pid, &here, 1, &there, 1, 0));
}

static void may_not_look(long pid)
{
    struct stat st;
    public_files(pid);
    CHECK(-EACCES, opens(pid, "maps", O_RDONLY));
    CHECK(-EACCES, opens(pid, "smaps", O_RDONLY));
    CHECK(-EACCES, opens(pid, "smaps_rollup", O_RDONLY));
    CHECK(-EACCES, opens(pid, "environ", O_RDONLY));
    CHECK(-EACCES, opens(pid, "auxv", O_RDONLY));
    CHECK(-EACCES, opens(pid, "mem", O_RDONLY));
    CHECK(-EACCES, opens(pid, "mem", O_WRONLY));
    CHECK(-EACCES, opens(pid, "personality", O_RDONLY));
    CHECK(-EACCES, links(pid, "exe"));
    CHECK(-EACCES, links(pid, "cwd"));
    CHECK(-EACCES, links(pid, "root"));
    CHECK(-EACCES, call(SYS_stat, of(pid, "exe"), &st));
    CHECK(-EACCES, call(SYS_stat, of(pid, "root"), &st));
    CHECK(-EACCES, opens(pid, "exe", O_RDONLY));
    CHECK(-EACCES, opens(pid, "fd", O_RDONLY | O_DIRECTORY));
    CHECK(-EACCES, opens(pid, "fd/0", O_RDONLY));
    CHECK(-EACCES, opens(pid, "fdinfo", O_RDONLY | O_DIRECTORY));
    CHECK(-EACCES, opens(pid, "fdinfo/0", O_RDONLY));
    CHECK(-EACCES, opens(pid, "comm", O_WRONLY));
    CHECK(-EACCES, opens(pid, "oom_score_adj", O_WRONLY));
    CHECK(-EPERM, reads(pid, "timerslack_ns"));
    CHECK(-EPERM, call(SYS_kcmp, getpid(), pid, 1, 0, 0));
    CHECK(-EPERM, call(SYS_ptrace, PTRACE_ATTACH, pid, 0, 0));
    CHECK(-EPERM, call(SYS_ptrace, PTRACE_SEIZE, pid, 0, 0));
    struct iovec here = { word, sizeof(word) }, there = { word, sizeof(word) };
    CHECK(-EPERM, call(SYS_process_vm_readv, pid, &here, 1, &there, 1, 0));
    CHECK(-EPERM, call(SYS_process_vm_writev, pid, &here, 1, &there, 1, 0));
    long pidfd = call(SYS_pidfd_open, pid, 0);
    CHECK(true, pidfd >= 0);
    CHECK(-EPERM, call(SYS_pidfd_getfd, pidfd, 0, 0));
}

/* Numbers that show where memory lies: the 26th to 28th and 45th field of stat. */
static unsigned long stat_field(long pid, int n)
{
    static char buf[2048];
    long fd = call(SYS_open, of(pid, "stat"), O_RDONLY);
    long len = call(SYS_read, fd, buf, sizeof(buf) - 1);
    call(SYS_close, fd);
    buf[len > 0 ? len : 0] = '\0';
    char *p = strrchr(buf, ')') + 1;
    unsigned long v = 0;
    for (int i = 3; i <= n; i++) {
        while (*p == ' ')
            p++;
        v = 0;
        for (; *p && *p != ' '; p++)
            v = v * 10 + (unsigned long)(*p - '0');
    }
    return v;
}

static void sees_addresses(long pid)
{
    CHECK(true, stat_field(pid, 26) > 1);
    CHECK(true, stat_field(pid, 28) > 1);
    CHECK(true, stat_field(pid, 45) > 1);
}

static void sees_no_addresses(long pid)
{
    CHECK(1, stat_field(pid, 26));
    CHECK(1, stat_field(pid, 27));
    CHECK(0, stat_field(pid, 28));
    CHECK(0, stat_field(pid, 45));
    CHECK(0, stat_field(pid, 47));
}

static void proc_files(void)
{
    long pid = target(USER, true);
    CHECK(USER, owner(pid, ""));
    CHECK(USER, owner(pid, "maps"));
    CHECK(USER, owner(pid, "fd"));
    as(USER, may_look, pid);
    as(0, may_look, pid);
    as(OTHER, may_not_look, pid);
    as(USER, sees_addresses, pid);
    as(OTHER, sees_no_addresses, pid);
    end(pid);

    pid = target(USER, false);
    CHECK(USER, owner(pid, ""));
    CHECK(USER, owner(pid, "task"));
    CHECK(0, owner(pid, "maps"));
    CHECK(0, owner(pid, "fd"));
    CHECK(0, owner(pid, "mem"));
    as(0, may_look, pid);
    as(USER, may_not_look, pid);
    as(OTHER, may_not_look, pid);
    end(pid);
}

/* Its own files stay open to a process that nobody else may look into. */
static void own_files(long arg)
{
    CHECK(0, arg);
    CHECK(0, call(SYS_prctl, PR_GET_DUMPABLE, 0, 0, 0, 0));
    CHECK(0, owner(getpid(), "maps"));
    CHECK(USER, owner(getpid(), ""));
    CHECK(0, reads(getpid(), "maps"));
    CHECK(-EACCES, opens(getpid(), "mem", O_RDONLY));
    CHECK(-EACCES, opens(getpid(), "environ", O_RDONLY));
    CHECK(0, opens(getpid(), "fd", O_RDONLY | O_DIRECTORY));
    CHECK(0, links(getpid(), "exe"));
    CHECK(0, call(SYS_prctl, PR_SET_DUMPABLE, 1, 0, 0, 0));
    CHECK(USER, owner(getpid(), "maps"));
    CHECK(0, opens(getpid(), "mem", O_RDONLY));
    CHECK(0, opens(getpid(), "environ", O_RDONLY));
}

/* Changes of ids and of capabilities make a process not dumpable, and let it forget its parent's death. */
static void dumpable(long how)
{
    int sig = -1;
    CHECK(0, call(SYS_prctl, PR_SET_DUMPABLE, 1, 0, 0, 0));
    CHECK(0, call(SYS_prctl, PR_SET_PDEATHSIG, SIGUSR1, 0, 0, 0));
    bool stays = how >= 5;
    switch (how) {
    case 0:
        CHECK(0, call(SYS_setuid, USER));
        break;
    case 1:
        CHECK(0, call(SYS_setresuid, -1, USER, -1));
        break;
    case 2:
        CHECK(0, call(SYS_setgid, USER));
        break;
    case 3:
        CHECK(0, call(SYS_setfsuid, USER));
        break;
    case 4:
        CHECK(0, call(SYS_setfsgid, USER));
        break;
    case 5:
        CHECK(0, call(SYS_setresuid, USER, -1, -1));
        break;
    case 6:
        CHECK(0, call(SYS_setresgid, -1, -1, USER));
        break;
    case 7:
        CHECK(0, call(SYS_setgroups, 0, NULL));
        break;
    }
    CHECK(stays, call(SYS_prctl, PR_GET_DUMPABLE, 0, 0, 0, 0));
    CHECK(0, call(SYS_prctl, PR_GET_PDEATHSIG, &sig, 0, 0, 0));
    CHECK(stays ? SIGUSR1 : 0, sig);
}

static void others(long pid)
{
    struct rlimit lim = { 100, 100 };
    struct sched_param param = { 0 };
    cpu_set_t cpus;
    CHECK(-EPERM, call(SYS_kill, pid, 0));
    CHECK(-EPERM, call(SYS_kill, pid, SIGTERM));
    CHECK(-EPERM, call(SYS_tkill, pid, 0));
    CHECK(-EPERM, call(SYS_tgkill, pid, pid, SIGTERM));
    CHECK(-ESRCH, call(SYS_tgkill, 1, pid, SIGTERM));
    long pidfd = call(SYS_pidfd_open, pid, 0);
    CHECK(-EPERM, call(SYS_pidfd_send_signal, pidfd, SIGTERM, NULL, 0));
    CHECK(-EPERM, call(SYS_prlimit64, pid, RLIMIT_NOFILE, NULL, &lim));
    CHECK(-EPERM, call(SYS_prlimit64, pid, RLIMIT_NOFILE, &lim, NULL));
    CHECK(-EPERM, call(SYS_setpriority, PRIO_PROCESS, pid, 5));
    CHECK(-EPERM, call(SYS_sched_setscheduler, pid, SCHED_BATCH, &param));
    CHECK(-EPERM, call(SYS_sched_setparam, pid, &param));
    CHECK(true, call(SYS_sched_getaffinity, pid, sizeof(cpus), &cpus) > 0);
    CHECK(-EPERM, call(SYS_sched_setaffinity, pid, sizeof(cpus), &cpus));
    CHECK(0, call(SYS_sched_getscheduler, pid));
    CHECK(-EPERM, call(SYS_ioprio_set, 1, pid, 2 << 13));
    CHECK(true, call(SYS_getpgid, pid) > 0);
    CHECK(true, call(SYS_getsid, pid) > 0);
    CHECK(-ESRCH, call(SYS_setpgid, pid, 0));
    CHECK(-EPERM, call(SYS_get_robust_list, pid, &lim, &cpus));
    CHECK(0, call(SYS_kill, pid, SIGCONT)); /* the same session */
}

static void own(long pid)
{
    struct rlimit lim = { 100, 100 };
    struct sched_param param = { 0 };
    cpu_set_t cpus;
    CHECK(0, call(SYS_kill, pid, 0));
    CHECK(0, call(SYS_tkill, pid, 0));
    CHECK(0, call(SYS_prlimit64, pid, RLIMIT_CORE, NULL, &lim));
    CHECK(0, call(SYS_prlimit64, pid, RLIMIT_CORE, &lim, NULL));
    CHECK(0, call(SYS_setpriority, PRIO_PROCESS, pid, 15));
    CHECK(-EACCES, call(SYS_setpriority, PRIO_PROCESS, pid, 14));
    CHECK(0, call(SYS_sched_setscheduler, pid, SCHED_BATCH, &param));
    CHECK(0, call(SYS_sched_setscheduler, pid, SCHED_OTHER, &param));
    param.sched_priority = 1;
    CHECK(-EPERM, call(SYS_sched_setscheduler, pid, SCHED_FIFO, &param));
    CHECK(true, call(SYS_sched_getaffinity, pid, sizeof(cpus), &cpus) > 0);
    CHECK(0, call(SYS_sched_setaffinity, pid, sizeof(cpus), &cpus));
    CHECK(0, call(SYS_ioprio_set, 1, pid, 2 << 13));
    CHECK(-EPERM, call(SYS_ioprio_set, 1, pid, 1 << 13));
}

/* Without the limits, nobody but CAP_SYS_NICE. */
static void no_nice(long arg)
{
    struct sched_param param = { .sched_priority = 1 };
    CHECK(0, arg);
    CHECK(0, call(SYS_setpriority, PRIO_PROCESS, 0, 15));
    CHECK(-EACCES, call(SYS_setpriority, PRIO_PROCESS, 0, 14));
    CHECK(-EPERM, call(SYS_sched_setscheduler, 0, SCHED_FIFO, &param));
    CHECK(-EPERM, call(SYS_sched_setscheduler, 0, SCHED_RR, &param));
}

/* RLIMIT_NICE and RLIMIT_RTPRIO give what CAP_SYS_NICE gives, up to a bound. */
/* Without a right to raise anything: SCHED_IDLE is not left, and children's reset not taken back. */
static void no_way_up(long arg)
{
    struct sched_param p = { 0 };
    (void)arg;
    CHECK(0, call(SYS_sched_setscheduler, 0, SCHED_OTHER | SCHED_RESET_ON_FORK, &p));
    CHECK(0, call(SYS_sched_setscheduler, 0, SCHED_BATCH | SCHED_RESET_ON_FORK, &p));
    CHECK(-EPERM, call(SYS_sched_setscheduler, 0, SCHED_BATCH, &p));
    CHECK(0, call(SYS_sched_setscheduler, 0, SCHED_IDLE | SCHED_RESET_ON_FORK, &p));
    CHECK(0, call(SYS_sched_setscheduler, 0, SCHED_IDLE | SCHED_RESET_ON_FORK, &p));
    CHECK(-EPERM, call(SYS_sched_setscheduler, 0, SCHED_OTHER | SCHED_RESET_ON_FORK, &p));
    CHECK(-EPERM, call(SYS_sched_setscheduler, 0, SCHED_BATCH | SCHED_RESET_ON_FORK, &p));
}

static void nice_limits(long arg)
{
    CHECK(0, arg);
    struct sched_param param = { .sched_priority = 3 };
    CHECK(0, call(SYS_setpriority, PRIO_PROCESS, 0, 0));
    CHECK(0, call(SYS_setpriority, PRIO_PROCESS, 0, -5));
    CHECK(-EACCES, call(SYS_setpriority, PRIO_PROCESS, 0, -6));
    CHECK(25, call(SYS_getpriority, PRIO_PROCESS, 0));
    CHECK(0, call(SYS_sched_setscheduler, 0, SCHED_FIFO, &param));
    param.sched_priority = 4;
    CHECK(-EPERM, call(SYS_sched_setparam, 0, &param));
    param.sched_priority = 2;
    CHECK(0, call(SYS_sched_setparam, 0, &param));
    param.sched_priority = 3;
    CHECK(0, call(SYS_sched_setparam, 0, &param));
    param.sched_priority = 0;
    CHECK(0, call(SYS_sched_setscheduler, 0, SCHED_OTHER, &param));
}

int main(void)
{
    proc_files();
    as(USER, own_files, 0);
    for (int i = 0; i < 8; i++)
        as(0, dumpable, i);
    long pid = target(USER, true);
    as(OTHER, others, pid);
    as(USER, own, pid);
    end(pid);
    struct rlimit nice = { 25, 25 }, rtprio = { 3, 3 };
    as(USER, no_nice, 0);
    as(USER, no_way_up, 0);
    /* A container's root may not raise limits: then the guest alone says what they give. */
    long err = call(SYS_setrlimit, RLIMIT_NICE, &nice);
    CHECK(t_alcove() ? 0 : err, err);
    if (err == 0) {
        CHECK(0, call(SYS_setrlimit, RLIMIT_RTPRIO, &rtprio));
        as(USER, nice_limits, 0);
    }
    return t_end();
}
