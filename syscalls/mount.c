/* SPDX-License-Identifier: MIT */
/* mount, umount2, pivot_root. Errors come in Linux's order: strings, the path, the right, then what is asked for. */
#include "name.h"
#include "sys_proto.h"

#include <abi/errno.h>
#include <abi/mount.h>
#include <abi/prctl.h>
#include <abi/statfs.h>
#include <libos/fstypes.h>
#include <libos/heap.h>
#include <libos/mount.h>
#include <libos/process.h>
#include <libos/user.h>
#include <string.h>

/* A string in a path buffer; NULL stays NULL. -EFAULT, -EINVAL (too long), -ENOMEM. */
static int get_string(user_str_t up, char **ret)
{
    *ret = NULL;
    if (user_is_null(up))
        return 0;
    char *text = path_buf_alloc();
    if (!text)
        return -ENOMEM;
    long len = user_str(text, ABI_PATH_MAX, up);
    if (len < 0) {
        path_buf_free(text);
        return len == -ENAMETOOLONG ? -EINVAL : (int)len;
    }
    *ret = text;
    return 0;
}

/* Mount options: a page at most, cut where it ends or cannot be read. */
static int get_options(user_void_in_t data, char **ret)
{
    *ret = NULL;
    if (user_is_null(data))
        return 0;
    char *text = path_buf_alloc();
    if (!text)
        return -ENOMEM;
    long len = user_str(text, ABI_PATH_MAX, user_cast(user_str_t, data));
    if (len == -ENAMETOOLONG)
        text[ABI_PATH_MAX - 1] = '\0';
    else if (len < 0) {
        path_buf_free(text);
        return (int)len;
    }
    *ret = text;
    return 0;
}

/* MS_* of one mount as ST_*. */
static unsigned mount_flags(unsigned long ms)
{
    unsigned st = ms & MS_NOATIME ? 0 : ST_RELATIME;
    static const struct {
        unsigned ms, st;
    } map[] = { { MS_RDONLY, ST_RDONLY },
                { MS_NOSUID, ST_NOSUID },
                { MS_NODEV, ST_NODEV },
                { MS_NOEXEC, ST_NOEXEC },
                { MS_NOATIME, ST_NOATIME },
                { MS_NODIRATIME, ST_NODIRATIME },
                { MS_NOSYMFOLLOW, ST_NOSYMFOLLOW } };
    for (size_t i = 0; i < ARRAY_SIZE(map); i++)
        if (ms & map[i].ms)
            st |= map[i].st;
    if (ms & MS_STRICTATIME)
        st &= ~(unsigned)(ST_RELATIME | ST_NOATIME);
    return st;
}

enum {
    FLAGS_ATIME = ST_NOATIME | ST_NODIRATIME | ST_RELATIME,
    FLAGS_ALL = ST_RDONLY | ST_NOSUID | ST_NODEV | ST_NOEXEC | ST_NOSYMFOLLOW | FLAGS_ATIME,
};

/* The per-mount part of a remount; what is said of access times stays unless something is. */
static int change_mount(const struct path *p, unsigned long flags)
{
    unsigned clear = FLAGS_ALL, set = mount_flags(flags);
    if (!(flags & (MS_NOATIME | MS_NODIRATIME | MS_RELATIME | MS_STRICTATIME))) {
        clear &= ~(unsigned)FLAGS_ATIME;
        set &= ~(unsigned)FLAGS_ATIME;
    }
    return mount_set_flags(p, clear, set, false);
}

static bool is_mounted(const struct path *p)
{
    return p->dentry == p->mount->root && mount_in_tree(p->mount);
}

static int remount(const struct path *p, unsigned long flags, char *options)
{
    struct fs_setup *s;
    struct superblock *sb = p->mount->sb;
    const struct fs_type *type = fs_type_find(sb->type);
    if (!is_mounted(p))
        return -EINVAL;
    int err = 0;
    if (type) {
        err = fs_setup_create(type, sb, &s);
        if (!err) {
            err = fs_setup_text(s, options);
            if (!err && type->change)
                err = type->change(s);
            fs_setup_destroy(s);
        }
    }
    if (!err)
        err = mount_remount_super(sb, ST_RDONLY | ST_SYNCHRONOUS,
                                  (flags & MS_RDONLY ? ST_RDONLY : 0) |
                                      (flags & MS_SYNCHRONOUS ? ST_SYNCHRONOUS : 0));
    /* The mount itself is not asked whether somebody writes: the file system was. */
    if (!err)
        err = change_mount(p, flags);
    return err;
}

static int bind(const char *source, const struct path *at, unsigned long flags)
{
    struct path from;
    if (!source || !*source)
        return -EINVAL;
    int err = path_walk(AT_FDCWD, source, WALK_FOLLOW, &from);
    if (err)
        return err;
    err = mount_bind(&from, at, flags & MS_REC);
    path_put(&from);
    return err;
}

static int move(const char *source, const struct path *to)
{
    struct path from;
    if (!source || !*source)
        return -EINVAL;
    int err = path_walk(AT_FDCWD, source, WALK_FOLLOW, &from);
    if (err)
        return err;
    err = mount_in_tree(from.mount) ? mount_move(&from, to, false) : -EINVAL;
    path_put(&from);
    return err;
}

