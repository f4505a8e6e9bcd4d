/* SPDX-License-Identifier: MIT */
/* The path walk: path_resolution(7), openat2(2)'s restrictions. It holds references on where it stands only, and no lock
 * between steps. Texts of symbolic links are resolved in place: what follows a link waits on a stack, so that nothing
 * recurses. */
#include "mount_int.h"
#include "vfs_int.h"

#include <abi/errno.h>
#include <abi/fcntl.h>
#include <abi/stat.h>
#include <abi/statfs.h>
#include <libos/heap.h>
#include <libos/mount.h>
#include <stdio.h>
#include <string.h>

struct path_buf {
    char text[ABI_PATH_MAX];
};
static struct slab buf_slab = SLAB_INIT("path", struct path_buf);

char *path_buf_alloc(void)
{
    return slab_alloc(&buf_slab);
}

void path_buf_free(char *buf)
{
    if (buf)
        slab_free(&buf_slab, buf);
}

static void take_path(struct path *to, struct path from)
{
    struct path old = *to;
    *to = from;
    path_put(&old);
}

/* cwd or root of the current thread, with references. Only the thread itself changes a context that it does not share. */
static void context_path(bool root, struct path *ret)
{
    struct thread *t = thread_current();
    struct fs_context *fs = t ? t->fs : NULL;
    if (!fs) {
        vfs_root(ret);
        return;
    }
    bool shared = atomic_load_explicit(&fs->refs, memory_order_relaxed) > 1;
    if (shared)
        spin_lock(&fs->lock);
    *ret = root ? fs->root : fs->cwd;
    path_get(ret);
    if (shared)
        spin_unlock(&fs->lock);
}

/* The root of the current thread for a walk: only counted when another thread could change it. */
static ALWAYS_INLINE void walk_root(struct walk *w)
{
    struct thread *t = thread_current();
    struct fs_context *fs = t ? t->fs : NULL;
    w->root_held = !fs || atomic_load_explicit(&fs->refs, memory_order_relaxed) > 1;
    if (UNLIKELY(w->root_held))
        context_path(true, &w->root);
    else
        w->root = fs->root;
}

static int start_at_fd(struct walk *w, int dirfd)
{
    struct fd_ref ref;
    int err = fd_borrow_any(dirfd, &ref);
    if (err)
        return err;
    if (*w->name && !S_ISDIR(ref.file->inode->mode)) {
        err = -ENOTDIR;
    } else {
        w->cur = ref.file->path;
        path_get(&w->cur);
    }
    fd_return(&ref);
    return err;
}

static void walk_init(struct walk *w, const char *name, unsigned flags)
{
    w->flags = flags;
    w->kernel = false;
    w->must_dir = false;
    w->links = 0;
    w->depth = 0;
    w->buf = NULL;
    w->name = name;
}

int walk_start(struct walk *w, int dirfd, const char *name, unsigned flags)
{
    walk_init(w, name, flags);
    if (!*name && !(flags & WALK_EMPTY))
        return -ENOENT;
    bool scoped = flags & (WALK_BENEATH | WALK_IN_ROOT);
    if (scoped)
        w->moves = moves_now();
    if (*name == '/' && !scoped) {
        walk_root(w);
        w->cur = w->root;
        path_get(&w->cur);
        return 0;
    }
    if (*name == '/' && flags & WALK_BENEATH)
        return -EXDEV;
    if (dirfd == AT_FDCWD) {
        context_path(false, &w->cur);
    } else {
        int err = start_at_fd(w, dirfd);
        if (err)
            return err;
    }
    if (scoped) {
        w->root = w->cur;
        w->root_held = true;
        path_get(&w->root);
    } else {
        walk_root(w);
    }
    return 0;
}

void walk_start_kernel(struct walk *w, const char *name, unsigned flags)
{
    walk_init(w, name, flags);
    w->kernel = true;
    w->root_held = true;
    vfs_root(&w->root);
    w->cur = w->root;
    path_get(&w->cur);
}

/* End a walk whose w->cur the caller keeps. */
static void walk_end_keep(struct walk *w)
{
    if (w->root_held)
        path_put(&w->root);
    path_buf_free(w->buf);
    while (w->depth)
        path_buf_free(w->stack[--w->depth].buf);
}

void walk_end(struct walk *w)
{
    path_put(&w->cur);
    walk_end_keep(w);
}

static int may_search(const struct walk *w)
{
    struct inode *inode = w->cur.dentry->inode;
    if (UNLIKELY(!S_ISDIR(inode->mode)))
        return -ENOTDIR;
    if (LIKELY((inode->mode & 0111) == 0111 && !inode->acl) || w->kernel)
        return 0;
    return inode_permission(inode, MAY_EXEC);
}

