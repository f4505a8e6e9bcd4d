/* SPDX-License-Identifier: MIT */
/* madvise, mincore, msync, mlock and its family and memfd_create. */
#include "sys_proto.h"
#include <abi/errno.h>
#include <abi/fcntl.h>
#include <abi/mman.h>
#include <libos/file.h>
#include <libos/mm.h>
#include <libos/thread.h>
#include <libos/user.h>

enum { MEMFD_NAME_MAX = 249 };

static struct mm *mine(void)
{
    return thread_current()->mm;
}

long sys_madvise(uintptr_t addr, size_t len, int advice)
{
    return mm_advise(mine(), addr, len, advice);
}

long sys_mincore(uintptr_t addr, size_t len, user_u8_out_t vec)
{
    uint8_t part[256];
    if (addr & (PAGE_SIZE - 1))
        return -EINVAL;
    if (addr > PLAT_USER_MAX || len > PLAT_USER_MAX - addr)
        return -ENOMEM;
    size_t pages = (len + PAGE_SIZE - 1) >> PAGE_SHIFT;
    for (size_t done = 0; done < pages;) {
        size_t n = pages - done < sizeof part ? pages - done : sizeof part;
        /* A bad vec is told before a hole: look at it first. */
        int err = user_clear(user_advance(vec, done), n);
        if (!err)
            err = mm_resident(mine(), addr + (done << PAGE_SHIFT), n, part);
        if (!err)
            err = user_put(user_advance(vec, done), part, n);
        if (err)
            return err;
        done += n;
    }
    return 0;
}

long sys_msync(uintptr_t addr, size_t len, unsigned flags)
{
    return mm_sync(mine(), addr, len, flags);
}

long sys_mlock(uintptr_t addr, size_t len)
{
    return mm_lock_range(mine(), addr, len, true, false);
}

long sys_mlock2(uintptr_t addr, size_t len, unsigned flags)
{
    return mm_lock_range(mine(), addr, len, true, flags & MLOCK_ONFAULT);
}

long sys_munlock(uintptr_t addr, size_t len)
{
    return mm_lock_range(mine(), addr, len, false, false);
}

long sys_mlockall(unsigned flags)
{
    return flags ? mm_lock_all(mine(), flags) : -EINVAL;
}

long sys_munlockall(void)
{
    return mm_lock_all(mine(), 0);
}

long sys_memfd_create(user_str_t name, unsigned flags)
{
    static const char prefix[] = "memfd:";
    char text[sizeof prefix + MEMFD_NAME_MAX];
    if (flags & MFD_HUGETLB)
        return -ENOSYS;
    if ((flags & ~(unsigned)(MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL | MFD_EXEC)) ||
        (flags & (MFD_EXEC | MFD_NOEXEC_SEAL)) == (MFD_EXEC | MFD_NOEXEC_SEAL))
        return -EINVAL;
    for (size_t i = 0; i < sizeof prefix; i++)
        text[i] = prefix[i];
    long len = user_str(text + sizeof prefix - 1, MEMFD_NAME_MAX + 1, name);
    if (len < 0)
        return len == -ENAMETOOLONG ? -EINVAL : len;
    unsigned seals = flags & MFD_NOEXEC_SEAL     ? F_SEAL_EXEC
                     : flags & MFD_ALLOW_SEALING ? 0
                                                 : F_SEAL_SEAL;
    struct file *f;
    int err = shmem_file_create(text, 0, seals, &f);
    return err ? err : fd_install(f, flags & MFD_CLOEXEC);
}

/* As on a CPU without protection keys: only the default one (-1) can be used. */
long sys_pkey_mprotect(uintptr_t addr, size_t len, unsigned long prot, int pkey)
{
    return pkey == -1 ? sys_mprotect(addr, len, prot) : -EINVAL;
}
