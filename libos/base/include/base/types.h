/* SPDX-License-Identifier: MIT */
/* Value types shared by all layers: physical addresses cannot be mixed with numbers or pointers by accident. */
#ifndef BASE_TYPES_H
#define BASE_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef long ssize_type; /* bytes, or a negative errno */

/* A guest-physical address, in bytes. */
typedef struct {
    uint64_t v;
} paddr_t;

#define PADDR(x) ((paddr_t){ (x) })

enum {
    PAGE_SHIFT = 12,
    PAGE_SIZE = 1 << PAGE_SHIFT,
    LARGE_SHIFT = 21,
    LARGE_SIZE = 1 << LARGE_SHIFT, /* 2 MiB: a large page */
};

#define PAGE_MASK  (~((uintptr_t)PAGE_SIZE - 1))
#define LARGE_MASK (~((uintptr_t)LARGE_SIZE - 1))

#define NS_PER_SEC 1000000000ull

/* Round a down or up to a multiple of n, a power of two. align_up can wrap: bound a first. */
static inline uint64_t align_down(uint64_t a, uint64_t n)
{
    return a & ~(n - 1);
}

static inline uint64_t align_up(uint64_t a, uint64_t n)
{
    return (a + n - 1) & ~(n - 1);
}

static inline uint64_t min_u64(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static inline uint64_t max_u64(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

#endif
