/* SPDX-License-Identifier: MIT */
/* io_uring: rings, requests and the threads that serve them. What each operation does is the system call layer's
 * (struct uring_op); this module takes submissions, finds a way to finish what would wait, and posts completions. */
#ifndef LIBOS_URING_H
#define LIBOS_URING_H

#include <abi/io_uring.h>
#include <libos/file.h>
#include <libos/poll.h>

struct uring;
struct uring_req;
struct uring_task;

/* How an operation is called. */
enum {
    URING_MAY_WAIT = 1, /* on a worker: it may sleep. Else it answers -EAGAIN rather than wait */
    URING_LOCKED = 2,   /* the ring's submission lock is held */
};

/* Results of an operation besides a number for the program. */
enum {
    URING_PENDING = -100000, /* uring_finish is called later */
    URING_AGAIN = -100001    /* a multishot operation has told of one result: call it again */
};

/* One operation. prep and issue run in a thread that has the submitter's memory, descriptors and rights. */
struct uring_op {
    int (*prep)(struct uring_req
                    *r); /* check the entry and copy in what it refers to; NULL: always right */
    long (*issue)(struct uring_req *r, unsigned flags); /* NULL: there is no such operation */
    void (*cleanup)(
        struct uring_req *r); /* free r->data, which is not NULL; NULL: it is one heap block */
    uint16_t poll; /* EPOLLIN, EPOLLOUT: worth another try when the file is ready for this */
    bool file;     /* sqe.fd names an open file */
    bool select;   /* may take a provided buffer */
    bool prio;     /* sqe.ioprio has a meaning */
    bool worker;   /* may wait in a way that nobody can ask about before: always for a worker */
    bool
        update; /* of the resources of the ring: sees FIXED_FILE and its like as errors of its own */
};

/* One entry of a poll on a wait queue. */
struct uring_entry {
    struct waiter waiter;
    struct waitq *queue; /* NULL: unused */
    struct uring_entry *next;
};

enum uring_req_flag {
    URING_F_FILE = 1,    /* r->file is counted */
    URING_F_FAIL = 2,    /* the rest of the chain does not run */
    URING_F_NOWAIT = 4,  /* -EAGAIN is the answer */
    URING_F_LIVE = 8,    /* is in its ring's list, counted by its task */
    URING_F_BUFFER = 16, /* has a provided buffer: buf_id, buf_group */
    URING_F_POLLED = 32, /* was armed once: polls first no more */
    URING_F_DRAIN = 64,  /* the chain waits for all before it */
    URING_F_TIMER = 128, /* r->timer is armed, or was */
    URING_F_ARMED = 256, /* r->first is hung on queues */
    URING_F_MULTISHOT = 512,
    URING_F_QUEUED = 1024, /* waits for a worker; guarded by the lock of its task */
    URING_F_SKIP = 2048,   /* no completion, whatever the result */
    URING_F_WORKER = 4096, /* nothing is won by asking the file: a worker has to try */
};

/* A request: one submission on its way. Everything the program wrote is in sqe, copied once. */
struct uring_req {
    struct abi_io_uring_sqe sqe;
    const struct uring_op *op;
    struct uring *ring;
    struct file *file;
    struct uring_req *link;             /* what follows in the chain */
    uint32_t flags;                     /* enum uring_req_flag; whoever has the request */
    uint32_t cflags;                    /* of the completion */
    size_t done;                        /* bytes transferred by earlier tries */
    void *data;                         /* of the operation; freed at the end */
    uint64_t priv[12];                  /* of the operation */
    struct uring_node *node, *buf_node; /* registered file and buffer; a reference each. NULL */
    uint16_t buf_id, buf_group;
    uint32_t big_cqe; /* extra1 and extra2 go into a CQE of 32 bytes */
    uint64_t extra1, extra2;

    /* Of requests that wait; see work.c. */
    _Atomic uint32_t state; /* enum uring_state */
    struct uring_task *task;
    struct cred *cred; /* of the submitter, or a personality; a reference. NULL: the thread's own */
    struct uring_req *next, *prev; /* of the ring's list of these; guarded by the ring's lock */
    struct uring_req *work_next;
    void (*work)(struct uring_req *r); /* goes on with it, in a thread that may sleep */
    ssize_type result;                 /* of a transfer that ended elsewhere */
    struct thread *worker;             /* that runs it; guarded by the task's lock */
    struct uring_req
        *peer; /* a link timeout's request, or a request's timeout; guarded by the ring's lock */
    struct poll_table table;
    unsigned events;
    bool poll_failed;
    struct uring_entry first;
    struct timer timer;
    uint64_t interval_ns;
    uint32_t repeat, target; /* of a timeout: times still to fire; completions to wait for */
};

/* What io_uring_setup(2) makes: p is checked, filled in, and has the offsets afterwards. ops: n operations by opcode. One
 * reference. The errnos of the man page. May sleep. */
NODISCARD int uring_create(struct abi_io_uring_params *p, uint32_t entries,
                           const struct uring_op *ops, unsigned n, struct file **ret_file);
