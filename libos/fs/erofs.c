/* SPDX-License-Identifier: MIT */
/* EROFS, on-disk format as described in the kernel's Documentation/filesystems/erofs.rst. All access to the image goes
 * through erofs_at(), which bounds and verifies; what it returned is read once into locals. */
#include "erofs_int.h"

#include <abi/dirent.h>
#include <abi/errno.h>
#include <abi/fcntl.h>
#include <abi/stat.h>
#include <base/log.h>
#include <libos/heap.h>
#include <libos/pagemap.h>
#include <libos/verity.h>

enum {
    SUPER_OFFSET = 1024,
    SUPER_SIZE = 128,
    SLOT = 32, /* inodes are numbered in units of this */
    /* Incompatible features: LZ4 data ends with its block, compressed pieces of several blocks (or algorithms named), chunk-based
     * files. */
    INCOMPAT_KNOWN = 0x1 | 0x2 | 0x4,
    INCOMPAT_ALGORITHMS = 0x2,
    ALGORITHM_LZ4 = 1, /* its bit */
    DIRENT = 12,       /* bytes of a directory entry */
    XATTR_HEADER = 12,
    CHUNK_BITS = 31,
    CHUNK_INDEXES = 32,
    SYMLINK_MAX = 4095,
    CROSSING_MAX = 68 << 10, /* bytes that may be asked for across blocks of a disk: an attribute */
};
#define MAGIC 0xe0f5e1e2u

NOINLINE int erofs_bad(const char *what, uint64_t offset)
{
    log_error("root image: %s at byte 0x%llx", what, (unsigned long long)offset);
    return -EUCLEAN;
}

void erofs_buf_put(struct erofs_buf *buf)
{
    if (buf->page)
        page_put(buf->page);
    heap_free(buf->copy);
    *buf = (struct erofs_buf){ 0 };
}

/* A block of the disk. */
static int block_get(const struct erofs *fs, struct erofs_buf *buf, uint64_t block)
{
    struct page *p = NULL;
    int err = pagemap_get(fs->source.blocks, block, false, &p);
    if (!err && !p)
        err = -EIO;
    if (err)
        return err;
    if (buf->page)
        page_put(buf->page);
    buf->page = p;
    return 0;
}

/* What lies in several blocks is put together. */
static int crossing(const struct erofs *fs, struct erofs_buf *buf, uint64_t offset, uint64_t size,
                    const uint8_t **ret)
{
    if (size > CROSSING_MAX)
        return erofs_bad("a structure that is too large", offset);
    uint8_t *copy = heap_alloc(size);
    if (!copy)
        return -ENOMEM;
    heap_free(buf->copy);
    buf->copy = copy;
    for (uint64_t done = 0, n; done < size; done += n) {
        uint64_t in_block = (offset + done) % BLOCK;
        n = min_u64(BLOCK - in_block, size - done);
        int err = block_get(fs, buf, (offset + done) / BLOCK);
        if (err)
            return err;
        memcpy(copy + done, (const char *)page_ptr(buf->page) + in_block, n);
    }
    *ret = copy;
    return 0;
}

int erofs_at(const struct erofs *fs, struct erofs_buf *buf, uint64_t offset, uint64_t size,
             const uint8_t **ret)
{
    if (UNLIKELY(offset > fs->size || size > fs->size - offset))
        return erofs_bad("a reference past its end", offset);
    if (LIKELY(fs->image)) {
        *ret = fs->image + offset;
        return verity_check(offset, size);
    }
    if (offset % BLOCK + size > BLOCK)
        return crossing(fs, buf, offset, size, ret);
    int err = block_get(fs, buf, offset / BLOCK);
    if (!err)
        *ret = (const uint8_t *)page_ptr(buf->page) + offset % BLOCK;
    return err;
}

