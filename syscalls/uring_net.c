/* SPDX-License-Identifier: MIT */
/* io_uring: sockets. */
#include "message.h"
#include "sockaddr.h"
#include "uring_op.h"

#include <abi/errno.h>
#include <libos/heap.h>
#include <string.h>

#define RECVSEND_KNOWN (IORING_RECVSEND_POLL_FIRST | IORING_RECV_MULTISHOT)
#define KERNEL_ONLY    0x80000000u /* MSG_CMSG_COMPAT */

/* The socket of r, unless r is to wait first: -EAGAIN then. -ENOTSOCK. */
static int socket_for(struct uring_req *r, struct socket **ret)
{
    *ret = socket_of(r->file);
    if (UNLIKELY(!*ret))
        return -ENOTSOCK;
    if (r->sqe.ioprio & IORING_RECVSEND_POLL_FIRST && !(r->flags & URING_F_POLLED))
        return -EAGAIN;
    return 0;
}

static unsigned message_flags(const struct uring_req *r, unsigned flags)
{
    return r->sqe.rw_flags | (flags & URING_MAY_WAIT ? 0 : MSG_DONTWAIT);
}

static int prep_flags(struct uring_req *r, unsigned known)
{
    if (r->sqe.ioprio & ~known)
        return -EINVAL;
    if (r->sqe.rw_flags & KERNEL_ONLY)
        return -EINVAL;
    if (r->sqe.rw_flags & MSG_DONTWAIT)
        r->flags |= URING_F_NOWAIT;
    return 0;
}

/* A transfer of n of want bytes on a stream, where all of it was asked for (MSG_WAITALL): go on. */
static bool short_of(struct uring_req *r, long n, size_t want, unsigned flags)
{
    const struct socket *s = socket_of(r->file);
    bool stream = s->type == SOCK_STREAM || s->type == SOCK_SEQPACKET;
    if (n <= 0 || (size_t)n >= want || !(r->sqe.rw_flags & MSG_WAITALL) || !stream ||
        flags & URING_MAY_WAIT)
        return false;
    r->done += (size_t)n;
    return true;
}

/* The result with what earlier tries did. */
static long with_done(struct uring_req *r, long n, size_t want)
{
    if (n == -ERESTARTSYS)
        n = -EINTR;
    if (r->done)
        n = n > 0 ? n + (long)r->done : (long)r->done;
    if (UNLIKELY(r->sqe.rw_flags & MSG_WAITALL) && n >= 0 && (size_t)n < want)
        r->flags |= URING_F_FAIL; /* the chain ends */
    return n;
}

/* ---- SEND ---- */

/* The flags that an operation has in ioprio. */
static unsigned send_known(unsigned opcode)
{
    if (opcode == IORING_OP_SEND_ZC)
        return IORING_RECVSEND_POLL_FIRST | IORING_RECVSEND_FIXED_BUF | IORING_SEND_ZC_REPORT_USAGE;
    if (opcode == IORING_OP_SENDMSG_ZC)
        return IORING_RECVSEND_POLL_FIRST | IORING_SEND_ZC_REPORT_USAGE;
    return IORING_RECVSEND_POLL_FIRST;
}

int uring_prep_send(struct uring_req *r)
{
    const struct abi_io_uring_sqe *s = &r->sqe;
    unsigned name_len = s->file_index & 0xffff;
    int err = prep_flags(r, send_known(s->opcode));
    if (err)
        return err;
    if (s->opcode == IORING_OP_SEND_ZC && s->flags & IOSQE_CQE_SKIP_SUCCESS)
        return -EINVAL;
    if (s->file_index >> 16 || (!s->off != !name_len))
        return -EINVAL;
    r->sqe.rw_flags |= MSG_NOSIGNAL;
    if (!name_len)
        return 0;
    struct abi_sockaddr_storage *a = heap_alloc(sizeof(*a));
    if (!a)
        return -ENOMEM;
    r->data = a;
    return sockaddr_get(a, user_at(user_u8_in_t, s->off), (int)name_len);
}

