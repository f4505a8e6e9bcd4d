/* SPDX-License-Identifier: MIT */
/* User copies for the layers that do not see the platform: libos/user.h in terms of plat/user.h. */
#include <libos/user.h>

#include <plat/user.h>

int user_read_raw(void *dst, uintptr_t src, size_t n)
{
    return plat_user_read(dst, src, n);
}

int user_write_raw(uintptr_t dst, const void *src, size_t n)
{
    return plat_user_write(dst, src, n);
}

int user_clear_raw(uintptr_t dst, size_t n)
{
    return plat_user_clear(dst, n);
}

size_t user_read_part(void *dst, user_u8_in_t src, size_t n)
{
    return plat_user_read_part(dst, src.addr, n);
}

size_t user_write_part(user_u8_out_t dst, const void *src, size_t n)
{
    return plat_user_write_part(dst.addr, src, n);
}

long user_str(char *dst, size_t size, user_str_t up)
{
    return plat_user_string(dst, up.addr, size);
}

int user_load32(uintptr_t addr, uint32_t *ret)
{
    return plat_user_load32(addr, ret);
}

int user_cmpxchg32(uintptr_t addr, uint32_t expected, uint32_t desired, uint32_t *ret)
{
    return plat_user_cmpxchg32(addr, expected, desired, ret);
}
