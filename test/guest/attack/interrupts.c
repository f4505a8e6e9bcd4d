/* SPDX-License-Identifier: MIT */
/* `int n` for every n, and the one-byte forms: a signal, never an entry that was not meant for ring 3. */
#include "attack.h"

int main(void)
{
    attack_init();
    for (unsigned n = 0; n < 256; n++) {
        const uint8_t code[] = { 0xcd, (uint8_t)n };
        void (*fn)(void) = attack_code(code, sizeof code);
        if (n ==
            0x80) /* where 32-bit programs are supported this is a system call; number 20 is harmless */
            fn = attack_code("\xb8\x14\0\0\0\xcd\x80", 7);
        int sig = attack_try(fn());
        int want = n == 3 ? SIGTRAP : SIGSEGV;
        attack_check(sig == want || (n == 1 && sig == SIGTRAP) || (n == 0x80 && sig == 0),
                     "int %u: signal %d", n, sig);
    }
    attack_check(attack_try(__asm__ volatile("int3")) == SIGTRAP, "int3");
    int sig = attack_try(attack_code("\xf1", 1)()); /* emulators may not know it */
    attack_check(sig == SIGTRAP || sig == SIGILL, "icebp: signal %d", sig);
    puts("pass");
    return 0;
}
