/* SPDX-License-Identifier: MIT */
/* Filters that programs attach to packet and raw sockets (SO_ATTACH_FILTER): copied, checked, and run under the socket's
 * lock. socket(7). */
#include "af_packet.h"
#include <abi/errno.h>
#include <libos/bpf.h>
#include <libos/heap.h>
#include <libos/user.h>
#include <string.h>

struct socket_filter {
    size_t n;
    struct abi_sock_filter prog[];
};

static int filter_make(user_sock_filter_in_t from, size_t n, struct socket_filter **ret)
{
    struct socket_filter *f = heap_alloc(sizeof(*f) + n * sizeof(f->prog[0]));
    uint16_t *scratch = heap_alloc(n * sizeof(*scratch));
    int err = f && scratch ? user_get(f->prog, from, n) : -ENOMEM;
    if (!err)
        err = bpf_check_packet(f->prog, n, scratch);
    heap_free(scratch);
    if (err) {
        heap_free(f);
        return err;
    }
    f->n = n;
    *ret = f;
    return 0;
}

static struct socket_filter *swap_filter(struct socket *s, struct socket_filter *f)
{
    spin_lock(&s->lock);
    struct socket_filter *old = s->filter;
    s->filter = f;
    spin_unlock(&s->lock);
    return old;
}

int socket_filter_attach(struct socket *s, const void *value, unsigned len)
{
    struct abi_sock_fprog p;
    struct socket_filter *f;
    if (len != sizeof(p))
        return -EINVAL;
    memcpy(&p, value, sizeof(p));
    if (!p.len || p.len > BPF_MAXINSNS)
        return -EINVAL;
    int err = filter_make(p.filter, p.len, &f);
    if (!err)
        heap_free(swap_filter(s, f));
    return err;
}

int socket_filter_detach(struct socket *s)
{
    struct socket_filter *old = swap_filter(s, NULL);
    heap_free(old);
    return old ? 0 : -ENOENT;
}

void socket_filter_free(struct socket *s)
{
    heap_free(s->filter);
}

uint32_t socket_filter_run(const struct socket *s, const struct bpf_packet *p)
{
    return s->filter ? bpf_run_packet(s->filter->prog, p) : UINT32_MAX;
}
