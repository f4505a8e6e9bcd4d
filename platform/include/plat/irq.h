/* SPDX-License-Identifier: MIT */
/* Interrupts of devices. Handlers run with interrupts off, on no lock of this CPU, and must not sleep. */
#ifndef PLAT_IRQ_H
#define PLAT_IRQ_H

#include <base/compiler.h>
#include <base/types.h>

/* Call fn(arg) on each interrupt of line gsi, which is not shared. It is edge-triggered unless the platform announced
 * otherwise: a handler looks at its device until there is nothing more. -ENODEV: no such line; -EBUSY: taken. */
NODISCARD int plat_irq_attach(unsigned gsi, void (*fn)(void *arg), void *arg);

/* A message-signalled interrupt: what the device writes, and where. */
struct plat_msi {
    uint64_t address;
    uint32_t data;
    unsigned slot; /* the platform's */
};

/* Give out a message that makes cpu call fn(arg). -ENOSPC: all are given out; -ENODEV: that CPU cannot get messages. Kept for
 * good unless plat_msi_detach. */
NODISCARD int plat_msi_attach(unsigned cpu, void (*fn)(void *arg), void *arg, struct plat_msi *ret);
/* Take it back. The device does not send it any more; a late one is ignored. */
void plat_msi_detach(struct plat_msi *m);

#endif
