/* SPDX-License-Identifier: MIT */
/* The content of files of the root image. One that lies in memory as it is gives its own pages: they are mapped where they lie,
 * and one that is written gets a copy. Of an image on a disk, or of compressed files, pages are read when they are used
 * first. Such a page is PAGE_BELOW: as the image has it, so it counts as nobody's, and memory that runs short may take it; the
 * first write makes it the file's own where it is (pagemap_get), dirty for good, since there is nowhere to write it to. */
#include "fs_int.h"
#include "tmpfs.h"

#include <abi/errno.h>
#include <libos/verity.h>
#include <plat/mem.h>
#include <string.h>

enum { AHEAD = 16 }; /* pages read at once, where a file is read in order or they come at no cost */

static const struct erofs_inode *lower_of(const struct inode *inode)
{
    return inode->data;
}

int lower_error(int err)
{
    return err == -ENOENT || err == -ENOMEM ? err : -EIO;
}

/* How much of the file is the image's. */
static uint64_t lower_size(const struct inode *inode)
{
    return inode->lower ? min_u64(inode->lower_size, lower_of(inode)->size) : 0;
}

/* The page at index as an uncompressed file in memory has it; *ret_size: bytes of it, 0: nothing there. */
static int lower_page(struct inode *inode, uint64_t index, const uint8_t **ret_data,
                      size_t *ret_size)
{
    uint64_t off = index * PAGE_SIZE, size = lower_size(inode);
    struct erofs_buf none = { 0 };
    *ret_size = 0;
    if (off >= size)
        return 0;
    if (erofs_data(&tmpfs_of(inode)->image, lower_of(inode), off, &none, ret_data, ret_size))
        return -EIO;
    if (!*ret_data)
        *ret_size = 0;
    *ret_size = min_u64(*ret_size, size - off);
    return 0;
}

/* May these size bytes of the image be mapped as a page? They are a page, or zeros follow them. */
static bool usable_in_place(const struct tmpfs *t, const uint8_t *data, size_t size)
{
    uint64_t at = (uint64_t)(data - t->image.image);
    if (at % PAGE_SIZE || t->image.size - at < PAGE_SIZE)
        return false;
    for (size_t i = size; i < PAGE_SIZE; i++)
        if (data[i])
            return false;
    return true;
}

static int tmpfs_fill(struct pagemap *m, uint64_t index, bool writable, struct page **ret)
{
    struct inode *inode = m->owner;
    const uint8_t *data = NULL;
    size_t size = 0;
    if (inode->lower) {
        int err = lower_page(inode, index, &data, &size);
        if (err)
            return err;
    }
    if (!writable) {
        *ret = NULL;
        if (!size)
            return 0;
        if (usable_in_place(tmpfs_of(inode), data, size)) {
            *ret = page_of(plat_virt_to_phys(data));
            if (*ret)
                return 0;
        }
    }
    struct page *p = page_alloc(0, PAGE_FILE, size ? 0 : PAGE_ZERO);
    if (!p)
        return -ENOMEM;
    if (size) {
        memcpy(page_ptr(p), data, size);
        memset((char *)page_ptr(p) + size, 0, PAGE_SIZE - size);
    }
    *ret = p;
    return 0;
}

/* Pages of the image around a fault, if they are whole and need no hashing any more. */
static void tmpfs_ready(struct pagemap *m, uint64_t index, size_t n, struct page **out)
{
    struct inode *inode = m->owner;
    struct tmpfs *t = tmpfs_of(inode);
    const struct erofs_inode *lower = lower_of(inode);
    memset(out, 0, n * sizeof(*out));
    if (!lower)
        return;
    /* Blocks in place follow each other: the first one and the number of them say where all are. */
    uint64_t first, last, whole = min_u64(inode->lower_size, lower->size) / PAGE_SIZE;
    n = index < whole ? min_u64(n, whole - index) : 0;
    while (n && !erofs_place(&t->image, lower, (index + n - 1) * PAGE_SIZE, &last))
        n--;
    if (!n || !erofs_place(&t->image, lower, index * PAGE_SIZE, &first))
        return;
    struct page *page = page_of(plat_virt_to_phys(t->image.image + first));
    for (uint64_t ready = page ? verity_ready(first, (unsigned)n) : 0; ready; ready &= ready - 1) {
        unsigned i = (unsigned)__builtin_ctzll(ready);
        out[i] = page + i;
        page_get(out[i]);
    }
}

