/* SPDX-License-Identifier: MIT */
/* What an address space says of itself: where the program's parts are, its auxiliary vector, its file. Nothing in libOS relies on it
 * but brk(2), /proc and core files. PR_SET_MM of prctl(2). */
#ifndef LIBOS_MM_BOUNDS_H
#define LIBOS_MM_BOUNDS_H

#include <base/compiler.h>
#include <base/types.h>

struct file;
struct mm;

/* In the order of struct prctl_mm_map. */
enum mm_bound {
    MM_START_CODE,
    MM_END_CODE,
    MM_START_DATA,
    MM_END_DATA,
    MM_START_BRK,
    MM_BRK,
    MM_START_STACK,
    MM_ARG_START,
    MM_ARG_END,
    MM_ENV_START,
    MM_ENV_END,
    MM_BOUNDS
};

enum { MM_AUXV_WORDS = 64 };

/* -EINVAL: outside of the program's addresses, an end below its start, more than the current process's RLIMIT_DATA. */
NODISCARD int mm_check_bounds(const uint64_t b[MM_BOUNDS]);
/* Set all. -EINVAL. Locks: takes mm->lock. */
NODISCARD int mm_set_bounds(struct mm *mm, const uint64_t b[MM_BOUNDS]);
/* Set one, with the errors of all; -EFAULT: one of stack, arguments or environment, and nothing is mapped there or above. */
NODISCARD int mm_set_bound(struct mm *mm, enum mm_bound which, uint64_t addr);
/* Set the auxiliary vector to words, of which the last two are 0. */
void mm_set_auxv(struct mm *mm, const unsigned long words[MM_AUXV_WORDS]);
/* Make f (borrowed), which may be a program, the program's file in place of another. -EBUSY: the other is still mapped; -EACCES: somebody
 * writes to f. */
NODISCARD int mm_replace_exe(struct mm *mm, struct file *f);
/* The program's file with a reference; NULL: there is none. */
struct file *mm_exe_get(struct mm *mm);

#endif
