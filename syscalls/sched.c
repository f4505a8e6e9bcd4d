/* SPDX-License-Identifier: MIT */
/* Scheduling: sched(7), sched_setattr(2), setpriority(2), ioprio_set(2). */
#include "sys_proto.h"
#include <libos/access.h>
#include <abi/prctl.h>
#include <libos/process.h>
#include <libos/sched.h>
#include <libos/time.h>
#include <libos/user.h>
#include <string.h>
#include <utlist.h>

enum { RT_MAX = 99, ATTR_SIZE_V0 = 48, IOPRIO_WHO_PROCESS = 1, IOPRIO_WHO_PGRP, IOPRIO_WHO_USER };
enum {
    FLAGS_CLAMP = SCHED_FLAG_UTIL_CLAMP_MIN | SCHED_FLAG_UTIL_CLAMP_MAX,
    FLAGS_DEADLINE = SCHED_FLAG_RECLAIM | SCHED_FLAG_DL_OVERRUN,
    FLAGS_KNOWN = 0x7f,
    DL_RUNTIME_MIN = 1024, /* nanoseconds, as the next one */
    DL_PERIOD_MIN = 100000,
};
#define DL_PERIOD_MAX 4194304000ull

long sys_sched_yield(void)
{
    return sched_yield_cpu();
}

/* Thread tid, or the current one, with a reference. -EINVAL, -ESRCH. */
static int get_thread(int tid, struct thread **ret)
{
    if (tid < 0)
        return -EINVAL;
    *ret = tid ? thread_find_ended(tid) : thread_current();
    if (!*ret)
        return -ESRCH;
    if (!tid)
        thread_get(*ret);
    return 0;
}

static bool is_rt(int policy)
{
    return policy == SCHED_FIFO || policy == SCHED_RR;
}

/* May the current thread give t these parameters? Lower ones always, higher ones within RLIMIT_NICE and RLIMIT_RTPRIO. */
static bool may_set(struct thread *t, int policy, int priority, int nice)
{
    if (cred_capable(CAP_SYS_NICE))
        return true;
    if (!thread_same_owner(t))
        return false;
    if (policy == SCHED_DEADLINE)
        return false;
    uint64_t rt_limit = process_limit(t->process, RLIMIT_RTPRIO);
    if (is_rt(policy) && (policy != t->policy || priority > t->rt_priority) &&
        (!rt_limit || (priority > t->rt_priority && (uint64_t)priority > rt_limit)))
        return false;
    if (nice < t->nice && (uint64_t)(20 - nice) > process_limit(t->process, RLIMIT_NICE))
        return false;
    /* SCHED_IDLE is less than any nice value: who leaves it gains. */
    return t->policy != SCHED_IDLE || policy == SCHED_IDLE ||
           (uint64_t)(20 - t->nice) <= process_limit(t->process, RLIMIT_NICE);
}

/* What a call wants of a thread. */
struct wanted {
    int policy;   /* -1: as it is */
    int priority; /* real-time */
    int nice;     /* INT32_MIN: as it is */
    bool reset;   /* on fork */
    struct sched_deadline deadline;
};

static bool deadline_in_order(const struct sched_deadline *d)
{
    return d->deadline_ns && d->runtime_ns >= DL_RUNTIME_MIN && !(d->deadline_ns >> 63) &&
           !(d->period_ns >> 63) && d->period_ns >= d->deadline_ns &&
           d->deadline_ns >= d->runtime_ns && d->period_ns >= DL_PERIOD_MIN &&
           d->period_ns <= DL_PERIOD_MAX;
}

/* -EINVAL: no such policy, or not with these parameters. */
static int check(const struct wanted *w)
{
    bool rt = is_rt(w->policy), dl = w->policy == SCHED_DEADLINE;
    if (!rt && !dl && w->policy != SCHED_OTHER && w->policy != SCHED_BATCH &&
        w->policy != SCHED_IDLE)
        return -EINVAL;
    if (rt ? w->priority < 1 || w->priority > RT_MAX : w->priority != 0)
        return -EINVAL;
    return dl && !deadline_in_order(&w->deadline) ? -EINVAL : 0;
}

static int apply(struct thread *t, const struct wanted *w)
{
    if (w->policy != SCHED_DEADLINE)
        return sched_set_policy(t, w->policy, w->priority, w->nice);
    struct sched_deadline now;
    if (sched_get_deadline(t, &now) && !memcmp(&now, &w->deadline, sizeof(now)))
        return 0; /* what it has of its period stays */
    return sched_set_deadline(t, &w->deadline);
}

