/* SPDX-License-Identifier: MIT */
/* Faults that a program handles itself: userfaultfd(2), for private anonymous memory and shared memory files. A thread that faults
 * puts a note, on its own stack, into the list of the file's and sleeps; who reads the file (libos/file/uffdfile.c) is
 * told, provides the page, and wakes whoever waits for it.
 *
 * An area names its uffd without a reference: the file's release takes it out of all areas first, with mm->lock held for
 * writing. A page that is to be told of when it is written to has MARK_WATCH, is mapped read-only, and its area has AREA_COW so
 * that only faults give the right to write back. Lock: u->lock for the notes. Between a look at the page and a note in the
 * list the page may come, so the look is repeated once the note is there. */
#include "uffd.h"
#include "marks.h"

#include <abi/errno.h>
#include <abi/poll.h>
#include <abi/statfs.h>
#include <abi/userfaultfd.h>
#include <libos/file.h>
#include <libos/heap.h>
#include <libos/pagemap.h>
#include <libos/sched.h>
#include <libos/uffd.h>
#include <libos/user.h>
#include <libos/waitq.h>
#include <utlist.h>

enum { WANTED = 8 }; /* beside UFFD_PAGEFAULT_FLAG_*: there is something to tell */

/* Bits of what ioctl can do. */
#define IOCTL_BIT(cmd) (1ull << ((cmd)&0xff))

#define READY (1ull << 63)

static struct spin living_lock = SPIN_INIT(RANK_FILE);
struct uffd *uffd_living; /* guarded by living_lock: whose address space has not ended */

/* The address space of u, in use as long as the caller wants. False: it has ended. */
static bool hold_mm(struct uffd *u)
{
    spin_lock(&living_lock);
    uint32_t users = u->mm ? u->mm->users : 0;
    while (users && !atomic_compare_exchange_weak(&u->mm->users, &users, users + 1))
        ;
    spin_unlock(&living_lock);
    return users;
}

void uffd_mm_gone(struct mm *mm)
{
    struct uffd *u, *next;
    if (LIKELY(!__atomic_load_n(&uffd_living, __ATOMIC_RELAXED)))
        return; /* whoever could have made one for it is no more */
    spin_lock(&living_lock);
    DL_FOREACH_SAFE(uffd_living, u, next)
    {
        if (u->mm != mm)
            continue;
        DL_DELETE(uffd_living, u);
        u->mm = NULL;
    }
    spin_unlock(&living_lock);
}

void uffd_put(struct uffd *u)
{
    if (!--u->refs)
        heap_free(u);
}

/* Is the file behind a one whose pages are nowhere else? */
static bool is_shmem(const struct area *a)
{
    const struct inode *i = a->file ? a->file->inode : NULL;
    return i && i->sb && i->sb->magic == TMPFS_MAGIC && !i->lower;
}

static uint64_t index_of(const struct area *a, uintptr_t va)
{
    return a->pgoff + ((va - a->start) >> PAGE_SHIFT);
}

/* What there is to tell of an access to the page: WANTED and UFFD_PAGEFAULT_FLAG_*; 0: nothing. mm->lock is held. */
static unsigned wanted(struct area *a, uintptr_t page, bool write)
{
    struct plat_leaf leaf;
    unsigned how = WANTED | (write ? UFFD_PAGEFAULT_FLAG_WRITE : 0);
    if (write && a->flags & AREA_UFFD_WP && marks_at(a->mm, page, MARK_WATCH))
        return how | UFFD_PAGEFAULT_FLAG_WP;
    plat_mmu_query(&a->mm->aspace, page, &leaf);
    if (leaf.present)
        return 0;
    struct page *p = a->pages ? pagemap_find(a->pages, index_of(a, page)) : NULL;
    if (p)
        page_put(p);
    if (p)
        return a->flags & AREA_UFFD_MINOR ? how | UFFD_PAGEFAULT_FLAG_MINOR : 0;
    return a->flags & AREA_UFFD_MISSING ? how : 0;
}

bool uffd_is_woken(struct uffd *u, const struct note *n)
{
    spin_lock(&u->lock);
    bool woken = n->woken;
    spin_unlock(&u->lock);
    return woken;
}

