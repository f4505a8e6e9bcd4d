/* SPDX-License-Identifier: MIT */
/* Rounds about threads: futexes, coming and going, the CPU they run on. */
#define _GNU_SOURCE
#include "stress.h"

#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { THREADS = 4, TIMES = 300 };

static struct {
    pthread_mutex_t plain, lending;
    pthread_cond_t cond;
    pthread_barrier_t barrier;
    sem_t sem;
    unsigned long counts[3];
    unsigned turn;
} f;

static void *contend(void *arg)
{
    unsigned me = (unsigned)(uintptr_t)arg;

    for (unsigned i = 0; i < TIMES; i++) {
        pthread_mutex_lock(&f.plain);
        f.counts[0]++;
        pthread_mutex_unlock(&f.plain);
        pthread_mutex_lock(&f.lending);
        f.counts[1]++;
        if (i % 16 == 0)
            sched_yield();
        pthread_mutex_unlock(&f.lending);
        sem_wait(&f.sem);
        __atomic_fetch_add(&f.counts[2], 1, __ATOMIC_RELAXED);
        sem_post(&f.sem);
    }
    pthread_barrier_wait(&f.barrier);
    for (unsigned i = 0; i < 40; i++) { /* one after another, in order */
        pthread_mutex_lock(&f.plain);
        while (f.turn % THREADS != me)
            pthread_cond_wait(&f.cond, &f.plain);
        f.turn++;
        pthread_cond_broadcast(&f.cond);
        pthread_mutex_unlock(&f.plain);
    }
    return NULL;
}

void stress_futexes(unsigned seed)
{
    pthread_t t[THREADS];
    pthread_mutexattr_t a;

    memset(&f, 0, sizeof(f));
    NEED(pthread_mutexattr_init(&a) == 0);
    NEED(pthread_mutex_init(&f.plain, &a) == 0);
    NEED(pthread_mutexattr_setprotocol(&a, seed & 1 ? PTHREAD_PRIO_INHERIT : PTHREAD_PRIO_NONE) ==
         0);
    NEED(pthread_mutex_init(&f.lending, &a) == 0);
    NEED(pthread_cond_init(&f.cond, NULL) == 0);
    NEED(pthread_barrier_init(&f.barrier, NULL, THREADS) == 0);
    NEED(sem_init(&f.sem, 0, 2) == 0);
    for (unsigned i = 0; i < THREADS; i++)
        NEED(pthread_create(&t[i], NULL, contend, (void *)(uintptr_t)i) == 0);
    for (unsigned i = 0; i < THREADS; i++)
        NEED(pthread_join(t[i], NULL) == 0);
    for (unsigned i = 0; i < 3; i++)
        NEED(f.counts[i] == THREADS * TIMES);
    NEED(f.turn == THREADS * 40);
    pthread_mutex_destroy(&f.plain);
    pthread_mutex_destroy(&f.lending);
    pthread_cond_destroy(&f.cond);
    pthread_barrier_destroy(&f.barrier);
    sem_destroy(&f.sem);
}

static void *nothing(void *arg)
{
    return arg;
}

static void *spin(void *arg)
{
    for (volatile unsigned long i = 0;; i++)
        ;
    return arg;
}

/* Threads that end at once, and groups that end, or execute, while their threads run on other CPUs. */
void stress_threads(unsigned seed)
{
    pthread_t t[8];

    for (unsigned round = 0; round < 5; round++) {
        for (unsigned i = 0; i < 8; i++)
            NEED(pthread_create(&t[i], NULL, nothing, &f.counts[i % 3]) == 0);
        for (unsigned i = 0; i < 8; i++) {
            void *ret;
            NEED(pthread_join(t[i], &ret) == 0 && ret == &f.counts[i % 3]);
        }
    }
    for (unsigned round = 0; round < 2; round++) {
        int status;
        pid_t pid = fork();

        NEED(pid >= 0);
        if (!pid) {
            for (unsigned i = 0; i < 3; i++)
                NEED(pthread_create(&t[i], NULL, spin, NULL) == 0);
            if (seed & 1)
                sched_yield();
            if (round)
                execl(stress_self, stress_self, "0", "13", NULL);
            _exit(13);
        }
        NEED(waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 13);
    }
}

static void *move(void *arg)
{
    cpu_set_t *all = arg, one;
    unsigned seed = (unsigned)syscall(SYS_gettid);

    for (unsigned i = 0; i < 100; i++) {
        unsigned cpu = stress_random(&seed) % 64, now = 99;

        if (!CPU_ISSET(cpu, all))
            continue;
        CPU_ZERO(&one);
        CPU_SET(cpu, &one);
        NEED(sched_setaffinity(0, sizeof(one), &one) == 0);
        NEED(syscall(SYS_getcpu, &now, NULL, NULL) == 0);
        NEED(now == cpu && (unsigned)sched_getcpu() == cpu);
    }
    return NULL;
}

void stress_affinity(unsigned seed)
{
    pthread_t t[3];
    cpu_set_t all;

    (void)seed;
    NEED(sched_getaffinity(0, sizeof(all), &all) == 0);
    for (unsigned i = 0; i < 3; i++)
        NEED(pthread_create(&t[i], NULL, move, &all) == 0);
    for (unsigned i = 0; i < 3; i++)
        NEED(pthread_join(t[i], NULL) == 0);
}
