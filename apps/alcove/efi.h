/* SPDX-License-Identifier: MIT */
/* app.efi: the UEFI stub with libOS and the payload as further sections, a Unified Kernel Image. */
#ifndef ALCOVE_CMD_EFI_H
#define ALCOVE_CMD_EFI_H

#include "image.h"

/* As image_write(), for app.efi. */
void efi_write(const struct image_parts *parts, const char *path);

/* As image_read(), for app.efi. */
const char *efi_read(const uint8_t *data, size_t size, struct image *ret, bool *ret_is_image);

#endif
