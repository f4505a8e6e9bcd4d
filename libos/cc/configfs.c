/* SPDX-License-Identifier: MIT */
/* configfs as far as attestation needs it: /sys/kernel/config/tsm/report, where mkdir makes a request whose files are written
 * and read. Requests lie in a list under `lock`; inodes are made when they are asked for and hold a reference on their
 * request, whose content its own lock guards. A binary file is taken over when it is closed, and made when it is read first.
 * Spec: Linux, Documentation/filesystems/configfs.rst and Documentation/ABI/testing/configfs-tsm-report. */
#include "cc_int.h"

#include <abi/errno.h>
#include <abi/fcntl.h>
#include <abi/statfs.h>
#include <libos/file.h>
#include <libos/heap.h>
#include <libos/lock.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONFIGFS_MAGIC 0x62656570

enum { TEXT_MAX = 4096, TEXT_LINE = 64, FIRST_POS = 2 };

struct request {
    _Atomic uint32_t refs;
    struct request *next;   /* guarded by lock */
    struct mutex lock;      /* RANK_TSM */
    struct tsm_request r;   /* guarded by its lock, as is all that follows */
    uint64_t written, read; /* generations: of the last change, and of what out was made from */
    size_t len;
    char name[];
};

enum kind { KIND_ROOT, KIND_TSM, KIND_REPORT, KIND_ITEM, KIND_FILE };

enum file_id {
    F_INBLOB,
    F_OUTBLOB,
    F_AUXBLOB,
    F_MANIFEST,
    F_GENERATION,
    F_PROVIDER,
    F_PRIVLEVEL,
    F_FLOOR,
    F_SERVICE_PROVIDER,
    F_SERVICE_GUID,
    F_SERVICE_VERSION
};
/* Who has the file: all providers, those with privilege levels, those below a service module. */
enum file_for { FOR_ALL, FOR_PRIVLEVEL, FOR_SERVICE };

static const struct attribute {
    const char *name;
    uint16_t mode;
    bool binary;
    enum file_for for_whom;
} attributes[] = {
    [F_INBLOB] = { "inblob", 0200, true, FOR_ALL },
    [F_OUTBLOB] = { "outblob", 0444, true, FOR_ALL },
    [F_AUXBLOB] = { "auxblob", 0444, true, FOR_PRIVLEVEL },
    [F_MANIFEST] = { "manifestblob", 0444, true, FOR_SERVICE },
    [F_GENERATION] = { "generation", 0444, false, FOR_ALL },
    [F_PROVIDER] = { "provider", 0444, false, FOR_ALL },
    [F_PRIVLEVEL] = { "privlevel", 0200, false, FOR_PRIVLEVEL },
    [F_FLOOR] = { "privlevel_floor", 0444, false, FOR_PRIVLEVEL },
    [F_SERVICE_PROVIDER] = { "service_provider", 0200, false, FOR_SERVICE },
    [F_SERVICE_GUID] = { "service_guid", 0200, false, FOR_SERVICE },
    [F_SERVICE_VERSION] = { "service_manifest_version", 0200, false, FOR_SERVICE },
};

struct node {
    enum kind kind;
    enum file_id id;
    struct request *request; /* with a reference, of items and their files */
};

/* An open file. */
struct blob {
    struct mutex lock; /* RANK_GEN_TEXT */
    uint8_t *buf;      /* guarded by lock */
    size_t len;
    bool filled, changed;
};

static struct mutex lock; /* RANK_TSM: the list. Never taken with a request's lock */
static struct request *requests;

static const struct inode_ops dir_ops, file_inode_ops;
static const struct file_ops dir_fops, file_fops;

static void request_put(struct request *q)
{
    if (!q || atomic_fetch_sub_explicit(&q->refs, 1, memory_order_acq_rel) != 1)
        return;
    heap_free(q->r.out);
    heap_free(q->r.aux);
    heap_free(q->r.manifest);
    heap_free(q);
}

static struct request *request_find(const char *name, size_t len)
{
    struct request *q;

