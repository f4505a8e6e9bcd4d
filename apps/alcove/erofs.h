/* SPDX-License-Identifier: MIT */
/* Owners and permission bits of an EROFS image that mkfs.erofs made. */
#ifndef ALCOVE_CMD_EROFS_H
#define ALCOVE_CMD_EROFS_H

#include "stage.h"

/* Write mode, owner and group of the stage's entries, which are sorted (stage_finish), into the image's inodes. The image
 * has extended inodes, uncompressed, as make_root_image asks for; anything else ends the command. */
void erofs_set_facts(const char *path, const struct stage *s);

#endif
