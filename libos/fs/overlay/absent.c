/* SPDX-License-Identifier: MIT */
/* In place of the overlay file system in a libOS that is linked without it: a type without a name is not found. */
#include <libos/fstype.h>

const struct fs_type overlay_type;
