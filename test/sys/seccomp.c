/* SPDX-License-Identifier: MIT */
/* System call filters: strict mode, what a program may be, each action, stacking, inheritance, threads, listeners. */
#define _GNU_SOURCE
#include <t.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/ptrace.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define NR (offsetof(struct seccomp_data, nr))
/* Answer how to system call nr, ALLOW to others. */
#define FILTER(nr, how)                                                                            \
    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, NR), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (nr), 0, 1),       \
        BPF_STMT(BPF_RET | BPF_K, (how)), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)

static long install(const struct sock_filter *f, unsigned n, unsigned flags)
{
    struct sock_fprog p = { .len = (unsigned short)n, .filter = (struct sock_filter *)f };
    return call(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &p);
}

static long answer(int nr, unsigned how, unsigned flags)
{
    const struct sock_filter f[] = { FILTER((unsigned)nr, how) };
    return install(f, 4, flags);
}

static void no_new_privs(void)
{
    CHECK(0, call(SYS_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
}

/* The wait status of a child that runs fn and exits with its result. */
static int in_child(int (*fn)(void))
{
    int status = -1, pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        no_new_privs();
        _exit(fn());
    }
    call(SYS_wait4, pid, &status, 0, NULL);
    return status;
}

static int strict_good(void)
{
    CHECK(0, call(SYS_prctl, PR_SET_SECCOMP, SECCOMP_MODE_STRICT, 0, 0, 0));
    call(SYS_write, -1, "", 0);
    call(SYS_exit, 5);
    return 6;
}

static int strict_bad(void)
{
    CHECK(0, call(SYS_seccomp, SECCOMP_SET_MODE_STRICT, 0, NULL));
    call(SYS_getpid);
    return 6;
}

static int checker(void)
{
    static const struct {
        struct sock_filter f[3];
        unsigned n;
        long want;
    } cases[] = {
        { { BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW) }, 1, 0 },
        { { BPF_STMT(BPF_RET | BPF_A, 0) }, 0, -EINVAL },
        { { BPF_STMT(BPF_LD | BPF_IMM, 1) }, 1, -EINVAL }, /* does not end */
        { { BPF_JUMP(BPF_JMP | BPF_JA, 1, 0, 0), BPF_STMT(BPF_RET | BPF_K, 0) }, 2, -EINVAL },
        { { BPF_JUMP(BPF_JMP | BPF_JA, 0xffffffff, 0, 0), BPF_STMT(BPF_RET | BPF_K, 0) },
          2,
          -EINVAL },
        { { BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 64), BPF_STMT(BPF_RET | BPF_K, 0) }, 2, -EINVAL },
        { { BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 2), BPF_STMT(BPF_RET | BPF_K, 0) }, 2, -EINVAL },
        { { BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 0), BPF_STMT(BPF_RET | BPF_K, 0) }, 2, -EINVAL },
        { { BPF_STMT(BPF_LD | BPF_MEM, 3), BPF_STMT(BPF_RET | BPF_A, 0) }, 2, -EINVAL },
        { { BPF_STMT(BPF_ST, 16), BPF_STMT(BPF_RET | BPF_A, 0) }, 2, -EINVAL },
        { { BPF_STMT(BPF_ALU | BPF_DIV | BPF_K, 0), BPF_STMT(BPF_RET | BPF_A, 0) }, 2, -EINVAL },
        { { BPF_STMT(BPF_ALU | BPF_LSH | BPF_K, 32), BPF_STMT(BPF_RET | BPF_A, 0) }, 2, -EINVAL },
        { { BPF_STMT(BPF_ALU | BPF_MOD | BPF_K, 3), BPF_STMT(BPF_RET | BPF_K, 0) }, 2, -EINVAL },
        { { BPF_STMT(0xffff, 0), BPF_STMT(BPF_RET | BPF_K, 0) }, 2, -EINVAL },
        { { BPF_STMT(BPF_LD | BPF_IMM, 0x7fff0000), BPF_STMT(BPF_ST, 3),
            BPF_STMT(BPF_RET | BPF_A, 0) },
          3,
          0 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        CHECK(cases[i].want, install(cases[i].f, cases[i].n, 0));
    CHECK(-EFAULT, call(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, T_BAD));
    CHECK(-EFAULT, install(T_BAD, 4, 0));
    CHECK(-EINVAL, answer(0, 0, 1u << 20));
    CHECK(-EINVAL, answer(0, 0, SECCOMP_FILTER_FLAG_TSYNC | SECCOMP_FILTER_FLAG_NEW_LISTENER));
    CHECK(-EINVAL, call(SYS_seccomp, 99, 0, NULL));
    CHECK(-EINVAL, call(SYS_prctl, PR_SET_SECCOMP, 7, 0, 0, 0));
    CHECK(-EINVAL, call(SYS_seccomp, SECCOMP_SET_MODE_STRICT, 0, NULL)); /* filters are in force */
    CHECK(2, call(SYS_prctl, PR_GET_SECCOMP, 0, 0, 0, 0));
    return t_failures ? 1 : 3;
}

