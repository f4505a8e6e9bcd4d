/* SPDX-License-Identifier: MIT */
/* Credentials: immutable once published, so that they are read without a lock; a change installs a copy. */
#include <abi/prctl.h>
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
    return c;
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
    return n;
}

void cred_install(struct cred *take_cred)
{
    struct thread *t = thread_current();
    struct cred *old = t->cred;
    spin_lock(&t->process->sig_lock); /* signal_permission of others reads it under this lock */
    t->cred = take_cred;
    spin_unlock(&t->process->sig_lock);
    cred_put(old);
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
