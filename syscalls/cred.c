/* SPDX-License-Identifier: MIT */
/* User and group ids, capabilities: credentials(7), capabilities(7), setresuid(2). */
#include "sys_proto.h"
#include <abi/prctl.h>
#include <libos/access.h>
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
     1ull << CAP_FOWNER | 1ull << CAP_FSETID | 1ull << CAP_LINUX_IMMUTABLE | 1ull << CAP_MKNOD |   \
     1ull << CAP_MAC_OVERRIDE)

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

/* The ids of one kind: real, effective, saved, and of file accesses. */
enum kind { USERS, GROUPS };
struct ids {
    uint32_t r, e, s, fs;
};

static struct ids ids_of(enum kind k)
{
    const struct cred *c = cred();
    return k == USERS ? (struct ids){ c->uid, c->euid, c->suid, c->fsuid }
                      : (struct ids){ c->gid, c->egid, c->sgid, c->fsgid };
}

static bool may_set_any(enum kind k)
{
    return cred_capable(k == USERS ? CAP_SETUID : CAP_SETGID);
}

/* What capabilities(7) says of changes of user ids. */
static void adjust_caps(struct cred *c, const struct cred *old)
{
    bool was_root = !old->uid || !old->euid || !old->suid,
         is_root = !c->uid || !c->euid || !c->suid;
    if (old->securebits & SECURE_NO_FIXUP)
        return;
    if (was_root && !is_root && !(old->securebits & SECURE_KEEP_CAPS))
        c->cap_permitted = c->cap_effective = 0;
    if (was_root && !is_root)
        c->cap_ambient = 0;
    if (!old->euid && c->euid)
        c->cap_effective = 0;
    if (old->euid && !c->euid)
        c->cap_effective = c->cap_permitted;
}

/* setfsuid(2) alone moves the capabilities that are about files. */
static void adjust_fs_caps(struct cred *c, const struct cred *old)
{
    if (old->securebits & SECURE_NO_FIXUP)
        return;
    if (!old->fsuid && c->fsuid)
        c->cap_effective &= ~CAP_FS_MASK;
    if (old->fsuid && !c->fsuid)
        c->cap_effective |= c->cap_permitted & CAP_FS_MASK;
}

static int install_ids(enum kind k, const struct ids *n,
                       void (*adjust)(struct cred *, const struct cred *))
{
    struct cred *c = cred_copy(cred());
    if (!c)
        return -ENOMEM;
    if (k == USERS) {
        c->uid = n->r, c->euid = n->e, c->suid = n->s, c->fsuid = n->fs;
        adjust(c, cred());
    } else {
        c->gid = n->r, c->egid = n->e, c->sgid = n->s, c->fsgid = n->fs;
    }
    return cred_install(c);
}

static bool is_one_of(uint32_t id, const struct ids *o)
{
    return id == UNCHANGED || id == o->r || id == o->e || id == o->s;
}

static long set_res(enum kind k, uint32_t r, uint32_t e, uint32_t s)
{
    const struct ids o = ids_of(k);
    struct ids n = o;
    if (!(is_one_of(r, &o) && is_one_of(e, &o) && is_one_of(s, &o)) && !may_set_any(k))
        return -EPERM;
    n.r = r != UNCHANGED ? r : n.r;
    n.e = e != UNCHANGED ? e : n.e;
    n.s = s != UNCHANGED ? s : n.s;
    n.fs = n.e;
    return install_ids(k, &n, adjust_caps);
}

static long set_re(enum kind k, uint32_t r, uint32_t e)
{
    const struct ids o = ids_of(k);
    struct ids n = o;
    if (((r != UNCHANGED && r != o.r && r != o.e) || !is_one_of(e, &o)) && !may_set_any(k))
        return -EPERM;
    n.r = r != UNCHANGED ? r : n.r;
    n.e = e != UNCHANGED ? e : n.e;
    if (r != UNCHANGED || (e != UNCHANGED && e != o.r))
        n.s = n.e;
    n.fs = n.e;
    return install_ids(k, &n, adjust_caps);
}

static long set_id(enum kind k, uint32_t id)
{
    struct ids n = ids_of(k);
    if (id == UNCHANGED)
        return -EINVAL;
    if (may_set_any(k))
        n.r = n.s = id;
    else if (id != n.r && id != n.s)
        return -EPERM;
    n.e = n.fs = id;
    return install_ids(k, &n, adjust_caps);
}

/* The old id, whether it was changed or not. */
static long set_fs(enum kind k, uint32_t id)
{
    struct ids n = ids_of(k);
    uint32_t old = n.fs;
    if (id == UNCHANGED || id == old || (!is_one_of(id, &n) && !may_set_any(k)))
        return old;
    n.fs = id;
    (void)install_ids(k, &n, adjust_fs_caps); /* without memory: as if it was not allowed */
    return old;
}

long sys_setresuid(unsigned ruid, unsigned euid, unsigned suid)
{
    return set_res(USERS, ruid, euid, suid);
}

long sys_setresgid(unsigned rgid, unsigned egid, unsigned sgid)
{
    return set_res(GROUPS, rgid, egid, sgid);
}

long sys_setreuid(unsigned ruid, unsigned euid)
{
    return set_re(USERS, ruid, euid);
}

long sys_setregid(unsigned rgid, unsigned egid)
{
    return set_re(GROUPS, rgid, egid);
}

long sys_setuid(unsigned uid)
{
    return set_id(USERS, uid);
}

long sys_setgid(unsigned gid)
{
    return set_id(GROUPS, gid);
}

long sys_setfsuid(unsigned uid)
{
    return set_fs(USERS, uid);
}

long sys_setfsgid(unsigned gid)
{
    return set_fs(GROUPS, gid);
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
    return cred_install(c);
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
    struct thread *t = h.pid ? thread_find_ended(h.pid) : thread_current();
    if (!t)
        return -ESRCH;
    struct cred *c = thread_cred_get(t);
    for (unsigned i = 0; i < 2; i++)
        d[i] = (struct abi_cap_data){ (uint32_t)(c->cap_effective >> 32 * i),
                                      (uint32_t)(c->cap_permitted >> 32 * i),
                                      (uint32_t)(c->cap_inheritable >> 32 * i) };
    cred_put(c);
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
    return cred_install(c);
}
