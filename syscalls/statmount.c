/* SPDX-License-Identifier: MIT */
/* statmount, listmount: mounts by their unique ids. Strings are gathered in a buffer behind the structure, the first one empty, and
 * fields say where theirs begins. */
#include "sys_proto.h"

#include <abi/errno.h>
#include <abi/mount.h>
#include <abi/prctl.h>
#include <abi/stat.h>
#include <abi/statfs.h>
#include <libos/heap.h>
#include <libos/mount.h>
#include <libos/process.h>
#include <libos/user.h>
#include <stdlib.h>
#include <string.h>

enum {
    REQUEST_FIRST = 24, /* bytes of its first version */
    TEXT_MAX = 4 * ABI_PATH_MAX,
    LIST_MAX = 1000000,
    NAMESPACE = 1, /* the id of the only one */
    SB_RDONLY = 1,
    SB_SYNCHRONOUS = 16,
};

/* The answer that is being made; allocated. */
struct answer {
    struct abi_statmount s;
    char text[TEXT_MAX];
    size_t used;
    bool full;
};

static int get_request(struct abi_mnt_id_req *r, user_void_in_t up)
{
    uint32_t size;
    uint8_t rest[64];
    *r = (struct abi_mnt_id_req){ 0 };
    if (user_get(&size, user_cast(user_uint_in_t, up), 1))
        return -EFAULT;
    if (size > PAGE_SIZE)
        return -E2BIG;
    if (size < REQUEST_FIRST)
        return -EINVAL;
    size_t known = size < sizeof(*r) ? size : sizeof(*r);
    if (user_get((uint8_t *)r, user_cast(user_u8_in_t, up), known))
        return -EFAULT;
    for (size_t at = known; at < size;) {
        size_t n = size - at < sizeof(rest) ? size - at : sizeof(rest);
        if (user_get(rest, user_at(user_u8_in_t, up.addr + at), n))
            return -EFAULT;
        for (size_t i = 0; i < n; i++)
            if (rest[i])
                return -E2BIG;
        at += n;
    }
    if (r->mnt_ns_fd || r->mnt_id <= MOUNT_UNIQUE_FIRST)
        return -EINVAL;
    return r->mnt_ns_id && r->mnt_ns_id != NAMESPACE ? -ENOENT : 0;
}

/* The mount with this unique id, with a reference. */
static struct mount *find(uint64_t id)
{
    id -= MOUNT_UNIQUE_FIRST;
    return id <= INT32_MAX ? mount_by_id((int)id) : NULL;
}

/* Add n bytes and a zero; where they begin. */
static uint32_t add(struct answer *a, const char *text, size_t n)
{
    uint32_t at = (uint32_t)a->used;
    if (n >= TEXT_MAX - a->used) {
        a->full = true;
        return 0;
    }
    memcpy(a->text + at, text, n);
    a->text[at + n] = '\0';
    a->used += n + 1;
    return at;
}

/* A string field, where there is one. */
static void add_string(struct answer *a, uint32_t bit, uint32_t *field, const char *text)
{
    if (!*text)
        return;
    *field = add(a, text, strlen(text));
    a->s.mask |= bit;
}

static uint64_t attributes(unsigned flags)
{
    static const struct {
        unsigned st, attr;
    } map[] = {
        { ST_RDONLY, MOUNT_ATTR_RDONLY },         { ST_NOSUID, MOUNT_ATTR_NOSUID },
        { ST_NODEV, MOUNT_ATTR_NODEV },           { ST_NOEXEC, MOUNT_ATTR_NOEXEC },
        { ST_NODIRATIME, MOUNT_ATTR_NODIRATIME }, { ST_NOSYMFOLLOW, MOUNT_ATTR_NOSYMFOLLOW }
    };
    uint64_t attr = flags & ST_NOATIME    ? MOUNT_ATTR_NOATIME
                    : flags & ST_RELATIME ? MOUNT_ATTR_RELATIME
                                          : MOUNT_ATTR_STRICTATIME;
    for (size_t i = 0; i < ARRAY_SIZE(map); i++)
        attr |= flags & map[i].st ? map[i].attr : 0;
    return attr;
}

static void fill_super(struct abi_statmount *s, const struct superblock *sb)
{
    s->mask |= STATMOUNT_SB_BASIC;
    s->sb_dev_major = abi_major(sb->dev);
    s->sb_dev_minor = abi_minor(sb->dev);
    s->sb_magic = sb->magic;
    s->sb_flags = (sb->flags & ST_RDONLY ? SB_RDONLY : 0u) |
                  (sb->flags & ST_SYNCHRONOUS ? SB_SYNCHRONOUS : 0u);
}

