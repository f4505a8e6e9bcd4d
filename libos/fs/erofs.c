/* SPDX-License-Identifier: MIT */
/* EROFS, on-disk format as described in the kernel's Documentation/filesystems/erofs.rst. All access to the image goes
 * through at(), which bounds and verifies; what it returned is read once into locals. */
#include <libos/erofs.h>

#include <abi/dirent.h>
#include <abi/errno.h>
#include <abi/fcntl.h>
#include <abi/stat.h>
#include <base/log.h>
#include <libos/verity.h>
#include <string.h>

enum {
    SUPER_OFFSET = 1024,
    SUPER_SIZE = 128,
    BLOCK = 4096,
    BLOCK_SHIFT = 12,
    SLOT = 32,            /* inodes are numbered in units of this */
    INCOMPAT_KNOWN = 0x4, /* chunk-based files */
    LAYOUT_PLAIN = 0,
    LAYOUT_INLINE = 2,
    LAYOUT_CHUNK = 4,
    DIRENT = 12, /* bytes of a directory entry */
    XATTR_HEADER = 12,
    CHUNK_BITS = 31,
    CHUNK_INDEXES = 32,
    SYMLINK_MAX = 4095,
};
#define MAGIC 0xe0f5e1e2u

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

static NOINLINE int bad(const char *what, uint64_t offset)
{
    log_error("root image: %s at byte 0x%llx", what, (unsigned long long)offset);
    return -EUCLEAN;
}

/* The size bytes at offset, verified. */
static int at(const struct erofs *fs, uint64_t offset, uint64_t size, const uint8_t **ret)
{
    if (UNLIKELY(offset > fs->size || size > fs->size - offset))
        return bad("a reference past its end", offset);
    *ret = fs->image + offset;
    return verity_check(offset, size);
}

int erofs_open(const void *image, uint64_t size, struct erofs *ret)
{
    struct erofs fs = { .image = image, .size = size };
    const uint8_t *sb;
    if (size < SUPER_OFFSET + SUPER_SIZE || size > 1ull << 44)
        return -EINVAL;
    int err = at(&fs, SUPER_OFFSET, SUPER_SIZE, &sb);
    if (err)
        return err;
    if (le32(sb) != MAGIC) {
        log_error("root image: not an EROFS file system");
        return -EINVAL;
    }
    if (sb[12] != BLOCK_SHIFT || le32(sb + 80) & ~(uint32_t)INCOMPAT_KNOWN || le16(sb + 86)) {
        log_error("root image: EROFS with features 0x%x or a block size that are not supported; "
                  "make it without "
                  "compression, with 4 KiB blocks",
                  le32(sb + 80));
        return -EOPNOTSUPP;
    }
    if ((uint64_t)le32(sb + 36) * BLOCK > size)
        return bad("truncated: more blocks than bytes", SUPER_OFFSET + 36);
    fs.root_nid = le16(sb + 14);
    fs.build_time.tv_sec = (int64_t)le64(sb + 24);
    fs.build_time.tv_nsec = le32(sb + 32) % NS_PER_SEC;
    fs.meta = (uint64_t)le32(sb + 40) * BLOCK;
    fs.xattrs = (uint64_t)le32(sb + 44) * BLOCK;
    *ret = fs;
    return 0;
}

static int inode_mode_ok(const struct erofs_inode *inode, uint64_t offset)
{
    switch (inode->mode & S_IFMT) {
    case S_IFREG:
    case S_IFDIR:
    case S_IFLNK:
    case S_IFCHR:
    case S_IFBLK:
    case S_IFIFO:
    case S_IFSOCK:
        break;
    default:
        return bad("an inode of no known type", offset);
    }
    if (inode->size > INT64_MAX)
        return bad("an inode with an impossible size", offset);
    return 0;
}

/* What field u of the inode means depends on its kind. */
static int inode_place(struct erofs_inode *inode, uint32_t u, uint64_t offset)
{
    if (S_ISCHR(inode->mode) || S_ISBLK(inode->mode)) {
        inode->rdev = u;
        return 0;
    }
    if (inode->layout == LAYOUT_CHUNK) {
        if (u & ~(uint32_t)(CHUNK_BITS | CHUNK_INDEXES))
            return bad("a chunk format that is not known", offset);
        inode->chunk_shift = (uint8_t)(BLOCK_SHIFT + (u & CHUNK_BITS));
        inode->chunk_indexes = u & CHUNK_INDEXES;
        inode->after = align_up(inode->after, inode->chunk_indexes ? 8 : 4);
        return 0;
    }
    inode->data = (uint64_t)u * BLOCK;
    return 0;
}

