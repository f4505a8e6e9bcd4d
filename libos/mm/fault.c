/* SPDX-License-Identifier: MIT */
/* Page faults: finding what belongs at an address and mapping it, with neighbours when a program walks through memory.
 *
 * A fault holds mm->lock for reading, gets its pages without any spin lock (that may sleep), and maps them under the
 * range lock. Two faults may race there: plat_mmu_map leaves alone what is present, and the loser's pages go back. A page
 * of a file may be truncated or replaced meanwhile: the page map's write_gen tells, and the fault starts again. */
#include "area.h"
#include "marks.h"
#include "uffd.h"

#include <abi/errno.h>
#include <abi/resource.h>
#include <abi/signal.h>
#include <base/log.h>
#include <libos/deferred.h>
#include <libos/node.h>
#include <libos/page.h>
#include <libos/pagemap.h>
#include <libos/process.h>
#include <libos/sched.h>
#include <libos/signal.h>
#include <string.h>

enum {
    AROUND = 16, /* pages of a file mapped around a fault; of a walk up to BATCH_MAX */
    BATCH_MAX = 64,
    WRITE_BACKS = 8, /* tries to get memory from dirty pages before a program is killed */
    RETRY = 1,       /* internal result: look again */
    TRAP_PAGE_FAULT = 14,
};

/* One fault. */
struct fault {
    struct area *a;
    uintptr_t va; /* page aligned */
    bool write;
    bool present;
};

/* How many pages to map at va: grows while the program walks upwards through the area. Ends at the area, the 2 MiB
 * boundary and when memory runs low. */
static size_t batch_size(struct area *a, uintptr_t va)
{
    uint32_t batch = 1;
    if (va == a->fault_next && !(a->flags & AREA_RANDOM)) {
        /* Once: other faults in the area change it meanwhile. */
        uint32_t last = __atomic_load_n(&a->fault_batch, __ATOMIC_RELAXED);
        batch = last < BATCH_MAX / 2 ? last * 2 : BATCH_MAX;
        uintptr_t end = (va & LARGE_MASK) + LARGE_SIZE;
        size_t left = ((end < a->end ? end : a->end) - va) >> PAGE_SHIFT;
        batch = batch < left ? batch : (uint32_t)left;
        if (marks_any(a->mm) && batch > 1) {
            uintptr_t to = va + ((uintptr_t)batch << PAGE_SHIFT);
            batch = 1 + (uint32_t)((marks_next(a->mm, va + PAGE_SIZE, to) - va - PAGE_SIZE) >>
                                   PAGE_SHIFT);
        }
        if (a->uffd || page_free_count() < 16 * BATCH_MAX)
            batch = 1;
    }
    a->fault_batch = batch;
    a->fault_next = va + ((uintptr_t)batch << PAGE_SHIFT);
    return batch;
}

/* Is a 2 MiB page at va a good idea? Not where the program may never use all of it, nor with the last memory. */
static bool large_wanted(const struct area *a, uintptr_t va)
{
    uintptr_t base = va & LARGE_MASK;
    if (base < a->start || a->end - base < LARGE_SIZE || a->uffd ||
        (a->flags & (AREA_NOHUGE | AREA_STACK | AREA_GROWSDOWN)))
        return false;
    if (marks_any(a->mm) && marks_next(a->mm, base, base + LARGE_SIZE) != base + LARGE_SIZE)
        return false;
    uint64_t spare = page_free_count();
    return spare > (a->flags & AREA_HUGE ? 1024 : 8192);
}

static int map_large(struct fault *f)
{
    struct mm *mm = f->a->mm;
    uintptr_t base = f->va & LARGE_MASK;
    struct plat_leaf leaf;
    plat_mmu_query(&mm->aspace, f->va, &leaf);
    if (leaf.present || leaf.size < LARGE_SIZE)
        return RETRY;
    struct page *p = page_alloc(LARGE_SHIFT - PAGE_SHIFT, PAGE_ANON, PAGE_ZERO | PAGE_NORECLAIM);
    if (!p)
        return RETRY;
    page_split(p);
    p->larges = 1;
    struct spin *lock = range_lock(mm, base);
    spin_lock(lock);
    int err = plat_mmu_map_large(&mm->aspace, base, page_addr(p), leaf_prot(f->a->prot, true));
    spin_unlock(lock);
    if (err) {
        page_put_run(p, LARGE_SIZE / PAGE_SIZE);
        return RETRY;
    }
    mm->rss_anon += LARGE_SIZE / PAGE_SIZE;
    return 0;
}

