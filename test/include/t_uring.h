/* SPDX-License-Identifier: MIT */
/* For tests of io_uring: a ring without a library. Entries are taken by sqe(), submitted and waited for by submit(), and their
 * completions looked at by result() or next(). */
#ifndef T_URING_H
#define T_URING_H

#include <t.h>

#include <errno.h>
#include <linux/io_uring.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>

struct ring {
    struct io_uring_params p;
    long fd;
    unsigned char *mem;
    struct io_uring_sqe *sqes;
    size_t size;
    unsigned tail, queued;
};

/* A completion that was taken. */
struct done {
    uint64_t user_data;
    int res;
    unsigned flags;
};

static inline unsigned *ring_word(const struct ring *r, unsigned off)
{
    return (unsigned *)(void *)(r->mem + off);
}

static inline size_t ring_sqe_size(const struct ring *r)
{
    return r->p.flags & IORING_SETUP_SQE128 ? 128 : 64;
}

static inline size_t ring_cqe_size(const struct ring *r)
{
    return r->p.flags & IORING_SETUP_CQE32 ? 32 : 16;
}

/* Map what io_uring_setup made. */
static inline void ring_map(struct ring *r)
{
    size_t sq = r->p.sq_off.array + r->p.sq_entries * sizeof(unsigned);
    size_t cq = r->p.cq_off.cqes + r->p.cq_entries * ring_cqe_size(r);
    r->size = sq > cq ? sq : cq;
    r->mem = (unsigned char *)call(SYS_mmap, 0, r->size, PROT_READ | PROT_WRITE, MAP_SHARED, r->fd,
                                   IORING_OFF_SQ_RING);
    r->sqes =
        (struct io_uring_sqe *)call(SYS_mmap, 0, r->p.sq_entries * ring_sqe_size(r),
                                    PROT_READ | PROT_WRITE, MAP_SHARED, r->fd, IORING_OFF_SQES);
    r->tail = r->queued = 0;
}

/* A ring of so many entries; the descriptor, or what the call said. */
static inline long ring_open(struct ring *r, unsigned entries, unsigned flags)
{
    unsigned cq = r->p.cq_entries;
    memset(&r->p, 0, sizeof(r->p));
    r->p.flags = flags;
    r->p.cq_entries = flags & IORING_SETUP_CQSIZE ? cq : 0;
    r->fd = call(SYS_io_uring_setup, entries, &r->p);
    if (r->fd >= 0)
        ring_map(r);
    return r->fd;
}

static inline void ring_close(struct ring *r)
{
    CHECK(0, call(SYS_munmap, r->sqes, r->p.sq_entries * ring_sqe_size(r)));
    CHECK(0, call(SYS_munmap, r->mem, r->size));
    CHECK(0, call(SYS_close, r->fd));
}

/* The next entry, zero but for these. */
static inline struct io_uring_sqe *sqe(struct ring *r, int op, int fd, uint64_t user_data)
{
    unsigned at = r->tail & (r->p.sq_entries - 1);
    struct io_uring_sqe *s =
        (struct io_uring_sqe *)(void *)((unsigned char *)r->sqes + at * ring_sqe_size(r));
    memset(s, 0, ring_sqe_size(r));
    s->opcode = (uint8_t)op;
    s->fd = fd;
    s->user_data = user_data;
    ring_word(r, r->p.sq_off.array)[at] = at;
    r->tail++;
    r->queued++;
    return s;
}

/* io_uring_enter for what is queued; waits for so many completions. */
static inline long submit(struct ring *r, unsigned wait)
{
    unsigned n = r->queued;
    __atomic_store_n(ring_word(r, r->p.sq_off.tail), r->tail, __ATOMIC_RELEASE);
    r->queued = 0;
    return call(SYS_io_uring_enter, r->fd, n, wait, wait ? IORING_ENTER_GETEVENTS : 0, NULL, 0);
}

/* Completions that have not been taken. */
static inline unsigned ready(const struct ring *r)
{
    return __atomic_load_n(ring_word(r, r->p.cq_off.tail), __ATOMIC_ACQUIRE) -
           *ring_word(r, r->p.cq_off.head);
}

/* Take the next completion, waiting for it. */
static inline struct done next(struct ring *r)
{
    unsigned *head = ring_word(r, r->p.cq_off.head);
    long err = 0;
    while (!ready(r) && (err == 0 || err == -EINTR))
        err = call(SYS_io_uring_enter, r->fd, 0, 1, IORING_ENTER_GETEVENTS, NULL, 0);
    CHECK(true, err == 0 || err == -EINTR);
    const struct io_uring_cqe *c =
        (const void *)(r->mem + r->p.cq_off.cqes +
                       (*head & (r->p.cq_entries - 1)) * ring_cqe_size(r));
    struct done copy = { .user_data = c->user_data, .res = c->res, .flags = c->flags };
    __atomic_store_n(head, *head + 1, __ATOMIC_RELEASE);
    return copy;
}

/* Submit the one entry that is queued; its result. */
static inline long result(struct ring *r)
{
    unsigned n = r->queued;
    long done = submit(r, n);
    return done == (long)n ? next(r).res : done;
}

/* The next completion must be this one. */
#define CHECK_NEXT(r, want_data, want_res)                                                         \
    do {                                                                                           \
        struct done c_ = next(r);                                                                  \
        CHECK(want_data, c_.user_data);                                                            \
        CHECK(want_res, c_.res);                                                                   \
    } while (0)

/* Memory that both kinds of Linux know of. */
static inline void *t_pages(size_t n)
{
    return (void *)call(SYS_mmap, 0, n * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
                        -1, 0);
}

#endif
