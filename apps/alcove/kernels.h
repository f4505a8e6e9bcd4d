/* SPDX-License-Identifier: MIT */
/* The libOS executables that come with alcove: one has everything, the others lack parts. */
#ifndef ALCOVE_CMD_KERNELS_H
#define ALCOVE_CMD_KERNELS_H

struct image;

/* What an option can need. */
enum kernel_part {
    KERNEL_NET = 1,
    KERNEL_DISK = 2,
    KERNEL_CC = 4,
    KERNEL_DECODER = 8,
    KERNEL_DEVICES = 16
};

struct kernel {
    const char *name; /* as --libos has it, and the image's info */
    const char
        *file; /* of the executable, and of the one with symbols, without what is behind the dot */
    unsigned lacks; /* enum kernel_part */
};

/* The one of this name; ends the command with a list of them when there is none. */
const struct kernel *kernel_find(const char *name);
/* The one with everything. */
const struct kernel *kernel_full(void);
/* The one that an image says it has; the full one when it says nothing. */
const struct kernel *kernel_of_image(const struct image *i);

/* Path of its executable, or with symbols of the one with them; NULL: not installed. */
const char *kernel_path(const struct kernel *k);
const char *kernel_debug_path(const struct kernel *k);

/* End the command when option needs a part that k has not. */
void kernel_need(const struct kernel *k, enum kernel_part part, const char *option);

#endif
