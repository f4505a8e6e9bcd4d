/* SPDX-License-Identifier: MIT */
/* The header of LUKS2 ("LUKS2 On-Disk Format Specification", versions 1.0 and 1.1): a binary block with a checksum over itself and the
 * JSON text behind it, twice on the device. The copy with the higher sequence number counts, if its checksum is right. Whoever
 * can write to the disk can write a header with a right checksum, so every number in it is checked for what it can do here. */
#include "header.h"
#include "json.h"

#include <abi/errno.h>
#include <base/log.h>
#include <libos/heap.h>
#include <libos/page.h>
#include <libos/sha256.h>
#include <string.h>

enum {
    BINARY = 4096,
    HEADER_MIN = 0x4000,
    HEADER_MAX = 0x400000,
    TOKENS_MAX = 4096,
    CHECKSUM_AT = 0x1c0,
    CHECKSUM_SIZE = 64,
};

/* The binary block; big endian. */
struct binary {
    uint8_t magic[6];
    uint8_t version[2];
    uint8_t size[8];
    uint8_t sequence[8];
    char label[48];
    char checksum_alg[32];
    uint8_t salt[64];
    char uuid[40];
    char subsystem[48];
    uint8_t offset[8];
    uint8_t pad[184];
    uint8_t checksum[CHECKSUM_SIZE];
};
_Static_assert(offsetof(struct binary, checksum) == CHECKSUM_AT, "LUKS2 binary header");
_Static_assert(sizeof(struct binary) == 512, "LUKS2 binary header");

/* One header while it is read. */
struct reader {
    struct json j;
    struct luks_header *h;
    uint64_t bytes; /* of the device */
};

static uint64_t be(const uint8_t *p, unsigned n)
{
    uint64_t v = 0;
    while (n--)
        v = v << 8 | *p++;
    return v;
}

static int refuse(const char *what)
{
    log_error("luks: %s", what);
    return -EINVAL;
}

static bool number(const struct reader *r, uint32_t object, const char *name, uint64_t max,
                   uint64_t *ret)
{
    return json_number(&r->j, json_get(&r->j, object, name), max, ret);
}

static bool number32(const struct reader *r, uint32_t object, const char *name, uint32_t max,
                     uint32_t *ret)
{
    uint64_t n;
    if (!number(r, object, name, max, &n))
        return false;
    *ret = (uint32_t)n;
    return true;
}

static bool is(const struct reader *r, uint32_t object, const char *name, const char *text)
{
    return json_is(&r->j, json_get(&r->j, object, name), text);
}

static bool hash_of(const struct reader *r, uint32_t object, enum kdf_hash *ret)
{
    *ret = is(r, object, "hash", "sha512") ? KDF_SHA512 : KDF_SHA256;
    return *ret == KDF_SHA512 || is(r, object, "hash", "sha256");
}

static bool salt_of(const struct reader *r, uint32_t object, struct luks_salt *ret)
{
    int n = json_base64(&r->j, json_get(&r->j, object, "salt"), ret->bytes, sizeof(ret->bytes));
    ret->n = n < 0 ? 0 : (uint32_t)n;
    return n > 0;
}

static bool key_size_ok(uint32_t n)
{
    return n == 32 || n == 64;
}

/* The data: exactly one segment, encrypted with AES in XTS. */
static int read_segment(struct reader *r)
{
    struct luks_header *h = r->h;
    const struct json *j = &r->j;
    uint32_t segments = json_get(j, 0, "segments"), name = segments ? json_first(j, segments) : 0;
    uint64_t offset, size;
    if (!name || json_after(j, segments, name))
        return refuse("the volume has not exactly one segment; a reencryption may not be finished");
    uint32_t s = name + 1;
    if (!is(r, s, "type", "crypt") || json_get(j, s, "integrity") || json_get(j, s, "flags"))
        return refuse("the data segment is of a kind that is not known here");
    if (!is(r, s, "encryption", "aes-xts-plain64"))
        return refuse("the data is not encrypted by aes-xts-plain64, which is the only one here");
    if (!number32(r, s, "sector_size", PAGE_SIZE, &h->sector_size) || h->sector_size < BLK_SECTOR ||
        (h->sector_size & (h->sector_size - 1)) ||
        !number(r, s, "iv_tweak", UINT64_MAX, &h->iv_tweak) ||
        !number(r, s, "offset", r->bytes, &offset) || offset % h->sector_size ||
        offset < 2ull * h->size)
        return refuse("the data segment makes no sense");
    size = r->bytes - offset;
    if (!is(r, s, "size", "dynamic") && !number(r, s, "size", r->bytes - offset, &size))
        return refuse("the data segment is longer than the disk");
    h->offset = offset / BLK_SECTOR;
    h->length = size / h->sector_size * (h->sector_size / BLK_SECTOR);
    return h->length ? 0 : refuse("there is no data behind the header");
}

