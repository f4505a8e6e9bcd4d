/* SPDX-License-Identifier: MIT */
/* Memory that the host is lent: what a balloon driver takes and gives back, and what it may tell. */
#ifndef LIBOS_DEV_BALLOON_H
#define LIBOS_DEV_BALLOON_H

#include <base/compiler.h>
#include <base/types.h>

/* Take up to n pages for the host, their numbers to pfn; how many. Fewer when memory is short: programs keep a part of it.
 * The machine's memory is smaller by them. Does not sleep. */
size_t balloon_inflate(uint32_t *pfn, size_t n);
/* The host has taken those: only from then on they can be taken back. */
void balloon_arrived(void);
/* Take up to n pages out of the balloon, their numbers to pfn; they are in use until balloon_returned. */
size_t balloon_deflate(uint32_t *pfn, size_t n);
/* The host knows that those are ours again. */
void balloon_returned(void);
/* Pages that are the host's. */
uint64_t balloon_count(void);
/* From now on, libOS takes pages back by itself when memory is short; the host learns it from the count. */
void balloon_yields(void);

/* In bytes, as /proc/meminfo has them. */
struct balloon_memory {
    uint64_t total, free, available, caches;
};
void balloon_memory(struct balloon_memory *ret);

/* Take up to n large free blocks whose content the host need not keep and has not been told of: their addresses. They are in use
 * until balloon_reported. */
enum { BALLOON_BLOCK = 4 << 20 };
size_t balloon_report(void **block, size_t n);
void balloon_reported(void *const *block, size_t n);

#endif
