/* SPDX-License-Identifier: MIT */
/* Areas in a red-black tree by address. Each node knows the free space below its area (gap) and the largest gap of its
 * subtree, so that a place for a new area is found in logarithmic time.
 *
 * Invariant: areas do not overlap; two neighbours that mean the same are one area after every change. An area of a file
 * is in the list of its page map, and its bounds then change only with the page map's lock. */
#include <stddef.h>
#include <stdint.h>

struct area;
static void augment(struct area *a);
#define RB_AUGMENT(x) augment(x)

#include "area.h"

#include <abi/errno.h>
#include <base/log.h>
#include <libos/file.h>
#include <libos/heap.h>
#include <libos/pagemap.h>
#include <utlist.h>

static int by_start(const struct area *a, const struct area *b)
{
    return a->start < b->start ? -1 : a->start > b->start;
}

RB_PROTOTYPE_INTERNAL(area_tree, area, node, by_start, static inline __attribute__((unused)));
RB_GENERATE_INTERNAL(area_tree, area, node, by_start, static inline __attribute__((unused)))

static struct slab slab = SLAB_INIT("area", struct area);

static void augment(struct area *a)
{
    uint64_t max = a->gap;
    struct area *l = RB_LEFT(a, node), *r = RB_RIGHT(a, node);
    if (l && l->max_gap > max)
        max = l->max_gap;
    if (r && r->max_gap > max)
        max = r->max_gap;
    a->max_gap = max;
}

static void augment_up(struct area *a)
{
    for (; a; a = RB_PARENT(a, node))
        augment(a);
}

/* Compute a's gap anew; its neighbour below is prev. */
static void gap_update(struct area *a, const struct area *prev)
{
    uint64_t free = a->start - (prev ? prev->end : 0);
    uint64_t guard = a->flags & AREA_GROWSDOWN ? MM_STACK_GAP : 0;
    a->gap = free > guard ? free - guard : 0;
    augment_up(a);
}

struct area *area_create(const struct area *like)
{
    struct area *a = slab_alloc(&slab);
    if (!a)
        return NULL;
    *a = *like;
    area_name_get(a);
    return a;
}

void area_destroy(struct area *a)
{
    area_name_put(a);
    if (a->file) {
        if (a->file->ops->unmap)
            a->file->ops->unmap(a->file);
        file_put(a->file);
    }
    slab_free(&slab, a);
}

struct area *area_next(struct area *a)
{
    return area_tree_RB_NEXT(a);
}

struct area *area_prev(struct area *a)
{
    return area_tree_RB_PREV(a);
}

/* The tree that an area at addr belongs to. */
static struct area_tree *tree_of(struct mm *mm, uintptr_t addr)
{
    struct mm_lane *l = lane_of(mm, addr);
    return l ? &l->areas : &mm->areas;
}

struct area *area_find(struct mm *mm, uintptr_t addr)
{
    struct area *a = RB_ROOT(tree_of(mm, addr)), *best = NULL;
    while (a) {
        if (addr < a->end) {
            best = a;
            if (addr >= a->start)
                return a;
            a = RB_LEFT(a, node);
        } else {
            a = RB_RIGHT(a, node);
        }
    }
    return best;
}

struct area *area_at(struct mm *mm, uintptr_t addr)
{
    struct area *a = area_find(mm, addr);
    return a && a->start <= addr ? a : NULL;
}

bool area_none(struct mm *mm, uintptr_t start, uintptr_t end)
{
    struct area *a = area_find(mm, start);
    return !a || a->start >= end;
}

/* Put a into its file's list, after the areas of the address space that it is copied from: see mm_fork. */
static void file_link(struct area *a)
{
    if (!a->pages)
        return;
    spin_lock(&a->pages->lock);
    DL_APPEND2(a->pages->mappings, a, file_prev, file_next);
    spin_unlock(&a->pages->lock);
}

static void file_unlink(struct area *a)
{
    if (!a->pages)
        return;
    spin_lock(&a->pages->lock);
    DL_DELETE2(a->pages->mappings, a, file_prev, file_next);
    spin_unlock(&a->pages->lock);
}

static void tree_insert(struct area_tree *areas, uint32_t *count, struct area *a)
{
    ++*count;
    a->gap = a->max_gap = 0;
    must(!area_tree_RB_INSERT(areas, a));
    gap_update(a, area_prev(a));
    struct area *next = area_next(a);
    if (next)
        gap_update(next, a);
}

void area_adopt(struct mm_lane *l, struct area *a)
{
    tree_insert(&l->areas, &l->area_count, a);
}