/* Where there are several nodes: the policy of the area, else of the thread; NULL: none. */
static const struct mempolicy *policy_of(const struct area *a)
{
    const struct mempolicy *p = a->policy.mode ? &a->policy : &thread_current()->mempolicy;
    return node_many && p->mode ? p : NULL;
}

static NOINLINE size_t alloc_by_policy(const struct fault *f, struct page **page, size_t n)
{
    const struct mempolicy *p = policy_of(f->a);
    return p ? mempolicy_alloc(p, f->va >> PAGE_SHIFT, page, n)
             : page_alloc_bulk(page, n, PAGE_ANON, PAGE_ZERO);
}

/* Map n fresh pages; those that found something mapped go back. */
static int map_fresh(struct fault *f, size_t n)
{
    struct mm *mm = f->a->mm;
    struct page *page[BATCH_MAX];
    paddr_t pa[BATCH_MAX];
    n = UNLIKELY(node_many) ? alloc_by_policy(f, page, n)
                            : page_alloc_bulk(page, n, PAGE_ANON, PAGE_ZERO);
    if (UNLIKELY(n == 0))
        return -ENOMEM;
    pa[0] = page_addr(page[0]);
    for (size_t i = 1; i < n; i++) /* mostly neighbours */
        pa[i] = page[i] == page[i - 1] + 1 ? PADDR(pa[i - 1].v + PAGE_SIZE) : page_addr(page[i]);
    struct spin *lock = range_lock(mm, f->va);
    spin_lock(lock);
    int left = plat_mmu_map(&mm->aspace, f->va, pa, n, leaf_prot(f->a->prot, true), false);
    spin_unlock(lock);
    if (LIKELY(left == 0)) {
        mm->rss_anon += (int64_t)n;
        return 0;
    }
    size_t back = 0;
    for (size_t i = 0; i < n; i++)
        if (left < 0 || (pa[i].v & 1))
            page[back++] = page[i];
    page_put_bulk(page, back);
    mm->rss_anon += (int64_t)(n - back);
    return left == -EEXIST ? 0 : left < 0 ? left : 0;
}

/* Reading private memory that was never written: the page of zeros, for as many pages as the walk asks. */
static int map_zeros(struct fault *f, size_t n)
{
    paddr_t pa[BATCH_MAX], zero = page_addr(zero_page());
    struct mm *mm = f->a->mm;
    for (size_t i = 0; i < n; i++)
        pa[i] = zero;
    /* Mark the area before a leaf can be seen: mprotect must not make these writable. */
    __atomic_fetch_or(&f->a->flags, AREA_COW, __ATOMIC_RELAXED);
    struct spin *lock = range_lock(mm, f->va);
    spin_lock(lock);
    int left = plat_mmu_map(&mm->aspace, f->va, pa, n, leaf_prot(f->a->prot, false), false);
    spin_unlock(lock);
    return left == -ENOMEM ? left : 0;
}

/* Replace what is mapped read-only at f->va by page (a private copy, one reference, taken). old: the page that is seen
 * there, or v == 0 for none; anything else found means that another fault was faster. */
