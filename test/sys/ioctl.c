/* SPDX-License-Identifier: MIT */
/* ioctl on every kind of file, and the line discipline: a pseudo-terminal, whose master is the keyboard and the screen. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <t.h>

#include <time.h>

struct modes { /* the kernel's struct termios */
    unsigned iflag, oflag, cflag, lflag;
    unsigned char line, cc[19];
};

enum {
    INTR,
    QUIT,
    ERASE,
    KILL_,
    EOF_,
    TIME_,
    MIN_,
    SWTC,
    START,
    STOP,
    SUSP,
    EOL_,
    REPRINT,
    DISCARD,
    WERASE,
    LNEXT,
    EOL2
};
enum {
    I_ISTRIP = 040,
    I_INLCR = 0100,
    I_IGNCR = 0200,
    I_ICRNL = 0400,
    I_IUCLC = 01000,
    I_IXON = 02000,
    I_IXANY = 04000,
    I_PARMRK = 010,
    I_IUTF8 = 040000
};
enum {
    O_OPOST = 1,
    O_OLCUC = 2,
    O_ONLCR = 4,
    O_OCRNL = 010,
    O_ONOCR = 020,
    O_ONLRET = 040,
    O_XTABS = 014000
};
enum {
    L_ISIG = 1,
    L_ICANON = 2,
    L_ECHO = 010,
    L_ECHOE = 020,
    L_ECHOK = 040,
    L_ECHONL = 0100,
    L_NOFLSH = 0200,
    L_ECHOCTL = 01000,
    L_ECHOPRT = 02000,
    L_ECHOKE = 04000,
    L_IEXTEN = 0100000
};

static int master, slave;
static struct modes initial;

static void set(unsigned iflag, unsigned oflag, unsigned lflag)
{
    struct modes m = initial;
    m.iflag = iflag;
    m.oflag = oflag;
    m.lflag = lflag;
    CHECK(0, call(SYS_ioctl, slave, TCSETS, &m));
}

/* On Linux a worker thread carries bytes from one side to the other, some time later. */
static void settle(void)
{
    static int linux_worker = -1;
    struct timespec ts = { 0, 10000000 };
    if (linux_worker < 0)
        linux_worker = !t_alcove();
    if (linux_worker)
        call(SYS_nanosleep, &ts, NULL);
}

static void type(const char *text)
{
    CHECK((long)strlen(text), call(SYS_write, master, text, strlen(text)));
    settle();
}

/* What fd gives, once; "" when there is nothing after so many tries. */
static const char *got_after(int fd, int tries)
{
    static char buf[8192];
    long n = call(SYS_read, fd, buf, sizeof(buf) - 1);
    for (int i = 0; i < tries && n == -EAGAIN; i++) {
        settle();
        n = call(SYS_read, fd, buf, sizeof(buf) - 1);
    }
    if (n < 0)
        n = n == -EAGAIN ? 0 : snprintf(buf, sizeof(buf), "error %ld", n);
    buf[n] = '\0';
    return buf;
}

static const char *got(int fd)
{
    return got_after(fd, 1);
}

static void expect(int line, int fd, const char *want)
{
    const char *text = got_after(fd, *want ? 100 : 1);
    if (!t_check(__FILE__, line, fd == master ? "screen" : "input", 0, strcmp(want, text))) {
        fprintf(stderr, "  want \"");
        for (const char *p = want; *p; p++)
            fprintf(stderr, *p < ' ' ? "\\%03o" : "%c", *p);
        fprintf(stderr, "\" got \"");
        for (const char *p = text; *p; p++)
            fprintf(stderr, *p < ' ' ? "\\%03o" : "%c", *p);
        fprintf(stderr, "\"\n");
    }
}

#define SCREEN(text) expect(__LINE__, master, text)
#define INPUT(text)  expect(__LINE__, slave, text)

static void open_pair(void)
{
    int zero = 0, n = -1;
    char name[32];
    master = (int)call(SYS_openat, AT_FDCWD, "/dev/ptmx", O_RDWR | O_NOCTTY | O_NONBLOCK, 0);
    CHECK(true, master >= 0);
    CHECK(0, call(SYS_ioctl, master, TIOCGPTN, &n));
    snprintf(name, sizeof(name), "/dev/pts/%d", n);
    CHECK(-EIO, call(SYS_openat, AT_FDCWD, name, O_RDWR | O_NOCTTY, 0)); /* locked */
    CHECK(0, call(SYS_ioctl, master, TIOCSPTLCK, &zero));
    slave = (int)call(SYS_openat, AT_FDCWD, name, O_RDWR | O_NOCTTY | O_NONBLOCK, 0);
    CHECK(true, slave >= 0);
    CHECK(0, call(SYS_ioctl, slave, TCGETS, &initial));
}