int erofs_inode(const struct erofs *fs, uint64_t nid, struct erofs_inode *ret)
{
    const uint8_t *p = NULL;
    uint64_t offset;
    if (__builtin_mul_overflow(nid, (uint64_t)SLOT, &offset) ||
        __builtin_add_overflow(offset, fs->meta, &offset))
        return bad("an inode number that is too large", nid);
    int err = at(fs, offset, 32, &p);
    if (err)
        return err;
    unsigned format = le16(p), icount = le16(p + 2);
    bool extended = format & 1;
    struct erofs_inode in = { .nid = nid, .layout = format >> 1 & 7, .mode = le16(p + 4) };
    if (in.layout != LAYOUT_PLAIN && in.layout != LAYOUT_INLINE && in.layout != LAYOUT_CHUNK)
        return bad("a compressed inode", offset);
    uint64_t size = extended ? 64 : 32;
    if (extended) {
        err = at(fs, offset, size, &p);
        if (err)
            return err;
        in.size = le64(p + 8);
        in.uid = le32(p + 24);
        in.gid = le32(p + 28);
        in.mtime = (struct abi_timespec){ (int64_t)le64(p + 32), le32(p + 40) % NS_PER_SEC };
        in.nlink = le32(p + 44);
    } else {
        in.nlink = le16(p + 6);
        in.size = le32(p + 8);
        in.uid = le16(p + 24);
        in.gid = le16(p + 26);
        in.mtime = fs->build_time;
    }
    in.ino =
        nid; /* as Linux; the number in the inode is for old programs, and that of the root is 0 */
    in.xattr = offset + size;
    in.xattr_size = icount ? XATTR_HEADER + (icount - 1) * 4 : 0;
    in.after = in.xattr + in.xattr_size;
    err = inode_mode_ok(&in, offset);
    if (!err)
        err = inode_place(&in, le32(p + 16), offset);
    if (!err)
        *ret = in;
    return err;
}

/* Offset of the block that holds chunk-based byte off; *hole instead. */
static int chunk_at(const struct erofs *fs, const struct erofs_inode *inode, uint64_t off,
                    uint64_t *ret, bool *hole)
{
    unsigned unit = inode->chunk_indexes ? 8 : 4;
    uint64_t n = inode->chunk_shift < 64 ? off >> inode->chunk_shift : 0;
    const uint8_t *p = NULL;
    int err = at(fs, inode->after + n * unit, unit, &p);
    if (err)
        return err;
    uint32_t block = le32(p + unit - 4);
    *hole = block == UINT32_MAX;
    if (inode->chunk_indexes && !*hole && le16(p + 2))
        return bad("a chunk on another device", inode->after + n * unit);
    uint64_t in_chunk = inode->chunk_shift < 64 ? off & ((1ull << inode->chunk_shift) - 1) : off;
    *ret = (uint64_t)block * BLOCK + align_down(in_chunk, BLOCK);
    return 0;
}

int erofs_data(const struct erofs *fs, const struct erofs_inode *inode, uint64_t off,
               const uint8_t **ret_data, size_t *ret_size)
{
    uint64_t in_block = off % BLOCK, block = off - in_block,
             n = min_u64(BLOCK - in_block, inode->size - off), from = 0;
    uint64_t last = (inode->size - 1) / BLOCK * BLOCK; /* of the file's last block */
    bool hole = false;
    int err = 0;
    if (inode->layout == LAYOUT_CHUNK) {
        err = chunk_at(fs, inode, off, &from, &hole);
    } else if (inode->layout == LAYOUT_INLINE && block == last) {
        from = inode->after;
        if (from % BLOCK + (inode->size - last) > BLOCK)
            return bad("a file's tail that crosses a block", from);
    } else {
        from = inode->data + block;
    }
    if (err)
        return err;
    *ret_size = n;
    *ret_data = NULL;
    return hole ? 0 : at(fs, from + in_block, n, ret_data);
}

