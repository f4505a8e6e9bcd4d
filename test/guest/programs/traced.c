/* SPDX-License-Identifier: MIT */
/* What strace and gdb look at: processes, signals, an exec, a thread, and functions to stop in. */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static volatile int total;

static void on_signal(int sig)
{
    (void)sig;
}

__attribute__((noinline)) static int work(int n)
{
    int twice = 2 * n;
    total += twice;
    return twice;
}

static void *thread(void *arg)
{
    work(*(int *)arg);
    return NULL;
}

static int processes(char *self)
{
    char buf[8];
    int fds[2], status;
    sigset_t usr1, old;
    signal(SIGUSR1, on_signal);
    sigemptyset(&usr1);
    sigaddset(&usr1, SIGUSR1);
    sigprocmask(SIG_BLOCK, &usr1, &old);
    if (pipe(fds))
        return 1;
    pid_t pid = fork();
    if (!pid) {
        dup2(fds[1], 1);
        close(fds[0]);
        kill(getppid(), SIGUSR1);
        execl(self, self, "child", (char *)NULL);
    }
    close(fds[1]);
    sigsuspend(&old);
    ssize_t n = read(fds[0], buf, sizeof(buf));
    waitpid(pid, &status, 0);
    return n == 5 ? WEXITSTATUS(status) : 1;
}

int main(int argc, char **argv)
{
    if (argc == 2 && !strcmp(argv[1], "child"))
        return write(1, "child", 5) == 5 ? 3 : 4;
    int n = processes(argv[0]);
    pthread_t t;
    for (int i = 0; i < 3; i++)
        work(i + n);
    pthread_create(&t, NULL, thread, &n);
    pthread_join(t, NULL);
    printf("%d\n", total);
    if (argc == 2)
        abort();
    return total;
}
