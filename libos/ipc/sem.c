/* SPDX-License-Identifier: MIT */
/* System V semaphores: semget(2), semop(2), semctl(2). The lock of a set guards it, its queue of waiting operations and the
 * adjustments (SEM_UNDO) that belong to it. Whoever changes a value carries out the waiting operations that have become
 * possible, in their order; a waiter only learns its result. */
#include "sem_int.h"
#include <abi/errno.h>
#include <libos/heap.h>
#include <libos/waitq.h>
#include <string.h>
#include <utlist.h>

enum { PENDING = 1, BLOCKED = 1 };

/* An operation that waits, on its thread's stack. */
struct sem_wait {
    struct sem_wait *next, *prev; /* utlist DL */
    const struct abi_sembuf *ops;
    unsigned n, blocking; /* blocking: the one of them that cannot be done yet */
    int pid;
    struct sem_undo *undo;
    volatile int result; /* PENDING until somebody carried it out or refused it */
    struct waitq wait;
};

static _Atomic uint64_t all_sems;

int sem_create(int32_t key, size_t size, unsigned flags, struct ipc_object **ret)
{
    struct sem_set *s;
    if (size < 1 || size > ipc_limits.semmsl)
        return -EINVAL;
    if (all_sems + size > ipc_limits.semmns)
        return -ENOSPC;
    if (!(s = heap_zalloc(sizeof(*s) + size * sizeof(s->sems[0]))))
        return -ENOMEM;
    ipc_init(&s->o, key, flags);
    s->n = (unsigned)size;
    atomic_fetch_add_explicit(&all_sems, size, memory_order_relaxed);
    *ret = &s->o;
    return 0;
}

void sem_destroy(struct ipc_object *o)
{
    atomic_fetch_sub_explicit(&all_sems, sem_set_of(o)->n, memory_order_relaxed);
    heap_free(o);
}

int sem_fits(struct ipc_object *o, size_t size)
{
    return size > sem_set_of(o)->n ? -EINVAL : 0;
}

/* Do ops as a whole or not at all: 0, BLOCKED (*ret_blocking says which), -EAGAIN, -ERANGE. */
static int sem_try(struct sem_set *s, const struct abi_sembuf *ops, unsigned n,
                   struct sem_undo *undo, int pid, unsigned *ret_blocking)
{
    int err = 0;
    unsigned i;
    for (i = 0; i < n; i++) {
        struct sem *sem = &s->sems[ops[i].num];
        int op = ops[i].op, value = sem->value + op;
        if ((!op && sem->value) || value < 0)
            err = ops[i].flg & IPC_NOWAIT ? -EAGAIN : BLOCKED;
        else if (value > SEMVMX)
            err = -ERANGE;
        else if (ops[i].flg & SEM_UNDO && (undo->adjust[ops[i].num] - op < -SEMVMX - 1 ||
                                           undo->adjust[ops[i].num] - op > SEMVMX))
            err = -ERANGE;
        if (err)
            break;
        sem->value = (uint16_t)value;
        if (ops[i].flg & SEM_UNDO)
            undo->adjust[ops[i].num] = (int16_t)(undo->adjust[ops[i].num] - op);
    }
    *ret_blocking = i;
    if (!err)
        for (i = 0; i < n; i++)
            s->sems[ops[i].num].pid = pid;
    else
        while (i-- > 0) {
            s->sems[ops[i].num].value = (uint16_t)(s->sems[ops[i].num].value - ops[i].op);
            if (ops[i].flg & SEM_UNDO)
                undo->adjust[ops[i].num] = (int16_t)(undo->adjust[ops[i].num] + ops[i].op);
        }
    return err;
}

/* Tell w its result. It is not touched afterwards: the waiter is gone once it has the set's lock. */
static void sem_answer(struct sem_set *s, struct sem_wait *w, int result)
{
    DL_DELETE(s->waiting, w);
    w->result = result;
    waitq_wake(&w->wait, WAITQ_ALL, 0);
}

