/* SPDX-License-Identifier: MIT */
/* Kinds of file systems, and the way from options to a superblock that mount(2) and fsopen(2) share. */
#ifndef LIBOS_FSTYPE_H
#define LIBOS_FSTYPE_H

#include <libos/vfs.h>

struct fs_setup;

struct fs_type {
    const char *name;    /* NULL: libOS is linked without it */
    bool device;         /* stands on a block device; /proc/filesystems calls others nodev */
    bool hidden;         /* cannot be mounted */
    size_t options_size; /* of what options points to */
    /* Fill in the options that hold when none are given. NULL: zeros do. */
    void (*begin)(struct fs_setup *s);
    /* Take an option; value NULL: without "=". What every type has is taken before. NULL: the type has none. -EINVAL. */
    int (*option)(struct fs_setup *s, const char *key, const char *value);
    /* The file system, with a reference. */
    int (*get)(struct fs_setup *s, struct superblock **ret_sb);
    /* s->sb shall have the options given. NULL: there is nothing to change. */
    int (*change)(struct fs_setup *s);
    /* Free what options hold. NULL: nothing. */
    void (*end)(struct fs_setup *s);
};

struct fs_setup {
    const struct fs_type *type;
    char *source;          /* owned; NULL: none was given */
    unsigned flags, set;   /* ST_* of the file system as a whole, and which were said */
    struct superblock *sb; /* that is changed, a reference; NULL: a new one is wanted */
    bool exclusive;        /* it must not be there already */
    void *options;         /* the type's own */
};

/* sb NULL: for a new file system; else a reference is taken. -ENOMEM. */
NODISCARD int fs_setup_create(const struct fs_type *type, struct superblock *sb,
                              struct fs_setup **ret);
void fs_setup_destroy(struct fs_setup *s);
/* One option, of every type or of this one. -EINVAL: unknown or bad; -ENOMEM. */
NODISCARD int fs_setup_option(struct fs_setup *s, const char *key, const char *value);
/* mount(2)'s: separated by commas; text is cut up. Errnos of fs_setup_option. */
NODISCARD int fs_setup_text(struct fs_setup *s, char *text);
/* The file system, with a reference. Errnos of the type: -ENOENT, -EBUSY, -EINVAL, -ENOMEM, -EIO, ... May sleep. */
NODISCARD int fs_setup_get(struct fs_setup *s, struct superblock **ret_sb);

/* Types of the modules. */
extern const struct fs_type tmpfs_type, ramfs_type, ext4_type, ext3_type, ext2_type, overlay_type,
    p9_type;

#endif
