/* SPDX-License-Identifier: MIT */
/* Nothing can be mapped at address 0, nor around the end of user memory. */
#define _GNU_SOURCE
#include "attack.h"

#include <errno.h>

static int try_map(uintptr_t addr, size_t size)
{
    void *p = mmap((void *)addr, size, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);

    return p == MAP_FAILED ? errno : 0;
}

int main(void)
{
    attack_check(try_map(0, 4096) == EPERM, "mmap at 0");
    attack_check(try_map(0x1000, 4096) == EPERM, "mmap below the minimum");
    attack_check(try_map(0x7ffffffff000, 4096) == ENOMEM, "mmap past the end");
    attack_check(try_map(0x7fffffffe000, 8192) == ENOMEM, "mmap across the end");
    attack_check(try_map(0xffff800000000000, 4096) == ENOMEM, "mmap in the kernel's half");
    attack_check(try_map(0x10000, SIZE_MAX - 0x10000) == ENOMEM, "mmap of everything");
    attack_check(mremap((void *)0x10000, 4096, 8192, 3, (void *)0) == MAP_FAILED, "mremap to 0");
    puts("pass");
    return 0;
}
