/* SPDX-License-Identifier: MIT */
/* PR_SET_MM of prctl(2): one value at a time with CAP_SYS_RESOURCE, or all at once by whom it concerns. */
#include "prctl_mm.h"
#include "sys_proto.h"
#include <abi/errno.h>
#include <abi/prctl.h>
#include <abi/prctl_mm.h>
#include <abi/stat.h>
#include <abi/statfs.h>
#include <libos/file.h>
#include <libos/mm.h>
#include <libos/mm_bounds.h>
#include <libos/mount.h>
#include <libos/process.h>
#include <libos/user.h>
#include <libos/vfs.h>
#include <string.h>

/* May f be a program? */
static int executable(const struct file *f)
{
    if (!f->inode || (f->inode->mode & S_IFMT) != S_IFREG ||
        (f->path.mount && f->path.mount->flags & ST_NOEXEC))
        return -EACCES;
    return inode_permission(f->inode, MAY_EXEC);
}

static int set_exe(int fd)
{
    struct fd_ref ref;
    int err = fd_borrow(fd, &ref);
    if (err)
        return err;
    err = executable(ref.file);
    if (!err)
        err = mm_replace_exe(thread_current()->mm, ref.file);
    fd_return(&ref);
    return err;
}

/* n bytes of a vector at addr; the rest, and the last pair, are 0. */
static int get_vector(uintptr_t addr, size_t n, unsigned long ret[MM_AUXV_WORDS])
{
    enum { SIZE = MM_AUXV_WORDS * sizeof(*ret) };
    if (n > SIZE)
        return -EINVAL;
    memset(ret, 0, SIZE);
    if (user_get((uint8_t *)ret, user_at(user_u8_in_t, addr), n))
        return -EFAULT;
    ret[MM_AUXV_WORDS - 2] = ret[MM_AUXV_WORDS - 1] = 0;
    return 0;
}

static int set_vector(uintptr_t addr, size_t n)
{
    unsigned long v[MM_AUXV_WORDS];
    int err = get_vector(addr, n, v);
    if (!err)
        mm_set_auxv(thread_current()->mm, v);
    return err;
}

static int set_all(uintptr_t addr, size_t size)
{
    struct mm *mm = thread_current()->mm;
    struct abi_prctl_mm_map m;
    unsigned long v[MM_AUXV_WORDS];
    uint64_t b[MM_BOUNDS];
    _Static_assert(offsetof(struct abi_prctl_mm_map, auxv) == sizeof(b),
                   "the order of enum mm_bound");
    if (size != sizeof(m))
        return -EINVAL;
    if (user_get((uint8_t *)&m, user_at(user_u8_in_t, addr), sizeof(m)))
        return -EFAULT;
    memcpy(b, &m, sizeof(b));
    int err = mm_check_bounds(b);
    if (!err && m.auxv_size)
        err = m.auxv ? get_vector(m.auxv, m.auxv_size, v) : -EINVAL;
    if (err)
        return err;
    if (m.exe_fd != UINT32_MAX) {
        if (!cred_capable(CAP_CHECKPOINT_RESTORE) && !cred_capable(CAP_SYS_ADMIN))
            return -EPERM;
        if ((err = set_exe((int)m.exe_fd)))
            return err;
    }
    if ((err = mm_set_bounds(mm, b)))
        return err;
    if (m.auxv_size)
        mm_set_auxv(mm, v);
    return 0;
}

/* The bound that an option sets, or -1. */
static int bound_of(unsigned long what)
{
    static const uint8_t bounds[] = {
        [PR_SET_MM_START_CODE] = MM_START_CODE,
        [PR_SET_MM_END_CODE] = MM_END_CODE,
        [PR_SET_MM_START_DATA] = MM_START_DATA,
        [PR_SET_MM_END_DATA] = MM_END_DATA,
        [PR_SET_MM_START_STACK] = MM_START_STACK,
        [PR_SET_MM_START_BRK] = MM_START_BRK,
        [PR_SET_MM_BRK] = MM_BRK,
        [PR_SET_MM_ARG_START] = MM_ARG_START,
        [PR_SET_MM_ARG_END] = MM_ARG_END,
        [PR_SET_MM_ENV_START] = MM_ENV_START,
        [PR_SET_MM_ENV_END] = MM_ENV_END,
    };
    return what >= PR_SET_MM_START_CODE && what < ARRAY_SIZE(bounds) ? bounds[what] : -1;
}

int prctl_set_mm(unsigned long what, unsigned long addr, unsigned long a4, unsigned long a5)
{
    const unsigned size = sizeof(struct abi_prctl_mm_map);
    bool sized = what == PR_SET_MM_AUXV || what == PR_SET_MM_MAP || what == PR_SET_MM_MAP_SIZE;
    int which = bound_of(what);
    if (a5 || (a4 && !sized))
        return -EINVAL;
    if (what == PR_SET_MM_MAP)
        return set_all(addr, a4);
    if (what == PR_SET_MM_MAP_SIZE)
        return user_put(user_at(user_uint_out_t, addr), &size, 1);
    if (!cred_capable(CAP_SYS_RESOURCE))
        return -EPERM;
    if (what == PR_SET_MM_EXE_FILE)
        return set_exe((int)addr);
    if (what == PR_SET_MM_AUXV)
        return set_vector(addr, a4);
    return which < 0 ? -EINVAL : mm_set_bound(thread_current()->mm, (enum mm_bound)which, addr);
}
