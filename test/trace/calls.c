/* SPDX-License-Identifier: MIT */
/* Real Linux system calls through our decoder, its lines written to standard output. compare.py runs this under strace
 * and compares: what both print about the same call must be the same. Left out are calls of which strace knows more than
 * the table says (fcntl, futex, poll). */
#define _GNU_SOURCE
#include <libos/sys.h>
#include <libos/thread.h>
#include <libos/trace.h>
#include <libos/user.h>
#include <sys_proto.h>

#include <base/log.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

/* The three ends of the decoder: the call, the program's memory, the output. */
static long linux_call(long nr, long a0, long a1, long a2, long a3, long a4, long a5)
{
    register long r10 __asm__("r10") = a3, r8 __asm__("r8") = a4, r9 __asm__("r9") = a5;
    long ret;
    __asm__ volatile("syscall"
                     : "=a"(ret)
                     : "a"(nr), "D"(a0), "S"(a1), "d"(a2), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return ret;
}

long upcall_syscall(unsigned long a0, unsigned long a1, unsigned long a2, unsigned long a3,
                    unsigned long a4, unsigned long a5, unsigned long nr)
{
    return linux_call((long)nr, (long)a0, (long)a1, (long)a2, (long)a3, (long)a4, (long)a5);
}

unsigned sys_missed(unsigned long nr)
{
    return nr == 0;
}

static long self; /* process id */

int user_read_raw(void *dst, uintptr_t src, size_t n)
{
    struct {
        void *base;
        size_t len;
    } local = { dst, n }, remote = { (void *)src, n };
    long got = linux_call(SYS_process_vm_readv, self, (long)&local, 1, (long)&remote, 1, 0);
    return got == (long)n ? 0 : -EFAULT;
}

static char output[65536];
static size_t used;

void log_raw(const char *text, size_t len)
{
    memcpy(output + used, text, len);
    used += len;
}

void sys_set_calls(const char *(*name)(unsigned long nr), unsigned (*missed)(unsigned long nr))
{
    (void)name, (void)missed;
}

/* Nobody traces this thread but the decoder. */
bool sys_decoding(void)
{
    return true;
}

bool trace_call_begin(unsigned long args[6], unsigned long *nr, long *ret)
{
    return true;
}

long trace_call_end(long ret)
{
    return ret;
}

struct plat_host_cpu plat_host_cpu;

#define call(...) CALL(__VA_ARGS__, 0, 0, 0, 0, 0, 0, 0)
#define CALL(nr, a, b, c, d, e, f, ...)                                                            \
    upcall_syscall_traced((unsigned long)(a), (unsigned long)(b), (unsigned long)(c),              \
                          (unsigned long)(d), (unsigned long)(e), (unsigned long)(f), (nr))

static char buf[4096];

static void files(void)
{
    static const char bytes[] = "a\tb\n\"q\"\\\1\0012\377\033[0m";
    struct abi_stat st;
    int fds[2];

    call(SYS_openat, AT_FDCWD, "/nonexistent/file", O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    call(SYS_openat, AT_FDCWD, "/nonexistent/file", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0);
    int fd = (int)call(SYS_openat, AT_FDCWD, "/etc/passwd", O_RDONLY | O_CLOEXEC);
    call(SYS_read, fd, buf, 10);
    call(SYS_read, fd, buf, 100);
    call(SYS_pread64, fd, buf, 16, 0);
    call(SYS_lseek, fd, 0, SEEK_END);
    call(SYS_read, fd, buf, 100);
    call(SYS_fstat, fd, &st);
    call(SYS_newfstatat, AT_FDCWD, "/dev/null", &st, 0);
    call(SYS_newfstatat, AT_FDCWD, "/etc", &st, AT_SYMLINK_NOFOLLOW);
    call(SYS_newfstatat, fd, "", &st, AT_EMPTY_PATH);
    call(SYS_stat, "/nonexistent", &st);
    call(SYS_close, fd);
    call(SYS_close, fd);
    fd = (int)call(SYS_openat, AT_FDCWD, "/dev/null", O_WRONLY);
    call(SYS_write, fd, bytes, sizeof(bytes) - 1);
    call(SYS_write, fd, buf, 4000);
    call(SYS_write, fd, 16, 1);
    call(SYS_readlink, "/proc/self/fd/0x", buf, 100);
    call(SYS_access, "/etc/passwd", R_OK | W_OK);
    call(SYS_access, "/etc/passwd", F_OK);
    call(SYS_mkdir, "/etc/passwd", 0755);
    call(SYS_umask, 022);
    call(SYS_getcwd, 16, 100);
    call(SYS_pipe2, fds, O_CLOEXEC | O_NONBLOCK);
    call(SYS_read, fds[0], buf, 1);
    call(SYS_unlinkat, AT_FDCWD, "/nonexistent", AT_REMOVEDIR);
    call(SYS_renameat2, AT_FDCWD, "/nonexistent", AT_FDCWD, "/nonexistent2", RENAME_NOREPLACE);
    call(SYS_open, 16, O_RDONLY);
}

static void memory_and_time(void)
{
    struct abi_timespec ts = { 0, 1000 };
    struct abi_itimerval it = { { 0, 0 }, { 0, 0 } };

    long p =
        (long)upcall_syscall_traced(0, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
                                    (unsigned long)-1, 0, SYS_mmap);
    call(SYS_mprotect, p, 4096, PROT_READ);
    call(SYS_mprotect, p, 4096, PROT_NONE);
    call(SYS_munmap, p, 8192);
    call(SYS_madvise, p, 4096, MADV_DONTNEED);
    call(SYS_munmap, p, 0);
    call(SYS_clock_getres, CLOCK_MONOTONIC, &ts);
    call(SYS_clock_getres, CLOCK_PROCESS_CPUTIME_ID, &ts);
    ts.tv_nsec = 1000000000;
    call(SYS_nanosleep, &ts, 0);
    call(SYS_clock_nanosleep, CLOCK_REALTIME, TIMER_ABSTIME, &ts, 0);
    call(SYS_getitimer, ITIMER_REAL, &it);
    call(SYS_gettimeofday, 16, 0);
    call(SYS_sched_yield);
}

static void processes(void)
{
    struct abi_sigaction sa = { ABI_SIG_IGN, SA_RESTART | SA_RESTORER, 0x1000,
                                ABI_SIGBIT(SIGINT) | ABI_SIGBIT(SIGCHLD) };
    abi_sigset set = ABI_SIGBIT(SIGUSR1) | ABI_SIGBIT(SIGTERM), old;
    struct abi_rlimit rl;
    struct abi_stack ss;

    call(SYS_getpid);
    call(SYS_gettid);
    call(SYS_getppid);
    call(SYS_getuid);
    call(SYS_rt_sigaction, SIGUSR2, &sa, 0, 8);
    call(SYS_rt_sigaction, SIGUSR2, 0, &sa, 8);
    call(SYS_rt_sigaction, SIGKILL, &sa, 0, 8);
    call(SYS_rt_sigprocmask, SIG_BLOCK, &set, &old, 8);
    set = ~0ul;
    call(SYS_rt_sigprocmask, SIG_BLOCK, &set, &old, 8);
    call(SYS_rt_sigprocmask, SIG_SETMASK, &old, 0, 8);
    call(SYS_sigaltstack, 0, &ss);
    call(SYS_kill, 0, 0);
    call(SYS_kill, 99999999, SIGTERM);
    call(SYS_prlimit64, 0, RLIMIT_CORE, 0, &rl);
    call(SYS_prlimit64, 0, RLIMIT_RTPRIO, 0, 16);
    call(SYS_wait4, -1, 0, WNOHANG, 0);
    call(SYS_sched_getparam, 0, 16);
    call(SYS_getgroups, -1, 0);
}

static void waiting(void)
{
    struct abi_epoll_event e = { EPOLLIN | EPOLLET, 7 };

    int ep = (int)call(SYS_epoll_create1, EPOLL_CLOEXEC);
    call(SYS_epoll_ctl, ep, EPOLL_CTL_DEL, 0, 0);
    call(SYS_epoll_ctl, ep, EPOLL_CTL_MOD, 99, 16);
    call(SYS_epoll_wait, ep, &e, 1, 0);
    call(SYS_eventfd2, 3, EFD_CLOEXEC | EFD_NONBLOCK | EFD_SEMAPHORE);
    call(SYS_timerfd_create, CLOCK_MONOTONIC, TFD_CLOEXEC);
    call(SYS_inotify_init1, IN_CLOEXEC);
}

int main(void)
{
    static struct thread thread = { .tid = 1 };

    plat_host_cpu.current = &thread.plat;
    self = linux_call(SYS_getpid, 0, 0, 0, 0, 0, 0);
    linux_call(SYS_getpgid, 0, 0, 0, 0, 0, 0); /* the first mark for compare.py */
    files();
    memory_and_time();
    processes();
    waiting();
    linux_call(SYS_getpgid, 0, 0, 0, 0, 0, 0); /* the last one */
    return linux_call(SYS_write, 1, (long)output, (long)used, 0, 0, 0) != (long)used;
}
