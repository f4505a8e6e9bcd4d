/* SPDX-License-Identifier: MIT */
/* virtio-blk over the block layer's requests. Each tag of a queue has a slot in memory that the device knows: the request's
 * header, the range of a discard, and the status byte, which is set to a value that no device writes before each use. The
 * configuration is read once, but for the capacity when it changes. After a violation the device stays off: what it had
 * accepted and not flushed cannot be known. Spec: virtio 1.2, 5.2. */
#include "virtio/virtio.h"

#include <abi/errno.h>
#include <base/log.h>
#include <libos/dev/blk.h>
#include <libos/heap.h>
#include <plat/cpu.h>
#include <plat/mem.h>
#include <plat/mmio.h>
#include <plat/time.h>
#include <stdio.h>
#include <string.h>

enum {
    F_SIZE_MAX = 1,
    F_SEG_MAX = 2,
    F_RO = 5,
    F_BLK_SIZE = 6,
    F_FLUSH = 9,
    F_TOPOLOGY = 10,
    F_CONFIG_WCE = 11,
    F_MQ = 12,
    F_DISCARD = 13,
    F_WRITE_ZEROES = 14,
    CONFIG_CAPACITY = 0,
    CONFIG_SIZE_MAX = 8,
    CONFIG_SEG_MAX = 12,
    CONFIG_BLK_SIZE = 20,
    CONFIG_PHYSICAL_EXP = 24,
    CONFIG_MIN_IO = 26,
    CONFIG_OPT_IO = 28,
    CONFIG_WRITEBACK = 32,
    CONFIG_NUM_QUEUES = 34,
    CONFIG_MAX_DISCARD = 36,
    CONFIG_MAX_DISCARD_SEG = 40,
    CONFIG_DISCARD_ALIGN = 44,
    CONFIG_MAX_ZEROES = 48,
    CONFIG_MAX_ZEROES_SEG = 52,
    CONFIG_ZEROES_UNMAP = 56,
    T_IN = 0,
    T_OUT = 1,
    T_FLUSH = 4,
    T_GET_ID = 8,
    T_DISCARD = 11,
    T_WRITE_ZEROES = 13,
    S_OK = 0,
    S_UNSUPPORTED = 2,
    S_NONE = 0xff,
    FLAG_UNMAP = 1,
    QUEUES_MAX = 8,
    RING_SIZE = 256,
    DEPTH_MAX = 64,
    ID_BYTES = 20,
    DISKS_MAX = 26 * 27,
    GIVE_UP_MS = 200,
};
#define CAPACITY_MAX (1ull << 54) /* in sectors: bytes fit 63 bits */
#define ID_NS        (BLK_TIMEOUT_S * NS_PER_SEC)

/* What the device sees of a request. */
struct blk_slot {
    uint32_t type, reserved;
    uint64_t sector;
    uint64_t range_sector; /* of a discard or write-zeroes */
    uint32_t range_sectors, range_flags;
    uint8_t status;
    uint8_t pad[31];
};
_Static_assert(sizeof(struct blk_slot) == 64, "a slot does not cross a page");
enum { HEADER_BYTES = 16, RANGE_AT = 16, RANGE_BYTES = 16, STATUS_AT = 32 };

struct blk {
    struct blk_device blk;
    struct virtio_device *dev;
    unsigned queues, depth;
    bool can_unmap; /* write-zeroes may */
    struct plat_dma slots[QUEUES_MAX];
};

static unsigned disks;

static uint64_t blk_features(uint64_t offered)
{
    return offered & (VIRTIO_BIT(F_SIZE_MAX) | VIRTIO_BIT(F_SEG_MAX) | VIRTIO_BIT(F_RO) |
                      VIRTIO_BIT(F_BLK_SIZE) | VIRTIO_BIT(F_FLUSH) | VIRTIO_BIT(F_TOPOLOGY) |
                      VIRTIO_BIT(F_CONFIG_WCE) | VIRTIO_BIT(F_MQ) | VIRTIO_BIT(F_DISCARD) |
                      VIRTIO_BIT(F_WRITE_ZEROES));
}