/* Tell, drop mm->lock and sleep. */
static int tell(struct area *a, const struct uffd_fault *f, unsigned how)
{
    struct uffd *u = a->uffd;
    struct mm *mm = a->mm;
    uintptr_t page = f->addr & PAGE_MASK;
    struct note n = { .page = page,
                      .msg = { .event = UFFD_EVENT_PAGEFAULT,
                               .flags = how & ~(unsigned)WANTED,
                               .address = u->features & UFFD_FEATURE_EXACT_ADDRESS ? f->addr : page,
                               .ptid = u->features & UFFD_FEATURE_THREAD_ID
                                           ? (uint32_t)thread_current()->tid
                                           : 0 } };
    u->refs++;
    spin_lock(&u->lock);
    DL_APPEND(u->notes, &n);
    spin_unlock(&u->lock);
    bool still = wanted(a, page, f->write);
    mm_read_unlock(mm);
    int err = 0;
    if (still) {
        waitq_wake(&u->readers, WAITQ_ALL, EPOLLIN | EPOLLRDNORM);
        err = WAIT_EVENT(&u->faults, f->user ? SLEEP_INTERRUPTIBLE : SLEEP_KILLABLE, NO_DEADLINE,
                         uffd_is_woken(u, &n));
    }
    spin_lock(&u->lock);
    DL_DELETE(u->notes, &n);
    spin_unlock(&u->lock);
    uffd_put(u);
    return !err ? UFFD_AGAIN : f->user ? UFFD_SIGNAL : -EFAULT;
}

int uffd_handle(struct area *a, const struct uffd_fault *f)
{
    const struct uffd *u = a->uffd;
    unsigned how = wanted(a, f->addr & PAGE_MASK, f->write);
    if (!how)
        return 0;
    if (u->features & UFFD_FEATURE_SIGBUS || (u->user_only && !f->user)) {
        mm_read_unlock(a->mm);
        return -EIO;
    }
    return tell(a, f, how);
}

/* Let those go on who wait for pages of [start, end). */
static void wake(struct uffd *u, uintptr_t start, uintptr_t end)
{
    struct note *n;
    spin_lock(&u->lock);
    DL_FOREACH(u->notes, n)
    {
        if (n->page >= start && n->page < end)
            n->woken = true;
    }
    spin_unlock(&u->lock);
    waitq_wake(&u->faults, WAITQ_ALL, 0);
}

static int check_range(uintptr_t start, uint64_t len)
{
    return (start & ~PAGE_MASK) || (len & ~PAGE_MASK) || !len || start >= PLAT_USER_MAX ||
                   len > PLAT_USER_MAX - start
               ? -EINVAL
               : 0;
}

/* May u watch the parts of [start, end)? mm->lock is held. */
static int check_areas(struct uffd *u, uintptr_t start, uintptr_t end, uint32_t flags)
{
    struct area *a = area_find(u->mm, start);
    if (!a || a->start >= end)
        return -EINVAL;
    for (; a && a->start < end; a = area_next(a)) {
        bool shmem = is_shmem(a);
        if (a->flags & AREA_SPECIAL || (a->pages && !shmem) ||
            (flags & AREA_UFFD_MINOR && !(shmem && a->flags & AREA_SHARED)))
            return -EINVAL;
        if (!(a->flags & AREA_MAY_WRITE))
            return -EPERM;
        if (a->uffd && a->uffd != u)
            return -EBUSY;
    }
    return 0;
}

/* Have u (NULL: nobody) watch [start, end) with flags. mm->lock is held for writing. */
static int set_areas(struct mm *mm, struct uffd *u, uintptr_t start, uintptr_t end, uint32_t flags)
{
    while (start < end) {
        struct area *a = area_find(mm, start);
        if (!a || a->start >= end)
            return 0;
        uintptr_t from = a->start > start ? a->start : start, to = a->end < end ? a->end : end;
        if ((a->start < from || a->end > to) && mm->area_count >= MM_AREAS_MAX)
            return -ENOMEM;
        int err = area_cut(mm, from, to);
        if (err)
            return err;
        a = area_at(mm, from);
        if (!(flags & AREA_UFFD_WP))
            marks_clear(mm, from, to, MARK_WATCH);
        uffd_forget(a);
        a->uffd = u;
        a->flags |= flags;
        a->fault_next = 0;
        area_join(a);
        start = to;
    }
    return 0;
}

