/* SPDX-License-Identifier: MIT */
/* Who a program is after execve: set-id bits, file capabilities, no_new_privs, tracers, unreadable files; what takes the bits
 * and capabilities of a file away; limits that count per user. Run as root; children become users. The program executes
 * copies of itself, which say who they are. */
#define _GNU_SOURCE
#include <t.h>

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

enum { USER = 1234, OTHER = 4321, GROUP = 77, SPECIAL = 5 };
enum { CAP_CHOWN = 0, CAP_NET_RAW = 13, CAP_SYS_TIME = 25 };

struct who {
    unsigned uid, euid, gid, egid, secure, dumpable, pdeath, personality;
    unsigned long permitted, effective;
};

static char copy[64];
static char *const no_env[] = { NULL };

static void report(void)
{
    struct {
        unsigned version;
        int pid;
    } h = { 0x20080522, 0 };
    unsigned caps[6];
    int sig = 0;
    call(SYS_capget, &h, caps);
    call(SYS_prctl, PR_GET_PDEATHSIG, &sig, 0, 0, 0);
    struct who w = {
        .uid = getuid(),
        .euid = geteuid(),
        .gid = getgid(),
        .egid = getegid(),
        .secure = (unsigned)getauxval(AT_SECURE),
        .dumpable = (unsigned)call(SYS_prctl, PR_GET_DUMPABLE, 0, 0, 0, 0),
        .pdeath = (unsigned)sig,
        .personality = (unsigned)call(SYS_personality, 0xffffffff),
        .permitted = caps[1] | (unsigned long)caps[4] << 32,
        .effective = caps[0] | (unsigned long)caps[3] << 32,
    };
    _exit(write(1, &w, sizeof(w)) == sizeof(w) ? 0 : 1);
}

enum how {
    PLAIN = 0,
    NO_NEW_PRIVS = 1,
    TRACED = 2, /* by the test, which is root; TRACED_WEAK: without CAP_SYS_PTRACE */
    SHARED_FS = 8,
    ODD_PERSONALITY = 16
};

