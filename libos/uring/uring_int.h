/* SPDX-License-Identifier: MIT */
/* What the files of io_uring share. Who does what:
 *
 *   ring.c     a ring: its memory, which the program maps, and its file
 *   submit.c   the submission queue: entries to requests, chains, drains
 *   req.c      a request's way: try, wait, complete, next of the chain
 *   cq.c       the completion queue: posting, overflow, waiting
 *   work.c     what a task (a thread that submits) has: requests to go on with, a helper, workers; its end
 *   armed.c    waiting for a file to be ready; POLL_ADD and POLL_REMOVE
 *   timeout.c  TIMEOUT and its relatives
 *   cancel.c   finding requests and calling them back
 *   rsrc.c     registered files and buffers
 *   pbuf.c     provided buffers
 *   register.c io_uring_register
 *   sqpoll.c   the thread that submits by itself
 *
 * Locks: u->submit (a mutex, outermost) guards the submission queue and the registered resources; u->lock (spin) the
 * completion queue, the list of requests that wait, and groups of provided buffers. task->lock guards its workers' queues. Nobody
 * posts a completion or ends a request but a thread that may sleep: wakes and interrupts only hand requests over. */
#ifndef LIBOS_URING_INT_H
#define LIBOS_URING_INT_H

#include <base/compiler.h>
#include <libos/deferred.h>
#include <libos/page.h>
#include <libos/pagemap.h>
#include <libos/uring.h>

enum {
    URING_ENTRIES_MAX = 32768,
    URING_CQ_ENTRIES_MAX = 65536,
    URING_OVERFLOW_MAX = 65536,
    URING_FILES_MAX = 1 << 20,
    URING_BUFFERS_MAX = 1 << 14,
    URING_RINGS_MAX = 16, /* registered by one task */
    URING_WORKER = 4      /* how an operation is called: by a worker */
};

/* Who has a request that waits. */
enum uring_state {
    URING_WOKEN =
        1, /* a thread has it, or will: it is handed over. Not set: its queues' or its timer's next event takes it */
    URING_EVENT = 2, /* something happened since it was last looked at */
    URING_CANCEL = 4 /* it is to end */
};

/* The words that are shared with the program, which may change all of them at any time. What libOS reads are only sq_tail,
 * cq_head and cq_flags. */
struct uring_shared {
    _Atomic uint32_t sq_head, sq_tail;
    uint32_t pad1[14];
    _Atomic uint32_t cq_head, cq_tail;
    uint32_t pad2[14];
    _Atomic uint32_t sq_mask, cq_mask, sq_entries, cq_entries, sq_dropped, sq_flags, cq_flags,
        cq_overflow;
    uint32_t pad3[8];
};
_Static_assert(sizeof(struct uring_shared) == 192, "completions follow, aligned");

/* Pages that both sides see. */
struct uring_mem {
    struct page **pages;
    uint8_t **at; /* where each is */
    size_t n;
};

/* A registered file or buffer. Its tag is posted when the last request has let it go. */
struct uring_node {
    _Atomic uint32_t refs;
    struct uring *ring;
    uint64_t tag;
    struct file *file; /* or */
    struct uring_buffer *buffer;
};

struct uring_table {
    struct uring_node **nodes;
    uint32_t n;
    uint32_t alloc_from, alloc_end, hint; /* files: where slots are chosen */
};

struct uring_overflow {
    struct uring_overflow *next;
    struct abi_io_uring_cqe cqe;
    uint64_t extra1, extra2;
};

struct uring_group;
struct uring_restrictions;

struct uring {
    _Atomic uint32_t refs; /* the file, requests that wait, registered things */
    struct deferred gone;  /* frees it */
    uint32_t flags;        /* IORING_SETUP_* */
    uint32_t sq_entries, cq_entries;
    uint8_t sqe_shift, cqe_shift;
    _Atomic bool closing; /* its file is gone */
    struct uring_mem rings, sqes;
    struct uring_shared *shared;
    uint32_t array_offset;
    const struct uring_op *ops;
    unsigned nops;
    struct pagemap map;
    struct uring *list_next,
        *list_prev; /* all rings, by serial; prev NULL: not among them any more */
    uint64_t serial;