static bool sem_alters(const struct abi_sembuf *ops, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        if (ops[i].op)
            return true;
    return false;
}

void sem_changed(struct sem_set *s)
{
    struct sem_wait *w, *next;
    for (bool again = true; again;) {
        again = false;
        for (w = s->waiting; w && !again; w = next) {
            next = w->next;
            int result = sem_try(s, w->ops, w->n, w->undo, w->pid, &w->blocking);
            if (result == BLOCKED)
                continue;
            again = !result && sem_alters(w->ops, w->n);
            if (!result)
                s->otime = ipc_now();
            sem_answer(s, w, result);
        }
    }
}

void sem_removed(struct ipc_object *o)
{
    struct sem_set *s = sem_set_of(o);
    while (s->waiting)
        sem_answer(s, s->waiting, -EIDRM);
    sem_drop_undos(s);
}

/* Sleep until w has a result. The set is locked before and after. */
static int sem_sleep(struct sem_set *s, struct sem_wait *w, uint64_t deadline_ns)
{
    waitq_init(&w->wait);
    w->result = PENDING;
    DL_APPEND(s->waiting, w);
    spin_unlock(&s->o.lock);
    int err = WAIT_EVENT(&w->wait, SLEEP_INTERRUPTIBLE, deadline_ns, w->result != PENDING);
    spin_lock(&s->o.lock);
    if (w->result != PENDING)
        return w->result;
    DL_DELETE(s->waiting, w);
    return err == -ETIMEDOUT ? -EAGAIN : -EINTR;
}

/* Is that allowed on s, which is locked? -EFBIG, -EACCES. */
static int sem_check(struct sem_set *s, const struct abi_sembuf *ops, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        if (ops[i].num >= s->n)
            return -EFBIG;
    return ipc_permit(&s->o, sem_alters(ops, n) ? 0222 : 0444);
}

int sem_operate(int id, const struct abi_sembuf *ops, unsigned n, uint64_t deadline_ns)
{
    struct ipc_object *o;
    struct sem_wait w = { .ops = ops, .n = n, .pid = process_current()->pid };
    int err = ipc_lock_id(IPC_SEM, id, &o);
    bool undo = false;
    if (err)
        return err;
    struct sem_set *s = sem_set_of(o);
    for (unsigned i = 0; i < n; i++)
        undo |= ops[i].flg & SEM_UNDO;
    if (undo)
        err = sem_find_undo(s, &w.undo);
    if (!err)
        err = sem_check(s, ops, n);
    if (!err)
        err = sem_try(s, ops, n, w.undo, w.pid, &w.blocking);
    if (!err) {
        s->otime = ipc_now();
        if (sem_alters(ops, n))
            sem_changed(s);
    } else if (err == BLOCKED) {
        err = sem_sleep(s, &w, deadline_ns);
    }
    ipc_done(IPC_SEM, o);
    return err;
}

/* Waiters whose blocking operation is on semaphore num, and waits for zero or for more. */
static int sem_waiters(struct sem_set *s, unsigned num, bool zero)
{
    struct sem_wait *w;
    int n = 0;
    DL_FOREACH(s->waiting, w)
    {
        const struct abi_sembuf *op = &w->ops[w->blocking];
        n += op->num == num && (op->op == 0) == zero;
    }
    return n;
}

int sem_query(int id, int num, int cmd)
{
    struct ipc_object *o;
    int result = ipc_lock_id(IPC_SEM, id, &o);
    if (result)
        return result;
    struct sem_set *s = sem_set_of(o);
    result = ipc_permit(o, 0444);
    if (!result && (num < 0 || (unsigned)num >= s->n))
        result = -EINVAL;
    if (!result)
        result = cmd == GETVAL   ? s->sems[num].value
                 : cmd == GETPID ? s->sems[num].pid
                                 : sem_waiters(s, (unsigned)num, cmd == GETZCNT);
    ipc_done(IPC_SEM, o);
    return result;
}

