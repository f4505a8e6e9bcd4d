/* SPDX-License-Identifier: MIT */
/* seccomp(2), and prctl's older way to it. */
#include "sys_proto.h"
#include "seccomp.h"
#include <abi/errno.h>
#include <abi/prctl.h>
#include <abi/seccomp.h>
#include <libos/heap.h>
#include <libos/process.h>
#include <libos/seccomp.h>
#include <libos/user.h>

long seccomp_filter_from(uintptr_t user, unsigned flags)
{
    struct abi_sock_fprog p;
    if (flags & ~(unsigned)ABI_SECCOMP_FLAGS ||
        (flags & SECCOMP_FILTER_FLAG_TSYNC && flags & SECCOMP_FILTER_FLAG_NEW_LISTENER &&
         !(flags & SECCOMP_FILTER_FLAG_TSYNC_ESRCH)) ||
        (flags & SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV &&
         !(flags & SECCOMP_FILTER_FLAG_NEW_LISTENER)))
        return -EINVAL;
    if (user_get(&p, user_at(user_sock_fprog_in_t, user), 1) < 0)
        return -EFAULT;
    if (!p.len || p.len > BPF_MAXINSNS)
        return -EINVAL;
    if (!thread_current()->no_new_privs && !cred_capable(CAP_SYS_ADMIN))
        return -EACCES;
    struct abi_sock_filter *prog = heap_alloc(p.len * sizeof(*prog));
    if (!prog)
        return -ENOMEM;
    if (user_get(prog, p.filter, p.len) < 0) {
        heap_free(prog);
        return -EFAULT;
    }
    return seccomp_set_filter(prog, p.len, flags);
}

static long action_avail(user_void_inout_t args)
{
    uint32_t action;
    if (user_get(&action, user_cast(user_uint_in_t, args), 1) < 0)
        return -EFAULT;
    return seccomp_action_known(action) ? 0 : -EOPNOTSUPP;
}

static long notif_sizes(user_void_inout_t args)
{
    const struct abi_seccomp_notif_sizes s = { .notif = sizeof(struct abi_seccomp_notif),
                                               .response = sizeof(struct abi_seccomp_notif_resp),
                                               .data = sizeof(struct abi_seccomp_data) };
    return user_put(user_cast(user_seccomp_notif_sizes_out_t, args), &s, 1);
}

long sys_seccomp(unsigned operation, unsigned flags, user_void_inout_t args)
{
    switch (operation) {
    case SECCOMP_SET_MODE_STRICT:
        return flags || !user_is_null(args) ? -EINVAL : seccomp_set_strict();
    case SECCOMP_SET_MODE_FILTER:
        return seccomp_filter_from(args.addr, flags);
    case SECCOMP_GET_ACTION_AVAIL:
        return flags ? -EINVAL : action_avail(args);
    case SECCOMP_GET_NOTIF_SIZES:
        return flags ? -EINVAL : notif_sizes(args);
    default:
        return -EINVAL;
    }
}
