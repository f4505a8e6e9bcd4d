/* SPDX-License-Identifier: MIT */
/* The files that an image can be written as. */
#ifndef ALCOVE_CMD_FORMATS_H
#define ALCOVE_CMD_FORMATS_H

#include "image.h"

enum format {
    FORMAT_ELF,
    FORMAT_EFI,
    FORMAT_IMG,
    FORMAT_QCOW2,
    FORMAT_VHD,
    FORMAT_GCP_TAR,
    FORMAT_OCI,
    FORMAT_COUNT
};

/* Bits of enum format for a list such as "elf,efi"; ends the command with a line on a word that is not one. */
unsigned formats_parse(const char *list);

/* The format that a file name ends as; FORMAT_COUNT: none. *ret_stem: the name's length without that end. */
enum format format_of_name(const char *name, size_t *ret_stem);

/* What its file names end with, with the dot. */
const char *format_suffix(enum format f);

/* Write the image, whole or not at all. */
void format_write(enum format f, const struct image_parts *parts, const char *path);

#endif
