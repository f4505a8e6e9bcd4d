/* SPDX-License-Identifier: MIT */
/* What the attack programs share: run a piece of code and learn which signal it raised. Plain Linux programs. */
#ifndef ATTACK_H
#define ATTACK_H

#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static sigjmp_buf attack_back;

static void attack_handler(int sig)
{
    siglongjmp(attack_back, sig);
}

/* All signals that a fault can raise come back to attack_try. */
static inline void attack_init(void)
{
    static const int sigs[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP };
    struct sigaction sa = { .sa_handler = attack_handler, .sa_flags = SA_ONSTACK };

    for (size_t i = 0; i < sizeof sigs / sizeof *sigs; i++)
        sigaction(sigs[i], &sa, NULL);
}

/* Evaluate to the signal that statement raised, 0: none. */
#define attack_try(statement)                                                                      \
    ({                                                                                             \
        int sig_ = sigsetjmp(attack_back, 1);                                                      \
        if (!sig_) {                                                                               \
            statement;                                                                             \
        }                                                                                          \
        sig_;                                                                                      \
    })

/* End with a message when what holds is not what must. */
#define attack_check(cond, ...)                                                                    \
    do {                                                                                           \
        if (!(cond)) {                                                                             \
            printf("FAIL " __VA_ARGS__);                                                           \
            printf(" (%s:%d)\n", __FILE__, __LINE__);                                              \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

/* A page of code: bytes, then a return. Called as a function without arguments. */
static inline void (*attack_code(const void *bytes, size_t n))(void)
{
    static uint8_t *page;

    if (!page)
        page = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1,
                    0);
    memcpy(page, bytes, n);
    page[n] = 0xc3;
    return (void (*)(void))(uintptr_t)page;
}

#endif
