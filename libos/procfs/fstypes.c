/* SPDX-License-Identifier: MIT */
/* The list of all kinds of file systems, and those of this folder: there is one /proc and one /sys, and each mount shows it. */
#include "proc.h"

#include <abi/errno.h>
#include <libos/dev/pts.h>
#include <libos/fstypes.h>
#include <libos/mount.h>
#include <libos/mqueue.h>
#include <libos/procfs.h>
#include <libos/sysfs.h>
#include <string.h>

static int get_proc(struct fs_setup *s, struct superblock **ret_sb)
{
    (void)s;
    *ret_sb = procfs_super();
    return superblock_get(*ret_sb) ? 0 : -EINVAL;
}

/* Processes are hidden from nobody here, so only options that say so are true. */
static int proc_option(struct fs_setup *s, const char *key, const char *value)
{
    (void)s;
    if (!value)
        return -EINVAL;
    if (strcmp(key, "hidepid") == 0)
        return strcmp(value, "0") == 0 || strcmp(value, "off") == 0 ? 0 : -EINVAL;
    if (strcmp(key, "gid") == 0)
        return value[strspn(value, "0123456789")] == '\0' && *value ? 0 : -EINVAL;
    return -EINVAL;
}

static int get_sysfs(struct fs_setup *s, struct superblock **ret_sb)
{
    (void)s;
    *ret_sb = sysfs_super();
    return superblock_get(*ret_sb) ? 0 : -EINVAL;
}

static const struct fs_type proc_type = { .name = "proc", .get = get_proc, .option = proc_option };
static const struct fs_type sysfs_type = { .name = "sysfs", .get = get_sysfs };
static const struct fs_type pipefs_type = { .name = "pipefs", .hidden = true };
static const struct fs_type sockfs_type = { .name = "sockfs", .hidden = true };
static const struct fs_type erofs_type = { .name = "erofs", .device = true, .hidden = true };

static const struct fs_type *const types[] = {
    &sysfs_type,  &tmpfs_type, &proc_type,   &devtmpfs_type, &sockfs_type,
    &pipefs_type, &ramfs_type, &devpts_type, &ext3_type,     &ext2_type,
    &ext4_type,   &erofs_type, &mqueue_type, &overlay_type,  &p9_type,
};

const struct fs_type *fs_type_at(size_t n)
{
    return n < ARRAY_SIZE(types) ? types[n] : NULL;
}

const struct fs_type *fs_type_find(const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(types); i++)
        if (types[i]->name && !types[i]->hidden && strcmp(types[i]->name, name) == 0)
            return types[i];
    return NULL;
}

int proc_show_filesystems(struct text *t, const struct gen_ctx *c)
{
    (void)c;
    for (size_t i = 0; i < ARRAY_SIZE(types); i++)
        if (types[i]->name)
            text_printf(t, "%s\t%s\n", types[i]->device ? "" : "nodev", types[i]->name);
    return 0;
}
