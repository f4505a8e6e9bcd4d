/* SPDX-License-Identifier: MIT */
/* What the platform's own guest test shares: a tiny libOS of one page allocator and a few system calls. */
#ifndef PLAT_TEST_H
#define PLAT_TEST_H

#include <base/log.h>
#include <base/types.h>
#include <plat/mmu.h>
#include <plat/thread.h>

#define CODE_AT  0x400000ull
#define STACK_AT 0x7ffffff00000ull /* one page of stack below this */
#define LAZY_AT  0x10000000ull     /* pages here appear at the first fault */
#define LAZY_END 0x10100000ull

/* How a run in ring 3 ended. */
struct outcome {
    enum { RAN_NOT, RAN_EXIT, RAN_EXCEPTION, RAN_FAULT } kind;
    long code;       /* of exit */
    unsigned vector; /* of the exception */
    unsigned long error;
    uintptr_t addr;
    unsigned faults; /* lazy pages that were given */
    long reported;   /* last value of system call 500 */
};

extern struct plat_aspace test_as;
extern struct plat_thread test_main;
extern unsigned long pages_out; /* pages that the allocator gave and did not get back */
extern struct outcome outcome;
extern unsigned timer_hits, kicks, traced_calls;
extern unsigned fail_after; /* not 0: the fail_after-th page from now on is refused, once */

/* What system calls 503 (signal) and 15 (sigreturn) do and did. */
struct signal_test {
    bool wanted;
    struct plat_signal signal, popped;
    int push_result, pop_result;
    uintptr_t sp;                   /* of the interrupted program */
    void (*spoil)(uintptr_t frame); /* change the frame before the handler runs */
};
extern struct signal_test signal_test;

/* Run two threads of the same code that yield to each other (502); the sum of their exit codes, -1: not both ended so. */
long run_pair(const char *label, unsigned long arg0, unsigned long arg1);

/* Run user code at label (in user.S) with rdi = arg until it ends. */
struct outcome run(const char *label, unsigned long arg);

void check(bool ok, const char *name, const char *file, int line);
#define CHECK(e) check((e), #e, __FILE__, __LINE__)

/* 2 MiB of memory that nobody else uses, or v == 0. */
paddr_t large_page(void);

void test_mmu(void);
void test_share(void);
void test_traps(void);
void test_threads(void);
void test_time(void);

/* With die=WAY on the command line: end the machine that way, and do not return. */
void test_end(const char *cmdline);

extern const char user_code[], user_code_end[];

#endif
