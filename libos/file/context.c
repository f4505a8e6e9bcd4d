/* SPDX-License-Identifier: MIT */
/* The per-process view of the tree: cwd, root, umask. Guarded by the context's lock when several threads share it. */
#include "vfs_int.h"

#include <abi/errno.h>
#include <libos/heap.h>
#include <utlist.h>

struct fs_context *fs_context_create(void)
{
    struct fs_context *fs = heap_zalloc(sizeof(*fs));
    if (!fs)
        return NULL;
    atomic_init(&fs->refs, 1);
    spin_init(&fs->lock, RANK_FS_CONTEXT);
    fs->umask = 022;
    vfs_root(&fs->root);
    vfs_root(&fs->cwd);
    return fs;
}

struct fs_context *fs_context_copy(struct fs_context *src)
{
    struct fs_context *fs = heap_zalloc(sizeof(*fs));
    if (!fs)
        return NULL;
    atomic_init(&fs->refs, 1);
    spin_init(&fs->lock, RANK_FS_CONTEXT);
    spin_lock(&src->lock);
    fs->umask = src->umask;
    fs->cwd = src->cwd;
    fs->root = src->root;
    path_get(&fs->cwd);
    path_get(&fs->root);
    spin_unlock(&src->lock);
    return fs;
}

void fs_context_put(struct fs_context *fs)
{
    /* Acquire-release: who frees sees what all others did. */
    if (!fs || atomic_fetch_sub_explicit(&fs->refs, 1, memory_order_acq_rel) != 1)
        return;
    path_put(&fs->cwd);
    path_put(&fs->root);
    for (int i = 0; i < 2; i++)
        if (fs->next[i].mount)
            path_put(&fs->next[i]);
    heap_free(fs);
}

static struct path *place(struct fs_context *fs, int which)
{
    return which == FS_ROOT ? &fs->root : &fs->cwd;
}

void fs_context_set(struct fs_context *fs, int which, const struct path *take_p)
{
    spin_lock(&fs->lock);
    struct path *at = place(fs, which), old = *at, next = fs->next[which];
    *at = *take_p;
    fs->next[which].mount = NULL;
    spin_unlock(&fs->lock);
    path_put(&old);
    if (next.mount)
        path_put(&next);
}

void fs_context_root(struct fs_context *fs, struct path *ret)
{
    spin_lock(&fs->lock);
    *ret = fs->root;
    path_get(ret);
    spin_unlock(&fs->lock);
}

static bool same(const struct path *a, const struct path *b)
{
    return a->mount == b->mount && a->dentry == b->dentry;
}

void fs_context_settle(struct fs_context *fs)
{
    for (int i = 0; i < 2; i++) {
        spin_lock(&fs->lock);
        struct path next = fs->next[i];
        fs->next[i].mount = NULL;
        spin_unlock(&fs->lock);
        if (next.mount)
            fs_context_set(fs, i, &next);
    }
}

struct pivot {
    const struct path *from, *to;
};

/* Note what the thread shall do. The caller has references on both paths, so that dropping one here is never the last. */
static void pivot_context(struct fs_context *fs, const struct pivot *v)
{
    spin_lock(&fs->lock);
    for (int i = 0; i < 2; i++) {
        struct path *next = &fs->next[i];
        if (!same(next->mount ? next : place(fs, i), v->from))
            continue;
        if (next->mount)
            path_put(next);
        *next = *v->to;
        path_get(next);
    }
    spin_unlock(&fs->lock);
}

static int pivot_process(struct process *p, void *arg)
{
    struct thread *t;
    spin_lock(&p->sig_lock); /* what threads share stays */
    DL_FOREACH(p->threads, t)
    if (!t->exiting && t->fs) {
        pivot_context(t->fs, arg);
        thread_set_work(t, WORK_ROOT);
    }
    spin_unlock(&p->sig_lock);
    return 0;
}

void fs_contexts_move(const struct path *from, const struct path *to)
{
    struct pivot v = { from, to };
    (void)process_each(0, pivot_process, &v);
    fs_context_settle(thread_current()->fs);
}

uint32_t vfs_umask(void)
{
    struct thread *t = thread_current();
    return t && t->fs ? t->fs->umask : 022;
}
