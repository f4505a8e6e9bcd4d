/* SPDX-License-Identifier: MIT */
/* What the three kinds of System V objects have in common: an id, a key, an owner, a table. */
#ifndef LIBOS_IPC_INT_H
#define LIBOS_IPC_INT_H

#include <libos/ipc.h>
#include <libos/lock.h>
#include <libos/process.h>

enum { IPC_INDEX_BITS = 15, IPC_OBJECTS_MAX = 1 << IPC_INDEX_BITS, IPC_KEY_CHAINS = 64 };

struct ipc_object {
    _Atomic uint32_t refs;
    struct spin lock; /* RANK_IPC: guards what follows, and the rest of the kind's structure */
    bool gone;        /* not in the table any more; never false again */
    uint32_t uid, gid, cuid, cgid, mode;
    int64_t ctime;
    /* guarded by the table's lock */
    int32_t key;
    int id;
    uint16_t seq;
    struct ipc_object *key_next;
};

struct ipc_table {
    struct spin lock; /* RANK_IPC_TABLE */
    /* guarded by lock */
    struct ipc_object **slots;
    uint32_t nslots, used, last, seq;
    struct ipc_object *keys[IPC_KEY_CHAINS];
};

extern struct ipc_table ipc_tables[3]; /* by enum ipc_kind */

/* The time in seconds, as the *_ds structures have it. */
int64_t ipc_now(void);
/* Fill in a new object: one reference, owner, mode. */
void ipc_init(struct ipc_object *o, int32_t key, unsigned mode);
/* May the current thread do what mode (S_IRUGO and the like) says? 0, -EACCES. */
NODISCARD int ipc_permit(const struct ipc_object *o, unsigned mode);
/* Does it own o, or have cap? 0, -EPERM. */
NODISCARD int ipc_permit_owner(const struct ipc_object *o, unsigned cap);
/* The object with this id, locked and with a reference. -EINVAL. ipc_done undoes both. */
NODISCARD int ipc_lock_id(enum ipc_kind kind, int id, struct ipc_object **ret);
void ipc_done(enum ipc_kind kind, struct ipc_object *o);
/* The same by IPC_STAT's ways of naming, with permission to read: the result of the *_STAT command. -EINVAL, -EACCES. */
NODISCARD int ipc_lock_stat(enum ipc_kind kind, enum ipc_by by, int id, struct ipc_object **ret);
/* Take o, which is locked, out of the table. */
void ipc_unlink(enum ipc_kind kind, struct ipc_object *o);
/* o, which is locked, is found by no key any more. */
void ipc_unlink_key(enum ipc_kind kind, struct ipc_object *o);
/* Drop a reference; the last one frees through the kind's function below. */
void ipc_put(enum ipc_kind kind, struct ipc_object *o);
/* Call fn for each object, locked; the highest index in use, or -1. */
int ipc_each(enum ipc_kind kind, void (*fn)(struct ipc_object *o, void *arg), void *arg);
/* Fill in what all *_ds have. o is locked. */
void ipc_fill_perm(const struct ipc_object *o, struct abi_ipc_perm *ret);

/* Of the kinds: make one (-EINVAL, -ENOMEM, -ENOSPC); does size fit an existing one (-EINVAL); it leaves the table
 * (locked: wake who waits); memory goes. */
NODISCARD int msg_create(int32_t key, size_t size, unsigned flags, struct ipc_object **ret);
NODISCARD int sem_create(int32_t key, size_t size, unsigned flags, struct ipc_object **ret);
NODISCARD int shm_create(int32_t key, size_t size, unsigned flags, struct ipc_object **ret);
NODISCARD int sem_fits(struct ipc_object *o, size_t size);
NODISCARD int shm_fits(struct ipc_object *o, size_t size);
void msg_removed(struct ipc_object *o);
void sem_removed(struct ipc_object *o);
bool shm_removed(struct ipc_object *o); /* false: it stays until it is detached */
void msg_destroy(struct ipc_object *o);
void sem_destroy(struct ipc_object *o);
void shm_destroy(struct ipc_object *o);
NODISCARD int msg_set_bytes(struct ipc_object *o, uint64_t qbytes); /* -EPERM */

#endif