static int set(int tid, struct wanted w)
{
    struct thread *t;
    int err = get_thread(tid, &t);
    if (err)
        return err;
    if (w.policy < 0) {
        w.policy = t->policy;
        w.reset = t->reset_on_fork;
    }
    if (w.nice == INT32_MIN)
        w.nice = t->nice;
    err = check(&w);
    if (!err && (!may_set(t, w.policy, w.priority, w.nice) ||
                 (t->reset_on_fork && !w.reset && !cred_capable(CAP_SYS_NICE))))
        err = -EPERM;
    if (!err)
        err = apply(t, &w);
    if (!err)
        t->reset_on_fork = w.reset;
    if (!err && w.priority && t->process)
        cpu_timers_changed(t->process); /* RLIMIT_RTTIME counts from now on */
    thread_put(t);
    return err;
}

long sys_sched_setscheduler(int pid, int policy, user_sched_param_in_t param)
{
    struct abi_sched_param p;
    if (policy < 0 || pid < 0 || user_is_null(param))
        return -EINVAL;
    if (user_get(&p, param, 1) < 0)
        return -EFAULT;
    return set(pid, (struct wanted){ .policy = policy & ~SCHED_RESET_ON_FORK,
                                     .priority = p.sched_priority,
                                     .nice = INT32_MIN,
                                     .reset = policy & SCHED_RESET_ON_FORK });
}

long sys_sched_setparam(int pid, user_sched_param_in_t param)
{
    struct abi_sched_param p;
    if (pid < 0 || user_is_null(param))
        return -EINVAL;
    if (user_get(&p, param, 1) < 0)
        return -EFAULT;
    return set(pid,
               (struct wanted){ .policy = -1, .priority = p.sched_priority, .nice = INT32_MIN });
}

long sys_sched_getscheduler(int pid)
{
    struct thread *t;
    int err = get_thread(pid, &t);
    if (err)
        return err;
    int policy = t->policy | (t->reset_on_fork ? SCHED_RESET_ON_FORK : 0);
    thread_put(t);
    return policy;
}

long sys_sched_getparam(int pid, user_sched_param_out_t param)
{
    struct thread *t;
    if (user_is_null(param))
        return -EINVAL;
    int err = get_thread(pid, &t);
    if (err)
        return err;
    struct abi_sched_param p = { t->rt_priority };
    thread_put(t);
    return user_put(param, &p, 1);
}

/* SCHED_FLAG_KEEP_PARAMS: all stays as it is, the policy too, but for what a fork does. */
static int keep_params(int pid, bool reset, bool keep_policy)
{
    struct thread *t;
    int err = get_thread(pid, &t);
    if (err)
        return err;
    struct wanted w = { .policy = keep_policy ? -1 : t->policy,
                        .priority = t->rt_priority,
                        .nice = INT32_MIN,
                        .reset = reset };
    (void)sched_get_deadline(t, &w.deadline); /* else not looked at */
    thread_put(t);
    return set(pid, w);
}

long sys_sched_setattr(int pid, user_sched_attr_in_t attr, unsigned flags)
{
    struct abi_sched_attr a = { 0 };
    uint32_t size;
    uint8_t byte;
    if (user_is_null(attr) || pid < 0 || flags)
        return -EINVAL;
    if (user_get(&size, user_cast(user_uint_in_t, attr), 1) < 0)
        return -EFAULT;
    size = size ? size : ATTR_SIZE_V0;
    uint32_t ours = sizeof(a);
    if (size < ATTR_SIZE_V0 || size > 4096)
        return user_put(user_at(user_uint_out_t, attr.addr), &ours, 1) < 0 ? -EFAULT : -E2BIG;
    if (user_get((uint8_t *)&a, user_cast(user_u8_in_t, attr), size < ours ? size : ours) < 0)
        return -EFAULT;
    for (uint32_t i = ours; i < size; i++) {
        if (user_get(&byte, user_at(user_u8_in_t, attr.addr + i), 1) < 0)
            return -EFAULT;
        if (byte)
            return user_put(user_at(user_uint_out_t, attr.addr), &ours, 1) < 0 ? -EFAULT : -E2BIG;
    }
    if (size < sizeof(a) && a.sched_flags & FLAGS_CLAMP)
        return -EINVAL;
    if (a.sched_flags & SCHED_FLAG_KEEP_POLICY)
        a.sched_policy = (uint32_t)-1;
    else if ((int)a.sched_policy < 0)
        return -EINVAL;
    if (a.sched_flags & ~(uint64_t)FLAGS_KNOWN)
        return -EINVAL;
    if (a.sched_flags & FLAGS_CLAMP)
        return -EOPNOTSUPP; /* no CPU here changes its speed */
    if (a.sched_flags & SCHED_FLAG_KEEP_PARAMS)
        return keep_params(pid, a.sched_flags & SCHED_FLAG_RESET_ON_FORK,
                           a.sched_flags & SCHED_FLAG_KEEP_POLICY);
    if (a.sched_priority > RT_MAX)
        return -EINVAL;
    int nice = a.sched_nice < -20 ? -20 : a.sched_nice > 19 ? 19 : a.sched_nice;
    bool fair = a.sched_policy == SCHED_OTHER || a.sched_policy == SCHED_BATCH ||
                a.sched_flags & SCHED_FLAG_KEEP_POLICY;
    return set(pid, (struct wanted){
                        .policy = (int)a.sched_policy,
                        .priority = (int)a.sched_priority,
                        .nice = fair ? nice : INT32_MIN,
                        .reset = a.sched_flags & SCHED_FLAG_RESET_ON_FORK,
                        .deadline = { a.sched_runtime, a.sched_deadline,
                                      a.sched_period ? a.sched_period : a.sched_deadline,
                                      a.sched_flags & FLAGS_DEADLINE },
                    });
}

