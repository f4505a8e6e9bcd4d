/* SPDX-License-Identifier: MIT */
/* Device nodes: a disk or partition as a file. There is no cache in between: what is read comes from the device, what is written goes
 * there, through memory of libOS. Blocks that are written in part are read first, under one lock for all devices. Of a file system
 * that is mounted from the device, its metadata as it is now is read (but by O_DIRECT), and what it is using cannot be written
 * (EBUSY); a file's content is not seen before it is on the disk, as on Linux. */
#include "blk_int.h"

#include <abi/errno.h>
#include <abi/fcntl.h>
#include <abi/prctl.h>
#include <abi/stat.h>
#include <libos/file.h>
#include <libos/heap.h>
#include <libos/process.h>
#include <libos/sched.h>
#include <libos/user.h>
#include <stdio.h>
#include <string.h>

enum {
    BUFFER = 65536,
    PIECE = 1 << 20, /* sectors that are zeroed or discarded at once */
    BLKROGET = 0x125e,
    BLKRRPART = 0x125f,
    BLKGETSIZE = 0x1260,
    BLKFLSBUF = 0x1261,
    BLKSSZGET = 0x1268,
    BLKPG = 0x1269,
    BLKDISCARD = 0x1277,
    BLKIOMIN = 0x1278,
    BLKIOOPT = 0x1279,
    BLKALIGNOFF = 0x127a,
    BLKPBSZGET = 0x127b,
    BLKDISCARDZEROES = 0x127c,
    BLKROTATIONAL = 0x127e,
    BLKZEROOUT = 0x127f,
};
#define BLKBSZGET    0x80081270u
#define BLKGETSIZE64 0x80081272u

typedef USER(int) user_blk_int_t;
typedef USER(uint16_t) user_blk_u16_t;
typedef USER(uint64_t) user_blk_u64_t;
typedef USER(const uint64_t) user_blk_range_t;

/* What f->data points to. */
struct node {
    struct blk_device *dev;
    bool exclusive; /* it is claimed */
};

static struct mutex part_lock;

static struct blk_device *dev_of(const struct file *f)
{
    return ((struct node *)f->data)->dev;
}

static uint64_t size_of(const struct blk_device *dev)
{
    return dev->sectors * BLK_SECTOR;
}

/* The blocks that [pos, pos + n) lies in, at most a buffer of them; n becomes what of it that is. */
struct span {
    uint64_t sector;
    uint32_t sectors, skip, n;
};

static struct span span_at(const struct blk_device *dev, uint64_t pos, size_t n)
{
    uint64_t block = dev->limits.logical_block, from = align_down(pos, block);
    uint64_t end = min_u64(align_up(pos + n, block), from + BUFFER);
    return (struct span){ .sector = from / BLK_SECTOR,
                          .sectors = (uint32_t)((end - from) / BLK_SECTOR),
                          .skip = (uint32_t)(pos - from),
                          .n = (uint32_t)min_u64(n, end - pos) };
}

/* O_DIRECT wants whole blocks, and memory that is aligned like them. */
static bool refused(const struct file *f, const struct iter *it, uint64_t pos)
{
    uint64_t bits = pos | it->left | (it->kind & ITER_VECTOR ? 0 : it->at);
    return f->flags & O_DIRECT && bits & (dev_of(f)->limits.logical_block - 1);
}

void blk_view_settle(struct blk_device *dev)
{
    struct superblock *sb = dev->view ? superblock_of_dev(dev->rdev) : NULL;
    const struct blk_view *view = dev->view; /* which does not go while sb is held */
    if (sb && view)
        view->settle(sb->data);
    if (sb)
        superblock_put(sb);
}

