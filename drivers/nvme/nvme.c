/* SPDX-License-Identifier: MIT */
/* The NVMe controller: bring-up, identification, queues, namespaces, and its reset. Registers and identify data are the
 * device's and bounded: pages of 4 KiB, at most as many queues as it has vectors, namespaces whose blocks are 512 to 4096
 * bytes without metadata. Admin commands are polled and only given at boot, or by the one who resets.
 * Spec: NVM Express base 1.4, 3.1, 5 and 7.6.1. */
#include "nvme/nvme.h"
#include "drivers.h"

#include <abi/errno.h>
#include <base/log.h>
#include <libos/heap.h>
#include <plat/cpu.h>
#include <plat/mmio.h>
#include <plat/time.h>
#include <stdio.h>
#include <string.h>

enum {
    REG_CAP = 0,
    REG_CC = 0x14,
    REG_CSTS = 0x1c,
    REG_AQA = 0x24,
    REG_ASQ = 0x28,
    REG_ACQ = 0x30,
    REG_BELLS = 0x1000,
    CC_ENABLE = 1,
    CC_SIZES = 6 << 16 | 4 << 20, /* entries of 64 and 16 bytes; pages of 4 KiB; NVM command set */
    CSTS_READY = 1,
    CSTS_FATAL = 2,
    CNS_NAMESPACE = 0,
    CNS_CONTROLLER = 1,
    CNS_ACTIVE = 2,
    FEATURE_QUEUES = 7,
    ID_SERIAL = 4,
    ID_MODEL = 24,
    ID_MDTS = 77,
    ID_ONCS = 520,
    ID_VWC = 525,
    NS_FLBAS = 26,
    NS_ATTR = 99,
    NS_LBAF = 128,
    ONCS_DSM = 4,
    ONCS_ZEROES = 8,
    NAMESPACES_MAX = 16,
    ADMIN_WAIT_S = 5,
    ABORT_WAIT_MS = 500,
    RESTARTS_MAX = 3,
};
#define CLASS_NVME     0x010802u
#define BLOCKS_MAX     (1ull << 52)
#define ZERO_BLOCKS    65536u
#define DISCARD_BLOCKS (1u << 22)

static unsigned controllers;

static uint64_t get64(const struct nvme *n, unsigned reg)
{
    return plat_mmio_read32(n->regs + reg) | (uint64_t)plat_mmio_read32(n->regs + reg + 4) << 32;
}

static void put64(struct nvme *n, unsigned reg, uint64_t v)
{
    plat_mmio_write32(n->regs + reg, (uint32_t)v);
    plat_mmio_write32(n->regs + reg + 4, (uint32_t)(v >> 32));
}

static bool wait_ready(struct nvme *n, bool ready)
{
    uint64_t end = plat_time_ns() + n->ready_ns;

    for (;;) {
        uint32_t status = plat_mmio_read32(n->regs + REG_CSTS);

        if (status == UINT32_MAX || (ready && status & CSTS_FATAL))
            return false;
        if (!!(status & CSTS_READY) == ready)
            return true;
        if (plat_time_ns() > end)
            return false;
        plat_relax();
    }
}

/* Stop the controller: false: it does not confirm. */
static bool disable(struct nvme *n)
{
    plat_mmio_write32(n->regs + REG_CC, 0);
    return wait_ready(n, false);
}

static int enable(struct nvme *n)
{
    struct nvme_queue *q = &n->q[0];

    plat_mmio_write32(n->regs + REG_AQA, (NVME_ENTRIES - 1) << 16 | (NVME_ENTRIES - 1));
    put64(n, REG_ASQ, q->sq.addr);
    put64(n, REG_ACQ, q->cq.addr);
    plat_mmio_write32(n->regs + REG_CC, CC_SIZES | CC_ENABLE);
    return wait_ready(n, true) ? 0 : -EIO;
}

/* One admin command, polled for so long. */
static int admin_within(struct nvme *n, struct nvme_command *c, uint32_t *ret_result,
                        uint64_t wait_ns)
{
    struct nvme_queue *q = &n->q[0];
    uint64_t end = plat_time_ns() + wait_ns;
    int id, err;

    spin_lock(&q->lock);
    id = nvme_slot_take(q);
    if (id < 0) {
        spin_unlock(&q->lock);
        return -EIO;
    }
    c->id = (uint16_t)id;
    nvme_submit(q, c);
    nvme_kick(q);
    while (q->slots[id].busy && !q->broken && plat_time_ns() < end) {
        (void)nvme_complete(q); /* admin commands have no request */
        plat_relax();
    }
    err = q->slots[id].busy ? -EIO : q->status;
    if (ret_result)
        *ret_result = q->result;
    spin_unlock(&q->lock);
    return err;
}

