/* SPDX-License-Identifier: MIT */
/* Capabilities of files: the attribute security.capability, capabilities(7) "File capabilities". Whether an inode has none is
 * remembered in it (caps_none, guarded by inode->lock), so that writes need not look each time. */
#include "vfs_int.h"

#include <abi/errno.h>
#include <abi/prctl.h>
#include <libos/xattr.h>
#include <string.h>

enum {
    REVISION = 0x7f << 24, /* the sign bit is never set in one that is known */
    REVISION_1 = 1 << 24,
    REVISION_2 = 2 << 24,
    REVISION_3 = 3 << 24,
    EFFECTIVE = 1,
    SIZE_1 = 12,
    SIZE_2 = 20,
    SIZE_3 = 24,
};

/* struct vfs_ns_cap_data, little-endian as this machine. */
struct stored {
    uint32_t magic, low_permitted, low_inheritable, high_permitted, high_inheritable, root;
};

static bool is_form(uint32_t magic, int n)
{
    uint32_t revision = magic & 0xff000000u;
    return (revision == REVISION_1 && n == SIZE_1) || (revision == REVISION_2 && n == SIZE_2) ||
           (revision == REVISION_3 && n == SIZE_3);
}

bool caps_is_name(const char *name)
{
    return strcmp(name, "security.capability") == 0;
}

int caps_check_set(const void *value, size_t size)
{
    struct stored s = { 0 };
    if (value && size) {
        if (size != SIZE_2 && size != SIZE_3)
            return -EINVAL;
        memcpy(&s, value, size);
        if (!is_form(s.magic, (int)size))
            return -EINVAL;
    }
    return vfs_capable(CAP_SETFCAP) ? 0 : -EPERM;
}

int caps_to_show(void *value, int n)
{
    struct stored s = { 0 };
    memcpy(&s, value, (size_t)(n < SIZE_3 ? n : SIZE_3));
    if (n < SIZE_1 || !is_form(s.magic, n) || n == SIZE_1)
        return -EINVAL;
    if (n == SIZE_2 || s.root)
        return n;
    s.magic = (s.magic & EFFECTIVE) | REVISION_2; /* of the only root there is: in the older form */
    memcpy(value, &s, SIZE_2);
    return SIZE_2;
}

/* The attribute, with inode->lock held. 0: none. */
static int load(struct inode *inode, struct stored *s)
{
    memset(s, 0, sizeof(*s));
    if (inode->caps_none)
        return 0;
    int n = inode->ops && inode->ops->getxattr
                ? inode->ops->getxattr(inode, "security.capability", s, sizeof(*s))
                : -ENODATA;
    if (n == -ENODATA || n == -EOPNOTSUPP)
        inode->caps_none = true; /* others may write the same at once */
    return n == -ENODATA || n == -EOPNOTSUPP ? 0 : n == -ERANGE || !n ? -EINVAL : n;
}

int inode_file_caps(struct inode *inode, struct file_caps *ret)
{
    struct stored s;
    if (inode->caps_none)
        return 0;
    rwmutex_read_lock(&inode->lock);
    int n = load(inode, &s);
    rwmutex_read_unlock(&inode->lock);
    if (n <= 0)
        return n;
    if (!is_form(s.magic, n))
        return -EINVAL;
    if (s.root)
        return 0; /* for another user name space's root */
    uint64_t all = (2ull << CAP_LAST_CAP) - 1;
    *ret = (struct file_caps){
        .permitted = (s.low_permitted | (uint64_t)s.high_permitted << 32) & all,
        .inheritable = (s.low_inheritable | (uint64_t)s.high_inheritable << 32) & all,
        .effective = s.magic & EFFECTIVE,
    };
    return 1;
}

void inode_drop_caps(struct inode *inode)
{
    struct stored s;
    if (load(inode, &s) && inode->ops->setxattr &&
        !inode->ops->setxattr(inode, "security.capability", NULL, 0, 0))
        inode->caps_none = true;
}