static void facts(void)
{
    struct seccomp_notif_sizes s = { 0, 0, 0 };
    unsigned action = SECCOMP_RET_TRAP, bad = 0x12340000;
    CHECK(0, call(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action));
    CHECK(-EOPNOTSUPP, call(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &bad));
    CHECK(-EINVAL, call(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 1, &action));
    CHECK(0, call(SYS_seccomp, SECCOMP_GET_NOTIF_SIZES, 0, &s));
    CHECK(sizeof(struct seccomp_notif), s.seccomp_notif);
    CHECK(sizeof(struct seccomp_notif_resp), s.seccomp_notif_resp);
    CHECK(sizeof(struct seccomp_data), s.seccomp_data);
    CHECK(0, call(SYS_prctl, PR_GET_SECCOMP, 0, 0, 0, 0));
}

static int stacked(void)
{
    CHECK(0, answer(SYS_getppid, SECCOMP_RET_ERRNO | 7, 0));
    CHECK(-7, call(SYS_getppid));
    CHECK(true, call(SYS_getpid) > 0);
    CHECK(0, answer(SYS_getppid, SECCOMP_RET_ALLOW, 0)); /* never weaker */
    CHECK(-7, call(SYS_getppid));
    CHECK(0, answer(SYS_getppid, SECCOMP_RET_ERRNO | 0xffff, 0)); /* the newest counts, capped */
    CHECK(-4095, call(SYS_getppid));
    CHECK(0, answer(SYS_getuid, SECCOMP_RET_LOG, 0));
    CHECK(getuid(), call(SYS_getuid));
    int status, pid = fork();
    if (pid == 0)
        _exit(call(SYS_getppid) == -4095 ? 9 : 8);
    call(SYS_wait4, pid, &status, 0, NULL);
    CHECK(9 << 8, status);
    return t_failures ? 1 : 3;
}

/* Arguments decide, by every kind of instruction. */
static int arguments(void)
{
    const struct sock_filter f[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, NR),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_kill, 0, 10),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[1])),
        BPF_STMT(BPF_MISC | BPF_TAX, 0),
        BPF_STMT(BPF_LD | BPF_IMM, 6),
        BPF_STMT(BPF_ALU | BPF_MUL | BPF_X, 0),
        BPF_STMT(BPF_ALU | BPF_SUB | BPF_K, 2),
        BPF_STMT(BPF_ST, 5),
        BPF_STMT(BPF_LDX | BPF_MEM, 5),
        BPF_STMT(BPF_MISC | BPF_TXA, 0),
        BPF_STMT(BPF_ALU | BPF_OR | BPF_K, SECCOMP_RET_ERRNO),
        BPF_STMT(BPF_RET | BPF_A, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    CHECK(0, install(f, 13, 0));
    CHECK(-40, call(SYS_kill, 0, 7));
    CHECK(-22, call(SYS_kill, 0, 4));
    return t_failures ? 1 : 3;
}

