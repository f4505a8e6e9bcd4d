/* SPDX-License-Identifier: MIT */
/* User page tables: four levels, leaves of 4 KiB and 2 MiB.
 *
 * An entry that points to a table keeps the number of used entries of that table in its bits 52 to 61, which the CPU
 * ignores, so that a table is freed when its last entry goes. Entries of a page table (level 1) and its count are
 * covered by the caller's lock on the 2 MiB range; the levels above are changed under the address space's lock, by
 * whoever adds or removes a table. A table just emptied is all zero again and is kept for the next need.
 *
 * Walks take no lock. A page table stays while its range's lock is held; a table above that is given back only after
 * every CPU has answered a shoot-down, which none does in the middle of a walk: between find_pde and the last use of
 * what it returned there is no plat_relax unless the entry was in use, which keeps the tables above it.
 *
 * Other CPUs set the accessed and dirty marks of a leaf until it is out of the table and flushed, so a leaf is taken and
 * changed by atomic exchanges. Translations are flushed before a page or table is given back, here and on the CPUs that
 * run the address space (as->cpus): by page for a few, by reloading CR3 for many; INVLPG drops the CPU's cached upper
 * levels too. User pages are not global, and an address space that is not loaded has no translations: loading CR3 drops
 * them.
 * Spec: Intel SDM volume 3, chapter 4; 4.10.4 for what must be flushed when. */
#include <abi/errno.h>
#include <base/log.h>
#include <plat/cpu.h>
#include <plat/mem.h>
#include <plat/mmu.h>
#include <plat/upcall.h>
#include <stdatomic.h>

#include "boot/boot.h"
#include "x86_64/kmap.h"
#include "x86_64/pagetable.h"

enum { FLUSH_PAGES = TLB_PAGES };

#define LEAF_RIGHTS (PTE_P | PTE_U | PTE_W | PTE_NX)

/* Pages to flush: up to FLUSH_PAGES single ones, else all. */
struct flush {
    struct plat_aspace *as;
    unsigned n;
    uintptr_t va[FLUSH_PAGES];
};

static void flush_begin(struct flush *f, struct plat_aspace *as)
{
    f->as = as;
    f->n = 0;
}

static ALWAYS_INLINE void flush_add(struct flush *f, uintptr_t va)
{
    if (f->n < FLUSH_PAGES)
        f->va[f->n] = va;
    f->n++;
}

/* The entries have been changed. */
static void flush_cpus(struct flush *f, uint64_t cpus)
{
    if (x86_this_cpu()->aspace != f->as)
        ;
    else if (f->n <= FLUSH_PAGES)
        for (unsigned i = 0; i < f->n; i++)
            x86_invlpg(f->va[i]);
    else
        x86_set_cr3(x86_cr3());
    if (UNLIKELY(cpus & ~(1ull << plat_cpu_id())))
        x86_tlb_shoot(cpus, f->as, f->va, f->n);
    f->n = 0;
}

static void flush_run(struct flush *f)
{
    if (!f->n)
        return;
    /* A CPU that loads the address space from here on sees the changed entries; pairs with plat_aspace_activate. */
    if (plat_cpu_count() > 1)
        atomic_thread_fence(memory_order_seq_cst);
    flush_cpus(f, atomic_load_explicit(&f->as->cpus, memory_order_relaxed));
}

uint64_t *mmu_table_alloc(bool reserve)
{
    struct x86_cpu *c = x86_this_cpu();
    paddr_t pa;

    if (c->spare_count)
        return c->spare_tables[--c->spare_count];
    pa = upcall_page_alloc();
    if (!pa.v && reserve)
        pa = upcall_page_alloc_reserve();
    return pa.v ? plat_phys_to_virt(pa) : NULL;
}

void mmu_table_free(uint64_t *t)
{
    struct x86_cpu *c = x86_this_cpu();

    if (c->spare_count < ARRAY_SIZE(c->spare_tables))
        c->spare_tables[c->spare_count++] = t;
    else
        upcall_page_free(plat_virt_to_phys(t));
}

