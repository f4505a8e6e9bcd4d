/* SPDX-License-Identifier: MIT */
/* Clock, timer, idle, wall time, random numbers, interrupt lines. */
#include "plat_test.h"

#include <abi/errno.h>
#include <plat/boot.h>
#include <plat/console.h>
#include <plat/cpu.h>
#include <plat/irq.h>
#include <plat/mmio.h>
#include <plat/time.h>
#include <string.h>

static void test_timer(void)
{
    uint64_t start = plat_time_ns(), now;

    timer_hits = 0;
    plat_timer_set(start + 3000000);
    while (!timer_hits && plat_time_ns() - start < 2 * NS_PER_SEC)
        plat_idle();
    now = plat_time_ns();
    CHECK(timer_hits == 1 && now >= start + 3000000);

    plat_timer_set(plat_time_ns() + 1000000);
    plat_timer_set(UINT64_MAX);
    start = plat_time_ns();
    while (plat_time_ns() - start < 3000000)
        plat_irq_window();
    CHECK(timer_hits == 1);

    plat_timer_set(0); /* passed already: at once */
    start = plat_time_ns();
    while (timer_hits == 1 && plat_time_ns() - start < NS_PER_SEC)
        plat_irq_window();
    CHECK(timer_hits == 2);
}

static unsigned uart_hits;

static void uart_interrupt(void *arg)
{
    uart_hits++;
    (void)plat_io_read8(*(uint16_t *)arg +
                        2); /* reading the cause acknowledges "transmitter empty" */
}

static void test_line(void)
{
    static struct plat_uart uart;
    uint64_t start = plat_time_ns();

    CHECK(plat_uart(0, &uart) && uart.port == 0x3f8);
    CHECK(plat_irq_attach(uart.gsi, uart_interrupt, &uart.port) == 0);
    CHECK(plat_irq_attach(uart.gsi, uart_interrupt, &uart.port) == -EBUSY);
    CHECK(plat_irq_attach(5000, uart_interrupt, &uart.port) == -ENODEV);
    plat_io_write8(uart.port + 1, 2); /* transmitter empty: at once */
    while (!uart_hits && plat_time_ns() - start < NS_PER_SEC)
        plat_irq_window();
    plat_io_write8(uart.port + 1, 0);
    CHECK(uart_hits > 0);
}

void test_time(void)
{
    uint64_t last = 0, wall = plat_wall_at_boot_ns(), words[4] = { 0 };
    struct plat_clock c;
    unsigned bits = plat_random(words, sizeof(words));
    bool ordered = true;
    char text[4096];

    for (unsigned i = 0; i < 10000; i++) {
        uint64_t now = plat_time_ns();
        ordered = ordered && now >= last;
        last = now;
    }
    CHECK(ordered);
    plat_clock(&c);
    CHECK(c.usable && c.mult && c.tsc_hz > 100000000);
    /* 0, or between 2024 and 2100 */
    CHECK(wall == 0 || (wall > 1704067200 * NS_PER_SEC && wall < 4102444800 * NS_PER_SEC));
    CHECK(bits == 0 || bits == 256);
    CHECK(words[0] != words[1]);
    CHECK(plat_cpu_describe(0, text, sizeof(text)) > 300 && strstr(text, " sse2 "));
    CHECK(plat_cpu_describe(0, text, 10) == 9);
    log_info("wall clock %lu s, %u random bits", (unsigned long)(wall / NS_PER_SEC), bits);
    test_timer();
    test_line();
}
