/* SPDX-License-Identifier: MIT */
/* Pairs of NVMe queues. Fewer commands are in flight than a queue has entries, so neither queue runs over. A completion is
 * believed when its phase is right, its command id is in flight and it comes from this pair; each field is read once.
 * Spec: NVM Express base 1.4, 4.1 and 4.6. */
#include "nvme/nvme.h"

#include <abi/errno.h>
#include <libos/heap.h>
#include <plat/mmio.h>
#include <string.h>

enum { CQE_BYTES = 16 };

void nvme_queue_reset(struct nvme_queue *q)
{
    q->head = q->tail = 0;
    q->phase = true;
    q->broken = q->kick = false;
    q->nfree = NVME_COMMANDS;
    for (unsigned i = 0; i < NVME_COMMANDS; i++)
        q->free[i] = (uint16_t)i;
    memset(q->cq.ptr, 0, NVME_ENTRIES * CQE_BYTES);
}

int nvme_queue_init(struct nvme *n, struct nvme_queue *q, unsigned id)
{
    spin_init(&q->lock, RANK_VIRTIO);
    q->nvme = n;
    q->id = (uint16_t)id;
    q->slots = heap_calloc(NVME_COMMANDS, sizeof(q->slots[0]));
    if (!q->slots || plat_dma_alloc(NVME_ENTRIES * sizeof(struct nvme_command), &q->sq) ||
        plat_dma_alloc(NVME_ENTRIES * CQE_BYTES, &q->cq) ||
        plat_dma_alloc(NVME_COMMANDS * (size_t)NVME_LIST_BYTES, &q->lists))
        return -ENOMEM;
    q->sq_bell = n->regs + 0x1000 + (size_t)(2 * id) * n->bell_step;
    q->cq_bell = n->regs + 0x1000 + (size_t)(2 * id + 1) * n->bell_step;
    nvme_queue_reset(q);
    return 0;
}

int nvme_slot_take(struct nvme_queue *q)
{
    unsigned id;

    if (!q->nfree)
        return -1;
    id = q->free[--q->nfree];
    q->slots[id].busy = true;
    q->slots[id].r = NULL;
    q->slots[id].count = 0;
    return (int)id;
}

void nvme_slot_give(struct nvme_queue *q, unsigned id)
{
    q->slots[id].busy = false;
    q->free[q->nfree++] = (uint16_t)id;
}

void nvme_submit(struct nvme_queue *q, const struct nvme_command *c)
{
    memcpy((struct nvme_command *)q->sq.ptr + q->tail, c, sizeof(*c));
    q->tail = (uint16_t)((q->tail + 1) % NVME_ENTRIES);
    q->kick = true;
}

void nvme_kick(struct nvme_queue *q)
{
    if (!q->kick || q->nvme->failed)
        return;
    q->kick = false;
    /* Release: the entries are there before the doorbell says so. */
    __atomic_thread_fence(__ATOMIC_RELEASE);
    plat_mmio_write32(q->sq_bell, q->tail);
}

/* Status code type and code as an errno. */
static int error_of(uint16_t status)
{
    switch (status >> 1 & 0x7ff) {
    case 0:
        return 0;
    case 0x007: /* abort requested */
    case 0x008: /* the submission queue is gone */
        return -ECANCELED;
    case 0x001: /* invalid opcode */
        return -EOPNOTSUPP;
    case 0x020: /* namespace is write protected */
        return -EROFS;
    case 0x081: /* capacity exceeded */
        return -ENOSPC;
    case 0x281: /* unrecovered read error */
        return -ENODATA;
    default:
        return -EIO;
    }
}

/* The command is over: its memory is ours again. The request, when this was its last one. */
static struct blk_request *end_command(struct nvme_queue *q, unsigned id, int status, bool leak)
{
    struct nvme_slot *s = &q->slots[id];
    struct blk_request *r = s->r;
    enum plat_dma_dir dir = r && r->op == BLK_READ ? PLAT_DMA_FROM_DEVICE : PLAT_DMA_TO_DEVICE;

    for (unsigned i = 0; r && i < s->count && !leak; i++) {
        uint32_t len = r->segs[s->first + i].len;
        plat_dma_unmap(s->addrs[i], len, dir, status ? 0 : len);
    }
    nvme_slot_give(q, id);
    if (!r) {
        q->status = status;
        return NULL;
    }
    if (status && !r->driver[1])
        r->driver[1] = (uint64_t)(int64_t)status;
    return --r->driver[0] ? NULL : r;
}

struct blk_request *nvme_complete(struct nvme_queue *q)
{
    struct blk_request *list = NULL, **tail = &list;
    uint16_t before = q->head;

    /* Fewer than all entries can be new. */
    for (unsigned n = 0; n < NVME_COMMANDS && !q->broken; n++) {
        volatile uint8_t *e = (volatile uint8_t *)q->cq.ptr + (size_t)q->head * CQE_BYTES;
        uint32_t last = plat_shared_read32(e + 12);
        uint16_t id = (uint16_t)last, status = (uint16_t)(last >> 16);
        struct blk_request *r;

        if ((status & 1) != q->phase)
            break;
        /* Acquire: the rest of the entry is read after its phase. */
        __atomic_thread_fence(__ATOMIC_ACQUIRE);
        if (id >= NVME_COMMANDS || !q->slots[id].busy || plat_shared_read32(e + 8) >> 16 != q->id) {
            q->broken = true;
            break;
        }
        q->result = plat_shared_read32(e);
        q->head = (uint16_t)((q->head + 1) % NVME_ENTRIES);
        if (!q->head)
            q->phase = !q->phase;
        r = end_command(q, id, error_of(status), false);
        if (r) {
            r->next = NULL;
            *tail = r;
            tail = &r->next;
        }
    }
    if (q->head != before)
        plat_mmio_write32(q->cq_bell, q->head);
    return list;
}

struct blk_request *nvme_abandon(struct nvme_queue *q, bool leak)
{
    struct blk_request *list = NULL;

    for (unsigned i = 0; i < NVME_COMMANDS; i++) {
        struct blk_request *r = q->slots[i].busy ? end_command(q, i, -EIO, leak) : NULL;
        if (r) {
            r->next = list;
            list = r;
        }
    }
    return list;
}
