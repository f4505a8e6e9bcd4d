/* SPDX-License-Identifier: MIT */
/* How a test program speaks with hook.c: prctl(FAULT_PRCTL, what, a, b). Numbers only; nothing of it is in the product. */
#ifndef FAULT_H
#define FAULT_H

enum { FAULT_PRCTL = 0x46415554 };

enum fault_what {
    FAULT_ARM, /* of the caller's allocations from now on, a succeed, then b fail, the rest succeeds */
    FAULT_DISARM,
    FAULT_FAILED, /* how many failed since the mark */
    FAULT_LIVE,   /* how many there are of enum fault_count a */
    FAULT_MARK,   /* remember what exists */
    FAULT_LEAKS,  /* print what was made since the mark and still exists; how many */
    FAULT_WHERE,  /* print where the last one failed */
};

enum fault_count {
    FAULT_OBJECTS,      /* of the heap and of caches */
    FAULT_KERNEL_PAGES, /* taken in blocks: page tables, stacks, buffers */
    FAULT_ANON_PAGES,   /* of programs */
    FAULT_FILE_PAGES,
    FAULT_PROCESSES,
    FAULT_THREADS,
    FAULT_COUNTS
};

#endif