static uint64_t tmpfs_size_pages(struct pagemap *m)
{
    struct inode *inode = m->owner;
    return (inode->size + PAGE_SIZE - 1) / PAGE_SIZE;
}

const struct pagemap_ops tmpfs_pages = {
    .fill = tmpfs_fill,
    .ready = tmpfs_ready,
    .size_pages = tmpfs_size_pages,
    .charge = tmpfs_charge,
    .uncharge = tmpfs_uncharge,
};

/* Pages that are read. */

/* What one fill brings. */
struct batch {
    const struct erofs *fs;
    const struct erofs_inode *lower;
    uint64_t index, size; /* first page of the file; bytes of the file that are the image's */
    struct erofs_run run; /* where the first one lies */
    struct page *pages[AHEAD];
    unsigned n;
};

/* Is it data of a disk that can be read into pages as it is? */
static bool as_it_lies(const struct batch *b)
{
    uint64_t at = b->run.at + (b->index * PAGE_SIZE - b->run.from);
    return !b->fs->image && !erofs_packed(b->lower) && at % PAGE_SIZE == 0;
}

/* How many pages are worth having: all of a compressed piece, since it is unpacked from its beginning anyway; several of a file
 * that is read in order; up to one that is there. */
static unsigned wanted(struct pagemap *m, const struct batch *b)
{
    uint64_t off = b->index * PAGE_SIZE, left = b->run.end - off, n = 1;
    bool packed = erofs_packed(b->lower);
    struct page *p = b->index && !packed ? pagemap_find(m, b->index - 1) : NULL;
    if (packed)
        n = left / PAGE_SIZE;
    else if (as_it_lies(b) && (p || !b->index))
        n = (left + PAGE_SIZE - 1) / PAGE_SIZE;
    if (p)
        page_put(p);
    n = page_free_count() < 64 * AHEAD ? 1 : min_u64(n, AHEAD);
    for (uint64_t i = 1; i < n; i++)
        if ((p = pagemap_find(m, b->index + i))) {
            page_put(p);
            n = i;
        }
    return n ? (unsigned)n : 1;
}

/* Pages that are neighbours in memory, since data is unpacked into them at once: a power of two of them. */
static int take_block(struct batch *b)
{
    unsigned order = 31 - (unsigned)__builtin_clz(b->n);
    struct page *p;
    while (!(p = page_alloc(order, PAGE_FILE, order ? PAGE_NORECLAIM : 0)) && order)
        order--;
    if (!p)
        return -ENOMEM;
    if (order)
        page_split(p);
    b->n = 1u << order;
    for (unsigned i = 0; i < b->n; i++)
        b->pages[i] = p + i;
    return 0;
}

static int take_pages(struct batch *b)
{
    unsigned n = 0;
    while (n < b->n && (b->pages[n] = page_alloc(0, PAGE_FILE, 0)))
        n++;
    b->n = n;
    return n ? 0 : -ENOMEM;
}

/* One page out of where it is kept in memory. */
static int copy_page(struct batch *b)
{
    const uint8_t *data = NULL;
    size_t size = 0;
    struct erofs_buf buf = { 0 };
    int err = erofs_data(b->fs, b->lower, b->index * PAGE_SIZE, &buf, &data, &size);
    if (!err && data)
        memcpy(page_ptr(b->pages[0]), data, size);
    erofs_buf_put(&buf);
    return err;
}