long sys_sched_getattr(int pid, user_sched_attr_out_t attr, unsigned size, unsigned flags)
{
    struct thread *t;
    if (user_is_null(attr) || pid < 0 || size > 4096 || size < ATTR_SIZE_V0 || flags)
        return -EINVAL;
    int err = get_thread(pid, &t);
    if (err)
        return err;
    struct abi_sched_attr a = {
        .size = size < sizeof(a) ? size : sizeof(a),
        .sched_policy = t->policy,
        .sched_flags = t->reset_on_fork ? SCHED_FLAG_RESET_ON_FORK : 0,
        .sched_nice = is_rt(t->policy) || t->policy == SCHED_DEADLINE ? 0 : t->nice,
        .sched_priority = t->rt_priority,
    };
    struct sched_deadline d;
    if (sched_get_deadline(t, &d)) {
        a.sched_flags |= d.flags;
        a.sched_runtime = d.runtime_ns;
        a.sched_deadline = d.deadline_ns;
        a.sched_period = d.period_ns;
    }
    thread_put(t);
    return user_put(user_cast(user_u8_out_t, attr), (const uint8_t *)&a, a.size);
}

/* The highest (or lowest) priority of a policy. */
static long priority_bound(int policy, int rt)
{
    switch (policy) {
    case SCHED_FIFO:
    case SCHED_RR:
        return rt;
    case SCHED_OTHER:
    case SCHED_BATCH:
    case SCHED_IDLE:
    case SCHED_DEADLINE:
        return 0;
    default:
        return -EINVAL;
    }
}

long sys_sched_get_priority_max(int policy)
{
    return priority_bound(policy, RT_MAX);
}

long sys_sched_get_priority_min(int policy)
{
    return priority_bound(policy, 1);
}

long sys_sched_rr_get_interval(int pid, user_timespec_out_t interval)
{
    struct thread *t;
    int err = get_thread(pid, &t);
    if (err)
        return err;
    struct abi_timespec ts = timespec_of(sched_quantum_ns(t));
    thread_put(t);
    return user_put(interval, &ts, 1);
}

long sys_sched_setaffinity(int pid, unsigned len, user_u8_in_t mask)
{
    uint64_t cpus = 0;
    struct thread *t;
    if (user_get((uint8_t *)&cpus, mask, len < sizeof(cpus) ? len : sizeof(cpus)) < 0)
        return -EFAULT;
    int err = get_thread(pid < 0 ? INT32_MAX : pid, &t);
    if (err)
        return err;
    if (!thread_same_owner(t) && !cred_capable(CAP_SYS_NICE))
        err = -EPERM;
    if (!err)
        err = sched_set_affinity(t, cpus);
    thread_put(t);
    return err;
}

long sys_sched_getaffinity(int pid, unsigned len, user_u8_out_t mask)
{
    struct thread *t;
    if (len < sizeof(uint64_t) || len % sizeof(uint64_t))
        return -EINVAL;
    int err = get_thread(pid < 0 ? INT32_MAX : pid, &t);
    if (err)
        return err;
    uint64_t cpus = sched_affinity(t);
    thread_put(t);
    return user_put(mask, (const uint8_t *)&cpus, sizeof(cpus)) < 0 ? -EFAULT : (long)sizeof(cpus);
}

