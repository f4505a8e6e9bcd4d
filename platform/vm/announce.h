/* SPDX-License-Identifier: MIT */
/* What a loader's command line says of devices. Pure functions over hostile text. */
#ifndef VM_ANNOUNCE_H
#define VM_ANNOUNCE_H

#include <base/types.h>
#include <plat/mmio.h>

enum { ANNOUNCE_SLOTS_MAX = 32, ANNOUNCE_SLOT_MIN = 0x200, ANNOUNCE_SLOT_MAX = 64 << 10 };

/* Does it have the word pci=off? */
bool announce_pci_off(const char *cmdline);

/* Add a slot to slots[0..*count) unless its size is out of bounds, its end overflows, or it overlaps another. */
void announce_slot(struct plat_virtio_mmio *slots, size_t *count, uint64_t pa, uint64_t size,
                   uint64_t gsi);

/* Add each virtio_mmio.device=SIZE[K]@ADDRESS:IRQ[:ID]. */
void announce_slots(const char *cmdline, struct plat_virtio_mmio *slots, size_t *count);

#endif
