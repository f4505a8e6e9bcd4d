/* SPDX-License-Identifier: MIT */
/* The paging layer, for relinked programs: map, protect and look at pages. Sizes are bytes and multiples of 4096. */
#ifndef ALCOVE_PAGE_H
#define ALCOVE_PAGE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum alcove_prot { ALCOVE_READ = 1, ALCOVE_WRITE = 2, ALCOVE_EXEC = 4 };

/* One leaf of the page tables. */
struct alcove_page {
    uint64_t physical; /* address of its first byte */
    uint32_t size;     /* 4096 or 2 MiB */
    uint32_t prot;     /* enum alcove_prot */
    int present;       /* 0: nothing is mapped there yet, the other members are 0 */
    int accessed;      /* the processor has used the page */
    int dirty;         /* it has been written since it was mapped */
};

/* Map size bytes of zeroed memory with these rights; pages are provided when they are first touched. The address in
 * *ret_address. 0; -12 (ENOMEM); -22 (EINVAL): size is 0 or prot has other bits. */
int alcove_page_map(size_t size, unsigned prot, void **ret_address);

/* Change the rights of mapped pages. 0; -12 (ENOMEM): some are not mapped; -22 (EINVAL): not aligned, or prot. */
int alcove_page_protect(void *address, size_t size, unsigned prot);

/* Unmap pages. 0; -22 (EINVAL): not aligned, or size is 0. */
int alcove_page_unmap(void *address, size_t size);

/* What the page tables say about the page that holds address, now. */
void alcove_page_query(const void *address, struct alcove_page *ret_page);

#ifdef __cplusplus
}
#endif

#endif
