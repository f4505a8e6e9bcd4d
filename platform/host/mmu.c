/* SPDX-License-Identifier: MIT */
/* Page tables of the host platform. A page table is a page of the arena with an entry for each page of 2 MiB, as on the
 * machine; the table of its ranges belongs to the process. What the active address space has is mapped into the process:
 * a leaf at va is a shared mapping of the arena's page at va. A leaf without PLAT_WRITE, or of a shared table, is mapped
 * read-only, so copy on write and protection are real. Accessed and dirty marks are pessimistic: always set. */
#define _GNU_SOURCE
#include "host.h"

#include <plat/mem.h>
#include <plat/mmu.h>
#include <plat/upcall.h>

#include <base/log.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <uthash.h>

enum { ENTRIES = LARGE_SIZE / PAGE_SIZE, BATCH = 64 };

/* An entry: the page's address, PLAT_* below, and this. */
#define USED 64ull

/* What is mapped in 2 MiB: a page table or a large leaf. */
struct host_range {
    uintptr_t va;    /* key */
    uint64_t *table; /* NULL: a large leaf */
    unsigned used;   /* entries of the table */
    uint64_t large;  /* the large leaf's entry */
    bool shared;     /* with another address space: nothing is writable */
    UT_hash_handle hh;
};

static struct plat_aspace *active;

static uintptr_t base_of(uintptr_t va)
{
    return va & LARGE_MASK;
}

static unsigned index_of(uintptr_t va)
{
    return (va & ~LARGE_MASK) >> PAGE_SHIFT;
}

static unsigned prot_of(uint64_t e)
{
    return e & (PLAT_READ | PLAT_WRITE | PLAT_EXEC | PLAT_SPECIAL);
}

static paddr_t page_of_entry(uint64_t e)
{
    return PADDR(e & ~(uint64_t)(PAGE_SIZE - 1));
}

static struct host_range *find(struct plat_aspace *as, uintptr_t va)
{
    uintptr_t base = base_of(va);
    struct host_range *r;

    HASH_FIND(hh, as->ranges, &base, sizeof base, r);
    return r;
}

static struct host_range *range_add(struct plat_aspace *as, uintptr_t va)
{
    struct host_range *r = calloc(1, sizeof *r);

    must(r);
    r->va = base_of(va);
    HASH_ADD(hh, as->ranges, va, sizeof r->va, r);
    return r;
}

static void range_drop(struct plat_aspace *as, struct host_range *r)
{
    HASH_DEL(as->ranges, r);
    free(r);
}

/* Entry i of r, or what it would be in place of a large leaf. */
static uint64_t entry(const struct host_range *r, unsigned i)
{
    return r->table ? r->table[i] : r->large + i * PAGE_SIZE;
}

/* Map in the process what the entries [i, end) of r say. */
static void show(struct plat_aspace *as, const struct host_range *r, unsigned i, unsigned end)
{
    for (unsigned n; as == active && i < end; i += n) {
        uint64_t e = entry(r, i);
        unsigned prot = prot_of(e);
        void *at = (void *)(r->va + i * PAGE_SIZE), *p;
        n = 1;
        if (!e)
            continue;
        while (i + n < end && entry(r, i + n) == e + n * PAGE_SIZE)
            n++;
        p = mmap(at, n * PAGE_SIZE,
                 (prot & (PLAT_READ | PLAT_WRITE | PLAT_EXEC) ? PROT_READ : 0) |
                     (prot & PLAT_WRITE && !r->shared ? PROT_WRITE : 0) |
                     (prot & PLAT_EXEC ? PROT_EXEC : 0),
                 MAP_SHARED | MAP_FIXED, host_arena_fd(), (off_t)page_of_entry(e).v);
        must(p == at);
    }
}

/* Take the pages [i, end) of r, all mapped there, out of the process. */
static void hide_run(struct plat_aspace *as, const struct host_range *r, unsigned i, unsigned end)
{
    if (as == active)
        must(mmap((void *)(r->va + i * PAGE_SIZE), (end - i) * PAGE_SIZE, PROT_NONE,
                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0) != MAP_FAILED);
}

/* Take out of the process all that r has mapped there. */
static void hide(struct plat_aspace *as, const struct host_range *r)
{
    for (unsigned i = 0, n; i < ENTRIES; i += n ? n : 1) {
        for (n = 0; i + n < ENTRIES && entry(r, i + n); n++)
            ;
        if (n)
            hide_run(as, r, i, i + n);
    }
}