static int read_super(struct erofs *fs, struct erofs_buf *buf)
{
    const uint8_t *sb = NULL;
    if (fs->size < SUPER_OFFSET + SUPER_SIZE || fs->size > 1ull << 44)
        return -EINVAL;
    int err = erofs_at(fs, buf, SUPER_OFFSET, SUPER_SIZE, &sb);
    if (err)
        return err;
    if (le32(sb) != MAGIC) {
        log_error("root image: not an EROFS file system");
        return -EINVAL;
    }
    uint32_t incompat = le32(sb + 80), algorithms = le16(sb + 84);
    if (sb[12] != BLOCK_SHIFT || incompat & ~(uint32_t)INCOMPAT_KNOWN || le16(sb + 86) ||
        (incompat & INCOMPAT_ALGORITHMS && algorithms & ~(uint32_t)ALGORITHM_LZ4)) {
        log_error("root image: EROFS with features 0x%x or a block size that are not supported; "
                  "make it with 4 KiB blocks, without compression or with -zlz4",
                  incompat);
        return -EOPNOTSUPP;
    }
    if ((uint64_t)le32(sb + 36) * BLOCK > fs->size)
        return erofs_bad("truncated: more blocks than bytes", SUPER_OFFSET + 36);
    fs->root_nid = le16(sb + 14);
    fs->build_time.tv_sec = (int64_t)le64(sb + 24);
    fs->build_time.tv_nsec = le32(sb + 32) % NS_PER_SEC;
    fs->meta = (uint64_t)le32(sb + 40) * BLOCK;
    fs->xattrs = (uint64_t)le32(sb + 44) * BLOCK;
    return 0;
}

static int open_with(struct erofs *fs, struct erofs *ret)
{
    struct erofs_buf buf = { 0 };
    int err = read_super(fs, &buf);
    erofs_buf_put(&buf);
    if (!err)
        *ret = *fs;
    return err;
}

int erofs_open(const void *image, uint64_t size, struct erofs *ret)
{
    struct erofs fs = { .image = image, .size = size };
    return open_with(&fs, ret);
}

int erofs_open_disk(const struct erofs_source *source, uint64_t size, struct erofs *ret)
{
    struct erofs fs = { .source = *source, .size = size };
    return open_with(&fs, ret);
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
        return erofs_bad("an inode of no known type", offset);
    }
    if (inode->size > INT64_MAX)
        return erofs_bad("an inode with an impossible size", offset);
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
            return erofs_bad("a chunk format that is not known", offset);
        inode->chunk_shift = (uint8_t)(BLOCK_SHIFT + (u & CHUNK_BITS));
        inode->chunk_indexes = u & CHUNK_INDEXES;
        inode->after = align_up(inode->after, inode->chunk_indexes ? 8 : 4);
        return 0;
    }
    inode->data = (uint64_t)u * BLOCK;
    return 0;
}

/* The fields of the inode at offset but those that depend on its kind; *ret_u: field u. */
static int inode_fields(const struct erofs *fs, struct erofs_buf *buf, uint64_t offset,
                        struct erofs_inode *in, uint32_t *ret_u)
{
    const uint8_t *p = NULL;
    int err = erofs_at(fs, buf, offset, 32, &p);
    if (err)
        return err;
    unsigned format = le16(p), icount = le16(p + 2);
    bool extended = format & 1;
    uint64_t size = extended ? 64 : 32;
    in->layout = format >> 1 & 7;
    in->mode = le16(p + 4);
    if (in->layout > LAYOUT_CHUNK)
        return erofs_bad("an inode of an unknown layout", offset);
    if (extended) {
        err = erofs_at(fs, buf, offset, size, &p);
        if (err)
            return err;
        in->size = le64(p + 8);
        in->uid = le32(p + 24);
        in->gid = le32(p + 28);
        in->mtime = (struct abi_timespec){ (int64_t)le64(p + 32), le32(p + 40) % NS_PER_SEC };
        in->nlink = le32(p + 44);
    } else {
        in->nlink = le16(p + 6);
        in->size = le32(p + 8);
        in->uid = le16(p + 24);
        in->gid = le16(p + 26);
        in->mtime = fs->build_time;
    }
    in->xattr = offset + size;
    in->xattr_size = icount ? XATTR_HEADER + (icount - 1) * 4 : 0;
    in->after = in->xattr + in->xattr_size;
    *ret_u = le32(p + 16);
    return 0;
}

