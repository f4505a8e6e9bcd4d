/* SPDX-License-Identifier: MIT */
/* The walk over PCI functions. Every number from configuration space is the host's: lists are bounded, sizes are powers of
 * two up to 1 GiB, a range is used only if no other BAR and nothing of ours lies there. Bridges are followed downwards in
 * bus number only, so that no loop can be built. Spec: PCI local bus 3.0, chapter 6. */
#include "pci/pci.h"

#include <abi/errno.h>
#include <base/log.h>
#include <plat/mmio.h>
#include <string.h>

enum {
    VENDOR = 0,
    COMMAND = 4,
    STATUS = 6,
    CLASS = 8,
    HEADER_TYPE = 0xe,
    BAR0 = 0x10,
    SECONDARY_BUS = 0x19,
    SUBSYSTEM = 0x2c,
    CAPABILITIES = 0x34,
    COMMAND_IO = 1,
    COMMAND_MEMORY = 2,
    COMMAND_MASTER = 4,
    COMMAND_NO_INTX = 0x400,
    STATUS_CAPABILITIES = 0x10,
    HEADER_MULTI = 0x80,
    BAR_IO = 1,
    BAR_64 = 4,
    BAR_TYPE = 6,
    MSIX_CONTROL = 2,
    MSIX_TABLE = 4,
    MSIX_PBA = 8,
    MSIX_BYTES = 12,
    MSIX_ENABLE = 0x8000,
    MSIX_MASK_ALL = 0x4000,
    ENTRY_BYTES = 16,
    ENTRY_MASKED = 1,
    CONFIG_BYTES = 256,
    FUNCTIONS_MAX = 256, /* looked at in all */
    BUSES_MAX = 16,      /* behind bridges */
    RANGES_MAX = 128,
};
#define BAR_SIZE_MAX (1ull << 30)

struct scan {
    const struct pci_driver *const *list;
    size_t n;
    unsigned functions, buses;
    uint64_t window, window_end; /* what is left for BARs that nobody assigned */
    unsigned range_count;
    bool pending[256]; /* buses to look at */
    /* Memory BARs that were accepted: a later one may not lie there. */
    struct {
        uint64_t addr, size;
    } ranges[RANGES_MAX];
};

static bool range_free(struct scan *s, uint64_t addr, uint64_t size)
{
    if (s->range_count == RANGES_MAX)
        return false;
    for (unsigned i = 0; i < s->range_count; i++)
        if (addr < s->ranges[i].addr + s->ranges[i].size && s->ranges[i].addr < addr + size)
            return false;
    s->ranges[s->range_count].addr = addr;
    s->ranges[s->range_count++].size = size;
    return true;
}

/* An address for a BAR that nobody assigned (a machine without firmware that does). 0: there is none. */
static uint64_t assign(struct scan *s, uint64_t size)
{
    uint64_t at;

    if (size < PAGE_SIZE)
        size = PAGE_SIZE;
    at = align_up(s->window, size);
    if (at < s->window || at > s->window_end || size > s->window_end - at)
        return 0;
    s->window = at + size;
    return at;
}

/* Size one BAR (decoding is off) and put it into f. The index of the next one. */
static unsigned read_bar(struct scan *s, struct pci_function *f, unsigned i)
{
    unsigned at = BAR0 + 4 * i;
    uint32_t low = plat_pci_read(f->id, at, 4), high = 0, mask, mask_high = UINT32_MAX;
    bool io = low & BAR_IO, wide = !io && (low & BAR_TYPE) == BAR_64;
    uint64_t addr, size;

    if (wide && i == PCI_BARS - 1)
        return PCI_BARS; /* its other half would be outside */
    plat_pci_write(f->id, at, 4, UINT32_MAX);
    mask = plat_pci_read(f->id, at, 4);
    plat_pci_write(f->id, at, 4, low);
    if (wide) {
        high = plat_pci_read(f->id, at + 4, 4);
        plat_pci_write(f->id, at + 4, 4, UINT32_MAX);
        mask_high = plat_pci_read(f->id, at + 4, 4);
        plat_pci_write(f->id, at + 4, 4, high);
    }
    mask &= io ? 0xfffffffc : 0xfffffff0;
    addr = (low & (io ? 0xfffffffc : 0xfffffff0)) | (uint64_t)high << 32;
    size = ~((uint64_t)mask_high << 32 | mask) + 1;
    if (io)
        size &= 0xffff;
    if (!addr && mask && !io && size && !(size & (size - 1)) && size <= BAR_SIZE_MAX) {
        addr = assign(s, size);
        plat_pci_write(f->id, at, 4, (uint32_t)addr);
        if (wide)
            plat_pci_write(f->id, at + 4, 4, 0);
    }
    /* A size of 0 is a BAR that is not there. */
    if (mask && size && !(size & (size - 1)) && size <= BAR_SIZE_MAX && addr && addr % size == 0 &&
        addr + size > addr && (!io || addr + size <= 0x10000) && (io || range_free(s, addr, size)))
        f->bars[i] = (struct pci_bar){ addr, size, io };
    return i + (wide ? 2 : 1);
}

