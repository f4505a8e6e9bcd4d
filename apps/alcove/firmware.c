/* SPDX-License-Identifier: MIT */
#include "firmware.h"

#include "util.h"

#include <string.h>

enum { FROM_END = 32, ENTRY_TAIL = 18 /* length, GUID */ };

/* GUIDs as they are stored. */
static const uint8_t table_guid[16] = { 0xde, 0x82, 0xb5, 0x96, 0xb2, 0x1f, 0xf7, 0x45,
                                        0xba, 0xea, 0xa3, 0x66, 0xc5, 0x5a, 0x08, 0x2d };
static const uint8_t sev_guid[16] = { 0x66, 0x65, 0x88, 0xdc, 0x4a, 0x98, 0x98, 0x47,
                                      0xa7, 0x5e, 0x55, 0x85, 0xa7, 0xbf, 0x67, 0xcc };
static const uint8_t reset_guid[16] = { 0xde, 0x71, 0xf7, 0x00, 0x7e, 0x1a, 0xcb, 0x4f,
                                        0x89, 0x0e, 0x68, 0xc7, 0x7e, 0x2f, 0xb4, 0x4e };
static const uint8_t hashes_guid[16] = { 0x1f, 0x37, 0x55, 0x72, 0x3b, 0x3a, 0x04, 0x4b,
                                         0x92, 0x7b, 0x1d, 0xa6, 0xef, 0xa8, 0xd4, 0x54 };
static const uint8_t tdx_guid[16] = { 0x35, 0x65, 0x7a, 0xe4, 0x4a, 0x98, 0x98, 0x47,
                                      0x86, 0x5e, 0x46, 0x85, 0xa7, 0xbf, 0x8e, 0xc2 };

static uint32_t get32(const uint8_t *p)
{
    return p[0] | p[1] << 8 | p[2] << 16 | (uint32_t)p[3] << 24;
}

static uint64_t get64(const uint8_t *p)
{
    return get32(p) | (uint64_t)get32(p + 4) << 32;
}

/* The data of an entry, read backwards from the table's end; NULL: there is none of at least n bytes. */
static const uint8_t *find(const struct firmware *f, const uint8_t guid[16], size_t n)
{
    if (f->size < 4096 || memcmp(f->data + f->size - FROM_END - 16, table_guid, 16) != 0)
        return NULL;
    const uint8_t *end = f->data + f->size - FROM_END - ENTRY_TAIL;
    size_t left = get32(end) & 0xffff;
    if (left < ENTRY_TAIL || left > 4096 - 64)
        return NULL;
    for (left -= ENTRY_TAIL; left >= ENTRY_TAIL;) {
        size_t size = get32(end - ENTRY_TAIL) & 0xffff;
        if (size < ENTRY_TAIL || size > left)
            return NULL;
        if (memcmp(end - 16, guid, 16) == 0)
            return size - ENTRY_TAIL >= n ? end - size : NULL;
        end -= size;
        left -= size;
    }
    return NULL;
}

/* count descriptors of step bytes behind a head; NULL: they do not fit, or the signature is another. */
static const uint8_t *descriptors(const struct firmware *f, const uint8_t *offset,
                                  const char *signature, size_t step, size_t *ret_count)
{
    uint32_t back = offset ? get32(offset) : 0;
    *ret_count = 0;
    if (back < 16 || back > f->size)
        return NULL;
    const uint8_t *p = f->data + f->size - back;
    size_t count = get32(p + 12);
    if (memcmp(p, signature, 4) != 0 || count > FIRMWARE_RANGES_MAX || 16 + count * step > back)
        fail(f->path, "has damaged metadata (%s)", signature);
    *ret_count = count;
    return p + 16;
}

void firmware_read(const char *path, struct firmware *ret)
{
    *ret = (struct firmware){ .path = path };
    int err = file_map(path, &ret->data, &ret->size);
    if (err < 0)
        fail_errno(path, -err, "cannot read the firmware");
    const uint8_t *p = descriptors(ret, find(ret, sev_guid, 4), "ASEV", 12, &ret->snp_count);
    for (size_t i = 0; i < ret->snp_count; i++, p += 12) {
        ret->snp[i].base = get32(p);
        ret->snp[i].size = get32(p + 4);
        ret->snp[i].type = get32(p + 8);
    }
    p = descriptors(ret, find(ret, tdx_guid, 4), "TDVF", 32, &ret->tdx_count);
    for (size_t i = 0; i < ret->tdx_count; i++, p += 32) {
        ret->tdx[i].data_at = get32(p);
        ret->tdx[i].data_size = get32(p + 4);
        ret->tdx[i].base = get64(p + 8);
        ret->tdx[i].size = get64(p + 16);
        ret->tdx[i].type = get32(p + 24);
        ret->tdx[i].flags = get32(p + 28);
    }
    if ((p = find(ret, hashes_guid, 8)) && get32(p + 4))
        ret->hashes_at = get32(p);
    if ((p = find(ret, reset_guid, 4)))
        ret->ap_entry = get32(p);
}