static int admin(struct nvme *n, struct nvme_command *c, uint32_t *ret_result)
{
    return admin_within(n, c, ret_result, ADMIN_WAIT_S * NS_PER_SEC);
}

bool nvme_abort(struct nvme *n, struct nvme_queue *q, const struct blk_request *r)
{
    bool answered = true;

    for (unsigned i = 0; i < NVME_COMMANDS && answered; i++) {
        struct nvme_command c = { .opcode = NVME_ADMIN_ABORT, .dw10 = q->id | i << 16 };
        spin_lock(&q->lock);
        bool ours = q->slots[i].busy && q->slots[i].r == r;
        spin_unlock(&q->lock);
        if (ours)
            answered = !admin_within(n, &c, NULL, ABORT_WAIT_MS * (NS_PER_SEC / 1000));
    }
    return answered;
}

static int identify(struct nvme *n, uint32_t nsid, uint32_t cns, const struct plat_dma *page)
{
    struct nvme_command c = {
        .opcode = NVME_ADMIN_IDENTIFY, .nsid = nsid, .prp1 = page->addr, .dw10 = cns
    };

    return admin(n, &c, NULL);
}

static int create_queue(struct nvme *n, unsigned i)
{
    struct nvme_queue *q = &n->q[i];
    unsigned vector = n->function.vectors > i ? i : 0;
    struct nvme_command cq = { .opcode = NVME_ADMIN_CREATE_CQ,
                               .prp1 = q->cq.addr,
                               .dw10 = i | (NVME_ENTRIES - 1u) << 16,
                               .dw11 = 3 | vector << 16 };
    struct nvme_command sq = { .opcode = NVME_ADMIN_CREATE_SQ,
                               .prp1 = q->sq.addr,
                               .dw10 = i | (NVME_ENTRIES - 1u) << 16,
                               .dw11 = 1 | i << 16 };
    int err = 0;

    if (!q->msi.address)
        err = plat_msi_attach(i - 1, nvme_interrupt, q, &q->msi);
    if (err)
        return err;
    pci_msix_set(&n->function, vector, &q->msi);
    err = admin(n, &cq, NULL);
    return err ? err : admin(n, &sq, NULL);
}

/* Ask for that many I/O queues and take what there is. */
static int ask_queues(struct nvme *n, unsigned want)
{
    struct nvme_command c = { .opcode = NVME_ADMIN_SET_FEATURES,
                              .dw10 = FEATURE_QUEUES,
                              .dw11 = (want - 1) | (want - 1) << 16 };
    uint32_t got;
    int err = admin(n, &c, &got);

    if (err)
        return err;
    n->queues = (unsigned)min_u64(want, min_u64((got & 0xffff) + 1, (got >> 16) + 1));
    return 0;
}

/* What the controller says of itself. */
static int read_controller(struct nvme *n, const struct plat_dma *page)
{
    const volatile uint8_t *id = page->ptr;
    int err = identify(n, 0, CNS_CONTROLLER, page);
    uint8_t mdts;
    uint16_t oncs;

    if (err)
        return err;
    mdts = plat_shared_read8(id + ID_MDTS);
    oncs = plat_shared_read16(id + ID_ONCS);
    n->transfer_max = NVME_TRANSFER_MAX;
    if (mdts && mdts < 8)
        n->transfer_max = (uint32_t)PAGE_SIZE << mdts;
    n->volatile_cache = plat_shared_read8(id + ID_VWC) & 1;
    n->can_dsm = oncs & ONCS_DSM;
    n->can_zero = oncs & ONCS_ZEROES;
    for (unsigned i = 0; i < 20; i++) {
        uint8_t ch = plat_shared_read8(id + ID_SERIAL + i);
        n->serial[i] = ch > ' ' && ch < 0x7f ? (char)ch : ch == ' ' || !ch ? 0 : '_';
    }
    unsigned end = 0;
    for (unsigned i = 0; i < sizeof(n->model) - 1; i++) {
        uint8_t ch = plat_shared_read8(id + ID_MODEL + i);
        n->model[i] = ch >= ' ' && ch < 0x7f ? (char)ch : ch ? '_' : ' ';
        end = n->model[i] == ' ' ? end : i + 1;
    }
    n->model[end] = '\0';
    return 0;
}