/* The capability list, at most as long as there is room for in the space that it lies in. */
static void read_caps(struct pci_function *f)
{
    bool seen[CONFIG_BYTES] = { false };
    uint8_t at;

    if (!(plat_pci_read(f->id, STATUS, 2) & STATUS_CAPABILITIES))
        return;
    at = (uint8_t)plat_pci_read(f->id, CAPABILITIES, 1);
    while (at >= 0x40 && at % 4 == 0 && !seen[at] && f->ncaps < PCI_CAPS_MAX) {
        uint16_t head = (uint16_t)plat_pci_read(f->id, at, 2);

        seen[at] = true;
        f->caps[f->ncaps++] =
            (struct pci_cap){ (uint8_t)head, at, (uint8_t)(CONFIG_BYTES - at - 1) };
        at = (uint8_t)(head >> 8);
    }
}

bool pci_bar_holds(const struct pci_function *f, unsigned bar, uint64_t offset, uint64_t size,
                   bool io)
{
    return bar < PCI_BARS && f->bars[bar].size && f->bars[bar].io == io && size &&
           offset <= f->bars[bar].size && size <= f->bars[bar].size - offset;
}

static bool touches(uint64_t a, uint64_t a_size, uint64_t b, uint64_t b_size)
{
    return a < b + b_size && b < a + a_size;
}

static uint64_t pba_bytes(const struct pci_function *f)
{
    return (f->vectors + 63) / 64 * 8;
}

bool pci_bar_has_msix(const struct pci_function *f, unsigned bar, uint64_t offset, uint64_t size)
{
    return f->vectors &&
           ((bar == f->msix_bar &&
             touches(offset, size, f->msix_offset, (uint64_t)f->vectors * ENTRY_BYTES)) ||
            (bar == f->pba_bar && touches(offset, size, f->pba_offset, pba_bytes(f))));
}

/* The first MSI-X capability, if its table and pending bits lie in memory BARs and apart from each other. */
static void read_msix(struct pci_function *f)
{
    for (unsigned i = 0; i < f->ncaps; i++) {
        unsigned at = f->caps[i].at, vectors;
        uint32_t table, pba;
        struct pci_function try = *f;

        if (f->caps[i].id != PCI_CAP_MSIX || f->caps[i].room < MSIX_BYTES)
            continue;
        vectors = (plat_pci_read(f->id, at + MSIX_CONTROL, 2) & 0x7ff) + 1;
        table = plat_pci_read(f->id, at + MSIX_TABLE, 4);
        pba = plat_pci_read(f->id, at + MSIX_PBA, 4);
        try.vectors = vectors;
        try.msix_at = at;
        try.msix_bar = table & 7;
        try.pba_bar = pba & 7;
        try.msix_offset = table & ~7u;
        try.pba_offset = pba & ~7u;
        if (!pci_bar_holds(f, try.msix_bar, try.msix_offset, (uint64_t)vectors * ENTRY_BYTES,
                           false) ||
            !pci_bar_holds(f, try.pba_bar, try.pba_offset, pba_bytes(&try), false) ||
            (try.msix_bar == try.pba_bar &&
             touches(try.msix_offset, (uint64_t)vectors * ENTRY_BYTES, try.pba_offset,
                     pba_bytes(&try))))
            continue;
        *f = try;
        return;
    }
}

volatile void *pci_map(const struct pci_function *f, unsigned bar, uint64_t offset, uint64_t size)
{
    if (!pci_bar_holds(f, bar, offset, size, false))
        return NULL;
    return plat_mmio_map(f->bars[bar].addr + offset, size);
}

static void set_command(const struct pci_function *f, uint16_t set, uint16_t clear)
{
    uint16_t old = (uint16_t)plat_pci_read(f->id, COMMAND, 2);

    plat_pci_write(f->id, COMMAND, 2, (uint16_t)((old & ~clear) | set));
}

void pci_enable(const struct pci_function *f)
{
    set_command(f, COMMAND_IO | COMMAND_MEMORY | COMMAND_MASTER | COMMAND_NO_INTX, 0);
}

void pci_disable(const struct pci_function *f)
{
    set_command(f, COMMAND_NO_INTX, COMMAND_IO | COMMAND_MEMORY | COMMAND_MASTER);
}