static int read_batch(struct batch *b)
{
    uint64_t off = b->index * PAGE_SIZE;
    bool packed = erofs_packed(b->lower);
    int err = packed ? take_block(b) : take_pages(b);
    if (err)
        return err;
    uint64_t bytes = min_u64((uint64_t)b->n * PAGE_SIZE, b->size - off);
    if (packed)
        err = erofs_unpack(b->fs, b->lower, off, bytes, page_ptr(b->pages[0]));
    else if (as_it_lies(b))
        err = b->fs->source.read((b->run.at + (off - b->run.from)) / PAGE_SIZE, b->pages, b->n);
    else
        err = copy_page(b);
    for (unsigned i = 0; i < b->n; i++) {
        uint64_t at = (uint64_t)i * PAGE_SIZE;
        if (err)
            page_put(b->pages[i]);
        else if (bytes < at + PAGE_SIZE) /* behind the end of the file */
            memset((char *)page_ptr(b->pages[i]) + (bytes > at ? bytes - at : 0), 0,
                   PAGE_SIZE - (bytes > at ? bytes - at : 0));
    }
    return err;
}

/* A page of zeros that is to be written, or nothing. */
static int fill_hole(bool writable, struct page **ret)
{
    *ret = writable ? page_alloc(0, PAGE_FILE, PAGE_ZERO) : NULL;
    if (*ret)
        (*ret)->flags |= PAGE_DIRTY;
    return *ret || !writable ? 0 : -ENOMEM;
}

static int lower_fill_pages(struct pagemap *m, uint64_t index, bool writable, struct page **ret)
{
    struct inode *inode = m->owner;
    uint32_t gen =
        m->write_gen; /* before the size is looked at: who cuts the file sets that first */
    struct batch b = { .fs = &tmpfs_of(inode)->image,
                       .lower = lower_of(inode),
                       .index = index,
                       .size = lower_size(inode) };
    if (index * PAGE_SIZE >= b.size)
        return fill_hole(writable, ret);
    int err = erofs_find(b.fs, b.lower, index * PAGE_SIZE, &b.run);
    if (err)
        return lower_error(err);
    if (b.run.kind == EROFS_HOLE)
        return fill_hole(writable, ret);
    b.n = wanted(m, &b);
    b.n = (unsigned)min_u64(b.n, (b.size - index * PAGE_SIZE + PAGE_SIZE - 1) / PAGE_SIZE);
    bool several = b.n > 1;
    err = read_batch(&b);
    if (err == -EIO && several) { /* one that nobody asked for may be the wrong one */
        b.n = 1;
        err = read_batch(&b);
    }
    if (err)
        return lower_error(err);
    for (unsigned i = 0; i < b.n; i++)
        b.pages[i]->flags |= i == 0 && writable ? PAGE_DIRTY : PAGE_BELOW;
    for (unsigned i = 1; i < b.n; i++)
        if (!pagemap_insert_since(m, index + i, b.pages[i], gen))
            page_put(b.pages[i]);
    *ret = b.pages[0];
    return 0;
}

/* The page is the file's own, and dirty, since pagemap_get was asked for one to write to. That programs map such pages one by
 * one is what this is for. */
static int lower_make_writable(struct pagemap *m, uint64_t index, struct page *p)
{
    (void)m, (void)index, (void)p;
    return 0;
}

static const struct pagemap_ops read_pages = {
    .fill = lower_fill_pages,
    .fill_waits = true,
    .size_pages = tmpfs_size_pages,
    .make_writable = lower_make_writable,
    .charge = tmpfs_charge,
    .uncharge = tmpfs_uncharge,
    .refills = true,
};

void lower_pages_init(struct tmpfs *t, struct inode *inode)
{
    if (!t->image.image || erofs_packed(lower_of(inode)))
        pagemap_init(&inode->pages, &read_pages, inode);
}

bool regular_has_page(struct inode *inode, uint64_t index)
{
    uint64_t off = index * PAGE_SIZE;
    struct erofs_run run;
    struct page *p = pagemap_find(&inode->pages, index);
    if (p) {
        page_put(p);
        return true;
    }
    return off < lower_size(inode) &&
           !erofs_find(&tmpfs_of(inode)->image, lower_of(inode), off, &run) &&
           run.kind != EROFS_HOLE;
}
