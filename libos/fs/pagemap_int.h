/* SPDX-License-Identifier: MIT */
/* Private to pagemap.c and reclaim.c: the tree, and the clock over all page maps whose pages can be had again. */
#ifndef FS_PAGEMAP_INT_H
#define FS_PAGEMAP_INT_H

#include <libos/heap.h>
#include <libos/pagemap.h>

/* struct page.flags beside those of pagemap.h. All guarded by the map's lock. */
enum {
    PAGE_TAGGED = 1u << 15, /* the tree has it as dirty */
    PAGE_USED = 1u << 14,   /* was looked up since the clock came by */
    PAGE_FRESH = 1u << 13,  /* was read ahead: the first look is not yet a second use */
    PAGE_WRITTEN = 1u << 12 /* was dirty once: what a fill read before may be old */
};

enum { PAGEMAP_SHIFT = 6, PAGEMAP_SLOTS = 1 << PAGEMAP_SHIFT };

struct pagemap_node {
    void *slot[PAGEMAP_SLOTS]; /* nodes; pages in the lowest level */
    uint64_t dirty;            /* slots with dirty pages, or with nodes that have some */
    uint32_t used;
};

/* Free a node that is empty. */
void pagemap_node_free(struct pagemap_node *n);

/* The map has its first page, or lost its last one. m->lock is held. */
void clock_add(struct pagemap *m);
void clock_remove(struct pagemap *m);
/* So many pages more (or fewer) are in maps that can be shrunk, are dirty, are being written. */
void clock_count(int64_t pages, int64_t dirty, int64_t writeback);

#endif