int uffd_register(struct uffd *u, uintptr_t start, uint64_t len, uint64_t mode,
                  uint64_t *ret_ioctls)
{
    const uint64_t modes =
        UFFDIO_REGISTER_MODE_MISSING | UFFDIO_REGISTER_MODE_WP | UFFDIO_REGISTER_MODE_MINOR;
    int err = !mode || mode & ~modes ? -EINVAL : check_range(start, len);
    if (err)
        return err;
    uint32_t flags = (mode & UFFDIO_REGISTER_MODE_MISSING ? AREA_UFFD_MISSING : 0u) |
                     (mode & UFFDIO_REGISTER_MODE_WP ? AREA_UFFD_WP : 0u) |
                     (mode & UFFDIO_REGISTER_MODE_MINOR ? AREA_UFFD_MINOR : 0u);
    if (!hold_mm(u))
        return -ENOMEM;
    mm_write_lock(u->mm);
    err = check_areas(u, start, start + len, flags);
    if (!err)
        err = set_areas(u->mm, u, start, start + len, flags);
    mm_write_unlock(u->mm);
    mm_put(u->mm);
    if (err)
        return err;
    *ret_ioctls = IOCTL_BIT(UFFDIO_WAKE) | IOCTL_BIT(UFFDIO_COPY) | IOCTL_BIT(UFFDIO_ZEROPAGE) |
                  IOCTL_BIT(UFFDIO_MOVE) | IOCTL_BIT(UFFDIO_POISON) |
                  (flags & AREA_UFFD_WP ? IOCTL_BIT(UFFDIO_WRITEPROTECT) : 0) |
                  (flags & AREA_UFFD_MINOR ? IOCTL_BIT(UFFDIO_CONTINUE) : 0);
    return 0;
}

int uffd_unregister(struct uffd *u, uintptr_t start, uint64_t len)
{
    int err = check_range(start, len);
    if (err)
        return err;
    if (!hold_mm(u))
        return -ENOMEM;
    mm_write_lock(u->mm);
    err = check_areas(u, start, start + len, 0);
    if (!err)
        err = set_areas(u->mm, NULL, start, start + len, 0);
    mm_write_unlock(u->mm);
    mm_put(u->mm);
    wake(u, start, start + len);
    return err == -EPERM || err == -EBUSY ? -EINVAL : err;
}

int uffd_wake(struct uffd *u, uintptr_t start, uint64_t len)
{
    int err = check_range(start, len);
    if (!err)
        wake(u, start, start + len);
    return err;
}

/* The area at va, if u watches it; NULL. mm->lock is held. */
static struct area *watched_at(struct uffd *u, uintptr_t va)
{
    struct area *a = area_at(u->mm, va);
    return a && a->uffd == u ? a : NULL;
}

/* No page may come to va: it is guarded or poisoned. */
static bool is_closed(struct mm *mm, uintptr_t va)
{
    return marks_at(mm, va, MARK_GUARD) || marks_at(mm, va, MARK_POISON);
}

static bool is_shared(const struct area *a)
{
    return a->pages && a->flags & AREA_SHARED;
}

/* Show page (taken; the page of zeros is not counted) at va. -EEXIST. mm->lock is held, for writing if watch. */
static int show(struct area *a, uintptr_t va, struct page *take_page, bool watch)
{
    struct mm *mm = a->mm;
    bool zeros = take_page == zero_page(), writable = !zeros && !watch;
    paddr_t pa = page_addr(take_page);
    int err = watch ? marks_set(mm, va, va + PAGE_SIZE, MARK_WATCH) : 0;
    if (!writable)
        __atomic_fetch_or(&a->flags, AREA_COW, __ATOMIC_RELAXED);
    if (!err) {
        struct spin *lock = range_lock(mm, va);
        spin_lock(lock);
        err = plat_mmu_map(&mm->aspace, va, &pa, 1, leaf_prot(a->prot, writable), false);
        spin_unlock(lock);
    }
    if (err && !zeros)
        page_put(take_page);
    if (!err && !zeros)
        atomic_fetch_add(is_shared(a) ? &mm->rss_file : &mm->rss_anon, 1);
    if (!err && marks_at(mm, va, MARK_POISON))
        marks_clear(mm, va, va + PAGE_SIZE, MARK_POISON);
    return err > 0 ? -EEXIST : err;
}