static int replace_with(struct fault *f, struct page *take_page, paddr_t old)
{
    struct mm *mm = f->a->mm;
    struct plat_leaf leaf;
    paddr_t pa = page_addr(take_page);
    struct spin *lock = range_lock(mm, f->va);
    int err = RETRY;
    spin_lock(lock);
    plat_mmu_query(&mm->aspace, f->va, &leaf);
    uint64_t found = leaf.present ? leaf.pa.v + (f->va & (leaf.size - 1)) : 0;
    if (found == old.v) {
        err = 0;
        if (found && leaf.size == LARGE_SIZE) {
            /* Unmapping one page splits the large one. */
            uintptr_t va = f->va;
            int n = plat_mmu_unmap(&mm->aspace, &va, va + PAGE_SIZE, &leaf, 1);
            err = n < 0 ? n : 0;
        }
        if (!err)
            err = plat_mmu_map(&mm->aspace, f->va, &pa, 1, leaf_prot(f->a->prot, true), true);
    }
    spin_unlock(lock);
    if (err) {
        page_put(take_page);
        return err;
    }
    if (found)
        leaves_put(mm, &leaf, 1);
    mm->rss_anon++;
    return 0;
}

/* A write to a private page that is present without the right to write: it is ours alone, or we copy it. */
static int copy_on_write(struct fault *f)
{
    struct mm *mm = f->a->mm;
    struct plat_leaf leaf;
    struct spin *lock = range_lock(mm, f->va);
    spin_lock(lock);
    plat_mmu_query(&mm->aspace, f->va, &leaf);
    if (leaf.prot &
        PLAT_SHARED) { /* with the address space that was forked from this one, or the other way round */
        int err = plat_mmu_own(&mm->aspace, f->va);
        if (err) {
            spin_unlock(lock);
            return err;
        }
        plat_mmu_query(&mm->aspace, f->va, &leaf);
    }
    uintptr_t in_leaf = f->va & (leaf.size - 1);
    struct page *old = leaf.present ? page_of(PADDR(leaf.pa.v + in_leaf)) : NULL;
    if (!leaf.present || (leaf.prot & PLAT_WRITE)) {
        spin_unlock(lock);
        return leaf.present ? 0 : RETRY;
    }
    if (old->kind == PAGE_ANON && old->refs == 1 && leaf.size == PAGE_SIZE) {
        int err = plat_mmu_protect(&mm->aspace, f->va, f->va + PAGE_SIZE,
                                   leaf_prot(f->a->prot, true), true);
        spin_unlock(lock);
        return err;
    }
    /* The leaf's own reference keeps old alive only under the lock. */
    page_get(old);
    spin_unlock(lock);
    paddr_t seen = PADDR(leaf.pa.v + in_leaf);
    bool zeros = old == zero_page();
    struct page *p = page_alloc(0, PAGE_ANON, zeros ? PAGE_ZERO : 0);
    if (p && !zeros)
        memcpy(page_ptr(p), page_ptr(old), PAGE_SIZE);
    page_put(old);
    return p ? replace_with(f, p, seen) : -ENOMEM;
}

static int fault_anonymous(struct fault *f)
{
    if (f->present)
        return f->write ? copy_on_write(f) : 0;
    if (f->write && large_wanted(f->a, f->va) && !(node_many && policy_of(f->a))) {
        int err = map_large(f);
        if (err != RETRY)
            return err;
    }
    size_t n = batch_size(f->a, f->va);
    return f->write ? map_fresh(f, n) : map_zeros(f, n);
}

/* Collect the pages of a file around f->va that are there for nothing, into page[0..n), NULL where there is none.
 * *ret_va is the address of page[0]. */
static size_t around(struct fault *f, struct page **page, uintptr_t *ret_va)
{
    struct area *a = f->a;
    size_t want = AROUND;
    uintptr_t low = f->va & ~(((uintptr_t)AROUND << PAGE_SHIFT) - 1);
    if (f->va == a->fault_next)
        want = BATCH_MAX;
    if ((a->flags & AREA_RANDOM) || marks_any(a->mm) || a->uffd) {
        low = f->va;
        want = 1;
    }
    low = low > a->start ? low : a->start;
    uintptr_t high = low + (want << PAGE_SHIFT), top = (f->va & LARGE_MASK) + LARGE_SIZE;
    high = high < a->end ? high : a->end;
    high = high < top ? high : top;
    a->fault_next = high;
    size_t n = (high - low) >> PAGE_SHIFT;
    uint64_t index = a->pgoff + ((low - a->start) >> PAGE_SHIFT);
    pagemap_find_around(a->pages, index, n, page);
    *ret_va = low;
    return n;
}

