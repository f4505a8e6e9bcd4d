/* SPDX-License-Identifier: MIT */
/* ptrace: who may trace, stops for signals, calls, events and groups, registers and memory, breakpoints, the tracer's end. */
#define _GNU_SOURCE
#include <t.h>

#include <elf.h>
#include <errno.h>
#include <linux/ptrace.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    STOP_EVENT = 128, /* PTRACE_EVENT_STOP */
    SYSGOOD = SIGTRAP | 0x80,
    FLAG_TRAP = 0x100,
    NO_PID = 0x3ffff0,
};

static long pt(long request, int pid, uintptr_t addr, const void *data)
{
    return call(SYS_ptrace, request, pid, addr, data);
}

static long pt_n(long request, int pid, uintptr_t addr, long data)
{
    return call(SYS_ptrace, request, pid, addr, data);
}

/* The wait status of a stop, without the 0x7f: signal | event << 8. -status: it ended. */
static int wait_stop(int pid)
{
    int status = 0;
    long got = call(SYS_wait4, pid, &status, __WALL, NULL);
    if (got != pid)
        return (int)(got < 0 ? 10000 - got : 20000);
    return (status & 0xff) == 0x7f ? status >> 8 : -status;
}

/* A child that runs fn and exits with its result; it dies with this process. */
static int child(int (*fn)(void))
{
    int pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        _exit(fn());
    }
    return pid;
}

static void stop_self(void)
{
    call(SYS_tgkill, getpid(), call(SYS_gettid), SIGSTOP);
}

static void trace_me(void)
{
    call(SYS_ptrace, PTRACE_TRACEME, 0, 0, 0);
    stop_self();
}

static __attribute__((noreturn)) int sleeper(void)
{
    for (;;)
        pause();
}

static void end(int pid)
{
    kill(pid, SIGKILL);
    while (wait_stop(pid) > 0)
        ;
}

static void permission(void)
{
    CHECK(-ESRCH, pt(PTRACE_ATTACH, NO_PID, 0, NULL));
    CHECK(-ESRCH, pt(PTRACE_CONT, NO_PID, 0, NULL));
    CHECK(-EPERM, pt(PTRACE_ATTACH, getpid(), 0, NULL));
    int pid = child(sleeper);
    long word = 0;
    CHECK(-ESRCH, pt(PTRACE_PEEKDATA, pid, (uintptr_t)&word, &word)); /* not ours yet */
    CHECK(-EIO, pt(PTRACE_SEIZE, pid, 1, NULL));
    CHECK(-EIO, pt_n(PTRACE_SEIZE, pid, 0, 1 << 30));
    CHECK(0, pt(PTRACE_SEIZE, pid, 0, NULL));
    CHECK(-EPERM, pt(PTRACE_SEIZE, pid, 0, NULL));
    CHECK(-ESRCH, pt(PTRACE_PEEKDATA, pid, (uintptr_t)&word, &word)); /* it runs */
    CHECK(-ESRCH, pt(PTRACE_DETACH, pid, 0, NULL));
    end(pid);
}

static int exit_7(void)
{
    trace_me();
    return 7;
}

static void basic(void)
{
    siginfo_t si;
    int pid = child(exit_7);
    CHECK(SIGSTOP, wait_stop(pid));
    CHECK(0, pt(PTRACE_GETSIGINFO, pid, 0, &si));
    CHECK(SIGSTOP, si.si_signo);
    CHECK(SI_TKILL, si.si_code);
    CHECK(-EIO, pt(0x1234, pid, 0, NULL));
    CHECK(-EIO, pt_n(PTRACE_CONT, pid, 0, 99));
    CHECK(-EINVAL, pt_n(PTRACE_SETOPTIONS, pid, 0, 1 << 30));
    CHECK(-EIO, pt(PTRACE_INTERRUPT, pid, 0, NULL)); /* not seized */
    CHECK(-EIO, pt(PTRACE_LISTEN, pid, 0, NULL));
    CHECK(0, pt_n(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_EXITKILL));
    CHECK(0, pt(PTRACE_CONT, pid, 0, NULL));
    CHECK(-(7 << 8), wait_stop(pid));
}

static volatile long memory_word = 0x1122334455667788;
static const long read_only_word __attribute__((section(".rodata"))) = 0x55;
static volatile sig_atomic_t handled;

static int memory_child(void)
{
    trace_me();
    return memory_word == 42 && *(volatile const long *)&read_only_word == 77 ? 3 : 4;
}

