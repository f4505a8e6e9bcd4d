/* SPDX-License-Identifier: MIT */
/* What a libOS without parts answers. usage: absent PART... -- those that are not there; the others must be. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static int failures, checks;

/* result is -1 and errno is want; or, with want 0, it is not negative. */
static void check(const char *what, long result, int want)
{
    int got = result < 0 ? errno : 0;
    checks++;
    if (got == want)
        return;
    failures++;
    printf("%s: %s, not %s\n", what, strerrorname_np(got), strerrorname_np(want));
}

static void network(bool there)
{
    char b = 0;
    int pair[2] = { -1, -1 };
    int file = open("/", O_RDONLY);
    check("socket inet", socket(AF_INET, SOCK_STREAM, 0), there ? 0 : EAFNOSUPPORT);
    check("socket inet6", socket(AF_INET6, SOCK_DGRAM, 0), there ? 0 : EAFNOSUPPORT);
    check("socket netlink", socket(AF_NETLINK, SOCK_RAW, 0), there ? 0 : EAFNOSUPPORT);
    check("socketpair", socketpair(AF_UNIX, SOCK_STREAM, 0, pair), there ? 0 : EAFNOSUPPORT);
    check("send on a directory", send(file, &b, 1, 0), ENOTSOCK);
    check("listen on nothing", listen(99, 1), EBADF);
    check("getsockname on a directory", getsockname(file, (void *)&b, &(socklen_t){ 1 }), ENOTSOCK);
    check("/proc/net", access("/proc/net/", R_OK), 0);
    check("/proc/net/tcp", access("/proc/net/tcp", R_OK), there ? 0 : ENOENT);
    check("/sys/class/net/lo", access("/sys/class/net/lo", R_OK), there ? 0 : ENOENT);
    check("/proc/sys/net/core/somaxconn", access("/proc/sys/net/core/somaxconn", R_OK),
          there ? 0 : ENOENT);
    close(file);
}

static void disks(bool there)
{
    check("mount ext4", mount("vda", "/mnt", "ext4", 0, NULL), there ? ENOENT : ENODEV);
    check("mount tmpfs", mount("none", "/mnt", "tmpfs", 0, NULL), 0);
}

static void ipc(bool there)
{
    check("shmget", shmget(IPC_PRIVATE, 4096, 0600), there ? 0 : ENOSYS);
    check("semget", syscall(SYS_semget, IPC_PRIVATE, 1, 0600), there ? 0 : ENOSYS);
    check("msgget", syscall(SYS_msgget, IPC_PRIVATE, 0600), there ? 0 : ENOSYS);
    check("mq_open", syscall(SYS_mq_open, "q", O_RDWR | O_CREAT, 0600, NULL), there ? 0 : ENOSYS);
}

static void tracing(bool there)
{
    int status;
    pid_t child = fork();
    if (!child)
        _exit(ptrace(PTRACE_TRACEME) < 0 ? errno : 0);
    check("fork", child, 0);
    check("wait", waitpid(child, &status, 0), 0);
    errno = WEXITSTATUS(status);
    check("ptrace", errno ? -1 : 0, there ? 0 : ENOSYS);
    check("seccomp", syscall(SYS_seccomp, 2, 0, &(unsigned){ 0x7fff0000 }), there ? 0 : ENOSYS);
    check("prctl seccomp", prctl(PR_SET_SECCOMP, 2, NULL), there ? EFAULT : EINVAL);
    check("process_vm_readv", syscall(SYS_process_vm_readv, getpid(), NULL, 0, NULL, 0, 0),
          there ? 0 : ENOSYS);
}

static void aio(bool there)
{
    unsigned long context = 0;
    check("io_setup", syscall(SYS_io_setup, 1, &context), there ? 0 : ENOSYS);
}

static void uring(bool there)
{
    uint32_t params[30] = { 0 };
    check("io_uring_setup", syscall(SYS_io_uring_setup, 1, params), there ? 0 : ENOSYS);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*run)(bool there);
    } parts[] = { { "net", network },    { "disk", disks }, { "ipc", ipc },
                  { "ptrace", tracing }, { "aio", aio },    { "uring", uring } };
    for (unsigned p = 0; p < sizeof(parts) / sizeof(*parts); p++) {
        bool there = true;
        for (int i = 1; i < argc; i++)
            there &= strcmp(argv[i], parts[p].name) != 0;
        parts[p].run(there);
    }
    printf("%d checks, %d failed\n", checks, failures);
    return failures != 0;
}