    mutex_lock(&lock);
    for (q = requests; q && (q->len != len || memcmp(q->name, name, len)); q = q->next)
        ;
    if (q)
        atomic_fetch_add(&q->refs, 1);
    mutex_unlock(&lock);
    return q;
}

/* Take q out of the list. */
static void request_forget(struct request *q)
{
    struct request **at = &requests;

    mutex_lock(&lock);
    while (*at && *at != q)
        at = &(*at)->next;
    if (*at)
        *at = q->next;
    mutex_unlock(&lock);
    request_put(q);
}

static struct node *node_of(const struct inode *inode)
{
    return inode->data;
}

/* Takes request. */
static int node_inode(struct superblock *sb, enum kind kind, enum file_id id,
                      struct request *take_request, struct inode **ret_inode)
{
    bool file = kind == KIND_FILE;
    struct node *n = heap_alloc(sizeof(*n));
    uint32_t mode = file ? S_IFREG | attributes[id].mode : S_IFDIR | 0755;
    struct inode *inode = n ? inode_create(sb, mode, file ? &file_inode_ops : &dir_ops) : NULL;

    if (!inode) {
        heap_free(n);
        request_put(take_request);
        return -ENOMEM;
    }
    *n = (struct node){ kind, id, take_request };
    inode->data = n;
    inode->fops = file ? &file_fops : &dir_fops;
    if (file)
        inode->size = attributes[id].binary ? 0 : TEXT_MAX;
    *ret_inode = inode;
    return 0;
}

static bool is_there(const struct attribute *a)
{
    const struct tsm_provider *p = tsm_provider();

    if (a->for_whom == FOR_SERVICE)
        return p->has_service && p->has_service();
    return a->for_whom == FOR_ALL || p->has_privlevel;
}

static bool same(const char *text, const char *name, size_t len)
{
    return strlen(text) == len && !memcmp(text, name, len);
}

static int dir_lookup(struct inode *dir, const char *name, size_t len, struct inode **ret_inode)
{
    struct node *n = node_of(dir);
    struct request *q;

    switch (n->kind) {
    case KIND_ROOT:
        if (tsm_provider() && same("tsm", name, len))
            return node_inode(dir->sb, KIND_TSM, 0, NULL, ret_inode);
        return -ENOENT;
    case KIND_TSM:
        if (same("report", name, len))
            return node_inode(dir->sb, KIND_REPORT, 0, NULL, ret_inode);
        return -ENOENT;
    case KIND_REPORT:
        q = request_find(name, len);
        return q ? node_inode(dir->sb, KIND_ITEM, 0, q, ret_inode) : -ENOENT;
    default:
        break;
    }
    for (size_t i = 0; i < ARRAY_SIZE(attributes); i++)
        if (is_there(&attributes[i]) && same(attributes[i].name, name, len)) {
            atomic_fetch_add(&n->request->refs, 1);
            return node_inode(dir->sb, KIND_FILE, (enum file_id)i, n->request, ret_inode);
        }
    return -ENOENT;
}

/* mkdir in report/; nothing else can be made anywhere. */
static int dir_create(struct inode *dir, const char *name, size_t len, uint32_t mode, uint32_t rdev,
                      struct inode **ret_inode)
{
    struct request *q;

    (void)rdev;
    if (S_ISREG(mode))
        return -EACCES;
    if (!S_ISDIR(mode) || node_of(dir)->kind != KIND_REPORT)
        return -EPERM;
    q = heap_zalloc(sizeof(*q) + len + 1);
    if (!q)
        return -ENOMEM;
    mutex_init(&q->lock, RANK_TSM);
    atomic_init(&q->refs, 2); /* the list's, and the inode's */
    if (tsm_provider()->has_privlevel)
        q->r.privlevel = tsm_provider()->privlevel_floor();
    memcpy(q->name, name, len);
    q->len = len;
    mutex_lock(&lock);
    q->next = requests;
    requests = q;
    mutex_unlock(&lock);
    int err = node_inode(dir->sb, KIND_ITEM, 0, q, ret_inode);
    if (err)
        request_forget(q);
    return err;
}