static struct blk_slot *slot(struct blk *b, const struct blk_request *r)
{
    return (struct blk_slot *)b->slots[r->queue].ptr + r->tag;
}

/* Fill the slot and the segments. How many there are; *ret_in: of these the last are for the device to write. */
static unsigned prepare(struct blk *b, struct blk_request *r, struct virtq_seg *segs,
                        unsigned *ret_in)
{
    static const uint8_t types[] = { [BLK_READ] = T_IN,
                                     [BLK_WRITE] = T_OUT,
                                     [BLK_FLUSH] = T_FLUSH,
                                     [BLK_DISCARD] = T_DISCARD,
                                     [BLK_WRITE_ZEROES] = T_WRITE_ZEROES };
    struct blk_slot *s = slot(b, r);
    uint64_t at = b->slots[r->queue].addr + r->tag * sizeof(*s);
    bool ranged = r->op == BLK_DISCARD || r->op == BLK_WRITE_ZEROES;
    unsigned n = 1;

    *s = (struct blk_slot){ .type = types[r->op],
                            .sector = ranged ? 0 : r->sector,
                            .status = S_NONE };
    segs[0] = (struct virtq_seg){ .addr = at, .len = HEADER_BYTES };
    if (ranged) {
        s->range_sector = r->sector;
        s->range_sectors = r->sectors;
        s->range_flags = r->op == BLK_WRITE_ZEROES && b->can_unmap && !(r->flags & BLK_NO_UNMAP)
                             ? FLAG_UNMAP
                             : 0;
        segs[n++] = (struct virtq_seg){ .addr = at + RANGE_AT, .len = RANGE_BYTES };
    } else {
        for (unsigned i = 0; i < r->nsegs; i++)
            segs[n++] = (struct virtq_seg){ .ptr = plat_phys_to_virt(r->segs[i].addr),
                                            .len = r->segs[i].len };
    }
    segs[n++] = (struct virtq_seg){ .addr = at + STATUS_AT, .len = 1 };
    *ret_in = r->op == BLK_READ ? n - 1 : 1;
    return n;
}

static int blk_submit_request(struct blk_device *dev, struct blk_request *r, bool more)
{
    struct blk *b = dev->data;
    struct virtio_queue *q = &b->dev->queues[r->queue];
    struct virtq_seg segs[BLK_SEGS_MAX + 2];
    unsigned in, n;
    int err;

    spin_lock(&q->lock);
    if (b->dev->failed) {
        spin_unlock(&q->lock);
        return -EIO;
    }
    n = prepare(b, r, segs, &in);
    err = virtq_put(&q->ring, segs, n - in, in, r);
    if (err == -ENOMEM)
        err = q->ring.in_flight ? -EAGAIN : -EIO; /* the DMA pool: what is in flight gives room */
    if (!more || err)
        virtio_kick(q);
    spin_unlock(&q->lock);
    return err;
}

static void blk_kick(struct blk_device *dev, unsigned queue)
{
    struct blk *b = dev->data;
    struct virtio_queue *q = &b->dev->queues[queue];

    spin_lock(&q->lock);
    virtio_kick(q);
    spin_unlock(&q->lock);
}

/* The verdict on r, of which the device says it wrote len bytes. */
static int status_of(struct blk *b, const struct blk_request *r, uint32_t len)
{
    /* A modern device must have written the status, and before it all that it was to read. Old ones count as they like. */
    uint64_t least = 1 + (r->op == BLK_READ ? (uint64_t)r->sectors * BLK_SECTOR : 0);
    uint8_t status = plat_shared_read8(&slot(b, r)->status);

    if (status == S_OK)
        return len >= least || !b->dev->modern ? 0 : -EIO;
    return status == S_UNSUPPORTED && len ? -EOPNOTSUPP : -EIO;
}