/* Make the fresh page (taken) the file's, where it has none, and show it. */
static int show_of_file(struct area *a, uintptr_t va, struct page *take_page, bool watch)
{
    struct pagemap *m = a->pages;
    uint64_t index = index_of(a, va);
    int err = m->ops->size_pages && index >= m->ops->size_pages(m) ? -EFAULT : 0;
    if (!err && !pagemap_insert(m, index, take_page)) {
        struct page *there = pagemap_find(m, index);
        err = there ? -EEXIST : -ENOMEM;
        if (there)
            page_put(there);
    }
    if (err) {
        page_put(take_page);
        return err;
    }
    page_get(take_page); /* the leaf's */
    return show(a, va, take_page, watch);
}

static void lock_mm(struct mm *mm, bool write)
{
    if (write)
        mm_write_lock(mm);
    else
        mm_read_lock(mm);
}

static void unlock_mm(struct mm *mm, bool write)
{
    if (write)
        mm_write_unlock(mm);
    else
        mm_read_unlock(mm);
}

/* Lock mm to show a page in it: for writing, too, when there is a mark that may have to go. True: for writing. */
static bool lock_to_show(struct mm *mm, bool watch)
{
    bool write = watch || marks_any(mm);
    lock_mm(mm, write);
    if (LIKELY(write || !marks_any(mm)))
        return write;
    unlock_mm(mm, false);
    lock_mm(mm, true);
    return true;
}

/* One page of UFFDIO_COPY, or (src 0) of UFFDIO_ZEROPAGE. */
static int provide(struct uffd *u, uintptr_t va, uintptr_t src, bool watch)
{
    mm_read_lock(u->mm);
    struct area *a = watched_at(u, va);
    bool shared = a && is_shared(a);
    mm_read_unlock(u->mm);
    if (!a)
        return -ENOENT;
    struct page *p = src || shared
                         ? page_alloc(0, shared ? PAGE_FILE : PAGE_ANON, src ? 0 : PAGE_ZERO)
                         : zero_page();
    if (!p)
        return -ENOMEM;
    if (src && user_get((uint8_t *)page_ptr(p), user_at(user_u8_in_t, src), PAGE_SIZE)) {
        page_put(p);
        return -EFAULT;
    }
    bool write = lock_to_show(u->mm, watch);
    a = watched_at(u, va);
    int err = u->changing                           ? -EAGAIN
              : !a                                  ? -ENOENT
              : watch && !(a->flags & AREA_UFFD_WP) ? -EINVAL
              : is_shared(a) != shared              ? -EAGAIN
              : marks_at(u->mm, va, MARK_GUARD)     ? -EEXIST
                                                    : 0;
    if (!err)
        err = shared ? show_of_file(a, va, p, watch) : show(a, va, p, watch);
    else if (p != zero_page())
        page_put(p);
    unlock_mm(u->mm, write);
    return err;
}

/* One page of UFFDIO_CONTINUE. */
static int reveal(struct uffd *u, uintptr_t va, bool watch)
{
    bool write = lock_to_show(u->mm, watch);
    struct area *a = watched_at(u, va);
    int err = u->changing                           ? -EAGAIN
              : !a                                  ? -ENOENT
              : !is_shared(a)                       ? -EINVAL
              : watch && !(a->flags & AREA_UFFD_WP) ? -EINVAL
              : marks_at(u->mm, va, MARK_GUARD)     ? -EEXIST
                                                    : 0;
    struct page *p = err ? NULL : pagemap_find(a->pages, index_of(a, va));
    if (!err)
        err = p ? show(a, va, p, watch) : -EFAULT;
    unlock_mm(u->mm, write);
    return err;
}

/* One page of UFFDIO_POISON. */
static int poison(struct uffd *u, uintptr_t va)
{
    struct plat_leaf leaf;
    mm_write_lock(u->mm);
    struct area *a = watched_at(u, va);
    plat_mmu_query(&u->mm->aspace, va, &leaf);
    int err = u->changing ? -EAGAIN
              : !a        ? -ENOENT
              : leaf.present || is_closed(u->mm, va)
                  ? -EEXIST
                  : marks_set(u->mm, va, va + PAGE_SIZE, MARK_POISON);
    mm_write_unlock(u->mm);
    return err;
}