/* The ring behind an open file; NULL: it is none. */
/* Bytes that requests of t which wait take. Of a thread in its process's list: the process's sig_lock is held. */
uint64_t uring_weight(const struct thread *t);
struct uring *uring_of(const struct file *f);
/* A ring by its index among those that the thread has registered, with a reference of its file. -EBADF, -EINVAL. */
NODISCARD int uring_registered(unsigned index, struct file **ret_file);

/* Submit up to n entries. How many; -EBADFD (disabled), -EEXIST (another submitter). May sleep. */
long uring_submit(struct uring *u, uint32_t n);
/* What io_uring_enter(2) does first for a ring with a thread of its own: wake it (flags IORING_ENTER_SQ_*). */
NODISCARD int uring_sq_poke(struct uring *u, unsigned flags);
/* Wait for min completions, or until deadline_ns. 0, -EINTR, -ETIME, -EBADR. May sleep. */
NODISCARD int uring_wait(struct uring *u, uint32_t min, uint64_t deadline_ns);
/* Its flags IORING_SETUP_*. */
uint32_t uring_flags(const struct uring *u);
/* Has the thread to go into the ring's own order of things: 0, -EEXIST, -EBADFD. */
NODISCARD int uring_check_submitter(struct uring *u);
/* io_uring_register(2) but for its descriptors' look-up. The errnos of the man page. May sleep. */
long uring_register(struct uring *u, unsigned opcode, uintptr_t arg, uint32_t nr);
/* IORING_REGISTER_RING_FDS and its reverse. */
long uring_register_ring_fds(uintptr_t arg, uint32_t nr, bool add);

/* ---- for operations ---- */

/* End r, which was URING_PENDING: post its completion, go on with its chain. May sleep. */
void uring_finish(struct uring_req *r, long res);
/* The same from any context: the submitter or its helper does it. */
void uring_finish_later(struct uring_req *r, ssize_type res);
/* About to give r to somebody who will call uring_finish_later: it is kept and can be found. -ENOMEM, -EAGAIN, -ECANCELED. */
NODISCARD int uring_hold(struct uring_req *r);
/* A result of a multishot operation that goes on. False: no room; it must end. */
bool uring_post_more(struct uring_req *r, long res);
/* Tell of r's result, however full the ring is; its notification follows when r ends. */
void uring_post_result(struct uring_req *r, long res);
/* Post a completion to another ring. -EOVERFLOW, -EBADFD. */
NODISCARD int uring_post_to(struct uring *u, uint64_t user_data, int32_t res, uint32_t cflags);

/* Put f (taken) where a request wants a new file: slot of the ring's table (file_index - 1, or ALLOC), or a descriptor.
 * The descriptor, the slot for ALLOC, 0 for a slot that was named, or a negative errno. */
long uring_install(struct uring_req *r, struct file *take_file, uint32_t file_index, bool cloexec,
                   unsigned flags);
/* Empty a slot. -ENXIO, -EINVAL, -EBADF. */
NODISCARD int uring_close_slot(struct uring *u, uint32_t slot, unsigned flags);
/* The file in a slot of r's ring with a reference; -EBADF. */
NODISCARD int uring_slot_file(struct uring *u, uint32_t slot, unsigned flags,
                              struct file **ret_file);
/* IORING_OP_FILES_UPDATE. */
long uring_files_update(struct uring_req *r, unsigned flags);
/* IORING_OP_FIXED_FD_INSTALL's and MSG_RING's target slot: put f (taken) into u, which is not locked. As uring_install. */
long uring_send_file(struct uring *u, struct file *take_file, uint32_t file_index);

/* Memory of a registered buffer, [addr, addr + len), as an iterator over libOS memory; segs is the caller's to free. r keeps
 * the buffer. -EFAULT, -ENOMEM. */
NODISCARD int uring_buffer_iter(struct uring_req *r, uint64_t addr, size_t len, unsigned flags,
                                struct iter *it, struct iter_seg **ret_segs);
/* Choose a provided buffer for r unless it has one: address, and *len no more than it holds. -ENOBUFS. */
NODISCARD int uring_select(struct uring_req *r, uintptr_t *ret_addr, size_t *len, unsigned flags);
/* The operation did not use it. */
void uring_unselect(struct uring_req *r);
/* It did: what the completion's flags are then. */
uint32_t uring_selected(struct uring_req *r);
/* IORING_OP_PROVIDE_BUFFERS and REMOVE_BUFFERS. */
long uring_provide(struct uring_req *r, unsigned flags);
long uring_remove(struct uring_req *r, unsigned flags);

/* POLL_ADD, POLL_REMOVE, TIMEOUT, TIMEOUT_REMOVE, LINK_TIMEOUT, ASYNC_CANCEL. */
int uring_poll_prep(struct uring_req *r);
long uring_poll_add(struct uring_req *r, unsigned flags);
int uring_poll_remove_prep(struct uring_req *r);
long uring_poll_remove(struct uring_req *r, unsigned flags);
int uring_timeout_prep(struct uring_req *r);
long uring_timeout(struct uring_req *r, unsigned flags);
int uring_timeout_remove_prep(struct uring_req *r);
long uring_timeout_remove(struct uring_req *r, unsigned flags);
long uring_link_timeout(struct uring_req *r, unsigned flags);
int uring_cancel_prep(struct uring_req *r);
long uring_cancel(struct uring_req *r, unsigned flags);

#endif