/* Take completions off the ring and end them, until there are none. */
static void complete(struct virtio_queue *q)
{
    struct blk *b = q->dev->data;
    bool broken, more;

    do {
        struct blk_request *list = NULL, **tail = &list;
        void *token;
        uint32_t len;

        spin_lock(&q->lock);
        virtq_disable(&q->ring);
        while (virtq_get(&q->ring, &token, &len) > 0) {
            struct blk_request *r = token;
            r->driver[0] = (uint64_t)(int64_t)status_of(b, r, len);
            r->next = NULL;
            *tail = r;
            tail = &r->next;
        }
        more = virtq_enable(&q->ring, 1);
        broken = q->ring.broken;
        spin_unlock(&q->lock);
        while (list) {
            struct blk_request *r = list;
            list = r->next;
            blk_done(r, (int)(int64_t)r->driver[0]);
        }
    } while (more && !broken);
    if (broken)
        virtio_fail(q->dev, q->ring.why);
}

static void blk_poll(struct blk_device *dev, unsigned queue)
{
    struct blk *b = dev->data;

    complete(&b->dev->queues[queue]);
}

/* Perhaps a kick or an interrupt was lost: once more each, then the device is given up, which ends all requests. */
static void blk_timeout(struct blk_device *dev, struct blk_request *r)
{
    struct blk *b = dev->data;
    struct virtio_queue *q = &b->dev->queues[r->queue];
    uint64_t end = plat_time_ns() + GIVE_UP_MS * 1000000ull, deadline_ns = r->deadline_ns;

    b->dev->ops->notify(q);
    /* With another deadline it was done, and is out again with other transfers. */
    while (r->out && r->deadline_ns == deadline_ns && plat_time_ns() < end) {
        complete(q);
        plat_relax();
    }
    if (r->out && r->deadline_ns == deadline_ns)
        virtio_fail(b->dev, "does not answer a request");
}

/* A device that does not say what it was told has not understood. */
static int blk_write_cache(struct blk_device *dev, bool on)
{
    struct blk *b = dev->data;
    uint8_t now;

    if (b->dev->failed)
        return -EIO;
    b->dev->ops->config_write(b->dev, CONFIG_WRITEBACK, 1, on);
    return !virtio_config(b->dev, CONFIG_WRITEBACK, &now, 1, 1) && now == on ? 0 : -EIO;
}

static const struct blk_ops blk_ops = {
    .submit = blk_submit_request,
    .kick = blk_kick,
    .poll = blk_poll,
    .write_cache = blk_write_cache,
    .timeout = blk_timeout,
};

static uint32_t config32(struct virtio_device *d, unsigned offset)
{
    uint32_t v;

    return virtio_config(d, offset, &v, 4, 4) ? 0 : v;
}

static bool power_of_two(uint32_t n)
{
    return n && !(n & (n - 1));
}

/* Sectors of the disk: a size whose bytes overflow is a lie, and none at all then is the truth. */
static uint64_t read_capacity(struct virtio_device *d, uint32_t block)
{
    uint64_t n;

    if (virtio_config(d, CONFIG_CAPACITY, &n, 8, 8) || n > CAPACITY_MAX)
        return 0;
    return n - n % (block / BLK_SECTOR);
}

/* Most sectors of a discard or write-zeroes: its own limit, of which the device must allow one range at least. */
static uint32_t range_limit(struct virtio_device *d, unsigned max, unsigned segs, uint32_t block)
{
    uint32_t n = config32(d, max);

    return config32(d, segs) ? n - n % (block / BLK_SECTOR) : 0;
}

