/* SPDX-License-Identifier: MIT */
/* The first process of the Linux guest in which QEMU has KVM: load the modules, run each command of /commands (one
 * argument a line, an empty line after each command), say how it ended, power off. A command with a monitor at QMP is stopped for
 * a while when its guest runs. */
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define QMP "/tmp/qmp"
enum { ARGS_MAX = 64, TRIES = 600, RUN_SECONDS = 8, STOP_SECONDS = 5 };

/* Send a command to QEMU's monitor and read what it says. */
static void tell(int fd, const char *command)
{
    char answer[4096];

    if (write(fd, command, strlen(command)) < 0)
        perror("monitor");
    usleep(200000);
    (void)!recv(fd, answer, sizeof(answer), MSG_DONTWAIT);
}

static void stop_for_a_while(void)
{
    struct sockaddr_un a = { .sun_family = AF_UNIX, .sun_path = QMP };
    int fd = socket(AF_UNIX, SOCK_STREAM, 0), tries = 0;

    while (connect(fd, (struct sockaddr *)&a, sizeof(a)) && tries++ < TRIES)
        usleep(100000);
    tell(fd, "{\"execute\": \"qmp_capabilities\"}\n");
    sleep(RUN_SECONDS);
    tell(fd, "{\"execute\": \"stop\"}\n");
    sleep(STOP_SECONDS);
    tell(fd, "{\"execute\": \"cont\"}\n");
    printf("\nnested: stopped and continued\n");
    close(fd);
}

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
    bool monitor = false;

    if (!pid) {
        execv(argv[0], argv);
        perror(argv[0]);
        _exit(127);
    }
    for (int i = 0; argv[i]; i++)
        monitor |= strstr(argv[i], QMP) != NULL;
    if (monitor)
        stop_for_a_while();
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
