/* SPDX-License-Identifier: MIT */
/* What is left of a process that has ended until it is waited for: /proc shows it, calls that name it find it, and it has
 * nothing any more. The same of a leader whose threads go on. */
#define _GNU_SOURCE
#include <t.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

static char text[8192];

static const char *path_of(int pid, const char *name)
{
    static char path[64];
    snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
    return path;
}

/* The whole of a file of /proc/PID in text; its length or a negative errno. */
static long slurp(int pid, const char *name)
{
    long fd = call(SYS_openat, AT_FDCWD, path_of(pid, name), O_RDONLY, 0), n = 0, got;
    text[0] = '\0';
    if (fd < 0)
        return fd;
    while ((got = call(SYS_read, fd, text + n, sizeof(text) - 1 - (size_t)n)) > 0)
        n += got;
    text[n] = '\0';
    call(SYS_close, fd);
    return got < 0 ? got : n;
}

/* Field n of stat, counted from 1 as in proc(5); those behind the name. */
static long stat_field(int n)
{
    const char *p = strrchr(text, ')');
    for (p = p ? p + 2 : text; n > 3; n--)
        p = strchr(p, ' ') + 1;
    return strtol(p, NULL, 10);
}

static char state_of(int pid)
{
    slurp(pid, "stat");
    const char *p = strrchr(text, ')');
    return p ? p[2] : '?';
}

/* How often dir names pid; -1: there is no such directory. */
static int listed(const char *dir, int pid)
{
    DIR *d = opendir(dir);
    int n = 0;
    if (!d)
        return -1;
    for (struct dirent *e; (e = readdir(d));)
        n += atoi(e->d_name) == pid;
    closedir(d);
    return n;
}

static int entries(const char *dir)
{
    DIR *d = opendir(dir);
    int n = 0;
    if (!d)
        return -1;
    for (struct dirent *e; (e = readdir(d));)
        n += e->d_name[0] != '.';
    closedir(d);
    return n;
}

/* A child that has ended, and is not waited for. */
static int zombie(int status)
{
    siginfo_t info;
    int pid = fork();
    if (pid == 0)
        _exit(status);
    CHECK(0, waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT));
    return pid;
}

static void test_proc(void)
{
    int pid = zombie(3);
    CHECK('Z', state_of(pid));
    CHECK(getpid(), stat_field(4));
    CHECK(getpgrp(), stat_field(5));
    CHECK(1, stat_field(20)); /* threads */
    CHECK(0, stat_field(23)); /* no memory */
    CHECK(0, stat_field(24));
    CHECK(3 << 8, stat_field(52)); /* exit_code */
    slurp(pid, "status");
    CHECK(true, strstr(text, "\nState:\tZ (zombie)\n") != NULL);
    CHECK(true, strstr(text, "\nThreads:\t1\n") != NULL);
    CHECK(true, strstr(text, "\nFDSize:\t0\n") != NULL);
    CHECK(true, strstr(text, "VmSize") == NULL);
    CHECK(true, strstr(text, "Umask") == NULL);
    CHECK(1, listed("/proc", pid));
    CHECK(0, slurp(pid, "cmdline"));
    CHECK(0, slurp(pid, "maps"));
    CHECK(true, slurp(pid, "comm") > 0);
    CHECK(true, slurp(pid, "limits") > 0);
    CHECK(14, slurp(pid, "statm"));
    CHECK(0, strcmp(text, "0 0 0 0 0 0 0\n"));
    CHECK(true, slurp(pid, "oom_score") > 0);
    CHECK(-ENOENT, call(SYS_readlink, path_of(pid, "exe"), text, sizeof(text)));
    CHECK(-ENOENT, call(SYS_readlink, path_of(pid, "cwd"), text, sizeof(text)));
    CHECK(-ENOENT, call(SYS_readlink, path_of(pid, "root"), text, sizeof(text)));
    CHECK(0, entries(path_of(pid, "fd")));
    CHECK(1, entries(path_of(pid, "task")));
    CHECK(1, listed(path_of(pid, "task"), pid));
    long dir = call(SYS_open, path_of(pid, ""), O_RDONLY | O_DIRECTORY, 0);
    CHECK(true, dir >= 0);
    CHECK(pid, waitpid(pid, NULL, 0));
    CHECK(-ENOENT, slurp(pid, "stat"));
    CHECK(0, listed("/proc", pid));
    CHECK(true, call(SYS_getdents64, dir, text, sizeof(text)) <= 0);
    call(SYS_close, dir);
}

