/* SPDX-License-Identifier: MIT */
/* Resource limits and usage: getrlimit(2), getrusage(2). Lock: limits_lock of the process. */
#include <abi/errno.h>
#include <abi/prctl.h>
#include <libos/file.h>
#include <libos/mm.h>
#include <libos/page.h>
#include <libos/process.h>
#include <libos/sched.h>
#include <string.h>
#include <utlist.h>

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

struct usage_sum {
    uint64_t run_ns, user_ns, minor, major, voluntary, forced;
};

static void add_thread(struct usage_sum *s, struct thread *t)
{
    s->run_ns += sched_cpu_ns(t);
    s->user_ns += t->user_ns;
    s->minor += t->faults_minor;
    s->major += t->faults_major;
    s->voluntary += t->switches_voluntary;
    s->forced += t->switches_forced;
}

static struct abi_timeval to_timeval(uint64_t ns)
{
    return (struct abi_timeval){ (int64_t)(ns / NS_PER_SEC), (int64_t)(ns % NS_PER_SEC / 1000) };
}

static struct usage_sum sum_self(struct process *p)
{
    struct usage_sum s = { 0 };
    struct thread *t;
    spin_lock(&process_lock);
    s = (struct usage_sum){ p->dead_run_ns,
                            p->dead_user_ns,
                            p->dead_faults_minor,
                            p->dead_faults_major,
                            p->dead_switches_voluntary,
                            p->dead_switches_forced };
    DL_FOREACH(p->threads, t)
    add_thread(&s, t);
    spin_unlock(&process_lock);
    return s;
}

uint64_t process_cpu_ns(struct process *p)
{
    return sum_self(p).run_ns;
}

void process_rusage(struct process *p, int who, struct abi_rusage *ret)
{
    struct usage_sum s = { 0 };
    struct mm *mm = thread_current()->mm;
    p = p ? p : process_current();
    memset(ret, 0, sizeof(*ret));
    if (who == RUSAGE_THREAD)
        add_thread(&s, thread_current());
    else if (who == RUSAGE_SELF)
        s = sum_self(p);
    else
        s = (struct usage_sum){ .run_ns = p->child_run_ns,
                                .user_ns = p->child_user_ns,
                                .minor = p->child_faults_minor,
                                .major = p->child_faults_major };
    /* Ring 3 and ring 0 are not told apart (that would cost every call two clock readings): all counts as user time. */
    ret->ru_utime = to_timeval(s.run_ns);
    ret->ru_minflt = (int64_t)s.minor;
    ret->ru_majflt = (int64_t)s.major;
    ret->ru_nvcsw = (int64_t)s.voluntary;
    ret->ru_nivcsw = (int64_t)s.forced;
    if (mm && who != RUSAGE_CHILDREN) {
        uint64_t now = mm->rss_anon + mm->rss_file + mm->rss_shmem, peak = mm->rss_peak;
        ret->ru_maxrss = (int64_t)((now > peak ? now : peak) * (PAGE_SIZE / 1024));
    }
}