static void test_defaults(void)
{
    CHECK(I_ICRNL | I_IXON, initial.iflag);
    CHECK(O_OPOST | O_ONLCR, initial.oflag);
    CHECK(017 | 060 | 0200, initial.cflag); /* B38400 CS8 CREAD */
    CHECK(L_ISIG | L_ICANON | L_ECHO | L_ECHOE | L_ECHOK | L_ECHOCTL | L_ECHOKE | L_IEXTEN,
          initial.lflag);
    CHECK(3, initial.cc[INTR]);
    CHECK(0177, initial.cc[ERASE]);
    CHECK(1, initial.cc[MIN_]);
}

static void test_canonical(void)
{
    set(initial.iflag, initial.oflag, initial.lflag);
    type("hel");
    INPUT("");
    SCREEN("hel");
    type("lo\r");
    SCREEN("lo\r\n");
    INPUT("hello\n");
    type("ab\177c\n");
    SCREEN("ab\b \bc\r\n");
    INPUT("ac\n");
    type("one two  \027x\n"); /* ^W */
    SCREEN("one two  \b \b\b \b\b \b\b \b\b \bx\r\n");
    INPUT("one x\n");
    type("abc\025x\n"); /* ^U */
    SCREEN("abc\b \b\b \b\b \bx\r\n");
    INPUT("x\n");
    type("a\001b\177\177c\n");
    SCREEN("a^Ab\b \b\b \b\b \bc\r\n");
    INPUT("ac\n");
    type("\026\003\n"); /* ^V ^C */
    SCREEN("^\b^C\r\n");
    INPUT("\003\n");
    type("x\ty\177\177z\n");
    SCREEN("x\ty\b \b\b\b\b\b\b\b\bz\r\n");
    INPUT("xz\n");
    type("ab\022c\n"); /* ^R */
    SCREEN("ab^R\r\nabc\r\n");
    INPUT("abc\n");
}

static void test_end_of_file(void)
{
    set(initial.iflag, initial.oflag, initial.lflag & ~L_ECHO);
    type("\004");
    CHECK(0, call(SYS_read, slave, (char[8]){ 0 }, 8));
    type("ab\004cd\n");
    INPUT("ab");
    INPUT("cd\n");
    char buf[4];
    type("abcdef\n");
    CHECK(4, call(SYS_read, slave, buf, 4));
    CHECK(3, call(SYS_read, slave, buf, 4));
    type("wxyz\004");
    CHECK(4, call(SYS_read, slave, buf, 4));
    CHECK(-EAGAIN, call(SYS_read, slave, buf, 4));
    type("one\ntwo\n");
    int n;
    CHECK(0, call(SYS_ioctl, slave, FIONREAD, &n));
    CHECK(8, n);
    INPUT("one\n");
    INPUT("two\n");
}

static void test_echo(void)
{
    unsigned base = L_ICANON | L_IEXTEN;
    set(I_ICRNL, O_OPOST | O_ONLCR, base | L_ECHONL);
    type("ab\n");
    SCREEN("\r\n");
    INPUT("ab\n");
    set(I_ICRNL, O_OPOST | O_ONLCR, base | L_ECHO | L_ECHOK);
    type("ab\177\025c\n");
    SCREEN("ab\177\025\r\nc\r\n");
    INPUT("c\n");
    set(I_ICRNL, O_OPOST | O_ONLCR, base | L_ECHO | L_ECHOE | L_ECHOPRT | L_ECHOCTL);
    type("abc\177\177d\n");
    SCREEN("abc\\cb/d\r\n");
    INPUT("ad\n");
    set(I_ICRNL | I_IUTF8, O_OPOST | O_ONLCR, base | L_ECHO | L_ECHOE);
    type("\xc3\xa4\177x\n");
    SCREEN("\xc3\xa4\b \bx\r\n");
    INPUT("x\n");
}

static void test_input_modes(void)
{
    set(0, 0, L_ICANON);
    type("a\rb\n");
    INPUT("a\rb\n");
    set(I_INLCR, 0, L_ICANON);
    type("a\nb\004");
    INPUT("a\rb");
    set(I_IGNCR, 0, L_ICANON);
    type("a\r\n");
    INPUT("a\n");
    set(I_IUCLC, 0, L_ICANON | L_IEXTEN);
    type("AbC\n");
    INPUT("abc\n");
    set(I_ISTRIP, 0, L_ICANON);
    type("\xe1\n");
    INPUT("a\n");
    set(I_PARMRK, 0, L_ICANON);
    type("a\xff\n");
    INPUT("a\xff\xff\n");
}

static void put(const char *text)
{
    CHECK((long)strlen(text), call(SYS_write, slave, text, strlen(text)));
    settle();
}

