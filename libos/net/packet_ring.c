/* SPDX-License-Identifier: MIT */
/* The ring of an AF_PACKET socket (TPACKET_V2), which a program maps: frames in blocks of pages, each with a status word that
 * says whose it is. packet(7), Linux's networking/packet_mmap documentation. */
#include "af_packet.h"
#include <abi/errno.h>
#include <abi/if.h>
#include <libos/heap.h>
#include <lwip/pbuf.h>
#include <stdatomic.h>
#include <string.h>

enum {
    RING_PAGES_MAX = 4096, /* 16 MiB */
    BLOCKS_MAX = 4096,
    MAC_LEN = 14,
    MAC_ROOM = 16,
    PIECE = 256,
};

#define HDRLEN     ((uint32_t)(sizeof(struct abi_tpacket2_hdr) + sizeof(struct abi_sockaddr_ll)))
#define ALIGN16(n) (((n) + TPACKET_ALIGNMENT - 1) & ~(uint32_t)(TPACKET_ALIGNMENT - 1))

static int no_fill(struct pagemap *m, uint64_t index, bool writable, struct page **ret)
{
    return -EIO; /* all pages are there from the beginning */
}

static uint64_t ring_pages(struct pagemap *m)
{
    return ((struct packet_ring *)m->owner)->npages;
}

static const struct pagemap_ops ring_ops = { .fill = no_fill, .size_pages = ring_pages };

static int check(const struct packet_sock *ps, const struct abi_tpacket_req *q)
{
    uint64_t bytes = (uint64_t)q->tp_block_size * q->tp_block_nr;
    if (!q->tp_block_size || q->tp_block_size & (PAGE_SIZE - 1) || q->tp_block_nr > BLOCKS_MAX)
        return -EINVAL;
    if (q->tp_frame_size < HDRLEN + ps->reserve || q->tp_frame_size & (TPACKET_ALIGNMENT - 1) ||
        q->tp_frame_size > q->tp_block_size)
        return -EINVAL;
    uint32_t per_block = q->tp_block_size / q->tp_frame_size;
    if ((uint64_t)per_block * q->tp_block_nr != q->tp_frame_nr)
        return -EINVAL;
    return bytes > (uint64_t)RING_PAGES_MAX * PAGE_SIZE ? -ENOMEM : 0;
}

static int ring_make(struct packet_ring *r, const struct abi_tpacket_req *q)
{
    size_t n = (size_t)q->tp_block_size / PAGE_SIZE * q->tp_block_nr, got = 0;
    struct page **pages = heap_alloc(n * sizeof(struct page *));
    if (!pages)
        return -ENOMEM;
    pagemap_init(&r->map, &ring_ops, r);
    for (; got < n; got++) {
        pages[got] = page_alloc(0, PAGE_FILE, PAGE_ZERO);
        if (!pages[got])
            break;
        page_get(pages[got]);
        if (!pagemap_insert(&r->map, got, pages[got])) {
            page_put(pages[got]);
            page_put(pages[got]);
            break;
        }
    }
    if (got < n) {
        pagemap_fini(&r->map);
        page_put_bulk(pages, got);
        heap_free(pages);
        return -ENOMEM;
    }
    r->npages = n;
    r->block_size = q->tp_block_size;
    r->frame_size = q->tp_frame_size;
    r->frames_per_block = q->tp_block_size / q->tp_frame_size;
    r->frames = q->tp_frame_nr;
    r->head = 0;
    r->pages = pages;
    return 0;
}

void packet_ring_free(struct packet_ring *r)
{
    if (!r->pages)
        return;
    pagemap_fini(&r->map);
    page_put_bulk(r->pages, r->npages);
    heap_free(r->pages);
    r->pages = NULL;
    r->npages = 0;
}

int packet_ring_set(struct packet_sock *ps, const struct abi_tpacket_req *q)
{
    struct packet_ring fresh = { 0 };
    int err = 0;
    if (q->tp_block_nr) {
        if (ps->ring.pages)
            return -EBUSY;
        if (ps->version != TPACKET_V2)
            return -EINVAL;
        err = check(ps, q);
        if (!err)
            err = ring_make(&ps->ring, q);
        return err;
    }
    if (q->tp_frame_nr)
        return -EINVAL;
    if (ps->ring.pages && pagemap_mappings(&ps->ring.map))
        return -EBUSY;
    spin_lock(&ps->s.lock);
    fresh.pages = ps->ring.pages;
    ps->ring.pages = NULL;
    spin_unlock(&ps->s.lock);
    ps->ring.pages = fresh.pages;
    packet_ring_free(&ps->ring);
    return 0;
}

