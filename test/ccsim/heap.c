/* SPDX-License-Identifier: MIT */
/* The memory that the crypto library asks for: an arena that is empty again when everything was given back. */
#include "ccsim.h"

#include <libos/heap.h>
#include <string.h>

enum { ARENA = 1 << 20, ALIGN = 16 };

static ALIGNED(ALIGN) uint8_t arena[ARENA];
static size_t used, live;

void *heap_calloc(size_t n, size_t size)
{
    size_t bytes = align_up(n * size, ALIGN);
    void *p = arena + used;

    if (size && n > ARENA / size)
        return NULL;
    if (bytes > ARENA - used)
        sim_fail("the simulator's own memory is used up");
    used += bytes;
    live++;
    return memset(p, 0, bytes);
}

void heap_free(void *p)
{
    if (p && !--live)
        used = 0;
}
