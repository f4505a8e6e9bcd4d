/* SPDX-License-Identifier: MIT */
/* Physical memory of the host platform (a memory file, the arena), and the process's mapping of it that stands for
 * page tables: a leaf at va is a shared mapping of the arena's page at va. A leaf without PLAT_WRITE is mapped
 * read-only, so copy on write and protection are real. Accessed and dirty marks are pessimistic: always set. */
#define _GNU_SOURCE
#include "host.h"

#include <plat/mem.h>
#include <plat/mmu.h>
#include <plat/upcall.h>

#include <base/log.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <uthash.h>
#include <unistd.h>

enum { ARENA_BYTES = 256 << 20, ARENA_FIRST = 1 << 20 };

struct host_leaf {
    uintptr_t va; /* key */
    paddr_t pa;
    uint32_t size;
    unsigned prot;
    UT_hash_handle hh;
};

static int arena_fd = -1;
static struct plat_aspace *active;

/* Called by host_init before anything else. */
void host_mem_init(void);
void host_mem_init(void)
{
    if (arena_fd >= 0)
        return;
    arena_fd = memfd_create("alcove-arena", MFD_CLOEXEC);
    must(arena_fd >= 0 && ftruncate(arena_fd, ARENA_BYTES) == 0);
    void *p = mmap((void *)PLAT_HOST_ARENA, ARENA_BYTES, PROT_READ | PROT_WRITE,
                   MAP_SHARED | MAP_FIXED_NOREPLACE, arena_fd, 0);
    must(p == (void *)PLAT_HOST_ARENA);
}

bool plat_mem_region(size_t i, struct plat_mem_region *ret)
{
    if (i)
        return false;
    ret->start = PADDR(ARENA_FIRST);
    ret->size = ARENA_BYTES - ARENA_FIRST;
    return true;
}

paddr_t plat_mem_end(void)
{
    return PADDR(ARENA_BYTES);
}

static int host_prot(unsigned prot)
{
    return (prot & PLAT_READ ? PROT_READ : 0) | (prot & PLAT_WRITE ? PROT_READ | PROT_WRITE : 0) |
           (prot & PLAT_EXEC ? PROT_READ | PROT_EXEC : 0);
}

static void show(struct plat_aspace *as, const struct host_leaf *l)
{
    if (as != active)
        return;
    void *p = mmap((void *)l->va, l->size, host_prot(l->prot), MAP_SHARED | MAP_FIXED, arena_fd,
                   (off_t)l->pa.v);
    must(p == (void *)l->va);
}

static void hide(struct plat_aspace *as, const struct host_leaf *l)
{
    if (as == active)
        must(mmap((void *)l->va, l->size, PROT_NONE,
                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0) != MAP_FAILED);
}

static struct host_leaf *find_exact(struct plat_aspace *as, uintptr_t va)
{
    struct host_leaf *l;

    HASH_FIND(hh, as->leaves, &va, sizeof va, l);
    return l;
}

static struct host_leaf *find(struct plat_aspace *as, uintptr_t va)
{
    struct host_leaf *l = find_exact(as, va & PAGE_MASK);

    if (!l) {
        l = find_exact(as, va & LARGE_MASK);
        if (l && l->size != LARGE_SIZE)
            l = NULL;
    }
    return l;
}

static struct host_leaf *add(struct plat_aspace *as, uintptr_t va, paddr_t pa, uint32_t size,
                             unsigned prot)
{
    struct host_leaf *l = calloc(1, sizeof *l);

    must(l);
    l->va = va;
    l->pa = pa;
    l->size = size;
    l->prot = prot;
    HASH_ADD(hh, as->leaves, va, sizeof l->va, l);
    show(as, l);
    return l;
}

static void drop(struct plat_aspace *as, struct host_leaf *l)
{
    hide(as, l);
    HASH_DEL(as->leaves, l);
    free(l);
}

/* Replace the large leaf that holds va by small ones. */
static void split_at(struct plat_aspace *as, uintptr_t va)
{
    struct host_leaf *l = find_exact(as, va & LARGE_MASK);

    if (!l || l->size != LARGE_SIZE || !(va & ~LARGE_MASK))
        return;
    struct host_leaf old = *l;
    drop(as, l);
    for (size_t off = 0; off < LARGE_SIZE; off += PAGE_SIZE)
        add(as, old.va + off, PADDR(old.pa.v + off), PAGE_SIZE, old.prot);
}

int plat_aspace_init(struct plat_aspace *as)
{
    as->leaves = NULL;
    return 0;
}

void plat_aspace_fini(struct plat_aspace *as)
{
    must(!as->leaves);
    if (active == as)
        active = NULL;
}

