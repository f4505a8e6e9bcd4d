/* SPDX-License-Identifier: MIT */
/* Other processes' memory and what they share: process_vm_readv(2), kcmp(2). */
#include "sys_proto.h"
#include <abi/errno.h>
#include <abi/ptrace.h>
#include <libos/access.h>
#include <libos/file.h>
#include <libos/heap.h>
#include <libos/iter.h>
#include <libos/mm.h>
#include <libos/random.h>
#include <libos/sched.h>
#include <libos/user.h>
#include <libos/vfs.h>
#include <string.h>

enum { PIECE = 16384, IOV_MAX = 1024 };

/* Buffers of both sides, copied in and bounded. */
struct ranges {
    struct iter_seg *segs; /* owned */
    size_t n, total;
};

static int ranges_get(struct ranges *r, user_iovec_in_t user, unsigned long n)
{
    _Static_assert(sizeof(struct iter_seg) == sizeof(struct abi_iovec), "iovec and segment");
    *r = (struct ranges){ .n = n };
    if (n > IOV_MAX)
        return -EINVAL;
    if (!n)
        return 0;
    r->segs = heap_alloc(n * sizeof(*r->segs));
    if (!r->segs)
        return -ENOMEM;
    int err = user_get((uint8_t *)r->segs, user_cast(user_u8_in_t, user), n * sizeof(*r->segs));
    for (size_t i = 0; !err && i < n; i++) {
        if (r->segs[i].len > INT64_MAX)
            err = -EINVAL;
        else if (r->segs[i].len > INT64_MAX - r->total)
            r->segs[i].len = INT64_MAX - r->total;
        r->total += err ? 0 : r->segs[i].len;
    }
    if (err) {
        heap_free(r->segs);
        r->segs = NULL;
    }
    return err;
}

/* Move between the caller's it and [addr, addr + len) of mm. Bytes moved; less than len: no further. */
static size_t move_range(struct mm *mm, struct iter *it, uint8_t *buf, uintptr_t addr, size_t len,
                         bool write)
{
    size_t done = 0;
    while (done < len && it->left) {
        size_t want = len - done < PIECE ? len - done : PIECE, n;
        want = want < it->left ? want : it->left;
        if (write)
            n = iter_get(it, buf, want);
        else
            n = mm_access(mm, addr + done, buf, want, false, false);
        if (n && write)
            n = mm_access(mm, addr + done, buf, n, true, false);
        else if (n)
            n = iter_put(it, buf, n);
        done += n;
        if (n < want || thread_preempt_point())
            break;
    }
    return done;
}

static long move_all(struct mm *mm, struct iter *it, const struct ranges *remote, bool write)
{
    uint8_t *buf = heap_alloc(PIECE);
    size_t done = 0;
    if (!buf)
        return -ENOMEM;
    for (size_t i = 0; i < remote->n && it->left; i++) {
        const struct iter_seg *s = &remote->segs[i];
        size_t n = move_range(mm, it, buf, s->base, s->len, write);
        done += n;
        if (n < s->len)
            break;
    }
    heap_free(buf);
    return (long)done;
}

/* The mm of thread pid, if the current thread may touch it. */
static int target_mm(int pid, struct mm **ret_mm)
{
    struct thread *t = pid > 0 ? thread_find_ended(pid) : NULL;
    if (!t)
        return -ESRCH;
    int err = thread_may_access(t, ACCESS_ATTACH | ACCESS_REALCREDS);
    *ret_mm = err ? NULL : thread_mm_get(t);
    thread_put(t);
    return err ? err : *ret_mm ? 0 : -ESRCH;
}

static long transfer(int pid, const struct ranges *local, const struct ranges *remote, bool write)
{
    struct mm *mm;
    struct iter it;
    if (!local->total || !remote->total)
        return 0;
    int err = target_mm(pid, &mm);
    if (err)
        return err;
    iter_vector(&it, local->segs, local->n, local->total);
    long n = move_all(mm, &it, remote, write);
    mm_put(mm);
    return n ? n : -EFAULT;
}

