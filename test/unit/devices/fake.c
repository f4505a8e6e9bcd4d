/* SPDX-License-Identifier: MIT */
/* The device's side of virtio-mmio version 2. Spec: virtio 1.2, 2.7 and 4.2.2. */
#include "fake.h"
#include "drivers.h"

#include <libos/heap.h>
#include <plat/host.h>
#include <plat/mem.h>
#include <string.h>

enum { GSI = 20 };

struct fake fake;

static struct fake_queue *selected(struct fake *f)
{
    static struct fake_queue none;

    if (f->queue_select < FAKE_QUEUES)
        return &f->queues[f->queue_select];
    memset(&none, 0, sizeof(none));
    return &none;
}

static uint64_t mmio_read(uint64_t pa, unsigned bytes)
{
    struct fake *f = &fake;
    unsigned reg = (unsigned)(pa - FAKE_BASE);
    uint64_t v = 0;

    if (f->before_read)
        f->before_read(f, reg);
    if (reg >= 0x100) {
        if (reg - 0x100 + bytes <= FAKE_CONFIG)
            memcpy(&v, &f->config[reg - 0x100], bytes);
        return v;
    }
    switch (reg) {
    case 0x00:
        return f->magic;
    case 0x04:
        return f->version;
    case 0x08:
        return f->id;
    case 0x10:
        return (uint32_t)(f->offered >> (f->feature_select ? 32 : 0));
    case 0x34:
        return selected(f)->max;
    case 0x44:
        return selected(f)->ready;
    case 0x60:
        return f->interrupt;
    case 0x70:
        return f->status;
    case 0xfc:
        return f->generation;
    default:
        return 0;
    }
}

static void set_half(uint64_t *v, bool high, uint64_t half)
{
    *v = high ? (*v & UINT32_MAX) | half << 32 : (*v & ~(uint64_t)UINT32_MAX) | half;
}

static void set_status(struct fake *f, uint32_t status)
{
    if (status) {
        f->status = f->refuse_features ? status & ~8u : status;
        return;
    }
    if (f->ignore_reset)
        return;
    f->status = 0;
    f->interrupt = 0;
    for (unsigned i = 0; i < FAKE_QUEUES; i++)
        f->queues[i] = (struct fake_queue){ .max = f->queues[i].max };
}

static void mmio_write(uint64_t pa, unsigned bytes, uint64_t v)
{
    struct fake *f = &fake;
    unsigned reg = (unsigned)(pa - FAKE_BASE);
    struct fake_queue *q = selected(f);

    if (reg >= 0x100 && reg - 0x100 + bytes <= FAKE_CONFIG)
        memcpy(&f->config[reg - 0x100], &v, bytes);
    switch (reg) {
    case 0x14:
        f->feature_select = (uint32_t)v;
        break;
    case 0x20:
        set_half(&f->accepted, f->driver_select != 0, v);
        break;
    case 0x24:
        f->driver_select = (uint32_t)v;
        break;
    case 0x30:
        f->queue_select = (uint32_t)v;
        break;
    case 0x38:
        q->size = (uint32_t)v;
        break;
    case 0x44:
        q->ready = (uint32_t)v;
        break;
    case 0x50:
        if (v < FAKE_QUEUES) {
            f->notified[v]++;
            if (f->notify)
                f->notify(f, (unsigned)v);
        }
        break;
    case 0x64:
        f->interrupt &= ~(uint32_t)v;
        break;
    case 0x70:
        set_status(f, (uint32_t)v);
        break;
    case 0x80:
    case 0x84:
        set_half(&q->desc, reg == 0x84, v);
        break;
    case 0x90:
    case 0x94:
        set_half(&q->avail, reg == 0x94, v);
        break;
    case 0xa0:
    case 0xa4:
        set_half(&q->used, reg == 0xa4, v);
        break;
    default:
        if (reg >= 0x100 && reg - 0x100 + bytes <= FAKE_CONFIG)
            memcpy(&f->config[reg - 0x100], &v, bytes);
        break;
    }
}

static bool slot(size_t i, struct plat_virtio_mmio *ret)
{
    *ret = (struct plat_virtio_mmio){ FAKE_BASE, 0x200, GSI };
    return i == 0;
}

static uint64_t (*lying)(const volatile void *p, unsigned bytes, uint64_t value);

static uint64_t shared_read(const volatile void *p, unsigned bytes, uint64_t value)
{
    return lying ? lying(p, bytes, value) : value;
}

void fake_set_shared_read(uint64_t (*fn)(const volatile void *p, unsigned bytes, uint64_t value))
{
    lying = fn;
}

void fake_init(enum virtio_type id, uint64_t features)
{
    static const struct plat_host_bus bus = {
        .mmio_read = mmio_read, .mmio_write = mmio_write, .slot = slot, .shared_read = shared_read
    };

    memset(&fake, 0, sizeof(fake));
    fake.magic = 0x74726976;
    fake.version = 2;
    fake.id = id;
    fake.offered = features | VIRTIO_BIT(VIRTIO_F_VERSION_1);
    for (unsigned i = 0; i < FAKE_QUEUES; i++)
        fake.queues[i].max = 256;
    plat_host_bus_set(&bus);
}

void fake_probe(void)
{
    (void)virtio_mmio_driver.probe();
}

struct virtio_device *fake_device(void)
{
    return plat_host_irq_arg(GSI);
}

void fake_interrupt(bool config)
{
    fake.interrupt |= config ? 2 : 1;
    (void)plat_host_irq(GSI);
}

static uint8_t *memory(uint64_t addr)
{
    return plat_phys_to_virt(PADDR(addr));
}

bool fake_take(unsigned queue, struct fake_chain *ret)
{
    struct fake_queue *q = &fake.queues[queue];
    uint16_t *avail = (uint16_t *)(void *)memory(q->avail);
    uint16_t at, flags;

    if (!q->ready || avail[1] == q->next)
        return false;
    at = ret->head = avail[2 + q->next % q->size];
    q->next++;
    ret->n = 0;
    do {
        uint8_t *d = memory(q->desc) + at * 16;
        uint64_t addr;

        if (at >= q->size || ret->n == q->size)
            __builtin_trap(); /* the driver made a table that is not one */
        memcpy(&addr, d, 8);
        memcpy(&ret->part[ret->n].len, d + 8, 4);
        memcpy(&flags, d + 12, 2);
        memcpy(&at, d + 14, 2);
        ret->part[ret->n].p = memory(addr);
        ret->part[ret->n++].write = flags & 2;
    } while (flags & 1);
    return true;
}

void fake_set_index(unsigned queue, uint16_t index)
{
    struct fake_queue *q = &fake.queues[queue];

    q->used_index = index;
    memcpy(memory(q->used) + 2, &index, 2);
}

void fake_use(unsigned queue, uint32_t id, uint32_t len)
{
    struct fake_queue *q = &fake.queues[queue];
    uint8_t *e = memory(q->used) + 4 + (size_t)(q->used_index % q->size) * 8;

    memcpy(e, &id, 4);
    memcpy(e + 4, &len, 4);
    fake_set_index(queue, (uint16_t)(q->used_index + 1));
}
