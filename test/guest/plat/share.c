/* SPDX-License-Identifier: MIT */
/* Page tables that two address spaces share, as after a fork: who may write, who gets a copy when, and that each page's
 * users are counted right to the end. */
#include "plat_test.h"

#include <abi/errno.h>
#include <plat/mem.h>
#include <plat/upcall.h>
#include <plat/user.h>
#include <string.h>

enum { USERS = 1024 };

/* How many users a page or table has, beyond the first. */
static struct {
    uint64_t pa;
    int more;
} users[USERS];
static int large_users;
static paddr_t never_cow; /* a page that is not copied on write, as a file's */

static int *more(paddr_t pa)
{
    unsigned i = (unsigned)(pa.v >> PAGE_SHIFT) % USERS;

    while (users[i].pa && users[i].pa != pa.v)
        i = (i + 1) % USERS;
    users[i].pa = pa.v;
    return &users[i].more;
}

void upcall_table_get(paddr_t pa)
{
    ++*more(pa);
}

bool upcall_table_shared(paddr_t pa)
{
    return *more(pa) > 0;
}

bool upcall_table_put(paddr_t pa)
{
    int *n = more(pa);

    return *n > 0 ? --*n, true : false;
}

uint64_t upcall_leaves_get(const paddr_t *pages, size_t n)
{
    uint64_t cow = 0;

    for (size_t i = 0; i < n; i++) {
        ++*more(pages[i]);
        if (pages[i].v != never_cow.v)
            cow |= 1ull << i;
    }
    return cow;
}

void upcall_leaves_put(const paddr_t *pages, size_t n)
{
    for (size_t i = 0; i < n; i++)
        --*more(pages[i]);
}

void upcall_large_get(paddr_t pa)
{
    (void)pa;
    large_users++;
}

bool upcall_large_shared(paddr_t pa)
{
    return large_users > 1 || *more(pa) > 0;
}

void upcall_large_put(paddr_t pa)
{
    (void)pa;
    large_users--;
}

#define RW (PLAT_READ | PLAT_WRITE)

static const uintptr_t va = 0x7f0000000000, large_va = 0x7f0000200000, end = 0x7f0000400000;

static unsigned prot_at(struct plat_aspace *as, uintptr_t at)
{
    struct plat_leaf leaf;

    plat_mmu_query(as, at, &leaf);
    return leaf.present ? leaf.prot : 0;
}

static unsigned unmap_all(struct plat_aspace *as, bool drop)
{
    struct plat_leaf out[16];
    unsigned got = 0;
    int n;

    for (uintptr_t at = va; (n = plat_mmu_unmap(as, &at, end, out, 16)) > 0 || at < end;)
        for (int i = 0; i < n; i++, got++)
            if (drop && out[i].size == PAGE_SIZE)
                --*more(out[i].pa);
    return got;
}

/* Parent test_as with a page of each kind and child share a table; the parent changes it first, then the child. */
static void test_tables(paddr_t *page)
{
    struct plat_aspace child;
    uint64_t value = 7;

    never_cow = page[1];
    CHECK(plat_mmu_map(&test_as, va, page, 2, RW, false) == 0);
    CHECK(plat_mmu_map(&test_as, va + 2 * PAGE_SIZE, &page[2], 1, RW | PLAT_SPECIAL, false) == 0);
    CHECK(plat_user_write(va, &value, 8) == 0); /* the translation is cached */
    CHECK(plat_aspace_init(&child) == 0);
    CHECK(plat_mmu_share(&test_as, &child, va, end) == 0);
    CHECK(plat_mmu_share(&test_as, &child, va, end) == 0); /* again: no second user */
    plat_mmu_flush(&test_as);
    CHECK(prot_at(&test_as, va) == (PLAT_READ | PLAT_SHARED) &&
          prot_at(&child, va) == (PLAT_READ | PLAT_SHARED));
    CHECK(plat_user_write(va, &value, 8) == -EFAULT);
    CHECK(plat_user_read(&value, va, 8) == 0 && value == 7);

    CHECK(plat_mmu_own(&test_as, va) == 0);
    CHECK(prot_at(&test_as, va) == PLAT_READ && prot_at(&test_as, va + PAGE_SIZE) == RW &&
          prot_at(&test_as, va + 2 * PAGE_SIZE) == (RW | PLAT_SPECIAL));
    CHECK(*more(page[0]) == 1 && *more(page[1]) == 1 && *more(page[2]) == 0);
    CHECK(plat_mmu_map(&test_as, va, &page[3], 1, RW, true) == 0); /* its own copy */
    --*more(page[0]);
    CHECK(plat_user_write(va, &value, 8) == 0);
    CHECK(prot_at(&child, va) == (PLAT_READ | PLAT_SHARED));

    plat_aspace_activate(&child);
    CHECK(plat_user_read(&value, va, 8) == 0 && plat_user_write(va, &value, 8) == -EFAULT);
    CHECK(plat_mmu_own(&child, va) == 0); /* it is alone */
    CHECK(prot_at(&child, va) == PLAT_READ && prot_at(&child, va + PAGE_SIZE) == RW);
    CHECK(plat_user_write(va + PAGE_SIZE, &value, 8) == 0);
    plat_aspace_activate(&test_as);
    CHECK(unmap_all(&child, false) == 3);
    plat_aspace_fini(&child);
    --*more(page[1]);
    CHECK(unmap_all(&test_as, false) == 3);
}

