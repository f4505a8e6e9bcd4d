/* SPDX-License-Identifier: MIT */
/* The heart of poll and select. The files are asked first, without hanging an entry on any queue: most calls find
 * something ready. Only a call that will wait registers, keeps the files, and asks again. */
#include <abi/errno.h>
#include <abi/fcntl.h>
#include <libos/file.h>
#include <libos/heap.h>
#include <libos/poll.h>
#include <libos/thread.h>
#include <libos/sched.h>
#include <plat/time.h>

enum {
    NEAR_ENTRIES = 8,   /* on the stack */
    BLOCK_ENTRIES = 60, /* in each further block */
    DEFAULT_READY = EPOLLIN | EPOLLOUT | EPOLLRDNORM | EPOLLWRNORM,
    ASKS_PER_PREEMPTION = 512,
};

/* An entry on one queue of one file. */
struct entry {
    struct waiter waiter;
    struct waitq *queue;
    struct file *file; /* counted */
    unsigned events;   /* wakes for others are ignored */
    struct poller *poller;
};

struct block {
    struct block *next;
    struct entry entries[BLOCK_ENTRIES];
};

struct poller {
    struct poll_table table;
    _Atomic bool triggered;
    bool failed;       /* no memory for an entry */
    struct file *file; /* being asked, and for which events */
    unsigned events;
    unsigned used; /* of near, then of the first block */
    struct block *blocks;
    struct entry near[NEAR_ENTRIES];
};

static bool poller_wake(struct waiter *w, unsigned events)
{
    struct entry *e = w->arg;
    if (events && !(events & e->events))
        return false;
    e->poller->triggered = true;
    return thread_wake(w->thread);
}

static struct entry *poller_entry(struct poller *p)
{
    if (!p->blocks && p->used < NEAR_ENTRIES)
        return &p->near[p->used++];
    if (!p->blocks || p->used == BLOCK_ENTRIES) {
        struct block *b = heap_alloc(sizeof(*b));
        if (!b)
            return NULL;
        b->next = p->blocks;
        p->blocks = b;
        p->used = 0;
    }
    return &p->blocks->entries[p->used++];
}

static void poller_add(struct poll_table *pt, struct waitq *q)
{
    struct poller *p = CONTAINER_OF(pt, struct poller, table);
    struct entry *e = poller_entry(p);
    if (!e) {
        p->failed = true;
        return;
    }
    file_get(p->file);
    e->file = p->file;
    e->queue = q;
    e->events = p->events;
    e->poller = p;
    e->waiter = (struct waiter){ .thread = thread_current(), .wake = poller_wake, .arg = e };
    waitq_add_entry(q, &e->waiter);
}

static void entries_leave(struct entry *e, unsigned n)
{
    for (; n; n--, e++) {
        waitq_remove(e->queue, &e->waiter);
        file_put(e->file);
    }
}

static void poller_leave(struct poller *p)
{
    unsigned used = p->used;
    while (p->blocks) {
        struct block *b = p->blocks;
        p->blocks = b->next;
        entries_leave(b->entries, used);
        heap_free(b);
        used = p->blocks ? BLOCK_ENTRIES : NEAR_ENTRIES;
    }
    entries_leave(p->near, used);
}

/* What one file is ready for; with p, hang entries on its queues. */
static ALWAYS_INLINE unsigned ask(struct file *f, unsigned want, struct poller *p)
{
    struct poll_table *pt = NULL;
    if (UNLIKELY(!f->ops->poll))
        return DEFAULT_READY & want;
    if (p) {
        p->file = f;
        p->events = want;
        pt = &p->table;
    }
    return f->ops->poll(f, pt) & want;
}

/* Ask n files of a table of descriptors that nobody else has: only this thread could close one, so no references are
 * counted. With p, until one is ready. How many are ready. */
static ALWAYS_INLINE int ask_own(struct abi_pollfd *d, size_t n, unsigned always, struct poller *p)
{
    const struct fd_table *t = thread_current()->fds;
    int count = 0;
    for (struct abi_pollfd *end = d + n; d < end; d++) {
        struct file *f = (unsigned)d->fd < t->size ? t->files[d->fd] : NULL;
        unsigned ready = d->fd < 0 ? 0 : POLLNVAL;
        if (LIKELY(f && !(f->flags & O_PATH)))
            ready = ask(f, (uint16_t)d->events | always, count ? NULL : p);
        d->revents = (int16_t)ready;
        count += ready != 0;
    }
    return count;
}

/* The same when other threads may close descriptors. */
static int ask_shared(struct fd_table *t, struct abi_pollfd *d, size_t n, unsigned always,
                      struct poller *p)
{
    int count = 0;
    for (struct abi_pollfd *end = d + n; d < end; d++) {
        struct fd_ref ref;
        unsigned ready = d->fd < 0 ? 0 : POLLNVAL;
        if (d->fd >= 0 && !fd_borrow_shared(t, d->fd, &ref)) {
            ready = ask(ref.file, (uint16_t)d->events | always, count ? NULL : p);
            fd_return(&ref);
        }
        d->revents = (int16_t)ready;
        count += ready != 0;
    }
    return count;
}

/* Ask every file once; with p, hang entries on their queues too, until one is ready. How many are ready. */
static int ask_all(struct abi_pollfd *fds, size_t n, unsigned always, struct poller *p)
{
    int count = 0;
    for (size_t i = 0; i < n; i += ASKS_PER_PREEMPTION) {
        size_t m = n - i < ASKS_PER_PREEMPTION ? n - i : ASKS_PER_PREEMPTION;
        struct poller *wait = count ? NULL : p;
        struct fd_table *t = thread_current()->fds;
        if (atomic_load_explicit(&t->refs, memory_order_relaxed) != 1)
            count += ask_shared(t, fds + i, m, always, wait);
        else if (wait)
            count += ask_own(fds + i, m, always, wait);
        else
            count += ask_own(fds + i, m, always, NULL);
        if (i + m < n)
            thread_preempt_point();
    }
    return count;
}

static int poll_sleep(struct poller *p, uint64_t deadline_ns)
{
    int err = 0;
    while (thread_prepare_sleep(SLEEP_INTERRUPTIBLE),
           !p->triggered && !(err = thread_sleep(deadline_ns)))
        ;
    thread_finish_sleep();
    return err;
}

uint64_t poll_now(void)
{
    return plat_time_ns();
}

int poll_files(struct abi_pollfd *fds, size_t n, unsigned always, uint64_t deadline_ns)
{
    int count = ask_all(fds, n, always, NULL);
    if (count || !deadline_ns)
        return count;
    struct poller p;
    p.table.add = poller_add;
    p.triggered = false;
    p.failed = false;
    p.used = 0;
    p.blocks = NULL;
    count = ask_all(fds, n, always, &p);
    if (p.failed && !count)
        count = -ENOMEM;
    bool last = false;
    while (!count && !last) {
        int err = poll_sleep(&p, deadline_ns);
        last = err == -ETIMEDOUT;
        p.triggered = false;
        count = err == -EINTR ? -EINTR : ask_all(fds, n, always, NULL);
        if (count == -EINTR) {
            int ready = ask_all(fds, n, always, NULL);
            count = ready ? ready : count;
        }
    }
    poller_leave(&p);
    return count;
}
