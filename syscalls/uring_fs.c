/* SPDX-License-Identifier: MIT */
/* io_uring: names, descriptors and what is known about files. Names are copied in when the entry is taken. */
#include "uring_op.h"
#include "name.h"
#include "sys_proto.h"

#include <abi/errno.h>
#include <abi/stat.h>
#include <abi/xattr.h>
#include <libos/epoll.h>
#include <libos/heap.h>
#include <libos/process.h>
#include <libos/xattr.h>
#include <string.h>

#define OPEN_KNOWN                                                                                 \
    (O_ACCMODE | O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC | O_APPEND | O_NONBLOCK | O_DSYNC |         \
     O_ASYNC | O_DIRECT | O_LARGEFILE | O_DIRECTORY | O_NOFOLLOW | O_NOATIME | O_CLOEXEC |         \
     O_SYNC | O_PATH | O_TMPFILE)

struct names {
    struct name one, two;
    bool has_two;
    struct abi_open_how how;
};

void uring_free_names(struct uring_req *r)
{
    struct names *n = r->data;
    name_put(&n->one);
    if (n->has_two)
        name_put(&n->two);
    heap_free(n);
}

static int names_get(struct uring_req *r, uintptr_t one)
{
    struct names *n = heap_alloc(sizeof(*n));
    if (!n)
        return -ENOMEM;
    n->has_two = false;
    int err = name_get(&n->one, user_at(user_str_t, one));
    if (err) {
        heap_free(n);
        return err;
    }
    r->data = n;
    return 0;
}

static const struct names *names_of(const struct uring_req *r)
{
    return r->data;
}

/* ---- open, close ---- */

int uring_prep_openat(struct uring_req *r)
{
    const struct abi_io_uring_sqe *s = &r->sqe;
    if (s->buf_index)
        return -EINVAL;
    if (s->flags & IOSQE_FIXED_FILE)
        return -EBADF;
    unsigned flags = s->rw_flags & OPEN_KNOWN;
    if (s->file_index && flags & O_CLOEXEC)
        return -EINVAL; /* a slot has no such thing */
    int err = names_get(r, s->addr);
    if (!err)
        ((struct names *)r->data)->how =
            (struct abi_open_how){ .flags = flags | (flags & O_PATH ? 0 : O_LARGEFILE),
                                   .mode = s->len & 07777 };
    return err;
}

int uring_prep_openat2(struct uring_req *r)
{
    const struct abi_io_uring_sqe *s = &r->sqe;
    struct abi_open_how how;
    if (s->buf_index)
        return -EINVAL;
    if (s->flags & IOSQE_FIXED_FILE)
        return -EBADF;
    int err = open_how_get(&how, user_at(user_open_how_in_t, s->off), s->len);
    if (!err && s->file_index && how.flags & O_CLOEXEC)
        err = -EINVAL;
    if (!err)
        err = names_get(r, s->addr);
    if (err)
        return err;
    if (!(how.flags & O_PATH))
        how.flags |= O_LARGEFILE;
    ((struct names *)r->data)->how = how;
    return 0;
}

/* Linux tries without waiting first, so a named pipe's open does not wait for its other end unless IOSQE_ASYNC is set. */
static int open_file(const struct uring_req *r, struct file **ret)
{
    const struct names *n = names_of(r);
    const struct abi_open_how *how = &n->how;
    unsigned flags = (unsigned)how->flags;
    bool makes = flags & (O_CREAT | O_TRUNC | (O_TMPFILE & ~O_DIRECTORY));
    bool quick = !(r->sqe.flags & IOSQE_ASYNC) && !makes && !(flags & (O_NONBLOCK | O_PATH));
    int err = path_open(r->sqe.fd, n->one.text, flags | (quick ? O_NONBLOCK : 0),
                        (uint32_t)how->mode, open_how_walk(how), ret);
    if (!err && quick)
        atomic_fetch_and(&(*ret)->flags, ~(uint32_t)O_NONBLOCK);
    return err;
}

