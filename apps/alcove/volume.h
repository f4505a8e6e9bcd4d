/* SPDX-License-Identifier: MIT */
/* Data disks: files with an ext4 file system. */
#ifndef ALCOVE_CMD_VOLUME_H
#define ALCOVE_CMD_VOLUME_H

#include "options.h"
#include "vm.h"

/* Take the -v options: disks for the VM, and what the image is to mount. Ends with a line about the first that is wrong. */
void volumes_take(const struct list *given, struct vm_spec *vm, struct list *mounts);

#endif
