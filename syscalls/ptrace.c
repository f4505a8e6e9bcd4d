/* SPDX-License-Identifier: MIT */
/* ptrace(2): what the tracer asks is decoded here, and its memory copied; libOS does it. */
#include "sys_proto.h"
#include <abi/errno.h>
#include <abi/prctl.h>
#include <abi/ptrace.h>
#include <libos/access.h>
#include <libos/heap.h>
#include <libos/mm.h>
#include <libos/seccomp.h>
#include <libos/sched.h>
#include <libos/signal.h>
#include <libos/trace.h>
#include <libos/user.h>

/* Offsets in struct user. */
enum { USER_FS_BASE = 21 * 8, USER_GS_BASE = 22 * 8 };

/* A word of t's memory, through its protection as a debugger needs it. */
static int move_word(struct thread *t, uintptr_t addr, unsigned long *word, bool write)
{
    struct mm *mm = thread_mm_get(t);
    size_t n = mm ? mm_access(mm, addr, word, sizeof(*word), write, true) : 0;
    if (mm)
        mm_put(mm);
    return n == sizeof(*word) ? 0 : -EIO;
}

static int put_word(uintptr_t to, unsigned long word)
{
    return user_put(user_at(user_ulong_out_t, to), &word, 1);
}

static int peek(struct thread *t, uintptr_t addr, uintptr_t to)
{
    unsigned long word;
    int err = move_word(t, addr, &word, false);
    return err ? err : put_word(to, word);
}

static int peek_user(struct thread *t, uintptr_t offset, uintptr_t to)
{
    unsigned long word;
    int err = trace_peek_user(t, offset, &word);
    return err ? err : put_word(to, word);
}

/* A register set out to the program, or in from it. *size: of the program's buffer; then of what was moved. */
static int move_regset(struct thread *t, unsigned type, uintptr_t user, size_t *size, bool set)
{
    uint8_t *buf = heap_alloc(TRACE_REGSET_MAX);
    if (!buf)
        return -ENOMEM;
    int n = trace_regset_get(t, type, buf, *size);
    int err = n < 0 ? n : n % 8 ? -EINVAL : 0;
    if (!err && set) {
        *size = (size_t)n;
        err = user_get(buf, user_at(user_u8_in_t, user), (size_t)n) < 0
                  ? -EFAULT
                  : trace_regset_set(t, type, buf, (size_t)n);
    } else if (!err) {
        *size = (size_t)n;
        err = user_put(user_at(user_u8_out_t, user), buf, (size_t)n);
    }
    heap_free(buf);
    return err;
}

static int regset(struct thread *t, unsigned type, uintptr_t user, bool set)
{
    struct {
        uint64_t base, len;
    } iov;
    if (user_get((uint8_t *)&iov, user_at(user_u8_in_t, user), sizeof(iov)) < 0)
        return -EFAULT;
    size_t len = iov.len > TRACE_REGSET_MAX ? TRACE_REGSET_MAX : iov.len;
    if (len % 8 || type > UINT32_MAX)
        return -EINVAL;
    int err = move_regset(t, type, iov.base, &len, set);
    iov.len = len;
    if (!err)
        err = user_put(user_at(user_u8_out_t, user + 8), (const uint8_t *)&iov.len, 8);
    return err;
}

/* PTRACE_GETREGS and its kind: a whole set of a known size. */
static int whole_set(struct thread *t, unsigned type, size_t size, uintptr_t user, bool set)
{
    int err = move_regset(t, type, user, &size, set);
    return err == -EFAULT ? -EFAULT : err;
}

static int siginfo(struct thread *t, uintptr_t user, bool set)
{
    struct abi_siginfo info;
    if (set) {
        if (user_get(&info, user_at(user_siginfo_in_t, user), 1) < 0)
            return -EFAULT;
        return trace_set_siginfo(t, &info);
    }
    int err = trace_get_siginfo(t, &info);
    return err ? err : user_put(user_at(user_siginfo_out_t, user), &info, 1);
}

static long peek_siginfo(struct thread *t, uintptr_t args, uintptr_t user)
{
    struct abi_ptrace_peeksiginfo a;
    struct abi_siginfo info;
    if (user_get(&a, user_at(user_ptrace_peeksiginfo_in_t, args), 1) < 0)
        return -EFAULT;
    if (a.flags & ~(uint32_t)PTRACE_PEEKSIGINFO_SHARED || a.nr < 0)
        return -EINVAL;
    int n = 0;
    while (n < a.nr && a.off + (uint64_t)n >= a.off &&
           trace_peek_siginfo(t, a.flags & PTRACE_PEEKSIGINFO_SHARED, a.off + (uint64_t)n, &info)) {
        if (user_put(user_at(user_siginfo_out_t, user + (size_t)n * sizeof(info)), &info, 1) < 0)
            return n ? n : -EFAULT;
        n++;
        if (thread_preempt_point())
            break;
    }
    return n;
}

