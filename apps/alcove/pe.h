/* SPDX-License-Identifier: MIT */
/* PE32+ files as UEFI takes them: headers and section table, nothing of Windows. Spec: Microsoft's "PE Format". */
#ifndef ALCOVE_CMD_PE_H
#define ALCOVE_CMD_PE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    PE_HEADER_AT = 0x40, /* e_lfanew of what we write: right behind the DOS header */
    PE_FILE_ALIGN = 512,
    PE_PAGE = 4096, /* section alignment */
    PE_SECTIONS_MAX = 24,
    PE_MACHINE_X64 = 0x8664,
    PE_RELOCS_STRIPPED = 1, /* in characteristics */
    PE_MAGIC_PLUS = 0x20b,
    PE_SUBSYSTEM_EFI_APPLICATION = 10,
    PE_NX_COMPAT = 0x100, /* in dll_characteristics */
    PE_DYNAMIC_BASE = 0x40,
    PE_HIGH_ENTROPY_VA = 0x20,
    PE_DIRECTORIES = 16,
    PE_DIRECTORY_SECURITY = 4, /* its address is an offset in the file */
    PE_DIRECTORY_RELOC = 5,
};

enum {
    PE_SCN_DATA = 0x40,
    PE_SCN_DISCARDABLE = 0x02000000,
    PE_SCN_EXEC = 0x20000000,
    PE_SCN_READ = 0x40000000,
};
#define PE_SCN_WRITE 0x80000000u

struct __attribute__((packed)) pe_header {
    char signature[4]; /* "PE\0\0" */
    uint16_t machine, sections;
    uint32_t time, symbols_at, symbols;
    uint16_t optional_size, characteristics;
    /* the optional header */
    uint16_t magic;
    uint8_t linker[2];
    uint32_t code_size, data_size, bss_size, entry, code_base;
    uint64_t image_base;
    uint32_t section_align, file_align;
    uint16_t os_version[2], image_version[2], subsystem_version[2];
    uint32_t win32_version, image_size, headers_size, checksum;
    uint16_t subsystem, dll_characteristics;
    uint64_t stack_reserve, stack_commit, heap_reserve, heap_commit;
    uint32_t loader_flags, directories;
    struct {
        uint32_t address, size;
    } directory[PE_DIRECTORIES];
};

struct __attribute__((packed)) pe_section {
    char name[8]; /* zero-padded */
    uint32_t size, address, file_size, file_at;
    uint32_t relocs_at, lines_at;
    uint16_t relocs, lines;
    uint32_t flags;
};

/* A PE file that was looked at: headers and sections are copies, data stays the caller's. */
struct pe {
    const uint8_t *data;
    size_t size;
    struct pe_header h;
    struct pe_section s[PE_SECTIONS_MAX];
};

/* Read the headers of a file: NULL when they are PE32+'s and every section lies in the file, else what is wrong. */
const char *pe_read(const uint8_t *data, size_t size, struct pe *ret);

/* The section of that name; NULL: there is none. */
const struct pe_section *pe_find(const struct pe *pe, const char *name);

#endif