static int dir_unlink(struct inode *dir, const char *name, size_t len, struct inode *inode)
{
    struct request *q = node_of(inode)->request;

    (void)dir, (void)name, (void)len;
    if (node_of(inode)->kind != KIND_ITEM)
        return -EPERM;
    request_forget(q);
    return 0;
}

static void node_evict(struct inode *inode)
{
    request_put(node_of(inode)->request);
    heap_free(inode->data);
    inode->data = NULL;
}

static int refuse_setattr(struct inode *inode, const struct inode_attr *attr)
{
    (void)inode;
    return attr->set & ~(unsigned)(ATTR_SIZE | ATTR_CTIME | ATTR_MTIME) ? -EPERM : 0;
}

/* The name at position i of a listing after "." and ".."; NULL: none. */
static const char *name_at(const struct node *n, uint64_t i, size_t *ret_len)
{
    const char *name = NULL;
    struct request *q;

    if (n->kind == KIND_ROOT || n->kind == KIND_TSM) {
        name = i ? NULL : n->kind == KIND_TSM ? "report" : tsm_provider() ? "tsm" : NULL;
    } else if (n->kind == KIND_ITEM) {
        for (size_t k = 0; k < ARRAY_SIZE(attributes) && !name; k++)
            if (is_there(&attributes[k]) && !i--)
                name = attributes[k].name;
    } else {
        for (q = requests; q && i; q = q->next, i--)
            ;
        name = q ? q->name : NULL;
    }
    *ret_len = name ? strlen(name) : 0;
    return name;
}

static int dir_readdir(struct file *f, struct dir_sink *s, uint64_t *pos)
{
    const struct node *n = node_of(f->inode);
    const char *name;
    size_t len;

    if (!dir_emit_dots(f, s, pos))
        return 0;
    mutex_lock(&lock);
    while ((name = name_at(n, *pos - FIRST_POS, &len)) &&
           s->emit(s, name, len, f->inode->ino + *pos, *pos + 1,
                   n->kind == KIND_ITEM ? S_IFREG >> 12 : S_IFDIR >> 12))
        ++*pos;
    mutex_unlock(&lock);
    return 0;
}

/* A report of what was asked for last, unless out is one. Locks: q->lock. */
static int make_report(struct request *q)
{
    int err;

    if (!q->r.in_size)
        return -EINVAL;
    if (q->r.out && q->read == q->written)
        return 0;
    heap_free(q->r.out);
    heap_free(q->r.aux);
    heap_free(q->r.manifest);
    q->r.out = q->r.aux = q->r.manifest = NULL;
    q->r.out_size = q->r.aux_size = q->r.manifest_size = 0;
    err = tsm_provider()->make(&q->r);
    if (!err)
        q->read = q->written;
    return err;
}

/* A change of the request. The one change that would make the generation look like that of the report read is refused.
 * Locks: q->lock. */
static int advance(struct request *q)
{
    if (q->written == q->read - 1)
        return -EBUSY;
    q->written++;
    return 0;
}

/* A copy of a report, or of what came with it. */
static int fill_binary(struct request *q, enum file_id id, struct blob *b)
{
    int err;

    mutex_lock(&q->lock);
    err = make_report(q);
    if (!err) {
        const uint8_t *from = id == F_OUTBLOB   ? q->r.out
                              : id == F_AUXBLOB ? q->r.aux
                                                : q->r.manifest;
        b->len = id == F_OUTBLOB   ? q->r.out_size
                 : id == F_AUXBLOB ? q->r.aux_size
                                   : q->r.manifest_size;
        b->buf = heap_alloc(b->len + 1);
        if (b->buf && b->len)
            memcpy(b->buf, from, b->len);
        err = b->buf ? 0 : -ENOMEM;
    }
    mutex_unlock(&q->lock);
    return err;
}

