/* SPDX-License-Identifier: MIT */
/* The file of a userfaultfd(2): messages are read, ioctl_userfaultfd(2) decoded. What happens to memory: libos/mm/uffd.c. */
#include <abi/errno.h>
#include <abi/fcntl.h>
#include <abi/poll.h>
#include <abi/prctl.h>
#include <libos/file.h>
#include <libos/iter.h>
#include <libos/poll.h>
#include <libos/process.h>
#include <libos/sched.h>
#include <libos/uffd.h>
#include <libos/user.h>
#include <libos/waitq.h>
#include <stddef.h>

enum {
    FEATURES = UFFD_FEATURE_PAGEFAULT_FLAG_WP | UFFD_FEATURE_MISSING_SHMEM | UFFD_FEATURE_SIGBUS |
               UFFD_FEATURE_THREAD_ID | UFFD_FEATURE_MINOR_SHMEM | UFFD_FEATURE_EXACT_ADDRESS |
               UFFD_FEATURE_WP_HUGETLBFS_SHMEM | UFFD_FEATURE_WP_UNPOPULATED | UFFD_FEATURE_MOVE |
               UFFD_FEATURE_EVENT_FORK | UFFD_FEATURE_EVENT_REMAP | UFFD_FEATURE_EVENT_REMOVE |
               UFFD_FEATURE_EVENT_UNMAP | UFFD_FEATURE_POISON
};

/* Bits of what ioctl can do. */
#define API_IOCTLS                                                                                 \
    (1ull << (UFFDIO_API & 0xff) | 1ull << (UFFDIO_REGISTER & 0xff) |                              \
     1ull << (UFFDIO_UNREGISTER & 0xff))

static int get(void *to, uintptr_t user, size_t n)
{
    return user_get((uint8_t *)to, user_at(user_u8_in_t, user), n);
}

static int put(uintptr_t user, const void *from, size_t n)
{
    return user_put(user_at(user_u8_out_t, user), (const uint8_t *)from, n);
}

/* UFFDIO_API. Whatever is wrong, the answer is all zeros. */
static int agree(struct uffd *u, uintptr_t user)
{
    struct abi_uffdio_api a, none = { 0 };
    if (get(&a, user, sizeof(a)))
        return -EFAULT;
    bool may = !(a.features & UFFD_FEATURE_EVENT_FORK) || cred_capable(CAP_SYS_PTRACE);
    bool good = a.api == UFFD_API && !(a.features & ~(uint64_t)FEATURES) && may &&
                uffd_agree(u, a.features);
    a = (struct abi_uffdio_api){ .api = UFFD_API, .features = FEATURES, .ioctls = API_IOCTLS };
    if (put(user, good ? &a : &none, sizeof(a)))
        return -EFAULT;
    return good ? 0 : may ? -EINVAL : -EPERM;
}

static int enlist(struct uffd *u, uintptr_t user)
{
    struct abi_uffdio_register r;
    const size_t answer = offsetof(struct abi_uffdio_register, ioctls);
    if (get(&r, user, answer))
        return -EFAULT;
    int err = uffd_register(u, r.start, r.len, r.mode, &r.ioctls);
    return err ? err : put(user + answer, &r.ioctls, sizeof(r.ioctls));
}

static int ranged(struct uffd *u, uintptr_t user,
                  int (*fn)(struct uffd *u, uintptr_t start, uint64_t len))
{
    struct abi_uffdio_range r;
    return get(&r, user, sizeof(r)) ? -EFAULT : fn(u, r.start, r.len);
}

static int fill(struct uffd *u, uintptr_t user, enum uffd_fill how)
{
    struct abi_uffdio_copy c;
    struct abi_uffdio_fill f;
    int64_t done = 0;
    bool copies = how == UFFD_FILL_COPY;
    size_t answer =
        copies ? offsetof(struct abi_uffdio_copy, copy) : offsetof(struct abi_uffdio_fill, done);
    if (get(copies ? (void *)&c : &f, user, answer))
        return -EFAULT;
    if (!copies)
        c = (struct abi_uffdio_copy){ .dst = f.start, .len = f.len, .mode = f.mode };
    int err = uffd_fill(u, how, &c, &done);
    if (done && put(user + answer, &done, sizeof(done)))
        return -EFAULT;
    return err;
}

static int move(struct uffd *u, uintptr_t user)
{
    const size_t answer = offsetof(struct abi_uffdio_copy, copy);
    struct abi_uffdio_copy m;
    int64_t done = 0;
    if (get(&m, user, answer))
        return -EFAULT;
    int err = uffd_move(u, &m, &done);
    return done && put(user + answer, &done, sizeof(done)) ? -EFAULT : err;
}