static int read_config(struct reader *r)
{
    const struct json *j = &r->j;
    uint32_t config = json_get(j, 0, "config");
    uint32_t flags = config ? json_get(j, config, "flags") : 0;
    for (uint32_t t = flags ? json_first(j, flags) : 0; t; t = json_after(j, flags, t))
        r->h->allow_discards |= json_is(j, t, "allow-discards");
    uint32_t requirements = config ? json_get(j, config, "requirements") : 0;
    uint32_t must_have = requirements ? json_get(j, requirements, "mandatory") : 0;
    if (must_have && json_first(j, must_have))
        return refuse(
            "the header requires what is not known here (a reencryption is not finished?)");
    return 0;
}

/* Is name (a token) in the array called list of object? */
static bool listed(const struct reader *r, uint32_t object, const char *list, uint32_t name)
{
    const struct json *j = &r->j;
    uint32_t array = json_get(j, object, list);
    for (uint32_t t = array ? json_first(j, array) : 0; t; t = json_after(j, array, t))
        if (j->tokens[t].len == j->tokens[name].len && j->tokens[t].type == JSON_STRING &&
            !memcmp(j->text + j->tokens[t].at, j->text + j->tokens[name].at, j->tokens[t].len))
            return true;
    return false;
}

/* The digest of the data segment; its token, or 0. */
static uint32_t read_digest(struct reader *r)
{
    struct luks_header *h = r->h;
    const struct json *j = &r->j;
    uint32_t digests = json_get(j, 0, "digests");
    uint32_t segment = json_first(j, json_get(j, 0, "segments"));
    for (uint32_t t = digests ? json_first(j, digests) : 0; t; t = json_after(j, digests, t)) {
        uint32_t d = t + 1;
        if (!listed(r, d, "segments", segment))
            continue;
        int n = json_base64(j, json_get(j, d, "digest"), h->digest, sizeof(h->digest));
        if (!is(r, d, "type", "pbkdf2") || !hash_of(r, d, &h->digest_hash) ||
            !salt_of(r, d, &h->digest_salt) || n < 16 ||
            !number32(r, d, "iterations", INT32_MAX, &h->digest_iterations) ||
            !h->digest_iterations)
            return 0;
        h->digest_size = (uint32_t)n;
        return d;
    }
    return 0;
}

static bool read_kdf(struct reader *r, uint32_t kdf, struct luks_slot *s)
{
    struct kdf_argon2 *a = &s->argon2;
    if (!kdf || !salt_of(r, kdf, &s->salt))
        return false;
    if (is(r, kdf, "type", "pbkdf2")) {
        s->kdf = LUKS_PBKDF2;
        return hash_of(r, kdf, &s->kdf_hash) &&
               number32(r, kdf, "iterations", INT32_MAX, &s->iterations) && s->iterations;
    }
    s->kdf = LUKS_ARGON2;
    a->id = is(r, kdf, "type", "argon2id");
    return (a->id || is(r, kdf, "type", "argon2i")) &&
           number32(r, kdf, "time", INT32_MAX, &a->passes) && a->passes &&
           number32(r, kdf, "memory", 4u << 20, &a->memory_kib) && a->memory_kib >= 8 &&
           number32(r, kdf, "cpus", 64, &a->lanes) && a->lanes;
}

