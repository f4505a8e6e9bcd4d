/* SPDX-License-Identifier: MIT */
/* process_vm_readv, process_vm_writev and kcmp, on this process and on a child. */
#define _GNU_SOURCE
#include <t.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/kcmp.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PAGE = 4096, NO_PID = 0x3ffff0 };

static char word[16] = "before";

static long readv_one(int pid, void *to, void *from, size_t n)
{
    struct iovec local = { to, n }, remote = { from, n };
    return call(SYS_process_vm_readv, pid, &local, 1, &remote, 1, 0);
}

static long writev_one(int pid, const void *from, void *to, size_t n)
{
    struct iovec local = { (void *)from, n }, remote = { to, n };
    return call(SYS_process_vm_writev, pid, &local, 1, &remote, 1, 0);
}

static void arguments(void)
{
    char buf[16] = { 0 };
    struct iovec local = { buf, 8 }, remote = { word, 8 }, huge = { word, (size_t)-1 };
    int self = getpid();
    CHECK(8, call(SYS_process_vm_readv, self, &local, 1, &remote, 1, 0));
    CHECK(0, strcmp(buf, "before"));
    CHECK(-EINVAL, call(SYS_process_vm_readv, self, &local, 1, &remote, 1, 1));
    CHECK(-EINVAL, call(SYS_process_vm_readv, self, &local, 1025, &remote, 1, 0));
    CHECK(-EINVAL, call(SYS_process_vm_readv, self, &local, 1, &remote, 1025, 0));
    CHECK(-EINVAL, call(SYS_process_vm_readv, self, &local, 1, &huge, 1, 0));
    CHECK(-ESRCH, call(SYS_process_vm_readv, NO_PID, &local, 1, &remote, 1, 0));
    CHECK(0, call(SYS_process_vm_readv, NO_PID, &local, 0, &remote, 1, 0));
    CHECK(0, call(SYS_process_vm_readv, NO_PID, &local, 1, &remote, 0, 0));
    CHECK(-EFAULT, call(SYS_process_vm_readv, self, T_BAD, 1, &remote, 1, 0));
    CHECK(-EFAULT, call(SYS_process_vm_readv, self, &local, 1, T_BAD, 1, 0));
    CHECK(-EFAULT, readv_one(self, buf, T_BAD, 8));
    CHECK(-EFAULT, readv_one(self, T_BAD, word, 8));
}

static void ranges(void)
{
    char a[8] = "", b[8] = "";
    int self = getpid();
    struct iovec local[2] = { { a, 3 }, { b, 5 } },
                 remote[3] = { { word, 2 }, { word + 2, 4 }, { word, 2 } };
    CHECK(8, call(SYS_process_vm_readv, self, local, 2, remote, 3, 0));
    CHECK(0, memcmp(a, "bef", 3));
    CHECK(0, memcmp(b, "orebe", 5));
    char *p = mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    munmap(p + 2 * PAGE, PAGE);
    memset(p, 'x', 2 * PAGE);
    char *big = malloc(3 * PAGE);
    /* Up to where the pages end. */
    CHECK(PAGE + 100, readv_one(self, big, p + PAGE - 100, 2 * PAGE));
    CHECK(PAGE + 100, writev_one(self, big, p + PAGE - 100, 2 * PAGE));
    mprotect(p + PAGE, PAGE, PROT_READ); /* its protection counts */
    CHECK(100, writev_one(self, big, p + PAGE - 100, 200));
    CHECK(-EFAULT, writev_one(self, big, p + PAGE, 8));
    CHECK(8, readv_one(self, big, p + PAGE, 8));
    free(big);
    munmap(p, 2 * PAGE);
}

static void other_process(void)
{
    int up[2], down[2];
    char c, buf[16] = "";
    CHECK(0, call(SYS_pipe, up));
    CHECK(0, call(SYS_pipe, down));
    int pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        strcpy(word, "child");
        if (write(up[1], "", 1) != 1 || read(down[0], &c, 1) != 1)
            _exit(1);
        _exit(strcmp(word, "after") ? 2 : 3);
    }
    CHECK(1, read(up[0], &c, 1));
    CHECK(16, readv_one(pid, buf, word, 16));
    CHECK(0, strcmp(buf, "child"));
    CHECK(0, strcmp(word, "before"));
    CHECK(6, writev_one(pid, "after", word, 6));
    CHECK(0, strcmp(word, "before"));
    CHECK(1, call(SYS_kcmp, getpid(), pid, KCMP_VM, 0, 0) > 0);
    CHECK(1, call(SYS_kcmp, getpid(), pid, KCMP_FILES, 0, 0) > 0);
    CHECK(3, call(SYS_kcmp, getpid(), pid, KCMP_VM, 0, 0) +
                 call(SYS_kcmp, pid, getpid(), KCMP_VM, 0, 0));
    CHECK(0, call(SYS_kcmp, getpid(), pid, KCMP_FILE, up[0], up[0]));
    CHECK(1, call(SYS_kcmp, getpid(), pid, KCMP_FILE, up[0], up[1]) > 0);
    CHECK(1, write(down[1], "", 1));
    int status;
    CHECK(pid, call(SYS_wait4, pid, &status, 0, NULL));
    CHECK(3 << 8, status);
    CHECK(-ESRCH, readv_one(pid, buf, word, 16));
}

static void comparing(void)
{
    int self = getpid(), fd = (int)call(SYS_dup, 1), null = open("/dev/null", O_RDONLY);
    CHECK(0, call(SYS_kcmp, self, self, KCMP_FILE, 1, fd));
    CHECK(1, call(SYS_kcmp, self, self, KCMP_FILE, 1, null) > 0);
    CHECK(-EBADF, call(SYS_kcmp, self, self, KCMP_FILE, 1, 9999));
    for (int type = KCMP_VM; type <= KCMP_SYSVSEM; type++)
        CHECK(0, call(SYS_kcmp, self, self, type, 0, 0));
    CHECK(-EINVAL, call(SYS_kcmp, self, self, 99, 0, 0));
    CHECK(-ESRCH, call(SYS_kcmp, self, NO_PID, KCMP_VM, 0, 0));
}

int main(void)
{
    arguments();
    ranges();
    comparing();
    other_process();
    return t_end();
}
