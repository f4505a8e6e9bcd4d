/* SPDX-License-Identifier: MIT */
/* Access control lists as they lie on the disk: version 1, entries without a name are 4 bytes, named ones 8. The attribute that
 * programs see has version 2 and 8 bytes for each. Linux's fs/ext4 documentation, acl(5). */
#include "ext4.h"

#include <abi/errno.h>
#include <libos/acl.h>
#include <string.h>

enum { DISK_VERSION = 1, VERSION = 2, USER = 2, GROUP = 8, SHORT = 4, LONG = 8 };

struct entry {
    uint16_t tag, perm;
    uint32_t id;
};

static bool is_named(uint16_t tag)
{
    return tag == USER || tag == GROUP;
}

int ext4_acl_from_disk(const void *disk, size_t size, void *buf, size_t room)
{
    const char *at = disk, *end = at + size;
    uint32_t version;
    size_t n = sizeof(version);
    if (size < sizeof(version))
        return -EINVAL;
    memcpy(&version, at, sizeof(version));
    if (version != DISK_VERSION)
        return -EINVAL;
    version = VERSION;
    if (room >= n)
        memcpy(buf, &version, n);
    for (at += sizeof(version); at < end;) {
        struct entry e = { .id = UINT32_MAX };
        if (end - at < SHORT)
            return -EINVAL;
        memcpy(&e, at, SHORT);
        size_t len = is_named(e.tag) ? LONG : SHORT;
        if ((size_t)(end - at) < len)
            return -EINVAL;
        memcpy(&e, at, len);
        if (room >= n + sizeof(e))
            memcpy((char *)buf + n, &e, sizeof(e));
        n += sizeof(e);
        at += len;
    }
    return room && room < n ? -ERANGE : (int)n;
}

size_t ext4_acl_to_disk(const void *value, size_t size, void *disk)
{
    const char *at = value, *end = at + size;
    char *to = disk;
    const uint32_t version = DISK_VERSION;
    memcpy(to, &version, sizeof(version));
    to += sizeof(version);
    for (at += sizeof(version); end - at >= LONG; at += LONG) {
        struct entry e;
        memcpy(&e, at, sizeof(e));
        size_t len = is_named(e.tag) ? LONG : SHORT;
        memcpy(to, &e, len);
        to += len;
    }
    return (size_t)(to - (char *)disk);
}