/* ---- frames ---- */

static size_t frame_at(const struct packet_ring *r, uint32_t i)
{
    return (size_t)(i / r->frames_per_block) * r->block_size +
           (size_t)(i % r->frames_per_block) * r->frame_size;
}

/* The status word of a frame; frames begin at multiples of 16, so it lies in one page. */
static _Atomic uint32_t *status_of(const struct packet_ring *r, uint32_t i)
{
    size_t at = frame_at(r, i);
    uint8_t *page = page_ptr(r->pages[at / PAGE_SIZE]);
    return (_Atomic uint32_t *)(void *)(page + at % PAGE_SIZE);
}

static void ring_write(const struct packet_ring *r, size_t at, const void *from, size_t n)
{
    const uint8_t *src = from;
    while (n) {
        size_t in = at % PAGE_SIZE, some = n < PAGE_SIZE - in ? n : PAGE_SIZE - in;
        memcpy((uint8_t *)page_ptr(r->pages[at / PAGE_SIZE]) + in, src, some);
        at += some;
        src += some;
        n -= some;
    }
}

static void write_frame(const struct packet_ring *r, size_t at, const struct packet_frame *f,
                        uint32_t skip, uint32_t n)
{
    uint8_t piece[PIECE];
    while (n) {
        uint32_t some = n < PIECE ? n : PIECE;
        pbuf_copy_partial(f->p, piece, (u16_t)some, (u16_t)skip);
        ring_write(r, at, piece, some);
        at += some;
        skip += some;
        n -= some;
    }
}

bool packet_ring_put(struct packet_sock *ps, const struct packet_frame *f, uint32_t skip,
                     uint32_t n)
{
    struct packet_ring *r = &ps->ring;
    _Atomic uint32_t *status = status_of(r, r->head);
    uint32_t net = ALIGN16(HDRLEN + MAC_ROOM) + ps->reserve;
    uint32_t mac = skip ? net : net - MAC_LEN;
    size_t at = frame_at(r, r->head);
    /* Acquire: the program has read the frame before it gave it back. */
    if (atomic_load_explicit(status, memory_order_acquire) != TP_STATUS_KERNEL ||
        mac >= r->frame_size)
        return false;
    if (n > r->frame_size - mac)
        n = r->frame_size - mac;
    uint64_t now = socket_wall_ns();
    struct abi_tpacket2_hdr h = { .tp_len = f->len - skip,
                                  .tp_snaplen = n,
                                  .tp_mac = (uint16_t)mac,
                                  .tp_net = (uint16_t)net,
                                  .tp_sec = (uint32_t)(now / NS_PER_SEC),
                                  .tp_nsec = (uint32_t)(now % NS_PER_SEC) };
    struct abi_sockaddr_ll name = packet_name(f);
    ring_write(r, at + sizeof(h.tp_status), (uint8_t *)&h + sizeof(h.tp_status),
               sizeof(h) - sizeof(h.tp_status));
    ring_write(r, at + sizeof(h), &name, sizeof(name));
    write_frame(r, at + mac, f, skip, n);
    uint32_t done = TP_STATUS_USER | (ps->stats.tp_drops ? TP_STATUS_LOSING : 0);
    /* Release: all of the frame is there when the program sees that it has it. */
    atomic_store_explicit(status, done, memory_order_release);
    r->head = r->head + 1 == r->frames ? 0 : r->head + 1;
    return true;
}

bool packet_ring_ready(struct packet_sock *ps)
{
    struct packet_ring *r = &ps->ring;
    bool ready = false;
    spin_lock(&ps->s.lock);
    if (r->pages) {
        uint32_t last = r->head ? r->head - 1 : r->frames - 1;
        ready = *status_of(r, last) != TP_STATUS_KERNEL;
    }
    spin_unlock(&ps->s.lock);
    return ready;
}