long uring_op_send(struct uring_req *r, unsigned flags)
{
    struct socket *s;
    struct iter it;
    long n = socket_for(r, &s);
    if (n)
        return n;
    struct iter_seg *segs = NULL;
    size_t want = r->sqe.len - r->done;
    iter_user(&it, r->sqe.addr + r->done, want);
    if (UNLIKELY(r->sqe.ioprio & IORING_RECVSEND_FIXED_BUF))
        n = uring_buffer_iter(r, r->sqe.addr + r->done, want, flags, &it, &segs);
    if (n)
        return n;
    struct socket_msg m = { .it = &it, .flags = message_flags(r, flags) };
    if (r->data) {
        m.name = r->data;
        m.name_len = r->sqe.file_index & 0xffff;
    }
    n = m.name_len == 1 ? -EINVAL : socket_send(s, &m);
    heap_free(segs);
    if (n == -EAGAIN && !(flags & URING_MAY_WAIT) && !(r->flags & URING_F_NOWAIT))
        return n;
    if (short_of(r, n, want, flags))
        return -EAGAIN;
    return with_done(r, n, r->sqe.len);
}

/* ---- RECV ---- */

int uring_prep_recv(struct uring_req *r)
{
    const struct abi_io_uring_sqe *s = &r->sqe;
    int err = prep_flags(r, RECVSEND_KNOWN);
    if (err)
        return err;
    if (s->off || s->file_index)
        return -EINVAL;
    if (!(s->ioprio & IORING_RECV_MULTISHOT))
        return 0;
    if (!(s->flags & IOSQE_BUFFER_SELECT) || s->rw_flags & MSG_WAITALL)
        return -EINVAL;
    r->flags |= URING_F_MULTISHOT;
    return 0;
}

static bool more_waits(const struct socket *s)
{
    return *(const volatile uint32_t *)&s->rq.count != 0;
}

/* A receiving operation has n bytes, or an error: the result, or a multishot's next step. */
static long received(struct uring_req *r, const struct socket *s, long n)
{
    bool more = more_waits(s);
    if (n <= 0)
        uring_unselect(r);
    else
        r->cflags = uring_selected(r);
    if (more)
        r->cflags |= IORING_CQE_F_SOCK_NONEMPTY;
    if (!(r->flags & URING_F_MULTISHOT) || n <= 0 || !uring_post_more(r, n))
        return n;
    return more ? URING_AGAIN : -EAGAIN;
}

long uring_op_recv(struct uring_req *r, unsigned flags)
{
    struct socket *s;
    struct iter it;
    size_t want = r->sqe.len - r->done;
    uintptr_t addr = r->sqe.addr + r->done;
    long n = socket_for(r, &s);
    if (n)
        return n;
    if (r->sqe.flags & IOSQE_BUFFER_SELECT) {
        want = r->sqe.len;
        n = uring_select(r, &addr, &want, flags);
        if (n)
            return n;
        addr += r->done;
        want -= r->done;
    }
    iter_user(&it, addr, want);
    struct socket_msg m = { .it = &it, .flags = message_flags(r, flags) };
    n = socket_recv(s, &m);
    if (n == -EAGAIN && !(flags & URING_MAY_WAIT) && !(r->flags & URING_F_NOWAIT)) {
        if (!r->done)
            uring_unselect(r);
        return n;
    }
    if (short_of(r, n, want, flags))
        return -EAGAIN;
    if (m.ret_flags & (MSG_TRUNC | MSG_CTRUNC) && r->sqe.rw_flags & MSG_WAITALL)
        r->flags |= URING_F_FAIL;
    return received(r, s, with_done(r, n, r->sqe.len));
}

/* ---- SENDMSG, RECVMSG ---- */

/* A message in libOS memory, with its vector as it was at first. */
struct kept {
    struct message g;
    struct iter start;
};

/* A multishot's header says only how much room there is to be. */
static int header_get(struct kept *k, uintptr_t addr)
{
    k->g.v.all = k->g.v.fast;
    k->g.control = k->g.near;
    iter_user(&k->g.v.it, 0, 0);
    if (user_get(&k->g.h, user_at(user_msghdr_in_t, addr), 1))
        return -EFAULT;
    return k->g.h.msg_namelen < 0 || k->g.h.msg_iovlen > 1 ? -EINVAL : 0;
}

