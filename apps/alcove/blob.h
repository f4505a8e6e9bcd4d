/* SPDX-License-Identifier: MIT */
/* A part of a file as a stream: plain, gzip or zstd by its first bytes, hashed on the way. */
#ifndef ALCOVE_CMD_BLOB_H
#define ALCOVE_CMD_BLOB_H

#include "util.h"

/* Bytes [offset, offset + size) of a file. */
struct blob {
    const char *path; /* on the host */
    uint64_t offset, size;
};

struct blob_reader;

/* Read blob from its start. name is for messages; digest: "sha256:HEX" that its bytes must have, or NULL. Every error ends
 * the command with a line about name. */
struct blob_reader *blob_open(const struct blob *blob, const char *name, const char *digest);

/* Read exactly n decompressed bytes. false: the stream ended before the first of them; one that ends later is an error. */
bool blob_read(struct blob_reader *r, void *p, size_t n);

/* Read what is left, and end the command when the digests do not match: of the blob itself, and of what came out of it
 * ("sha256:HEX" or NULL). */
void blob_close(struct blob_reader *r, const char *diff_id);

/* All of a blob that is stored as it is, at most max bytes; zero-terminated. */
void blob_load(const struct blob *blob, const char *name, size_t max, const char *digest,
               struct buf *ret);

#endif
