/* SPDX-License-Identifier: MIT */
/* The directory of a process, /proc/PID, and of each of its threads: the tables, and the small files. */
#include "proc.h"
#include <abi/errno.h>
#include <abi/prctl.h>
#include <abi/resource.h>
#include <libos/dump.h>
#include <libos/mm.h>
#include <libos/mount.h>
#include <libos/heap.h>
#include <libos/process.h>
#include <libos/sched.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PIECE = 4096, ARGS_MAX = 2 * 1024 * 1024, OOM_SCORE_MAX = 1000 };

/* Bytes [from, to) of the process's memory, as far as they can be read. */
static int show_memory(struct text *t, const struct gen_ctx *c, bool environment)
{
    struct mm *mm = proc_mm(c);
    char *buf = heap_alloc(PIECE);
    if (mm && buf) {
        uintptr_t at = environment ? mm->env_start : mm->arg_start,
                  end = environment ? mm->env_end : mm->arg_end;
        if (end - at > ARGS_MAX)
            end = at;
        while (at < end) {
            size_t want = end - at < PIECE ? end - at : PIECE;
            size_t n = mm_access(mm, at, buf, want, false, true);
            text_add(t, buf, n);
            if (n < want)
                break;
            at += n;
        }
    }
    heap_free(buf);
    if (mm)
        mm_put(mm);
    return 0;
}

static int show_cmdline(struct text *t, const struct gen_ctx *c)
{
    return show_memory(t, c, false);
}

static int show_environ(struct text *t, const struct gen_ctx *c)
{
    return show_memory(t, c, true);
}

static int show_auxv(struct text *t, const struct gen_ctx *c)
{
    struct mm *mm = proc_mm(c);
    size_t n = 0;
    if (mm) {
        while (n + 2 < ARRAY_SIZE(mm->auxv) && mm->auxv[n])
            n += 2;
        text_add(t, mm->auxv, (n + 2) * sizeof(mm->auxv[0])); /* AT_NULL too */
        mm_put(mm);
    }
    return 0;
}

/* The small files: each prints from the thread. */
static int with_thread(struct text *t, const struct gen_ctx *c,
                       void (*show)(struct text *t, struct thread *thread))
{
    struct thread *thread = proc_thread(c);
    if (!thread)
        return -ESRCH;
    show(t, thread);
    thread_put(thread);
    return 0;
}

