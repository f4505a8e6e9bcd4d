/* SPDX-License-Identifier: MIT */
/* Signal-driven I/O: F_SETOWN, F_SETSIG and O_ASYNC on pipes, sockets and terminals, leases, and F_NOTIFY. */
#define _GNU_SOURCE
#include <t_file.h>

#include <netinet/in.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <termios.h>

enum { RT = 40 };

static const uint64_t watched =
    1ull << (SIGIO - 1) | 1ull << (SIGURG - 1) | 1ull << (RT - 1) | 1ull << RT;

/* The next signal of those watched, waiting up to ms; 0: none came. */
static long next_signal(siginfo_t *si, long ms)
{
    struct timespec t = { ms / 1000, ms % 1000 * 1000000 };
    memset(si, 0, sizeof(*si));
    long sig = call(SYS_rt_sigtimedwait, &watched, si, &t, 8);
    return sig == -EAGAIN ? 0 : sig;
}

static void drain(void)
{
    siginfo_t si;
    while (next_signal(&si, 0) > 0)
        ;
}

/* sig comes, as Linux tells it of descriptor fd and reason. */
static void expect(int line, long sig, int fd, int code, long band)
{
    siginfo_t si;
    CHECK(sig, next_signal(&si, 60000));
    if (si.si_code != code || si.si_fd != fd || si.si_band != band)
        fprintf(stderr, "line %d: code %d fd %d band %#lx\n", line, si.si_code, si.si_fd,
                si.si_band);
    CHECK(code, si.si_code);
    CHECK(fd, si.si_fd);
    CHECK(band, si.si_band);
}
#define EXPECT(sig, fd, code, band) expect(__LINE__, sig, fd, code, band)

static long none(void)
{
    siginfo_t si;
    return next_signal(&si, 0);
}

static void is_async(long fd, int sig)
{
    CHECK(0, call(SYS_fcntl, fd, F_SETOWN, call(SYS_getpid)));
    CHECK(0, call(SYS_fcntl, fd, F_SETSIG, sig));
    long flags = call(SYS_fcntl, fd, F_GETFL);
    CHECK(0, call(SYS_fcntl, fd, F_SETFL, flags | O_ASYNC));
    CHECK(O_ASYNC, call(SYS_fcntl, fd, F_GETFL) & O_ASYNC);
}

enum { IN_BAND = 0x41, OUT_BAND = 0x304, MSG_BAND = 0x441, PRI_BAND = 0x82, HUP_BAND = 0x18 };

static void pipes(void)
{
    int p[2];
    char c = 'x', buf[100];
    CHECK(0, call(SYS_pipe2, p, 0));
    CHECK(0, call(SYS_fcntl, p[0], F_SETFL, O_ASYNC)); /* nobody owns it: nobody is told */
    CHECK(1, call(SYS_write, p[1], &c, 1));
    CHECK(0, none());
    CHECK(0, call(SYS_fcntl, p[0], F_SETOWN, call(SYS_getpid)));
    CHECK(1, call(SYS_write, p[1], &c, 1));
    siginfo_t si;
    CHECK(SIGIO, next_signal(&si, 60000));
    CHECK(SI_KERNEL, si.si_code);
    CHECK(0, call(SYS_fcntl, p[0], F_SETSIG, RT));
    CHECK(RT, call(SYS_fcntl, p[0], F_GETSIG));
    CHECK(1, call(SYS_write, p[1], &c, 1)); /* each write tells, not the first one alone */
    EXPECT(RT, p[0], POLL_IN, IN_BAND);
    CHECK(1, call(SYS_write, p[1], &c, 1));
    EXPECT(RT, p[0], POLL_IN, IN_BAND);
    CHECK(0, none());
    CHECK(0, call(SYS_fcntl, p[0], F_SETSIG, SIGIO)); /* with what F_SETSIG adds */
    CHECK(1, call(SYS_write, p[1], &c, 1));
    EXPECT(SIGIO, p[0], POLL_IN, IN_BAND);
    is_async(p[1], RT + 1); /* the writer hears of room */
    CHECK(1, call(SYS_write, p[1], &c, 1));
    EXPECT(SIGIO, p[0], POLL_IN, IN_BAND);
    CHECK(0, none());
    CHECK(6, call(SYS_read, p[0], buf, sizeof(buf)));
    EXPECT(RT + 1, p[1], POLL_OUT, OUT_BAND);
    CHECK(0, none());
    CHECK(0, call(SYS_fcntl, p[0], F_SETFL, 0));
    CHECK(1, call(SYS_write, p[1], &c, 1));
    CHECK(0, none());
    int on = 1;
    CHECK(0, call(SYS_ioctl, p[0], FIOASYNC, &on));
    CHECK(O_ASYNC, call(SYS_fcntl, p[0], F_GETFL) & O_ASYNC);
    CHECK(1, call(SYS_write, p[1], &c, 1));
    EXPECT(SIGIO, p[0], POLL_IN, IN_BAND);
    CHECK(0, call(SYS_close, p[1])); /* the last writer goes */
    CHECK(SIGIO, next_signal(&si, 60000));
    drain();
    call(SYS_close, p[0]);
    CHECK(0, none());
}