static void memory(void)
{
    long word = 0;
    int pid = child(memory_child);
    uintptr_t at = (uintptr_t)&memory_word;
    CHECK(SIGSTOP, wait_stop(pid));
    CHECK(0, pt(PTRACE_PEEKDATA, pid, at, &word));
    CHECK(0x1122334455667788, word);
    CHECK(-EFAULT, pt(PTRACE_PEEKDATA, pid, at, T_BAD));
    CHECK(-EIO, pt(PTRACE_PEEKTEXT, pid, 16, &word));
    CHECK(-EIO, pt(PTRACE_POKETEXT, pid, 16, NULL));
    CHECK(0, pt_n(PTRACE_POKEDATA, pid, at, 42));
    CHECK(0, pt_n(PTRACE_POKETEXT, pid, (uintptr_t)&read_only_word, 77));
    CHECK(0x55, *(volatile const long *)&read_only_word); /* a copy of its own */
    CHECK(0x1122334455667788, memory_word);
    CHECK(0, pt(PTRACE_CONT, pid, 0, NULL));
    CHECK(-(3 << 8), wait_stop(pid));
}

static int registers_child(void)
{
    trace_me();
    return 9;
}

static void bad_registers(int pid, const struct user_regs_struct *good)
{
    struct user_regs_struct r = *good, now;
    r.cs = 0x10; /* ring 0's */
    CHECK(-EIO, pt(PTRACE_SETREGS, pid, 0, &r));
    r = *good;
    r.fs_base = 0xffff800000000000;
    CHECK(-EIO, pt(PTRACE_SETREGS, pid, 0, &r));
    r = *good;
    r.eflags |= 0x3000 | 0x200000; /* IOPL and ID stay what they are */
    r.eflags &= ~0x200ul;          /* so does IF */
    CHECK(0, pt(PTRACE_SETREGS, pid, 0, &r));
    CHECK(0, pt(PTRACE_GETREGS, pid, 0, &now));
    CHECK(good->eflags, now.eflags);
    CHECK(-EIO, pt_n(PTRACE_POKEUSR, pid, offsetof(struct user_regs_struct, cs), 0));
    CHECK(-EIO, pt_n(PTRACE_POKEUSR, pid, offsetof(struct user_regs_struct, ss), 8));
    CHECK(-EIO, pt_n(PTRACE_POKEUSR, pid, 3, 0));
    CHECK(-EIO, pt_n(PTRACE_PEEKUSR, pid, 4096, 0));
    CHECK(0, pt(PTRACE_SETREGS, pid, 0, good));
}

static void registers(void)
{
    struct user_regs_struct r, set = { 0 };
    struct iovec iov = { &set, sizeof set };
    long word = 0;
    int pid = child(registers_child);
    CHECK(SIGSTOP, wait_stop(pid));
    CHECK(0, pt(PTRACE_GETREGS, pid, 0, &r));
    CHECK(0x33, r.cs);
    CHECK(0x2b, r.ss);
    CHECK(SYS_tgkill, r.orig_rax);
    CHECK(0, r.rax);
    CHECK(0, pt(PTRACE_GETREGSET, pid, NT_PRSTATUS, &iov));
    CHECK(sizeof set, iov.iov_len);
    CHECK(0, memcmp(&set, &r, sizeof r));
    iov.iov_len = 16;
    CHECK(0, pt(PTRACE_GETREGSET, pid, NT_PRSTATUS, &iov));
    CHECK(16, iov.iov_len);
    iov.iov_len = 13;
    CHECK(-EINVAL, pt(PTRACE_GETREGSET, pid, NT_PRSTATUS, &iov));
    iov.iov_len = 16;
    CHECK(-EINVAL, pt(PTRACE_GETREGSET, pid, 0x7777, &iov));
    CHECK(0, pt(PTRACE_PEEKUSR, pid, offsetof(struct user_regs_struct, rip), &word));
    CHECK(r.rip, word);
    CHECK(0, pt_n(PTRACE_POKEUSR, pid, offsetof(struct user_regs_struct, r15), 0x1234));
    CHECK(0, pt(PTRACE_PEEKUSR, pid, offsetof(struct user_regs_struct, r15), &word));
    CHECK(0x1234, word);
    bad_registers(pid, &r);
    CHECK(0, pt(PTRACE_CONT, pid, 0, NULL));
    CHECK(-(9 << 8), wait_stop(pid));
    /* An address that is none: the tracee gets a fault, not the kernel. */
    pid = child(registers_child);
    CHECK(SIGSTOP, wait_stop(pid));
    CHECK(0, pt_n(PTRACE_POKEUSR, pid, offsetof(struct user_regs_struct, rip), 0x8000000000000000));
    CHECK(0, pt(PTRACE_CONT, pid, 0, NULL));
    CHECK(SIGSEGV, wait_stop(pid));
    end(pid);
}

static int fpu_child(void)
{
    uint64_t before[2] = { 0x1111, 0x2222 }, after[2];
    /* The registers must come through the stop as the tracer left them. */
    __asm__ volatile("movdqu %1, %%xmm7\n\t"
                     "syscall\n\t"
                     "movdqu %%xmm7, %0"
                     : "=m"(after)
                     : "m"(before), "a"(SYS_tgkill), "D"(getpid()), "S"(call(SYS_gettid)),
                       "d"(SIGUSR1)
                     : "rcx", "r11", "xmm7", "memory");
    return after[0] == 0x9999 && after[1] == 0x2222 ? 5 : 6;
}

