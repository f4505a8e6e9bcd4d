/* SPDX-License-Identifier: MIT */
/* System V message queues: msgget(2), msgop(2), msgctl(2). A queue's lock guards it; who waits looks again whenever gen has
 * moved. */
#include "ipc_int.h"
#include <abi/errno.h>
#include <abi/prctl.h>
#include <libos/heap.h>
#include <base/types.h>
#include <libos/waitq.h>
#include <string.h>
#include <utlist.h>

enum { MSGSSZ = 16 };

struct msg_queue {
    struct ipc_object o;
    struct msg *messages; /* utlist DL */
    int64_t stime, rtime;
    uint64_t bytes, count, max_bytes;
    int lspid, lrpid;
    uint32_t gen; /* bumped by every change */
    struct waitq senders, receivers;
};

static struct slab queues = SLAB_INIT("msg_queue", struct msg_queue);
/* In all queues, for MSG_INFO. */
static _Atomic uint64_t all_bytes, all_count;

struct msg *msg_alloc(size_t size)
{
    struct msg *m = heap_alloc(sizeof(*m) + size);
    if (m)
        m->size = size;
    return m;
}

void msg_free(struct msg *m)
{
    heap_free(m);
}

int msg_create(int32_t key, size_t size, unsigned flags, struct ipc_object **ret)
{
    struct msg_queue *q = slab_alloc(&queues);
    if (!q)
        return -ENOMEM;
    *q = (struct msg_queue){ .max_bytes = ipc_limits.msgmnb };
    ipc_init(&q->o, key, flags);
    waitq_init(&q->senders);
    waitq_init(&q->receivers);
    *ret = &q->o;
    return 0;
}

static struct msg_queue *queue_of(struct ipc_object *o)
{
    return (struct msg_queue *)o;
}

/* Something changed: wake these. q is locked. */
static void msg_changed(struct msg_queue *q, struct waitq *who)
{
    q->gen++;
    waitq_wake(who, WAITQ_ALL, 0);
}

/* Take m out of q, which is locked. */
static void msg_unlink(struct msg_queue *q, struct msg *m)
{
    DL_DELETE(q->messages, m);
    q->bytes -= m->size;
    q->count--;
    atomic_fetch_sub_explicit(&all_bytes, m->size, memory_order_relaxed);
    atomic_fetch_sub_explicit(&all_count, 1, memory_order_relaxed);
}

void msg_removed(struct ipc_object *o)
{
    struct msg_queue *q = queue_of(o);
    msg_changed(q, &q->senders);
    msg_changed(q, &q->receivers);
}

void msg_destroy(struct ipc_object *o)
{
    struct msg_queue *q = queue_of(o);
    while (q->messages) {
        struct msg *m = q->messages;
        msg_unlink(q, m);
        msg_free(m);
    }
    slab_free(&queues, q);
}

int msg_set_bytes(struct ipc_object *o, uint64_t qbytes)
{
    struct msg_queue *q = queue_of(o);
    if (qbytes > ipc_limits.msgmnb && !cred_capable(CAP_SYS_RESOURCE))
        return -EPERM;
    q->max_bytes = qbytes;
    msg_changed(q, &q->receivers);
    msg_changed(q, &q->senders);
    return 0;
}

/* Unlock q, sleep until it changes, lock it again. -EIDRM, -ERESTARTNOHAND. */
static int msg_wait(struct msg_queue *q, struct waitq *where)
{
    uint32_t seen = q->gen;
    spin_unlock(&q->o.lock);
    int err = WAIT_EVENT(where, SLEEP_INTERRUPTIBLE, NO_DEADLINE,
                         *(const volatile uint32_t *)&q->gen != seen);
    spin_lock(&q->o.lock);
    if (q->o.gone)
        return -EIDRM;
    return err ? -ERESTARTNOHAND : 0;
}

int msg_send(int id, struct msg *m, unsigned flags)
{
    struct ipc_object *o;
    int err = ipc_lock_id(IPC_MSG, id, &o);
    if (err)
        return err;
    struct msg_queue *q = queue_of(o);
    while (
        !(err = ipc_permit(o, 0222)) &&
        !(m->size <= q->max_bytes - min_u64(q->bytes, q->max_bytes) && q->count < q->max_bytes)) {
        err = flags & IPC_NOWAIT ? -EAGAIN : msg_wait(q, &q->senders);
        if (err)
            break;
    }
    if (!err) {
        DL_APPEND(q->messages, m);
        q->bytes += m->size;
        q->count++;
        atomic_fetch_add_explicit(&all_bytes, m->size, memory_order_relaxed);
        atomic_fetch_add_explicit(&all_count, 1, memory_order_relaxed);
        q->lspid = process_current()->pid;
        q->stime = ipc_now();
        msg_changed(q, &q->receivers);
    }
    ipc_done(IPC_MSG, o);
    return err;
}