static ssize_type node_read(struct file *f, struct iter *it, uint64_t *pos)
{
    struct blk_device *dev = dev_of(f);
    uint64_t size = size_of(dev), want = *pos < size ? min_u64(it->left, size - *pos) : 0;
    size_t done = 0;
    int err = 0;
    if (refused(f, it, *pos))
        return -EINVAL;
    char *buf = want ? heap_alloc(BUFFER) : NULL;
    if (want && !buf)
        return -ENOMEM;
    if (!(f->flags & O_DIRECT))
        blk_view_settle(dev);
    while (done < want && !err) {
        struct span s = span_at(dev, *pos + done, want - done);
        err = blk_read(dev, s.sector, s.sectors, buf);
        if (!err && !(f->flags & O_DIRECT))
            blk_view_read(dev, s.sector, s.sectors, buf);
        if (!err) {
            size_t put = iter_put(it, buf + s.skip, s.n);
            done += put;
            if (put < s.n)
                err = -EFAULT;
        }
        if (thread_preempt_point())
            break;
    }
    heap_free(buf);
    *pos += done;
    return done ? (ssize_type)done : err;
}

/* Who keeps something of the blocks forgets it before they are written, and what he read meanwhile. */
static int write_blocks(struct blk_device *dev, uint64_t sector, uint32_t sectors, const void *buf)
{
    int err = blk_view_write(dev, sector, sectors, buf);
    if (!err)
        err = blk_write(dev, sector, sectors, buf, 0);
    if (!err)
        (void)!blk_view_write(dev, sector, sectors, buf); /* in use again: as it was read */
    return err;
}

static int write_span(struct blk_device *dev, const struct span *s, struct iter *it, char *buf,
                      size_t *ret_got)
{
    bool whole = s->n == s->sectors * BLK_SECTOR;
    int err = whole ? 0 : blk_read(dev, s->sector, s->sectors, buf);
    if (err)
        return err;
    if (!whole)
        blk_view_read(dev, s->sector, s->sectors, buf);
    size_t got = iter_get(it, buf + s->skip, s->n);
    *ret_got = got;
    /* Memory that cannot be read to its end: of the last block nothing is written, unless it was read before. */
    uint32_t block = dev->limits.logical_block;
    uint64_t bytes = whole ? align_down(got, block) : align_up(s->skip + got, block);
    if (whole)
        *ret_got = bytes;
    return bytes ? write_blocks(dev, s->sector, (uint32_t)(bytes / BLK_SECTOR), buf) : 0;
}

static ssize_type node_write(struct file *f, struct iter *it, uint64_t *pos)
{
    struct blk_device *dev = dev_of(f);
    uint64_t size = size_of(dev), at = f->flags & O_APPEND || it->append ? size : *pos;
    size_t done = 0;
    int err = 0;
    if (dev->limits.read_only)
        return -EPERM;
    if (!it->left)
        return 0;
    if (at >= size)
        return -ENOSPC;
    if (refused(f, it, at))
        return -EINVAL;
    uint64_t want = min_u64(it->left, size - at);
    char *buf = heap_alloc(BUFFER);
    if (!buf)
        return -ENOMEM;
    while (done < want && !err) {
        struct span s = span_at(dev, at + done, want - done);
        size_t got = 0;
        mutex_lock(&part_lock);
        err = write_span(dev, &s, it, buf, &got);
        mutex_unlock(&part_lock);
        done += err ? 0 : got;
        if (!err && got < s.n)
            err = -EFAULT;
        if (thread_preempt_point())
            break;
    }
    heap_free(buf);
    if (done && (f->flags & O_DSYNC || it->sync)) {
        int err2 = blk_flush(dev);
        if (err2)
            return err2;
    }
    *pos = at + done;
    return done ? (ssize_type)done : err;
}

static int64_t node_seek(struct file *f, int64_t off, int whence)
{
    int64_t size = (int64_t)size_of(dev_of(f));
    if (whence == SEEK_CUR)
        off += (int64_t)f->pos;
    else if (whence == SEEK_END)
        off += size;
    else if (whence == SEEK_DATA || whence == SEEK_HOLE) {
        if (off < 0 || off >= size)
            return -ENXIO;
        off = whence == SEEK_DATA ? off : size;
    } else if (whence != SEEK_SET)
        return -EINVAL;
    if (off < 0 || off > size)
        return -EINVAL;
    f->pos = (uint64_t)off;
    return off;
}

