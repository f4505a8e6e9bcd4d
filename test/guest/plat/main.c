/* SPDX-License-Identifier: MIT */
/* The platform booted without libOS: this file defines the upcalls as small as they can be, and the tests next to it
 * use plat/ functions the way libOS does. Each failed check is a line; the last line is the verdict that run.py wants. */
#include "plat_test.h"

#include <abi/errno.h>
#include <plat/boot.h>
#include <plat/console.h>
#include <plat/cpu.h>
#include <plat/mem.h>
#include <plat/time.h>
#include <plat/upcall.h>
#include <plat/user.h>
#include <string.h>

struct plat_aspace test_as;
struct plat_thread test_main;
struct outcome outcome;
unsigned long pages_out;
unsigned timer_hits, kicks, traced_calls, fail_after;

static struct plat_thread user_threads[2];
static long exit_sum;
struct signal_test signal_test;
static unsigned checks, failures;
static struct plat_mem_region pool; /* the rest of the largest region */
static paddr_t free_list;           /* linked through the pages' first words */

static uintptr_t run_entry;
static unsigned long run_arg;

void check(bool ok, const char *name, const char *file, int line)
{
    checks++;
    if (ok)
        return;
    failures++;
    log_error("FAIL %s:%d: %s", file, line, name);
}

paddr_t upcall_page_alloc(void)
{
    paddr_t pa = free_list;

    if (fail_after && --fail_after == 0)
        return PADDR(0);

    if (pa.v) {
        free_list = *(paddr_t *)plat_phys_to_virt(pa);
    } else {
        if (pool.size < PAGE_SIZE)
            return PADDR(0);
        pa = pool.start;
        pool.start.v += PAGE_SIZE;
        pool.size -= PAGE_SIZE;
    }
    memset(plat_phys_to_virt(pa), 0, PAGE_SIZE);
    pages_out++;
    return pa;
}

paddr_t upcall_page_alloc_reserve(void)
{
    return upcall_page_alloc();
}

void upcall_page_free(paddr_t pa)
{
    *(paddr_t *)plat_phys_to_virt(pa) = free_list;
    free_list = pa;
    pages_out--;
}

/* The user thread that runs, and its partner in run_pair, which may have ended. */
static struct plat_thread *current_user, *partner;

static NORETURN void finish_user(void)
{
    struct plat_thread *next = partner, *self = current_user;

    partner = NULL;
    current_user = next;
    plat_thread_switch(self, next ? next : &test_main);
    panic("a finished thread runs again");
}

static void enter(void *arg)
{
    plat_thread_exec(plat_current(), run_entry, STACK_AT - 8 - (arg ? 2048 : 0));
    plat_current()->frame->rdi = arg ? *(unsigned long *)arg : run_arg;
}

struct outcome run(const char *label, unsigned long arg)
{
    outcome = (struct outcome){ .kind = RAN_NOT };
    run_entry = CODE_AT + (uintptr_t)(label - user_code);
    run_arg = arg;
    if (plat_thread_init(&user_threads[0], enter, NULL) != 0)
        panic("no thread");
    current_user = &user_threads[0];
    partner = NULL;
    plat_thread_switch(&test_main, current_user);
    plat_thread_fini(&user_threads[0]);
    return outcome;
}

long run_pair(const char *label, unsigned long arg0, unsigned long arg1)
{
    outcome = (struct outcome){ .kind = RAN_NOT };
    exit_sum = 0;
    run_entry = CODE_AT + (uintptr_t)(label - user_code);
    run_arg = arg0;
    if (plat_thread_init(&user_threads[0], enter, NULL) != 0 ||
        plat_thread_init(&user_threads[1], enter, &arg1) != 0)
        panic("no thread");
    current_user = &user_threads[0];
    partner = &user_threads[1];
    plat_thread_switch(&test_main, current_user);
    plat_thread_fini(&user_threads[0]);
    plat_thread_fini(&user_threads[1]);
    return outcome.kind == RAN_EXIT ? exit_sum : -1;
}

static long yield(void)
{
    struct plat_thread *self = current_user;

    if (partner) {
        current_user = partner;
        partner = self;
        plat_thread_switch(self, current_user);
    }
    return 0;
}

long upcall_syscall(unsigned long a0, unsigned long a1, unsigned long a2, unsigned long a3,
                    unsigned long a4, unsigned long a5, unsigned long nr)
{
    switch (nr) {
    case 39:
        return 1;
    case 60:
        outcome.kind = RAN_EXIT;
        outcome.code = (long)a0;
        exit_sum += (long)a0;
        finish_user();
    case 15:
        signal_test.pop_result = plat_signal_pop(plat_current(), &signal_test.popped);
        if (signal_test.pop_result != 0) {
            outcome.kind = RAN_FAULT;
            finish_user();
        }
        return plat_frame_ret(plat_current()->frame);
    case 500:
        outcome.reported = (long)a0;
        return 0;
    case 501:
        CHECK(a0 == 0x77 && a1 == 0x88 && a2 == 0x99 && a3 == 0xaa && a4 == 0xbb && a5 == 0xcc);
        return 1234;
    case 502:
        return yield();
    case 503:
        signal_test.wanted = true;
        plat_current()->work = 1;
        return 77;
    default:
        return -ENOSYS;
    }
}

