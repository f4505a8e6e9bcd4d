/* SPDX-License-Identifier: MIT */
/* madvise and process_madvise, mincore, msync, mlock and its family, mseal, memfd_create and memfd_secret. */
#include "sys_proto.h"
#include "vector.h"
#include <abi/errno.h>
#include <abi/fcntl.h>
#include <abi/mman.h>
#include <abi/prctl.h>
#include <abi/userfaultfd.h>
#include <libos/access.h>
#include <libos/file.h>
#include <libos/mm.h>
#include <libos/pidfd.h>
#include <libos/thread.h>
#include <libos/uffd.h>
#include <libos/user.h>

enum { MEMFD_NAME_MAX = 249 };

static struct mm *mine(void)
{
    return thread_current()->mm;
}

long sys_madvise(uintptr_t addr, size_t len, int advice)
{
    return mm_advise(mine(), addr, len, advice);
}

long sys_mincore(uintptr_t addr, size_t len, user_u8_out_t vec)
{
    uint8_t part[256];
    if (addr & (PAGE_SIZE - 1))
        return -EINVAL;
    if (addr > PLAT_USER_MAX || len > PLAT_USER_MAX - addr)
        return -ENOMEM;
    size_t pages = (len + PAGE_SIZE - 1) >> PAGE_SHIFT;
    for (size_t done = 0; done < pages;) {
        size_t n = pages - done < sizeof part ? pages - done : sizeof part;
        /* A bad vec is told before a hole: look at it first. */
        int err = user_clear(user_advance(vec, done), n);
        if (!err)
            err = mm_resident(mine(), addr + (done << PAGE_SHIFT), n, part);
        if (!err)
            err = user_put(user_advance(vec, done), part, n);
        if (err)
            return err;
        done += n;
    }
    return 0;
}

long sys_msync(uintptr_t addr, size_t len, unsigned flags)
{
    return mm_sync(mine(), addr, len, flags);
}

long sys_mlock(uintptr_t addr, size_t len)
{
    return mm_lock_range(mine(), addr, len, true, false);
}

long sys_mlock2(uintptr_t addr, size_t len, unsigned flags)
{
    return mm_lock_range(mine(), addr, len, true, flags & MLOCK_ONFAULT);
}

long sys_munlock(uintptr_t addr, size_t len)
{
    return mm_lock_range(mine(), addr, len, false, false);
}

long sys_mlockall(unsigned flags)
{
    return flags ? mm_lock_all(mine(), flags) : -EINVAL;
}

long sys_munlockall(void)
{
    return mm_lock_all(mine(), 0);
}

/* -ENODEV: no huge pages of that size. */
static int check_huge(unsigned flags)
{
    unsigned shift = flags >> MAP_HUGE_SHIFT & MAP_HUGE_MASK;
    return shift && shift != 21 ? -ENODEV : 0;
}

long sys_memfd_create(user_str_t name, unsigned flags)
{
    static const char prefix[] = "memfd:";
    const unsigned known =
        MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL | MFD_EXEC | MFD_HUGETLB;
    char text[sizeof prefix + MEMFD_NAME_MAX];
    bool huge = flags & MFD_HUGETLB;
    if ((flags & ~(known | (huge ? (unsigned)MAP_HUGE_MASK << MAP_HUGE_SHIFT : 0))) ||
        (flags & (MFD_EXEC | MFD_NOEXEC_SEAL)) == (MFD_EXEC | MFD_NOEXEC_SEAL))
        return -EINVAL;
    for (size_t i = 0; i < sizeof prefix; i++)
        text[i] = prefix[i];
    long len = user_str(text + sizeof prefix - 1, MEMFD_NAME_MAX + 1, name);
    if (len < 0)
        return len == -ENAMETOOLONG ? -EINVAL : len;
    unsigned seals = flags & MFD_NOEXEC_SEAL     ? F_SEAL_EXEC
                     : flags & MFD_ALLOW_SEALING ? 0
                                                 : F_SEAL_SEAL;
    struct file *f;
    int err = huge ? check_huge(flags) : 0;
    if (!err)
        err = memfd_create_file(text, huge ? MEMFD_HUGE : MEMFD_PLAIN, seals,
                                flags & MFD_NOEXEC_SEAL ? 0666 : 0777, &f);
    return err ? err : fd_install(f, flags & MFD_CLOEXEC);
}

