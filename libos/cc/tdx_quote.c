/* SPDX-License-Identifier: MIT */
/* TDX quotes: the module's report on this guest goes to the host in a shared buffer, its quoting service answers there some
 * time later, and tells by an interrupt if it can. The buffer is the host's to write at any time: its status is read once per look, and the quote copied once,
 * with a length that was checked. One request at a time, under lock; a buffer that the host has not given back
 * is not used again. Spec: GHCI 1.5, 3.3 (TDG.VP.VMCALL<GetQuote>). */
#include "cc_int.h"

#include <abi/errno.h>
#include <libos/heap.h>
#include <libos/lock.h>
#include <libos/waitq.h>
#include <plat/cc.h>
#include <plat/dma.h>
#include <plat/time.h>
#include <string.h>

enum { BUFFER = 16 * 1024, HEAD = 24, VERSION = 1, DONE = 0 };
#define IN_FLIGHT UINT64_MAX
#define LIMIT_NS  (30ull * 1000000000)
#define LOOK_NS   (5ull * 1000000)
#define TOLD_NS   (1000ull * 1000000) /* a host that tells may forget to */

/* What the buffer begins with. */
struct quote_head {
    uint64_t version, status;
    uint32_t in_size, out_size;
};
_Static_assert(sizeof(struct quote_head) == HEAD, "struct tdx_quote_buf");

static struct {
    struct mutex lock;
    struct plat_dma buffer; /* guarded by lock */
    struct waitq done;      /* the host has told */
    uint64_t look_ns;       /* how long to wait for that; set once at boot */
} service;

static uint64_t status(void)
{
    return ((const volatile struct quote_head *)service.buffer.ptr)->status;
}

/* 0: the host is through; -EINTR, -ETIMEDOUT: it may still write. */
static int wait_done(void)
{
    uint64_t end = plat_time_ns() + LIMIT_NS;

    while (status() == IN_FLIGHT) {
        uint64_t now = plat_time_ns();
        int err;

        if (now > end)
            return -ETIMEDOUT;
        err = WAIT_EVENT(&service.done, SLEEP_INTERRUPTIBLE, now + service.look_ns,
                         status() != IN_FLIGHT);
        if (err == -EINTR)
            return err;
    }
    return 0;
}

static int take_quote(struct tsm_request *r)
{
    struct quote_head head;

    memcpy(&head, service.buffer.ptr, sizeof(head));
    if (head.status != DONE || !head.out_size || head.out_size > BUFFER - HEAD)
        return -EIO;
    r->out = heap_alloc(head.out_size);
    if (!r->out)
        return -ENOMEM;
    memcpy(r->out, (const uint8_t *)service.buffer.ptr + HEAD, head.out_size);
    r->out_size = head.out_size;
    return 0;
}

static int ask(struct tsm_request *r)
{
    struct quote_head *head = service.buffer.ptr;
    uint8_t *report;
    int err;

    if (!service.buffer.ptr) {
        err = plat_dma_alloc(BUFFER, &service.buffer);
        if (err)
            return err;
        head = service.buffer.ptr;
    } else if (status() == IN_FLIGHT) {
        return -EBUSY;
    }
    report = heap_alloc(PLAT_TDX_REPORT);
    if (!report)
        return -ENOMEM;
    err = plat_tdx_report(r->in, report);
    if (!err) {
        memset(head, 0, BUFFER);
        memcpy((uint8_t *)head + HEAD, report, PLAT_TDX_REPORT);
        *head = (struct quote_head){ VERSION, DONE, PLAT_TDX_REPORT, 0 };
        err = plat_tdx_get_quote(service.buffer.addr, BUFFER);
    }
    heap_free(report);
    if (!err)
        err = wait_done();
    return err ? err : take_quote(r);
}

int tdx_quote(struct tsm_request *r)
{
    int err;

    if (r->in_size != PLAT_TDX_DATA)
        return -EINVAL;
    mutex_lock(&service.lock);
    err = ask(r);
    mutex_unlock(&service.lock);
    return err;
}

static void told(void *arg)
{
    (void)arg;
    waitq_wake(&service.done, WAITQ_ALL, 0);
}

void tdx_quote_init(void)
{
    mutex_init(&service.lock, RANK_CC);
    waitq_init(&service.done);
    service.look_ns = plat_tdx_quote_notify(told, NULL) ? LOOK_NS : TOLD_NS;
}
