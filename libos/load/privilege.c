/* SPDX-License-Identifier: MIT */
/* Who the program will be: set-user-ID and set-group-ID bits, capabilities of files, and what takes them back. capabilities(7),
 * "Transformation of capabilities during execve()"; execve(2); ptrace(2). */
#include "load.h"

#include <abi/errno.h>
#include <abi/prctl.h>
#include <abi/stat.h>
#include <abi/statfs.h>
#include <libos/file.h>
#include <libos/mm.h>
#include <libos/process.h>
#include <libos/xattr.h>
#include <utlist.h>

enum { SECBIT_NOROOT = 1, SECBIT_KEEP_CAPS = 1 << 4 }; /* securebits(7) */
/* Not with more rights than before: READ_IMPLIES_EXEC, ADDR_NO_RANDOMIZE, ADDR_COMPAT_LAYOUT, MMAP_PAGE_ZERO. */
enum { PERSONALITY_UNSAFE = 0x0400000 | 0x0040000 | 0x0200000 | 0x0100000 };

/* What may not go together with more rights. */
struct unsafe {
    bool no_new_privs, shared_fs;
    bool traced; /* by somebody who is not powerful enough himself */
};

static struct unsafe look_unsafe(struct thread *t)
{
    struct unsafe u = { .no_new_privs = t->no_new_privs };
    uint32_t users = 0;
    struct thread *o;
    spin_lock(&t->process->sig_lock);
    u.traced = t->trace.tracer && !(t->trace.cred->cap_effective >> CAP_SYS_PTRACE & 1);
    DL_FOREACH(t->process->threads, o)
    users += o->fs == t->fs;
    u.shared_fs = atomic_load(&t->fs->refs) > users;
    spin_unlock(&t->process->sig_lock);
    return u;
}

/* Capabilities of the file. 1: it has some, which are in force; *effective is set by them. -EPERM: the program needs more than
 * there may be. */
static int file_part(struct exec *e, struct cred *c, bool nosuid, bool *effective)
{
    struct file_caps caps;
    c->cap_permitted = 0;
    if (nosuid)
        return 0;
    int n = inode_file_caps(e->file->inode, &caps);
    if (n <= 0)
        return n;
    c->cap_permitted = (c->cap_bounding & caps.permitted) | (c->cap_inheritable & caps.inheritable);
    *effective = caps.effective;
    return caps.effective && caps.permitted & ~c->cap_permitted ? -EPERM : 1;
}

/* Root's programs have all capabilities, unless securebits say otherwise. */
static void root_part(struct cred *c, bool has_caps, bool *effective)
{
    if (c->securebits & SECBIT_NOROOT || (has_caps && c->uid && !c->euid))
        return;
    if (!c->euid || !c->uid)
        c->cap_permitted = c->cap_bounding | c->cap_inheritable;
    if (!c->euid)
        *effective = true;
}

/* Apply set-id bits. */
static void id_part(const struct exec *e, struct cred *c, bool nosuid)
{
    const struct inode *inode = e->file->inode;
    if (nosuid || thread_current()->no_new_privs)
        return;
    if (inode->mode & S_ISUID)
        c->euid = inode->uid;
    if ((inode->mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP))
        c->egid = inode->gid;
}

static int transform(struct exec *e, struct cred *c, const struct cred *old)
{
    struct thread *t = thread_current();
    const struct unsafe u = look_unsafe(t);
    bool nosuid = e->file->path.mount && e->file->path.mount->flags & ST_NOSUID, effective = false;
    id_part(e, c, nosuid);
    int has_caps = file_part(e, c, nosuid, &effective);
    if (has_caps < 0)
        return has_caps;
    root_part(c, has_caps, &effective);
    bool set_id = c->euid != old->uid || c->egid != old->gid,
         gained = c->cap_permitted & ~old->cap_permitted;
    e->drop_personality = set_id || gained ? PERSONALITY_UNSAFE : 0;
    if ((set_id || gained) && (u.no_new_privs || u.shared_fs || u.traced)) {
        if (!cred_capable(CAP_SETUID) || u.no_new_privs) {
            c->euid = c->uid;
            c->egid = c->gid;
        }
        c->cap_permitted &= old->cap_permitted;
    }
    c->suid = c->fsuid = c->euid;
    c->sgid = c->fsgid = c->egid;
    if (has_caps || set_id)
        c->cap_ambient = 0;
    c->cap_permitted |= c->cap_ambient;
    c->cap_effective = effective ? c->cap_permitted : c->cap_ambient;
    c->securebits &= ~(uint32_t)SECBIT_KEEP_CAPS;
    e->secure = set_id || (c->uid && (effective || c->cap_permitted & ~c->cap_ambient));
    return 0;
}

int privilege_after(struct exec *e, struct cred **ret)
{
    struct cred *old = thread_current()->cred, *c = cred_copy(old);
    if (!c)
        return -ENOMEM;
    int err = transform(e, c, old);
    if (err) {
        cred_put(c);
        return err;
    }
    e->uid = c->uid;
    e->euid = c->euid;
    e->gid = c->gid;
    e->egid = c->egid;
    /* Its memory is nobody's to look at when its file is not to be read, or the ids differ already. */
    e->hidden = e->hidden || old->uid != old->euid || old->gid != old->egid;
    *ret = c;
    return 0;
}
