/* SPDX-License-Identifier: MIT */
/* Random system calls from the table. In process (T_IN_PROCESS) one thread makes those that neither wait nor end it, under
 * the sanitizers; in the guest children of process 1 make any, three threads each, and may do to themselves what they
 * like. On a kernel with hook.c allocations fail now and then, and what a child leaves behind is noticed. The machine must
 * live, and files be what they were. It refuses to run on Linux, to which nothing of this is meant.
 * usage: sys_fuzz [FIRST-SEED [COUNT]] */
#define _GNU_SOURCE
#include "sys_fuzz.h"

#include "fault.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/resource.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { CALLS = 400, USER = 4321, STACK = 65536, PATIENCE = 20000, ASLEEP = 20, AGAIN = 6 };

#ifdef T_IN_PROCESS
enum { IN_PROCESS = 1 };
#else
enum { IN_PROCESS = 0 };
#endif

static bool hooked;

/* Calls that are left out everywhere: the machine would end, or its time jump. As root, also those that reach everybody. */
static const short never[] = { SYS_reboot,        SYS_clock_settime, SYS_settimeofday,
                               SYS_clock_adjtime, SYS_adjtimex,      SYS_restart_syscall,
                               SYS_vhangup };
#ifndef T_IN_PROCESS
static const short not_as_root[] = { SYS_kill,
                                     SYS_tkill,
                                     SYS_tgkill,
                                     SYS_rt_sigqueueinfo,
                                     SYS_rt_tgsigqueueinfo,
                                     SYS_pidfd_send_signal,
                                     SYS_ptrace,
                                     SYS_process_vm_writev,
                                     SYS_prlimit64,
                                     SYS_mount,
                                     SYS_umount2,
                                     SYS_pivot_root,
                                     SYS_chroot,
                                     SYS_setpriority,
                                     SYS_sched_setscheduler,
                                     SYS_sched_setattr,
                                     SYS_sched_setparam,
                                     SYS_sched_setaffinity,
                                     SYS_move_mount,
                                     SYS_fsmount,
                                     SYS_open_tree };
#else
/* What ends the process, makes others, waits for what does not come, or changes the memory and signals that the test itself
 * stands on. */
static const short not_in_process[] = { SYS_close,
                                        SYS_exit,
                                        SYS_exit_group,
                                        SYS_fork,
                                        SYS_vfork,
                                        SYS_clone,
                                        SYS_clone3,
                                        SYS_execve,
                                        SYS_execveat,
                                        SYS_kill,
                                        SYS_tkill,
                                        SYS_tgkill,
                                        SYS_rt_sigqueueinfo,
                                        SYS_rt_tgsigqueueinfo,
                                        SYS_pidfd_send_signal,
                                        SYS_rt_sigreturn,
                                        SYS_pause,
                                        SYS_rt_sigsuspend,
                                        SYS_rt_sigtimedwait,
                                        SYS_rt_sigprocmask,
                                        SYS_rt_sigaction,
                                        SYS_sigaltstack,
                                        SYS_ptrace,
                                        SYS_seccomp,
                                        SYS_prctl,
                                        SYS_rseq,
                                        SYS_poll,
                                        SYS_ppoll,
                                        SYS_select,
                                        SYS_pselect6,
                                        SYS_epoll_wait,
                                        SYS_epoll_pwait,
                                        SYS_epoll_pwait2,
                                        SYS_wait4,
                                        SYS_waitid,
                                        SYS_futex,
                                        SYS_futex_waitv,
                                        SYS_nanosleep,
                                        SYS_clock_nanosleep,
                                        SYS_io_getevents,
                                        SYS_io_pgetevents,
                                        SYS_semop,
                                        SYS_semtimedop,
                                        SYS_msgsnd,
                                        SYS_msgrcv,
                                        SYS_mq_timedsend,
                                        SYS_mq_timedreceive,
                                        SYS_flock,
                                        SYS_setrlimit,
                                        SYS_prlimit64,
                                        SYS_arch_prctl,
                                        SYS_chroot,
                                        SYS_unshare,
                                        SYS_mknod,
                                        SYS_mknodat,
                                        SYS_shmat,
                                        SYS_munmap,
                                        SYS_mmap,
                                        SYS_mremap,
                                        SYS_mprotect,
                                        SYS_madvise,
                                        SYS_brk,
                                        SYS_remap_file_pages,
                                        SYS_pkey_mprotect,
                                        455 /* futex_wait */,
                                        SYS_close_range,
                                        SYS_dup2,
                                        SYS_dup3,
                                        SYS_mount,
                                        SYS_umount2,
                                        SYS_pivot_root,
                                        SYS_mlockall,
                                        SYS_personality,
                                        SYS_set_robust_list,
                                        SYS_set_tid_address,
                                        SYS_setuid,
                                        SYS_setresuid,
                                        SYS_setreuid,
                                        SYS_capset,
                                        SYS_sched_yield,
                                        SYS_accept,
                                        SYS_accept4,
                                        SYS_open,
                                        SYS_openat,
                                        SYS_openat2 };
#endif