static siginfo_t caught;

static void on_sys(int sig, siginfo_t *si, void *context)
{
    caught = *si;
}

static int trapped(void)
{
    struct sigaction sa = { .sa_sigaction = on_sys, .sa_flags = SA_SIGINFO };
    sigaction(SIGSYS, &sa, NULL);
    CHECK(0, answer(SYS_getppid, SECCOMP_RET_TRAP | 99, 0));
    call(SYS_getppid);
    CHECK(SIGSYS, caught.si_signo);
    CHECK(1, caught.si_code); /* SYS_SECCOMP */
    CHECK(99, caught.si_errno);
    CHECK(SYS_getppid, caught.si_syscall);
    CHECK(AUDIT_ARCH_X86_64, (unsigned)caught.si_arch);
    return t_failures ? 1 : 3;
}

static int kill_process(void)
{
    CHECK(0, answer(SYS_getppid, SECCOMP_RET_KILL_PROCESS, 0));
    signal(SIGSYS, SIG_IGN);
    call(SYS_getppid);
    return 4;
}

static void *die_alone(void *arg)
{
    answer(SYS_getppid, SECCOMP_RET_KILL_THREAD, 0);
    call(SYS_getppid);
    return (void *)1;
}

static int kill_thread(void)
{
    pthread_t t;
    pthread_create(&t, NULL, die_alone, NULL);
    pthread_join(t, NULL); /* its number is cleared as ever */
    return call(SYS_getppid) > 0 ? 3 : 4;
}

static int go[2];

static void *waiter(void *arg)
{
    char c;
    if (read(go[0], &c, 1) != 1)
        return NULL;
    return (void *)call(SYS_getppid);
}

static int synchronised(void)
{
    pthread_t t;
    void *got;
    if (pipe(go))
        return 1;
    pthread_create(&t, NULL, waiter, NULL);
    CHECK(0, answer(SYS_getppid, SECCOMP_RET_ERRNO | 3, SECCOMP_FILTER_FLAG_TSYNC));
    CHECK(1, write(go[1], "", 1));
    pthread_join(t, &got);
    CHECK(-3, (long)got);
    return t_failures ? 1 : 3;
}

static int traced(void)
{
    CHECK(0, answer(SYS_getppid, SECCOMP_RET_TRACE | 0x123, 0));
    CHECK(-ENOSYS, call(SYS_getppid)); /* no tracer */
    call(SYS_ptrace, PTRACE_TRACEME, 0, 0, 0);
    raise(SIGSTOP);
    return call(SYS_getppid) > 0 && !t_failures ? 3 : 4;
}

static void tracer(void)
{
    int status;
    unsigned long message = 0;
    int pid = fork();
    if (pid == 0) {
        no_new_privs();
        _exit(traced());
    }
    CHECK(pid, call(SYS_wait4, pid, &status, 0, NULL));
    CHECK(0, call(SYS_ptrace, PTRACE_SETOPTIONS, pid, 0, 1 << PTRACE_EVENT_SECCOMP));
    CHECK(0, call(SYS_ptrace, PTRACE_CONT, pid, 0, 0));
    CHECK(pid, call(SYS_wait4, pid, &status, 0, NULL));
    CHECK(SIGTRAP | PTRACE_EVENT_SECCOMP << 8, status >> 8);
    CHECK(0, call(SYS_ptrace, PTRACE_GETEVENTMSG, pid, 0, &message));
    CHECK(0x123, message);
    struct ptrace_syscall_info info;
    CHECK(84, call(SYS_ptrace, PTRACE_GET_SYSCALL_INFO, pid, sizeof info, &info) & ~7l ? 84 : 0);
    CHECK(SYS_getppid, info.seccomp.nr);
    CHECK(0, call(SYS_ptrace, PTRACE_CONT, pid, 0, 0));
    CHECK(pid, call(SYS_wait4, pid, &status, 0, NULL));
    CHECK(3 << 8, status);
}

