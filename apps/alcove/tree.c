/* SPDX-License-Identifier: MIT */
/* See tree.h. Invariant: the mirror has exactly the nodes of the tree, each by its own name in its parent. */
#include "tree.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LINKS_MAX = 40, NODES_MAX = 4 << 20, DEPTH_MAX = 256 };

void tree_init(struct tree *t, const char *dir)
{
    *t = (struct tree){ .dir = xstrdup(dir), .root = xcalloc(1, sizeof(*t->root)) };
    t->root->name = xstrdup("");
    t->root->mode = S_IFDIR | 0755;
}

struct tree_node *tree_child(struct tree_node *dir, const char *name)
{
    struct tree_node *n;
    HASH_FIND_STR(dir->children, name, n);
    return n;
}

static unsigned depth_of(const struct tree_node *n)
{
    unsigned depth = 0;
    for (; n; n = n->parent)
        depth++;
    return depth;
}

struct tree_node *tree_add(struct tree *t, struct tree_node *dir, const char *name, mode_t mode,
                           unsigned layer)
{
    if (++t->count > NODES_MAX)
        fail(name, "is one file too many: an image takes %d", NODES_MAX);
    if (depth_of(dir) > DEPTH_MAX)
        fail(name, "lies more than %d directories deep", DEPTH_MAX);
    if (strlen(name) > 255)
        fail(name, "is too long for a file name");
    struct tree_node *n = xcalloc(1, sizeof(*n));
    n->name = xstrdup(name);
    n->parent = dir;
    n->mode = mode;
    n->layer = layer;
    HASH_ADD_KEYPTR(hh, dir->children, n->name, strlen(n->name), n);
    return n;
}

/* Both forms of a path are built from the end. */
static char *join(const char *before, const struct tree_node *n)
{
    size_t len = strlen(before);
    for (const struct tree_node *m = n; m->parent; m = m->parent)
        len += strlen(m->name) + 1;
    char *s = xcalloc(1, len + 2), *end = s + len;
    for (const struct tree_node *m = n; m->parent; m = m->parent) {
        size_t k = strlen(m->name);
        end -= k;
        memcpy(end, m->name, k);
        *--end = '/';
    }
    memcpy(s, before, strlen(before));
    return s;
}

char *tree_path(const struct tree_node *n)
{
    return n->parent ? join("", n) : xstrdup("/");
}

char *tree_host(const struct tree *t, const struct tree_node *n)
{
    return join(t->dir, n);
}

static void remove_below(struct tree *t, struct tree_node *n, const char *host)
{
    struct tree_node *c, *next;
    HASH_ITER(hh, n->children, c, next)
    {
        char *path = path_join(host, c->name);
        remove_below(t, c, path);
        HASH_DEL(n->children, c);
        free(path);
        free(c->name);
        free(c->target);
        free(c);
    }
    t->count--;
    if (n->parent && remove(host) < 0)
        fail_errno(host, errno, "cannot remove");
}

void tree_remove(struct tree *t, struct tree_node *n)
{
    char *host = tree_host(t, n);
    remove_below(t, n, host);
    HASH_DEL(n->parent->children, n);
    free(host);
    free(n->name);
    free(n->target);
    free(n);
}

/* One walk: rest is what remains of the path, consumed from the front. */
static struct tree_node *walk(struct tree *t, const char *path, bool follow, bool make,
                              unsigned layer)
{
    struct tree_node *at = t->root;
    char *rest = xstrdup(path);
    for (int links = 0;;) {
        rest += strspn(rest, "/");
        if (!*rest)
            return at;
        size_t n = strcspn(rest, "/");
        char *name = xstrndup(rest, n);
        rest += n;
        bool last = !rest[strspn(rest, "/")];
        if (strcmp(name, ".") == 0)
            continue;
        if (strcmp(name, "..") == 0) {
            at = at->parent ? at->parent : at;
            continue;
        }
        if (!S_ISDIR(at->mode))
            return NULL;
        struct tree_node *c = tree_child(at, name);
        if (!c && make) {
            c = tree_add(t, at, name, S_IFDIR | 0755, layer);
            char *host = tree_host(t, c);
            if (mkdir(host, 0700) < 0)
                fail_errno(host, errno, "cannot make the directory");
            free(host);
        }
        if (!c)
            return NULL;
        if (S_ISLNK(c->mode) && (!last || follow)) {
            if (++links > LINKS_MAX)
                return NULL;
            rest = xprintf("%s/%s", c->target, rest);
            if (c->target[0] == '/')
                at = t->root;
            continue;
        }
        at = c;
    }
}

struct tree_node *tree_find(struct tree *t, const char *path, bool follow)
{
    return walk(t, path, follow, false, 0);
}

struct tree_node *tree_parent(struct tree *t, const char *path, unsigned layer, char **ret_name)
{
    const char *base = path_base(path);
    if (!*base || strcmp(base, ".") == 0 || strcmp(base, "..") == 0)
        return NULL;
    char *parent = xstrndup(path, (size_t)(base - path));
    struct tree_node *dir = walk(t, parent, true, true, layer);
    free(parent);
    if (!dir || !S_ISDIR(dir->mode))
        return NULL;
    *ret_name = xstrdup(base);
    return dir;
}
