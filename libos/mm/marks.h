/* SPDX-License-Identifier: MIT */
/* Private to libos/mm: marks on pages that need not be there. */
#ifndef MM_MARKS_H
#define MM_MARKS_H

#include <libos/mm.h>

enum mark {
    MARK_GUARD,  /* whoever touches it gets SIGSEGV (MADV_GUARD_INSTALL) */
    MARK_POISON, /* whoever touches it gets SIGBUS (UFFDIO_POISON) */
    MARK_WATCH,  /* a write to it is told to a userfaultfd */
    MARKS,
};

/* Locks of all these: mm->lock, for writing where they change something. */

/* Mark the pages of [start, end). -ENOMEM: some may be marked. */
NODISCARD int marks_set(struct mm *mm, uintptr_t start, uintptr_t end, enum mark kind);
/* Take the marks of this kind away; MARKS: of every kind. */
void marks_clear(struct mm *mm, uintptr_t start, uintptr_t end, enum mark kind);
bool marks_at(struct mm *mm, uintptr_t va, enum mark kind);
/* The first page of [va, end) with any mark; end. */
uintptr_t marks_next(struct mm *mm, uintptr_t va, uintptr_t end);
/* Make the pages of [to, to + size) of mm marked as those of [from, from + size) of src; mm may be src if they do not overlap. watched: with
 * MARK_WATCH, too. -ENOMEM. */
NODISCARD int marks_copy(struct mm *mm, uintptr_t to, struct mm *src, uintptr_t from, size_t size,
                         bool watched);
/* mm ends. */
void marks_free(struct mm *mm);

/* Is any page of mm marked? */
static inline bool marks_any(const struct mm *mm)
{
    return UNLIKELY(mm->marks.rbh_root != NULL);
}

#endif