#define THREAD_FILE(name)                                                                          \
    static int show_##name(struct text *t, const struct gen_ctx *c)                                \
    {                                                                                              \
        return with_thread(t, c, print_##name);                                                    \
    }

static void print_comm(struct text *t, struct thread *thread)
{
    text_printf(t, "%s\n", thread->comm);
}
THREAD_FILE(comm)

static int store_comm(const struct gen_ctx *c, char *value, size_t len)
{
    struct thread *thread = proc_thread(c);
    if (!thread)
        return -ESRCH;
    bool ours = thread->process == process_current();
    if (ours)
        snprintf(thread->comm, sizeof(thread->comm), "%.*s", (int)strcspn(value, "\n"), value);
    thread_put(thread);
    return ours ? 0 : -EINVAL;
}

static void print_limit(struct text *t, const char *name, const struct abi_rlimit *l,
                        const char *unit)
{
    char soft[24] = "unlimited", hard[24] = "unlimited";
    if (l->rlim_cur != ABI_RLIM_INFINITY)
        snprintf(soft, sizeof(soft), "%llu", (unsigned long long)l->rlim_cur);
    if (l->rlim_max != ABI_RLIM_INFINITY)
        snprintf(hard, sizeof(hard), "%llu", (unsigned long long)l->rlim_max);
    text_printf(t, unit ? "%-25s %-20s %-20s %-10s\n" : "%-25s %-20s %-20s\n", name, soft, hard,
                unit);
}

static void print_limits(struct text *t, struct thread *thread)
{
    static const struct {
        const char *name, *unit;
    } rows[ABI_RLIM_NLIMITS] = {
        [RLIMIT_CPU] = { "Max cpu time", "seconds" },
        [RLIMIT_FSIZE] = { "Max file size", "bytes" },
        [RLIMIT_DATA] = { "Max data size", "bytes" },
        [RLIMIT_STACK] = { "Max stack size", "bytes" },
        [RLIMIT_CORE] = { "Max core file size", "bytes" },
        [RLIMIT_RSS] = { "Max resident set", "bytes" },
        [RLIMIT_NPROC] = { "Max processes", "processes" },
        [RLIMIT_NOFILE] = { "Max open files", "files" },
        [RLIMIT_MEMLOCK] = { "Max locked memory", "bytes" },
        [RLIMIT_AS] = { "Max address space", "bytes" },
        [RLIMIT_LOCKS] = { "Max file locks", "locks" },
        [RLIMIT_SIGPENDING] = { "Max pending signals", "signals" },
        [RLIMIT_MSGQUEUE] = { "Max msgqueue size", "bytes" },
        [RLIMIT_NICE] = { "Max nice priority", NULL },
        [RLIMIT_RTPRIO] = { "Max realtime priority", NULL },
        [RLIMIT_RTTIME] = { "Max realtime timeout", "us" },
    };
    text_printf(t, "%-25s %-20s %-20s %-10s\n", "Limit", "Soft Limit", "Hard Limit", "Units");
    for (size_t i = 0; i < ABI_RLIM_NLIMITS; i++) {
        struct abi_rlimit l;
        if (!process_set_limit(thread->process, (unsigned)i, NULL, &l))
            print_limit(t, rows[i].name, &l, rows[i].unit);
    }
}
THREAD_FILE(limits)

static void print_schedstat(struct text *t, struct thread *thread)
{
    text_printf(t, "%llu 0 %llu\n", (unsigned long long)sched_cpu_ns(thread),
                (unsigned long long)(thread->switches_voluntary + thread->switches_forced));
}
THREAD_FILE(schedstat)

static void print_sched(struct text *t, struct thread *thread)
{
    uint64_t ns = sched_cpu_ns(thread);
    text_printf(t,
                "%s (%d, #threads: "
                "%u)\n-------------------------------------------------------------------\n",
                thread->comm, thread->tid, (unsigned)thread->process->nthreads);
    text_printf(t, "%-45s:%14llu.%06llu\n", "se.sum_exec_runtime",
                (unsigned long long)(ns / 1000000), (unsigned long long)(ns % 1000000));
    const struct {
        const char *name;
        long long value;
    } rows[] = {
        { "nr_switches", (long long)(thread->switches_voluntary + thread->switches_forced) },
        { "nr_voluntary_switches", (long long)thread->switches_voluntary },
        { "nr_involuntary_switches", (long long)thread->switches_forced },
        { "policy", thread->policy },
        { "prio", 120 + thread->nice },
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        text_printf(t, "%-45s:%21lld\n", rows[i].name, rows[i].value);
}
THREAD_FILE(sched)

static void print_oom_score(struct text *t, struct thread *thread)
{
    text_printf(t, "%d\n", oom_score(thread->process));
}
THREAD_FILE(oom_score)

static void print_oom_score_adj(struct text *t, struct thread *thread)
{
    text_printf(t, "%hd\n", (short)thread->process->oom_score_adj);
}
THREAD_FILE(oom_score_adj)

static void print_oom_adj(struct text *t, struct thread *thread)
{
    int adj = (int)thread->process->oom_score_adj;
    text_printf(t, "%d\n", adj == OOM_SCORE_MAX ? 15 : adj * 17 / OOM_SCORE_MAX);
}
THREAD_FILE(oom_adj)

static int set_oom(const struct gen_ctx *c, int adj)
{
    struct thread *thread = proc_thread(c);
    if (!thread)
        return -ESRCH;
    bool may = adj >= (int)thread->process->oom_score_adj || cred_capable(CAP_SYS_RESOURCE);
    if (may)
        thread->process->oom_score_adj = (unsigned)adj;
    thread_put(thread);
    return may ? 0 : -EACCES;
}

/* A decimal number and nothing else but blanks around it. */
static int parse(const char *value, long min, long max, long *ret)
{
    char *end;
    *ret = strtol(value, &end, 0);
    if (end == value || end[strspn(end, " \n")])
        return -EINVAL;
    return *ret < min || *ret > max ? -EINVAL : 0;
}

static int store_oom_score_adj(const struct gen_ctx *c, char *value, size_t len)
{
    long adj;
    int err = parse(value, -OOM_SCORE_MAX, OOM_SCORE_MAX, &adj);
    return err ? err : set_oom(c, (int)adj);
}

static int store_oom_adj(const struct gen_ctx *c, char *value, size_t len)
{
    long adj;
    int err = parse(value, -17, 15, &adj);
    return err ? err : set_oom(c, adj == 15 ? OOM_SCORE_MAX : (int)adj * OOM_SCORE_MAX / 17);
}

static void print_core_filter(struct text *t, struct thread *thread)
{
    if (thread->mm)
        text_printf(t, "%08x\n", thread->process->core_filter);
}
THREAD_FILE(core_filter)

static int store_core_filter(const struct gen_ctx *c, char *value, size_t len)
{
    long filter;
    int err = parse(value, LONG_MIN, LONG_MAX, &filter);
    struct thread *thread = err ? NULL : proc_thread(c);
    if (!thread)
        return err ? err : -ESRCH;
    thread->process->core_filter = (uint32_t)filter & DUMP_ALL;
    thread_put(thread);
    return 0;
}

static int show_personality(struct text *t, const struct gen_ctx *c)
{
    int err = proc_may_access(c, ACCESS_ATTACH);
    struct thread *thread = err ? NULL : proc_thread(c);
    if (!thread)
        return err ? err : -ESRCH;
    text_printf(t, "%08x\n", thread->personality);
    thread_put(thread);
    return 0;
}

/* Of others: as their priority, CAP_SYS_NICE. */
static int slack_of(const struct gen_ctx *c, struct thread **ret)
{
    struct thread *thread = proc_thread(c);
    if (!thread)
        return -ESRCH;
    if (thread == thread_current() || cred_capable(CAP_SYS_NICE)) {
        *ret = thread;
        return 0;
    }
    thread_put(thread);
    return -EPERM;
}

static int show_timerslack(struct text *t, const struct gen_ctx *c)
{
    struct thread *thread;
    int err = slack_of(c, &thread);
    if (err)
        return err;
    text_printf(t, "%u\n", (unsigned)thread->timer_slack_ns);
    thread_put(thread);
    return 0;
}

static int store_timerslack(const struct gen_ctx *c, char *value, size_t len)
{
    struct thread *thread;
    long ns;
    int err = parse(value, 0, UINT32_MAX, &ns);
    if (!err)
        err = slack_of(c, &thread);
    if (err)
        return err;
    thread->timer_slack_ns = ns ? (uint32_t)ns : 50000;
    thread_put(thread);
    return 0;
}

/* Where it sleeps is not told: to the unprivileged, Linux says 0 too. */
static void print_wchan(struct text *t, struct thread *thread)
{
    text_printf(t, "0");
}
THREAD_FILE(wchan)

static int refuse_stack(struct text *t, const struct gen_ctx *c)
{
    return -EACCES;
}

static int show_task_stat(struct text *t, const struct gen_ctx *c)
{
    struct gen_ctx thread = *c;
    thread.number = 1; /* this thread only */
    return proc_show_stat(t, &thread);
}

static bool tid_exists(const struct gen_ctx *dir, int n)
{
    struct thread *t = thread_find_ended(n);
    bool is = t && t->process->pid == dir->pid;
    if (t)
        thread_put(t);
    return is;
}

int proc_next_tid(const struct gen_ctx *c, int from)
{
    int found = -1;
    spin_lock(&process_lock);
    struct process *p = process_find_locked(c->pid);
    if (p && p->ended_leader && p->pid >= from)
        found = p->pid;
    for (struct thread *t = p ? p->threads : NULL; t; t = t->next)
        if (t->tid >= from && (found < 0 || t->tid < found))
            found = t->tid;
    spin_unlock(&process_lock);
    return found;
}

static void tid_enter(struct gen_ctx *c, int n)
{
    c->tid = n;
}

/* A file to write to only. */
static int refuse_read(struct text *t, const struct gen_ctx *c)
{
    (void)t, (void)c;
    return -EINVAL;
}

static const struct gen_names tids = { .prefix = "",
                                       .may_go = true,
                                       .exists = tid_exists,
                                       .next = proc_next_tid,
                                       .enter = tid_enter,
                                       .entry = { .mode = S_IFDIR | 0555,
                                                  .children = proc_task_entries } };

#define LINK(n, text, to)                                                                          \
    {                                                                                              \
        .name = (n), .mode = S_IFLNK | 0777, .show = (text), .follow = (to)                        \
    }
#define MOUNTS(n, fn)                                                                              \
    {                                                                                              \
        .name = (n), .mode = S_IFREG | 0444, .show = (fn), .changes = mount_events                 \
    }
#define MEMORY(n, m, fn)                                                                           \
    {                                                                                              \
        .name = (n), .mode = S_IFREG | (m), .show = (fn), .open = proc_open_mm                     \
    }
#define STORED(n, m, fn, put)                                                                      \
    {                                                                                              \
        .name = (n), .mode = S_IFREG | (m), .show = (fn), .store = (put)                           \
    }

/* What a process and each of its threads have. */
#define COMMON_ENTRIES                                                                             \
    { .name = "fd", .mode = S_IFDIR | 0500, .names = &proc_fd_names, .enter = proc_enter_fd },     \
        { .name = "fdinfo",                                                                        \
          .mode = S_IFDIR | 0555,                                                                  \
          .names = &proc_fdinfo_names,                                                             \
          .enter = proc_enter_fdinfo },                                                            \
        MEMORY("environ", 0400, show_environ), MEMORY("auxv", 0400, show_auxv),                    \
        GEN_FILE("status", proc_show_status),                                                      \
        GEN_FILE_MODE("personality", 0400, show_personality), GEN_FILE("limits", show_limits),     \
        GEN_FILE("sched", show_sched), STORED("comm", 0644, show_comm, store_comm),                \
        GEN_FILE("cmdline", show_cmdline), GEN_FILE("statm", proc_show_statm),                     \
        MEMORY("maps", 0444, proc_show_maps),                                                      \
        { .name = "mem", .mode = S_IFREG | 0600, .fops = &proc_mem_fops, .open = proc_open_mem },  \
        LINK("cwd", proc_link_cwd, proc_follow_cwd),                                               \
        LINK("root", proc_link_root, proc_follow_root),                                            \
        LINK("exe", proc_link_exe, proc_follow_exe), MOUNTS("mounts", proc_show_mounts),           \
        MOUNTS("mountinfo", proc_show_mountinfo),                                                  \
        GEN_FILE_MODE("mountstats", 0400, proc_show_mountstats),                                   \
        MEMORY("smaps", 0444, proc_show_smaps), MEMORY("numa_maps", 0444, proc_show_numa_maps),    \
        { .name = "pagemap",                                                                       \
          .mode = S_IFREG | 0400,                                                                  \
          .fops = &proc_pagemap_fops,                                                              \
          .open = proc_open_mm },                                                                  \
        STORED("clear_refs", 0200, refuse_read, proc_store_clear_refs),                            \
        MEMORY("smaps_rollup", 0444, proc_show_smaps_rollup), GEN_FILE("wchan", show_wchan),       \
        GEN_FILE_MODE("stack", 0400, refuse_stack),                                                \
        GEN_FILE_MODE("syscall", 0400, proc_show_call), GEN_FILE("schedstat", show_schedstat),     \
        GEN_FIXED("cgroup", "0::/\n"), GEN_FILE("oom_score", show_oom_score),                      \
        STORED("coredump_filter", 0644, show_core_filter, store_core_filter),                      \
        STORED("oom_adj", 0644, show_oom_adj, store_oom_adj),                                      \
        STORED("oom_score_adj", 0644, show_oom_score_adj, store_oom_score_adj),                    \
        GEN_FIXED("loginuid", "4294967295"), GEN_FIXED("sessionid", "4294967295")

const struct gen_entry proc_task_entries[] = {
    COMMON_ENTRIES,
    GEN_DIR("net", proc_net_entries),
    { .name = "ns", .mode = S_IFDIR | 0511, .children = proc_ns_entries },
    GEN_FILE("stat", show_task_stat),
    { .name = NULL }
};

const struct gen_entry proc_pid_entries[] = {
    { .name = "task", .mode = S_IFDIR | 0555, .names = &tids },
    COMMON_ENTRIES,
    GEN_DIR("net", proc_net_entries),
    { .name = "ns", .mode = S_IFDIR | 0511, .children = proc_ns_entries },
    GEN_FILE("stat", proc_show_stat),
    STORED("timerslack_ns", 0666, show_timerslack, store_timerslack),
    { .name = NULL },
};
