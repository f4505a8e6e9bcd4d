/* SPDX-License-Identifier: MIT */
/* Do the wide registers survive what others do meanwhile? The CPUID page cannot know that the system has XSAVE on. */
#include <cpuid.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum { THREADS = 4, TURNS = 300, OSXSAVE = 1 << 27, AVX = 1 << 28 };

static atomic_int wrong;
static pthread_barrier_t barrier;

static void *turns(void *arg)
{
    uint8_t mine[32], seen[32];

    pthread_barrier_wait(&barrier);
    for (unsigned i = 0; i < TURNS; i++) {
        memset(mine, (int)(uintptr_t)arg + (int)i, sizeof(mine));
        __asm__ volatile("vmovdqu %1, %%ymm7\n\t"
                         "movl $24, %%eax\n\t" /* sched_yield */
                         "syscall\n\t"
                         "vmovdqu %%ymm7, %0\n\t"
                         "vzeroupper"
                         : "=m"(seen)
                         : "m"(mine)
                         : "rax", "rcx", "r11", "memory", "xmm7");
        if (memcmp(mine, seen, sizeof(mine)) != 0)
            atomic_fetch_add(&wrong, 1);
    }
    return NULL;
}

int main(void)
{
    unsigned a, b, c = 0, d, lo = 0, hi = 0, failed;
    pthread_t t[THREADS];

    __get_cpuid(1, &a, &b, &c, &d);
    if (c & OSXSAVE)
        __asm__ volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(0));
    failed = !(c & OSXSAVE) + !(c & AVX) + ((lo & 6) != 6);
    if (!failed) {
        pthread_barrier_init(&barrier, NULL, THREADS);
        for (uintptr_t i = 0; i < THREADS; i++)
            if (pthread_create(&t[i], NULL, turns, (void *)(i * 50)))
                return 1;
        for (unsigned i = 0; i < THREADS; i++)
            pthread_join(t[i], NULL);
        failed += wrong != 0;
    }
    printf("4 checks, %u failed\n", failed);
    return failed != 0;
}
