/* SPDX-License-Identifier: MIT */
/* Memory that devices reach. A driver never hands a physical address to a device that it did not get here. By default
 * device addresses are physical ones and nothing is copied; with a pool (confidential guests, hostile-vmm) the devices see
 * the pool alone, and mapping and unmapping copy. No function here sleeps. */
#ifndef PLAT_DMA_H
#define PLAT_DMA_H

#include <base/compiler.h>
#include <base/types.h>

enum plat_dma_dir {
    PLAT_DMA_TO_DEVICE = 1,
    PLAT_DMA_FROM_DEVICE = 2,
    PLAT_DMA_BOTH = 3,
};

/* Memory shared with a device for long: rings, headers, status bytes. */
struct plat_dma {
    void *ptr;
    uint64_t addr; /* for the device */
    size_t size;   /* whole pages: nothing else lies in them */
};

/* Allocate size bytes, cleared, page aligned and contiguous for the device; at most 4 MiB. -ENOMEM. */
NODISCARD int plat_dma_alloc(size_t size, struct plat_dma *ret);
/* Give it back; the device has been told to forget it. */
void plat_dma_free(struct plat_dma *m);

/* Let the device have [p, p + size), in the linear map and contiguous; *ret_addr is what it calls it. With a pool,
 * TO_DEVICE copies, and FROM_DEVICE clears what the device will see. size is 1 to plat_dma_map_max(). -ENOMEM: the pool is
 * used up; -EINVAL. */
NODISCARD int plat_dma_map(void *p, size_t size, enum plat_dma_dir dir, uint64_t *ret_addr);
/* Take it back. written: bytes that the device says it wrote (FROM_DEVICE); no more than size are believed, and with a pool
 * only these are copied. */
void plat_dma_unmap(uint64_t addr, size_t size, enum plat_dma_dir dir, size_t written);
/* The most bytes of one mapping. */
size_t plat_dma_map_max(void);

/* From now on everything goes through a pool of about size bytes. Before the first driver, once. -ENOMEM. */
NODISCARD int plat_dma_pool(size_t size);
/* Is there a pool? Then devices must use the addresses given here (VIRTIO_F_ACCESS_PLATFORM). */
bool plat_dma_is_pooled(void);

#endif
