/* SPDX-License-Identifier: MIT */
/* Disks and partitions in /sys: /sys/block and its like are links to /sys/devices/virtual/block, since no bus is shown. A disk's
 * number here is that of its node (rdev), which stays. There is no uevent file: libudev takes a device without one for none of its
 * own, as on a machine without udevd, and lsblk then looks at the disks by itself. Documentation/ABI/stable/sysfs-block. */
#include "gen.h"
#include <abi/errno.h>
#include <libos/dev/blk.h>
#include <stdio.h>
#include <string.h>

static struct blk_device *dev_of(const struct gen_ctx *c)
{
    return blk_of_rdev((uint32_t)c->number); /* once there, it stays */
}

static void put(struct text *t, uint64_t n)
{
    text_printf(t, "%llu\n", (unsigned long long)n);
}

#define BLOCK_FILE(name, expression)                                                               \
    static int show_##name(struct text *t, const struct gen_ctx *c)                                \
    {                                                                                              \
        const struct blk_device *d = dev_of(c);                                                    \
        put(t, (expression));                                                                      \
        return 0;                                                                                  \
    }
BLOCK_FILE(size, d->sectors)
BLOCK_FILE(ro, d->limits.read_only)
BLOCK_FILE(partition, d->part)
BLOCK_FILE(start, d->first)
BLOCK_FILE(range, d->name[0] == 'v' ? 16 : 0)
BLOCK_FILE(logical, d->limits.logical_block)
BLOCK_FILE(physical, d->limits.physical_block)
BLOCK_FILE(minimum, max_u64(d->limits.minimum_io, d->limits.physical_block))
BLOCK_FILE(optimal, d->limits.optimal_io)
BLOCK_FILE(rotational, d->limits.rotational)
BLOCK_FILE(fua, d->limits.fua)
BLOCK_FILE(max_kb, d->limits.max_sectors / 2)
BLOCK_FILE(max_segs, d->limits.max_segs)
BLOCK_FILE(max_seg_len, d->limits.max_seg_len)
BLOCK_FILE(requests, d->limits.queue_depth)
BLOCK_FILE(boundary, d->limits.seg_boundary ? d->limits.seg_boundary - 1 : 0)
BLOCK_FILE(discard_max, (uint64_t)d->limits.max_discard_sectors *BLK_SECTOR)
BLOCK_FILE(zeroes_max, (uint64_t)d->limits.max_zero_sectors *BLK_SECTOR)
BLOCK_FILE(timeout, d->stacked ? 0 : BLK_TIMEOUT_S * 1000)

static int show_granularity(struct text *t, const struct gen_ctx *c)
{
    const struct blk_limits *l = &dev_of(c)->limits;
    uint64_t unit = max_u64(l->logical_block, (uint64_t)l->discard_align * BLK_SECTOR);
    put(t, l->max_discard_sectors ? unit : 0);
    return 0;
}

static int show_dev(struct text *t, const struct gen_ctx *c)
{
    uint32_t rdev = dev_of(c)->rdev;
    text_printf(t, "%u:%u\n", abi_major(rdev), abi_minor(rdev));
    return 0;
}

static int show_cache(struct text *t, const struct gen_ctx *c)
{
    text_printf(t, "write %s\n", dev_of(c)->limits.volatile_cache ? "back" : "through");
    return 0;
}

/* virtio's has no end of line. */
static int show_serial(struct text *t, const struct gen_ctx *c)
{
    text_printf(t, "%s", dev_of(c)->serial);
    return 0;
}

static int show_serial_line(struct text *t, const struct gen_ctx *c)
{
    text_printf(t, "%s\n", dev_of(c)->serial);
    return 0;
}

static int show_model(struct text *t, const struct gen_ctx *c)
{
    if (!*dev_of(c)->model)
        return -ENODEV;
    text_printf(t, "%s\n", dev_of(c)->model);
    return 0;
}

static int show_vendor(struct text *t, const struct gen_ctx *c)
{
    if (dev_of(c)->name[0] != 'v')
        return -ENODEV;
    text_printf(t, "0x1af4\n");
    return 0;
}

static int show_inflight(struct text *t, const struct gen_ctx *c)
{
    struct blk_stats s;
    blk_stats(dev_of(c), &s);
    text_printf(t, "%8u %8u\n", s.inflight_reads, s.inflight - s.inflight_reads);
    return 0;
}

