/* SPDX-License-Identifier: MIT */
/* POSIX access control lists: each inode that has some keeps them parsed (inode->acl, the default list of a directory in
 * inode->acl_default), so that a permission check reads memory only; the file system stores them as attributes. A list never
 * changes once others see it. Locks: inode->lock held for writing to replace one, acl_lock for the pointers. acl(5). */
#include <libos/acl.h>

#include "vfs_int.h"

#include <abi/errno.h>
#include <abi/prctl.h>
#include <abi/stat.h>
#include <libos/heap.h>
#include <libos/xattr.h>
#include <string.h>

enum {
    VERSION = 2,
    USER_OBJ = 1,
    USER = 2,
    GROUP_OBJ = 4,
    GROUP = 8,
    MASK = 16,
    OTHER = 32,
    ENTRIES_MAX = 8188, /* what fits into an attribute */
    NO_ID = -1,
};

struct entry {
    uint16_t tag, perm;
    uint32_t id;
};

/* As the attribute has it, behind its version. */
struct acl {
    _Atomic uint32_t refs;
    uint32_t count;
    struct entry e[];
};

static struct spin acl_lock = SPIN_INIT(RANK_ACL);

static const char *const names[] = { XATTR_ACL_ACCESS, XATTR_ACL_DEFAULT };

static void put(struct acl *a)
{
    /* Acquire-release: who frees sees what all others did. */
    if (a && atomic_fetch_sub_explicit(&a->refs, 1, memory_order_acq_rel) == 1)
        heap_free(a);
}

static struct acl **slot(struct inode *inode, bool is_default)
{
    return is_default ? &inode->acl_default : &inode->acl;
}

static struct acl *get(struct inode *inode, bool is_default)
{
    spin_lock(&acl_lock);
    struct acl *a = *slot(inode, is_default);
    if (a)
        atomic_fetch_add_explicit(&a->refs, 1, memory_order_relaxed);
    spin_unlock(&acl_lock);
    return a;
}

static void replace(struct inode *inode, bool is_default, struct acl *take_a)
{
    spin_lock(&acl_lock);
    struct acl *old = *slot(inode, is_default);
    *slot(inode, is_default) = take_a;
    spin_unlock(&acl_lock);
    put(old);
}

void acl_free(struct inode *inode)
{
    put(inode->acl);
    put(inode->acl_default);
}

static struct acl *acl_alloc(size_t count)
{
    struct acl *a = heap_alloc(sizeof(*a) + count * sizeof(struct entry));
    if (a) {
        a->refs = 1;
        a->count = (uint32_t)count;
    }
    return a;
}

static struct acl *copy(const struct acl *a)
{
    struct acl *c = acl_alloc(a->count);
    if (c)
        memcpy(c->e, a->e, a->count * sizeof(struct entry));
    return c;
}

/* Entries come in the order of their tags, one each for owner, group and others; named ones need a mask. */
static bool valid(const struct acl *a)
{
    static const uint8_t order[] = { USER_OBJ, USER, GROUP_OBJ, GROUP, MASK, OTHER };
    unsigned at = 0, n[ARRAY_SIZE(order)] = { 0 };
    for (uint32_t i = 0; i < a->count; i++) {
        const struct entry *e = &a->e[i];
        while (at < ARRAY_SIZE(order) && order[at] != e->tag)
            at++;
        if (at == ARRAY_SIZE(order) || e->perm & ~7u)
            return false;
        bool named = e->tag == USER || e->tag == GROUP;
        if ((named && e->id == (uint32_t)NO_ID) || (!named && n[at]))
            return false;
        n[at]++;
    }
    return n[0] == 1 && n[2] == 1 && n[5] == 1 && (n[4] || (!n[1] && !n[3]));
}

/* Read an attribute's value; *ret NULL: it is empty. -EINVAL, -EOPNOTSUPP, -ENOMEM. */
static int parse(const void *value, size_t size, struct acl **ret)
{
    uint32_t version;
    *ret = NULL;
    if (!value || !size)
        return 0;
    if (size < sizeof(version))
        return -EINVAL;
    memcpy(&version, value, sizeof(version));
    if (version != VERSION)
        return -EOPNOTSUPP;
    size -= sizeof(version);
    if (size % sizeof(struct entry) || size / sizeof(struct entry) > ENTRIES_MAX)
        return -EINVAL;
    if (!size)
        return 0;
    struct acl *a = acl_alloc(size / sizeof(struct entry));
    if (!a)
        return -ENOMEM;
    memcpy(a->e, (const char *)value + sizeof(version), size);
    *ret = a;
    return 0;
}

