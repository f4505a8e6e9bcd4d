/* SPDX-License-Identifier: MIT */
/* Lanes: windows of an address space in which threads map, unmap and protect private memory without mm->lock.
 *
 * A program of one thread has none. When mappings had to wait for mm->lock often enough, a window for each of a set of CPUs
 * is opened, with a tree of areas, counters and a lock of its own. A mapping that names no address then goes to the lane of
 * the CPU that asks for it; who unmaps or protects it, or takes a fault there, needs only the lane's lock, from whatever CPU.
 *
 * Everything else goes through mm->lock, and does not know of lanes: whoever takes it by mm_read_lock or mm_write_lock closes
 * them first, which puts their areas into the tree of mm; not so who wants a range that no window touches. They open again, with the areas that lie in their windows, when
 * there was waiting again; the longer, the less they were used.
 *
 * An area of a lane is private, anonymous, without name, policy, userfaultfd and marks, and does not touch the ends of the
 * window, so that neighbours of it are in the lane as well.
 *
 * Locks: mm->lock, for writing, opens and closes; then lane->lock. lane->open changes with both held, so either holds it. */
#include "area.h"
#include "marks.h"

#include <abi/errno.h>
#include <libos/heap.h>
#include <libos/thread.h>

enum {
    WAIT_MIN = 8, /* waits before lanes are opened */
    WAIT_MAX = 4096,
    MOVE_MAX = 64, /* areas that a lane is opened with */
    /* Areas of a lane: so few that no sum has to be made, since lanes open while mm has at most half of what it may. */
    AREAS_MAX = MM_AREAS_MAX / 2 / MM_LANES,
};

#define LANE_SIZE  ((uintptr_t)32 << 30)
#define ROOM_ABOVE ((uintptr_t)64 << 30) /* for what does not go to a lane */

/* Flags that areas of a lane may have. */
#define LANE_FLAGS                                                                                 \
    (AREA_MAY_ALL | AREA_NOHUGE | AREA_HUGE | AREA_STACK | AREA_NORESERVE | AREA_SEQ |             \
     AREA_RANDOM | AREA_COW | AREA_LAZY | AREA_DONTDUMP)

static struct mm_lane *lane_at(struct mm *mm, uintptr_t addr)
{
    /* Acquire: pairs with the release in lanes_create. */
    struct mm_lanes *l = __atomic_load_n(&mm->lanes, __ATOMIC_ACQUIRE);
    uintptr_t i = l ? (addr - l->base) / LANE_SIZE : MM_LANES;
    return i < MM_LANES ? &l->lane[i] : NULL;
}

struct mm_lane *lane_open_at(struct mm *mm, uintptr_t addr)
{
    struct mm_lane *l = lane_at(mm, addr);
    return l && atomic_load_explicit(&l->open, memory_order_relaxed) ? l : NULL;
}

static uintptr_t lane_start(const struct mm *mm, const struct mm_lane *l)
{
    return mm->lanes->base + (uintptr_t)(l - mm->lanes->lane) * LANE_SIZE;
}

/* May a be in a lane? */
static bool belongs(const struct area *a)
{
    return !a->file && !a->pages && !a->name && !a->uffd && !a->policy.mode &&
           !(a->flags & ~(uint32_t)LANE_FLAGS);
}

static bool lanes_create(struct mm *mm)
{
    size_t all = MM_LANES * LANE_SIZE;
    if (mm->mmap_base < all + 2 * ROOM_ABOVE)
        return false;
    uintptr_t base = area_room_down(mm, all, MM_MIN_ADDR, mm->mmap_base - ROOM_ABOVE, LANE_SIZE);
    struct mm_lanes *l = base ? heap_zalloc(sizeof *l) : NULL;
    if (!l)
        return false;
    l->base = base;
    for (unsigned i = 0; i < MM_LANES; i++) {
        rwmutex_init(&l->lane[i].lock, RANK_MM_LANE);
        RB_INIT(&l->lane[i].areas);
        /* As random as the place of all that is mapped. */
        l->lane[i].top = base + (i + 1) * LANE_SIZE - PAGE_SIZE -
                         (mm->mmap_base & (LANE_SIZE / 4 - 1) & PAGE_MASK);
    }
    __atomic_store_n(&mm->lanes, l, __ATOMIC_RELEASE);
    return true;
}

