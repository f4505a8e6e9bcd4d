/* SPDX-License-Identifier: MIT */
/* Private to erofs.c and erofs_packed.c. */
#ifndef FS_EROFS_INT_H
#define FS_EROFS_INT_H

#include <libos/erofs.h>
#include <string.h>

enum {
    BLOCK = 4096,
    BLOCK_SHIFT = 12,
    LAYOUT_PLAIN = 0,
    LAYOUT_PACKED_FULL = 1, /* compressed, an index entry of 8 bytes for each block */
    LAYOUT_INLINE = 2,
    LAYOUT_PACKED = 3, /* compressed, index entries packed */
    LAYOUT_CHUNK = 4,
};

static inline uint16_t le16(const uint8_t *p)
{
    uint16_t v;
    memcpy(&v, p, sizeof(v));
    return v;
}

static inline uint32_t le32(const uint8_t *p)
{
    uint32_t v;
    memcpy(&v, p, sizeof(v));
    return v;
}

static inline uint64_t le64(const uint8_t *p)
{
    uint64_t v;
    memcpy(&v, p, sizeof(v));
    return v;
}

/* Say what is wrong with the image, and where. -EUCLEAN. */
int erofs_bad(const char *what, uint64_t offset);
/* The size bytes at offset, checked: *ret points to them for as long as buf is not used again. */
NODISCARD int erofs_at(const struct erofs *fs, struct erofs_buf *buf, uint64_t offset,
                       uint64_t size, const uint8_t **ret);

/* erofs_packed.c: the map behind a compressed inode says what it needs; inode->after becomes that of its index. */
NODISCARD int packed_inode(const struct erofs *fs, struct erofs_inode *inode);
/* erofs_find of a compressed file. */
NODISCARD int packed_find(const struct erofs *fs, const struct erofs_inode *inode, uint64_t off,
                          struct erofs_run *ret);

#endif
