/* SPDX-License-Identifier: MIT */
/* /proc/PID/stat, statm, status: the numbers that ps, top and libraries read. Numbers are read without locks where a torn
 * moment does no harm. */
#include "proc.h"
#include <abi/errno.h>
#include <abi/resource.h>
#include <abi/sched.h>
#include <abi/signal.h>
#include <libos/dev/tty.h>
#include <libos/file.h>
#include <libos/mm.h>
#include <libos/process.h>
#include <libos/sched.h>
#include <libos/seccomp.h>
#include <libos/trace.h>
#include <plat/cpu.h>
#include <plat/thread.h>
#include <string.h>

/* What stat and status say about signals. */
struct signal_sets {
    uint64_t pending, shared, blocked, ignored, caught;
    unsigned queued;
};

static void signal_sets(struct thread *t, struct signal_sets *s)
{
    memset(s, 0, sizeof(*s));
    spin_lock(&t->process->sig_lock);
    s->pending = t->pending.set;
    s->shared = t->process->pending.set;
    s->blocked = t->sigmask;
    for (int i = 0; i < ABI_NSIG; i++) {
        uintptr_t handler = t->sighand->action[i].handler;
        if (handler == ABI_SIG_IGN)
            s->ignored |= 1ull << i;
        else if (handler != ABI_SIG_DFL)
            s->caught |= 1ull << i;
    }
    spin_unlock(&t->process->sig_lock);
}

static char state_letter(const struct thread *t)
{
    static const char letters[] = {
        [THREAD_RUNNING] = 'R', [THREAD_SLEEPING] = 'S', [THREAD_KILLABLE] = 'D',
        [THREAD_BLOCKED] = 'D', [THREAD_STOPPED] = 'T',  [THREAD_TRACED] = 't',
        [THREAD_DEAD] = 'X'
    };
    uint32_t state = t->state;
    if (t == t->process->ended_leader)
        return 'Z'; /* with threads of its process that go on, too */
    return state < sizeof(letters) ? letters[state] : 'R';
}

static const char *state_name(char letter)
{
    switch (letter) {
    case 'S':
        return "sleeping";
    case 'D':
        return "disk sleep";
    case 'T':
        return "stopped";
    case 't':
        return "tracing stop";
    case 'Z':
        return "zombie";
    case 'X':
        return "dead";
    default:
        return "running";
    }
}

/* As others see it: an ended leader is one of them until the process has been waited for. */
static unsigned thread_number(const struct process *p)
{
    return p->nthreads + (p->ended_leader != NULL);
}

/* Resident bytes by kind. */
static uint64_t resident(const struct mm *mm)
{
    int64_t pages = mm->rss_anon + mm->rss_file + mm->rss_shmem;
    return pages > 0 ? (uint64_t)pages : 0;
}

/* Times of a thread, or (whole) of its process. */
struct times {
    uint64_t user_ns, system_ns, faults_minor, faults_major;
};

static void thread_times(struct thread *t, struct times *r)
{
    struct cpu_told cpu;
    thread_cpu_split(t, &cpu);
    r->user_ns = cpu.user_ns;
    r->system_ns = cpu.system_ns;
    r->faults_minor = t->faults_minor;
    r->faults_major = t->faults_major;
}

static void process_times(struct process *p, struct times *r)
{
    memset(r, 0, sizeof(*r));
    struct abi_rusage u;
    process_rusage(p, RUSAGE_SELF, &u);
    r->user_ns = (uint64_t)u.ru_utime.tv_sec * NS_PER_SEC + (uint64_t)u.ru_utime.tv_usec * 1000;
    r->system_ns = (uint64_t)u.ru_stime.tv_sec * NS_PER_SEC + (uint64_t)u.ru_stime.tv_usec * 1000;
    r->faults_minor = (uint64_t)u.ru_minflt;
    r->faults_major = (uint64_t)u.ru_majflt;
}

static unsigned long ull_limit(struct process *p, unsigned resource)
{
    return process_limit(p, resource);
}

