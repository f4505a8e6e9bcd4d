/* SPDX-License-Identifier: MIT */
/* Devices of the host platform: a test answers for them (struct plat_host_bus), else there are none. Device memory is a range
 * of addresses that nothing is mapped at, so that a driver which follows one instead of using plat_mmio_* is caught. */
#include "../cc/cc.h"

#include <plat/cc.h>
#include <plat/host.h>
#include <plat/irq.h>
#include <plat/mmio.h>

#include <errno.h>
#include <stddef.h>

enum { IRQS_MAX = 64 };
#define MMIO_BASE   0x310000000000ull
#define MMIO_END    0x320000000000ull
#define MSI_ADDRESS 0xfee00000ull

static const struct plat_host_bus none, *bus = &none;
static struct irq {
    void (*fn)(void *arg);
    void *arg;
    unsigned gsi;
} lines[IRQS_MAX], messages[IRQS_MAX];

void plat_host_bus_set(const struct plat_host_bus *b)
{
    bus = b ? b : &none;
    for (unsigned i = 0; i < IRQS_MAX; i++)
        lines[i].fn = messages[i].fn = NULL;
}

bool plat_host_irq(unsigned gsi)
{
    for (unsigned i = 0; i < IRQS_MAX; i++)
        if (lines[i].fn && lines[i].gsi == gsi) {
            lines[i].fn(lines[i].arg);
            return true;
        }
    return false;
}

void *plat_host_irq_arg(unsigned gsi)
{
    for (unsigned i = 0; i < IRQS_MAX; i++)
        if (lines[i].fn && lines[i].gsi == gsi)
            return lines[i].arg;
    return NULL;
}

bool plat_host_msi(uint64_t address, uint32_t data)
{
    if (address != MSI_ADDRESS || data >= IRQS_MAX || !messages[data].fn)
        return false;
    messages[data].fn(messages[data].arg);
    return true;
}

int plat_irq_attach(unsigned gsi, void (*fn)(void *arg), void *arg)
{
    if (bus == &none)
        return -ENODEV;
    for (unsigned i = 0; i < IRQS_MAX; i++)
        if (lines[i].fn && lines[i].gsi == gsi)
            return -EBUSY;
    for (unsigned i = 0; i < IRQS_MAX; i++)
        if (!lines[i].fn) {
            lines[i] = (struct irq){ fn, arg, gsi };
            return 0;
        }
    return -ENODEV;
}

int plat_msi_attach(unsigned cpu, void (*fn)(void *arg), void *arg, struct plat_msi *ret)
{
    (void)cpu;
    for (unsigned i = 0; i < IRQS_MAX; i++)
        if (!messages[i].fn) {
            messages[i] = (struct irq){ fn, arg, 0 };
            *ret = (struct plat_msi){ .address = MSI_ADDRESS, .data = i, .slot = i };
            return 0;
        }
    return -ENOSPC;
}

void plat_msi_detach(struct plat_msi *m)
{
    messages[m->slot].fn = NULL;
}

volatile void *plat_mmio_map(uint64_t pa, size_t size)
{
    if (!size || pa + size < pa || pa + size > MMIO_END - MMIO_BASE)
        return NULL;
    return (volatile void *)(uintptr_t)(MMIO_BASE + pa);
}

uint64_t plat_host_mmio_read(const volatile void *p, unsigned bytes)
{
    return bus->mmio_read ? bus->mmio_read((uintptr_t)p - MMIO_BASE, bytes) : UINT64_MAX;
}

void plat_host_mmio_write(volatile void *p, unsigned bytes, uint64_t value)
{
    if (bus->mmio_write)
        bus->mmio_write((uintptr_t)p - MMIO_BASE, bytes, value);
}

uint64_t plat_host_shared_read(const volatile void *p, unsigned bytes)
{
    uint64_t v = bytes == 1   ? *(const volatile uint8_t *)p
                 : bytes == 2 ? *(const volatile uint16_t *)p
                 : bytes == 4 ? *(const volatile uint32_t *)p
                              : *(const volatile uint64_t *)p;

    return bus->shared_read ? bus->shared_read(p, bytes, v) : v;
}

