/* SPDX-License-Identifier: MIT */
/* The pages of a file: the page cache. read, write and mmap of one file all see the same pages. */
#ifndef LIBOS_PAGEMAP_H
#define LIBOS_PAGEMAP_H

#include <libos/lock.h>
#include <libos/page.h>

struct area;
struct pagemap;

struct pagemap_ops {
    /* Give the page of file index that is in no cache yet: a page of the image itself (PAGE_RESERVED) or a fresh
     * PAGE_FILE page filled with content, one reference each. May sleep. *ret NULL with 0: a hole, reads as zeros.
     * writable: the page will be written (a fresh private page even where the image has one). -EIO past the end of the
     * file or when it cannot be read, -ENOMEM. */
    int (*fill)(struct pagemap *m, uint64_t index, bool writable, struct page **ret);
    /* Pages from index on that fill would give for reading without any work (no I/O, no hash): out[0..n), one reference
     * each, NULL where there is none. For mapping around a fault. May be NULL: only pages present are mapped. */
    void (*ready)(struct pagemap *m, uint64_t index, size_t n, struct page **out);
    /* Pages in the file now: an access at or past it is SIGBUS. NULL: no end. */
    uint64_t (*size_pages)(struct pagemap *m);
    /* A program is about to write to the page, which is present, through a shared mapping: mark it dirty. NULL: nobody has
     * to know. Else pages are mapped writable one by one, after this. May sleep. -ENOSPC, -EIO. */
    int (*make_writable)(struct pagemap *m, uint64_t index, struct page *p);
    bool fill_waits; /* for a disk: who must not wait does not fill */
    /* A page with PAGE_DELAYED leaves the map; n in all. No sleep. May be NULL. */
    void (*dropped)(struct pagemap *m, size_t n);
    /* One page more of the file's own; false: there is no room for it (-ENOSPC). NULL: no limit. n fewer. Called with the map's
     * lock. */
    bool (*charge)(struct pagemap *m);
    void (*uncharge)(struct pagemap *m, size_t n);
    bool refills; /* fill gives a clean page again as it was: memory that runs short may take it */
};

/* struct page.flags of a page in a page map; its next is the index, its owner the page map. */
enum {
    PAGE_DIRTY = 1, /* was written, or is mapped where a program may write */
    PAGE_DELAYED =
        2, /* dirty, and its place on the disk is reserved but not chosen; guarded by the map's lock */
    PAGE_WRITEBACK = 4, /* is being written to the disk; guarded by the map's lock */
    PAGE_BELOW =
        8 /* of a file of the root image: as the image has it, so not the file's own; guarded by the map's lock */
};

struct pagemap {
    struct spin lock;
    const struct pagemap_ops *ops;
    void *owner;            /* the inode */
    void *root;             /* guarded by lock: radix tree; see libos/fs/pagemap.c */
    uint32_t height;        /* guarded by lock */
    uint64_t pages;         /* guarded by lock: pages present */
    _Atomic uint64_t dirty; /* pages tagged dirty; changes guarded by lock */
    struct area *mappings;  /* guarded by lock: areas that map this file (area->file_next) */
    _Atomic uint32_t
        write_gen; /* bumped after a page was replaced or removed, before it is unmapped */
    uint64_t hand; /* guarded by lock: where reclaim goes on */
    struct pagemap *clock_next, *clock_prev; /* guarded by the clock's lock; see reclaim.c */
};

/* Make an empty page map in storage of the caller. Locks: all functions below take m->lock; ops are called without it. */
void pagemap_init(struct pagemap *m, const struct pagemap_ops *ops, void *owner);
/* Drop all pages. No area maps it any more. */
void pagemap_fini(struct pagemap *m);

/* The page at index with a reference added, if it is present; NULL. No sleep. */
struct page *pagemap_find(struct pagemap *m, uint64_t index);
/* The page at index, if it is present, and those behind it that follow it in the file and in memory: how many, at most n, with a
 * reference added to each (page_put_run). The first in *ret when there is one. No sleep. */
size_t pagemap_find_run(struct pagemap *m, uint64_t index, size_t n, struct page **ret);
/* The pages present or ready from index on, into out[0..n), n at most 64: a reference each, NULL where there is none. No sleep. */
void pagemap_find_around(struct pagemap *m, uint64_t index, size_t n, struct page **out);
/* The page at index, filled if need be, with a reference added. writable: it is the map's own page and may be
 * written. *ret NULL with 0: a hole (only when !writable). May sleep. -EIO, -ENOMEM, -ENOSPC. */
NODISCARD int pagemap_get(struct pagemap *m, uint64_t index, bool writable, struct page **ret);
/* Areas that map this file. */
uint64_t pagemap_mappings(struct pagemap *m);
/* Put p (one reference, taken on success) at index, where nothing is. False: something is, or no memory. */
bool pagemap_insert(struct pagemap *m, uint64_t index, struct page *take_page);
/* The same for what a fill read ahead: also false when pages were removed since m->write_gen was gen. */
bool pagemap_insert_since(struct pagemap *m, uint64_t index, struct page *take_page, uint32_t gen);
/* For file systems that write back. Mark the page at index dirty, with more flags (PAGE_DELAYED); true if it had none of
 * those flags before. Nothing happens when p is not there any more. */
bool pagemap_mark(struct pagemap *m, uint64_t index, struct page *p, unsigned flags);
/* Take the first dirty pages of [*index, end) that are neighbours, at most n: clean and PAGE_WRITEBACK from now on, with a
 * reference each, and not mapped writable until they are marked again. *index: that of the first. How many. */
size_t pagemap_take_dirty(struct pagemap *m, uint64_t *index, uint64_t end, struct page **out,
                          size_t n);
/* They were written. How many of them had PAGE_DELAYED, which is cleared if place is set. References are dropped. */
size_t pagemap_written(struct pagemap *m, struct page **pages, size_t n, bool place);
/* Free the clean pages of [first, end) that nobody uses. True: none is left there. */
NODISCARD bool pagemap_evict(struct pagemap *m, uint64_t first, uint64_t end);
/* Free up to n clean pages of maps that can refill them, those first that were not used for longest; how many. Mapped ones
 * are unmapped, and freed the next time. Does not sleep, only tries locks: for page_on_pressure. */
size_t pagemap_reclaim(size_t n);

/* Memory is short and pagemap_reclaim found nothing: write dirty pages, so that it will. True if there were some. Sleeps; locks
 * up to RANK_MM may be held. */
bool pagemap_write_back(void);

/* The page behind the bytes up to end, UINT64_MAX included. */
static inline uint64_t pagemap_end(uint64_t end)
{
    return end / PAGE_SIZE + (end % PAGE_SIZE != 0);
}

struct pagemap_stats {
    uint64_t cached, dirty, writeback; /* pages of maps that can refill them */
};
/* Count them. */
void pagemap_stats(struct pagemap_stats *ret);
/* Do so many pages wait to be written that whoever makes more has to write some first? */
bool pagemap_dirty_full(void);
/* Remove pages [first, end), then unmap them, private copies too (truncation). */
void pagemap_remove(struct pagemap *m, uint64_t first, uint64_t end);

/* Pages of a part of a file. */
struct pagemap_count {
    uint64_t cached, dirty, writeback;
};
/* How many pages of [first, end) are present. */
void pagemap_count(struct pagemap *m, uint64_t first, uint64_t end, struct pagemap_count *ret);

#endif
