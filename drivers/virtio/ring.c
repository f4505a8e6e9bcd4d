/* SPDX-License-Identifier: MIT */
/* The split virtqueue (ring.h). What is checked of a completion: the id, as 32 bits, against the ring's size; that it is the
 * head of a chain in flight; that the length does not exceed what was offered; and that the used index does not run ahead
 * of what is in flight. Spec: virtio 1.2, 2.7. */
#include "virtio/ring.h"

#include <abi/errno.h>
#include <base/log.h>
#include <libos/heap.h>
#include <plat/mmio.h>
#include <string.h>

struct vring_desc {
    uint64_t addr;
    uint32_t len;
    uint16_t flags, next;
};

enum {
    DESC_NEXT = 1,
    DESC_WRITE = 2,
    AVAIL_NO_INTERRUPT = 1,
    USED_NO_NOTIFY = 1,
    /* Offsets in units of 16 bits: flags, index, entries. */
    FLAGS = 0,
    IDX = 1,
    RING = 2,
    NONE = 0xffff,
};

/* One store, never torn or repeated. Stores stay in program order on this machine. */
static void store16(volatile uint16_t *p, uint16_t v)
{
    *p = v;
}

static int broken(struct virtq *q, const char *why)
{
    if (!q->broken) {
        q->broken = true;
        q->why = why;
    }
    return -EIO;
}

int virtq_init(struct virtq *q, unsigned size, bool event_index)
{
    size_t desc_bytes = size * sizeof(struct vring_desc);
    size_t used_at = align_up(desc_bytes + 2 * (3 + (size_t)size), PAGE_SIZE);
    size_t used_bytes = 2 * 3 + 8 * (size_t)size;
    uint8_t *mem;

    memset(q, 0, sizeof(*q));
    q->descs = heap_calloc(size, sizeof(q->descs[0]));
    q->heads = heap_calloc(size, sizeof(q->heads[0]));
    if (!q->descs || !q->heads || plat_dma_alloc(used_at + used_bytes, &q->mem)) {
        heap_free(q->descs);
        heap_free(q->heads);
        memset(q, 0, sizeof(*q));
        (void)broken(q, "queue does not exist");
        return -ENOMEM;
    }
    mem = q->mem.ptr;
    q->size = (uint16_t)size;
    q->event_index = event_index;
    q->desc = (struct vring_desc *)mem;
    q->avail = (uint16_t *)(mem + desc_bytes);
    q->used_event = &q->avail[RING + size];
    q->used = (uint16_t *)(mem + used_at);
    q->avail_event = &q->used[RING + 4 * size];
    q->desc_addr = q->mem.addr;
    q->avail_addr = q->mem.addr + desc_bytes;
    q->used_addr = q->mem.addr + used_at;
    q->free = (uint16_t)size;
    for (unsigned i = 0; i < size; i++)
        q->descs[i].next = (uint16_t)(i + 1 < size ? i + 1 : NONE);
    virtq_disable(q);
    return 0;
}

void virtq_fini(struct virtq *q)
{
    while (virtq_abandon(q, false))
        ;
    if (q->mem.ptr)
        plat_dma_free(&q->mem);
    heap_free(q->descs);
    heap_free(q->heads);
    memset(q, 0, sizeof(*q));
    (void)broken(q, "queue does not exist"); /* who still has it in hand finds nothing */
}

/* Give the chain's descriptors back to the free list. written: bytes the device filled, in order. */
static void release(struct virtq *q, unsigned head, uint32_t written, bool leak)
{
    unsigned count = q->heads[head].count, i = head, last = head;

    for (unsigned n = count; n; n--) {
        struct virtq_desc *d = &q->descs[i];
        uint32_t part = d->write ? (uint32_t)min_u64(written, d->len) : 0;

        if (d->mapped && !leak)
            plat_dma_unmap(d->addr, d->len, d->write ? PLAT_DMA_FROM_DEVICE : PLAT_DMA_TO_DEVICE,
                           part);
        written -= part;
        last = i;
        i = d->next;
    }
    q->descs[last].next = q->free ? q->first_free : NONE;
    q->first_free = (uint16_t)head;
    q->free = (uint16_t)(q->free + count);
    q->heads[head] = (struct virtq_head){ 0 };
    q->in_flight--;
}

/* Fill descriptor i, privately and in the shared table. */
static ALWAYS_INLINE int fill(struct virtq *q, unsigned i, const struct virtq_seg *s, bool write,
                              bool more)
{
    struct virtq_desc *d = &q->descs[i];
    struct vring_desc *shared = &q->desc[i];
    uint64_t addr = s->addr;

    if (s->ptr) {
        int err =
            plat_dma_map(s->ptr, s->len, write ? PLAT_DMA_FROM_DEVICE : PLAT_DMA_TO_DEVICE, &addr);
        if (err)
            return err;
    }
    d->addr = addr;
    d->len = s->len;
    d->mapped = s->ptr != NULL;
    d->write = write;
    shared->addr = addr;
    shared->len = s->len;
    shared->flags = (uint16_t)((more ? DESC_NEXT : 0) | (write ? DESC_WRITE : 0));
    shared->next = d->next;
    return 0;
}