    struct mutex submit;
    /* guarded by submit */
    uint32_t sq_head;
    struct uring_req *spare;
    struct uring_req *late; /* by work_next: to be freed without the lock */
    struct uring_table files, buffers;
    struct cred **personalities;
    uint32_t npersonalities;
    struct uring_restrictions *restrictions; /* NULL: none */
    bool enabled;
    bool drain_off, drain_used;   /* a completion may be left out; an entry has waited for others */
    struct uring_task *submitter; /* IORING_SETUP_SINGLE_ISSUER; a reference */
    struct uring_sq *sq;          /* IORING_SETUP_SQPOLL */
    struct thread *sq_owner;      /* who made the ring then; not counted */

    struct spin lock;
    /* guarded by lock */
    uint32_t cq_tail, cq_head_seen;
    uint32_t cq_extra; /* completions of timeouts: not counted by those that wait for completions */
    struct uring_overflow *overflow, *overflow_last;
    uint32_t noverflow;
    uint32_t started, ended;              /* requests, drained ones from when they start */
    struct uring_req *live;               /* utlist DL by next, prev: all requests that wait */
    struct uring_req *drain, *drain_last; /* chains that wait for others, by work_next */
    bool drain_running;
    struct uring_group *groups;
    uint32_t counted_timeouts;

    struct waitq wait;
    _Atomic uint32_t waiters;             /* threads in uring_wait */
    _Atomic(struct uring_req *) deferred; /* IORING_SETUP_DEFER_TASKRUN: requests handed over */
    struct file *_Atomic eventfd;         /* changed with submit and lock held */
    bool eventfd_async;
    bool dropped; /* a completion was lost */
};

/* ring.c */
void uring_get(struct uring *u);
/* The last reference frees it when no lock is held: callable under spin locks and from interrupts, as deferred_queue is. */
void uring_put(struct uring *u);
/* The next ring after u (NULL: the first) with a reference; drops u's. */
struct uring *uring_next(struct uring *u);
/* n zeroed pages; or those that hold the program's [addr, addr + size). */
NODISCARD int uring_mem_make(struct uring_mem *m, size_t n);
NODISCARD int uring_mem_pin(struct uring_mem *m, uintptr_t addr, size_t size);
void uring_mem_free(struct uring_mem *m);
/* May p, which is pinned, be written to for long? -EOPNOTSUPP: its file would have to be told each time. */
NODISCARD int uring_check_page(const struct page *p);
static inline void *uring_mem_at(const struct uring_mem *m, size_t off)
{
    return m->at[off >> PAGE_SHIFT] + (off & (PAGE_SIZE - 1));
}
/* The file of group bgid's buffers for mmap; see pbuf.c. */
NODISCARD int uring_map(struct file *f, uint64_t *offset, size_t size);

/* cq.c: post a completion; with u->lock held, or not. */
bool uring_post_locked(struct uring *u, const struct abi_io_uring_cqe *cqe, uint64_t extra1,
                       uint64_t extra2);
bool uring_post(struct uring *u, uint64_t user_data, int32_t res, uint32_t cflags);
/* Tell those who wait that there are completions. async: not from within the submission. */
void uring_notify(struct uring *u, bool async);
/* Move what overflowed into the queue as far as there is room. */
void uring_flush(struct uring *u);

/* req.c */
struct uring_req *uring_req_alloc(struct uring *u);
void uring_req_free(struct uring_req *r, unsigned flags);
/* u ends: the memory of the request that it kept, which has let go of everything already. */
void uring_spare_free(struct uring *u);
/* Start a chain, or go on with a request. */
void uring_go(struct uring_req *r, unsigned flags);
/* End r with res, without another try; goes on with its chain. */
void uring_end(struct uring_req *r, long res, unsigned flags);
/* r waits from now on: puts it into its ring's list, with credentials, and arms its link timeout. */
NODISCARD int uring_live(struct uring_req *r);
static inline bool uring_cancelled(struct uring_req *r)
{
    return atomic_load_explicit(&r->state, memory_order_relaxed) & URING_CANCEL;
}

/* submit.c: u->ended changed. Starts what waits for that. */
void uring_drained(struct uring *u);

/* work.c */
struct uring_task {
    _Atomic uint32_t refs;
    struct thread *thread;            /* a reference */
    _Atomic(struct uring_req *) work; /* handed over; the newest first */
    _Atomic bool waiting;             /* in uring_wait */
    _Atomic bool announce; /* deferred work came: the helper tells those who poll the ring */
    _Atomic bool exiting;
    _Atomic uint32_t inflight; /* requests in lists */
    struct thread *helper;     /* NULL: none yet; lives until the task's end */
    struct waitq idle;         /* inflight or nthreads became less */
    struct spin lock;
    /* guarded by lock */
    struct uring_queue {
        struct uring_task *task;
        struct uring_req *head, *tail; /* by work_next */
        uint32_t queued, workers, idle, max;
        struct waitq wait;
    } queue[2]; /* IO_WQ_BOUND, IO_WQ_UNBOUND */
    uint32_t nthreads;
    bool stop;
    struct file *rings[URING_RINGS_MAX]; /* the thread's own */
};