static int read_limits(struct blk *b)
{
    struct virtio_device *d = b->dev;
    struct blk_limits *l = &b->blk.limits;
    uint32_t block = virtio_has(d, F_BLK_SIZE) ? config32(d, CONFIG_BLK_SIZE) : BLK_SECTOR;
    uint32_t size = virtio_has(d, F_SIZE_MAX) ? config32(d, CONFIG_SIZE_MAX) : 0;
    uint32_t segs = virtio_has(d, F_SEG_MAX) ? config32(d, CONFIG_SEG_MAX) : 1;
    uint32_t most = (uint32_t)min_u64(plat_dma_map_max(), 1 << 20);
    uint8_t exp = 0, unmap = 0, back = 1;

    if (block < BLK_SECTOR || block > PAGE_SIZE || !power_of_two(block))
        return -EINVAL;
    l->logical_block = l->physical_block = block;
    l->rotational = true; /* nothing is said of that, which Linux shows so */
    if (virtio_has(d, F_TOPOLOGY) && !virtio_config(d, CONFIG_PHYSICAL_EXP, &exp, 1, 1) &&
        exp < 16 && block << exp <= 1 << 20)
        l->physical_block = block << exp;
    if (virtio_has(d, F_TOPOLOGY)) {
        uint32_t blocks = config32(d, CONFIG_OPT_IO);
        uint16_t least;
        if (!virtio_config(d, CONFIG_MIN_IO, &least, 2, 2) && least <= (1u << 24) / block)
            l->minimum_io = least * block;
        l->optimal_io = blocks <= (1u << 24) / block ? blocks * block : 0;
    }
    /* A limit of 0, or one below a page, makes no sense; it then counts as not said. */
    if (size >= PAGE_SIZE)
        most = (uint32_t)min_u64(most, size - size % block);
    l->max_seg_len = most;
    l->max_segs = (uint32_t)min_u64(segs ? segs : 1, BLK_SEGS_MAX);
    l->max_segs = (uint32_t)min_u64(l->max_segs, d->queues[0].ring.size - 2);
    l->max_sectors = (uint32_t)min_u64((uint64_t)l->max_segs * most, 1 << 20) / BLK_SECTOR;
    if (virtio_has(d, F_DISCARD)) {
        l->max_discard_sectors = range_limit(d, CONFIG_MAX_DISCARD, CONFIG_MAX_DISCARD_SEG, block);
        l->discard_align = config32(d, CONFIG_DISCARD_ALIGN);
    }
    if (virtio_has(d, F_WRITE_ZEROES)) {
        l->max_zero_sectors = range_limit(d, CONFIG_MAX_ZEROES, CONFIG_MAX_ZEROES_SEG, block);
        b->can_unmap = !virtio_config(d, CONFIG_ZEROES_UNMAP, &unmap, 1, 1) && unmap == 1;
    }
    l->volatile_cache = virtio_has(d, F_FLUSH);
    l->cache_switch = l->volatile_cache && virtio_has(d, F_CONFIG_WCE);
    /* The host may have decided that there shall be none. */
    if (l->cache_switch && !virtio_config(d, CONFIG_WRITEBACK, &back, 1, 1) && !back)
        l->volatile_cache = l->cache_switch = false;
    l->read_only = virtio_has(d, F_RO);
    l->queues = b->queues;
    l->queue_depth = b->depth;
    b->blk.sectors = read_capacity(d, block);
    return 0;
}

static void blk_changed(struct virtio_device *d)
{
    struct blk *b = d->data;

    blk_resized(&b->blk, read_capacity(d, b->blk.limits.logical_block));
}

static void blk_failed(struct virtio_device *d)
{
    struct blk *b = d->data;
    bool leak = d->ops->status(d) != 0;

    for (unsigned i = 0; i < b->queues; i++) {
        struct virtio_queue *q = &d->queues[i];
        struct blk_request *r;

        do {
            spin_lock(&q->lock);
            r = virtq_abandon(&q->ring, leak);
            spin_unlock(&q->lock);
            if (r)
                blk_done(r, -EIO);
        } while (r);
    }
}