static int fpu_traced(void)
{
    call(SYS_ptrace, PTRACE_TRACEME, 0, 0, 0);
    return fpu_child();
}

static void fpu(void)
{
    static uint8_t big[8192];
    struct user_fpregs_struct fp;
    int pid = child(fpu_traced);
    CHECK(SIGUSR1, wait_stop(pid));
    CHECK(0, pt(PTRACE_GETFPREGS, pid, 0, &fp));
    CHECK(0x1111, ((uint64_t *)fp.xmm_space)[14]);
    CHECK(0x2222, ((uint64_t *)fp.xmm_space)[15]);
    ((uint64_t *)fp.xmm_space)[14] = 0x8888;
    CHECK(0, pt(PTRACE_SETFPREGS, pid, 0, &fp));
    struct user_fpregs_struct bad = fp;
    bad.mxcsr = 0xffffffff;
    CHECK(-EINVAL, pt(PTRACE_SETFPREGS, pid, 0, &bad));
    struct iovec iov = { big, sizeof big };
    CHECK(0, pt(PTRACE_GETREGSET, pid, NT_X86_XSTATE, &iov));
    CHECK(true, iov.iov_len >= 576 && iov.iov_len < sizeof big);
    CHECK(0x8888, ((struct user_fpregs_struct *)big)->xmm_space[28]);
    uint64_t xcr0, header = *(uint64_t *)(big + 512);
    memcpy(&xcr0, big + 464, 8);
    CHECK(3, xcr0 & 3);
    CHECK(0, header & ~xcr0);
    ((uint64_t *)((struct user_fpregs_struct *)big)->xmm_space)[14] = 0x9999;
    CHECK(0, pt(PTRACE_SETREGSET, pid, NT_X86_XSTATE, &iov));
    *(uint64_t *)(big + 512) = ~0ul; /* components that do not exist */
    CHECK(-EINVAL, pt(PTRACE_SETREGSET, pid, NT_X86_XSTATE, &iov));
    *(uint64_t *)(big + 512) = header;
    *(uint64_t *)(big + 520) = 1ull << 63; /* compacted */
    CHECK(-EINVAL, pt(PTRACE_SETREGSET, pid, NT_X86_XSTATE, &iov));
    CHECK(0, pt(PTRACE_CONT, pid, 0, NULL));
    CHECK(-(5 << 8), wait_stop(pid));
}

static int calls_child(void)
{
    trace_me();
    long a = call(SYS_getppid), b = call(SYS_getuid);
    return a == -77 && b == 5 ? 11 : 12;
}

static void calls(void)
{
    struct ptrace_syscall_info info = { 0 };
    struct user_regs_struct r;
    int pid = child(calls_child);
    CHECK(SIGSTOP, wait_stop(pid));
    CHECK(24, pt(PTRACE_GET_SYSCALL_INFO, pid, sizeof info, &info));
    CHECK(PTRACE_SYSCALL_INFO_NONE, info.op);
    CHECK(0, pt_n(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACESYSGOOD));
    CHECK(0, pt(PTRACE_SYSCALL, pid, 0, NULL));
    CHECK(SYSGOOD, wait_stop(pid));
    CHECK(0, pt(PTRACE_GETREGS, pid, 0, &r));
    CHECK(SYS_getppid, r.orig_rax);
    CHECK(-ENOSYS, r.rax);
    CHECK(80, pt(PTRACE_GET_SYSCALL_INFO, pid, sizeof info, &info));
    CHECK(PTRACE_SYSCALL_INFO_ENTRY, info.op);
    CHECK(0xc000003e, info.arch);
    CHECK(SYS_getppid, info.entry.nr);
    CHECK(r.rip, info.instruction_pointer);
    CHECK(r.rsp, info.stack_pointer);
    CHECK(0, pt(PTRACE_SYSCALL, pid, 0, NULL));
    CHECK(SYSGOOD, wait_stop(pid));
    CHECK(33, pt(PTRACE_GET_SYSCALL_INFO, pid, sizeof info, &info));
    CHECK(PTRACE_SYSCALL_INFO_EXIT, info.op);
    CHECK(getpid(), info.exit.rval);
    CHECK(0, info.exit.is_error);
    CHECK(0, pt_n(PTRACE_POKEUSR, pid, offsetof(struct user_regs_struct, rax), -77));
    /* The next call does not happen, and its result is the tracer's. */
    CHECK(0, pt(PTRACE_SYSCALL, pid, 0, NULL));
    CHECK(SYSGOOD, wait_stop(pid));
    CHECK(0, pt_n(PTRACE_POKEUSR, pid, offsetof(struct user_regs_struct, orig_rax), -1));
    CHECK(0, pt_n(PTRACE_POKEUSR, pid, offsetof(struct user_regs_struct, rax), 5));
    CHECK(0, pt(PTRACE_SYSCALL, pid, 0, NULL));
    CHECK(SYSGOOD, wait_stop(pid));
    CHECK(0, pt(PTRACE_CONT, pid, 0, NULL));
    CHECK(-(11 << 8), wait_stop(pid));
}