long uring_op_open(struct uring_req *r, unsigned flags)
{
    const struct names *n = names_of(r);
    struct file *f;
    long err = open_file(r, &f);
    if (err)
        return err == -ERESTARTSYS ? -EINTR : err;
    return uring_install(r, f, r->sqe.file_index, n->how.flags & O_CLOEXEC, flags);
}

int uring_prep_close(struct uring_req *r)
{
    const struct abi_io_uring_sqe *s = &r->sqe;
    if (s->off || s->addr || s->len || s->rw_flags || s->buf_index)
        return -EINVAL;
    if (s->flags & IOSQE_FIXED_FILE)
        return -EBADF;
    return s->file_index && s->fd ? -EINVAL : 0;
}

long uring_op_close(struct uring_req *r, unsigned flags)
{
    struct file *f;
    if (r->sqe.file_index)
        return uring_close_slot(r->ring, r->sqe.file_index - 1, flags);
    int err = fd_get_any(r->sqe.fd, &f);
    if (err)
        return err;
    bool ring = uring_of(f);
    bool waits = f->ops && f->ops->flush && !(flags & URING_MAY_WAIT);
    file_put(f);
    if (ring)
        return -EBADF;
    if (waits)
        return -EAGAIN;
    err = fd_close(r->sqe.fd);
    return err == -ERESTARTSYS ? -EINTR : err;
}

int uring_prep_files_update(struct uring_req *r)
{
    const struct abi_io_uring_sqe *s = &r->sqe;
    if (s->flags & (IOSQE_FIXED_FILE | IOSQE_BUFFER_SELECT) || s->rw_flags || s->file_index ||
        !s->len)
        return -EINVAL;
    return 0;
}

/* ---- names ---- */

int uring_prep_name(struct uring_req *r)
{
    const struct abi_io_uring_sqe *s = &r->sqe;
    bool make = s->opcode == IORING_OP_MKDIRAT;
    if (s->off || s->buf_index || s->file_index || (make ? s->rw_flags : s->len))
        return -EINVAL;
    if (s->flags & IOSQE_FIXED_FILE)
        return -EBADF;
    if (!make && s->rw_flags & ~(uint32_t)AT_REMOVEDIR)
        return -EINVAL;
    return names_get(r, s->addr);
}

int uring_prep_two_names(struct uring_req *r)
{
    const struct abi_io_uring_sqe *s = &r->sqe;
    bool symlink = s->opcode == IORING_OP_SYMLINKAT;
    if (s->buf_index || s->file_index || (symlink && (s->len || s->rw_flags)))
        return -EINVAL;
    if (s->flags & IOSQE_FIXED_FILE)
        return -EBADF;
    int err = names_get(r, s->addr);
    struct names *n = r->data; /* freed with the request, whatever happens to the second one */
    if (!err && !(err = name_get(&n->two, user_at(user_str_t, s->off))))
        n->has_two = true;
    return err;
}

long uring_op_unlinkat(struct uring_req *r, unsigned flags)
{
    return vfs_unlink(r->sqe.fd, names_of(r)->one.text, r->sqe.rw_flags & AT_REMOVEDIR);
}

long uring_op_mkdirat(struct uring_req *r, unsigned flags)
{
    return vfs_mknod(r->sqe.fd, names_of(r)->one.text, S_IFDIR | (r->sqe.len & 01777), 0);
}

long uring_op_symlinkat(struct uring_req *r, unsigned flags)
{
    const struct names *n = names_of(r);
    return vfs_symlink(n->one.text, r->sqe.fd, n->two.text);
}

long uring_op_renameat(struct uring_req *r, unsigned flags)
{
    const struct names *n = names_of(r);
    const uint32_t how = r->sqe.rw_flags;
    if (how & ~(uint32_t)(RENAME_NOREPLACE | RENAME_EXCHANGE | RENAME_WHITEOUT))
        return -EINVAL;
    return vfs_rename(r->sqe.fd, n->one.text, (int)r->sqe.len, n->two.text, how);
}

