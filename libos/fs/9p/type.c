/* SPDX-License-Identifier: MIT */
/* Mounting a directory of the host: by a volume of the command line, or by mount(2) with the options that Linux's has. */
#include "p9.h"

#include <abi/errno.h>
#include <abi/statfs.h>
#include <base/log.h>
#include <libos/fstype.h>
#include <libos/heap.h>
#include <libos/mount.h>
#include <libos/p9.h>
#include <string.h>

enum { P9_MAGIC = 0x01021997 };

static void statfs(struct superblock *sb, struct abi_statfs *st)
{
    struct p9 *fs = sb->data;
    struct p9_msg *m = p9_begin(T_STATFS);
    if (!m)
        return;
    p9_put(m, fs->root, 4);
    if (!p9_send(fs, m)) {
        st->f_type = (int64_t)p9_get(m, 4); /* of the host's file system, as Linux has it */
        st->f_bsize = st->f_frsize = (int64_t)p9_get(m, 4);
        st->f_blocks = p9_get(m, 8);
        st->f_bfree = p9_get(m, 8);
        st->f_bavail = p9_get(m, 8);
        st->f_files = p9_get(m, 8);
        st->f_ffree = p9_get(m, 8);
        uint64_t id = p9_get(m, 8);
        memcpy(&st->f_fsid, &id, sizeof(st->f_fsid));
        st->f_namelen = (int64_t)min_u64(p9_get(m, 4), ABI_NAME_MAX);
    }
    p9_free(m);
}

static void unmount(struct superblock *sb)
{
    struct p9 *fs = sb->data;
    dentry_put(sb->root); /* which clunks the root's fid */
    atomic_store(&fs->ch->claimed, false);
    heap_free(fs);
}

/* Bring what programs wrote through mappings to the server. */
static int sync(struct superblock *sb)
{
    struct p9 *fs = sb->data;
    int err = 0;
    for (unsigned b = 0; b < P9_TABLE; b++) {
        struct inode *inode = p9_dirty(fs, b);
        while (inode) {
            int err2 = p9_write_back(inode, 0, UINT64_MAX);
            err = err ? err : err2;
            inode_put(inode);
            inode = err2 ? NULL : p9_dirty(fs, b);
        }
    }
    return err;
}

static void stop(struct superblock *sb)
{
    (void)sync(sb);
}

static const struct superblock_ops p9_sb_ops = { .sync = sync, .unmount = unmount, .stop = stop };

static int open_root(struct p9 *fs)
{
    struct inode *root;
    int err = p9_version(fs);
    if (!err)
        err = p9_attach(fs);
    if (!err)
        err = p9_inode_get(fs, fs->root, &root);
    if (err)
        return err;
    if (!S_ISDIR(root->mode)) {
        inode_put(root);
        return -ENOTDIR;
    }
    fs->sb.root = dentry_create(&fs->sb, NULL, "/", 1, 0, root);
    return fs->sb.root ? 0 : -ENOMEM;
}

int p9_mount(const char *tag, bool read_only, struct superblock **ret_sb)
{
    struct p9_channel *ch = p9_channel_find(tag);
    struct p9 *fs = ch ? heap_zalloc(sizeof(*fs)) : NULL;
    if (!fs)
        return ch ? -ENOMEM : -ENODEV;
    if (atomic_exchange(&ch->claimed, true)) {
        heap_free(fs);
        return -EBUSY;
    }
    fs->ch = ch;
    fs->session = ++ch->session;
    spin_init(&fs->lock, RANK_FS_CACHE);
    superblock_number(&fs->sb, "9p", P9_MAGIC);
    fs->sb.statfs = statfs;
    fs->sb.no_acl = true;
    fs->sb.data = fs;
    int err = open_root(fs);
    if (err) {
        log_error("9p: the host's directory %s cannot be used (error %d)", tag, -err);
        superblock_put(&fs->sb); /* without operations yet: it only leaves the list */
        atomic_store(&ch->claimed, false);
        heap_free(fs);
        return err;
    }
    if (read_only)
        fs->sb.flags |= ST_RDONLY;
    fs->sb.ops = &p9_sb_ops;
    *ret_sb = &fs->sb;
    return 0;
}

static int get(struct fs_setup *s, struct superblock **ret_sb)
{
    return s->source ? p9_mount(s->source, s->flags & ST_RDONLY, ret_sb) : -EINVAL;
}

/* Options that say what this implementation does, or leave it free. */
static int option(struct fs_setup *s, const char *key, const char *value)
{
    (void)s;
    if (!value)
        return -EINVAL;
    if (!strcmp(key, "trans"))
        return strcmp(value, "virtio") ? -EINVAL : 0;
    if (!strcmp(key, "version"))
        return strcmp(value, "9p2000.L") ? -EINVAL : 0;
    if (!strcmp(key, "msize"))
        return *value && value[strspn(value, "0123456789")] == '\0' ? 0 : -EINVAL;
    if (!strcmp(key, "cache"))
        return strcmp(value, "none") && strcmp(value, "mmap") ? -EINVAL : 0;
    return -EINVAL;
}

const struct fs_type p9_type = { .name = "9p", .option = option, .get = get };