static uint32_t io_read(uint16_t port, unsigned bytes)
{
    return bus->io_read ? bus->io_read(port, bytes) : UINT32_MAX;
}

static void io_write(uint16_t port, unsigned bytes, uint32_t value)
{
    if (bus->io_write)
        bus->io_write(port, bytes, value);
}

uint8_t plat_io_read8(uint16_t port)
{
    return (uint8_t)io_read(port, 1);
}

uint16_t plat_io_read16(uint16_t port)
{
    return (uint16_t)io_read(port, 2);
}

uint32_t plat_io_read32(uint16_t port)
{
    return io_read(port, 4);
}

void plat_io_write8(uint16_t port, uint8_t value)
{
    io_write(port, 1, value);
}

void plat_io_write16(uint16_t port, uint16_t value)
{
    io_write(port, 2, value);
}

void plat_io_write32(uint16_t port, uint32_t value)
{
    io_write(port, 4, value);
}

bool plat_pci_buses(bool ports_only, uint8_t *ret_first, uint8_t *ret_last)
{
    (void)ports_only;
    *ret_first = 0;
    *ret_last = 255;
    return bus->pci_read != NULL;
}

uint32_t plat_pci_read(uint16_t function, unsigned offset, unsigned bytes)
{
    uint32_t v = bus->pci_read ? bus->pci_read(function, offset, bytes) : UINT32_MAX;

    return bytes == 1 ? (uint8_t)v : bytes == 2 ? (uint16_t)v : v;
}

void plat_pci_write(uint16_t function, unsigned offset, unsigned bytes, uint32_t value)
{
    if (bus->pci_write)
        bus->pci_write(function, offset, bytes, value);
}

bool plat_pci_window(uint64_t *ret_start, uint64_t *ret_end)
{
    *ret_start = 0xc0000000;
    *ret_end = 0xd0000000;
    return bus->pci_read != NULL;
}

bool plat_virtio_mmio(size_t i, struct plat_virtio_mmio *ret)
{
    return bus->slot && bus->slot(i, ret);
}

bool plat_tpm(struct plat_tpm *ret)
{
    return bus->tpm && bus->tpm(ret);
}

size_t plat_tpm_log(void *ret, size_t max)
{
    return bus->tpm_log ? bus->tpm_log(ret, max) : 0;
}

void cc_share(uint64_t pa, uint64_t size)
{
    (void)pa, (void)size; /* everything in a process is */
}

bool plat_cc_debug(void)
{
    return false;
}

bool plat_tdx(void)
{
    return false;
}

int plat_tdx_report(const uint8_t data[PLAT_TDX_DATA], uint8_t ret_report[PLAT_TDX_REPORT])
{
    (void)data, (void)ret_report;
    return -ENODEV;
}

bool plat_snp(void)
{
    return false;
}

unsigned plat_svsm(void)
{
    return 0;
}

int plat_svsm_attest(struct plat_svsm_attest *q)
{
    return -ENODEV;
}

bool plat_snp_secure_tsc(void)
{
    return false;
}

void plat_snp_set_counter(uint64_t scale, uint64_t offset)
{
}

int plat_snp_take_key(uint8_t ret_key[PLAT_SNP_KEY], uint64_t *ret_sequence, unsigned *ret_vmpl)
{
    (void)ret_key, (void)ret_sequence, (void)ret_vmpl;
    return -ENODEV;
}

int plat_snp_request(uint64_t request, uint64_t response, uint64_t certs, uint64_t *pages,
                     uint64_t *ret_verdict)
{
    (void)request, (void)response, (void)certs, (void)pages, (void)ret_verdict;
    return -ENODEV;
}

int plat_tdx_get_quote(uint64_t addr, size_t size)
{
    (void)addr, (void)size;
    return -ENODEV;
}

int plat_tdx_quote_notify(void (*fn)(void *arg), void *arg)
{
    (void)fn, (void)arg;
    return -ENODEV;
}

int plat_tdx_extend(unsigned n, const uint8_t digest[PLAT_TDX_DIGEST])
{
    (void)n, (void)digest;
    return -ENODEV;
}
