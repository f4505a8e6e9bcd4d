/* SPDX-License-Identifier: MIT */
/* mmap, munmap, mprotect, mremap, brk, remap_file_pages. Addresses are numbers here; libos/mm bounds them. */
#include "sys_proto.h"
#include <abi/errno.h>
#include <abi/mman.h>
#include <libos/file.h>
#include <libos/mm.h>
#include <libos/thread.h>

enum {
    PROT_RWX = PROT_READ | PROT_WRITE | PROT_EXEC,
    READ_IMPLIES_EXEC = 0x0400000, /* personality(2) */
    /* Flags that MAP_SHARED_VALIDATE accepts on a file (LEGACY_MAP_MASK). */
    FILE_FLAGS = MAP_TYPE | MAP_FIXED | MAP_ANONYMOUS | MAP_32BIT | MAP_GROWSDOWN | MAP_DENYWRITE |
                 MAP_EXECUTABLE | MAP_LOCKED | MAP_NORESERVE | MAP_POPULATE | MAP_NONBLOCK |
                 MAP_STACK | MAP_HUGETLB | MAP_FIXED_NOREPLACE,
};

/* MAP_HUGETLB on a machine without reserved huge pages. */
static long huge(size_t len, unsigned long flags)
{
    unsigned shift = flags >> MAP_HUGE_SHIFT & MAP_HUGE_MASK;
    if (shift && shift != 21 && shift != 30)
        return -EINVAL;
    return len ? -ENOMEM : -EINVAL;
}

static unsigned effective_prot(unsigned long prot)
{
    unsigned p = prot & PROT_RWX;
    return (p & PROT_READ) && (thread_current()->personality & READ_IMPLIES_EXEC) ? p | PROT_EXEC
                                                                                  : p;
}

static long map(const struct mm_map *what)
{
    uintptr_t at;
    int err = mm_map(thread_current()->mm, what, &at);
    return err ? err : (long)at;
}

static long map_file(struct mm_map *what, int fd, unsigned long flags)
{
    if (flags & MAP_HUGETLB)
        return -EINVAL;
    int err = fd_get(fd, &what->file);
    if (err)
        return err;
    unsigned type = flags & MAP_TYPE;
    long ret;
    if (type == MAP_SHARED_VALIDATE && (flags & ~(unsigned long)FILE_FLAGS))
        ret = -EOPNOTSUPP;
    else if (type != MAP_SHARED && type != MAP_PRIVATE && type != MAP_SHARED_VALIDATE)
        ret = -EINVAL;
    else
        ret = map(what);
    file_put(what->file);
    return ret;
}

long sys_mmap(uintptr_t addr, size_t len, unsigned long prot, unsigned long flags, int fd,
              int64_t off)
{
    unsigned type = flags & MAP_TYPE;
    if (off & (PAGE_SIZE - 1))
        return -EINVAL;
    struct mm_map what = {
        .addr = addr,
        .size = len,
        .prot = (uint8_t)effective_prot(prot),
        .flags =
            (type != MAP_PRIVATE ? AREA_SHARED : 0) | (flags & MAP_GROWSDOWN ? AREA_GROWSDOWN : 0) |
            (flags & MAP_LOCKED ? AREA_LOCKED : 0) | (flags & MAP_NORESERVE ? AREA_NORESERVE : 0) |
            (flags & MAP_STACK ? AREA_NOHUGE : 0),
        .fixed = flags & (MAP_FIXED | MAP_FIXED_NOREPLACE),
        .noreplace = flags & MAP_FIXED_NOREPLACE,
        .populate = (flags & (MAP_POPULATE | MAP_NONBLOCK)) == MAP_POPULATE,
        .low32 = flags & MAP_32BIT,
        .offset = (uint64_t)off,
    };
    if (!(flags & MAP_ANONYMOUS))
        return map_file(&what, fd, flags);
    if (flags & MAP_HUGETLB)
        return huge(len, flags);
    if (type != MAP_SHARED && type != MAP_PRIVATE)
        return -EINVAL;
    what.offset = 0;
    return map(&what);
}

long sys_munmap(uintptr_t addr, size_t len)
{
    return mm_unmap(thread_current()->mm, addr, len);
}

long sys_mprotect(uintptr_t addr, size_t len, unsigned long prot)
{
    unsigned long grows = prot & (PROT_GROWSDOWN | PROT_GROWSUP);
    prot &= ~grows;
    /* The order of Linux's checks: growth and alignment, size, then the other bits. */
    if (grows != (PROT_GROWSDOWN | PROT_GROWSUP) && !(addr & (PAGE_SIZE - 1)) && len &&
        (prot & ~(unsigned long)(PROT_RWX | PROT_SEM)))
        return len > UINTPTR_MAX - PAGE_SIZE || addr + len < addr ? -ENOMEM : -EINVAL;
    return mm_protect(thread_current()->mm, addr, len, effective_prot(prot), (unsigned)grows);
}

long sys_mremap(uintptr_t old, size_t old_len, size_t new_len, unsigned long flags, uintptr_t new)
{
    uintptr_t at;
    int err = mm_remap(thread_current()->mm, old, old_len, new_len, (unsigned)flags, new, &at);
    return err ? err : (long)at;
}

long sys_brk(uintptr_t brk)
{
    return (long)mm_brk(thread_current()->mm, brk);
}

long sys_remap_file_pages(uintptr_t addr, size_t size, unsigned long prot, unsigned long pgoff,
                          unsigned long flags)
{
    return mm_remap_file(thread_current()->mm, addr, size, prot, pgoff, flags & MAP_NONBLOCK);
}
