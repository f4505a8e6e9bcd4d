/* SPDX-License-Identifier: MIT */
/* Names of System V objects: tables of ids and keys, permissions, removal. sysvipc(7).
 * An id is the slot's number and, above it, a sequence number, so that the id of a removed object finds nothing for long.
 * Locks: a table's lock is never held together with an object's, but for taking an object out (object, then table). */
#include "ipc_int.h"
#include <abi/errno.h>
#include <abi/prctl.h>
#include <abi/time.h>
#include <libos/heap.h>
#include <libos/time.h>
#include <string.h>

struct ipc_table ipc_tables[3] = { { .lock = SPIN_INIT(RANK_IPC_TABLE) },
                                   { .lock = SPIN_INIT(RANK_IPC_TABLE) },
                                   { .lock = SPIN_INIT(RANK_IPC_TABLE) } };

struct ipc_limits ipc_limits = { .msgmax = 8192,
                                 .msgmnb = 16384,
                                 .msgmni = 32000,
                                 .semmsl = 32000,
                                 .semmns = 1024000000,
                                 .semopm = 500,
                                 .semmni = 32000,
                                 .shmmax = UINT64_MAX - (1u << 24),
                                 .shmall = UINT64_MAX - (1u << 24),
                                 .shmmni = 4096 };

int64_t ipc_now(void)
{
    uint64_t ns = 0;
    return clock_read(CLOCK_REALTIME, &ns) ? 0 : (int64_t)(ns / 1000000000);
}

void ipc_init(struct ipc_object *o, int32_t key, unsigned mode)
{
    const struct cred *c = thread_current()->cred;
    memset(o, 0, sizeof(*o));
    atomic_init(&o->refs, 1);
    spin_init(&o->lock, RANK_IPC);
    o->key = key;
    o->uid = o->cuid = c->euid;
    o->gid = o->cgid = c->egid;
    o->mode = mode & 0777;
    o->ctime = ipc_now();
}

int ipc_permit(const struct ipc_object *o, unsigned mode)
{
    const struct cred *c = thread_current()->cred;
    unsigned want = (mode >> 6 | mode >> 3 | mode) & 7, granted = o->mode;
    if (c->euid == o->cuid || c->euid == o->uid)
        granted >>= 6;
    else if (cred_in_group(c, o->cgid) || cred_in_group(c, o->gid))
        granted >>= 3;
    return want & ~granted && !cred_capable(CAP_IPC_OWNER) ? -EACCES : 0;
}

int ipc_permit_owner(const struct ipc_object *o, unsigned cap)
{
    const struct cred *c = thread_current()->cred;
    return c->euid == o->cuid || c->euid == o->uid || cred_capable(cap) ? 0 : -EPERM;
}

void ipc_put(enum ipc_kind kind, struct ipc_object *o)
{
    static void (*const destroy[])(struct ipc_object *) = { msg_destroy, sem_destroy, shm_destroy };
    /* Acquire-release: who frees sees what all others did. */
    if (atomic_fetch_sub_explicit(&o->refs, 1, memory_order_acq_rel) == 1)
        destroy[kind](o);
}

void ipc_done(enum ipc_kind kind, struct ipc_object *o)
{
    spin_unlock(&o->lock);
    ipc_put(kind, o);
}

/* The object in a slot (exact_id < 0), or with this id, with a reference; NULL. */
static struct ipc_object *ipc_find(struct ipc_table *t, uint32_t index, int exact_id)
{
    spin_lock(&t->lock);
    struct ipc_object *o = index < t->nslots ? t->slots[index] : NULL;
    if (o && exact_id >= 0 && o->id != exact_id)
        o = NULL;
    if (o)
        atomic_fetch_add_explicit(&o->refs, 1, memory_order_relaxed);
    spin_unlock(&t->lock);
    return o;
}

static int ipc_lock_found(enum ipc_kind kind, struct ipc_object *o, struct ipc_object **ret)
{
    if (!o)
        return -EINVAL;
    spin_lock(&o->lock);
    if (o->gone) {
        ipc_done(kind, o);
        return -EINVAL;
    }
    *ret = o;
    return 0;
}

int ipc_lock_id(enum ipc_kind kind, int id, struct ipc_object **ret)
{
    if (id < 0)
        return -EINVAL;
    return ipc_lock_found(kind, ipc_find(&ipc_tables[kind], id & (IPC_OBJECTS_MAX - 1), id), ret);
}