static int listener_fd;

static void *asker(void *arg)
{
    listener_fd =
        (int)answer(SYS_getppid, SECCOMP_RET_USER_NOTIF, SECCOMP_FILTER_FLAG_NEW_LISTENER);
    (void)!write(go[1], "", 1);
    long a = call(SYS_getppid), b = call(SYS_getppid), c = call(SYS_getppid), d = call(SYS_getppid);
    CHECK(12345, a);
    CHECK(-EPERM, b);
    CHECK(true, c > 0 && c != 12345);
    CHECK(true, d > 2); /* a descriptor */
    CHECK(1, write((int)d, "x", 1));
    CHECK(-ENOSYS, call(SYS_getppid)); /* nobody listens any more */
    return NULL;
}

static struct seccomp_notif next_question(void)
{
    struct seccomp_notif n;
    memset(&n, 0, sizeof n);
    CHECK(0, call(SYS_ioctl, listener_fd, SECCOMP_IOCTL_NOTIF_RECV, &n));
    CHECK(SYS_getppid, n.data.nr);
    return n;
}

static long reply(unsigned long id, long val, int error, unsigned flags)
{
    struct seccomp_notif_resp r = { .id = id, .val = val, .error = error, .flags = flags };
    return call(SYS_ioctl, listener_fd, SECCOMP_IOCTL_NOTIF_SEND, &r);
}

static int listening(void)
{
    pthread_t t;
    char c;
    int ends[2];
    if (pipe(go) || pipe(ends))
        return 1;
    pthread_create(&t, NULL, asker, NULL);
    CHECK(1, read(go[0], &c, 1));
    CHECK(true, listener_fd > 2);
    struct pollfd p = { listener_fd, POLLIN, 0 };
    CHECK(1, call(SYS_poll, &p, 1, -1));
    struct seccomp_notif n = next_question();
    CHECK(0, call(SYS_ioctl, listener_fd, SECCOMP_IOCTL_NOTIF_ID_VALID, &n.id));
    CHECK(-EINVAL, call(SYS_ioctl, listener_fd, SECCOMP_IOCTL_NOTIF_RECV, &n)); /* not zero */
    CHECK(-EINVAL, reply(n.id, 1, 0, SECCOMP_USER_NOTIF_FLAG_CONTINUE));
    CHECK(-ENOENT, reply(n.id + 1000, 1, 0, 0));
    CHECK(0, reply(n.id, 12345, 0, 0));
    n = next_question();
    CHECK(0, reply(n.id, 0, -EPERM, 0));
    n = next_question();
    CHECK(0, reply(n.id, 0, 0, SECCOMP_USER_NOTIF_FLAG_CONTINUE));
    n = next_question();
    struct seccomp_notif_addfd add = { .id = n.id,
                                       .flags = SECCOMP_ADDFD_FLAG_SEND,
                                       .srcfd = (unsigned)ends[1] };
    CHECK(true, call(SYS_ioctl, listener_fd, SECCOMP_IOCTL_NOTIF_ADDFD, &add) > 2);
    CHECK(1, read(ends[0], &c, 1));
    next_question();
    CHECK(0, call(SYS_close, listener_fd));
    pthread_join(t, NULL);
    return t_failures ? 1 : 3;
}

int main(void)
{
    facts();
    if (geteuid())
        CHECK(-EACCES, answer(0, 0, 0));
    CHECK(5 << 8, in_child(strict_good));
    CHECK(SIGKILL, in_child(strict_bad));
    CHECK(3 << 8, in_child(checker));
    CHECK(3 << 8, in_child(stacked));
    CHECK(3 << 8, in_child(arguments));
    CHECK(3 << 8, in_child(trapped));
    CHECK(SIGSYS, in_child(kill_process) & 0x7f);
    CHECK(3 << 8, in_child(kill_thread));
    CHECK(3 << 8, in_child(synchronised));
    CHECK(3 << 8, in_child(listening));
    tracer();
    return t_end();
}