static bool listed(const short *list, size_t n, int nr)
{
    for (size_t i = 0; i < n; i++)
        if (list[i] == nr)
            return true;
    return false;
}
#define LISTED(list, nr) listed(list, sizeof(list) / sizeof((list)[0]), nr)

/* What would make a descriptor wait. */
static bool waits(int nr, const long *a)
{
#ifdef T_IN_PROCESS
    if (nr == SYS_fcntl)
        return a[1] == F_SETFL || a[1] == F_SETLKW || a[1] == F_OFD_SETLKW || a[1] == F_SETLEASE;
    return nr == SYS_ioctl && a[1] == 0x5421 /* FIONBIO */;
#else
    (void)nr, (void)a;
    return false;
#endif
}

static const struct trace_call *choose(struct fuzz *f, bool root)
{
    for (;;) {
        const struct trace_call *c = &trace_calls[fuzz_pick(f, trace_call_count)];
        if (LISTED(never, c->nr))
            continue;
#ifdef T_IN_PROCESS
        if (LISTED(not_in_process, c->nr))
            continue;
#else
        if (root && LISTED(not_as_root, c->nr))
            continue;
#endif
        return c;
    }
}

static void make_calls(struct fuzz *f, bool root)
{
    long a[6];
    for (int i = 0; i < CALLS; i++) {
        const struct trace_call *c = choose(f, root);
        fuzz_arguments(f, c, a);
        if (waits(c->nr, a))
            continue;
        if (getenv("SYS_FUZZ_TRACE"))
            fprintf(stderr, "%d: call %u(%#lx, %#lx, %#lx, %#lx, %#lx, %#lx)\n", i, (unsigned)c->nr,
                    a[0], a[1], a[2], a[3], a[4], a[5]);
        if (hooked && fuzz_pick(f, 3) == 0)
            call(SYS_prctl, FAULT_PRCTL, FAULT_ARM, fuzz_pick(f, 8), 1 + fuzz_pick(f, 2));
        call(c->nr, a[0], a[1], a[2], a[3], a[4], a[5]);
        if (hooked)
            call(SYS_prctl, FAULT_PRCTL, FAULT_DISARM);
    }
}

#ifdef T_IN_PROCESS

/* In a file that nobody else knows: whatever the calls did, libOS still works. */
static void check_alive(void)
{
    char got[6] = "";
    long fd = call(SYS_memfd_create, "alive", 0);
    CHECK(5, call(SYS_pwrite64, fd, "alive", 5, 4090));
    CHECK(5, call(SYS_pread64, fd, got, 5, 4090));
    CHECK(0, strcmp(got, "alive"));
    CHECK(0, call(SYS_close, fd));
}

static void run(uint64_t seed)
{
    struct fuzz f = { .state = seed, .pids = { 0, 1, 0, 1 } };
    fuzz_setup();
    make_calls(&f, true);
    check_alive();
    call(SYS_umask, 022);
    call(SYS_chdir, "/");
    call(SYS_close_range, 3, ~0u, 0);
    call(SYS_munlockall);
}

static void prepare(void)
{
    uint64_t all = ~0ull;
    call(SYS_rt_sigprocmask, 0, &all, NULL, 8);
}

#else

struct part {
    struct fuzz f;
    bool root;
};

static int thread_main(void *arg)
{
    struct part *p = arg;
    make_calls(&p->f, p->root);
    return 0;
}

static void nothing(int sig)
{
    (void)sig;
}

/* Calls that wait are interrupted now and then. */
static void interrupt(void)
{
    struct sigaction act = { .sa_handler = nothing };
    struct itimerval often = { { 0, 2000 }, { 0, 2000 } };
    sigaction(SIGALRM, &act, NULL);
    setitimer(ITIMER_REAL, &often, NULL);
}

/* The child of a seed: as root or as somebody else, alone or as three threads. */
static void child(uint64_t seed)
{
    static char stacks[2][STACK] __attribute__((aligned(16)));
    static struct part parts[3];
    struct rlimit size = { 1 << 20, 1 << 20 }, memory = { 256 << 20, 256 << 20 },
                  procs = { 60, 60 };
    bool root = seed % 2;
    int null = open("/dev/null", O_RDWR);
    for (int i = 0; !getenv("SYS_FUZZ_TRACE") && i < 3; i++)
        dup2(null, i);
    setpgid(0, 0);
    setrlimit(RLIMIT_FSIZE, &size);
    setrlimit(RLIMIT_AS, &memory);
    setrlimit(RLIMIT_NPROC, &procs);
    if (!root && (setgid(USER) || setuid(USER)))
        _exit(1);
    fuzz_setup();
    if (chdir(FUZZ_DIR))
        _exit(1);
    int other = fork();
    if (other == 0)
        for (;;)
            call(SYS_pause);
    for (int i = 0; i < 3; i++) {
        parts[i] = (struct part){ { seed * 3 + (uint64_t)i, { 0, getpid(), other, other } }, root };
        if (i && seed % 4 >= 2)
            clone(thread_main, stacks[i - 1] + STACK,
                  CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM,
                  &parts[i]);
    }
    interrupt();
    thread_main(&parts[0]);
    kill(other, SIGKILL);
    _exit(0);
}