static bool read_slot(struct reader *r, uint32_t slot, struct luks_slot *s)
{
    const struct json *j = &r->j;
    uint32_t af = json_get(j, slot, "af"), area = json_get(j, slot, "area");
    uint64_t size;
    if (!is(r, slot, "type", "luks2") || !af || !area || !is(r, af, "type", "luks1") ||
        !is(r, area, "type", "raw") || !is(r, area, "encryption", "aes-xts-plain64"))
        return false;
    if (!json_get(j, slot, "priority"))
        s->priority = 1;
    else if (!number32(r, slot, "priority", 2, &s->priority))
        return false;
    if (!number32(r, slot, "key_size", LUKS_KEY_MAX, &s->key_size) || !key_size_ok(s->key_size) ||
        !number32(r, area, "key_size", LUKS_KEY_MAX, &s->area_key_size) ||
        !key_size_ok(s->area_key_size) || !hash_of(r, af, &s->af_hash) ||
        !number32(r, af, "stripes", LUKS_STRIPES_MAX, &s->stripes) || !s->stripes)
        return false;
    /* Its material lies behind both copies of the header and in front of the data. */
    uint64_t need = align_up((uint64_t)s->stripes * s->key_size, BLK_SECTOR);
    if (!number(r, area, "offset", r->bytes, &s->area) || s->area % PAGE_SIZE ||
        s->area < 2ull * r->h->size || !number(r, area, "size", r->bytes - s->area, &size) ||
        size < need || s->area + size > r->h->offset * BLK_SECTOR)
        return false;
    return read_kdf(r, json_get(j, slot, "kdf"), s);
}

/* The slots whose key the digest proves, those of high priority first. */
static int read_slots(struct reader *r, uint32_t digest)
{
    struct luks_header *h = r->h;
    const struct json *j = &r->j;
    uint32_t slots = json_get(j, 0, "keyslots");
    for (uint32_t t = slots ? json_first(j, slots) : 0; t; t = json_after(j, slots, t)) {
        struct luks_slot s = { 0 };
        if (!listed(r, digest, "keyslots", t))
            continue;
        if (!json_number(j, t, LUKS_SLOTS_MAX - 1, &(uint64_t){ 0 }) || h->nslots == LUKS_SLOTS_MAX)
            return refuse("the header has a key slot with a bad number");
        s.number = (uint32_t)be((const uint8_t *)j->text + j->tokens[t].at, 1) - '0';
        if (j->tokens[t].len == 2)
            s.number = s.number * 10 + (uint32_t)(j->text[j->tokens[t].at + 1] - '0');
        if (!read_slot(r, t + 1, &s)) {
            log_warn("luks: key slot %u is of a kind that is not known here, or damaged", s.number);
            continue;
        }
        if (!s.priority)
            continue;
        uint32_t at = h->nslots++;
        for (; at && h->slots[at - 1].priority < s.priority; at--)
            h->slots[at] = h->slots[at - 1];
        h->slots[at] = s;
    }
    return h->nslots ? 0 : refuse("there is no key slot that can be used");
}

static int read_json(struct reader *r)
{
    int err = json_parse(&r->j);
    if (err)
        return refuse(err == -E2BIG ? "the header has too many parts" : "the header is not JSON");
    if ((err = read_config(r)) || (err = read_segment(r)))
        return err;
    uint32_t digest = read_digest(r);
    if (!digest)
        return refuse("the header has no digest of the volume key that is known here");
    return read_slots(r, digest);
}

/* Is there a header with a right checksum? Its size; 0: no. */
static uint32_t checked_size(const uint8_t *copy, size_t size, uint64_t at)
{
    const struct binary *b = (const struct binary *)copy;
    static const uint8_t none[CHECKSUM_SIZE];
    uint8_t is_sum[KDF_HASH_MAX];
    struct sha256 sum;
    if (size < HEADER_MIN || memcmp(b->magic, at ? "SKUL\xba\xbe" : "LUKS\xba\xbe", 6) ||
        be(b->version, 2) != 2 || be(b->offset, 8) != at)
        return 0;
    uint64_t n = be(b->size, 8);
    if (n < HEADER_MIN || n > HEADER_MAX || n > size || (n & (n - 1)) || (at && at != n))
        return 0;
    if (strncmp(b->checksum_alg, "sha256", sizeof(b->checksum_alg)))
        return 0;
    sha256_init(&sum);
    sha256_add(&sum, copy, CHECKSUM_AT);
    sha256_add(&sum, none, sizeof(none));
    sha256_add(&sum, copy + sizeof(*b), n - sizeof(*b));
    sha256_end(&sum, is_sum);
    return memcmp(is_sum, b->checksum, 32) ? 0 : (uint32_t)n;
}

