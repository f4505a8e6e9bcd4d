/* SPDX-License-Identifier: MIT */
/* The root of /proc, and how its nodes find the thread they are about: by number, at each use, so that a node of a thread
 * that has ended answers ESRCH. proc(5). */
#include "proc.h"
#include <abi/errno.h>
#include <abi/statfs.h>
#include <libos/file.h>
#include <libos/heap.h>
#include <libos/mm.h>
#include <libos/process.h>
#include <libos/procfs.h>

struct thread *proc_thread(const struct gen_ctx *c)
{
    struct thread *t = thread_find(c->tid);
    if (t && t->process->start_time_ns != c->born_ns) {
        thread_put(t);
        return NULL;
    }
    return t;
}

static bool pid_exists(const struct gen_ctx *dir, int n)
{
    struct thread *t = thread_find(n);
    bool is_process = t && t->process->pid == n && !t->is_kernel;
    if (t)
        thread_put(t);
    return is_process;
}

struct next {
    int from, found;
};

static int next_pid(struct process *p, void *arg)
{
    struct next *n = arg;
    if (p->pid < n->from)
        return 0;
    n->found = p->pid;
    return 1;
}

static int pid_next(const struct gen_ctx *dir, int from)
{
    struct next n = { .from = from, .found = -1 };
    spin_lock(&process_lock);
    process_each(0, next_pid, &n);
    spin_unlock(&process_lock);
    return n.found;
}

static void pid_enter(struct gen_ctx *c, int n)
{
    struct process *p = process_find(n);
    c->pid = c->tid = n;
    c->born_ns = p ? p->start_time_ns : 0;
    if (p)
        process_put(p);
}

static const struct gen_names pids = { .prefix = "",
                                       .may_go = true,
                                       .exists = pid_exists,
                                       .next = pid_next,
                                       .enter = pid_enter,
                                       .entry = { .mode = S_IFDIR | 0555,
                                                  .children = proc_pid_entries } };

static const struct gen_entry root = { .mode = S_IFDIR | 0555,
                                       .children = proc_system_entries,
                                       .names = &pids };

int procfs_process(struct file *f, struct process **ret_p)
{
    const struct gen_ctx *c = gen_of_directory(f, &pids.entry);
    if (!c)
        return -EBADF;
    struct process *p = process_find(c->pid);
    if (!p)
        return -ESRCH;
    if (p->start_time_ns != c->born_ns) {
        process_put(p);
        return -ESRCH;
    }
    *ret_p = p;
    return 0;
}

int procfs_init(void)
{
    struct superblock *sb;
    int err = gen_create("proc", PROC_SUPER_MAGIC, &root, 0, &sb);
    return err ? err : vfs_mount(sb, "/proc", "proc", ST_NOSUID | ST_NODEV | ST_NOEXEC);
}
