/* SPDX-License-Identifier: MIT */
/* Processes, threads, programs, signals, tracing and filters. */
#define _GNU_SOURCE
#include "alloc.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/futex.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { LOADER = 127 }; /* how ld.so ends when it, or what it calls, has no memory */

/* Wait for a child that a faulty call made, or say what the call said. */
static long reap(long pid)
{
    int status;
    if (pid < 0)
        return pid;
    if (call(SYS_wait4, pid, &status, 0x40000000 /* __WALL */, NULL) != pid)
        return -EIO;
    return WIFEXITED(status) ? -WEXITSTATUS(status) : -EINTR;
}

static long do_fork(void)
{
    long pid = FAULTY(SYS_fork);
    if (pid == 0)
        _exit(0);
    return reap(pid);
}

/* With memory of several kinds. */
static long do_fork_mapped(void)
{
    static const size_t size = 5 << 20;
    char *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
         *q = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED || q == MAP_FAILED)
        return -EIO;
    for (size_t i = 0; i < size; i += 512 << 10)
        p[i] = q[i] = 1;
    madvise(p + (1 << 20), 4096, MADV_DONTFORK);
    madvise(p + (2 << 20), 4096, MADV_WIPEONFORK);
    long r = do_fork();
    munmap(p, size);
    munmap(q, size);
    return r;
}

static long do_vfork(void)
{
    long pid = vfork();
    if (pid == 0)
        _exit(0);
    return reap(pid < 0 ? -errno : pid);
}

static long do_vfork_faulty(void)
{
    faults_begin();
    long r = do_vfork();
    faults_end();
    return r;
}

static char stack[64 << 10] __attribute__((aligned(16)));
static int thread_id;

static int thread_main(void *arg)
{
    (void)arg;
    return 0;
}

static long make(int flags)
{
    int pidfd = -1;
    faults_begin();
    long pid = clone(thread_main, stack + sizeof(stack), flags, NULL, &pidfd, NULL, &thread_id);
    int err = errno;
    faults_end();
    if (flags & CLONE_PIDFD && pid > 0)
        close(pidfd);
    return pid < 0 ? -err : pid;
}

static long do_thread(void)
{
    thread_id = 1;
    long r = make(CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM |
                  CLONE_CHILD_CLEARTID);
    while (r > 0 && __atomic_load_n(&thread_id, __ATOMIC_ACQUIRE) == 1)
        call(SYS_futex, &thread_id, FUTEX_WAIT, 1, NULL);
    return r;
}

static long do_clone_pidfd(void)
{
    return reap(make(CLONE_PIDFD | SIGCHLD));
}

static long do_clone_shared(void)
{
    return reap(make(CLONE_VM | CLONE_FS | CLONE_FILES | SIGCHLD));
}

/* Execute argv[0] in a child. It, or what it becomes, may be killed when there is no memory left to say anything with. */
static long execute(char *const argv[])
{
    static char *const env[] = { "A=b", NULL };
    long pid = fork();
    if (pid == 0) {
        int fd = open("/proc/self/oom_score_adj", O_WRONLY);
        if (fd < 0 || write(fd, "1000", 4) != 4)
            _exit(EIO);
        close(fd);
        faults_begin();
        long r = call(SYS_execve, argv[0], argv, env);
        faults_end();
        _exit((int)-r);
    }
    return reap(pid);
}

static long do_exec_static(void)
{
    return execute((char *[]){ "/proc/self/exe", "executed", NULL });
}

static long do_exec_dynamic(void)
{
    return execute((char *[]){ "/bin/true", NULL });
}

static long do_exec_script(void)
{
    static const char text[] = "#!/bin/true with an argument\n";
    mkdir(DIR, 0755);
    int fd = open(DIR "/script", O_CREAT | O_WRONLY, 0755);
    if (fd < 0 || write(fd, text, sizeof(text) - 1) != sizeof(text) - 1 || close(fd))
        return -EIO;
    long r = execute((char *[]){ DIR "/script", NULL });
    unlink(DIR "/script");
    rmdir(DIR);
    return r;
}

static long do_exec_arguments(void)
{
    static char big[100 << 10];
    memset(big, 'x', sizeof(big) - 1);
    return execute((char *[]){ "/bin/true", big, big, big, NULL });
}

/* Another thread of the child execs. */
static int exec_main(void *arg)
{
    static char *const argv[] = { "/proc/self/exe", "executed", NULL };
    (void)arg;
    faults_begin();
    long r = call(SYS_execve, argv[0], argv, NULL);
    faults_end();
    call(SYS_exit_group, -r);
    return 0;
}

static long exec_from_thread(void)
{
    int fd = open("/proc/self/oom_score_adj", O_WRONLY);
    if (fd < 0 || write(fd, "1000", 4) != 4 || close(fd))
        return -EIO;
    clone(exec_main, stack + sizeof(stack),
          CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM, NULL);
    for (;;)
        call(SYS_pause);
}

static long do_exec_thread(void)
{
    return in_child(exec_from_thread);
}

static long do_wait(void)
{
    siginfo_t info;
    long pid = fork();
    if (pid == 0)
        _exit(0);
    long r = FAULTY(SYS_waitid, P_PID, pid, &info, WEXITED, NULL);
    reap(r < 0 ? pid : -ECHILD);
    return r;
}

static long do_pidfd(void)
{
    long fd = FAULTY(SYS_pidfd_open, getpid(), 0);
    if (fd >= 0)
        close((int)fd);
    return fd;
}

