/* SPDX-License-Identifier: MIT */
/* How large a tmpfs may become, and its mount options: tmpfs(5). Pages are counted where they enter and leave page maps, those
 * of an image below are not; inodes where they are made, and each further name counts as one, as in Linux. */
#include "tmpfs.h"
#include "fs_int.h"

#include <abi/errno.h>
#include <libos/fstype.h>
#include <libos/page.h>
#include <libos/process.h>
#include <libos/thread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NO_LIMIT UINT64_MAX

static uint64_t default_limit(void)
{
    return page_total_count() / 2;
}

void tmpfs_limit_default(struct tmpfs *t)
{
    t->max_pages = t->max_inodes = default_limit();
}

/* Count n more unless that goes beyond max. */
static bool add(_Atomic uint64_t *count, uint64_t n, uint64_t max)
{
    uint64_t before = atomic_fetch_add_explicit(count, n, memory_order_relaxed);
    if (LIKELY(before + n <= max))
        return true;
    atomic_fetch_sub_explicit(count, n, memory_order_relaxed);
    return false;
}

bool tmpfs_inode_add(struct tmpfs *t)
{
    return add(&t->inodes, 1, t->max_inodes);
}

void tmpfs_inode_drop(struct tmpfs *t)
{
    atomic_fetch_sub_explicit(&t->inodes, 1, memory_order_relaxed);
}

bool tmpfs_charge(struct pagemap *m)
{
    struct tmpfs *t = tmpfs_of(m->owner);
    return add(&t->pages, 1, t->max_pages);
}

void tmpfs_uncharge(struct pagemap *m, size_t n)
{
    atomic_fetch_sub_explicit(&tmpfs_of(m->owner)->pages, n, memory_order_relaxed);
}

bool tmpfs_has_room(struct inode *inode, uint64_t pages)
{
    const struct tmpfs *t = tmpfs_of(inode);
    return t->max_pages == NO_LIMIT ||
           (t->pages <= t->max_pages && pages <= t->max_pages - t->pages);
}

static uint64_t left(uint64_t max, uint64_t used)
{
    return max > used ? max - used : 0;
}

void tmpfs_statfs(struct superblock *sb, struct abi_statfs *st)
{
    const struct tmpfs *t = sb->data;
    if (t->max_pages != NO_LIMIT) {
        st->f_blocks = t->max_pages;
        st->f_bfree = st->f_bavail = left(t->max_pages, t->pages);
    }
    if (t->max_inodes != NO_LIMIT) {
        st->f_files = t->max_inodes;
        st->f_ffree = left(t->max_inodes, t->inodes);
    }
}

size_t tmpfs_show(const struct superblock *sb, char *buf, size_t size)
{
    const struct tmpfs *t = sb->data;
    int n = 0;
    buf[0] = '\0';
    if (t->max_pages != default_limit())
        n += snprintf(buf + n, size - (size_t)n, ",size=%lluk",
                      t->max_pages == NO_LIMIT
                          ? 0ull
                          : (unsigned long long)t->max_pages * (PAGE_SIZE / 1024));
    if (t->max_inodes != default_limit())
        n += snprintf(buf + n, size - (size_t)n, ",nr_inodes=%llu",
                      t->max_inodes == NO_LIMIT ? 0ull : (unsigned long long)t->max_inodes);
    if (t->mode != 01777)
        n += snprintf(buf + n, size - (size_t)n, ",mode=%03o", (unsigned)t->mode);
    if (t->uid)
        n += snprintf(buf + n, size - (size_t)n, ",uid=%u", (unsigned)t->uid);
    if (t->gid)
        n += snprintf(buf + n, size - (size_t)n, ",gid=%u", (unsigned)t->gid);
    return (size_t)n;
}

/* A number with the suffixes of size=: bytes in k, m, g, t, p, e; % of the memory where that is allowed. */
static int parse_size(const char *text, bool percent, uint64_t *ret)
{
    static const char units[] = "kmgtpe";
    char *end;
    if (*text < '0' || *text > '9')
        return -EINVAL;
    uint64_t n = strtoull(text, &end, 0);
    const char *unit = *end ? strchr(units, *end | 0x20) : NULL;
    if (unit) {
        for (; unit >= units; unit--)
            n *= 1024;
        end++;
    } else if (*end == '%' && percent) {
        n = n > 1000000 ? UINT64_MAX : page_total_count() * PAGE_SIZE * n / 100;
        end++;
    }
    *ret = n;
    return *end ? -EINVAL : 0;
}

static int parse_id(const char *text, int base, uint32_t max, uint32_t *ret)
{
    char *end;
    unsigned long n = strtoul(text, &end, base);
    *ret = (uint32_t)n;
    return *text < '0' || *text > '9' || *end || n > max ? -EINVAL : 0;
}

