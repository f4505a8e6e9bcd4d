/* SPDX-License-Identifier: MIT */
/* User and group ids, capabilities: credentials(7), capabilities(7), setresuid(2). */
#include "sys_proto.h"
#include <abi/prctl.h>
#include <libos/heap.h>
#include <libos/process.h>
#include <libos/user.h>
#include <stdlib.h>

enum {
    NGROUPS_MAX = 65536,
    UNCHANGED = UINT32_MAX,
    SECURE_NO_FIXUP = 1 << 2,
    SECURE_KEEP_CAPS = 1 << 4
};

/* What file-system accesses need: they follow fsuid. */
#define CAP_FS_MASK                                                                                \
    (1ull << CAP_CHOWN | 1ull << CAP_DAC_OVERRIDE | 1ull << CAP_DAC_READ_SEARCH |                  \
     1ull << CAP_FOWNER | 1ull << CAP_FSETID | 1ull << CAP_LINUX_IMMUTABLE | 1ull << CAP_MKNOD)

static const struct cred *cred(void)
{
    return thread_current()->cred;
}

long sys_getuid(void)
{
    return cred()->uid;
}

long sys_getgid(void)
{
    return cred()->gid;
}

long sys_geteuid(void)
{
    return cred()->euid;
}

long sys_getegid(void)
{
    return cred()->egid;
}

/* The capabilities after a change of user ids, then install it. Takes c. */
static int finish_uid(struct cred *c)
{
    const struct cred *old = cred();
    bool was_root = !old->uid || !old->euid || !old->suid,
         is_root = !c->uid || !c->euid || !c->suid;
    if (!(old->securebits & SECURE_NO_FIXUP)) {
        if (was_root && !is_root && !(old->securebits & SECURE_KEEP_CAPS))
            c->cap_permitted = c->cap_effective = 0;
        if (was_root && !is_root)
            c->cap_ambient = 0;
        if (!old->euid && c->euid)
            c->cap_effective = 0;
        if (old->euid && !c->euid)
            c->cap_effective = c->cap_permitted;
    }
    if (c->euid != old->euid || c->egid != old->egid)
        thread_current()->pdeath_signal = 0;
    cred_install(c);
    return 0;
}

long sys_setresuid(unsigned ruid, unsigned euid, unsigned suid)
{
    const unsigned ids[3] = { ruid, euid, suid };
    const struct cred *o = cred();
    for (int i = 0; i < 3 && !cred_capable(CAP_SETUID); i++)
        if (ids[i] != UNCHANGED && ids[i] != o->uid && ids[i] != o->euid && ids[i] != o->suid)
            return -EPERM;
    struct cred *c = cred_copy(o);
    if (!c)
        return -ENOMEM;
    c->uid = ruid != UNCHANGED ? ruid : c->uid;
    c->euid = euid != UNCHANGED ? euid : c->euid;
    c->suid = suid != UNCHANGED ? suid : c->suid;
    c->fsuid = c->euid;
    return finish_uid(c);
}

long sys_setreuid(unsigned ruid, unsigned euid)
{
    const struct cred *o = cred();
    if (!cred_capable(CAP_SETUID) &&
        ((ruid != UNCHANGED && ruid != o->uid && ruid != o->euid) ||
         (euid != UNCHANGED && euid != o->uid && euid != o->euid && euid != o->suid)))
        return -EPERM;
    struct cred *c = cred_copy(o);
    if (!c)
        return -ENOMEM;
    c->uid = ruid != UNCHANGED ? ruid : c->uid;
    c->euid = euid != UNCHANGED ? euid : c->euid;
    if (ruid != UNCHANGED || (euid != UNCHANGED && euid != o->uid))
        c->suid = c->euid;
    c->fsuid = c->euid;
    return finish_uid(c);
}

long sys_setuid(unsigned uid)
{
    const struct cred *o = cred();
    bool all = cred_capable(CAP_SETUID);
    if (uid == UNCHANGED)
        return -EINVAL;
    if (!all && uid != o->uid && uid != o->suid)
        return -EPERM;
    struct cred *c = cred_copy(o);
    if (!c)
        return -ENOMEM;
    if (all)
        c->uid = c->suid = uid;
    c->euid = c->fsuid = uid;
    return finish_uid(c);
}