static long do_signals(void)
{
    sigset_t set, old;
    siginfo_t info = { .si_signo = SIGRTMIN, .si_code = SI_QUEUE };
    sigemptyset(&set);
    sigaddset(&set, SIGRTMIN);
    sigaddset(&set, SIGUSR1);
    sigprocmask(SIG_BLOCK, &set, &old);
    faults_begin();
    long r = call(SYS_rt_sigqueueinfo, getpid(), SIGRTMIN, &info);
    if (r >= 0)
        r = call(SYS_kill, getpid(), SIGUSR1);
    faults_end();
    struct timespec now = { 0 };
    while (sigtimedwait(&set, NULL, &now) > 0)
        ;
    sigprocmask(SIG_SETMASK, &old, NULL);
    return r;
}

static long do_timers(void)
{
    timer_t t;
    struct sigevent ev = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN };
    struct itimerspec when = { .it_value.tv_sec = 1000 };
    faults_begin();
    long r = call(SYS_timer_create, CLOCK_MONOTONIC, &ev, &t);
    if (r >= 0)
        r = call(SYS_timer_settime, *(int *)&t, 0, &when, NULL);
    faults_end();
    call(SYS_timer_delete, *(int *)&t);
    return r;
}

static long do_ptrace(void)
{
    struct user_regs_struct regs;
    struct iovec v = { &regs, sizeof(regs) };
    siginfo_t info;
    char buf[16];
    long pid = fork();
    if (pid == 0)
        for (;;)
            call(SYS_pause);
    faults_begin();
    long r = call(SYS_ptrace, PTRACE_SEIZE, pid, 0, PTRACE_O_TRACESYSGOOD);
    faults_end();
    if (r >= 0) {
        ptrace(PTRACE_INTERRUPT, pid, 0, 0);
        waitpid((int)pid, NULL, 0);
        struct iovec here = { buf, 16 }, there = { stack, 16 };
        faults_begin();
        r = call(SYS_ptrace, PTRACE_GETREGSET, pid, NT_PRSTATUS, &v);
        if (r >= 0)
            r = call(SYS_ptrace, PTRACE_GETSIGINFO, pid, 0, &info);
        if (r >= 0)
            r = call(SYS_ptrace, PTRACE_SETREGSET, pid, NT_PRSTATUS, &v);
        if (r >= 0)
            r = call(SYS_process_vm_readv, pid, &here, 1, &there, 1, 0);
        if (r >= 0)
            r = call(SYS_ptrace, PTRACE_POKEDATA, pid, &thread_id, 1);
        faults_end();
    }
    kill((int)pid, SIGKILL);
    waitpid((int)pid, NULL, 0);
    return r;
}

static long filter(void)
{
    struct sock_filter code[] = { BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0),
                                  BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 0, 1),
                                  BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EBUSY),
                                  BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW) };
    struct sock_fprog prog = { 4, code };
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    faults_begin();
    long r = call(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &prog);
    if (r >= 0)
        r = call(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &prog);
    faults_end();
    return r;
}

static long do_seccomp(void)
{
    return in_child(filter);
}

static long identity(void)
{
    gid_t groups[100] = { 1, 2, 3 };
    struct rlimit lim = { 100, 100 };
    faults_begin();
    long r = call(SYS_setgroups, 100, groups);
    if (r >= 0)
        r = call(SYS_prctl, PR_SET_KEEPCAPS, 1, 0, 0, 0);
    if (r >= 0)
        r = call(SYS_setresuid, 1234, 1234, 1234);
    if (r >= 0)
        r = call(SYS_prlimit64, 0, RLIMIT_NOFILE, &lim, NULL);
    if (r >= 0)
        r = call(SYS_unshare, CLONE_FS | CLONE_FILES);
    if (r >= 0)
        r = call(SYS_setsid);
    faults_end();
    return r;
}

static long do_identity(void)
{
    return in_child(identity);
}

/* Memory that is touched in a child: it may die of it. */
static long touch(void)
{
    int fd = open("/proc/self/oom_score_adj", O_WRONLY);
    char *p = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (fd < 0 || write(fd, "1000", 4) != 4 || p == MAP_FAILED)
        return -EIO;
    faults_begin();
    for (int i = 0; i < 8; i++)
        ((volatile char *)p)[i << 16] = 1;
    stack[0]++; /* copied */
    faults_end();
    return 0;
}

static long do_touch(void)
{
    return in_child(touch);
}

const struct scenario process_scenarios[] = {
    { "fork", do_fork, { EAGAIN } },
    { "fork-mapped", do_fork_mapped, { EAGAIN } },
    { "vfork", do_vfork_faulty, { EAGAIN } },
    { "thread", do_thread, { EAGAIN } },
    { "clone-pidfd", do_clone_pidfd, { EAGAIN } },
    { "clone-shared", do_clone_shared, { EAGAIN } },
    { "exec-static", do_exec_static, { EINTR, LOADER } },
    { "exec-dynamic", do_exec_dynamic, { EINTR, LOADER } },
    { "exec-script", do_exec_script, { EINTR, LOADER } },
    { "exec-arguments", do_exec_arguments, { EINTR, LOADER, E2BIG } },
    { "exec-thread", do_exec_thread, { EINTR, LOADER } },
    { "touch", do_touch, { EINTR } },
    { "wait", do_wait, { 0 } },
    { "pidfd", do_pidfd, { 0 } },
    { "signals", do_signals, { EAGAIN } },
    { "timers", do_timers, { EAGAIN } },
    { "ptrace", do_ptrace, { EIO, EPERM } },
    { "seccomp", do_seccomp, { 0 } },
    { "identity", do_identity, { EAGAIN } },
    { NULL, NULL, { 0 } },
};
