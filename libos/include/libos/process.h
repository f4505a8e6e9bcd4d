/* SPDX-License-Identifier: MIT */
/* Processes (thread groups): identity, family, limits, end. */
#ifndef LIBOS_PROCESS_H
#define LIBOS_PROCESS_H

#include <abi/resource.h>
#include <libos/thread.h>
#include <libos/waitq.h>

/* Credentials: immutable once published, reference counted. */
struct cred {
    _Atomic uint32_t refs;
    uint32_t uid, gid, euid, egid, suid, sgid, fsuid, fsgid;
    uint64_t cap_permitted, cap_effective, cap_inheritable, cap_bounding, cap_ambient;
    uint32_t securebits;
    bool no_new_privs;
    uint32_t ngroups;
    uint32_t *groups; /* owned */
};

/* Signal actions, shared by CLONE_SIGHAND. */
struct sighand {
    _Atomic uint32_t refs;
    struct spin lock; /* also guards the pending signals of all threads and processes that use it */
    struct abi_sigaction action[64]; /* [n - 1] */
};

struct session;

struct process {
    int pid;                    /* of the leader: the thread group id */
    _Atomic uint32_t refs;
    struct thread *leader;      /* guarded by process_lock, as are the next ones */
    struct thread *threads;     /* utlist DL by next, prev */
    uint32_t nthreads;          /* alive */
    struct process *parent, *children, *sibling_next, *sibling_prev;
    int pgid, sid;
    struct tty *tty;            /* controlling terminal */
    bool is_session_leader;
    bool subreaper;
    bool exec_done;             /* has called execve since fork (setpgid) */

    struct sigpending pending;  /* shared; guarded by sighand->lock */
    bool exiting;               /* guarded by sighand->lock: the group ends with exit_code */
    int exit_code;              /* wait status */
    bool stopped, continued;    /* guarded by sighand->lock: job control */
    int stop_signal;
    bool zombie, reaped;        /* guarded by process_lock */
    int exit_signal;
    struct waitq child_wait;    /* parents sleep here */
    struct waitq exit_wait;     /* pidfd pollers */

    struct abi_rlimit rlimits[16]; /* guarded by limits_lock */
    struct spin limits_lock;
    uint64_t dead_run_ns, dead_user_ns;         /* of threads that ended */
    uint64_t child_run_ns, child_user_ns;       /* of children waited for */
    uint64_t dead_faults_minor, dead_faults_major, dead_switches_voluntary, dead_switches_forced;
    uint64_t child_faults_minor, child_faults_major;
    uint64_t start_time_ns;

    struct itimer *itimers;     /* ITIMER_*; libos/time */
    struct ktimer *timers;      /* timer_create; libos/time */
    char *cmdline;              /* saved argv for messages; owned */
    unsigned oom_score_adj;
};

/* Guards the process tree and the pid table. RANK_PROCESS. */
extern struct spin process_lock;

/* The process of the current thread. */
static inline struct process *process_current(void)
{
    return thread_current()->process;
}

/* The first process, with one thread that will run fn. Called once. */
NODISCARD int process_create_first(void (*fn)(void *), void *arg, struct thread **ret_thread);
/* A reference to the process with this pid; NULL. */
struct process *process_find(int pid);
void process_get(struct process *p);
void process_put(struct process *p);

/* Begin the end of the thread group with this wait status; the caller then leaves through thread_exit or its signal
 * work. The first caller's status counts. */
void process_exit_group(int status);

/* A resource limit's soft value. */
uint64_t process_limit(struct process *p, unsigned resource);

/* Take or drop a reference; the last one frees. cred_get returns c. */
struct cred *cred_get(struct cred *c);
void cred_put(struct cred *c);
/* A private copy to change and then install with cred_install (which takes it). NULL: out of memory. */
struct cred *cred_copy(const struct cred *c);
void cred_install(struct cred *take_cred);
/* True when the current thread has the capability (CAP_*). */
bool cred_capable(unsigned cap);
/* True when the current thread's file-system ids include group gid. */
bool cred_in_group(const struct cred *c, uint32_t gid);

/* End the VM when the first process ends: status is its wait status. Defined in apps/kernel. */
NORETURN void machine_exit(int wait_status);

#endif
