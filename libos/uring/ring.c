/* SPDX-License-Identifier: MIT */
/* A ring: memory that the program maps, and the file that stands for it. io_uring_setup(2). */
#include "uring_int.h"

#include <abi/errno.h>
#include <libos/heap.h>
#include <libos/mm.h>
#include <libos/process.h>
#include <plat/mem.h>
#include <stdio.h>
#include <string.h>
#include <utlist.h>

static struct spin list_lock = SPIN_INIT(RANK_FILE);
static struct uring *all_rings; /* guarded by list_lock */
static uint64_t last_serial;    /* the same */

static const struct file_ops uring_ops;

#define SETUP_KNOWN                                                                                \
    (IORING_SETUP_SQPOLL | IORING_SETUP_SQ_AFF | IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP |        \
     IORING_SETUP_ATTACH_WQ | IORING_SETUP_R_DISABLED | IORING_SETUP_SUBMIT_ALL |                  \
     IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_SQE128 |                 \
     IORING_SETUP_CQE32 | IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |                \
     IORING_SETUP_NO_MMAP | IORING_SETUP_NO_SQARRAY)
#define FEATURES                                                                                   \
    (IORING_FEAT_SINGLE_MMAP | IORING_FEAT_NODROP | IORING_FEAT_SUBMIT_STABLE |                    \
     IORING_FEAT_RW_CUR_POS | IORING_FEAT_CUR_PERSONALITY | IORING_FEAT_FAST_POLL |                \
     IORING_FEAT_POLL_32BITS | IORING_FEAT_SQPOLL_NONFIXED | IORING_FEAT_EXT_ARG |                 \
     IORING_FEAT_NATIVE_WORKERS | IORING_FEAT_RSRC_TAGS | IORING_FEAT_CQE_SKIP |                   \
     IORING_FEAT_LINKED_FILE | IORING_FEAT_REG_REG_RING)

/* ---- memory ---- */

static int no_fill(struct pagemap *m, uint64_t index, bool writable, struct page **ret)
{
    return -EIO; /* all pages are there from the beginning */
}

static const struct pagemap_ops map_ops = { .fill = no_fill };

static int mem_arrays(struct uring_mem *m, size_t n)
{
    m->n = 0;
    m->pages = heap_calloc(n, sizeof(m->pages[0]));
    m->at = heap_calloc(n, sizeof(m->at[0]));
    return m->pages && m->at ? 0 : -ENOMEM;
}

void uring_mem_free(struct uring_mem *m)
{
    for (size_t i = 0; i < m->n; i++)
        page_put(m->pages[i]);
    heap_free(m->pages);
    heap_free(m->at);
    *m = (struct uring_mem){ 0 };
}

int uring_mem_make(struct uring_mem *m, size_t n)
{
    int err = mem_arrays(m, n);
    while (!err && m->n < n) {
        struct page *p = page_alloc(0, PAGE_FILE, PAGE_ZERO);
        if (!p) {
            err = -ENOMEM;
            break;
        }
        m->at[m->n] = page_ptr(p);
        m->pages[m->n++] = p;
    }
    if (err)
        uring_mem_free(m);
    return err;
}

int uring_check_page(const struct page *p)
{
    if (p->kind != PAGE_FILE)
        return 0;
    const struct pagemap *m = p->owner;
    return m && m->ops->make_writable ? -EOPNOTSUPP : 0;
}

int uring_mem_pin(struct uring_mem *m, uintptr_t addr, size_t size)
{
    size_t n = (size + PAGE_SIZE - 1) >> PAGE_SHIFT;
    int err = addr & (PAGE_SIZE - 1) ? -EINVAL : mem_arrays(m, n);
    while (!err && m->n < n) {
        struct page *p;
        err = mm_pin(thread_current()->mm, addr + m->n * PAGE_SIZE, true, &p);
        if (err)
            break;
        m->at[m->n] = page_ptr(p);
        m->pages[m->n++] = p;
        err = uring_check_page(p);
    }
    if (err)
        uring_mem_free(m);
    return err;
}

/* Let the program map m at this page of the file. */
static int mem_insert(struct uring *u, const struct uring_mem *m, uint64_t index)
{
    for (size_t i = 0; i < m->n; i++) {
        page_get(m->pages[i]);
        if (!pagemap_insert(&u->map, index + i, m->pages[i])) {
            page_put(m->pages[i]);
            return -ENOMEM;
        }
    }
    return 0;
}

