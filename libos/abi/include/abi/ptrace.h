/* SPDX-License-Identifier: MIT */
/* ptrace(2) (linux/ptrace.h, asm/ptrace-abi.h, linux/elf.h) and kcmp(2). */
#ifndef ABI_PTRACE_H
#define ABI_PTRACE_H

#include <base/user_ptr.h>
#include <stdint.h>

#define PTRACE_TRACEME                0
#define PTRACE_PEEKTEXT               1
#define PTRACE_PEEKDATA               2
#define PTRACE_PEEKUSR                3
#define PTRACE_POKETEXT               4
#define PTRACE_POKEDATA               5
#define PTRACE_POKEUSR                6
#define PTRACE_CONT                   7
#define PTRACE_KILL                   8
#define PTRACE_SINGLESTEP             9
#define PTRACE_GETREGS                12
#define PTRACE_SETREGS                13
#define PTRACE_GETFPREGS              14
#define PTRACE_SETFPREGS              15
#define PTRACE_ATTACH                 16
#define PTRACE_DETACH                 17
#define PTRACE_OLDSETOPTIONS          21
#define PTRACE_SYSCALL                24
#define PTRACE_ARCH_PRCTL             30
#define PTRACE_SYSEMU                 31
#define PTRACE_SYSEMU_SINGLESTEP      32
#define PTRACE_SINGLEBLOCK            33
#define PTRACE_SETOPTIONS             0x4200
#define PTRACE_GETEVENTMSG            0x4201
#define PTRACE_GETSIGINFO             0x4202
#define PTRACE_SETSIGINFO             0x4203
#define PTRACE_GETREGSET              0x4204
#define PTRACE_SETREGSET              0x4205
#define PTRACE_SEIZE                  0x4206
#define PTRACE_INTERRUPT              0x4207
#define PTRACE_LISTEN                 0x4208
#define PTRACE_PEEKSIGINFO            0x4209
#define PTRACE_GETSIGMASK             0x420a
#define PTRACE_SETSIGMASK             0x420b
#define PTRACE_SECCOMP_GET_FILTER     0x420c
#define PTRACE_SECCOMP_GET_METADATA   0x420d
#define PTRACE_GET_SYSCALL_INFO       0x420e
#define PTRACE_GET_RSEQ_CONFIGURATION 0x420f

#define PTRACE_O_TRACESYSGOOD    1
#define PTRACE_O_TRACEFORK       (1 << PTRACE_EVENT_FORK)
#define PTRACE_O_TRACEVFORK      (1 << PTRACE_EVENT_VFORK)
#define PTRACE_O_TRACECLONE      (1 << PTRACE_EVENT_CLONE)
#define PTRACE_O_TRACEEXEC       (1 << PTRACE_EVENT_EXEC)
#define PTRACE_O_TRACEVFORKDONE  (1 << PTRACE_EVENT_VFORK_DONE)
#define PTRACE_O_TRACEEXIT       (1 << PTRACE_EVENT_EXIT)
#define PTRACE_O_TRACESECCOMP    (1 << PTRACE_EVENT_SECCOMP)
#define PTRACE_O_EXITKILL        (1 << 20)
#define PTRACE_O_SUSPEND_SECCOMP (1 << 21)
#define PTRACE_O_MASK            (0xff | PTRACE_O_EXITKILL | PTRACE_O_SUSPEND_SECCOMP)

#define PTRACE_EVENT_FORK       1
#define PTRACE_EVENT_VFORK      2
#define PTRACE_EVENT_CLONE      3
#define PTRACE_EVENT_EXEC       4
#define PTRACE_EVENT_VFORK_DONE 5
#define PTRACE_EVENT_EXIT       6
#define PTRACE_EVENT_SECCOMP    7
#define PTRACE_EVENT_STOP       128

#define PTRACE_EVENTMSG_SYSCALL_ENTRY 1
#define PTRACE_EVENTMSG_SYSCALL_EXIT  2

#define PTRACE_SYSCALL_INFO_NONE    0
#define PTRACE_SYSCALL_INFO_ENTRY   1
#define PTRACE_SYSCALL_INFO_EXIT    2
#define PTRACE_SYSCALL_INFO_SECCOMP 3
#define AUDIT_ARCH_X86_64           0xc000003eu

#define PTRACE_PEEKSIGINFO_SHARED 1

#define NT_PRSTATUS   1
#define NT_PRFPREG    2
#define NT_PRPSINFO   3
#define NT_AUXV       6
#define NT_SIGINFO    0x53494749
#define NT_FILE       0x46494c45
#define NT_X86_XSTATE 0x202

/* Offsets in struct user: the registers, then much that nobody uses, then the debug registers. */
#define ABI_USER_REGS_SIZE (27 * 8)
#define ABI_USER_DEBUGREG  848
#define ABI_USER_SIZE      912

struct abi_ptrace_syscall_info {
    uint8_t op, pad[3];
    uint32_t arch;
    uint64_t instruction_pointer, stack_pointer;
    union {
        struct {
            uint64_t nr, args[6];
            uint32_t ret_data; /* of the seccomp stop */
        } entry;
        struct {
            int64_t rval;
            uint8_t is_error;
        } exit;
    };
};

struct abi_ptrace_peeksiginfo {
    uint64_t off;
    uint32_t flags;
    int32_t nr;
};

struct abi_ptrace_rseq {
    uint64_t rseq_abi_pointer;
    uint32_t rseq_abi_size, signature, flags, pad;
};
USER_TYPES(ptrace_peeksiginfo, struct abi_ptrace_peeksiginfo);

#define KCMP_FILE      0
#define KCMP_VM        1
#define KCMP_FILES     2
#define KCMP_FS        3
#define KCMP_SIGHAND   4
#define KCMP_IO        5
#define KCMP_SYSVSEM   6
#define KCMP_EPOLL_TFD 7

#endif
