/* SPDX-License-Identifier: MIT */
/* The way out for messages before and beside the console driver: polled, always works. */
#ifndef PLAT_CONSOLE_H
#define PLAT_CONSOLE_H

#include <base/compiler.h>
#include <base/types.h>

/* Write len bytes to the machine's first console, waiting for the device (bounded). Usable from boot to panic. */
void plat_console_write(const char *text, size_t len);

/* From now on nothing goes to the machine's UARTs, nor comes from them: plat_uart finds none. Before drivers are looked for. */
void plat_console_off(void);

/* The UARTs that this machine announces (COM1, COM2), for the driver. */
struct plat_uart {
    uint16_t port; /* I/O base */
    unsigned gsi;
};
/* Give the i-th UART; false past the last one. Index 0 is the console, 1 the control channel. */
bool plat_uart(size_t i, struct plat_uart *ret);

#endif
