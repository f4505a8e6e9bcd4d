/* SPDX-License-Identifier: MIT */
/* virtio devices above their transports: negotiation, configuration, queues with their interrupts, and what happens to a
 * device that breaks the rules: it is reset, says so in one line, and every request ends with -EIO.
 * Spec: virtio 1.2, chapters 2 and 3. */
#ifndef DRIVERS_VIRTIO_VIRTIO_H
#define DRIVERS_VIRTIO_VIRTIO_H

#include "virtio/ring.h"

#include <base/compiler.h>
#include <base/types.h>
#include <libos/lock.h>
#include <plat/irq.h>

struct virtio_device;
struct virtio_driver;

enum virtio_type {
    VIRTIO_NET = 1,
    VIRTIO_BLK = 2,
    VIRTIO_CONSOLE = 3,
    VIRTIO_RNG = 4,
    VIRTIO_BALLOON = 5,
    VIRTIO_9P = 9,
    VIRTIO_VSOCK = 19,
};

/* Features of every device, by bit number. Those that a driver wants of its own are below 24, or 40 and above. */
enum {
    VIRTIO_F_NOTIFY_ON_EMPTY = 24,
    VIRTIO_F_ANY_LAYOUT = 27,
    VIRTIO_F_INDIRECT = 28,
    VIRTIO_F_EVENT_IDX = 29,
    VIRTIO_F_VERSION_1 = 32,
    VIRTIO_F_ACCESS_PLATFORM = 33,
};
#define VIRTIO_BIT(n) (1ull << (n))

enum virtio_status {
    VIRTIO_S_ACKNOWLEDGE = 1,
    VIRTIO_S_DRIVER = 2,
    VIRTIO_S_DRIVER_OK = 4,
    VIRTIO_S_FEATURES_OK = 8,
    VIRTIO_S_NEEDS_RESET = 64,
    VIRTIO_S_FAILED = 128,
};

enum { VIRTIO_NO_VECTOR = 0xffff, VIRTIO_QUEUES_MAX = 2 * 8 + 1 };

/* One queue. ring is guarded by lock. */
struct virtio_queue {
    struct spin lock;
    struct virtq ring;
    struct virtio_device *dev;
    unsigned index;
    /* Called from its interrupt when there may be completions; with no lock held. NULL: the driver polls. */
    void (*fn)(struct virtio_queue *q);
    unsigned cpu; /* of its interrupts */
    volatile void *notify;
    struct plat_msi msi;
};

/* How a device is reached. Configuration offsets and lengths are the driver's, within what its type defines. */
struct virtio_transport {
    uint64_t (*features)(struct virtio_device *d);
    void (*set_features)(struct virtio_device *d, uint64_t features);
    uint8_t (*status)(struct virtio_device *d);
    void (*set_status)(struct virtio_device *d, uint8_t status); /* 0: reset */
    uint32_t (*generation)(struct virtio_device *d);
    /* Bytes beyond the device's configuration read as 0. width: 1, 2, 4 or 8, of the field at offset. */
    uint64_t (*config_read)(struct virtio_device *d, unsigned offset, unsigned width);
    void (*config_write)(struct virtio_device *d, unsigned offset, unsigned width, uint64_t value);
    unsigned (*queue_max)(struct virtio_device *d, unsigned index); /* 0: no such queue */
    /* Tell the device of an initialised ring, and choose its interrupt. -EIO: it does not take it. */
    int (*queue_start)(struct virtio_device *d, struct virtio_queue *q);
    void (*notify)(struct virtio_queue *q);
};

struct virtio_device {
    const struct virtio_transport *ops;
    const struct virtio_driver *driver;
    void *data; /* of the driver */
    enum virtio_type type;
    bool modern;
    bool polled;       /* there are no interrupts: its driver has to look */
    bool fixed_size;   /* a ring has as many entries as the device says */
    char where[24];    /* "pci 00:03.0", "mmio 0xfeb00e00" */
    uint64_t features; /* agreed on */
    unsigned nqueues;
    struct virtio_queue *queues;
    _Atomic bool ready;  /* interrupts mean something */
    _Atomic bool failed; /* for good, or until virtio_restart */

