/* SPDX-License-Identifier: MIT */
/* Process 1 of the Linux guest that the measurements compare with: mounts what a program expects, runs the program
 * named by the kernel's command line after "--" with its arguments, powers off. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    (void)argc;
    mount("dev", "/dev", "devtmpfs", 0, "");
    mount("proc", "/proc", "proc", 0, "");
    mount("tmp", "/tmp", "tmpfs", 0, "");
    int fd = open("/dev/console", O_RDWR);
    for (int i = 0; i < 3; i++)
        dup2(fd, i);
    /* Drivers that the kernel has as modules: /module0, /module1, ... in the order of their needs. */
    char name[] = "/module0";
    for (int module; (module = open(name, O_RDONLY)) >= 0; name[7]++) {
        if (syscall(SYS_finit_module, module, "", 0))
            perror(name);
        close(module);
    }
    pid_t pid = fork();
    if (pid == 0) {
        execv(argv[1], argv + 1);
        perror(argv[1]);
        _exit(127);
    }
    int status;
    waitpid(pid, &status, 0);
    reboot(RB_POWER_OFF);
}
