/* SPDX-License-Identifier: MIT */
/* The lists of drivers, in the order in which they look for their devices. */
#include "drivers.h"
#include "policy.h"
#include <base/log.h>
#include <plat/dma.h>

static const struct pci_driver *const pci_drivers[] = { &virtio_pci_driver, &nvme_driver };

enum { POOL_BYTES = 8 << 20 };

static bool hostile;

bool policy_hostile(void)
{
    return hostile;
}

int drivers_hostile_vmm(void)
{
    hostile = true;
    return plat_dma_pool(POOL_BYTES);
}

static int pci_probe(void)
{
    pci_scan(pci_drivers, sizeof(pci_drivers) / sizeof(pci_drivers[0]), policy_hostile());
    return 0;
}

static const struct driver pci_bus = { "pci", pci_probe };
static const struct driver *const channels[] = { &uart_driver };
static const struct driver *const drivers[] = { &virtio_mmio_driver, &pci_bus, &tpm_driver };

static void probe(const struct driver *const *list, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        int err = list[i]->probe();
        if (err)
            log_warn("%s: cannot be used (error %d)", list[i]->name, -err);
    }
}

void drivers_probe_channels(void)
{
    probe(channels, ARRAY_SIZE(channels));
}

void drivers_probe(void)
{
    probe(drivers, ARRAY_SIZE(drivers));
}
