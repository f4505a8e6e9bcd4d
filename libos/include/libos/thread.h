/* SPDX-License-Identifier: MIT */
/* Threads: what one flow of control owns. What several may share is in objects of its own: struct process (thread
 * group), mm, fd_table, fs_context, sighand. */
#ifndef LIBOS_THREAD_H
#define LIBOS_THREAD_H

#include <abi/signal.h>
#include <libos/lock.h>
#include <libos/timer.h>
#include <plat/thread.h>

struct completion;
struct cred;
struct deadline;
struct fd_table;
struct fs_context;
struct futex_waiter;
struct mm;
struct process;
struct runq;
struct seccomp_filter;
struct sem_undo_list;
struct sighand;
struct account;
struct uring_task;

/* Reasons for thread->plat.work. */
enum thread_work {
    WORK_RESCHED = 1,   /* give the CPU up */
    WORK_SIGNAL = 2,    /* a signal may be deliverable */
    WORK_KILLED = 4,    /* the thread group exits, or execs */
    WORK_TRACE = 8,     /* tell the tracer of the end of this call */
    WORK_TASK = 16,     /* rseq fix-up, io_uring and the like */
    WORK_DEFERRED = 32, /* deferred_run is due */
    WORK_ROOT = 64,     /* somebody called pivot_root */
};

enum thread_state {
    THREAD_RUNNING,  /* or runnable */
    THREAD_SLEEPING, /* interruptible */
    THREAD_KILLABLE,
    THREAD_BLOCKED, /* uninterruptible */
    THREAD_STOPPED,
    THREAD_TRACED, /* stopped for its tracer */
    THREAD_DEAD,
};

/* What libOS keeps of a siginfo, as Linux does: as long as the longest of its variants. What programs see behind it is 0. */
enum { SIGINFO_KEPT = 48 };

/* Queued signals. */
struct sigqueue {
    struct sigqueue *next, *prev;
    union {
        int sig;
        uint64_t info[SIGINFO_KEPT / 8]; /* as struct abi_siginfo begins */
    };
    struct account *account; /* against whose RLIMIT_SIGPENDING it counts; a reference */
};
struct sigpending {
    uint64_t set;           /* bit n - 1: signal n */
    struct sigqueue *queue; /* utlist DL */
};

/* What being traced means to a thread: libos/trace.h. The tie is changed with process_lock and sig_lock held, the
 * rest with sig_lock. */
struct trace {
    struct thread *tracer; /* NULL: none */
    struct cred
        *cred; /* of whoever made the tie, when it was made; a reference while there is a tracer */
    struct thread *next, *prev; /* in its process's tracees; guarded by process_lock */
    uint32_t options;           /* PTRACE_O_* */
    bool seized;
    bool in_call;    /* came by the traced entry; the thread's own */
    uint8_t mode;    /* enum trace_mode */
    bool step;       /* one instruction */
    uint8_t pending; /* stops to come: trace_int.h */
    bool stopped, listening;
    bool dead; /* its end has not been waited for */
    int code;  /* what wait(2) shows of the stop, 0: shown already; then how to go on */
    unsigned long message;
    struct abi_siginfo *siginfo; /* of the stop; on the stopped thread's stack */
};

/* Where memory is to come from, set_mempolicy(2): libos/mm/policy.c. */
struct mempolicy {
    uint16_t mode;  /* MPOL_* with its MPOL_F_* flags; 0: none */
    uint64_t nodes; /* as they are told */
};

/* How often a thread was seen running its program, and how often libOS for it, when its CPU was looked at. */
struct cpu_samples {
    uint64_t user, system;
};

/* The last answer about CPU time, so that neither part ever goes back. */
struct cpu_told {
    uint64_t user_ns, system_ns;
};

/* What getrusage(2) tells: sums over threads or processes. */
struct usage {
    uint64_t run_ns;
    struct cpu_samples samples; /* of run_ns */
    struct cpu_told cpu;        /* of processes: divided already */
    uint64_t faults_minor, faults_major, switches_voluntary, switches_forced;
    uint64_t blocks_in, blocks_out;
    uint64_t maxrss; /* pages; the largest, not a sum */
};

/* In a ring of threads that wait for a CPU. */
struct run_node {
    struct run_node *next, *prev;
};

struct thread {
    struct plat_thread plat; /* first: plat_current() is this */

