/* SPDX-License-Identifier: MIT */
/* Requests to the server, one function each. A fid is a slot of a bit map; it goes back when the server was told (or did not want to
 * know). */
#include "p9.h"

#include <abi/errno.h>
#include <string.h>

enum { ROOT_UID = 0, GETATTR_BASIC = 0x7ff, QID = 13 };

uint32_t p9_fid_new(struct p9 *fs)
{
    uint32_t fid = P9_NONE;
    spin_lock(&fs->lock);
    for (uint32_t i = 0; i < P9_FIDS / 64 && fid == P9_NONE; i++)
        if (fs->fids[i] != UINT64_MAX) {
            unsigned bit = (unsigned)__builtin_ctzll(~fs->fids[i]);
            fs->fids[i] |= 1ull << bit;
            fid = i * 64 + bit;
        }
    spin_unlock(&fs->lock);
    return fid;
}

void p9_fid_drop(struct p9 *fs, uint32_t fid)
{
    spin_lock(&fs->lock);
    fs->fids[fid / 64] &= ~(1ull << fid % 64);
    spin_unlock(&fs->lock);
}

/* Send m, of which nothing but success matters. */
static int simple(struct p9 *fs, struct p9_msg *m)
{
    int err = p9_send(fs, m);
    p9_free(m);
    return err;
}

int p9_clunk_error(struct p9 *fs, uint32_t fid)
{
    struct p9_msg *m = p9_begin(T_CLUNK);
    if (!m)
        return -ENOMEM; /* the fid is lost, which the server forgives */
    p9_put(m, fid, 4);
    int err = simple(fs, m);
    if (err != -EINTR &&
        err !=
            -ERESTARTSYS) /* it is free when the answer comes; never, if the server was not asked */
        p9_fid_drop(fs, fid);
    return err;
}

void p9_clunk(struct p9 *fs, uint32_t fid)
{
    if (fid != P9_NONE && p9_clunk_error(fs, fid))
        return; /* there is nobody to tell */
}

int p9_walk(struct p9 *fs, uint32_t fid, const char *name, size_t len, uint32_t *ret_fid,
            uint64_t *ret_path)
{
    uint32_t fresh = p9_fid_new(fs);
    struct p9_msg *m = fresh == P9_NONE ? NULL : p9_begin(T_WALK);
    int err = m ? 0 : -ENOMEM;
    if (m) {
        p9_put(m, fid, 4);
        p9_put(m, fresh, 4);
        p9_put(m, name != NULL, 2);
        if (name)
            p9_put_name(m, name, len);
        err = p9_send(fs, m);
        /* Fewer names than asked for: there is none of that name, and no fid either. */
        if (!err && p9_get(m, 2) != (name != NULL))
            err = m->bad ? -EIO : -ENOENT;
        if (!err && name) {
            (void)p9_get(m, 5);
            *ret_path = p9_get(m, 8);
            err = m->bad ? -EIO : 0;
        }
        p9_free(m);
    }
    if (err && err != -EINTR && fresh != P9_NONE)
        p9_fid_drop(fs, fresh);
    if (!err)
        *ret_fid = fresh;
    return err;
}

static struct abi_timespec get_time(struct p9_msg *m)
{
    int64_t s = (int64_t)p9_get(m, 8);
    uint64_t ns = p9_get(m, 8);
    return (struct abi_timespec){ s, (long)(ns < 1000000000 ? ns : 0) };
}

int p9_getattr(struct p9 *fs, uint32_t fid, struct p9_attr *a)
{
    struct p9_msg *m = p9_begin(T_GETATTR);
    if (!m)
        return -ENOMEM;
    p9_put(m, fid, 4);
    p9_put(m, GETATTR_BASIC, 8);
    int err = p9_send(fs, m);
    (void)p9_get(m, 8); /* which of them are valid: the basic ones always are */
    (void)p9_get(m, 1);
    a->version = (uint32_t)p9_get(m, 4);
    a->path = p9_get(m, 8);
    a->mode = (uint32_t)p9_get(m, 4) & (S_IFMT | 07777);
    a->uid = (uint32_t)p9_get(m, 4);
    a->gid = (uint32_t)p9_get(m, 4);
    a->nlink = p9_get(m, 8);
    a->rdev = p9_get(m, 8);
    a->size = p9_get(m, 8);
    a->blksize = p9_get(m, 8);
    a->blocks = p9_get(m, 8);
    a->atime = get_time(m);
    a->mtime = get_time(m);
    a->ctime = get_time(m);
    if (!err && (m->bad || a->size > INT64_MAX))
        err = -EIO;
    p9_free(m);
    return err;
}