int uffd_fill(struct uffd *u, enum uffd_fill how, const struct abi_uffdio_copy *c,
              int64_t *ret_done)
{
    bool plain = how == UFFD_FILL_ZERO || how == UFFD_FILL_POISON;
    uint64_t modes = UFFDIO_COPY_MODE_DONTWAKE | (plain ? 0 : UFFDIO_COPY_MODE_WP);
    bool copies = how == UFFD_FILL_COPY, watch = c->mode & UFFDIO_COPY_MODE_WP;
    int err = check_range(c->dst, c->len);
    if (!err && (c->mode & ~modes || (copies && (!c->src || c->src + c->len < c->src ||
                                                 c->src + c->len > PLAT_USER_MAX))))
        err = -EINVAL;
    if (err)
        return err;
    if (u->changing)
        return -EAGAIN;
    if (!hold_mm(u))
        return -ESRCH;
    uint64_t done = 0;
    while (done < c->len && !err) {
        err = how == UFFD_FILL_MINOR ? reveal(u, c->dst + done, watch)
              : how == UFFD_FILL_POISON
                  ? poison(u, c->dst + done)
                  : provide(u, c->dst + done, copies ? c->src + done : 0, watch);
        done += err ? 0 : PAGE_SIZE;
        if (!err && thread_preempt_point())
            err = -EINTR;
    }
    mm_put(u->mm);
    *ret_done = done ? (int64_t)done : err;
    if (done && !(c->mode & UFFDIO_COPY_MODE_DONTWAKE))
        wake(u, c->dst, c->dst + done);
    return done == c->len ? 0 : done ? -EAGAIN : err;
}

/* Private anonymous memory that holds all of [start, start + len); NULL. mm->lock is held. */
static struct area *plain_area(struct mm *mm, uintptr_t start, uint64_t len)
{
    struct area *a = area_at(mm, start);
    return a && start + len <= a->end && !a->file && !a->pages && !(a->flags & AREA_SPECIAL) ? a
                                                                                             : NULL;
}

/* May [src, src + len) move to dst? Both are of one kind, and u watches the second. mm->lock is held. */
static bool can_move(struct uffd *u, uintptr_t dst, uintptr_t src, uint64_t len,
                     struct area **ret_src, struct area **ret_dst)
{
    struct area *s = plain_area(u->mm, src, len), *d = plain_area(u->mm, dst, len);
    if (!s || !d || d->uffd != u || s->prot != d->prot || !(s->prot & PLAT_WRITE) ||
        (s->flags ^ d->flags) & AREA_LOCKED)
        return false;
    *ret_src = s;
    *ret_dst = d;
    return true;
}

/* Is the page that a leaf shows in this one place only? */
static bool is_alone(const struct plat_leaf *leaf)
{
    const struct page *p = page_of(leaf->pa);
    return p == zero_page() ||
           (p->kind == PAGE_ANON && p->refs == 1 && (leaf->size == PAGE_SIZE || p->larges == 1));
}

/* Move the page at src, whatever it is, to dst. 1: there is none. mm->lock is held for writing. */
static int move_leaf(struct mm *mm, uintptr_t dst, uintptr_t src)
{
    struct plat_leaf leaf;
    plat_mmu_query(&mm->aspace, dst, &leaf);
    if (leaf.present || is_closed(mm, dst))
        return -EEXIST;
    int err = plat_mmu_own(&mm->aspace, src);
    if (err)
        return err;
    plat_mmu_query(&mm->aspace, src, &leaf);
    if (!leaf.present)
        return is_closed(mm, src) ? -EBUSY : 1;
    if (!is_alone(&leaf))
        return -EBUSY;
    spin_lock(&mm->move_lock);
    err = plat_mmu_move(&mm->aspace, src, dst, PAGE_SIZE);
    spin_unlock(&mm->move_lock);
    return err;
}