/* Map pages of the file, all with one protection; drop the references of those that are not mapped. */
static int map_file_pages(struct fault *f, struct page **page, uintptr_t va, size_t n,
                          unsigned prot, uint32_t gen)
{
    struct mm *mm = f->a->mm;
    paddr_t pa[BATCH_MAX];
    int64_t mapped = 0;
    for (size_t i = 0; i < n; i++) {
        pa[i] = page[i] ? page_addr(page[i]) : PADDR(0);
        mapped += page[i] != NULL;
    }
    struct spin *lock = range_lock(mm, va);
    spin_lock(lock);
    int left =
        f->a->pages->write_gen == gen ? plat_mmu_map(&mm->aspace, va, pa, n, prot, false) : -EAGAIN;
    spin_unlock(lock);
    if (left) {
        for (size_t i = 0; i < n; i++) {
            if (page[i] && (left < 0 || (pa[i].v & 1))) {
                page_put(page[i]);
                mapped--;
            }
        }
    }
    mm->rss_file += mapped;
    return left == -EAGAIN ? RETRY : left == -ENOMEM ? left : 0;
}

/* A read of a file's page, or a write to a shared one whose page is the map's own: map it and its neighbours. */
static int fault_file_map(struct fault *f, struct page *take_page, uint32_t gen)
{
    struct area *a = f->a;
    struct page *page[BATCH_MAX];
    uintptr_t va;
    if (a->pages->ops->make_writable && (a->flags & AREA_SHARED) && f->write)
        return map_file_pages(f, &take_page, f->va, 1, leaf_prot(a->prot, true), gen);
    bool writable = !a->pages->ops->make_writable && (a->flags & AREA_SHARED) &&
                    (a->prot & PLAT_WRITE) && take_page->kind == PAGE_FILE &&
                    !(marks_any(a->mm) && marks_at(a->mm, f->va, MARK_WATCH));
    size_t n = around(f, page, &va), at = (f->va - va) >> PAGE_SHIFT;
    if (page[at])
        page_put(page[at]);
    page[at] = take_page;
    for (size_t i = 0; writable && i < n; i++) {
        if (page[i] && page[i]->kind != PAGE_FILE) {
            page_put(page[i]);
            page[i] = NULL;
        }
    }
    return map_file_pages(f, page, va, n, leaf_prot(a->prot, writable), gen);
}

/* A write to a shared page that is mapped read-only: p is the map's own page now (one reference, taken). */
static int fault_file_upgrade(struct fault *f, struct page *take_page, uint32_t gen)
{
    struct mm *mm = f->a->mm;
    struct plat_leaf leaf;
    paddr_t pa = page_addr(take_page);
    struct spin *lock = range_lock(mm, f->va);
    int err = RETRY;
    spin_lock(lock);
    plat_mmu_query(&mm->aspace, f->va, &leaf);
    if (f->a->pages->write_gen == gen)
        err = plat_mmu_map(&mm->aspace, f->va, &pa, 1, leaf_prot(f->a->prot, true), true);
    spin_unlock(lock);
    if (err) {
        page_put(take_page);
        return err;
    }
    if (leaf.present)
        leaves_put(mm, &leaf, 1);
    mm->rss_file++;
    return 0;
}

static int fault_file(struct fault *f)
{
    struct area *a = f->a;
    struct pagemap *m = a->pages;
    uint64_t index = a->pgoff + ((f->va - a->start) >> PAGE_SHIFT);
    bool shared = a->flags & AREA_SHARED;
    if (f->present && !shared)
        return f->write ? copy_on_write(f) : 0;
    /* Acquire: the page that is looked up next is at least as new. */
    uint32_t gen = atomic_load_explicit(&m->write_gen, memory_order_acquire);
    if (m->ops->size_pages && index >= m->ops->size_pages(m))
        return -EIO;
    struct page *p;
    int err = pagemap_get(m, index, shared && f->write, &p);
    if (!err && !p && (shared || !f->write))
        err = pagemap_get(m, index, true, &p);
    if (err)
        return err;
    if (m->write_gen != gen) {
        if (p)
            page_put(p);
        return RETRY;
    }
    if (shared && f->write && m->ops->make_writable && (err = m->ops->make_writable(m, index, p))) {
        page_put(p);
        return err;
    }
    if (shared && f->present)
        return f->write ? fault_file_upgrade(f, p, gen) : (page_put(p), 0);
    if (shared || !f->write)
        return fault_file_map(f, p, gen);
    struct page *copy = page_alloc(0, PAGE_ANON, p ? 0 : PAGE_ZERO);
    if (copy && p)
        memcpy(page_ptr(copy), page_ptr(p), PAGE_SIZE);
    if (p)
        page_put(p);
    return copy ? replace_with(f, copy, PADDR(0)) : -ENOMEM;
}