/* The message that msgrcv(2) means by type and flags; NULL. */
static struct msg *msg_find(struct msg_queue *q, long type, unsigned flags)
{
    struct msg *m, *best = NULL;
    if (flags & MSG_COPY) {
        long n = 0;
        DL_FOREACH(q->messages, m)
        {
            if (n++ == type)
                return m;
        }
        return NULL;
    }
    long limit = type >= 0 ? 0 : type == INT64_MIN ? INT64_MAX : -type;
    DL_FOREACH(q->messages, m)
    {
        if (type < 0) {
            if (m->type <= limit && (!best || m->type < best->type))
                best = m;
        } else if (!type || (m->type == type) != !!(flags & MSG_EXCEPT)) {
            return m;
        }
    }
    return best;
}

/* Give *ret the found message of q, which is locked, or with MSG_COPY a copy in *ret as it stands. */
static void msg_give(struct msg_queue *q, struct msg *m, unsigned flags, struct msg **ret)
{
    if (flags & MSG_COPY) {
        size_t n = m->size < (*ret)->size ? m->size : (*ret)->size;
        memcpy((*ret)->text, m->text, n);
        (*ret)->type = m->type;
        (*ret)->size = n;
        return;
    }
    msg_unlink(q, m);
    q->lrpid = process_current()->pid;
    q->rtime = ipc_now();
    *ret = m;
    msg_changed(q, &q->senders);
}

int msg_receive(int id, size_t size, long type, unsigned flags, struct msg **ret_msg)
{
    struct ipc_object *o;
    struct msg *m = NULL, *copy = NULL;
    if (flags & MSG_COPY) {
        if (flags & MSG_EXCEPT || !(flags & IPC_NOWAIT))
            return -EINVAL;
        copy = msg_alloc(size < ipc_limits.msgmax ? size : ipc_limits.msgmax);
        if (!copy)
            return -ENOMEM;
    }
    int err = ipc_lock_id(IPC_MSG, id, &o);
    if (err) {
        msg_free(copy);
        return err;
    }
    struct msg_queue *q = queue_of(o);
    while (!(err = ipc_permit(o, 0444)) && !(m = msg_find(q, type, flags))) {
        err = flags & IPC_NOWAIT ? -ENOMSG : msg_wait(q, &q->receivers);
        if (err)
            break;
    }
    if (!err && m->size > size && !(flags & MSG_NOERROR))
        err = -E2BIG;
    if (!err) {
        *ret_msg = copy;
        msg_give(q, m, flags, ret_msg);
    } else {
        msg_free(copy);
    }
    ipc_done(IPC_MSG, o);
    return err;
}

int ipc_msg_stat(enum ipc_by by, int id, struct abi_msqid *ret)
{
    struct ipc_object *o;
    int result = ipc_lock_stat(IPC_MSG, by, id, &o);
    if (result < 0)
        return result;
    const struct msg_queue *q = queue_of(o);
    *ret = (struct abi_msqid){ .stime = q->stime,
                               .rtime = q->rtime,
                               .ctime = o->ctime,
                               .cbytes = q->bytes,
                               .qnum = q->count,
                               .qbytes = q->max_bytes,
                               .lspid = q->lspid,
                               .lrpid = q->lrpid };
    ipc_fill_perm(o, &ret->perm);
    ipc_done(IPC_MSG, o);
    return result;
}

int ipc_msg_info(bool usage, struct abi_msginfo *ret)
{
    *ret = (struct abi_msginfo){ .msgmax = (int)ipc_limits.msgmax,
                                 .msgmnb = (int)ipc_limits.msgmnb,
                                 .msgmni = (int)ipc_limits.msgmni,
                                 .msgssz = MSGSSZ,
                                 .msgseg = 0xffff };
    if (usage) {
        ret->msgpool = (int)ipc_tables[IPC_MSG].used;
        ret->msgmap = (int)all_count;
        ret->msgtql = (int)all_bytes;
    } else {
        ret->msgpool = 32000 * (16384 / 1024);
        ret->msgmap = ret->msgtql = 16384;
    }
    int highest = ipc_each(IPC_MSG, NULL, NULL);
    return highest < 0 ? 0 : highest;
}
