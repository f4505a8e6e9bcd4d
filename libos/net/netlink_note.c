/* SPDX-License-Identifier: MIT */
/* Notes to AF_NETLINK sockets. A note owns its message and a reference to its socket; whoever has the note is alone with it. */
#include "netmsg.h"
#include "sock_int.h"
#include <abi/errno.h>
#include <libos/heap.h>
#include <libos/netlink_note.h>

struct netlink_note {
    struct socket *to;
    struct netmsg *message;
};

int netlink_note_create(struct file *f, const void *data, size_t size,
                        struct netlink_note **ret_note)
{
    struct socket *s = socket_of(f);
    if (!s || s->family != AF_NETLINK)
        return s ? -EINVAL : -ENOTSOCK;
    struct netlink_note *n = heap_alloc(sizeof(*n));
    struct netmsg *m = n ? netmsg_create(NULL, (uint32_t)size) : NULL;
    if (!m) {
        heap_free(n);
        return -ENOMEM;
    }
    netmsg_poke(m, 0, data, (uint32_t)size);
    m->info.word[0] = 0; /* to no group */
    *n = (struct netlink_note){ socket_get(s), m };
    *ret_note = n;
    return 0;
}

void netlink_note_send(struct netlink_note *take_note, uint8_t last)
{
    struct netlink_note *n = take_note;
    if (!n)
        return;
    netmsg_poke(n->message, n->message->len - 1, &last, 1);
    spin_lock(&n->to->lock);
    netmsg_push(&n->to->rq, n->message);
    spin_unlock(&n->to->lock);
    socket_wake(n->to, SOCKET_IN);
    n->message = NULL;
    netlink_note_destroy(n);
}

void netlink_note_destroy(struct netlink_note *take_note)
{
    struct netlink_note *n = take_note;
    if (!n)
        return;
    if (n->message)
        netmsg_free(n->message);
    socket_put(n->to);
    heap_free(n);
}