int luks_header_parse(const uint8_t *copy, size_t size, uint64_t at, uint64_t sectors,
                      struct luks_header *ret)
{
    const struct binary *b = (const struct binary *)copy;
    memset(ret, 0, sizeof(*ret));
    ret->size = checked_size(copy, size, at);
    if (!ret->size || sectors > UINT64_MAX / BLK_SECTOR)
        return -EINVAL;
    ret->sequence = be(b->sequence, 8);
    memcpy(ret->uuid, b->uuid, sizeof(b->uuid));
    struct reader r = {
        .j = { .text = (const char *)copy + BINARY, .len = ret->size - BINARY, .max = TOKENS_MAX },
        .h = ret,
        .bytes = sectors * BLK_SECTOR,
    };
    if (!(r.j.tokens = heap_alloc(TOKENS_MAX * sizeof(*r.j.tokens))))
        return -ENOMEM;
    int err = read_json(&r);
    heap_free(r.j.tokens);
    return err;
}

/* Read one copy at a place where one may be, of at most max bytes. *ret_size: what its checksum vouches for, 0: nothing. */
static int read_copy(struct blk_device *dev, uint64_t at, uint8_t *buf, uint32_t *ret_size)
{
    const struct binary *b = (const struct binary *)buf;
    uint64_t room = dev->sectors * BLK_SECTOR;
    *ret_size = 0;
    if (at + HEADER_MIN > room)
        return 0;
    int err = blk_read(dev, at / BLK_SECTOR, HEADER_MIN / BLK_SECTOR, buf);
    uint64_t n = be(b->size, 8);
    if (err || memcmp(b->magic, at ? "SKUL\xba\xbe" : "LUKS\xba\xbe", 6))
        return err;
    if (n > HEADER_MIN && n <= HEADER_MAX && n % HEADER_MIN == 0 && n <= room - at)
        err = blk_read(dev, (at + HEADER_MIN) / BLK_SECTOR, (uint32_t)(n - HEADER_MIN) / BLK_SECTOR,
                       buf + HEADER_MIN);
    if (!err)
        *ret_size = checked_size(buf, n <= HEADER_MAX ? n : HEADER_MIN, at);
    return err;
}

int luks_header_read(struct blk_device *dev, struct luks_header *ret)
{
    uint8_t *first = heap_alloc(HEADER_MAX), *second = heap_alloc(HEADER_MAX);
    uint32_t n1 = 0, n2 = 0;
    uint64_t at = 0;
    int err = first && second ? read_copy(dev, 0, first, &n1) : -ENOMEM;
    /* Where the second one is, the first one says; if it cannot be believed, all places that there are. */
    for (at = n1 ? n1 : HEADER_MIN; !err && !n2 && at <= (n1 ? n1 : HEADER_MAX); at *= 2)
        err = read_copy(dev, at, second, &n2);
    at /= 2;
    if (!err && !n1 && !n2)
        err = refuse("no copy of the header is right; this is no LUKS2 volume, or a damaged one");
    if (!err && (!n1 || !n2))
        log_warn("%s: the %s copy of the LUKS2 header is damaged; the other one is used", dev->name,
                 n1 ? "second" : "first");
    if (!err) {
        bool newer = n2 && (!n1 || be(((struct binary *)second)->sequence, 8) >
                                       be(((struct binary *)first)->sequence, 8));
        err = newer ? luks_header_parse(second, n2, at, dev->sectors, ret)
                    : luks_header_parse(first, n1, 0, dev->sectors, ret);
    }
    heap_free(first);
    heap_free(second);
    return err;
}
