/* SPDX-License-Identifier: MIT */
/* Restartable sequences (rseq(2)): the thread's area says which CPU it runs on, and names the critical section that a
 * preemption, a migration or a signal must send to its abort handler. The area is the program's: every word of it is
 * hostile. A thread that is not preempted inside ring 3 never comes here: a system call cannot be made from a section. */
#include <abi/rseq.h>
#include <abi/signal.h>
#include <abi/errno.h>
#include <libos/futex.h>
#include <libos/sched.h>
#include <libos/signal.h>
#include <libos/user.h>
#include <plat/cpu.h>
#include <plat/mmu.h>
#include <plat/thread.h>

/* Tell the area the CPU. -EFAULT. */
static int publish_cpu(struct thread *t)
{
    uint32_t cpu[2] = { t->cpu, t->cpu },
             rest[2] = { 0, 0 }; /* node_id, mm_cid: one node; the CPU's number does */
    int err = user_put(user_at(user_uint_out_t, t->rseq), cpu, 2);
    rest[1] = t->rseq_cpu = t->cpu;
    if (!err && t->rseq_len >= offsetof(struct abi_rseq, pad0))
        err = user_put(user_at(user_uint_out_t, t->rseq + offsetof(struct abi_rseq, node_id)), rest,
                       2);
    return err;
}

/* If ip lies in the section described at at, where to go instead in *ret_ip, else 0. -EFAULT, -EINVAL. */
static NOINLINE int find_abort(struct thread *t, uintptr_t at, uintptr_t ip, uintptr_t *ret_ip)
{
    struct abi_rseq_cs cs;
    uint32_t sig;
    uintptr_t zero = 0, field = t->rseq + offsetof(struct abi_rseq, rseq_cs);

    if (user_get((uint8_t *)&cs, user_at(user_u8_in_t, at), sizeof(cs)) < 0)
        return -EFAULT;
    if (cs.version != 0 || cs.flags != 0 || cs.start_ip >= PLAT_USER_MAX ||
        cs.abort_ip >= PLAT_USER_MAX || cs.start_ip + cs.post_commit_offset < cs.start_ip ||
        cs.start_ip + cs.post_commit_offset >= PLAT_USER_MAX ||
        cs.abort_ip - cs.start_ip < cs.post_commit_offset)
        return -EINVAL;
    if (user_get(&sig, user_at(user_uint_in_t, cs.abort_ip - 4), 1) < 0)
        return -EFAULT;
    if (sig != t->rseq_sig)
        return -EINVAL;
    if (user_put(user_at(user_addr_out_t, field), &zero, 1) < 0) /* left, by abort or long ago */
        return -EFAULT;
    if (ip - cs.start_ip < cs.post_commit_offset)
        *ret_ip = cs.abort_ip;
    return 0;
}

static void fix_up(struct thread *t, struct plat_frame *f)
{
    uintptr_t abort_ip = 0, at;
    int err =
        user_get(&at, user_at(user_addr_in_t, t->rseq + offsetof(struct abi_rseq, rseq_cs)), 1);
    if (UNLIKELY(!err && at))
        err = find_abort(t, at, plat_frame_ip(f), &abort_ip);
    if (!err && abort_ip)
        plat_frame_set_ip(f, abort_ip);
    if (!err && t->rseq_cpu != t->cpu)
        err = publish_cpu(t);
    if (err)
        signal_force(false, SIGSEGV);
}

void rseq_preempted(struct thread *t, struct plat_frame *f)
{
    if (t->rseq)
        fix_up(t, f);
}

void rseq_signal(struct thread *t, struct plat_frame *f)
{
    if (t->rseq)
        fix_up(t, f);
}

int rseq_register(uintptr_t area, uint32_t len, bool unregister, uint32_t sig)
{
    struct thread *t = thread_current();
    struct abi_rseq zero = { .cpu_id_start = 0, .cpu_id = (uint32_t)RSEQ_CPU_ID_UNINITIALIZED };
    if (unregister) {
        if (!t->rseq || t->rseq != area)
            return -EINVAL;
        if (t->rseq_len != len)
            return -EINVAL;
        if (t->rseq_sig != sig)
            return -EPERM;
        if (user_put(user_at(user_u8_out_t, area), (const uint8_t *)&zero, 24) < 0)
            return -EFAULT;
        t->rseq = 0;
        return 0;
    }
    if (t->rseq)
        return t->rseq != area || t->rseq_len != len ? -EINVAL
               : t->rseq_sig != sig                  ? -EPERM
                                                     : -EBUSY;
    if (area % 32 || len < 32 || !area)
        return -EINVAL;
    if (area >= PLAT_USER_MAX || len > PLAT_USER_MAX - area)
        return -EFAULT;
    t->rseq = area;
    t->rseq_len = len;
    t->rseq_sig = sig;
    if (publish_cpu(t) < 0) {
        t->rseq = 0;
        return -EFAULT;
    }
    return 0;
}
