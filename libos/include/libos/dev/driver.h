/* SPDX-License-Identifier: MIT */
/* The list of drivers, drivers/drivers.c. */
#ifndef LIBOS_DEV_DRIVER_H
#define LIBOS_DEV_DRIVER_H

struct driver {
    const char *name;
    /* Find the devices and register them with their class. 0, also when there is none; a negative errno is logged. */
    int (*probe)(void);
};

/* Take the VMM for an adversary (hostile-vmm), before any probe: only modern virtio over PCI with ACCESS_PLATFORM and NVMe
 * are driven, configuration space is reached by ports, and devices see the DMA pool alone. -ENOMEM: no memory for it. */
int drivers_hostile_vmm(void);
/* Probe the channels that messages leave by. */
void drivers_probe_channels(void);
/* Probe all other devices, once all CPUs run: queues and their interrupts are spread over them. */
void drivers_probe(void);

#endif
