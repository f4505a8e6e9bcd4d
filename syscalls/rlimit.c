/* SPDX-License-Identifier: MIT */
/* Resource limits and usage: getrlimit(2), prlimit(2), getrusage(2). */
#include "sys_proto.h"
#include <abi/prctl.h>
#include <libos/access.h>
#include <libos/process.h>
#include <libos/user.h>

/* Somebody else's limits: all ids the same, or the capability. */
static bool may_limit(struct thread *t)
{
    const struct cred *mine = thread_current()->cred;
    struct cred *c = thread_cred_get(t);
    bool ok = (mine->uid == c->uid && mine->uid == c->euid && mine->uid == c->suid &&
               mine->gid == c->gid && mine->gid == c->egid && mine->gid == c->sgid) ||
              cred_capable(CAP_SYS_RESOURCE);
    cred_put(c);
    return ok;
}

long sys_prlimit64(int pid, int resource, user_rlimit_in_t new, user_rlimit_out_t old)
{
    struct abi_rlimit limit, before;
    bool set = !user_is_null(new);
    if (resource < 0 || resource >= ABI_RLIM_NLIMITS)
        return -EINVAL;
    if (set && user_get(&limit, new, 1) < 0)
        return -EFAULT;
    if (pid < 0)
        return -ESRCH;
    struct thread *t = pid ? thread_find_ended(pid) : thread_current();
    if (!t)
        return -ESRCH;
    struct process *p = t->process;
    int err = p == process_current() || may_limit(t) ? 0 : -EPERM;
    if (!err)
        err = process_set_limit(p, (unsigned)resource, set ? &limit : NULL, &before);
    if (!err && set && (resource == RLIMIT_CPU || resource == RLIMIT_RTTIME))
        cpu_timers_changed(p);
    if (pid)
        thread_put(t);
    return err || user_is_null(old) ? err : user_put(old, &before, 1);
}

long sys_getrlimit(int resource, user_rlimit_out_t rlim)
{
    struct abi_rlimit before;
    int err = process_set_limit(process_current(), (unsigned)resource, NULL, &before);
    return err ? err : user_put(rlim, &before, 1);
}

long sys_setrlimit(int resource, user_rlimit_in_t rlim)
{
    if (user_is_null(rlim))
        return -EFAULT;
    return sys_prlimit64(0, resource, rlim, (user_rlimit_out_t){ 0 });
}

long sys_getrusage(int who, user_rusage_out_t ru)
{
    struct abi_rusage usage;
    if (who != RUSAGE_SELF && who != RUSAGE_CHILDREN && who != RUSAGE_THREAD)
        return -EINVAL;
    process_rusage(NULL, who, &usage);
    return user_put(ru, &usage, 1);
}