static int kernel_priority(const struct thread *t)
{
    if (t->policy == SCHED_DEADLINE)
        return -1 - RT_DEADLINE;
    return t->policy == SCHED_FIFO || t->policy == SCHED_RR ? -1 - t->rt_priority : 20 + t->nice;
}

static void show_identity(struct text *t, struct thread *thread, bool whole)
{
    struct process *p = thread->process;
    int tty_nr = 0, tpgid = -1;
    spin_lock(&process_lock);
    struct tty *tty = p->tty;
    if (tty) {
        tty_nr = (int)tty->rdev;
        tpgid = tty->pgrp;
    }
    int parent = p->parent ? p->parent->pid : 0;
    spin_unlock(&process_lock);
    text_printf(t, "%d (%s) %c %d %d %d %d %d 4194560 ", whole ? p->pid : thread->tid, thread->comm,
                state_letter(thread), parent, p->pgid, p->sid, tty_nr, tpgid);
}

static void show_times(struct text *t, struct thread *thread, bool whole)
{
    struct process *p = thread->process;
    struct times r;
    if (whole)
        process_times(p, &r);
    else
        thread_times(thread, &r);
    text_printf(
        t, "%llu %llu %llu %llu %llu %llu %llu %llu %d %d %u 0 %llu ",
        (unsigned long long)r.faults_minor, (unsigned long long)p->waited.faults_minor,
        (unsigned long long)r.faults_major, (unsigned long long)p->waited.faults_major,
        (unsigned long long)(r.user_ns / NS_PER_TICK),
        (unsigned long long)(r.system_ns / NS_PER_TICK),
        (unsigned long long)(p->waited.cpu.user_ns / NS_PER_TICK),
        (unsigned long long)(p->waited.cpu.system_ns / NS_PER_TICK), kernel_priority(thread),
        thread->nice, thread_number(p),
        (unsigned long long)((whole ? p->start_time_ns : thread->start_time_ns) / NS_PER_TICK));
}

int proc_show_stat(struct text *t, const struct gen_ctx *c)
{
    static struct mm nothing;
    struct thread *thread = proc_thread(c);
    if (!thread)
        return -ESRCH;
    bool whole = !c->number; /* the process; else one thread of it */
    struct mm *mm = thread_mm_get(thread);
    const struct mm *m = mm ? mm : &nothing;
    bool look = mm && !thread_may_access(thread, ACCESS_READ | ACCESS_FSCREDS);
    const struct mm *shown = look ? mm : &nothing; /* addresses are not for everybody */
    struct signal_sets s;
    signal_sets(thread, &s);
    show_identity(t, thread, whole);
    show_times(t, thread, whole);
    text_printf(t, "%llu %llu %lu %lu %lu %lu 0 0 ",
                (unsigned long long)(mm_total_pages(m) * PAGE_SIZE),
                (unsigned long long)resident(m), ull_limit(thread->process, RLIMIT_RSS),
                look ? (unsigned long)m->code_start : (unsigned long)(mm != NULL),
                look ? (unsigned long)m->code_end : (unsigned long)(mm != NULL),
                (unsigned long)shown->stack_top);
    uint64_t low = 0x7fffffff; /* as of old: the first 31 signals */
    text_printf(t, "%llu %llu %llu %llu 0 0 0 %d %u %u %u 0 0 0 ",
                (unsigned long long)(s.pending & low), (unsigned long long)(s.blocked & low),
                (unsigned long long)(s.ignored & low), (unsigned long long)(s.caught & low),
                whole ? SIGCHLD : -1, (unsigned)thread->cpu, (unsigned)thread->rt_priority,
                (unsigned)thread->policy);
    text_printf(t, "%lu %lu %lu %lu %lu %lu %lu %d\n", (unsigned long)shown->data_start,
                (unsigned long)shown->data_end, (unsigned long)shown->brk_start,
                (unsigned long)shown->arg_start, (unsigned long)shown->arg_end,
                (unsigned long)shown->env_start, (unsigned long)shown->env_end,
                thread_may_access(thread, ACCESS_READ | ACCESS_FSCREDS) ? 0
                : thread == thread->process->ended_leader && thread->process->zombie
                    ? thread->process->exit_code
                    : thread->exit_code);
    if (mm)
        mm_put(mm);
    thread_put(thread);
    return 0;
}