long uring_op_linkat(struct uring_req *r, unsigned flags)
{
    const struct names *n = names_of(r);
    uint32_t how = r->sqe.rw_flags;
    struct path from;
    if (how & ~(uint32_t)(AT_SYMLINK_FOLLOW | AT_EMPTY_PATH))
        return -EINVAL;
    bool empty = how & AT_EMPTY_PATH && cred_capable(CAP_DAC_READ_SEARCH);
    int err =
        path_walk(r->sqe.fd, n->one.text,
                  (how & AT_SYMLINK_FOLLOW ? WALK_FOLLOW : 0) | (empty ? WALK_EMPTY : 0), &from);
    if (err)
        return err;
    err = vfs_link(&from, (int)r->sqe.len, n->two.text);
    path_put(&from);
    return err;
}

int uring_prep_statx(struct uring_req *r)
{
    const struct abi_io_uring_sqe *s = &r->sqe;
    if (s->buf_index || s->file_index)
        return -EINVAL;
    if (s->flags & IOSQE_FIXED_FILE)
        return -EBADF;
    return names_get(r, s->addr);
}

long uring_op_statx(struct uring_req *r, unsigned flags)
{
    const uint32_t sync = AT_STATX_FORCE_SYNC | AT_STATX_DONT_SYNC, how = r->sqe.rw_flags;
    struct abi_statx x;
    struct path p;
    if (r->sqe.len & STATX__RESERVED || (how & sync) == sync ||
        how & ~(AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_EMPTY_PATH | sync))
        return -EINVAL;
    long err = path_walk(
        r->sqe.fd, names_of(r)->one.text,
        (how & AT_SYMLINK_NOFOLLOW ? 0 : WALK_FOLLOW) | (how & AT_EMPTY_PATH ? WALK_EMPTY : 0), &p);
    if (err)
        return err;
    err = statx_fill(&p, r->sqe.len, &x);
    path_put(&p);
    return err ? err : user_put(user_at(user_statx_out_t, r->sqe.off), &x, 1);
}

/* ---- extended attributes ---- */

struct xattr {
    char name[XATTR_NAME_MAX + 1];
    struct name path;
    bool has_path;
    uint8_t *value; /* to be set; NULL */
};

void uring_free_xattr(struct uring_req *r)
{
    struct xattr *x = r->data;
    if (x->has_path)
        name_put(&x->path);
    heap_free(x->value);
    heap_free(x);
}

static bool sets(const struct uring_req *r)
{
    return r->sqe.opcode == IORING_OP_SETXATTR || r->sqe.opcode == IORING_OP_FSETXATTR;
}

static int xattr_fetch(struct uring_req *r, struct xattr *x)
{
    const struct abi_io_uring_sqe *s = &r->sqe;
    long len = user_str(x->name, sizeof(x->name), user_at(user_str_t, s->addr));
    if (len == -ENAMETOOLONG || len == 0)
        return -ERANGE;
    if (len < 0)
        return (int)len;
    if (!r->op->file) {
        int err = name_get(&x->path, user_at(user_str_t, s->addr3));
        x->has_path = !err;
        if (err)
            return err;
    }
    if (!sets(r))
        return 0;
    if (s->len > XATTR_SIZE_MAX)
        return -E2BIG;
    x->value = heap_alloc(s->len ? s->len : 1);
    return x->value ? user_get(x->value, user_at(user_u8_in_t, s->off), s->len) : -ENOMEM;
}

int uring_prep_xattr(struct uring_req *r)
{
    const struct abi_io_uring_sqe *s = &r->sqe;
    const uint32_t known = sets(r) ? XATTR_CREATE | XATTR_REPLACE : 0;
    if (!r->op->file && s->flags & IOSQE_FIXED_FILE)
        return -EBADF;
    if (s->rw_flags & ~known)
        return -EINVAL;
    struct xattr *x = heap_zalloc(sizeof(*x));
    if (!x)
        return -ENOMEM;
    r->data = x;
    return xattr_fetch(r, x);
}