/* One page of UFFDIO_MOVE. */
static int move_page(struct uffd *u, uintptr_t dst, uintptr_t src, bool holes)
{
    struct mm *mm = u->mm;
    struct area *s, *d;
    mm_write_lock(mm);
    int err = can_move(u, dst, src, PAGE_SIZE, &s, &d) ? move_leaf(mm, dst, src) : -EINVAL;
    if (!err) {
        marks_clear(mm, src, src + PAGE_SIZE, MARK_WATCH);
        d->flags |= AREA_COW; /* the page may be one that cannot be written to as it is */
    }
    mm_write_unlock(mm);
    return err == 1 ? holes ? 0 : -ENOENT : err;
}

static int check_move(struct uffd *u, const struct abi_uffdio_copy *m)
{
    struct area *s, *d;
    mm_read_lock(u->mm);
    bool can = can_move(u, m->dst, m->src, m->len, &s, &d);
    mm_read_unlock(u->mm);
    return can ? 0 : -EINVAL;
}

int uffd_move(struct uffd *u, const struct abi_uffdio_copy *m, int64_t *ret_done)
{
    const uint64_t modes = UFFDIO_MOVE_MODE_DONTWAKE | UFFDIO_MOVE_MODE_ALLOW_SRC_HOLES;
    int err = m->mode & ~modes ? -EINVAL : check_range(m->dst, m->len);
    if (!err)
        err = check_range(m->src, m->len);
    if (err)
        return err;
    if (u->changing)
        return -EAGAIN;
    if (!hold_mm(u))
        return -EINVAL; /* not the caller's, at any rate */
    uint64_t done = 0;
    err = u->mm == thread_current()->mm ? check_move(u, m) : -EINVAL;
    while (done < m->len && !err) {
        err =
            move_page(u, m->dst + done, m->src + done, m->mode & UFFDIO_MOVE_MODE_ALLOW_SRC_HOLES);
        done += err ? 0 : PAGE_SIZE;
        if (!err && thread_preempt_point())
            err = -EINTR;
    }
    mm_put(u->mm);
    *ret_done = done ? (int64_t)done : err;
    if (done && !(m->mode & UFFDIO_MOVE_MODE_DONTWAKE))
        wake(u, m->dst, m->dst + done);
    return done == m->len ? 0 : done ? -EAGAIN : err;
}

/* Watch writes to the pages of [start, end), part of a: those that are there, or all. */
static int watch_part(struct uffd *u, struct area *a, uintptr_t start, uintptr_t end)
{
    struct mm *mm = a->mm;
    bool all = a->pages || u->features & UFFD_FEATURE_WP_UNPOPULATED;
    int err = all ? marks_set(mm, start, end, MARK_WATCH) : 0;
    for (uintptr_t va = start, next; !all && !err && va < end; va = next) {
        struct plat_leaf leaf;
        plat_mmu_query(&mm->aspace, va, &leaf);
        next = (va & ~((uintptr_t)leaf.size - 1)) + leaf.size;
        next = next < end ? next : end;
        if (leaf.present)
            err = marks_set(mm, va, next, MARK_WATCH);
    }
    a->flags |= AREA_COW;
    return err ? err
               : range_protect(a, start, end, leaf_prot(a->prot, true) & ~(unsigned)PLAT_WRITE,
                               false);
}

int uffd_protect(struct uffd *u, uintptr_t start, uint64_t len, uint64_t mode)
{
    const uint64_t both = UFFDIO_WRITEPROTECT_MODE_WP | UFFDIO_WRITEPROTECT_MODE_DONTWAKE;
    bool on = mode & UFFDIO_WRITEPROTECT_MODE_WP;
    int err = mode & ~both || mode == both ? -EINVAL : check_range(start, len);
    if (err)
        return err;
    if (u->changing)
        return -EAGAIN;
    if (!hold_mm(u))
        return -ESRCH;
    uintptr_t end = start + len;
    mm_write_lock(u->mm);
    struct area *a = area_find(u->mm, start);
    err = a && a->start < end ? 0 : -ENOENT;
    for (; !err && a && a->start < end; a = area_next(a)) {
        uintptr_t from = a->start > start ? a->start : start, to = a->end < end ? a->end : end;
        if (a->uffd != u || !(a->flags & AREA_UFFD_WP))
            err = -ENOENT;
        else if (on)
            err = watch_part(u, a, from, to);
        else
            marks_clear(u->mm, from, to, MARK_WATCH);
    }
    mm_write_unlock(u->mm);
    mm_put(u->mm);
    if (!err && !mode)
        wake(u, start, end);
    return err;
}

