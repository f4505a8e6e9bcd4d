/* SPDX-License-Identifier: MIT */
/* Resource limits and usage: getrlimit(2), prlimit(2), getrusage(2). */
#include "sys_proto.h"
#include <abi/prctl.h>
#include <libos/process.h>
#include <libos/user.h>

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
    struct process *p = pid ? process_find(pid) : process_current();
    if (!p)
        return -ESRCH;
    int err = p == process_current() || cred_capable(CAP_SYS_RESOURCE) ? 0 : -EPERM;
    if (!err)
        err = process_set_limit(p, (unsigned)resource, set ? &limit : NULL, &before);
    if (!err && set && resource == RLIMIT_CPU)
        cpu_timers_changed(p);
    if (pid)
        process_put(p);
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