static int emulated_child(void)
{
    trace_me();
    return call(1000) == 123 ? 13 : 14;
}

static void emulated(void)
{
    int pid = child(emulated_child);
    CHECK(SIGSTOP, wait_stop(pid));
    CHECK(0, pt(PTRACE_SYSEMU, pid, 0, NULL));
    CHECK(SIGTRAP, wait_stop(pid));
    CHECK(0, pt_n(PTRACE_POKEUSR, pid, offsetof(struct user_regs_struct, rax), 123));
    CHECK(0, pt(PTRACE_CONT, pid, 0, NULL));
    CHECK(-(13 << 8), wait_stop(pid));
}

static void on_signal(int sig)
{
    handled++;
}

static int signals_child(void)
{
    signal(SIGUSR1, on_signal);
    signal(SIGUSR2, SIG_IGN);
    trace_me();
    kill(getpid(), SIGUSR1); /* suppressed */
    kill(getpid(), SIGUSR2); /* replaced by SIGUSR1 */
    return 20 + handled;
}

static void signals(void)
{
    siginfo_t si;
    uint64_t mask = 0;
    int pid = child(signals_child);
    CHECK(SIGSTOP, wait_stop(pid));
    CHECK(0, pt(PTRACE_GETSIGMASK, pid, 8, &mask));
    CHECK(0, mask);
    CHECK(-EINVAL, pt(PTRACE_GETSIGMASK, pid, 4, &mask));
    mask = ~0ull;
    CHECK(0, pt(PTRACE_SETSIGMASK, pid, 8, &mask));
    CHECK(0, pt(PTRACE_GETSIGMASK, pid, 8, &mask));
    CHECK(~(1l << (SIGKILL - 1) | 1l << (SIGSTOP - 1)), mask);
    mask = 0;
    CHECK(0, pt(PTRACE_SETSIGMASK, pid, 8, &mask));
    CHECK(0, pt(PTRACE_CONT, pid, 0, NULL));
    CHECK(SIGUSR1, wait_stop(pid));
    CHECK(0, pt(PTRACE_GETSIGINFO, pid, 0, &si));
    CHECK(pid, si.si_pid);
    CHECK(0, pt(PTRACE_CONT, pid, 0, NULL));
    CHECK(SIGUSR2, wait_stop(pid)); /* ignored, but the tracer sees it */
    CHECK(0, pt_n(PTRACE_CONT, pid, 0, SIGUSR1));
    CHECK(-(21 << 8), wait_stop(pid));
}

static int queue_child(void)
{
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, NULL);
    union sigval v = { .sival_int = 7 };
    sigqueue(getpid(), SIGRTMIN, v);
    v.sival_int = 8;
    sigqueue(getpid(), SIGRTMIN, v);
    trace_me();
    return 0;
}

static void queue(void)
{
    struct ptrace_peeksiginfo_args a = { .off = 0, .flags = PTRACE_PEEKSIGINFO_SHARED, .nr = 8 };
    siginfo_t si[8];
    int pid = child(queue_child);
    CHECK(SIGSTOP, wait_stop(pid));
    CHECK(2, pt(PTRACE_PEEKSIGINFO, pid, (uintptr_t)&a, si));
    CHECK(7, si[0].si_value.sival_int);
    CHECK(8, si[1].si_value.sival_int);
    a.off = 1;
    CHECK(1, pt(PTRACE_PEEKSIGINFO, pid, (uintptr_t)&a, si));
    a.off = 9;
    CHECK(0, pt(PTRACE_PEEKSIGINFO, pid, (uintptr_t)&a, si));
    a.flags = 8;
    CHECK(-EINVAL, pt(PTRACE_PEEKSIGINFO, pid, (uintptr_t)&a, si));
    end(pid);
}

static int family_child(void)
{
    trace_me();
    int pid = fork();
    if (pid == 0)
        _exit(1);
    waitpid(pid, NULL, 0);
    pid = vfork();
    if (pid == 0)
        _exit(2);
    waitpid(pid, NULL, 0);
    return 30;
}

/* Let a new tracee go from its first stop to its end. */
static void finish_new(int pid, int first, int status)
{
    CHECK(first, wait_stop(pid));
    CHECK(0, pt(PTRACE_CONT, pid, 0, NULL));
    CHECK(-status, wait_stop(pid));
}

/* Go on until something else than SIGCHLD comes. */
static int next_stop(int pid)
{
    int stop, sig = 0;
    do {
        pt_n(PTRACE_CONT, pid, 0, sig);
        stop = wait_stop(pid);
        sig = SIGCHLD;
    } while (stop == SIGCHLD);
    return stop;
}

