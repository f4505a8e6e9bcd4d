/* SPDX-License-Identifier: MIT */
/* app.elf: the libOS with the payload of <alcove/image.h> as one more segment. */
#ifndef ALCOVE_CMD_IMAGE_H
#define ALCOVE_CMD_IMAGE_H

#include "util.h"

#include <alcove/image.h>

/* What goes into an image. */
struct image_parts {
    const char *kernel; /* path of the libOS executable */
    const char *stub;   /* path of the UEFI stub; NULL: not installed */
    const char *root;   /* path of the EROFS image; NULL: the root is on a disk */
    const char *hash;   /* path of veritysetup's hash file */
    struct buf cmdline;
    struct buf info;
    const char *efi; /* path of a finished app.efi, for a disk; NULL: it is made of the above */
};

/* Write the image to path, which must not exist; the directory entry is made by the caller's rename. Keeps the lint
 * rules or ends the command. */
void image_write(const struct image_parts *parts, const char *path);

/* An image that was read. Pointers into data. */
struct image {
    const uint8_t *data;
    size_t size;
    struct alcove_image head; /* bounded: every part lies in the payload */
    const uint8_t *payload;   /* NULL: a relinked program (alcove-cc), without parts */
    uint64_t end_paddr;       /* guest memory that it takes at boot */
    bool efi;                 /* needs UEFI to boot */
    bool disk;                /* a disk with an EFI system partition */
};

/* Read an image file; NULL when it is sound, else what is wrong. *ret_is_image is false when it is simply not one. */
const char *image_read(const uint8_t *data, size_t size, struct image *ret, bool *ret_is_image);

/* Bytes of a part; size in part->size. */
const uint8_t *image_part(const struct image *i, const struct alcove_image_part *part);

/* The disk with the root of the image at path: given, else the one that it was built with, beside it. NULL: the root is in the image. One that cannot
 * be read, and one given in vain, ends the command. */
const char *image_root_disk(const struct image *image, const char *path, const char *given);

#endif
