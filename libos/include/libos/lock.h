/* SPDX-License-Identifier: MIT */
/* Locks. The ranks below are the locking document: a lock is taken only while all locks held have a lower rank.
 * Interrupts are off in ring 0, so a spin lock needs no interrupt-saving form; a mutex may sleep. */
#ifndef LIBOS_LOCK_H
#define LIBOS_LOCK_H

#include <base/compiler.h>
#include <base/types.h>
#include <stdatomic.h>

enum lock_rank {
    /* Sleeping locks, outermost first. */
    RANK_EXEC = 1,   /* one execve or thread-group change of a process at a time */
    RANK_URING,      /* submissions to one io_uring, and its resources */
    RANK_FILE_POS,   /* file->pos_lock */
    RANK_GEN_TEXT,   /* text of an open file of /proc or /sys, which names any object */
    RANK_MOUNT_TREE, /* changes of the mount tree */
    RANK_OVL_RENAME, /* of an overlay: like RANK_RENAME, and so on; those of its layers follow */
    RANK_OVL_DIR,    /* parent before child */
    RANK_OVL_INODE,
    RANK_OVL_COPY,   /* one copy of an inode to the upper layer */
    RANK_RENAME,     /* moves of directories in one file system */
    RANK_DIR,        /* inode->lock of a directory; parent before child */
    RANK_EPOLL_NEST, /* epoll instances that watch epoll instances */
    RANK_EPOLL_ITEMS, /* epoll instance: its items; an instance that watches another comes first, five deep */
    RANK_EPOLL_ITEMS_LAST = RANK_EPOLL_ITEMS + 5,
    RANK_PIPE,         /* pipe buffers; two at once in order of address */
    RANK_SOCKET_IO,    /* a socket's readers, and its bind */
    RANK_INODE,        /* inode->lock of anything else: size and content */
    RANK_MM,           /* mm->lock: the areas of an address space */
    RANK_MM_LANE,      /* one lane of it */
    RANK_FS_WRITEBACK, /* one write-back of an inode at a time */
    RANK_FS_COMMIT,    /* one commit of a journal at a time */
    RANK_FS_HANDLE,    /* the running transaction: changes read it, a commit writes it */
    RANK_FS_ORPHAN,    /* the orphan list */
    RANK_FS_MAP,       /* the block map of an inode */
    RANK_FS_GROUP,     /* bitmaps of a group of blocks */
    RANK_PAGEMAP_IO,   /* filling a page */
    RANK_TSM,          /* one report of /sys/kernel/config/tsm */
    RANK_CC,           /* the channel to the security firmware */
    /* Spin locks, outermost first. */
    RANK_TTY = 33,   /* line discipline, from interrupts too */
    RANK_PTS,        /* the table of pseudo-terminals */
    RANK_PTY_MASTER, /* the same of a pseudo-terminal's master; its slave comes first */
    RANK_EPOLL_LINK, /* which epoll instances watch a file */
    RANK_PROCESS,    /* process tree, pid table */
    RANK_FD_TABLE,   /* descriptor table */
    RANK_SIGNAL, /* pending signals of a process and its threads, their credentials, what they share */
    RANK_SIGHAND,      /* signal actions */
    RANK_FS_CONTEXT,   /* cwd, root, umask */
    RANK_MOUNT,        /* the mount table */
    RANK_DENTRY,       /* children of one directory in the name cache */
    RANK_FILE,         /* what small files keep: eventfd, timerfd, signalfd, locks of an inode */
    RANK_URING_TASK,   /* the workers of a thread that uses io_uring */
    RANK_IPC,          /* one System V object or message queue */
    RANK_IPC_UNDO,     /* the list of a process's semaphore adjustments */
    RANK_IPC_TABLE,    /* ids and keys of one kind of System V objects */
    RANK_ACCOUNTS,     /* the table of users */
    RANK_AREA_NAME,    /* names that programs give to areas */
    RANK_ACL,          /* which access control list an inode has */
    RANK_PAGEMAP,      /* page map of an inode */
    RANK_MAP_CLOCK,    /* the ring of page maps that reclaim goes through */
    RANK_FS_MOUNTS,    /* the list of mounted file systems of one kind */
    RANK_FS_TXN,       /* lists of a running transaction */
    RANK_FS_CACHE,     /* tables of metadata blocks and inodes */
    RANK_MM_LAZY,      /* the list of address spaces with pages that may be freed */
    RANK_MM_MOVE,      /* leaves of one address space move */
    RANK_MM_RANGE,     /* the page table of one 2 MiB range */
    RANK_FUTEX,        /* one futex bucket */
    RANK_NET_CORE,     /* the protocol stack */
    RANK_SOCKET_TABLE, /* names and ports that sockets are bound to */
    RANK_SOCKET,       /* one socket: its queues and state; two at once in order of address */
    RANK_VSOCK_OUT,    /* packets of AF_VSOCK on their way out */
    RANK_BLK_LIST,     /* the table of block devices */
    RANK_BLK_QUEUE,    /* one queue of a block device: what waits, and the requests */
    RANK_BLK_DRIVER,   /* one queue of a block device's driver */
    RANK_WAITQ,        /* a wait queue's list */
    RANK_EPOLL_READY, /* epoll instance: what is ready, then who waits for it; the watched comes first, five deep */
    RANK_EPOLL_READY_LAST = RANK_EPOLL_READY + 11,
    RANK_OWNER,    /* who is told of open files */
    RANK_DEFERRED, /* the list of deferred work */
    RANK_TIMERFD,  /* a timerfd; taken in the timer interrupt */
    RANK_RUNQ,     /* one CPU's run queue */
    RANK_TIMER,    /* one CPU's timers */
    RANK_VIRTIO,   /* one queue of a device */
    RANK_SLAB,     /* one object cache */
    RANK_PAGES,    /* physical pages */
    RANK_SERIAL,   /* registers of a UART */
    RANK_LOG,      /* console output */
};