static int share(const struct path *p, unsigned long flags)
{
    bool recursive = flags & MS_REC;
    switch (flags & ~(unsigned long)(MS_REC | MS_SILENT)) {
    case MS_SHARED:
        return mount_set_sharing(p, MOUNT_SHARED, recursive);
    case MS_SLAVE:
        return mount_set_sharing(p, MOUNT_SLAVE, recursive);
    case MS_PRIVATE:
        return mount_set_sharing(p, MOUNT_PRIVATE, recursive);
    case MS_UNBINDABLE:
        return mount_set_sharing(p, MOUNT_UNBINDABLE, recursive);
    default:
        return -EINVAL;
    }
}

static int mount_new(const char *name, const struct path *at, unsigned long flags,
                     const char *source, char *options)
{
    struct fs_setup *s;
    struct superblock *sb;
    struct mount *m;
    if (!name)
        return -EINVAL;
    const struct fs_type *type = fs_type_find(name);
    if (!type)
        return -ENODEV;
    int err = fs_setup_create(type, NULL, &s);
    if (err)
        return err;
    s->flags = flags & MS_RDONLY ? ST_RDONLY : 0;
    s->flags |= flags & MS_SYNCHRONOUS ? ST_SYNCHRONOUS : 0;
    if (source)
        err = fs_setup_option(s, "source", source);
    if (!err)
        err = fs_setup_text(s, options);
    if (!err)
        err = fs_setup_get(s, &sb);
    if (!err)
        err = mount_create(sb, sb->root, s->source ? s->source : "none", mount_flags(flags), &m);
    if (!err) {
        atomic_fetch_or(&sb->flags, s->flags);
        err = mount_add(m, at);
    }
    fs_setup_destroy(s);
    return err;
}

static int do_mount(const char *source, const struct path *at, const char *type,
                    unsigned long flags, char *options)
{
    if ((flags & MS_MGC_MSK) == MS_MGC_VAL)
        flags &= ~(unsigned long)MS_MGC_MSK;
    if (flags & (unsigned long)ABI_MS_NOUSER)
        return -EINVAL;
    if (!cred_capable(CAP_SYS_ADMIN))
        return -EPERM;
    if ((flags & (MS_REMOUNT | MS_BIND)) == (MS_REMOUNT | MS_BIND))
        return is_mounted(at) ? change_mount(at, flags) : -EINVAL;
    if (flags & MS_REMOUNT)
        return remount(at, flags, options);
    if (flags & MS_BIND)
        return bind(source, at, flags);
    if (flags & (MS_SHARED | MS_PRIVATE | MS_SLAVE | MS_UNBINDABLE))
        return share(at, flags);
    if (flags & MS_MOVE)
        return move(source, at);
    return mount_new(type, at, flags, source, options);
}

long sys_mount(user_str_t source, user_str_t target, user_str_t type, unsigned long flags,
               user_void_in_t data)
{
    char *source_text = NULL, *options = NULL, *name = NULL;
    struct path at;
    int err = get_string(type, &name);
    if (!err)
        err = get_string(source, &source_text);
    if (!err)
        err = get_options(data, &options);
    if (!err)
        err = name_walk(AT_FDCWD, target, 0, &at);
    if (!err) {
        err = do_mount(source_text, &at, name, flags, options);
        path_put(&at);
    }
    path_buf_free(name);
    path_buf_free(source_text);
    path_buf_free(options);
    return err;
}

long sys_umount2(user_str_t target, unsigned flags)
{
    struct name n;
    struct path p;
    if (flags & ~(unsigned)(UMOUNT_FORCE | UMOUNT_DETACH | UMOUNT_EXPIRE | UMOUNT_NOFOLLOW))
        return -EINVAL;
    long err = name_get(&n, target);
    if (err)
        return err;
    err = path_walk(AT_FDCWD, n.text,
                    (flags & UMOUNT_NOFOLLOW ? 0 : WALK_FOLLOW) |
                        (flags & UMOUNT_EXPIRE ? WALK_EXPIRE : 0),
                    &p);
    name_put(&n);
    if (err)
        return err;
    if (!cred_capable(CAP_SYS_ADMIN)) {
        path_put(&p);
        return -EPERM;
    }
    return mount_umount(&p, flags);
}

long sys_pivot_root(user_str_t new_root, user_str_t put_old)
{
    struct path new, old;
    if (!cred_capable(CAP_SYS_ADMIN))
        return -EPERM;
    long err = name_walk(AT_FDCWD, new_root, 0, &new);
    if (err)
        return err;
    err = S_ISDIR(new.dentry->inode->mode) ? 0 : -ENOTDIR;
    if (!err)
        err = name_walk(AT_FDCWD, put_old, 0, &old);
    if (!err) {
        err = S_ISDIR(old.dentry->inode->mode) ? mount_pivot(&new, &old) : -ENOTDIR;
        path_put(&old);
    }
    path_put(&new);
    return err;
}
