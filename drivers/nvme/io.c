/* SPDX-License-Identifier: MIT */
/* The block layer's requests as NVMe commands. A command's memory is a list of pages (PRPs): only its first piece may begin,
 * and only its last may end, within a page. A request whose pieces do not fit that becomes several commands, and ends when
 * the last of them does: driver[0] counts them, driver[1] keeps the first error. Spec: NVM Express base 1.4, 4.3. */
#include "nvme/nvme.h"

#include <abi/errno.h>
#include <base/log.h>
#include <plat/mem.h>
#include <plat/time.h>
#include <plat/cpu.h>
#include <string.h>

enum { GIVE_UP_MS = 200 };
#define DW12_FUA        (1u << 30)
#define DW12_DEALLOCATE (1u << 25)
#define DW11_DEALLOCATE 4u

/* Segments from first on that fit one command. */
static unsigned run_length(const struct blk_request *r, unsigned first)
{
    unsigned n = 1;

    while (first + n < r->nsegs && r->segs[first + n].addr.v % PAGE_SIZE == 0 &&
           (r->segs[first + n - 1].addr.v + r->segs[first + n - 1].len) % PAGE_SIZE == 0)
        n++;
    return n;
}

static unsigned commands_of(const struct blk_request *r)
{
    unsigned n = 0;

    if (!r->nsegs)
        return 1;
    for (unsigned i = 0; i < r->nsegs; i += run_length(r, i))
        n++;
    return n;
}

/* Map n segments and write their pages into the command. Bytes; 0: the DMA pool is used up. Locks: q->lock held. */
static uint32_t map_pages(struct nvme_queue *q, unsigned id, struct nvme_command *c,
                          const struct blk_request *r, unsigned first, unsigned n)
{
    enum plat_dma_dir dir = r->op == BLK_READ ? PLAT_DMA_FROM_DEVICE : PLAT_DMA_TO_DEVICE;
    uint64_t *list = (uint64_t *)(void *)((uint8_t *)q->lists.ptr + (size_t)id * NVME_LIST_BYTES);
    struct nvme_slot *s = &q->slots[id];
    unsigned pages = 0;
    uint32_t total = 0;

    s->first = (uint16_t)first;
    for (unsigned i = 0; i < n; i++) {
        const struct blk_seg *seg = &r->segs[first + i];
        uint64_t addr;

        if (plat_dma_map(plat_phys_to_virt(seg->addr), seg->len, dir, &addr))
            return 0;
        s->addrs[s->count++] = addr;
        total += seg->len;
        for (uint64_t at = addr; at < addr + seg->len; at = align_down(at, PAGE_SIZE) + PAGE_SIZE) {
            if (!pages)
                c->prp1 = at;
            else
                list[pages - 1] = at;
            pages++;
        }
    }
    c->prp2 = pages < 2 ? 0 : pages == 2 ? list[0] : q->lists.addr + (uint64_t)id * NVME_LIST_BYTES;
    return total;
}

static void undo_map(struct nvme_queue *q, unsigned id, const struct blk_request *r)
{
    struct nvme_slot *s = &q->slots[id];

    for (unsigned i = 0; i < s->count; i++)
        plat_dma_unmap(s->addrs[i], r->segs[s->first + i].len,
                       r->op == BLK_READ ? PLAT_DMA_FROM_DEVICE : PLAT_DMA_TO_DEVICE, 0);
    nvme_slot_give(q, id);
}

/* A flush, discard or write-zeroes. */
static void fill_plain(struct nvme_queue *q, unsigned id, const struct nvme_namespace *ns,
                       const struct blk_request *r, struct nvme_command *c)
{
    uint64_t block = r->sector >> (ns->shift - 9);
    uint32_t blocks = r->sectors >> (ns->shift - 9);

    if (r->op == BLK_DISCARD) {
        uint8_t *range = (uint8_t *)q->lists.ptr + (size_t)id * NVME_LIST_BYTES;
        memset(range, 0, 4);
        memcpy(range + 4, &blocks, 4);
        memcpy(range + 8, &block, 8);
        c->opcode = NVME_DSM;
        c->prp1 = q->lists.addr + (uint64_t)id * NVME_LIST_BYTES;
        c->dw11 = DW11_DEALLOCATE;
    } else if (r->op == BLK_WRITE_ZEROES) {
        c->opcode = NVME_WRITE_ZEROES;
        c->dw10 = (uint32_t)block;
        c->dw11 = (uint32_t)(block >> 32);
        c->dw12 = (blocks - 1) | (r->flags & BLK_NO_UNMAP ? 0 : DW12_DEALLOCATE);
    } else {
        c->opcode = NVME_FLUSH;
    }
}