static unsigned index_at(uintptr_t va, unsigned level)
{
    return va >> (12 + 9 * (level - 1)) & 511;
}

static uint64_t *find_pde(struct plat_aspace *as, uintptr_t va, uintptr_t *next)
{
    uint64_t *t = plat_phys_to_virt(as->root);

    for (unsigned level = 4; level > 2; level--) {
        uint64_t e = t[index_at(va, level)];
        if (!e) {
            uintptr_t span = 1ull << (12 + 9 * (level - 1));
            *next = (va & ~(span - 1)) + span;
            return NULL;
        }
        t = pte_table(e);
    }
    return &t[index_at(va, 2)];
}

/* The entry in *slot, a table of which is wanted: there already, or new. The count of the table that slot lies in is
 * in *parent. */
static uint64_t *table_get(uint64_t *slot, uint64_t *parent)
{
    uint64_t *t;

    if (*slot)
        return pte_table(*slot);
    t = mmu_table_alloc(false);
    if (!t)
        return NULL;
    *slot = plat_virt_to_phys(t).v | x86_facts.enc_mask | PTE_P | PTE_W | PTE_U | PTE_A;
    if (parent)
        *parent += COUNT_ONE;
    return t;
}

/* Remove the tables on the way to va that are empty, from the lowest up. Lock held. */
static void tables_trim(struct plat_aspace *as, uintptr_t va)
{
    uint64_t *slot[5], *t = plat_phys_to_virt(as->root);
    struct flush f;
    uint64_t *empty[3];
    unsigned n = 0;
    bool walked = false; /* a table goes that others may be walking through */

    for (unsigned level = 4; level > 1; level--) {
        slot[level] = &t[index_at(va, level)];
        if (!*slot[level] || *slot[level] & PTE_LARGE) {
            for (unsigned i = 2; i <= level; i++)
                slot[i] = NULL;
            break;
        }
        t = pte_table(*slot[level]);
    }
    for (unsigned level = 2; level <= 4; level++) {
        if (!slot[level])
            continue;
        if (*slot[level] & COUNT_MASK)
            break;
        empty[n++] = pte_table(*slot[level]);
        walked |= level > 2;
        *slot[level] = 0;
        if (level < 4)
            *slot[level + 1] -= COUNT_ONE;
    }
    if (!n)
        return;
    flush_begin(&f, as);
    flush_add(&f, va);
    if (walked)
        flush_cpus(&f, x86_online);
    else
        flush_run(&f);
    while (n)
        mmu_table_free(empty[--n]);
}

static uint64_t *make_pde(struct plat_aspace *as, uintptr_t va, uint64_t **ret_upper)
{
    uint64_t *root = plat_phys_to_virt(as->root);
    uint64_t *pml4e = &root[index_at(va, 4)], *pdpt = table_get(pml4e, NULL);
    uint64_t *pdpte, *pd;

    if (!pdpt)
        return NULL;
    pdpte = &pdpt[index_at(va, 3)];
    pd = table_get(pdpte, pml4e);
    if (!pd)
        return NULL;
    *ret_upper = pdpte;
    return &pd[index_at(va, 2)];
}

uint64_t *mmu_find_pde(struct plat_aspace *as, uintptr_t va, uintptr_t *next)
{
    return find_pde(as, va, next);
}

uint64_t *mmu_make_pde(struct plat_aspace *as, uintptr_t va, uint64_t **ret_upper)
{
    uint64_t *pde = make_pde(as, va, ret_upper);

    if (!pde)
        tables_trim(as, va);
    return pde;
}

void mmu_flush_one(struct plat_aspace *as, uintptr_t va)
{
    struct flush f;

    flush_begin(&f, as);
    flush_add(&f, va);
    flush_run(&f);
}

void plat_mmu_flush(struct plat_aspace *as)
{
    struct flush f;

    flush_begin(&f, as);
    f.n = FLUSH_PAGES + 1;
    flush_run(&f);
}

