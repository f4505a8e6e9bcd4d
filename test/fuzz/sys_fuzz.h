/* SPDX-License-Identifier: MIT */
/* Random system calls: what sys_fuzz.c (which calls, in which process) and sys_fuzz_args.c (with what) share. */
#ifndef SYS_FUZZ_H
#define SYS_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <t.h>
#include <trace.h>

/* Where random files are. */
#define FUZZ_DIR "/tmp/fuzz"

/* A generator of its own for each thread. */
struct fuzz {
    uint64_t state;
    int pids[4]; /* that may be named */
};

uint32_t fuzz_next(struct fuzz *f);
/* One of n. */
static inline uint32_t fuzz_pick(struct fuzz *f, uint32_t n)
{
    return fuzz_next(f) % n;
}

/* Open what descriptors are chosen from, and map what pointers are. */
void fuzz_setup(void);
/* Arguments of c in a[0..6). */
void fuzz_arguments(struct fuzz *f, const struct trace_call *c, long a[6]);

#endif