/* What kill(2) says to another user: how many of its answers are not as they should be. */
static int zombie_of_user(int uid, int pid)
{
    int status = -1, child = fork();
    if (!child) {
        if (call(SYS_setresuid, uid, uid, uid))
            _exit(9);
        _exit((call(SYS_kill, pid, 0) != -EPERM) + (call(SYS_kill, pid, SIGKILL) != -EPERM) +
              (call(SYS_kill, pid, SIGCONT) != 0)); /* the same session */
    }
    waitpid(child, &status, 0);
    return status;
}

static void test_calls(void)
{
    struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
    struct __user_cap_data_struct data[2];
    struct sched_param param = { 0 };
    struct rlimit limit;
    struct iovec v = { text, 1 };
    cpu_set_t set;
    int pid = zombie(0);
    CHECK(0, call(SYS_kill, pid, 0));
    CHECK(0, call(SYS_kill, pid, SIGTERM));
    CHECK(0, call(SYS_kill, pid, SIGKILL));
    int other = zombie_of_user(4321, pid);
    CHECK(0, other);
    CHECK(0, call(SYS_tgkill, pid, pid, 0));
    CHECK(0, call(SYS_tgkill, pid, pid, SIGUSR1));
    CHECK(-ESRCH, call(SYS_tgkill, getpid(), pid, 0));
    CHECK(0, call(SYS_tkill, pid, SIGUSR1));
    CHECK(SCHED_OTHER, call(SYS_sched_getscheduler, pid));
    CHECK(0, call(SYS_sched_getparam, pid, &param));
    CHECK(0, call(SYS_sched_setscheduler, pid, SCHED_BATCH, &param));
    CHECK(SCHED_BATCH, call(SYS_sched_getscheduler, pid));
    CHECK(true, call(SYS_sched_getaffinity, pid, sizeof(set), &set) > 0);
    CHECK(call(SYS_getpriority, PRIO_PROCESS, 0), call(SYS_getpriority, PRIO_PROCESS, pid));
    CHECK(0, call(SYS_setpriority, PRIO_PROCESS, pid, 18));
    CHECK(2, call(SYS_getpriority, PRIO_PROCESS, pid));
    CHECK(0, call(SYS_prlimit64, pid, RLIMIT_NOFILE, NULL, &limit));
    head.pid = pid;
    CHECK(0, call(SYS_capget, &head, data));
    CHECK(getpgrp(), call(SYS_getpgid, pid));
    CHECK(getsid(0), call(SYS_getsid, pid));
    CHECK(-EPERM, call(SYS_ptrace, PTRACE_ATTACH, pid, 0, 0));
    CHECK(-ESRCH, call(SYS_ptrace, PTRACE_CONT, pid, 0, 0));
    CHECK(-ESRCH, call(SYS_process_vm_readv, pid, &v, 1, &v, 1, 0));
    long fd = call(SYS_pidfd_open, pid, 0);
    CHECK(true, fd >= 0);
    CHECK(0, call(SYS_pidfd_send_signal, fd, SIGTERM, NULL, 0));
    call(SYS_close, fd);
    CHECK(pid, waitpid(pid, NULL, 0));
    CHECK(-ESRCH, call(SYS_kill, pid, 0));
    CHECK(-ESRCH, call(SYS_tgkill, pid, pid, 0));
    CHECK(-ESRCH, call(SYS_sched_getscheduler, pid));
    CHECK(-ESRCH, call(SYS_prlimit64, pid, RLIMIT_NOFILE, NULL, &limit));
}

static int tell[2], stay[2];

static void *go_on(void *arg)
{
    char c;
    (void)arg;
    while (state_of(getpid()) != 'Z')
        sched_yield();
    int tid = gettid();
    call(SYS_write, tell[1], &tid, sizeof(tid));
    call(SYS_read, stay[0], &c, 1);
    call(SYS_exit_group, 7);
    return NULL;
}