    /* Identity. */
    int tid;
    _Atomic uint32_t refs;
    struct process *process;
    struct thread *next, *prev; /* process->threads; guarded by RANK_PROCESS lock */
    char comm[16];

    /* Shared objects; each holds a reference. Only the thread itself changes the pointers. */
    struct mm *mm; /* NULL: kernel thread */
    struct fd_table *fds;
    struct fs_context *fs;
    struct sighand *sighand;
    struct cred *
        cred; /* immutable; replaced by a changed copy with process_lock and sig_lock: others need one */

    /* Scheduling; guarded by the run queue's lock unless said otherwise. */
    _Atomic uint32_t state; /* enum thread_state */
    uint32_t cpu;           /* where it runs or ran last */
    bool queued, on_cpu;
    uint8_t policy; /* SCHED_* */
    int8_t nice;
    uint8_t rt_priority;
    uint8_t
        run_class; /* the list it waits in: sched_classify makes it of policy, rt_priority and boost */
    bool reset_on_fork;
    struct run_node run;
    int64_t slice_ns;           /* left of its time slice */
    uint64_t affinity;          /* CPUs, bit mask */
    uint64_t started_ns;        /* when it last got the CPU */
    _Atomic uint64_t run_ns;    /* CPU time used */
    struct cpu_samples samples; /* what it was seen doing; written by its CPU */
    struct cpu_told told;       /* guarded by process_lock */
    uint64_t switches_voluntary, switches_forced;
    uint64_t woke_run_ns; /* run_ns when it slept last */
    uint64_t faults_minor, faults_major;
    uint64_t blocks_in, blocks_out; /* of 512 bytes: read from devices, made dirty */
    uint64_t start_time_ns;
    struct timer sleep_timer;
    uint8_t
        boost; /* real-time priority lent by waiters of PI futexes; 0: none, RT_DEADLINE: lent_ns too */
    struct deadline *dl;  /* has been SCHED_DEADLINE; freed with the thread. NULL: never was */
    uint64_t deadline_ns; /* what those of that class are in order of */
    uint64_t lent_ns;     /* the deadline that comes with boost */
    void (*start_fn)(void *arg); /* what it runs first */
    void *start_arg;

    struct mempolicy mempolicy; /* set_mempolicy; the thread's own */

    /* Signals; guarded by sig_lock. */
    uint64_t sigmask;  /* blocked; written by the thread itself only, with the lock */
    uint64_t wait_set; /* sigtimedwait waits for these, blocked or not */
    uint64_t
        saved_sigmask; /* to restore after sigsuspend, ppoll, ...; valid when restore_sigmask */
    bool restore_sigmask;
    struct sigpending pending;
    uintptr_t alt_sp; /* sigaltstack */
    size_t alt_size;
    int alt_flags;
    int (*restart)(struct thread *t); /* restart_syscall: goes on with what restart_data says */
    unsigned long restart_data[6];
    uintptr_t fault_addr; /* of the last exception, for sigcontext */
    unsigned long trap_nr, trap_error;

    /* Futex, TLS, rseq: user addresses, hostile. */
    uintptr_t clear_child_tid, set_child_tid;
    uintptr_t robust_list;
    size_t robust_len;
    struct futex_waiter *
        futex_waiter; /* the PI futex it waits for; guarded by pi_lock of futex_pi.c, as the next */
    struct futex_waiter *pi_held; /* those who wait for PI futexes that it owns */
    uintptr_t rseq;
    uint32_t rseq_len, rseq_sig, rseq_cpu; /* rseq_cpu: what the area says */