static void set_limits(struct nvme_namespace *ns, bool read_only)
{
    struct nvme *n = ns->nvme;
    struct blk_limits *l = &ns->blk.limits;
    uint32_t per_block = 1u << (ns->shift - 9);

    l->logical_block = l->physical_block = 1u << ns->shift;
    l->max_sectors = n->transfer_max / BLK_SECTOR;
    l->max_segs = NVME_SEGS_MAX;
    l->max_seg_len = (uint32_t)min_u64(n->transfer_max, plat_dma_map_max() & PAGE_MASK);
    l->max_discard_sectors = n->can_dsm ? DISCARD_BLOCKS * per_block : 0;
    l->max_zero_sectors = n->can_zero ? ZERO_BLOCKS * per_block : 0;
    l->queues = n->queues;
    l->queue_depth = NVME_COMMANDS;
    l->volatile_cache = n->volatile_cache;
    l->fua = true;
    l->read_only = read_only;
}

static int add_namespace(struct nvme *n, uint32_t id, const struct plat_dma *page)
{
    const volatile uint8_t *p = page->ptr;
    int err = identify(n, id, CNS_NAMESPACE, page);
    struct nvme_namespace *ns;
    uint64_t blocks;
    uint32_t format;

    if (err)
        return err;
    blocks = plat_shared_read64(p);
    format = plat_shared_read32(p + NS_LBAF + 4 * (plat_shared_read8(p + NS_FLBAS) & 15u));
    if ((format >> 16 & 0xff) < 9 || (format >> 16 & 0xff) > 12 || format & 0xffff || !blocks ||
        blocks > BLOCKS_MAX) {
        log_warn("nvme%u: namespace %u has a format that is not supported", n->index, id);
        return 0;
    }
    ns = heap_zalloc(sizeof(*ns));
    if (!ns)
        return -ENOMEM;
    ns->nvme = n;
    ns->id = id;
    ns->shift = (uint8_t)(format >> 16);
    ns->blk.ops = &nvme_blk_ops;
    ns->blk.data = ns;
    ns->blk.sectors = blocks << (ns->shift - 9);
    set_limits(ns, plat_shared_read8(p + NS_ATTR) & 1);
    memcpy(ns->blk.serial, n->serial, sizeof(n->serial));
    memcpy(ns->blk.model, n->model, sizeof(n->model));
    snprintf(ns->blk.name, sizeof(ns->blk.name), "nvme%un%u", n->index, id);
    return blk_register(&ns->blk);
}

static int add_namespaces(struct nvme *n, const struct plat_dma *page)
{
    uint32_t ids[NAMESPACES_MAX];
    unsigned count = 0;
    int err = identify(n, 0, CNS_ACTIVE, page);

    if (err)
        return err;
    while (count < NAMESPACES_MAX) {
        uint32_t id = plat_shared_read32((const volatile uint32_t *)page->ptr + count);
        if (!id || (count && id <= ids[count - 1]))
            break; /* the list ascends */
        ids[count++] = id;
    }
    for (unsigned i = 0; !err && i < count; i++)
        err = add_namespace(n, ids[i], page);
    return err;
}

/* Registers, doorbells, the largest number of queues that is worth asking for. */
static int map(struct nvme *n, unsigned *ret_want)
{
    const struct pci_function *f = &n->function;
    unsigned want = (unsigned)min_u64(plat_cpu_count(), NVME_IO_QUEUES_MAX);
    uint64_t cap;

    n->regs = pci_map(f, 0, 0, REG_BELLS);
    if (!n->regs)
        return -EIO;
    cap = get64(n, REG_CAP);
    if ((cap & 0xffff) + 1 < NVME_ENTRIES || (cap >> 48 & 15) || !(cap >> 37 & 1))
        return -EOPNOTSUPP; /* short queues, large pages only, or another command set */
    n->ready_ns = ((cap >> 24 & 0xff) + 1) * 500000000ull;
    n->bell_step = 4u << (cap >> 32 & 15);
    if (f->vectors > 1)
        want = (unsigned)min_u64(want, f->vectors - 1);
    else
        want = 1;
    *ret_want = want;
    n->regs = pci_map(f, 0, 0, REG_BELLS + 2ull * (want + 1) * n->bell_step);
    return n->regs ? 0 : -EIO;
}

