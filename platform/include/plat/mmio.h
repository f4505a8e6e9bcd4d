/* SPDX-License-Identifier: MIT */
/* Device registers: in memory, in I/O ports, in PCI configuration space; and where the machine says that devices are.
 * What comes out of any of them was written by the host: a number to check, never one to trust. */
#ifndef PLAT_MMIO_H
#define PLAT_MMIO_H

#include <base/compiler.h>
#include <base/types.h>
#include <plat_arch/mmio.h>

/* Inline, from plat_arch/mmio.h; naturally aligned, each one access of that width:
 * uint8_t plat_mmio_read8(const volatile void *p), 16, 32, 64; void plat_mmio_write8(volatile void *p, uint8_t v), 16, 32, 64.
 * uint16_t plat_shared_read16(const volatile void *p), 32, 64, 8: memory that a device writes too (plat/dma.h). One access,
 * never repeated by the compiler: what was checked is what is used. */

/* Map device registers, uncached, not executable, for good: at least the pages that hold [pa, pa + size). NULL: the range
 * is RAM, belongs to an interrupt controller, a clock or PCI configuration space, is out of the CPU's reach, or there is no
 * room. Only at boot and on one CPU. */
volatile void *plat_mmio_map(uint64_t pa, size_t size);

/* I/O ports. */
uint8_t plat_io_read8(uint16_t port);
uint16_t plat_io_read16(uint16_t port);
uint32_t plat_io_read32(uint16_t port);
void plat_io_write8(uint16_t port, uint8_t value);
void plat_io_write16(uint16_t port, uint16_t value);
void plat_io_write32(uint16_t port, uint32_t value);

/* The buses that this machine announces, in segment 0; false: no PCI. ports_only: not by the memory window that the host's
 * tables name. Called before the next two. */
bool plat_pci_buses(bool ports_only, uint8_t *ret_first, uint8_t *ret_last);
/* Configuration space of a function (bus << 8 | device << 3 | function); offset below 256, a multiple of bytes (1, 2, 4).
 * All ones where there is nothing. Only at boot and on one CPU. */
uint32_t plat_pci_read(uint16_t function, unsigned offset, unsigned bytes);
void plat_pci_write(uint16_t function, unsigned offset, unsigned bytes, uint32_t value);

/* The TPM 2.0 that the machine announces: where its registers (4 KiB) are, and of which kind. False: none. */
struct plat_tpm {
    uint64_t pa;
    bool crb; /* command response buffer; else FIFO (TIS) */
};
bool plat_tpm(struct plat_tpm *ret);

/* Copy the log of what the firmware measured into it, at most max bytes: as the firmware left it, with whatever lies behind
 * its end. How many bytes there are to copy; 0: there is no log. */
size_t plat_tpm_log(void *ret, size_t max);

/* Addresses below 4 GiB where BARs that nobody assigned may be put; false: not said. */
bool plat_pci_window(uint64_t *ret_start, uint64_t *ret_end);

/* A virtio-mmio slot that the loader's command line or the DSDT names; bounded and free of overlap. */
struct plat_virtio_mmio {
    uint64_t pa;
    uint32_t size; /* bytes, at least 512 */
    unsigned gsi;
};
/* Give the i-th slot; false past the last one. */
bool plat_virtio_mmio(size_t i, struct plat_virtio_mmio *ret);

#endif
