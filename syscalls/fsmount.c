/* SPDX-License-Identifier: MIT */
/* Mounting through descriptors: fsopen, fsconfig, fsmount, fspick, open_tree, move_mount, mount_setattr, open_tree_attr. A
 * descriptor of fsopen or fspick is a setup and says what it waits for; one of fsmount or open_tree is an O_PATH file that
 * takes its mounts apart when it is closed before they were moved into the tree. */
#include "name.h"
#include "sys_proto.h"

#include <abi/errno.h>
#include <abi/mount.h>
#include <abi/prctl.h>
#include <abi/statfs.h>
#include <libos/file.h>
#include <libos/fstypes.h>
#include <libos/heap.h>
#include <libos/mount.h>
#include <libos/process.h>
#include <libos/user.h>
#include <string.h>

/* What a setup waits for: Linux's phases. */
enum phase { CREATE_PARAMS, AWAITING_MOUNT, AWAITING_RECONF, RECONF_PARAMS, FAILED };

struct context {
    struct mutex lock; /* guards what follows */
    enum phase phase;
    struct fs_setup *setup;
    struct superblock *sb; /* after create, or of what fspick picked: a reference */
};

static void context_release(struct file *f)
{
    struct context *c = f->data;
    fs_setup_destroy(c->setup);
    if (c->sb)
        superblock_put(c->sb);
    heap_free(c);
}

/* There are no messages: what went wrong is in the errno. */
static ssize_type context_read(struct file *f, struct iter *it, uint64_t *pos)
{
    (void)f, (void)it, (void)pos;
    return -ENODATA;
}

static const struct file_ops context_ops = { .read = context_read, .release = context_release };

/* A descriptor for a setup of type, or of sb, which there is. */
static long context_open(const struct fs_type *type, struct superblock *sb, bool cloexec)
{
    struct file *f;
    struct context *c = heap_zalloc(sizeof(*c));
    int err = c ? fs_setup_create(type, sb, &c->setup) : -ENOMEM;
    if (!err) {
        mutex_init(&c->lock, RANK_FILE_POS);
        c->phase = sb ? RECONF_PARAMS : CREATE_PARAMS;
        err = file_create_anon(&context_ops, "anon_inode:[fscontext]", O_RDWR, c, &f);
    }
    if (err) {
        if (c)
            fs_setup_destroy(c->setup);
        heap_free(c);
        return err;
    }
    if (sb && superblock_get(sb))
        c->sb = sb;
    return fd_install(f, cloexec);
}

long sys_fsopen(user_str_t fs_name, unsigned flags)
{
    char name[64];
    if (!cred_capable(CAP_SYS_ADMIN))
        return -EPERM;
    if (flags & ~(unsigned)FSOPEN_CLOEXEC)
        return -EINVAL;
    long len = user_str(name, sizeof(name), fs_name);
    if (len == -EFAULT)
        return len;
    const struct fs_type *type = len < 0 ? NULL : fs_type_find(name);
    return type ? context_open(type, NULL, flags & FSOPEN_CLOEXEC) : -ENODEV;
}

long sys_fspick(int dfd, user_str_t path, unsigned flags)
{
    struct path p;
    if (!cred_capable(CAP_SYS_ADMIN))
        return -EPERM;
    if (flags & ~(unsigned)(FSPICK_CLOEXEC | FSPICK_SYMLINK_NOFOLLOW | FSPICK_NO_AUTOMOUNT |
                            FSPICK_EMPTY_PATH))
        return -EINVAL;
    long err = name_walk(dfd, path,
                         (flags & FSPICK_SYMLINK_NOFOLLOW ? AT_SYMLINK_NOFOLLOW : 0) |
                             (flags & FSPICK_EMPTY_PATH ? AT_EMPTY_PATH : 0),
                         &p);
    if (err)
        return err;
    const struct fs_type *type = fs_type_find(p.mount->sb->type);
    err = p.dentry == p.mount->root && type
              ? context_open(type, p.mount->sb, flags & FSPICK_CLOEXEC)
              : -EINVAL;
    path_put(&p);
    return err;
}

/* Make the file system. */
static int create(struct context *c, bool exclusive)
{
    if (c->phase != CREATE_PARAMS)
        return -EBUSY;
    if (!cred_capable(CAP_SYS_ADMIN))
        return -EPERM;
    c->setup->exclusive = exclusive;
    int err = fs_setup_get(c->setup, &c->sb);
    if (err)
        c->sb = NULL;
    else
        atomic_fetch_or(&c->sb->flags, c->setup->flags);
    c->phase = err ? FAILED : AWAITING_MOUNT;
    return err;
}