/* Who is told, and what F_GETOWN says. */
static void owners(void)
{
    int p[2];
    long pid = call(SYS_getpid);
    struct f_owner_ex o = { F_OWNER_TID, (int)call(SYS_gettid) };
    CHECK(0, call(SYS_pipe2, p, 0));
    CHECK(0, call(SYS_fcntl, p[0], F_GETOWN));
    CHECK(0, call(SYS_fcntl, p[0], F_GETSIG));
    CHECK(-ESRCH, call(SYS_fcntl, p[0], F_SETOWN, 0x3ffffff));
    CHECK(-ESRCH, call(SYS_fcntl, p[0], F_SETOWN, -0x3ffffff));
    CHECK(-EINVAL, call(SYS_fcntl, p[0], F_SETOWN, INT32_MIN));
    CHECK(-EINVAL, call(SYS_fcntl, p[0], F_SETSIG, 65));
    CHECK(-EINVAL, call(SYS_fcntl, p[0], F_SETSIG, -1));
    CHECK(0, call(SYS_fcntl, p[0], F_SETOWN_EX, &o));
    o = (struct f_owner_ex){ 9, 9 };
    CHECK(0, call(SYS_fcntl, p[0], F_GETOWN_EX, &o));
    CHECK(F_OWNER_TID, o.type);
    CHECK(call(SYS_gettid), o.pid);
    CHECK(call(SYS_gettid), call(SYS_fcntl, p[0], F_GETOWN));
    o = (struct f_owner_ex){ 3, (int)pid };
    CHECK(-EINVAL, call(SYS_fcntl, p[0], F_SETOWN_EX, &o));
    o = (struct f_owner_ex){ F_OWNER_PID, 0x3ffffff };
    CHECK(-ESRCH, call(SYS_fcntl, p[0], F_SETOWN_EX, &o));
    CHECK(-EFAULT, call(SYS_fcntl, p[0], F_SETOWN_EX, T_BAD));
    CHECK(-EFAULT, call(SYS_fcntl, p[0], F_GETOWN_EX, T_BAD));
    CHECK(0, call(SYS_fcntl, p[0], F_SETOWN, -call(SYS_getpgid, 0)));
    CHECK(0, call(SYS_fcntl, p[0], F_GETOWN_EX, &o));
    CHECK(F_OWNER_PGRP, o.type);
    CHECK(call(SYS_getpgid, 0), o.pid);
    CHECK(0, call(SYS_fcntl, p[0], F_SETOWN, 0)); /* nobody again */
    CHECK(0, call(SYS_fcntl, p[0], F_GETOWN));
    CHECK(0, call(SYS_fcntl, p[0], F_SETFL, O_ASYNC));
    CHECK(1, call(SYS_write, p[1], "x", 1));
    CHECK(0, none());
    o = (struct f_owner_ex){ F_OWNER_TID, (int)call(SYS_gettid) };
    CHECK(0, call(SYS_fcntl, p[0], F_SETOWN_EX, &o));
    CHECK(1, call(SYS_write, p[1], "x", 1));
    siginfo_t si;
    CHECK(SIGIO, next_signal(&si, 60000));
    call(SYS_close, p[0]);
    call(SYS_close, p[1]);
    drain();
}

static void fifos(void)
{
    CHECK(0, call(SYS_mknod, "fifo", S_IFIFO | 0600, 0));
    long f = call(SYS_open, "fifo", O_RDWR | O_NONBLOCK);
    is_async(f, RT);
    CHECK(1, call(SYS_write, f, "x", 1));
    EXPECT(RT, (int)f, POLL_IN, IN_BAND);
    char c;
    CHECK(1, call(SYS_read, f, &c, 1));
    EXPECT(RT, (int)f, POLL_OUT, OUT_BAND);
    call(SYS_close, f);
}