int ipc_lock_stat(enum ipc_kind kind, enum ipc_by by, int id, struct ipc_object **ret)
{
    struct ipc_object *o;
    int err = -EINVAL;
    if (by == IPC_BY_ID)
        err = ipc_lock_id(kind, id, &o);
    else if (id >= 0)
        err = ipc_lock_found(
            kind, ipc_find(&ipc_tables[kind], (uint32_t)id & (IPC_OBJECTS_MAX - 1), -1), &o);
    if (err)
        return err;
    err = by == IPC_BY_INDEX_ANY ? 0 : ipc_permit(o, 0444);
    if (err) {
        ipc_done(kind, o);
        return err;
    }
    *ret = o;
    return by == IPC_BY_ID ? 0 : o->id;
}

static struct ipc_object **key_chain(struct ipc_table *t, int32_t key)
{
    return &t->keys[((uint32_t)key * 2654435761u) >> 26];
}

/* Locks: t->lock held. */
static struct ipc_object *find_key(struct ipc_table *t, int32_t key)
{
    struct ipc_object *o = *key_chain(t, key);
    while (o && o->key != key)
        o = o->key_next;
    return o;
}

/* Locks: t->lock held. */
static void drop_key(struct ipc_table *t, struct ipc_object *o)
{
    struct ipc_object **at = key_chain(t, o->key);
    if (o->key == IPC_PRIVATE)
        return;
    while (*at && *at != o)
        at = &(*at)->key_next;
    if (*at)
        *at = o->key_next;
    o->key = IPC_PRIVATE;
}

void ipc_unlink_key(enum ipc_kind kind, struct ipc_object *o)
{
    struct ipc_table *t = &ipc_tables[kind];
    spin_lock(&t->lock);
    drop_key(t, o);
    spin_unlock(&t->lock);
}

void ipc_unlink(enum ipc_kind kind, struct ipc_object *o)
{
    struct ipc_table *t = &ipc_tables[kind];
    o->gone = true;
    spin_lock(&t->lock);
    drop_key(t, o);
    t->slots[o->id & (IPC_OBJECTS_MAX - 1)] = NULL;
    t->used--;
    /* The caller has a reference of its own. */
    atomic_fetch_sub_explicit(&o->refs, 1, memory_order_relaxed);
    spin_unlock(&t->lock);
}

/* A free slot, after the one that was given out last, so that ids do not come again soon. -ENOMEM.
 * Locks: t->lock held. */
static long find_slot(struct ipc_table *t)
{
    uint32_t end = t->used * 3 / 2 < 64 ? 64 : t->used * 3 / 2;
    end = end < IPC_OBJECTS_MAX ? end : IPC_OBJECTS_MAX;
    if (end > t->nslots) {
        struct ipc_object **slots =
            heap_realloc(t->slots, t->nslots * sizeof(*slots), end * sizeof(*slots));
        if (!slots)
            return -ENOMEM;
        memset(slots + t->nslots, 0, (end - t->nslots) * sizeof(*slots));
        t->slots = slots;
        t->nslots = end;
    }
    for (uint32_t i = 1; i <= t->nslots; i++) {
        uint32_t at = (t->last + i) % t->nslots;
        if (!t->slots[at])
            return at;
    }
    return -ENOSPC;
}

/* Put a new object into the table: its id. -EEXIST (the key is taken), -ENOSPC, -ENOMEM. */
static long ipc_insert(struct ipc_table *t, struct ipc_object *o, uint64_t limit)
{
    spin_lock(&t->lock);
    long at = -EEXIST;
    if (o->key == IPC_PRIVATE || !find_key(t, o->key))
        at = t->used >= limit ? -ENOSPC : find_slot(t);
    if (at >= 0) {
        if (at <= (long)t->last && t->used + t->seq)
            t->seq = (t->seq + 1) & 0x7fff;
        t->last = (uint32_t)at;
        t->slots[at] = o;
        t->used++;
        o->seq = (uint16_t)t->seq;
        o->id = (int)(t->seq << IPC_INDEX_BITS | (uint32_t)at);
        if (o->key != IPC_PRIVATE) {
            struct ipc_object **chain = key_chain(t, o->key);
            o->key_next = *chain;
            *chain = o;
        }
        at = o->id;
    }
    spin_unlock(&t->lock);
    return at;
}

