/* SPDX-License-Identifier: MIT */
/* The payload's header is hostile like any other input: it is copied once, then each part is bounded by the size that
 * the header states, which is bounded by the memory that is there. */
#include "payload.h"

#include <alcove/image.h>
#include <libos/cmdline.h>

#include <abi/errno.h>
#include <base/log.h>
#include <plat/boot.h>
#include <string.h>

static int malformed(const char *what)
{
    log_error("image: malformed header: %s", what);
    return -EINVAL;
}

static bool part_ok(const struct alcove_image *h, const struct alcove_image_part *p)
{
    return p->offset % ALCOVE_IMAGE_ALIGN == 0 && p->offset <= h->total_size &&
           p->size <= h->total_size - p->offset;
}

int payload_find(struct payload *ret)
{
    const struct plat_boot *boot = plat_boot_info();
    struct alcove_image h;

    if (!boot->payload || boot->payload_max < sizeof h)
        return log_error("image: no program in it; build one with `alcove build PROGRAM`"), -ENOENT;
    memcpy(&h, boot->payload, sizeof h);
    if (memcmp(h.magic, ALCOVE_IMAGE_MAGIC, sizeof h.magic))
        return log_error("image: no program in it; build one with `alcove build PROGRAM`"), -ENOENT;
    if (h.version != ALCOVE_IMAGE_VERSION || h.header_size != sizeof h)
        return malformed("version (the image and libOS are of different releases)");
    if (h.total_size > boot->payload_max)
        return malformed("larger than memory");
    if (!part_ok(&h, &h.cmdline) || !part_ok(&h, &h.root) || !part_ok(&h, &h.hash))
        return malformed("a part lies outside");
    if (h.cmdline.size > ALCOVE_CMDLINE_MAX)
        return malformed("command line too long");
    const char *base = boot->payload;
    *ret = (struct payload){
        .cmdline = base + h.cmdline.offset,
        .cmdline_size = h.cmdline.size,
        .root = base + h.root.offset,
        .root_size = h.root.size,
        .hash = base + h.hash.offset,
        .hash_size = h.hash.size,
    };
    return 0;
}

int payload_configure(const struct payload *p)
{
    struct config c;
    int err = config_parse(p->cmdline, p->cmdline_size, &c);

    if (err)
        return err;
    if (!c.sealed)
        config_override(plat_boot_info()->vmm_cmdline, &c);
    log_set_level((enum log_level)c.log_level);
    config_set(&c);
    return 0;
}
