/* SPDX-License-Identifier: MIT */
/* Physical memory of the host platform: a memory file, the arena. */
#define _GNU_SOURCE
#include "host.h"

#include <plat/host.h>
#include <plat/node.h>
#include <plat/mem.h>

#include <base/log.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

enum { ARENA_BYTES = 256 << 20, ARENA_FIRST = 1 << 20 };

static int arena_fd = -1;

/* Called by host_init before anything else. */
void host_mem_init(void);
void host_mem_init(void)
{
    if (arena_fd >= 0)
        return;
    arena_fd = memfd_create("alcove-arena", MFD_CLOEXEC);
    must(arena_fd >= 0 && ftruncate(arena_fd, ARENA_BYTES) == 0);
    void *p = mmap((void *)PLAT_HOST_ARENA, ARENA_BYTES, PROT_READ | PROT_WRITE,
                   MAP_SHARED | MAP_FIXED_NOREPLACE, arena_fd, 0);
    must(p == (void *)PLAT_HOST_ARENA);
}

/* The arena in equal parts, for tests; the CPU is of the last node. */
static unsigned host_nodes = 1;

void plat_host_nodes(unsigned n)
{
    host_nodes = n;
}

unsigned plat_node_count(void)
{
    return host_nodes;
}

unsigned plat_node_of(paddr_t pa, uint64_t *ret_end)
{
    struct plat_mem_region r;
    uint64_t part, i;
    (void)plat_mem_region(0, &r);
    part = r.size / host_nodes;
    i = pa.v < r.start.v ? 0 : (pa.v - r.start.v) / part;
    i = i < host_nodes ? i : host_nodes - 1;
    *ret_end = i + 1 < host_nodes ? r.start.v + (i + 1) * part : UINT64_MAX;
    return (unsigned)i;
}

unsigned plat_node_of_cpu(unsigned cpu)
{
    (void)cpu;
    return host_nodes - 1;
}

unsigned plat_node_distance(unsigned from, unsigned to)
{
    return from == to ? 10 : 20;
}

bool plat_mem_region(size_t i, struct plat_mem_region *ret)
{
    if (i)
        return false;
    ret->start = PADDR(ARENA_FIRST);
    ret->size = ARENA_BYTES - ARENA_FIRST;
    return true;
}

void plat_mem_accept(paddr_t pa, uint64_t size)
{
    (void)pa, (void)size;
}

paddr_t plat_mem_end(void)
{
    return PADDR(ARENA_BYTES);
}

int host_arena_fd(void)
{
    return arena_fd;
}
