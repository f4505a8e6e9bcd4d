/* SPDX-License-Identifier: MIT */
/* NVMe between its files: nvme.c (controller, admin commands, namespaces, recovery), queue.c (commands and completions),
 * io.c (the block layer's requests). Spec: NVM Express base 1.4 and NVM command set. */
#ifndef DRIVERS_NVME_NVME_H
#define DRIVERS_NVME_NVME_H

#include "pci/pci.h"

#include <libos/dev/blk.h>
#include <libos/lock.h>
#include <plat/dma.h>

enum {
    NVME_ENTRIES = 64,                /* of a submission and of a completion queue */
    NVME_COMMANDS = NVME_ENTRIES - 1, /* in flight on one queue: neither can run over */
    NVME_IO_QUEUES_MAX = 8,
    NVME_SEGS_MAX = 32,
    NVME_LIST_BYTES = 2048, /* of PRPs behind the first */
    NVME_TRANSFER_MAX = 1 << 20,
};

enum nvme_opcode {
    NVME_FLUSH = 0,
    NVME_WRITE = 1,
    NVME_READ = 2,
    NVME_WRITE_ZEROES = 8,
    NVME_DSM = 9,
    NVME_ADMIN_CREATE_SQ = 1,
    NVME_ADMIN_CREATE_CQ = 5,
    NVME_ADMIN_IDENTIFY = 6,
    NVME_ADMIN_ABORT = 8,
    NVME_ADMIN_SET_FEATURES = 9,
};

/* A submission entry. */
struct nvme_command {
    uint8_t opcode, flags;
    uint16_t id;
    uint32_t nsid;
    uint64_t reserved, metadata;
    uint64_t prp1, prp2;
    uint32_t dw10, dw11, dw12, dw13, dw14, dw15;
};
_Static_assert(sizeof(struct nvme_command) == 64, "NVMe base 1.4, 4.2");

/* What is known of a command in flight. */
struct nvme_slot {
    bool busy;
    struct blk_request *r; /* NULL: an admin command */
    uint16_t first, count; /* its segments, to be unmapped */
    uint64_t addrs[NVME_SEGS_MAX];
};

struct nvme_queue {
    struct spin lock;
    struct nvme *nvme;
    uint16_t id, head, tail;
    uint16_t free[NVME_COMMANDS], nfree;
    bool phase, broken, kick;
    struct plat_dma sq, cq, lists;
    struct nvme_slot *slots;
    volatile void *sq_bell, *cq_bell;
    struct plat_msi msi;
    uint32_t result; /* of the last admin command */
    int status;
};

struct nvme_namespace {
    struct blk_device blk;
    struct nvme *nvme;
    uint32_t id;
    uint8_t shift; /* block size is 1 << shift */
};

struct nvme {
    struct pci_function function;
    volatile uint8_t *regs;
    unsigned index;
    uint64_t ready_ns; /* the longest time to become ready */
    uint32_t bell_step;
    unsigned queues; /* for I/O; queue 0 is the admin queue */
    struct nvme_queue *q;
    uint32_t transfer_max; /* bytes */
    bool volatile_cache, can_dsm, can_zero;
    char serial[21], model[41];
    _Atomic bool failed;
    _Atomic bool restarting; /* failed may be over soon: requests wait */
};

/* Make queue id's rings. -ENOMEM. */
NODISCARD int nvme_queue_init(struct nvme *n, struct nvme_queue *q, unsigned id);
/* As they are after a reset of the controller. */
void nvme_queue_reset(struct nvme_queue *q);
/* Take a free command id; -1: none. Locks: q->lock held, as for the next three. */
int nvme_slot_take(struct nvme_queue *q);
/* Give one back whose command was never submitted. */
void nvme_slot_give(struct nvme_queue *q, unsigned id);
/* Put c into the submission queue; the device is told by nvme_kick. */
void nvme_submit(struct nvme_queue *q, const struct nvme_command *c);
void nvme_kick(struct nvme_queue *q);
/* Serve all completions. The requests that have ended, as a list by next, with their status in driver[1]: -ECANCELED if it was
 * aborted. */
struct blk_request *nvme_complete(struct nvme_queue *q);
/* End everything in flight with -EIO; leak: the device may still use it. The requests as a list. */
struct blk_request *nvme_abandon(struct nvme_queue *q, bool leak);

/* The interrupt of an I/O queue. */
void nvme_interrupt(void *arg);
/* Log one line, stop the controller, end what is in flight, and start it again if that is asked for and possible. */
void nvme_fail(struct nvme *n, const char *why, bool restart);

/* Tell the controller to abort r's commands on queue q. False: it does not answer. From the thread that resets only. */
bool nvme_abort(struct nvme *n, struct nvme_queue *q, const struct blk_request *r);

extern const struct blk_ops nvme_blk_ops;

#endif
