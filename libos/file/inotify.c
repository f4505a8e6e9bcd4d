/* SPDX-License-Identifier: MIT */
/* inotify: no instance can be made yet, so there is nobody to tell. */
#include <libos/inotify.h>

void inotify_event(struct dentry *d, uint32_t mask)
{
    (void)d, (void)mask;
}

void inotify_inode_event(struct inode *inode, uint32_t mask)
{
    (void)inode, (void)mask;
}

void inotify_name_event(struct dentry *dir, const char *name, uint32_t mask, uint32_t cookie)
{
    (void)dir, (void)name, (void)mask, (void)cookie;
}

uint32_t inotify_cookie(void)
{
    return 0;
}

void inotify_inode_gone(struct inode *inode)
{
    (void)inode;
}
