/* SPDX-License-Identifier: MIT */
/* The registers of a stopped tracee, and what it stopped at. The platform decides what ring 3 may have. ptrace(2). */
#include <libos/trace.h>

#include <abi/errno.h>
#include <libos/heap.h>
#include <plat/debug.h>
#include <string.h>

static size_t min_size(size_t a, size_t b)
{
    return a < b ? a : b;
}

int trace_regset_get(struct thread *t, unsigned type, void *buf, size_t size)
{
    struct plat_regs r;
    switch (type) {
    case NT_PRSTATUS:
        plat_regs_get(&t->plat, &r);
        size = min_size(size, sizeof(r));
        memcpy(buf, &r, size);
        return (int)size;
    case NT_PRFPREG:
        plat_fpu_get(&t->plat, buf);
        memset((char *)buf + PLAT_FPU_LEGACY - 48, 0, 48); /* these belong to the extended layout */
        return (int)min_size(size, PLAT_FPU_LEGACY);
    case NT_X86_XSTATE:
        if (plat_fpu_size() == PLAT_FPU_LEGACY)
            return -ENODEV;
        plat_fpu_get(&t->plat, buf);
        return (int)min_size(size, plat_fpu_size());
    default:
        return -EINVAL;
    }
}

/* The first size bytes of all registers are new. */
static int set_regs(struct thread *t, const void *buf, size_t size)
{
    struct plat_regs r;
    plat_regs_get(&t->plat, &r);
    memcpy(&r, buf, min_size(size, sizeof(r)));
    return plat_regs_set(&t->plat, &r);
}

int trace_regset_set(struct thread *t, unsigned type, void *buf, size_t size)
{
    switch (type) {
    case NT_PRSTATUS:
        return set_regs(t, buf, size);
    case NT_PRFPREG:
        return plat_fpu_set(&t->plat, buf, size);
    case NT_X86_XSTATE:
        if (plat_fpu_size() == PLAT_FPU_LEGACY)
            return -ENODEV;
        return size == plat_fpu_size() ? plat_fpu_set(&t->plat, buf, size) : -EFAULT;
    default:
        return -EINVAL;
    }
}

int trace_peek_user(struct thread *t, uintptr_t offset, unsigned long *ret)
{
    struct plat_regs r;
    if (offset & 7 || offset >= ABI_USER_SIZE)
        return -EIO;
    *ret = 0;
    if (offset < ABI_USER_REGS_SIZE) {
        plat_regs_get(&t->plat, &r);
        memcpy(ret, (const char *)&r + offset, sizeof(*ret));
    } else if (offset >= ABI_USER_DEBUGREG) {
        *ret = plat_debug_get(&t->plat, (unsigned)(offset - ABI_USER_DEBUGREG) / 8);
    }
    return 0;
}

int trace_poke_user(struct thread *t, uintptr_t offset, unsigned long value)
{
    struct plat_regs r;
    if (offset & 7 || offset >= ABI_USER_SIZE)
        return -EIO;
    if (offset >= ABI_USER_DEBUGREG)
        return plat_debug_set(&t->plat, (unsigned)(offset - ABI_USER_DEBUGREG) / 8, value);
    if (offset >= ABI_USER_REGS_SIZE)
        return -EIO;
    plat_regs_get(&t->plat, &r);
    memcpy((char *)&r + offset, &value, sizeof(value));
    return plat_regs_set(&t->plat, &r);
}

/* Which system call stop the last signal information tells of: PTRACE_SYSCALL_INFO_*. */
static unsigned call_stop(struct thread *t, unsigned long *ret_message)
{
    spin_lock(&t->process->sig_lock);
    int code = t->trace.siginfo ? t->trace.siginfo->si_code : 0;
    *ret_message = t->trace.message;
    spin_unlock(&t->process->sig_lock);
    if (code == (SIGTRAP | PTRACE_EVENT_SECCOMP << 8))
        return PTRACE_SYSCALL_INFO_SECCOMP;
    if (code != (SIGTRAP | 0x80))
        return PTRACE_SYSCALL_INFO_NONE;
    return *ret_message == PTRACE_EVENTMSG_SYSCALL_ENTRY  ? PTRACE_SYSCALL_INFO_ENTRY
           : *ret_message == PTRACE_EVENTMSG_SYSCALL_EXIT ? PTRACE_SYSCALL_INFO_EXIT
                                                          : PTRACE_SYSCALL_INFO_NONE;
}

size_t trace_syscall_info(struct thread *t, struct abi_ptrace_syscall_info *ret)
{
    const struct plat_frame *f = t->plat.frame;
    unsigned long message;
    *ret = (struct abi_ptrace_syscall_info){ .op = (uint8_t)call_stop(t, &message),
                                             .arch = AUDIT_ARCH_X86_64,
                                             .instruction_pointer = plat_frame_ip(f),
                                             .stack_pointer = plat_frame_sp(f) };
    if (ret->op == PTRACE_SYSCALL_INFO_EXIT) {
        ret->exit.rval = plat_frame_ret(f);
        ret->exit.is_error = ret->exit.rval < 0 && ret->exit.rval >= -4095;
        return offsetof(struct abi_ptrace_syscall_info, exit.is_error) + 1;
    }
    if (ret->op == PTRACE_SYSCALL_INFO_NONE)
        return offsetof(struct abi_ptrace_syscall_info, entry);
    ret->entry.nr = (uint64_t)plat_frame_nr(f);
    for (unsigned i = 0; i < 6; i++)
        ret->entry.args[i] = plat_frame_arg(f, i);
    if (ret->op == PTRACE_SYSCALL_INFO_ENTRY)
        return offsetof(struct abi_ptrace_syscall_info, entry.ret_data);
    ret->entry.ret_data = (uint32_t)message;
    return offsetof(struct abi_ptrace_syscall_info, entry.ret_data) + sizeof(uint32_t);
}