    struct trace trace;
    struct {
        uint8_t mode;                  /* SECCOMP_MODE_* */
        struct seccomp_filter *filter; /* the newest */
    } seccomp;
    struct {
        bool on;
        uintptr_t start, size, selector;
    } dispatch; /* libos/dispatch.h */
    bool no_new_privs;
    bool counted;    /* in its user's threads */
    bool over_limit; /* became a user who had more threads than RLIMIT_NPROC */
    int exit_code;   /* wait status */
#if defined(CONFIG_LOCK_CHECK)
    struct lock_held {
        const void *lock;
        unsigned rank;
    } held[24]; /* locks that it holds, in the order of taking */
    unsigned nheld;
#endif
    struct uring_task *uring; /* its io_uring side; only the thread itself changes it. NULL: none */
    bool
        is_worker; /* of io_uring: a thread of the process that is never in ring 3 and takes no signals */
    bool exiting; /* has begun thread_exit */
    bool
        core_parked; /* waits, or has waited, for the core file of its process; guarded by sig_lock */
    bool as_kernel; /* between below_begin and below_end */
    bool is_kernel; /* a libOS thread: never in ring 3 */
    struct completion *
        vfork_done; /* of a parent that waits in vfork until this one execs or ends; guarded by RANK_PROCESS */
    int pdeath_signal; /* PR_SET_PDEATHSIG */
    bool io_flusher;   /* PR_SET_IO_FLUSHER: remembered */
    uint8_t mce_kill;  /* PR_MCE_KILL: 1 + policy, 0: the default; remembered */
    uint32_t timer_slack_ns;
    unsigned personality;
    struct sem_undo_list
        *sem_undo;    /* adjustments of semaphores; NULL: none. Only the thread itself changes it */
    uint8_t io_class; /* ioprio */
    uint16_t io_level; /* and hints */
};

/* The thread that runs on this CPU. */
static inline struct thread *thread_current(void)
{
    return (struct thread *)plat_current();
}

static inline void thread_set_work(struct thread *t, uint32_t work)
{
    __atomic_fetch_or((uint32_t *)&t->plat.work, work, __ATOMIC_SEQ_CST);
}

static inline void thread_clear_work(struct thread *t, uint32_t work)
{
    __atomic_fetch_and((uint32_t *)&t->plat.work, ~work, __ATOMIC_SEQ_CST);
}

/* True when a sleep of kind interruptible must end: a signal is deliverable or the thread must die. */
bool thread_interrupted(const struct thread *t);

/* A new thread of process, not started: tid allocated (0) or as wanted, one reference, no shared objects, policy and
 * affinity of the current thread. -ENOMEM, -EAGAIN (limits), -EEXIST (the number is taken). */
NODISCARD int thread_create(struct process *p, int tid, void (*fn)(void *), void *arg,
                            struct thread **ret_thread);
/* A libOS thread (no ring 3), started. -ENOMEM. */
NODISCARD int thread_create_kernel(const char *name, void (*fn)(void *), void *arg);
/* A thread of the current process that shares all that threads share, blocks all signals and runs fn, which ends with
 * thread_exit. Not started. -ENOMEM, -EAGAIN (limits), -EINTR (the group ends). libos/proc provides it. */
NODISCARD int thread_create_worker(const char *name, void (*fn)(void *), void *arg,
                                   struct thread **ret_thread);
/* Act with credentials c (borrowed) until the result is given back. */
struct cred *thread_swap_cred(struct cred *c);
/* Of a thread with t->uring; libos/uring provides them. The current thread goes on with requests that were handed over to it, ends
 * (or becomes another program), goes to sleep (any sleeping lock may be held). */
void uring_thread_work(struct thread *t);
void uring_thread_exit(struct thread *t);
void uring_thread_sleeps(struct thread *t);
/* Threads that exist, kernel threads included. */
unsigned thread_count(void);
/* Take or drop a reference; the last one frees. */
static inline void thread_get(struct thread *t)
{
    t->refs++;
}
void thread_free(struct thread *t); /* thread_put only */
static inline void thread_put(struct thread *t)
{
    if (UNLIKELY(--t->refs == 0))
        thread_free(t);
}
/* The scheduler only: a dead thread has left its stack for the last time. Gives that back, and the thread's reference to
 * itself. */
void thread_ended(struct thread *t);
/* Find a thread by tid, with a reference; NULL. */
struct thread *thread_find(int tid);
/* The same; of a process that is not reaped there is its leader too, ended or not. */
struct thread *thread_find_ended(int tid);

/* TLS base registers of the current thread. Setting: -EPERM: not an address of user memory. */
enum thread_tls { TLS_FS, TLS_GS };
NODISCARD int thread_set_tls(enum thread_tls which, uintptr_t base);
uintptr_t thread_tls(enum thread_tls which);
/* membarrier(2). -EINVAL, -EPERM (not registered). */
int thread_membarrier(int cmd, unsigned flags, int cpu);
/* The CPU that runs this thread now. */
unsigned thread_cpu(void);
/* execve succeeded: a parent that waits in vfork goes on. */
void thread_vfork_done(struct thread *t);
/* End the current thread: clear_child_tid, robust list, shared objects; the group when it is the last. */
NORETURN void thread_exit(int exit_code);

#endif