bool erofs_place(const struct erofs *fs, const struct erofs_inode *inode, uint64_t off,
                 uint64_t *ret_offset)
{
    uint64_t from = inode->data + off;
    if (inode->layout == LAYOUT_CHUNK || off % BLOCK || off > inode->size ||
        inode->size - off < BLOCK || from > fs->size || fs->size - from < BLOCK)
        return false;
    if (inode->layout == LAYOUT_INLINE && inode->size - off == BLOCK)
        return false; /* the last block, which lies behind the inode */
    *ret_offset = from;
    return true;
}

/* One block of a directory. */
struct dir_block {
    const uint8_t *p;
    size_t size;
    unsigned count; /* entries */
};

static int dir_block(const struct erofs *fs, const struct erofs_inode *dir, uint64_t n,
                     struct dir_block *ret)
{
    const uint8_t *p = NULL;
    size_t size;
    if (!S_ISDIR(dir->mode))
        return -ENOTDIR;
    int err = erofs_data(fs, dir, n * BLOCK, &p, &size);
    if (err)
        return err;
    if (!p || size < DIRENT)
        return bad("an empty directory block", dir->nid * SLOT + fs->meta);
    unsigned first = le16(p + 8);
    if (first < DIRENT || first % DIRENT || first > size)
        return bad("a malformed directory block", (uint64_t)(p - fs->image));
    *ret = (struct dir_block){ p, size, first / DIRENT };
    return 0;
}

/* Entry i of a block: its name, bounded. */
static int dir_entry(const struct erofs *fs, const struct dir_block *b, unsigned i,
                     const char **ret_name, size_t *ret_len)
{
    const uint8_t *e = b->p + i * DIRENT;
    size_t from = le16(e + 8), to = b->size;
    if (i + 1 < b->count)
        to = le16(e + DIRENT + 8);
    if (from < b->count * DIRENT || from >= to || to > b->size)
        return bad("a malformed directory entry", (uint64_t)(e - fs->image));
    size_t len = to - from;
    if (i + 1 == b->count) /* the last name ends at a zero or with the block */
        len = strnlen((const char *)b->p + from, len);
    *ret_name = (const char *)b->p + from;
    *ret_len = len;
    if (len == 0 || len > ABI_NAME_MAX || memchr(*ret_name, '/', len) ||
        memchr(*ret_name, '\0', len))
        return bad("a file name that is not one", (uint64_t)(e - fs->image));
    return 0;
}

static int name_compare(const char *a, size_t a_len, const char *b, size_t b_len)
{
    int c = memcmp(a, b, a_len < b_len ? a_len : b_len);
    return c ? c : (a_len > b_len) - (a_len < b_len);
}

/* Where in block b is name? *ret_i: the entry, or where it would be (count: after all). True: found. */
static int block_search(const struct erofs *fs, const struct dir_block *b, const char *name,
                        size_t len, unsigned *ret_i, bool *found)
{
    unsigned low = 0, high = b->count;
    *found = false;
    while (low < high) {
        unsigned mid = low + (high - low) / 2;
        const char *n;
        size_t n_len;
        int err = dir_entry(fs, b, mid, &n, &n_len);
        if (err)
            return err;
        int c = name_compare(name, len, n, n_len);
        if (c == 0) {
            *found = true;
            low = mid;
            break;
        }
        if (c < 0)
            high = mid;
        else
            low = mid + 1;
    }
    *ret_i = low;
    return 0;
}

int erofs_lookup(const struct erofs *fs, const struct erofs_inode *dir, const char *name,
                 size_t len, uint64_t *ret_nid)
{
    /* Blocks are sorted by their first names, names within them too. */
    uint64_t low = 0, high = (dir->size + BLOCK - 1) / BLOCK;
    while (low < high) {
        uint64_t mid = low + (high - low) / 2;
        struct dir_block b;
        unsigned i;
        bool found;
        int err = dir_block(fs, dir, mid, &b);
        if (!err)
            err = block_search(fs, &b, name, len, &i, &found);
        if (err)
            return err;
        if (found) {
            *ret_nid = le64(b.p + i * DIRENT);
            return 0;
        }
        if (i == 0)
            high = mid;
        else if (i == b.count)
            low = mid + 1;
        else
            return -ENOENT;
    }
    return -ENOENT;
}

