/* SPDX-License-Identifier: MIT */
/* SEM_UNDO: the threads that share a list (CLONE_SYSVSEM) collect what is to be taken back when the last of them ends.
 * Order of locks: a set's, then a list's. */
#include "sem_int.h"
#include <abi/errno.h>
#include <libos/heap.h>
#include <string.h>
#include <utlist.h>

struct sem_undo_list {
    _Atomic uint32_t refs;
    struct spin lock;      /* RANK_IPC_UNDO */
    struct sem_undo *head; /* guarded by lock */
};

/* The current thread's list, made if need be; NULL: out of memory. Only the thread itself sets the pointer. */
static struct sem_undo_list *undo_list(void)
{
    struct thread *t = thread_current();
    if (!t->sem_undo) {
        struct sem_undo_list *l = heap_zalloc(sizeof(*l));
        if (!l)
            return NULL;
        atomic_init(&l->refs, 1);
        spin_init(&l->lock, RANK_IPC_UNDO);
        t->sem_undo = l;
    }
    return t->sem_undo;
}

/* The entry for s in l, whose lock is held; entries of removed sets go to *ret_dead. */
static struct sem_undo *list_find(struct sem_undo_list *l, const struct sem_set *s,
                                  struct sem_undo **ret_dead)
{
    struct sem_undo **at = &l->head, *found = NULL;
    while (*at) {
        struct sem_undo *u = *at;
        if (u->set == s)
            found = u;
        if (*(volatile bool *)&u->set->o.gone && u->set != s) {
            *at = u->list_next;
            u->list_next = *ret_dead;
            *ret_dead = u;
        } else {
            at = &u->list_next;
        }
    }
    return found;
}

static void free_dead(struct sem_undo *u)
{
    while (u) {
        struct sem_undo *next = u->list_next;
        spin_lock(&u->set->o.lock); /* whoever removes the set is done with u then */
        spin_unlock(&u->set->o.lock);
        ipc_put(IPC_SEM, &u->set->o);
        heap_free(u);
        u = next;
    }
}

int sem_find_undo(struct sem_set *s, struct sem_undo **ret)
{
    struct sem_undo *dead = NULL, *u;
    struct sem_undo_list *l = undo_list();
    if (!l)
        return -ENOMEM;
    spin_lock(&l->lock);
    u = list_find(l, s, &dead);
    if (!u && (u = heap_zalloc(sizeof(*u) + s->n * sizeof(u->adjust[0])))) {
        u->set = s;
        /* Relaxed: the caller has a reference. */
        atomic_fetch_add_explicit(&s->o.refs, 1, memory_order_relaxed);
        u->list_next = l->head;
        l->head = u;
        DL_APPEND(s->undos, u);
    }
    spin_unlock(&l->lock);
    if (dead) { /* their sets may go, which frees memory, but takes no lock of this rank */
        spin_unlock(&s->o.lock);
        free_dead(dead);
        spin_lock(&s->o.lock);
    }
    if (!u)
        return -ENOMEM;
    *ret = u;
    return s->o.gone ? -EIDRM : 0;
}

void sem_clear_undo(struct sem_set *s, unsigned first, unsigned end)
{
    struct sem_undo *u;
    DL_FOREACH(s->undos, u)
    {
        memset(u->adjust + first, 0, (end - first) * sizeof(u->adjust[0]));
    }
}

void sem_drop_undos(struct sem_set *s)
{
    struct sem_undo *u, *next;
    DL_FOREACH_SAFE(s->undos, u, next)
    {
        u->dead = true;
    }
    s->undos = NULL;
}

int sem_share_undo(struct thread *child, bool share)
{
    struct sem_undo_list *l = share ? undo_list() : NULL;
    if (share && !l)
        return -ENOMEM;
    if (l)
        atomic_fetch_add_explicit(&l->refs, 1, memory_order_relaxed);
    child->sem_undo = l;
    return 0;
}

/* Take back what u says, as far as values allow. */
static void undo(struct sem_undo *u)
{
    struct sem_set *s = u->set;
    spin_lock(&s->o.lock);
    if (!u->dead) {
        DL_DELETE(s->undos, u);
        for (unsigned i = 0; i < s->n; i++) {
            int value = s->sems[i].value + u->adjust[i];
            if (!u->adjust[i])
                continue;
            s->sems[i].value = (uint16_t)(value < 0 ? 0 : value > SEMVMX ? SEMVMX : value);
            s->sems[i].pid = process_current()->pid;
        }
        s->otime = ipc_now();
        sem_changed(s);
    }
    ipc_done(IPC_SEM, &s->o);
    heap_free(u);
}

void sem_leave_undo(struct thread *t)
{
    struct sem_undo_list *l = t->sem_undo;
    t->sem_undo = NULL;
    /* Acquire-release: the last one sees what all others did. */
    if (!l || atomic_fetch_sub_explicit(&l->refs, 1, memory_order_acq_rel) != 1)
        return;
    while (l->head) {
        struct sem_undo *u = l->head;
        l->head = u->list_next;
        undo(u);
    }
    heap_free(l);
}
