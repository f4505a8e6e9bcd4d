/* SPDX-License-Identifier: MIT */
/* Page tables through the seam, with the count of pages as the proof that tables come and go; user copies. */
#include "plat_test.h"

#include <abi/errno.h>
#include <plat/mem.h>
#include <plat/upcall.h>
#include <plat/user.h>
#include <string.h>

enum { RW = PLAT_READ | PLAT_WRITE };

static uint64_t *word(paddr_t pa)
{
    return plat_phys_to_virt(pa);
}

static void test_map(void)
{
    const uintptr_t va = 0x550000400000;
    unsigned long before = pages_out;
    paddr_t p[3] = { upcall_page_alloc(), { 0 }, upcall_page_alloc() }, a = p[0], c = p[2];
    struct plat_leaf leaf, out[4];
    uintptr_t at = va - LARGE_SIZE;
    uint64_t value = 5;

    plat_mmu_query(&test_as, va, &leaf);
    CHECK(!leaf.present && leaf.size == 1u << 30);
    CHECK(plat_mmu_map(&test_as, va, p, 3, RW, false) == 0);
    plat_mmu_query(&test_as, va, &leaf);
    CHECK(leaf.present && leaf.pa.v == a.v && leaf.prot == RW && !leaf.accessed && !leaf.dirty);
    plat_mmu_query(&test_as, va + PAGE_SIZE, &leaf);
    CHECK(!leaf.present && leaf.size == PAGE_SIZE);
    plat_mmu_query(&test_as, va + LARGE_SIZE, &leaf);
    CHECK(!leaf.present && leaf.size == LARGE_SIZE);

    *word(a) = 7;
    CHECK(plat_user_read(&value, va, 8) == 0 && value == 7);
    plat_mmu_query(&test_as, va, &leaf);
    CHECK(leaf.accessed && !leaf.dirty);
    value = 9;
    CHECK(plat_user_write(va, &value, 8) == 0 && *word(a) == 9);
    plat_mmu_query(&test_as, va, &leaf);
    CHECK(leaf.accessed && leaf.dirty);
    plat_mmu_clean(&test_as, va, va + PAGE_SIZE, false, true);
    plat_mmu_query(&test_as, va, &leaf);
    CHECK(leaf.accessed && !leaf.dirty);
    CHECK(plat_user_write(va, &value, 8) == 0);
    plat_mmu_query(&test_as, va, &leaf);
    CHECK(leaf.dirty); /* the old translation was flushed, so the CPU marked it again */

    p[0] = p[1] = c;
    CHECK(plat_mmu_map(&test_as, va, p, 1, PLAT_READ, false) == 1 && p[0].v == (c.v | 1));
    p[0] = c;
    *word(c) = 11;
    CHECK(plat_mmu_map(&test_as, va, p, 1, PLAT_READ, true) == 0);
    CHECK(plat_user_read(&value, va, 8) == 0 && value == 11);
    CHECK(plat_user_write(va, &value, 8) == -EFAULT);

    CHECK(plat_mmu_protect(&test_as, va, va + 3 * PAGE_SIZE, RW, false) == 0);
    CHECK(plat_user_write(va, &value, 8) == -EFAULT);
    CHECK(plat_user_write(va + 2 * PAGE_SIZE, &value, 8) == 0);
    CHECK(plat_mmu_protect(&test_as, va, va + 3 * PAGE_SIZE, RW, true) == 0);
    CHECK(plat_user_write(va, &value, 8) == 0);
    CHECK(plat_mmu_protect(&test_as, va, va + PAGE_SIZE, 0, false) == 0);
    CHECK(plat_user_read(&value, va, 8) ==
          -EFAULT); /* no right at all: ring 0's copies feel it too */
    plat_mmu_query(&test_as, va, &leaf);
    CHECK(leaf.present && leaf.pa.v == c.v && leaf.prot == 0);
    CHECK(plat_mmu_protect(&test_as, va, va + PAGE_SIZE, PLAT_READ, false) == 0);
    CHECK(plat_user_read(&value, va, 8) == 0);

    CHECK(plat_mmu_unmap(&test_as, &at, va + LARGE_SIZE, out, 1) == 1 && at == va + PAGE_SIZE &&
          out[0].pa.v == c.v);
    CHECK(plat_mmu_unmap(&test_as, &at, va + LARGE_SIZE, out, 4) == 1 && at == va + LARGE_SIZE &&
          out[0].pa.v == c.v);
    CHECK(plat_user_read(&value, va, 8) == -EFAULT);
    upcall_page_free(a);
    upcall_page_free(c);
    CHECK(pages_out <= before + 3); /* the tables are the CPU's spare ones now */
}

/* 2 MiB of RAM, aligned, from the end of a region; not for anything else meanwhile. */
paddr_t large_page(void)
{
    struct plat_mem_region r;

    for (size_t i = 0; plat_mem_region(i, &r); i++) {
        uint64_t last = align_down(r.start.v + r.size, LARGE_SIZE);
        if (r.size > 4 * LARGE_SIZE)
            return PADDR(last - LARGE_SIZE);
    }
    return PADDR(0);
}

