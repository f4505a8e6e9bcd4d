/* SPDX-License-Identifier: MIT */
/* The PCI walk over a configuration space that is the input, repeated; BARs take what is written as the input says. What a
 * driver is given must hold together. */
#include "pci/pci.h"

#include <base/log.h>
#include <plat/host.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The kernel's. */
_Noreturn void machine_exit(int wait_status);
_Noreturn void machine_exit(int wait_status)
{
    exit(wait_status ? 1 : 0);
}

static const uint8_t *input;
static size_t length, next;
static uint32_t written[64];
static bool is_written[64];

static uint32_t read_config(uint16_t id, unsigned offset, unsigned bytes)
{
    uint32_t v = 0;

    must(offset + bytes <= 256 && offset % bytes == 0);
    /* Half of the functions keep what they say, the others say something new each time. */
    for (unsigned i = 0; i < bytes; i++)
        v |= (uint32_t)input[(id & 8 ? offset + i + id * 7u : next++) % length] << 8 * i;
    if (offset == 0 && bytes == 4 && id & 8)
        v = 0x10411af4;
    if (id & 16 && is_written[offset / 4] && bytes == 4)
        v = written[offset / 4] & ~(v & 0xfff);
    return v;
}

static void write_config(uint16_t id, unsigned offset, unsigned bytes, uint32_t value)
{
    (void)id;
    must(offset + bytes <= 256);
    if (bytes == 4) {
        written[offset / 4] = value;
        is_written[offset / 4] = true;
    }
}

static bool match(const struct pci_function *f)
{
    return f->vendor != 0xffff;
}

static int probe(const struct pci_function *f)
{
    for (unsigned i = 0; i < PCI_BARS; i++) {
        const struct pci_bar *b = &f->bars[i];
        must(!b->size || (!(b->size & (b->size - 1)) && b->size <= 1 << 30 &&
                          b->addr % b->size == 0 && b->addr + b->size > b->addr));
    }
    for (unsigned i = 0; i < f->ncaps; i++)
        must(f->caps[i].at >= 0x40 && f->caps[i].at + f->caps[i].room < 256);
    if (f->vectors)
        must(pci_bar_holds(f, f->msix_bar, f->msix_offset, f->vectors * 16ull, false) &&
             pci_bar_has_msix(f, f->msix_bar, f->msix_offset, 1));
    return f->revision & 1;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct plat_host_bus bus = { .pci_read = read_config, .pci_write = write_config };
    static const struct pci_driver driver = { match, probe };
    static const struct pci_driver *const list[] = { &driver };

    if (!size)
        return 0;
    input = data;
    length = size;
    next = 0;
    memset(is_written, 0, sizeof(is_written));
    plat_host_bus_set(&bus);
    log_set_level(LOG_ERROR);
    pci_scan(list, 1, false);
    return 0;
}
