/* SPDX-License-Identifier: MIT */
/* Device memory: identity by default, copies through the pool; what the device did not say it wrote never arrives. */
#include <libos/page.h>
#include <plat/dma.h>
#include <plat/host.h>
#include <plat/mem.h>

#include <errno.h>
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

static void identity(void **state)
{
    struct plat_dma m;
    struct page *p = page_alloc(0, PAGE_KERNEL, 0);
    uint64_t addr;

    (void)state;
    assert_false(plat_dma_is_pooled());
    assert_int_equal(plat_dma_alloc(5000, &m), 0);
    assert_int_equal(m.size, 8192);
    assert_int_equal(m.addr % 4096, 0);
    assert_ptr_equal(plat_phys_to_virt(PADDR(m.addr)), m.ptr);
    plat_dma_free(&m);
    assert_int_equal(plat_dma_map((char *)page_ptr(p) + 5, 100, PLAT_DMA_BOTH, &addr), 0);
    assert_int_equal(addr, page_addr(p).v + 5);
    plat_dma_unmap(addr, 100, PLAT_DMA_BOTH, 100);
    page_put(p);
}

static void pool(void **state)
{
    struct plat_dma m;
    struct page *p = page_alloc(1, PAGE_KERNEL, 0);
    uint8_t *buf = page_ptr(p), *shared;
    uint64_t addr, others[64];

    (void)state;
    assert_int_equal(plat_dma_pool(4 << 20), 0);
    assert_true(plat_dma_is_pooled());
    assert_int_equal(plat_dma_alloc(4096, &m), 0);
    assert_int_equal(((uint8_t *)m.ptr)[4095], 0);

    /* To the device: it sees a copy. */
    memset(buf, 0x11, 8192);
    assert_int_equal(plat_dma_map(buf + 4000, 200, PLAT_DMA_TO_DEVICE, &addr), 0);
    assert_int_equal(addr % 4096, 4000);
    shared = plat_phys_to_virt(PADDR(addr));
    assert_ptr_not_equal(shared, buf + 4000);
    assert_int_equal(shared[0], 0x11);
    assert_int_equal(shared[199], 0x11);
    shared[0] = 0x22; /* and cannot change ours */
    plat_dma_unmap(addr, 200, PLAT_DMA_TO_DEVICE, 200);
    assert_int_equal(buf[4000], 0x11);

    /* From the device: cleared before, and only what was written arrives. */
    assert_int_equal(plat_dma_map(buf, 8192, PLAT_DMA_FROM_DEVICE, &addr), 0);
    shared = plat_phys_to_virt(PADDR(addr));
    for (int i = 0; i < 8192; i++)
        assert_int_equal(shared[i], 0);
    memset(shared, 0x33, 8192);
    plat_dma_unmap(addr, 8192, PLAT_DMA_FROM_DEVICE, 10);
    assert_int_equal(buf[9], 0x33);
    assert_int_equal(buf[10], 0x11);
    assert_int_equal(plat_dma_map(buf, 16, PLAT_DMA_FROM_DEVICE, &addr), 0);
    plat_dma_unmap(addr, 16, PLAT_DMA_FROM_DEVICE, SIZE_MAX); /* a lie */
    assert_int_equal(buf[15], 0);
    assert_int_equal(buf[16], 0x11);

    /* Used up and given back. */
    size_t n = 0;
    while (n < 64 && !plat_dma_map(buf, 8192, PLAT_DMA_TO_DEVICE, &others[n]))
        n++;
    assert_int_equal(n, 64);
    for (size_t i = 0; i < n; i++)
        plat_dma_unmap(others[i], 8192, PLAT_DMA_TO_DEVICE, 0);
    assert_int_equal(plat_dma_map(buf, plat_dma_map_max() + 1, PLAT_DMA_TO_DEVICE, &addr), -EINVAL);
    struct plat_dma all[1100];
    for (n = 0; n < 1100 && !plat_dma_alloc(4096, &all[n]); n++)
        ;
    assert_int_equal(n, 1023); /* two blocks of 512 but m */
    assert_int_equal(plat_dma_map(buf, 1, PLAT_DMA_TO_DEVICE, &addr), -ENOMEM);
    while (n)
        plat_dma_free(&all[--n]);
    plat_dma_free(&m);
    assert_int_equal(plat_dma_map(buf, 1, PLAT_DMA_TO_DEVICE, &addr), 0);
    plat_dma_unmap(addr, 1, PLAT_DMA_TO_DEVICE, 0);
    page_put(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(identity), cmocka_unit_test(pool) };

    plat_host_init();
    page_init();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
