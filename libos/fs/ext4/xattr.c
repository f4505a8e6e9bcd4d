/* SPDX-License-Identifier: MIT */
/* Extended attributes: some in the inode behind its fields, the others in one block, which several inodes may share. A change
 * takes all of them, alters one, and writes them anew: what fits into the inode goes there. Lock: inode->lock. */
#include "ext4.h"

#include <abi/errno.h>
#include <abi/xattr.h>
#include <libos/acl.h>
#include <stdlib.h>
#include <string.h>

enum { NAMES_MAX = 256, SPACE_MAX = 8192, XATTR_ACL = 2, XATTR_ACL_OF_NEW = 3 };

static const struct {
    uint8_t index;
    const char *prefix;
} prefixes[] = {
    { XATTR_ACL, XATTR_ACL_ACCESS },
    { XATTR_ACL_OF_NEW, XATTR_ACL_DEFAULT },
    { 1, "user." },
    { 4, "trusted." },
    { 6, "security." },
    { 7, "system." },
};

struct attr {
    uint8_t index, name_len;
    const char *name;
    const void *value;
    uint32_t size;
};

/* All attributes of an inode; names and values lie in copy. */
struct attrs {
    struct attr a[NAMES_MAX];
    uint32_t n;
    char copy[SPACE_MAX]; /* the inode's, then the block's */
};

static bool split_name(const char *name, uint8_t *index, const char **rest)
{
    for (unsigned i = 0; i < ARRAY_SIZE(prefixes); i++) {
        size_t len = strlen(prefixes[i].prefix);
        if (strncmp(name, prefixes[i].prefix, len) ||
            (prefixes[i].prefix[len - 1] != '.' && name[len]))
            continue;
        *index = prefixes[i].index;
        *rest = name + len;
        return true;
    }
    return false;
}

static const char *prefix_of(uint8_t index)
{
    for (unsigned i = 0; i < ARRAY_SIZE(prefixes); i++)
        if (prefixes[i].index == index)
            return prefixes[i].prefix;
    return NULL;
}

/* Take the entries at `at` of area (size bytes); values are counted from base. */
static int take_entries(struct ext4_inode *ei, struct attrs *all, const char *area, uint32_t size,
                        uint32_t at, uint32_t base)
{
    for (;;) {
        struct ext4_xattr_entry e;
        uint32_t zero;
        if (at + 4 > size)
            break;
        memcpy(&zero, area + at, 4);
        if (!zero)
            return 0;
        if (at + sizeof(e) > size || all->n == NAMES_MAX)
            break;
        memcpy(&e, area + at, sizeof(e));
        if (e.value_inum || at + sizeof(e) + e.name_len > size ||
            (e.value_size && (e.value_size > size || base + e.value_offs > size - e.value_size)))
            break;
        all->a[all->n++] = (struct attr){ e.name_index, e.name_len, area + at + sizeof(e),
                                          area + base + e.value_offs, e.value_size };
        at += (uint32_t)((sizeof(e) + e.name_len + 3) & ~3u);
    }
    ext4_error(ei->fs, "attributes of inode", ei->ino);
    return -EIO;
}

static uint32_t inode_space(const struct ext4_inode *ei)
{
    uint32_t used = INODE_GOOD_OLD + ei->extra_isize;
    return ei->fs->inode_size > used + 4 ? ei->fs->inode_size - used : 0;
}

static int take_inode(struct ext4_inode *ei, struct attrs *all)
{
    uint32_t space = inode_space(ei), magic;
    struct ext4_dinode *c;
    struct buf *b;
    if (!space || ei->fresh)
        return 0;
    int err = ext4_core_get(ei, &b, &c);
    if (err)
        return err;
    memcpy(all->copy, (char *)c + INODE_GOOD_OLD + ei->extra_isize, space);
    buf_put(ei->fs, b);
    memcpy(&magic, all->copy, 4);
    return magic == XATTR_MAGIC ? take_entries(ei, all, all->copy, space, 4, 4) : 0;
}