int pci_msix_enable(struct pci_function *f)
{
    unsigned usable = f->vectors < PCI_VECTORS_MAX ? f->vectors : PCI_VECTORS_MAX;

    if (!f->vectors)
        return -ENODEV;
    f->table = pci_map(f, f->msix_bar, f->msix_offset, (uint64_t)usable * ENTRY_BYTES);
    if (!f->table)
        return -ENODEV;
    f->vectors = usable;
    /* Some VMMs hand the function over with MSI-X on: all masked first, whatever the table says. */
    plat_pci_write(f->id, f->msix_at + MSIX_CONTROL, 2, MSIX_ENABLE | MSIX_MASK_ALL);
    for (unsigned i = 0; i < usable; i++)
        plat_mmio_write32(&f->table[4 * i + 3], ENTRY_MASKED);
    plat_pci_write(f->id, f->msix_at + MSIX_CONTROL, 2, MSIX_ENABLE);
    return 0;
}

void pci_msix_set(const struct pci_function *f, unsigned entry, const struct plat_msi *m)
{
    volatile uint32_t *e = &f->table[4 * entry];

    plat_mmio_write32(&e[3], ENTRY_MASKED);
    plat_mmio_write32(&e[0], (uint32_t)m->address);
    plat_mmio_write32(&e[1], (uint32_t)(m->address >> 32));
    plat_mmio_write32(&e[2], m->data);
    plat_mmio_write32(&e[3], 0);
}

/* Find out about an ordinary function and give it to its driver. */
static void take(struct scan *s, struct pci_function *f)
{
    const struct pci_driver *d = NULL;
    uint32_t sub = plat_pci_read(f->id, SUBSYSTEM, 4);

    f->subsystem_vendor = (uint16_t)sub;
    f->subsystem = (uint16_t)(sub >> 16);
    for (size_t i = 0; i < s->n && !d; i++)
        if (s->list[i]->match(f))
            d = s->list[i];
    if (!d)
        return;
    pci_disable(f); /* nothing decodes while its BARs are sized */
    for (unsigned i = 0; i < PCI_BARS;)
        i = read_bar(s, f, i);
    read_caps(f);
    read_msix(f);
    if (plat_pci_read(f->id, VENDOR, 4) != (f->vendor | (uint32_t)f->device << 16)) {
        log_warn("pci %02x:%02x.%x: gone while it was looked at", f->id >> 8, f->id >> 3 & 31,
                 f->id & 7);
        return;
    }
    if (d->probe(f))
        pci_disable(f);
}

/* Look at one function. Its header type; UINT8_MAX: nothing there. */
static uint8_t scan_function(struct scan *s, uint16_t id)
{
    struct pci_function f = { .id = id };
    uint32_t ids = plat_pci_read(id, VENDOR, 4), class;
    uint8_t type;

    if (ids == UINT32_MAX || !ids || (uint16_t)ids == 0xffff)
        return UINT8_MAX;
    f.vendor = (uint16_t)ids;
    f.device = (uint16_t)(ids >> 16);
    class = plat_pci_read(id, CLASS, 4);
    f.class = class >> 8;
    f.revision = (uint8_t) class;
    type = (uint8_t)plat_pci_read(id, HEADER_TYPE, 1);
    if (type == UINT8_MAX || ++s->functions > FUNCTIONS_MAX)
        return UINT8_MAX;
    if ((type & ~HEADER_MULTI) == 0) {
        take(s, &f);
    } else if ((type & ~HEADER_MULTI) == 1) {
        unsigned bus = plat_pci_read(id, SECONDARY_BUS, 1);
        /* Only towards higher buses: each is looked at once at most. */
        if (bus > id >> 8u && s->buses++ < BUSES_MAX) {
            set_command(&f, COMMAND_IO | COMMAND_MEMORY | COMMAND_MASTER, 0);
            s->pending[bus] = true;
        }
    }
    return type;
}

static void scan_bus(struct scan *s, unsigned bus)
{
    for (unsigned device = 0; device < 32; device++) {
        uint16_t id = (uint16_t)(bus << 8 | device << 3);
        uint8_t type = scan_function(s, id);

        if (type == UINT8_MAX || !(type & HEADER_MULTI))
            continue;
        for (unsigned i = 1; i < 8; i++)
            scan_function(s, (uint16_t)(id | i));
    }
}

void pci_scan(const struct pci_driver *const *list, size_t n, bool ports_only)
{
    struct scan s = { .list = list, .n = n };
    uint8_t first, last;

    if (!plat_pci_buses(ports_only, &first, &last))
        return;
    (void)plat_pci_window(&s.window, &s.window_end); /* without one it is empty */
    s.pending[first] = true;
    for (unsigned bus = first; bus <= last; bus++)
        if (s.pending[bus])
            scan_bus(&s, bus);
}
