/* SPDX-License-Identifier: MIT */
/* virtio over PCI: modern devices by their vendor capabilities, transitional ones that lack these by the ports of BAR 0.
 * A structure is used only if it lies whole in a memory BAR, is as long as it has to be, and touches neither the MSI-X
 * table nor another structure. Interrupts are MSI-X only. Spec: virtio 1.2, 4.1; 4.1.4.10 for the legacy interface. */
#include "drivers.h"
#include "pci/pci.h"
#include "policy.h"
#include "virtio/virtio.h"

#include <abi/errno.h>
#include <base/log.h>
#include <libos/heap.h>
#include <plat/cpu.h>
#include <plat/mmio.h>
#include <stdio.h>

enum {
    VENDOR_VIRTIO = 0x1af4,
    DEVICE_TRANSITIONAL = 0x1000,
    DEVICE_MODERN = 0x1040,
    DEVICE_END = 0x1080,
    /* struct virtio_pci_cap */
    CAP_LEN = 2,
    CAP_TYPE = 3,
    CAP_BAR = 4,
    CAP_OFFSET = 8,
    CAP_LENGTH = 12,
    CAP_BYTES = 16,
    CAP_NOTIFY_MULTIPLIER = 16,
    CAP_NOTIFY_BYTES = 20,
    CAP_COMMON = 1,
    CAP_NOTIFY = 2,
    CAP_DEVICE = 4,
    CAPS = 5,
    CONFIG_MAX = 4096,
    NOTIFY_MAX = 1 << 20,
    /* struct virtio_pci_common_cfg */
    DEVICE_FEATURE_SELECT = 0,
    DEVICE_FEATURE = 4,
    DRIVER_FEATURE_SELECT = 8,
    DRIVER_FEATURE = 12,
    CONFIG_VECTOR = 16,
    NUM_QUEUES = 18,
    DEVICE_STATUS = 20,
    CONFIG_GENERATION = 21,
    QUEUE_SELECT = 22,
    QUEUE_SIZE = 24,
    QUEUE_VECTOR = 26,
    QUEUE_ENABLE = 28,
    QUEUE_NOTIFY_OFF = 30,
    QUEUE_DESC = 32,
    QUEUE_DRIVER = 40,
    QUEUE_DEVICE = 48,
    COMMON_BYTES = 56,
    /* legacy ports */
    PORT_DEVICE_FEATURES = 0,
    PORT_DRIVER_FEATURES = 4,
    PORT_QUEUE_PFN = 8,
    PORT_QUEUE_SIZE = 12,
    PORT_QUEUE_SELECT = 14,
    PORT_QUEUE_NOTIFY = 16,
    PORT_STATUS = 18,
    PORT_CONFIG_VECTOR = 20,
    PORT_QUEUE_VECTOR = 22,
    PORT_CONFIG = 24, /* with MSI-X on */
};

/* Modern. */

static uint64_t modern_features(struct virtio_device *d)
{
    uint64_t f;

    plat_mmio_write32(d->regs + DEVICE_FEATURE_SELECT, 0);
    f = plat_mmio_read32(d->regs + DEVICE_FEATURE);
    plat_mmio_write32(d->regs + DEVICE_FEATURE_SELECT, 1);
    return f | (uint64_t)plat_mmio_read32(d->regs + DEVICE_FEATURE) << 32;
}

/* The configuration's vector is set here too, since a reset clears it. */
static void modern_set_features(struct virtio_device *d, uint64_t features)
{
    plat_mmio_write16(d->regs + CONFIG_VECTOR, 0);
    for (unsigned i = 0; i < 2; i++) {
        plat_mmio_write32(d->regs + DRIVER_FEATURE_SELECT, i);
        plat_mmio_write32(d->regs + DRIVER_FEATURE, (uint32_t)(features >> 32 * i));
    }
}

static uint8_t modern_status(struct virtio_device *d)
{
    return plat_mmio_read8(d->regs + DEVICE_STATUS);
}

static void modern_set_status(struct virtio_device *d, uint8_t status)
{
    plat_mmio_write8(d->regs + DEVICE_STATUS, status);
}

static uint32_t modern_generation(struct virtio_device *d)
{
    return plat_mmio_read8(d->regs + CONFIG_GENERATION);
}

static uint64_t modern_config_read(struct virtio_device *d, unsigned offset, unsigned width)
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