static long get_value(struct uring_req *r, const struct path *p, const struct xattr *x)
{
    size_t size = r->sqe.len < XATTR_SIZE_MAX ? r->sqe.len : XATTR_SIZE_MAX;
    char *buf = size ? heap_alloc(size) : NULL;
    if (size && !buf)
        return -ENOMEM;
    long n = path_getxattr(p, x->name, buf, size);
    if (n > 0 && size && user_put(user_at(user_u8_out_t, r->sqe.off), (uint8_t *)buf, (size_t)n))
        n = -EFAULT;
    heap_free(buf);
    return n;
}

long uring_op_xattr(struct uring_req *r, unsigned flags)
{
    const struct xattr *x = r->data;
    struct path p;
    if (r->op->file) {
        p = r->file->path;
        path_get(&p);
    } else {
        int err = path_walk(AT_FDCWD, x->path.text, WALK_FOLLOW, &p);
        if (err)
            return err;
    }
    long n = sets(r) ? path_setxattr(&p, x->name, x->value, r->sqe.len, (int)r->sqe.rw_flags)
                     : get_value(r, &p, x);
    path_put(&p);
    return n;
}

/* ---- epoll, other rings ---- */

int uring_prep_epoll_ctl(struct uring_req *r)
{
    const struct abi_io_uring_sqe *s = &r->sqe;
    struct abi_epoll_event *e = (struct abi_epoll_event *)r->priv;
    if (s->buf_index || s->file_index)
        return -EINVAL;
    if (s->len == EPOLL_CTL_DEL)
        return 0;
    return user_get(e, user_at(user_epoll_event_in_t, s->addr), 1);
}

long uring_op_epoll_ctl(struct uring_req *r, unsigned flags)
{
    const struct abi_io_uring_sqe *s = &r->sqe;
    struct file *epoll, *target;
    int err = fd_get(s->fd, &epoll);
    if (err)
        return err;
    err = fd_get((int)s->off, &target);
    if (!err) {
        err = epoll_control(epoll, (int)s->len, (int)s->off, target,
                            (const struct abi_epoll_event *)r->priv);
        file_put(target);
    }
    file_put(epoll);
    return err;
}

int uring_prep_msg_ring(struct uring_req *r)
{
    const struct abi_io_uring_sqe *s = &r->sqe;
    if (s->buf_index || s->personality)
        return -EINVAL;
    if (s->rw_flags & ~(uint32_t)IORING_MSG_RING_CQE_SKIP)
        return -EINVAL;
    return 0;
}

/* Give the file in one of r's slots to a slot of another ring. */
static long send_file(struct uring_req *r, struct uring *to, unsigned flags)
{
    const struct abi_io_uring_sqe *s = &r->sqe;
    struct file *f;
    if (to == r->ring || s->len)
        return -EINVAL;
    if (flags & URING_LOCKED)
        return -EAGAIN; /* its lock is of the same rank as the one that is held */
    int err = uring_slot_file(r->ring, (uint32_t)s->addr3, flags, &f);
    if (err)
        return err;
    long n = uring_send_file(to, f, s->file_index);
    if (n < 0 || s->rw_flags & IORING_MSG_RING_CQE_SKIP)
        return n;
    err = uring_post_to(to, s->off, (int32_t)n, 0);
    return err ? err : n;
}

long uring_op_msg_ring(struct uring_req *r, unsigned flags)
{
    const struct abi_io_uring_sqe *s = &r->sqe;
    struct uring *to = uring_of(r->file);
    if (!to)
        return -EBADFD;
    switch (s->addr) {
    case IORING_MSG_DATA:
        if (s->addr3 || s->file_index || s->rw_flags & IORING_MSG_RING_CQE_SKIP)
            return -EINVAL;
        return uring_post_to(to, s->off, (int32_t)s->len, 0);
    case IORING_MSG_SEND_FD:
        return send_file(r, to, flags);
    default:
        return -EINVAL;
    }
}