static void test_large(void)
{
    const uintptr_t va = 0x7f0000000000, to = 0x7f4000000000;
    paddr_t pa = large_page(), page = upcall_page_alloc();
    struct plat_leaf leaf, out[8];
    uintptr_t at;
    uint64_t value;
    int n = 0, r;

    if (!pa.v) {
        upcall_page_free(page);
        return; /* a machine of 6 MiB has none to spare */
    }
    memset(plat_phys_to_virt(pa), 0, LARGE_SIZE);
    CHECK(plat_mmu_map_large(&test_as, va, pa, RW) == 0);
    CHECK(plat_mmu_map_large(&test_as, va, pa, RW) == -EEXIST);
    CHECK(plat_mmu_map(&test_as, va, &page, 1, RW, false) == -EEXIST);
    value = 3;
    CHECK(plat_user_write(va + 0x123458, &value, 8) == 0 && word(pa)[0x123458 / 8] == 3);
    plat_mmu_query(&test_as, va + 5, &leaf);
    CHECK(leaf.present && leaf.size == LARGE_SIZE && leaf.pa.v == pa.v && leaf.dirty);
    CHECK(plat_mmu_move(&test_as, va, to, LARGE_SIZE) == 0);
    CHECK(plat_user_read(&value, va, 8) == -EFAULT);
    CHECK(plat_user_read(&value, to + 0x123458, 8) == 0 && value == 3);
    plat_mmu_query(&test_as, to, &leaf);
    CHECK(leaf.present && leaf.size == LARGE_SIZE);

    /* Not aligned to each other: pages go one by one. */
    CHECK(plat_mmu_move(&test_as, to + PAGE_SIZE, va + 2 * PAGE_SIZE, LARGE_SIZE - PAGE_SIZE) == 0);
    CHECK(plat_user_read(&value, va + 0x123458 + PAGE_SIZE, 8) == 0 && value == 3);
    CHECK(plat_user_read(&value, to, 8) == 0);
    CHECK(plat_user_read(&value, to + PAGE_SIZE, 8) == -EFAULT);
    CHECK(plat_mmu_protect(&test_as, va + 0x123000 + PAGE_SIZE, va + 0x124000 + PAGE_SIZE,
                           PLAT_READ, false) == 0);
    CHECK(plat_user_write(va + 0x123458 + PAGE_SIZE, &value, 8) == -EFAULT);
    CHECK(plat_user_write(va + 0x122000 + PAGE_SIZE, &value, 8) == 0);
    for (at = va; (r = plat_mmu_unmap(&test_as, &at, to + LARGE_SIZE, out, 8)) > 0;)
        n += r;
    CHECK(r == 0 && n == 512 && at == to + LARGE_SIZE);

    CHECK(plat_mmu_map_large(&test_as, va, pa, RW) == 0);
    at = va + 4 * PAGE_SIZE;
    CHECK(plat_mmu_unmap(&test_as, &at, va + 6 * PAGE_SIZE, out, 8) == 2 &&
          out[0].pa.v == pa.v + 4 * PAGE_SIZE);
    for (n = 0, at = va; (r = plat_mmu_unmap(&test_as, &at, va + LARGE_SIZE, out, 8)) > 0;)
        n += r;
    CHECK(n == 510);
    upcall_page_free(page);
}

static void test_copies(void)
{
    char text[64];
    uint32_t found;
    uint8_t bytes[64], back[64];

    for (unsigned i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)(i * 7 + 1);
    for (unsigned n = 0; n <= 40; n++) {
        memset(back, 0, sizeof(back));
        CHECK(plat_user_write(LAZY_AT + 0x3ff8 + n, bytes, n) ==
              0); /* crosses into a page that is not there yet */
        CHECK(plat_user_read(back, LAZY_AT + 0x3ff8 + n, n) == 0 && memcmp(bytes, back, n) == 0);
    }
    CHECK(plat_user_read(back, LAZY_END - 3, 8) == -EFAULT);
    CHECK(plat_user_read_part(back, LAZY_END - 3, 8) == 3);
    CHECK(plat_user_write_part(LAZY_END - 20, bytes, 40) == 20);
    CHECK(plat_user_read_part(back, LAZY_END - 20, 40) == 20 && memcmp(bytes, back, 20) == 0);
    CHECK(plat_user_read(back, 0xffff800000000000, 8) == -EFAULT);
    CHECK(plat_user_read(back, PLAT_USER_MAX - 4, 8) == -EFAULT);
    CHECK(plat_user_read(back, UINTPTR_MAX - 3, 8) == -EFAULT);
    CHECK(plat_user_write((uintptr_t)bytes, back, 8) == -EFAULT);
    CHECK(plat_user_clear(PLAT_USER_MAX - 4, 8) == -EFAULT);
    CHECK(plat_user_read_part(back, 0x800000000000, 8) == 0);
    CHECK(plat_user_clear(LAZY_AT + 0x7ffe, 6) == 0);

    CHECK(plat_user_write(LAZY_AT + 0x8ffe, "hello", 6) == 0);
    CHECK(plat_user_string(text, LAZY_AT + 0x8ffe, sizeof(text)) == 5 &&
          strcmp(text, "hello") == 0);
    CHECK(plat_user_string(text, LAZY_AT + 0x8ffe, 6) == 5);
    CHECK(plat_user_string(text, LAZY_AT + 0x8ffe, 5) == -ENAMETOOLONG);
    CHECK(plat_user_string(text, LAZY_AT + 0x8ffe, 0) == -ENAMETOOLONG);
    CHECK(plat_user_write(LAZY_END - 3, "abc", 3) == 0);
    CHECK(plat_user_string(text, LAZY_END - 3, sizeof(text)) == -EFAULT);
    CHECK(plat_user_string(text, 0xffffffff80100000, sizeof(text)) == -EFAULT);

    CHECK(plat_user_cmpxchg32(LAZY_AT + 64, 0, 4, &found) == 0 && found == 0);
    CHECK(plat_user_cmpxchg32(LAZY_AT + 64, 0, 5, &found) == 0 && found == 4);
    CHECK(plat_user_load32(LAZY_AT + 64, &found) == 0 && found == 4);
    CHECK(plat_user_load32(LAZY_AT + 2, &found) == -EINVAL);
    CHECK(plat_user_load32(0x20000000, &found) == -EFAULT);
    CHECK(plat_user_cmpxchg32(0xffff800000000000, 0, 0, &found) == -EFAULT);
}

