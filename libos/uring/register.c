/* SPDX-License-Identifier: MIT */
/* io_uring_register(2): everything that is set up once for a ring. u->submit is held. */
#include "uring_int.h"

#include <abi/errno.h>
#include <libos/event.h>
#include <libos/heap.h>
#include <libos/process.h>
#include <libos/sched.h>
#include <libos/user.h>
#include <string.h>

enum { PERSONALITIES_MAX = 65535, OPS = 64, RESTRICTIONS_MAX = 256 };

struct uring_restrictions {
    uint64_t ops;      /* bits: entries that may be submitted */
    uint64_t requests; /* bits: opcodes of io_uring_register */
    bool ops_limited, requests_limited, active;
    uint8_t flags_allowed, flags_required;
};

int uring_restricted(const struct uring *u, const struct abi_io_uring_sqe *sqe)
{
    const struct uring_restrictions *x = u->restrictions;
    if (!x->active || !x->ops_limited)
        return 0;
    if (sqe->opcode >= OPS || !(x->ops >> sqe->opcode & 1))
        return -EACCES;
    if ((sqe->flags & x->flags_required) != x->flags_required)
        return -EACCES;
    return sqe->flags & ~(x->flags_allowed | x->flags_required) ? -EACCES : 0;
}

static int apply(struct uring_restrictions *x, const struct abi_io_uring_restriction *r)
{
    switch (r->opcode) {
    case IORING_RESTRICTION_REGISTER_OP:
        if (r->register_op > IORING_REGISTER_FILE_ALLOC_RANGE)
            return -EINVAL;
        x->requests |= 1ull << r->register_op;
        x->requests_limited = true;
        return 0;
    case IORING_RESTRICTION_SQE_OP:
        if (r->register_op >= OPS)
            return -EINVAL;
        x->ops |= 1ull << r->register_op;
        x->ops_limited = true;
        return 0;
    case IORING_RESTRICTION_SQE_FLAGS_ALLOWED:
        x->flags_allowed = r->register_op;
        x->ops_limited = true;
        return 0;
    case IORING_RESTRICTION_SQE_FLAGS_REQUIRED:
        x->flags_required = r->register_op;
        x->ops_limited = true;
        return 0;
    default:
        return -EINVAL;
    }
}

static long restrict_ring(struct uring *u, uintptr_t arg, uint32_t nr)
{
    typedef USER(const struct abi_io_uring_restriction) user_restriction_in_t;
    struct abi_io_uring_restriction r;
    if (u->enabled)
        return -EBADFD;
    if (u->restrictions)
        return -EBUSY;
    if (!arg || nr > RESTRICTIONS_MAX)
        return -EINVAL;
    struct uring_restrictions *x = heap_zalloc(sizeof(*x));
    int err = x ? 0 : -ENOMEM;
    for (uint32_t i = 0; i < nr && !err; i++) {
        err = user_get(&r, user_advance(user_at(user_restriction_in_t, arg), i), 1);
        if (!err)
            err = apply(x, &r);
    }
    if (err) {
        heap_free(x);
        return err;
    }
    u->restrictions = x;
    return 0;
}

static long enable(struct uring *u)
{
    if (u->enabled)
        return -EBADFD;
    struct uring_task *task = uring_task();
    if (!task)
        return -ENOMEM;
    if (u->flags & IORING_SETUP_SINGLE_ISSUER && !u->submitter) {
        atomic_fetch_add(&task->refs, 1);
        u->submitter = task;
    }
    if (u->restrictions)
        u->restrictions->active = true;
    u->enabled = true;
    return u->sq ? uring_sq_poke(u, IORING_ENTER_SQ_WAKEUP) : 0;
}