static int fill_text(struct request *q, enum file_id id, struct blob *b)
{
    uint64_t generation;
    int n;

    b->buf = heap_alloc(TEXT_LINE);
    if (!b->buf)
        return -ENOMEM;
    mutex_lock(&q->lock);
    generation = q->written;
    mutex_unlock(&q->lock);
    if (id == F_PROVIDER)
        n = snprintf((char *)b->buf, TEXT_LINE, "%s\n", tsm_provider()->name);
    else
        n = snprintf((char *)b->buf, TEXT_LINE, "%llu\n",
                     id == F_GENERATION ? (unsigned long long)generation
                                        : tsm_provider()->privlevel_floor());
    b->len = (size_t)n;
    return 0;
}

static int file_open(struct inode *inode, struct file *f)
{
    const struct attribute *a = &attributes[node_of(inode)->id];
    struct blob *b;

    if ((f->can_write && !(a->mode & 0222)) || (f->can_read && !(a->mode & 0444)))
        return -EACCES;
    b = heap_zalloc(sizeof(*b));
    if (!b)
        return -ENOMEM;
    mutex_init(&b->lock, RANK_GEN_TEXT);
    f->data = b;
    return 0;
}

static ssize_type blob_read(struct file *f, struct iter *it, uint64_t *pos)
{
    const struct node *n = node_of(f->inode);
    struct blob *b = f->data;
    ssize_type done = 0;

    mutex_lock(&b->lock);
    if (!b->filled) {
        done = attributes[n->id].binary ? fill_binary(n->request, n->id, b)
                                        : fill_text(n->request, n->id, b);
        b->filled = !done;
        if (done) {
            heap_free(b->buf);
            b->buf = NULL;
        }
    }
    if (!done && *pos < b->len && it->left) {
        size_t got = iter_put(it, b->buf + *pos, min_u64(b->len - *pos, it->left));
        *pos += got;
        done = got ? (ssize_type)got : -EFAULT;
    }
    mutex_unlock(&b->lock);
    return done;
}

/* A piece of the input; it counts when the file is closed. */
static ssize_type write_binary(struct blob *b, struct iter *it, uint64_t *pos)
{
    size_t len = it->left;
    ssize_type result = -EFAULT;

    if (*pos > TSM_IN_MAX || len > TSM_IN_MAX - *pos)
        return -EFBIG;
    mutex_lock(&b->lock);
    if (!b->buf)
        b->buf = heap_zalloc(TSM_IN_MAX);
    if (!b->buf) {
        result = -ENOMEM;
    } else if (iter_get(it, b->buf + *pos, len) == len) {
        *pos += len;
        b->len = max_u64(b->len, *pos);
        b->changed = true;
        result = (ssize_type)len;
    }
    mutex_unlock(&b->lock);
    return result;
}

/* A number that kstrtouint takes. */
static bool read_number(const char *text, unsigned long *ret)
{
    char *end;

    *ret = strtoul(text, &end, 0);
    return *text && !*end && text[0] != '-' && text[0] != ' ' && *ret <= UINT32_MAX;
}

/* As Linux writes one, mixed-endian in memory. */
static bool read_guid(const char *text, uint8_t ret[TSM_GUID])
{
    static const uint8_t at[TSM_GUID] = {
        6, 4, 2, 0, 11, 9, 16, 14, 19, 21, 24, 26, 28, 30, 32, 34
    };

    if (strlen(text) != 36)
        return false;
    for (unsigned i = 0; i < 36; i++) {
        bool dash = i == 8 || i == 13 || i == 18 || i == 23;
        if (dash ? text[i] != '-' : !isxdigit((unsigned char)text[i]))
            return false;
    }
    for (unsigned i = 0; i < TSM_GUID; i++) {
        char digits[3] = { text[at[i]], text[at[i] + 1], 0 };
        ret[i] = (uint8_t)strtoul(digits, NULL, 16);
    }
    return true;
}

