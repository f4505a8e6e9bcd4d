/* SPDX-License-Identifier: MIT */
/* Signals (asm/signal.h, asm-generic/siginfo.h, asm/sigcontext.h, asm-generic/ucontext.h). */
#ifndef ABI_SIGNAL_H
#define ABI_SIGNAL_H

#include <base/user_ptr.h>
#include <stdint.h>

#define SIGHUP       1
#define SIGINT       2
#define SIGQUIT      3
#define SIGILL       4
#define SIGTRAP      5
#define SIGABRT      6
#define SIGBUS       7
#define SIGFPE       8
#define SIGKILL      9
#define SIGUSR1      10
#define SIGSEGV      11
#define SIGUSR2      12
#define SIGPIPE      13
#define SIGALRM      14
#define SIGTERM      15
#define SIGSTKFLT    16
#define SIGCHLD      17
#define SIGCONT      18
#define SIGSTOP      19
#define SIGTSTP      20
#define SIGTTIN      21
#define SIGTTOU      22
#define SIGURG       23
#define SIGXCPU      24
#define SIGXFSZ      25
#define SIGVTALRM    26
#define SIGPROF      27
#define SIGWINCH     28
#define SIGIO        29
#define SIGPWR       30
#define SIGSYS       31
#define ABI_SIGRTMIN 32
#define ABI_NSIG     64 /* signals are 1 to 64 */

#define SA_NOCLDSTOP  0x1
#define SA_NOCLDWAIT  0x2
#define SA_SIGINFO    0x4
#define SA_ONSTACK    0x8000000
#define SA_RESTART    0x10000000
#define SA_NODEFER    0x40000000
#define SA_RESETHAND  0x80000000u
#define SA_RESTORER   0x4000000
#define SIG_BLOCK     0
#define SIG_UNBLOCK   1
#define SIG_SETMASK   2
#define SS_ONSTACK    1
#define SS_DISABLE    2
#define SS_AUTODISARM 0x80000000u
#define MINSIGSTKSZ   2048
#define ABI_SIG_DFL   0
#define ABI_SIG_IGN   1

/* si_code */
#define SI_USER           0
#define SI_KERNEL         128
#define SI_QUEUE          (-1)
#define SI_TIMER          (-2)
#define SI_MESGQ          (-3)
#define SI_ASYNCIO        (-4)
#define SI_SIGIO          (-5)
#define SI_DETHREAD       (-7)
#define SI_ASYNCNL        (-60)
#define SI_TKILL          (-6)
#define ILL_ILLOPC        1
#define ILL_ILLOPN        2
#define ILL_ILLADR        3
#define ILL_ILLTRP        4
#define ILL_PRVOPC        5
#define ILL_PRVREG        6
#define ILL_COPROC        7
#define ILL_BADSTK        8
#define FPE_INTDIV        1
#define FPE_INTOVF        2
#define FPE_FLTDIV        3
#define FPE_FLTOVF        4
#define FPE_FLTUND        5
#define FPE_FLTRES        6
#define FPE_FLTINV        7
#define FPE_FLTSUB        8
#define SEGV_MAPERR       1
#define SEGV_ACCERR       2
#define SEGV_BNDERR       3
#define SEGV_PKUERR       4
#define BUS_ADRALN        1
#define BUS_ADRERR        2
#define BUS_OBJERR        3
#define BUS_MCEERR_AR     4
#define BUS_MCEERR_AO     5
#define TRAP_BRKPT        1
#define TRAP_TRACE        2
#define TRAP_BRANCH       3
#define TRAP_HWBKPT       4
#define TRAP_UNK          5
#define CLD_EXITED        1
#define CLD_KILLED        2
#define CLD_DUMPED        3
#define CLD_TRAPPED       4
#define CLD_STOPPED       5
#define CLD_CONTINUED     6
#define POLL_IN           1
#define POLL_OUT          2
#define POLL_MSG          3
#define POLL_ERR          4
#define POLL_PRI          5
#define POLL_HUP          6
#define SYS_SECCOMP       1
#define SYS_USER_DISPATCH 2
#define SIGEV_SIGNAL      0
#define SIGEV_NONE        1
#define SIGEV_THREAD      2
#define SIGEV_THREAD_ID   4
#define SFD_CLOEXEC       02000000
#define SFD_NONBLOCK      04000

