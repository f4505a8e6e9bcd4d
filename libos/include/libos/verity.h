/* SPDX-License-Identifier: MIT */
/* dm-verity: nothing of the root image is used before its hash, and the hashes above it, were found to lead to the root
 * hash of the measured command line. Format: veritysetup(8), version 1, SHA-256, 4 KiB data and hash blocks. */
#ifndef LIBOS_VERITY_H
#define LIBOS_VERITY_H

#include <base/compiler.h>
#include <base/types.h>

/* Check the superblock at hash and the tree's top against root_hash. root and hash are page aligned and stay where they
 * are. From then on verity_check checks. Called at most once, by the boot, before vfs_init.
 * -EINVAL: not a superblock that fits the image (a line is logged); -EIO: the root hash is wrong (logged); -ENOMEM. */
NODISCARD int verity_init(const void *root, size_t root_size, const void *hash, size_t hash_size,
                          const uint8_t root_hash[32]);

/* A wrong block ends the machine from now on (verity=panic). Called by the boot, before a block is read. */
void verity_set_fatal(void);

/* Check the blocks that hold bytes [offset, offset + size) of the image, each once. offset + size is within the image.
 * 0 also when verity_init was not called; -EIO: a block or a hash is wrong (a line names it). May be called by several
 * CPUs at once. */
NODISCARD int verity_check(uint64_t offset, uint64_t size);

/* For which of the n (1 to 64) blocks from offset on, which are in the image, verity_check would be 0 without work: bit i is
 * the i-th. */
uint64_t verity_ready(uint64_t offset, unsigned n);

#endif
