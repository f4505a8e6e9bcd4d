/* SPDX-License-Identifier: MIT */
/* The file tree of a container image while its layers are applied. It is kept here and mirrored below a directory of the
 * host: a path of a layer is only ever resolved in this tree, never by the kernel, so no link can lead out of it. */
#ifndef ALCOVE_CMD_TREE_H
#define ALCOVE_CMD_TREE_H

#include "util.h"

#include <sys/stat.h>
#include <time.h>
#include <uthash.h>

struct tree_node {
    char *name; /* one component */
    struct tree_node *parent;
    struct tree_node *children; /* hash by name */
    mode_t mode;                /* type and permission bits, as they shall be */
    uint32_t uid, gid;
    struct timespec mtime;
    uint64_t size;
    char *target;   /* of a symbolic link */
    unsigned layer; /* number of the layer that made or changed it */
    UT_hash_handle hh;
};

struct tree {
    char *dir; /* the mirror, on the host */
    struct tree_node *root;
    size_t count;
};

/* An empty tree over the existing empty directory dir. */
void tree_init(struct tree *t, const char *dir);

/* The node at path, with links followed inside the tree (but not the last one unless follow); NULL: nothing there, or too
 * many links. ".." at the root stays there. */
struct tree_node *tree_find(struct tree *t, const char *path, bool follow);

/* The directory that path's last component belongs to, made with its parents where it is missing; that component in
 * *ret_name. NULL: the path has no last component, or something on the way is no directory. */
struct tree_node *tree_parent(struct tree *t, const char *path, unsigned layer, char **ret_name);

struct tree_node *tree_child(struct tree_node *dir, const char *name);

/* Add a node that is not there; the caller makes it in the mirror. */
struct tree_node *tree_add(struct tree *t, struct tree_node *dir, const char *name, mode_t mode,
                           unsigned layer);

/* Remove a node and all below it, from the mirror too. */
void tree_remove(struct tree *t, struct tree_node *n);

/* Its path in the image, and in the mirror. */
char *tree_path(const struct tree_node *n);
char *tree_host(const struct tree *t, const struct tree_node *n);

#endif
