/* SPDX-License-Identifier: MIT */
/* The Ethernet interfaces that drivers found, and the memory of received frames. Interfaces are registered at boot, on one
 * CPU, and stay. */
#include <libos/dev/netdev.h>

#include <abi/errno.h>
#include <libos/heap.h>
#include <libos/page.h>
#include <libos/random.h>
#include <plat/cpu.h>
#include <plat/thread.h>
#include <plat/time.h>
#include <stdio.h>
#include <string.h>

static struct netdev *netdevs[NETDEV_MAX];
static unsigned netdev_count;
static struct slab netbufs = SLAB_INIT("netbuf", struct netbuf);

/* Buffers that were freed on a CPU, with their pages, for the next frames: as in heap.c, nothing comes in between there. */
static struct spare {
    struct netbuf *first;
    unsigned n;
} spares[PLAT_CPU_MAX];
static unsigned spares_max; /* of one CPU */
enum { SPARES_LEAST = 16, SPARES_MOST = 256, SPARE_SHARE = 512 /* of memory */ };

int netdev_register(struct netdev *n)
{
    if (netdev_count == NETDEV_MAX)
        return -ENOSPC;
    spares_max =
        (unsigned)min_u64(SPARES_MOST, max_u64(SPARES_LEAST, page_total_count() / SPARE_SHARE));
    snprintf(n->name, sizeof(n->name), "eth%u", netdev_count);
    netdevs[netdev_count++] = n;
    return 0;
}

struct netdev *netdev_at(unsigned i)
{
    return i < netdev_count ? netdevs[i] : NULL;
}

int netdev_attach(struct netdev *n, const struct netdev_user *user, void *user_data)
{
    int err;

    if (n->user)
        return -EBUSY;
    n->user_data = user_data;
    n->user = user;
    err = n->ops->start(n);
    if (err)
        n->user = NULL;
    return err;
}

static NOINLINE struct netbuf *netbuf_fresh(void)
{
    struct netbuf *b = slab_alloc(&netbufs);
    struct page *p = b ? page_alloc(0, PAGE_KERNEL, 0) : NULL;

    if (!p) {
        if (b)
            slab_free(&netbufs, b);
        return NULL;
    }
    b->page = p;
    return b;
}

struct netbuf *netbuf_alloc(void)
{
    struct spare *s = &spares[plat_cpu_id()];
    struct netbuf *b = s->first;

    if (b) {
        s->first = b->next;
        s->n--;
    } else if (!(b = netbuf_fresh())) {
        return NULL;
    }
    b->next = b->next_frame = NULL;
    b->data = page_ptr(b->page);
    b->len = PAGE_SIZE;
    b->flags = b->gso = 0;
    return b;
}

void netbuf_free(struct netbuf *b)
{
    struct spare *s = &spares[plat_cpu_id()];

    if (s->n < spares_max && b->page->refs == 1) {
        b->next = s->first;
        s->first = b;
        s->n++;
        return;
    }
    page_put(b->page);
    slab_free(&netbufs, b);
}

void netbuf_free_frame(struct netbuf *b)
{
    while (b) {
        struct netbuf *next = b->next;
        netbuf_free(b);
        b = next;
    }
}

void netdev_random_mac(uint8_t mac[6])
{
    /* Without a seed yet it need not be secret, only unlike a neighbour's. */
    if (random_ready()) {
        random_bytes(mac, 6);
    } else {
        uint64_t t = plat_time_ns() * 0x9e3779b97f4a7c15ull;
        memcpy(mac, &t, 6);
    }
    mac[0] = (uint8_t)((mac[0] & 0xfc) | 2);
}
