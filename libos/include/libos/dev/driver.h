/* SPDX-License-Identifier: MIT */
/* The list of drivers, drivers/drivers.c. */
#ifndef LIBOS_DEV_DRIVER_H
#define LIBOS_DEV_DRIVER_H

struct driver {
    const char *name;
    /* Find the devices and register them with their class. 0, also when there is none; a negative errno is logged. */
    int (*probe)(void);
};

/* Probe all of drivers/drivers.c, in order. */
void drivers_probe(void);

#endif
