/* SPDX-License-Identifier: MIT */
/* Point the GS base at every interesting place with wrgsbase, then enter the kernel each way. */
#include "attack.h"

#include <sys/auxv.h>
#include <sys/syscall.h>
#include <time.h>

static void set_gs(uint64_t base)
{
    if (getauxval(AT_HWCAP2) & 2)
        __asm__ volatile("wrgsbase %0" : : "r"(base));
    else
        syscall(SYS_arch_prctl, 0x1001, base);
}

int main(void)
{
    static const uint64_t bases[] = { 0,
                                      1,
                                      0x1000,
                                      0x7fffffffefff,
                                      0x7ffffffff000,
                                      0xffff800000000000,
                                      0xffffc00000000000,
                                      0xffffffff80000000,
                                      0xfffffffffffff000,
                                      0xffffffffffffffff,
                                      0x800000000000,
                                      0x8000000000000000 };
    struct timespec ms = { 0, 1000000 };

    attack_init();
    for (size_t i = 0; i < sizeof bases / sizeof *bases; i++) {
        attack_try(set_gs(bases[i])); /* not canonical: SIGSEGV */
        attack_check(syscall(SYS_getppid) >= 0, "system call with base %zu", i);
        attack_check(attack_try(*(volatile int *)8 = 1) == SIGSEGV, "fault with base %zu", i);
        attack_check(attack_try(__asm__ volatile("int3")) == SIGTRAP, "trap with base %zu", i);
        nanosleep(&ms, NULL); /* timer interrupt, thread switch */
        for (volatile long n = 0; n < 3000000; n++)
            ; /* timer interrupt in ring 3 */
    }
    puts("pass");
    return 0;
}
