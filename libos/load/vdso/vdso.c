/* SPDX-License-Identifier: MIT */
/* The vDSO: clocks for ring 3 without a trap. Compiled by itself into a shared object that libOS maps into every program
 * behind its data page (struct vdso_data, read only). No data of its own, no relocations, no library. vdso(7). */
#include <libos/vdso.h>
#include <plat/time.h>
#include <stdatomic.h>

#define EXPORT __attribute__((visibility("default")))

enum {
    NR_GETTIMEOFDAY = 96,
    NR_CLOCK_GETTIME = 228,
    NR_CLOCK_GETRES = 229,
    NR_GETCPU = 309,
    REALTIME = 0,
    MONOTONIC = 1,
    MONOTONIC_RAW = 4,
    REALTIME_COARSE = 5,
    MONOTONIC_COARSE = 6,
    BOOTTIME = 7,
    TAI = 11,
};

struct timespec {
    long tv_sec, tv_nsec;
};
struct timeval {
    long tv_sec, tv_usec;
};
struct timezone {
    int tz_minuteswest, tz_dsttime;
};

/* Not const: libOS writes it, and the compiler must not believe otherwise. */
extern struct vdso_data vvar __attribute__((visibility("hidden")));

EXPORT int __vdso_clock_gettime(int clock, struct timespec *ts);
EXPORT int __vdso_gettimeofday(struct timeval *tv, struct timezone *tz);
EXPORT long __vdso_time(long *t);
EXPORT int __vdso_clock_getres(int clock, struct timespec *ts);
EXPORT int __vdso_getcpu(unsigned *cpu, unsigned *node, void *unused);

static inline long call3(long nr, long a, long b, long c)
{
    long ret;
    __asm__ volatile("syscall"
                     : "=a"(ret)
                     : "a"(nr), "D"(a), "S"(b), "d"(c)
                     : "rcx", "r11", "memory");
    return ret;
}

/* Nanoseconds of a clock below VDSO_CLOCKS. False: only the system call can tell. */
static inline __attribute__((always_inline)) bool now(unsigned clock, uint64_t *ret)
{
    for (;;) {
        /* Acquire: the fields are read after done, and before begun (x86-64 does not reorder loads, so only the compiler
         * has to be told). The arithmetic is one statement because this is the program's most frequent call. */
        uint32_t done = atomic_load_explicit(&vvar.done, memory_order_acquire);
        __asm__ volatile("lfence\n\trdtsc\n\t"
                         "shlq $32, %%rdx\n\torq %%rdx, %%rax\n\tsubq %[base], %%rax\n\t"
                         "mulq %[mult]\n\tshrdq %[shift], %%rdx, %%rax\n\t"
                         "addq %[offset], %%rax"
                         : "=&a"(*ret)
                         : [base] "m"(vvar.tsc_base), [mult] "m"(vvar.mult),
                           [shift] "i"(PLAT_CLOCK_SHIFT), [offset] "m"(vvar.offset[clock])
                         : "rdx", "memory", "cc");
        if (__builtin_expect(done == atomic_load_explicit(&vvar.begun, memory_order_relaxed), 1))
            return true;
        if (!vvar.usable)
            return false;
    }
}

static __attribute__((noinline)) int gettime_slow(int clock, struct timespec *ts)
{
    return (int)call3(NR_CLOCK_GETTIME, clock, (long)ts, 0);
}

int __vdso_clock_gettime(int clock, struct timespec *ts)
{
    enum {
        FAST = 1 << REALTIME | 1 << MONOTONIC | 1 << MONOTONIC_RAW | 1 << REALTIME_COARSE |
               1 << MONOTONIC_COARSE | 1 << BOOTTIME | 1 << TAI,
    };
    uint64_t ns;
    if (__builtin_expect((unsigned)clock >= VDSO_CLOCKS || !(FAST & 1u << clock) ||
                             !now((unsigned)clock, &ns),
                         0))
        return gettime_slow(clock, ts);
    uint64_t sec = ns / NS_PER_SEC;
    ts->tv_sec = (long)sec;
    ts->tv_nsec = (long)(ns - sec * NS_PER_SEC);
    return 0;
}

int __vdso_gettimeofday(struct timeval *tv, struct timezone *tz)
{
    uint64_t ns;
    if (!now(REALTIME, &ns))
        return (int)call3(NR_GETTIMEOFDAY, (long)tv, (long)tz, 0);
    if (tv) {
        tv->tv_sec = (long)(ns / NS_PER_SEC);
        tv->tv_usec = (long)(ns % NS_PER_SEC / 1000);
    }
    if (tz) {
        tz->tz_minuteswest = vvar.tz_minuteswest;
        tz->tz_dsttime = vvar.tz_dsttime;
    }
    return 0;
}

long __vdso_time(long *t)
{
    uint64_t ns;
    struct timespec ts;
    long sec = now(REALTIME, &ns)                                       ? (long)(ns / NS_PER_SEC)
               : call3(NR_CLOCK_GETTIME, REALTIME_COARSE, (long)&ts, 0) ? -1
                                                                        : ts.tv_sec;
    if (t)
        *t = sec;
    return sec;
}

int __vdso_clock_getres(int clock, struct timespec *ts)
{
    return (int)call3(NR_CLOCK_GETRES, clock, (long)ts, 0);
}

int __vdso_getcpu(unsigned *cpu, unsigned *node, void *unused)
{
    uint64_t aux;
    (void)unused;
    if (vvar.cpu_by == PLAT_CPU_BY_RDPID)
        __asm__ volatile("rdpid %0" : "=r"(aux));
    else if (vvar.cpu_by == PLAT_CPU_BY_RDTSCP)
        __asm__ volatile("rdtscp" : "=c"(aux) : : "rax", "rdx");
    else
        return (int)call3(NR_GETCPU, (long)cpu, (long)node, 0);
    if (cpu)
        *cpu = aux & 0xfff;
    if (node)
        *node = 0;
    return 0;
}

#define ALIAS(name) __attribute__((weak, alias("__vdso_" #name), visibility("default")))
int clock_gettime(int clock, struct timespec *ts) ALIAS(clock_gettime);
int gettimeofday(struct timeval *tv, struct timezone *tz) ALIAS(gettimeofday);
long time(long *t) ALIAS(time);
int clock_getres(int clock, struct timespec *ts) ALIAS(clock_getres);
int getcpu(unsigned *cpu, unsigned *node, void *unused) ALIAS(getcpu);
