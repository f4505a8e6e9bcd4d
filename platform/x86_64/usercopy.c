/* SPDX-License-Identifier: MIT */
/* The ways into user memory: bounds here, the touching instructions and their fix-ups in usercopy.S. */
#include <abi/errno.h>
#include <plat/mmu.h>
#include <plat/user.h>

#include "x86_64/x86.h"

size_t x86_user_copy(void *dst, const void *src, size_t n);
size_t x86_user_clear(void *dst, size_t n);
size_t x86_user_string(char *dst, const char *src, size_t size);
int x86_user_load32(uint32_t *dst, const uint32_t *src);
int x86_user_cmpxchg32(uint32_t *addr, uint32_t expected, uint32_t desired, uint32_t *found);

/* A program linked into the image has its code and data where libOS is: its addresses are all it can reach. */
#define USER_END (CONFIG_RELINK ? UINTPTR_MAX : PLAT_USER_MAX)

static bool in_user(uintptr_t addr, size_t n)
{
    return n <= USER_END && addr <= USER_END - n;
}

int plat_user_read(void *dst, uintptr_t src, size_t n)
{
    if (UNLIKELY(!in_user(src, n)) || UNLIKELY(x86_user_copy(dst, (const void *)src, n) != 0))
        return -EFAULT;
    return 0;
}

int plat_user_write(uintptr_t dst, const void *src, size_t n)
{
    if (UNLIKELY(!in_user(dst, n)) || UNLIKELY(x86_user_copy((void *)dst, src, n) != 0))
        return -EFAULT;
    return 0;
}

/* A range that runs out of user memory is copied up to there, as the bytes before it are valid. */
static size_t clip(uintptr_t addr, size_t n)
{
    if (addr >= USER_END)
        return 0;
    return n < USER_END - addr ? n : USER_END - addr;
}

size_t plat_user_read_part(void *dst, uintptr_t src, size_t n)
{
    size_t m = clip(src, n);

    return m - x86_user_copy(dst, (const void *)src, m);
}

size_t plat_user_write_part(uintptr_t dst, const void *src, size_t n)
{
    size_t m = clip(dst, n);

    return m - x86_user_copy((void *)dst, src, m);
}

int plat_user_clear(uintptr_t dst, size_t n)
{
    if (!in_user(dst, n) || x86_user_clear((void *)dst, n) != 0)
        return -EFAULT;
    return 0;
}

long plat_user_string(char *dst, uintptr_t src, size_t size)
{
    size_t m = clip(src, size);
    size_t left = x86_user_string(dst, (const char *)src, m);

    if (left == (size_t)-1 || (left == (size_t)-2 && m < size))
        return -EFAULT;
    if (left == (size_t)-2)
        return -ENAMETOOLONG;
    return (long)(m - left - 1);
}

int plat_user_load32(uintptr_t addr, uint32_t *ret)
{
    if (addr & 3)
        return -EINVAL;
    if (!in_user(addr, 4) || x86_user_load32(ret, (const uint32_t *)addr) != 0)
        return -EFAULT;
    return 0;
}

int plat_user_cmpxchg32(uintptr_t addr, uint32_t expected, uint32_t desired, uint32_t *ret)
{
    if (addr & 3)
        return -EINVAL;
    if (!in_user(addr, 4) || x86_user_cmpxchg32((uint32_t *)addr, expected, desired, ret) != 0)
        return -EFAULT;
    return 0;
}