void plat_aspace_activate(struct plat_aspace *as)
{
    struct host_leaf *l, *tmp;

    if (as == active)
        return;
    if (active)
        HASH_ITER(hh, active->leaves, l, tmp)
    hide(active, l);
    active = as;
    if (as)
        HASH_ITER(hh, as->leaves, l, tmp)
    show(as, l);
}

struct plat_aspace *host_active(void)
{
    return active;
}

void plat_mmu_query(struct plat_aspace *as, uintptr_t va, struct plat_leaf *ret)
{
    struct host_leaf *l = find(as, va);

    memset(ret, 0, sizeof *ret);
    ret->size = PAGE_SIZE;
    if (!l)
        return;
    *ret = (struct plat_leaf){ .pa = l->pa,
                               .size = l->size,
                               .prot = (uint8_t)l->prot,
                               .present = true,
                               .accessed = true,
                               .dirty = l->prot & PLAT_WRITE };
}

int plat_mmu_map(struct plat_aspace *as, uintptr_t va, paddr_t *pages, size_t n, unsigned prot,
                 bool replace)
{
    int left_alone = 0;
    struct host_leaf *large = find(as, va);

    if (large && large->size == LARGE_SIZE)
        return -EEXIST;
    for (size_t i = 0; i < n; i++, va += PAGE_SIZE) {
        struct host_leaf *l = find(as, va);

        if (!pages[i].v)
            continue;
        if (l && !replace) {
            pages[i].v |= 1;
            left_alone++;
            continue;
        }
        if (l)
            drop(as, l);
        add(as, va, pages[i], PAGE_SIZE, prot);
    }
    return left_alone;
}

int plat_mmu_map_large(struct plat_aspace *as, uintptr_t va, paddr_t pa, unsigned prot)
{
    for (uintptr_t p = va; p < va + LARGE_SIZE; p += PAGE_SIZE)
        if (find(as, p))
            return -EEXIST;
    add(as, va, pa, LARGE_SIZE, prot);
    return 0;
}

static int by_address(const void *a, const void *b)
{
    uintptr_t x = (*(struct host_leaf *const *)a)->va, y = (*(struct host_leaf *const *)b)->va;

    return x < y ? -1 : x > y;
}

/* The leaves in [va, end) in order, as an array to free. */
static struct host_leaf **collect(struct plat_aspace *as, uintptr_t va, uintptr_t end,
                                  size_t *ret_n)
{
    struct host_leaf **list = calloc(HASH_COUNT(as->leaves) + 1, sizeof *list), *l, *tmp;
    size_t n = 0;

    must(list);
    HASH_ITER(hh, as->leaves, l, tmp)
    if (l->va >= va && l->va < end)
        list[n++] = l;
    qsort(list, n, sizeof *list, by_address);
    *ret_n = n;
    return list;
}

int plat_mmu_unmap(struct plat_aspace *as, uintptr_t *va, uintptr_t end, struct plat_leaf *out,
                   size_t max)
{
    size_t n, taken = 0;

    split_at(as, *va);
    split_at(as, end);
    struct host_leaf **list = collect(as, *va, end, &n);
    for (; taken < n && taken < max; taken++) {
        *va = list[taken]->va + list[taken]->size;
        plat_mmu_query(as, list[taken]->va, &out[taken]);
        drop(as, list[taken]);
    }
    if (taken == n)
        *va = end;
    free(list);
    return (int)taken;
}

int plat_mmu_protect(struct plat_aspace *as, uintptr_t va, uintptr_t end, unsigned prot,
                     bool may_write)
{
    size_t n;

    split_at(as, va);
    split_at(as, end);
    struct host_leaf **list = collect(as, va, end, &n);
    for (size_t i = 0; i < n; i++) {
        unsigned write = may_write ? PLAT_WRITE : list[i]->prot & PLAT_WRITE;
        list[i]->prot = (prot & ~PLAT_WRITE) | (prot & write) | (list[i]->prot & PLAT_SPECIAL);
        show(as, list[i]);
    }
    free(list);
    return 0;
}

void plat_mmu_clean(struct plat_aspace *as, uintptr_t va, uintptr_t end, bool accessed, bool dirty)
{
    (void)as, (void)va, (void)end, (void)accessed,
        (void)dirty; /* marks are pessimistic, see above */
}

int plat_mmu_move(struct plat_aspace *as, uintptr_t from, uintptr_t to, size_t size)
{
    size_t n;

    split_at(as, from);
    split_at(as, from + size);
    struct host_leaf **list = collect(as, from, from + size, &n);
    for (size_t i = 0; i < n; i++) {
        struct host_leaf old = *list[i];
        drop(as, list[i]);
        for (uint32_t off = 0; off < old.size; off += PAGE_SIZE)
            add(as, old.va - from + to + off, PADDR(old.pa.v + off), PAGE_SIZE, old.prot);
    }
    free(list);
    return 0;
}
