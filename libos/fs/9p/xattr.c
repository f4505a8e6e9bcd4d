/* SPDX-License-Identifier: MIT */
/* Extended attributes: a fid of their own each, which is read, or written and then clunked. The server decides what there is; its values
 * and lists are bounded as the system calls are, and looked at in a copy. */
#include "p9.h"

#include <abi/errno.h>
#include <abi/xattr.h>
#include <libos/heap.h>
#include <string.h>

/* A fid with the value of name ("": the list of names), and its size. */
static int open_value(struct p9 *fs, uint32_t fid, const char *name, uint32_t *ret_fid,
                      uint32_t *ret_size)
{
    uint32_t fresh = p9_fid_new(fs);
    struct p9_msg *m = fresh == P9_NONE ? NULL : p9_begin(T_XATTRWALK);
    int err = m ? 0 : -ENOMEM;
    uint64_t size = 0;
    if (m) {
        p9_put(m, fid, 4);
        p9_put(m, fresh, 4);
        p9_put_name(m, name, strlen(name));
        err = p9_send(fs, m);
        size = p9_get(m, 8);
        bool bad = m->bad || size > XATTR_SIZE_MAX;
        p9_free(m);
        if (!err && bad) {
            p9_clunk(fs, fresh);
            return -EIO;
        }
    }
    if (err && err != -EINTR && fresh != P9_NONE)
        p9_fid_drop(fs, fresh);
    if (!err) {
        *ret_fid = fresh;
        *ret_size = (uint32_t)size;
    }
    return err;
}

/* All size bytes of fid into fresh memory of the heap. */
static int read_value(struct p9 *fs, uint32_t fid, uint32_t size, uint8_t **ret)
{
    uint8_t *all = heap_alloc(size);
    void *part = heap_alloc(size < fs->data ? size : fs->data);
    int64_t n = all && part ? 0 : -ENOMEM;
    for (uint32_t at = 0; n >= 0 && at < size; at += (uint32_t)n) {
        n = p9_read(fs, fid, at, &part, (uint32_t)min_u64(size - at, fs->data));
        if (n > 0)
            memcpy(all + at, part, (size_t)n);
        else if (!n)
            n = -EIO;
    }
    heap_free(part);
    if (n < 0)
        heap_free(all);
    else
        *ret = all;
    return n < 0 ? (int)n : 0;
}

/* The value of name, and its size; memory of the heap. With size 0, and if that is all that is wanted, there is none. */
static int get_value(struct inode *inode, const char *name, bool only_size, uint8_t **ret,
                     uint32_t *ret_size)
{
    struct p9 *fs = p9_of(inode);
    uint32_t fid;
    int err = open_value(fs, p9_i(inode)->fid, name, &fid, ret_size);
    if (err)
        return err;
    *ret = NULL;
    if (*ret_size && !only_size)
        err = read_value(fs, fid, *ret_size, ret);
    p9_clunk(fs, fid);
    return err;
}

int p9_getxattr(struct inode *inode, const char *name, void *buf, size_t size)
{
    uint8_t *value;
    uint32_t n;
    int err = get_value(inode, name, size == 0, &value, &n);
    if (err)
        return err;
    if (size && n > size)
        err = -ERANGE;
    else if (size && n)
        memcpy(buf, value, n);
    heap_free(value);
    return err ? err : (int)n;
}

/* Names of lengths that the system knows, each with its zero. */
static bool is_list(const uint8_t *list, size_t size)
{
    for (size_t at = 0, n; at < size; at += n + 1) {
        const uint8_t *end = memchr(list + at, 0, size - at);
        n = end ? (size_t)(end - (list + at)) : 0;
        if (!n || n > XATTR_NAME_MAX)
            return false;
    }
    return true;
}

int p9_listxattr(struct inode *inode, char *buf, size_t size)
{
    uint8_t *list;
    uint32_t n;
    int err = get_value(inode, "", size == 0, &list, &n);
    if (err)
        return err;
    if (size && n > size)
        err = -ERANGE;
    else if (size && !is_list(list, n))
        err = -EIO;
    else if (size && n)
        memcpy(buf, list, n);
    heap_free(list);
    return err ? err : (int)n;
}

static int send_value(struct p9 *fs, uint32_t fid, const void *value, size_t size)
{
    void *part = size ? heap_alloc(size) : NULL;
    int64_t n = size && !part ? -ENOMEM : 0;
    for (size_t at = 0; n >= 0 && at < size; at += (size_t)n) {
        uint32_t len = (uint32_t)min_u64(size - at, fs->data);
        memcpy(part, (const char *)value + at, len);
        n = p9_write(fs, fid, at, &part, len);
        if (!n)
            n = -EIO;
    }
    heap_free(part);
    return n < 0 ? (int)n : 0;
}

int p9_setxattr(struct inode *inode, const char *name, const void *value, size_t size, int flags)
{
    struct p9 *fs = p9_of(inode);
    uint32_t fid;
    int err = p9_walk(fs, p9_i(inode)->fid, NULL, 0, &fid, NULL);
    if (err)
        return err;
    struct p9_msg *m = p9_begin(T_XATTRCREATE);
    if (m) {
        p9_put(m, fid, 4);
        p9_put_name(m, name, strlen(name));
        p9_put(m, value ? size : 0,
               8); /* nothing: the attribute goes, which is all that the protocol has for that */
        p9_put(m, (uint32_t)flags, 4);
    }
    err = m ? p9_send(fs, m) : -ENOMEM;
    p9_free(m);
    if (!err && value)
        err = send_value(fs, fid, value, size);
    /* The server sets it now. */
    int err2 = p9_clunk_error(fs, fid);
    return err ? err : err2;
}
