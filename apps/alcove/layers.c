/* SPDX-License-Identifier: MIT */
/* Layers come in order, each as a stream of members; what a member does depends on the tree so far alone. Whiteouts hide
 * what lower layers brought, whatever their place in the archive: nodes know the layer they come from. */
#include "layers.h"

#include "tar.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct layer {
    struct tree *tree;
    struct tar tar;
    const char *name;
    unsigned number;
    struct layers_lost *lost;
};

/* A name with ".." in it has no place in a layer: the ones that have been seen were attacks. */
static void check_path(const struct layer *l, const char *path, const char *what)
{
    for (const char *s = path; *s;) {
        size_t n = strcspn(s, "/");
        if (n == 2 && s[0] == '.' && s[1] == '.')
            fail(l->name, "has a %s that leaves the image's root: '%s'; do not trust this image",
                 what, path);
        s += n;
        s += strspn(s, "/");
    }
}

static struct tree_node *parent(struct layer *l, const char *path, char **ret_name)
{
    struct tree_node *dir = tree_parent(l->tree, path, l->number, ret_name);
    if (!dir)
        fail(l->name, "has '%s' below something that is no directory; do not trust this image",
             path);
    return dir;
}

static void set_facts(struct tree_node *n, const struct tar_entry *e, unsigned number)
{
    n->mode = (n->mode & S_IFMT) | e->mode;
    n->uid = e->uid;
    n->gid = e->gid;
    n->mtime = e->mtime;
    n->layer = number;
}

/* A directory over one that is there keeps what is in it; anything else takes the place of what was there. */
static struct tree_node *make_room(struct layer *l, struct tree_node *dir, const char *name,
                                   bool is_dir)
{
    struct tree_node *old = tree_child(dir, name);
    if (!old || (is_dir && S_ISDIR(old->mode)))
        return old;
    tree_remove(l->tree, old);
    return NULL;
}