static int parse_option(struct tmpfs_options *o, const char *key, const char *value)
{
    uint64_t n = 0;
    int err;
    if (strcmp(key, "inode64") == 0 || strcmp(key, "inode32") == 0)
        return value ? -EINVAL : 0;
    if (!value)
        return -EINVAL;
    if (strcmp(key, "size") == 0 || strcmp(key, "nr_blocks") == 0) {
        bool bytes = key[0] == 's';
        err = parse_size(value, bytes, &n);
        if (bytes)
            n = n / PAGE_SIZE + (n % PAGE_SIZE != 0);
        o->pages = n ? n : NO_LIMIT;
        o->set_pages = true;
        return err || n > INT64_MAX ? -EINVAL : 0;
    }
    if (strcmp(key, "nr_inodes") == 0) {
        err = parse_size(value, false, &n);
        o->inodes = n ? n : NO_LIMIT;
        o->set_inodes = true;
        return err;
    }
    if (strcmp(key, "mode") == 0) {
        err = parse_id(value, 8, UINT32_MAX, &o->mode);
        o->mode &= 07777;
        return err;
    }
    if (strcmp(key, "uid") == 0)
        return parse_id(value, 0, UINT32_MAX - 1, &o->uid);
    if (strcmp(key, "gid") == 0)
        return parse_id(value, 0, UINT32_MAX - 1, &o->gid);
    if (strcmp(key, "huge") == 0)
        return strcmp(value, "never") && strcmp(value, "within_size") && strcmp(value, "advise") &&
                       strcmp(value, "always")
                   ? -EINVAL
                   : 0;
    return -EINVAL;
}

static void options_init(struct fs_setup *s)
{
    const struct cred *c = thread_current()->cred;
    *(struct tmpfs_options *)s->options =
        (struct tmpfs_options){ .mode = 01777, .uid = c->fsuid, .gid = c->fsgid };
}

static int option(struct fs_setup *s, const char *key, const char *value)
{
    return parse_option(s->options, key, value);
}

/* A limit may be changed as long as there is one and what is there fits. */
static int check_limit(bool set, uint64_t new, uint64_t old, uint64_t used)
{
    if (!set || new == NO_LIMIT)
        return 0;
    return old == NO_LIMIT || used > new ? -EINVAL : 0;
}

static int change(struct fs_setup *s)
{
    const struct tmpfs_options *o = s->options;
    struct tmpfs *t = s->sb->data;
    if (check_limit(o->set_pages, o->pages, t->max_pages, t->pages) ||
        check_limit(o->set_inodes, o->inodes, t->max_inodes, t->inodes))
        return -EINVAL;
    if (o->set_pages)
        t->max_pages = o->pages;
    if (o->set_inodes)
        t->max_inodes = o->inodes;
    return 0;
}

static void configure(struct superblock *sb, const struct tmpfs_options *o)
{
    struct tmpfs *t = sb->data;
    struct inode *root = sb->root->inode;
    t->mode = o->mode;
    t->uid = root->uid = o->uid;
    t->gid = root->gid = o->gid;
    if (o->set_pages)
        t->max_pages = o->pages;
    if (o->set_inodes)
        t->max_inodes = o->inodes;
}

static int get(struct fs_setup *s, struct superblock **ret_sb)
{
    const struct tmpfs_options *o = s->options;
    int err = tmpfs_create("tmpfs", o->mode, ret_sb);
    if (!err)
        configure(*ret_sb, o);
    return err;
}

const struct fs_type tmpfs_type = { .name = "tmpfs",
                                    .options_size = sizeof(struct tmpfs_options),
                                    .begin = options_init,
                                    .option = option,
                                    .get = get,
                                    .change = change };

/* ramfs: the same without limits. */

static void ramfs_init(struct fs_setup *s)
{
    options_init(s);
    ((struct tmpfs_options *)s->options)->mode = 0755;
}

/* Of the options it knows the mode, and never minded others. */
static int ramfs_option(struct fs_setup *s, const char *key, const char *value)
{
    return strcmp(key, "mode") == 0 ? parse_option(s->options, key, value) : 0;
}

static int ramfs_get(struct fs_setup *s, struct superblock **ret_sb)
{
    const struct tmpfs_options *o = s->options;
    int err = tmpfs_create("ramfs", o->mode, ret_sb);
    if (err)
        return err;
    configure(*ret_sb, o);
    struct tmpfs *t = (*ret_sb)->data;
    t->max_pages = t->max_inodes = NO_LIMIT;
    (*ret_sb)->magic = RAMFS_MAGIC;
    (*ret_sb)->show = NULL;
    return 0;
}

const struct fs_type ramfs_type = { .name = "ramfs",
                                    .options_size = sizeof(struct tmpfs_options),
                                    .begin = ramfs_init,
                                    .option = ramfs_option,
                                    .get = ramfs_get };