struct area *area_disown(struct mm_lane *l)
{
    /* Some leaf: whoever empties a tree needs it neither balanced nor for places. */
    struct area *a = RB_ROOT(&l->areas), *up = NULL, *down;
    for (; a && (down = RB_LEFT(a, node) ? RB_LEFT(a, node) : RB_RIGHT(a, node)); a = down)
        up = a;
    if (!up)
        RB_INIT(&l->areas);
    else if (RB_LEFT(up, node) == a)
        RB_LEFT(up, node) = NULL;
    else
        RB_RIGHT(up, node) = NULL;
    return a;
}

void area_insert(struct area *a)
{
    struct mm_lane *l = lane_of(a->mm, a->start);
    if (UNLIKELY(l != NULL))
        tree_insert(&l->areas, &l->area_count, a);
    else
        tree_insert(&a->mm->areas, &a->mm->area_count, a);
    file_link(a);
}

void area_remove(struct area *a)
{
    struct mm *mm = a->mm;
    struct mm_lane *l = lane_of(mm, a->start);
    file_unlink(a);
    struct area *prev = area_prev(a), *next = area_next(a), *parent = RB_PARENT(a, node);
    area_tree_RB_REMOVE(l ? &l->areas : &mm->areas, a);
    augment_up(parent);
    if (next)
        gap_update(next, prev);
    if (UNLIKELY(l != NULL)) {
        l->area_count--;
        l->cached = NULL;
    } else {
        mm->area_count--;
        mm->cached = NULL;
    }
}

void area_resize(struct area *a, uintptr_t start, uintptr_t end)
{
    if (a->pages)
        spin_lock(&a->pages->lock);
    a->pgoff += (uint64_t)((int64_t)(start - a->start) >> PAGE_SHIFT);
    a->start = start;
    a->end = end;
    if (a->pages)
        spin_unlock(&a->pages->lock);
    gap_update(a, area_prev(a));
    struct area *next = area_next(a);
    if (next)
        gap_update(next, a);
}

int area_copy_all(struct mm *from, struct mm *to,
                  struct area *(*copy)(struct area *a, struct mm *to))
{
    struct area *a = RB_ROOT(&from->areas), *up = NULL, *b, **at = &RB_ROOT(&to->areas);
    while (a) {
        b = copy(a, to);
        if (!b)
            return -ENOMEM;
        /* Colour and gaps are a's. */
        RB_PARENT(b, node) = up;
        RB_LEFT(b, node) = RB_RIGHT(b, node) = NULL;
        *at = b;
        to->area_count++;
        file_link(b);
        if (RB_LEFT(a, node)) {
            a = RB_LEFT(a, node);
            at = &RB_LEFT(b, node);
        } else {
            /* Up to where something is on the right that the copy has not got. */
            while (a && (!RB_RIGHT(a, node) || RB_RIGHT(b, node))) {
                a = RB_PARENT(a, node);
                b = RB_PARENT(b, node);
            }
            if (!a)
                break;
            a = RB_RIGHT(a, node);
            at = &RB_RIGHT(b, node);
        }
        up = b;
    }
    return 0;
}

void area_destroy_all(struct mm *mm)
{
    struct area *a = RB_ROOT(&mm->areas), *next;
    for (; a; a = next) {
        if ((next = RB_LEFT(a, node))) {
            RB_LEFT(a, node) = NULL; /* not again on the way back */
        } else if ((next = RB_RIGHT(a, node))) {
            RB_RIGHT(a, node) = NULL;
        } else {
            next = RB_PARENT(a, node);
            file_unlink(a);
            area_destroy(a);
        }
    }
    RB_INIT(&mm->areas);
    mm->area_count = 0;
}

int area_split(struct area *a, uintptr_t addr)
{
    struct area *upper = area_create(a);
    if (!upper)
        return -ENOMEM;
    if (upper->file)
        file_get(upper->file);
    upper->start = addr;
    upper->pgoff += (addr - a->start) >> PAGE_SHIFT;
    upper->fault_next = 0;
    area_resize(a, a->start, addr);
    area_insert(upper);
    return 0;
}

int area_cut(struct mm *mm, uintptr_t start, uintptr_t end)
{
    struct area *a = area_at(mm, start);
    int err = 0;
    if (a && a->start < start)
        err = area_split(a, start);
    if (!err && (a = area_at(mm, end)) && a->start < end)
        err = area_split(a, end);
    return err;
}