/* Take what lies in the window of l into it, unless something there does not belong to a lane. mm->lock is held for writing. */
static void lane_open(struct mm *mm, struct mm_lane *l)
{
    uintptr_t start = lane_start(mm, l), end = start + LANE_SIZE;
    struct area *a = area_find(mm, start), *next;
    unsigned n = 0;
    for (struct area *b = a; b && b->start < end; b = area_next(b))
        if (!belongs(b) || b->start <= start || b->end >= end || ++n > MOVE_MAX)
            return;
    rwmutex_write_lock(&l->lock);
    for (; a && a->start < end; a = next) {
        next = area_next(a);
        area_count(a, -1);
        area_remove(a);
        area_adopt(l, a);
        lane_count(l, a, 1);
    }
    l->used = 0;
    atomic_store_explicit(&l->open, true, memory_order_relaxed);
    rwmutex_write_unlock(&l->lock);
}

/* Put all areas of l into the tree of mm. How many; *used grows by how often it was used. mm->lock is held for writing. */
static size_t lane_close(struct mm *mm, struct mm_lane *l, size_t *used)
{
    size_t n = 0;
    rwmutex_write_lock(&l->lock);
    if (l->open) {
        atomic_store_explicit(&l->open, false, memory_order_relaxed);
        *used += l->used;
        l->cached = NULL;
        for (struct area *a; (a = area_disown(l)); n++) {
            area_insert(a);
            area_count(a, 1);
        }
        l->total_pages = l->data_pages = l->exec_pages = l->peak_pages = 0;
        l->area_count = 0;
    }
    rwmutex_write_unlock(&l->lock);
    return n;
}

static NOINLINE void lanes_close(struct mm *mm)
{
    size_t used = 0, moved = 0;
    uint64_t peak = mm->total_pages;
    for (unsigned i = 0; i < MM_LANES; i++) {
        struct mm_lane *l = &mm->lanes->lane[i];
        /* As if all lanes had had most at once: there is no look at others when one grows. */
        peak += __atomic_load_n(&l->peak_pages, __ATOMIC_RELAXED);
        moved += lane_close(mm, l, &used);
    }
    mm->lanes_open = false;
    mm->peak_pages = peak > mm->peak_pages ? peak : mm->peak_pages;
    mm->lane_waited = 0;
    if (used >= 8 * WAIT_MIN + 2 * moved)
        mm->lane_wait = WAIT_MIN;
    else if (mm->lane_wait < WAIT_MAX)
        mm->lane_wait *= 2;
}

static NOINLINE void lanes_open(struct mm *mm)
{
    if (marks_any(mm) || mm->area_count > MM_AREAS_MAX / 2 || (!mm->lanes && !lanes_create(mm))) {
        mm->lane_waited = 0;
        mm->lane_wait = WAIT_MAX;
        return;
    }
    /* Before the first lane is: who finds one open finds this set when it has mm->lock. */
    mm->lanes_open = true;
    for (unsigned i = 0; i < MM_LANES; i++)
        lane_open(mm, &mm->lanes->lane[i]);
}

void lanes_free(struct mm *mm)
{
    if (mm->lanes_open)
        lanes_close(mm);
    heap_free(mm->lanes);
    mm->lanes = NULL;
}

void mm_write_lock(struct mm *mm)
{
    rwmutex_write_lock(&mm->lock);
    if (UNLIKELY(mm->lanes_open))
        lanes_close(mm);
}

void mm_read_lock(struct mm *mm)
{
    rwmutex_read_lock(&mm->lock);
    while (UNLIKELY(mm->lanes_open)) {
        rwmutex_read_unlock(&mm->lock);
        mm_write_lock(mm);
        rwmutex_write_unlock(&mm->lock);
        rwmutex_read_lock(&mm->lock);
    }
}

struct rwmutex *mm_read_lock_at(struct mm *mm, uintptr_t addr)
{
    for (;;) {
        struct mm_lane *l = lane_of(mm, addr);
        if (UNLIKELY(l != NULL)) {
            rwmutex_read_lock(&l->lock);
            if (l->open)
                return &l->lock;
            rwmutex_read_unlock(&l->lock);
        }
        rwmutex_read_lock(&mm->lock);
        if (LIKELY(!mm->lanes_open || !lane_open_at(mm, addr)))
            return &mm->lock;
        rwmutex_read_unlock(&mm->lock);
    }
}

/* Is [start, end), and what it touches, nowhere in the windows of lanes? Then it is all in the tree of mm. */
static bool outside(const struct mm *mm, uintptr_t start, uintptr_t end)
{
    const struct mm_lanes *l = mm->lanes;
    return !l || end < l->base || start > l->base + MM_LANES * LANE_SIZE;
}

/* Is [start, end), and what it touches, in the window of l? */
static bool inside(const struct mm *mm, const struct mm_lane *l, uintptr_t start, uintptr_t end)
{
    uintptr_t low = lane_start(mm, l);
    return start > low && end > start && end - low < LANE_SIZE;
}