static int start(struct nvme *n, unsigned want)
{
    int err;

    if (!disable(n))
        return -EIO;
    err = enable(n);
    if (!err)
        err = ask_queues(n, want);
    for (unsigned i = 1; !err && i <= n->queues; i++)
        err = create_queue(n, i);
    return err;
}

/* End all commands in flight. The requests, as a list. */
static struct blk_request *abandon_all(struct nvme *n, bool leak)
{
    struct blk_request *all = NULL;

    for (unsigned i = 1; i <= n->queues; i++) {
        struct nvme_queue *q = &n->q[i];
        struct blk_request *list;

        spin_lock(&q->lock);
        list = nvme_abandon(q, leak);
        nvme_queue_reset(q);
        spin_unlock(&q->lock);
        while (list) {
            struct blk_request *r = list;
            list = r->next;
            r->next = all;
            all = r;
        }
    }
    return all;
}

/* After disable. False: the controller stays failed. */
static bool restart(struct nvme *n)
{
    unsigned queues = n->queues;

    (void)nvme_abandon(&n->q[0], false);
    nvme_queue_reset(&n->q[0]);
    n->failed = false; /* for doorbells: restarting keeps requests away */
    if (!start(n, queues) && n->queues == queues)
        return true;
    n->failed = true;
    log_error("nvme%u: cannot be started again", n->index);
    return false;
}

/* What came while the controller was restarting was held back, and is offered again. */
static void restarted(struct nvme *n)
{
    for (struct blk_device *d = blk_next(NULL); d; d = blk_next(d))
        if (d->ops == &nvme_blk_ops && ((struct nvme_namespace *)d->data)->nvme == n)
            blk_restarted(d);
}

void nvme_fail(struct nvme *n, const char *why, bool again)
{
    static unsigned restarts;
    struct blk_request *list;
    bool confirmed, up = false;

    if (again) /* first, so that nobody sees a controller that failed for good; by one thread only */
        n->restarting = true;
    if (atomic_exchange(&n->failed, true)) {
        if (again) {
            n->restarting = false;
            restarted(n);
        }
        return;
    }
    log_error("nvme%u: %s; it was reset", n->index, why);
    confirmed = disable(n);
    list = abandon_all(n, !confirmed);
    if (again && confirmed && restarts++ < RESTARTS_MAX)
        up = restart(n);
    if (again)
        n->restarting = false;
    while (list) {
        struct blk_request *r = list;
        list = r->next;
        if (up)
            blk_retry(r);
        else
            blk_done(r, -EIO);
    }
    if (again)
        restarted(n);
}

static bool nvme_match(const struct pci_function *f)
{
    return f->class == CLASS_NVME;
}

static int bring_up(struct nvme *n)
{
    struct plat_dma page = { 0 };
    unsigned want = 0;
    int err = map(n, &want);

    if (!err)
        err = pci_msix_enable(&n->function);
    n->q = err ? NULL : heap_calloc(1 + want, sizeof(n->q[0]));
    if (!err && !n->q)
        err = -ENOMEM;
    for (unsigned i = 0; !err && i <= want; i++)
        err = nvme_queue_init(n, &n->q[i], i);
    if (!err)
        err = plat_dma_alloc(PAGE_SIZE, &page);
    if (!err)
        err = start(n, want);
    if (!err)
        err = read_controller(n, &page);
    if (!err)
        err = add_namespaces(n, &page);
    if (page.ptr && (!err || disable(n)))
        plat_dma_free(&page);
    return err;
}

static int nvme_probe(const struct pci_function *f)
{
    struct nvme *n = heap_zalloc(sizeof(*n));
    int err;

    if (!n)
        return -ENOMEM;
    n->function = *f;
    n->index = controllers++;
    pci_enable(f);
    err = bring_up(n);
    if (err) {
        log_warn("nvme%u at pci %02x:%02x.%x: cannot be used (error %d)", n->index, f->id >> 8,
                 f->id >> 3 & 31, f->id & 7, -err);
        n->failed = true;
    }
    return err;
}

const struct pci_driver nvme_driver = { nvme_match, nvme_probe };
