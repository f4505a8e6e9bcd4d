/* SPDX-License-Identifier: MIT */
/* Physical memory of the host platform: a memory file, the arena. */
#define _GNU_SOURCE
#include "host.h"

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
