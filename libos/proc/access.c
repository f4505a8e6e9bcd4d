/* SPDX-License-Identifier: MIT */
/* Who may look into whom: ptrace(2), "Ptrace access mode checking", and Yama's scope. What a thread shares is taken with
 * a reference while it cannot have begun to end. Lock: sig_lock for what is shared, process_lock for the tree. */
#include <libos/access.h>

#include <abi/errno.h>
#include <abi/prctl.h>
#include <libos/file.h>
#include <libos/mm.h>
#include <libos/vfs.h>

static _Atomic int scope; /* 0, as Debian's kernel starts */

/* Run take on t unless it has begun to end. */
static void *share(struct thread *t, void *(*take)(struct thread *t))
{
    if (t == thread_current())
        return take(t);
    if (!t->process)
        return NULL; /* a libOS thread */
    spin_lock(&t->process->sig_lock);
    void *p = t->exiting ? NULL : take(t);
    spin_unlock(&t->process->sig_lock);
    return p;
}

static void *take_mm(struct thread *t)
{
    if (t->mm)
        mm_get(t->mm);
    return t->mm;
}

static void *take_fds(struct thread *t)
{
    if (t->fds)
        t->fds->refs++;
    return t->fds;
}

static void *take_fs(struct thread *t)
{
    if (t->fs)
        t->fs->refs++;
    return t->fs;
}

struct mm *thread_mm_get(struct thread *t)
{
    return share(t, take_mm);
}

struct fd_table *thread_fds_get(struct thread *t)
{
    return share(t, take_fds);
}

struct fs_context *thread_fs_get(struct thread *t)
{
    return share(t, take_fs);
}

struct cred *thread_cred_get(struct thread *t)
{
    if (t == thread_current() || !t->process)
        return cred_get(t->cred);
    spin_lock(&t->process->sig_lock); /* cred_install changes it under this lock */
    struct cred *c = cred_get(t->cred);
    spin_unlock(&t->process->sig_lock);
    return c;
}

bool thread_same_owner(struct thread *t)
{
    struct cred *c = thread_cred_get(t);
    uint32_t mine = thread_current()->cred->euid;
    bool same = mine == c->euid || mine == c->uid;
    cred_put(c);
    return same;
}

static bool same_user(const struct cred *c, const struct cred *target, unsigned mode)
{
    uint32_t uid = mode & ACCESS_FSCREDS ? c->fsuid : c->uid,
             gid = mode & ACCESS_FSCREDS ? c->fsgid : c->gid;
    return uid == target->uid && uid == target->euid && uid == target->suid && gid == target->gid &&
           gid == target->egid && gid == target->sgid;
}

/* Is p below the current process? process_lock is held. */
static bool is_descendant(const struct process *p)
{
    const struct process *cur = process_current();
    while (p && p != cur)
        p = p->parent;
    return p;
}

/* Did p, or one above it that stands for it, name the current process or one of its ancestors its tracer? */
static bool is_named_tracer(const struct process *p)
{
    if (p->ptracer < 0)
        return true;
    for (const struct process *q = process_current(); p->ptracer && q; q = q->parent)
        if (q->pid == p->ptracer)
            return true;
    return false;
}

static bool scope_allows(struct process *p)
{
    int now = atomic_load(&scope);
    if (now == 0)
        return true;
    if (now == 3)
        return false;
    if (cred_capable(CAP_SYS_PTRACE))
        return true;
    if (now == 2)
        return false;
    spin_lock(&process_lock);
    bool ok = is_descendant(p) || is_named_tracer(p);
    spin_unlock(&process_lock);
    return ok;
}

int thread_may_access(struct thread *t, unsigned mode)
{
    const struct cred *c = thread_current()->cred;
    if (t->process == process_current())
        return 0;
    if (!t->process)
        return -EPERM; /* a libOS thread */
    if (cred_capable(CAP_SYS_PTRACE))
        return mode & ACCESS_ATTACH && !scope_allows(t->process) ? -EPERM : 0;
    struct cred *target = thread_cred_get(t);
    struct mm *mm = thread_mm_get(t);
    uint64_t caps = mode & ACCESS_FSCREDS ? c->cap_effective : c->cap_permitted;
    bool ok = same_user(c, target, mode) && (!mm || mm->dumpable) &&
              !(target->cap_permitted & ~caps) &&
              (!(mode & ACCESS_ATTACH) || scope_allows(t->process));
    if (mm)
        mm_put(mm);
    cred_put(target);
    return ok ? 0 : -EPERM;
}

int access_scope(void)
{
    return atomic_load(&scope);
}

int access_set_scope(int new)
{
    if (new < 0 || new > 3 || (atomic_load(&scope) == 3 && new != 3))
        return -EINVAL;
    atomic_store(&scope, new);
    return 0;
}

int access_set_ptracer(long pid)
{
    int err = 0;
    spin_lock(&process_lock);
    if (pid > 0 && (pid > INT32_MAX || !process_find_locked((int)pid)))
        err = -EINVAL;
    else
        process_current()->ptracer = pid < 0 ? -1 : (int)pid;
    spin_unlock(&process_lock);
    return err;
}
