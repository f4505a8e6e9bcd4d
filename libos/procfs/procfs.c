/* SPDX-License-Identifier: MIT */
/* The root of /proc, and how its nodes find the thread they are about: by number, at each use, so that a node of a thread
 * that has ended answers ESRCH. Of a zombie there is its leader, which shares nothing any more. proc(5). */
#include "proc.h"
#include <abi/errno.h>
#include <abi/statfs.h>
#include <libos/file.h>
#include <libos/heap.h>
#include <libos/mm.h>
#include <libos/mount.h>
#include <libos/process.h>
#include <libos/procfs.h>

struct thread *proc_thread(const struct gen_ctx *c)
{
    struct thread *t = thread_find_ended(c->tid);
    if (t && t->process->start_time_ns != c->born_ns) {
        thread_put(t);
        return NULL;
    }
    return t;
}

int proc_may_access(const struct gen_ctx *c, unsigned mode)
{
    struct thread *t = proc_thread(c);
    if (!t)
        return -ESRCH;
    int err = thread_may_access(t, mode | ACCESS_FSCREDS);
    thread_put(t);
    return err;
}

int proc_may_look(const struct gen_ctx *c)
{
    int err = proc_may_access(c, ACCESS_READ);
    return err == -EPERM ? -EACCES : err;
}

/* Remember the address space that t has now. */
static int open_mm(struct gen_ctx *c, unsigned mode)
{
    struct thread *t = proc_thread(c);
    if (!t)
        return -ESRCH;
    int err = thread_may_access(t, mode | ACCESS_FSCREDS);
    /* Taken first and checked afterwards, a program that gains rights by execve in between is another address space. */
    struct mm *mm = err ? NULL : thread_mm_get(t);
    c->mm = mm ? mm->serial : UINT64_MAX;
    if (mm) {
        err = thread_may_access(t, mode | ACCESS_FSCREDS);
        mm_put(mm);
    }
    thread_put(t);
    return err ? -EACCES : 0;
}

int proc_open_mm(struct gen_ctx *c)
{
    return open_mm(c, ACCESS_READ);
}

int proc_open_mem(struct gen_ctx *c)
{
    return open_mm(c, ACCESS_ATTACH);
}

struct mm *proc_mm(const struct gen_ctx *c)
{
    struct thread *t = proc_thread(c);
    struct mm *mm = t ? thread_mm_get(t) : NULL;
    if (t)
        thread_put(t);
    if (mm && c->mm && mm->serial != c->mm) {
        mm_put(mm);
        mm = NULL;
    }
    return mm;
}

/* The owner of what is about a process that others may not look into is root; its directories stay its own. */
static void proc_owner(const struct gen_ctx *c, uint32_t mode, uint32_t *uid, uint32_t *gid)
{
    struct thread *t = c->tid ? proc_thread(c) : NULL;
    *uid = *gid = 0;
    if (!t)
        return;
    struct mm *mm = thread_mm_get(t);
    if (mode == (S_IFDIR | 0555) || (mm && mm->dumpable)) {
        struct cred *cred = thread_cred_get(t);
        *uid = cred->euid;
        *gid = cred->egid;
        cred_put(cred);
    }
    if (mm)
        mm_put(mm);
    thread_put(t);
}

static bool pid_exists(const struct gen_ctx *dir, int n)
{
    struct thread *t = thread_find_ended(n);
    bool is_process = t && t->process->pid == n && !t->is_kernel;
    if (t)
        thread_put(t);
    return is_process;
}

static int pid_next(const struct gen_ctx *dir, int from)
{
    return process_next(from);
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

static const struct gen_tree tree = { .owner = proc_owner };

static struct superblock *the_super;

struct superblock *procfs_super(void)
{
    return the_super;
}

int procfs_init(void)
{
    int err = proc_ns_init();
    if (!err)
        err = gen_create("proc", PROC_SUPER_MAGIC, &root, &tree, &the_super);
    if (err || !superblock_get(the_super)) /* which stays, mounted or not */
        return err;
    return vfs_mount(the_super, "/proc", "proc", ST_NOSUID | ST_NODEV | ST_NOEXEC);
}