static void fill_mount(struct abi_statmount *s, struct mount *m)
{
    struct mount *parent = m->parent;
    parent = parent ? parent : m;
    s->mask |= STATMOUNT_MNT_BASIC;
    s->mnt_id = mount_unique_id(m);
    s->mnt_parent_id = mount_unique_id(parent);
    s->mnt_id_old = (uint32_t)m->id;
    s->mnt_parent_id_old = (uint32_t)parent->id;
    s->mnt_attr = attributes(m->flags);
    s->mnt_peer_group = (uint64_t)mount_group(m);
    s->mnt_master = (uint64_t)mount_master(m);
    s->mnt_propagation = (s->mnt_peer_group ? MS_SHARED : 0u) | (s->mnt_master ? MS_SLAVE : 0u) |
                         (m->unbindable ? MS_UNBINDABLE : 0u);
    if (!s->mnt_propagation)
        s->mnt_propagation = MS_PRIVATE;
}

/* Options of the file system, without the first comma: one string, or one for each. */
static void fill_options(struct answer *a, const struct mount *m, uint64_t mask, char *buf)
{
    size_t n = m->sb->show ? m->sb->show(m->sb, buf, ABI_PATH_MAX - 1) : 0;
    buf[n] = '\0';
    const char *text = *buf == ',' ? buf + 1 : buf;
    if (mask & STATMOUNT_MNT_OPTS)
        add_string(a, STATMOUNT_MNT_OPTS, &a->s.mnt_opts, text);
    if (!(mask & STATMOUNT_OPT_ARRAY) || !*text)
        return;
    a->s.mask |= STATMOUNT_OPT_ARRAY;
    a->s.opt_array = (uint32_t)a->used;
    while (*text) {
        const char *comma = strchr(text, ',');
        size_t len = comma ? (size_t)(comma - text) : strlen(text);
        add(a, text, len);
        a->s.opt_num++;
        text += len + !!comma;
    }
}

/* With the mutex of the tree held. */
static int fill(struct answer *a, struct mount *m, uint64_t mask, const char *point, char *buf)
{
    struct abi_statmount *s = &a->s;
    struct path root = { m, m->root };
    a->used = 1; /* what is not there is the empty string */
    if (mask & STATMOUNT_SB_BASIC)
        fill_super(s, m->sb);
    if (mask & STATMOUNT_MNT_BASIC)
        fill_mount(s, m);
    if (mask & STATMOUNT_PROPAGATE_FROM) {
        s->mask |= STATMOUNT_PROPAGATE_FROM;
        s->propagate_from = (uint64_t)mount_master(m);
    }
    if (mask & STATMOUNT_MNT_NS_ID) {
        s->mask |= STATMOUNT_MNT_NS_ID;
        s->mnt_ns_id = NAMESPACE;
    }
    if (mask & STATMOUNT_FS_TYPE)
        add_string(a, STATMOUNT_FS_TYPE, &s->fs_type, m->sb->type);
    if (mask & STATMOUNT_MNT_ROOT) {
        int n = dentry_text(&root, buf, ABI_PATH_MAX);
        if (n < 0)
            return n;
        add_string(a, STATMOUNT_MNT_ROOT, &s->mnt_root, buf);
    }
    if (mask & STATMOUNT_MNT_POINT)
        add_string(a, STATMOUNT_MNT_POINT, &s->mnt_point, point);
    if (mask & STATMOUNT_SB_SOURCE)
        add_string(a, STATMOUNT_SB_SOURCE, &s->sb_source, m->source);
    if (mask & (STATMOUNT_MNT_OPTS | STATMOUNT_OPT_ARRAY))
        fill_options(a, m, mask, buf);
    if (mask & STATMOUNT_SUPPORTED_MASK) {
        s->mask |= STATMOUNT_SUPPORTED_MASK;
        s->supported_mask = 2 * STATMOUNT_OPT_ARRAY - 1 + STATMOUNT_SUPPORTED_MASK;
    }
    return 0;
}

/* The mount point of m as seen from the root, in buf; false: it is not below. */
static bool reachable(struct mount *m, char *buf)
{
    struct path p = { m, m->root };
    return path_text(&p, buf, ABI_PATH_MAX) > 0 && buf[0] == '/';
}

