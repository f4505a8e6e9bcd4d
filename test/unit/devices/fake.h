/* SPDX-License-Identifier: MIT */
/* The device's side of virtio, in the test's process: a virtio-mmio device (version 2) that the real transport, ring and
 * driver talk to. By default it is honest; tests change what it says, and write its rings as they like. */
#ifndef FAKE_H
#define FAKE_H

#include "virtio/virtio.h"

#include <stdbool.h>
#include <stdint.h>

enum { FAKE_QUEUES = 8, FAKE_CONFIG = 256 };
#define FAKE_BASE 0xfeb00000ull

struct fake_queue {
    uint32_t max, size, ready;
    uint64_t desc, avail, used; /* device addresses */
    uint16_t next;              /* of the available ring */
    uint16_t used_index;
};

struct fake {
    uint32_t magic, version, id;
    uint64_t offered, accepted;
    uint32_t feature_select, driver_select, queue_select;
    uint32_t status, interrupt, generation;
    uint8_t config[FAKE_CONFIG];
    struct fake_queue queues[FAKE_QUEUES];
    unsigned notified[FAKE_QUEUES]; /* times */
    /* Instead of doing nothing at a notification. */
    void (*notify)(struct fake *f, unsigned queue);
    /* Before a register is read: it may change. */
    void (*before_read)(struct fake *f, unsigned reg);
    bool ignore_reset, refuse_features;
};

extern struct fake fake;

/* An honest device of type id at FAKE_BASE with queues of 256 entries, on the bus. */
void fake_init(enum virtio_type id, uint64_t features);
/* Change what reads of shared memory give (struct plat_host_bus). */
void fake_set_shared_read(uint64_t (*fn)(const volatile void *p, unsigned bytes, uint64_t value));
/* Have the driver look for it. */
void fake_probe(void);
/* The driver's device, after a successful probe. */
struct virtio_device *fake_device(void);
/* Raise its interrupt, for used buffers or a changed configuration. */
void fake_interrupt(bool config);

/* A descriptor chain as the device sees it. */
struct fake_chain {
    uint16_t head;
    unsigned n;
    struct {
        uint8_t *p;
        uint32_t len;
        bool write;
    } part[300];
};
/* Take the next available chain; false: none. Fails the test when the driver's table is not in order. */
bool fake_take(unsigned queue, struct fake_chain *ret);
/* Write a used entry and move the index by one. */
void fake_use(unsigned queue, uint32_t id, uint32_t len);
/* Set the used index as it is. */
void fake_set_index(unsigned queue, uint16_t index);

#endif