static uint64_t leaf_bits(unsigned prot)
{
    uint64_t bits = x86_facts.enc_mask;

    if (prot & (PLAT_READ | PLAT_WRITE | PLAT_EXEC))
        bits |= PTE_P | PTE_U;
    if (prot & PLAT_WRITE)
        bits |= PTE_W;
    if (!(prot & PLAT_EXEC))
        bits |= PTE_NX;
    if (prot & PLAT_SPECIAL)
        bits |= PTE_SPECIAL;
    return bits | PTE_USED;
}

_Static_assert(PLAT_READ == 1 && PLAT_WRITE == PTE_W && PLAT_EXEC == PTE_U && PLAT_SPECIAL == 8 &&
                   PLAT_SHARED == 16 &&
                   offsetof(struct plat_leaf, prot) == offsetof(struct plat_leaf, size) + 4 &&
                   offsetof(struct plat_leaf, present) == offsetof(struct plat_leaf, size) + 5 &&
                   offsetof(struct plat_leaf, accessed) == offsetof(struct plat_leaf, size) + 6 &&
                   offsetof(struct plat_leaf, dirty) == offsetof(struct plat_leaf, size) + 7,
               "leaf_put writes size to dirty in one word");

/* What an entry says beside its address, as the second word of a leaf. */
static uint64_t leaf_word(uint64_t e, uint32_t size)
{
    uint64_t prot = (e >> 2 & PLAT_READ) | (e & PLAT_WRITE) | (~e >> 61 & e & PLAT_EXEC) |
                    (e >> 6 & PLAT_SPECIAL) | (e >> 7 & PLAT_SHARED);

    return size | prot << 32 | 1ull << 40 | (e & PTE_A) << 43 | (e & PTE_D) << 50;
}

static ALWAYS_INLINE void leaf_put(struct plat_leaf *ret, uint64_t pa, uint64_t word)
{
    ret->pa = PADDR(pa);
    __builtin_memcpy(&ret->size, &word, sizeof(word));
}

static void leaf_of(uint64_t e, uint32_t size, struct plat_leaf *ret)
{
    leaf_put(ret, e & pte_addresses() & ~(uint64_t)(size - 1), leaf_word(e, size));
}

int plat_aspace_init(struct plat_aspace *as)
{
    uint64_t *root = mmu_table_alloc(false);

    if (!root)
        return -ENOMEM;
    x86_copy(root + 256, kmap_root() + 256, PAGE_SIZE / 2);
    *as = (struct plat_aspace){ .root = plat_virt_to_phys(root) };
    return 0;
}

/* The first entry of t that is not 0, from i on; end if there is none. Most tables are nearly empty: eight at a time. */
static unsigned next_used(const uint64_t *t, unsigned i, unsigned end)
{
    for (; i < end; i = (i | 7) + 1) {
        const uint64_t *p = t + (i & ~7u);
        if (!(p[0] | p[1] | p[2] | p[3] | p[4] | p[5] | p[6] | p[7]))
            continue;
        for (const uint64_t *e = t + i; e < p + 8; e++)
            if (*e)
                return (unsigned)(e - t);
    }
    return end;
}

void plat_aspace_fini(struct plat_aspace *as)
{
    uint64_t *root = plat_phys_to_virt(as->root);

    if (x86_this_cpu()->aspace == as)
        plat_aspace_activate(NULL);
    /* Tables whose making failed half-way may be left, empty; every leaf is gone. */
    for (unsigned i = 0; (i = next_used(root, i, 256)) < 256; i++) {
        uint64_t *pdpt = pte_table(root[i]);
        for (unsigned j = 0; root[i] & COUNT_MASK && (j = next_used(pdpt, j, 512)) < 512; j++) {
            uint64_t *pd = pte_table(pdpt[j]);
            for (unsigned k = 0; pdpt[j] & COUNT_MASK && (k = next_used(pd, k, 512)) < 512; k++)
                if (!(pd[k] & PTE_LARGE))
                    upcall_page_free(PADDR(pd[k] & pte_addresses()));
            upcall_page_free(PADDR(pdpt[j] & pte_addresses()));
        }
        upcall_page_free(PADDR(root[i] & pte_addresses()));
    }
    upcall_page_free(as->root);
    as->root = PADDR(0);
}

