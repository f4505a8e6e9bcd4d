/* SPDX-License-Identifier: MIT */
/* ioctl_tty(2) on pseudo terminals where that is rarely asked: locked modes, packet mode, typing for others, echoes of quoted
 * characters, what a master's calls mean, hang-ups of one's own terminal. */
#define _GNU_SOURCE
#include <t.h>

#include <asm/termbits.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define GET_LOCKED 0x5456
#define SET_LOCKED 0x5457
#define PEER       0x5441

static int master, slave;
static struct termios usual;

static void open_pair(void)
{
    int zero = 0;
    master = open("/dev/ptmx", O_RDWR | O_NOCTTY);
    CHECK(0, call(SYS_ioctl, master, TIOCSPTLCK, &zero));
    slave = (int)call(SYS_ioctl, master, PEER, O_RDWR | O_NOCTTY);
    CHECK(true, slave >= 0);
    CHECK(0, call(SYS_ioctl, slave, TCGETS, &usual));
}

static void close_pair(void)
{
    close(slave);
    close(master);
}

static void set(const struct termios *t)
{
    CHECK(0, call(SYS_ioctl, slave, TCSETS, t));
}

/* fd gives exactly these bytes. */
static void expect(int line, int fd, const char *bytes)
{
    char got[64] = { 0 };
    size_t n = strlen(bytes), at = 0;
    while (at < n) {
        ssize_t part = read(fd, got + at, n - at);
        if (part <= 0)
            break;
        at += (size_t)part;
    }
    if (at != n || memcmp(got, bytes, n))
        fprintf(stderr, "line %d: \"%s\"\n", line, got);
    CHECK(0, memcmp(got, bytes, n));
}
#define EXPECT(fd, bytes) expect(__LINE__, fd, bytes)

static void type(const char *bytes)
{
    CHECK(strlen(bytes), write(master, bytes, strlen(bytes)));
}

static void echoes(void)
{
    open_pair();
    type("a\026\003b\026\n\n"); /* two that are quoted */
    EXPECT(slave, "a\003b\n\n");
    EXPECT(master, "a^\b^Cb^\b^J\r\n");
    struct termios raw = usual;
    raw.c_lflag &= ~(tcflag_t)ICANON;
    set(&raw);
    type("x\ny\r");
    EXPECT(slave, "x\ny\n");
    EXPECT(master, "x^Jy\r\n");
    close_pair();
}

static void modes(void)
{
    struct termios t, locked = { 0 };
    int one = 1, is = -1;
    open_pair();
    t = usual;
    t.c_cflag = (t.c_cflag & ~(tcflag_t)CSIZE) | CS5 | PARENB | CSTOPB;
    t.c_cflag &= ~(tcflag_t)CREAD;
    t.c_line = 3;
    set(&t);
    CHECK(0, call(SYS_ioctl, slave, TCGETS, &t));
    CHECK(CS8 | CREAD | CSTOPB, t.c_cflag & (CSIZE | CREAD | CSTOPB | PARENB));
    CHECK(3, t.c_line);
    set(&usual);
    CHECK(0, call(SYS_ioctl, slave, TIOCGSOFTCAR, &is));
    CHECK(0, is);
    CHECK(0, call(SYS_ioctl, slave, TIOCSSOFTCAR, &one));
    CHECK(0, call(SYS_ioctl, master, TIOCGSOFTCAR, &is));
    CHECK(1, is);
    CHECK(0, call(SYS_ioctl, slave, TIOCSBRK, 0));
    CHECK(0, call(SYS_ioctl, slave, TIOCCBRK, 0));
    CHECK(0, call(SYS_ioctl, slave, GET_LOCKED, &locked));
    CHECK(0, locked.c_lflag);
    if (geteuid() == 0) {
        locked.c_lflag = ECHO;
        locked.c_cc[VERASE] = 1;
        CHECK(0, call(SYS_ioctl, slave, SET_LOCKED, &locked));
        t = usual;
        t.c_lflag = 0;
        t.c_cc[VERASE] = 'x';
        t.c_cc[VKILL] = 'y';
        set(&t);
        CHECK(0, call(SYS_ioctl, slave, TCGETS, &t));
        CHECK(ECHO, t.c_lflag);
        CHECK(usual.c_cc[VERASE], t.c_cc[VERASE]);
        CHECK('y', t.c_cc[VKILL]);
    }
    close_pair();
}

static void packets(void)
{
    int on = 1;
    open_pair();
    CHECK(0, call(SYS_ioctl, master, TIOCPKT, &on));
    struct termios t = usual;
    t.c_lflag |= EXTPROC;
    set(&t);
    EXPECT(master, "\100"); /* TIOCPKT_IOCTL */
    set(&t);
    EXPECT(master, "\100");
    set(&usual);
    EXPECT(master, "\100");
    close_pair();
}

/* What is asked of a master: much is meant for the slave, some is its own. */
static void masters(void)
{
    int n = -1;
    open_pair();
    CHECK(3, write(slave, "xyz", 3));
    /* On Linux the bytes go across later. */
    struct pollfd p = { .fd = master, .events = POLLIN };
    CHECK(1, poll(&p, 1, 60000));
    CHECK(0, call(SYS_ioctl, master, FIONREAD, &n));
    CHECK(3, n);
    CHECK(-EINVAL, call(SYS_ioctl, master, TCFLSH, 3));
    CHECK(0, call(SYS_ioctl, master, TCFLSH, TCIFLUSH));
    CHECK(0, call(SYS_ioctl, master, FIONREAD, &n));
    CHECK(0, n);
    CHECK(-EIO, call(SYS_ioctl, slave, PEER, O_RDWR));
    CHECK(-ENOTTY, call(SYS_ioctl, master, TIOCNOTTY));
    close_pair();
}

static int gone;

static void on_hangup(int sig)
{
    gone += sig == SIGHUP;
}

/* In a session of its own. */
static void own_terminal(void)
{
    char c;
    signal(SIGHUP, on_hangup);
    CHECK(0, setsid() < 0);
    open_pair();
    CHECK(0, call(SYS_ioctl, master, TIOCSCTTY, 0)); /* the slave is meant */
    int sid = 0;
    CHECK(0, call(SYS_ioctl, slave, TIOCGSID, &sid));
    CHECK(getpid(), sid);
    CHECK(0, call(SYS_ioctl, slave, TIOCSTI, "q"));
    type("\n");
    EXPECT(slave, "q\n");
    CHECK(0, call(SYS_vhangup));
    CHECK(1, gone);
    CHECK(0, read(slave, &c, 1));
    CHECK(-EIO, call(SYS_write, slave, "x", 1));
    CHECK(-EIO, call(SYS_ioctl, slave, TCGETS, &usual));
    CHECK(-ENXIO, call(SYS_open, "/dev/tty", O_RDWR));
    CHECK(0, call(SYS_vhangup)); /* there is none now */
    CHECK(0, setuid(1234));
    CHECK(-EPERM, call(SYS_vhangup));
    _exit(t_failures != 0);
}

int main(void)
{
    int status, pid;
    echoes();
    modes();
    packets();
    masters();
    if (geteuid() == 0) {
        if ((pid = fork()) == 0)
            own_terminal();
        CHECK(pid, waitpid(pid, &status, 0));
        CHECK(0, status);
    }
    return t_end();
}