static long process_vm(int pid, user_iovec_in_t lvec, unsigned long liovcnt, user_iovec_in_t rvec,
                       unsigned long riovcnt, unsigned long flags, bool write)
{
    struct ranges local, remote;
    if (flags)
        return -EINVAL;
    long n = ranges_get(&local, lvec, liovcnt);
    if (n || !local.total) {
        heap_free(local.segs);
        return n;
    }
    n = ranges_get(&remote, rvec, riovcnt);
    if (!n)
        n = transfer(pid, &local, &remote, write);
    heap_free(remote.segs);
    heap_free(local.segs);
    return n;
}

long sys_process_vm_readv(int pid, user_iovec_in_t lvec, unsigned long liovcnt,
                          user_iovec_in_t rvec, unsigned long riovcnt, unsigned long flags)
{
    return process_vm(pid, lvec, liovcnt, rvec, riovcnt, flags, false);
}

long sys_process_vm_writev(int pid, user_iovec_in_t lvec, unsigned long liovcnt,
                           user_iovec_in_t rvec, unsigned long riovcnt, unsigned long flags)
{
    return process_vm(pid, lvec, liovcnt, rvec, riovcnt, flags, true);
}

/* What kcmp compares of a thread: the object's address, which does not leave libOS. 0: none. */
static uintptr_t shared_object(struct thread *t, int type)
{
    struct mm *mm;
    struct fd_table *fds;
    struct fs_context *fs;
    switch (type) {
    case KCMP_VM:
        if ((mm = thread_mm_get(t)))
            mm_put(mm);
        return (uintptr_t)mm;
    case KCMP_FILES:
        if ((fds = thread_fds_get(t)))
            fd_table_put(fds);
        return (uintptr_t)fds;
    case KCMP_FS:
        if ((fs = thread_fs_get(t)))
            fs_context_put(fs);
        return (uintptr_t)fs;
    case KCMP_SIGHAND:
        return (uintptr_t)t->sighand;
    default:
        return 0; /* I/O contexts: there are none; semaphore undo lists are not compared */
    }
}

static uintptr_t file_object(struct thread *t, unsigned long fd)
{
    struct fd_table *fds = thread_fds_get(t);
    struct file *f = fds && fd <= INT32_MAX ? fd_table_file(fds, (int)fd) : NULL;
    if (f)
        file_put(f);
    if (fds)
        fd_table_put(fds);
    return (uintptr_t)f;
}

/* An order that says nothing about addresses. */
static int compare(uintptr_t a, uintptr_t b)
{
    static _Atomic uint64_t secret;
    uint64_t key = atomic_load(&secret), fresh = random_u64() | 1, none = 0;
    if (!key)
        key = atomic_compare_exchange_strong(&secret, &none, fresh) ? fresh : none;
    if (a == b)
        return 0;
    return (a ^ key) * key < (b ^ key) * key ? 1 : 2;
}

static long compare_threads(struct thread *a, struct thread *b, int type, unsigned long idx1,
                            unsigned long idx2)
{
    if (thread_may_access(a, ACCESS_READ | ACCESS_REALCREDS) ||
        thread_may_access(b, ACCESS_READ | ACCESS_REALCREDS))
        return -EPERM;
    if (type < KCMP_FILE || type > KCMP_EPOLL_TFD)
        return -EINVAL;
    if (type == KCMP_EPOLL_TFD)
        return -EOPNOTSUPP;
    if (type != KCMP_FILE)
        return compare(shared_object(a, type), shared_object(b, type));
    uintptr_t x = file_object(a, idx1), y = file_object(b, idx2);
    return x && y ? compare(x, y) : -EBADF;
}

long sys_kcmp(int pid1, int pid2, int type, unsigned long idx1, unsigned long idx2)
{
    struct thread *a = pid1 > 0 ? thread_find_ended(pid1) : NULL,
                  *b = pid2 > 0 ? thread_find_ended(pid2) : NULL;
    long ret = a && b ? compare_threads(a, b, type, idx1, idx2) : -ESRCH;
    if (a)
        thread_put(a);
    if (b)
        thread_put(b);
    return ret;
}