void plat_aspace_activate(struct plat_aspace *as)
{
    struct x86_cpu *c = x86_this_cpu();
    struct plat_aspace *old = c->aspace;

    if (old == as)
        return;
    /* In before the first walk, out after the last. */
    if (as)
        atomic_fetch_or(&as->cpus, 1ull << c->p.cpu);
    c->aspace = as;
    x86_set_cr3((as ? as->root.v : kmap_root_phys()) | x86_facts.enc_mask);
    if (old)
        atomic_fetch_and_explicit(&old->cpus, ~(1ull << c->p.cpu), memory_order_release);
}

void plat_mmu_query(struct plat_aspace *as, uintptr_t va, struct plat_leaf *ret)
{
    uintptr_t next;
    uint64_t *pde = find_pde(as, va, &next), pte;

    ret->present = false;
    ret->size = pde ? LARGE_SIZE : 1u << 30; /* the nearest table is missing at level 2, or above */
    if (!pde || !*pde)
        return;
    ret->size = PAGE_SIZE;
    if (*pde & PTE_LARGE) {
        leaf_of(*pde, LARGE_SIZE, ret);
        return;
    }
    pte = pte_table(*pde)[index_at(va, 1)];
    if (!pte)
        return;
    leaf_of(pte, PAGE_SIZE, ret);
    if (*pde & PTE_SHARED)
        ret->prot = (ret->prot & ~PLAT_WRITE) | PLAT_SHARED;
}

/* The level-2 entry for va, and under it a page table of this address space alone. */
static int get_table(struct plat_aspace *as, uintptr_t va, uint64_t **ret_pde)
{
    uintptr_t next;
    uint64_t *pde = find_pde(as, va, &next), *upper = NULL, *pt;

    if (LIKELY(pde && *pde)) {
        if (*pde & PTE_LARGE)
            return -EEXIST;
        *ret_pde = pde;
        return UNLIKELY(*pde & PTE_SHARED) ? mmu_own(as, pde, va, false) : 0;
    }
    mmu_lock(as);
    pde = make_pde(as, va, &upper);
    pt = pde ? table_get(pde, upper) : NULL;
    if (!pt)
        tables_trim(as, va);
    mmu_unlock(as);
    if (!pt)
        return -ENOMEM;
    *ret_pde = pde;
    return 0;
}

int plat_mmu_map(struct plat_aspace *as, uintptr_t va, paddr_t *pages, size_t n, unsigned prot,
                 bool replace)
{
    uint64_t *pde, *pte, bits = leaf_bits(prot), added = 0;
    struct flush f;
    int err = get_table(as, va, &pde), kept = 0;

    if (err)
        return err;
    flush_begin(&f, as);
    pte = &pte_table(*pde)[index_at(va, 1)];
    for (size_t i = 0; i < n; i++, va += PAGE_SIZE) {
        if (!pages[i].v)
            continue;
        if (pte[i]) {
            if (!replace) {
                pages[i].v |= 1;
                kept++;
                continue;
            }
            flush_add(&f, va);
        } else {
            added++;
        }
        pte[i] = pages[i].v | bits;
    }
    *pde += added * COUNT_ONE;
    if (f.n)
        flush_run(&f);
    return kept;
}

int plat_mmu_map_large(struct plat_aspace *as, uintptr_t va, paddr_t pa, unsigned prot)
{
    uint64_t *pde, *upper;
    int err = 0;

    mmu_lock(as);
    pde = make_pde(as, va, &upper);
    if (!pde) {
        tables_trim(as, va);
        err = -ENOMEM;
    } else if (*pde) {
        err = -EEXIST;
    } else {
        *pde = pa.v | leaf_bits(prot) | PTE_LARGE;
        *upper += COUNT_ONE;
    }
    mmu_unlock(as);
    return err;
}

