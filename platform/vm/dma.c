/* SPDX-License-Identifier: MIT */
/* Device memory. Without a pool a device address is a physical one. With one, all that devices may see lies in the pool's
 * blocks, cut into slots of a page; a mapping takes slots in a row and copies. Whose memory a slot stands for is kept here,
 * never in the pool. lock guards the slots' owners; the platform has no lock of libOS's kind, so it is a word of its own.
 * The host platform compiles this file too. */
#include "../cc/cc.h"

#include <abi/errno.h>
#include <base/log.h>
#include <plat/cpu.h>
#include <plat/dma.h>
#include <plat/mem.h>
#include <plat/upcall.h>

enum {
    BLOCK_ORDER = 9, /* 2 MiB */
    BLOCK_SLOTS = 1 << BLOCK_ORDER,
    BLOCKS_MAX = 16,
    MAP_SLOTS_MAX = 64,
    ALLOC_ORDER_MAX = 10,
};

struct slot {
    uint8_t
        *private; /* what it stands for, set in a mapping's first slot; NULL: memory of plat_dma_alloc */
    bool taken;
};

static struct block {
    uint8_t *mem;
    uint64_t addr;
    struct slot slots[BLOCK_SLOTS];
    unsigned next; /* where the search begins */
} * blocks[BLOCKS_MAX];
static unsigned block_count;
static bool pooled;
static uint32_t lock;

static void take_lock(void)
{
    while (__atomic_exchange_n(&lock, 1, __ATOMIC_ACQUIRE))
        plat_relax();
}

static void drop_lock(void)
{
    __atomic_store_n(&lock, 0, __ATOMIC_RELEASE);
}

static unsigned order_of(size_t size)
{
    unsigned order = 0;

    while (((size_t)PAGE_SIZE << order) < size)
        order++;
    return order;
}

bool plat_dma_is_pooled(void)
{
    return pooled;
}

size_t plat_dma_map_max(void)
{
    return pooled ? (size_t)(MAP_SLOTS_MAX - 1) * PAGE_SIZE : SIZE_MAX / 2;
}

static int add_block(void)
{
    paddr_t meta = upcall_block_alloc(order_of(sizeof(struct block)));
    paddr_t mem = upcall_block_alloc(BLOCK_ORDER);

    if (!meta.v || !mem.v) {
        if (meta.v)
            upcall_block_free(meta);
        if (mem.v)
            upcall_block_free(mem);
        return -ENOMEM;
    }
    struct block *b = plat_phys_to_virt(meta);
    b->mem = plat_phys_to_virt(mem);
    b->addr = mem.v;
    cc_share(mem.v, (uint64_t)BLOCK_SLOTS * PAGE_SIZE);
    blocks[block_count++] = b;
    return 0;
}

int plat_dma_pool(size_t size)
{
    while (!pooled || block_count * ((size_t)BLOCK_SLOTS * PAGE_SIZE) < size) {
        int err = block_count == BLOCKS_MAX ? -ENOMEM : add_block();

        if (err)
            return block_count ? 0 : err;
        pooled = true;
    }
    return 0;
}

/* n free slots in a row within [from, to); to: none. */
static unsigned find_run(const struct block *b, unsigned from, unsigned to, unsigned n)
{
    unsigned run = 0;

    for (unsigned i = from; i < to; i++) {
        run = b->slots[i].taken ? 0 : run + 1;
        if (run == n)
            return i + 1 - n;
    }
    return to;
}