/* Everything that takes pages, with each page refused in turn: nothing is lost and nothing half done. */
static bool try_with(unsigned refuse, paddr_t page, paddr_t large)
{
    const uintptr_t va = 0x100000000000, to = 0x200000000000, big = va + 2 * LARGE_SIZE;
    struct plat_leaf leaf, out[8];
    struct plat_aspace as;
    unsigned long before = pages_out, got = 0;
    uintptr_t at = va;
    bool refused = false;
    int err;

    fail_after = refuse;
    err = plat_aspace_init(&as);
    if (err) {
        CHECK(err == -ENOMEM && pages_out == before);
        return true;
    }
    err = plat_mmu_map(&as, va, &page, 1, RW, false);
    plat_mmu_query(&as, va, &leaf);
    CHECK(err == 0 ? leaf.present : err == -ENOMEM && !leaf.present);
    refused |= err != 0;
    if (!err) {
        err = plat_mmu_move(&as, va, to, PAGE_SIZE);
        plat_mmu_query(&as, va, &leaf);
        CHECK(leaf.present == (err != 0));
        plat_mmu_query(&as, to, &leaf);
        CHECK(leaf.present == (err == 0));
        refused |= err != 0;
    }
    if (large.v && plat_mmu_map_large(&as, big, large, RW) == 0) {
        err = plat_mmu_protect(&as, big + PAGE_SIZE, big + 2 * PAGE_SIZE, 0, false);
        plat_mmu_query(&as, big + PAGE_SIZE, &leaf);
        CHECK(err == 0 ? leaf.prot == 0 && leaf.size == PAGE_SIZE
                       : leaf.prot == RW && leaf.size == LARGE_SIZE);
        refused |= err != 0;
    }
    fail_after = 0;
    while (at < to + LARGE_SIZE) {
        int r = plat_mmu_unmap(&as, &at, to + LARGE_SIZE, out, 8);
        CHECK(r >= 0);
        got += r > 0 ? (unsigned)r : 0;
    }
    CHECK(got <= 513);
    plat_aspace_fini(&as);
    CHECK(pages_out <= before + 4); /* the CPU's spare tables */
    return refused;
}

static void test_refusals(void)
{
    paddr_t page = upcall_page_alloc(), large = large_page();
    unsigned refused = 0;

    for (unsigned n = 1; n < 12; n++)
        refused += try_with(n, page, large);
    CHECK(refused >= 3);
    upcall_page_free(page);
}

void test_mmu(void)
{
    struct plat_aspace other;
    struct plat_leaf out[16];
    uintptr_t at = LAZY_AT;
    unsigned long before = pages_out;
    paddr_t page = upcall_page_alloc();
    uint64_t value;

    CHECK(plat_aspace_init(&other) == 0);
    CHECK(plat_mmu_map(&other, LAZY_AT, &page, 1, RW, false) == 0);
    *word(page) = 99;
    plat_aspace_activate(&other);
    CHECK(plat_user_read(&value, LAZY_AT, 8) == 0 && value == 99);
    plat_aspace_activate(&test_as);
    CHECK(plat_user_write(LAZY_AT, &page, 8) == 0 && *word(page) == 99);
    CHECK(plat_mmu_unmap(&other, &at, LAZY_END, out, 16) == 1);
    plat_aspace_fini(&other);
    upcall_page_free(page);

    test_map();
    test_large();
    test_copies();
    test_refusals();
    for (at = LAZY_AT; at < LAZY_END;) {
        int n = plat_mmu_unmap(&test_as, &at, LAZY_END, out, 16);
        for (int i = 0; i < n; i++)
            upcall_page_free(out[i].pa);
    }
    CHECK(pages_out <= before + 4);
}