/* b begins where a ends: may they be one? */
static bool alike(const struct area *a, const struct area *b)
{
    return a->end == b->start && a->prot == b->prot && a->file == b->file && a->name == b->name &&
           a->uffd == b->uffd && a->policy.mode == b->policy.mode &&
           a->policy.nodes == b->policy.nodes &&
           ((a->flags ^ b->flags) & ~(uint32_t)(AREA_COW | AREA_LAZY)) == 0 &&
           !(a->flags & AREA_SPECIAL) && (!a->pages || a->pgoff + area_pages(a) == b->pgoff);
}

struct area *area_join(struct area *a)
{
    struct area *next = area_next(a), *prev = area_prev(a);
    if (next && alike(a, next)) {
        uintptr_t end = next->end;
        a->flags |= next->flags & (AREA_COW | AREA_LAZY);
        area_remove(next);
        area_destroy(next);
        area_resize(a, a->start, end);
    }
    if (prev && alike(prev, a)) {
        uintptr_t end = a->end;
        prev->flags |= a->flags & (AREA_COW | AREA_LAZY);
        area_remove(a);
        area_destroy(a);
        area_resize(prev, prev->start, end);
        return prev;
    }
    return a;
}

/* The highest place for size bytes that ends at or below top and begins at or above bottom; 0. */
static uintptr_t fit_down(uintptr_t bottom, uintptr_t top, size_t size, uintptr_t align)
{
    if (top < bottom || top - bottom < size)
        return 0;
    uintptr_t at = align_down(top - size, align);
    return at >= bottom ? at : 0;
}

uintptr_t area_room_down(struct mm *mm, size_t size, uintptr_t low, uintptr_t high, uintptr_t align)
{
    return area_tree_room_down(&mm->areas, size, low, high, align);
}

uintptr_t area_tree_room_down(struct area_tree *areas, size_t size, uintptr_t low, uintptr_t high,
                              uintptr_t align)
{
    struct area *a = RB_MAX(area_tree, areas);
    uintptr_t at = fit_down(a && a->end > low ? a->end : low, high, size, align);
    /* In descending order, over subtrees with a large enough gap only. */
    a = RB_ROOT(areas);
    bool down = true;
    while (a && !at) {
        struct area *r = RB_RIGHT(a, node), *l = RB_LEFT(a, node);
        if (down && r && r->max_gap >= size && a->end < high) {
            a = r;
            continue;
        }
        uintptr_t bottom = a->start - a->gap, top = a->start;
        if (a->flags & AREA_GROWSDOWN) {
            top = a->start > MM_STACK_GAP ? a->start - MM_STACK_GAP : 0;
            bottom = top > a->gap ? top - a->gap : 0;
        }
        if (a->gap >= size)
            at = fit_down(bottom > low ? bottom : low, top < high ? top : high, size, align);
        if (at || top <= low)
            break;
        if (l && l->max_gap >= size) {
            a = l;
            down = true;
            continue;
        }
        /* Up to the first ancestor whose right subtree this was. */
        struct area *p;
        while ((p = RB_PARENT(a, node)) && RB_LEFT(p, node) == a)
            a = p;
        a = p;
        down = false;
    }
    return at;
}

uintptr_t area_room_up(struct mm *mm, size_t size, uintptr_t low, uintptr_t high, uintptr_t align)
{
    uintptr_t at = align_up(low, align);
    for (struct area *a = area_find(mm, at); a; a = area_next(a)) {
        uintptr_t top = a->flags & AREA_GROWSDOWN && a->start > MM_STACK_GAP
                            ? a->start - MM_STACK_GAP
                            : a->start;
        if (at < top && top - at >= size)
            break;
        at = align_up(a->end > at ? a->end : at, align);
        if (at >= high)
            return 0;
    }
    return at < high && high - at >= size ? at : 0;
}

bool area_is_data(const struct area *a)
{
    return (a->prot & PLAT_WRITE) && !(a->flags & (AREA_SHARED | AREA_GROWSDOWN));
}

void area_count(const struct area *a, int sign)
{
    struct mm *mm = a->mm;
    uint64_t n = (uint64_t)sign * area_pages(a);
    struct mm_lane *l = lane_of(mm, a->start);
    if (UNLIKELY(l != NULL)) {
        lane_count(l, a, sign);
        return;
    }
    mm->total_pages += n;
    if (mm->total_pages > mm->peak_pages)
        mm->peak_pages = mm->total_pages;
    if (area_is_data(a))
        mm->data_pages += n;
    if (a->flags & AREA_GROWSDOWN)
        mm->stack_pages += n;
    if (a->prot & PLAT_EXEC)
        mm->exec_pages += n;
    if (a->flags & AREA_LOCKED)
        mm->locked_pages += n;
}