int erofs_next(const struct erofs *fs, const struct erofs_inode *dir, uint64_t *pos,
               struct erofs_entry *ret)
{
    /* EROFS numbers types from 1 as: regular, directory, character, block, FIFO, socket, link. */
    static const uint8_t types[] = { DT_UNKNOWN, DT_REG,  DT_DIR,  DT_CHR,
                                     DT_BLK,     DT_FIFO, DT_SOCK, DT_LNK };
    while (*pos < dir->size) {
        struct dir_block b;
        int err = dir_block(fs, dir, *pos / BLOCK, &b);
        if (err)
            return err;
        unsigned i = (unsigned)(*pos % BLOCK + DIRENT - 1) / DIRENT;
        if (i >= b.count) {
            *pos = (*pos / BLOCK + 1) * BLOCK;
            continue;
        }
        err = dir_entry(fs, &b, i, &ret->name, &ret->len);
        if (err)
            return err;
        const uint8_t *e = b.p + i * DIRENT;
        ret->nid = le64(e);
        ret->type = e[10] < sizeof(types) ? types[e[10]] : DT_UNKNOWN;
        ret->pos = *pos / BLOCK * BLOCK + i * DIRENT;
        *pos = ret->pos + DIRENT;
        return 0;
    }
    return -ENOENT;
}

int erofs_readlink(const struct erofs *fs, const struct erofs_inode *inode, char *buf, size_t size)
{
    if (inode->size == 0 || inode->size > SYMLINK_MAX)
        return bad("a symbolic link that is too long", inode->nid * SLOT + fs->meta);
    if (inode->size > size)
        return -ERANGE;
    const uint8_t *p = NULL;
    size_t n;
    int err = erofs_data(fs, inode, 0, &p, &n);
    if (err)
        return err;
    if (!p || n < inode->size || memchr(p, '\0', n))
        return bad("a malformed symbolic link", inode->nid * SLOT + fs->meta);
    memcpy(buf, p, n);
    return (int)n;
}

/* The attribute at offset; *ret_next is after it. */
static int xattr_at(const struct erofs *fs, uint64_t offset, struct erofs_xattr *ret,
                    uint64_t *ret_next)
{
    static const char *const prefixes[] = {
        NULL, "user.",    "system.posix_acl_access", "system.posix_acl_default", "trusted.",
        NULL, "security."
    };
    const uint8_t *p = NULL;
    int err = at(fs, offset, 4, &p);
    if (err)
        return err;
    unsigned name_len = p[0], index = p[1], size = le16(p + 2);
    if (index >= ARRAY_SIZE(prefixes) || !prefixes[index])
        return bad("an extended attribute of an unknown kind", offset);
    err = at(fs, offset + 4, name_len + size, &p);
    if (err)
        return err;
    *ret = (struct erofs_xattr){ prefixes[index], (const char *)p, name_len, p + name_len, size };
    *ret_next = align_up(offset + 4 + name_len + size, 4);
    return 0;
}

int erofs_next_xattr(const struct erofs *fs, const struct erofs_inode *inode, unsigned *pos,
                     struct erofs_xattr *ret)
{
    const uint8_t *p = NULL;
    uint64_t next;
    if (!inode->xattr_size)
        return -ENOENT;
    int err = at(fs, inode->xattr, inode->xattr_size, &p);
    if (err)
        return err;
    unsigned shared = p[4], inline_from = XATTR_HEADER + shared * 4;
    if (inline_from > inode->xattr_size)
        return bad("malformed extended attributes", inode->xattr);
    /* pos counts the shared ones first, then is the offset of the next one among the inline ones. */
    if (*pos < shared) {
        err =
            xattr_at(fs, fs->xattrs + (uint64_t)le32(p + XATTR_HEADER + *pos * 4) * 4, ret, &next);
        if (!err && ++*pos == shared)
            *pos = inline_from;
        return err;
    }
    if (*pos < inline_from)
        *pos = inline_from;
    if (*pos + 4 > inode->xattr_size)
        return -ENOENT;
    err = xattr_at(fs, inode->xattr + *pos, ret, &next);
    if (err)
        return err;
    if (next > inode->xattr + inode->xattr_size)
        return bad("an extended attribute past its inode", inode->xattr + *pos);
    *pos = (unsigned)(next - inode->xattr);
    return 0;
}