static int node_sync(struct file *f, uint64_t from, uint64_t end, bool data_only)
{
    (void)from, (void)end, (void)data_only;
    return blk_flush(dev_of(f)) ? -EIO : 0;
}

/* BLKDISCARD, BLKZEROOUT: a range of bytes. */
static long range_ioctl(struct file *f, bool zero, unsigned long arg)
{
    struct blk_device *dev = dev_of(f);
    uint64_t range[2], size = size_of(dev);
    if (!f->can_write)
        return -EBADF;
    if (dev->limits.read_only)
        return -EPERM;
    if (!zero && !dev->limits.max_discard_sectors)
        return -EOPNOTSUPP;
    if (user_get(range, user_at(user_blk_range_t, arg), 2))
        return -EFAULT;
    if ((range[0] | range[1]) % BLK_SECTOR || range[0] > size || range[1] > size - range[0])
        return -EINVAL;
    if ((range[0] | range[1]) % dev->limits.logical_block)
        return -EINVAL;
    uint64_t at = range[0] / BLK_SECTOR, left = range[1] / BLK_SECTOR;
    for (uint32_t n; left; at += n, left -= n) {
        n = (uint32_t)min_u64(left, PIECE);
        int err = blk_view_write(dev, at, n, NULL);
        if (!err && zero)
            err = blk_zero(dev, at, n);
        else if (!err)
            blk_discard(dev, at, n);
        if (err)
            return err;
        if (thread_preempt_point())
            return -EINTR;
    }
    return 0;
}

static long put_int(unsigned long arg, uint32_t value)
{
    int v = (int)value;
    return user_put(user_at(user_blk_int_t, arg), &v, 1);
}

static long put_u64(unsigned long arg, uint64_t v)
{
    return user_put(user_at(user_blk_u64_t, arg), &v, 1);
}

/* BLKFLSBUF: what is mounted from it is synced, too. */
static long flush_all(struct blk_device *dev)
{
    struct superblock *sb = superblock_of_dev(dev->rdev);
    int err = sb && sb->ops && sb->ops->sync ? sb->ops->sync(sb) : blk_flush(dev);
    if (sb)
        superblock_put(sb);
    return err;
}

static long node_ioctl(struct file *f, unsigned cmd, unsigned long arg)
{
    struct blk_device *dev = dev_of(f);
    const struct blk_limits *l = &dev->limits;
    uint16_t turns = l->rotational;
    switch (cmd) {
    case BLKROGET:
        return put_int(arg, l->read_only);
    case BLKGETSIZE:
        return put_u64(arg, dev->sectors);
    case BLKGETSIZE64:
        return put_u64(arg, size_of(dev));
    case BLKFLSBUF:
        return cred_capable(CAP_SYS_ADMIN) ? flush_all(dev) : -EACCES;
    case BLKRRPART:
        return blk_reread(dev, ((struct node *)f->data)->exclusive);
    case BLKPG:
        return blk_partition_change(dev, arg);
    case BLKSSZGET:
        return put_int(arg, l->logical_block);
    case BLKBSZGET:
        return put_int(arg, PAGE_SIZE);
    case BLKPBSZGET:
        return put_int(arg, l->physical_block);
    case BLKIOMIN:
        return put_int(arg, l->minimum_io > l->physical_block ? l->minimum_io : l->physical_block);
    case BLKIOOPT:
        return put_int(arg, l->optimal_io);
    case BLKALIGNOFF:
    case BLKDISCARDZEROES:
        return put_int(arg, 0);
    case BLKROTATIONAL:
        return user_put(user_at(user_blk_u16_t, arg), &turns, 1);
    case BLKDISCARD:
    case BLKZEROOUT:
        return range_ioctl(f, cmd == BLKZEROOUT, arg);
    default:
        return -ENOTTY;
    }
}