/* The first of the list that nobody was told; NULL. u->lock is held. */
static struct note *untold(struct note *list)
{
    struct note *n;
    DL_FOREACH(list, n)
    if (!n->told && !n->woken)
        break;
    return n;
}

bool uffd_next(struct uffd *u, struct abi_uffd_msg *ret, struct uffd **ret_child)
{
    spin_lock(&u->lock);
    struct note *n = untold(u->notes), *event = n ? NULL : untold(u->events);
    bool any = n || event;
    n = n ? n : event;
    if (n && ret) {
        n->told = true;
        *ret = n->msg;
        *ret_child = n->child;
        n->taken = n->child;
        n->child = NULL;
        n->woken = event && !n->taken; /* who made it waits no longer than until it is read */
    }
    spin_unlock(&u->lock);
    if (ret && event)
        waitq_wake(&u->faults, WAITQ_ALL, 0);
    return any;
}

void uffd_forked(struct uffd *u, struct uffd *child, bool good)
{
    struct note *n;
    spin_lock(&u->lock);
    DL_FOREACH(u->events, n)
    if (n->taken == child) /* which lives, so no other has its address */
        break;
    if (n) {
        n->woken = good;
        n->told = good;
        n->child = good ? NULL : child;
        n->taken = NULL;
    }
    spin_unlock(&u->lock);
    if (!n && !good)
        uffd_destroy(child);
    waitq_wake(n && !good ? &u->readers : &u->faults, WAITQ_ALL, EPOLLIN | EPOLLRDNORM);
}

struct waitq *uffd_readers(struct uffd *u)
{
    return &u->readers;
}

bool uffd_agree(struct uffd *u, uint64_t features)
{
    uint64_t none = 0;
    return atomic_compare_exchange_strong(&u->features, &none, features | READY);
}

bool uffd_agreed(const struct uffd *u)
{
    return u->features;
}

static struct uffd *create(struct mm *mm, bool user_only, unsigned flags)
{
    struct uffd *u = heap_zalloc(sizeof(*u));
    if (!u)
        return NULL;
    u->refs = 1;
    u->user_only = user_only;
    u->open_flags = flags;
    u->mm = mm;
    spin_init(&u->lock, RANK_FILE);
    waitq_init(&u->readers);
    waitq_init(&u->faults);
    spin_lock(&living_lock);
    DL_APPEND(uffd_living, u);
    spin_unlock(&living_lock);
    return u;
}

struct uffd *uffd_create(bool user_only, unsigned flags)
{
    return create(thread_current()->mm, user_only, flags);
}

struct uffd *uffd_create_like(const struct uffd *parent, struct mm *mm)
{
    struct uffd *u = create(mm, parent->user_only, parent->open_flags);
    if (u)
        u->features = parent->features;
    return u;
}

unsigned uffd_open_flags(const struct uffd *u)
{
    return u->open_flags;
}

/* Nothing of mm is u's any more. */
static void leave_areas(struct uffd *u, struct mm *mm)
{
    mm_write_lock(mm);
    for (struct area *a = area_find(mm, 0); a; a = area_next(a)) {
        if (a->uffd != u)
            continue;
        marks_clear(mm, a->start, a->end, MARK_WATCH);
        uffd_forget(a);
        a = area_join(a);
    }
    mm_write_unlock(mm);
}

void uffd_destroy(struct uffd *u)
{
    struct mm *mm = hold_mm(u) ? u->mm : NULL;
    if (mm)
        leave_areas(u, mm);
    spin_lock(&living_lock);
    if (u->mm) {
        DL_DELETE(uffd_living, u);
        u->mm = NULL;
    }
    spin_unlock(&living_lock);
    if (mm)
        mm_put(mm);
    struct note *n;
    spin_lock(&u->lock);
    u->gone = true;
    DL_FOREACH(u->events, n)
    n->woken = true;
    spin_unlock(&u->lock);
    wake(u, 0, PLAT_USER_MAX);
    uffd_put(u);
}
