/* SPDX-License-Identifier: MIT */
/* In place of the block layer in a libOS that is linked without disks: it finds none. */
#include <libos/dev/blk.h>
#include <libos/luks.h>

#include <abi/errno.h>

struct blk_device *blk_find(const char *name)
{
    return NULL;
}

struct blk_device *blk_next(const struct blk_device *dev)
{
    return NULL;
}

void blk_stats(struct blk_device *d, struct blk_stats *ret)
{
    *ret = (struct blk_stats){ 0 };
}

struct blk_device *blk_of_rdev(uint32_t rdev)
{
    return NULL;
}

void blk_scan(void)
{
}

int blk_node_open(uint32_t rdev, bool exclusive, struct file *f)
{
    return -ENXIO;
}

int blk_nodes_make(void)
{
    return 0;
}

int luks_open(struct blk_device *dev, const char *name, const struct luks_key_source *key,
              struct blk_device **ret_dev)
{
    return -ENODEV;
}

void luks_wipe(void)
{
}