long sys_getcpu(user_uint_out_t cpu, user_uint_out_t node, uintptr_t unused)
{
    unsigned here = thread_cpu(), zero = 0;
    if (!user_is_null(cpu) && user_put(cpu, &here, 1) < 0)
        return -EFAULT;
    return !user_is_null(node) && user_put(node, &zero, 1) < 0 ? -EFAULT : 0;
}

/* Collects or changes the priorities of whom which and who mean. */
struct priority_walk {
    int which, who;
    bool set;
    int value;  /* to set */
    int result; /* the best found, 20 - nice; or the errno; 0: none found */
};

static void visit_thread(struct thread *t, struct priority_walk *w)
{
    if (!w->set) {
        w->result = 20 - t->nice > w->result ? 20 - t->nice : w->result;
        return;
    }
    int err = 0;
    if (!thread_same_owner(t) && !cred_capable(CAP_SYS_NICE))
        err = -EPERM;
    else if (w->value < t->nice && !cred_capable(CAP_SYS_NICE) &&
             (uint64_t)(20 - w->value) > process_limit(t->process, RLIMIT_NICE))
        err = -EACCES;
    if (!err)
        err = sched_set_policy(t, t->policy, t->rt_priority, w->value);
    w->result = err ? err : w->result ? w->result : 1;
}

static int visit_process(struct process *p, void *arg)
{
    struct priority_walk *w = arg;
    struct thread *t;
    DL_FOREACH(p->threads, t)
    if (w->which != PRIO_USER || t->cred->uid == (uint32_t)w->who)
        visit_thread(t, w);
    return 0;
}

static long walk(struct priority_walk *w)
{
    struct thread *t;
    if (w->which == PRIO_PROCESS) {
        int err = w->who < 0 ? -ESRCH : get_thread(w->who, &t);
        if (err)
            return err;
        visit_thread(t, w);
        thread_put(t);
        return w->result;
    }
    if (w->which == PRIO_USER && !w->who)
        w->who = (int)thread_current()->cred->uid;
    int pgid = w->which != PRIO_PGRP ? 0 : w->who ? w->who : process_get_group(0);
    spin_lock(&process_lock);
    process_each(pgid, visit_process, w);
    spin_unlock(&process_lock);
    return w->result ? w->result : -ESRCH;
}

long sys_getpriority(int which, int who)
{
    struct priority_walk w = { .which = which, .who = who };
    return which < PRIO_PROCESS || which > PRIO_USER ? -EINVAL : walk(&w);
}

long sys_setpriority(int which, int who, int niceval)
{
    struct priority_walk w = { .which = which, .who = who, .set = true };
    if (which < PRIO_PROCESS || which > PRIO_USER)
        return -EINVAL;
    w.value = niceval < -20 ? -20 : niceval > 19 ? 19 : niceval;
    long ret = walk(&w);
    return ret > 0 ? 0 : ret;
}

static bool may_set_io(struct thread *t)
{
    const struct cred *mine = thread_current()->cred;
    struct cred *c = thread_cred_get(t);
    bool ok = c->uid == mine->euid || c->uid == mine->uid || cred_capable(CAP_SYS_NICE);
    cred_put(c);
    return ok;
}

/* I/O priorities are remembered and given back; devices here serve requests in order. */
long sys_ioprio_set(int which, int who, int ioprio)
{
    struct thread *t;
    int class = ioprio >> 13 & 7, level = ioprio & 0x1fff;
    if (class > 3 || (class == 0 && level) || ioprio >> 16)
        return -EINVAL;
    if (class == 1 && !cred_capable(CAP_SYS_ADMIN) && !cred_capable(CAP_SYS_NICE))
        return -EPERM;
    if (which != IOPRIO_WHO_PROCESS)
        return which == IOPRIO_WHO_PGRP || which == IOPRIO_WHO_USER ? -EOPNOTSUPP : -EINVAL;
    int err = who < 0 ? -ESRCH : get_thread(who, &t);
    if (err)
        return err;
    if (may_set_io(t)) {
        t->io_class = (uint8_t) class;
        t->io_level = (uint16_t)level;
    } else {
        err = -EPERM;
    }
    thread_put(t);
    return err;
}

long sys_ioprio_get(int which, int who)
{
    struct thread *t;
    if (which != IOPRIO_WHO_PROCESS)
        return which == IOPRIO_WHO_PGRP || which == IOPRIO_WHO_USER ? -EOPNOTSUPP : -EINVAL;
    int err = who < 0 ? -ESRCH : get_thread(who, &t);
    if (err)
        return err;
    long ret = t->io_class << 13 | t->io_level;
    thread_put(t);
    return ret;
}
