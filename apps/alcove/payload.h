/* SPDX-License-Identifier: MIT */
/* The payload's parts as both kinds of image file carry them. */
#ifndef ALCOVE_CMD_PAYLOAD_H
#define ALCOVE_CMD_PAYLOAD_H

#include "image.h"

/* A payload before it is written: the header that describes it, and open files. */
struct payload_plan {
    struct alcove_image head;
    int root, hash;
};

/* Lay the parts out; ends the command when there is too much of something. */
void payload_plan(const struct image_parts *parts, struct payload_plan *ret);

/* Write the payload to out (of that path, for messages) from offset at on, and close the plan's files. */
void payload_write(struct payload_plan *plan, const struct image_parts *parts, int out, uint64_t at,
                   const char *path);

/* NULL when head describes a payload of total bytes, else what is wrong with it. */
const char *payload_check(const struct alcove_image *head, uint64_t total);

#endif