/* A chain of one piece, as most are. */
static int put_one(struct virtq *q, const struct virtq_seg *s, bool write, void *token)
{
    unsigned i = q->first_free;
    int err = fill(q, i, s, write, false);

    if (err)
        return err;
    q->heads[i] = (struct virtq_head){ token, write ? s->len : 0, 1 };
    q->first_free = q->descs[i].next;
    q->free--;
    q->in_flight++;
    q->avail[RING + (q->avail_next & (q->size - 1))] = (uint16_t)i;
    q->avail_next++;
    return 0;
}

int virtq_put(struct virtq *q, const struct virtq_seg *segs, unsigned nout, unsigned nin,
              void *token)
{
    unsigned n = nout + nin, head = q->first_free, i = head;
    struct virtq_head *h;
    int err = 0;

    if (q->broken)
        return -EIO;
    if (n > q->free)
        return -EAGAIN;
    if (LIKELY(n == 1))
        return put_one(q, segs, nin, token);
    h = &q->heads[head];
    *h = (struct virtq_head){ .token = token };
    for (unsigned k = 0; k < n && !err; k++) {
        err = fill(q, i, &segs[k], k >= nout, k + 1 < n);
        if (err)
            break; /* descriptor i stays the first of the free ones */
        h->count++;
        h->writable += k >= nout ? segs[k].len : 0;
        i = q->descs[i].next;
    }
    q->free = (uint16_t)(q->free - h->count);
    q->first_free = (uint16_t)i;
    q->in_flight++;
    if (err) {
        if (h->count) {
            release(q, head, 0, false);
        } else {
            *h = (struct virtq_head){ 0 };
            q->in_flight--;
        }
        return err;
    }
    q->avail[RING + (q->avail_next & (q->size - 1))] = (uint16_t)head;
    q->avail_next++;
    return 0;
}

bool virtq_publish(struct virtq *q)
{
    uint16_t old = q->avail_told, now = q->avail_next;

    if (old == now || q->broken)
        return false;
    q->avail_told = now;
    /* Release: descriptors and entries are there before the index says so (2.7.13.3). */
    __atomic_thread_fence(__ATOMIC_RELEASE);
    store16(&q->avail[IDX], now);
    /* The index is visible before we look whether the device waits for it (2.7.13.4.1). */
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    if (!q->event_index)
        return !(plat_shared_read16(&q->used[FLAGS]) & USED_NO_NOTIFY);
    uint16_t event = plat_shared_read16(q->avail_event);
    return (uint16_t)(now - event - 1) < (uint16_t)(now - old);
}

int virtq_get(struct virtq *q, void **ret_token, uint32_t *ret_len)
{
    volatile uint16_t *entry;
    uint16_t pending;
    uint32_t id, len;

    if (q->broken)
        return -EIO;
    pending = (uint16_t)(plat_shared_read16(&q->used[IDX]) - q->used_next);
    if (!pending)
        return 0;
    if (pending > q->in_flight)
        return broken(q, "used index out of range");
    /* Acquire: the entry is read after the index that covers it (2.7.14). */
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    entry = &q->used[RING + 4 * (q->used_next & (q->size - 1))];
    id = plat_shared_read32(entry);
    len = plat_shared_read32(entry + 2);
    if (id >= q->size)
        return broken(q, "used id out of range");
    if (!q->heads[id].token)
        return broken(q, "used id is not in flight");
    if (len > q->heads[id].writable)
        return broken(q, "used length is more than was offered");
    q->used_next++;
    *ret_token = q->heads[id].token;
    *ret_len = len;
    release(q, id, len, false);
    return 1;
}

bool virtq_enable(struct virtq *q, unsigned n)
{
    if (q->broken)
        return false;
    if (q->event_index)
        store16(q->used_event, (uint16_t)(q->used_next + n - 1));
    else
        store16(&q->avail[FLAGS], 0);
    /* The wish is visible before we look whether it came too late (2.7.7.2). */
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    return (uint16_t)(plat_shared_read16(&q->used[IDX]) - q->used_next) >= n;
}

void virtq_disable(struct virtq *q)
{
    if (q->broken)
        return;
    /* An event that lies behind will not be passed for another 2^16 completions. */
    if (q->event_index)
        store16(q->used_event, (uint16_t)(q->used_next - 1));
    else
        store16(&q->avail[FLAGS], AVAIL_NO_INTERRUPT);
}

void *virtq_abandon(struct virtq *q, bool leak)
{
    for (unsigned i = 0; q->in_flight && i < q->size; i++)
        if (q->heads[i].token) {
            void *token = q->heads[i].token;
            release(q, i, 0, leak);
            return token;
        }
    return NULL;
}
