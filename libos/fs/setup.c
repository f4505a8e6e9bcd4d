/* SPDX-License-Identifier: MIT */
/* From mount options to a superblock: what all kinds of file systems have in common. mount(8), "FILESYSTEM-INDEPENDENT MOUNT
 * OPTIONS". An object belongs to one caller. */
#include <libos/fstype.h>

#include <abi/errno.h>
#include <abi/statfs.h>
#include <libos/heap.h>
#include <libos/mount.h>
#include <string.h>

int fs_setup_create(const struct fs_type *type, struct superblock *sb, struct fs_setup **ret)
{
    struct fs_setup *s = heap_zalloc(sizeof(*s) + type->options_size);
    if (!s)
        return -ENOMEM;
    s->type = type;
    s->options = s + 1;
    if (sb && superblock_get(sb))
        s->sb = sb;
    if (type->begin)
        type->begin(s);
    *ret = s;
    return 0;
}

void fs_setup_destroy(struct fs_setup *s)
{
    if (!s)
        return;
    if (s->type->end)
        s->type->end(s);
    if (s->sb)
        superblock_put(s->sb);
    heap_free(s->source);
    heap_free(s);
}

static const struct {
    const char *name;
    unsigned set, clear;
} common[] = {
    { "ro", ST_RDONLY, 0 },         { "rw", 0, ST_RDONLY }, { "sync", ST_SYNCHRONOUS, 0 },
    { "async", 0, ST_SYNCHRONOUS }, { "dirsync", 0, 0 },    { "lazytime", 0, 0 },
    { "nolazytime", 0, 0 },         { "mand", 0, 0 },       { "nomand", 0, 0 },
};

int fs_setup_option(struct fs_setup *s, const char *key, const char *value)
{
    for (size_t i = 0; i < ARRAY_SIZE(common) && !value; i++)
        if (strcmp(key, common[i].name) == 0) {
            s->flags = (s->flags & ~common[i].clear) | common[i].set;
            s->set |= common[i].set | common[i].clear;
            return 0;
        }
    if (strcmp(key, "source") == 0) {
        if (!value || s->source)
            return -EINVAL;
        s->source = heap_strdup(value);
        return s->source ? 0 : -ENOMEM;
    }
    return s->type->option ? s->type->option(s, key, value) : -EINVAL;
}

int fs_setup_text(struct fs_setup *s, char *text)
{
    int err = 0;
    while (text && !err) {
        char *next = strchr(text, ','), *value;
        while (next && next > text && next[-1] == '\\') /* a comma of a name */
            next = strchr(next + 1, ',');
        if (next)
            *next++ = '\0';
        if ((value = strchr(text, '=')))
            *value++ = '\0';
        if (*text)
            err = fs_setup_option(s, text, value);
        text = next;
    }
    return err;
}

int fs_setup_get(struct fs_setup *s, struct superblock **ret_sb)
{
    return s->type->get(s, ret_sb);
}