int erofs_inode(const struct erofs *fs, uint64_t nid, struct erofs_inode *ret)
{
    uint64_t offset;
    uint32_t u = 0;
    struct erofs_buf buf = { 0 };
    /* Its number as Linux has it; that in the inode is for old programs, and that of the root is 0. */
    struct erofs_inode in = { .nid = nid, .ino = nid };
    if (__builtin_mul_overflow(nid, (uint64_t)SLOT, &offset) ||
        __builtin_add_overflow(offset, fs->meta, &offset))
        return erofs_bad("an inode number that is too large", nid);
    int err = inode_fields(fs, &buf, offset, &in, &u);
    erofs_buf_put(&buf);
    if (!err)
        err = inode_mode_ok(&in, offset);
    if (!err)
        err = erofs_packed(&in) ? packed_inode(fs, &in) : inode_place(&in, u, offset);
    if (!err)
        *ret = in;
    return err;
}

bool erofs_packed(const struct erofs_inode *inode)
{
    return inode->layout == LAYOUT_PACKED || inode->layout == LAYOUT_PACKED_FULL;
}

/* The chunk that holds byte off. */
static int chunk_find(const struct erofs *fs, const struct erofs_inode *inode, uint64_t off,
                      struct erofs_run *ret)
{
    unsigned unit = inode->chunk_indexes ? 8 : 4;
    uint64_t n = off >> inode->chunk_shift;
    const uint8_t *p = NULL;
    struct erofs_buf buf = { 0 };
    int err = erofs_at(fs, &buf, inode->after + n * unit, unit, &p);
    uint32_t block = err ? 0 : le32(p + unit - 4);
    bool other = !err && inode->chunk_indexes && block != UINT32_MAX && le16(p + 2);
    erofs_buf_put(&buf);
    if (err)
        return err;
    if (other)
        return erofs_bad("a chunk on another device", inode->after + n * unit);
    *ret = (struct erofs_run){ .kind = block == UINT32_MAX ? EROFS_HOLE : EROFS_PLAIN,
                               .from = n << inode->chunk_shift,
                               .end = min_u64((n + 1) << inode->chunk_shift, inode->size),
                               .at = (uint64_t)block * BLOCK };
    return 0;
}

int erofs_find(const struct erofs *fs, const struct erofs_inode *inode, uint64_t off,
               struct erofs_run *ret)
{
    uint64_t last = (inode->size - 1) / BLOCK * BLOCK; /* of the file's last block */
    if (erofs_packed(inode))
        return packed_find(fs, inode, off, ret);
    if (inode->layout == LAYOUT_CHUNK)
        return chunk_find(fs, inode, off, ret);
    *ret = (struct erofs_run){ .kind = EROFS_PLAIN, .end = inode->size, .at = inode->data };
    if (inode->layout != LAYOUT_INLINE)
        return 0;
    if (off < last) {
        ret->end = last;
        return 0;
    }
    ret->from = last;
    ret->at = inode->after;
    return ret->at % BLOCK + (inode->size - last) > BLOCK
               ? erofs_bad("a file's tail that crosses a block", ret->at)
               : 0;
}

int erofs_data(const struct erofs *fs, const struct erofs_inode *inode, uint64_t off,
               struct erofs_buf *buf, const uint8_t **ret_data, size_t *ret_size)
{
    struct erofs_run run;
    int err = erofs_find(fs, inode, off, &run);
    if (err)
        return err;
    if (run.kind == EROFS_LZ4)
        return erofs_bad("compressed data where none can be", run.at);
    *ret_size = min_u64(BLOCK - off % BLOCK, run.end - off);
    *ret_data = NULL;
    return run.kind == EROFS_HOLE
               ? 0
               : erofs_at(fs, buf, run.at + (off - run.from), *ret_size, ret_data);
}

bool erofs_place(const struct erofs *fs, const struct erofs_inode *inode, uint64_t off,
                 uint64_t *ret_offset)
{
    uint64_t from = inode->data + off;
    if (!fs->image || (inode->layout != LAYOUT_PLAIN && inode->layout != LAYOUT_INLINE) ||
        off % BLOCK || off > inode->size || inode->size - off < BLOCK || from > fs->size ||
        fs->size - from < BLOCK)
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
    uint64_t where; /* in the image, for messages */
};

