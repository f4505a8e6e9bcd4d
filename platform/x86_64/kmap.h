/* SPDX-License-Identifier: MIT */
/* The upper half: linear map, device memory, kernel stacks. Every address space shares the tables below the root. */
#ifndef X86_64_KMAP_H
#define X86_64_KMAP_H

#include <base/compiler.h>
#include <base/types.h>

#define KMAP_DEVICE_BASE 0xffffc00000000000ull /* 1 GiB */
#define KMAP_STACK_BASE  0xffffc00040000000ull
#define KMAP_STACK_END   0xffffc04000000000ull

/* The kernel's own page-table root. */
uint64_t *kmap_root(void);
uint64_t kmap_root_phys(void);

/* Remove the identity map and everything of the linear map that the entry code guessed. The first steps. */
void kmap_drop_identity(void);

/* Map all RAM in [start, end) into the linear map, in large pages that may stick out at both ends. Before a table for
 * it is made, everything below 1 GiB is mapped: boot_page comes from there. */
void kmap_linear(uint64_t start, uint64_t end);

/* Take the right to write from [start, end) of the linear map, page aligned, below 1 GiB: the image's text and read-only
 * data must not be writable by their other address. */
void kmap_linear_readonly(uint64_t start, uint64_t end);

/* Map one page at va in the upper half, writable, not executable. false: no page for a table. */
NODISCARD bool kmap_page(uintptr_t va, paddr_t pa);
/* Unmap it; the page that was there. */
paddr_t kmap_unmap_page(uintptr_t va);

/* Map device memory, uncached, for good; the address of pa. NULL: no space or table, or it is RAM. */
volatile void *kmap_device(uint64_t pa, size_t size);

/* Map memory of the firmware, which is neither RAM of ours nor a device: cached, private in a confidential guest. For
 * good. NULL as above. */
volatile void *kmap_firmware(uint64_t pa, size_t size);

/* Take the encryption from the page at va, which the host has made shared: an address of the image. */
void kmap_share_page(uintptr_t va);

/* The same for RAM in the linear map, multiples of 2 MiB that were mapped as such. */
void kmap_linear_share(uint64_t pa, uint64_t size);

/* The physical address of size bytes of device memory at va; false: not device memory of kmap_device, or not mapped. */
NODISCARD bool kmap_device_phys(uintptr_t va, size_t size, uint64_t *ret_pa);

/* From now on, table pages come from upcall_page_alloc. */
void kmap_boot_done(void);

#endif