static int sigmask(struct thread *t, size_t size, uintptr_t user, bool set)
{
    uint64_t mask = t->restore_sigmask ? t->saved_sigmask : t->sigmask;
    if (size != sizeof(mask))
        return -EINVAL;
    if (!set)
        return user_put(user_at(user_sigset_out_t, user), &mask, 1);
    if (user_get(&mask, user_at(user_sigset_in_t, user), 1) < 0)
        return -EFAULT;
    trace_set_mask(t, mask);
    return 0;
}

static long syscall_info(struct thread *t, size_t size, uintptr_t user)
{
    struct abi_ptrace_syscall_info info;
    size_t have = trace_syscall_info(t, &info);
    size = size < have ? size : have;
    int err = user_put(user_at(user_u8_out_t, user), (const uint8_t *)&info, size);
    return err ? err : (long)have;
}

static long rseq_info(struct thread *t, size_t size, uintptr_t user)
{
    const struct abi_ptrace_rseq r = { .rseq_abi_pointer = t->rseq,
                                       .rseq_abi_size = t->rseq_len,
                                       .signature = t->rseq_sig };
    size = size < sizeof(r) ? size : sizeof(r);
    int err = user_put(user_at(user_u8_out_t, user), (const uint8_t *)&r, size);
    return err ? err : (long)sizeof(r);
}

/* PTRACE_ARCH_PRCTL: the bases of fs and gs, which are words of struct user. */
static long arch_prctl(struct thread *t, uintptr_t value, unsigned long option)
{
    bool fs = option == ARCH_GET_FS || option == ARCH_SET_FS;
    uintptr_t at = fs ? USER_FS_BASE : USER_GS_BASE;
    switch (option) {
    case ARCH_GET_FS:
    case ARCH_GET_GS:
        return peek_user(t, at, value) ? -EFAULT : 0;
    case ARCH_SET_FS:
    case ARCH_SET_GS:
        return trace_poke_user(t, at, value) ? -EPERM : 0;
    default:
        return -EINVAL;
    }
}

/* PTRACE_SECCOMP_GET_FILTER: how many instructions; they go to user unless that is NULL. */
static long get_filter(struct thread *t, uint64_t off, uintptr_t user)
{
    struct abi_sock_filter *prog;
    unsigned n;
    bool log;
    int err = seccomp_get_filter(t, off, &prog, &n, &log);
    if (err)
        return err;
    if (user)
        err = user_put(user_at(user_u8_out_t, user), (const uint8_t *)prog, n * sizeof(*prog));
    heap_free(prog);
    return err ? err : (long)n;
}

/* PTRACE_SECCOMP_GET_METADATA. */
static long get_metadata(struct thread *t, size_t size, uintptr_t user)
{
    struct {
        uint64_t off, flags;
    } m;
    struct abi_sock_filter *prog;
    unsigned n;
    bool log;
    if (size < sizeof(m.off))
        return -EINVAL;
    size = size < sizeof(m) ? size : sizeof(m);
    if (user_get(&m.off, user_at(user_u64_in_t, user), 1))
        return -EFAULT;
    int err = seccomp_get_filter(t, m.off, &prog, &n, &log);
    if (err)
        return err;
    heap_free(prog);
    m.flags = log ? SECCOMP_FILTER_FLAG_LOG : 0;
    err = user_put(user_at(user_u8_out_t, user), (const uint8_t *)&m, size);
    return err ? err : (long)size;
}

static int resume(struct thread *t, long request, unsigned long sig)
{
    if (sig > ABI_NSIG)
        return -EIO;
    switch (request) {
    case PTRACE_SYSCALL:
        trace_resume(t, TRACE_CALLS, false, (int)sig);
        return 0;
    case PTRACE_SYSEMU:
    case PTRACE_SYSEMU_SINGLESTEP:
        trace_resume(t, TRACE_EMULATE, request == PTRACE_SYSEMU_SINGLESTEP, (int)sig);
        return 0;
    case PTRACE_DETACH:
        trace_detach(t, (int)sig);
        return 0;
    default:
        trace_resume(t, TRACE_RUN, request == PTRACE_SINGLESTEP, (int)sig);
        return 0;
    }
}