static long set_eventfd(struct uring *u, uintptr_t arg, bool async)
{
    struct file *f;
    int fd;
    if (u->eventfd)
        return -EBUSY;
    if (user_get(&fd, user_at(user_int_in_t, arg), 1))
        return -EFAULT;
    int err = fd_get(fd, &f);
    if (!err && !file_is_eventfd(f)) {
        file_put(f);
        err = -EINVAL;
    }
    if (err)
        return err;
    spin_lock(&u->lock);
    u->eventfd = f;
    u->eventfd_async = async;
    spin_unlock(&u->lock);
    return 0;
}

static long clear_eventfd(struct uring *u)
{
    spin_lock(&u->lock);
    struct file *f = u->eventfd;
    u->eventfd = NULL;
    spin_unlock(&u->lock);
    if (!f)
        return -ENXIO;
    file_put(f);
    return 0;
}

static long probe(struct uring *u, uintptr_t arg, uint32_t nr)
{
    typedef USER(struct abi_io_uring_probe) user_probe_t;
    typedef USER(struct abi_io_uring_probe_op) user_probe_op_t;
    typedef USER(const struct abi_io_uring_probe) user_probe_in_t;
    struct abi_io_uring_probe p, zero = { 0 };
    if (nr > 256)
        return -EINVAL;
    if (user_get(&p, user_at(user_probe_in_t, arg), 1))
        return -EFAULT;
    if (memcmp(&p, &zero, sizeof(p)))
        return -EINVAL;
    if (nr > u->nops)
        nr = u->nops;
    p.last_op = (uint8_t)(u->nops - 1);
    p.ops_len = (uint8_t)nr;
    if (user_put(user_at(user_probe_t, arg), &p, 1))
        return -EFAULT;
    for (uint32_t i = 0; i < nr; i++) {
        struct abi_io_uring_probe_op op = { .op = (uint8_t)i };
        if (u->ops[i].issue)
            op.flags = IO_URING_OP_SUPPORTED;
        if (user_put(user_advance(user_at(user_probe_op_t, arg + sizeof(p)), i), &op, 1))
            return -EFAULT;
    }
    return 0;
}

static long add_personality(struct uring *u)
{
    uint32_t i = 0;
    while (i < u->npersonalities && u->personalities[i])
        i++;
    if (i == PERSONALITIES_MAX)
        return -ENOSPC;
    if (i == u->npersonalities) {
        struct cred **more =
            heap_realloc(u->personalities, i * sizeof(more[0]), (i + 1) * sizeof(more[0]));
        if (!more)
            return -ENOMEM;
        u->personalities = more;
        u->npersonalities++;
    }
    u->personalities[i] = cred_get(thread_current()->cred);
    return (long)i + 1;
}

static long remove_personality(struct uring *u, uint32_t id)
{
    if (!id || id > u->npersonalities || !u->personalities[id - 1])
        return -EINVAL;
    cred_put(u->personalities[id - 1]);
    u->personalities[id - 1] = NULL;
    return 0;
}

static long max_workers(struct uring *u, uintptr_t arg)
{
    struct uring_task *t = uring_task();
    uint32_t new[2], old[2];
    (void)u;
    if (!t)
        return -ENOMEM;
    if (user_get(new, user_at(user_uint_in_t, arg), 2))
        return -EFAULT;
    if (new[0] > INT32_MAX || new[1] > INT32_MAX)
        return -EINVAL;
    spin_lock(&t->lock);
    for (int i = 0; i < 2; i++) {
        old[i] = t->queue[i].max;
        if (new[i])
            t->queue[i].max = new[i];
    }
    spin_unlock(&t->lock);
    return user_put(user_at(user_uint_out_t, arg), old, 2);
}

/* ---- files and buffers ---- */