long upcall_syscall_traced(unsigned long a0, unsigned long a1, unsigned long a2, unsigned long a3,
                           unsigned long a4, unsigned long a5, unsigned long nr)
{
    traced_calls++;
    return upcall_syscall(a0, a1, a2, a3, a4, a5, nr);
}

void upcall_user_return(struct plat_frame *frame)
{
    plat_current()->work = 0;
    if (signal_test.wanted) {
        signal_test.wanted = false;
        signal_test.sp = frame->rsp;
        signal_test.push_result = plat_signal_push(plat_current(), &signal_test.signal);
        if (signal_test.push_result == 0 && signal_test.spoil)
            signal_test.spoil(frame->rsp);
        if (signal_test.push_result != 0) {
            outcome.kind = RAN_FAULT;
            finish_user();
        }
    }
}

int upcall_fault(uintptr_t addr, enum plat_access access, bool present, bool from_user)
{
    if (addr >= LAZY_AT && addr < LAZY_END && !present && access != PLAT_ACCESS_EXEC) {
        paddr_t pa = upcall_page_alloc();
        outcome.faults++;
        return plat_mmu_map(&test_as, addr & PAGE_MASK, &pa, 1, PLAT_READ | PLAT_WRITE, false);
    }
    if (from_user) {
        outcome.kind = RAN_FAULT;
        outcome.addr = addr;
        outcome.error = access;
        finish_user();
    }
    return -EFAULT;
}

void upcall_exception(unsigned vector, unsigned long error, uintptr_t addr)
{
    outcome.kind = RAN_EXCEPTION;
    outcome.vector = vector;
    outcome.error = error;
    outcome.addr = addr;
    finish_user();
}

void upcall_timer(bool in_program)
{
    timer_hits++;
    if (plat_current() != &test_main) {
        outcome.kind = RAN_EXIT;
        outcome.code = 99;
        finish_user();
    }
}

void upcall_power_button(void)
{
}

void upcall_resumed(void)
{
}

void upcall_clock_changed(void)
{
}

void upcall_kick(void)
{
    kicks++;
}

void upcall_cpu_start(unsigned cpu)
{
    panic("cpu %u", cpu);
}

static void map_user_code(void)
{
    size_t size = (size_t)(user_code_end - user_code);
    paddr_t pages[2] = { upcall_page_alloc(), { 0 } };
    paddr_t stack = upcall_page_alloc();

    if (size > PAGE_SIZE)
        pages[1] = upcall_page_alloc();
    memcpy(plat_phys_to_virt(pages[0]), user_code, size < PAGE_SIZE ? size : PAGE_SIZE);
    if (size > PAGE_SIZE)
        memcpy(plat_phys_to_virt(pages[1]), user_code + PAGE_SIZE, size - PAGE_SIZE);
    CHECK(plat_mmu_map(&test_as, CODE_AT, pages, 2, PLAT_READ | PLAT_EXEC, false) == 0);
    CHECK(plat_mmu_map(&test_as, STACK_AT - PAGE_SIZE, &stack, 1, PLAT_READ | PLAT_WRITE, false) ==
          0);
}

static void take_memory(void)
{
    struct plat_mem_region r;
    uint64_t total = 0, last = 0;

    for (size_t i = 0; plat_mem_region(i, &r); i++) {
        CHECK(r.start.v % PAGE_SIZE == 0 && r.size % PAGE_SIZE == 0 && r.size && r.start.v >= last);
        last = r.start.v + r.size;
        CHECK(last <= plat_mem_end().v);
        total += r.size;
        /* first and last page of each region are memory */
        *(volatile uint64_t *)plat_phys_to_virt(r.start) = 1;
        *(volatile uint64_t *)plat_phys_to_virt(PADDR(last - 8)) = 2;
        CHECK(*(volatile uint64_t *)plat_phys_to_virt(r.start) == 1);
        if (r.size > pool.size)
            pool = r;
    }
    log_info("memory: %lu KiB in regions, end %#lx", total / 1024, plat_mem_end().v);
}

void upcall_boot(void)
{
    struct plat_clock c;
    uint64_t ns;
    const char *step;

    __asm__ volatile(".byte 0x0f, 0x1f, 0x80; .long 0x554c0003"); /* mark 3: the boot's cost */
    log_set_level(LOG_INFO);
    plat_clock(&c);
    log_info("machine %s, clock %s %lu Hz, cmdline '%s'", plat_boot_info()->machine, c.source,
             c.tsc_hz, plat_boot_info()->vmm_cmdline);
    for (size_t i = 0; plat_boot_step(i, &step, &ns); i++)
        log_info("%s at %lu us", step, ns / 1000);
    take_memory();
    test_end(plat_boot_info()->vmm_cmdline);
    plat_thread_adopt(&test_main);
    CHECK(plat_aspace_init(&test_as) == 0);
    plat_aspace_activate(&test_as);
    map_user_code();
    test_traps();
    test_mmu();
    test_share();
    test_threads();
    test_time();
    log_info("%u checks, %u failures", checks, failures);
    plat_console_write(failures ? "plat: FAILED\n" : "plat: PASSED\n", 13);
    plat_power_off(false);
}