int sem_set(int id, int num, int value)
{
    struct ipc_object *o;
    if (value < 0 || value > SEMVMX)
        return -ERANGE;
    int err = ipc_lock_id(IPC_SEM, id, &o);
    if (err)
        return err;
    struct sem_set *s = sem_set_of(o);
    if (num < 0 || (unsigned)num >= s->n)
        err = -EINVAL;
    else
        err = ipc_permit(o, 0222);
    if (!err) {
        sem_clear_undo(s, (unsigned)num, (unsigned)num + 1);
        s->sems[num].value = (uint16_t)value;
        s->sems[num].pid = process_current()->pid;
        o->ctime = ipc_now();
        sem_changed(s);
    }
    ipc_done(IPC_SEM, o);
    return err;
}

long sem_count(int id)
{
    struct ipc_object *o;
    long n = ipc_lock_id(IPC_SEM, id, &o);
    if (n)
        return n;
    n = sem_set_of(o)->n;
    ipc_done(IPC_SEM, o);
    return n;
}

int sem_get_all(int id, uint16_t *values, size_t n)
{
    struct ipc_object *o;
    int err = ipc_lock_id(IPC_SEM, id, &o);
    if (err)
        return err;
    err = ipc_permit(o, 0444);
    if (!err && n != sem_set_of(o)->n)
        err = -EINVAL;
    for (size_t i = 0; !err && i < n; i++)
        values[i] = sem_set_of(o)->sems[i].value;
    ipc_done(IPC_SEM, o);
    return err;
}

int sem_set_all(int id, const uint16_t *values, size_t n)
{
    struct ipc_object *o;
    int err = ipc_lock_id(IPC_SEM, id, &o);
    if (err)
        return err;
    struct sem_set *s = sem_set_of(o);
    err = ipc_permit(o, 0222);
    if (!err && n != s->n)
        err = -EINVAL;
    for (size_t i = 0; !err && i < n; i++)
        if (values[i] > SEMVMX)
            err = -ERANGE;
    if (!err) {
        sem_clear_undo(s, 0, s->n);
        for (size_t i = 0; i < n; i++) {
            s->sems[i].value = values[i];
            s->sems[i].pid = process_current()->pid;
        }
        o->ctime = ipc_now();
        sem_changed(s);
    }
    ipc_done(IPC_SEM, o);
    return err;
}

int ipc_sem_stat(enum ipc_by by, int id, struct abi_semid *ret)
{
    struct ipc_object *o;
    int result = ipc_lock_stat(IPC_SEM, by, id, &o);
    if (result < 0)
        return result;
    *ret = (struct abi_semid){ .otime = sem_set_of(o)->otime,
                               .ctime = o->ctime,
                               .nsems = sem_set_of(o)->n };
    ipc_fill_perm(o, &ret->perm);
    ipc_done(IPC_SEM, o);
    return result;
}

int ipc_sem_info(bool usage, struct abi_seminfo *ret)
{
    *ret = (struct abi_seminfo){ .semmap = (int)ipc_limits.semmns,
                                 .semmni = (int)ipc_limits.semmni,
                                 .semmns = (int)ipc_limits.semmns,
                                 .semmnu = (int)ipc_limits.semmns,
                                 .semmsl = (int)ipc_limits.semmsl,
                                 .semopm = (int)ipc_limits.semopm,
                                 .semume = (int)ipc_limits.semopm,
                                 .semusz = usage ? (int)ipc_tables[IPC_SEM].used : 20,
                                 .semvmx = SEMVMX,
                                 .semaem = usage ? (int)all_sems : SEMVMX };
    int highest = ipc_each(IPC_SEM, NULL, NULL);
    return highest < 0 ? 0 : highest;
}
