/* SPDX-License-Identifier: MIT */
/* PCI configuration space, by the two ports (mechanism 1) or through the memory window that the MCFG names (or, on QEMU's
 * microvm, the DSDT alone). Nothing is probed that was not announced: Firecracker logs each touch of an empty address, and
 * has an MCFG without PCI too, with pci=off on the command line. One CPU, at boot.
 * Spec: PCI local bus 3.0, 3.2.2.3.2; PCI firmware 3.3, 4.1.2. */
#include "vm/vm.h"
#include "vm/announce.h"
#include "x86_64/kmap.h"
#include "x86_64/x86.h"

#include <plat/boot.h>
#include <plat/mmio.h>

enum { CONFIG_ADDRESS = 0xcf8, CONFIG_DATA = 0xcfc, BUS_BYTES = 1 << 20 };
#define CONFIG_ENABLE (1u << 31)

static bool by_ports;
static uint64_t window;              /* physical; 0: none */
static uint8_t window_first;         /* the bus at its start */
static volatile uint8_t *buses[256]; /* mapped parts of it */

static void select_register(uint16_t function, unsigned offset)
{
    x86_out32(CONFIG_ADDRESS, CONFIG_ENABLE | (uint32_t)function << 8 | (offset & 0xfc));
}

static bool ports_answer(void)
{
    uint32_t before = x86_in32(CONFIG_ADDRESS), got;

    x86_out32(CONFIG_ADDRESS, CONFIG_ENABLE);
    got = x86_in32(CONFIG_ADDRESS);
    x86_out32(CONFIG_ADDRESS, before);
    return got == CONFIG_ENABLE;
}

bool plat_pci_buses(bool ports_only, uint8_t *ret_first, uint8_t *ret_last)
{
    const struct acpi_facts *f = vm_acpi();

    if (announce_pci_off(plat_boot_info()->vmm_cmdline))
        return false;
    *ret_first = 0;
    *ret_last = 255;
    window = ports_only ? 0 : f->ecam;
    /* The ports cost two exits for each access and every chip set with an MCFG of its own has them; but a machine
     * with reduced hardware need not. */
    if ((f->present && !f->reduced) || f->ecam)
        by_ports = ports_answer();
    if (by_ports)
        return true;
    if (!window)
        return false;
    window_first = *ret_first = f->ecam_first;
    *ret_last = f->ecam_last;
    return true;
}

/* Where the window has the register; NULL: the bus cannot be reached. */
static volatile uint8_t *window_at(uint16_t function, unsigned offset)
{
    unsigned bus = function >> 8;
    uint64_t pa = window + (uint64_t)(bus - window_first) * BUS_BYTES;

    if (bus < window_first || pa < window)
        return NULL;
    if (!buses[bus])
        buses[bus] = kmap_device(pa, BUS_BYTES);
    return buses[bus] ? buses[bus] + ((size_t)(function & 0xff) << 12) + offset : NULL;
}

uint32_t plat_pci_read(uint16_t function, unsigned offset, unsigned bytes)
{
    volatile uint8_t *p;

    if (by_ports) {
        uint16_t port = (uint16_t)(CONFIG_DATA + (offset & 3));
        select_register(function, offset);
        return bytes == 1 ? x86_in8(port) : bytes == 2 ? x86_in16(port) : x86_in32(port);
    }
    p = window_at(function, offset);
    if (!p)
        return UINT32_MAX >> (32 - 8 * bytes);
    return bytes == 1 ? plat_mmio_read8(p) : bytes == 2 ? plat_mmio_read16(p) : plat_mmio_read32(p);
}

void plat_pci_write(uint16_t function, unsigned offset, unsigned bytes, uint32_t value)
{
    volatile uint8_t *p;

    if (by_ports) {
        uint16_t port = (uint16_t)(CONFIG_DATA + (offset & 3));
        select_register(function, offset);
        if (bytes == 1)
            x86_out8(port, (uint8_t)value);
        else if (bytes == 2)
            x86_out16(port, (uint16_t)value);
        else
            x86_out32(port, value);
        return;
    }
    p = window_at(function, offset);
    if (!p)
        return;
    if (bytes == 1)
        plat_mmio_write8(p, (uint8_t)value);
    else if (bytes == 2)
        plat_mmio_write16(p, (uint16_t)value);
    else
        plat_mmio_write32(p, value);
}

bool plat_pci_window(uint64_t *ret_start, uint64_t *ret_end)
{
    *ret_start = vm_acpi()->pci_window;
    *ret_end = vm_acpi()->pci_window_end;
    return *ret_start != 0;
}
