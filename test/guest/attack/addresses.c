/* SPDX-License-Identifier: MIT */
/* Read, write and jump to addresses of the kernel's half, and pass them to calls. */
#include "attack.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/uio.h>

static const uintptr_t targets[] = {
    0,
    0x7ffffffff000,
    0x800000000000,
    0x7fffffffffffffff,
    0x8000000000000000,
    0xffff7fffffffffff,
    0xffff800000000000,
    0xffff800000100000,
    0xffff800000200000,
    0xffffc00000000000,
    0xffffffff7ffff000,
    0xffffffff80000000,
    0xffffffff80100000,
    0xffffffffc0000000,
    0xffffffffff600000,
    0xfffffffffffff000,
    0xffffffffffffffff,
};

static void calls(uintptr_t a)
{
    int fd[2], zero = open("/dev/zero", O_RDONLY);
    struct iovec iov = { (void *)a, 16 };
    void *volatile p = (void *)a;

    attack_check(pipe(fd) == 0, "pipe");
    attack_check(read(zero, p, 16) == -1 && errno == EFAULT, "read to %lx: %d", a, errno);
    attack_check(write(fd[1], p, 16) == -1 && errno == EFAULT, "write from %lx: %d", a, errno);
    attack_check(writev(fd[1], &iov, 1) == -1 && errno == EFAULT, "writev from %lx", a);
    attack_check(readv(zero, p, 1) == -1 && errno == EFAULT, "iovec at %lx", a);
    attack_check(open(p, O_RDONLY) == -1 && errno == EFAULT, "path at %lx", a);
    attack_check(pipe(p) == -1 && errno == EFAULT, "pipe result at %lx", a);
    close(fd[0]);
    close(fd[1]);
    close(zero);
}

int main(void)
{
    attack_init();
    for (size_t i = 0; i < sizeof targets / sizeof *targets; i++) {
        uintptr_t a = targets[i];
        if (a != 0xffffffffff600000) { /* Linux has its old vsyscall page there */
            attack_check(attack_try((void)*(volatile char *)a) == SIGSEGV, "read of %lx", a);
            attack_check(attack_try(((void (*)(void))a)()) == SIGSEGV, "jump to %lx", a);
        }
        attack_check(attack_try(*(volatile char *)a = 1) == SIGSEGV, "write to %lx", a);
        calls(a);
    }
    puts("pass");
    return 0;
}
