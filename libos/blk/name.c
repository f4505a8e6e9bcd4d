/* SPDX-License-Identifier: MIT */
/* Finding a device by what is known of it: its name, its partition's, or what the file system on it says of itself. */
#include "blk_int.h"

#include <libos/page.h>
#include <stdio.h>
#include <string.h>

static bool equal_nocase(const char *a, const char *b)
{
    for (; *a && *b; a++, b++) {
        char x = *a >= 'A' && *a <= 'Z' ? (char)(*a + 32) : *a;
        char y = *b >= 'A' && *b <= 'Z' ? (char)(*b + 32) : *b;
        if (x != y)
            return false;
    }
    return *a == *b;
}

/* UUID and label of an ext2, ext3 or ext4 file system: its superblock is at 1024. */
static bool ext_names(const char *sb, char uuid[37], char label[17])
{
    const uint8_t *u = (const uint8_t *)sb + 0x68;
    if ((uint8_t)sb[0x38] != 0x53 || (uint8_t)sb[0x39] != 0xef)
        return false;
    snprintf(uuid, 37, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", u[0],
             u[1], u[2], u[3], u[4], u[5], u[6], u[7], u[8], u[9], u[10], u[11], u[12], u[13],
             u[14], u[15]);
    memcpy(label, sb + 0x78, 16);
    label[16] = '\0';
    return true;
}

/* UUID and label of a LUKS2 header, which is at 0. */
static bool luks_names(const char *h, char uuid[41], char label[49])
{
    if (memcmp(h, "LUKS\xba\xbe", 6))
        return false;
    memcpy(label, h + 0x18, 48);
    label[48] = '\0';
    memcpy(uuid, h + 0xa8, 40);
    uuid[40] = '\0';
    return true;
}

bool blk_content_names(struct blk_device *d, char uuid[41], char label[49])
{
    struct page *p = page_alloc(0, PAGE_KERNEL, 0);
    bool found = false;
    if (!p)
        return false;
    char *buf = page_ptr(p);
    if (d->sectors >= PAGE_SIZE / BLK_SECTOR && !blk_read(d, 0, PAGE_SIZE / BLK_SECTOR, buf))
        found = luks_names(buf, uuid, label) || ext_names(buf + 1024, uuid, label);
    page_put(p);
    return found;
}

static bool content_matches(struct blk_device *d, const char *value, bool by_label)
{
    char uuid[41], label[49];
    if (!blk_content_names(d, uuid, label))
        return false;
    return by_label ? *label && !strcmp(label, value) : equal_nocase(uuid, value);
}

struct blk_device *blk_find(const char *name)
{
    static const char *const keys[] = { "UUID=", "LABEL=", "PARTUUID=", "PARTLABEL=", "SERIAL=" };
    unsigned key = 0;
    while (key < ARRAY_SIZE(keys) && strncmp(name, keys[key], strlen(keys[key])))
        key++;
    const char *value = key < ARRAY_SIZE(keys)       ? name + strlen(keys[key])
                        : !strncmp(name, "/dev/", 5) ? name + 5
                                                     : name;
    for (struct blk_device *d = blk_next(NULL); *value && d; d = blk_next(d)) {
        bool found = key <= 1   ? content_matches(d, value, key == 1)
                     : key == 2 ? equal_nocase(d->partuuid, value)
                     : key == 3 ? !strcmp(d->partlabel, value)
                     : key == 4 ? !d->whole && !strcmp(d->serial, value)
                                : !strcmp(d->name, value);
        if (found)
            return d;
    }
    return NULL;
}
