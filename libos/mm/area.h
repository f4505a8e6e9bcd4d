/* SPDX-License-Identifier: MIT */
/* Private to libos/mm: the tree of areas, and what its files share. */
#ifndef MM_AREA_H
#define MM_AREA_H

#include <libos/mm.h>

/* A window of the address space with areas of its own: libos/mm/lane.c. */
enum { MM_LANES = 16 };
struct mm_lane {
    ALIGNED(64) struct rwmutex lock; /* write: the tree; read: faults */
    _Atomic bool open;               /* guarded by mm->lock and lock: both change it */
    struct area_tree areas;          /* guarded by lock, as all that follows */
    struct area *cached;
    uint32_t area_count, used; /* areas; mappings made since it was opened */
    uint64_t total_pages, data_pages, exec_pages, peak_pages;
    uintptr_t top; /* where mappings begin, downwards */
};
struct mm_lanes {
    uintptr_t base; /* lane i has the i-th window from here on */
    struct mm_lane lane[MM_LANES];
};

/* The open lane in whose window addr lies; NULL. It stays open while its lock or mm->lock is held. */
struct mm_lane *lane_open_at(struct mm *mm, uintptr_t addr);
/* The same for who holds the lock of what addr lies in. */
static inline struct mm_lane *lane_of(struct mm *mm, uintptr_t addr)
{
    return UNLIKELY(mm->lanes_open) ? lane_open_at(mm, addr) : NULL;
}
/* Lock for writing what [start, end) lies in, the lane or mm's tree, of which nothing else may be looked at then; to be
 * unlocked by rwmutex_write_unlock. What is done may make two areas more. Sleeps. */
NODISCARD struct rwmutex *mm_write_lock_part(struct mm *mm, uintptr_t start, uintptr_t end);
/* Could what be mapped in a lane? */
bool lane_fits(const struct mm *mm, const struct mm_map *what);
/* Map in the lane of this CPU: *ret_err is what mm_map returns. False: it is to be mapped with mm->lock. Sleeps. */
bool lane_map(struct mm *mm, const struct mm_map *what, uintptr_t *ret, int *ret_err);
/* mm_write_lock; true: others had it. */
bool mm_write_lock_waits(struct mm *mm);
/* A mapping that could be in a lane had to wait: open lanes, if it was not the first. mm->lock is held for writing. */
void lanes_waited(struct mm *mm);
/* Add the pages of a to the counters of l (sign 1), or take them away (-1). */
void lane_count(struct mm_lane *l, const struct area *a, int sign);
/* Put a, which is in no tree, into l; take one out of it, NULL: there is none. */
void area_adopt(struct mm_lane *l, struct area *a);
struct area *area_disown(struct mm_lane *l);
/* mm ends. */
void lanes_free(struct mm *mm);
/* As mm_total_pages, those that count as data. */
uint64_t mm_data_pages(const struct mm *mm);

/* Areas. Locks: mm->lock held for writing, or that of the lane, unless a function says otherwise. */

/* A copy of *like that is in no tree and holds no references. NULL. */
struct area *area_create(const struct area *like);
/* Free one that is in no tree; drops its file. */
void area_destroy(struct area *a);
/* Put a into its mm's tree and its file's list; it overlaps nothing. */
void area_insert(struct area *a);
/* Take a out of tree and list. */
void area_remove(struct area *a);
/* Fill the tree of to, which is empty, with copies that copy makes of the areas of from: the same shape, without looking for places.
 * -ENOMEM: copy gave NULL; those before it are in the tree, which is good for area_destroy_all only. */
NODISCARD int area_copy_all(struct mm *from, struct mm *to,
                            struct area *(*copy)(struct area *a, struct mm *to));
/* Take all areas out of the tree and the files' lists, and free them. Nobody else knows mm but by these lists. */
void area_destroy_all(struct mm *mm);
/* Move the ends of a; pgoff follows start. The tree's order stays the same. */
void area_resize(struct area *a, uintptr_t start, uintptr_t end);
/* Cut a at addr, inside it; the upper part is a new area. -ENOMEM. */
NODISCARD int area_split(struct area *a, uintptr_t addr);
/* Join a with its neighbours where they mean the same. The area that now holds a's start. */
struct area *area_join(struct area *a);
struct area *area_prev(struct area *a);
/* Count one more, or one less, that uses the name of a, if that is the program's. */
void area_name_get(const struct area *a);
void area_name_put(const struct area *a);
/* The area that contains addr; NULL. mm->lock held for reading is enough. */
struct area *area_at(struct mm *mm, uintptr_t addr);
/* True when [start, end) holds no part of an area. */
bool area_none(struct mm *mm, uintptr_t start, uintptr_t end);
/* The highest free place for size bytes in [low, high), aligned to align, or 0. */
uintptr_t area_room_down(struct mm *mm, size_t size, uintptr_t low, uintptr_t high,
                         uintptr_t align);
