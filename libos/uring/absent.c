/* SPDX-License-Identifier: MIT */
/* In place of io_uring in a libOS that is linked without it: no thread uses it. */
#include <libos/thread.h>
#include <libos/uring.h>

struct uring *uring_of(const struct file *f)
{
    return NULL;
}

void uring_thread_work(struct thread *t)
{
}

void uring_thread_exit(struct thread *t)
{
}

uint64_t uring_weight(const struct thread *t)
{
    return 0;
}

void uring_thread_sleeps(struct thread *t)
{
}