static int event_message(struct thread *t, uintptr_t user)
{
    return put_word(user, t->trace.message);
}

/* Requests about registers and memory. */
static long look(struct thread *t, long request, uintptr_t addr, uintptr_t data)
{
    unsigned long word = data;
    switch (request) {
    case PTRACE_PEEKTEXT:
    case PTRACE_PEEKDATA:
        return peek(t, addr, data);
    case PTRACE_POKETEXT:
    case PTRACE_POKEDATA:
        return move_word(t, addr, &word, true);
    case PTRACE_PEEKUSR:
        return peek_user(t, addr, data);
    case PTRACE_POKEUSR:
        return trace_poke_user(t, addr, data);
    case PTRACE_GETREGS:
    case PTRACE_SETREGS:
        return whole_set(t, NT_PRSTATUS, ABI_USER_REGS_SIZE, data, request == PTRACE_SETREGS);
    case PTRACE_GETFPREGS:
    case PTRACE_SETFPREGS:
        return whole_set(t, NT_PRFPREG, 512, data, request == PTRACE_SETFPREGS);
    case PTRACE_GETREGSET:
    case PTRACE_SETREGSET:
        return regset(t, (unsigned)addr, data, request == PTRACE_SETREGSET);
    default:
        return -EIO;
    }
}

/* Requests to a tracee that has stopped. */
static long request_stopped(struct thread *t, long request, uintptr_t addr, uintptr_t data)
{
    switch (request) {
    case PTRACE_CONT:
    case PTRACE_SYSCALL:
    case PTRACE_SYSEMU:
    case PTRACE_SYSEMU_SINGLESTEP:
    case PTRACE_SINGLESTEP:
    case PTRACE_DETACH:
        return resume(t, request, data);
    case PTRACE_SETOPTIONS:
    case PTRACE_OLDSETOPTIONS:
        return trace_set_options(t, data);
    case PTRACE_GETEVENTMSG:
        return event_message(t, data);
    case PTRACE_GETSIGINFO:
    case PTRACE_SETSIGINFO:
        return siginfo(t, data, request == PTRACE_SETSIGINFO);
    case PTRACE_PEEKSIGINFO:
        return peek_siginfo(t, addr, data);
    case PTRACE_GETSIGMASK:
    case PTRACE_SETSIGMASK:
        return sigmask(t, addr, data, request == PTRACE_SETSIGMASK);
    case PTRACE_LISTEN:
        return trace_listen(t);
    case PTRACE_GET_SYSCALL_INFO:
        return syscall_info(t, addr, data);
    case PTRACE_GET_RSEQ_CONFIGURATION:
        return rseq_info(t, addr, data);
    case PTRACE_SECCOMP_GET_FILTER:
        return get_filter(t, addr, data);
    case PTRACE_SECCOMP_GET_METADATA:
        return get_metadata(t, addr, data);
    case PTRACE_ARCH_PRCTL:
        return arch_prctl(t, addr, data);
    default:
        return look(t, request, addr, data);
    }
}

static long attach(struct thread *t, long request, uintptr_t addr, uintptr_t data)
{
    bool seize = request == PTRACE_SEIZE;
    if (seize && (addr || data & ~(unsigned long)PTRACE_O_MASK))
        return -EIO;
    return trace_attach(t, seize, seize ? (unsigned)data : 0);
}

static long request_to(struct thread *t, long request, uintptr_t addr, uintptr_t data)
{
    if (request == PTRACE_ATTACH || request == PTRACE_SEIZE)
        return attach(t, request, addr, data);
    bool any_state = request == PTRACE_KILL || request == PTRACE_INTERRUPT;
    int err = trace_check(t, any_state);
    if (err)
        return err;
    if (request == PTRACE_KILL) {
        signal_kernel(t->process, SIGKILL);
        return 0;
    }
    return request == PTRACE_INTERRUPT ? trace_interrupt(t)
                                       : request_stopped(t, request, addr, data);
}

long sys_ptrace(long request, int pid, uintptr_t addr, uintptr_t data)
{
    if (request == PTRACE_TRACEME)
        return trace_me();
    struct thread *t = pid > 0 ? thread_find_ended(pid) : NULL;
    if (!t)
        return -ESRCH;
    long ret = request_to(t, request, addr, data);
    thread_put(t);
    return ret;
}