static void node_release(struct file *f)
{
    struct node *n = f->data;
    if (n->exclusive)
        blk_release(n->dev);
    atomic_fetch_sub(&n->dev->opens, 1);
    heap_free(n);
}

static const struct file_ops node_fops = {
    .read = node_read,
    .write = node_write,
    .seek = node_seek,
    .ioctl = node_ioctl,
    .sync = node_sync,
    .release = node_release,
};

int blk_node_open(uint32_t rdev, bool exclusive, struct file *f)
{
    struct blk_device *dev = blk_of_rdev(rdev);
    struct node *n = dev ? heap_zalloc(sizeof(*n)) : NULL;
    if (!n)
        return dev ? -ENOMEM : -ENXIO;
    atomic_fetch_add(&dev->opens, 1);
    int err = exclusive ? blk_claim(dev) : 0;
    if (!err && atomic_load(&dev->gone)) { /* looked at behind opens: see drop in repart.c */
        if (exclusive)
            blk_release(dev);
        err = -ENXIO;
    }
    if (err) {
        atomic_fetch_sub(&dev->opens, 1);
        heap_free(n);
        return err;
    }
    *n = (struct node){ dev, exclusive };
    f->data = n;
    f->ops = &node_fops;
    f->seekable = f->one_by_one = true;
    return 0;
}

/* A link in /dev/disk/FOLDER, of which the first one makes the folder. */
static void link_make(const char *folder, const char *name, const struct blk_device *d)
{
    char path[96], target[BLK_NAME_MAX + 8];
    if (!*name || strchr(name, '/') || strlen(name) > 60)
        return;
    (void)!vfs_make("/dev/disk", S_IFDIR | 0755, 0, NULL);
    snprintf(path, sizeof(path), "/dev/disk/%s", folder);
    (void)!vfs_make(path, S_IFDIR | 0755, 0, NULL);
    snprintf(path, sizeof(path), "/dev/disk/%s/%s", folder, name);
    snprintf(target, sizeof(target), "../../%s", d->name);
    (void)!vfs_make(path, S_IFLNK | 0777, 0, target); /* two of one name: the first counts */
}

int blk_node_make(struct blk_device *d)
{
    char path[BLK_NAME_MAX + 32], uuid[41], label[49];
    snprintf(path, sizeof(path), "/dev/%s", d->name);
    int err = vfs_make(path, S_IFBLK | 0660, d->rdev, NULL);
    link_make("by-partuuid", d->partuuid, d);
    link_make("by-partlabel", d->partlabel, d);
    if (*d->serial && !d->whole) {
        snprintf(path, sizeof(path), "%s-%.20s", d->name[0] == 'v' ? "virtio" : "nvme", d->serial);
        link_make("by-id", path, d);
    }
    if (blk_content_names(d, uuid, label)) {
        link_make("by-uuid", uuid, d);
        link_make("by-label", label, d);
    }
    return err == -EEXIST ? 0 : err;
}

static void remove_link(const char *folder, const char *name)
{
    char path[96];
    if (!*name || strchr(name, '/') || strlen(name) > 60)
        return;
    snprintf(path, sizeof(path), "/dev/disk/%s/%s", folder, name);
    vfs_unmake(path);
}

void blk_node_remove(struct blk_device *d)
{
    char path[BLK_NAME_MAX + 8];
    snprintf(path, sizeof(path), "/dev/%s", d->name);
    vfs_unmake(path);
    remove_link("by-partuuid", d->partuuid);
    remove_link("by-partlabel", d->partlabel);
}

int blk_nodes_make(void)
{
    int err = 0;
    mutex_init(&part_lock, RANK_FS_MAP);
    for (struct blk_device *d = blk_next(NULL); d && !err; d = blk_next(d))
        err = blk_node_make(d);
    return err;
}
