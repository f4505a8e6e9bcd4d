/* SPDX-License-Identifier: MIT */
/* The staging directory: the tree that becomes the image's root. Paths given here are paths of the image. What is not
 * in the staging directory yet is taken from the host's path of the same name, with every symbolic link on the way. */
#ifndef ALCOVE_CMD_STAGE_H
#define ALCOVE_CMD_STAGE_H

#include "util.h"

#include <sys/stat.h>

/* One thing in the image. */
struct stage_entry {
    char *path;  /* absolute, without links */
    mode_t mode; /* type and permission bits */
    uid_t uid;
    gid_t gid;
    struct timespec mtime;
    uint64_t size;
    char *from_root; /* a link of a --root directory: its path on the host */
};

struct stage {
    char *dir; /* on the host */
    struct stage_entry *entries;
    size_t n, cap;
    bool have_epoch; /* SOURCE_DATE_EPOCH was set */
    int64_t epoch;   /* its value, else 0: time stamp of everything that keeps none of its own */
};

enum stage_flags {
    STAGE_PROBE = 1,      /* only look, add nothing */
    STAGE_KEEP_TIME = 2,  /* keep the host's time stamp (at most SOURCE_DATE_EPOCH) */
    STAGE_NOFOLLOW = 4,   /* the last component may be a link, which is what is meant */
    STAGE_IMAGE_ONLY = 8, /* do not look at the host */
};

/* What a path led to. */
struct stage_found {
    char *path;   /* in the image, without links */
    char *source; /* file to open on the host: in the staging directory or outside it */
    struct stat st;
    bool on_host; /* not in the staging directory (before this call) */
};

/* Start an empty tree in the existing directory dir. Reads SOURCE_DATE_EPOCH; a bad one ends the command. */
void stage_init(struct stage *s, const char *dir);

/* Follow path and, without STAGE_PROBE, add what is on the way. Directories are added empty. 0 or -errno (-ENOENT, -ELOOP,
 * -ENOTDIR, -EACCES, -EINVAL: neither file, directory nor link). */
int stage_walk(struct stage *s, const char *path, unsigned flags, struct stage_found *ret);

/* Add the file source under the image path dest (whose directories are made); mode bits as the source's. */
void stage_copy(struct stage *s, const char *source, const char *dest, unsigned flags);

/* Add a directory (and its parents), a file with the given content, a link, unless something is there already. */
void stage_mkdir(struct stage *s, const char *path, mode_t mode);
void stage_text(struct stage *s, const char *path, const char *text);
void stage_bytes(struct stage *s, const char *path, const void *p, size_t n);
void stage_link(struct stage *s, const char *path, const char *target);

/* Is there something at this path, no link on the way? */
bool stage_has(const struct stage *s, const char *path);

/* Add the tree below the host directory path, recursively; links lead to what they name where that exists. Patterns
 * (fnmatch(3) on the whole path) in skip are left out. */
void stage_tree(struct stage *s, const char *path, const struct list *skip);

/* Merge the directory root over the tree (`--root`). Ends the command on a device, socket, FIFO, or a link that is
 * broken or leaves the root; keep_ids: with the files' owners. */
void stage_root(struct stage *s, const char *root, bool keep_ids);

/* After everything was added: every link of a --root directory leads somewhere in the image, or the command ends. */
void stage_check_links(struct stage *s);

/* Set modes, owners and times; nothing can be added after this. Newest time stamp in *ret_newest. later: only the times, the
 * rest is set in the file system image (erofs.h), for which nobody need be root. */
void stage_finish(struct stage *s, bool later, int64_t *ret_newest);

/* For the files of this folder. */
struct stage_entry *stage_find(const struct stage *s, const char *path);
struct stage_entry *stage_note(struct stage *s, const char *path, const struct stat *st,
                               unsigned flags);
void stage_unlink(struct stage *s, const char *path);
char *stage_host(const struct stage *s, const char *path); /* path of the staged file on the host */

#endif