static void modern_config_write(struct virtio_device *d, unsigned offset, unsigned width,
                                uint64_t value)
{
    if (offset + width > d->config_size)
        return;
    for (unsigned i = 0; i < width; i++)
        plat_mmio_write8(d->config + offset + i, (uint8_t)(value >> 8 * i));
}

static unsigned modern_queue_max(struct virtio_device *d, unsigned index)
{
    if (index >= plat_mmio_read16(d->regs + NUM_QUEUES))
        return 0;
    plat_mmio_write16(d->regs + QUEUE_SELECT, (uint16_t)index);
    return plat_mmio_read16(d->regs + QUEUE_SIZE);
}

static void write_address(volatile uint8_t *p, uint64_t addr)
{
    plat_mmio_write32(p, (uint32_t)addr);
    plat_mmio_write32(p + 4, (uint32_t)(addr >> 32));
}

static void queue_interrupt(void *arg)
{
    struct virtio_queue *q = arg;

    virtio_interrupt(q->dev, (unsigned)(q - q->dev->queues));
}

static void shared_interrupt(void *arg)
{
    virtio_interrupt_all(arg);
}

static void config_interrupt(void *arg)
{
    virtio_config_changed(arg);
}

static void only_interrupt(void *arg)
{
    virtio_config_changed(arg);
    virtio_interrupt_all(arg);
}

/* The MSI-X entry of queue q: one each behind that of the configuration if there are enough, else one for all. */
static int queue_vector(struct virtio_device *d, struct virtio_queue *q)
{
    bool shared = d->vectors <= d->nqueues;
    unsigned i = shared ? 0 : (unsigned)(q - d->queues);
    struct plat_msi *m = &d->queues[i].msi;
    int err = 0;

    if (d->polled)
        return VIRTIO_NO_VECTOR;
    if (d->vectors == 1)
        return 0;
    if (!m->address)
        err = shared ? plat_msi_attach(0, shared_interrupt, d, m)
                     : plat_msi_attach(q->cpu, queue_interrupt, q, m);
    if (err)
        return err;
    pci_msix_set(d->function, i + 1, m);
    return (int)i + 1;
}

static int modern_queue_start(struct virtio_device *d, struct virtio_queue *q)
{
    int vector = q->fn ? queue_vector(d, q) : VIRTIO_NO_VECTOR;
    volatile uint8_t *r = d->regs;
    uint64_t at;

    if (vector < 0)
        return vector;
    plat_mmio_write16(r + QUEUE_SELECT, (uint16_t)q->index);
    if (plat_mmio_read16(r + QUEUE_ENABLE))
        return -EIO; /* in use, right after a reset */
    plat_mmio_write16(r + QUEUE_SIZE, q->ring.size);
    if (plat_mmio_read16(r + QUEUE_SIZE) != q->ring.size)
        return -EIO;
    plat_mmio_write16(r + QUEUE_VECTOR, (uint16_t)vector);
    if (plat_mmio_read16(r + QUEUE_VECTOR) != vector)
        return -EIO;
    at = (uint64_t)plat_mmio_read16(r + QUEUE_NOTIFY_OFF) * d->notify_step;
    if (at + 2 > d->notify_size)
        return -EIO;
    q->notify = d->notify_base + at;
    write_address(r + QUEUE_DESC, q->ring.desc_addr);
    write_address(r + QUEUE_DRIVER, q->ring.avail_addr);
    write_address(r + QUEUE_DEVICE, q->ring.used_addr);
    plat_mmio_write16(r + QUEUE_ENABLE, 1);
    return 0;
}

static void modern_notify(struct virtio_queue *q)
{
    plat_mmio_write16(q->notify, (uint16_t)q->index);
}

static const struct virtio_transport modern_ops = {
    .features = modern_features,
    .set_features = modern_set_features,
    .status = modern_status,
    .set_status = modern_set_status,
    .generation = modern_generation,
    .config_read = modern_config_read,
    .config_write = modern_config_write,
    .queue_max = modern_queue_max,
    .queue_start = modern_queue_start,
    .notify = modern_notify,
};

/* Legacy. */

static uint16_t port(const struct virtio_device *d, unsigned reg)
{
    return (uint16_t)(d->port + reg);
}

static uint64_t legacy_features(struct virtio_device *d)
{
    return plat_io_read32(port(d, PORT_DEVICE_FEATURES));
}

static void legacy_set_features(struct virtio_device *d, uint64_t features)
{
    plat_io_write16(port(d, PORT_CONFIG_VECTOR), 0);
    plat_io_write32(port(d, PORT_DRIVER_FEATURES), (uint32_t)features);
}

