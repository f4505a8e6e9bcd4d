/* SPDX-License-Identifier: MIT */
/* Which system calls the code of an ELF file can make. */
#ifndef ALCOVE_CMD_SCAN_H
#define ALCOVE_CMD_SCAN_H

#include "elfread.h"

enum { SCAN_NUMBERS = 512 };

/* What was found in one file. */
struct scan {
    bool number[SCAN_NUMBERS];
    bool computed; /* a system call whose number is not a constant before it */
};

/* Look at the executable segments of e. wanted NULL: all of the code counts. Else e is a library, and only what can be
 * reached counts: from its exported functions with these names, from every function whose address stands in its data
 * (tables, constructors), by calls, jumps and addresses taken. A library without the table of functions that unwinding
 * needs counts as a whole. */
void scan_file(const struct elf_file *e, const struct list *wanted, struct scan *ret);

/* Names of the functions that e takes from others. */
void scan_imports(const struct elf_file *e, struct list *ret);

#endif