static long register_tagged(struct uring *u, uintptr_t arg, uint32_t size, bool files)
{
    typedef USER(const struct abi_io_uring_rsrc_register) user_rsrc_in_t;
    struct abi_io_uring_rsrc_register r;
    if (size != sizeof(r))
        return -EINVAL;
    if (user_get(&r, user_at(user_rsrc_in_t, arg), 1))
        return -EFAULT;
    if (!r.nr || r.resv2 || r.flags & ~(uint32_t)IORING_RSRC_REGISTER_SPARSE)
        return -EINVAL;
    bool sparse = r.flags & IORING_RSRC_REGISTER_SPARSE;
    if (sparse && r.data)
        return -EINVAL;
    return files ? uring_register_files(u, r.data, r.tags, r.nr, sparse)
                 : uring_register_buffers(u, r.data, r.tags, r.nr, sparse);
}

static long update_tagged(struct uring *u, uintptr_t arg, uint32_t size, bool files)
{
    typedef USER(const struct abi_io_uring_rsrc_update2) user_update_in_t;
    struct abi_io_uring_rsrc_update2 up;
    if (size != sizeof(up))
        return -EINVAL;
    if (user_get(&up, user_at(user_update_in_t, arg), 1))
        return -EFAULT;
    if (!up.nr || up.resv || up.resv2)
        return -EINVAL;
    return uring_update(u, files, &up);
}

static long update_files(struct uring *u, uintptr_t arg, uint32_t nr)
{
    typedef USER(const struct abi_io_uring_files_update) user_update_in_t;
    struct abi_io_uring_files_update old;
    if (!nr)
        return -EINVAL;
    if (user_get(&old, user_at(user_update_in_t, arg), 1))
        return -EFAULT;
    if (old.resv)
        return -EINVAL;
    const struct abi_io_uring_rsrc_update2 up = { .offset = old.offset,
                                                  .data = old.data,
                                                  .nr = nr };
    return uring_update(u, true, &up);
}

static long alloc_range(struct uring *u, uintptr_t arg)
{
    typedef USER(const struct abi_io_uring_file_index_range) user_range_in_t;
    struct abi_io_uring_file_index_range r;
    if (user_get(&r, user_at(user_range_in_t, arg), 1))
        return -EFAULT;
    return r.resv ? -EINVAL : uring_alloc_range(u, r.off, r.len);
}

static long dispatch(struct uring *u, unsigned opcode, uintptr_t arg, uint32_t nr)
{
    switch (opcode) {
    case IORING_REGISTER_BUFFERS:
        return arg ? uring_register_buffers(u, arg, 0, nr, false) : -EFAULT;
    case IORING_UNREGISTER_BUFFERS:
        return arg || nr ? -EINVAL : uring_unregister(&u->buffers);
    case IORING_REGISTER_FILES:
        return arg ? uring_register_files(u, arg, 0, nr, false) : -EFAULT;
    case IORING_UNREGISTER_FILES:
        return arg || nr ? -EINVAL : uring_unregister(&u->files);
    case IORING_REGISTER_EVENTFD:
    case IORING_REGISTER_EVENTFD_ASYNC:
        return nr != 1 ? -EINVAL : set_eventfd(u, arg, opcode == IORING_REGISTER_EVENTFD_ASYNC);
    case IORING_UNREGISTER_EVENTFD:
        return arg || nr ? -EINVAL : clear_eventfd(u);
    case IORING_REGISTER_FILES_UPDATE:
        return update_files(u, arg, nr);
    case IORING_REGISTER_PROBE:
        return arg ? probe(u, arg, nr) : -EINVAL;
    case IORING_REGISTER_PERSONALITY:
        return arg || nr ? -EINVAL : add_personality(u);
    case IORING_UNREGISTER_PERSONALITY:
        return arg ? -EINVAL : remove_personality(u, nr);
    case IORING_REGISTER_RESTRICTIONS:
        return restrict_ring(u, arg, nr);
    case IORING_REGISTER_ENABLE_RINGS:
        return arg || nr ? -EINVAL : enable(u);
    case IORING_REGISTER_FILES2:
    case IORING_REGISTER_BUFFERS2:
        return register_tagged(u, arg, nr, opcode == IORING_REGISTER_FILES2);
    case IORING_REGISTER_FILES_UPDATE2:
    case IORING_REGISTER_BUFFERS_UPDATE:
        return update_tagged(u, arg, nr, opcode == IORING_REGISTER_FILES_UPDATE2);
    case IORING_REGISTER_IOWQ_MAX_WORKERS:
        return !arg || nr != 2 ? -EINVAL : max_workers(u, arg);
    case IORING_REGISTER_PBUF_RING:
        return !arg || nr != 1 ? -EINVAL : uring_pbuf_register(u, arg);
    case IORING_UNREGISTER_PBUF_RING:
        return !arg || nr != 1 ? -EINVAL : uring_pbuf_unregister(u, arg);
    case IORING_REGISTER_SYNC_CANCEL:
        return !arg || nr != 1 ? -EINVAL : uring_sync_cancel(u, arg);
    case IORING_REGISTER_FILE_ALLOC_RANGE:
        return !arg || nr ? -EINVAL : alloc_range(u, arg);
    default:
        return -EINVAL;
    }
}

