/* SPDX-License-Identifier: MIT */
/* The file system of message queues: mq_overview(7), "Mounting the message queue filesystem". One directory with a file per queue;
 * the table of mqueue.c is what it shows. There is one, and each mount shows it. */
#include "mq_int.h"

#include <abi/errno.h>
#include <abi/fcntl.h>
#include <abi/stat.h>
#include <libos/dentry.h>
#include <libos/file.h>
#include <libos/fstype.h>
#include <libos/heap.h>
#include <libos/mount.h>
#include <libos/mqueue.h>
#include <string.h>

enum { MQUEUE_MAGIC = 0x19800202, FILE_SIZE = 80, TYPE_REG = 8 };

static _Atomic(struct superblock *) the_super;

static int get_name(const char *name, size_t len, char text[MQ_NAME_MAX + 1])
{
    if (len > MQ_NAME_MAX)
        return -ENAMETOOLONG;
    memcpy(text, name, len);
    text[len] = '\0';
    return 0;
}

static int mqfs_lookup(struct inode *dir, const char *name, size_t len, struct inode **ret)
{
    char text[MQ_NAME_MAX + 1];
    (void)dir;
    int err = get_name(name, len, text);
    return err ? err : mq_inode_of(text, ret);
}

static int mqfs_create(struct inode *dir, const char *name, size_t len, uint32_t mode,
                       uint32_t rdev, struct inode **ret)
{
    char text[MQ_NAME_MAX + 1];
    (void)dir, (void)rdev;
    int err = S_ISREG(mode) ? get_name(name, len, text) : -EPERM;
    return err ? err : mq_make_file(text, mode, ret);
}

static int mqfs_unlink(struct inode *dir, const char *name, size_t len, struct inode *inode)
{
    char text[MQ_NAME_MAX + 1];
    (void)dir, (void)inode;
    int err = get_name(name, len, text);
    return err ? err : mq_remove(text);
}

static const struct inode_ops dir_ops = {
    .lookup = mqfs_lookup, .valid = mq_is_named, .create = mqfs_create, .unlink = mqfs_unlink
};
static const struct inode_ops queue_ops = { .open = mq_open_inode };

static int dir_read(struct file *f, struct dir_sink *s, uint64_t *pos)
{
    char name[MQ_NAME_MAX + 1];
    uint64_t ino;
    if (!dir_emit_dots(f, s, pos))
        return 0;
    for (; mq_name_at(*pos - DIR_POS_FIRST, name, &ino); ++*pos)
        if (!s->emit(s, name, strlen(name), ino, *pos + 1, TYPE_REG))
            return 0;
    return 0;
}

static int64_t dir_seek(struct file *f, int64_t off, int whence)
{
    if (whence == SEEK_CUR)
        off += (int64_t)f->pos;
    else if (whence != SEEK_SET)
        return -EINVAL;
    if (off < 0)
        return -EINVAL;
    f->pos = (uint64_t)off;
    return off;
}

static const struct file_ops dir_fops = { .readdir = dir_read, .seek = dir_seek };

/* Make the file system when it is needed first; of two who do, one is late. */
static int get_super(struct superblock **ret)
{
    struct superblock *sb = atomic_load(&the_super), *none = NULL;
    if (!sb) {
        sb = heap_zalloc(sizeof(*sb));
        int err = sb ? superblock_init(sb, "mqueue", MQUEUE_MAGIC, 01777, &dir_ops) : -ENOMEM;
        if (!err) {
            sb->root->inode->fops = &dir_fops;
            if (atomic_compare_exchange_strong(&the_super, &none, sb)) {
                *ret = sb;
                return 0;
            }
            dentry_put(sb->root);
        }
        if (sb)
            superblock_put(sb); /* without operations: it only leaves the list */
        heap_free(sb);
        if (err)
            return err;
        sb = none;
    }
    *ret = sb;
    return 0;
}

struct inode *mq_inode_create(uint32_t mode)
{
    struct superblock *sb;
    struct inode *inode = get_super(&sb) ? NULL : inode_create(sb, mode, &queue_ops);
    if (inode)
        inode->size = FILE_SIZE;
    return inode;
}

static int get(struct fs_setup *s, struct superblock **ret_sb)
{
    (void)s;
    int err = get_super(ret_sb);
    return err ? err : superblock_get(*ret_sb) ? 0 : -EINVAL;
}

const struct fs_type mqueue_type = { .name = "mqueue", .get = get };
