/* SPDX-License-Identifier: MIT */
/* Container images as they lie on disk: OCI layouts, `docker save` archives, what `skopeo copy ... dir:` makes. */
#ifndef ALCOVE_CMD_OCI_H
#define ALCOVE_CMD_OCI_H

#include "blob.h"

struct oci_layer {
    struct blob blob;
    char *name;             /* for messages */
    char *digest, *diff_id; /* NULL: not stated */
};

/* An image: its layers from the bottom up, and what its configuration says of the program. */
struct oci_image {
    struct oci_layer *layers;
    size_t n;
    struct list entrypoint, cmd, env, ports, volumes, labels; /* labels: "KEY=VALUE" */
    char *cwd, *user, *stop_signal;                           /* NULL: not stated */
};

/* Read the image at source: PATH or PATH:TAG. Everything that is wrong ends the command with a line. */
void oci_read(const char *source, struct oci_image *ret);

#endif