static size_t text_size(const struct acl *a)
{
    return sizeof(uint32_t) + a->count * sizeof(struct entry);
}

static void text_put(const struct acl *a, char *buf)
{
    uint32_t version = VERSION;
    memcpy(buf, &version, sizeof(version));
    memcpy(buf + sizeof(version), a->e, a->count * sizeof(struct entry));
}

/* Have the file system store a, or forget its list. inode->lock is held for writing. */
static int store(struct inode *inode, bool is_default, const struct acl *a)
{
    char *buf = a ? heap_alloc(text_size(a)) : NULL;
    if (a && !buf)
        return -ENOMEM;
    if (a)
        text_put(a, buf);
    int err = inode->ops->setxattr(inode, names[is_default], buf, a ? text_size(a) : 0, 0);
    heap_free(buf);
    return !a && err == -ENODATA ? 0 : err;
}

static int load(struct inode *inode, bool is_default)
{
    struct acl *a = NULL;
    int n = inode->ops->getxattr(inode, names[is_default], NULL, 0);
    if (n <= 0)
        return n == -ENODATA || n == -EOPNOTSUPP ? 0 : n;
    char *buf = heap_alloc((size_t)n);
    if (!buf)
        return -ENOMEM;
    int err = inode->ops->getxattr(inode, names[is_default], buf, (size_t)n);
    if (err == n)
        err = parse(buf, (size_t)n, &a);
    heap_free(buf);
    if (!err && a && !valid(a)) {
        put(a);
        return -EIO;
    }
    if (!err)
        replace(inode, is_default, a);
    return err;
}

int acl_load(struct inode *inode)
{
    if (S_ISLNK(inode->mode) || !inode->ops->getxattr)
        return 0;
    int err = load(inode, false);
    return err || !S_ISDIR(inode->mode) ? err : load(inode, true);
}

/* The permissions of mode that a stands for. True: they are all that it says. */
static bool equals_mode(const struct acl *a, uint32_t *ret)
{
    uint32_t mode = 0;
    bool all = true;
    for (uint32_t i = 0; i < a->count; i++) {
        const struct entry *e = &a->e[i];
        if (e->tag == USER_OBJ)
            mode |= (uint32_t)e->perm << 6;
        else if (e->tag == GROUP_OBJ)
            mode |= (uint32_t)e->perm << 3;
        else if (e->tag == OTHER)
            mode |= e->perm;
        else if (e->tag == MASK)
            mode = (mode & ~070u) | (uint32_t)e->perm << 3;
        if (e->tag & (USER | GROUP | MASK))
            all = false;
    }
    *ret = mode;
    return all;
}

/* The entry that the group bits of a mode stand for. */
static struct entry *group_class(struct acl *a)
{
    struct entry *found = NULL;
    for (uint32_t i = 0; i < a->count; i++)
        if (a->e[i].tag == MASK || (a->e[i].tag == GROUP_OBJ && !found))
            found = &a->e[i];
    return found;
}

/* chmod: a says what mode does. */
static void apply_mode(struct acl *a, uint32_t mode)
{
    for (uint32_t i = 0; i < a->count; i++) {
        if (a->e[i].tag == USER_OBJ)
            a->e[i].perm = mode >> 6 & 7;
        if (a->e[i].tag == OTHER)
            a->e[i].perm = mode & 7;
    }
    group_class(a)->perm = mode >> 3 & 7;
}

/* A new file: neither a nor the mode permits what the other does not. */
static void limit_both(struct acl *a, uint32_t *mode)
{
    uint32_t own = 0;
    for (uint32_t i = 0; i < a->count; i++) {
        struct entry *e = &a->e[i];
        unsigned shift = e->tag == USER_OBJ ? 6 : 0;
        if (e->tag != USER_OBJ && e->tag != OTHER)
            continue;
        e->perm &= *mode >> shift & 7;
        own |= (uint32_t)e->perm << shift;
    }
    struct entry *g = group_class(a);
    g->perm &= *mode >> 3 & 7;
    *mode = (*mode & ~0777u) | own | (uint32_t)g->perm << 3;
}

