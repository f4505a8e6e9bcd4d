/* SPDX-License-Identifier: MIT */
/* AES in XTS mode (IEEE 1619) with the sector's number as 64 bits, little endian: "aes-xts-plain64". */
#ifndef LIBOS_XTS_H
#define LIBOS_XTS_H

#include <base/compiler.h>
#include <base/types.h>

struct xts;

/* Expand a key of size bytes: 32 (AES-128) or 64 (AES-256). -EINVAL (another size), -ENOMEM. */
NODISCARD int xts_create(const uint8_t *key, size_t size, struct xts **ret_xts);
/* Wipe and free; NULL is fine. */
void xts_destroy(struct xts *x);
/* Make x useless: nothing of the key is left. For the end of the machine; who still calls xts_crypt gets garbage. */
void xts_wipe(struct xts *x);
/* Encrypt or decrypt one sector of size bytes (a multiple of 16), number iv, from in to out, which may be the same. Does not sleep. */
void xts_crypt(const struct xts *x, bool decrypt, uint64_t iv, const void *in, void *out,
               size_t size);

#endif