int uring_prep_msg(struct uring_req *r)
{
    bool send = r->sqe.opcode != IORING_OP_RECVMSG;
    int err = prep_flags(r, send ? send_known(r->sqe.opcode) : RECVSEND_KNOWN);
    if (!err && r->sqe.opcode == IORING_OP_SENDMSG_ZC && r->sqe.flags & IOSQE_CQE_SKIP_SUCCESS)
        err = -EINVAL;
    if (err)
        return err;
    if (r->sqe.off || r->sqe.file_index)
        return -EINVAL;
    if (send)
        r->sqe.rw_flags |= MSG_NOSIGNAL;
    if (!send && r->sqe.ioprio & IORING_RECV_MULTISHOT) {
        if (!(r->sqe.flags & IOSQE_BUFFER_SELECT) || r->sqe.rw_flags & MSG_WAITALL)
            return -EINVAL;
        r->flags |= URING_F_MULTISHOT;
    }
    struct kept *k = heap_alloc(sizeof(*k));
    if (!k)
        return -ENOMEM;
    err = r->flags & URING_F_MULTISHOT
              ? header_get(k, r->sqe.addr)
              : message_get(&k->g, user_at(user_msghdr_in_t, r->sqe.addr), r->sqe.rw_flags);
    if (!err && r->sqe.flags & IOSQE_BUFFER_SELECT && k->g.h.msg_iovlen > 1) {
        message_put(&k->g);
        err = -EINVAL;
    }
    if (err) {
        heap_free(k);
        return err;
    }
    r->data = k;
    k->start = k->g.v.it;
    if (!send && !(r->flags & URING_F_MULTISHOT))
        message_set_room(&k->g);
    return send ? message_get_more(&k->g) : 0;
}

void uring_free_msg(struct uring_req *r)
{
    struct kept *k = r->data;
    message_put(&k->g);
    heap_free(k);
}

long uring_op_sendmsg(struct uring_req *r, unsigned flags)
{
    struct kept *k = r->data;
    struct socket *s;
    long n = socket_for(r, &s);
    if (n)
        return n;
    if (!r->done)
        k->g.v.it = k->start;
    size_t want = k->g.v.it.left;
    k->g.m.flags = message_flags(r, flags);
    n = socket_send(s, &k->g.m);
    if (n == -EAGAIN && !(flags & URING_MAY_WAIT) && !(r->flags & URING_F_NOWAIT))
        return n;
    if (short_of(r, n, want, flags)) {
        k->g.m.control_len = 0; /* it went with the first part */
        return -EAGAIN;
    }
    return with_done(r, n, k->start.left);
}

/* Where the parts of a multishot message lie in its buffer. */
struct layout {
    uintptr_t addr, name, control, data;
    size_t room;
};

static int lay_out(const struct kept *k, uintptr_t addr, size_t len, struct layout *ret)
{
    size_t name = (size_t)k->g.h.msg_namelen, control = k->g.h.msg_controllen;
    size_t head = sizeof(struct abi_io_uring_recvmsg_out);
    if (control > len || head + name + control > len)
        return -EFAULT;
    *ret = (struct layout){ addr, addr + head, addr + head + name, addr + head + name + control,
                            len - head - name - control };
    return 0;
}

static long put_layout(const struct kept *k, const struct layout *l, long n)
{
    typedef USER(struct abi_io_uring_recvmsg_out) user_recvmsg_out_t;
    const struct socket_msg *m = &k->g.m;
    size_t room = (size_t)k->g.h.msg_namelen;
    const struct abi_io_uring_recvmsg_out out = { .namelen = m->name_len,
                                                  .controllen = (uint32_t)m->ret_control_used,
                                                  .payloadlen = (uint32_t)n,
                                                  .flags = m->ret_flags };
    room = room < sizeof(k->g.name) ? room : sizeof(k->g.name);
    size_t name = m->name_len < room ? m->name_len : room;
    if (user_put(user_at(user_recvmsg_out_t, l->addr), &out, 1) ||
        (name && user_put(user_at(user_u8_out_t, l->name), (const uint8_t *)&k->g.name, name)))
        return -EFAULT;
    size_t got = (size_t)n < l->room ? (size_t)n : l->room;
    return (long)(l->data - l->addr + got);
}

