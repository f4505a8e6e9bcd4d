/* SPDX-License-Identifier: MIT */
/* The first process of the Linux guest in which QEMU has KVM: load the modules, run each command of /commands (one
 * argument a line, an empty line after each command), say how it ended, power off. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ARGS_MAX = 64 };

static void load(const char *module)
{
    int fd = open(module, O_RDONLY);

    if (fd < 0 || syscall(SYS_finit_module, fd, "", 0))
        perror(module);
    close(fd);
}

static void run(char **argv)
{
    int status;
    pid_t pid = fork();

    if (!pid) {
        execv(argv[0], argv);
        perror(argv[0]);
        _exit(127);
    }
    waitpid(pid, &status, 0);
    printf("\nnested: status %d\n", WIFEXITED(status) ? WEXITSTATUS(status) : -1);
}

int main(void)
{
    char *argv[ARGS_MAX + 1], line[1024];
    size_t n = 0;
    FILE *f;

    setvbuf(stdout, NULL, _IONBF, 0);
    mount("dev", "/dev", "devtmpfs", 0, NULL);
    mount("proc", "/proc", "proc", 0, NULL);
    mount("sys", "/sys", "sysfs", 0, NULL);
    mount("tmp", "/tmp", "tmpfs", 0, NULL);
    setenv("LD_LIBRARY_PATH", "/usr/lib/x86_64-linux-gnu:/lib/x86_64-linux-gnu", 1);
    load("/irqbypass.ko");
    load("/kvm.ko");
    load("/kvm-amd.ko");
    f = fopen("/commands", "r");
    while (f && fgets(line, sizeof(line), f)) {
        line[strcspn(line, "\n")] = 0;
        if (*line && n < ARGS_MAX) {
            argv[n++] = strdup(line);
        } else if (n) {
            argv[n] = NULL;
            run(argv);
            n = 0;
        }
    }
    printf("nested: done\n");
    sync();
    reboot(RB_POWER_OFF);
    return 1;
}