/* A lock that is held for a short time and never over a sleep or a user copy. */
struct CAPABILITY("spin") spin {
    _Atomic uint32_t locked;
    uint32_t rank; /* enum lock_rank, or 0: it is kept where it is checked */
};

/* Where ranks are not checked, a free lock is all zeros: tables of them take no room in the image. */
#if defined(CONFIG_LOCK_CHECK)
#define SPIN_RANK(r) (r)
#else
#define SPIN_RANK(r) 0
#endif

#define SPIN_INIT(r)                                                                               \
    {                                                                                              \
        0, SPIN_RANK(r)                                                                            \
    }

static inline void spin_init(struct spin *s, enum lock_rank rank)
{
    atomic_init(&s->locked, 0);
    s->rank = SPIN_RANK(rank);
}

/* Wait until s is free; serves TLB shoot-downs meanwhile. Called by spin_lock only. */
void spin_wait(struct spin *s);

/* Check ranks (host tests only; nothing elsewhere). */
#if defined(CONFIG_LOCK_CHECK)
void lock_check_take(const void *lock, unsigned rank);
void lock_check_drop(const void *lock, unsigned rank);
/* Panic unless the current thread holds no spin lock: it is about to sleep or copy user memory. */
void lock_check_none(void);
#else
static inline void lock_check_take(const void *lock, unsigned rank)
{
    (void)lock, (void)rank;
}
static inline void lock_check_drop(const void *lock, unsigned rank)
{
    (void)lock, (void)rank;
}
static inline void lock_check_none(void)
{
}
#endif

static inline void spin_lock(struct spin *s)
{
    lock_check_take(s, s->rank);
    /* Acquire: what the last holder wrote is seen. */
    if (UNLIKELY(atomic_exchange_explicit(&s->locked, 1, memory_order_acquire)))
        spin_wait(s);
}

static inline bool spin_trylock(struct spin *s)
{
    if (atomic_exchange_explicit(&s->locked, 1, memory_order_acquire))
        return false;
    lock_check_take(s, s->rank);
    return true;
}

static inline void spin_unlock(struct spin *s)
{
    lock_check_drop(s, s->rank);
    /* Release: the next holder sees what this one wrote. */
    atomic_store_explicit(&s->locked, 0, memory_order_release);
}

struct thread;
struct waiter;

/* Many readers or one writer; nobody starves. */
struct CAPABILITY("rwmutex") rwmutex {
    _Atomic int32_t count; /* readers, and what lock.c adds for a writer and for those who wait */
    uint32_t rank;
    struct spin lock;
    struct waiter *waiters; /* guarded by lock; utlist DL list */
};

/* A lock whose waiters sleep. */
struct CAPABILITY("mutex") mutex {
    struct rwmutex rw; /* never held by readers */
};

/* Make a mutex that nobody holds. */
void mutex_init(struct mutex *m, enum lock_rank rank);
/* Take m, sleeping while another thread has it (not interruptible). Not recursive. */
void mutex_lock(struct mutex *m);
bool mutex_trylock(struct mutex *m);
void mutex_unlock(struct mutex *m);

/* Many readers or one writer; waiting may sleep, and a writer that waits for readers holds new ones back. */
void rwmutex_init(struct rwmutex *m, enum lock_rank rank);
void rwmutex_read_lock(struct rwmutex *m);
void rwmutex_read_unlock(struct rwmutex *m);
void rwmutex_write_lock(struct rwmutex *m);
void rwmutex_write_unlock(struct rwmutex *m);

#endif