int acl_permission(struct inode *inode, unsigned may)
{
    const struct cred *c = vfs_cred();
    struct acl *a = get(inode, false);
    const struct entry *e = NULL, *mask = NULL;
    bool in_group = false;
    unsigned want = may & 7;
    for (uint32_t i = 0; a && i < a->count && !e; i++) {
        const struct entry *x = &a->e[i];
        bool mine = (x->tag == GROUP_OBJ && cred_in_group(c, inode->gid)) ||
                    (x->tag == GROUP && cred_in_group(c, x->id));
        in_group = in_group || mine;
        if ((x->tag == USER && x->id == c->fsuid) || (mine && (x->perm & want) == want) ||
            (x->tag == OTHER && !in_group))
            e = x;
    }
    for (uint32_t i = 0; a && i < a->count; i++)
        if (a->e[i].tag == MASK)
            mask = &a->e[i];
    unsigned have = !e ? 0 : !mask || e->tag == OTHER ? e->perm : e->perm & mask->perm;
    bool gone = !a;
    put(a);
    return gone ? -EAGAIN : (have & want) == want ? 0 : -EACCES;
}

int acl_chmod(struct inode *inode, uint32_t mode)
{
    struct acl *old = get(inode, false), *a = old ? copy(old) : NULL;
    bool had = old != NULL;
    put(old);
    if (!had)
        return 0;
    if (!a)
        return -ENOMEM;
    apply_mode(a, mode);
    int err = store(inode, false, a);
    if (err)
        put(a);
    else
        replace(inode, false, a);
    return err;
}

int acl_new_mode(struct inode *dir, uint32_t *mode, struct acl **ret)
{
    struct acl *d = S_ISLNK(*mode) ? NULL : get(dir, true);
    *ret = NULL;
    if (!d) {
        *mode &= ~vfs_umask();
        return 0;
    }
    struct acl *a = copy(d);
    put(d);
    if (!a)
        return -ENOMEM;
    limit_both(a, mode);
    *ret = a;
    return 0;
}

int acl_new_inode(struct inode *dir, struct inode *inode, struct acl *take_acl)
{
    uint32_t mode;
    struct acl *d = S_ISDIR(inode->mode) ? get(dir, true) : NULL;
    int err = 0;
    if (d && !(err = store(inode, true, d)))
        replace(inode, true, d);
    else
        put(d);
    if (!err && !equals_mode(take_acl, &mode) && !(err = store(inode, false, take_acl)))
        replace(inode, false, take_acl);
    else
        put(take_acl);
    return err;
}

void acl_drop(struct acl *take_acl)
{
    put(take_acl);
}

int acl_index(const char *name)
{
    for (int i = 0; i < 2; i++)
        if (strcmp(name, names[i]) == 0)
            return i;
    return -1;
}

ssize_type acl_get(struct inode *inode, bool is_default, void *buf, size_t size)
{
    if (S_ISLNK(inode->mode) || !inode->ops->getxattr || inode->sb->no_acl)
        return -EOPNOTSUPP;
    struct acl *a = get(inode, is_default);
    if (!a)
        return -ENODATA;
    ssize_type n = (ssize_type)text_size(a);
    if (size && size < (size_t)n)
        n = -ERANGE;
    else if (size)
        text_put(a, buf);
    put(a);
    return n;
}

/* The access list decides the permission bits; one that says no more than they do is not kept. */
static void set_mode(struct inode *inode, struct acl **a)
{
    uint32_t mode;
    if (equals_mode(*a, &mode)) {
        put(*a);
        *a = NULL;
    }
    mode |= inode->mode & ~0777u;
    if (!cred_in_group(vfs_cred(), inode->gid) && !vfs_capable(CAP_FSETID))
        mode &= ~(uint32_t)S_ISGID;
    inode->mode = mode;
}

int acl_set(struct inode *inode, bool is_default, const void *value, size_t size)
{
    struct acl *a;
    if (S_ISLNK(inode->mode) || !inode->ops->setxattr || inode->sb->no_acl)
        return -EOPNOTSUPP;
    int err = parse(value, size, &a);
    if (err)
        return err;
    if (is_default && !S_ISDIR(inode->mode))
        err = a ? -EACCES : 0;
    else if (!vfs_owner(inode))
        err = -EPERM;
    else if (a && !valid(a))
        err = -EINVAL;
    if (err || (is_default && !S_ISDIR(inode->mode))) {
        put(a);
        return err;
    }
    rwmutex_write_lock(&inode->lock);
    uint32_t old_mode = inode->mode;
    if (a && !is_default)
        set_mode(inode, &a);
    err = store(inode, is_default, a);
    if (err) {
        inode->mode = old_mode;
        put(a);
    } else {
        replace(inode, is_default, a);
        inode->ctime = vfs_now();
        inode->atime_until = 0;
        inode_changed(inode);
    }
    rwmutex_write_unlock(&inode->lock);
    return err;
}
