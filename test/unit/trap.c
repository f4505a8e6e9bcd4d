/* SPDX-License-Identifier: MIT */
/* Traps of the host platform against its own signals: the timer's signal comes while libOS serves a program's page fault, at once,
 * after other threads have run, and while nobody runs. All registers of the program that a system call may change and a page
 * fault may not are as they were. */
#define _GNU_SOURCE
#include <t.h>

#include <libos/sched.h>
#include <libos/thread.h>
#include <libos/waitq.h>
#include <plat/time.h>
#include <plat/upcall.h>

#include <abi/mman.h>
#include <abi/signal.h>

int t_main(void);
int raise(int sig); /* signal.h does not go with libOS's own */
int __wrap_upcall_fault(uintptr_t addr, enum plat_access access, bool present, bool from_user);
int __real_upcall_fault(uintptr_t addr, enum plat_access access, bool present, bool from_user);

enum { REGS = 16, PAGES = 64, OTHER_MXCSR = 0x3f80, CARRY = 1 };
enum disturb { AT_ONCE, AFTER_THREAD, AFTER_IDLE, DISTURBS };

static struct waitq queue;
static enum disturb disturb;
static bool armed, ran;
static unsigned disturbed;

/* Every vector register holds something else now, and the flags are others. */
static void spoil(void)
{
    static const uint64_t junk[2] = { 0x1111111111111111, 0x2222222222222222 };
    __asm__ volatile(
        "movdqu %0, %%xmm0\n\tmovdqa %%xmm0, %%xmm1\n\tmovdqa %%xmm0, %%xmm2\n\t"
        "movdqa %%xmm0, %%xmm3\n\tmovdqa %%xmm0, %%xmm4\n\tmovdqa %%xmm0, %%xmm5\n\t"
        "movdqa %%xmm0, %%xmm6\n\tmovdqa %%xmm0, %%xmm7\n\tmovdqa %%xmm0, %%xmm8\n\t"
        "movdqa %%xmm0, %%xmm9\n\tmovdqa %%xmm0, %%xmm10\n\tmovdqa %%xmm0, %%xmm11\n\t"
        "movdqa %%xmm0, %%xmm12\n\tmovdqa %%xmm0, %%xmm13\n\tmovdqa %%xmm0, %%xmm14\n\t"
        "movdqa %%xmm0, %%xmm15\n\tclc"
        :
        : "m"(junk)
        : "cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9",
          "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15");
}

static void tick(void)
{
    spoil();
    CHECK(0, raise(SIGALRM));
}

static void other_thread(void *arg)
{
    (void)arg;
    tick();
    ran = true;
    waitq_wake(&queue, WAITQ_ALL, 0);
}

/* The fault, served late: what the test is about comes first. */
int __wrap_upcall_fault(uintptr_t addr, enum plat_access access, bool present, bool from_user)
{
    if (armed) {
        armed = false;
        disturbed++;
        tick();
        if (disturb == AFTER_THREAD) {
            ran = false;
            CHECK(0, thread_create_kernel("other", other_thread, NULL));
            CHECK(0, WAIT_EVENT(&queue, SLEEP_UNINTERRUPTIBLE, NO_DEADLINE, ran));
        } else if (disturb == AFTER_IDLE) {
            uint64_t until = plat_time_ns() + 2000000;
            (void)WAIT_EVENT(&queue, SLEEP_UNINTERRUPTIBLE, until, false);
        }
        tick();
    }
    return __real_upcall_fault(addr, access, present, from_user);
}

/* What a program sees of itself around a store. */
struct seen {
    uint64_t xmm[REGS][2];
    uint64_t flags;
    uint32_t mxcsr;
};

/* Store a byte to p with every register and the carry flag set. */
static void store(char *p, const struct seen *in, struct seen *out)
{
    uint32_t mxcsr;
    __asm__ volatile("stmxcsr %0" : "=m"(mxcsr));
    __asm__ volatile(
        "ldmxcsr %[round]\n\t"
        "movdqu 0(%[in]), %%xmm0\n\tmovdqu 16(%[in]), %%xmm1\n\tmovdqu 32(%[in]), %%xmm2\n\t"
        "movdqu 48(%[in]), %%xmm3\n\tmovdqu 64(%[in]), %%xmm4\n\tmovdqu 80(%[in]), %%xmm5\n\t"
        "movdqu 96(%[in]), %%xmm6\n\tmovdqu 112(%[in]), %%xmm7\n\tmovdqu 128(%[in]), %%xmm8\n\t"
        "movdqu 144(%[in]), %%xmm9\n\tmovdqu 160(%[in]), %%xmm10\n\tmovdqu 176(%[in]), %%xmm11\n\t"
        "movdqu 192(%[in]), %%xmm12\n\tmovdqu 208(%[in]), %%xmm13\n\tmovdqu 224(%[in]), %%xmm14\n\t"
        "movdqu 240(%[in]), %%xmm15\n\t"
        "stc\n\t"
        "movb $1, (%[p])\n\t"
        "setc %[flags]\n\t"
        "movdqu %%xmm0, 0(%[out])\n\tmovdqu %%xmm1, 16(%[out])\n\tmovdqu %%xmm2, 32(%[out])\n\t"
        "movdqu %%xmm3, 48(%[out])\n\tmovdqu %%xmm4, 64(%[out])\n\tmovdqu %%xmm5, 80(%[out])\n\t"
        "movdqu %%xmm6, 96(%[out])\n\tmovdqu %%xmm7, 112(%[out])\n\tmovdqu %%xmm8, 128(%[out])\n\t"
        "movdqu %%xmm9, 144(%[out])\n\tmovdqu %%xmm10, 160(%[out])\n\tmovdqu %%xmm11, "
        "176(%[out])\n\t"
        "movdqu %%xmm12, 192(%[out])\n\tmovdqu %%xmm13, 208(%[out])\n\tmovdqu %%xmm14, "
        "224(%[out])\n\t"
        "movdqu %%xmm15, 240(%[out])\n\t"
        "stmxcsr %[seen]"
        : [flags] "=m"(out->flags), [seen] "=m"(out->mxcsr)
        : [in] "r"(in->xmm), [out] "r"(out->xmm), [p] "r"(p), [round] "m"(in->mxcsr)
        : "memory", "cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8",
          "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15");
    __asm__ volatile("ldmxcsr %0" : : "m"(mxcsr));
}

static void one(char *p)
{
    struct seen in = { .flags = CARRY, .mxcsr = OTHER_MXCSR }, out = { .flags = 0 };
    for (unsigned i = 0; i < REGS; i++)
        in.xmm[i][0] = in.xmm[i][1] = 0x0101010101010101 * (0x40 + i);
    unsigned before = disturbed;
    armed = true;
    store(p, &in, &out);
    armed = false;
    CHECK(before + 1, disturbed);
    CHECK(1, *p);
    for (unsigned i = 0; i < REGS; i++)
        for (unsigned k = 0; k < 2; k++)
            CHECK(in.xmm[i][k], out.xmm[i][k]);
    CHECK(in.flags, out.flags);
    CHECK(in.mxcsr, out.mxcsr);
}

int t_main(void)
{
    waitq_init(&queue);
    for (disturb = AT_ONCE; disturb < DISTURBS; disturb++) {
        long p = call(SYS_mmap, 0, PAGES * 4096, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        CHECK(true, p > 0);
        one((char *)p + 4096);
        CHECK(0, call(SYS_munmap, p, PAGES * 4096));
    }
    return t_end();
}