/* The same in this tree. */
uintptr_t area_tree_room_down(struct area_tree *areas, size_t size, uintptr_t low, uintptr_t high,
                              uintptr_t align);
/* The same, the lowest. */
uintptr_t area_room_up(struct mm *mm, size_t size, uintptr_t low, uintptr_t high, uintptr_t align);
/* Cut areas so that start and end are boundaries; -ENOMEM. */
NODISCARD int area_cut(struct mm *mm, uintptr_t start, uintptr_t end);
/* Pages of a. */
static inline size_t area_pages(const struct area *a)
{
    return (a->end - a->start) >> PAGE_SHIFT;
}

/* What a leaf of an area with this protection is mapped with: as the CPU has it, whatever can be written or executed can be
 * read. */
static inline unsigned leaf_prot(unsigned prot, bool writable)
{
    return prot ? (prot | PLAT_READ) & ~(writable ? 0u : (unsigned)PLAT_WRITE) : 0;
}

/* True when a's memory counts as the program's own data. */
bool area_is_data(const struct area *a);
/* Add the pages of a to the counters of its mm (sign 1), or take them away (-1). */
void area_count(const struct area *a, int sign);

/* The spin lock of the page table of the 2 MiB around va. */
struct spin *range_lock(struct mm *mm, uintptr_t va);

/* What there is of page tables lies in these parts of the address space, multiples of 2 MiB, ascending. */
struct span {
    uintptr_t start, end;
};
enum { SPAN_MAX = 16 };
/* Fill span; how many there are. Locks: mm->lock held, or nobody else knows mm. */
size_t mm_spans(struct mm *mm, struct span span[SPAN_MAX]);

/* Unmap the leaves of [start, end), which lies in one area (whole: no leaf of it belongs to a page map, so that only the
 * ends need range locks). Locks: mm->lock held for writing, or for reading with whole false. -ENOMEM: a large page could
 * not be split; the rest is unmapped. */
NODISCARD int range_unmap(struct mm *mm, uintptr_t start, uintptr_t end, bool whole);
/* Change the leaves of [start, end), part of a, as plat_mmu_protect. mm->lock is held for writing. -ENOMEM. */
NODISCARD int range_protect(struct area *a, uintptr_t start, uintptr_t end, unsigned prot,
                            bool may_write);
/* Unmap the pages of a's file in [start, end), part of a, but no copies. */
void zap_area(struct area *a, uintptr_t start, uintptr_t end);
/* Drop the pages of leaves that were unmapped. */
struct plat_leaf;
void leaves_put(struct mm *mm, const struct plat_leaf *leaf, size_t n);

/* Map as mm_map, with mm->lock held for writing. */
NODISCARD int map_locked(struct mm *mm, const struct mm_map *what, uintptr_t *ret);
/* Unmap as mm_unmap, range checked. -EPERM: a part is sealed, and all of it is still there. */
NODISCARD int unmap_locked(struct mm *mm, uintptr_t start, uintptr_t end);
/* Put a new area like a, whose file is borrowed, where nothing is, and count it. -ENOMEM. */
NODISCARD int map_new(struct mm *mm, const struct area *a);
/* Check limits for n more pages of an area with these flags and prot, of which old count already. -ENOMEM. */
NODISCARD int limit_pages(struct mm *mm, uint64_t n, uint64_t old, uint32_t flags, unsigned prot);
/* -EAGAIN: n more pages may not be locked; -EPERM: nothing may. */
NODISCARD int limit_locked(struct mm *mm, uint64_t n);
/* A limit of the current process, in pages. */
uint64_t limit_of(unsigned resource);

/* Drop the pages of leaves that were unmapped; how many were anonymous and how many a file's. The page of zeros and special
 * leaves do not count. */
void page_put_leaves(const struct plat_leaf *leaf, size_t n, int64_t *ret_anon, int64_t *ret_file);

/* MADV_COLLAPSE of [start, end). -EINVAL, -ENOMEM, -EAGAIN; -EINTR: a fatal signal. Takes mm->lock. */
NODISCARD int mm_collapse(struct mm *mm, uintptr_t start, uintptr_t end);

/* MADV_FREE of [start, end), part of a, which is private anonymous: its pages may go when memory runs short. mm->lock is held for
 * writing, as for the next one. */
void lazy_free(struct area *a, uintptr_t start, uintptr_t end);
/* They must stay, as they are locked. */
void lazy_keep(struct area *a, uintptr_t start, uintptr_t end);
/* mm ends, or its leaves do: nothing of it may be taken any more. */
void lazy_forget(struct mm *mm);
/* Free up to n pages that programs said they do not need; how many. For page_on_pressure. */
size_t lazy_reclaim(size_t n);

/* May [start, end) of a be changed without range locks? */
static inline bool area_is_quiet(const struct area *a)
{
    return !a->pages && !(a->flags & (AREA_SPECIAL | AREA_LAZY));
}

/* The page of zeros that untouched memory is read from. */
struct page *zero_page(void);

#endif
