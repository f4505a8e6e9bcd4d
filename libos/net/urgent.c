/* SPDX-License-Identifier: MIT */
/* Urgent data of streams (TCP and AF_UNIX), as programs know it: the last byte sent with MSG_OOB is kept beside the stream (or in
 * it, with SO_OOBINLINE), its place in the stream is a mark where reads end, and the owner of the file gets SIGURG. There is
 * one such byte at a time. In the queue it is a message of its own. tcp(7), unix(7).
 *
 * State is in struct socket (urgent, urgent_byte) and in the flags of queued messages, under s.lock. */
#include "sock_int.h"
#include <abi/errno.h>
#include <abi/poll.h>
#include <libos/iter.h>
#include <libos/owner.h>

void socket_urgent_announce(struct socket *s)
{
    if (s->urgent >= SOCKET_URGENT_HERE) {
        struct netmsg *m = s->urgent_at;
        /* AF_UNIX: it is read unless it was received; TCP: unless it is what comes next. */
        bool over = s->family == AF_UNIX ? s->urgent == SOCKET_URGENT_READ
                                         : m == s->rq.head && !(s->flags & SOCKET_OOBINLINE);
        m->flags = over ? NETMSG_PASSED : 0;
    }
    s->urgent = SOCKET_URGENT_ANNOUNCED;
    if (s->file)
        file_owner_urgent(s->file);
}

void socket_urgent_here(struct socket *s, struct netmsg *m)
{
    netmsg_peek(m, 0, &s->urgent_byte, 1);
    s->urgent = SOCKET_URGENT_HERE;
    m->flags = NETMSG_URGENT;
    s->urgent_at = m;
}

/* Does the queue begin with the urgent byte? Locks: s.lock held. */
static bool at_mark(const struct socket *s)
{
    return s->urgent && s->rq.head && s->rq.head->flags & NETMSG_URGENT;
}

bool socket_at_mark(struct socket *s)
{
    spin_lock(&s->lock);
    bool at = at_mark(s);
    spin_unlock(&s->lock);
    return at;
}

uint32_t socket_readable(struct socket *s)
{
    uint32_t n = 0;
    spin_lock(&s->lock);
    for (const struct netmsg *m = s->urgent ? s->rq.head : NULL; m; m = m->next) {
        if (m->flags & NETMSG_URGENT && !(s->flags & SOCKET_OOBINLINE))
            break;
        if (!(m->flags & NETMSG_PASSED))
            n += m->len;
    }
    if (!s->urgent)
        n = s->rq.bytes;
    spin_unlock(&s->lock);
    return n;
}

bool socket_has_readable(struct socket *s)
{
    spin_lock(&s->lock);
    uint32_t beside = at_mark(s) && !(s->flags & SOCKET_OOBINLINE);
    bool has = s->rq.head && s->rq.bytes >= s->rcvlowat + beside;
    spin_unlock(&s->lock);
    return has;
}

/* Take the byte, or look at it. 1, or what is the matter. */
static int take(struct socket *s, bool peek, uint8_t *ret_byte)
{
    int n = -EINVAL;
    spin_lock(&s->lock);
    if (s->flags & SOCKET_OOBINLINE || s->urgent == SOCKET_URGENT_READ || !s->urgent) {
        n = -EINVAL;
    } else if (s->urgent == SOCKET_URGENT_ANNOUNCED) {
        n = s->shut & SOCKET_SHUT_RD ? 0 : -EAGAIN;
    } else {
        *ret_byte = s->urgent_byte;
        n = 1;
        if (!peek)
            s->urgent = SOCKET_URGENT_READ;
    }
    spin_unlock(&s->lock);
    return n;
}

ssize_type socket_urgent_recv(struct socket *s, struct socket_msg *m)
{
    uint8_t byte = 0;
    int n = take(s, m->flags & MSG_PEEK, &byte);
    if (n <= 0)
        return n;
    m->ret_flags |= MSG_OOB;
    if (!m->it->left) {
        m->ret_flags |= MSG_TRUNC;
        return 0;
    }
    if (m->flags & MSG_TRUNC)
        return 1;
    return iter_put(m->it, &byte, 1) == 1 ? 1 : -EFAULT;
}
