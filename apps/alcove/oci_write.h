/* SPDX-License-Identifier: MIT */
#ifndef ALCOVE_CMD_OCI_WRITE_H
#define ALCOVE_CMD_OCI_WRITE_H

#include "image.h"

/* As image_write(), for an OCI image archive with app.elf in it. */
void oci_write(const struct image_parts *parts, const char *path);

#endif