static void family(void)
{
    unsigned long message = 0;
    int pid = child(family_child);
    CHECK(SIGSTOP, wait_stop(pid));
    CHECK(0, pt_n(PTRACE_SETOPTIONS, pid, 0,
                  PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACEVFORKDONE |
                      PTRACE_O_TRACEEXIT));
    CHECK(SIGTRAP | PTRACE_EVENT_FORK << 8, next_stop(pid));
    CHECK(0, pt(PTRACE_GETEVENTMSG, pid, 0, &message));
    int new = (int)message;
    CHECK(true, new > 0 && new != pid);
    CHECK(SIGSTOP, wait_stop(new));
    CHECK(0, pt(PTRACE_CONT, new, 0, NULL));
    CHECK(SIGTRAP | PTRACE_EVENT_EXIT << 8, wait_stop(new));
    CHECK(0, pt(PTRACE_GETEVENTMSG, new, 0, &message));
    CHECK(1 << 8, message);
    CHECK(0, pt(PTRACE_DETACH, new, 0, NULL)); /* its parent hears of its end */
    CHECK(SIGTRAP | PTRACE_EVENT_VFORK << 8, next_stop(pid));
    CHECK(0, pt(PTRACE_GETEVENTMSG, pid, 0, &message));
    new = (int)message;
    CHECK(SIGSTOP, wait_stop(new));
    CHECK(0, pt_n(PTRACE_SETOPTIONS, new, 0, 0));
    CHECK(0, pt(PTRACE_CONT, new, 0, NULL));
    CHECK(-(2 << 8), wait_stop(new)); /* first the tracer, then the parent */
    CHECK(SIGTRAP | PTRACE_EVENT_VFORK_DONE << 8, next_stop(pid));
    CHECK(SIGTRAP | PTRACE_EVENT_EXIT << 8, next_stop(pid));
    CHECK(0, pt(PTRACE_CONT, pid, 0, NULL));
    CHECK(-(30 << 8), wait_stop(pid));
}

static void *thread_fn(void *arg)
{
    return NULL;
}

static int threads_child(void)
{
    pthread_t t;
    pthread_create(&t, NULL, thread_fn, NULL);
    pthread_join(t, NULL);
    return 31;
}

static int seized_child(void)
{
    stop_self();
    return threads_child();
}

static void threads(void)
{
    unsigned long message = 0;
    int pid = child(seized_child);
    int status;
    CHECK(pid, call(SYS_wait4, pid, &status, WUNTRACED, NULL));
    CHECK(0, pt_n(PTRACE_SEIZE, pid, 0, PTRACE_O_TRACECLONE));
    CHECK(SIGSTOP | STOP_EVENT << 8, wait_stop(pid)); /* it was stopped, and still is */
    kill(pid, SIGCONT);
    CHECK(0, pt(PTRACE_CONT, pid, 0, NULL));
    CHECK(SIGTRAP | STOP_EVENT << 8, wait_stop(pid)); /* its group goes on */
    CHECK(0, pt(PTRACE_CONT, pid, 0, NULL));
    CHECK(SIGCONT, wait_stop(pid));
    CHECK(SIGTRAP | PTRACE_EVENT_CLONE << 8, next_stop(pid));
    CHECK(0, pt(PTRACE_GETEVENTMSG, pid, 0, &message));
    finish_new((int)message, SIGTRAP | STOP_EVENT << 8, 0);
    CHECK(0, pt(PTRACE_CONT, pid, 0, NULL));
    CHECK(-(31 << 8), wait_stop(pid));
}

static void interrupting(void)
{
    siginfo_t si;
    int pid = child(sleeper);
    CHECK(0, pt_n(PTRACE_SEIZE, pid, 0, PTRACE_O_TRACESYSGOOD));
    CHECK(0, pt(PTRACE_INTERRUPT, pid, 0, NULL));
    CHECK(SIGTRAP | STOP_EVENT << 8, wait_stop(pid));
    CHECK(0, pt(PTRACE_GETSIGINFO, pid, 0, &si));
    CHECK(SIGTRAP | STOP_EVENT << 8, si.si_code);
    CHECK(0, pt(PTRACE_CONT, pid, 0, NULL));
    /* A group stop: the tracee listens and hears of its end. */
    kill(pid, SIGSTOP);
    CHECK(SIGSTOP, wait_stop(pid));
    CHECK(0, pt_n(PTRACE_CONT, pid, 0, SIGSTOP));
    CHECK(SIGSTOP | STOP_EVENT << 8, wait_stop(pid));
    CHECK(0, pt(PTRACE_LISTEN, pid, 0, NULL));
    CHECK(-ESRCH, pt(PTRACE_GETSIGINFO, pid, 0, &si)); /* stopped, but not for us */
    int status;
    CHECK(0, call(SYS_wait4, pid, &status, WNOHANG | __WALL, NULL));
    kill(pid, SIGCONT);
    CHECK(SIGTRAP | STOP_EVENT << 8, wait_stop(pid));
    CHECK(0, pt(PTRACE_CONT, pid, 0, NULL));
    CHECK(SIGCONT, wait_stop(pid));
    CHECK(0, pt(PTRACE_DETACH, pid, 0, NULL));
    kill(pid, SIGTERM);
    CHECK(-SIGTERM, wait_stop(pid));
}

