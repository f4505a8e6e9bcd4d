/* SPDX-License-Identifier: MIT */
/* Data disks: files with an ext4 file system, or with a LUKS2 volume that holds one. */
#ifndef ALCOVE_CMD_VOLUME_H
#define ALCOVE_CMD_VOLUME_H

#include "options.h"
#include "vm.h"

/* Take the -v options: disks for the VM, and what the image is to mount. Ends with a line about the first that is wrong. */
void volumes_take(const struct list *given, const struct list *keys, struct vm_spec *vm,
                  struct list *mounts);
/* Attach the file at path, which holds what the image says, to the VM as its next disk. */
void volume_attach(const char *path, bool ro, const char *point, struct vm_spec *vm);
/* What is to be sent to the guest, line by line, when it asks for the key of the volume at point. */
void volume_key(const struct vm_spec *vm, const char *point, struct buf *out);

#endif