int proc_show_statm(struct text *t, const struct gen_ctx *c)
{
    struct thread *thread = proc_thread(c);
    if (!thread)
        return -ESRCH;
    struct mm *mm = thread_mm_get(thread);
    if (mm) {
        uint64_t text_pages = (mm->code_end - mm->code_start + PAGE_SIZE - 1) / PAGE_SIZE;
        int64_t shared = mm->rss_file + mm->rss_shmem;
        mm_read_lock(mm); /* all counts are the map's then */
        mm_read_unlock(mm);
        text_printf(t, "%llu %llu %lld %llu 0 %llu 0\n", (unsigned long long)mm_total_pages(mm),
                    (unsigned long long)resident(mm), (long long)shared,
                    (unsigned long long)text_pages,
                    (unsigned long long)(mm->data_pages + mm->stack_pages));
        mm_put(mm);
    } else {
        text_printf(t, "0 0 0 0 0 0 0\n");
    }
    thread_put(thread);
    return 0;
}

static void show_ids(struct text *t, struct thread *thread)
{
    struct process *p = thread->process;
    struct cred *cr = thread_cred_get(thread);
    struct fs_context *fs = thread_fs_get(thread);
    struct fd_table *fds = thread_fds_get(thread);
    char state = state_letter(thread);
    text_printf(t, "Name:\t%s\n", thread->comm);
    if (fs)
        text_printf(t, "Umask:\t%#04o\n", (unsigned)fs->umask);
    spin_lock(&process_lock);
    int parent = p->parent ? p->parent->pid : 0;
    spin_unlock(&process_lock);
    text_printf(t, "State:\t%c (%s)\nTgid:\t%d\nNgid:\t0\nPid:\t%d\nPPid:\t%d\nTracerPid:\t%d\n",
                state, state_name(state), p->pid, thread->tid, parent, trace_tracer_pid(thread));
    text_printf(t, "Uid:\t%u\t%u\t%u\t%u\nGid:\t%u\t%u\t%u\t%u\nFDSize:\t%u\nGroups:\t",
                (unsigned)cr->uid, (unsigned)cr->euid, (unsigned)cr->suid, (unsigned)cr->fsuid,
                (unsigned)cr->gid, (unsigned)cr->egid, (unsigned)cr->sgid, (unsigned)cr->fsgid,
                fds ? (unsigned)fds->size : 0);
    for (uint32_t i = 0; i < cr->ngroups; i++)
        text_printf(t, "%s%u", i ? " " : "", (unsigned)cr->groups[i]);
    text_printf(t, " \nNStgid:\t%d\nNSpid:\t%d\nNSpgid:\t%d\nNSsid:\t%d\nKthread:\t0\n", p->pid,
                thread->tid, p->pgid, p->sid);
    if (fs)
        fs_context_put(fs);
    if (fds)
        fd_table_put(fds);
    cred_put(cr);
}

static void kb(struct text *t, const char *name, uint64_t pages)
{
    text_printf(t, "%s:\t%8llu kB\n", name, (unsigned long long)(pages * (PAGE_SIZE / 1024)));
}

static void show_memory(struct text *t, struct mm *mm)
{
    uint64_t code = (mm->code_end - mm->code_start + PAGE_SIZE - 1) / PAGE_SIZE;
    uint64_t peak = mm->rss_peak > resident(mm) ? mm->rss_peak : resident(mm);
    mm_read_lock(mm); /* all counts are the map's then */
    mm_read_unlock(mm);
    kb(t, "VmPeak", mm->peak_pages > mm->total_pages ? mm->peak_pages : mm->total_pages);
    kb(t, "VmSize", mm->total_pages);
    kb(t, "VmLck", mm->locked_pages);
    kb(t, "VmPin", 0);
    kb(t, "VmHWM", peak);
    kb(t, "VmRSS", resident(mm));
    kb(t, "RssAnon", (uint64_t)mm->rss_anon);
    kb(t, "RssFile", (uint64_t)mm->rss_file);
    kb(t, "RssShmem", (uint64_t)mm->rss_shmem);
    kb(t, "VmData", mm->data_pages);
    kb(t, "VmStk", mm->stack_pages);
    kb(t, "VmExe", code);
    kb(t, "VmLib", mm->exec_pages > code ? mm->exec_pages - code : 0);
    kb(t, "VmPTE", 1 + mm->total_pages / 512);
    kb(t, "VmSwap", 0);
    text_printf(t,
                "HugetlbPages:\t%8u "
                "kB\nCoreDumping:\t0\nTHP_enabled:\t1\nuntag_mask:\t0xffffffffffffffff\n",
                0);
}

