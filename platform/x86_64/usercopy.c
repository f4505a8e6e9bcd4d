/* SPDX-License-Identifier: MIT */
/* Strings of user memory; everything else is in usercopy.S. */
#include <abi/errno.h>
#include <base/compiler.h>
#include <plat/mmu.h>
#include <plat/user.h>

#include "x86_64/offsets.h"
#include "x86_64/x86.h"

size_t x86_user_string(char *dst, const char *src, size_t size);

/* A program linked into the image has its code and data where libOS is: its addresses are all it can reach. */
#define USER_END (CONFIG_RELINK ? UINTPTR_MAX : PLAT_USER_MAX)

_Static_assert(USER_MAX == PLAT_USER_MAX && USER_EFAULT == EFAULT && USER_EINVAL == EINVAL,
               "usercopy.S");

/* A range that runs out of user memory is copied up to there, as the bytes before it are valid. */
static size_t clip(uintptr_t addr, size_t n)
{
    if (addr >= USER_END)
        return 0;
    return n < USER_END - addr ? n : USER_END - addr;
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