int p9_lopen(struct p9 *fs, uint32_t fid, unsigned flags)
{
    struct p9_msg *m = p9_begin(T_LOPEN);
    if (!m)
        return -ENOMEM;
    p9_put(m, fid, 4);
    p9_put(m, flags, 4);
    return simple(fs, m);
}

int p9_reopen(struct p9 *fs, uint32_t fid, unsigned flags, uint32_t *ret_fid)
{
    uint32_t fresh;
    int err = p9_walk(fs, fid, NULL, 0, &fresh, NULL);
    if (err)
        return err;
    err = p9_lopen(fs, fresh, flags);
    if (err)
        p9_clunk(fs, fresh);
    else
        *ret_fid = fresh;
    return err;
}

int p9_fsync(struct p9 *fs, uint32_t fid, bool data_only)
{
    struct p9_msg *m = p9_begin(T_FSYNC);
    if (!m)
        return -ENOMEM;
    p9_put(m, fid, 4);
    p9_put(m, data_only, 4);
    return simple(fs, m);
}

int p9_version(struct p9 *fs)
{
    static const char version[] = "9P2000.L";
    struct p9_msg *m = p9_begin(T_VERSION);
    char answer[sizeof(version)] = "";
    if (!m)
        return -ENOMEM;
    p9_put(m, P9_DATA + 24, 4);
    p9_put_name(m, version, sizeof(version) - 1);
    m->firm = true;
    int err = p9_send(fs, m);
    uint64_t size = p9_get(m, 4);
    if (p9_get(m, 2) == sizeof(version) - 1)
        for (size_t i = 0; i < sizeof(version) - 1; i++)
            answer[i] = (char)p9_get(m, 1);
    /* Messages without data have to fit, too. */
    if (!err && (m->bad || strcmp(answer, version) || size < P9_MSG || size > P9_DATA + 24))
        err = -EIO;
    fs->data = (uint32_t)(size - 24) & ~(uint32_t)(PAGE_SIZE - 1);
    p9_free(m);
    return err;
}

int p9_attach(struct p9 *fs)
{
    struct p9_msg *m = p9_begin(T_ATTACH);
    if (!m)
        return -ENOMEM;
    fs->root = p9_fid_new(fs);
    p9_put(m, fs->root, 4);
    p9_put(m, P9_NONE, 4);
    p9_put_name(m, "root", 4);
    p9_put_name(m, "", 0);
    p9_put(m, ROOT_UID, 4);
    return simple(fs, m);
}

static struct p9_msg *begin_transfer(enum p9_type type, uint32_t fid, uint64_t pos, uint32_t len)
{
    struct p9_msg *m = p9_begin(type);
    if (m) {
        p9_put(m, fid, 4);
        p9_put(m, pos, 8);
        p9_put(m, len, 4);
    }
    return m;
}

int64_t p9_read(struct p9 *fs, uint32_t fid, uint64_t pos, void **buf, uint32_t len)
{
    struct p9_msg *m = begin_transfer(T_READ, fid, pos, len);
    if (!m)
        return -ENOMEM;
    m->lend = buf;
    int64_t n = p9_fetch_data(fs, m, *buf, len);
    p9_free(m);
    return n;
}

static int64_t finish_write(struct p9 *fs, struct p9_msg *m, const void *data, uint32_t len)
{
    int err = p9_send_data(fs, m, data, len);
    uint64_t n = p9_get(m, 4);
    if (!err && (m->bad || n > len))
        err = -EIO;
    p9_free(m);
    return err ? err : (int64_t)n;
}

int64_t p9_write(struct p9 *fs, uint32_t fid, uint64_t pos, void **buf, uint32_t len)
{
    struct p9_msg *m = begin_transfer(T_WRITE, fid, pos, len);
    if (!m)
        return -ENOMEM;
    m->lend = buf;
    return finish_write(fs, m, *buf, len);
}

int64_t p9_write_firm(struct p9 *fs, uint32_t fid, uint64_t pos, const void *data, uint32_t len)
{
    struct p9_msg *m = begin_transfer(T_WRITE, fid, pos, len);
    if (!m)
        return -ENOMEM;
    m->firm = true;
    return finish_write(fs, m, data, len);
}
