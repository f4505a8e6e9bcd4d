/* SPDX-License-Identifier: MIT */
/* In place of io_uring in a libOS that is linked without it: no thread uses it. */
#include <libos/thread.h>

void uring_thread_work(struct thread *t)
{
}

void uring_thread_exit(struct thread *t)
{
}

void uring_thread_sleeps(struct thread *t)
{
}
