/* SPDX-License-Identifier: MIT */
/* /dev/tdx_guest, as Linux has it: reports of the TDX module for whoever may open it. No state.
 * Spec: Linux, Documentation/virt/coco/tdx-guest.rst and include/uapi/linux/tdx-guest.h. */
#include "dev.h"
#include <abi/errno.h>
#include <libos/file.h>
#include <libos/heap.h>
#include <libos/user.h>
#include <plat/cc.h>

/* _IOWR('T', 1, struct tdx_report_req) */
#define TDX_CMD_GET_REPORT0 0xc4405401u

struct report_request {
    uint8_t data[PLAT_TDX_DATA];
    uint8_t report[PLAT_TDX_REPORT];
};
_Static_assert(sizeof(struct report_request) == 1088, "struct tdx_report_req");

typedef USER(struct report_request) user_report_t;
typedef USER(const struct report_request) user_report_in_t;

static long get_report(user_report_t up)
{
    struct report_request *r = heap_alloc(sizeof(*r));
    int err;

    if (!r)
        return -ENOMEM;
    err = user_get(r, user_cast(user_report_in_t, up), 1);
    if (!err)
        err = plat_tdx_report(r->data, r->report);
    if (!err)
        err = user_put(up, r, 1);
    heap_free(r);
    return err;
}

static long tdx_ioctl(struct file *f, unsigned cmd, unsigned long arg)
{
    (void)f;
    return cmd == TDX_CMD_GET_REPORT0 ? get_report(user_at(user_report_t, arg)) : -ENOTTY;
}

static const struct file_ops tdx_ops = { .ioctl = tdx_ioctl, .seek = file_seek_nowhere };

int tdx_guest_open(struct file *f, uint32_t minor)
{
    (void)minor;
    if (!plat_tdx())
        return -ENXIO;
    f->ops = &tdx_ops;
    return 0;
}