/* Stop a walk with a ceiling that may have missed it, as something above w->cur has moved. */
static int check_moves(const struct walk *w)
{
    return w->flags & (WALK_BENEATH | WALK_IN_ROOT) && moves_since(w->moves) ? -EAGAIN : 0;
}

int walk_up(struct walk *w)
{
    for (;;) {
        struct path *p = &w->cur;
        if (p->dentry == w->root.dentry && p->mount == w->root.mount)
            return w->flags & WALK_BENEATH ? -EXDEV : check_moves(w);
        if (p->dentry != p->mount->root) {
            struct dentry *old = p->dentry;
            p->dentry = dentry_parent(old);
            dentry_put(old);
            (void)path_cross_down(p);
            return check_moves(w);
        }
        struct path up;
        if (!mount_above(p->mount, &up))
            return check_moves(w);
        take_path(p, up);
        if (w->flags & WALK_NO_XDEV)
            return -EXDEV;
    }
}

/* Go on with the text of link; what is left of the name follows it. Takes text. */
static int push_text(struct walk *w, char *text)
{
    if (*w->name) {
        w->stack[w->depth].rest = w->name;
        w->stack[w->depth++].buf = w->buf; /* depth is at most links: bounded by WALK_LINKS_MAX */
    } else {
        path_buf_free(w->buf);
    }
    w->buf = text;
    w->name = text;
    if (*text != '/')
        return *text ? 0 : -ENOENT;
    if (w->flags & WALK_BENEATH)
        return -EXDEV;
    if (w->flags & WALK_NO_XDEV && w->cur.mount != w->root.mount)
        return -EXDEV;
    path_get(&w->root);
    take_path(&w->cur, w->root);
    return 0;
}

static int follow_magic(struct walk *w, struct inode *inode)
{
    struct path to;
    if (w->flags & (WALK_NO_MAGICLINKS | WALK_NO_SYMLINKS))
        return -ELOOP;
    if (w->flags & (WALK_BENEATH | WALK_IN_ROOT))
        return -EXDEV;
    int err = inode->ops->follow(inode, &to);
    if (err)
        return err;
    if (w->flags & WALK_NO_XDEV && to.mount != w->cur.mount) {
        path_put(&to);
        return -EXDEV;
    }
    take_path(&w->cur, to);
    return 0;
}

/* fs.protected_symlinks: in a directory where everybody may put names, a last link leads on for its owner, or when it is the
 * directory's owner's. */
static bool link_is_safe(const struct inode *dir, const struct inode *link)
{
    const uint32_t shared = S_ISVTX | S_IWOTH;
    return (dir->mode & shared) != shared || thread_current()->cred->fsuid == link->uid ||
           dir->uid == link->uid;
}

/* Follow the symbolic link in link (the directory that holds it is w->cur). 1: w->name is the text to go on with;
 * 0: w->cur is where it leads. */
static int follow_link(struct walk *w, struct dentry *link)
{
    struct inode *inode = link->inode;
    if (w->links++ >= WALK_LINKS_MAX)
        return -ELOOP;
    if (w->cur.mount->flags & ST_NOSYMFOLLOW)
        return -ELOOP;
    if (inode->ops->follow)
        return follow_magic(w, inode);
    if (w->flags & WALK_NO_SYMLINKS)
        return -ELOOP;
    if (!w->kernel && !*w->name && !w->depth && !link_is_safe(w->cur.dentry->inode, inode))
        return -EACCES;
    if (!inode->ops->readlink)
        return -EINVAL;
    char *text = path_buf_alloc();
    if (!text)
        return -ENOMEM;
    int len = inode->ops->readlink(inode, text, ABI_PATH_MAX - 1);
    if (len < 0) {
        path_buf_free(text);
        return len;
    }
    text[len] = '\0';
    struct path at = { w->cur.mount, link };
    inode_touch(&at);
    int err = push_text(w, text);
    return err ? err : 1;
}

/* Something covers where we are, in this mount or in another of the same file system. */
static NOINLINE int step_down(struct walk *w)
{
    if (!path_cross_down(&w->cur))
        return 0;
    if (!(w->flags & WALK_EXPIRE))
        w->cur.mount->expiring = false;
    return w->flags & WALK_NO_XDEV ? -EXDEV : 0;
}