void gen_show_disk(struct text *t, struct blk_device *d, unsigned width)
{
    struct blk_stats s;
    blk_stats(d, &s);
    /* Zeros that are written are writes. */
    s.ios[BLK_WRITE] += s.ios[BLK_WRITE_ZEROES];
    s.sectors[BLK_WRITE] += s.sectors[BLK_WRITE_ZEROES];
    s.merges[BLK_WRITE] += s.merges[BLK_WRITE_ZEROES];
    s.ms[BLK_WRITE] += s.ms[BLK_WRITE_ZEROES];
    uint64_t rows[17];
    unsigned n = 0;
    static const uint8_t order[] = { BLK_READ, BLK_WRITE, BLK_DISCARD };
    for (unsigned i = 0; i < ARRAY_SIZE(order); i++) {
        unsigned op = order[i];
        if (op == BLK_DISCARD) {
            rows[n++] = s.inflight;
            rows[n++] = s.busy_ms;
            rows[n++] = s.queue_ms;
        }
        rows[n++] = s.ios[op];
        rows[n++] = s.merges[op];
        rows[n++] = s.sectors[op];
        rows[n++] = s.ms[op];
    }
    rows[n++] = s.ios[BLK_FLUSH];
    rows[n++] = s.ms[BLK_FLUSH];
    for (unsigned i = 0; i < n; i++)
        text_printf(t, "%s%*llu", i ? " " : "", (int)width, (unsigned long long)rows[i]);
    text_add(t, "\n", 1);
}

static int show_stat(struct text *t, const struct gen_ctx *c)
{
    gen_show_disk(t, dev_of(c), 8);
    return 0;
}

static const struct gen_entry none[] = { { .name = NULL } };

static const struct gen_entry queue_entries[] = {
    GEN_FIXED("add_random", "0\n"),
    GEN_FIXED("chunk_sectors", "0\n"),
    GEN_FIXED("dax", "0\n"),
    GEN_FILE("discard_granularity", show_granularity),
    GEN_FILE("discard_max_bytes", show_discard_max),
    GEN_FILE("discard_max_hw_bytes", show_discard_max),
    GEN_FIXED("discard_zeroes_data", "0\n"),
    GEN_FILE("fua", show_fua),
    GEN_FILE("hw_sector_size", show_logical),
    GEN_FIXED("io_poll", "0\n"),
    GEN_FILE("io_timeout", show_timeout),
    GEN_FIXED("iostats", "1\n"),
    GEN_FILE("logical_block_size", show_logical),
    GEN_FIXED("max_discard_segments", "1\n"),
    GEN_FILE("max_hw_sectors_kb", show_max_kb),
    GEN_FIXED("max_integrity_segments", "0\n"),
    GEN_FILE("max_sectors_kb", show_max_kb),
    GEN_FILE("max_segment_size", show_max_seg_len),
    GEN_FILE("max_segments", show_max_segs),
    GEN_FILE("minimum_io_size", show_minimum),
    GEN_FIXED("nomerges", "0\n"),
    GEN_FILE("nr_requests", show_requests),
    GEN_FIXED("nr_zones", "0\n"),
    GEN_FILE("optimal_io_size", show_optimal),
    GEN_FILE("physical_block_size", show_physical),
    GEN_FIXED("read_ahead_kb", "128\n"),
    GEN_FILE("rotational", show_rotational),
    GEN_FIXED("rq_affinity", "1\n"),
    GEN_FIXED("scheduler", "[none] \n"),
    GEN_FIXED("stable_writes", "0\n"),
    GEN_FILE("virt_boundary_mask", show_boundary),
    GEN_FILE("write_cache", show_cache),
    GEN_FIXED("write_same_max_bytes", "0\n"),
    GEN_FILE("write_zeroes_max_bytes", show_zeroes_max),
    GEN_FIXED("zone_append_max_bytes", "0\n"),
    GEN_FIXED("zoned", "none\n"),
    { .name = NULL },
};

static const struct gen_entry device_entries[] = {
    GEN_FILE("model", show_model),
    GEN_FILE("serial", show_serial_line),
    GEN_FILE("vendor", show_vendor),
    { .name = NULL },
};

#define LINK(n, target)                                                                            \
    {                                                                                              \
        .name = (n), .mode = S_IFLNK | 0777, .fixed = (target)                                     \
    }
/* What disks and partitions have. */
#define COMMON                                                                                     \
    GEN_FIXED("alignment_offset", "0\n"), GEN_FILE("dev", show_dev),                               \
        GEN_FIXED("discard_alignment", "0\n"), GEN_DIR("holders", none),                           \
        GEN_FILE("inflight", show_inflight), GEN_FILE("ro", show_ro), GEN_FILE("size", show_size), \
        GEN_FILE("stat", show_stat)

static const struct gen_entry part_entries[] = {
    COMMON,
    GEN_FILE("partition", show_partition),
    GEN_FILE("start", show_start),
    LINK("subsystem", "../../../../../class/block"),
    { .name = NULL },
};