int uring_map(struct file *f, uint64_t *offset, size_t size)
{
    const struct uring *u = f->data;
    const struct uring_mem *m = &u->rings;
    if (u->flags & IORING_SETUP_NO_MMAP)
        return -EINVAL;
    if (*offset == IORING_OFF_CQ_RING)
        *offset = IORING_OFF_SQ_RING; /* one memory under two names */
    else if (*offset == IORING_OFF_SQES)
        m = &u->sqes;
    else if (*offset != IORING_OFF_SQ_RING)
        return -EINVAL;
    return size > m->n * PAGE_SIZE ? -EINVAL : 0;
}

static struct pagemap *ring_pagemap(struct file *f)
{
    struct uring *u = f->data;
    return &u->map;
}

/* ---- life ---- */

void uring_get(struct uring *u)
{
    atomic_fetch_add_explicit(&u->refs, 1, memory_order_relaxed);
}

static void ring_free(struct deferred *d)
{
    struct uring *u = CONTAINER_OF(d, struct uring, gone);
    pagemap_fini(&u->map);
    uring_sq_free(u);
    uring_groups_free(u);
    uring_mem_free(&u->rings);
    uring_mem_free(&u->sqes);
    while (u->overflow) {
        struct uring_overflow *o = u->overflow;
        u->overflow = o->next;
        heap_free(o);
    }
    uring_spare_free(u);
    for (uint32_t i = 0; i < u->npersonalities; i++)
        if (u->personalities[i])
            cred_put(u->personalities[i]);
    heap_free(u->personalities);
    heap_free(u->restrictions);
    if (u->submitter)
        uring_task_put(u->submitter);
    if (u->eventfd)
        file_put(u->eventfd);
    heap_free(u);
}

void uring_put(struct uring *u)
{
    if (atomic_fetch_sub_explicit(&u->refs, 1, memory_order_acq_rel) == 1)
        (void)deferred_queue(&u->gone); /* for the first time */
}

struct uring *uring_next(struct uring *u)
{
    spin_lock(&list_lock);
    struct uring *next = u && u->list_prev ? u->list_next : all_rings;
    while (next && u && next->serial <= u->serial) /* u has left the list meanwhile */
        next = next->list_next;
    if (next)
        uring_get(next);
    spin_unlock(&list_lock);
    if (u)
        uring_put(u);
    return next;
}

/* The last descriptor and the last mapping are gone. What waits is called back, and keeps the ring until it has ended. */
static void ring_release(struct file *f)
{
    struct uring *u = f->data;
    uring_sq_stop(u);
    mutex_lock(&u->submit);
    u->closing = true;
    uring_table_free(&u->files);
    uring_table_free(&u->buffers);
    mutex_unlock(&u->submit);
    uring_cancel_all(u, NULL);
    uring_undefer(u);
    spin_lock(&list_lock);
    DL_DELETE2(all_rings, u, list_prev, list_next);
    u->list_prev = NULL;
    spin_unlock(&list_lock);
    uring_put(u);
}

static unsigned ring_poll(struct file *f, struct poll_table *pt)
{
    struct uring *u = f->data;
    struct uring_shared *s = u->shared;
    unsigned ready = 0;
    poll_wait(pt, &u->wait);
    uint32_t queued = atomic_load(&s->sq_tail) - u->sq_head;
    if (queued < u->sq_entries)
        ready |= EPOLLOUT | EPOLLWRNORM;
    if (u->cq_tail != atomic_load(&s->cq_head) || u->noverflow || atomic_load(&u->deferred))
        ready |= EPOLLIN | EPOLLRDNORM;
    return ready;
}

static void ring_fdinfo(struct file *f, char *buf, size_t size)
{
    struct uring *u = f->data;
    const struct uring_shared *s = u->shared;
    snprintf(
        buf, size,
        "SqMask:\t0x%x\nSqHead:\t%u\nSqTail:\t%u\nCachedSqHead:\t%u\nCqMask:\t0x%x\nCqHead:\t%u\n"
        "CqTail:\t%u\nCachedCqTail:\t%u\nSQEs:\t%u\nUserFiles:\t%u\nUserBufs:\t%u\n",
        (unsigned)u->sq_entries - 1, (unsigned)s->sq_head, (unsigned)s->sq_tail,
        (unsigned)u->sq_head, (unsigned)u->cq_entries - 1, (unsigned)s->cq_head,
        (unsigned)s->cq_tail, (unsigned)u->cq_tail, (unsigned)(s->sq_tail - u->sq_head),
        (unsigned)u->files.n, (unsigned)u->buffers.n);
}