static uint8_t legacy_status(struct virtio_device *d)
{
    return plat_io_read8(port(d, PORT_STATUS));
}

static void legacy_set_status(struct virtio_device *d, uint8_t status)
{
    plat_io_write8(port(d, PORT_STATUS), status);
}

static uint32_t legacy_generation(struct virtio_device *d)
{
    (void)d;
    return 0;
}

static uint64_t legacy_config_read(struct virtio_device *d, unsigned offset, unsigned width)
{
    uint64_t v = 0;

    if (PORT_CONFIG + offset + width > d->config_size)
        return 0;
    for (unsigned i = 0; i < width; i++)
        v |= (uint64_t)plat_io_read8(port(d, PORT_CONFIG + offset + i)) << 8 * i;
    return v;
}

static void legacy_config_write(struct virtio_device *d, unsigned offset, unsigned width,
                                uint64_t value)
{
    if (PORT_CONFIG + offset + width > d->config_size)
        return;
    for (unsigned i = 0; i < width; i++)
        plat_io_write8(port(d, PORT_CONFIG + offset + i), (uint8_t)(value >> 8 * i));
}

static unsigned legacy_queue_max(struct virtio_device *d, unsigned index)
{
    plat_io_write16(port(d, PORT_QUEUE_SELECT), (uint16_t)index);
    return plat_io_read16(port(d, PORT_QUEUE_SIZE));
}

static int legacy_queue_start(struct virtio_device *d, struct virtio_queue *q)
{
    int vector = q->fn ? queue_vector(d, q) : VIRTIO_NO_VECTOR;

    if (vector < 0)
        return vector;
    plat_io_write16(port(d, PORT_QUEUE_SELECT), (uint16_t)q->index);
    if (plat_io_read32(port(d, PORT_QUEUE_PFN)) || q->ring.desc_addr >> 44)
        return -EIO;
    plat_io_write16(port(d, PORT_QUEUE_VECTOR), (uint16_t)vector);
    if (plat_io_read16(port(d, PORT_QUEUE_VECTOR)) != vector)
        return -EIO;
    plat_io_write32(port(d, PORT_QUEUE_PFN), (uint32_t)(q->ring.desc_addr >> PAGE_SHIFT));
    return 0;
}

static void legacy_notify(struct virtio_queue *q)
{
    plat_io_write16(port(q->dev, PORT_QUEUE_NOTIFY), (uint16_t)q->index);
}

static const struct virtio_transport legacy_ops = {
    .features = legacy_features,
    .set_features = legacy_set_features,
    .status = legacy_status,
    .set_status = legacy_set_status,
    .generation = legacy_generation,
    .config_read = legacy_config_read,
    .config_write = legacy_config_write,
    .queue_max = legacy_queue_max,
    .queue_start = legacy_queue_start,
    .notify = legacy_notify,
};

/* Where one structure is. */
struct place {
    uint64_t offset, length;
    unsigned bar;
    uint32_t multiplier;
};

/* Read the capability at c into *p if it describes a usable structure. Its type; 0: not usable. */
static unsigned read_place(const struct pci_function *f, const struct pci_cap *c, struct place *p)
{
    static const uint8_t least[CAPS] = {
        [CAP_COMMON] = COMMON_BYTES, [CAP_NOTIFY] = 2, [CAP_DEVICE] = 1
    };
    unsigned length = plat_pci_read(f->id, c->at + CAP_LEN, 1);
    unsigned type = plat_pci_read(f->id, c->at + CAP_TYPE, 1);

    if (type >= CAPS || !least[type] || length < CAP_BYTES || length > c->room ||
        (type == CAP_NOTIFY && length < CAP_NOTIFY_BYTES))
        return 0;
    p->bar = plat_pci_read(f->id, c->at + CAP_BAR, 1);
    p->offset = plat_pci_read(f->id, c->at + CAP_OFFSET, 4);
    p->length = plat_pci_read(f->id, c->at + CAP_LENGTH, 4);
    p->multiplier = type == CAP_NOTIFY ? plat_pci_read(f->id, c->at + CAP_NOTIFY_MULTIPLIER, 4) : 0;
    if (p->length < least[type] || p->offset % 4 ||
        !pci_bar_holds(f, p->bar, p->offset, p->length, false) ||
        pci_bar_has_msix(f, p->bar, p->offset, p->length))
        return 0;
    return type;
}

