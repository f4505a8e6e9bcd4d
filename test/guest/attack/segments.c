/* SPDX-License-Identifier: MIT */
/* Load 0, and every selector that ring 3 may name, into each segment register, then enter the kernel by a call, a fault
 * and a trap. */
#include "attack.h"

#include <sys/syscall.h>

#define LOAD(reg, sel) __asm__ volatile("movw %w0, %%" #reg : : "r"(sel))

static void enter_all(void)
{
    attack_check(syscall(SYS_getppid) >= 0, "system call");
    attack_check(attack_try(*(volatile int *)8 = 1) == SIGSEGV, "fault");
    attack_check(attack_try(__asm__ volatile("int3")) == SIGTRAP, "trap");
    attack_check(attack_try(__asm__ volatile("ud2")) == SIGILL, "invalid opcode");
}

int main(void)
{
    /* Thread-local storage hangs on the base of %fs, which loading a selector clears: it is put back each time. */
    unsigned long fs_base, gs_base;

    attack_init();
    syscall(SYS_arch_prctl, 0x1003, &fs_base);
    syscall(SYS_arch_prctl, 0x1004, &gs_base);
    for (unsigned sel = 0; sel < 0x60; sel++) {
        attack_try(LOAD(ds, sel));
        enter_all();
        attack_try(LOAD(es, sel));
        enter_all();
        attack_try(LOAD(gs, sel));
        enter_all();
        attack_try(LOAD(gs, 0));
        enter_all();
    }
    LOAD(ds, 0);
    LOAD(es, 0);
    __asm__ volatile("movw %w0, %%fs\n\tsyscall"
                     :
                     : "r"(0), "a"(SYS_arch_prctl), "D"(0x1002), "S"(fs_base)
                     : "rcx", "r11", "memory");
    enter_all();
    puts("pass");
    return 0;
}
