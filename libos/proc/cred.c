/* SPDX-License-Identifier: MIT */
/* Credentials: immutable once published, so that they are read without a lock; a change installs a copy. */
#include <abi/errno.h>
#include <abi/prctl.h>
#include <libos/mm.h>
#include <libos/heap.h>
#include <libos/process.h>
#include <string.h>

static struct slab cred_slab = SLAB_INIT("cred", struct cred);

#define ALL_CAPS ((2ull << CAP_LAST_CAP) - 1)

struct cred *cred_create_root(void)
{
    struct cred *c = slab_alloc(&cred_slab);
    if (!c)
        return NULL;
    memset(c, 0, sizeof(*c));
    c->refs = 1;
    c->cap_permitted = c->cap_effective = c->cap_bounding = ALL_CAPS;
    c->account = account_find(0);
    if (c->account)
        return c;
    slab_free(&cred_slab, c);
    return NULL;
}

struct cred *cred_get(struct cred *c)
{
    c->refs++;
    return c;
}

void cred_put(struct cred *c)
{
    if (--c->refs)
        return;
    heap_free(c->groups);
    account_put(c->account);
    slab_free(&cred_slab, c);
}

struct cred *cred_copy(const struct cred *c)
{
    struct cred *n = slab_alloc(&cred_slab);
    if (!n)
        return NULL;
    *n = *c;
    n->refs = 1;
    n->groups = NULL;
    if (c->ngroups) {
        n->groups = heap_alloc(c->ngroups * sizeof(*n->groups));
        if (!n->groups) {
            slab_free(&cred_slab, n);
            return NULL;
        }
        memcpy(n->groups, c->groups, c->ngroups * sizeof(*n->groups));
    }
    account_get(n->account);
    return n;
}

/* Does n allow anything that old does not, or what files are? */
static bool is_other(const struct cred *old, const struct cred *n)
{
    return n->euid != old->euid || n->egid != old->egid || n->fsuid != old->fsuid ||
           n->fsgid != old->fsgid || n->cap_permitted & ~old->cap_permitted;
}

struct cred *cred_swap(struct cred *take_cred)
{
    struct thread *t = thread_current();
    struct cred *old = t->cred;
    spin_lock(&process_lock); /* others look at it under either lock */
    spin_lock(&t->process->sig_lock);
    t->cred = take_cred;
    spin_unlock(&t->process->sig_lock);
    spin_unlock(&process_lock);
    return old;
}

int cred_install(struct cred *take_cred)
{
    struct thread *t = thread_current();
    if (take_cred->account->uid != take_cred->uid) {
        struct account *u = account_find(take_cred->uid);
        if (!u) {
            cred_put(take_cred);
            return -ENOMEM;
        }
        account_put(take_cred->account);
        take_cred->account = u;
    }
    if (take_cred->account != t->cred->account && t->counted) {
        /* Those who set ids do not expect a limit to be in the way: execve looks at it. */
        t->over_limit = atomic_load(&take_cred->account->counts[ACCOUNT_THREADS]) >
                            process_limit(t->process, RLIMIT_NPROC) &&
                        take_cred->uid;
        account_add(take_cred->account, ACCOUNT_THREADS, 1);
        account_uncharge(t->cred->account, ACCOUNT_THREADS, 1);
    }
    if (is_other(t->cred, take_cred)) {
        if (t->mm)
            t->mm->dumpable = false;
        t->pdeath_signal = 0;
    }
    cred_put(cred_swap(take_cred));
    return 0;
}

int thread_set_cred(struct thread *t, struct cred *c)
{
    const struct thread *cur = thread_current();
    uint64_t n = account_add(c->account, ACCOUNT_THREADS, 1);
    if (c->uid && n > process_limit(cur->process, RLIMIT_NPROC) &&
        !cred_capable(CAP_SYS_RESOURCE) && !cred_capable(CAP_SYS_ADMIN)) {
        account_uncharge(c->account, ACCOUNT_THREADS, 1);
        return -EAGAIN;
    }
    t->cred = cred_get(c);
    t->counted = true;
    return 0;
}

struct cred *thread_swap_cred(struct cred *c)
{
    struct thread *t = thread_current();
    struct cred *old = t->cred;
    /* Others look at it under either lock. */
    spin_lock(&process_lock);
    spin_lock(&t->process->sig_lock);
    t->cred = c;
    spin_unlock(&t->process->sig_lock);
    spin_unlock(&process_lock);
    return old;
}

void thread_uncount(struct thread *t, bool keep_as_process)
{
    if (!t->counted)
        return;
    t->counted = false;
    if (keep_as_process)
        t->process->ended_account = account_get(t->cred->account);
    else
        account_uncharge(t->cred->account, ACCOUNT_THREADS, 1);
}

void process_uncount(struct process *p)
{
    struct account *u = p->ended_account;
    p->ended_account = NULL;
    if (u)
        account_uncharge(u, ACCOUNT_THREADS, 1);
    account_put(u);
}

bool thread_over_limit(void)
{
    struct thread *t = thread_current();
    bool over = t->over_limit && atomic_load(&t->cred->account->counts[ACCOUNT_THREADS]) >
                                     process_limit(t->process, RLIMIT_NPROC);
    t->over_limit = over;
    return over;
}

bool cred_capable(unsigned cap)
{
    return thread_current()->cred->cap_effective >> cap & 1;
}

bool cred_in_group(const struct cred *c, uint32_t gid)
{
    if (c->fsgid == gid)
        return true;
    for (uint32_t i = 0; i < c->ngroups; i++)
        if (c->groups[i] == gid)
            return true;
    return false;
}
