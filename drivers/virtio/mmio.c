/* SPDX-License-Identifier: MIT */
/* virtio over memory-mapped registers, versions 2 and 1 (legacy), in the slots that the platform announces. Each slot has
 * an interrupt line of its own. Spec: virtio 1.2, 4.2; 4.2.4 for version 1. */
#include "policy.h"
#include "drivers.h"
#include "virtio/virtio.h"

#include <abi/errno.h>
#include <base/log.h>
#include <libos/heap.h>
#include <plat/mmio.h>
#include <stdio.h>

enum {
    MAGIC = 0,
    VERSION = 4,
    DEVICE_ID = 8,
    DEVICE_FEATURES = 0x10,
    DEVICE_FEATURES_SEL = 0x14,
    DRIVER_FEATURES = 0x20,
    DRIVER_FEATURES_SEL = 0x24,
    GUEST_PAGE_SIZE = 0x28, /* version 1 */
    QUEUE_SEL = 0x30,
    QUEUE_NUM_MAX = 0x34,
    QUEUE_NUM = 0x38,
    QUEUE_ALIGN = 0x3c, /* version 1 */
    QUEUE_PFN = 0x40,   /* version 1 */
    QUEUE_READY = 0x44,
    QUEUE_NOTIFY = 0x50,
    INTERRUPT_STATUS = 0x60,
    INTERRUPT_ACK = 0x64,
    STATUS = 0x70,
    QUEUE_DESC = 0x80,
    QUEUE_DRIVER = 0x90,
    QUEUE_DEVICE = 0xa0,
    GENERATION = 0xfc,
    CONFIG = 0x100,
    INTERRUPT_USED = 1,
    INTERRUPT_CONFIG = 2,
    INTERRUPT_ROUNDS = 4, /* of one interrupt */
};
#define MAGIC_VALUE 0x74726976u

static uint32_t get(const struct virtio_device *d, unsigned reg)
{
    return plat_mmio_read32(d->regs + reg);
}

static void put(struct virtio_device *d, unsigned reg, uint32_t value)
{
    plat_mmio_write32(d->regs + reg, value);
}

static uint64_t mmio_features(struct virtio_device *d)
{
    uint64_t f;

    put(d, DEVICE_FEATURES_SEL, 0);
    f = get(d, DEVICE_FEATURES);
    if (d->modern) {
        put(d, DEVICE_FEATURES_SEL, 1);
        f |= (uint64_t)get(d, DEVICE_FEATURES) << 32;
    }
    return f;
}

static void mmio_set_features(struct virtio_device *d, uint64_t features)
{
    put(d, DRIVER_FEATURES_SEL, 0);
    put(d, DRIVER_FEATURES, (uint32_t)features);
    if (d->modern) {
        put(d, DRIVER_FEATURES_SEL, 1);
        put(d, DRIVER_FEATURES, (uint32_t)(features >> 32));
    } else {
        put(d, GUEST_PAGE_SIZE, PAGE_SIZE);
    }
}

static uint8_t mmio_status(struct virtio_device *d)
{
    return (uint8_t)get(d, STATUS);
}

static void mmio_set_status(struct virtio_device *d, uint8_t status)
{
    put(d, STATUS, status);
}

static uint32_t mmio_generation(struct virtio_device *d)
{
    return d->modern ? get(d, GENERATION) : 0;
}

static uint64_t mmio_config_read(struct virtio_device *d, unsigned offset, unsigned width)
{
    volatile uint8_t *p = d->config + offset;

    if (offset + width > d->config_size)
        return 0;
    switch (width) {
    case 1:
        return plat_mmio_read8(p);
    case 2:
        return plat_mmio_read16(p);
    case 4:
        return plat_mmio_read32(p);
    default:
        return plat_mmio_read32(p) | (uint64_t)plat_mmio_read32(p + 4) << 32;
    }
}

static void mmio_config_write(struct virtio_device *d, unsigned offset, unsigned width,
                              uint64_t value)
{
    volatile uint8_t *p = d->config + offset;

    if (offset + width > d->config_size)
        return;
    if (width == 1)
        plat_mmio_write8(p, (uint8_t)value);
    else if (width == 2)
        plat_mmio_write16(p, (uint16_t)value);
    else
        plat_mmio_write32(p, (uint32_t)value);
    if (width == 8)
        plat_mmio_write32(p + 4, (uint32_t)(value >> 32));
}

