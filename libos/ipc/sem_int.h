/* SPDX-License-Identifier: MIT */
/* Sets of semaphores and the adjustments that processes leave behind (SEM_UNDO). */
#ifndef LIBOS_SEM_INT_H
#define LIBOS_SEM_INT_H

#include "ipc_int.h"

enum { SEMVMX = 32767 }; /* the highest value, and the largest adjustment */

struct sem_wait;

struct sem {
    uint16_t value;
    int pid; /* of the last operation */
};

struct sem_set {
    struct ipc_object o; /* its lock guards everything below */
    unsigned n;
    int64_t otime;
    struct sem_wait *waiting; /* utlist DL, in order of arrival */
    struct sem_undo *undos;   /* utlist DL */
    struct sem sems[];
};

/* What the end of a list's last process does to one set. */
struct sem_undo {
    struct sem_undo *next, *prev; /* in set->undos */
    struct sem_undo *list_next;   /* guarded by the list's lock */
    struct sem_set *set;          /* holds a reference */
    bool dead;        /* the set was removed: not in set->undos. Guarded by the set's lock */
    int16_t adjust[]; /* guarded by the set's lock */
};

static inline struct sem_set *sem_set_of(struct ipc_object *o)
{
    return (struct sem_set *)o;
}

/* Values of s, which is locked, have changed: carry out what waits and can be done. */
void sem_changed(struct sem_set *s);
/* The current thread's adjustments for s, made if need be. s is locked, but not all the time. -ENOMEM, -EIDRM. */
NODISCARD int sem_find_undo(struct sem_set *s, struct sem_undo **ret);
/* Forget the adjustments of all processes to semaphores [first, end) of s, which is locked. */
void sem_clear_undo(struct sem_set *s, unsigned first, unsigned end);
/* s, which is locked, is removed: nobody adjusts it any more. */
void sem_drop_undos(struct sem_set *s);

#endif