/* Let the area above addr grow down to it. 0: look again. */
static int grow_down(struct mm *mm, uintptr_t addr)
{
    int err = -EFAULT;
    mm_write_lock(mm);
    struct area *a = area_find(mm, addr);
    uintptr_t start = addr & PAGE_MASK;
    if (!a || a->start <= addr) {
        err = a ? 0 : -EFAULT;
        goto out;
    }
    if (!(a->flags & AREA_GROWSDOWN) || start < MM_MIN_ADDR ||
        (a->end - start) >> PAGE_SHIFT > limit_of(RLIMIT_STACK))
        goto out;
    struct area *prev = area_prev(a);
    if (prev && !(prev->flags & AREA_GROWSDOWN) && prev->prot && start - prev->end < MM_STACK_GAP)
        goto out;
    if (prev && prev->end > start)
        goto out;
    uint64_t n = (a->start - start) >> PAGE_SHIFT;
    if (limit_pages(mm, n, 0, a->flags, a->prot) ||
        ((a->flags & AREA_LOCKED) && limit_locked(mm, n)))
        goto out;
    area_count(a, -1);
    area_resize(a, start, a->end);
    a->pgoff = 0;
    area_count(a, 1);
    err = 0;
out:
    mm_write_unlock(mm);
    return err;
}

/* Does the area allow it? As the CPU sees rights: whatever can be written or executed can be read. */
static bool allowed(const struct area *a, enum plat_access access)
{
    switch (access) {
    case PLAT_ACCESS_WRITE:
        return a->prot & PLAT_WRITE;
    case PLAT_ACCESS_EXEC:
        return a->prot & PLAT_EXEC;
    default:
        return a->prot != 0;
    }
}

/* A debugger writes what the program itself may not: to a copy of its own. */
static bool may_force(const struct area *a)
{
    return !(a->flags & AREA_SHARED) && (a->flags & AREA_MAY_WRITE);
}

/* The area's userfaultfd, if the fault is one for it: see uffd_handle. */
static NOINLINE int ask_program(const struct fault *f, uintptr_t addr, bool user)
{
    const struct uffd_fault what = { .addr = addr, .write = f->write, .user = user };
    return uffd_handle(f->a, &what);
}

/* How to resolve a fault. */
enum { FORCE = 1, USER = 2 };

/* The area that holds addr, or the next one. lock is what mm_read_lock_at gave. */
static ALWAYS_INLINE struct area *area_for(struct mm *mm, struct rwmutex *lock, uintptr_t addr)
{
    struct mm_lane *l = LIKELY(lock == &mm->lock) ? NULL : lane_of(mm, addr);
    struct area **cached = l ? &l->cached : &mm->cached;
    struct area *a = __atomic_load_n(cached, __ATOMIC_RELAXED);
    if (!a || addr < a->start || addr >= a->end) {
        a = area_find(mm, addr);
        if (a && addr >= a->start)
            __atomic_store_n(cached, a, __ATOMIC_RELAXED);
    }
    return a;
}

