/* SPDX-License-Identifier: MIT */
/* Who may do what: mode bits and capabilities, as path_resolution(7) and capabilities(7) say. */
#include "vfs_int.h"

#include <abi/errno.h>
#include <abi/prctl.h>
#include <abi/stat.h>
#include <abi/statfs.h>
#include <libos/acl.h>

/* The boot and libOS's own threads. */
static const struct cred kernel_cred = {
    .refs = 1,
    .cap_permitted = UINT64_MAX,
    .cap_effective = UINT64_MAX,
    .cap_bounding = UINT64_MAX,
};

const struct cred *vfs_cred(void)
{
    const struct thread *t = thread_current();
    return t && t->cred && LIKELY(!t->as_kernel) ? t->cred : &kernel_cred;
}

bool vfs_capable(unsigned cap)
{
    return vfs_cred()->cap_effective >> cap & 1;
}

bool vfs_owner(const struct inode *inode)
{
    return vfs_cred()->fsuid == inode->uid || vfs_capable(CAP_FOWNER);
}

int path_writable(const struct path *p)
{
    return ((p->mount ? p->mount->flags : 0) | p->dentry->sb->flags) & ST_RDONLY ? -EROFS : 0;
}

/* What a capability gives where the mode bits do not. */
static bool override(const struct cred *c, uint32_t mode, unsigned may)
{
    if (S_ISDIR(mode)) {
        if (!(may & MAY_WRITE) && c->cap_effective >> CAP_DAC_READ_SEARCH & 1)
            return true;
        return c->cap_effective >> CAP_DAC_OVERRIDE & 1;
    }
    if (may == MAY_READ && c->cap_effective >> CAP_DAC_READ_SEARCH & 1)
        return true;
    /* Even root executes only what someone may execute. */
    return (!(may & MAY_EXEC) || mode & 0111) && c->cap_effective >> CAP_DAC_OVERRIDE & 1;
}

int inode_permission(struct inode *inode, unsigned may)
{
    if (UNLIKELY(inode->ops && inode->ops->permission))
        return inode->ops->permission(inode, may);
    return inode_mode_permission(inode, may);
}

int inode_mode_permission(struct inode *inode, unsigned may)
{
    const struct cred *c = vfs_cred();
    uint32_t mode = inode->mode;

    if (may & MAY_WRITE && inode->sb && inode->sb->flags & ST_RDONLY &&
        (S_ISREG(mode) || S_ISDIR(mode) || S_ISLNK(mode)))
        return -EROFS;
    uint32_t bits = mode;
    int err;
    if (c->fsuid == inode->uid)
        bits >>= 6;
    else if (UNLIKELY(inode->acl) && mode & 070 && (err = acl_permission(inode, may)) != -EAGAIN)
        return err && override(c, mode, may) ? 0 : err;
    else if ((bits >> 3 ^ bits) & 7 &&
             cred_in_group(c, inode->gid)) /* asked only when it matters */
        bits >>= 3;
    if ((may & ~bits & 7) == 0 || override(c, mode, may))
        return 0;
    return -EACCES;
}

int may_create(struct dentry *dir)
{
    if (dir->dead)
        return -ENOENT;
    return inode_permission(dir->inode, MAY_WRITE | MAY_EXEC);
}

int may_delete(struct dentry *dir, struct dentry *victim, bool directory)
{
    int err = inode_permission(dir->inode, MAY_WRITE | MAY_EXEC);
    if (err)
        return err;
    /* Sticky: only the owner of the name's inode or of the directory. */
    const struct cred *c = vfs_cred();
    if (dir->inode->mode & S_ISVTX && c->fsuid != victim->inode->uid &&
        c->fsuid != dir->inode->uid && !vfs_capable(CAP_FOWNER))
        return -EPERM;
    if (directory && !S_ISDIR(victim->inode->mode))
        return -ENOTDIR;
    if (!directory && S_ISDIR(victim->inode->mode))
        return -EISDIR;
    return dir->dead ? -ENOENT : 0;
}
