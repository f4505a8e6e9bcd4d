/* SPDX-License-Identifier: MIT */
/* devtmpfs and devpts as mount(2) sees them: one of each for the whole machine, with options that are checked. */
#include "dev.h"

#include <abi/errno.h>
#include <libos/dev/pts.h>
#include <libos/mount.h>
#include <string.h>

struct superblock *dev_super, *pts_super; /* set once at boot */

static int share(struct superblock *sb, struct superblock **ret_sb)
{
    *ret_sb = sb;
    return sb && superblock_get(sb) ? 0 : -EINVAL;
}

static int get_dev(struct fs_setup *s, struct superblock **ret_sb)
{
    (void)s;
    return share(dev_super, ret_sb);
}

static int get_pts(struct fs_setup *s, struct superblock **ret_sb)
{
    (void)s;
    return share(pts_super, ret_sb);
}

/* Is value a number in this base, and only that? */
static bool number(const char *value, const char *digits)
{
    return *value && value[strspn(value, digits)] == '\0';
}

static int pts_option(struct fs_setup *s, const char *key, const char *value)
{
    (void)s;
    if (!value)
        return strcmp(key, "newinstance") == 0 ? 0 : -EINVAL;
    if (strcmp(key, "mode") == 0 || strcmp(key, "ptmxmode") == 0)
        return number(value, "01234567") ? 0 : -EINVAL;
    if (strcmp(key, "uid") == 0 || strcmp(key, "gid") == 0 || strcmp(key, "max") == 0)
        return number(value, "0123456789") ? 0 : -EINVAL;
    return -EINVAL;
}

static int dev_option(struct fs_setup *s, const char *key, const char *value)
{
    struct fs_setup *t;
    (void)s;
    int err = fs_setup_create(&tmpfs_type, NULL, &t); /* the options are tmpfs's */
    if (!err) {
        err = fs_setup_option(t, key, value);
        fs_setup_destroy(t);
    }
    return err;
}

const struct fs_type devtmpfs_type = { .name = "devtmpfs", .option = dev_option, .get = get_dev };
const struct fs_type devpts_type = { .name = "devpts", .option = pts_option, .get = get_pts };