static void unix_sockets(int type)
{
    int s[2];
    char c;
    CHECK(0, call(SYS_socketpair, AF_UNIX, type, 0, s));
    is_async(s[0], RT);
    CHECK(1, call(SYS_write, s[1], "x", 1));
    EXPECT(RT, s[0], POLL_IN, IN_BAND);
    CHECK(1, call(SYS_read, s[0], &c, 1));
    CHECK(0, call(SYS_fcntl, s[0], F_SETFL, 0));
    CHECK(1, call(SYS_write, s[1], "x", 1));
    drain();
    CHECK(0, call(SYS_fcntl, s[0], F_SETFL, O_ASYNC));
    CHECK(0, call(SYS_close, s[1]));
    siginfo_t si;
    if (type == SOCK_STREAM) {
        CHECK(RT, next_signal(&si, 60000));
    }
    call(SYS_close, s[0]);
    drain();
}

static void udp_sockets(void)
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int len = sizeof(a), pid = (int)call(SYS_getpid), got = 0;
    long to = call(SYS_socket, AF_INET, SOCK_DGRAM, 0),
         from = call(SYS_socket, AF_INET, SOCK_DGRAM, 0);
    CHECK(0, call(SYS_bind, to, &a, sizeof(a)));
    CHECK(0, call(SYS_getsockname, to, &a, &len));
    CHECK(0, call(SYS_ioctl, to, SIOCSPGRP, &pid));
    CHECK(0, call(SYS_ioctl, to, SIOCGPGRP, &got));
    CHECK(pid, got);
    pid = 0x3ffffff;
    CHECK(-ESRCH, call(SYS_ioctl, to, FIOSETOWN, &pid));
    is_async(to, RT);
    CHECK(1, call(SYS_sendto, from, "x", 1, 0, &a, sizeof(a)));
    EXPECT(RT, (int)to, POLL_IN, IN_BAND);
    call(SYS_close, to);
    call(SYS_close, from);
    drain();
}

static void tcp_sockets(void)
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int len = sizeof(a);
    char c;
    long l = call(SYS_socket, AF_INET, SOCK_STREAM, 0),
         s = call(SYS_socket, AF_INET, SOCK_STREAM, 0);
    CHECK(0, call(SYS_bind, l, &a, sizeof(a)));
    CHECK(0, call(SYS_getsockname, l, &a, &len));
    CHECK(0, call(SYS_listen, l, 5));
    is_async(l, RT);
    CHECK(0, call(SYS_connect, s, &a, sizeof(a)));
    EXPECT(RT, (int)l, POLL_IN, IN_BAND); /* somebody is there to be accepted */
    long in = call(SYS_accept4, l, NULL, NULL, 0);
    CHECK(true, in >= 0);
    is_async(in, RT + 1);
    CHECK(1, call(SYS_write, s, "x", 1));
    EXPECT(RT + 1, (int)in, POLL_IN, IN_BAND);
    CHECK(1, call(SYS_read, in, &c, 1));
    call(SYS_close, in);
    call(SYS_close, s);
    call(SYS_close, l);
    drain();
}

static void terminals(void)
{
    int zero = 0, n = 0;
    char name[32], c;
    long m = call(SYS_open, "/dev/ptmx", O_RDWR | O_NOCTTY);
    CHECK(0, call(SYS_ioctl, m, TIOCSPTLCK, &zero));
    CHECK(0, call(SYS_ioctl, m, TIOCGPTN, &n));
    snprintf(name, sizeof(name), "/dev/pts/%d", n);
    long s = call(SYS_open, name, O_RDWR | O_NOCTTY);
    struct termios t;
    CHECK(0, call(SYS_ioctl, s, TCGETS, &t));
    t.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
    CHECK(0, call(SYS_ioctl, s, TCSETS, &t));
    CHECK(0, call(SYS_fcntl, s, F_SETFL, O_RDWR | O_ASYNC));
    CHECK(call(SYS_getpid), call(SYS_fcntl, s, F_GETOWN)); /* a terminal finds its owner itself */
    CHECK(0, call(SYS_fcntl, s, F_SETSIG, RT));
    drain();
    CHECK(1, call(SYS_write, m, "x", 1));
    EXPECT(RT, (int)s, POLL_IN, IN_BAND);
    CHECK(1, call(SYS_read, s, &c, 1));
    is_async(m, RT + 1);
    drain();
    CHECK(1, call(SYS_write, s, "y", 1));
    EXPECT(RT + 1, (int)m, POLL_IN, IN_BAND);
    call(SYS_close, s);
    call(SYS_close, m);
    drain();
}

static void inotify(void)
{
    long n = call(SYS_inotify_init1, 0);
    CHECK(1, call(SYS_inotify_add_watch, n, ".", IN_CREATE));
    is_async(n, RT);
    t_write("new", "");
    EXPECT(RT, (int)n, POLL_IN, IN_BAND);
    call(SYS_close, n);
    drain();
}

