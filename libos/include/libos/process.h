/* SPDX-License-Identifier: MIT */
/* Processes (thread groups): identity, family, limits, end. */
#ifndef LIBOS_PROCESS_H
#define LIBOS_PROCESS_H

#include <abi/resource.h>
#include <libos/thread.h>
#include <libos/waitq.h>

/* What counts per user against a limit. */
enum account_count {
    ACCOUNT_THREADS,
    ACCOUNT_SIGNALS,
    ACCOUNT_MQ_BYTES,
    ACCOUNT_LOCKED_BYTES,
    ACCOUNT_COUNTS
};

/* A user by real id; counted. */
struct account {
    uint32_t uid;
    _Atomic uint32_t refs; /* from 0 to 1 with the table's lock only */
    struct account *next;
    _Atomic uint64_t counts[ACCOUNT_COUNTS];
};

/* The user uid with a reference; made if need be. NULL: out of memory. Locks: takes RANK_ACCOUNTS. */
struct account *account_find(uint32_t uid);
/* Take or drop a reference; NULL is allowed. account_get returns u. */
struct account *account_get(struct account *u);
void account_put(struct account *u);
/* Count n more; how many there are then. */
uint64_t account_add(struct account *u, enum account_count what, uint64_t n);
/* Count n more unless there would be more than limit; false then. And n less. */
NODISCARD bool account_charge(struct account *u, enum account_count what, uint64_t n,
                              uint64_t limit);
void account_uncharge(struct account *u, enum account_count what, uint64_t n);

/* Credentials: immutable once published, reference counted. */
struct cred {
    _Atomic uint32_t refs;
    uint32_t uid, gid, euid, egid, suid, sgid, fsuid, fsgid;
    uint64_t cap_permitted, cap_effective, cap_inheritable, cap_bounding, cap_ambient;
    uint32_t securebits;
    uint32_t ngroups;
    uint32_t *groups;        /* owned */
    struct account *account; /* of uid; a reference */
};

/* Signal actions, shared by CLONE_SIGHAND. */
struct sighand {
    _Atomic uint32_t refs;
    struct spin lock;
    /* guarded by lock */
    uint64_t touched;                /* bit n - 1: the action of signal n may not be the default */
    struct abi_sigaction action[64]; /* [n - 1] */
};

struct session;

struct process {
    int pid; /* of the leader: the thread group id */
    _Atomic uint32_t refs;
    struct thread *leader; /* guarded by process_lock, as are the next ones */
    struct thread *
        threads; /* utlist DL by next, prev; changed with sig_lock too, so either lock does to read */
    uint32_t nthreads; /* alive */
    struct process *parent, *children, *sibling_next, *sibling_prev;
    int made_by; /* thread of the parent that made it; guarded by process_lock, as are the next ones */
    struct thread
        *tracees; /* that threads of this process trace: utlist DL by trace.next, trace.prev */
    struct thread *traced_leader; /* the leader has ended, and its tracer has not waited for it */
    struct thread *
        ended_leader; /* what is left of the leader, for whoever asks about a zombie; a reference */
    int pgid, sid;
    struct tty *tty; /* controlling terminal */
    bool is_session_leader;
    bool subreaper;
    bool exec_done; /* has called execve since fork (setpgid) */

    struct spin
        sig_lock; /* signals of the process and its threads, and what others take of a thread */
    struct waitq signal_wait; /* signalfd: a signal became pending */
    struct sighand
        *sighand; /* the one of all its threads; a reference of its own. execve may change it, with
                                  process_lock and sig_lock */
    struct sigpending pending; /* shared; guarded by sig_lock */
    bool exiting;              /* guarded by sig_lock: the group ends with exit_code */
    int exit_code;             /* wait status */
    /* guarded by sig_lock: who writes the core file, and how many threads have not stopped for it yet */
    struct thread *core_dumper;
    uint32_t core_left;
    bool core_killed;     /* by SIGKILL meanwhile */
    uint32_t core_filter; /* DUMP_* */
    struct thread
        *exec_thread;        /* that execs and waits until it is alone; guarded by process_lock */
    bool stopped, continued; /* guarded by sig_lock: job control */
    int stop_signal;         /* not told to the parent yet; 0 */
    int group_stop_signal;   /* of the last stop */
    bool stop_due;           /* a stop signal was taken, and none that continues has come since */
    bool zombie, reaped;     /* guarded by process_lock */
    int exit_signal;
    struct waitq child_wait; /* parents sleep here */
    struct waitq exit_wait;  /* pidfd pollers */

    struct abi_rlimit rlimits[16]; /* guarded by limits_lock */
    struct spin limits_lock;
    struct usage ended;  /* of threads that ended; guarded by process_lock, as the next two */
    struct usage waited; /* of children waited for */
    struct cpu_told told;
    _Atomic uint64_t maxrss; /* pages: the most of the address spaces that it has left */
    uint64_t start_time_ns;