static void attaching(void)
{
    siginfo_t si;
    int status, pid = child(sleeper);
    CHECK(0, pt(PTRACE_ATTACH, pid, 0, NULL));
    CHECK(SIGSTOP, wait_stop(pid));
    CHECK(0, pt_n(PTRACE_CONT, pid, 0, SIGSTOP)); /* now the group really stops */
    CHECK(SIGSTOP, wait_stop(pid));
    CHECK(-EINVAL, pt(PTRACE_GETSIGINFO, pid, 0, &si));
    CHECK(0, pt(PTRACE_DETACH, pid, 0, NULL)); /* and stays so */
    CHECK(pid, call(SYS_wait4, pid, &status, WUNTRACED, NULL));
    CHECK(SIGSTOP << 8 | 0x7f, status);
    kill(pid, SIGCONT);
    CHECK(0, pt(PTRACE_ATTACH, pid, 0, NULL));
    CHECK(true, wait_stop(pid) > 0);
    CHECK(0, pt_n(PTRACE_DETACH, pid, 0, SIGTERM));
    int end_status = wait_stop(pid);
    CHECK(-SIGTERM, end_status);
}

/* Three instructions whose addresses are known. */
int step_code(void);
extern char step_a[], step_b[], step_c[];
__asm__(".text\n.globl step_code, step_a, step_b, step_c\n"
        "step_code: int3\n"
        "step_a: xorl %eax, %eax\n"
        "step_b: addl $40, %eax\n"
        "step_c: addl $2, %eax\n"
        "ret\n");

static volatile long watched;

static int step_child(void)
{
    trace_me();
    int n = step_code();
    watched = n;
    watched = n + 1;
    return (int)watched;
}

static uintptr_t ip_of(int pid)
{
    uintptr_t ip = 0;
    pt(PTRACE_PEEKUSR, pid, offsetof(struct user_regs_struct, rip), &ip);
    return ip;
}

static void stepping(void)
{
    struct user_regs_struct r;
    siginfo_t si;
    int pid = child(step_child);
    CHECK(SIGSTOP, wait_stop(pid));
    CHECK(0, pt(PTRACE_CONT, pid, 0, NULL));
    CHECK(SIGTRAP, wait_stop(pid));
    CHECK(0, pt(PTRACE_GETSIGINFO, pid, 0, &si));
    CHECK(SI_KERNEL, si.si_code);
    CHECK((uintptr_t)step_a, ip_of(pid));
    CHECK(0, pt(PTRACE_SINGLESTEP, pid, 0, NULL));
    CHECK(SIGTRAP, wait_stop(pid));
    CHECK(0, pt(PTRACE_GETSIGINFO, pid, 0, &si));
    CHECK(TRAP_TRACE, si.si_code);
    CHECK((uintptr_t)step_b, ip_of(pid));
    CHECK(0, pt(PTRACE_GETREGS, pid, 0, &r));
    CHECK(0, r.rax);
    CHECK(0, r.eflags & FLAG_TRAP); /* it is the debugger's */
    CHECK(0, pt(PTRACE_SINGLESTEP, pid, 0, NULL));
    CHECK(SIGTRAP, wait_stop(pid));
    CHECK((uintptr_t)step_c, ip_of(pid));
    CHECK(0, pt(PTRACE_CONT, pid, 0, NULL));
    CHECK(-(43 << 8), wait_stop(pid));
}

static long poke_debug(int pid, unsigned n, long value)
{
    return pt_n(PTRACE_POKEUSR, pid, offsetof(struct user, u_debugreg) + 8 * n, value);
}

static long peek_debug(int pid, unsigned n)
{
    long value = -1;
    pt(PTRACE_PEEKUSR, pid, offsetof(struct user, u_debugreg) + 8 * n, &value);
    return value;
}