static void write_file(struct layer *l, const struct tree_node *n, const char *path)
{
    char chunk[65536], *host = tree_host(l->tree, n);
    int fd = open(host, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        fail_errno(path, errno, "cannot write");
    for (size_t got; (got = tar_data(&l->tar, chunk, sizeof(chunk)));)
        write_all(fd, chunk, got, host);
    if (close(fd) < 0)
        fail_errno(host, errno, "cannot write");
    free(host);
}

static void add_file(struct layer *l, const struct tar_entry *e)
{
    char *name;
    struct tree_node *dir = parent(l, e->path, &name);
    (void)make_room(l, dir, name, false);
    struct tree_node *n = tree_add(l->tree, dir, name, S_IFREG, l->number);
    n->size = e->size;
    set_facts(n, e, l->number);
    write_file(l, n, e->path);
    free(name);
}

static void add_dir(struct layer *l, const struct tar_entry *e)
{
    char *name;
    if (!*e->path || strcmp(e->path, ".") == 0) {
        set_facts(l->tree->root, e, l->number);
        return;
    }
    struct tree_node *dir = parent(l, e->path, &name), *n = make_room(l, dir, name, true);
    if (!n) {
        n = tree_add(l->tree, dir, name, S_IFDIR, l->number);
        char *host = tree_host(l->tree, n);
        if (mkdir(host, 0700) < 0)
            fail_errno(host, errno, "cannot make the directory");
        free(host);
    }
    set_facts(n, e, l->number);
    free(name);
}

static void add_symlink(struct layer *l, const struct tar_entry *e)
{
    char *name;
    struct tree_node *dir = parent(l, e->path, &name);
    if (!*e->link || strlen(e->link) > 4095)
        fail(l->name, "has a link '%s' to nowhere", e->path);
    (void)make_room(l, dir, name, false);
    struct tree_node *n = tree_add(l->tree, dir, name, S_IFLNK | 0777, l->number);
    set_facts(n, e, l->number);
    n->mode = S_IFLNK | 0777;
    n->target = xstrdup(e->link);
    n->size = strlen(e->link);
    char *host = tree_host(l->tree, n);
    if (symlink(e->link, host) < 0)
        fail_errno(host, errno, "cannot make the link");
    free(host);
    free(name);
}

/* A hard link names another member by its path in the archive; links on the way mean what they mean in the image. */
static void add_link(struct layer *l, const struct tar_entry *e)
{
    char *name;
    check_path(l, e->link, "hard link");
    struct tree_node *from = tree_find(l->tree, e->link, false);
    if (!from || S_ISDIR(from->mode))
        fail(l->name, "has a hard link '%s' to '%s', which is no file of the image", e->path,
             e->link);
    struct tree_node *dir = parent(l, e->path, &name);
    if (tree_child(dir, name) == from) {
        free(name);
        return;
    }
    (void)make_room(l, dir, name, false);
    from = tree_find(l->tree, e->link, false);
    if (!from)
        fail(l->name, "has a hard link '%s' to itself", e->path);
    struct tree_node *n = tree_add(l->tree, dir, name, from->mode, l->number);
    n->uid = from->uid;
    n->gid = from->gid;
    n->mtime = from->mtime;
    n->size = from->size;
    n->target = from->target ? xstrdup(from->target) : NULL;
    char *old = tree_host(l->tree, from), *host = tree_host(l->tree, n);
    if (link(old, host) < 0)
        fail_errno(host, errno, "cannot make the link");
    free(old);
    free(host);
    free(name);
}

/* Everything below dir that lower layers brought. */
static void hide_lower(struct layer *l, struct tree_node *dir)
{
    struct tree_node *c, *next;
    HASH_ITER(hh, dir->children, c, next)
    {
        if (S_ISDIR(c->mode))
            hide_lower(l, c);
        if (c->layer < l->number && !c->children)
            tree_remove(l->tree, c);
    }
}

/* ".wh.NAME" removes NAME, ".wh..wh..opq" all that lower layers have in this directory. */
static bool whiteout(struct layer *l, const struct tar_entry *e)
{
    const char *base = path_base(e->path);
    if (strncmp(base, ".wh.", 4) != 0)
        return false;
    char *dir_path = xstrndup(e->path, (size_t)(base - e->path));
    struct tree_node *dir = tree_find(l->tree, dir_path, true), *n;
    free(dir_path);
    if (!dir || !S_ISDIR(dir->mode))
        return true;
    if (strcmp(base, ".wh..wh..opq") == 0) {
        hide_lower(l, dir);
    } else if ((n = tree_child(dir, base + 4))) {
        if (S_ISDIR(n->mode))
            hide_lower(l, n);
        if (n->layer < l->number && !n->children)
            tree_remove(l->tree, n);
    }
    return true;
}

static void add(struct layer *l, const struct tar_entry *e)
{
    check_path(l, e->path, "name");
    if (whiteout(l, e))
        return;
    switch (e->kind) {
    case TAR_FILE:
        add_file(l, e);
        break;
    case TAR_DIR:
        add_dir(l, e);
        break;
    case TAR_SYMLINK:
        add_symlink(l, e);
        break;
    case TAR_LINK:
        add_link(l, e);
        break;
    case TAR_OTHER:
        l->lost->devices++;
        break;
    }
}

void layer_apply(struct tree *t, const struct blob *blob, const char *name, unsigned number,
                 const char *digest, const char *diff_id, struct layers_lost *lost)
{
    struct layer *l = xcalloc(1, sizeof(*l));
    struct blob_reader *r = blob_open(blob, name, digest);
    const struct tar_entry *e;
    *l = (struct layer){ .tree = t, .name = name, .number = number, .lost = lost };
    tar_init(&l->tar, r, name);
    while ((e = tar_next(&l->tar)))
        add(l, e);
    blob_close(r, diff_id);
    free(l);
}
