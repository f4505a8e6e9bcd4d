/* SPDX-License-Identifier: MIT */
/* What a LUKS2 header says, bounded: nothing in these structures reaches outside of the device or is larger than its array. */
#ifndef LUKS_HEADER_H
#define LUKS_HEADER_H

#include <libos/dev/blk.h>
#include <libos/kdf.h>

enum {
    LUKS_SLOTS_MAX = 32,
    LUKS_SALT_MAX = 64,
    LUKS_KEY_MAX = 64,
    LUKS_STRIPES_MAX = 8192,
};

enum luks_kdf { LUKS_PBKDF2, LUKS_ARGON2 };

struct luks_salt {
    uint8_t bytes[LUKS_SALT_MAX];
    uint32_t n;
};

/* One key slot. */
struct luks_slot {
    uint32_t number;   /* as cryptsetup names it */
    uint32_t priority; /* 0: only when asked for, 1, 2: first */
    uint32_t key_size; /* of the volume key: 32 or 64 */
    uint32_t stripes;
    enum kdf_hash af_hash;
    uint64_t area;          /* where its material is: bytes, a multiple of 512 */
    uint32_t area_key_size; /* of the key that encrypts the material: 32 or 64 */
    enum luks_kdf kdf;
    enum kdf_hash kdf_hash; /* of PBKDF2 */
    uint32_t iterations;
    struct kdf_argon2 argon2;
    struct luks_salt salt;
};

struct luks_header {
    uint64_t sequence;
    uint32_t size; /* of one copy, bytes */
    char uuid[41];
    struct luks_slot slots[LUKS_SLOTS_MAX]; /* those whose digest is the data's, best first */
    uint32_t nslots;
    /* The data. */
    uint64_t offset, length; /* sectors of 512 bytes */
    uint32_t sector_size;    /* of encryption, bytes: 512 to 4096 */
    uint64_t iv_tweak;
    bool allow_discards;
    /* What proves the volume key. */
    enum kdf_hash digest_hash;
    uint32_t digest_iterations, digest_size;
    struct luks_salt digest_salt;
    uint8_t digest[KDF_HASH_MAX];
};

/* Read the header of dev: of its two copies the newer one that is right. -EINVAL: there is none, or it asks for what is not
 * done here, which a logged line names; -ENOMEM, -EIO. May sleep. */
NODISCARD int luks_header_read(struct blk_device *dev, struct luks_header *ret);

/* The same for one copy in memory of size bytes (all that a header may have), where it was read, of a device with sectors. Pure
 * but for the logged line. secondary: it is the second copy. */
NODISCARD int luks_header_parse(const uint8_t *copy, size_t size, uint64_t at, uint64_t sectors,
                                struct luks_header *ret);

#endif