    /* The transport's. */
    volatile uint8_t *regs;   /* mmio: all; pci: common configuration */
    volatile uint8_t *config; /* device configuration, config_size bytes; NULL: in ports */
    uint32_t config_size;
    volatile uint8_t *notify_base;
    uint32_t notify_step, notify_size;
    uint16_t port;                 /* transitional pci: I/O base */
    uint16_t port_config;          /* where device configuration begins there */
    unsigned vectors;              /* pci: MSI-X entries */
    struct pci_function *function; /* pci */
    struct plat_msi config_msi;
};

/* What drives one type. */
struct virtio_driver {
    enum virtio_type type;
    const char *name;
    bool
        polls; /* it can do without interrupts: QEMU's balloon on PCI has only lines, which only AML says where they lead */
    /* Of what the device offers, the bits of this type to take (VIRTIO_BIT): no set that contradicts itself. */
    uint64_t (*features)(uint64_t offered);
    /* Features were agreed on; set up and call virtio_ready. Not 0: the device is reset and forgotten. */
    int (*probe)(struct virtio_device *d);
    /* The configuration changed. From an interrupt, no lock held. May be NULL. */
    void (*changed)(struct virtio_device *d);
    /* The device was reset after a violation: end what is in flight. Once, from any context but with no queue locked. */
    void (*failed)(struct virtio_device *d);
};

static inline bool virtio_has(const struct virtio_device *d, unsigned bit)
{
    return d->features & VIRTIO_BIT(bit);
}

/* A transport found a device: agree on features and hand it to its driver. d: the heap's, kept when 0 is returned. */
int virtio_attach(struct virtio_device *d);

/* Can devices of this type do without interrupts? */
bool virtio_polls(enum virtio_type type);

/* Read n bytes of configuration at offset as one consistent whole; bounded. -EIO: it never stands still. Fields are 8, 4, 2
 * or 1 bytes wide, as their alignment in the specification: width. */
NODISCARD int virtio_config(struct virtio_device *d, unsigned offset, void *buf, unsigned n,
                            unsigned width);

/* Make room for n queues, d->queues[0] to [n - 1]; nothing when they are there (after virtio_restart). -ENOMEM. */
NODISCARD int virtio_queues_alloc(struct virtio_device *d, unsigned n);
/* Start d->queues[i] as the device's queue index, with a ring of at most size entries (a power of two) and its interrupts on
 * cpu. fn as in struct virtio_queue. -ENOMEM, -EIO. */
NODISCARD int virtio_queue_start(struct virtio_device *d, unsigned i, unsigned index, unsigned size,
                                 unsigned cpu, void (*fn)(struct virtio_queue *q));
/* DRIVER_OK: the device may use its queues. */
void virtio_ready(struct virtio_device *d);

/* Publish what was put and notify if the device wants it. Locks: q->lock held. */
void virtio_kick(struct virtio_queue *q);

/* The device broke a rule: log one line, reset it, have the driver end what is in flight. Once; later calls do nothing.
 * Locks: no queue's held. */
void virtio_fail(struct virtio_device *d, const char *why);
/* Reset and wait, bounded. False: it does not confirm, so it may still use what it was given. */
bool virtio_reset(struct virtio_device *d);
/* After a failure: negotiate again, for the same features. The driver then makes its queues again. -EIO. */
NODISCARD int virtio_restart(struct virtio_device *d);
/* Free the rings of all queues (the device was reset and has confirmed it). */
void virtio_queues_free(struct virtio_device *d);

/* For transports: the interrupt of queue i, or all of them; and that of the configuration. */
void virtio_interrupt(struct virtio_device *d, unsigned i);
void virtio_interrupt_all(struct virtio_device *d);
void virtio_config_changed(struct virtio_device *d);

extern const struct virtio_driver virtio_balloon_driver;
extern const struct virtio_driver virtio_blk_driver;
extern const struct virtio_driver virtio_net_driver;
extern const struct virtio_driver virtio_console_driver;
extern const struct virtio_driver virtio_rng_driver;
extern const struct virtio_driver virtio_9p_driver;
extern const struct virtio_driver virtio_vsock_driver;

#endif
