/* SPDX-License-Identifier: MIT */
/* Sealed images, and volumes that an image names itself. */
#ifndef ALCOVE_CMD_SEAL_H
#define ALCOVE_CMD_SEAL_H

#include "image.h"
#include "pack.h"
#include "vm.h"

/* `alcove build`: what -v (DISK:/DIR[:ro]) and --key (/DIR=attest:URL) say, as mount= of the image. */
void seal_mounts(const struct list *volumes, const struct list *keys, struct list *mounts);
/* End the command where --sealed and another option exclude each other. */
void seal_check(const struct pack_spec *spec);
/* `alcove run IMAGE -v FILE:/DIR`: the nth file is the disk with the serial alcove-volN, if that is what the image mounts there. */
void seal_attach(const char *path, const struct image *image, const struct list *volumes,
                 struct vm_spec *vm);

#endif
