/* SPDX-License-Identifier: MIT */
/* Applying the layers of a container image to a tree. Spec: OCI image-spec, layer.md. */
#ifndef ALCOVE_CMD_LAYERS_H
#define ALCOVE_CMD_LAYERS_H

#include "blob.h"
#include "tree.h"

/* What could not be kept. */
struct layers_lost {
    size_t devices; /* devices, FIFOs and the like */
};

/* Apply one layer, the number-th from 1 on, over those before it. digest and diff_id: "sha256:HEX" or NULL. A name that
 * would leave the root, and everything else that no honest layer has, ends the command. */
void layer_apply(struct tree *t, const struct blob *blob, const char *name, unsigned number,
                 const char *digest, const char *diff_id, struct layers_lost *lost);

#endif