struct rwmutex *mm_write_lock_part(struct mm *mm, uintptr_t start, uintptr_t end)
{
    struct mm_lane *l = lane_of(mm, start);
    if (UNLIKELY(l != NULL)) {
        rwmutex_write_lock(&l->lock);
        if (l->open && inside(mm, l, start, end) && l->area_count + 2 <= AREAS_MAX)
            return &l->lock;
        rwmutex_write_unlock(&l->lock);
    }
    rwmutex_write_lock(&mm->lock);
    if (UNLIKELY(mm->lanes_open) && !outside(mm, start, end))
        lanes_close(mm);
    return &mm->lock;
}

bool lane_fits(const struct mm *mm, const struct mm_map *what)
{
    return !what->file && !what->addr && !what->fixed && !what->populate && !what->low32 &&
           !what->name && what->size && what->size <= LANE_SIZE / 8 &&
           !((what->flags | mm->def_flags) & ~(uint32_t)LANE_FLAGS) &&
           !(mm->mdwe && what->prot & PLAT_WRITE && what->prot & PLAT_EXEC);
}

/* Lock the lane of this CPU for writing; NULL: it is not open. */
static struct mm_lane *own_lane(struct mm *mm)
{
    struct mm_lanes *lanes = __atomic_load_n(&mm->lanes, __ATOMIC_ACQUIRE);
    struct mm_lane *l = lanes ? &lanes->lane[plat_cpu_id() % MM_LANES] : NULL;
    if (!l || !l->open)
        return NULL;
    rwmutex_write_lock(&l->lock);
    if (l->open)
        return l;
    rwmutex_write_unlock(&l->lock);
    return NULL;
}

/* Map in the lane l, which is locked. -EAGAIN: not there. */
static int map_in(struct mm *mm, struct mm_lane *l, const struct mm_map *what, uintptr_t *ret)
{
    size_t size = align_up(what->size, PAGE_SIZE);
    uintptr_t low = lane_start(mm, l) + PAGE_SIZE,
              align = size >= LARGE_SIZE && size % LARGE_SIZE == 0 ? LARGE_SIZE : PAGE_SIZE;
    if (!lane_fits(mm, what) || l->area_count >= AREAS_MAX)
        return -EAGAIN;
    struct area a = { .mm = mm,
                      .prot = what->prot,
                      .flags = what->flags | mm->def_flags | AREA_MAY_ALL };
    a.start = area_tree_room_down(&l->areas, size, low, l->top, align);
    a.end = a.start + size;
    if (!a.start)
        return -EAGAIN;
    int err = limit_pages(mm, size >> PAGE_SHIFT, 0, a.flags, a.prot);
    if (err)
        return err;
    l->used++;
    *ret = a.start;
    return map_new(mm, &a);
}

bool lane_map(struct mm *mm, const struct mm_map *what, uintptr_t *ret, int *ret_err)
{
    struct mm_lane *l = own_lane(mm);
    if (!l)
        return false;
    int err = map_in(mm, l, what, ret);
    rwmutex_write_unlock(&l->lock);
    *ret_err = err;
    return err != -EAGAIN;
}

bool mm_write_lock_waits(struct mm *mm)
{
    bool waits = atomic_load_explicit(&mm->lock.count, memory_order_relaxed) != 0;
    mm_write_lock(mm);
    return waits;
}

void lanes_waited(struct mm *mm)
{
    if (!mm->lane_wait)
        mm->lane_wait = WAIT_MIN;
    if (++mm->lane_waited >= mm->lane_wait)
        lanes_open(mm);
}

uint64_t mm_total_pages(const struct mm *mm)
{
    uint64_t n = __atomic_load_n(&mm->total_pages, __ATOMIC_RELAXED);
    for (unsigned i = 0; UNLIKELY(mm->lanes_open) && i < MM_LANES; i++)
        n += __atomic_load_n(&mm->lanes->lane[i].total_pages, __ATOMIC_RELAXED);
    return n;
}

uint64_t mm_data_pages(const struct mm *mm)
{
    uint64_t n = __atomic_load_n(&mm->data_pages, __ATOMIC_RELAXED);
    for (unsigned i = 0; UNLIKELY(mm->lanes_open) && i < MM_LANES; i++)
        n += __atomic_load_n(&mm->lanes->lane[i].data_pages, __ATOMIC_RELAXED);
    return n;
}

void lane_count(struct mm_lane *l, const struct area *a, int sign)
{
    uint64_t n = (uint64_t)sign * area_pages(a);
    __atomic_store_n(&l->total_pages, l->total_pages + n, __ATOMIC_RELAXED);
    if (area_is_data(a))
        __atomic_store_n(&l->data_pages, l->data_pages + n, __ATOMIC_RELAXED);
    if (a->prot & PLAT_EXEC)
        l->exec_pages += n;
    if (l->total_pages > l->peak_pages)
        __atomic_store_n(&l->peak_pages, l->total_pages, __ATOMIC_RELAXED);
}
