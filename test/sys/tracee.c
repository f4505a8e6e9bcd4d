/* SPDX-License-Identifier: MIT */
/* ptrace(2): requests about a tracee's filters, bases and debug registers, and what refused requests say. test/sys/ptrace.c has the
 * stops. */
#define _GNU_SOURCE
#include <t.h>

#include <asm/prctl.h>
#include <elf.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ARCH_PRCTL = 30, GET_FILTER = 0x420c, GET_METADATA = 0x420d, RSEQ_CONFIGURATION = 0x420f };

static volatile int watched;
static pid_t child;

#define PT(request, addr, data) call(SYS_ptrace, (request), child, (addr), (data))

static void tracee(void)
{
    struct sock_filter allow[] = { { BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW } };
    struct sock_filter longer[] = { { BPF_LD | BPF_W | BPF_ABS, 0, 0, 0 },
                                    { BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW } };
    struct sock_fprog one = { 1, allow }, two = { 2, longer };
    ptrace(PTRACE_TRACEME, 0, 0, 0);
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    call(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &one);
    call(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_LOG, &two);
    raise(SIGSTOP);
    watched = 5;
    for (;;)
        raise(SIGSTOP);
}

static void filters(void)
{
    struct sock_filter prog[8];
    uint64_t meta[2] = { 0, 9 };
    CHECK(1, PT(GET_FILTER, 0, NULL)); /* the oldest */
    CHECK(1, PT(GET_FILTER, 0, prog));
    CHECK(BPF_RET | BPF_K, prog[0].code);
    CHECK(2, PT(GET_FILTER, 1, prog));
    CHECK(BPF_LD | BPF_W | BPF_ABS, prog[0].code);
    CHECK(-ENOENT, PT(GET_FILTER, 2, prog));
    CHECK(-EFAULT, PT(GET_FILTER, 0, T_BAD));
    CHECK(16, PT(GET_METADATA, 16, meta));
    CHECK(0, (long)meta[1]);
    meta[0] = 1;
    CHECK(16, PT(GET_METADATA, 16, meta));
    CHECK(SECCOMP_FILTER_FLAG_LOG, (long)meta[1]);
    CHECK(8, PT(GET_METADATA, 8, meta));
    CHECK(-EINVAL, PT(GET_METADATA, 7, meta));
    CHECK(-EFAULT, PT(GET_METADATA, 16, T_BAD));
}

static void bases(void)
{
    unsigned long v = 0;
    struct user_regs_struct regs;
    CHECK(0, PT(PTRACE_GETREGS, 0, &regs));
    CHECK(0, PT(ARCH_PRCTL, &v, ARCH_GET_FS));
    CHECK((long)regs.fs_base, (long)v);
    CHECK(0, PT(ARCH_PRCTL, 0x1000, ARCH_SET_GS));
    CHECK(0, PT(ARCH_PRCTL, &v, ARCH_GET_GS));
    CHECK(0x1000, v);
    CHECK(-EFAULT, PT(ARCH_PRCTL, T_BAD, ARCH_GET_GS));
    CHECK(-EPERM, PT(ARCH_PRCTL, ~0ul << 20, ARCH_SET_FS));
    CHECK(-EINVAL, PT(ARCH_PRCTL, 0, 0x9999));
}

static void refusals(void)
{
    char buf[64];
    struct iovec io = { buf, sizeof(buf) };
    CHECK(-EIO, PT(99, 0, 0));
    CHECK(-EIO, PT(0x4300, 0, 0));
    CHECK(-EINVAL, PT(PTRACE_GETREGSET, 0x155, &io));
    CHECK(-EINVAL, PT(PTRACE_SETOPTIONS, 0, 0x80000000));
    CHECK(-EINVAL, PT(PTRACE_GETSIGMASK, 4, buf));
    CHECK(-EIO, PT(PTRACE_LISTEN, 0, 0)); /* not seized */
    CHECK(-EIO, PT(PTRACE_INTERRUPT, 0, 0));
    CHECK(-EIO, PT(PTRACE_CONT, 0, 200));
    CHECK(-EPERM, PT(PTRACE_ATTACH, 0, 0)); /* it is traced */
    CHECK(-EIO, PT(PTRACE_SEIZE, 5, 0));
    CHECK(-EIO, PT(PTRACE_SEIZE, 0, 0x80000000));
    CHECK(-EIO, PT(PTRACE_PEEKUSER, 4, buf));
    CHECK(-EIO, PT(PTRACE_PEEKUSER, 100000, buf));
    CHECK(24, PT(RSEQ_CONFIGURATION, 24, buf));
    CHECK(24, PT(RSEQ_CONFIGURATION, 8, buf)); /* how much there would be */
    CHECK(-EPERM, call(SYS_ptrace, PTRACE_ATTACH, getpid(), 0, 0));
}

/* A watchpoint on a variable: the write stops the tracee, and DR6 says which register it was. */
static void watchpoints(void)
{
    size_t dr = offsetof(struct user, u_debugreg);
    unsigned long v = 0;
    int s = 0;
    siginfo_t si;
    CHECK(-EINVAL, PT(PTRACE_POKEUSER, dr + 8, 0xffffffff81000000));
    CHECK(-EIO, PT(PTRACE_POKEUSER, dr + 32, 1));
    CHECK(-EIO, PT(PTRACE_POKEUSER, dr + 40, 1));
    CHECK(0, PT(PTRACE_POKEUSER, dr, &watched));
    CHECK(0, PT(PTRACE_POKEUSER, dr + 56, 0xd0101)); /* 4 bytes, writes */
    CHECK(0, PT(PTRACE_PEEKUSER, dr + 56, &v));
    CHECK(0xd0101, v);
    CHECK(0, PT(PTRACE_CONT, 0, 0));
    waitpid(child, &s, 0);
    CHECK(SIGTRAP << 8 | 0x7f, s);
    CHECK(0, PT(PTRACE_GETSIGINFO, 0, &si));
    CHECK(TRAP_HWBKPT, si.si_code);
    CHECK(0, PT(PTRACE_PEEKUSER, dr + 48, &v));
    CHECK(1, v & 0xf);
}

int main(void)
{
    int s = 0;
    child = fork();
    if (child == 0)
        tracee();
    waitpid(child, &s, 0);
    CHECK(SIGSTOP << 8 | 0x7f, s);
    filters();
    bases();
    refusals();
    watchpoints();
    CHECK(0, PT(PTRACE_KILL, 0, 0));
    waitpid(child, &s, 0);
    CHECK(SIGKILL, s);
    return t_end();
}