/* All commands of r. -EAGAIN with nothing done. Locks: q->lock held. */
static int put(struct nvme_queue *q, const struct nvme_namespace *ns, struct blk_request *r)
{
    unsigned n = commands_of(r), first = 0;
    uint64_t block = r->sector >> (ns->shift - 9);

    if (n > q->nfree)
        return -EAGAIN;
    r->driver[0] = n;
    r->driver[1] = 0;
    for (unsigned k = 0; k < n; k++) {
        unsigned id = (unsigned)nvme_slot_take(q), segs = r->nsegs ? run_length(r, first) : 0;
        struct nvme_command c = { .id = (uint16_t)id, .nsid = ns->id };

        if (segs) {
            uint32_t bytes = map_pages(q, id, &c, r, first, segs);
            if (!bytes) {
                undo_map(q, id, r);
                if (!k)
                    return n == 1 && q->nfree == NVME_COMMANDS ? -EIO : -EAGAIN;
                /* The first ones are on their way: the rest counts as failed. */
                r->driver[0] -= n - k;
                r->driver[1] = (uint64_t)(int64_t)-EIO;
                return 0;
            }
            c.opcode = r->op == BLK_READ ? NVME_READ : NVME_WRITE;
            c.dw10 = (uint32_t)block;
            c.dw11 = (uint32_t)(block >> 32);
            c.dw12 = ((bytes >> ns->shift) - 1) | (r->flags & BLK_FUA ? DW12_FUA : 0);
            block += bytes >> ns->shift;
            first += segs;
        } else {
            fill_plain(q, id, ns, r, &c);
        }
        q->slots[id].r = r;
        nvme_submit(q, &c);
    }
    return 0;
}

static int io_submit(struct blk_device *dev, struct blk_request *r, bool more)
{
    struct nvme_namespace *ns = dev->data;
    struct nvme_queue *q = &ns->nvme->q[1 + r->queue];
    int err;

    spin_lock(&q->lock);
    if (ns->nvme->restarting)
        err = -EAGAIN;
    else
        err = ns->nvme->failed || q->broken ? -EIO : put(q, ns, r);
    if (!more || err)
        nvme_kick(q);
    spin_unlock(&q->lock);
    return err;
}

static void io_kick(struct blk_device *dev, unsigned queue)
{
    struct nvme_namespace *ns = dev->data;
    struct nvme_queue *q = &ns->nvme->q[1 + queue];

    spin_lock(&q->lock);
    nvme_kick(q);
    spin_unlock(&q->lock);
}

void nvme_interrupt(void *arg)
{
    struct nvme_queue *q = arg;
    struct blk_request *list;
    bool broken;

    if (q->nvme->failed)
        return;
    spin_lock(&q->lock);
    list = nvme_complete(q);
    broken = q->broken;
    spin_unlock(&q->lock);
    while (list) {
        struct blk_request *r = list;
        list = r->next;
        int err = (int)(int64_t)r->driver[1];
        if (err == -ECANCELED)
            blk_retry(r);
        else
            blk_done(r, err);
    }
    if (broken)
        nvme_fail(q->nvme, "a completion that belongs to no command", false);
}

static void io_poll(struct blk_device *dev, unsigned queue)
{
    struct nvme_namespace *ns = dev->data;

    nvme_interrupt(&ns->nvme->q[1 + queue]);
}

/* Look for completions for GIVE_UP_MS. r may be begun again by them, which deadline_ns tells. */
static bool await(struct nvme_queue *q, const struct blk_request *r, uint64_t deadline_ns)
{
    uint64_t end = plat_time_ns() + GIVE_UP_MS * 1000000ull;

    while (r->out && r->deadline_ns == deadline_ns && plat_time_ns() < end) {
        nvme_interrupt(q);
        plat_relax();
    }
    return !r->out || r->deadline_ns != deadline_ns;
}

/* Perhaps a doorbell or an interrupt was lost; else the command is aborted; else the controller is reset, and what was in flight begins
 * again. */
static void io_timeout(struct blk_device *dev, struct blk_request *r)
{
    struct nvme_namespace *ns = dev->data;
    struct nvme_queue *q = &ns->nvme->q[1 + r->queue];
    uint64_t deadline_ns = r->deadline_ns;

    spin_lock(&q->lock);
    q->kick = true;
    nvme_kick(q);
    spin_unlock(&q->lock);
    if (await(q, r, deadline_ns))
        return;
    if (nvme_abort(ns->nvme, q, r) && await(q, r, deadline_ns))
        return;
    nvme_fail(ns->nvme, "does not answer a command", true);
}

const struct blk_ops nvme_blk_ops = {
    .submit = io_submit,
    .kick = io_kick,
    .poll = io_poll,
    .timeout = io_timeout,
};