static const struct file_ops uring_ops = { .poll = ring_poll,
                                           .pagemap = ring_pagemap,
                                           .map = uring_map,
                                           .release = ring_release,
                                           .fdinfo = ring_fdinfo };

struct uring *uring_of(const struct file *f)
{
    return f->ops == &uring_ops ? f->data : NULL;
}

uint32_t uring_flags(const struct uring *u)
{
    return u->flags;
}

/* ---- io_uring_setup ---- */

static int check_flags(const struct abi_io_uring_params *p)
{
    uint32_t f = p->flags;
    for (int i = 0; i < 3; i++)
        if (p->resv[i])
            return -EINVAL;
    if (f & ~(uint32_t)SETUP_KNOWN)
        return -EINVAL;
    if (f & IORING_SETUP_SQ_AFF && !(f & IORING_SETUP_SQPOLL))
        return -EINVAL;
    if (f & IORING_SETUP_SQPOLL &&
        f & (IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_DEFER_TASKRUN))
        return -EINVAL;
    if (f & IORING_SETUP_TASKRUN_FLAG &&
        !(f & (IORING_SETUP_COOP_TASKRUN | IORING_SETUP_DEFER_TASKRUN)))
        return -EINVAL;
    if (f & IORING_SETUP_DEFER_TASKRUN && !(f & IORING_SETUP_SINGLE_ISSUER))
        return -EINVAL;
    return 0;
}

static uint32_t power_of_two(uint32_t n)
{
    uint32_t v = 1;
    while (v < n)
        v *= 2;
    return v;
}

static int choose_sizes(struct abi_io_uring_params *p, uint32_t entries)
{
    bool clamp = p->flags & IORING_SETUP_CLAMP;
    if (!entries)
        return -EINVAL;
    if (entries > URING_ENTRIES_MAX) {
        if (!clamp)
            return -EINVAL;
        entries = URING_ENTRIES_MAX;
    }
    p->sq_entries = power_of_two(entries);
    if (!(p->flags & IORING_SETUP_CQSIZE)) {
        p->cq_entries = 2 * p->sq_entries;
        return 0;
    }
    if (!p->cq_entries)
        return -EINVAL;
    if (p->cq_entries > URING_CQ_ENTRIES_MAX) {
        if (!clamp)
            return -EINVAL;
        p->cq_entries = URING_CQ_ENTRIES_MAX;
    }
    p->cq_entries = power_of_two(p->cq_entries);
    return p->cq_entries < p->sq_entries ? -EINVAL : 0;
}

static int make_memory(struct uring *u, const struct abi_io_uring_params *p)
{
    size_t cqes = (size_t)u->cq_entries << u->cqe_shift,
           sqes = (size_t)u->sq_entries << u->sqe_shift;
    size_t array = p->flags & IORING_SETUP_NO_SQARRAY ? 0 : u->sq_entries * sizeof(uint32_t);
    size_t rings = sizeof(struct uring_shared) + cqes + array;
    int err;
    u->array_offset = (uint32_t)(sizeof(struct uring_shared) + cqes);
    if (p->flags & IORING_SETUP_NO_MMAP) {
        err = uring_mem_pin(&u->rings, p->cq_off.user_addr, rings);
        return err ? err : uring_mem_pin(&u->sqes, p->sq_off.user_addr, sqes);
    }
    err = uring_mem_make(&u->rings, (rings + PAGE_SIZE - 1) >> PAGE_SHIFT);
    if (!err)
        err = uring_mem_make(&u->sqes, (sqes + PAGE_SIZE - 1) >> PAGE_SHIFT);
    if (!err)
        err = mem_insert(u, &u->rings, IORING_OFF_SQ_RING >> PAGE_SHIFT);
    return err ? err : mem_insert(u, &u->sqes, IORING_OFF_SQES >> PAGE_SHIFT);
}