static int reconfigure(struct context *c)
{
    if (c->phase != RECONF_PARAMS)
        return -EBUSY;
    if (!cred_capable(CAP_SYS_ADMIN))
        return -EPERM;
    struct fs_setup *s = c->setup;
    int err = s->type->change ? s->type->change(s) : 0;
    if (!err && s->set)
        err = mount_remount_super(c->sb, s->set, s->flags);
    c->phase = err ? FAILED : AWAITING_RECONF;
    return err;
}

/* The setup was used; the next option begins another one. */
static int begin_again(struct context *c)
{
    struct fs_setup *s;
    if (c->phase == AWAITING_RECONF) {
        int err = fs_setup_create(c->setup->type, c->sb, &s);
        if (err)
            return err;
        fs_setup_destroy(c->setup);
        c->setup = s;
        c->phase = RECONF_PARAMS;
    }
    return c->phase == CREATE_PARAMS || c->phase == RECONF_PARAMS ? 0 : -EBUSY;
}

static int option(struct context *c, unsigned cmd, user_str_t key, user_void_in_t value)
{
    char name[256];
    long len = user_str(name, sizeof(name), key);
    if (len < 0)
        return len == -ENAMETOOLONG ? -EINVAL : (int)len;
    char *text = NULL;
    int err = 0;
    if (cmd == FSCONFIG_SET_STRING) {
        if (!(text = path_buf_alloc()))
            return -ENOMEM;
        len = user_str(text, 256, user_cast(user_str_t, value));
        err = len == -ENAMETOOLONG ? -EINVAL : len < 0 ? (int)len : 0;
    } else if (cmd != FSCONFIG_SET_FLAG) {
        err = -EINVAL; /* no type takes these */
    }
    if (!err)
        err = begin_again(c);
    if (!err)
        err = fs_setup_option(c->setup, name, text);
    path_buf_free(text);
    return err;
}

/* Which of the three arguments a command takes. */
static int check_arguments(unsigned cmd, bool key, bool value, int aux)
{
    bool ok;
    switch (cmd) {
    case FSCONFIG_SET_FLAG:
        ok = key && !value && !aux;
        break;
    case FSCONFIG_SET_STRING:
        ok = key && value && !aux;
        break;
    case FSCONFIG_SET_BINARY:
        ok = key && value && aux > 0 && aux <= 1024 * 1024;
        break;
    case FSCONFIG_SET_PATH:
    case FSCONFIG_SET_PATH_EMPTY:
        ok = key && value && (aux == AT_FDCWD || aux >= 0);
        break;
    case FSCONFIG_SET_FD:
        ok = key && !value && aux >= 0;
        break;
    case FSCONFIG_CMD_CREATE:
    case FSCONFIG_CMD_CREATE_EXCL:
    case FSCONFIG_CMD_RECONFIGURE:
        ok = !key && !value && !aux;
        break;
    default:
        return -EOPNOTSUPP;
    }
    return ok ? 0 : -EINVAL;
}

static int command(struct context *c, unsigned cmd, user_str_t key, user_void_in_t value)
{
    switch (cmd) {
    case FSCONFIG_CMD_CREATE:
    case FSCONFIG_CMD_CREATE_EXCL:
        return create(c, cmd == FSCONFIG_CMD_CREATE_EXCL);
    case FSCONFIG_CMD_RECONFIGURE:
        return reconfigure(c);
    default:
        return option(c, cmd, key, value);
    }
}

long sys_fsconfig(int fd, unsigned cmd, user_str_t key, user_void_in_t value, int aux)
{
    struct fd_ref ref;
    if (fd < 0)
        return -EINVAL;
    long err = check_arguments(cmd, !user_is_null(key), !user_is_null(value), aux);
    if (!err)
        err = fd_borrow(fd, &ref);
    if (err)
        return err;
    if (ref.file->ops == &context_ops) {
        struct context *c = ref.file->data;
        mutex_lock(&c->lock);
        err = command(c, cmd, key, value);
        mutex_unlock(&c->lock);
    } else {
        err = -EINVAL;
    }
    fd_return(&ref);
    return err;
}

/* MOUNT_ATTR_* as ST_*. -EINVAL. */
static int attr_flags_of(uint64_t attr, unsigned *ret)
{
    static const unsigned map[][2] = {
        { MOUNT_ATTR_RDONLY, ST_RDONLY },         { MOUNT_ATTR_NOSUID, ST_NOSUID },
        { MOUNT_ATTR_NODEV, ST_NODEV },           { MOUNT_ATTR_NOEXEC, ST_NOEXEC },
        { MOUNT_ATTR_NODIRATIME, ST_NODIRATIME }, { MOUNT_ATTR_NOSYMFOLLOW, ST_NOSYMFOLLOW }
    };
    *ret = 0;
    for (size_t i = 0; i < ARRAY_SIZE(map); i++)
        if (attr & map[i][0])
            *ret |= map[i][1];
    switch (attr & MOUNT_ATTR__ATIME) {
    case MOUNT_ATTR_RELATIME:
        *ret |= ST_RELATIME;
        return 0;
    case MOUNT_ATTR_NOATIME:
        *ret |= ST_NOATIME;
        return 0;
    case MOUNT_ATTR_STRICTATIME:
        return 0;
    default:
        return -EINVAL;
    }
}