static void show_signals(struct text *t, struct thread *thread)
{
    struct signal_sets s;
    struct cred *c = thread_cred_get(thread);
    signal_sets(thread, &s);
    text_printf(t, "Threads:\t%u\nSigQ:\t%d/%lu\n", thread_number(thread->process),
                (int)atomic_load(&c->account->counts[ACCOUNT_SIGNALS]),
                ull_limit(thread->process, RLIMIT_SIGPENDING));
    text_printf(t,
                "SigPnd:\t%016llx\nShdPnd:\t%016llx\nSigBlk:\t%016llx\nSigIgn:\t%016llx\nSigCgt:\t%"
                "016llx\n",
                (unsigned long long)s.pending, (unsigned long long)s.shared,
                (unsigned long long)s.blocked, (unsigned long long)s.ignored,
                (unsigned long long)s.caught);
    text_printf(t,
                "CapInh:\t%016llx\nCapPrm:\t%016llx\nCapEff:\t%016llx\nCapBnd:\t%016llx\nCapAmb:\t%"
                "016llx\n",
                (unsigned long long)c->cap_inheritable, (unsigned long long)c->cap_permitted,
                (unsigned long long)c->cap_effective, (unsigned long long)c->cap_bounding,
                (unsigned long long)c->cap_ambient);
    text_printf(t, "NoNewPrivs:\t%d\nSeccomp:\t%u\nSeccomp_filters:\t%u\n", thread->no_new_privs,
                (unsigned)thread->seccomp.mode,
                thread == thread_current() ? seccomp_count(thread) : 0);
    cred_put(c);
}

static void show_cpus(struct text *t, const struct thread *thread)
{
    unsigned n = plat_cpu_count();
    uint64_t all = n < 64 ? (1ull << n) - 1 : ~0ull, mask = thread->affinity & all;
    text_printf(
        t,
        "Speculation_Store_Bypass:\tunknown\nSpeculationIndirectBranch:\tunknown\nCpus_allowed:\t");
    if (n > 32)
        text_printf(t, "%x,%08x", (unsigned)(mask >> 32), (unsigned)mask);
    else
        text_printf(t, "%x", (unsigned)mask);
    text_printf(t, "\nCpus_allowed_list:\t");
    const char *comma = "";
    for (unsigned i = 0; i < n; i++) {
        if (!(mask >> i & 1))
            continue;
        unsigned first = i;
        while (i + 1 < n && mask >> (i + 1) & 1)
            i++;
        text_printf(t, first == i ? "%s%u" : "%s%u-%u", comma, first, i);
        comma = ",";
    }
    text_printf(t, "\nMems_allowed:\t1\nMems_allowed_list:\t0\n");
}

int proc_show_status(struct text *t, const struct gen_ctx *c)
{
    struct thread *thread = proc_thread(c);
    if (!thread)
        return -ESRCH;
    show_ids(t, thread);
    struct mm *mm = thread_mm_get(thread);
    if (mm) {
        show_memory(t, mm);
        mm_put(mm);
    }
    show_signals(t, thread);
    show_cpus(t, thread);
    text_printf(t, "voluntary_ctxt_switches:\t%llu\nnonvoluntary_ctxt_switches:\t%llu\n",
                (unsigned long long)thread->switches_voluntary,
                (unsigned long long)thread->switches_forced);
    thread_put(thread);
    return 0;
}