typedef uint64_t abi_sigset; /* bit n-1 is signal n */
#define ABI_SIGBIT(n) (1ull << ((n)-1))

/* rt_sigaction: the kernel's layout, not libc's. */
struct abi_sigaction {
    uintptr_t handler; /* ABI_SIG_DFL, ABI_SIG_IGN or a function of the program's */
    uint64_t flags;    /* SA_* */
    uintptr_t restorer;
    abi_sigset mask;
};

struct abi_stack {
    uintptr_t ss_sp;
    int32_t ss_flags; /* SS_* */
    int32_t pad0;
    uint64_t ss_size;
};

union abi_sigval {
    int32_t sival_int;
    uintptr_t sival_ptr;
};

/* 128 bytes; which member of the union counts depends on si_signo and si_code. */
struct abi_siginfo {
    int32_t si_signo;
    int32_t si_errno;
    int32_t si_code;
    int32_t pad0;
    union {
        struct {
            int32_t si_pid;
            uint32_t si_uid;
            union abi_sigval si_value;
        } rt; /* kill (without the value), sigqueue, mq_notify */
        struct {
            int32_t si_tid;
            int32_t si_overrun;
            union abi_sigval si_value;
            int32_t si_sys_private;
        } timer;
        struct {
            int32_t si_pid;
            uint32_t si_uid;
            int32_t si_status;
            int32_t pad;
            int64_t si_utime;
            int64_t si_stime;
        } chld;
        struct {
            uintptr_t si_addr;
            int16_t si_addr_lsb;
            int16_t pad[3];
            uintptr_t si_lower, si_upper;
        } fault;
        struct {
            int64_t si_band;
            int32_t si_fd;
        } poll;
        struct {
            uintptr_t si_call_addr;
            int32_t si_syscall;
            uint32_t si_arch;
        } sys;
        uint8_t pad[112];
    };
};

struct abi_sigevent {
    union abi_sigval sigev_value;
    int32_t sigev_signo;
    int32_t sigev_notify; /* SIGEV_* */
    int32_t sigev_tid;
    int32_t pad[11];
};

/* What read(2) gives on a signalfd. */
struct abi_signalfd_siginfo {
    uint32_t ssi_signo;
    int32_t ssi_errno;
    int32_t ssi_code;
    uint32_t ssi_pid;
    uint32_t ssi_uid;
    int32_t ssi_fd;
    uint32_t ssi_tid;
    uint32_t ssi_band;
    uint32_t ssi_overrun;
    uint32_t ssi_trapno;
    int32_t ssi_status;
    int32_t ssi_int;
    uint64_t ssi_ptr;
    uint64_t ssi_utime;
    uint64_t ssi_stime;
    uint64_t ssi_addr;
    uint16_t ssi_addr_lsb;
    uint16_t pad0;
    int32_t ssi_syscall;
    uint64_t ssi_call_addr;
    uint32_t ssi_arch;
    uint8_t pad1[28];
};

/* pselect6's last argument. */
struct abi_sigset_arg {
    USER(const abi_sigset) set;
    uint64_t size;
};

/* x86-64 registers in a signal frame. */
struct abi_sigcontext {
    uint64_t r8, r9, r10, r11, r12, r13, r14, r15;
    uint64_t di, si, bp, bx, dx, ax, cx, sp, ip, flags;
    uint16_t cs, gs, fs, ss;
    uint64_t err, trapno, oldmask, cr2;
    uintptr_t fpstate;
    uint64_t reserved[8];
};

struct abi_ucontext {
    uint64_t uc_flags; /* UC_FP_XSTATE and others */
    uintptr_t uc_link;
    struct abi_stack uc_stack;
    struct abi_sigcontext uc_mcontext;
    abi_sigset uc_sigmask;
};
USER_TYPES(sigset, abi_sigset);
USER_TYPES(sigaction, struct abi_sigaction);
USER_TYPES(stack, struct abi_stack);
USER_TYPES(siginfo, struct abi_siginfo);
USER_TYPES(sigevent, struct abi_sigevent);
USER_TYPES(sigset_arg, struct abi_sigset_arg);

#endif