static int take_block(struct ext4_inode *ei, struct attrs *all)
{
    struct ext4_xattr_header h;
    struct ext4 *fs = ei->fs;
    struct buf *b;
    char *area = all->copy + SPACE_MAX / 2;
    if (!ei->file_acl)
        return 0;
    int err = buf_read_kind(fs, ei->file_acl, BUF_XATTR, 0, &b);
    if (err)
        return err;
    memcpy(area, b->data, fs->block_size);
    buf_put(fs, b);
    memcpy(&h, area, sizeof(h));
    if (h.magic != XATTR_MAGIC || h.blocks != 1) {
        ext4_error(fs, "attributes of inode", ei->ino);
        return -EIO;
    }
    return take_entries(ei, all, area, fs->block_size, sizeof(h), 0);
}

static int take_all(struct ext4_inode *ei, struct attrs **ret)
{
    struct attrs *all = heap_alloc(sizeof(*all));
    if (!all)
        return -ENOMEM;
    all->n = 0;
    int err = take_inode(ei, all);
    if (!err)
        err = take_block(ei, all);
    if (err)
        heap_free(all);
    else
        *ret = all;
    return err;
}

static struct attr *find(struct attrs *all, uint8_t index, const char *name)
{
    size_t len = strlen(name);
    for (uint32_t i = 0; i < all->n; i++)
        if (all->a[i].index == index && all->a[i].name_len == len &&
            !memcmp(all->a[i].name, name, len))
            return &all->a[i];
    return NULL;
}

int ext4_getxattr(struct inode *inode, const char *name, void *buf, size_t size)
{
    struct attrs *all;
    uint8_t index;
    const char *rest;
    if (!split_name(name, &index, &rest))
        return -EOPNOTSUPP;
    if (index == 7)
        return -EOPNOTSUPP;
    int err = take_all(ext4_i(inode), &all);
    if (err)
        return err;
    const struct attr *a = find(all, index, rest);
    err = a ? (int)a->size : -ENODATA;
    if (a && (index == XATTR_ACL || index == XATTR_ACL_OF_NEW)) {
        err = ext4_acl_from_disk(a->value, a->size, buf, size);
    } else if (a && size) {
        if (a->size > size)
            err = -ERANGE;
        else
            memcpy(buf, a->value, a->size);
    }
    heap_free(all);
    return err;
}

int ext4_listxattr(struct inode *inode, char *buf, size_t size)
{
    struct attrs *all;
    size_t at = 0;
    int err = take_all(ext4_i(inode), &all);
    for (uint32_t i = 0; !err && i < all->n; i++) {
        const struct attr *a = &all->a[i];
        const char *prefix = prefix_of(a->index);
        size_t len = prefix ? strlen(prefix) : 0;
        if (!prefix || a->index == 7)
            continue;
        if (size && at + len + a->name_len + 1 > size) {
            err = -ERANGE;
            break;
        }
        if (size) {
            memcpy(buf + at, prefix, len);
            memcpy(buf + at + len, a->name, a->name_len);
            buf[at + len + a->name_len] = '\0';
        }
        at += len + a->name_len + 1;
    }
    if (err != -ENOMEM && err != -EIO)
        heap_free(all);
    return err ? err : (int)at;
}

int xattr_inline_data(struct ext4_inode *ei, const void **ret, struct buf **ret_buf)
{
    struct attrs *all;
    int err = take_all(ei, &all);
    if (err)
        return err;
    const struct attr *a = find(all, 7, "data");
    err = -ENODATA;
    if (a && a->size <= inode_space(ei)) {
        struct ext4_dinode *c;
        size_t off = (size_t)((const char *)a->value - all->copy);
        err = off < inode_space(ei) ? ext4_core_get(ei, ret_buf, &c) : -EIO;
        if (!err) {
            *ret = (char *)c + INODE_GOOD_OLD + ei->extra_isize + off;
            err = (int)a->size;
        }
    }
    heap_free(all);
    return err;
}

static uint32_t padded(uint32_t n)
{
    return (n + 3) & ~3u;
}

