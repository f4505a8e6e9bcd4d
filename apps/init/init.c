/* SPDX-License-Identifier: MIT */
/* Process 1 for programs that are not one (alcove run --init): starts the program as its child, in a process group of its own
 * that the terminal belongs to, passes signals on to it, waits for orphans, and ends with the program's status (128 + signal
 * when it was killed). Needs no C library, so that it is one small static file.
 *
 * usage: init FILE ARGV0 [ARG...] */
#include <asm/ioctls.h>
#include <asm/unistd.h>
#include <stddef.h>
#include <stdint.h>

enum {
    SIG_BLOCK = 0,
    SIG_SETMASK = 2,
    SIGILL = 4,
    SIGTRAP = 5,
    SIGBUS = 7,
    SIGFPE = 8,
    SIGSEGV = 11,
    SIGCHLD = 17,
    SIGSYS = 31,
    ENOENT = 2,
    WNOHANG = 1,
    STATUS_NOT_FOUND = 127,
    STATUS_CANNOT = 126,
};

static long call(long nr, long a, long b, long c, long d)
{
    register long r10 __asm__("r10") = d;
    long ret;
    __asm__ volatile("syscall"
                     : "=a"(ret)
                     : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10)
                     : "rcx", "r11", "memory");
    return ret;
}

static void say(const char *s)
{
    size_t n = 0;
    while (s[n])
        n++;
    call(__NR_write, 2, (long)s, (long)n, 0);
}

static _Noreturn void end(int status)
{
    for (;;)
        call(__NR_exit_group, status, 0, 0, 0);
}

/* The child: the terminal's foreground group, when there is one, then the program. */
static _Noreturn void start(char **argv, char **envp, const uint64_t *mask)
{
    int pgid = (int)call(__NR_getpid, 0, 0, 0, 0);
    call(__NR_setpgid, 0, 0, 0, 0);
    /* SIGTTOU is still blocked; without a terminal it fails, which is as well. */
    call(__NR_ioctl, 0, TIOCSPGRP, (long)&pgid, 0);
    call(__NR_rt_sigprocmask, SIG_SETMASK, (long)mask, 0, sizeof(*mask));
    long err = call(__NR_execve, (long)argv[1], (long)(argv + 2), (long)envp, 0);
    say("init: ");
    say(argv[1]);
    say(err == -ENOENT ? ": not found\n" : ": cannot be executed\n");
    end(err == -ENOENT ? STATUS_NOT_FOUND : STATUS_CANNOT);
}

/* Wait for whoever has ended; the program's end is ours. */
static void reap(long program)
{
    int status;
    long pid;
    while ((pid = call(__NR_wait4, -1, (long)&status, WNOHANG, 0)) > 0)
        if (pid == program)
            end(status & 0x7f ? 128 + (status & 0x7f) : status >> 8 & 0xff);
}

__attribute__((used)) static _Noreturn void run(uintptr_t *sp)
{
    int argc = (int)sp[0];
    char **argv = (char **)(sp + 1), **envp = argv + argc + 1;
    uint64_t mask, all = ~0ull;
    const uint64_t faults = 1ull << (SIGILL - 1) | 1ull << (SIGTRAP - 1) | 1ull << (SIGBUS - 1) |
                            1ull << (SIGFPE - 1) | 1ull << (SIGSEGV - 1) | 1ull << (SIGSYS - 1);
    if (argc < 3) {
        say("usage: init FILE ARGV0 [ARG...]\n");
        end(STATUS_CANNOT);
    }
    all &= ~faults; /* those would be our own */
    call(__NR_rt_sigprocmask, SIG_BLOCK, (long)&all, (long)&mask, sizeof(mask));
    long program = call(__NR_fork, 0, 0, 0, 0);
    if (program == 0)
        start(argv, envp, &mask);
    if (program < 0) {
        say("init: no memory for the program\n");
        end(STATUS_CANNOT);
    }
    for (;;) {
        long sig = call(__NR_rt_sigtimedwait, (long)&all, 0, 0, sizeof(all));
        if (sig > 0 && sig != SIGCHLD)
            call(__NR_kill, program, sig, 0, 0);
        reap(program);
    }
}

__asm__(".globl _start\n_start: xor %ebp, %ebp\n mov %rsp, %rdi\n and $-16, %rsp\n call run\n");