static const struct gen_entry disk_entries[] = {
    COMMON,
    GEN_FILE("cache_type", show_cache),
    GEN_FIXED("capability", "0\n"),
    GEN_DIR("device", device_entries),
    GEN_FIXED("events", "\n"),
    GEN_FIXED("events_async", "\n"),
    GEN_FIXED("events_poll_msecs", "-1\n"),
    GEN_FIXED("ext_range", "256\n"),
    GEN_FIXED("hidden", "0\n"),
    GEN_DIR("queue", queue_entries),
    GEN_FILE("range", show_range),
    GEN_FIXED("removable", "0\n"),
    GEN_FILE("serial", show_serial),
    GEN_DIR("slaves", none),
    LINK("subsystem", "../../../../class/block"),
    { .name = NULL },
};

/* Names: those of devices, or their numbers. */

static int print_name(int n, char *buf, size_t size)
{
    return snprintf(buf, size, "%s", blk_of_rdev((uint32_t)n)->name);
}

static int parse_name(const char *name, size_t len)
{
    for (struct blk_device *d = blk_next(NULL); d; d = blk_next(d))
        if (strlen(d->name) == len && !memcmp(d->name, name, len))
            return (int)d->rdev;
    return -1;
}

static int print_number(int n, char *buf, size_t size)
{
    return snprintf(buf, size, "%u:%u", abi_major((uint32_t)n), abi_minor((uint32_t)n));
}

static int parse_number(const char *name, size_t len)
{
    char text[32];
    for (struct blk_device *d = blk_next(NULL); d; d = blk_next(d))
        if ((size_t)print_number((int)d->rdev, text, sizeof(text)) == len &&
            !memcmp(text, name, len))
            return (int)d->rdev;
    return -1;
}

static bool is_disk(const struct gen_ctx *dir, const struct blk_device *d)
{
    return !d->whole;
}

static bool is_part(const struct gen_ctx *dir, const struct blk_device *d)
{
    return d->whole && d->whole->rdev == (uint32_t)dir->number;
}

static bool is_any(const struct gen_ctx *dir, const struct blk_device *d)
{
    return true;
}

/* The device with the lowest number from there on. */
static int next_of(const struct gen_ctx *dir, int from,
                   bool (*belongs)(const struct gen_ctx *, const struct blk_device *))
{
    int best = -1;
    for (struct blk_device *d = blk_next(NULL); d; d = blk_next(d))
        if (belongs(dir, d) && (int)d->rdev >= from && (best < 0 || (int)d->rdev < best))
            best = (int)d->rdev;
    return best;
}

#define KIND(kind)                                                                                 \
    static int kind##_next(const struct gen_ctx *dir, int from)                                    \
    {                                                                                              \
        return next_of(dir, from, is_##kind);                                                      \
    }                                                                                              \
    static bool kind##_exists(const struct gen_ctx *dir, int n)                                    \
    {                                                                                              \
        return next_of(dir, n, is_##kind) == n;                                                    \
    }
KIND(disk)
KIND(part)
KIND(any)

static void enter(struct gen_ctx *c, int n)
{
    c->number = n;
}

static const struct gen_names parts = { .print = print_name,
                                        .parse = parse_name,
                                        .exists = part_exists,
                                        .next = part_next,
                                        .enter = enter,
                                        .entry = { .mode = S_IFDIR | 0755,
                                                   .children = part_entries } };
const struct gen_names sysfs_disks = {
    .print = print_name,
    .parse = parse_name,
    .exists = disk_exists,
    .next = disk_next,
    .enter = enter,
    .entry = { .mode = S_IFDIR | 0755, .children = disk_entries, .names = &parts }
};

static int show_target(struct text *t, const struct gen_ctx *c, const char *up)
{
    const struct blk_device *d = dev_of(c);
    text_printf(t, "%sdevices/virtual/block/%s%s%s", up, d->whole ? d->whole->name : "",
                d->whole ? "/" : "", d->name);
    return 0;
}

static int show_near(struct text *t, const struct gen_ctx *c)
{
    return show_target(t, c, "../");
}

static int show_far(struct text *t, const struct gen_ctx *c)
{
    return show_target(t, c, "../../");
}

const struct gen_names sysfs_block_links = { .print = print_name,
                                             .parse = parse_name,
                                             .exists = disk_exists,
                                             .next = disk_next,
                                             .enter = enter,
                                             .entry = { .mode = S_IFLNK | 0777,
                                                        .show = show_near } };
const struct gen_names sysfs_class_block_links = { .print = print_name,
                                                   .parse = parse_name,
                                                   .exists = any_exists,
                                                   .next = any_next,
                                                   .enter = enter,
                                                   .entry = { .mode = S_IFLNK | 0777,
                                                              .show = show_far } };
const struct gen_names sysfs_dev_block_links = { .print = print_number,
                                                 .parse = parse_number,
                                                 .exists = any_exists,
                                                 .next = any_next,
                                                 .enter = enter,
                                                 .entry = { .mode = S_IFLNK | 0777,
                                                            .show = show_far } };