static unsigned mmio_queue_max(struct virtio_device *d, unsigned index)
{
    put(d, QUEUE_SEL, index);
    return get(d, QUEUE_NUM_MAX);
}

static void put_address(struct virtio_device *d, unsigned reg, uint64_t addr)
{
    put(d, reg, (uint32_t)addr);
    put(d, reg + 4, (uint32_t)(addr >> 32));
}

static int mmio_queue_start(struct virtio_device *d, struct virtio_queue *q)
{
    put(d, QUEUE_SEL, q->index);
    if (get(d, d->modern ? QUEUE_READY : QUEUE_PFN))
        return -EIO; /* in use, right after a reset */
    put(d, QUEUE_NUM, q->ring.size);
    if (d->modern) {
        put_address(d, QUEUE_DESC, q->ring.desc_addr);
        put_address(d, QUEUE_DRIVER, q->ring.avail_addr);
        put_address(d, QUEUE_DEVICE, q->ring.used_addr);
        put(d, QUEUE_READY, 1);
        return get(d, QUEUE_READY) == 1 ? 0 : -EIO;
    }
    if (q->ring.desc_addr >> 44)
        return -EIO; /* 32 bits of page number */
    put(d, QUEUE_ALIGN, PAGE_SIZE);
    put(d, QUEUE_PFN, (uint32_t)(q->ring.desc_addr >> PAGE_SHIFT));
    return 0;
}

static void mmio_notify(struct virtio_queue *q)
{
    put(q->dev, QUEUE_NOTIFY, q->index);
}

static const struct virtio_transport mmio_ops = {
    .features = mmio_features,
    .set_features = mmio_set_features,
    .status = mmio_status,
    .set_status = mmio_set_status,
    .generation = mmio_generation,
    .config_read = mmio_config_read,
    .config_write = mmio_config_write,
    .queue_max = mmio_queue_max,
    .queue_start = mmio_queue_start,
    .notify = mmio_notify,
};

/* The line may be edge-triggered: it rises again only after all causes were gone. */
static void mmio_interrupt(void *arg)
{
    struct virtio_device *d = arg;

    for (unsigned round = 0; d->ready && round < INTERRUPT_ROUNDS; round++) {
        uint32_t why = get(d, INTERRUPT_STATUS) & (INTERRUPT_USED | INTERRUPT_CONFIG);

        if (!why)
            return;
        put(d, INTERRUPT_ACK, why);
        if (why & INTERRUPT_CONFIG)
            virtio_config_changed(d);
        if (why & INTERRUPT_USED)
            virtio_interrupt_all(d);
    }
}

static void probe_slot(const struct plat_virtio_mmio *slot)
{
    struct virtio_device *d;
    volatile uint8_t *regs = plat_mmio_map(slot->pa, slot->size);
    uint32_t version, id;
    int err;

    if (!regs || plat_mmio_read32(regs + MAGIC) != MAGIC_VALUE)
        return;
    version = plat_mmio_read32(regs + VERSION);
    id = plat_mmio_read32(regs + DEVICE_ID);
    if (!id || version < 1 || version > 2)
        return; /* an empty slot */
    d = heap_zalloc(sizeof(*d));
    if (!d)
        return;
    d->ops = &mmio_ops;
    d->type = id;
    d->modern = version == 2;
    d->regs = regs;
    d->config = regs + CONFIG;
    d->config_size = slot->size - CONFIG;
    snprintf(d->where, sizeof(d->where), "mmio 0x%llx", (unsigned long long)slot->pa);
    err = plat_irq_attach(slot->gsi, mmio_interrupt, d);
    if (err)
        log_warn("virtio at %s: interrupt %u cannot be used (error %d)", d->where, slot->gsi, -err);
    else
        (void)virtio_attach(d); /* it has said why; d stays, for the line's handler */
}

static int mmio_probe(void)
{
    struct plat_virtio_mmio slot;

    for (size_t i = 0; !policy_hostile() && plat_virtio_mmio(i, &slot); i++)
        probe_slot(&slot);
    return 0;
}

const struct driver virtio_mmio_driver = { "virtio-mmio", mmio_probe };
