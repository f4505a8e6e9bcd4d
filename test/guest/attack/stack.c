/* SPDX-License-Identifier: MIT */
/* The stack grows to its limit and then faults: caught on an alternate stack, then not caught (the program dies). */
#include "attack.h"

static int deeper(volatile int n)
{
    volatile char pad[4000];

    pad[0] = (char)n;
    return deeper(n + 1) + pad[0];
}

int main(int argc, char **argv)
{
    stack_t alt = { .ss_sp = malloc(65536), .ss_size = 65536 };

    (void)argv;
    sigaltstack(&alt, NULL);
    attack_init();
    attack_check(attack_try(deeper(0)) == SIGSEGV, "no fault");
    puts("caught");
    fflush(stdout);
    if (argc > 1)
        return 0;
    signal(SIGSEGV, SIG_DFL);
    return deeper(0);
}