/* Become uid and execute the copy; what it says. Its error when it could not. */
static long run(unsigned uid, unsigned how, struct who *w)
{
    int fds[2], status;
    memset(w, 0xff, sizeof(*w));
    CHECK(0, pipe(fds));
    long pid = call(SYS_fork);
    if (pid == 0) {
        char *argv[] = { copy, "report", NULL };
        dup2(fds[1], 1);
        call(SYS_setgroups, 0, NULL);
        call(SYS_setresgid, uid, uid, uid);
        call(SYS_setresuid, uid, uid, uid);
        call(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
        if (how & NO_NEW_PRIVS)
            call(SYS_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
        if (how & TRACED)
            call(SYS_ptrace, PTRACE_TRACEME, 0, 0, 0);
        if (how & ODD_PERSONALITY)
            call(SYS_personality, 0x0040000 | 0x0200000);
        long self = getpid();
        if (how & SHARED_FS && call(SYS_clone, CLONE_FS | SIGCHLD, 0, 0, 0, 0) == 0) {
            while (call(SYS_getppid) == self)
                usleep(10000);
            _exit(0);
        }
        _exit((int)-call(SYS_execve, copy, argv, no_env));
    }
    while (waitpid((int)pid, &status, 0) == pid && WIFSTOPPED(status))
        call(SYS_ptrace, PTRACE_CONT, pid, 0, 0);
    close(fds[1]);
    if (WEXITSTATUS(status) == 0)
        CHECK(sizeof(*w), read(fds[0], w, sizeof(*w)));
    close(fds[0]);
    return -WEXITSTATUS(status);
}

static void owned(unsigned uid, unsigned gid, int mode)
{
    CHECK(0, chown(copy, uid, gid));
    CHECK(0, chmod(copy, (mode_t)mode));
}

static long set_caps(unsigned long permitted, unsigned long inheritable, unsigned flags,
                     unsigned root)
{
    unsigned v[6] = {
        0x02000000 | flags,          (unsigned)permitted,           (unsigned)inheritable,
        (unsigned)(permitted >> 32), (unsigned)(inheritable >> 32), root
    };
    if (root)
        v[0] = 0x03000000 | flags;
    return call(SYS_setxattr, copy, "security.capability", v, root ? 24 : 20, 0);
}

static void set_bits(void)
{
    struct who w;
    owned(0, 0, 0755);
    CHECK(0, run(USER, PLAIN, &w));
    CHECK(USER, w.euid);
    CHECK(0, w.secure);
    CHECK(1, w.dumpable);
    CHECK(SIGKILL, w.pdeath);
    CHECK(0, w.permitted | w.effective);
    CHECK(0, run(USER, ODD_PERSONALITY, &w));
    CHECK(0x0240000, w.personality);

    owned(0, GROUP, 06755);
    CHECK(0, run(USER, PLAIN, &w));
    CHECK(USER, w.uid);
    CHECK(0, w.euid);
    CHECK(USER, w.gid);
    CHECK(GROUP, w.egid);
    CHECK(1, w.secure);
    CHECK(0, w.dumpable);
    CHECK(0, w.pdeath);
    CHECK(true, w.permitted == w.effective && w.permitted >> CAP_SYS_TIME & 1);
    CHECK(0, run(USER, ODD_PERSONALITY, &w));
    CHECK(0, w.personality);
    CHECK(0, run(USER, NO_NEW_PRIVS, &w));
    CHECK(USER, w.euid);
    CHECK(USER, w.egid);
    CHECK(0, w.permitted);
    CHECK(0, w.secure);
    CHECK(1, w.dumpable);
    CHECK(0, run(USER, SHARED_FS, &w));
    CHECK(USER, w.euid);
    CHECK(USER, w.egid);
    /* TRACEME ties with the program's own credentials, which are weak. */
    CHECK(0, run(USER, TRACED, &w));
    CHECK(USER, w.euid);
    CHECK(0, w.permitted);
    /* Root traces and shares what it likes. */
    CHECK(0, run(0, TRACED | SHARED_FS, &w));
    CHECK(GROUP, w.egid);
    CHECK(1, w.secure);

    owned(OTHER, GROUP, 04755);
    CHECK(0, run(USER, PLAIN, &w));
    CHECK(OTHER, w.euid);
    CHECK(USER, w.egid);
    CHECK(0, w.permitted);
    CHECK(1, w.secure);
    CHECK(0, run(0, PLAIN, &w)); /* root becomes less, and keeps what its real id permits */
    CHECK(OTHER, w.euid);
    CHECK(true, w.permitted != 0);
    CHECK(0, w.effective);
    owned(0, GROUP, 02745); /* without group execute it is a mark for locks */
    CHECK(0, run(USER, PLAIN, &w));
    CHECK(USER, w.egid);
    owned(0, 0, 0711); /* not to be read */
    CHECK(0, run(USER, PLAIN, &w));
    CHECK(0, w.dumpable);
    CHECK(0, w.secure);
    CHECK(0, run(0, PLAIN, &w));
    CHECK(1, w.dumpable);
    owned(0, 0, 0644);
    CHECK(-EACCES, run(USER, PLAIN, &w));
    CHECK(-EACCES, run(0, PLAIN, &w));
}

static void file_caps(void)
{
    struct who w;
    const unsigned long raw = 1ul << CAP_NET_RAW, time = 1ul << CAP_SYS_TIME;
    owned(0, 0, 0755);
    CHECK(0, set_caps(raw | time, 0, 1, 0));
    CHECK(0, run(USER, PLAIN, &w));
    CHECK(raw | time, w.permitted);
    CHECK(raw | time, w.effective);
    CHECK(1, w.secure);
    CHECK(0, w.dumpable);
    CHECK(USER, w.euid);
    CHECK(0, run(USER, NO_NEW_PRIVS, &w));
    CHECK(0, w.permitted | w.effective);
    CHECK(0, run(USER, TRACED, &w));
    CHECK(0, w.permitted | w.effective);
    CHECK(0, set_caps(raw, 0, 0, 0));
    CHECK(0, run(USER, PLAIN, &w));
    CHECK(raw, w.permitted);
    CHECK(0, w.effective);
    CHECK(0, run(USER, NO_NEW_PRIVS, &w));
    CHECK(0, w.permitted);
    CHECK(0, set_caps(0, raw, 1, 0)); /* only of what was inherited: nothing */
    CHECK(0, run(USER, PLAIN, &w));
    CHECK(0, w.permitted);
    CHECK(0, set_caps(raw, 0, 1, 99)); /* for another name space's root */
    CHECK(0, run(USER, PLAIN, &w));
    CHECK(0, w.permitted);
    CHECK(0, w.secure);
    /* Set-user-ID root with capabilities: a user gets these alone. */
    CHECK(0, set_caps(raw, 0, 1, 0));
    CHECK(0, chmod(copy, 04755));
    CHECK(0, run(USER, PLAIN, &w));
    CHECK(0, w.euid);
    CHECK(raw, w.permitted);
    CHECK(0, run(0, PLAIN, &w));
    CHECK(time, w.permitted & time);
    CHECK(0, removexattr(copy, "security.capability"));
}

static long caps_size(void)
{
    char v[24];
    return call(SYS_getxattr, copy, "security.capability", v, sizeof(v));
}

/* As uid 1234, with the file open for writing by everybody. */
static void user_touches(long how)
{
    int status;
    long pid = call(SYS_fork);
    if (pid == 0) {
        call(SYS_setresuid, USER, USER, USER);
        long fd = call(SYS_open, copy, O_WRONLY | O_APPEND);
        long err = how == 0   ? call(SYS_write, fd, "x", 1)
                   : how == 1 ? call(SYS_ftruncate, fd, 1 << 30)
                   : how == 2 ? call(SYS_fallocate, fd, 0, 0, 10)
                              : call(SYS_removexattr, copy, "security.capability");
        _exit(err < 0 ? (int)-err : 0);
    }
    CHECK(pid, waitpid((int)pid, &status, 0));
    CHECK(how == 3 ? EPERM : 0, WEXITSTATUS(status));
}

static void taking_away(void)
{
    struct stat st;
    unsigned v[6] = { 0x01000000, 1, 0 };
    CHECK(-EINVAL, call(SYS_setxattr, copy, "security.capability", v, 12, 0));
    CHECK(-EINVAL, call(SYS_setxattr, copy, "security.capability", v, 20, 0));
    v[0] = 0x03000000;
    CHECK(-EINVAL, call(SYS_setxattr, copy, "security.capability", v, 20, 0));
    CHECK(0, call(SYS_setxattr, copy, "security.capability", v, 24, 0));
    CHECK(20, caps_size()); /* root's own: in the older form */
    CHECK(0, set_caps(1, 0, 0, 99));
    CHECK(24, caps_size());
    for (long how = 0; how < 4; how++) {
        owned(0, GROUP, 06777);
        CHECK(0, set_caps(1, 0, 0, 0));
        CHECK(20, caps_size());
        user_touches(how);
        CHECK(0, stat(copy, &st));
        CHECK(how == 3 ? 06777 : 0777, st.st_mode & 07777);
        CHECK(how == 3 ? 20 : -ENODATA, caps_size());
    }
    /* Root's write leaves the bits, and takes the capabilities. */
    owned(0, GROUP, 06777);
    CHECK(0, set_caps(1, 0, 0, 0));
    CHECK(0, truncate(copy, 1 << 20));
    CHECK(0, stat(copy, &st));
    CHECK(06777, st.st_mode & 07777);
    CHECK(-ENODATA, caps_size());
    CHECK(0, set_caps(1, 0, 0, 0));
    CHECK(0, chown(copy, -1, -1)); /* any chown takes all */
    CHECK(0, stat(copy, &st));
    CHECK(0777, st.st_mode & 07777);
    CHECK(-ENODATA, caps_size());
    CHECK(0, set_caps(1, 0, 0, 0));
    CHECK(0, chmod(copy, 0755));
    CHECK(20, caps_size());
}

/* RLIMIT_NPROC: processes, threads and zombies of the real user; execve looks when the user changed. */
static void nproc(void)
{
    int status, fds[2];
    char c;
    CHECK(0, pipe(fds));
    long pid = call(SYS_fork);
    if (pid == 0) {
        t_failures = 0;
        struct rlimit lim = { 3, 3 };
        CHECK(0, call(SYS_setrlimit, RLIMIT_NPROC, &lim));
        CHECK(0, call(SYS_setresuid, SPECIAL, SPECIAL, SPECIAL));
        for (int i = 0; i < 2; i++) {
            long child = call(SYS_fork);
            if (child == 0) {
                if (i == 0)
                    _exit(0);
                read(fds[0], &c, 1);
                _exit(0);
            }
            CHECK(true, child > 0);
        }
        CHECK(-EAGAIN, call(SYS_fork)); /* one lives, one may be a zombie: it counts too */
        CHECK(1, write(fds[1], "x", 1));
        CHECK(true, wait(&status) > 0);
        CHECK(true, wait(&status) > 0);
        CHECK(-ECHILD, call(SYS_wait4, -1, NULL, 0, NULL));
        pid = call(SYS_fork);
        if (pid == 0)
            _exit(0);
        CHECK(true, pid > 0);
        CHECK(pid, waitpid((int)pid, &status, 0));
        _exit(t_failures ? 1 : 0);
    }
    CHECK(pid, waitpid((int)pid, &status, 0));
    CHECK(0, status);
    close(fds[0]);
    close(fds[1]);
}

/* Who changes to a user with too many processes does not hear of it before execve. */
static void nproc_exec(void)
{
    struct who w;
    int status;
    long busy = call(SYS_fork);
    if (busy == 0) {
        call(SYS_setresuid, SPECIAL, SPECIAL, SPECIAL);
        call(SYS_fork);
        for (;;)
            pause();
    }
    usleep(100000);
    owned(0, 0, 0755);
    struct rlimit none = { 0, 4096 }, old;
    CHECK(0, getrlimit(RLIMIT_NPROC, &old));
    none.rlim_max = old.rlim_max;
    CHECK(0, setrlimit(RLIMIT_NPROC, &none));
    CHECK(-EAGAIN, run(SPECIAL, PLAIN, &w));
    CHECK(0, run(0, PLAIN, &w)); /* root is exempt */
    CHECK(0, setrlimit(RLIMIT_NPROC, &old));
    CHECK(0, run(SPECIAL, PLAIN, &w));
    /* All of a user: kill(-1) as that user, sparing itself. */
    long pid = call(SYS_fork);
    if (pid == 0) {
        call(SYS_setresuid, SPECIAL, SPECIAL, SPECIAL);
        _exit(call(SYS_kill, -1, SIGKILL) ? 1 : 0);
    }
    CHECK(pid, waitpid((int)pid, &status, 0));
    CHECK(busy, waitpid((int)busy, &status, 0));
    CHECK(SIGKILL, status);
    while (wait(&status) > 0) /* the other one too, where the test is process 1 */
        ;
}

/* RLIMIT_SIGPENDING: a queued real-time signal counts against its receiver's user. */
static void sigpending_limit(void)
{
    int status;
    long pid = call(SYS_fork);
    if (pid == 0) {
        t_failures = 0;
        uint64_t all = ~0ull;
        siginfo_t info = { 0 };
        info.si_signo = 40;
        info.si_code = SI_QUEUE;
        struct rlimit lim = { 2, 2 };
        CHECK(0, call(SYS_setresuid, SPECIAL, SPECIAL, SPECIAL));
        CHECK(0, call(SYS_setrlimit, RLIMIT_SIGPENDING, &lim));
        CHECK(0, call(SYS_rt_sigprocmask, SIG_BLOCK, &all, NULL, 8));
        CHECK(0, call(SYS_rt_sigqueueinfo, getpid(), 40, &info));
        CHECK(0, call(SYS_rt_sigqueueinfo, getpid(), 40, &info));
        CHECK(-EAGAIN, call(SYS_rt_sigqueueinfo, getpid(), 40, &info));
        CHECK(0, call(SYS_kill, getpid(), SIGUSR1)); /* old ones always */
        CHECK(0, call(SYS_kill, getpid(), 41));
        struct timespec now = { 0, 0 };
        CHECK(SIGUSR1, call(SYS_rt_sigtimedwait, &all, NULL, &now, 8));
        CHECK(40, call(SYS_rt_sigtimedwait, &all, NULL, &now, 8));
        CHECK(0, call(SYS_rt_sigqueueinfo, getpid(), 40, &info));
        _exit(t_failures ? 1 : 0);
    }
    CHECK(pid, waitpid((int)pid, &status, 0));
    CHECK(0, status);
}

int main(int argc, char **argv)
{
    static char data[1 << 20];
    if (argc > 1 && !strcmp(argv[1], "report"))
        report();
    snprintf(copy, sizeof(copy), "/tmp/t_setid.%d", getpid());
    long from = call(SYS_open, "/proc/self/exe", O_RDONLY);
    long to = call(SYS_open, copy, O_WRONLY | O_CREAT | O_EXCL, 0755);
    for (long n; (n = call(SYS_read, from, data, sizeof(data))) > 0;)
        CHECK(n, call(SYS_write, to, data, n));
    CHECK(0, call(SYS_close, to));
    set_bits();
    file_caps();
    nproc();
    nproc_exec();
    sigpending_limit();
    taking_away();
    CHECK(0, call(SYS_unlink, copy));
    return t_end();
}