/* The leader has ended, another thread goes on: the process is none to wait for, but its leader is a zombie. */
static void test_leader(void)
{
    pthread_t thread;
    int tid = -1, status;
    CHECK(0, pipe(tell));
    CHECK(0, pipe(stay));
    int pid = fork();
    if (pid == 0) {
        if (pthread_create(&thread, NULL, go_on, NULL))
            _exit(1);
        call(SYS_exit, 0);
    }
    CHECK(sizeof(tid), call(SYS_read, tell[0], &tid, sizeof(tid)));
    CHECK('Z', state_of(pid));
    CHECK(2, stat_field(20));
    CHECK(1, listed("/proc", pid));
    CHECK(2, entries(path_of(pid, "task")));
    CHECK(1, listed(path_of(pid, "task"), pid));
    CHECK(1, listed(path_of(pid, "task"), tid));
    CHECK(-ENOENT, call(SYS_readlink, path_of(pid, "exe"), text, sizeof(text)));
    CHECK(0, call(SYS_tgkill, pid, pid, SIGUSR1)); /* lost */
    CHECK(0, call(SYS_tgkill, pid, tid, 0));
    CHECK(0, waitpid(pid, &status, WNOHANG));
    call(SYS_write, stay[1], "", 1);
    CHECK(pid, waitpid(pid, &status, 0));
    CHECK(7 << 8, status);
    CHECK(-ENOENT, slurp(pid, "stat"));
    for (int i = 0; i < 2; i++) {
        close(tell[i]);
        close(stay[i]);
    }
}

static void *exec_itself(void *arg)
{
    while (state_of(getpid()) != 'Z')
        sched_yield();
    int fd = open(arg, O_PATH);
    execveat(fd, "", (char *[]){ "zombie", "executed", NULL }, NULL, AT_EMPTY_PATH);
    _exit(100 + errno);
}

/* A thread that execs becomes the leader in place of the one that has ended. */
static void test_exec(void)
{
    static char exe[256];
    pthread_t thread;
    int status = -1;
    CHECK(true, readlink("/proc/self/exe", exe, sizeof(exe) - 1) > 0);
    int pid = fork();
    if (pid == 0) {
        if (pthread_create(&thread, NULL, exec_itself, exe))
            _exit(1);
        call(SYS_exit, 0);
    }
    CHECK(pid, waitpid(pid, &status, 0));
    CHECK(9 << 8, status);
}

/* A tracer ends that has not waited for its dead tracee, whose parent does not want to know: it goes at once. */
static void test_tracer(void)
{
    siginfo_t info;
    int status, ready[2];
    CHECK(0, pipe(ready));
    int parent = fork();
    if (parent == 0) {
        call(SYS_prctl, 1, SIGKILL, 0, 0, 0); /* PR_SET_PDEATHSIG */
        signal(SIGCHLD, SIG_IGN);
        int tracee = fork();
        if (tracee == 0)
            for (;;)
                pause();
        call(SYS_write, ready[1], &tracee, sizeof(tracee));
        while (kill(tracee, 0) == 0)
            usleep(1000);
        _exit(errno == ESRCH ? 5 : 1);
    }
    int tracee = 0;
    CHECK(sizeof(tracee), call(SYS_read, ready[0], &tracee, sizeof(tracee)));
    int tracer = fork();
    if (tracer == 0) {
        if (call(SYS_ptrace, PTRACE_SEIZE, tracee, 0, 0) || kill(tracee, SIGKILL) ||
            waitid(P_PID, (id_t)tracee, &info, WEXITED | WNOWAIT))
            _exit(1);
        _exit(state_of(tracee) == 'Z' ? 6 : 2);
    }
    CHECK(tracer, waitpid(tracer, &status, 0));
    CHECK(6 << 8, status);
    CHECK(parent, waitpid(parent, &status, 0));
    CHECK(5 << 8, status);
    close(ready[0]);
    close(ready[1]);
}

int main(int argc, char **argv)
{
    if (argc > 1 && !strcmp(argv[1], "executed"))
        return state_of(getpid()) == 'R' && entries("/proc/self/task") == 1 ? 9 : 8;
    test_proc();
    test_calls();
    test_leader();
    test_exec();
    test_tracer();
    return t_end();
}