static void share(struct uring *u)
{
    struct uring_shared *s = u->shared = uring_mem_at(&u->rings, 0);
    s->sq_head = s->sq_tail = s->cq_head = s->cq_tail = 0;
    s->sq_mask = u->sq_entries - 1;
    s->cq_mask = u->cq_entries - 1;
    s->sq_entries = u->sq_entries;
    s->cq_entries = u->cq_entries;
    s->sq_dropped = s->sq_flags = s->cq_flags = s->cq_overflow = 0;
}

#define AT(member) ((uint32_t)offsetof(struct uring_shared, member))

static void tell_offsets(const struct uring *u, struct abi_io_uring_params *p)
{
    uint64_t sq_addr = p->sq_off.user_addr, cq_addr = p->cq_off.user_addr;
    bool own = u->flags & IORING_SETUP_NO_MMAP;
    p->sq_off = (struct abi_io_sqring_offsets){
        .head = AT(sq_head),
        .tail = AT(sq_tail),
        .ring_mask = AT(sq_mask),
        .ring_entries = AT(sq_entries),
        .flags = AT(sq_flags),
        .dropped = AT(sq_dropped),
        .array = u->flags & IORING_SETUP_NO_SQARRAY ? 0 : u->array_offset,
        .user_addr = own ? sq_addr : 0,
    };
    p->cq_off = (struct abi_io_cqring_offsets){
        .head = AT(cq_head),
        .tail = AT(cq_tail),
        .ring_mask = AT(cq_mask),
        .ring_entries = AT(cq_entries),
        .overflow = AT(cq_overflow),
        .cqes = sizeof(struct uring_shared),
        .flags = AT(cq_flags),
        .user_addr = own ? cq_addr : 0,
    };
    p->features = FEATURES;
}

/* The ring whose workers are to be shared must be one; every task has its own workers, whatever the ring. */
static int check_attach(const struct abi_io_uring_params *p)
{
    struct file *f;
    int err = fd_get((int)p->wq_fd, &f);
    if (err)
        return -ENXIO;
    err = uring_of(f) ? 0 : -EINVAL;
    file_put(f);
    return err;
}

static struct uring *ring_alloc(const struct abi_io_uring_params *p)
{
    struct uring *u = heap_zalloc(sizeof(*u));
    if (!u)
        return NULL;
    atomic_init(&u->refs, 1);
    u->gone.run = ring_free;
    u->flags = p->flags;
    u->sq_entries = p->sq_entries;
    u->cq_entries = p->cq_entries;
    u->sqe_shift = p->flags & IORING_SETUP_SQE128 ? 7 : 6;
    u->cqe_shift = p->flags & IORING_SETUP_CQE32 ? 5 : 4;
    u->enabled = !(p->flags & IORING_SETUP_R_DISABLED);
    pagemap_init(&u->map, &map_ops, u);
    mutex_init(&u->submit, RANK_URING);
    spin_init(&u->lock, RANK_FILE);
    waitq_init(&u->wait);
    return u;
}

int uring_create(struct abi_io_uring_params *p, uint32_t entries, const struct uring_op *ops,
                 unsigned n, struct file **ret_file)
{
    int err = check_flags(p);
    if (!err)
        err = choose_sizes(p, entries);
    if (!err && p->flags & IORING_SETUP_ATTACH_WQ)
        err = check_attach(p);
    if (!err)
        err = deferred_start();
    if (err)
        return err;
    struct uring *u = ring_alloc(p);
    struct uring_task *task = uring_task();
    err = u && task ? make_memory(u, p) : -ENOMEM;
    if (!err) {
        share(u);
        u->ops = ops;
        u->nops = n;
        if (u->flags & IORING_SETUP_SINGLE_ISSUER && u->enabled) {
            atomic_fetch_add(&task->refs, 1);
            u->submitter = task;
        }
        err = file_create_anon(&uring_ops, "[io_uring]", O_RDWR | O_CLOEXEC, u, ret_file);
    }
    if (err) {
        if (u)
            uring_put(u);
        return err;
    }
    spin_lock(&list_lock);
    u->serial = ++last_serial;
    DL_APPEND2(all_rings, u, list_prev, list_next);
    spin_unlock(&list_lock);
    tell_offsets(u, p);
    if (u->flags & IORING_SETUP_SQPOLL && (err = uring_sq_start(u, p)))
        file_put(*ret_file);
    return err;
}