static int put_answer(struct answer *a, user_void_out_t up, size_t size)
{
    size_t n = size < sizeof(a->s) ? size : sizeof(a->s), text = a->used > 1 ? a->used : 0;
    if (a->full || (text && (size <= sizeof(a->s) || size - sizeof(a->s) < text)))
        return -EOVERFLOW;
    a->s.size = (uint32_t)(n + text);
    if (user_put(user_cast(user_u8_out_t, up), (const uint8_t *)&a->s, n) ||
        (text &&
         user_put(user_at(user_u8_out_t, up.addr + sizeof(a->s)), (const uint8_t *)a->text, text)))
        return -EFAULT;
    return 0;
}

long sys_statmount(user_void_in_t req, user_void_out_t up, size_t size, unsigned flags)
{
    struct abi_mnt_id_req r;
    if (flags)
        return -EINVAL;
    int err = get_request(&r, req);
    if (err)
        return err;
    struct mount *m = find(r.mnt_id);
    if (!m)
        return -ENOENT;
    struct answer *a = heap_alloc(sizeof(*a));
    char *point = path_buf_alloc(), *buf = path_buf_alloc();
    err = a && point && buf ? 0 : -ENOMEM;
    if (!err) {
        memset(&a->s, 0, sizeof(a->s));
        a->text[0] = '\0';
        a->full = false;
        mount_change_begin();
        if (!reachable(m, point)) {
            point[0] = '\0';
            err = cred_capable(CAP_SYS_ADMIN) ? 0 : -EPERM;
        }
        if (!err)
            err = fill(a, m, r.param, point, buf);
        mount_change_end();
    }
    if (!err)
        err = put_answer(a, up, size);
    path_buf_free(buf);
    path_buf_free(point);
    heap_free(a);
    mount_put(m);
    return err;
}

/* Ids that are being gathered. */
struct list {
    const struct mount *top; /* those below; NULL: all */
    uint64_t *ids;
    size_t n, room;
};

static int add_id(struct mount *m, const char *path, void *arg)
{
    struct list *l = arg;
    (void)path;
    for (struct mount *up = m; l->top && up != l->top; up = up->parent)
        if (!up->parent)
            return 0;
    if (m == l->top)
        return 0;
    if (l->n == l->room) {
        size_t room = l->room ? 2 * l->room : 64;
        uint64_t *more = heap_alloc(room * sizeof(*more));
        if (!more)
            return -ENOMEM;
        if (l->n)
            memcpy(more, l->ids, l->n * sizeof(*more));
        heap_free(l->ids);
        l->ids = more;
        l->room = room;
    }
    l->ids[l->n++] = mount_unique_id(m);
    return 0;
}

static int ascending(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static int descending(const void *a, const void *b)
{
    return ascending(b, a);
}

/* The ids after last, at most n of them. */
static long put_list(struct list *l, uint64_t last, user_u64_out_t to, size_t n, bool reverse)
{
    size_t from = 0;
    qsort(l->ids, l->n, sizeof(*l->ids), reverse ? descending : ascending);
    while (last && from < l->n && (reverse ? l->ids[from] >= last : l->ids[from] <= last))
        from++;
    n = n < l->n - from ? n : l->n - from;
    return n && user_put(to, l->ids + from, n) ? -EFAULT : (long)n;
}

/* May the caller see what is below m? */
static int check_top(struct mount *m)
{
    char *buf = path_buf_alloc();
    if (!buf)
        return -ENOMEM;
    mount_change_begin();
    bool may = reachable(m, buf) || cred_capable(CAP_SYS_ADMIN);
    mount_change_end();
    path_buf_free(buf);
    return may ? 0 : -EPERM;
}

long sys_listmount(user_void_in_t req, user_u64_out_t ids, size_t n, unsigned flags)
{
    struct abi_mnt_id_req r;
    struct list l = { 0 };
    if (flags & ~LISTMOUNT_REVERSE)
        return -EINVAL;
    if (n > LIST_MAX)
        return -EOVERFLOW;
    long err = get_request(&r, req);
    if (err)
        return err;
    if (r.param && r.param <= MOUNT_UNIQUE_FIRST)
        return -EINVAL;
    struct mount *top = r.mnt_id == LSMT_ROOT ? NULL : find(r.mnt_id);
    if (!top && r.mnt_id != LSMT_ROOT)
        return -ENOENT;
    l.top = top;
    if (top)
        err = check_top(top);
    if (!err)
        err = mount_each(add_id, &l);
    if (!err)
        err = put_list(&l, r.param, ids, n, flags & LISTMOUNT_REVERSE);
    heap_free(l.ids);
    if (top)
        mount_put(top);
    return err;
}
