/* SPDX-License-Identifier: MIT */
/* What of a file is in memory, for cachestat(2): a walk over the tree of a page map, a row of pages at a time. */
#include "pagemap_int.h"

#include <string.h>

static bool beyond(const struct pagemap *m, uint64_t index)
{
    unsigned bits = m->height * PAGEMAP_SHIFT;
    return bits < 64 && index >> bits;
}

/* Count the pages of [index, end) in the row (or below the empty node) that holds index; where to go on. The map's lock is held. */
static uint64_t count_row(const struct pagemap *m, uint64_t index, uint64_t end,
                          struct pagemap_count *c)
{
    if (!m->root || beyond(m, index))
        return end;
    const struct pagemap_node *n = m->root;
    for (uint32_t h = m->height; h > 1; h--) {
        uint64_t below = 1ull << (h - 1) * PAGEMAP_SHIFT;
        n = n->slot[index >> (h - 1) * PAGEMAP_SHIFT & (PAGEMAP_SLOTS - 1)];
        if (!n)
            return (index | (below - 1)) + 1;
    }
    do {
        const struct page *p =
            m->height ? n->slot[index & (PAGEMAP_SLOTS - 1)] : (const struct page *)m->root;
        c->cached += p != NULL;
        c->dirty += p && p->kind == PAGE_FILE && p->flags & PAGE_TAGGED;
        c->writeback += p && p->kind == PAGE_FILE && p->flags & PAGE_WRITEBACK;
        index++;
    } while (index < end && m->height && (index & (PAGEMAP_SLOTS - 1)));
    return m->height ? index : end;
}

void pagemap_count(struct pagemap *m, uint64_t first, uint64_t end, struct pagemap_count *ret)
{
    memset(ret, 0, sizeof(*ret));
    while (first < end) {
        spin_lock(&m->lock);
        uint64_t next = count_row(m, first, end, ret);
        spin_unlock(&m->lock);
        first = next > first ? next : end; /* the last row of all */
    }
}