static uint64_t *table_alloc(bool reserve)
{
    paddr_t pa = upcall_page_alloc();

    if (!pa.v && reserve)
        pa = upcall_page_alloc_reserve();
    return pa.v ? plat_phys_to_virt(pa) : NULL;
}

static void table_free(uint64_t *t)
{
    upcall_page_free(plat_virt_to_phys(t));
}

/* Count new users of the n pages that table has from entry i on; take the right to write from those that are copied on
 * write, in other too. */
static void table_get(uint64_t *table, uint64_t *other)
{
    for (unsigned i = 0; i < ENTRIES; i += BATCH) {
        paddr_t pages[BATCH];
        unsigned index[BATCH], n = 0;
        for (unsigned k = i; k < i + BATCH; k++)
            if (table[k] && !(table[k] & PLAT_SPECIAL)) {
                index[n] = k;
                pages[n++] = page_of_entry(table[k]);
            }
        uint64_t cow = n ? upcall_leaves_get(pages, n) : 0;
        for (unsigned k = 0; k < n; k++)
            if (cow >> k & 1) {
                table[index[k]] &= ~(uint64_t)PLAT_WRITE;
                if (other)
                    other[index[k]] &= ~(uint64_t)PLAT_WRITE;
            }
    }
}

/* Replace a large leaf by small ones. */
static int split(struct host_range *r, bool reserve)
{
    uint64_t *t = table_alloc(reserve), large = r->large;

    if (!t)
        return -ENOMEM;
    for (unsigned i = 0; i < ENTRIES; i++)
        t[i] = (large & ~(r->shared ? (uint64_t)PLAT_WRITE : 0)) + i * PAGE_SIZE;
    if (r->shared)
        table_get(t, NULL);
    r->table = t;
    r->used = ENTRIES;
    if (r->shared)
        upcall_large_put(page_of_entry(large));
    r->shared = false;
    return 0;
}

static int own(struct plat_aspace *as, struct host_range *r, bool reserve)
{
    if (!r->shared)
        return 0;
    if (!r->table) {
        if (upcall_large_shared(page_of_entry(r->large)))
            return split(r, reserve);
    } else if (upcall_table_shared(plat_virt_to_phys(r->table))) {
        uint64_t *t = table_alloc(reserve);
        if (!t)
            return -ENOMEM;
        for (unsigned i = 0; i < ENTRIES; i++)
            t[i] = r->table[i];
        table_get(t, r->table);
        must(upcall_table_put(plat_virt_to_phys(r->table)));
        r->table = t;
    }
    r->shared = false;
    show(as, r, 0, ENTRIES);
    return 0;
}

/* A page table of this address space's own in r. */
static int own_table(struct plat_aspace *as, struct host_range *r, bool reserve)
{
    return r->table ? own(as, r, reserve) : split(r, reserve);
}

int plat_aspace_init(struct plat_aspace *as)
{
    as->ranges = NULL;
    return 0;
}

void plat_aspace_fini(struct plat_aspace *as)
{
    must(!as->ranges);
    if (active == as)
        active = NULL;
}

void plat_aspace_activate(struct plat_aspace *as)
{
    struct host_range *r, *tmp;

    if (as == active)
        return;
    if (active)
        HASH_ITER(hh, active->ranges, r, tmp)
    hide(active, r);
    active = as;
    if (as)
        HASH_ITER(hh, as->ranges, r, tmp)
    show(as, r, 0, ENTRIES);
}

static struct plat_leaf leaf_of(const struct host_range *r, uint64_t e, uint32_t size)
{
    unsigned prot = prot_of(e);

    if (r->shared)
        prot = (prot & ~(unsigned)PLAT_WRITE) | PLAT_SHARED;
    return (struct plat_leaf){ .pa = page_of_entry(e),
                               .size = size,
                               .prot = (uint8_t)prot,
                               .present = true,
                               .accessed = true,
                               .dirty = prot & PLAT_WRITE };
}

void plat_mmu_query(struct plat_aspace *as, uintptr_t va, struct plat_leaf *ret)
{
    struct host_range *r = find(as, va);

    *ret = (struct plat_leaf){ .size = r ? PAGE_SIZE : LARGE_SIZE };
    if (r && !r->table)
        *ret = leaf_of(r, r->large, LARGE_SIZE);
    else if (r && r->table[index_of(va)])
        *ret = leaf_of(r, r->table[index_of(va)], PAGE_SIZE);
}

