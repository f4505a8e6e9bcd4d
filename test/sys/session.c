/* SPDX-License-Identifier: MIT */
/* Sessions and their terminal: who gets it, who gets its signals, and what becomes of it. Processes here have a
 * pseudo-terminal each; the parent holds the master. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <t.h>
#include <unistd.h>

static int master;
static char name[64];

static void open_master(void)
{
    int zero = 0, n = -1;
    master = open("/dev/ptmx", O_RDWR | O_NOCTTY);
    CHECK(0, ioctl(master, TIOCGPTN, &n));
    CHECK(0, ioctl(master, TIOCSPTLCK, &zero));
    snprintf(name, sizeof(name), "/dev/pts/%d", n);
}

/* Run fn as the leader of a new session; its exit status. */
static int run(int (*fn)(void))
{
    int status = -1;
    pid_t pid = fork();
    if (!pid) {
        setsid();
        _exit(fn());
    }
    CHECK(pid, waitpid(pid, &status, 0));
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

static int result(void)
{
    return t_failures ? 1 : 0;
}

static int gets_a_terminal(void)
{
    int pgrp = -1, sid = -1;
    CHECK(-1, open("/dev/tty", O_RDWR));
    CHECK(ENXIO, errno);
    int without = open(name, O_RDWR | O_NOCTTY);
    CHECK(-1, ioctl(without, TIOCGPGRP, &pgrp));
    CHECK(ENOTTY, errno);
    without = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY);
    CHECK(O_RDWR, fcntl(without, F_GETFL) & ~0100000); /* O_LARGEFILE */
    CHECK(-1, ioctl(without, TIOCGPGRP, &pgrp));
    CHECK(ENOTTY, errno);
    int fd = open(name, O_RDWR);
    CHECK(0, ioctl(fd, TIOCGPGRP, &pgrp));
    CHECK(getpid(), pgrp);
    CHECK(0, ioctl(fd, TIOCGSID, &sid));
    CHECK(getpid(), sid);
    CHECK(0, ioctl(master, TIOCGPGRP, &pgrp));
    CHECK(getpid(), pgrp);
    CHECK(0, ioctl(fd, TIOCSCTTY, 0)); /* it is ours already */
    int tty = open("/dev/tty", O_RDWR);
    CHECK(1, tty >= 0);
    CHECK(3, write(tty, "one", 3));
    pgrp = 999999;
    CHECK(-1, ioctl(fd, TIOCSPGRP, &pgrp));
    CHECK(ESRCH, errno);
    pgrp = -5;
    CHECK(-1, ioctl(fd, TIOCSPGRP, &pgrp));
    CHECK(EINVAL, errno);
    signal(SIGHUP, SIG_IGN);
    CHECK(0, ioctl(fd, TIOCNOTTY));
    CHECK(-1, open("/dev/tty", O_RDWR));
    CHECK(-1, ioctl(fd, TIOCGPGRP, &pgrp));
    CHECK(0, ioctl(fd, TIOCSCTTY, 0));
    CHECK(0, ioctl(fd, TIOCGPGRP, &pgrp));
    return result();
}

static volatile int caught;

static void catch (int sig)
{
    caught = sig;
}

/* The signal that comes within two seconds: Linux works on input in the background. */
static int comes(void)
{
    for (int i = 0; i < 200 && !caught; i++)
        usleep(10000);
    int sig = caught;
    caught = 0;
    return sig;
}

static int gets_signals(void)
{
    int fd = open(name, O_RDWR);
    char c;
    struct sigaction sa = { .sa_handler = catch };
    sigaction(SIGINT, &sa, NULL);
    sigaction(SIGQUIT, &sa, NULL);
    sigaction(SIGWINCH, &sa, NULL);
    CHECK(1, write(master, "\003", 1));
    CHECK(SIGINT, comes());
    CHECK(1, write(master, "\034", 1));
    CHECK(SIGQUIT, comes());
    CHECK(0, ioctl(master, TIOCSWINSZ, &(struct winsize){ 5, 6, 0, 0 }));
    CHECK(SIGWINCH, comes());
    CHECK(0, ioctl(master, TIOCSWINSZ, &(struct winsize){ 5, 6, 0, 0 }));
    CHECK(0, caught); /* the same size */
    pid_t child = fork();
    if (!child) {
        /* More than once: the first may come before the parent sleeps in its read. */
        for (int i = 0; i < 1000; i++) {
            usleep(20000);
            kill(getppid(), SIGINT);
        }
        _exit(0);
    }
    CHECK(-1, read(fd, &c, 1));
    CHECK(EINTR, errno);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    return result();
}

/* A process of the background group that reads is stopped; one that leads the foreground again reads on. */
static int stops_background_readers(void)
{
    int fd = open(name, O_RDWR), status = 0, pgrp;
    char c = 0;
    pid_t child = fork();
    if (!child) {
        setpgid(0, 0);
        _exit(read(fd, &c, 1) == 1 ? c : 77);
    }
    setpgid(child, child);
    CHECK(child, waitpid(child, &status, WUNTRACED));
    CHECK(1, WIFSTOPPED(status));
    CHECK(SIGTTIN, WSTOPSIG(status));
    pgrp = child;
    CHECK(0, ioctl(fd, TIOCSPGRP, &pgrp));
    CHECK(2, write(master, "x\n", 2));
    CHECK(0, kill(child, SIGCONT));
    CHECK(child, waitpid(child, &status, 0));
    CHECK('x', WIFEXITED(status) ? WEXITSTATUS(status) : -1);
    return result();
}

static int leaves_a_child(void)
{
    int fd = open(name, O_RDWR);
    if (!fork()) {
        char c;
        signal(SIGHUP, SIG_DFL);
        pause();
        (void)!read(fd, &c, 1);
        _exit(0);
    }
    usleep(50000);
    return result();
}

/* The leader has ended: its foreground group got SIGHUP, and the terminal is free for another session. */
static void test_leader_exit(void)
{
    CHECK(0, run(leaves_a_child));
    char c;
    struct pollfd p = { master, POLLIN, 0 };
    CHECK(1, poll(&p, 1,
                  5000)); /* the child died of it, and with it the last descriptor of the slave */
    CHECK(-1, read(master, &c, 1));
    CHECK(EIO, errno);
    CHECK(0, run(gets_a_terminal));
}

static int dies_of_hang_up(void)
{
    int fd = open(name, O_RDWR);
    (void)fd;
    close(master);
    pause();
    return 0;
}

int main(void)
{
    signal(SIGHUP, SIG_DFL); /* whoever started us may ignore it */
    open_master();
    CHECK(0, run(gets_a_terminal));
    close(master);
    open_master();
    CHECK(0, run(gets_signals));
    close(master);
    open_master();
    CHECK(0, run(stops_background_readers));
    close(master);
    open_master();
    test_leader_exit();
    close(master);
    open_master();
    pid_t pid = fork();
    if (!pid) {
        setsid();
        _exit(dies_of_hang_up());
    }
    usleep(200000);
    close(master); /* the last master: SIGHUP */
    int status = 0;
    CHECK(pid, waitpid(pid, &status, 0));
    CHECK(SIGHUP, WIFSIGNALED(status) ? WTERMSIG(status) : 0);
    return t_end();
}