static uint32_t entry_hash(const struct attr *a)
{
    uint32_t h = 0, word;
    for (uint32_t i = 0; i < a->name_len; i++)
        h = (h << 5) ^ (h >> 27) ^ (uint8_t)a->name[i];
    for (uint32_t at = 0; at < a->size; at += 4) {
        word = 0;
        memcpy(&word, (const char *)a->value + at, min_u64(4, a->size - at));
        h = (h << 16) ^ (h >> 16) ^ word;
    }
    return h;
}

/* Put one attribute into an area: entries from the front, values from the back. False: no room. */
static bool put(char *area, uint32_t *front, uint32_t *back, uint32_t base, const struct attr *a,
                bool hashed)
{
    uint32_t need = padded((uint32_t)sizeof(struct ext4_xattr_entry) + a->name_len);
    uint32_t value = padded(a->size);
    if (*front + need + 4 + value > *back)
        return false;
    *back -= value;
    struct ext4_xattr_entry e = { .name_len = a->name_len,
                                  .name_index = a->index,
                                  .value_offs = (uint16_t)(a->size ? *back - base : 0),
                                  .value_size = a->size,
                                  .hash = hashed ? entry_hash(a) : 0 };
    memcpy(area + *front, &e, sizeof(e));
    memcpy(area + *front + sizeof(e), a->name, a->name_len);
    memcpy(area + *back, a->value, a->size);
    *front += need;
    return true;
}

static int by_name(const void *x, const void *y)
{
    const struct attr *a = x, *b = y;
    if (a->index != b->index)
        return a->index - b->index;
    if (a->name_len != b->name_len)
        return a->name_len - b->name_len;
    return memcmp(a->name, b->name, a->name_len);
}

int xattr_release_block(struct ext4_inode *ei)
{
    struct ext4 *fs = ei->fs;
    struct buf *b;
    if (!ei->file_acl)
        return 0;
    int err = buf_read_kind(fs, ei->file_acl, BUF_XATTR, 0, &b);
    if (err)
        return err;
    struct ext4_xattr_header *h = (void *)b->data;
    if (h->refcount > 1) {
        err = txn_access(fs, b, BUF_XATTR, 0);
        if (!err)
            h->refcount--;
    } else {
        err = balloc_free(fs, ei->file_acl, 1, true);
    }
    buf_put(fs, b);
    if (!err) {
        ei->file_acl = 0;
        ei->blocks512 -= fs->sectors;
    }
    return err;
}

/* Write those of `all` that are not in the inode into a block. */
static int write_block(struct ext4_inode *ei, struct attrs *all, const bool *placed)
{
    struct ext4 *fs = ei->fs;
    uint32_t front = sizeof(struct ext4_xattr_header), back = fs->block_size, left = 0, hash = 0;
    for (uint32_t i = 0; i < all->n; i++)
        left += !placed[i];
    int err = xattr_release_block(ei);
    if (err || !left)
        return err;
    struct buf *b;
    err = balloc_meta(ei, BUF_XATTR, &b);
    if (err)
        return err;
    for (uint32_t i = 0; i < all->n; i++) {
        if (placed[i])
            continue;
        (void)put(b->data, &front, &back, 0, &all->a[i], true); /* fits says that it does */
        uint32_t h = entry_hash(&all->a[i]);
        hash = (hash << 16) ^ (hash >> 16) ^ h;
    }
    struct ext4_xattr_header h = { .magic = XATTR_MAGIC, .refcount = 1, .blocks = 1, .hash = hash };
    memcpy(b->data, &h, sizeof(h));
    ei->file_acl = b->block;
    buf_put(fs, b);
    return 0;
}