/* xxxget(2) of an object that is there. -EIDRM: not any more. */
static long ipc_get_existing(enum ipc_kind kind, struct ipc_object *o, size_t size, unsigned flags)
{
    long result;
    spin_lock(&o->lock);
    if (o->gone)
        result = -EIDRM;
    else if ((flags & (IPC_CREAT | IPC_EXCL)) == (IPC_CREAT | IPC_EXCL))
        result = -EEXIST;
    else if (!(result = kind == IPC_SEM   ? sem_fits(o, size)
                        : kind == IPC_SHM ? shm_fits(o, size)
                                          : 0) &&
             !(result = ipc_permit(o, flags)))
        result = o->id;
    ipc_done(kind, o);
    return result;
}

long ipc_get(enum ipc_kind kind, int32_t key, size_t size, unsigned flags)
{
    static int (*const create[])(int32_t, size_t, unsigned,
                                 struct ipc_object **) = { msg_create, sem_create, shm_create };
    const uint64_t limit[] = { ipc_limits.msgmni, ipc_limits.semmni, ipc_limits.shmmni };
    struct ipc_table *t = &ipc_tables[kind];
    for (;;) {
        struct ipc_object *o = NULL;
        if (key != IPC_PRIVATE) {
            spin_lock(&t->lock);
            o = find_key(t, key);
            if (o)
                atomic_fetch_add_explicit(&o->refs, 1, memory_order_relaxed);
            spin_unlock(&t->lock);
            long result = o ? ipc_get_existing(kind, o, size, flags) : 0;
            if (result == -EIDRM)
                continue;
            if (result || o)
                return result;
            if (!(flags & IPC_CREAT))
                return -ENOENT;
        }
        long id = create[kind](key, size, flags, &o);
        if (id)
            return id;
        id = ipc_insert(t, o, limit[kind]);
        if (id >= 0)
            return id;
        ipc_put(kind, o);
        if (id != -EEXIST)
            return id;
    }
}

int ipc_remove(enum ipc_kind kind, int id)
{
    struct ipc_object *o;
    int err = ipc_lock_id(kind, id, &o);
    if (err)
        return err;
    err = ipc_permit_owner(o, CAP_SYS_ADMIN);
    if (!err && kind == IPC_SHM) {
        if (shm_removed(o))
            ipc_unlink(kind, o);
        else
            ipc_unlink_key(kind, o);
    } else if (!err) {
        ipc_unlink(kind, o);
        (kind == IPC_MSG ? msg_removed : sem_removed)(o);
    }
    ipc_done(kind, o);
    return err;
}

int ipc_set(enum ipc_kind kind, int id, const struct abi_ipc_perm *perm, uint64_t qbytes)
{
    struct ipc_object *o;
    if (perm->uid == UINT32_MAX || perm->gid == UINT32_MAX)
        return -EINVAL;
    int err = ipc_lock_id(kind, id, &o);
    if (err)
        return err;
    err = ipc_permit_owner(o, CAP_SYS_ADMIN);
    if (!err && kind == IPC_MSG)
        err = msg_set_bytes(o, qbytes);
    if (!err) {
        o->uid = perm->uid;
        o->gid = perm->gid;
        o->mode = (o->mode & ~0777u) | (perm->mode & 0777);
        o->ctime = ipc_now();
    }
    ipc_done(kind, o);
    return err;
}

int ipc_each(enum ipc_kind kind, void (*fn)(struct ipc_object *o, void *arg), void *arg)
{
    struct ipc_table *t = &ipc_tables[kind];
    int highest = -1;
    for (uint32_t i = 0; i < IPC_OBJECTS_MAX && i < *(volatile uint32_t *)&t->nslots; i++) {
        struct ipc_object *o;
        if (ipc_lock_found(kind, ipc_find(t, i, -1), &o))
            continue;
        highest = (int)i;
        if (fn)
            fn(o, arg);
        ipc_done(kind, o);
    }
    return highest;
}

void ipc_fill_perm(const struct ipc_object *o, struct abi_ipc_perm *ret)
{
    *ret = (struct abi_ipc_perm){ .key = o->key,
                                  .uid = o->uid,
                                  .gid = o->gid,
                                  .cuid = o->cuid,
                                  .cgid = o->cgid,
                                  .mode = o->mode,
                                  .seq = o->seq };
}