/* Step to child, which is not a link to follow. Takes the reference. */
static int step_to(struct walk *w, struct dentry *take_child)
{
    struct dentry *old = w->cur.dentry; /* the mount stays the same */
    w->cur.dentry = take_child;
    dentry_put(old);
    if (UNLIKELY(atomic_load_explicit(&take_child->mounted, memory_order_relaxed)))
        return step_down(w);
    return 0;
}

int walk_to_child(struct walk *w, struct dentry *take_child, bool follow)
{
    if (UNLIKELY(S_ISLNK(take_child->inode->mode)) && follow) {
        int result = follow_link(w, take_child);
        dentry_put(take_child);
        return result;
    }
    return step_to(w, take_child);
}

#define ONES    0x0101010101010101ull
#define HIGH    0x8080808080808080ull
#define SLASHES (0x2f * ONES)

/* Where the name at p ends: at a slash or the zero. Its hash in *ret_hash. Eight bytes are looked at at a time, which may
 * be past the zero but never on another page; that is why address sanitizers must not look. */
__attribute__((no_sanitize("address"))) static const char *name_end(const char *p,
                                                                    uint32_t *ret_hash)
{
    uint64_t hash = 0, w, hit;
    for (;; p += 8) {
        if (UNLIKELY(((uintptr_t)p & (PAGE_SIZE - 1)) > PAGE_SIZE - 8)) {
            w = 0;
            for (unsigned i = 0; i < 8 && p[i] && p[i] != '/'; i++)
                w |= (uint64_t)(uint8_t)p[i] << 8 * i;
        } else {
            __builtin_memcpy(&w, p, 8);
        }
        uint64_t s = w ^ SLASHES;
        hit = (((w - ONES) & ~w) | ((s - ONES) & ~s)) & HIGH;
        if (hit)
            break;
        hash = name_hash_add(hash, w);
    }
    unsigned bits = (unsigned)__builtin_ctzll(hit) & ~7u;
    if (bits)
        hash = name_hash_add(hash, w & ((1ull << bits) - 1));
    *ret_hash = name_hash_end(hash);
    return p + bits / 8;
}

/* The next name of w->name; w->name then is what follows it, slashes skipped. False: there is none. */
static bool next_name(struct walk *w, struct last_name *n, uint32_t *ret_hash)
{
    const char *p = w->name;
    for (;;) {
        while (*p == '/')
            p++;
        if (*p)
            break;
        if (!w->depth) {
            w->name = p;
            return false;
        }
        path_buf_free(w->buf);
        w->depth--;
        w->buf = w->stack[w->depth].buf;
        p = w->stack[w->depth].rest;
    }
    n->name = p;
    p = name_end(p, ret_hash);
    n->len = (size_t)(p - n->name);
    n->slash = *p == '/';
    while (*p == '/')
        p++;
    w->name = p;
    n->type = LAST_NORMAL;
    if (UNLIKELY(*n->name == '.') && n->len <= 2)
        n->type = n->len == 1 ? LAST_DOT : n->name[1] == '.' ? LAST_DOTDOT : LAST_NORMAL;
    return true;
}

int walk_check_inside(const struct walk *w)
{
    if (LIKELY(!(w->flags & (WALK_BENEATH | WALK_IN_ROOT))))
        return 0;
    struct path at = w->cur, up;
    bool inside = true;
    path_get(&at);
    while (inside && at.mount != w->root.mount) {
        inside = mount_above(at.mount, &up);
        if (inside)
            take_path(&at, up);
    }
    inside = inside && mount_below_root(at.dentry, w->root.dentry);
    path_put(&at);
    return inside ? 0 : -EXDEV;
}

/* Take steps until the last name (in *last) or, when there was no name at all, LAST_ROOT. */
int walk_to_parent(struct walk *w, struct last_name *last)
{
    uint32_t hash;
    for (;;) {
        if (!next_name(w, last, &hash)) {
            *last = (struct last_name){ .name = "", .type = LAST_ROOT };
            return 0;
        }
        int err = may_search(w);
        if (err)
            return err;
        if (!*w->name && !w->depth) {
            w->must_dir |= last->slash;
            last->hash = hash;
            return 0;
        }
        if (last->type == LAST_DOTDOT) {
            err = walk_up(w);
        } else if (last->type == LAST_NORMAL) {
            struct dentry *child;
            err = dentry_lookup(w->cur.dentry, last->name, last->len, hash, &child);
            if (!err)
                err = walk_to_child(w, child, true);
        }
        if (err < 0)
            return err;
    }
}