static int resolve(struct mm *mm, uintptr_t addr, enum plat_access access, bool present,
                   unsigned how)
{
    if (addr >= PLAT_USER_MAX)
        return -EFAULT;
    int err;
    do {
        struct rwmutex *lock = mm_read_lock_at(mm, addr);
        struct area *a = area_for(mm, lock, addr);
        if (!a || addr < a->start) {
            bool grows = a && a->flags & AREA_GROWSDOWN;
            rwmutex_read_unlock(lock);
            err = grows ? grow_down(mm, addr) : -EFAULT;
            if (err)
                return err;
            err = RETRY;
            continue;
        }
        struct fault f = {
            .a = a, .va = addr & PAGE_MASK, .write = access == PLAT_ACCESS_WRITE, .present = present
        };
        if ((!allowed(a, access) && !(how & FORCE && may_force(a))) || (a->flags & AREA_SPECIAL))
            err = -EACCES;
        else if (marks_any(mm) && marks_at(mm, f.va, MARK_GUARD))
            err = -EFAULT;
        else if (marks_any(mm) && marks_at(mm, f.va, MARK_POISON))
            err = -EHWPOISON;
        else if (UNLIKELY(a->uffd) && (err = ask_program(&f, addr, how & USER))) {
            if (err != UFFD_AGAIN)
                return err == UFFD_SIGNAL ? 0 : err;
            rwmutex_read_lock(lock); /* mm->lock, as no area of a lane is watched */
            err = RETRY;
        } else
            err = a->pages ? fault_file(&f) : fault_anonymous(&f);
        if (err == RETRY) {
            struct plat_leaf leaf;
            plat_mmu_query(&mm->aspace, addr, &leaf);
            present = leaf.present;
        }
        rwmutex_read_unlock(lock);
    } while (err == RETRY);
    return err;
}

int mm_fault(struct mm *mm, uintptr_t addr, enum plat_access access, bool present)
{
    return resolve(mm, addr, access, present, 0);
}

int mm_fault_forced(struct mm *mm, uintptr_t addr, bool present)
{
    return resolve(mm, addr, PLAT_ACCESS_WRITE, present, FORCE);
}

/* There is no memory left: get some from caches, then from dirty pages, then from the process that has most. -ENOMEM: this
 * one ends. */
static int fault_again(struct mm *mm, uintptr_t addr, enum plat_access access, bool present,
                       unsigned how)
{
    if (thread_current()->plat.work & WORK_DEFERRED) /* caches that cannot be shrunk at once */
        deferred_run();
    int err = resolve(mm, addr, access, present, how); /* some may have come back meanwhile */
    for (unsigned i = 0; err == -ENOMEM && i < WRITE_BACKS && pagemap_write_back(); i++)
        err = resolve(mm, addr, access, present, how);
    while (err == -ENOMEM && oom_wait())
        err = resolve(mm, addr, access, present, how);
    return err;
}

int upcall_fault(uintptr_t addr, enum plat_access access, bool present, bool from_user)
{
    struct thread *t = thread_current();
    struct mm *mm = t->mm;
    if (UNLIKELY(!mm))
        return -EFAULT;
    uint64_t blocks = t->blocks_in;
    unsigned how = from_user ? USER : 0;
    int err = resolve(mm, addr, access, present, how);
    if (UNLIKELY(err == -ENOMEM))
        err = fault_again(mm, addr, access, present, how);
    if (LIKELY(err == 0)) {
        t->faults_minor += t->blocks_in == blocks;
        t->faults_major += t->blocks_in != blocks;
        if (from_user)
            sched_leave();
        return 0;
    }
    if (!from_user || err == -ENOMEM)
        return err;
    /* The hardware's error code as Linux reports it: present, write, user, fetch. */
    unsigned long code = (present || err == -EACCES ? 1u : 0u) |
                         (access == PLAT_ACCESS_WRITE ? 2u : 0u) | 4u |
                         (access == PLAT_ACCESS_EXEC ? 16u : 0u);
    if (err == -EIO || err == -ENOSPC)
        signal_fault(SIGBUS, BUS_ADRERR, addr, TRAP_PAGE_FAULT, code);
    else if (err == -EHWPOISON)
        signal_fault(SIGBUS, BUS_MCEERR_AR, addr, TRAP_PAGE_FAULT, code);
    else
        signal_fault(SIGSEGV, err == -EACCES ? SEGV_ACCERR : SEGV_MAPERR, addr, TRAP_PAGE_FAULT,
                     code);
    return err;
}