static void breakpoints(void)
{
    long word = 0;
    int pid = child(step_child);
    CHECK(SIGSTOP, wait_stop(pid));
    CHECK(true, poke_debug(pid, 0, (long)0xffff800000000000) < 0);
    CHECK(-EIO, poke_debug(pid, 4, 1));
    CHECK(0, poke_debug(pid, 0, (long)&watched));
    CHECK(0, poke_debug(pid, 1, (long)step_b));
    CHECK(-EINVAL, poke_debug(pid, 7, 1 | 2 << 16)); /* I/O */
    CHECK(0, poke_debug(pid, 7, 1 | 4 | 0xd << 16)); /* eight bytes written; an instruction */
    CHECK((long)step_b, peek_debug(pid, 1));
    CHECK(0, pt(PTRACE_CONT, pid, 0, NULL));
    CHECK(SIGTRAP, wait_stop(pid)); /* int3 */
    CHECK(0, pt(PTRACE_CONT, pid, 0, NULL));
    CHECK(SIGTRAP, wait_stop(pid));
    CHECK((uintptr_t)step_b, ip_of(pid)); /* before it is done */
    CHECK(2, peek_debug(pid, 6) & 0xf);
    CHECK(0, poke_debug(pid, 6, 0));
    CHECK(0, pt(PTRACE_CONT, pid, 0, NULL));
    CHECK(SIGTRAP, wait_stop(pid));
    CHECK(1, peek_debug(pid, 6) & 0xf);
    CHECK(0, pt(PTRACE_PEEKDATA, pid, (uintptr_t)&watched, &word));
    CHECK(42, word);
    siginfo_t si;
    CHECK(0, pt(PTRACE_GETSIGINFO, pid, 0, &si));
    CHECK(TRAP_HWBKPT, si.si_code);
    CHECK(0, poke_debug(pid, 7, 0));
    CHECK(0, pt(PTRACE_CONT, pid, 0, NULL));
    CHECK(-(43 << 8), wait_stop(pid));
}

static int step_call_child(void)
{
    signal(SIGUSR1, on_signal);
    trace_me();
    kill(getpid(), SIGUSR1);
    return handled ? 44 : 45;
}

/* Step through everything to the end: calls, a handler and its return. */
static void step_all(void)
{
    int pid = child(step_call_child), stop, sig = 0, usr1 = 0, steps = 0;
    CHECK(SIGSTOP, wait_stop(pid));
    do {
        pt_n(PTRACE_SINGLESTEP, pid, 0, sig);
        stop = wait_stop(pid);
        sig = stop == SIGTRAP ? 0 : stop;
        usr1 += stop == SIGUSR1;
        if (stop == SIGUSR1)
            CHECK(SIGUSR1, stop);
    } while (stop > 0 && steps++ < 100000);
    CHECK(-(44 << 8), stop);
    CHECK(1, usr1);
    CHECK(true, steps > 10);
}

static int exec_child(void)
{
    char *argv[] = { (char *)"ptrace", (char *)"exec", NULL }, *envp[] = { NULL };
    trace_me();
    execve("/proc/self/exe", argv, envp);
    return 1;
}

static void exec_event(void)
{
    unsigned long message = 0;
    struct user_regs_struct r;
    int pid = child(exec_child);
    CHECK(SIGSTOP, wait_stop(pid));
    CHECK(0, pt(PTRACE_CONT, pid, 0, NULL));
    CHECK(SIGTRAP, wait_stop(pid)); /* as before there were events */
    CHECK(0, pt(PTRACE_CONT, pid, 0, NULL));
    CHECK(-(42 << 8), wait_stop(pid));
    pid = child(exec_child);
    CHECK(SIGSTOP, wait_stop(pid));
    CHECK(0, pt_n(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACEEXEC | PTRACE_O_TRACESYSGOOD));
    CHECK(0, pt(PTRACE_SYSCALL, pid, 0, NULL));
    CHECK(SYSGOOD, wait_stop(pid));
    CHECK(0, pt(PTRACE_SYSCALL, pid, 0, NULL));
    CHECK(SIGTRAP | PTRACE_EVENT_EXEC << 8, wait_stop(pid));
    CHECK(0, pt(PTRACE_GETEVENTMSG, pid, 0, &message));
    CHECK(pid, message);
    CHECK(0, pt(PTRACE_SYSCALL, pid, 0, NULL));
    CHECK(SYSGOOD, wait_stop(pid));
    CHECK(0, pt(PTRACE_GETREGS, pid, 0, &r));
    CHECK(SYS_execve, r.orig_rax);
    CHECK(0, r.rax);
    CHECK(0, pt(PTRACE_CONT, pid, 0, NULL));
    CHECK(-(42 << 8), wait_stop(pid));
}

static void *exec_thread(void *arg)
{
    char *argv[] = { (char *)"ptrace", (char *)"exec", NULL }, *envp[] = { NULL };
    execve("/proc/self/exe", argv, envp);
    return NULL;
}

static __attribute__((noreturn)) int exec_thread_child(void)
{
    pthread_t t;
    trace_me();
    pthread_create(&t, NULL, exec_thread, NULL);
    for (;;)
        pause();
}

