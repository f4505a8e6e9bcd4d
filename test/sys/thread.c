/* SPDX-License-Identifier: MIT */
/* clone's flags, thread ids, what a thread registers, its end; rseq, membarrier, arch_prctl. */
#define _GNU_SOURCE
#include <t.h>

#include <asm/prctl.h>
#include <errno.h>
#include <linux/membarrier.h>
#include <linux/sched.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/rseq.h>
#include <unistd.h>

#define THREAD (CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM)

static _Atomic int child_tid, parent_tid, seen_tid, ran;

static int child(void *arg)
{
    seen_tid = (int)call(SYS_gettid);
    ran++;
    return 0;
}

static void until(_Atomic int *what, int value)
{
    for (int i = 0; i < 2000 && *what != value; i++)
        usleep(1000);
    CHECK(value, *what);
}

static void clones(void)
{
    char *stack = malloc(65536);
    child_tid = -1;
    int tid = clone(child, stack + 65536,
                    THREAD | CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID | CLONE_CHILD_SETTID, NULL,
                    &parent_tid, NULL, &child_tid);
    CHECK(true, tid > 0);
    until(&ran, 1);
    CHECK(tid, seen_tid);
    CHECK(tid, parent_tid);
    until(&child_tid, 0);
    /* The word is cleared a moment before the thread is gone: of an emulator that runs one CPU at a time, a long one. */
    for (int i = 0; i < 2000 && call(SYS_tgkill, getpid(), tid, 0) == 0; i++)
        usleep(1000);
    CHECK(-ESRCH, call(SYS_tgkill, getpid(), tid, 0));
    CHECK(-EINVAL, call(SYS_clone, CLONE_THREAD, 0, 0, 0, 0));
    CHECK(-EINVAL, call(SYS_clone, CLONE_SIGHAND, 0, 0, 0, 0));
    CHECK(-EINVAL, call(SYS_clone, CLONE_THREAD | CLONE_SIGHAND, 0, 0, 0, 0));
    struct clone_args a = { .flags = CLONE_THREAD };
    CHECK(-EINVAL, call(SYS_clone3, &a, sizeof(a)));
    CHECK(-EINVAL, call(SYS_clone3, &a, 16));
    CHECK(-E2BIG, call(SYS_clone3, &a, 5000));
    CHECK(-EFAULT, call(SYS_clone3, T_BAD, sizeof(a)));
    a.flags = CLONE_VM;
    a.stack = 4096;
    CHECK(-EINVAL, call(SYS_clone3, &a, sizeof(a)));
    a = (struct clone_args){ .flags = CLONE_DETACHED };
    CHECK(-EINVAL, call(SYS_clone3, &a, sizeof(a)));
    a = (struct clone_args){ .flags = THREAD, .exit_signal = SIGCHLD };
    CHECK(-EINVAL, call(SYS_clone3, &a, sizeof(a)));
    free(stack);
}

static void *worker(void *arg)
{
    atomic_fetch_add((_Atomic int *)arg, 1);
    return arg;
}

static void many(void)
{
    static _Atomic int n;
    pthread_t t[50];
    void *ret;
    for (int round = 0; round < 4; round++) {
        for (int i = 0; i < 50; i++)
            CHECK(0, pthread_create(&t[i], NULL, worker, &n));
        for (int i = 0; i < 50; i++) {
            CHECK(0, pthread_join(t[i], &ret));
            CHECK(true, ret == &n);
        }
    }
    CHECK(200, n);
}

static void *spinner(void *arg)
{
    atomic_store((_Atomic int *)arg, 1);
    while (atomic_load((_Atomic int *)arg) != 2)
        ;
    return NULL;
}

/* Two threads that never sleep both get on, on one CPU too. */
static void preemption(void)
{
    static _Atomic int flag;
    pthread_t t;
    CHECK(0, pthread_create(&t, NULL, spinner, &flag));
    while (atomic_load(&flag) != 1)
        ;
    atomic_store(&flag, 2);
    CHECK(0, pthread_join(t, NULL));
}

static void registers(void)
{
    uintptr_t base = 0, head;
    size_t len;
    CHECK(call(SYS_gettid), call(SYS_set_tid_address, &child_tid));
    CHECK(-EINVAL, call(SYS_set_robust_list, &base, 7));
    CHECK(0, call(SYS_get_robust_list, 0, &head, &len));
    CHECK(24, len);
    CHECK(-ESRCH, call(SYS_get_robust_list, 0x3ffff0, &head, &len));
    CHECK(-EFAULT, call(SYS_get_robust_list, 0, T_BAD, &len));
    CHECK(0, call(SYS_arch_prctl, ARCH_GET_FS, &base));
    CHECK((long)pthread_self(), base);
    CHECK(0, call(SYS_arch_prctl, ARCH_SET_GS, 0x12345000));
    CHECK(0, call(SYS_arch_prctl, ARCH_GET_GS, &base));
    CHECK(0x12345000, base);
    usleep(1000); /* survives a switch */
    CHECK(0, call(SYS_arch_prctl, ARCH_GET_GS, &base));
    CHECK(0x12345000, base);
    CHECK(0, call(SYS_arch_prctl, ARCH_SET_GS, 0));
    CHECK(-EPERM, call(SYS_arch_prctl, ARCH_SET_FS, 0xffff800000000000));
    CHECK(-EINVAL, call(SYS_arch_prctl, 0x9999, 0));
    CHECK(-EFAULT, call(SYS_arch_prctl, ARCH_GET_FS, T_BAD));
}

