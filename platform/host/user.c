/* SPDX-License-Identifier: MIT */
/* User memory on the host is this process: the copy is process_vm_readv/writev on ourselves, so the running kernel
 * says what is accessible. What it refuses is offered to libOS as a fault once, and tried again. */
#define _GNU_SOURCE
#include "host.h"

#include <plat/upcall.h>
#include <plat/user.h>

#include <errno.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#define USER_END 0x7ffffffff000ull

typedef ssize_t transfer(pid_t pid, const struct iovec *local, unsigned long nlocal,
                         const struct iovec *remote, unsigned long nremote, unsigned long flags);

/* Move up to n bytes; how many. */
static size_t move(transfer *fn, void *mine, uintptr_t theirs, size_t n, enum plat_access access)
{
    size_t done = 0;
    uintptr_t tried = 0;

    if (theirs >= USER_END || n > USER_END - theirs)
        n = theirs >= USER_END ? 0 : USER_END - theirs;
    while (done < n) {
        size_t piece = n - done;
        size_t to_page = PAGE_SIZE - ((theirs + done) & (PAGE_SIZE - 1));
        if (piece > to_page)
            piece = to_page;
        struct iovec l = { (char *)mine + done, piece }, r = { (void *)(theirs + done), piece };
        ssize_t got = fn(getpid(), &l, 1, &r, 1, 0);
        if (got > 0) {
            done += (size_t)got;
        } else {
            if (tried == theirs + done ||
                upcall_fault(theirs + done, access, host_present(theirs + done), false))
                break;
            tried = theirs + done;
        }
    }
    return done;
}

size_t plat_user_read_part(void *dst, uintptr_t src, size_t n)
{
    return move(process_vm_readv, dst, src, n, PLAT_ACCESS_READ);
}

size_t plat_user_write_part(uintptr_t dst, const void *src, size_t n)
{
    return move(process_vm_writev, (void *)(uintptr_t)src, dst, n, PLAT_ACCESS_WRITE);
}

int plat_user_read(void *dst, uintptr_t src, size_t n)
{
    return plat_user_read_part(dst, src, n) == n ? 0 : -EFAULT;
}

int plat_user_write(uintptr_t dst, const void *src, size_t n)
{
    return plat_user_write_part(dst, src, n) == n ? 0 : -EFAULT;
}

int plat_user_clear(uintptr_t dst, size_t n)
{
    static const char zeros[PAGE_SIZE];

    for (size_t done = 0; done < n; done += sizeof zeros)
        if (plat_user_write(dst + done, zeros, n - done < sizeof zeros ? n - done : sizeof zeros))
            return -EFAULT;
    return 0;
}

long plat_user_string(char *dst, uintptr_t src, size_t size)
{
    for (size_t i = 0; i < size;) {
        size_t piece = PAGE_SIZE - ((src + i) & (PAGE_SIZE - 1));
        if (piece > size - i)
            piece = size - i;
        size_t got = plat_user_read_part(dst + i, src + i, piece);
        char *end = memchr(dst + i, 0, got);
        if (end)
            return end - dst;
        if (got < piece)
            return -EFAULT;
        i += piece;
    }
    return -ENAMETOOLONG;
}

int plat_user_load32(uintptr_t addr, uint32_t *ret)
{
    return addr & 3 ? -EINVAL : plat_user_read(ret, addr, sizeof *ret);
}

int plat_user_cmpxchg32(uintptr_t addr, uint32_t expected, uint32_t desired, uint32_t *ret)
{
    uint32_t found;

    if (addr & 3)
        return -EINVAL;
    if (plat_user_read(&found, addr, sizeof found))
        return -EFAULT;
    /* Nothing else runs while libOS does, so a read and a write are one step. */
    if (plat_user_write(addr, found == expected ? &desired : &found, sizeof desired))
        return -EFAULT;
    *ret = found;
    return 0;
}
