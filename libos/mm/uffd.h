/* SPDX-License-Identifier: MIT */
/* Private to libos/mm: where a fault meets a userfaultfd. */
#ifndef MM_UFFD_H
#define MM_UFFD_H

#include "area.h"

#include <abi/userfaultfd.h>
#include <libos/waitq.h>

/* What is told. It belongs to the thread that waits until it is woken. */
struct note {
    struct note *next, *prev;
    struct abi_uffd_msg msg;
    uintptr_t page;           /* of a fault */
    struct uffd *child;       /* of a fork: whoever is told takes it */
    const struct uffd *taken; /* by somebody who makes a descriptor for it */
    bool told, woken;
};

struct uffd {
    _Atomic uint32_t refs; /* the file's, and one for each thread that sleeps */
    struct spin lock;
    struct uffd *next, *prev; /* utlist DL; guarded by living_lock of uffd.c */
    struct mm *
        mm; /* not counted, so that it ends with its last thread; NULL then. Guarded by living_lock; stays while the
                                     address space is in use */
    _Atomic uint64_t features;    /* agreed on; with READY */
    _Atomic uint32_t changing;    /* events that nobody was told yet: no page is given meanwhile */
    unsigned open_flags;          /* O_CLOEXEC, O_NONBLOCK, as it was made; never changes */
    bool user_only;               /* never changes */
    bool gone;                    /* the file is closed; guarded by lock, as the next */
    struct note *notes, *events;  /* faults; what else happens to the memory */
    struct waitq readers, faults; /* those who handle, those who wait */
};

void uffd_put(struct uffd *u);
bool uffd_is_woken(struct uffd *u, const struct note *n);
/* One for mm, which forked from the parent's. NULL: out of memory. */
struct uffd *uffd_create_like(const struct uffd *parent, struct mm *mm);

/* Events, uffd_event.c. The first four note, with mm->lock held for writing, what the current thread is about to do; uffd_tell_pending,
 * without it, tells it (good) or forgets it, and returns when it has been read or a fatal signal came. */

/* [start, end), of which a is a part, is about to go. -ENOMEM. */
NODISCARD int uffd_unmapping(struct area *a, uintptr_t start, uintptr_t end);
/* [from, from + size), in a, is about to move to b: b is watched too, if that is told, or not any more. -ENOMEM. */
NODISCARD int uffd_moving(const struct area *a, struct area *b, uintptr_t from, size_t size);
/* A fork gives a's memory to b: the same. */
NODISCARD int uffd_forking(const struct area *a, struct area *b);
void uffd_tell_events(bool good);
/* Pages of [start, end) are about to go for madvise(2): tell. No lock is held. */
void uffd_removing(struct mm *mm, uintptr_t start, uintptr_t end);

extern struct uffd
    *uffd_living; /* all whose address space has not ended; a hint without living_lock */
extern struct uffd_event
    *uffd_pending; /* of all threads; a hint for others than the one that made them */

static inline void uffd_tell_pending(bool good)
{
    if (UNLIKELY(__atomic_load_n(&uffd_pending, __ATOMIC_RELAXED)))
        uffd_tell_events(good);
}

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