/* The pages of a large leaf get a leaf each. */
static void pages_get(uint64_t pa)
{
    paddr_t pages[64];

    for (unsigned i = 0; i < 512; i += 64) {
        for (unsigned k = 0; k < 64; k++)
            pages[k] = PADDR(pa + (i + k) * PAGE_SIZE);
        (void)upcall_leaves_get(pages, 64); /* none of these leaves is writable */
    }
}

int mmu_split(struct plat_aspace *as, uint64_t *pde, uintptr_t va, bool reserve)
{
    uint64_t *pt = mmu_table_alloc(reserve), e = *pde, large = e & pte_addresses(), table;

    if (!pt)
        return -ENOMEM;
    if (e & PTE_SHARED)
        pages_get(large);
    table = plat_virt_to_phys(pt).v | x86_facts.enc_mask | PTE_P | PTE_W | PTE_U | PTE_A |
            512 * COUNT_ONE;
    do { /* again if another CPU has set a mark meanwhile */
        for (unsigned i = 0; i < 512; i++)
            pt[i] = (e & ~(PTE_LARGE | PTE_SHARED | PTE_WAS_W)) + (uint64_t)i * PAGE_SIZE;
    } while (
        !__atomic_compare_exchange_n(pde, &e, table, false, __ATOMIC_RELEASE, __ATOMIC_RELAXED));
    mmu_flush_one(as, va);
    if (e & PTE_SHARED)
        upcall_large_put(PADDR(large));
    return 0;
}

/* Take a large leaf out, to be flushed. */
static void take_large(struct plat_aspace *as, uint64_t *pde, uintptr_t va, struct plat_leaf *out,
                       struct flush *f)
{
    uintptr_t base = va & LARGE_MASK;
    uint64_t *pdpt, *root = plat_phys_to_virt(as->root);

    mmu_lock(as);
    leaf_of(__atomic_exchange_n(pde, 0, __ATOMIC_RELAXED), LARGE_SIZE, out);
    pdpt = pte_table(root[index_at(va, 4)]);
    pdpt[index_at(va, 3)] -= COUNT_ONE;
    flush_add(f, base);
    tables_trim(as, base);
    mmu_unlock(as);
}

/* Take up to max leaves out of the page table under pde, from *va to end (in the same 2 MiB), to be flushed. The table goes with
 * the last of them: tables_trim drops what CPUs know of it. */
static size_t take_pages(struct plat_aspace *as, uint64_t *pde, uintptr_t *va, uintptr_t end,
                         struct plat_leaf *out, size_t max, struct flush *f)
{
    uint64_t *pte = &pte_table(*pde)[index_at(*va, 1)], e, address = pte_addresses();
    uint64_t marks = ~0ull, word = 0; /* of the last leaf: most are like the one before */
    size_t n = 0, used = (*pde & COUNT_MASK) >> COUNT_SHIFT;
    uintptr_t p = *va;

    if (max > used)
        max = used;
    for (; p < end && n < max; p += PAGE_SIZE, pte++) {
        if (!*pte) {
            for (; end - p > 4 * PAGE_SIZE && !(pte[1] | pte[2] | pte[3] | pte[4]); pte += 4)
                p += 4 * PAGE_SIZE; /* most of a table is empty */
            continue;
        }
        e = __atomic_exchange_n(pte, 0, __ATOMIC_RELAXED); /* with all marks that were set */
        if (UNLIKELY((e & ~address) != marks)) {
            marks = e & ~address;
            word = leaf_word(e, PAGE_SIZE);
        }
        leaf_put(&out[n], e & address, word);
        flush_add(f, p);
        n++;
    }
    *va = n == used ? end : p; /* nothing is left in this table */
    if (n) {
        *pde -= n * COUNT_ONE;
        if (n == used) {
            mmu_lock(as);
            tables_trim(as, p - PAGE_SIZE);
            mmu_unlock(as);
        }
    }
    return n;
}

