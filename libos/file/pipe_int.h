/* SPDX-License-Identifier: MIT */
/* A pipe from the inside, for pipe.c and splice.c. */
#ifndef FILE_PIPE_INT_H
#define FILE_PIPE_INT_H

#include <abi/poll.h>
#include <base/types.h>
#include <libos/lock.h>
#include <libos/pipe.h>
#include <libos/waitq.h>

struct file_ops;
struct page;

enum {
    PIPE_DEFAULT_SLOTS = PIPE_DEFAULT_SIZE / PAGE_SIZE,
    PIPE_SPARE_PAGES = 2,
    PIPE_IN = EPOLLIN | EPOLLRDNORM,
    PIPE_OUT = EPOLLOUT | EPOLLWRNORM,
};

/* One buffer: bytes [off, off + len) of a page. */
struct pipe_slot {
    struct page *page;
    uint16_t off, len; /* len reaches PAGE_SIZE */
    bool packet;       /* O_DIRECT: read as one; no other write is added */
    bool shared;       /* the page is in another pipe too (tee, splice): nothing is added to it */
};

struct pipe {
    struct mutex lock;
    struct pipe_slot *slots;             /* nslots of them, a power of two */
    uint32_t nslots, head, tail;         /* head counts buffers filled, tail buffers emptied */
    uint32_t readers, writers;           /* open ends */
    uint32_t reader_opens, writer_opens; /* ever: what a FIFO's open waits for */
    uint32_t nspare;
    struct page *spare[PIPE_SPARE_PAGES];
    struct waitq read_wait, write_wait;
    struct inode *inode; /* borrowed: each file of the pipe holds it */
    uint32_t files;      /* guarded by inode->lock_lock */
    bool anonymous;      /* of pipe(2): opening it through /proc waits for nobody */
    struct pipe_slot first_slots[PIPE_DEFAULT_SLOTS];
};

extern const struct file_ops pipe_ops;

static inline bool pipe_empty(const struct pipe *p)
{
    return *(const volatile uint32_t *)&p->head == *(const volatile uint32_t *)&p->tail;
}

static inline bool pipe_full(const struct pipe *p)
{
    return *(const volatile uint32_t *)&p->head - *(const volatile uint32_t *)&p->tail >= p->nslots;
}

static inline struct pipe_slot *pipe_slot(struct pipe *p, uint32_t i)
{
    return &p->slots[i & (p->nslots - 1)];
}

/* Keep page for the next write, or free it. Locks: p->lock held. */
void pipe_page_free(struct pipe *p, struct page *page);
/* Wake one of those who sleep on q, if there are any. */
void pipe_wake(struct waitq *q, unsigned events);
/* Sleep on q as one of those woken singly until cond(p); -ERESTARTSYS. */
NODISCARD int pipe_sleep(struct pipe *p, struct waitq *q, bool (*cond)(const struct pipe *p));
/* There is something to read or nobody to write it; room or nobody to read. Without the lock. */
bool pipe_can_read(const struct pipe *p);
bool pipe_can_write(const struct pipe *p);

#endif