static int store_service(struct request *q, enum file_id id, const char *text)
{
    uint8_t guid[TSM_GUID];
    unsigned long v;
    int err;

    if ((id == F_SERVICE_GUID && !read_guid(text, guid)) ||
        (id == F_SERVICE_VERSION && !read_number(text, &v)))
        return -EINVAL;
    mutex_lock(&q->lock);
    err = advance(q);
    if (!err && id == F_SERVICE_PROVIDER)
        q->r.service = !strcmp(text, "svsm") ? TSM_SERVICE_SVSM : TSM_SERVICE_OTHER;
    else if (!err && id == F_SERVICE_GUID)
        memcpy(q->r.service_guid, guid, sizeof(guid));
    else if (!err)
        q->r.service_version = (uint32_t)v;
    mutex_unlock(&q->lock);
    return err;
}

static int store_text(struct request *q, enum file_id id, char *text, size_t len)
{
    unsigned long v;
    int err = -EINVAL;

    if (len && text[len - 1] == '\n')
        text[--len] = 0;
    if (id != F_PRIVLEVEL)
        return store_service(q, id, text);
    if (!read_number(text, &v) || v > TSM_PRIVLEVEL_MAX || v < tsm_provider()->privlevel_floor())
        return err;
    mutex_lock(&q->lock);
    err = advance(q);
    if (!err)
        q->r.privlevel = (unsigned)v;
    mutex_unlock(&q->lock);
    return err;
}

static ssize_type blob_write(struct file *f, struct iter *it, uint64_t *pos)
{
    const struct node *n = node_of(f->inode);
    char text[TEXT_LINE];
    size_t len = it->left;
    int err;

    if (attributes[n->id].binary)
        return write_binary(f->data, it, pos);
    if (len >= sizeof(text))
        return -EINVAL;
    if (iter_get(it, text, len) != len)
        return -EFAULT;
    text[len] = 0;
    err = store_text(n->request, n->id, text, len);
    if (err)
        return err;
    *pos += len;
    return (ssize_type)len;
}

/* Take the input over. Who writes too often without reading learns of it by the generation. */
static void blob_release(struct file *f)
{
    struct request *q = node_of(f->inode)->request;
    struct blob *b = f->data;

    if (!b)
        return;
    if (b->changed) {
        mutex_lock(&q->lock);
        if (!advance(q)) {
            memset(q->r.in, 0, sizeof(q->r.in));
            memcpy(q->r.in, b->buf, b->len);
            q->r.in_size = b->len;
        }
        mutex_unlock(&q->lock);
    }
    heap_free(b->buf);
    heap_free(b);
}

static int64_t dir_seek(struct file *f, int64_t off, int whence)
{
    if (whence == SEEK_CUR)
        off += (int64_t)f->pos;
    if ((whence != SEEK_SET && whence != SEEK_CUR) || off < 0)
        return -EINVAL;
    f->pos = (uint64_t)off;
    return off;
}

static const struct inode_ops dir_ops = { .lookup = dir_lookup,
                                          .create = dir_create,
                                          .unlink = dir_unlink,
                                          .setattr = refuse_setattr,
                                          .evict = node_evict };
static const struct inode_ops file_inode_ops = { .setattr = refuse_setattr,
                                                 .open = file_open,
                                                 .evict = node_evict };
static const struct file_ops dir_fops = { .readdir = dir_readdir, .seek = dir_seek };
static const struct file_ops file_fops = {
    .read = blob_read, .write = blob_write, .seek = dir_seek, .release = blob_release
};

int configfs_init(void)
{
    struct superblock *sb = heap_zalloc(sizeof(*sb));
    struct node *n = heap_zalloc(sizeof(*n));
    int err = -ENOMEM;

    mutex_init(&lock, RANK_TSM);
    tdx_quote_init();
    if (sb && n)
        err = superblock_init(sb, "configfs", CONFIGFS_MAGIC, 0755, &dir_ops);
    if (err) {
        heap_free(n);
        heap_free(sb);
        return err;
    }
    sb->root->inode->data = n; /* KIND_ROOT */
    sb->root->inode->fops = &dir_fops;
    return vfs_mount(sb, "/sys/kernel/config", "configfs", ST_NOSUID | ST_NODEV | ST_NOEXEC);
}
