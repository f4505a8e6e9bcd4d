/* SPDX-License-Identifier: MIT */
/* What of an address space a core file keeps. core(5). */
#ifndef LIBOS_DUMP_H
#define LIBOS_DUMP_H

#include <base/compiler.h>
#include <base/types.h>

struct file;
struct mm;

/* /proc/PID/coredump_filter. */
enum {
    DUMP_ANON_PRIVATE = 1,
    DUMP_ANON_SHARED = 2,
    DUMP_FILE_PRIVATE = 4,
    DUMP_FILE_SHARED = 8,
    DUMP_ELF_HEADERS = 16,
    DUMP_DEFAULT = 0x33,
    DUMP_ALL = 0x1ff, /* with what there is none of: huge pages, DAX */
};

/* One area. Its first size bytes are to be kept; if_elf: only if they begin an ELF file; sparse: only pages that are there. */
struct dump_area {
    uintptr_t start, end;
    size_t size;
    uint8_t prot; /* PLAT_* */
    bool if_elf, sparse;
    uint64_t pgoff;
    struct file *file; /* a reference; NULL: none */
};

/* All areas of mm in order, for mm_dump_free. -ENOMEM. May sleep. */
NODISCARD int mm_dump_areas(struct mm *mm, unsigned filter, struct dump_area **ret, size_t *ret_n);
void mm_dump_free(struct dump_area *d, size_t n);
/* The first address from va on, below end, with a page behind it; end: there is none. May sleep. */
uintptr_t mm_next_present(struct mm *mm, uintptr_t va, uintptr_t end);

#endif
