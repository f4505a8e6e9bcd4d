/* SPDX-License-Identifier: MIT */
/* Generated trees (/proc, /sys): tables of names, each with the function that prints its content. */
#ifndef FS_GEN_H
#define FS_GEN_H

#include <abi/stat.h>
#include <base/compiler.h>
#include <base/types.h>
#include <libos/vfs.h>

/* A text that grows. Out of memory shows as failed, and further text is dropped. */
struct text {
    char *buf;
    size_t len, size;
    bool failed;
};

void text_printf(struct text *t, const char *format, ...) PRINTF(2, 3);
void text_add(struct text *t, const void *bytes, size_t n);
/* Blanks until the line that began at offset start is width bytes long. */
void text_pad(struct text *t, size_t start, size_t width);
void text_fini(struct text *t);

/* Which object a node is about; 0 where that does not apply (descriptor: number counts from 0). */
struct gen_ctx {
    int pid, tid, number;
    uint64_t born_ns; /* when process pid began: its number may be another's later */

    uint64_t mm; /* of an open file about memory: the address space's serial when it was opened */
};

struct gen_names;
struct poll_table;

/* One name. A table of them ends with a NULL name. */
struct gen_entry {
    const char *name;
    uint32_t mode;     /* with type bits */
    uint32_t size;     /* what stat says of it; 0: what the tree has for all */
    const char *fixed; /* content, or a symbolic link's target, that never changes */
    int (*show)(struct text *t,
                const struct gen_ctx *c); /* content; a link's target without a NUL */
    int (*store)(const struct gen_ctx *c, char *value,
                 size_t len); /* a write, zero-terminated; NULL: -EPERM at open */
    int (*follow)(const struct gen_ctx *c, struct path *ret); /* a magic link */
    /* How often the content changed, for poll, which tells of each change once; pt (may be NULL) hears of the next. NULL: the
     * file is always ready. No sleep. */
    uint64_t (*changes)(struct poll_table *pt);
    uint32_t (*link_mode)(const struct gen_ctx *c); /* permission bits of a link */
    /* May it be opened? c is the open file's own. NULL: by its mode. */
    int (*open)(struct gen_ctx *c);
    /* May it be looked into? 1: whatever the mode says; 0: by its mode. */
    int (*enter)(const struct gen_ctx *c);
    const struct file_ops *fops;      /* not generated text */
    const struct gen_entry *children; /* of a directory */
    const struct gen_names *names;    /* of a directory: names with numbers */
};

/* Names of a directory that are a prefix and a number, or stand for one otherwise. */
struct gen_names {
    const char *prefix;
    /* With print, no prefix is needed: name n, at most 31 bytes, returns its length; parse: which one is name, -1: none. */
    int (*print)(int n, char *buf, size_t size);
    int (*parse)(const char *name, size_t len);
    struct gen_entry entry; /* what each is; its name is not used */
    bool may_go;            /* names disappear by themselves */
    bool (*exists)(const struct gen_ctx *dir, int n);
    int (*next)(const struct gen_ctx *dir,
                int from);                   /* the first number from there on that exists, or -1 */
    void (*enter)(struct gen_ctx *c, int n); /* put n into the right member */
};

/* What holds for a whole tree. */
struct gen_tree {
    uint64_t file_size; /* that files show */
    /* The owner of a node with this mode about c; NULL: root. No sleep. */
    void (*owner)(const struct gen_ctx *c, uint32_t mode, uint32_t *uid, uint32_t *gid);
};

/* A tree below root (a directory). type is a string constant. -ENOMEM. */
NODISCARD int gen_create(const char *type, uint32_t magic, const struct gen_entry *root,
                         const struct gen_tree *tree, struct superblock **ret_sb);
/* What the open file f of such a tree is about. */
const struct gen_ctx *gen_of_file(struct file *f);
/* The same for a directory made of e; NULL: f is something else. */
const struct gen_ctx *gen_of_directory(struct file *f, const struct gen_entry *e);

/* For file_ops of an entry with open: the context that open made; freed by gen_release. */
const struct gen_ctx *gen_of_open(struct file *f);
void gen_release(struct file *f);

/* /sys/class/net: names, and those with numbers. */
extern const struct gen_entry sysfs_net_entries[];
extern const struct gen_names sysfs_net_names;
/* /sys/class/tpm, /sys/class/tpmrm, and what lies in /sys/devices/platform. */
extern const struct gen_names sysfs_tpm_names, sysfs_tpmrm_names, sysfs_platform_names;
/* /sys/devices/virtual/block, and the links to what is there: /sys/block, /sys/class/block, /sys/dev/block. */
extern const struct gen_names sysfs_disks, sysfs_block_links, sysfs_class_block_links,
    sysfs_dev_block_links;
struct blk_device;
/* The 17 numbers that Linux tells of a disk, each as wide at least, and the end of the line. */
void gen_show_disk(struct text *t, struct blk_device *d, unsigned width);

#define GEN_FILE(n, fn)                                                                            \
    {                                                                                              \
        .name = (n), .mode = S_IFREG | 0444, .show = (fn)                                          \
    }
#define GEN_FILE_MODE(n, m, fn)                                                                    \
    {                                                                                              \
        .name = (n), .mode = S_IFREG | (m), .show = (fn)                                           \
    }
#define GEN_FIXED(n, text)                                                                         \
    {                                                                                              \
        .name = (n), .mode = S_IFREG | 0444, .fixed = (text)                                       \
    }
#define GEN_DIR(n, table)                                                                          \
    {                                                                                              \
        .name = (n), .mode = S_IFDIR | 0555, .children = (table)                                   \
    }

#endif
