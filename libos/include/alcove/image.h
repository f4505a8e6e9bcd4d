/* SPDX-License-Identifier: MIT */
/* The payload that `alcove build` adds to the libOS executable: one PT_LOAD segment whose physical address is
 * the end of the libOS's last segment (p_paddr + p_memsz) rounded up to a page. Everything is little-endian.
 * The guest treats each field as hostile: it is bounded before use. */
#ifndef ALCOVE_IMAGE_H
#define ALCOVE_IMAGE_H

#include <stdint.h>

#define ALCOVE_IMAGE_MAGIC "ALCOVEIM"

enum {
    ALCOVE_IMAGE_VERSION = 1,
    ALCOVE_IMAGE_ALIGN = 4096,      /* of the payload and of each part */
    ALCOVE_CMDLINE_MAX = 64 * 1024, /* bytes, without the terminating zero */
};

/* The second note of the libOS executable's PT_NOTE, name "Alcove": where 64-bit mode enters with identity mapping and
 * rdi = the physical address (below 4 GiB) of PVH's struct hvm_start_info, as an int32_t relative to itself. */
enum { ALCOVE_NOTE_ENTRY64 = 1 };

/* In that structure's flags: what the UEFI stub made. Its only module is the payload. */
#define ALCOVE_START_UEFI 0x80000000u

/* In that structure's flags: a SEV guest. SEV-SNP: the last word of the structure, which PVH reserves, is the physical
 * address (private memory, mapped one to one) of what UEFI calls the confidential computing blob; SEV and SEV-ES: 0. RAM that the guest has to accept
 * itself has the type 15 in the memory map, as UEFI numbers it. */
#define ALCOVE_START_CC 0x40000000u
enum { ALCOVE_MEMORY_UNACCEPTED = 15 };

/* libOS's first bytes on COM1 after UEFI: a soft terminal reset (DECSTR). What came before is the firmware's. */
#define ALCOVE_UEFI_MARK "\033[!p"

/* A part of the payload. offset is in bytes from the header, a multiple of ALCOVE_IMAGE_ALIGN; size is in bytes.
 * A part that is not there has size 0. */
struct alcove_image_part {
    uint64_t offset;
    uint64_t size;
};

/* The first page of the payload. */
struct alcove_image {
    char magic[8];                    /* ALCOVE_IMAGE_MAGIC, no terminating zero */
    uint32_t version;                 /* ALCOVE_IMAGE_VERSION */
    uint32_t header_size;             /* sizeof(struct alcove_image) */
    uint64_t total_size;              /* bytes of the payload, this page included */
    struct alcove_image_part cmdline; /* text, see ARCHITECTURE.md; not zero-terminated */
    struct alcove_image_part root;    /* EROFS */
    struct alcove_image_part
        hash; /* dm-verity superblock, salt and tree, as veritysetup(8) writes them */
    struct alcove_image_part info; /* key=value lines */
};

#endif
