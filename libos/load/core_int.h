/* SPDX-License-Identifier: MIT */
/* What the two halves of core files share: core.c writes, core_notes.c says what about. */
#ifndef LOAD_CORE_INT_H
#define LOAD_CORE_INT_H

#include <abi/elf.h>
#include <libos/dump.h>
#include <libos/process.h>

struct core_writer {
    struct file *file;
    uint64_t pos, limit; /* pos never passes limit by what is written */
};

/* Write n bytes; false: the dump ends here. */
bool core_emit(struct core_writer *w, const void *data, size_t n);
/* Go on to a multiple of align. */
bool core_pad(struct core_writer *w, size_t align);

/* Text of the PT_NOTE segment. */
struct core_notes {
    char *buf; /* owned by the caller of core_notes_make */
    size_t len, size;
    bool failed;
};

/* The notes of the current process and all its threads, which info ends. -ENOMEM. May sleep. */
NODISCARD int core_notes_make(struct core_notes *notes, const struct abi_siginfo *info,
                              const struct dump_area *d, size_t n);

#endif