/* dnotify: of a directory's own entries, once or for good, as long as the descriptor is open. */
static void directories(void)
{
    char c;
    siginfo_t si;
    CHECK(0, call(SYS_mkdir, "watched", 0700));
    long d = call(SYS_open, "watched", O_RDONLY | O_DIRECTORY),
         f = call(SYS_open, "/dev/null", O_RDONLY);
    CHECK(-ENOTDIR, call(SYS_fcntl, f, F_NOTIFY, DN_CREATE));
    call(SYS_close, f);
    CHECK(0, call(SYS_fcntl, d, F_SETSIG, RT));
    CHECK(0, call(SYS_fcntl, d, F_NOTIFY, DN_CREATE));
    CHECK(call(SYS_getpid), call(SYS_fcntl, d, F_GETOWN));
    t_write("watched/a", "abc");
    EXPECT(RT, (int)d, POLL_MSG, MSG_BAND);
    t_write("watched/b", "abc");
    CHECK(0, none()); /* that was once */
    CHECK(0, call(SYS_fcntl, d, F_NOTIFY, DN_MODIFY | DN_DELETE | DN_MULTISHOT));
    CHECK(0, call(SYS_fcntl, d, F_NOTIFY, DN_RENAME | DN_ATTRIB | DN_MULTISHOT)); /* adds */
    CHECK(0, call(SYS_chmod, "watched/a", 0640));
    EXPECT(RT, (int)d, POLL_MSG, MSG_BAND);
    CHECK(0, call(SYS_rename, "watched/a", "watched/c")); /* DN_RENAME, and DN_DELETE */
    EXPECT(RT, (int)d, POLL_MSG, MSG_BAND);
    EXPECT(RT, (int)d, POLL_MSG, MSG_BAND);
    f = call(SYS_open, "watched/c", O_RDWR);
    CHECK(0, none());
    CHECK(1, call(SYS_read, f, &c, 1));
    CHECK(0, none()); /* DN_ACCESS was not asked for */
    CHECK(1, call(SYS_write, f, "x", 1));
    EXPECT(RT, (int)d, POLL_MSG, MSG_BAND);
    CHECK(0, call(SYS_unlink, "watched/b"));
    EXPECT(RT, (int)d, POLL_MSG, MSG_BAND);
    CHECK(0, call(SYS_mkdir, "watched/sub", 0700));
    CHECK(0, none());
    CHECK(0, call(SYS_fcntl, d, F_NOTIFY, DN_ACCESS | DN_MULTISHOT));
    CHECK(1, call(SYS_read, f, &c, 1));
    EXPECT(RT, (int)d, POLL_MSG, MSG_BAND);
    CHECK(0, call(SYS_fcntl, d, F_NOTIFY, 0));
    CHECK(1, call(SYS_write, f, "x", 1));
    CHECK(0, none());
    CHECK(0, call(SYS_fcntl, d, F_SETSIG, 0));
    CHECK(0, call(SYS_fcntl, d, F_NOTIFY, DN_CREATE | DN_MULTISHOT));
    t_write("watched/d", "");
    CHECK(SIGIO, next_signal(&si, 60000));
    CHECK(SI_KERNEL, si.si_code);
    long other = call(SYS_dup, d);
    call(SYS_close, other); /* closing any descriptor of the file ends it, in this table */
    t_write("watched/e", "");
    CHECK(0, none());
    CHECK(0, call(SYS_fcntl, d, F_NOTIFY, DN_CREATE | DN_MULTISHOT));
    call(SYS_close, d);
    t_write("watched/f", "");
    CHECK(0, none());
    call(SYS_close, f);
}

/* The holder of a lease is told with the descriptor that took it. */
static void leases(void)
{
    t_write("leased", "x");
    long f = call(SYS_open, "leased", O_RDONLY);
    CHECK(0, call(SYS_fcntl, f, F_SETSIG, RT));
    CHECK(0, call(SYS_fcntl, f, F_SETLEASE, F_RDLCK));
    CHECK(call(SYS_getpid), call(SYS_fcntl, f, F_GETOWN));
    CHECK(-EWOULDBLOCK, call(SYS_open, "leased", O_WRONLY | O_NONBLOCK));
    EXPECT(RT, (int)f, POLL_MSG, MSG_BAND);
    CHECK(0, call(SYS_fcntl, f, F_SETLEASE, F_UNLCK));
    call(SYS_close, f);
}

int main(void)
{
    t_enter();
    CHECK(0, call(SYS_rt_sigprocmask, SIG_BLOCK, &watched, NULL, 8));
    pipes();
    owners();
    fifos();
    unix_sockets(SOCK_STREAM);
    unix_sockets(SOCK_DGRAM);
    udp_sockets();
    tcp_sockets();
    terminals();
    inotify();
    directories();
    leases();
    return t_leave();
}