/* All that it left ends with it. */
static void end_everybody(void)
{
    while (kill(-1, SIGKILL) == 0 || waitpid(-1, NULL, WNOHANG) > 0)
        waitpid(-1, NULL, WNOHANG);
}

/* System V's objects and message queues outlive who made them. */
static void remove_ipc(void)
{
    static const char *const queues[] = { "a", "user.fuzz" };
    char room[256];
    for (int i = 0; i < 64; i++) {
        int id = msgctl(i, MSG_STAT, (struct msqid_ds *)room);
        if (id >= 0)
            msgctl(id, IPC_RMID, NULL);
        if ((id = semctl(i, 0, SEM_STAT, room)) >= 0)
            semctl(id, 0, IPC_RMID);
        if ((id = shmctl(i, SHM_STAT, (struct shmid_ds *)room)) >= 0)
            shmctl(id, IPC_RMID, NULL);
    }
    for (size_t i = 0; i < sizeof(queues) / sizeof(queues[0]); i++)
        call(SYS_mq_unlink, queues[i]);
}

static void remove_files(void)
{
    static const char *const names[] = {
        "/a", "/b", "/c", "/d/e", "/l", "/s", "/nothing", "/d", ""
    };
    char path[64];
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        snprintf(path, sizeof(path), FUZZ_DIR "%s", names[i]);
        if (unlink(path))
            rmdir(path);
    }
}

static void check_alive(void)
{
    static const char text[] = "what was written";
    char got[sizeof(text)] = "";
    int fd = open("/tmp/fuzz-witness", O_CREAT | O_RDWR | O_TRUNC, 0600);
    CHECK(sizeof(text), write(fd, text, sizeof(text)));
    CHECK(sizeof(text), pread(fd, got, sizeof(got), 0));
    CHECK(0, memcmp(text, got, sizeof(text)));
    close(fd);
    unlink("/tmp/fuzz-witness");
}

static char state_of(int pid)
{
    char path[32], text[512];
    snprintf(path, sizeof(path), "/proc/%d/stat", pid);
    int fd = open(path, O_RDONLY);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
    close(fd);
    text[n > 0 ? n : 0] = '\0';
    char *p = strrchr(text, ')');
    return p ? p[2] : '?';
}

/* Until it has ended, or sleeps for so long that it waits for nothing. */
static void run(uint64_t seed)
{
    int pid = fork();
    if (pid == 0)
        child(seed);
    for (int asleep = 0, i = 0; asleep < ASLEEP && i < PATIENCE; i++) {
        if (waitpid(pid, NULL, WNOHANG) == pid)
            break;
        usleep(500);
        asleep = state_of(pid) == 'R' ? 0 : asleep + 1;
    }
    end_everybody();
    remove_ipc();
    remove_files();
    check_alive();
}

static void prepare(void)
{
    int fd = open("/proc/self/oom_score_adj", O_WRONLY);
    CHECK(5, write(fd, "-1000", 5));
    close(fd);
}

#endif

static long objects(void)
{
    return hooked ? call(SYS_prctl, FAULT_PRCTL, FAULT_LIVE, FAULT_OBJECTS) : 0;
}

/* The same seed again and again must not leave more each time. */
static void run_measured(uint64_t seed)
{
    run(seed);
    if (!hooked || IN_PROCESS)
        return; /* what the one process there has made, it keeps */
    long before = objects();
    int grown = 0;
    for (int i = 0; i < AGAIN; i++) {
        call(SYS_prctl, FAULT_PRCTL, FAULT_MARK);
        run(seed);
        long now = objects();
        if (now <= before)
            return;
        grown += now > before;
        before = now;
    }
    if (!t_check(__FILE__, __LINE__, "grows each time", 1, grown < AGAIN)) {
        fprintf(stderr, "seed %llu leaves something behind\n", (unsigned long long)seed);
        call(SYS_prctl, FAULT_PRCTL, FAULT_LEAKS);
    }
}

/* In process there are no arguments: main is the first process's program. */
#ifdef T_IN_PROCESS
int main(void)
{
    const char *from = getenv("SYS_FUZZ_SEED"), *n = getenv("SYS_FUZZ_COUNT");
#else
int main(int argc, char **argv)
{
    const char *from = argc > 1 ? argv[1] : NULL, *n = argc > 2 ? argv[2] : NULL;
#endif
    uint64_t first = from ? strtoull(from, NULL, 10) : 1;
    int count = n ? atoi(n) : 300;
    if (!t_alcove()) {
        fprintf(stderr, "this is not for Linux\n");
        return 1;
    }
    hooked = call(SYS_prctl, FAULT_PRCTL, FAULT_LIVE, 0, 0, 0) > 0;
    prepare();
    for (int i = 0; i < count; i++) {
        if (getenv("SYS_FUZZ_TRACE"))
            fprintf(stderr, "seed %llu\n", (unsigned long long)(first + (uint64_t)i));
        run_measured(first + (uint64_t)i);
    }
    return t_end();
}