static int dir_block(const struct erofs *fs, const struct erofs_inode *dir, uint64_t n,
                     struct erofs_buf *buf, struct dir_block *ret)
{
    const uint8_t *p = NULL;
    size_t size = 0;
    uint64_t where = dir->nid * SLOT + fs->meta;
    if (!S_ISDIR(dir->mode))
        return -ENOTDIR;
    int err = erofs_data(fs, dir, n * BLOCK, buf, &p, &size);
    if (err)
        return err;
    if (!p || size < DIRENT)
        return erofs_bad("an empty directory block in the inode", where);
    unsigned first = le16(p + 8);
    if (first < DIRENT || first % DIRENT || first > size)
        return erofs_bad("a malformed directory block in the inode", where);
    *ret = (struct dir_block){ p, size, first / DIRENT, where };
    return 0;
}

/* Entry i of a block: its name, bounded. */
static int dir_entry(const struct dir_block *b, unsigned i, const char **ret_name, size_t *ret_len)
{
    const uint8_t *e = b->p + i * DIRENT;
    size_t from = le16(e + 8), to = b->size;
    if (i + 1 < b->count)
        to = le16(e + DIRENT + 8);
    if (from < b->count * DIRENT || from >= to || to > b->size)
        return erofs_bad("a malformed directory entry in the inode", b->where);
    size_t len = to - from;
    if (i + 1 == b->count) /* the last name ends at a zero or with the block */
        len = strnlen((const char *)b->p + from, len);
    *ret_name = (const char *)b->p + from;
    *ret_len = len;
    if (len == 0 || len > ABI_NAME_MAX || memchr(*ret_name, '/', len) ||
        memchr(*ret_name, '\0', len))
        return erofs_bad("a file name that is not one in the inode", b->where);
    return 0;
}

static int name_compare(const char *a, size_t a_len, const char *b, size_t b_len)
{
    int c = memcmp(a, b, a_len < b_len ? a_len : b_len);
    return c ? c : (a_len > b_len) - (a_len < b_len);
}

