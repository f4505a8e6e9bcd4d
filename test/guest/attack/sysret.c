/* SPDX-License-Identifier: MIT */
/* A system call instruction in the last bytes of user memory: the return address is the first one past it. The program
 * must die (or get the fault), the kernel must not fault in ring 0. */
#include "attack.h"

int main(void)
{
    uint8_t *last = (uint8_t *)0x7fffffffe000;
    uint8_t *p = mmap(last, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);

    attack_init();
    if (p == last) {
        p[4094] = 0x0f;
        p[4095] = 0x05;
        int sig = attack_try(__asm__ volatile("jmp *%0" : : "r"(p + 4094), "a"(39)));
        attack_check(sig == SIGSEGV, "signal %d", sig);
    }
    puts("pass");
    return 0;
}
