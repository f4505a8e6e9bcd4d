/* SPDX-License-Identifier: MIT */
/* Reading an EROFS image, in memory or on a disk: uncompressed (flat plain, flat inline), chunk-based and LZ4-compressed layouts, as
 * mkfs.erofs writes them. The image is hostile: every number is bounded before use, every loop has an end, and every block
 * was checked (verity) first. Errors: -EUCLEAN (malformed) and -EIO (it cannot be read, or a hash is wrong), with a logged line
 * that names the position; -ENOMEM; -EOPNOTSUPP: compressed otherwise, or of several devices. In memory nothing here sleeps; on a
 * disk everything may. The image is never changed. */
#ifndef LIBOS_EROFS_H
#define LIBOS_EROFS_H

#include <abi/time.h>
#include <base/compiler.h>
#include <base/types.h>

struct page;
struct pagemap;

/* Where the blocks of an image on a disk come from. */
struct erofs_source {
    struct pagemap
        *blocks; /* a cache for what describes the files: its fill gives block index, checked */
    /* Read n blocks from block on, which are in the image, into pages, and check them. -EIO (a line was logged), -ENOMEM. */
    int (*read)(uint64_t block, struct page *const *pages, unsigned n);
};

struct erofs {
    const uint8_t *image; /* in memory; NULL: on a disk, see source */
    struct erofs_source source;
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
    uint8_t packed_advise; /* compressed: as its map says */
    uint64_t xattr;        /* offset of the attributes */
    uint32_t xattr_size;   /* bytes, 0: none */
};

/* What pointers into the image that are given out rely on: all zero to begin with; used again, it lets go of what it held. */
struct erofs_buf {
    struct page *page;
    void *copy;
};
/* Let go of what buf holds. */
void erofs_buf_put(struct erofs_buf *buf);

/* Check the superblock and fill *ret. image: size bytes in memory. -EINVAL: no EROFS. */
NODISCARD int erofs_open(const void *image, uint64_t size, struct erofs *ret);
/* The same for size bytes on a disk. */
NODISCARD int erofs_open_disk(const struct erofs_source *source, uint64_t size, struct erofs *ret);
/* Read inode nid. */
NODISCARD int erofs_inode(const struct erofs *fs, uint64_t nid, struct erofs_inode *ret);

/* Where a part of a file lies. */
enum erofs_kind {
    EROFS_HOLE,
    EROFS_PLAIN, /* as it is */
    EROFS_LZ4    /* compressed as one piece */
};
struct erofs_run {
    enum erofs_kind kind;
    uint64_t from, end; /* bytes of the file, at most to its end; the wanted one among them */
    uint64_t at;        /* offset in the image of byte from, or of the compressed data */
    uint64_t packed;    /* EROFS_LZ4: bytes there */
};
/* Find the byte at off. off < inode->size. */
NODISCARD int erofs_find(const struct erofs *fs, const struct erofs_inode *inode, uint64_t off,
                         struct erofs_run *ret);
/* Is the file compressed? */
bool erofs_packed(const struct erofs_inode *inode);
/* Bytes [off, off + size) of a compressed file, within it, to out. */
NODISCARD int erofs_unpack(const struct erofs *fs, const struct erofs_inode *inode, uint64_t off,
                           size_t size, void *out);

/* The bytes of a file that is not compressed, from off on: *ret_data points into the image (NULL: a hole), *ret_size says how
 * many there are, at most to the end of off's 4 KiB block and of the file. off < inode->size. */
NODISCARD int erofs_data(const struct erofs *fs, const struct erofs_inode *inode, uint64_t off,
                         struct erofs_buf *buf, const uint8_t **ret_data, size_t *ret_size);
/* Where the whole, page-aligned block of a file at off lies in the image, if that can be told without reading more than the
 * inode. */
bool erofs_place(const struct erofs *fs, const struct erofs_inode *inode, uint64_t off,
                 uint64_t *ret_offset);
/* Find a name in a directory. -ENOENT. */
NODISCARD int erofs_lookup(const struct erofs *fs, const struct erofs_inode *dir, const char *name,
                           size_t len, uint64_t *ret_nid);
/* An entry of a directory. pos grows from entry to entry and is below the directory's size. */
struct erofs_entry {
    const char *name; /* in what buf holds */
    size_t len;
    uint64_t nid, pos;
    unsigned type; /* DT_* */
};
/* The first entry at or after *pos, "." and ".." included; *pos then is after it. -ENOENT: there is none. */
NODISCARD int erofs_next(const struct erofs *fs, const struct erofs_inode *dir, uint64_t *pos,
                         struct erofs_buf *buf, struct erofs_entry *ret);
/* The text of a symbolic link into buf, not terminated; its length. size >= its length. -ERANGE. */
int erofs_readlink(const struct erofs *fs, const struct erofs_inode *inode, char *buf, size_t size);
/* Attributes one after the other, from *pos = 0 on. prefix is "user." and so on. -ENOENT: there are no more. */
struct erofs_xattr {
    const char *prefix, *name; /* name is not terminated */
    size_t name_len;
    const uint8_t *value; /* name and value in what buf holds */
    size_t size;
};
NODISCARD int erofs_next_xattr(const struct erofs *fs, const struct erofs_inode *inode,
                               unsigned *pos, struct erofs_buf *buf, struct erofs_xattr *ret);

#endif