bool host_present(uintptr_t va)
{
    struct plat_leaf leaf = { 0 };

    if (active)
        plat_mmu_query(active, va, &leaf);
    return leaf.present;
}

int plat_mmu_map(struct plat_aspace *as, uintptr_t va, paddr_t *pages, size_t n, unsigned prot,
                 bool replace)
{
    struct host_range *r = find(as, va);
    int kept = 0, err;

    if (r && !r->table)
        return -EEXIST;
    if (!r) {
        uint64_t *t = table_alloc(false);
        if (!t)
            return -ENOMEM;
        r = range_add(as, va);
        r->table = t;
    } else if ((err = own(as, r, false))) {
        return err;
    }
    for (unsigned k = 0, i = index_of(va); k < n; k++, i++) {
        if (!pages[k].v)
            continue;
        if (r->table[i] && !replace) {
            pages[k].v |= 1;
            kept++;
            continue;
        }
        r->used += !r->table[i];
        r->table[i] = pages[k].v | prot | USED;
        show(as, r, i, i + 1);
    }
    if (!r->used) {
        table_free(r->table);
        range_drop(as, r);
    }
    return kept;
}

int plat_mmu_map_large(struct plat_aspace *as, uintptr_t va, paddr_t pa, unsigned prot)
{
    if (find(as, va))
        return -EEXIST;
    struct host_range *r = range_add(as, va);
    r->large = pa.v | prot | USED;
    show(as, r, 0, ENTRIES);
    return 0;
}

/* Take up to max leaves out of [*va, stop), in r; r goes when it is empty. */
static size_t take(struct plat_aspace *as, struct host_range *r, uintptr_t *va, uintptr_t stop,
                   struct plat_leaf *out, size_t max)
{
    size_t n = 0;

    for (; *va < stop && n < max; *va += PAGE_SIZE) {
        uint64_t *e = &r->table[index_of(*va)];
        if (!*e)
            continue;
        out[n++] = leaf_of(r, *e, PAGE_SIZE);
        *e = 0;
        r->used--;
        hide_run(as, r, index_of(*va), index_of(*va) + 1);
    }
    if (!r->used) {
        table_free(r->table);
        range_drop(as, r);
    }
    return n;
}

int plat_mmu_unmap(struct plat_aspace *as, uintptr_t *va, uintptr_t end, struct plat_leaf *out,
                   size_t max)
{
    size_t n = 0;

    while (*va < end && n < max) {
        uintptr_t next = base_of(*va) + LARGE_SIZE, stop = next < end ? next : end;
        struct host_range *r = find(as, *va);
        if (!r && !as->ranges)
            stop = end;
        if (!r) {
            *va = stop;
        } else if (!r->table && stop - *va == LARGE_SIZE) {
            out[n++] = leaf_of(r, r->large, LARGE_SIZE);
            hide(as, r);
            range_drop(as, r);
            *va = stop;
        } else if (own_table(as, r, true)) {
            return n ? (int)n : -ENOMEM;
        } else {
            n += take(as, r, va, stop, out + n, max - n);
        }
    }
    return (int)n;
}

static uint64_t protected(uint64_t e, unsigned prot, bool may_write)
{
    if (!may_write && !(e & PLAT_WRITE))
        prot &= ~(unsigned)PLAT_WRITE;
    return (e & ~(uint64_t)(PLAT_READ | PLAT_WRITE | PLAT_EXEC)) | prot;
}

int plat_mmu_protect(struct plat_aspace *as, uintptr_t va, uintptr_t end, unsigned prot,
                     bool may_write)
{
    for (uintptr_t stop; va < end; va = stop) {
        struct host_range *r = find(as, va);
        stop = base_of(va) + LARGE_SIZE;
        stop = stop < end ? stop : end;
        if (!r)
            continue;
        if (!r->table && stop - va == LARGE_SIZE) {
            r->large = protected(r->large, prot, may_write && !r->shared);
            show(as, r, 0, ENTRIES);
            continue;
        }
        if (own_table(as, r, false))
            return -ENOMEM;
        for (uintptr_t at = va; at < stop; at += PAGE_SIZE) {
            uint64_t *e = &r->table[index_of(at)];
            if (!*e)
                continue;
            *e = protected(*e, prot, may_write);
            show(as, r, index_of(at), index_of(at) + 1);
        }
    }
    return 0;
}