static int start_queues(struct blk *b)
{
    struct virtio_device *d = b->dev;
    uint16_t n = 1;
    int err;

    if (virtio_has(d, F_MQ) && (virtio_config(d, CONFIG_NUM_QUEUES, &n, 2, 2) || !n))
        n = 1;
    b->queues = (unsigned)min_u64(n, min_u64(plat_cpu_count(), QUEUES_MAX));
    err = virtio_queues_alloc(d, b->queues);
    for (unsigned i = 0; !err && i < b->queues; i++)
        err = virtio_queue_start(d, i, i, RING_SIZE, i, complete);
    if (err)
        return err;
    b->depth = (unsigned)min_u64(DEPTH_MAX, d->queues[0].ring.size / 3);
    for (unsigned i = 0; !err && i < b->queues; i++)
        err = plat_dma_alloc(b->depth * sizeof(struct blk_slot), &b->slots[i]);
    return b->depth ? err : -EIO;
}

/* Ask for the serial number, polling; a device without one gives "". -EIO: it does not answer, and may do so later, into what is
 * other requests' then. */
static int read_serial(struct blk *b)
{
    struct virtio_queue *q = &b->dev->queues[0];
    struct blk_slot *s = b->slots[0].ptr;
    uint64_t end = plat_time_ns() + ID_NS;
    uint8_t *id = (uint8_t *)s + sizeof(*s); /* in the next slot */
    const struct virtq_seg segs[] = {
        { .addr = b->slots[0].addr, .len = HEADER_BYTES },
        { .addr = b->slots[0].addr + sizeof(*s), .len = ID_BYTES },
        { .addr = b->slots[0].addr + STATUS_AT, .len = 1 },
    };
    void *token;
    uint32_t len;
    int got;

    *s = (struct blk_slot){ .type = T_GET_ID, .status = S_NONE };
    got = virtq_put(&q->ring, segs, 1, 2, b);
    virtio_kick(q);
    while (!got && (got = virtq_get(&q->ring, &token, &len)) == 0 && plat_time_ns() < end)
        plat_relax();
    if (got <= 0)
        return -EIO;
    if (plat_shared_read8(&s->status) != S_OK)
        return 0;
    for (unsigned i = 0; i < ID_BYTES; i++) {
        uint8_t c = plat_shared_read8(&id[i]);
        if (!c)
            break;
        b->blk.serial[i] = c > ' ' && c < 0x7f ? (char)c : '_';
    }
    return 0;
}

/* vda to vdz, vdaa, ... */
static void name_disk(struct blk *b, unsigned i)
{
    if (i < 26)
        snprintf(b->blk.name, sizeof(b->blk.name), "vd%c", 'a' + i);
    else
        snprintf(b->blk.name, sizeof(b->blk.name), "vd%c%c", 'a' + i / 26 - 1, 'a' + i % 26);
}

static int blk_probe(struct virtio_device *d)
{
    struct blk *b = disks < DISKS_MAX ? heap_zalloc(sizeof(*b)) : NULL;
    int err;

    if (!b)
        return -ENOMEM;
    b->dev = d;
    d->data = b;
    b->blk.ops = &blk_ops;
    b->blk.data = b;
    err = start_queues(b);
    if (!err)
        err = read_limits(b);
    if (err)
        return err;
    virtio_ready(d);
    err = read_serial(b);
    if (err)
        return err;
    for (unsigned i = 0; i < b->queues; i++)
        (void)virtq_enable(&d->queues[i].ring, 1); /* nothing is in flight */
    name_disk(b, disks++);
    return blk_register(&b->blk);
}

const struct virtio_driver virtio_blk_driver = {
    .type = VIRTIO_BLK,
    .name = "blk",
    .features = blk_features,
    .probe = blk_probe,
    .changed = blk_changed,
    .failed = blk_failed,
};
