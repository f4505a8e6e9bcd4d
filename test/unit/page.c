/* SPDX-License-Identifier: MIT */
/* Physical pages and the heap: every page is given out once, comes back, and joins its neighbours again. */
#include <libos/dev/balloon.h>
#include <libos/heap.h>
#include <libos/page.h>
#include <plat/host.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* The kernel's; nothing here ends a machine. */
_Noreturn void machine_exit(int wait_status);
_Noreturn void machine_exit(int wait_status)
{
    exit(wait_status ? 1 : 0);
}

#ifndef NODES
#define NODES 1
#endif

static uint64_t free_now(void)
{
    struct page_stats s;
    page_stats(&s);
    return s.free;
}

static void blocks(void **state)
{
    (void)state;
    uint64_t before = free_now();
    for (unsigned order = 0; order <= PAGE_ORDER_MAX; order++) {
        struct page *p = page_alloc(order, PAGE_KERNEL, PAGE_ZERO);
        assert_non_null(p);
        assert_int_equal(page_addr(p).v % ((uint64_t)PAGE_SIZE << order), 0);
        assert_int_equal(p->refs, 1);
        assert_ptr_equal(page_of(page_addr(p)), p);
        unsigned char *m = page_ptr(p);
        assert_int_equal(m[0] | m[((size_t)PAGE_SIZE << order) - 1], 0);
        memset(m, 0xa5, (size_t)PAGE_SIZE << order);
        assert_int_equal(free_now(), before - (1u << order));
        page_get(p);
        page_put(p);
        assert_int_equal(free_now(), before - (1u << order));
        page_put(p);
        assert_int_equal(free_now(), before);
    }
}

/* All memory in single pages, each marked with its own address; then back in an odd order, then large again. */
static void exhaust(void **state)
{
    (void)state;
    uint64_t before = free_now();
    size_t max = before, n = 0;
    struct page **all = malloc(max * sizeof *all);
    for (size_t got;
         (got = page_alloc_bulk(all + n, max - n < 100 ? max - n : 100, PAGE_ANON, 0)) > 0;
         n += got)
        for (size_t i = 0; i < got; i++)
            *(struct page **)page_ptr(all[n + i]) = all[n + i];
    assert_true(n > before - 300 && n < before);
    assert_null(page_alloc(0, PAGE_ANON, 0));
    struct page *last = page_alloc(0, PAGE_KERNEL, PAGE_MUST);
    assert_non_null(last);
    page_put(last);
    for (size_t i = 0; i < n; i++)
        assert_ptr_equal(*(struct page **)page_ptr(all[i]), all[i]);
    for (size_t i = 0; i < n; i += 3)
        page_put(all[i]);
    for (size_t i = 1; i < n; i += 3)
        page_put_bulk(&all[i], i + 1 < n ? 2 : 1);
    assert_int_equal(free_now(), before);
    struct page *big[8];
    for (size_t i = 0; i < 8; i++)
        assert_non_null(big[i] = page_alloc(PAGE_ORDER_MAX, PAGE_KERNEL, 0));
    for (size_t i = 0; i < 8; i++)
        page_put(big[i]);
    assert_int_equal(free_now(), before);
    free(all);
}

static void split(void **state)
{
    (void)state;
    uint64_t before = free_now();
    struct page *p = page_alloc(9, PAGE_ANON, 0);
    assert_non_null(p);
    page_split(p);
    page_get(p + 7);
    page_put_run(p, 512);
    assert_int_equal(p[7].refs, 1);
    assert_int_equal(free_now(), before - 1);
    page_put(p + 7);
    assert_int_equal(free_now(), before);
    struct page_stats s;
    page_stats(&s);
    assert_int_equal(s.anon, 0);
}

static void heap(void **state)
{
    (void)state;
    enum { N = 3000 };
    static unsigned char *o[N];
    static size_t size[N];
    uint64_t before = free_now();
    srand(1);
    for (int round = 0; round < 4; round++) {
        for (int i = 0; i < N; i++) {
            size[i] = (size_t)rand() % (i % 50 ? 700 : 20000) + 1;
            assert_non_null(o[i] = heap_alloc(size[i]));
            assert_int_equal((uintptr_t)o[i] % (size[i] >= PAGE_SIZE ? PAGE_SIZE : 16), 0);
            memset(o[i], i & 0xff, size[i]);
        }
        for (int i = 0; i < N; i++) {
            assert_int_equal(o[i][0], i & 0xff);
            assert_int_equal(o[i][size[i] - 1], i & 0xff);
            heap_free(o[i]);
        }
    }
    assert_true(free_now() > before - 200);
    assert_null(heap_alloc((4u << 20) + 1));
    assert_null(heap_calloc((size_t)1 << 60, 1 << 10));
    heap_free(NULL);
    char *s = heap_strdup("alcove");
    s = heap_realloc(s, 7, 5000);
    assert_string_equal(s, "alcove");
    heap_free(s);
}

/* All that can be had, and back. */
static void use_up(void)
{
    struct page *list = NULL, *p;
    while ((p = page_alloc(0, PAGE_ANON, 0))) {
        p->next = list;
        list = p;
    }
    while ((p = list)) {
        list = p->next;
        page_put(p);
    }
}

/* Pages that the host was offered are not used again before it has taken them: it would take what is in them. */
static void lent(void **state)
{
    enum { PAGES = 8 };
    uint32_t pfn[PAGES];
    (void)state;
    balloon_yields();
    assert_int_equal(balloon_inflate(pfn, PAGES), PAGES);
    use_up();
    assert_int_equal(balloon_count(), PAGES);
    balloon_arrived();
    use_up();
    assert_int_equal(balloon_count(), 0);
}

int main(void)
{
    plat_host_init();
    plat_host_nodes(NODES);
    page_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks), cmocka_unit_test(exhaust), cmocka_unit_test(split),
        cmocka_unit_test(heap),   cmocka_unit_test(lent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
