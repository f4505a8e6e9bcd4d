/* SPDX-License-Identifier: MIT */
/* The submission queue. Its head is kept here; its tail is the program's, and says no more than how many entries there may be. An
 * entry is copied once, into the request, before anything in it is looked at. u->submit is held throughout.
 *
 * Chains (IOSQE_IO_LINK) are put together first and started as a whole. A chain with IOSQE_IO_DRAIN waits until everything
 * submitted before it has ended, and what comes after waits for it: these are in a list, guarded by u->lock, with two counts. */
#include "uring_int.h"

#include <abi/errno.h>
#include <libos/process.h>
#include <libos/sched.h>
#include <string.h>

#define SQE_FLAGS                                                                                  \
    (IOSQE_FIXED_FILE | IOSQE_IO_DRAIN | IOSQE_IO_LINK | IOSQE_IO_HARDLINK | IOSQE_ASYNC |         \
     IOSQE_BUFFER_SELECT | IOSQE_CQE_SKIP_SUCCESS)
#define LINKS (IOSQE_IO_LINK | IOSQE_IO_HARDLINK)

static const struct uring_op no_op;

enum { PREEMPT_EVERY = 64 };

/* A chain that is being put together. */
struct chain {
    struct uring_req *head, *last;
};

/* Copy the next entry; its head moves on even when there is none at the index. */
static bool fetch(struct uring *u, struct abi_io_uring_sqe *to)
{
    uint32_t at = u->sq_head++ & (u->sq_entries - 1);
    if (LIKELY(!(u->flags & IORING_SETUP_NO_SQARRAY))) {
        const _Atomic uint32_t *index = uring_mem_at(&u->rings, u->array_offset + at * 4u);
        at = atomic_load_explicit(index, memory_order_relaxed);
        if (UNLIKELY(at >= u->sq_entries)) {
            atomic_fetch_add(&u->shared->sq_dropped, 1);
            return false;
        }
    }
    memcpy(to, uring_mem_at(&u->sqes, (size_t)at << u->sqe_shift), sizeof(*to));
    /* What is in the request from here on does not change when the program writes to its entry. */
    __asm__ volatile("" : : : "memory");
    return true;
}

static int take_personality(struct uring_req *r)
{
    struct uring *u = r->ring;
    unsigned i = r->sqe.personality;
    if (i > u->npersonalities || !u->personalities[i - 1])
        return -EINVAL;
    r->cred = cred_get(u->personalities[i - 1]);
    return 0;
}

/* The rarer flags of an entry. */
static NOINLINE int check_flags(struct uring_req *r)
{
    struct uring *u = r->ring;
    uint32_t f = r->sqe.flags;
    if (f & ~(uint32_t)SQE_FLAGS)
        return -EINVAL;
    if (f & IOSQE_BUFFER_SELECT && !r->op->select)
        return -EOPNOTSUPP;
    if (f & IOSQE_CQE_SKIP_SUCCESS)
        u->drain_off = true;
    if (f & IOSQE_IO_DRAIN) {
        if (u->drain_off)
            return -EOPNOTSUPP;
        u->drain_used = true;
    }
    return 0;
}

static int prepare(struct uring_req *r)
{
    struct uring *u = r->ring;
    int err = 0;
    if (UNLIKELY(r->sqe.opcode >= u->nops || !u->ops[r->sqe.opcode].issue)) {
        r->op = &no_op;
        return -EINVAL;
    }
    r->op = &u->ops[r->sqe.opcode];
    if (UNLIKELY(u->restrictions) && (err = uring_restricted(u, &r->sqe)))
        return err;
    if (r->sqe.flags && (err = check_flags(r)))
        return err;
    if (UNLIKELY(r->sqe.ioprio) && !r->op->prio)
        return -EINVAL;
    if (UNLIKELY(r->sqe.personality) && (err = take_personality(r)))
        return err;
    return r->op->prep ? r->op->prep(r) : 0;
}

/* ---- drains ---- */

static void drain_work(struct uring_req *r)
{
    if (uring_cancelled(r))
        uring_end(r, -ECANCELED, 0);
    else
        uring_go(r, 0);
}

static uint32_t chain_length(const struct uring_req *head, bool *ret_drain)
{
    uint32_t n = 0;
    *ret_drain = false;
    for (const struct uring_req *r = head; r; r = r->link) {
        n++;
        *ret_drain |= r->sqe.flags & IOSQE_IO_DRAIN;
    }
    return n;
}

/* May a chain start now? u->lock is held. */
static bool may_start(struct uring *u, bool drain)
{
    bool busy = u->started != u->ended;
    if (!busy)
        u->drain_running = false;
    return !busy || !(drain || u->drain_running);
}

/* Start r's chain unless it has to wait. True: somebody else has it. */
static NOINLINE bool defer(struct uring_req *r)
{
    struct uring *u = r->ring;
    bool drain;
    uint32_t n = chain_length(r, &drain);
    r->work = drain_work;
    int err = uring_live(r);
    if (err) {
        r->flags |= URING_F_FAIL;
        r->result = err;
    }
    spin_lock(&u->lock);
    bool wait = !err && (u->drain || !may_start(u, drain));
    if (wait) {
        r->flags |= URING_F_DRAIN;
        r->work_next = NULL;
        if (u->drain)
            u->drain_last->work_next = r;
        else
            u->drain = r;
        u->drain_last = r;
    } else {
        u->started += n;
        u->drain_running |= drain;
    }
    spin_unlock(&u->lock);
    return wait;
}

