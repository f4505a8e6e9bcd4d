/* SPDX-License-Identifier: MIT */
/* What C11 spells differently in each compiler, under one name. Nothing else belongs here. */
#ifndef BASE_COMPILER_H
#define BASE_COMPILER_H

#define NODISCARD     __attribute__((warn_unused_result))
#define NORETURN      __attribute__((noreturn))
#define PACKED        __attribute__((packed))
#define ALIGNED(n)    __attribute__((aligned(n)))
#define PRINTF(f, a)  __attribute__((format(printf, f, a)))
#define COLD          __attribute__((cold, noinline))
#define NOINLINE      __attribute__((noinline))
#define ALWAYS_INLINE inline __attribute__((always_inline))
#define LIKELY(x)     __builtin_expect(!!(x), 1)
#define UNLIKELY(x)   __builtin_expect(!!(x), 0)

/* Clang's lock checker; other compilers see nothing. The lock is named by an expression over the parameters. */
#if defined(__clang__)
#define REQUIRES(...) __attribute__((requires_capability(__VA_ARGS__)))
#define CAPABILITY(n) __attribute__((capability(n)))
#else
#define REQUIRES(...)
#define CAPABILITY(n)
#endif

#define ARRAY_SIZE(a)                 (sizeof(a) / sizeof((a)[0]))
#define CONTAINER_OF(p, type, member) ((type *)((char *)(p)-offsetof(type, member)))

#endif
