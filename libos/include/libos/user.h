/* SPDX-License-Identifier: MIT */
/* Copies between libOS and user memory; there is no other way in. Checking and copying are one operation: fetch once,
 * then use. A copy may fault and sleep: no spinlock and no lock of the memory map is held. */
#ifndef LIBOS_USER_H
#define LIBOS_USER_H

#include <abi/errno.h>
#include <base/compiler.h>
#include <base/user_ptr.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What the macros below expand to; not for direct use. 0, or -EFAULT with a prefix possibly copied. */
NODISCARD int user_read_raw(void *dst, uintptr_t src, size_t n);
NODISCARD int user_write_raw(uintptr_t dst, const void *src, size_t n);
NODISCARD int user_clear_raw(uintptr_t dst, size_t n);

/* Copy as much as can be copied; bytes copied, 0 to n. For calls that report a short count (read, write). */
size_t user_read_part(void *dst, user_u8_in_t src, size_t n);
size_t user_write_part(user_u8_out_t dst, const void *src, size_t n);

/* Copy a string with its NUL. Its length without the NUL, -EFAULT, or -ENAMETOOLONG when no NUL is within size bytes
 * (dst is then not terminated). */
NODISCARD long user_str(char *dst, size_t size, user_str_t up);

/* Atomics on a 4-byte aligned word of the program, for futexes: -EINVAL when not aligned, -EFAULT, 0. user_cmpxchg32
 * puts the value found into *ret; it was replaced if that equals expected. */
NODISCARD int user_load32(uintptr_t addr, uint32_t *ret);
NODISCARD int user_cmpxchg32(uintptr_t addr, uint32_t expected, uint32_t desired, uint32_t *ret);

NODISCARD static inline int user_copy_in(void *dst, uintptr_t src, size_t n, size_t size)
{
    size_t bytes;
    return __builtin_mul_overflow(n, size, &bytes) ? -EFAULT : user_read_raw(dst, src, bytes);
}

NODISCARD static inline int user_copy_out(uintptr_t dst, const void *src, size_t n, size_t size)
{
    size_t bytes;
    return __builtin_mul_overflow(n, size, &bytes) ? -EFAULT : user_write_raw(dst, src, bytes);
}

NODISCARD static inline int user_zero(uintptr_t dst, size_t n, size_t size)
{
    size_t bytes;
    return __builtin_mul_overflow(n, size, &bytes) ? -EFAULT : user_clear_raw(dst, bytes);
}

/* The address of the n-th object after base; one that no copy accepts when it would wrap around. */
static inline uintptr_t user_step(uintptr_t base, size_t n, size_t size)
{
    size_t bytes;
    uintptr_t end;
    return __builtin_mul_overflow(n, size, &bytes) || __builtin_add_overflow(base, bytes, &end)
               ? UINTPTR_MAX
               : end;
}

/* 0, in an expression that does not compile unless the condition holds. Not a struct around the assertion: clang would take
 * compound literals in the condition for initialisers at file scope. */
#define USER_REQUIRE(condition, why)                                                               \
    (0 * sizeof(({                                                                                 \
         _Static_assert(condition, why);                                                           \
         0;                                                                                        \
     })))

/* user_get(dst, up, n): copy n objects in. 0, -EFAULT (also if their size overflows). */
#define user_get(dst, up, n)                                                                       \
    user_copy_in((dst), (up).addr, (n),                                                            \
                 USER_SIZE(up) + USER_REQUIRE(USER_MATCH(up, __typeof__(*(dst))),                  \
                                              "not the type that up points to"))

/* user_put(up, src, n): copy n objects out. 0, -EFAULT. A const user pointer does not compile. */
#define user_put(up, src, n)                                                                       \
    user_copy_out(                                                                                 \
        (up).addr, (src), (n),                                                                     \
        USER_SIZE(up) +                                                                            \
            USER_REQUIRE(USER_MATCH(up, __typeof__(*(src))), "not the type that up points to") +   \
            USER_REQUIRE(!USER_IS_CONST(up), "up is for reading"))

/* user_clear(up, n): zero n objects. 0, -EFAULT. */
#define user_clear(up, n)                                                                          \
    user_zero((up).addr, (n), USER_SIZE(up) + USER_REQUIRE(!USER_IS_CONST(up), "up is for reading"))

/* user_is_null(up): did the program pass NULL? */
#define user_is_null(up) ((up).addr == 0)

/* The two escapes: the n-th object after up; and up as another user pointer type (a user_*_t name). */
#define user_advance(up, n) ((__typeof__(up)){ .addr = user_step((up).addr, (n), USER_SIZE(up)) })
#define user_cast(type, up) ((type){ .addr = (up).addr })
/* user_at(type, address): a number of the program's (an ioctl argument) as a user pointer type. */
#define user_at(type, address) ((type){ .addr = (address) })

#endif
