/* SPDX-License-Identifier: MIT */
/* /proc/PID/ns: what a kernel shows that was built without name spaces, which is the one of mounts: namespaces(7). All processes
 * are in it. */
#include "proc.h"

#include <abi/errno.h>
#include <abi/sched.h>
#include <libos/dentry.h>
#include <libos/file.h>
#include <libos/mount.h>
#include <libos/procfs.h>
#include <stdio.h>
#include <string.h>

enum { NSFS_MAGIC = 0x6e736673, NS_GET_NSTYPE = 0xb703 };
#define NS_INO 4026531841ull

static long ns_ioctl(struct file *f, unsigned cmd, unsigned long arg)
{
    (void)f, (void)arg;
    return cmd == NS_GET_NSTYPE ? CLONE_NEWNS : -ENOTTY;
}

static const struct file_ops ns_fops = { .ioctl = ns_ioctl };
static const struct inode_ops ns_ops = { .lookup = NULL };
static struct superblock nsfs;
static struct mount ns_mount = { .refs = 1, .sb = &nsfs, .source = "nsfs" };

bool proc_is_ns(const struct file *f)
{
    return f->ops == &ns_fops;
}

static void ns_name(char name[32])
{
    snprintf(name, 32, "mnt:[%llu]", NS_INO);
}

int proc_ns_init(void)
{
    char name[32];
    ns_name(name);
    superblock_number(&nsfs, "nsfs", NSFS_MAGIC);
    struct inode *inode = inode_create(&nsfs, S_IFREG | 0444, &ns_ops);
    if (!inode)
        return -ENOMEM;
    inode->ino = NS_INO;
    inode->fops = &ns_fops;
    nsfs.root = dentry_create(&nsfs, NULL, name, strlen(name), 0, inode);
    ns_mount.root = nsfs.root;
    return nsfs.root ? 0 : -ENOMEM;
}

static int show_mnt(struct text *t, const struct gen_ctx *c)
{
    char name[32];
    int err = proc_may_look(c);
    ns_name(name);
    if (!err)
        text_printf(t, "%s", name);
    return err;
}

static int follow_mnt(const struct gen_ctx *c, struct path *ret)
{
    int err = proc_may_look(c);
    if (err)
        return err;
    *ret = (struct path){ &ns_mount, nsfs.root };
    path_get(ret);
    return 0;
}

const struct gen_entry proc_ns_entries[] = {
    { .name = "mnt", .mode = S_IFLNK | 0777, .show = show_mnt, .follow = follow_mnt },
    { .name = NULL },
};