void uring_drained(struct uring *u)
{
    for (;;) {
        bool drain;
        spin_lock(&u->lock);
        struct uring_req *r = u->drain;
        uint32_t n = chain_length(r, &drain);
        if (!r || !may_start(u, drain)) {
            spin_unlock(&u->lock);
            return;
        }
        u->drain = r->work_next;
        u->started += n;
        u->drain_running |= drain;
        r->flags &= ~(uint32_t)URING_F_DRAIN;
        uring_hand(r); /* its thread starts it */
        spin_unlock(&u->lock);
    }
}

/* ---- chains ---- */

/* Whoever goes on with a chain, a worker for one, may have other rights than the thread that submits it has now. */
static NOINLINE void keep_rights(struct uring_req *r)
{
    for (; r; r = r->link)
        if (!r->cred)
            r->cred = cred_get(thread_current()->cred);
}

static void begin(struct uring_req *r)
{
    struct uring *u = r->ring;
    if (UNLIKELY(r->link))
        keep_rights(r->link);
    if (UNLIKELY(u->drain_used)) {
        if (defer(r))
            return;
    } else {
        bool drain;
        u->started += r->link ? chain_length(r, &drain) : 1;
    }
    uring_go(r, URING_LOCKED);
}

static void begin_chain(struct chain *c)
{
    struct uring_req *head = c->head;
    c->head = c->last = NULL;
    begin(head);
}

/* An entry that is wrong: it fails, and so does its chain, which goes on to be put together. */
static NOINLINE int fail(struct chain *c, struct uring_req *r, int err)
{
    r->flags |= URING_F_FAIL;
    r->result = err;
    if (c->head && !(c->head->flags & URING_F_FAIL)) {
        c->head->flags |= URING_F_FAIL;
        c->head->result = -ECANCELED;
    }
    return err;
}

/* One request into its chain, or on its way. A negative errno ends the submission. */
static int add(struct chain *c, struct uring_req *r)
{
    int err = prepare(r);
    bool timeout = r->sqe.opcode == IORING_OP_LINK_TIMEOUT;
    if (UNLIKELY(timeout) && !err && (!c->head || c->last->sqe.opcode == IORING_OP_LINK_TIMEOUT))
        err = -EINVAL;
    if (LIKELY(!err && !c->head && !(r->sqe.flags & LINKS))) {
        begin(r);
        return 0;
    }
    if (UNLIKELY(err))
        err = fail(c, r, err);
    if (c->head)
        c->last->link = r;
    else
        c->head = r;
    c->last = r;
    if (r->sqe.flags & LINKS)
        return 0;
    begin_chain(c);
    return err;
}

/* How many of n; -EAGAIN: no memory for a single one. */
static long submit_some(struct uring *u, uint32_t n)
{
    struct chain c = { NULL, NULL };
    uint32_t done = 0;
    int err = 0;
    while (done < n) {
        struct uring_req *r = uring_req_alloc(u);
        if (UNLIKELY(!r)) {
            err = -EAGAIN;
            break;
        }
        if (UNLIKELY(!fetch(u, &r->sqe))) {
            r->op = &no_op;
            uring_req_free(r, URING_LOCKED);
            break;
        }
        done++;
        if (UNLIKELY(add(&c, r)) && !(u->flags & IORING_SETUP_SUBMIT_ALL))
            break;
        if (done % PREEMPT_EVERY == 0 && thread_preempt_point())
            break;
    }
    if (c.head)
        begin_chain(&c);
    /* Release: entries have been read when the program sees that they may be overwritten. */
    atomic_store_explicit(&u->shared->sq_head, u->sq_head, memory_order_release);
    return done ? (long)done : err;
}

int uring_check_submitter(struct uring *u)
{
    if (!u->enabled)
        return -EBADFD;
    if (u->flags & IORING_SETUP_SINGLE_ISSUER && u->submitter != thread_current()->uring)
        return -EEXIST;
    return 0;
}

long uring_submit(struct uring *u, uint32_t n)
{
    mutex_lock(&u->submit);
    /* Acquire: the entries are there that the tail says. */
    uint32_t tail = atomic_load_explicit(&u->shared->sq_tail, memory_order_acquire);
    uint32_t queued = tail - u->sq_head;
    long done = 0;
    if (queued > u->sq_entries)
        queued = u->sq_entries;
    if (n > queued)
        n = queued;
    if (n)
        done = submit_some(u, n);
    struct uring_req *late = u->late, *r;
    u->late = NULL;
    mutex_unlock(&u->submit);
    while (UNLIKELY(r = late)) {
        late = r->work_next;
        uring_req_free(r, 0);
    }
    if (n)
        uring_notify(u, false);
    return done;
}