static int protect(struct uffd *u, uintptr_t user)
{
    struct abi_uffdio_writeprotect w;
    return get(&w, user, sizeof(w)) ? -EFAULT : uffd_protect(u, w.start, w.len, w.mode);
}

static long uffd_ioctl(struct file *f, unsigned cmd, unsigned long arg)
{
    struct uffd *u = f->data;
    if (cmd != UFFDIO_API && !uffd_agreed(u))
        return -EINVAL;
    switch (cmd) {
    case UFFDIO_API:
        return agree(u, arg);
    case UFFDIO_REGISTER:
        return enlist(u, arg);
    case UFFDIO_UNREGISTER:
        return ranged(u, arg, uffd_unregister);
    case UFFDIO_WAKE:
        return ranged(u, arg, uffd_wake);
    case UFFDIO_COPY:
        return fill(u, arg, UFFD_FILL_COPY);
    case UFFDIO_ZEROPAGE:
        return fill(u, arg, UFFD_FILL_ZERO);
    case UFFDIO_CONTINUE:
        return fill(u, arg, UFFD_FILL_MINOR);
    case UFFDIO_POISON:
        return fill(u, arg, UFFD_FILL_POISON);
    case UFFDIO_MOVE:
        return move(u, arg);
    case UFFDIO_WRITEPROTECT:
        return protect(u, arg);
    default:
        return -EINVAL;
    }
}

static const struct file_ops uffd_ops;

/* A fork is told by a descriptor for the child's memory. Without one the message stays. */
static int open_child(struct uffd *u, struct uffd *child, struct abi_uffd_msg *msg)
{
    struct file *f;
    unsigned flags = uffd_open_flags(child);
    int fd =
        file_create_anon(&uffd_ops, "[userfaultfd]", O_RDONLY | (flags & O_NONBLOCK), child, &f);
    bool made = !fd;
    if (made) {
        file_get(f);
        fd = fd_install(f, flags & O_CLOEXEC);
        if (fd < 0)
            f->data = NULL; /* child is not its own any more */
    }
    uffd_forked(u, child, fd >= 0);
    if (made)
        file_put(f);
    msg->flags = (uint64_t)fd;
    return fd < 0 ? fd : 0;
}

static ssize_type uffd_read(struct file *f, struct iter *it, uint64_t *pos)
{
    struct uffd *u = f->data;
    struct abi_uffd_msg msg;
    struct uffd *child;
    ssize_type done = 0;
    (void)pos;
    if (!uffd_agreed(u) || it->left < sizeof(msg))
        return -EINVAL;
    while (it->left >= sizeof(msg)) {
        while (!uffd_next(u, &msg, &child)) {
            if (done)
                return done;
            if (file_nowait(f, it))
                return -EAGAIN;
            if (WAIT_EVENT(uffd_readers(u), SLEEP_INTERRUPTIBLE, NO_DEADLINE,
                           uffd_next(u, NULL, NULL)))
                return -ERESTARTSYS;
        }
        int err = child ? open_child(u, child, &msg) : 0;
        if (err)
            return done ? done : err;
        if (iter_put(it, &msg, sizeof(msg)) < sizeof(msg))
            return done ? done : -EFAULT;
        done += (ssize_type)sizeof(msg);
    }
    return done;
}

/* Who would block in a read gets no promises, as on Linux: a fault may be gone before it is read. */
static unsigned uffd_poll(struct file *f, struct poll_table *pt)
{
    struct uffd *u = f->data;
    poll_wait(pt, uffd_readers(u));
    if (!uffd_agreed(u) || !(f->flags & O_NONBLOCK))
        return EPOLLERR;
    return uffd_next(u, NULL, NULL) ? EPOLLIN : 0;
}

static void uffd_release(struct file *f)
{
    if (f->data)
        uffd_destroy(f->data);
}

static const struct file_ops uffd_ops = {
    .read = uffd_read, .ioctl = uffd_ioctl, .poll = uffd_poll, .release = uffd_release
};

int uffd_file_create(bool user_only, unsigned flags, struct file **ret_file)
{
    struct uffd *u = uffd_create(user_only, flags);
    if (!u)
        return -ENOMEM;
    int err =
        file_create_anon(&uffd_ops, "[userfaultfd]", O_RDONLY | (flags & O_NONBLOCK), u, ret_file);
    if (err)
        uffd_destroy(u);
    return err;
}