/* Take n slots in a row for private; their address and, in *ret_mem, where they lie. 0: the pool is used up. */
static uint64_t take_slots(unsigned n, uint8_t *private, uint8_t **ret_mem)
{
    uint64_t addr = 0;

    take_lock();
    for (unsigned k = 0; k < block_count && !addr; k++) {
        struct block *b = blocks[k];
        unsigned at = find_run(b, b->next, BLOCK_SLOTS, n);

        if (at == BLOCK_SLOTS)
            at = find_run(b, 0, BLOCK_SLOTS, n);
        if (at == BLOCK_SLOTS)
            continue;
        for (unsigned i = at; i < at + n; i++)
            b->slots[i] = (struct slot){ .taken = true };
        b->slots[at].private = private;
        b->next = (at + n) % BLOCK_SLOTS;
        addr = b->addr + (uint64_t)at * PAGE_SIZE;
        *ret_mem = b->mem + (size_t)at * PAGE_SIZE;
    }
    drop_lock();
    return addr;
}

static struct block *block_of(uint64_t addr)
{
    for (unsigned k = 0; k < block_count; k++)
        if (addr - blocks[k]->addr < (uint64_t)BLOCK_SLOTS * PAGE_SIZE)
            return blocks[k];
    panic("dma: address 0x%llx is not in the pool", (unsigned long long)addr);
}

static void free_slots(struct block *b, unsigned at, unsigned n)
{
    take_lock();
    for (unsigned i = at; i < at + n; i++) {
        must(b->slots[i].taken);
        b->slots[i] = (struct slot){ 0 };
    }
    drop_lock();
}

int plat_dma_alloc(size_t size, struct plat_dma *ret)
{
    unsigned order = order_of(size);

    if (!size || order > ALLOC_ORDER_MAX)
        return -EINVAL;
    ret->size = (size_t)PAGE_SIZE << order;
    if (pooled) {
        uint8_t *mem;

        ret->addr = take_slots(1u << order, NULL, &mem);
        if (!ret->addr)
            return -ENOMEM;
        ret->ptr = mem;
        __builtin_memset(mem, 0, ret->size);
        return 0;
    }
    paddr_t pa = upcall_block_alloc(order);
    if (!pa.v)
        return -ENOMEM;
    ret->addr = pa.v;
    ret->ptr = plat_phys_to_virt(pa);
    return 0;
}

void plat_dma_free(struct plat_dma *m)
{
    if (pooled) {
        struct block *b = block_of(m->addr);

        free_slots(b, (unsigned)((m->addr - b->addr) >> PAGE_SHIFT),
                   (unsigned)(m->size >> PAGE_SHIFT));
    } else {
        upcall_block_free(PADDR(m->addr));
    }
    *m = (struct plat_dma){ 0 };
}

/* The pages that a buffer touches. Its offset in the first one is kept: devices care for alignment. */
static unsigned pages_of(size_t offset, size_t size)
{
    return (unsigned)((offset + size + PAGE_SIZE - 1) >> PAGE_SHIFT);
}

int plat_dma_map(void *p, size_t size, enum plat_dma_dir dir, uint64_t *ret_addr)
{
    size_t offset = (uintptr_t)p & ~PAGE_MASK;
    uint8_t *mem;
    uint64_t addr;

    if (!pooled) {
        *ret_addr = plat_virt_to_phys(p).v;
        return 0;
    }
    if (!size || size > plat_dma_map_max())
        return -EINVAL;
    addr = take_slots(pages_of(offset, size), p, &mem);
    if (!addr)
        return -ENOMEM;
    if (dir & PLAT_DMA_TO_DEVICE)
        __builtin_memcpy(mem + offset, p, size);
    else
        __builtin_memset(mem + offset, 0, size);
    *ret_addr = addr + offset;
    return 0;
}

void plat_dma_unmap(uint64_t addr, size_t size, enum plat_dma_dir dir, size_t written)
{
    if (!pooled)
        return;
    struct block *b = block_of(addr);
    unsigned at = (unsigned)((addr - b->addr) >> PAGE_SHIFT);
    size_t offset = addr & ~PAGE_MASK;
    uint8_t *private = b->slots[at].private;

    must(private);
    if (dir & PLAT_DMA_FROM_DEVICE)
        __builtin_memcpy(private, b->mem + ((size_t)at << PAGE_SHIFT) + offset,
                         min_u64(written, size));
    free_slots(b, at, pages_of(offset, size));
}