long sys_setresgid(unsigned rgid, unsigned egid, unsigned sgid)
{
    const unsigned ids[3] = { rgid, egid, sgid };
    const struct cred *o = cred();
    for (int i = 0; i < 3 && !cred_capable(CAP_SETGID); i++)
        if (ids[i] != UNCHANGED && ids[i] != o->gid && ids[i] != o->egid && ids[i] != o->sgid)
            return -EPERM;
    struct cred *c = cred_copy(o);
    if (!c)
        return -ENOMEM;
    c->gid = rgid != UNCHANGED ? rgid : c->gid;
    c->egid = egid != UNCHANGED ? egid : c->egid;
    c->sgid = sgid != UNCHANGED ? sgid : c->sgid;
    c->fsgid = c->egid;
    cred_install(c);
    return 0;
}

long sys_setregid(unsigned rgid, unsigned egid)
{
    const struct cred *o = cred();
    if (!cred_capable(CAP_SETGID) &&
        ((rgid != UNCHANGED && rgid != o->gid && rgid != o->egid) ||
         (egid != UNCHANGED && egid != o->gid && egid != o->egid && egid != o->sgid)))
        return -EPERM;
    struct cred *c = cred_copy(o);
    if (!c)
        return -ENOMEM;
    c->gid = rgid != UNCHANGED ? rgid : c->gid;
    c->egid = egid != UNCHANGED ? egid : c->egid;
    if (rgid != UNCHANGED || (egid != UNCHANGED && egid != o->gid))
        c->sgid = c->egid;
    c->fsgid = c->egid;
    cred_install(c);
    return 0;
}

long sys_setgid(unsigned gid)
{
    const struct cred *o = cred();
    bool all = cred_capable(CAP_SETGID);
    if (gid == UNCHANGED)
        return -EINVAL;
    if (!all && gid != o->gid && gid != o->sgid)
        return -EPERM;
    struct cred *c = cred_copy(o);
    if (!c)
        return -ENOMEM;
    if (all)
        c->gid = c->sgid = gid;
    c->egid = c->fsgid = gid;
    cred_install(c);
    return 0;
}

long sys_setfsuid(unsigned uid)
{
    const struct cred *o = cred();
    unsigned old = o->fsuid;
    bool may =
        uid == o->uid || uid == o->euid || uid == o->suid || uid == old || cred_capable(CAP_SETUID);
    struct cred *c = may && uid != old && uid != UNCHANGED ? cred_copy(o) : NULL;
    if (!c)
        return old;
    c->fsuid = uid;
    if (!(o->securebits & SECURE_NO_FIXUP)) {
        if (!old && uid)
            c->cap_effective &= ~CAP_FS_MASK;
        if (old && !uid)
            c->cap_effective |= c->cap_permitted & CAP_FS_MASK;
    }
    cred_install(c);
    return old;
}

long sys_setfsgid(unsigned gid)
{
    const struct cred *o = cred();
    unsigned old = o->fsgid;
    bool may =
        gid == o->gid || gid == o->egid || gid == o->sgid || gid == old || cred_capable(CAP_SETGID);
    struct cred *c = may && gid != old && gid != UNCHANGED ? cred_copy(o) : NULL;
    if (!c)
        return old;
    c->fsgid = gid;
    cred_install(c);
    return old;
}

/* Three ids out. */
static int put_three(user_uint_out_t a, user_uint_out_t b, user_uint_out_t c, unsigned x,
                     unsigned y, unsigned z)
{
    return user_put(a, &x, 1) || user_put(b, &y, 1) || user_put(c, &z, 1) ? -EFAULT : 0;
}

long sys_getresuid(user_uint_out_t ruid, user_uint_out_t euid, user_uint_out_t suid)
{
    return put_three(ruid, euid, suid, cred()->uid, cred()->euid, cred()->suid);
}

long sys_getresgid(user_uint_out_t rgid, user_uint_out_t egid, user_uint_out_t sgid)
{
    return put_three(rgid, egid, sgid, cred()->gid, cred()->egid, cred()->sgid);
}

long sys_getgroups(int size, user_uint_out_t list)
{
    const struct cred *c = cred();
    if (size < 0)
        return -EINVAL;
    if (!size)
        return c->ngroups;
    if ((unsigned)size < c->ngroups)
        return -EINVAL;
    return c->ngroups && user_put(list, c->groups, c->ngroups) < 0 ? -EFAULT : (long)c->ngroups;
}

