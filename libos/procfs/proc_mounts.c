/* SPDX-License-Identifier: MIT */
/* /proc/mounts and /proc/PID/mountinfo. */
#include "proc.h"
#include <abi/statfs.h>
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

static void add_flags(struct text *t, const struct mount *m)
{
    text_printf(t, "%s%s%s%s,relatime", m->flags & ST_RDONLY ? "ro" : "rw",
                m->flags & ST_NOSUID ? ",nosuid" : "", m->flags & ST_NODEV ? ",nodev" : "",
                m->flags & ST_NOEXEC ? ",noexec" : "");
}

/* What the file system itself was given. */
static void add_options(struct text *t, const struct mount *m)
{
    char buf[160];
    if (m->sb->show)
        text_add(t, buf, m->sb->show(m->sb, buf, sizeof(buf)));
}

static int add_mount(struct mount *m, const char *path, void *arg)
{
    struct text *t = arg;
    add_escaped(t, m->source ? m->source : "none");
    text_add(t, " ", 1);
    add_escaped(t, path);
    text_printf(t, " %s ", m->sb->type);
    add_flags(t, m);
    add_options(t, m);
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
    text_printf(t, "%d %d %u:%u / ", m->id, m->parent ? m->parent->id : 0,
                (unsigned)abi_major(m->sb->dev), (unsigned)abi_minor(m->sb->dev));
    add_escaped(t, path);
    text_add(t, " ", 1);
    add_flags(t, m);
    text_printf(t, " - %s ", m->sb->type);
    add_escaped(t, m->source ? m->source : "none");
    text_printf(t, " %s", m->flags & ST_RDONLY ? "ro" : "rw");
    add_options(t, m);
    text_add(t, "\n", 1);
    return 0;
}

int proc_show_mountinfo(struct text *t, const struct gen_ctx *c)
{
    return mount_each(add_mountinfo, t);
}
