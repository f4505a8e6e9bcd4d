/* SPDX-License-Identifier: MIT */
/* PCI functions: what was found out about each, with every number checked before a driver sees it. Boot only, on one CPU.
 * Spec: PCI local bus 3.0, chapter 6; PCI Express base 5.0, 7.5. */
#ifndef DRIVERS_PCI_PCI_H
#define DRIVERS_PCI_PCI_H

#include <base/compiler.h>
#include <base/types.h>
#include <plat/irq.h>

enum {
    PCI_BARS = 6,
    PCI_CAPS_MAX = 48,
    PCI_CAP_VENDOR = 9,
    PCI_CAP_MSIX = 0x11,
    PCI_VECTORS_MAX = 64,
};

struct pci_bar {
    uint64_t addr, size; /* size 0: not there */
    bool io;
};

struct pci_cap {
    uint8_t id, at, room; /* room: bytes up to the end of configuration space */
};

struct pci_function {
    uint16_t id; /* bus << 8 | device << 3 | function */
    uint16_t vendor, device, subsystem_vendor, subsystem;
    uint32_t class; /* class << 16 | subclass << 8 | interface */
    uint8_t revision;
    struct pci_bar bars[PCI_BARS];
    unsigned ncaps;
    struct pci_cap caps[PCI_CAPS_MAX];
    /* MSI-X; vectors 0: none. The table and the pending bits lie within memory BARs, apart from each other. */
    unsigned vectors, msix_at, msix_bar, pba_bar;
    uint64_t msix_offset, pba_offset;
    volatile uint32_t *table; /* mapped by pci_msix_enable */
};

/* A driver for functions. */
struct pci_driver {
    bool (*match)(const struct pci_function *f); /* by ids and class; BARs are not known yet */
    /* Take the function over; f is the caller's. Not 0 (after a logged line): its memory and bus master are turned off. */
    int (*probe)(const struct pci_function *f);
};

/* Look at all functions, and give each to the first driver in list that matches. */
void pci_scan(const struct pci_driver *const *list, size_t n, bool ports_only);

/* Is [offset, offset + size) within BAR bar, of the kind of io? */
bool pci_bar_holds(const struct pci_function *f, unsigned bar, uint64_t offset, uint64_t size,
                   bool io);
/* Does the range touch the MSI-X table or its pending bits? */
bool pci_bar_has_msix(const struct pci_function *f, unsigned bar, uint64_t offset, uint64_t size);
/* Map part of a memory BAR. NULL: not within it, or not mappable. */
volatile void *pci_map(const struct pci_function *f, unsigned bar, uint64_t offset, uint64_t size);

/* Let the function answer and reach memory; INTx stays off. */
void pci_enable(const struct pci_function *f);
/* Take all of that back. Config space is reached: boot only. */
void pci_disable(const struct pci_function *f);

/* Map the table, mask everything in it, and turn MSI-X on. -ENODEV: there is none, or it cannot be used. */
NODISCARD int pci_msix_enable(struct pci_function *f);
/* Set an entry (below f->vectors) and unmask it. */
void pci_msix_set(const struct pci_function *f, unsigned entry, const struct plat_msi *m);

#endif
