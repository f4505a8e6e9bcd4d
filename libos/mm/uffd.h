/* SPDX-License-Identifier: MIT */
/* Private to libos/mm: where a fault meets a userfaultfd. */
#ifndef MM_UFFD_H
#define MM_UFFD_H

#include "area.h"

/* Who faults, and how. */
struct uffd_fault {
    uintptr_t addr;
    bool write, user;
};

enum { UFFD_AGAIN = 1, UFFD_SIGNAL = 2 };

/* Is the fault in a, whose uffd is set, one that the program handles? 0: no; mm->lock is held for reading, as before. Else the lock was
 * dropped, and the thread may have slept: UFFD_AGAIN: look again; UFFD_SIGNAL: a signal comes first; -EIO: SIGBUS; -EFAULT. */
int uffd_handle(struct area *a, const struct uffd_fault *f);

/* mm has no users any more, and its memory goes: files of its faults that are still open know that from here on. */
void uffd_mm_gone(struct mm *mm);

/* a is not watched any more, or (a copy) never was. */
static inline void uffd_forget(struct area *a)
{
    a->uffd = NULL;
    a->flags &= ~(uint32_t)AREA_UFFD;
}

#endif