    struct itimer *itimers;     /* ITIMER_*; libos/time */
    struct ktimer *timers;      /* timer_create; libos/time */
    struct timer real_timer;    /* ITIMER_REAL and alarm */
    struct timer cpu_timer;     /* when CPU-time timers and RLIMIT_CPU are looked at next */
    uint64_t cpu_limit_told_ns; /* CPU time at the last SIGXCPU; the timer's only */
    char *cmdline;              /* saved argv for messages; owned */
    struct account *
        ended_account; /* whose the leader was that ended and still counts as a process; guarded by process_lock */
    unsigned oom_score_adj;
    int ptracer; /* PR_SET_PTRACER: 0 nobody, -1 anybody, a pid; guarded by process_lock */
};

/* libOS's statistics of p and of the children that it waited for become its parent's, which waits for it. Locks: process_lock. */
void usage_reap(struct process *parent, struct process *p);
/* Add what t, which ends after run_ns of CPU time, has used. Locks: process_lock. */
void usage_end(struct thread *t, uint64_t run_ns);
/* The current thread leaves its address space: remember how large it was. */
void usage_leave_mm(void);
/* CPU time of a thread, divided. Locks: takes process_lock. */
void thread_cpu_split(struct thread *t, struct cpu_told *ret);
/* CPU time of all threads of p, ended ones included, divided. Locks: takes process_lock. */
void process_cpu_split(struct process *p, struct cpu_told *ret);

/* Guards the process tree and the pid table. RANK_PROCESS. */
extern struct spin process_lock;

/* The process of the current thread. */
static inline struct process *process_current(void)
{
    return thread_current()->process;
}

/* The first process (pid 1), with one thread that will run fn(arg) once sched_start(thread) is called. It has signal
 * actions, credentials (all-powerful root: what is to run as somebody else changes them), limits, an empty descriptor table
 * and a fresh fs_context, but no mm yet: execve gives it one. Called once. -ENOMEM. */
NODISCARD int process_create_first(void (*fn)(void *), void *arg, struct thread **ret_thread);
/* A new process, child of the current one, not yet in the table: pid is set by thread_publish of its first thread. One
 * reference. NULL: out of memory. */
struct process *process_create(void);
/* Make t findable and a member of its process, which thread_create said. All shared objects are set. traced: the current
 * thread's tracer traces it too. -EINTR: the group ends or execs, t must not start. */
NODISCARD int thread_publish(struct thread *t, bool traced);
/* Undo thread_create of a thread that was not published. */
void thread_discard(struct thread *t);
/* Call fn for each process (pgid 0), or each of one process group, with process_lock held, until it returns not 0. What
 * it returned last. */
int process_each(int pgid, int (*fn)(struct process *p, void *arg), void *arg);
/* The number of the first process from this one on, zombies included; -1. Locks: takes process_lock. */
int process_next(int from);
/* The process with this pid; process_lock is held, no reference is taken. NULL. */
struct process *process_find_locked(int pid);
/* Processes that exist. */
unsigned process_count(void);
/* A reference to the process with this pid; NULL. */
struct process *process_find(int pid);
void process_get(struct process *p);
void process_put(struct process *p);

/* The current thread finds no memory: kill the process whose death helps most, unless one is on its way out, and wait a
 * little. False: the current process itself ends. Sleeps. */
NODISCARD bool oom_wait(void);
/* /proc/PID/oom_score. */
int oom_score(struct process *p);

/* Begin the end of the thread group with this wait status; the caller then leaves through thread_exit or its signal
 * work. The first caller's status counts. */
void process_exit_group(int status);

/* execve, before its point of no return: end all other threads, wait until they are gone, and become the leader; signal
 * actions are no longer shared with other processes. -EAGAIN: the group ends, or another thread execs. -ENOMEM. May sleep. */
NODISCARD int process_exec_alone(void);
/* execve, past it: timer_create timers go. */
void process_exec_timers(struct process *p);

/* Write the current process's core file, all of whose other threads wait in core_park. True: there is one. libos/load. */
bool core_write(const struct abi_siginfo *info, size_t limit);
/* The other threads of the current process that are part of its dump, in order; up to max, how many. Valid until the dump
 * ends. */
size_t core_threads(struct thread **ret, size_t max);
/* SIGKILL came during the dump: it should end. */
bool core_interrupted(void);

/* A resource limit's soft value. */
uint64_t process_limit(struct process *p, unsigned resource);