int plat_mmu_unmap(struct plat_aspace *as, uintptr_t *va, uintptr_t end, struct plat_leaf *out,
                   size_t max)
{
    size_t n = 0;
    struct flush f;
    bool lack = false; /* of memory for a table */

    flush_begin(&f, as);
    while (*va < end && n < max && !lack) {
        uintptr_t next = (*va & LARGE_MASK) + LARGE_SIZE, stop = next < end ? next : end;
        uint64_t *pde = find_pde(as, *va, &next);

        if (!pde || !*pde) {
            *va = next < end ? next : end;
            continue;
        }
        if (*pde & PTE_LARGE) {
            if ((*va & ~LARGE_MASK) == 0 && stop - *va == LARGE_SIZE) {
                take_large(as, pde, *va, &out[n++], &f);
                *va = stop;
                continue;
            }
            lack = mmu_split(as, pde, *va, true) != 0;
        } else if (UNLIKELY(*pde & PTE_SHARED)) {
            lack = mmu_own(as, pde, *va, true) != 0;
        }
        if (!lack)
            n += take_pages(as, pde, va, stop, out + n, max - n, &f);
    }
    /* Once for all that was taken: the caller has not got it yet. */
    flush_run(&f);
    return lack && !n ? -ENOMEM : (int)n;
}

/* What a leaf becomes. */
static uint64_t protected(uint64_t e, uint64_t bits, bool may_write)
{
    bits &= LEAF_RIGHTS;
    if (!(e & PTE_W) && !may_write)
        bits &= ~PTE_W;
    return (e & ~LEAF_RIGHTS) | bits;
}

