/* SPDX-License-Identifier: MIT */
/* Ways to end that a bug of ours would take: each must be told on the console with a backtrace, and end the VM. */
#include "plat_test.h"

#include <plat/boot.h>
#include <plat/console.h>
#include <plat/cpu.h>
#include <plat/mem.h>
#include <plat/upcall.h>
#include <string.h>

#define LINK_BASE 0xffffffff80000000ull

static NOINLINE uint64_t overflow(uint64_t depth)
{
    volatile uint64_t page[64];

    page[depth % 64] = depth;
    return depth == UINT64_MAX ? 0 : overflow(depth + 1) + page[depth % 64];
}

static void overflow_thread(void *arg)
{
    (void)arg;
    overflow(0);
}

static void write_word(uintptr_t at)
{
    *(volatile uint64_t *)at = 0;
}

static void with_user_page(bool jump)
{
    paddr_t pa = upcall_page_alloc();

    memset(plat_phys_to_virt(pa), 0xc3, PAGE_SIZE); /* ret */
    if (plat_aspace_init(&test_as) != 0 ||
        plat_mmu_map(&test_as, CODE_AT, &pa, 1, PLAT_READ | PLAT_EXEC, false) != 0)
        panic("no memory");
    plat_aspace_activate(&test_as);
    if (jump)
        ((void (*)(void))CODE_AT)();
    else
        (void)*(volatile uint64_t *)CODE_AT;
}

/* An NMI from this CPU to itself through the local APIC, which the platform has not mapped for us. */
static void send_nmi(void)
{
    uint32_t lo, hi;

    __asm__ volatile("rdmsr" : "=a"(lo), "=d"(hi) : "c"(0x1b));
    if (lo & 1u << 10) {
        __asm__ volatile("wrmsr" : : "c"(0x830), "a"(4u << 8 | 1u << 18), "d"(0));
        return;
    }
    /* The linear map has RAM only: the test maps the APIC as a user page of its own. */
    paddr_t apic = PADDR(lo & 0xfffff000);
    if (plat_aspace_init(&test_as) != 0 ||
        plat_mmu_map(&test_as, CODE_AT, &apic, 1, PLAT_READ | PLAT_WRITE, false) != 0)
        panic("no memory");
    plat_aspace_activate(&test_as);
    __asm__ volatile("stac" : : : "memory");
    *(volatile uint32_t *)(CODE_AT + 0x300) = 4u << 8 | 1u << 14 | 1u << 18; /* to itself, NMI */
}

enum { COM1 = 0x3f8, SCRATCH = COM1 + 7, LONG = 5000 };

#define OUTS(width, from, count)                                                                   \
    __asm__ volatile("rep outs" width : "+S"(from), "+c"(count) : "d"((uint16_t)port) : "memory")
#define INS(width, to, count)                                                                      \
    __asm__ volatile("rep ins" width : "+D"(to), "+c"(count) : "d"((uint16_t)port) : "memory")

static void must_be(bool ok, const char *what)
{
    if (!ok)
        panic("string I/O: %s", what);
}

/* INS and OUTS, which nothing of ours uses: up, down, none at all, in more pieces than one call to a host takes. */
static void strings(void)
{
    static uint8_t bytes[LONG];
    const char *text = "plat: by outsb\n";
    unsigned port = COM1;
    size_t n = 15;
    void *to;

    OUTS("b", text, n);
    must_be(!n && !*text, "where OUTS ends");
    port = SCRATCH;
    for (size_t i = 0; i < LONG; i++)
        bytes[i] = (uint8_t)(i * 7);
    const uint8_t *from = bytes;
    n = LONG;
    OUTS("b", from, n);
    must_be(!n && from == bytes + LONG, "where a long OUTS ends");
    to = bytes;
    n = 3;
    INS("b", to, n);
    must_be(!n && to == bytes + 3, "where INS ends");
    for (unsigned i = 0; i < 3; i++)
        must_be(bytes[i] == (uint8_t)((LONG - 1) * 7), "the last byte that was written");
    must_be(bytes[3] == 21, "a byte too many");
    from = bytes + 9;
    n = 2;
    __asm__ volatile("std; rep outsb; cld" : "+S"(from), "+c"(n) : "d"((uint16_t)port) : "memory");
    must_be(!n && from == bytes + 7, "where OUTS ends that goes down");
    to = bytes;
    __asm__ volatile("insb" : "+D"(to) : "d"((uint16_t)port) : "memory");
    must_be(to == bytes + 1 && bytes[0] == 56, "one byte");
    to = bytes;
    n = 0;
    INS("l", to, n);
    must_be(!n && to == bytes, "nothing at all");
    plat_console_write("plat: string I/O works\n", 23);
}

/* OUTS from an address of ring 3: a confidential guest's handler must not follow it. */
static void user_string(void)
{
    unsigned port = SCRATCH;
    const void *from = (const void *)CODE_AT;
    size_t n = 1;

    OUTS("b", from, n);
}

void test_end(const char *cmdline)
{
    static struct plat_thread thread;
    const char *way = strstr(cmdline, "die=");
    uintptr_t text = (uintptr_t)test_end;

    if (!way)
        return;
    way += 4;
    plat_thread_adopt(&test_main);
    if (strcmp(way, "text") == 0) {
        write_word(text);
    } else if (strcmp(way, "alias") == 0) {
        /* The image is at 1 MiB; its text through the linear map. The slide is a multiple of 2 MiB, as is 1 MiB's page. */
        uint64_t *word = plat_phys_to_virt(PADDR((text - LINK_BASE) % LARGE_SIZE));
        if (memcmp(word, (void *)text, 8) != 0)
            panic("the alias is somewhere else");
        write_word((uintptr_t)word);
    } else if (strcmp(way, "stack") == 0) {
        if (plat_thread_init(&thread, overflow_thread, NULL) != 0)
            panic("no memory");
        plat_thread_switch(&test_main, &thread);
    } else if (strcmp(way, "boot-stack") == 0) {
        overflow(0);
    } else if (strcmp(way, "null") == 0) {
        uintptr_t at = 8;
        __asm__ volatile("" : "+r"(at));
        (void)*(volatile uint64_t *)at;
    } else if (strcmp(way, "jump") == 0) {
        ((void (*)(void))plat_phys_to_virt(PADDR(0x100000)))();
    } else if (strcmp(way, "smep") == 0 || strcmp(way, "smap") == 0) {
        with_user_page(way[2] == 'e');
    } else if (strcmp(way, "nmi") == 0) {
        send_nmi();
    } else if (strcmp(way, "panic") == 0) {
        panic("as asked");
    } else if (strcmp(way, "strings") == 0) {
        strings();
        plat_power_off(false);
    } else if (strcmp(way, "user-string") == 0) {
        user_string();
    } else if (strcmp(way, "reset") == 0) {
        plat_console_write("plat: resetting\n", 16);
        plat_reset();
    }
    plat_console_write("plat: still here\n", 17);
    plat_power_off(true);
}