/* A descriptor of mount m, which goes with it unless it is moved. Takes it. */
static long apart_install(struct mount *take_m, bool cloexec)
{
    struct file *f;
    int err = mount_file_create(take_m, &f);
    return err ? err : fd_install(f, cloexec);
}

static int fsmount_of(struct context *c, unsigned flags, struct mount **ret)
{
    struct superblock *sb = c->sb;
    if (!sb)
        return -EINVAL;
    if (c->phase != AWAITING_MOUNT)
        return -EBUSY;
    if (!superblock_get(sb))
        return -EINVAL;
    int err = mount_create(sb, sb->root, c->setup->source ? c->setup->source : "none", flags, ret);
    if (!err)
        c->phase = AWAITING_RECONF;
    return err;
}

long sys_fsmount(int fs_fd, unsigned flags, unsigned attr_flags)
{
    struct fd_ref ref;
    struct mount *m;
    unsigned st;
    if (!cred_capable(CAP_SYS_ADMIN))
        return -EPERM;
    if (flags & ~(unsigned)FSMOUNT_CLOEXEC || attr_flags & ~(unsigned)ABI_MOUNT_ATTR_VALID ||
        attr_flags_of(attr_flags, &st))
        return -EINVAL;
    long err = fd_borrow(fs_fd, &ref);
    if (err)
        return err;
    err = -EINVAL;
    if (ref.file->ops == &context_ops) {
        struct context *c = ref.file->data;
        mutex_lock(&c->lock);
        err = fsmount_of(c, st, &m);
        mutex_unlock(&c->lock);
    }
    fd_return(&ref);
    return err ? err : apart_install(m, flags & FSMOUNT_CLOEXEC);
}

/* open_tree without its mount attributes: the file. */
static long tree_open(int dfd, user_str_t path, unsigned flags, struct path *ret_p,
                      struct mount **ret_copy)
{
    if (flags & ~(unsigned)(AT_EMPTY_PATH | AT_NO_AUTOMOUNT | AT_RECURSIVE | AT_SYMLINK_NOFOLLOW |
                            OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC) ||
        (flags & (AT_RECURSIVE | OPEN_TREE_CLONE)) == AT_RECURSIVE)
        return -EINVAL;
    if (flags & OPEN_TREE_CLONE && !cred_capable(CAP_SYS_ADMIN))
        return -EPERM;
    long err = name_walk(dfd, path, flags, ret_p);
    *ret_copy = NULL;
    if (!err && flags & OPEN_TREE_CLONE) {
        err = mount_copy(ret_p, flags & AT_RECURSIVE, ret_copy);
        path_put(ret_p);
    }
    return err;
}

static long tree_install(struct path *take_p, struct mount *take_copy, unsigned flags)
{
    struct file *f;
    if (take_copy)
        return apart_install(take_copy, flags & OPEN_TREE_CLOEXEC);
    long err = file_reopen(take_p, O_PATH, &f);
    path_put(take_p);
    return err ? err : fd_install(f, flags & OPEN_TREE_CLOEXEC);
}

long sys_open_tree(int dfd, user_str_t path, unsigned flags)
{
    struct path p;
    struct mount *copy;
    long err = tree_open(dfd, path, flags, &p, &copy);
    return err ? err : tree_install(&p, copy, flags);
}

long sys_move_mount(int from_dfd, user_str_t from, int to_dfd, user_str_t to, unsigned flags)
{
    struct path a, b;
    if (!cred_capable(CAP_SYS_ADMIN))
        return -EPERM;
    if (flags & ~(unsigned)ABI_MOVE_MOUNT_VALID ||
        (flags & (MOVE_MOUNT_BENEATH | MOVE_MOUNT_SET_GROUP)) ==
            (MOVE_MOUNT_BENEATH | MOVE_MOUNT_SET_GROUP))
        return -EINVAL;
    long err = name_walk(from_dfd, from,
                         (flags & MOVE_MOUNT_F_SYMLINKS ? 0 : AT_SYMLINK_NOFOLLOW) |
                             (flags & MOVE_MOUNT_F_EMPTY_PATH ? AT_EMPTY_PATH : 0),
                         &a);
    if (err)
        return err;
    err = name_walk(to_dfd, to,
                    (flags & MOVE_MOUNT_T_SYMLINKS ? 0 : AT_SYMLINK_NOFOLLOW) |
                        (flags & MOVE_MOUNT_T_EMPTY_PATH ? AT_EMPTY_PATH : 0),
                    &b);
    if (!err) {
        err = flags & MOVE_MOUNT_SET_GROUP ? mount_set_group(&a, &b)
                                           : mount_move(&a, &b, flags & MOVE_MOUNT_BENEATH);
        path_put(&b);
    }
    path_put(&a);
    return err;
}