static bool overlap(const struct place *a, const struct place *b)
{
    return a->length && b->length && a->bar == b->bar && a->offset < b->offset + b->length &&
           b->offset < a->offset + a->length;
}

/* Find and map the structures of a modern device. False: it is not one that can be used. */
static bool find_modern(struct virtio_device *d, const struct pci_function *f)
{
    struct place places[CAPS] = { 0 };

    for (unsigned i = 0; i < f->ncaps; i++) {
        struct place p;
        unsigned type = f->caps[i].id == PCI_CAP_VENDOR && f->caps[i].room >= CAP_BYTES
                            ? read_place(f, &f->caps[i], &p)
                            : 0;
        if (type && !places[type].length)
            places[type] = p; /* the first usable one of each */
    }
    if (!places[CAP_COMMON].length || !places[CAP_NOTIFY].length ||
        overlap(&places[CAP_COMMON], &places[CAP_NOTIFY]) ||
        overlap(&places[CAP_COMMON], &places[CAP_DEVICE]) ||
        overlap(&places[CAP_NOTIFY], &places[CAP_DEVICE]))
        return false;
    d->notify_step = places[CAP_NOTIFY].multiplier;
    d->notify_size = (uint32_t)min_u64(places[CAP_NOTIFY].length, NOTIFY_MAX);
    d->config_size = (uint32_t)min_u64(places[CAP_DEVICE].length, CONFIG_MAX);
    d->regs = pci_map(f, places[CAP_COMMON].bar, places[CAP_COMMON].offset, COMMON_BYTES);
    d->notify_base = pci_map(f, places[CAP_NOTIFY].bar, places[CAP_NOTIFY].offset, d->notify_size);
    if (d->config_size)
        d->config = pci_map(f, places[CAP_DEVICE].bar, places[CAP_DEVICE].offset, d->config_size);
    d->ops = &modern_ops;
    d->modern = true;
    return d->regs && d->notify_base && (d->config || !d->config_size);
}

static bool find_legacy(struct virtio_device *d, const struct pci_function *f)
{
    if (policy_hostile() || f->device >= DEVICE_MODERN || f->revision != 0 ||
        !pci_bar_holds(f, 0, 0, PORT_CONFIG, true))
        return false;
    d->port = (uint16_t)f->bars[0].addr;
    d->config_size = (uint32_t)f->bars[0].size;
    d->ops = &legacy_ops;
    d->modern = false;
    d->fixed_size = true;
    return true;
}

/* Turn MSI-X on, with the configuration's entry. */
static int set_vectors(struct virtio_device *d, struct pci_function *f)
{
    int err;

    /* A register layout without MSI-X is another one where it is not modern. */
    if (!f->vectors && d->modern && virtio_polls(d->type)) {
        d->polled = true;
        return 0;
    }
    err = pci_msix_enable(f);
    if (err)
        return err;
    d->vectors = f->vectors;
    err = plat_msi_attach(0, d->vectors > 1 ? config_interrupt : only_interrupt, d, &d->config_msi);
    if (!err)
        pci_msix_set(f, 0, &d->config_msi);
    return err;
}

static bool virtio_match(const struct pci_function *f)
{
    return f->vendor == VENDOR_VIRTIO && f->device >= DEVICE_TRANSITIONAL && f->device < DEVICE_END;
}

static int virtio_pci_probe(const struct pci_function *f)
{
    struct virtio_device *d = heap_zalloc(sizeof(*d));
    struct pci_function *copy = heap_alloc(sizeof(*copy));
    int err = -ENODEV;

    if (!d || !copy) {
        err = -ENOMEM;
        goto out;
    }
    *copy = *f;
    d->function = copy;
    d->type = f->device >= DEVICE_MODERN ? f->device - DEVICE_MODERN : f->subsystem;
    snprintf(d->where, sizeof(d->where), "pci %02x:%02x.%x", f->id >> 8, f->id >> 3 & 31,
             f->id & 7);
    if (!find_modern(d, f) && !find_legacy(d, f)) {
        log_warn("virtio at %s: no usable registers", d->where);
        goto out;
    }
    pci_enable(f);
    err = set_vectors(d, copy);
    if (err) {
        log_warn("virtio at %s: no usable MSI-X (error %d)", d->where, -err);
        goto out;
    }
    err = virtio_attach(d);
    if (!err || d->config_msi.address)
        return err; /* handlers know d */
out:
    heap_free(d);
    heap_free(copy);
    return err;
}

const struct pci_driver virtio_pci_driver = { virtio_match, virtio_pci_probe };