/* Each change makes a table its own, or fails for want of a page and changes nothing; a child that ends gives it up. */
static void test_changes(paddr_t *page)
{
    struct plat_aspace child;
    uintptr_t at;
    struct plat_leaf out[4];
    uint64_t value = 1;

    for (unsigned what = 0; what < 5; what++) {
        int err = 0;
        CHECK(plat_mmu_map(&test_as, va, page, 2, RW, false) == 0);
        CHECK(plat_aspace_init(&child) == 0);
        CHECK(plat_mmu_share(&test_as, &child, va, end) == 0);
        plat_mmu_flush(&test_as);
        switch (what) {
        case 0:
            at = va;
            err = plat_mmu_unmap(&child, &at, va + PAGE_SIZE, out, 4) - 1;
            CHECK(out[0].pa.v == page[0].v && prot_at(&child, va) == 0);
            --*more(page[0]);
            break;
        case 1:
            err = plat_mmu_protect(&child, va, va + PAGE_SIZE, RW, false);
            CHECK(prot_at(&child, va) == PLAT_READ);
            break;
        case 2:
            err = plat_mmu_move(&child, va, va + 8 * PAGE_SIZE, PAGE_SIZE);
            CHECK(prot_at(&child, va) == 0 && prot_at(&child, va + 8 * PAGE_SIZE) == PLAT_READ);
            break;
        case 3:
            err = plat_mmu_map(&child, va + 3 * PAGE_SIZE, &page[3], 1, RW, false);
            break;
        case 4:
            plat_mmu_clean(&child, va, end, true, true);
            break;
        }
        CHECK(err == 0);
        CHECK(prot_at(&test_as, va) == (PLAT_READ | PLAT_SHARED));
        plat_mmu_drop(&child, va, end);
        CHECK(prot_at(&child, va + PAGE_SIZE) == 0 && unmap_all(&child, false) == 0);
        if (what == 3)
            ++*more(page[3]); /* it had one user */
        plat_aspace_fini(&child);
        CHECK(*more(page[0]) == 0 && *more(page[1]) == 0 && *more(page[3]) == 0);
        CHECK(plat_mmu_own(&test_as, va) == 0);
        /* What a copy took stays taken: libOS sees by the page's users that the parent may write. */
        CHECK(prot_at(&test_as, va) == (what == 4 ? RW : PLAT_READ));
        CHECK((plat_user_write(va, &value, 8) == 0) == (what == 4));
        CHECK(unmap_all(&test_as, false) == 2);
    }
}

static void test_no_memory(paddr_t *page)
{
    struct plat_aspace child;

    CHECK(plat_mmu_map(&test_as, va, page, 2, RW, false) == 0);
    CHECK(plat_aspace_init(&child) == 0);
    CHECK(plat_mmu_share(&test_as, &child, va, end) == 0);
    plat_mmu_flush(&test_as);
    for (unsigned refused = 0, n = 0; !refused && n < 20; n++) { /* the CPU keeps a few tables */
        fail_after = 1;
        refused = plat_mmu_own(&test_as, va) == -ENOMEM;
        fail_after = 0;
        CHECK(prot_at(&child, va) == (PLAT_READ | PLAT_SHARED));
        if (refused) {
            CHECK(prot_at(&test_as, va) == (PLAT_READ | PLAT_SHARED));
            CHECK(plat_mmu_own(&test_as, va) == 0 && *more(page[0]) == 1);
            break;
        }
        unmap_all(&test_as, true);
        CHECK(*more(page[0]) == 0);
        CHECK(plat_mmu_share(&child, &test_as, va, end) == 0);
        CHECK(n < 19);
    }
    plat_mmu_drop(&child, va, end);
    plat_aspace_fini(&child);
    unmap_all(&test_as, true);
    *more(page[0]) = *more(page[1]) = 0;
}

static void test_larges(paddr_t large)
{
    struct plat_aspace child;
    uint64_t value = 9;

    large_users = 1;
    memset(plat_phys_to_virt(large), 0, LARGE_SIZE);
    CHECK(plat_mmu_map_large(&test_as, large_va, large, RW) == 0);
    CHECK(plat_user_write(large_va, &value, 8) == 0);
    CHECK(plat_aspace_init(&child) == 0);
    CHECK(plat_mmu_share(&test_as, &child, va, end) == 0);
    plat_mmu_flush(&test_as);
    CHECK(large_users == 2 && prot_at(&test_as, large_va) == (PLAT_READ | PLAT_SHARED));
    CHECK(plat_user_write(large_va, &value, 8) == -EFAULT);

    CHECK(plat_mmu_own(&child, large_va) == 0); /* into small ones */
    CHECK(large_users == 1 && *more(large) == 1);
    CHECK(prot_at(&child, large_va + 5 * PAGE_SIZE) == PLAT_READ);
    CHECK(unmap_all(&child, true) == 512 && *more(large) == 0);
    plat_aspace_fini(&child);

    CHECK(plat_mmu_own(&test_as, large_va) == 0); /* alone again */
    CHECK(prot_at(&test_as, large_va) == RW);
    CHECK(plat_user_write(large_va, &value, 8) == 0);
    CHECK(unmap_all(&test_as, false) == 1);
}

void test_share(void)
{
    unsigned long before = pages_out;
    paddr_t page[4], large = large_page();

    for (unsigned i = 0; i < 4; i++)
        page[i] = upcall_page_alloc();
    test_tables(page);
    test_changes(page);
    test_no_memory(page);
    if (large.v) /* a machine of 6 MiB has none to spare */
        test_larges(large);
    for (unsigned i = 0; i < 4; i++)
        upcall_page_free(page[i]);
    CHECK(pages_out <= before + 4); /* the CPU's spare tables */
}