/* Change a leaf; true: a right was taken, so the old translation must go. */
static bool protect_leaf(uint64_t *leaf, uint64_t bits, bool may_write)
{
    uint64_t e = *leaf, new;

    do
        new = protected(e, bits, may_write);
    while (!__atomic_compare_exchange_n(leaf, &e, new, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
    return e & PTE_P && ((e & ~new &(PTE_P | PTE_W)) || (new & ~e &PTE_NX));
}

int plat_mmu_protect(struct plat_aspace *as, uintptr_t va, uintptr_t end, unsigned prot,
                     bool may_write)
{
    uint64_t bits = leaf_bits(prot);
    struct flush f;

    flush_begin(&f, as);
    while (va < end) {
        uintptr_t next = (va & LARGE_MASK) + LARGE_SIZE, stop = next < end ? next : end;
        uint64_t *pde = find_pde(as, va, &next), *pt;

        if (!pde || !*pde) {
            va = next;
            continue;
        }
        if (*pde & PTE_LARGE) {
            if ((va & ~LARGE_MASK) == 0 && stop - va == LARGE_SIZE) {
                if (!(bits & PTE_W))
                    __atomic_fetch_and(pde, ~PTE_WAS_W, __ATOMIC_RELAXED);
                if (protect_leaf(pde, bits, may_write && !(*pde & PTE_SHARED)))
                    flush_add(&f, va);
                va = stop;
                continue;
            }
            if (mmu_split(as, pde, va, false) != 0) {
                flush_run(&f);
                return -ENOMEM;
            }
        } else if (UNLIKELY(*pde & PTE_SHARED) && mmu_own(as, pde, va, false) != 0) {
            flush_run(&f);
            return -ENOMEM;
        }
        pt = pte_table(*pde);
        for (; va < stop; va += PAGE_SIZE) {
            uint64_t *pte = &pt[index_at(va, 1)];
            if (*pte && protect_leaf(pte, bits, may_write))
                flush_add(&f, va);
        }
    }
    flush_run(&f);
    return 0;
}

void plat_mmu_clean(struct plat_aspace *as, uintptr_t va, uintptr_t end, bool accessed, bool dirty)
{
    uint64_t marks = (accessed ? PTE_A : 0) | (dirty ? PTE_D : 0);
    struct flush f;

    flush_begin(&f, as);
    while (va < end) {
        uintptr_t next = (va & LARGE_MASK) + LARGE_SIZE, stop = next < end ? next : end;
        uint64_t *pde = find_pde(as, va, &next), *pt;

        if (!pde || !*pde) {
            va = next;
            continue;
        }
        if (*pde & PTE_LARGE) {
            if (*pde & marks) {
                __atomic_fetch_and(pde, ~marks, __ATOMIC_RELAXED);
                flush_add(&f, va);
            }
            va = stop;
            continue;
        }
        pt = pte_table(*pde);
        for (; va < stop; va += PAGE_SIZE) {
            uint64_t *pte = &pt[index_at(va, 1)];
            if (*pte & marks) {
                __atomic_fetch_and(pte, ~marks, __ATOMIC_RELAXED);
                flush_add(&f, va);
            }
        }
    }
    flush_run(&f);
}

/* Bytes from va (source at from, destination at to) that lie in one 2 MiB range on both sides. */
static size_t move_chunk(uintptr_t from, uintptr_t to, size_t left)
{
    size_t a = LARGE_SIZE - (from & ~LARGE_MASK), b = LARGE_SIZE - (to & ~LARGE_MASK);
    size_t n = a < b ? a : b;

    return n < left ? n : left;
}

/* Make what the destination of one chunk needs. */
static int move_prepare(struct plat_aspace *as, uintptr_t from, uintptr_t to, size_t n)
{
    uintptr_t next;
    uint64_t *pde = find_pde(as, from, &next), *upper;

    if (!pde || !*pde)
        return 0;
    if (*pde & PTE_LARGE) {
        if (n == LARGE_SIZE) {
            mmu_lock(as);
            pde = make_pde(as, to, &upper);
            mmu_unlock(as);
            return pde ? 0 : -ENOMEM;
        }
        if (mmu_split(as, pde, from, false) != 0)
            return -ENOMEM;
    } else if (*pde & PTE_SHARED && mmu_own(as, pde, from, false) != 0) {
        return -ENOMEM;
    }
    return get_table(as, to, &pde);
}

static void move_leaves(struct plat_aspace *as, uintptr_t from, uintptr_t to, size_t n,
                        struct flush *f)
{
    uintptr_t next;
    uint64_t *src = find_pde(as, from, &next), *dst, *spt, *dpt, moved = 0, *upper;

    if (!src || !*src)
        return;
    if (*src & PTE_LARGE) {
        mmu_lock(as);
        dst = make_pde(as, to, &upper);
        must(dst && !*dst);
        *dst = __atomic_exchange_n(src, 0, __ATOMIC_RELAXED);
        *upper += COUNT_ONE;
        make_pde(as, from, &upper);
        *upper -= COUNT_ONE;
        mmu_unlock(as);
        flush_add(f, from);
        return;
    }
    dst = find_pde(as, to, &next);
    must(dst && *dst && !(*dst & PTE_LARGE));
    spt = pte_table(*src);
    dpt = pte_table(*dst);
    for (size_t i = 0; i < n; i += PAGE_SIZE) {
        uint64_t *s = &spt[index_at(from + i, 1)], *d = &dpt[index_at(to + i, 1)];
        if (!*s)
            continue;
        must(!*d);
        *d = __atomic_exchange_n(s, 0, __ATOMIC_RELAXED);
        moved += COUNT_ONE;
        flush_add(f, from + i);
    }
    *dst += moved;
    *src -= moved;
}

int plat_mmu_move(struct plat_aspace *as, uintptr_t from, uintptr_t to, size_t size)
{
    struct flush f;
    size_t done, n;
    int err = 0;

    for (done = 0; done < size && !err; done += n) {
        n = move_chunk(from + done, to + done, size - done);
        err = move_prepare(as, from + done, to + done, n);
    }
    flush_begin(&f, as);
    if (!err)
        for (done = 0; done < size; done += n) {
            n = move_chunk(from + done, to + done, size - done);
            move_leaves(as, from + done, to + done, n, &f);
        }
    flush_run(&f);
    mmu_lock(as);
    for (done = 0; done < size; done += n) {
        n = move_chunk(from + done, to + done, size - done);
        tables_trim(as, from + done);
        tables_trim(as, to + done);
    }
    mmu_unlock(as);
    return err;
}
