/* SPDX-License-Identifier: MIT */
/* Resource limits: getrlimit(2). Lock: limits_lock of the process. */
#include <abi/errno.h>
#include <abi/prctl.h>
#include <libos/file.h>
#include <libos/page.h>
#include <libos/process.h>

void limits_init(struct process *p)
{
    struct page_stats s;
    page_stats(&s);
    uint64_t threads = s.total / 32 < 128 ? 128 : s.total / 32;
    for (int i = 0; i < ABI_RLIM_NLIMITS; i++)
        p->rlimits[i] = (struct abi_rlimit){ ABI_RLIM_INFINITY, ABI_RLIM_INFINITY };
    p->rlimits[RLIMIT_STACK].rlim_cur = 8 << 20;
    p->rlimits[RLIMIT_CORE].rlim_cur = 0;
    p->rlimits[RLIMIT_NPROC] = (struct abi_rlimit){ threads, threads };
    p->rlimits[RLIMIT_NOFILE] = (struct abi_rlimit){ 1024, FD_LIMIT_MAX };
    p->rlimits[RLIMIT_MEMLOCK] = (struct abi_rlimit){ 8 << 20, 8 << 20 };
    p->rlimits[RLIMIT_SIGPENDING] = (struct abi_rlimit){ threads, threads };
    p->rlimits[RLIMIT_MSGQUEUE] = (struct abi_rlimit){ 819200, 819200 };
    p->rlimits[RLIMIT_NICE] = (struct abi_rlimit){ 0, 0 };
    p->rlimits[RLIMIT_RTPRIO] = (struct abi_rlimit){ 0, 0 };
}

uint64_t process_limit(struct process *p, unsigned resource)
{
    return __atomic_load_n(&p->rlimits[resource].rlim_cur, __ATOMIC_RELAXED);
}

int process_set_limit(struct process *p, unsigned resource, const struct abi_rlimit *new,
                      struct abi_rlimit *ret_old)
{
    if (resource >= ABI_RLIM_NLIMITS)
        return -EINVAL;
    if (new &&new->rlim_cur > new->rlim_max)
        return -EINVAL;
    if (new &&resource == RLIMIT_NOFILE &&new->rlim_max > FD_LIMIT_MAX)
        return -EPERM;
    struct abi_rlimit *l = &p->rlimits[resource];
    int err = 0;
    spin_lock(&p->limits_lock);
    if (new &&new->rlim_max > l->rlim_max && !cred_capable(CAP_SYS_RESOURCE))
        err = -EPERM;
    if (!err && ret_old)
        *ret_old = *l;
    if (!err && new)
        *l = *new;
    spin_unlock(&p->limits_lock);
    return err;
}
