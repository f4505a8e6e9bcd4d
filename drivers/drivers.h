/* SPDX-License-Identifier: MIT */
/* The drivers that drivers.c lists. */
#ifndef DRIVERS_DRIVERS_H
#define DRIVERS_DRIVERS_H

#include "pci/pci.h"

#include <libos/dev/driver.h>

extern const struct driver uart_driver;
extern const struct driver tpm_driver;
extern const struct driver virtio_mmio_driver;
extern const struct pci_driver nvme_driver;
extern const struct pci_driver virtio_pci_driver;

#endif
