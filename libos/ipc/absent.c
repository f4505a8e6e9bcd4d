/* SPDX-License-Identifier: MIT */
/* In place of System V's semaphores in a libOS that is linked without them: no thread has anything to undo. */
#include <libos/fstype.h>
#include <libos/ipc.h>
#include <libos/mqueue.h>

const struct fs_type mqueue_type;

int sem_share_undo(struct thread *child, bool share)
{
    return 0;
}

void sem_leave_undo(struct thread *t)
{
}