int walk_all(struct walk *w)
{
    struct last_name last;
    int err;
    do {
        err = walk_to_parent(w, &last);
        if (err)
            return err;
        if (last.type == LAST_DOTDOT) {
            err = walk_up(w);
        } else if (last.type == LAST_NORMAL) {
            struct dentry *child;
            err = dentry_lookup(w->cur.dentry, last.name, last.len, last.hash, &child);
            if (!err)
                err = walk_to_child(w, child, w->flags & WALK_FOLLOW || w->must_dir);
        }
    } while (err > 0);
    if (!err && (w->must_dir || w->flags & WALK_DIRECTORY) && !S_ISDIR(w->cur.dentry->inode->mode))
        return -ENOTDIR;
    return err;
}

int path_walk(int dirfd, const char *name, unsigned flags, struct path *ret_path)
{
    struct walk w;
    int err = walk_start(&w, dirfd, name, flags);
    if (err)
        return err;
    err = walk_all(&w);
    if (LIKELY(!err)) {
        *ret_path = w.cur; /* with its references */
        walk_end_keep(&w);
    } else {
        walk_end(&w);
    }
    return err;
}

/* Put text in front of *pos in buf; false: no room. */
static bool prepend(char *buf, size_t *pos, const char *text, size_t len)
{
    if (*pos < len)
        return false;
    *pos -= len;
    memcpy(buf + *pos, text, len);
    return true;
}

/* Put the names from d up to its mount's root, or to stop, in front of *pos. 1: reached stop. */
static int text_up(struct dentry *d, struct dentry *top, const struct dentry *stop, char *buf,
                   size_t *pos)
{
    int result = 0;
    mutex_lock(&d->sb->rename_lock); /* parents stay */
    while (!result && d != stop && d != top && d->parent != d) {
        struct dentry *parent = d->parent;
        spin_lock(&d->lock); /* the name stays */
        if (!prepend(buf, pos, d->name, d->len) || !prepend(buf, pos, "/", 1))
            result = -ENAMETOOLONG;
        spin_unlock(&d->lock);
        d = parent;
    }
    mutex_unlock(&top->sb->rename_lock);
    return result ? result : d == stop;
}

int path_text(const struct path *p, char *buf, size_t size)
{
    struct path root, at = *p, up;
    context_path(true, &root);
    path_get(&at);
    size_t pos = size;
    bool ok = prepend(buf, &pos, "", 1);
    if (ok && at.dentry->unlinked)
        ok = prepend(buf, &pos, " (deleted)", 10);
    size_t end = pos;
    int err = ok ? 0 : -ENAMETOOLONG;
    bool inside = false;
    while (!err) {
        err = text_up(at.dentry, at.mount->root, at.mount == root.mount ? root.dentry : NULL, buf,
                      &pos);
        if (err || (at.mount == root.mount && at.mount->root == root.dentry)) {
            inside = err >= 0;
            break;
        }
        if (!mount_above(at.mount, &up)) {
            inside =
                !at.mount
                     ->id; /* never in the tree: its names (memfds) have no place to be out of */
            break;
        }
        take_path(&at, up);
    }
    if (err >= 0 && pos == end && !prepend(buf, &pos, "/", 1))
        err = -ENAMETOOLONG;
    if (err >= 0 && !inside && !prepend(buf, &pos, "(unreachable)", 13))
        err = -ENAMETOOLONG;
    path_put(&root);
    path_put(&at);
    if (err < 0)
        return err;
    memmove(buf, buf + pos, size - pos);
    return (int)(size - pos);
}

int dentry_text(const struct path *p, char *buf, size_t size)
{
    size_t pos = size;
    if (!prepend(buf, &pos, "", 1) || (p->dentry->unlinked && p->dentry->parent != p->dentry &&
                                       !prepend(buf, &pos, "//deleted", 9)))
        return -ENAMETOOLONG;
    size_t end = pos;
    int err = text_up(p->dentry, p->dentry->sb->root, NULL, buf, &pos);
    if (err >= 0 && pos == end && !prepend(buf, &pos, "/", 1))
        err = -ENAMETOOLONG;
    if (err < 0)
        return err;
    memmove(buf, buf + pos, size - pos);
    return (int)(size - pos);
}

int file_text(const struct file *f, char *buf, size_t size)
{
    if (!f->name)
        return path_text(&f->path, buf, size);
    int n = f->name[0] == 'a'
                ? snprintf(buf, size, "%s", f->name)
                : snprintf(buf, size, "%s:[%llu]", f->name, (unsigned long long)f->inode->ino);
    return n < 0 || (size_t)n >= size ? -ENAMETOOLONG : n + 1;
}