static int by_value(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

long sys_setgroups(int size, user_uint_in_t list)
{
    if (!cred_capable(CAP_SETGID))
        return -EPERM;
    if (size < 0 || size > NGROUPS_MAX)
        return -EINVAL;
    uint32_t *groups = size ? heap_alloc((size_t)size * sizeof(*groups)) : NULL;
    if (size && !groups)
        return -ENOMEM;
    if (size && user_get(groups, list, (size_t)size) < 0) {
        heap_free(groups);
        return -EFAULT;
    }
    struct cred *c = cred_copy(cred());
    if (!c) {
        heap_free(groups);
        return -ENOMEM;
    }
    heap_free(c->groups);
    if (size)
        qsort(groups, (size_t)size, sizeof(*groups), by_value);
    c->groups = groups;
    c->ngroups = (uint32_t)size;
    cred_install(c);
    return 0;
}

/* The header: how many data elements its version has. An unknown version is answered with ours. */
static int cap_version(user_cap_header_inout_t hdr, struct abi_cap_header *ret, unsigned *ret_n)
{
    uint32_t ours = _LINUX_CAPABILITY_VERSION_3;
    if (user_get(ret, hdr, 1) < 0)
        return -EFAULT;
    *ret_n = ret->version == _LINUX_CAPABILITY_VERSION_1 ? 1 : 2;
    if (ret->version == _LINUX_CAPABILITY_VERSION_1 ||
        ret->version == _LINUX_CAPABILITY_VERSION_2 || ret->version == ours)
        return 0;
    return user_put(user_cast(user_uint_out_t, hdr), &ours, 1) < 0 ? -EFAULT : -EINVAL;
}

long sys_capget(user_cap_header_inout_t hdr, user_cap_data_out_t data)
{
    struct abi_cap_header h;
    struct abi_cap_data d[2];
    unsigned n;
    int err = cap_version(hdr, &h, &n);
    if (err)
        return err == -EINVAL && user_is_null(data) ? 0 : err;
    if (user_is_null(data))
        return 0;
    if (h.pid < 0)
        return -EINVAL;
    struct thread *t = h.pid ? thread_find(h.pid) : thread_current();
    if (!t)
        return -ESRCH;
    const struct cred *c = t->cred;
    for (unsigned i = 0; i < 2; i++)
        d[i] = (struct abi_cap_data){ (uint32_t)(c->cap_effective >> 32 * i),
                                      (uint32_t)(c->cap_permitted >> 32 * i),
                                      (uint32_t)(c->cap_inheritable >> 32 * i) };
    if (h.pid)
        thread_put(t);
    return user_put(data, d, n);
}

long sys_capset(user_cap_header_inout_t hdr, user_cap_data_in_t data)
{
    struct abi_cap_header h;
    struct abi_cap_data d[2] = { 0 };
    const struct cred *o = cred();
    unsigned n;
    int err = cap_version(hdr, &h, &n);
    if (err)
        return err;
    if (h.pid && h.pid != thread_current()->tid)
        return -EPERM;
    if (user_get(d, data, n) < 0)
        return -EFAULT;
    uint64_t all = (2ull << CAP_LAST_CAP) - 1;
    uint64_t effective = (d[0].effective | (uint64_t)d[1].effective << 32) & all;
    uint64_t permitted = (d[0].permitted | (uint64_t)d[1].permitted << 32) & all;
    uint64_t inheritable = (d[0].inheritable | (uint64_t)d[1].inheritable << 32) & all;
    if ((!cred_capable(CAP_SETPCAP) && inheritable & ~(o->cap_inheritable | o->cap_permitted)) ||
        inheritable & ~(o->cap_inheritable | o->cap_bounding) || permitted & ~o->cap_permitted ||
        effective & ~permitted)
        return -EPERM;
    struct cred *c = cred_copy(o);
    if (!c)
        return -ENOMEM;
    c->cap_effective = effective;
    c->cap_permitted = permitted;
    c->cap_inheritable = inheritable;
    c->cap_ambient &= permitted & inheritable;
    cred_install(c);
    return 0;
}