static long recvmsg_multishot(struct uring_req *r, struct socket *s, unsigned flags)
{
    struct kept *k = r->data;
    struct socket_msg *m = &k->g.m;
    struct layout l;
    size_t len = 0;
    uintptr_t addr;
    long n = uring_select(r, &addr, &len, flags);
    if (n)
        return n;
    n = lay_out(k, addr, len, &l);
    if (n)
        return n;
    iter_user(&k->g.v.it, l.data, l.room);
    *m = (struct socket_msg){ .it = &k->g.v.it,
                              .flags = message_flags(r, flags),
                              .name = k->g.h.msg_namelen ? &k->g.name : NULL,
                              .ret_control = { l.control },
                              .ret_control_left = k->g.h.msg_controllen };
    n = socket_recv(s, m);
    if (n == -EAGAIN) {
        uring_unselect(r);
        return n;
    }
    if (n > 0)
        n = put_layout(k, &l, n);
    return received(r, s, n == -ERESTARTSYS ? -EINTR : n);
}

long uring_op_recvmsg(struct uring_req *r, unsigned flags)
{
    struct kept *k = r->data;
    struct socket *s;
    long n = socket_for(r, &s);
    if (n)
        return n;
    if (r->flags & URING_F_MULTISHOT)
        return recvmsg_multishot(r, s, flags);
    if (!r->done)
        k->g.v.it = k->start;
    if (r->sqe.flags & IOSQE_BUFFER_SELECT) {
        size_t len = k->start.left;
        uintptr_t addr;
        n = uring_select(r, &addr, &len, flags);
        if (n)
            return n;
        iter_user(&k->g.v.it, addr, len);
    }
    size_t want = k->g.v.it.left;
    k->g.m.flags = message_flags(r, flags);
    n = socket_recv(s, &k->g.m);
    if (n == -EAGAIN && !(flags & URING_MAY_WAIT) && !(r->flags & URING_F_NOWAIT)) {
        uring_unselect(r);
        return n;
    }
    if (short_of(r, n, want, flags))
        return -EAGAIN;
    if (n >= 0)
        n = message_tell(&k->g, user_at(user_msghdr_inout_t, r->sqe.addr), r->sqe.rw_flags, n);
    return received(r, s, with_done(r, n, k->start.left));
}

/* ---- connections ---- */

int uring_prep_accept(struct uring_req *r)
{
    const struct abi_io_uring_sqe *s = &r->sqe;
    if (s->len || s->buf_index || s->ioprio & ~(unsigned)IORING_ACCEPT_MULTISHOT)
        return -EINVAL;
    if (s->rw_flags & ~(uint32_t)(SOCK_CLOEXEC | SOCK_NONBLOCK))
        return -EINVAL;
    if (s->file_index && s->rw_flags & SOCK_CLOEXEC)
        return -EINVAL;
    if (!(s->ioprio & IORING_ACCEPT_MULTISHOT))
        return 0;
    if (s->file_index && s->file_index != IORING_FILE_INDEX_ALLOC)
        return -EINVAL;
    r->flags |= URING_F_MULTISHOT;
    return 0;
}

static long accept_one(struct uring_req *r, struct socket *s, unsigned flags)
{
    const struct abi_io_uring_sqe *q = &r->sqe;
    struct abi_sockaddr_storage a;
    unsigned len = 0;
    struct file *f;
    bool named = q->addr != 0;
    int err = socket_accept(s, q->rw_flags & SOCK_NONBLOCK, !(flags & URING_MAY_WAIT), &f,
                            named ? &a : NULL, &len);
    if (err)
        return err == -ERESTARTSYS ? -EINTR : err;
    if (named && (err = sockaddr_put(&a, len, user_at(user_u8_out_t, q->addr),
                                     user_at(user_int_inout_t, q->off)))) {
        file_put(f);
        return err;
    }
    return uring_install(r, f, q->file_index, q->rw_flags & SOCK_CLOEXEC, flags);
}

long uring_op_accept(struct uring_req *r, unsigned flags)
{
    struct socket *s = socket_of(r->file);
    if (!s)
        return -ENOTSOCK;
    long fd = accept_one(r, s, flags);
    if (!(r->flags & URING_F_MULTISHOT) || fd < 0 || !uring_post_more(r, fd))
        return fd;
    return URING_AGAIN;
}