/* Set up and tear down the timers of a process (libos/time). */
void process_init_timers(struct process *p);
void process_exit_timers(struct process *p);
/* A timer or limit on CPU time was set: see that it is looked at. */
void cpu_timers_changed(struct process *p);
/* The limits that a first process starts with. */
void limits_init(struct process *p);
/* prlimit64: new and ret_old may be NULL. -EINVAL, -EPERM (raising the hard limit). */
NODISCARD int process_set_limit(struct process *p, unsigned resource, const struct abi_rlimit *new,
                                struct abi_rlimit *ret_old);
/* Of process_rusage only: SELF and CHILDREN, as wait4(2) tells. */
#define RUSAGE_BOTH (-2)

/* What getrusage(2) says: who is RUSAGE_*; p NULL: the current process. */
void process_rusage(struct process *p, int who, struct abi_rusage *ret);
/* CPU time of all threads of p, ended ones included, in ns. */
uint64_t process_cpu_ns(struct process *p);

/* Process groups and sessions; pid 0: the current process. -ESRCH, -EPERM, -EACCES (it has called execve), -EINVAL. */
NODISCARD int process_set_group(int pid, int pgid);
int process_get_group(int pid);
int process_get_session(int pid);
int process_new_session(void); /* the new session's id */
int process_parent_pid(void);
/* Nobody who could continue it looks after this group: terminals do not stop it. Locks: takes process_lock. */
bool process_group_orphaned(int pgid);

/* wait4 and waitid: find or wait for a child. What was found in *ret; pid 0 with WNOHANG: none yet. -ECHILD, -ERESTARTSYS. */
struct wait_request {
    int which; /* P_ALL, P_PID, P_PGID, P_PIDFD */
    int id;
    struct process *process; /* of P_PIDFD; borrowed */
    unsigned options;        /* W* */
};
struct wait_result {
    int pid, status, code; /* wait status; CLD_* */
    uint32_t uid;
    struct abi_rusage usage;
};
NODISCARD int process_wait(const struct wait_request *req, struct wait_result *ret);
/* The last thread of p ended, and no tracer stands between: tell the parent, or reap at once. process_lock is held. True: it was
 * reaped and the caller drops the table's reference. */
bool process_report_end(struct process *p);
/* Tell p's parent that it ended, stopped or went on (CLD_*). process_lock is held. */
void process_notify_parent(struct process *p, int code, int status);

/* unshare(2): -EPERM, -EINVAL, -ENOMEM. */
NODISCARD int process_unshare(unsigned long flags);

/* clone(2) in all its forms. */
struct clone_request {
    uint64_t flags; /* CLONE_*, without CSIGNAL */
    int exit_signal;
    uintptr_t stack; /* the child's stack pointer; 0: the parent's */
    uintptr_t tls, parent_tid, child_tid, pidfd;
    int tid; /* the number that the child shall have; 0: any */
};
/* The child's tid. -EINVAL, -EAGAIN, -ENOMEM, -EPERM (namespaces), -EEXIST (number), -EFAULT, -EMFILE, -ENFILE (pidfd). */
long process_clone(const struct clone_request *req);

/* The credentials of the first process. NULL: out of memory. */
struct cred *cred_create_root(void);
/* Give t, which has none, these credentials (borrowed); t counts as its user's from now on. -EAGAIN (RLIMIT_NPROC of the
 * current process; the powerful are exempt). */
NODISCARD int thread_set_cred(struct thread *t, struct cred *c);
/* t does not count any more, or with keep_as_process stays counted as its process until that is reaped. process_lock is
 * held, or nobody else can see t. */
void thread_uncount(struct thread *t, bool keep_as_process);
/* The process of the leader that ended does not count any more. process_lock is held. */
void process_uncount(struct process *p);
/* RLIMIT_NPROC as execve looks at it: the thread changed its user id when the new user had too many. */
bool thread_over_limit(void);
/* Take or drop a reference; the last one frees. cred_get returns c. */
struct cred *cred_get(struct cred *c);
void cred_put(struct cred *c);
/* A private copy to change and then install with cred_install (which takes it). NULL: out of memory. */
struct cred *cred_copy(const struct cred *c);
/* Make take_cred the current thread's. When what it may do changes, others may not look into its memory any more, and it
 * forgets PR_SET_PDEATHSIG. -ENOMEM: uid is a new user's and there is no memory; nothing changed.
 * Locks: takes process_lock, sig_lock, RANK_ACCOUNTS. */
NODISCARD int cred_install(struct cred *take_cred);
/* The same without these consequences, for a moment: access(2). The old ones, with the reference, to put back in this way. */
struct cred *cred_swap(struct cred *take_cred);
/* True when the current thread has the capability (CAP_*). */
bool cred_capable(unsigned cap);
/* True when the current thread's file-system ids include group gid. */
bool cred_in_group(const struct cred *c, uint32_t gid);

/* End the VM when the first process ends: status is its wait status. Defined in apps/kernel. */
NORETURN void machine_exit(int wait_status);

#endif