static void test_output(void)
{
    set(0, O_OPOST | O_ONLCR, 0);
    put("a\nb\n");
    SCREEN("a\r\nb\r\n");
    set(0, O_OPOST | O_OCRNL, 0);
    put("a\rb\n");
    SCREEN("a\nb\n");
    set(0, O_OPOST | O_ONOCR | O_ONLRET, 0);
    put("x\n\r\ry\r\n");
    SCREEN("x\ny\r\n");
    set(0, O_OPOST | O_OLCUC, 0);
    put("aBc");
    SCREEN("ABC");
    put("\n");
    (void)got(master);
    set(0, O_OPOST | O_XTABS | O_ONLCR, 0);
    put("\nab\tc\n");
    SCREEN("\r\nab      c\r\n");
    set(0, 0, 0);
    put("a\n\tb");
    SCREEN("a\n\tb");
}

static void test_flow(void)
{
    char buf[8];
    set(I_IXON, 0, 0);
    type("\023");
    CHECK(-EAGAIN, call(SYS_write, slave, "x", 1));
    struct pollfd p = { slave, POLLOUT, 0 };
    CHECK(0, call(SYS_poll, &p, 1, 0));
    type("\021");
    put("x");
    SCREEN("x");
    set(I_IXON | I_IXANY, 0, 0);
    type("\023");
    CHECK(-EAGAIN, call(SYS_write, slave, "x", 1));
    type("q");
    put("y");
    SCREEN("y");
    CHECK(1, call(SYS_read, slave, buf, 8));
    CHECK(0, call(SYS_ioctl, slave, TCXONC, 0)); /* TCOOFF */
    CHECK(-EAGAIN, call(SYS_write, slave, "x", 1));
    CHECK(0, call(SYS_ioctl, slave, TCXONC, 1)); /* TCOON */
    put("z");
    SCREEN("z");
    CHECK(-EINVAL, call(SYS_ioctl, slave, TCXONC, 9));
}

static void test_raw(void)
{
    struct modes m = initial;
    char buf[16];
    m.iflag = m.oflag = m.lflag = 0;
    m.cc[MIN_] = 1;
    CHECK(0, call(SYS_ioctl, slave, TCSETS, &m));
    type("a\003\177\n");
    INPUT("a\003\177\n");
    m.cc[MIN_] = 3;
    CHECK(0, call(SYS_ioctl, slave, TCSETS, &m));
    struct pollfd p = { slave, POLLIN, 0 };
    type("ab");
    CHECK(0, call(SYS_poll, &p, 1, 0));
    type("c");
    CHECK(1, call(SYS_poll, &p, 1, 0));
    INPUT("abc");
    m.cc[MIN_] = 0;
    CHECK(0, call(SYS_ioctl, slave, TCSETS, &m));
    CHECK(0, call(SYS_read, slave, buf, 16));
    type("xy");
    CHECK(2, call(SYS_read, slave, buf, 16));
    /* What was typed in raw mode is a line once lines are wanted. */
    m.lflag = L_ICANON;
    type("raw");
    CHECK(0, call(SYS_ioctl, slave, TCSETS, &m));
    INPUT("raw");
    type("gone");
    CHECK(0, call(SYS_ioctl, slave, TCSETS + 2, &m)); /* TCSETSF */
    type("\n");
    INPUT("\n");
    type("lost\n");
    CHECK(0, call(SYS_ioctl, slave, TCFLSH, 0));
    INPUT("");
    CHECK(-EINVAL, call(SYS_ioctl, slave, TCFLSH, 7));
}

static void test_waiting(void)
{
    struct modes m = initial;
    char buf[16];
    m.iflag = m.oflag = m.lflag = 0;
    m.cc[MIN_] = 0;
    m.cc[TIME_] = 1;
    CHECK(0, call(SYS_ioctl, slave, TCSETS, &m));
    int flags = (int)call(SYS_fcntl, slave, F_GETFL, 0);
    CHECK(0, call(SYS_fcntl, slave, F_SETFL, flags & ~O_NONBLOCK));
    CHECK(0, call(SYS_read, slave, buf, 16)); /* VTIME runs out */
    type("k");
    CHECK(1, call(SYS_read, slave, buf, 16));
    m.cc[MIN_] = 5;
    CHECK(0, call(SYS_ioctl, slave, TCSETS, &m));
    type("ab");
    CHECK(2, call(SYS_read, slave, buf, 16)); /* the time between two bytes runs out */
    CHECK(0, call(SYS_fcntl, slave, F_SETFL, flags));
}

static void test_window(void)
{
    struct winsize w = { 24, 80, 1, 2 }, r;
    CHECK(0, call(SYS_ioctl, master, TIOCSWINSZ, &w));
    CHECK(0, call(SYS_ioctl, slave, TIOCGWINSZ, &r));
    CHECK(0, memcmp(&w, &r, sizeof(w)));
    w.ws_col = 100;
    CHECK(0, call(SYS_ioctl, slave, TIOCSWINSZ, &w));
    CHECK(0, call(SYS_ioctl, master, TIOCGWINSZ, &r));
    CHECK(100, r.ws_col);
    CHECK(-EFAULT, call(SYS_ioctl, slave, TIOCGWINSZ, T_BAD));
}

