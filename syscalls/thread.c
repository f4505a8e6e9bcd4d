/* SPDX-License-Identifier: MIT */
/* Threads: making and ending them, and what they register about themselves. clone(2), set_robust_list(2), rseq(2). */
#include "sys_proto.h"
#include <abi/prctl.h>
#include <libos/futex.h>
#include <libos/process.h>
#include <libos/sched.h>
#include <libos/user.h>

enum { CLONE_ARGS_V0 = 64 };

long sys_clone(unsigned long flags, uintptr_t stack, user_int_out_t parent_tid,
               user_int_out_t child_tid, unsigned long tls)
{
    struct clone_request r = {
        .flags = flags & ~(unsigned long)CSIGNAL & UINT32_MAX,
        .exit_signal = (int)(flags & CSIGNAL),
        .stack = stack,
        .tls = tls,
        .parent_tid = parent_tid.addr,
        .child_tid = child_tid.addr,
        .pidfd = parent_tid.addr,
    };
    if (flags & CLONE_PIDFD && flags & (CLONE_DETACHED | CLONE_PARENT_SETTID))
        return -EINVAL;
    return process_clone(&r);
}

long sys_fork(void)
{
    struct clone_request r = { .exit_signal = SIGCHLD };
    return process_clone(&r);
}

long sys_vfork(void)
{
    struct clone_request r = { .flags = CLONE_VM | CLONE_VFORK, .exit_signal = SIGCHLD };
    return process_clone(&r);
}

/* Copy a structure that may be longer or shorter than ours: what we do not know must be zero. */
static int get_sized(void *dst, size_t known, uintptr_t src, size_t size)
{
    uint8_t extra[64];
    if (user_get((uint8_t *)dst, user_at(user_u8_in_t, src), size < known ? size : known) < 0)
        return -EFAULT;
    for (size_t at = known; at < size; at += sizeof(extra)) {
        size_t n = size - at < sizeof(extra) ? size - at : sizeof(extra);
        if (user_get(extra, user_at(user_u8_in_t, src + at), n) < 0)
            return -EFAULT;
        for (size_t i = 0; i < n; i++)
            if (extra[i])
                return -E2BIG;
    }
    return 0;
}

/* The numbers that the child shall have, one for each level of pid namespaces: there is one level. */
static int get_set_tid(const struct abi_clone_args *a, int *ret_tid)
{
    int tid;
    if (!a->set_tid != !a->set_tid_size || a->set_tid_size > 1)
        return -EINVAL;
    if (!a->set_tid)
        return 0;
    if (user_get(&tid, user_at(user_int_in_t, a->set_tid), 1) < 0)
        return -EFAULT;
    if (tid < 1 || tid >= 32768 /* pid_max */)
        return -EINVAL;
    if (!cred_capable(CAP_SYS_ADMIN) && !cred_capable(CAP_CHECKPOINT_RESTORE))
        return -EPERM;
    *ret_tid = tid;
    return 0;
}

long sys_clone3(user_clone_args_in_t args, size_t size)
{
    struct abi_clone_args a = { 0 };
    if (size > 4096)
        return -E2BIG;
    if (size < CLONE_ARGS_V0)
        return -EINVAL;
    int err = get_sized(&a, sizeof(a), args.addr, size);
    if (err)
        return err;
    if (a.flags & ~(uint64_t)(UINT32_MAX | CLONE_CLEAR_SIGHAND | CLONE_INTO_CGROUP) ||
        a.flags & (CSIGNAL & ~CLONE_NEWTIME) || a.flags & CLONE_DETACHED ||
        a.exit_signal > ABI_NSIG || a.flags & CLONE_INTO_CGROUP)
        return -EINVAL;
    if (a.flags & CLONE_PIDFD && a.flags & CLONE_PARENT_SETTID && a.pidfd == a.parent_tid)
        return -EINVAL;
    if (a.flags & (CLONE_THREAD | CLONE_PARENT) && a.exit_signal)
        return -EINVAL;
    if (!a.stack != !a.stack_size || a.stack + a.stack_size < a.stack)
        return -EINVAL;
    struct clone_request r = {
        .flags = a.flags,
        .exit_signal = (int)a.exit_signal,
        .stack = a.stack + a.stack_size,
        .tls = a.tls,
        .parent_tid = a.parent_tid,
        .child_tid = a.child_tid,
        .pidfd = a.pidfd,
    };
    err = get_set_tid(&a, &r.tid);
    return err ? err : process_clone(&r);
}

long sys_exit(int status)
{
    thread_exit((status & 0xff) << 8);
}

long sys_gettid(void)
{
    return thread_current()->tid;
}

long sys_set_tid_address(uintptr_t tidptr)
{
    struct thread *t = thread_current();
    t->clear_child_tid = tidptr;
    return t->tid;
}

long sys_set_robust_list(uintptr_t head, size_t len)
{
    struct thread *t = thread_current();
    if (len != sizeof(struct abi_robust_list_head))
        return -EINVAL;
    t->robust_list = head;
    return 0;
}

long sys_get_robust_list(int pid, user_addr_out_t head, user_size_out_t len)
{
    struct thread *t = pid ? thread_find_ended(pid) : thread_current();
    size_t size = sizeof(struct abi_robust_list_head);
    if (!t)
        return -ESRCH;
    uintptr_t list = t->robust_list;
    bool allowed = t->process == process_current() || cred_capable(CAP_SYS_PTRACE);
    if (pid)
        thread_put(t);
    if (!allowed)
        return -EPERM;
    int err = user_put(len, &size, 1);
    return err ? err : user_put(head, &list, 1);
}

long sys_rseq(uintptr_t rseq, unsigned rseq_len, unsigned flags, unsigned sig)
{
    return rseq_register(rseq, rseq_len, flags & RSEQ_FLAG_UNREGISTER, sig);
}

long sys_membarrier(int cmd, unsigned flags, int cpu_id)
{
    return thread_membarrier(cmd, flags, cpu_id);
}

long sys_arch_prctl(int option, unsigned long arg2)
{
    uintptr_t base;
    switch (option) {
    case ARCH_SET_FS:
        return thread_set_tls(TLS_FS, arg2);
    case ARCH_SET_GS:
        return thread_set_tls(TLS_GS, arg2);
    case ARCH_GET_FS:
    case ARCH_GET_GS:
        base = thread_tls(option == ARCH_GET_FS ? TLS_FS : TLS_GS);
        return user_put(user_at(user_addr_out_t, arg2), &base, 1);
    case ARCH_GET_CPUID:
        return 1;
    case ARCH_SET_CPUID:
        return -ENODEV; /* as on a CPU without CPUID faulting */
    default:
        return -EINVAL;
    }
}
