/* SPDX-License-Identifier: MIT */
/* Reading an EROFS image in memory: uncompressed (flat plain, flat inline) and chunk-based layouts, as mkfs.erofs writes
 * them. The image is hostile: every number is bounded before use, every loop has an end, and every block goes through
 * verity_check first. Errors: -EUCLEAN (malformed) and -EIO (a hash is wrong), with a logged line that names the position;
 * -EOPNOTSUPP: compressed or of several devices. Nothing here sleeps or changes the image. */
#ifndef LIBOS_EROFS_H
#define LIBOS_EROFS_H

#include <abi/time.h>
#include <base/compiler.h>
#include <base/types.h>

struct erofs {
    const uint8_t *image;
    uint64_t size;   /* bytes */
    uint64_t meta;   /* offset of inode 0 */
    uint64_t xattrs; /* offset of shared attributes */
    uint64_t root_nid;
    struct abi_timespec build_time;
};

struct erofs_inode {
    uint64_t nid, size, ino;
    uint32_t mode, uid, gid, nlink;
    uint32_t rdev; /* as abi_makedev packs it */
    struct abi_timespec mtime;
    uint8_t layout;
    uint8_t chunk_shift; /* chunk-based: log2 of a chunk's bytes */
    bool chunk_indexes;  /* 8-byte entries, else 4-byte block numbers */
    uint64_t data;       /* offset of the first block */
    uint64_t after; /* offset after the inode and its attributes: the tail, or the chunk table */
    uint64_t xattr; /* offset of the attributes */
    uint32_t xattr_size; /* bytes, 0: none */
};

/* Check the superblock and fill *ret. -EINVAL: no EROFS. */
NODISCARD int erofs_open(const void *image, uint64_t size, struct erofs *ret);
/* Read inode nid. */
NODISCARD int erofs_inode(const struct erofs *fs, uint64_t nid, struct erofs_inode *ret);
/* The bytes of a file from off on: *ret_data points into the image (NULL: a hole), *ret_size says how many there are, at
 * most to the end of off's 4 KiB block and of the file. off < inode->size. */
NODISCARD int erofs_data(const struct erofs *fs, const struct erofs_inode *inode, uint64_t off,
                         const uint8_t **ret_data, size_t *ret_size);
/* Where the whole, page-aligned block of a file at off lies in the image, if that can be told without reading more than the
 * inode. */
bool erofs_place(const struct erofs *fs, const struct erofs_inode *inode, uint64_t off,
                 uint64_t *ret_offset);
/* Find a name in a directory. -ENOENT. */
NODISCARD int erofs_lookup(const struct erofs *fs, const struct erofs_inode *dir, const char *name,
                           size_t len, uint64_t *ret_nid);
/* An entry of a directory. pos grows from entry to entry and is below the directory's size. */
struct erofs_entry {
    const char *name;
    size_t len;
    uint64_t nid, pos;
    unsigned type; /* DT_* */
};
/* The first entry at or after *pos, "." and ".." included; *pos then is after it. -ENOENT: there is none. */
NODISCARD int erofs_next(const struct erofs *fs, const struct erofs_inode *dir, uint64_t *pos,
                         struct erofs_entry *ret);
/* The text of a symbolic link into buf, not terminated; its length. size >= its length. -ERANGE. */
int erofs_readlink(const struct erofs *fs, const struct erofs_inode *inode, char *buf, size_t size);
/* Attributes one after the other, from *pos = 0 on. prefix is "user." and so on. -ENOENT: there are no more. */
struct erofs_xattr {
    const char *prefix, *name; /* name is not terminated */
    size_t name_len;
    const uint8_t *value;
    size_t size;
};
NODISCARD int erofs_next_xattr(const struct erofs *fs, const struct erofs_inode *inode,
                               unsigned *pos, struct erofs_xattr *ret);

#endif