static void test_packet(void)
{
    int on = 1, off = 0;
    char buf[16];
    set(0, 0, 0);
    CHECK(0, call(SYS_ioctl, master, TIOCPKT, &on));
    put("data");
    CHECK(5, call(SYS_read, master, buf, 16));
    CHECK(TIOCPKT_DATA, buf[0]);
    CHECK(0, call(SYS_ioctl, slave, TCFLSH, 0));
    struct pollfd p = { master, POLLPRI, 0 };
    CHECK(1, call(SYS_poll, &p, 1, 0));
    CHECK(1, call(SYS_read, master, buf, 16));
    CHECK(TIOCPKT_FLUSHREAD, buf[0]);
    CHECK(0, call(SYS_ioctl, master, TIOCPKT, &off));
}

static void test_long_line(void)
{
    static char line[5000];
    char buf[5000];
    memset(line, 'x', sizeof(line));
    set(0, 0, L_ICANON);
    long n = call(SYS_write, master, line, sizeof(line));
    CHECK((long)sizeof(line), n); /* what is too long is thrown away, so that the end can arrive */
    type("\n");
    CHECK(4096, call(SYS_read, slave, buf, sizeof(buf)));
    CHECK('\n', buf[4095]);
}

static void test_plain_files(void)
{
    int fds[2], n = -1, on = 1;
    CHECK(0, call(SYS_pipe2, fds, 0));
    CHECK(-ENOTTY, call(SYS_ioctl, fds[0], TCGETS, &initial));
    CHECK(0, call(SYS_ioctl, fds[0], FIOCLEX));
    CHECK(FD_CLOEXEC, call(SYS_fcntl, fds[0], F_GETFD));
    CHECK(0, call(SYS_ioctl, fds[0], FIONCLEX));
    CHECK(0, call(SYS_fcntl, fds[0], F_GETFD));
    CHECK(0, call(SYS_ioctl, fds[0], FIONBIO, &on));
    CHECK(-EAGAIN, call(SYS_read, fds[0], &n, 1));
    CHECK(3, call(SYS_write, fds[1], "abc", 3));
    CHECK(0, call(SYS_ioctl, fds[0], FIONREAD, &n));
    CHECK(3, n);
    CHECK(-EFAULT, call(SYS_ioctl, fds[0], FIONREAD, T_BAD));
    CHECK(-EBADF, call(SYS_ioctl, 9999, FIOCLEX));
    int null = (int)call(SYS_openat, AT_FDCWD, "/dev/null", O_RDWR, 0);
    CHECK(-ENOTTY, call(SYS_ioctl, null, TCGETS, &initial));
    CHECK(5, call(SYS_write, null, "12345", 5));
    CHECK(0, call(SYS_read, null, &n, 1));
    int full = (int)call(SYS_openat, AT_FDCWD, "/dev/full", O_RDWR, 0);
    CHECK(-ENOSPC, call(SYS_write, full, "1", 1));
    int zero = (int)call(SYS_openat, AT_FDCWD, "/dev/zero", O_RDONLY, 0);
    n = -1;
    CHECK(4, call(SYS_read, zero, &n, 4));
    CHECK(0, n);
    CHECK(-EFAULT, call(SYS_read, zero, T_BAD, 4));
}

/* The master goes: the slave reads 0, writes EIO, and tells POLLHUP. */
static void test_hang_up(void)
{
    char c;
    CHECK(0, call(SYS_close, master));
    CHECK(0, call(SYS_read, slave, &c, 1));
    CHECK(-EIO, call(SYS_write, slave, "x", 1));
    struct pollfd p = { slave, POLLIN, 0 };
    CHECK(1, call(SYS_poll, &p, 1, 0));
    CHECK(POLLIN | POLLHUP | POLLERR, p.revents);
    CHECK(-EIO, call(SYS_ioctl, slave, TCGETS, &initial));
    CHECK(0, call(SYS_close, slave));
    open_pair();
    CHECK(0, call(SYS_close, slave)); /* the slave goes: the master gets EIO */
    CHECK(-EIO, call(SYS_read, master, &c, 1));
    CHECK(0, call(SYS_close, master));
}

int main(void)
{
    open_pair();
    test_defaults();
    test_canonical();
    test_end_of_file();
    test_echo();
    test_input_modes();
    test_output();
    test_flow();
    test_raw();
    test_waiting();
    test_window();
    test_packet();
    test_long_line();
    test_hang_up();
    test_plain_files();
    return t_end();
}
