/* SPDX-License-Identifier: MIT */
/* The only ways into user memory. Addresses are hostile: everything outside the lower half is -EFAULT. A copy may
 * fault, and then upcall_fault may sleep: no spinlock and no lock of the memory map is held. */
#ifndef PLAT_USER_H
#define PLAT_USER_H

#include <base/compiler.h>
#include <base/types.h>

/* Copy n bytes in or out. 0, or -EFAULT with a prefix possibly copied. */
NODISCARD int plat_user_read(void *dst, uintptr_t src, size_t n);
NODISCARD int plat_user_write(uintptr_t dst, const void *src, size_t n);

/* Copy as much as can be copied; bytes copied, 0 to n. For calls that report a short count. */
size_t plat_user_read_part(void *dst, uintptr_t src, size_t n);
size_t plat_user_write_part(uintptr_t dst, const void *src, size_t n);

/* Set n bytes to zero. 0, -EFAULT. */
NODISCARD int plat_user_clear(uintptr_t dst, size_t n);

/* Copy a string with its NUL. Its length, -EFAULT, or -ENAMETOOLONG when no NUL is within size bytes (dst is then
 * not terminated). */
NODISCARD long plat_user_string(char *dst, uintptr_t src, size_t size);

/* Atomics for futexes; addr is 4-byte aligned, else -EINVAL. 0, -EFAULT. */
NODISCARD int plat_user_load32(uintptr_t addr, uint32_t *ret);
/* Compare and exchange: *ret gets the value found; it was replaced if that equals expected. */
NODISCARD int plat_user_cmpxchg32(uintptr_t addr, uint32_t expected, uint32_t desired,
                                  uint32_t *ret);

#endif