void plat_mmu_clean(struct plat_aspace *as, uintptr_t va, uintptr_t end, bool accessed, bool dirty)
{
    (void)as, (void)va, (void)end, (void)accessed,
        (void)dirty; /* marks are pessimistic, see above */
}

/* Make the tables that moving [from, from + size) to to needs. */
static int move_prepare(struct plat_aspace *as, uintptr_t from, uintptr_t to, size_t size)
{
    for (size_t off = 0; off < size; off += PAGE_SIZE) {
        struct host_range *r = find(as, from + off), *dst = find(as, to + off);
        if (!r)
            continue;
        if (own_table(as, r, false) || (dst && own_table(as, dst, false)))
            return -ENOMEM;
        if (dst || !r->table[index_of(from + off)])
            continue;
        uint64_t *t = table_alloc(false);
        if (!t)
            return -ENOMEM;
        range_add(as, to + off)->table = t;
    }
    return 0;
}

/* Drop the tables of [va, va + size) that are empty. */
static void trim(struct plat_aspace *as, uintptr_t va, size_t size)
{
    for (uintptr_t base = base_of(va); base < va + size; base += LARGE_SIZE) {
        struct host_range *r = find(as, base);
        if (r && r->table && !r->used) {
            table_free(r->table);
            range_drop(as, r);
        }
    }
}

int plat_mmu_move(struct plat_aspace *as, uintptr_t from, uintptr_t to, size_t size)
{
    int err = move_prepare(as, from, to, size);

    for (size_t off = 0; off < size && !err; off += PAGE_SIZE) {
        struct host_range *r = find(as, from + off), *dst = find(as, to + off);
        unsigned i = index_of(from + off), k = index_of(to + off);
        if (!r || !r->table[i])
            continue;
        must(dst && !dst->table[k]);
        dst->table[k] = r->table[i];
        dst->used++;
        r->table[i] = 0;
        r->used--;
        hide_run(as, r, i, i + 1);
        show(as, dst, k, k + 1);
    }
    trim(as, from, size);
    trim(as, to, size);
    return err;
}

int plat_mmu_share(struct plat_aspace *from, struct plat_aspace *to, uintptr_t va, uintptr_t end)
{
    struct host_range *r, *tmp, *copy;

    HASH_ITER(hh, from->ranges, r, tmp)
    {
        if (r->va < va || r->va >= end || find(to, r->va))
            continue;
        r->shared = true;
        if (r->table)
            upcall_table_get(plat_virt_to_phys(r->table));
        else
            upcall_large_get(page_of_entry(r->large));
        copy = range_add(to, r->va);
        copy->table = r->table;
        copy->used = r->used;
        copy->large = r->large;
        copy->shared = true;
        show(from, r, 0, ENTRIES);
    }
    return 0;
}

void plat_mmu_flush(struct plat_aspace *as)
{
    (void)as; /* what is mapped in the process is always true */
}

int plat_mmu_own(struct plat_aspace *as, uintptr_t va)
{
    struct host_range *r = find(as, va);

    return r ? own(as, r, false) : 0;
}

/* Drop the references of the leaves that r alone has. */
static void leaves_drop(const struct host_range *r)
{
    for (unsigned i = 0; i < ENTRIES; i++) {
        paddr_t page = page_of_entry(r->table[i]);
        if (r->table[i] && !(r->table[i] & PLAT_SPECIAL))
            upcall_leaves_put(&page, 1);
    }
}

void plat_mmu_drop(struct plat_aspace *as, uintptr_t va, uintptr_t end)
{
    struct host_range *r, *tmp;

    if (as == active)
        plat_aspace_activate(NULL);
    HASH_ITER(hh, as->ranges, r, tmp)
    {
        if (r->va < va || r->va >= end)
            continue;
        if (!r->table) {
            if (!(r->large & PLAT_SPECIAL))
                upcall_large_put(page_of_entry(r->large));
        } else if (!r->shared || !upcall_table_put(plat_virt_to_phys(r->table))) {
            leaves_drop(r);
            table_free(r->table);
        }
        range_drop(as, r);
    }
}
