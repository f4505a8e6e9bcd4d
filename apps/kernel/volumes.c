/* SPDX-License-Identifier: MIT */
/* mount=SOURCE:TYPE:POINT[:ro]. SOURCE is what blk_find knows; TYPE is stated, never guessed. */
#include "volumes.h"

#include <abi/errno.h>
#include <abi/statfs.h>
#include <base/log.h>
#include <libos/cmdline.h>
#include <libos/dev/blk.h>
#include <libos/ext4.h>
#include <libos/vfs.h>
#include <string.h>

/* Cut the next field off *rest. NULL: there is none. */
static char *field(char **rest)
{
    char *f = *rest;
    if (!f)
        return NULL;
    char *colon = strchr(f, ':');
    if (colon)
        *colon++ = 0;
    *rest = colon;
    return f;
}

static int volume_mount(char *text)
{
    char *rest = text, *source = field(&rest), *type = field(&rest), *point = field(&rest),
         *option = field(&rest);
    bool read_only = option && !strcmp(option, "ro");
    struct superblock *sb;
    if (!source || !type || !point || *point != '/' || rest || (option && !read_only)) {
        log_error("volume: '%s' is not SOURCE:TYPE:POINT[:ro]", text);
        return -EINVAL;
    }
    if (strcmp(type, "ext4") || !ext4_is(type)) {
        log_error("volume %s: file system '%s' is not known", point, type);
        return -EINVAL;
    }
    struct blk_device *dev = blk_find(source);
    if (!dev) {
        log_error("volume %s: there is no disk %s", point, source);
        return -ENODEV;
    }
    int err = ext4_mount(dev, read_only, &sb);
    if (err == -EINVAL)
        log_error("volume %s: %s is not an ext4 file system that can be used", point, dev->name);
    if (!err)
        err = vfs_mount(sb, point, dev->name, read_only ? ST_RDONLY : 0);
    if (err)
        log_error("volume %s: cannot be mounted (error %d)", point, -err);
    return err;
}

int volumes_mount(void)
{
    const struct config *c = config();
    int err = 0;
    if (c->mountc)
        blk_scan();
    for (int i = 0; i < c->mountc && !err; i++)
        err = volume_mount(c->mounts[i]);
    return err;
}