static char *thread_pointer(void)
{
    return (char *)pthread_self(); /* the x86-64 ABI: %fs:0 points to itself */
}

static void restartable(void)
{
    struct rseq *area = (struct rseq *)(thread_pointer() + __rseq_offset);
    static struct rseq other __attribute__((aligned(32)));
    if (!__rseq_size)
        return;
    CHECK(true, area->cpu_id < 1024);
    CHECK(sched_getcpu(), area->cpu_id);
    CHECK(-EINVAL, call(SYS_rseq, &other, 32, 0, 0x53053053));
    CHECK(-EBUSY, call(SYS_rseq, area, 32, 0, 0x53053053));
    CHECK(-EPERM, call(SYS_rseq, area, 32, 0, 1));
    CHECK(-EINVAL, call(SYS_rseq, &other, 32, RSEQ_FLAG_UNREGISTER, 0x53053053));
    CHECK(0, call(SYS_rseq, area, 32, RSEQ_FLAG_UNREGISTER, 0x53053053));
    CHECK(-1, (int)area->cpu_id);
    CHECK(-EINVAL, call(SYS_rseq, (char *)area + 1, 32, 0, 0x53053053));
    CHECK(-EINVAL, call(SYS_rseq, area, 16, 0, 0x53053053));
    CHECK(0, call(SYS_rseq, area, 32, 0, 0x53053053));
    CHECK(sched_getcpu(), area->cpu_id);
}

/* A section that is preempted goes to its abort handler. */
static void sections(void)
{
    struct rseq *area = (struct rseq *)(thread_pointer() + __rseq_offset);
    static struct rseq_cs cs __attribute__((aligned(32)));
    long aborted = 0;
    cpu_set_t all, one;
    if (!__rseq_size)
        return;
    /* Both on this CPU, so that one preempts the other. */
    CHECK(0, sched_getaffinity(0, sizeof(all), &all));
    CPU_ZERO(&one);
    CPU_SET((size_t)sched_getcpu(), &one);
    CHECK(0, sched_setaffinity(0, sizeof(one), &one));
    static _Atomic int flag;
    pthread_t t;
    CHECK(0, pthread_create(&t, NULL, spinner, &flag));
    while (atomic_load(&flag) != 1)
        ;
    __asm__ volatile("leaq 1f(%%rip), %%rax\n\t"
                     "movq %%rax, 8+%[cs]\n\t"
                     "leaq 2f(%%rip), %%rcx\n\t"
                     "subq %%rax, %%rcx\n\t"
                     "movq %%rcx, 16+%[cs]\n\t"
                     "leaq 4f(%%rip), %%rax\n\t"
                     "movq %%rax, 24+%[cs]\n\t"
                     "leaq %[cs], %%rax\n\t"
                     "movq $3000000000, %%rcx\n\t"
                     "movq %%rax, 8(%[area])\n"
                     "1:\n\t"
                     "decq %%rcx\n\t"
                     "jnz 1b\n"
                     "2:\n\t"
                     "jmp 5f\n\t"
                     ".byte 0x0f, 0xb9, 0x3d\n\t"
                     ".long 0x53053053\n"
                     "4:\n\t"
                     "movq $1, %[aborted]\n"
                     "5:\n"
                     : [aborted] "+r"(aborted), [cs] "+m"(cs)
                     : [area] "r"(area)
                     : "rax", "rcx", "memory");
    CHECK(1, aborted);
    CHECK(0, area->rseq_cs != 0);
    atomic_store(&flag, 2);
    CHECK(0, pthread_join(t, NULL));
    CHECK(0, sched_setaffinity(0, sizeof(all), &all));
}

static void barriers(void)
{
    long set = call(SYS_membarrier, MEMBARRIER_CMD_QUERY, 0, 0);
    CHECK(true, set > 0);
    CHECK(-EINVAL, call(SYS_membarrier, MEMBARRIER_CMD_QUERY, 2, 0));
    CHECK(-EINVAL, call(SYS_membarrier, 1 << 30, 0, 0));
    CHECK(0, call(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0));
    CHECK(-EPERM, call(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0));
    CHECK(0, call(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0));
    CHECK(0, call(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0));
    CHECK(-EPERM, call(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE, 0, 0));
}

int main(void)
{
    clones();
    many();
    preemption();
    registers();
    restartable();
    sections();
    barriers();
    return t_end();
}