/* The current thread's, made if need be. NULL: no memory. */
struct uring_task *uring_task(void);
void uring_task_put(struct uring_task *t);
/* Hand r over to its task; from any context. r->state has URING_WOKEN. */
void uring_hand(struct uring_req *r);
/* An event for r, from any context. */
void uring_kick(struct uring_req *r);
/* Go on with what was handed over. True if there was something. */
bool uring_task_run(struct uring_task *t);
bool uring_run_deferred(struct uring *u);
/* u closes, or its submitter ends: what was deferred goes to the tasks. From any context. */
void uring_undefer(struct uring *u);
static inline bool uring_task_has_work(struct uring_task *t)
{
    return atomic_load(&t->work) != NULL;
}
/* Make sure that the task has a helper. -EAGAIN, -ENOMEM. */
NODISCARD int uring_need_helper(struct uring_task *t);
/* Give r, which waits, to a worker. */
void uring_queue_worker(struct uring_req *r);
/* Take r out of a worker's queue; or wake the worker that runs it. 0; -EALREADY. */
int uring_unqueue(struct uring_req *r);
/* The worker that had r has not any more. */
void uring_worker_drop(struct uring_req *r);
/* A thread of the current process for the task, with a reference. */
NODISCARD int uring_thread(struct uring_task *t, const char *name, void (*fn)(void *), void *arg,
                           struct thread **ret);
NORETURN void uring_thread_leave(struct uring_task *t);

/* armed.c */
enum uring_arm { URING_ARMED, URING_READY, URING_ARM_FAILED };
/* Have r, which waits, go on when its file is ready for events. URING_ARMED: r is no longer the caller's. */
enum uring_arm uring_arm(struct uring_req *r, unsigned events, void (*work)(struct uring_req *r));
/* Take r off the queues. */
void uring_disarm(struct uring_req *r);

/* timeout.c */
void uring_link_timeout_start(struct uring_req *lt, struct uring_req *r);
/* r ends: its link timeout, if any, does. */
void uring_link_timeout_end(struct uring_req *r, unsigned flags);
/* Completions were posted: end timeouts that waited for them. */
void uring_timeouts_check(struct uring *u);

/* cancel.c: call r back; u->lock is held. 0, -EALREADY, -ENOENT. */
int uring_cancel_one(struct uring_req *r);
/* Call back all requests of task (NULL: any) in u. */
void uring_cancel_all(struct uring *u, struct uring_task *task);
/* Wait until a completion comes. -ETIME, -EINTR. */
NODISCARD int uring_wait_change(struct uring *u, uint64_t deadline_ns);
long uring_sync_cancel(struct uring *u, uintptr_t arg);

/* rsrc.c */
void uring_node_put(struct uring_node *n);
/* Give r its file. -EBADF. */
NODISCARD int uring_take_file(struct uring_req *r, unsigned flags);
void uring_table_free(struct uring_table *t);
long uring_register_files(struct uring *u, uintptr_t data, uintptr_t tags, uint32_t n, bool sparse);
long uring_register_buffers(struct uring *u, uintptr_t data, uintptr_t tags, uint32_t n,
                            bool sparse);
long uring_unregister(struct uring_table *t);
long uring_update(struct uring *u, bool files, const struct abi_io_uring_rsrc_update2 *up);
long uring_alloc_range(struct uring *u, uint32_t from, uint32_t n);

/* pbuf.c */
void uring_groups_free(struct uring *u);
long uring_pbuf_register(struct uring *u, uintptr_t arg);
long uring_pbuf_unregister(struct uring *u, uintptr_t arg);

/* register.c: may the entry be submitted? */
NODISCARD int uring_restricted(const struct uring *u, const struct abi_io_uring_sqe *sqe);

/* sqpoll.c */
NODISCARD int uring_sq_start(struct uring *u, const struct abi_io_uring_params *p);
void uring_sq_stop(struct uring *u);
void uring_sq_free(struct uring *u);

#endif
