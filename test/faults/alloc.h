/* SPDX-License-Identifier: MIT */
/* Scenarios in which each allocation in turn fails. */
#ifndef ALLOC_H
#define ALLOC_H

#include <t.h>

#include "fault.h"

/* A call of which an allocation may fail; only the thread that calls this is made to fail, and only here. */
#define FAULTY(...) faulty(T_FAULTY(__VA_ARGS__, 0, 0, 0, 0, 0, 0, 0))
#define T_FAULTY(nr, a, b, c, d, e, f, ...)                                                        \
    (long[7])                                                                                      \
    {                                                                                              \
        (long)(nr), (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f)               \
    }

long faulty(const long *a);
/* The same for what is more than one call: between them, allocations of this thread fail as it is their turn. */
void faults_begin(void);
void faults_end(void);

/* Where scenarios make files. What one that was killed has left there is removed. */
#define DIR "/tmp/alloc"

/* run does it all and undoes it: 0 or more, or a negative errno. errnos: what may come of missing memory beside ENOMEM. */
struct scenario {
    const char *name;
    long (*run)(void);
    int errnos[4];
};

extern const struct scenario process_scenarios[], memory_scenarios[], file_scenarios[],
    other_scenarios[];

/* Do this in a child. What it returned: 0 or a negative errno; -EINTR when it was killed. */
long in_child(long (*fn)(void));

#endif
