/* SPDX-License-Identifier: MIT */
/* Reading of ELF64 programs and libraries. The file is hostile: everything is bounded before it is used. */
#ifndef ALCOVE_CMD_ELFREAD_H
#define ALCOVE_CMD_ELFREAD_H

#include "util.h"

#include <elf.h>

/* What the loader needs to know of one file. Strings are copies. */
struct elf_file {
    const uint8_t *data; /* the whole file, mapped */
    size_t size;
    const Elf64_Ehdr *ehdr;
    const Elf64_Phdr *phdrs; /* ehdr->e_phnum of them */
    char *interp;            /* PT_INTERP, or NULL */
    char *soname, *rpath, *runpath;
    struct list needed;   /* DT_NEEDED in order */
    bool no_default_dirs; /* DF_1_NODEFLIB */
};

/* True when the bytes begin like an ELF file of any kind. */
bool elf_magic(const uint8_t *data, size_t size);

/* Check and read a program or library. NULL when it is sound (then *ret is filled), else what is wrong with it, as
 * half a sentence for an error line ("is a 32-bit program; ..."). */
const char *elf_read(const uint8_t *data, size_t size, struct elf_file *ret);

/* Where the bytes of [vaddr, vaddr + n) lie in the file, NULL when they are not all in one PT_LOAD. */
const uint8_t *elf_at(const struct elf_file *e, uint64_t vaddr, uint64_t n);

#endif
