/* SPDX-License-Identifier: MIT */
/* A pointer into user memory to a T. A value, not a pointer: ->, *, [], arithmetic and conversions do not compile.
 * Copy through libos/user.h. The member addr is the bare number, for calls that take an address (mmap, futex). */
#ifndef BASE_USER_PTR_H
#define BASE_USER_PTR_H

#include <stddef.h>
#include <stdint.h>

#define USER(T)                                                                                    \
    union {                                                                                        \
        uintptr_t addr;                                                                            \
        T *phantom;                                                                                \
    }

/* user_NAME_in_t (const), user_NAME_out_t and user_NAME_inout_t (the same type as out). Each T has one such line,
 * beside its definition. */
#define USER_TYPES(name, T)                                                                        \
    typedef USER(const T) user_##name##_in_t;                                                      \
    typedef USER(T) user_##name##_out_t;                                                           \
    typedef user_##name##_out_t user_##name##_inout_t

/* For libos/user.h only: bytes of one object, and whether a kernel object of type K may be copied in or out. Bytes go
 * with bytes whatever their name; a const target never takes anything out. */
#define USER_SIZE(up) sizeof(*(up).phantom)
#define USER_MATCH(up, K)                                                                          \
    (__builtin_types_compatible_p(__typeof__(*(up).phantom), K) ||                                 \
     (sizeof(*(up).phantom) == 1 && sizeof(K) == 1))
#define USER_IS_CONST(up)                                                                          \
    __builtin_types_compatible_p(__typeof__((up).phantom), const __typeof__(*(up).phantom) *)

USER_TYPES(void, void);
USER_TYPES(u8, uint8_t);
USER_TYPES(char, char);
USER_TYPES(int, int);
USER_TYPES(uint, unsigned);
USER_TYPES(long, long);
USER_TYPES(ulong, unsigned long);
USER_TYPES(off, long);
USER_TYPES(size, size_t);
USER_TYPES(addr, uintptr_t);
USER_TYPES(u64, uint64_t);
typedef user_char_in_t user_str_t; /* a NUL-terminated string */

#pragma GCC poison phantom /* only the macros above may name the member */
#endif