/* mount_setattr. */

struct change {
    unsigned clear, set;
    int sharing; /* enum mount_sharing, -1: as it is */
};

static int change_sharing(uint64_t propagation, struct change *ret)
{
    switch (propagation) {
    case 0:
        ret->sharing = -1;
        return 0;
    case MS_SHARED:
        ret->sharing = MOUNT_SHARED;
        return 0;
    case MS_SLAVE:
        ret->sharing = MOUNT_SLAVE;
        return 0;
    case MS_PRIVATE:
        ret->sharing = MOUNT_PRIVATE;
        return 0;
    case MS_UNBINDABLE:
        ret->sharing = MOUNT_UNBINDABLE;
        return 0;
    default:
        return -EINVAL;
    }
}

static int change_of(const struct abi_mount_attr *a, struct change *ret)
{
    uint64_t atime = a->attr_clr & MOUNT_ATTR__ATIME;
    unsigned set;
    int err = change_sharing(a->propagation, ret);
    if (err)
        return err;
    if ((a->attr_set | a->attr_clr) &
        ~(uint64_t)ABI_MOUNT_ATTR_VALID) /* no user name spaces either */
        return -EINVAL;
    if (atime && atime != MOUNT_ATTR__ATIME)
        return -EINVAL;
    if (!atime && a->attr_set & MOUNT_ATTR__ATIME)
        return -EINVAL;
    err = attr_flags_of(a->attr_set, &set);
    if (err)
        return err;
    (void)attr_flags_of(a->attr_clr & ~(uint64_t)MOUNT_ATTR__ATIME, &ret->clear);
    ret->clear &= ~(unsigned)ST_RELATIME;
    if (atime)
        ret->clear |= ST_RELATIME | ST_NOATIME;
    else
        set &= ~(unsigned)ST_RELATIME;
    ret->set = set;
    return 0;
}

/* The program's structure. 1: it asks for nothing. */
static int attr_get(user_void_in_t up, size_t size, struct change *ret)
{
    struct abi_mount_attr a = { 0 };
    if (size > PAGE_SIZE)
        return -E2BIG;
    if (size < sizeof(a))
        return -EINVAL;
    if (!cred_capable(CAP_SYS_ADMIN))
        return -EPERM;
    if (user_get(&a, user_cast(user_mount_attr_in_t, up), 1))
        return -EFAULT;
    user_u8_in_t tail = user_cast(user_u8_in_t, up);
    for (size_t i = sizeof(a); i < size; i++) {
        uint8_t byte;
        if (user_get(&byte, user_advance(tail, i), 1))
            return -EFAULT;
        if (byte)
            return -E2BIG;
    }
    if (!a.attr_set && !a.attr_clr && !a.propagation)
        return 1;
    return change_of(&a, ret);
}

static int change_apply(const struct path *p, const struct change *c, bool recursive)
{
    int err = mount_set_flags(p, c->clear, c->set, recursive);
    if (!err && c->sharing >= 0)
        err = mount_set_sharing(p, (enum mount_sharing)c->sharing, recursive);
    return err;
}

long sys_mount_setattr(int dfd, user_str_t path, unsigned flags, user_void_in_t attr, size_t size)
{
    struct change c;
    struct path p;
    if (flags & ~(unsigned)(AT_EMPTY_PATH | AT_RECURSIVE | AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT))
        return -EINVAL;
    long err = attr_get(attr, size, &c);
    if (err)
        return err < 0 ? err : 0;
    err = name_walk(dfd, path, flags, &p);
    if (err)
        return err;
    err = change_apply(&p, &c, flags & AT_RECURSIVE);
    path_put(&p);
    return err;
}

long sys_open_tree_attr(int dfd, user_str_t path, unsigned flags, user_void_in_t attr, size_t size)
{
    struct change c;
    struct path p;
    struct mount *copy;
    if (user_is_null(attr) && size)
        return -EINVAL;
    long err = tree_open(dfd, path, flags, &p, &copy);
    if (err)
        return err;
    if (size) {
        err = attr_get(attr, size, &c);
        if (!err) {
            struct path root = { copy, copy ? copy->root : NULL };
            err = change_apply(copy ? &root : &p, &c, flags & AT_RECURSIVE);
        }
    }
    if (err >= 0)
        return tree_install(&p, copy, flags);
    if (copy)
        mount_dissolve(copy);
    else
        path_put(&p);
    return err;
}
