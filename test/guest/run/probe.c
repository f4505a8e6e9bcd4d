/* SPDX-License-Identifier: MIT */
/* The program of run.sh: says what it sees, then does what its first argument asks for. */
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/utsname.h>
#include <termios.h>
#include <sys/wait.h>
#include <unistd.h>

static volatile sig_atomic_t caught;

static void handler(int sig)
{
    caught = sig;
}

static void see(int argc, char **argv)
{
    struct utsname u;
    char cwd[256];
    uname(&u);
    printf("cwd %s\nuser %d:%d\nhost %s\nvar %s\n", getcwd(cwd, sizeof(cwd)), getuid(), getgid(),
           u.nodename, getenv("VAR") ? getenv("VAR") : "-");
    for (int i = 2; i < argc; i++)
        printf("arg %s\n", argv[i]);
}

static int wait_signal(const char *name)
{
    struct sigaction sa = { .sa_handler = handler };
    sigset_t all, none;
    if (strcmp(name, "catch") == 0)
        for (int sig = 1; sig < 32; sig++)
            sigaction(sig, &sa, NULL);
    sigfillset(&all); /* so that none is handled between the look at `caught` and the wait */
    sigemptyset(&none);
    sigprocmask(SIG_BLOCK, &all, NULL);
    puts("waiting");
    fflush(stdout);
    while (!caught)
        sigsuspend(&none);
    printf("caught %d\n", caught);
    return 40 + caught;
}

static int window(void)
{
    struct winsize ws;
    struct sigaction sa = { .sa_handler = handler };
    char c;
    sigaction(SIGWINCH, &sa, NULL);
    for (int i = 0; i < 2; i++) {
        while (ioctl(1, TIOCGWINSZ, &ws) == 0 && i && ws.ws_col == 77)
            usleep(10000);
        printf("window %d %d\n", ws.ws_col, ws.ws_row);
        fflush(stdout);
    }
    return read(0, &c, 1) == 1 ? c : 99;
}

/* A grandchild whose parent ends: process 1 waits for it, and nothing of it is left. */
static int orphans(void)
{
    int fds[2], orphan = 0, status;
    char path[32];
    if (pipe(fds))
        return 1;
    int child = fork();
    if (child == 0) {
        if ((orphan = fork()) == 0) {
            while (getppid() == child)
                usleep(1000);
            _exit(3);
        }
        _exit(write(fds[1], &orphan, sizeof(orphan)) != sizeof(orphan));
    }
    if (waitpid(child, &status, 0) != child || status ||
        read(fds[0], &orphan, sizeof(orphan)) != sizeof(orphan))
        return 2;
    if (waitpid(-1, &status, 0) != -1) /* it is not ours */
        return 3;
    snprintf(path, sizeof(path), "/proc/%d", orphan);
    for (int i = 0; i < 10000 && access(path, F_OK) == 0; i++)
        usleep(1000);
    if (access(path, F_OK) == 0)
        return 4;
    printf("pid %s, parent %d, group %s, gone\n", getpid() > 1 ? "not 1" : "1", getppid(),
           getpgrp() == getpid() ? "own" : "other");
    return 0;
}

/* Lines on standard output and standard error in turn. */
static void streams(int n)
{
    for (int i = 1; i <= n; i++) {
        dprintf(1, "out %d\n", i);
        dprintf(2, "err %d\n", i);
    }
}

int main(int argc, char **argv)
{
    const char *job = argc > 1 ? argv[1] : "";
    if (strcmp(job, "see") == 0)
        see(argc, argv);
    else if (strcmp(job, "tty") == 0)
        printf("%d%d%d\n", isatty(0), isatty(1), isatty(2));
    else if (strcmp(job, "streams") == 0)
        streams(atoi(argv[2]));
    else if (strcmp(job, "exit") == 0)
        return atoi(argv[2]);
    else if (strcmp(job, "kill") == 0)
        raise(atoi(argv[2]));
    else if (strcmp(job, "segv") == 0)
        *(volatile char *)(uintptr_t)strtoul("16", NULL, 10) = 1;
    else if (strcmp(job, "wait") == 0 || strcmp(job, "catch") == 0)
        return wait_signal(job);
    else if (strcmp(job, "orphans") == 0)
        return orphans();
    else if (strcmp(job, "window") == 0)
        return window();
    else if (strcmp(job, "abort") == 0)
        abort();
    return 0;
}
