/* SPDX-License-Identifier: MIT */
/* Working directory, root, umask, access. */
#include "name.h"
#include "sys_proto.h"

#include <abi/errno.h>
#include <abi/fcntl.h>
#include <abi/prctl.h>
#include <libos/file.h>
#include <libos/process.h>
#include <libos/user.h>
#include <abi/statfs.h>

enum { NO_SETUID_FIXUP = 1 << 2 }; /* securebits */

long sys_getcwd(user_char_out_t buf, size_t size)
{
    struct fs_context *fs = thread_current()->fs;
    char *text = path_buf_alloc();
    if (!text)
        return -ENOMEM;
    spin_lock(&fs->lock);
    struct path cwd = fs->cwd;
    path_get(&cwd);
    spin_unlock(&fs->lock);
    long n = cwd.dentry->unlinked ? -ENOENT : path_text(&cwd, text, ABI_PATH_MAX);
    if (n > 0 && (size_t)n > size)
        n = -ERANGE;
    if (n > 0) {
        int err = user_put(buf, text, (size_t)n);
        n = err ? err : n;
    }
    path_put(&cwd);
    path_buf_free(text);
    return n;
}

/* Make p (taken) the working directory, or the root. */
static long set_context(struct path *take_p, bool root)
{
    struct fs_context *fs = thread_current()->fs;
    struct inode *inode = take_p->dentry->inode;
    int err = S_ISDIR(inode->mode) ? inode_permission(inode, MAY_EXEC) : -ENOTDIR;
    if (!err && root && !cred_capable(CAP_SYS_CHROOT))
        err = -EPERM;
    if (err) {
        path_put(take_p);
        return err;
    }
    fs_context_set(fs, root ? FS_ROOT : FS_CWD, take_p);
    return 0;
}

long sys_chdir(user_str_t path)
{
    struct path p;
    long err = name_walk(AT_FDCWD, path, 0, &p);
    return err ? err : set_context(&p, false);
}

long sys_fchdir(int fd)
{
    struct fd_ref ref;
    long err = fd_borrow_any(fd, &ref);
    if (err)
        return err;
    struct path p = ref.file->path;
    path_get(&p);
    fd_return(&ref);
    return set_context(&p, false);
}

long sys_chroot(user_str_t path)
{
    struct path p;
    long err = name_walk(AT_FDCWD, path, 0, &p);
    return err ? err : set_context(&p, true);
}

long sys_umask(unsigned mask)
{
    struct fs_context *fs = thread_current()->fs;
    spin_lock(&fs->lock);
    uint32_t old = fs->umask;
    fs->umask = mask & 0777;
    spin_unlock(&fs->lock);
    return old;
}

static long check_access(const struct path *p, unsigned mode)
{
    struct inode *inode = p->dentry->inode;
    if (mode & X_OK && S_ISREG(inode->mode) && p->mount->flags & ST_NOEXEC)
        return -EACCES;
    long err = inode_permission(inode, mode);
    if (!err && mode & W_OK && p->mount->flags & ST_RDONLY &&
        (S_ISREG(inode->mode) || S_ISDIR(inode->mode) || S_ISLNK(inode->mode)))
        err = -EROFS;
    return err;
}

/* access(2) asks for the real ids: those are put in the place of the file-system ids for the time of the walk. */
static struct cred *real_cred(void)
{
    struct cred *c = cred_copy(thread_current()->cred);
    if (!c)
        return NULL;
    c->fsuid = c->uid;
    c->fsgid = c->gid;
    if (!(c->securebits & NO_SETUID_FIXUP))
        c->cap_effective = c->uid ? 0 : c->cap_permitted;
    return c;
}

static long access_path(int dfd, user_str_t path, unsigned mode, unsigned flags)
{
    struct path p;
    long err = name_walk(dfd, path, flags, &p);
    if (err)
        return err;
    err = check_access(&p, mode);
    path_put(&p);
    return err;
}

long sys_faccessat2(int dfd, user_str_t path, unsigned mode, unsigned flags)
{
    struct cred *own = thread_current()->cred;
    bool same = own->fsuid == own->uid && own->fsgid == own->gid &&
                own->cap_effective == (own->uid ? 0 : own->cap_permitted);
    if (flags & AT_EACCESS || same)
        return access_path(dfd, path, mode, flags);
    struct cred *real = real_cred();
    if (!real)
        return -ENOMEM;
    (void)cred_swap(real); /* that is own, below */
    long err = access_path(dfd, path, mode, flags);
    cred_put(cred_swap(own));
    return err;
}

long sys_faccessat(int dfd, user_str_t path, unsigned mode)
{
    return sys_faccessat2(dfd, path, mode, 0);
}

long sys_access(user_str_t path, unsigned mode)
{
    return sys_faccessat2(AT_FDCWD, path, mode, 0);
}
