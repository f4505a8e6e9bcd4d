/* SPDX-License-Identifier: MIT */
/* The drivers that drivers.c lists. */
#ifndef DRIVERS_DRIVERS_H
#define DRIVERS_DRIVERS_H

#include <libos/dev/driver.h>

extern const struct driver uart_driver;

#endif