/* Where in block b is name? *ret_i: the entry, or where it would be (count: after all). True: found. */
static int block_search(const struct dir_block *b, const char *name, size_t len, unsigned *ret_i,
                        bool *found)
{
    unsigned low = 0, high = b->count;
    *found = false;
    while (low < high) {
        unsigned mid = low + (high - low) / 2;
        const char *n;
        size_t n_len;
        int err = dir_entry(b, mid, &n, &n_len);
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

/* erofs_lookup with a buffer. */
static int search(const struct erofs *fs, const struct erofs_inode *dir, const char *name,
                  size_t len, struct erofs_buf *buf, uint64_t *ret_nid)
{
    /* Blocks are sorted by their first names, names within them too. */
    uint64_t low = 0, high = (dir->size + BLOCK - 1) / BLOCK;
    while (low < high) {
        uint64_t mid = low + (high - low) / 2;
        struct dir_block b;
        unsigned i = 0;
        bool found = false;
        int err = dir_block(fs, dir, mid, buf, &b);
        if (!err)
            err = block_search(&b, name, len, &i, &found);
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

int erofs_lookup(const struct erofs *fs, const struct erofs_inode *dir, const char *name,
                 size_t len, uint64_t *ret_nid)
{
    struct erofs_buf buf = { 0 };
    int err = search(fs, dir, name, len, &buf, ret_nid);
    erofs_buf_put(&buf);
    return err;
}

int erofs_next(const struct erofs *fs, const struct erofs_inode *dir, uint64_t *pos,
               struct erofs_buf *buf, struct erofs_entry *ret)
{
    /* EROFS numbers types from 1 as: regular, directory, character, block, FIFO, socket, link. */
    static const uint8_t types[] = { DT_UNKNOWN, DT_REG,  DT_DIR,  DT_CHR,
                                     DT_BLK,     DT_FIFO, DT_SOCK, DT_LNK };
    while (*pos < dir->size) {
        struct dir_block b;
        int err = dir_block(fs, dir, *pos / BLOCK, buf, &b);
        if (err)
            return err;
        unsigned i = (unsigned)(*pos % BLOCK + DIRENT - 1) / DIRENT;
        if (i >= b.count) {
            *pos = (*pos / BLOCK + 1) * BLOCK;
            continue;
        }
        err = dir_entry(&b, i, &ret->name, &ret->len);
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
    struct erofs_buf hold = { 0 };
    const uint8_t *p = NULL;
    size_t n = 0;
    if (inode->size == 0 || inode->size > SYMLINK_MAX || erofs_packed(inode))
        return erofs_bad("a symbolic link that is too long", inode->nid * SLOT + fs->meta);
    if (inode->size > size)
        return -ERANGE;
    int err = erofs_data(fs, inode, 0, &hold, &p, &n);
    if (!err && (!p || n < inode->size || memchr(p, '\0', n)))
        err = erofs_bad("a malformed symbolic link", inode->nid * SLOT + fs->meta);
    if (!err)
        memcpy(buf, p, n);
    erofs_buf_put(&hold);
    return err ? err : (int)n;
}

/* The attribute at offset; *ret_next is after it. */
static int xattr_at(const struct erofs *fs, struct erofs_buf *buf, uint64_t offset,
                    struct erofs_xattr *ret, uint64_t *ret_next)
{
    static const char *const prefixes[] = {
        NULL, "user.",    "system.posix_acl_access", "system.posix_acl_default", "trusted.",
        NULL, "security."
    };
    const uint8_t *p = NULL;
    int err = erofs_at(fs, buf, offset, 4, &p);
    if (err)
        return err;
    unsigned name_len = p[0], index = p[1], size = le16(p + 2);
    if (index >= ARRAY_SIZE(prefixes) || !prefixes[index])
        return erofs_bad("an extended attribute of an unknown kind", offset);
    err = erofs_at(fs, buf, offset + 4, name_len + size, &p);
    if (err)
        return err;
    *ret = (struct erofs_xattr){ prefixes[index], (const char *)p, name_len, p + name_len, size };
    *ret_next = align_up(offset + 4 + name_len + size, 4);
    return 0;
}

/* The n-th of an inode's shared attributes. */
static int xattr_shared(const struct erofs *fs, struct erofs_buf *buf,
                        const struct erofs_inode *inode, unsigned n, struct erofs_xattr *ret)
{
    const uint8_t *p = NULL;
    uint64_t next;
    int err = erofs_at(fs, buf, inode->xattr + XATTR_HEADER + n * 4, 4, &p);
    return err ? err : xattr_at(fs, buf, fs->xattrs + (uint64_t)le32(p) * 4, ret, &next);
}

int erofs_next_xattr(const struct erofs *fs, const struct erofs_inode *inode, unsigned *pos,
                     struct erofs_buf *buf, struct erofs_xattr *ret)
{
    const uint8_t *p = NULL;
    uint64_t next = 0;
    if (!inode->xattr_size)
        return -ENOENT;
    int err = erofs_at(fs, buf, inode->xattr, XATTR_HEADER, &p);
    if (err)
        return err;
    unsigned shared = p[4], inline_from = XATTR_HEADER + shared * 4;
    if (inline_from > inode->xattr_size)
        return erofs_bad("malformed extended attributes", inode->xattr);
    /* pos counts the shared ones first, then is the offset of the next one among the inline ones. */
    if (*pos < shared) {
        err = xattr_shared(fs, buf, inode, *pos, ret);
        if (!err && ++*pos == shared)
            *pos = inline_from;
        return err;
    }
    if (*pos < inline_from)
        *pos = inline_from;
    if (*pos + 4 > inode->xattr_size)
        return -ENOENT;
    err = xattr_at(fs, buf, inode->xattr + *pos, ret, &next);
    if (err)
        return err;
    if (next > inode->xattr + inode->xattr_size)
        return erofs_bad("an extended attribute past its inode", inode->xattr + *pos);
    *pos = (unsigned)(next - inode->xattr);
    return 0;
}
