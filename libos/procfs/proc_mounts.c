/* SPDX-License-Identifier: MIT */
/* /proc/mounts and /proc/PID/mountinfo. */
#include "proc.h"
#include <abi/errno.h>
#include <abi/fcntl.h>
#include <abi/statfs.h>
#include <libos/mount.h>
#include <string.h>

/* Blanks, tabs, newlines and backslashes as \ooo, as the files' readers expect. */
static void add_escaped(struct text *t, const char *s)
{
    for (; *s; s++) {
        if (strchr(" \t\n\\", *s))
            text_printf(t, "\\%03o", (unsigned)(unsigned char)*s);
        else
            text_add(t, s, 1);
    }
}

/* The per-mount flags, in the order of the kernel's table. */
static void add_flags(struct text *t, unsigned flags)
{
    static const struct {
        unsigned flag;
        const char *name;
    } names[] = { { ST_NOSUID, ",nosuid" },          { ST_NODEV, ",nodev" },
                  { ST_NOEXEC, ",noexec" },          { ST_NOATIME, ",noatime" },
                  { ST_NODIRATIME, ",nodiratime" },  { ST_RELATIME, ",relatime" },
                  { ST_NOSYMFOLLOW, ",nosymfollow" } };
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        if (flags & names[i].flag)
            text_add(t, names[i].name, strlen(names[i].name));
}

/* What the file system itself was given. */
static void add_options(struct text *t, const struct mount *m)
{
    char *buf = path_buf_alloc();
    if (m->sb->flags & ST_SYNCHRONOUS)
        text_printf(t, ",sync");
    if (m->sb->show && buf)
        text_add(t, buf, m->sb->show(m->sb, buf, ABI_PATH_MAX));
    path_buf_free(buf);
}

static const char *access_of(unsigned flags)
{
    return flags & ST_RDONLY ? "ro" : "rw";
}

static int add_mount(struct mount *m, const char *path, void *arg)
{
    struct text *t = arg;
    add_escaped(t, m->source);
    text_add(t, " ", 1);
    add_escaped(t, path);
    text_printf(t, " %s %s", m->sb->type, access_of(m->flags | m->sb->flags));
    if (m->sb->flags & ST_SYNCHRONOUS)
        text_printf(t, ",sync");
    add_flags(t, m->flags);
    char *buf = path_buf_alloc();
    if (m->sb->show && buf)
        text_add(t, buf, m->sb->show(m->sb, buf, ABI_PATH_MAX));
    path_buf_free(buf);
    text_printf(t, " 0 0\n");
    return 0;
}

int proc_show_mounts(struct text *t, const struct gen_ctx *c)
{
    return mount_each(add_mount, t);
}

static int add_mountinfo(struct mount *m, const char *path, void *arg)
{
    struct text *t = arg;
    struct path root = { m, m->root };
    char *buf = path_buf_alloc();
    if (!buf)
        return -ENOMEM;
    struct mount *parent = m->parent;
    text_printf(t, "%d %d %u:%u ", m->id, parent ? parent->id : m->id,
                (unsigned)abi_major(m->sb->dev), (unsigned)abi_minor(m->sb->dev));
    if (dentry_text(&root, buf, ABI_PATH_MAX) > 0)
        add_escaped(t, buf);
    path_buf_free(buf);
    text_add(t, " ", 1);
    add_escaped(t, path);
    text_printf(t, " %s", access_of(m->flags));
    add_flags(t, m->flags);
    if (mount_group(m))
        text_printf(t, " shared:%d", mount_group(m));
    if (mount_master(m))
        text_printf(t, " master:%d", mount_master(m));
    if (m->unbindable)
        text_printf(t, " unbindable");
    text_printf(t, " - %s ", m->sb->type);
    add_escaped(t, m->source);
    text_printf(t, " %s", access_of(m->sb->flags));
    add_options(t, m);
    text_add(t, "\n", 1);
    return 0;
}

int proc_show_mountinfo(struct text *t, const struct gen_ctx *c)
{
    return mount_each(add_mountinfo, t);
}

static int add_mountstats(struct mount *m, const char *path, void *arg)
{
    struct text *t = arg;
    text_printf(t, "device ");
    add_escaped(t, m->source);
    text_printf(t, " mounted on ");
    add_escaped(t, path);
    text_printf(t, " with fstype %s\n", m->sb->type);
    return 0;
}

int proc_show_mountstats(struct text *t, const struct gen_ctx *c)
{
    return mount_each(add_mountstats, t);
}
