/* SPDX-License-Identifier: MIT */
/* What happens to memory that a userfaultfd watches, beside faults: it is unmapped, moved, forked, or its pages are thrown
 * away. Whoever does that waits until it is read, userfaultfd(2), and nobody can give pages meanwhile (EAGAIN).
 *
 * What is told after the fact, once mm->lock is free again, is kept in one list until then, each with the thread that did
 * it. Lock: pending_lock for that list; a noted event holds a reference to its uffd. */
#include "uffd.h"
#include "marks.h"

#include <abi/errno.h>
#include <abi/poll.h>
#include <libos/heap.h>
#include <libos/sched.h>
#include <libos/uffd.h>
#include <utlist.h>

struct uffd_event {
    struct uffd_event *next, *prev;
    const struct thread *thread; /* who told of it */
    struct uffd *u;              /* a reference */
    struct note note;
};

static struct spin pending_lock = SPIN_INIT(RANK_FILE);
struct uffd_event *uffd_pending; /* guarded by pending_lock, but for a look */

/* The event of this kind about u that the current thread has noted already; NULL. */
static struct uffd_event *noted(const struct uffd *u, const struct abi_uffd_msg *msg)
{
    struct uffd_event *e;
    spin_lock(&pending_lock);
    DL_FOREACH(uffd_pending, e)
    if (e->thread == thread_current() && e->u == u && e->note.msg.event == msg->event &&
        e->note.msg.flags == msg->flags && e->note.msg.address == msg->address)
        break;
    spin_unlock(&pending_lock);
    return e;
}

static struct uffd_event *note(struct uffd *u, const struct abi_uffd_msg *msg)
{
    struct uffd_event *e = heap_zalloc(sizeof(*e));
    if (!e)
        return NULL;
    e->thread = thread_current();
    e->u = u;
    e->note.msg = *msg;
    e->note.page = UINTPTR_MAX;
    u->refs++;
    u->changing++;
    spin_lock(&pending_lock);
    DL_APPEND(uffd_pending, e);
    spin_unlock(&pending_lock);
    return e;
}

int uffd_unmapping(struct area *a, uintptr_t start, uintptr_t end)
{
    const struct abi_uffd_msg msg = { .event = UFFD_EVENT_UNMAP, .flags = start, .address = end };
    if (!(a->uffd->features & UFFD_FEATURE_EVENT_UNMAP) || noted(a->uffd, &msg))
        return 0;
    return note(a->uffd, &msg) ? 0 : -ENOMEM;
}

int uffd_moving(const struct area *a, struct area *b, uintptr_t from, size_t size)
{
    const struct abi_uffd_msg msg = {
        .event = UFFD_EVENT_REMAP, .flags = from, .address = b->start, .len = size
    };
    if (!(a->uffd->features & UFFD_FEATURE_EVENT_REMAP)) {
        uffd_forget(b);
        return 0;
    }
    return note(a->uffd, &msg) ? 0 : -ENOMEM;
}

int uffd_forking(const struct area *a, struct area *b)
{
    const struct abi_uffd_msg msg = { .event = UFFD_EVENT_FORK };
    struct uffd *u = a->uffd;
    if (!(u->features & UFFD_FEATURE_EVENT_FORK)) {
        uffd_forget(b);
        return 0;
    }
    struct uffd_event *e = noted(u, &msg);
    if (!e && !(e = note(u, &msg)))
        return -ENOMEM;
    if (!e->note.child && !(e->note.child = uffd_create_like(u, b->mm)))
        return -ENOMEM;
    b->uffd = e->note.child;
    return 0;
}

/* Tell of n, and wait until it is read, the file is closed, or a fatal signal comes. */
static void tell(struct uffd *u, struct note *n)
{
    spin_lock(&u->lock);
    bool gone = u->gone;
    if (!gone)
        DL_APPEND(u->events, n);
    spin_unlock(&u->lock);
    if (gone)
        return;
    waitq_wake(&u->readers, WAITQ_ALL, EPOLLIN | EPOLLRDNORM);
    (void)WAIT_EVENT(&u->faults, SLEEP_KILLABLE, NO_DEADLINE,
                     uffd_is_woken(u, n)); /* it ends anyway */
    spin_lock(&u->lock);
    DL_DELETE(u->events, n);
    spin_unlock(&u->lock);
}

/* An event of the current thread, taken out of the list; NULL. */
static struct uffd_event *take(void)
{
    struct uffd_event *e;
    spin_lock(&pending_lock);
    DL_FOREACH(uffd_pending, e)
    if (e->thread == thread_current())
        break;
    if (e)
        DL_DELETE(uffd_pending, e);
    spin_unlock(&pending_lock);
    return e;
}

void uffd_tell_events(bool good)
{
    struct uffd_event *e;
    while ((e = take())) {
        if (good)
            tell(e->u, &e->note);
        if (e->note.child) /* nobody took it */
            uffd_destroy(e->note.child);
        e->u->changing--;
        uffd_put(e->u);
        heap_free(e);
    }
}

/* The first area of [start, end) whose pages' going is told; NULL. mm->lock is held. */
static struct area *first_told(struct mm *mm, uintptr_t start, uintptr_t end)
{
    for (struct area *a = area_find(mm, start); a && a->start < end; a = area_next(a))
        if (a->uffd && a->uffd->features & UFFD_FEATURE_EVENT_REMOVE)
            return a;
    return NULL;
}

void uffd_removing(struct mm *mm, uintptr_t start, uintptr_t end)
{
    while (start < end) {
        mm_read_lock(mm);
        struct area *a = first_told(mm, start, end);
        struct uffd *u = a ? a->uffd : NULL;
        struct note n = { .page = UINTPTR_MAX };
        if (a) {
            n.msg = (struct abi_uffd_msg){ .event = UFFD_EVENT_REMOVE,
                                           .flags = a->start > start ? a->start : start,
                                           .address = a->end < end ? a->end : end };
            u->refs++;
            u->changing++;
        }
        mm_read_unlock(mm);
        if (!a)
            return;
        start = n.msg.address;
        tell(u, &n);
        u->changing--;
        uffd_put(u);
    }
}
