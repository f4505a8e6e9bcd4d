/* SPDX-License-Identifier: MIT */
/* Address spaces as a whole: creation, the end, limits, and what all changes share: taking leaves away.
 *
 * Locking: mm->lock, or a lane's, orders changes of the tree against faults. Page tables are changed per 2 MiB under a range lock, one
 * of a hashed set, because faults run side by side and page maps take pages away (mm_zap_file) without mm->lock. Only the
 * inside of private anonymous areas is unmapped without range locks: nobody else has business there while mm->lock,
 * or the lane's, is held for writing. */
#include "area.h"
#include "marks.h"
#include "uffd.h"

#include <abi/errno.h>
#include <abi/prctl.h>
#include <abi/resource.h>
#include <base/log.h>
#include <libos/file.h>
#include <libos/heap.h>
#include <libos/page.h>
#include <libos/process.h>
#include <string.h>

enum { RANGE_LOCKS = 64, BATCH = 64 };

#define NO_LIMIT (UINT64_MAX >> PAGE_SHIFT)

static struct slab slab = SLAB_INIT("mm", struct mm);
/* Each in a cache line of its own: they are for CPUs that do not meet. */
static struct range_lock {
    ALIGNED(64) struct spin lock;
} range_locks[RANGE_LOCKS] = {
    [0 ... RANGE_LOCKS - 1] = { SPIN_INIT(RANK_MM_RANGE) },
};

struct spin *range_lock(struct mm *mm, uintptr_t va)
{
    uintptr_t h = (va >> LARGE_SHIFT) ^ ((uintptr_t)mm >> 8);
    return &range_locks[(h ^ h >> 6) % RANGE_LOCKS].lock;
}

static _Atomic uint64_t serials;

struct mm *mm_create(void)
{
    static _Atomic bool reclaims;
    if (UNLIKELY(!reclaims) && !atomic_exchange(&reclaims, true))
        page_on_pressure(lazy_reclaim);
    struct mm *mm = slab_alloc(&slab);
    if (!mm)
        return NULL;
    memset(mm, 0, sizeof *mm);
    if (plat_aspace_init(&mm->aspace)) {
        slab_free(&slab, mm);
        return NULL;
    }
    mm->users = 1;
    rwmutex_init(&mm->lock, RANK_MM);
    spin_init(&mm->move_lock, RANK_MM_MOVE);
    RB_INIT(&mm->areas);
    mm->mmap_base = PLAT_MMAP_TOP;
    mm->dumpable = true;
    mm->serial = atomic_fetch_add(&serials, 1) + 1;
    return mm;
}

void mm_get(struct mm *mm)
{
    /* Relaxed: whoever has a reference may add one. */
    __atomic_fetch_add((uint32_t *)&mm->users, 1, __ATOMIC_RELAXED);
}

void leaves_put(struct mm *mm, const struct plat_leaf *leaf, size_t n)
{
    int64_t anon, file;
    /* The most there ever was is what was there before some of it goes. */
    uint64_t now = (uint64_t)(mm->rss_anon + mm->rss_file);
    if (now > atomic_load_explicit(&mm->rss_peak, memory_order_relaxed))
        atomic_store_explicit(&mm->rss_peak, now, memory_order_relaxed);
    page_put_leaves(leaf, n, &anon, &file);
    if (anon)
        mm->rss_anon -= anon;
    if (file)
        mm->rss_file -= file;
}

/* Unmap [start, end) in one go. */
static int unmap_part(struct mm *mm, uintptr_t start, uintptr_t end, struct spin *lock)
{
    struct plat_leaf leaf[BATCH];
    int n, err = 0;
    while (start < end) {
        if (lock)
            spin_lock(lock);
        n = plat_mmu_unmap(&mm->aspace, &start, end, leaf, BATCH);
        if (lock)
            spin_unlock(lock);
        if (n < 0)
            return n;
        leaves_put(mm, leaf, (size_t)n);
    }
    return err;
}