long sys_memfd_secret(unsigned flags)
{
    struct file *f;
    if (flags & ~(unsigned)O_CLOEXEC)
        return -EINVAL;
    int err = memfd_create_file("secretmem", MEMFD_SECRET, F_SEAL_SEAL, 0600, &f);
    return err ? err : fd_install(f, flags & O_CLOEXEC);
}

long sys_mseal(uintptr_t addr, size_t len, unsigned long flags)
{
    size_t size = align_up(len, PAGE_SIZE);
    if (flags || addr & (PAGE_SIZE - 1) || (len && !size) || addr + size < addr)
        return -EINVAL;
    return size ? mm_seal(mine(), addr, size) : 0;
}

/* The address space of pidfd's process, if the current thread may look at it. */
static int mm_of_pidfd(int pidfd, struct mm **ret_mm)
{
    struct process *p;
    unsigned flags;
    int err = pidfd_process(pidfd, &p, &flags);
    if (err)
        return err;
    struct thread *t = process_some_thread(p);
    process_put(p);
    if (!t)
        return -ESRCH;
    err = thread_may_access(t, ACCESS_READ | ACCESS_FSCREDS);
    *ret_mm = err ? NULL : thread_mm_get(t);
    thread_put(t);
    return err ? err : *ret_mm ? 0 : -ESRCH;
}

/* What may be asked for somebody else's memory: nothing that it could see. */
static int check_remote(int advice)
{
    if (advice != MADV_COLD && advice != MADV_PAGEOUT && advice != MADV_WILLNEED &&
        advice != MADV_COLLAPSE)
        return -EINVAL;
    return cred_capable(CAP_SYS_NICE) ? 0 : -EPERM;
}

static long advise_vector(struct mm *mm, const struct vector *v, size_t n, int advice)
{
    size_t done = 0;
    long err = 0;
    for (size_t i = 0; i < n && !err; i++) {
        err = mm_advise(mm, v->all[i].seg.base, v->all[i].seg.len, advice);
        done += err ? 0 : v->all[i].seg.len;
    }
    return done ? (long)done : err;
}

long sys_process_madvise(int pidfd, user_iovec_in_t vec, size_t vlen, int advice, unsigned flags)
{
    struct vector v;
    struct mm *mm;
    if (flags)
        return -EINVAL;
    long err = vector_get(&v, vec, vlen);
    if (err)
        return err;
    err = mm_of_pidfd(pidfd, &mm);
    if (!err) {
        err = mm == mine() ? 0 : check_remote(advice);
        if (!err)
            err = advise_vector(mm, &v, vlen, advice);
        mm_put(mm);
    }
    vector_put(&v);
    return err;
}

long sys_process_mrelease(int pidfd, unsigned flags)
{
    struct process *p;
    unsigned file_flags;
    if (flags)
        return -EINVAL;
    int err = pidfd_process(pidfd, &p, &file_flags);
    if (err)
        return err;
    struct thread *t = process_some_thread(p);
    struct mm *mm = t ? thread_mm_get(t) : NULL;
    if (!mm)
        err = -ESRCH; /* nothing is left */
    else if (!p->exiting)
        err = -EINVAL; /* nobody has killed it */
    else
        mm_release(mm);
    if (mm)
        mm_put(mm);
    if (t)
        thread_put(t);
    process_put(p);
    return err;
}

long sys_userfaultfd(unsigned flags)
{
    struct file *f;
    if (!(flags & UFFD_USER_MODE_ONLY) && !cred_capable(CAP_SYS_PTRACE))
        return -EPERM;
    if (flags & ~(unsigned)(O_CLOEXEC | O_NONBLOCK | UFFD_USER_MODE_ONLY))
        return -EINVAL;
    int err = uffd_file_create(flags & UFFD_USER_MODE_ONLY, flags & (O_NONBLOCK | O_CLOEXEC), &f);
    return err ? err : fd_install(f, flags & O_CLOEXEC);
}

/* As on a CPU without protection keys: only the default one (-1) can be used. */
long sys_pkey_mprotect(uintptr_t addr, size_t len, unsigned long prot, int pkey)
{
    return pkey == -1 ? sys_mprotect(addr, len, prot) : -EINVAL;
}
