/* SPDX-License-Identifier: MIT */
/* mount=SOURCE:TYPE:POINT[:ro][,key=FROM]. SOURCE is what blk_find knows; TYPE is stated, never guessed: ext4, or luks2+ext4, for
 * which FROM says where the passphrase comes from (keys.c); or 9p, and SOURCE is the tag of a directory of the host. */
#include "volumes.h"

#include "keys.h"

#include <abi/errno.h>
#include <abi/statfs.h>
#include <base/log.h>
#include <libos/cmdline.h>
#include <libos/dev/blk.h>
#include <libos/ext4.h>
#include <libos/p9.h>
#include <libos/vfs.h>
#include <stdio.h>
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

/* What a mount= says. */
struct wanted {
    char *source, *type, *point;
    bool read_only;
    struct key_request key;
};

/* Take the options behind the mount point apart: ro, key=FROM (which is the last one and may have colons and commas). */
static bool options(char *text, struct wanted *w)
{
    while (text && *text) {
        if (!strncmp(text, "key=", 4)) {
            w->key.from = text + 4;
            return *w->key.from;
        }
        char *comma = strchr(text, ',');
        if (comma)
            *comma++ = 0;
        if (strcmp(text, "ro"))
            return false;
        w->read_only = true;
        text = comma;
    }
    return true;
}

static bool parse(char *text, struct wanted *w)
{
    char *rest = text;
    *w = (struct wanted){ 0 };
    w->source = field(&rest);
    w->type = field(&rest);
    w->point = field(&rest);
    w->key = (struct key_request){ w->point, "console" };
    return w->source && w->type && w->point && *w->point == '/' && options(rest, w);
}

/* The device inside of the LUKS2 volume on *dev. */
static int unlock(struct wanted *w, struct blk_device **dev)
{
    static unsigned opened;
    struct luks_key_source source;
    char name[BLK_NAME_MAX];
    int err = keys_source(&w->key, &source);
    if (err)
        return err;
    snprintf(name, sizeof(name), "luks%u", opened++);
    err = luks_open(*dev, name, &source, dev);
    if (err)
        log_error("volume %s: the LUKS2 volume on %s cannot be opened (error %d)", w->point,
                  (*dev)->name, -err);
    return err;
}

/* A directory of the host. What it says of set-id bits and devices counts for nothing here. */
static int share_mount(const struct wanted *w)
{
    struct superblock *sb;
    int err = p9_mount(w->source, w->read_only, &sb);
    if (!err)
        err = vfs_mount(sb, w->point, w->source,
                        ST_NOSUID | ST_NODEV | (w->read_only ? ST_RDONLY : 0));
    if (err)
        log_error("volume %s: the host's directory %s cannot be mounted (error %d)", w->point,
                  w->source, -err);
    return err;
}

static int volume_mount(char *text)
{
    struct wanted w;
    struct superblock *sb;
    char node[BLK_NAME_MAX + 8];
    if (!parse(text, &w)) {
        log_error("volume: '%s' is not SOURCE:TYPE:POINT[:ro][,key=FROM]", text);
        return -EINVAL;
    }
    if (!strcmp(w.type, "9p"))
        return share_mount(&w);
    bool luks = !strcmp(w.type, "luks2+ext4");
    if ((!luks && strcmp(w.type, "ext4")) || !ext4_is("ext4")) {
        log_error("volume %s: file system '%s' is not known", w.point, w.type);
        return -EINVAL;
    }
    struct blk_device *dev = blk_find(w.source);
    if (!dev) {
        log_error("volume %s: there is no disk %s", w.point, w.source);
        return -ENODEV;
    }
    int err = luks ? unlock(&w, &dev) : 0;
    if (err)
        return err;
    snprintf(node, sizeof(node), "/dev/%s", dev->name);
    err = ext4_mount(dev, w.read_only, &sb);
    if (err == -EINVAL)
        log_error("volume %s: %s is not an ext4 file system that can be used", w.point, dev->name);
    if (!err)
        err = vfs_mount(sb, w.point, node, w.read_only ? ST_RDONLY : 0);
    if (err)
        log_error("volume %s: cannot be mounted (error %d)", w.point, -err);
    return err;
}

int volumes_mount(void)
{
    const struct config *c = config();
    int err = 0;
    if (blk_next(NULL)) {
        blk_scan();
        err = blk_nodes_make();
    }
    for (int i = 0; i < c->mountc && !err; i++)
        err = volume_mount(c->mounts[i]);
    return err;
}
