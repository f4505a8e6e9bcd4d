/* SPDX-License-Identifier: MIT */
/* The UARTs at the PC's places: COM1 is the console from the first message on, COM2 the control channel if it is
 * there. Output here is polled, with a bound; the driver takes the interrupts. Spec: National 16550D data sheet. */
#include "vm/vm.h"
#include "x86_64/x86.h"

#include <plat/console.h>

enum {
    UART_DATA = 0,
    UART_IER = 1,
    UART_FCR = 2,
    UART_LCR = 3,
    UART_MCR = 4,
    UART_LSR = 5,
    UART_SCRATCH = 7,
    LSR_THR_EMPTY = 0x20,
    WAIT_MAX = 20000, /* status reads before a byte is sent anyway */
};

static const struct plat_uart candidates[2] = { { 0x3f8, 4 }, { 0x2f8, 3 } };
static struct plat_uart found[2];
static size_t found_count;
static bool console_there = true; /* until vm_uart_init has looked */

static bool answers(uint16_t port)
{
    for (unsigned i = 0; i < 2; i++) {
        uint8_t pattern = i ? 0xaa : 0x55;
        x86_out8(port + UART_SCRATCH, pattern);
        if (x86_in8(port + UART_SCRATCH) != pattern)
            return false;
    }
    return true;
}

void vm_uart_init(void)
{
    console_there = answers(candidates[0].port);
    for (unsigned i = 0; i < ARRAY_SIZE(candidates); i++) {
        uint16_t port = candidates[i].port;

        if (i ? !answers(port) : !console_there)
            break; /* index 0 is the console: without it there is no index 1 */
        x86_out8(port + UART_IER, 0);
        x86_out8(port + UART_LCR, 0x80); /* divisor: 115200 */
        x86_out8(port + UART_DATA, 1);
        x86_out8(port + UART_IER, 0);
        x86_out8(port + UART_LCR, 3);   /* 8N1 */
        x86_out8(port + UART_FCR, 7);   /* FIFOs on and empty */
        x86_out8(port + UART_MCR, 0xb); /* DTR, RTS, OUT2: the interrupt's gate */
        found[found_count++] = candidates[i];
    }
}

void plat_console_write(const char *text, size_t len)
{
    uint16_t port = candidates[0].port;

    if (!console_there)
        return;
    for (size_t i = 0; i < len; i++) {
        for (unsigned wait = 0; wait < WAIT_MAX && !(x86_in8(port + UART_LSR) & LSR_THR_EMPTY);
             wait++)
            x86_pause();
        x86_out8(port + UART_DATA, (uint8_t)text[i]);
    }
}

void plat_console_off(void)
{
    console_there = false;
    found_count = 0;
}

bool plat_uart(size_t i, struct plat_uart *ret)
{
    if (i >= found_count)
        return false;
    *ret = (struct plat_uart){ found[i].port, vm_isa_gsi(found[i].gsi) };
    return true;
}