long uring_register(struct uring *u, unsigned opcode, uintptr_t arg, uint32_t nr)
{
    long ret;
    mutex_lock(&u->submit);
    const struct uring_restrictions *x = u->restrictions;
    if (u->submitter && u->submitter != thread_current()->uring)
        ret = -EEXIST;
    else if (x && x->active && x->requests_limited &&
             (opcode >= 64 || !(x->requests >> opcode & 1)))
        ret = -EACCES;
    else
        ret = dispatch(u, opcode, arg, nr);
    mutex_unlock(&u->submit);
    return ret;
}

/* ---- rings registered with the thread ---- */

int uring_registered(unsigned index, struct file **ret_file)
{
    struct uring_task *t = thread_current()->uring;
    if (!t || index >= URING_RINGS_MAX)
        return -EINVAL;
    struct file *f = t->rings[index];
    if (!f)
        return -EBADF;
    file_get(f);
    *ret_file = f;
    return 0;
}

static long add_ring(struct uring_task *t, struct abi_io_uring_files_update *up)
{
    uint32_t i = up->offset, end = i + 1;
    struct file *f;
    if (i == UINT32_MAX) {
        i = 0;
        end = URING_RINGS_MAX;
    }
    if (i >= URING_RINGS_MAX)
        return -EINVAL;
    while (i < end && t->rings[i])
        i++;
    if (i == end)
        return -EBUSY;
    int err = fd_get((int)up->data, &f);
    if (err)
        return err;
    if (!uring_of(f)) {
        file_put(f);
        return -EOPNOTSUPP;
    }
    t->rings[i] = f;
    up->offset = i;
    return 0;
}

static long remove_ring(struct uring_task *t, const struct abi_io_uring_files_update *up)
{
    if (up->data || up->offset >= URING_RINGS_MAX)
        return -EINVAL;
    struct file *f = t->rings[up->offset];
    t->rings[up->offset] = NULL;
    if (f)
        file_put(f);
    return 0;
}

long uring_register_ring_fds(uintptr_t arg, uint32_t nr, bool add)
{
    typedef USER(struct abi_io_uring_files_update) user_update_t;
    typedef USER(const struct abi_io_uring_files_update) user_update_in_t;
    struct uring_task *t = uring_task();
    uint32_t i = 0;
    long err = 0;
    if (!nr || nr > URING_RINGS_MAX)
        return -EINVAL;
    if (!t)
        return -ENOMEM;
    for (; i < nr && !err; i++) {
        struct abi_io_uring_files_update up;
        if (user_get(&up, user_advance(user_at(user_update_in_t, arg), i), 1))
            err = -EFAULT;
        else if (up.resv)
            err = -EINVAL;
        else
            err = add ? add_ring(t, &up) : remove_ring(t, &up);
        if (!err && add && user_put(user_advance(user_at(user_update_t, arg), i), &up, 1))
            err = -EFAULT;
        if (err)
            break;
    }
    return i ? (long)i : err;
}