size_t mm_spans(struct mm *mm, struct span span[SPAN_MAX])
{
    size_t n = 0;
    for (struct area *a = area_find(mm, 0); a; a = area_next(a)) {
        uintptr_t start = a->start & LARGE_MASK, end = align_up(a->end, LARGE_SIZE);
        if (n && (start <= span[n - 1].end || n == SPAN_MAX))
            span[n - 1].end = end;
        else
            span[n++] = (struct span){ start, end };
    }
    return n;
}

int mm_set_exe(struct mm *mm, struct file *f)
{
    int err = f->inode ? inode_deny_write(f->inode) : 0;
    if (err)
        return err;
    file_get(f);
    mm->exe = f;
    return 0;
}

void mm_put(struct mm *mm)
{
    if (--mm->users)
        return;
    if (mm->aio)
        aio_exit(mm);
    lazy_forget(mm);
    uffd_mm_gone(mm);
    lanes_free(mm);
    /* Nobody runs in it. Out of the files' lists first, so that nobody takes leaves away either; pages hold on by
     * their references. */
    struct span span[SPAN_MAX];
    size_t n = mm_spans(mm, span);
    area_destroy_all(mm);
    for (size_t i = 0; i < n; i++)
        plat_mmu_drop(&mm->aspace, span[i].start, span[i].end);
    plat_aspace_fini(&mm->aspace);
    marks_free(mm);
    if (mm->exe) {
        if (mm->exe->inode)
            inode_allow_write(mm->exe->inode);
        file_put(mm->exe);
    }
    slab_free(&slab, mm);
}

int range_unmap(struct mm *mm, uintptr_t start, uintptr_t end, bool whole)
{
    while (start < end) {
        uintptr_t stop = align_down(start, LARGE_SIZE) + LARGE_SIZE;
        struct spin *lock = range_lock(mm, start);
        if (whole && !(start & ~LARGE_MASK) && end - start >= LARGE_SIZE) {
            stop = end & LARGE_MASK;
            lock = NULL;
        }
        stop = stop < end ? stop : end;
        int err = unmap_part(mm, start, stop, lock);
        if (err)
            return err;
        start = stop;
    }
    return 0;
}

uint64_t limit_of(unsigned resource)
{
    uint64_t bytes = process_limit(process_current(), resource);
    return bytes == ABI_RLIM_INFINITY ? NO_LIMIT : bytes >> PAGE_SHIFT;
}

int limit_pages(struct mm *mm, uint64_t n, uint64_t old, uint32_t flags, unsigned prot)
{
    /* Sums over lanes only where there is a limit. */
    uint64_t all = limit_of(RLIMIT_AS), max;
    if (all != NO_LIMIT && mm_total_pages(mm) + n - old > all)
        return -ENOMEM;
    bool data = (prot & PLAT_WRITE) && !(flags & (AREA_SHARED | AREA_GROWSDOWN));
    if (data && (max = limit_of(RLIMIT_DATA)) != NO_LIMIT && mm_data_pages(mm) + n > max) {
        /* As Linux: a soft limit of 0 (Valgrind sets it to stop brk) counts as the hard one here. */
        struct abi_rlimit l;
        if (process_set_limit(process_current(), RLIMIT_DATA, NULL, &l) || l.rlim_cur ||
            (mm_data_pages(mm) + n) << PAGE_SHIFT > l.rlim_max)
            return -ENOMEM;
    }
    /* Overcommit, heuristic mode: refuse only what could never be there at once. */
    return data && !(flags & AREA_NORESERVE) && n > page_total_count() ? -ENOMEM : 0;
}

int limit_locked(struct mm *mm, uint64_t n)
{
    if (cred_capable(CAP_IPC_LOCK))
        return 0;
    uint64_t limit = limit_of(RLIMIT_MEMLOCK);
    return limit == 0 ? -EPERM : mm->locked_pages + n > limit ? -EAGAIN : 0;
}
