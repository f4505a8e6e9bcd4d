/* SPDX-License-Identifier: MIT */
/* Messages on their way between sockets (netmsg.h). Memory is charged to the sender, as Linux does for local sockets: its
 * SO_SNDBUF bounds what lies unread elsewhere. A message belongs to one thread or to one queue, so nothing here locks. */
#include "netmsg.h"
#include "sock_int.h"
#include "unix.h"
#include <base/log.h>
#include <libos/heap.h>
#include <libos/page.h>
#include <stdatomic.h>
#include <string.h>

enum { OVERHEAD = 576, INLINE_CHARGE = 768 };

static struct slab headers = SLAB_INIT("netmsg", struct netmsg);

/* As much as Linux would count, roughly: its buffers are powers of two with a trailer. */
static uint32_t charge_of(uint32_t len)
{
    return len <= INLINE_CHARGE - OVERHEAD ? INLINE_CHARGE : (len + OVERHEAD + 511) & ~511u;
}

static bool add_pages(struct netmsg *m, uint32_t len)
{
    size_t n = (len + PAGE_SIZE - 1) / PAGE_SIZE;
    m->pages = heap_alloc(n * sizeof(*m->pages));
    if (!m->pages)
        return false;
    size_t got = page_alloc_bulk(m->pages, n, PAGE_KERNEL, 0);
    if (got == n) {
        m->npages = (uint16_t)n;
        return true;
    }
    page_put_bulk(m->pages, got);
    heap_free(m->pages);
    return false;
}

struct netmsg *netmsg_create(struct socket *sender, uint32_t len)
{
    bool near = len <= NETMSG_INLINE;
    struct netmsg *m = near ? heap_alloc(sizeof(*m) + len) : slab_alloc(&headers);
    if (!m)
        return NULL;
    memset(m, 0, sizeof(*m));
    m->len = len;
    if (near) {
        m->data = (uint8_t *)(m + 1);
    } else if (!add_pages(m, len)) {
        slab_free(&headers, m);
        return NULL;
    }
    m->charge = charge_of(len);
    if (sender) {
        m->sender = socket_get(sender);
        sender->wmem += m->charge;
    }
    return m;
}

struct netmsg *netmsg_create_lent(uint8_t *data, uint32_t len, void (*free)(struct netmsg *m),
                                  void *lender)
{
    struct netmsg *m = slab_alloc(&headers);
    if (!m)
        return NULL;
    memset(m, 0, sizeof(*m));
    m->len = len;
    m->data = data;
    m->lender_free = free;
    m->lender = lender;
    m->charge = charge_of(len);
    return m;
}

/* The sender's memory is free again; who waits for room hears of it. */
static void uncharge(struct netmsg *m)
{
    struct socket *s = m->sender;
    uint32_t left = atomic_fetch_sub(&s->wmem, m->charge) - m->charge;
    if (left * 2 <= s->sndbuf && waitq_active(&s->wait))
        waitq_wake(&s->wait, 1, SOCKET_OUT);
    socket_put(s);
}

void netmsg_free(struct netmsg *m)
{
    if (m->sender)
        uncharge(m);
    if (!m->name_len) {
        if (m->from)
            unix_name_put(m->from);
        if (m->rights)
            unix_rights_free(m->rights);
    }
    if (m->lender_free)
        m->lender_free(m);
    if (m->npages) {
        page_put_bulk(m->pages, m->npages);
        heap_free(m->pages);
    }
    if (m->npages || m->lender_free)
        slab_free(&headers, m);
    else
        heap_free(m);
}

void netmsg_purge(struct netmsg_queue *q)
{
    for (struct netmsg *m; (m = netmsg_pop(q));)
        netmsg_free(m);
}

/* The piece of memory that byte at of the whole data lies in, and how much of n follows there. */
static uint8_t *piece(const struct netmsg *m, uint32_t at, size_t *n)
{
    if (!m->npages)
        return m->data + at;
    uint32_t in = at & (PAGE_SIZE - 1);
    struct page *const *p = &m->pages[at / PAGE_SIZE], *first = *p;
    size_t here = PAGE_SIZE - in;
    while (here < *n && p[1] == p[0] + 1) { /* neighbours in memory, as they mostly are */
        here += PAGE_SIZE;
        p++;
    }
    if (*n > here)
        *n = here;
    return (uint8_t *)page_ptr(first) + in;
}

bool netmsg_fill(struct netmsg *m, struct iter *it)
{
    for (uint32_t at = 0; at < m->len;) {
        size_t n = m->len - at;
        uint8_t *to = piece(m, m->off + at, &n);
        if (iter_get(it, to, n) < n)
            return false;
        at += (uint32_t)n;
    }
    return true;
}

size_t netmsg_copy(const struct netmsg *m, uint32_t at, struct iter *it, size_t n)
{
    size_t done = 0;
    while (done < n) {
        size_t want = n - done;
        const uint8_t *from = piece(m, m->off + at + (uint32_t)done, &want);
        size_t got = iter_put(it, from, want);
        done += got;
        if (got < want)
            break;
    }
    return done;
}

void netmsg_peek(const struct netmsg *m, uint32_t at, void *to, uint32_t n)
{
    for (uint32_t done = 0; done < n;) {
        size_t want = n - done;
        const uint8_t *from = piece(m, m->off + at + done, &want);
        memcpy((uint8_t *)to + done, from, want);
        done += (uint32_t)want;
    }
}

void netmsg_poke(struct netmsg *m, uint32_t at, const void *from, uint32_t n)
{
    for (uint32_t done = 0; done < n;) {
        size_t want = n - done;
        uint8_t *to = piece(m, m->off + at + done, &want);
        memcpy(to, (const uint8_t *)from + done, want);
        done += (uint32_t)want;
    }
}
