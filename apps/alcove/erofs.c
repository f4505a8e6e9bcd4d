/* SPDX-License-Identifier: MIT */
/* mkfs.erofs takes owners and modes from the files that it packs, and only root can give files away. So the files are packed
 * as they are and the inodes corrected here, and after them the checksum, which covers the first block. Spec: Linux's
 * fs/erofs/erofs_fs.h and super.c. */
#include "erofs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { SUPER = 1024, BLOCK = 4096, SLOT = 32, EXTENDED = 64, DIRENT = 12, TYPE_DIR = 2 };
#define MAGIC 0xe0f5e1e2u

struct erofs {
    uint8_t *data;
    uint64_t size, meta;
    const char *path;
    const struct stage *stage;
};

static uint32_t get16(const uint8_t *p)
{
    return (uint32_t)(p[0] | p[1] << 8);
}

static uint32_t get32(const uint8_t *p)
{
    return get16(p) | get16(p + 2) << 16;
}

static uint64_t get64(const uint8_t *p)
{
    return get32(p) | (uint64_t)get32(p + 4) << 32;
}

static void put32(uint8_t *p, uint32_t v)
{
    for (int i = 0; i < 4; i++)
        p[i] = (uint8_t)(v >> (8 * i));
}

static __attribute__((noreturn)) void strange(const struct erofs *e)
{
    fail("mkfs.erofs",
         "made an image in a form that is not expected; alcove needs erofs-utils 1.5 "
         "or later (%s)",
         path_base(e->path));
}

static uint8_t *inode(const struct erofs *e, uint64_t nid)
{
    uint64_t at = e->meta + nid * SLOT;
    if (nid > e->size / SLOT || at > e->size - EXTENDED || !(e->data[at] & 1))
        strange(e);
    return e->data + at;
}

static int by_path(const void *key, const void *entry)
{
    /* The stage is sorted backwards. */
    return strcmp(((const struct stage_entry *)entry)->path, key);
}

static void set(const struct erofs *e, uint8_t *i, const char *path)
{
    const struct stage_entry *s =
        bsearch(path, e->stage->entries, e->stage->n, sizeof(*s), by_path);
    if (!s)
        strange(e);
    uint32_t mode = (get16(i + 4) & S_IFMT) | (s->mode & 07777);
    i[4] = (uint8_t)mode;
    i[5] = (uint8_t)(mode >> 8);
    put32(i + 24, s->uid);
    put32(i + 28, s->gid);
}

/* The k-th block of a directory: plain, or with its last part behind the inode. */
static const uint8_t *dir_block(const struct erofs *e, const uint8_t *i, uint64_t k,
                                uint64_t blocks, size_t n)
{
    unsigned layout = i[0] >> 1 & 7;
    uint64_t at = (get32(i + 16) + k) * BLOCK;
    size_t xattrs = get16(i + 2) ? 12 + 4 * (size_t)(get16(i + 2) - 1) : 0;
    if (layout == 2 && k + 1 == blocks)
        at = (uint64_t)(i - e->data) + EXTENDED + xattrs;
    else if (layout != 0 && layout != 2)
        strange(e);
    if (at > e->size || n > e->size - at)
        strange(e);
    return e->data + at;
}

static void walk(const struct erofs *e, uint64_t nid, const char *path, int depth)
{
    uint8_t *i = inode(e, nid);
    uint64_t size = get64(i + 8), blocks = (size + BLOCK - 1) / BLOCK;
    set(e, i, path);
    if (depth > 300)
        strange(e);
    for (uint64_t k = 0; k < blocks; k++) {
        size_t n = k + 1 < blocks ? BLOCK : (size_t)(size - k * BLOCK);
        const uint8_t *b = dir_block(e, i, k, blocks, n);
        size_t count = n < DIRENT ? 0 : get16(b + 8) / DIRENT;
        if (!count || count * DIRENT > n)
            strange(e);
        for (size_t d = 0; d < count; d++) {
            size_t from = get16(b + d * DIRENT + 8),
                   to = d + 1 < count ? get16(b + (d + 1) * DIRENT + 8) : n;
            if (from > to || to > n)
                strange(e);
            char *name = xstrndup((const char *)b + from, to - from);
            if (strcmp(name, ".") != 0 && strcmp(name, "..") != 0) {
                char *child = path_join(path, name);
                if (b[d * DIRENT + 10] == TYPE_DIR)
                    walk(e, get64(b + d * DIRENT), child, depth + 1);
                else
                    set(e, inode(e, get64(b + d * DIRENT)), child);
                free(child);
            }
            free(name);
        }
    }
}

/* CRC-32C of the first block from the superblock on, the checksum's own field being zero. */
static void sum_super(uint8_t *data)
{
    uint32_t crc = ~0u;
    put32(data + SUPER + 4, 0);
    for (size_t i = SUPER; i < BLOCK; i++) {
        crc ^= data[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78u : 0);
    }
    put32(data + SUPER + 4, crc);
}

void erofs_set_facts(const char *path, const struct stage *s)
{
    struct stat st;
    struct erofs e = { .path = path, .stage = s };
    int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0)
        fail_errno(path, errno, "cannot read");
    e.size = (uint64_t)st.st_size;
    if (e.size < BLOCK)
        strange(&e);
    e.data = mmap(NULL, (size_t)e.size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (e.data == MAP_FAILED)
        fail_errno(path, errno, "cannot map");
    if (get32(e.data + SUPER) != MAGIC || e.data[SUPER + 12] != 12)
        strange(&e);
    e.meta = (uint64_t)get32(e.data + SUPER + 40) * BLOCK;
    walk(&e, get16(e.data + SUPER + 14), "/", 0);
    if (get32(e.data + SUPER + 8) & 1)
        sum_super(e.data);
    if (munmap(e.data, (size_t)e.size) < 0 || close(fd) < 0)
        fail_errno(path, errno, "cannot write");
}