int uring_prep_connect(struct uring_req *r)
{
    const struct abi_io_uring_sqe *s = &r->sqe;
    if (s->len || s->buf_index || s->rw_flags || s->file_index)
        return -EINVAL;
    if (s->off > SOCKET_NAME_MAX)
        return -EINVAL;
    struct abi_sockaddr_storage *a = heap_alloc(sizeof(*a));
    if (!a)
        return -ENOMEM;
    r->data = a;
    return sockaddr_get(a, user_at(user_u8_in_t, s->addr), (int)s->off);
}

long uring_op_connect(struct uring_req *r, unsigned flags)
{
    struct socket *s = socket_of(r->file);
    unsigned len = (unsigned)r->sqe.off;
    if (!s)
        return -ENOTSOCK;
    if (len < sizeof(uint16_t))
        return -EINVAL;
    if (r->done) /* under way: what became of it? */
        return r->file->ops->poll(r->file, NULL) & EPOLLOUT ? socket_take_pending(s) : -EAGAIN;
    int err = socket_connect(s, r->data, len, !(flags & URING_MAY_WAIT));
    if (err != -EINPROGRESS || r->file->flags & O_NONBLOCK)
        return err == -ERESTARTSYS ? -EINTR : err;
    r->done = 1;
    return -EAGAIN;
}

int uring_prep_shutdown(struct uring_req *r)
{
    const struct abi_io_uring_sqe *s = &r->sqe;
    return s->off || s->addr || s->rw_flags || s->buf_index || s->file_index ? -EINVAL : 0;
}

long uring_op_shutdown(struct uring_req *r, unsigned flags)
{
    struct socket *s = socket_of(r->file);
    return s ? socket_shutdown(s, (int)r->sqe.len) : -ENOTSOCK;
}

int uring_prep_socket(struct uring_req *r)
{
    const struct abi_io_uring_sqe *s = &r->sqe;
    if (s->addr || s->rw_flags || s->buf_index)
        return -EINVAL;
    if (s->off & ~(uint64_t)(0xf | SOCK_CLOEXEC | SOCK_NONBLOCK))
        return -EINVAL;
    return s->file_index && s->off & SOCK_CLOEXEC ? -EINVAL : 0;
}

long uring_op_socket(struct uring_req *r, unsigned flags)
{
    const struct abi_io_uring_sqe *s = &r->sqe;
    struct file *f;
    int err =
        socket_create(s->fd, (int)s->off & 0xf, (int)s->len, (unsigned)s->off & SOCK_NONBLOCK, &f);
    if (err)
        return err;
    return uring_install(r, f, s->file_index, s->off & SOCK_CLOEXEC, flags);
}

/* ---- SEND_ZC, SENDMSG_ZC ---- */

/* n is the result, unless the operation goes on. What was sent has been copied, so that the notification follows at once: it is
 * r's completion, after that of the result. */
static long notified(struct uring_req *r, long n, unsigned flags)
{
    if (n == -EAGAIN && !(flags & URING_MAY_WAIT) && !(r->flags & URING_F_NOWAIT))
        return n;
    if (n < 0)
        r->flags |= URING_F_FAIL;
    uring_post_result(r, n);
    r->cflags = IORING_CQE_F_NOTIF;
    return r->sqe.ioprio & IORING_SEND_ZC_REPORT_USAGE ? ABI_NOTIF_USAGE_ZC_COPIED : 0;
}

static bool takes_zerocopy(const struct uring_req *r)
{
    const struct socket *s = socket_of(r->file);
    return !s || ((s->family == AF_INET || s->family == AF_INET6) && s->type != SOCK_RAW);
}

long uring_op_send_zc(struct uring_req *r, unsigned flags)
{
    return notified(r, takes_zerocopy(r) ? uring_op_send(r, flags) : -EOPNOTSUPP, flags);
}

long uring_op_sendmsg_zc(struct uring_req *r, unsigned flags)
{
    return notified(r, takes_zerocopy(r) ? uring_op_sendmsg(r, flags) : -EOPNOTSUPP, flags);
}