/* A thread that is not the leader calls execve: it becomes the leader, under its number. */
static void exec_by_thread(void)
{
    unsigned long message = 0;
    int pid = child(exec_thread_child);
    CHECK(SIGSTOP, wait_stop(pid));
    CHECK(0, pt_n(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACEEXEC | PTRACE_O_TRACECLONE));
    CHECK(0, pt(PTRACE_CONT, pid, 0, NULL));
    CHECK(SIGTRAP | PTRACE_EVENT_CLONE << 8, wait_stop(pid));
    CHECK(0, pt(PTRACE_GETEVENTMSG, pid, 0, &message));
    int tid = (int)message;
    CHECK(SIGSTOP, wait_stop(tid));
    CHECK(0, pt(PTRACE_CONT, pid, 0, NULL));
    CHECK(0, pt(PTRACE_CONT, tid, 0, NULL));
    CHECK(SIGTRAP | PTRACE_EVENT_EXEC << 8, wait_stop(pid));
    CHECK(0, pt(PTRACE_GETEVENTMSG, pid, 0, &message));
    CHECK(tid, message);
    CHECK(-ESRCH, pt(PTRACE_CONT, tid, 0, NULL));
    CHECK(0, pt(PTRACE_CONT, pid, 0, NULL));
    CHECK(-(42 << 8), wait_stop(pid));
}

static int alive(int pid)
{
    return call(SYS_kill, pid, 0) == 0;
}

/* The tracer ends: tracees go on, or die with it. */
static void tracer_ends(void)
{
    for (int exitkill = 0; exitkill < 2; exitkill++) {
        int pid = child(sleeper), status, tracer = fork();
        if (tracer == 0) {
            long err = pt_n(PTRACE_SEIZE, pid, 0, exitkill ? PTRACE_O_EXITKILL : 0);
            pt(PTRACE_INTERRUPT, pid, 0, NULL);
            _exit(err ? 1 : wait_stop(pid) == (SIGTRAP | STOP_EVENT << 8) ? 0 : 2);
        }
        CHECK(tracer, call(SYS_wait4, tracer, &status, 0, NULL));
        CHECK(0, status);
        CHECK(true, exitkill || alive(pid));
        if (!exitkill)
            kill(pid, SIGTERM);
        CHECK(-(exitkill ? SIGKILL : SIGTERM), wait_stop(pid));
    }
}

/* While another process traces it, a child's end is told to the tracer first. */
static void end_told_twice(void)
{
    int pid = child(sleeper), status, go[2], tracer;
    siginfo_t si = { 0 };
    CHECK(0, call(SYS_pipe, go));
    tracer = fork();
    if (tracer == 0) {
        char c;
        if (pt(PTRACE_SEIZE, pid, 0, NULL) || write(go[1], "", 1) != 1)
            _exit(1);
        if (call(SYS_waitid, P_PID, pid, &si, WEXITED | WNOWAIT | __WALL, NULL) ||
            write(go[1], "", 1) != 1 || (usleep(50000), false))
            _exit(2);
        _exit(wait_stop(pid) == -SIGKILL && read(go[0], &c, 0) == 0 ? 0 : 3);
    }
    char c;
    CHECK(1, read(go[0], &c, 1));
    kill(pid, SIGKILL);
    CHECK(1, read(go[0], &c, 1));
    CHECK(0, call(SYS_wait4, pid, &status, WNOHANG, NULL)); /* not yet */
    CHECK(pid, call(SYS_wait4, pid, &status, 0, NULL));
    CHECK(SIGKILL, status);
    CHECK(tracer, call(SYS_wait4, tracer, &status, 0, NULL));
    CHECK(0, status);
    close(go[0]);
    close(go[1]);
}

static void killing(void)
{
    int pid = child(exit_7);
    CHECK(SIGSTOP, wait_stop(pid));
    CHECK(0, pt(PTRACE_KILL, pid, 0, NULL));
    CHECK(-SIGKILL, wait_stop(pid));
    pid = child(exit_7);
    CHECK(SIGSTOP, wait_stop(pid));
    CHECK(0, pt_n(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACEEXIT));
    kill(pid, SIGKILL); /* ends any stop */
    int stop = wait_stop(pid);
    if (stop == (SIGTRAP | PTRACE_EVENT_EXIT << 8)) {
        CHECK(0, pt(PTRACE_CONT, pid, 0, NULL)); /* a second SIGKILL need not end this stop */
        stop = wait_stop(pid);
    }
    CHECK(-SIGKILL, stop);
}

static void child_info(void)
{
    siginfo_t si = { 0 };
    int pid = child(exit_7);
    CHECK(0, call(SYS_waitid, P_PID, pid, &si, WSTOPPED | WEXITED, NULL));
    CHECK(CLD_TRAPPED, si.si_code);
    CHECK(SIGSTOP, si.si_status);
    CHECK(pid, si.si_pid);
    end(pid);
}

int main(int argc, char **argv)
{
    if (argc == 2)
        return 42;
    permission();
    basic();
    memory();
    registers();
    fpu();
    calls();
    emulated();
    signals();
    queue();
    family();
    threads();
    interrupting();
    attaching();
    stepping();
    breakpoints();
    step_all();
    exec_event();
    exec_by_thread();
    tracer_ends();
    end_told_twice();
    killing();
    child_info();
    return t_end();
}
