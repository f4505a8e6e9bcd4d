/* SPDX-License-Identifier: MIT */
/* Numbers of threads and processes: a table of pieces that are made when first needed, and a cursor that goes round, so
 * that a number is not used again soon. Lock: process_lock. */
#include "pid.h"
#include <abi/errno.h>
#include <libos/heap.h>

enum { PIECE = 128 };

struct spin process_lock = SPIN_INIT(RANK_PROCESS);

static struct pid_slot *pieces[PID_MAX / PIECE]; /* guarded by process_lock */
static int cursor = 1;                           /* guarded by process_lock: where to look next */

static bool is_free(const struct pid_slot *s)
{
    return !s->thread && !s->process && !s->users;
}

/* Reserve the number: it, -EEXIST, -ENOMEM. */
static int take(int pid)
{
    struct pid_slot **piece = &pieces[pid / PIECE];
    if (!*piece)
        *piece = heap_calloc(PIECE, sizeof(**piece));
    if (!*piece)
        return -ENOMEM;
    struct pid_slot *s = &(*piece)[pid % PIECE];
    if (!is_free(s))
        return -EEXIST;
    s->users = 1;
    return pid;
}

int pid_alloc(int wanted)
{
    if (wanted)
        return take(wanted);
    for (int i = 0; i < PID_MAX; i++) {
        int pid = take(cursor);
        cursor = cursor + 1 < PID_MAX ? cursor + 1 : 2;
        if (pid != -EEXIST)
            return pid;
    }
    return -EAGAIN;
}

struct pid_slot *pid_slot(int pid)
{
    if (pid <= 0 || pid >= PID_MAX || !pieces[pid / PIECE])
        return NULL;
    struct pid_slot *s = &pieces[pid / PIECE][pid % PIECE];
    return is_free(s) ? NULL : s;
}

int pid_next(int pid)
{
    while (pid < PID_MAX && !pieces[pid / PIECE])
        pid = (pid / PIECE + 1) * PIECE;
    return pid;
}

void pid_use(int pid)
{
    struct pid_slot *s = pid_slot(pid);
    if (s)
        s->users++;
}

void pid_unuse(int pid)
{
    struct pid_slot *s = pid_slot(pid);
    if (s)
        s->users--;
}
