/* SPDX-License-Identifier: MIT */
/* Process 1 of the Linux guest that the measurements compare with: mounts what a program expects, runs the program
 * named by the kernel's command line after "--" with its arguments, powers off. With NETWORK=A.B.C.D, eth0 gets that address. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <arpa/inet.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/syscall.h>
#include <unistd.h>

static void set_address(const char *name, const char *address)
{
    struct ifreq r = { 0 };
    struct sockaddr_in a = { .sin_family = AF_INET };
    int s = socket(AF_INET, SOCK_DGRAM, 0);
    strcpy(r.ifr_name, name);
    inet_pton(AF_INET, address, &a.sin_addr);
    memcpy(&r.ifr_addr, &a, sizeof(a));
    if (ioctl(s, SIOCSIFADDR, &r))
        perror("SIOCSIFADDR");
    inet_pton(AF_INET, "255.255.255.0", &a.sin_addr);
    memcpy(&r.ifr_addr, &a, sizeof(a));
    ioctl(s, SIOCSIFNETMASK, &r);
    r.ifr_flags = IFF_UP | IFF_RUNNING;
    if (ioctl(s, SIOCSIFFLAGS, &r))
        perror("SIOCSIFFLAGS");
    close(s);
}

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
    const char *address = getenv("NETWORK");
    if (address) {
        set_address("lo", "127.0.0.1");
        set_address("eth0", address);
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