/* Say which attributes go into the inode (written to area); false: the others do not fit into a block. */
static bool arrange(struct ext4_inode *ei, struct attrs *all, char *area, bool *placed)
{
    uint32_t space = inode_space(ei), front = 4, back = space, magic = XATTR_MAGIC;
    uint32_t need = sizeof(struct ext4_xattr_header) + 4;
    memset(area, 0, space);
    qsort(all->a, all->n, sizeof(all->a[0]), by_name);
    for (uint32_t i = 0; i < all->n; i++) {
        const struct attr *a = &all->a[i];
        placed[i] = space && put(area, &front, &back, 4, a, false);
        if (!placed[i])
            need +=
                padded((uint32_t)sizeof(struct ext4_xattr_entry) + a->name_len) + padded(a->size);
    }
    if (front > 4)
        memcpy(area, &magic, 4);
    return need <= ei->fs->block_size;
}

static int write_all(struct ext4_inode *ei, struct attrs *all)
{
    struct ext4 *fs = ei->fs;
    bool placed[NAMES_MAX];
    struct ext4_dinode *c;
    struct buf *b;
    char *area = heap_alloc(fs->inode_size);
    if (!area)
        return -ENOMEM;
    int err = arrange(ei, all, area, placed) ? txn_start(fs, 16) : -ENOSPC;
    if (err) {
        heap_free(area);
        return err;
    }
    err = write_block(ei, all, placed);
    if (!err)
        err = ext4_core_write(ei);
    if (!err)
        err = ext4_core_get(ei, &b, &c);
    if (!err) {
        err = txn_access(fs, b, BUF_OTHER, 0);
        if (!err) {
            memcpy((char *)c + INODE_GOOD_OLD + ei->extra_isize, area, inode_space(ei));
            ext4_core_seal(ei, c);
        }
        buf_put(fs, b);
    }
    txn_stop(fs);
    heap_free(area);
    return err;
}

/* Replace, add or (value NULL) remove one attribute. */
static int set_attr(struct inode *inode, uint8_t index, const char *rest, const void *value,
                    size_t size, int flags)
{
    struct ext4_inode *ei = ext4_i(inode);
    struct attrs *all;
    if (strlen(rest) > 255)
        return -ERANGE;
    if (size > ei->fs->block_size)
        return -ENOSPC;
    int err = take_all(ei, &all);
    if (err)
        return err;
    struct attr *a = find(all, index, rest);
    if (a ? flags & XATTR_CREATE : (flags & XATTR_REPLACE || !value))
        err = a ? -EEXIST : -ENODATA;
    else if (!value)
        *a = all->a[--all->n];
    else if (!a && all->n == NAMES_MAX)
        err = -ENOSPC;
    else
        *(a ? a : &all->a[all->n++]) =
            (struct attr){ index, (uint8_t)strlen(rest), rest, value, (uint32_t)size };
    if (!err) {
        inode->ctime = vfs_now();
        err = write_all(ei, all);
    }
    heap_free(all);
    return err;
}

/* The list as the disk has it. */
static int set_acl(struct inode *inode, uint8_t index, const void *value, size_t size)
{
    if (!value)
        return set_attr(inode, index, "", NULL, 0, 0);
    void *disk = heap_alloc(size);
    if (!disk)
        return -ENOMEM;
    size = ext4_acl_to_disk(value, size, disk);
    int err = set_attr(inode, index, "", disk, size, 0);
    heap_free(disk);
    return err;
}

bool ext4_has_xattrs(struct ext4_inode *ei)
{
    uint32_t space = inode_space(ei), magic = 0;
    struct ext4_dinode *c;
    struct buf *b;
    if (ei->file_acl || !space || ei->fresh)
        return ei->file_acl;
    if (ext4_core_get(ei, &b, &c))
        return false;
    memcpy(&magic, (char *)c + INODE_GOOD_OLD + ei->extra_isize, sizeof(magic));
    buf_put(ei->fs, b);
    return magic == XATTR_MAGIC;
}

int ext4_setxattr(struct inode *inode, const char *name, const void *value, size_t size, int flags)
{
    uint8_t index;
    const char *rest;
    if (!split_name(name, &index, &rest) || index == 7)
        return -EOPNOTSUPP;
    if (index == XATTR_ACL || index == XATTR_ACL_OF_NEW)
        return set_acl(inode, index, value, size);
    return set_attr(inode, index, rest, value, size, flags);
}
