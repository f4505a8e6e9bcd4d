/* SPDX-License-Identifier: MIT */
/* From a passphrase to the volume key ("LUKS2 On-Disk Format Specification", 4; Fruhwirth, "LUKS1 On-Disk Format", for the
 * splitting): the passphrase's key decrypts a slot's material, its stripes merge into a candidate, and the digest tells whether it
 * is the volume's key. */
#include <libos/luks.h>

#include "crypt.h"
#include "header.h"

#include <abi/errno.h>
#include <base/log.h>
#include <libos/heap.h>
#include <libos/page.h>
#include <libos/sched.h>
#include <string.h>

/* A key of at most LUKS_KEY_MAX bytes. */
struct key {
    uint8_t bytes[LUKS_KEY_MAX];
    size_t n;
};

static struct kdf_bytes salt_bytes(const struct luks_salt *s)
{
    return (struct kdf_bytes){ s->bytes, s->n };
}

/* Spread each bit of block over all of it: every piece becomes its own digest, with its number in front. */
static void diffuse(enum kdf_hash hash, uint8_t *block, size_t size)
{
    uint8_t digest[KDF_HASH_MAX];
    size_t piece = kdf_hash_size(hash);
    for (uint32_t i = 0; i * piece < size; i++) {
        size_t at = i * piece, n = min_u64(piece, size - at);
        uint8_t number[4] = { (uint8_t)(i >> 24), (uint8_t)(i >> 16), (uint8_t)(i >> 8),
                              (uint8_t)i };
        kdf_digest(hash, (struct kdf_bytes){ number, 4 }, (struct kdf_bytes){ block + at, n },
                   digest);
        memcpy(block + at, digest, n);
    }
    kdf_wipe(digest, sizeof(digest));
}

/* The stripes' sum: ret_key->n bytes. */
static void merge(const struct luks_slot *s, const uint8_t *material, struct key *ret_key)
{
    ret_key->n = s->key_size;
    memset(ret_key->bytes, 0, sizeof(ret_key->bytes));
    for (uint32_t i = 0; i < s->stripes; i++) {
        for (size_t k = 0; k < ret_key->n; k++)
            ret_key->bytes[k] ^= material[(size_t)i * ret_key->n + k];
        if (i + 1 < s->stripes)
            diffuse(s->af_hash, ret_key->bytes, ret_key->n);
        if (i % 64 == 0)
            thread_preempt_point();
    }
}

/* The key that the passphrase makes for this slot. */
static int derive(const struct luks_slot *s, struct kdf_bytes passphrase, struct key *ret_key)
{
    struct kdf_bytes salt = salt_bytes(&s->salt);
    ret_key->n = s->area_key_size;
    if (s->kdf == LUKS_PBKDF2)
        return kdf_pbkdf2(s->kdf_hash, passphrase, salt, s->iterations, ret_key->bytes, ret_key->n);
    uint64_t free_kib = page_available_count() * (PAGE_SIZE / 1024);
    int err = s->argon2.memory_kib <= free_kib / 4 * 3
                  ? kdf_argon2(&s->argon2, passphrase, salt, ret_key->bytes, ret_key->n)
                  : -ENOMEM;
    if (err == -ENOMEM)
        log_error(
            "luks: key slot %u wants %u MiB of memory for argon2, and the machine has %llu MiB "
            "free; give it more (-m), or make the slot with --pbkdf-memory",
            s->number, s->argon2.memory_kib >> 10, (unsigned long long)free_kib >> 10);
    return err;
}

/* Read the slot's material, decrypted by key. */
static int read_material(struct blk_device *dev, const struct luks_slot *s, const struct key *key,
                         uint8_t **ret_material, size_t *ret_size)
{
    size_t size = align_up((size_t)s->stripes * s->key_size, BLK_SECTOR);
    uint8_t *m = heap_alloc(align_up(size, PAGE_SIZE));
    struct xts *x = NULL;
    int err = m ? xts_create(key->bytes, key->n, &x) : -ENOMEM;
    if (!err)
        err = blk_read(dev, s->area / BLK_SECTOR,
                       (uint32_t)(align_up(size, dev->limits.logical_block) / BLK_SECTOR), m);
    for (size_t at = 0; !err && at < size; at += BLK_SECTOR) {
        xts_crypt(x, true, at / BLK_SECTOR, m + at, m + at, BLK_SECTOR);
        if (at % (64u * BLK_SECTOR) == 0)
            thread_preempt_point();
    }
    xts_destroy(x);
    if (err) {
        heap_free(m);
        return err;
    }
    *ret_material = m;
    *ret_size = size;
    return 0;
}

/* Does the digest know this key? 0, -EACCES, -ENOMEM. */
static int prove(const struct luks_header *h, const struct key *key)
{
    uint8_t digest[KDF_HASH_MAX];
    int err = kdf_pbkdf2(h->digest_hash, (struct kdf_bytes){ key->bytes, key->n },
                         salt_bytes(&h->digest_salt), h->digest_iterations, digest, h->digest_size);
    return err ? err : kdf_equal(digest, h->digest, h->digest_size) ? 0 : -EACCES;
}

static int try_slot(struct blk_device *dev, const struct luks_header *h, const struct luks_slot *s,
                    struct kdf_bytes passphrase, struct key *ret_key)
{
    struct key derived;
    uint8_t *material;
    size_t size;
    int err = derive(s, passphrase, &derived);
    if (!err)
        err = read_material(dev, s, &derived, &material, &size);
    if (!err) {
        merge(s, material, ret_key);
        kdf_wipe(material, size);
        heap_free(material);
        err = prove(h, ret_key);
    }
    kdf_wipe(&derived, sizeof(derived));
    return err;
}

/* Try a passphrase on all slots: 0, -EACCES, or what hindered the slots that were not tried. */
static int try_slots(struct blk_device *dev, const struct luks_header *h,
                     struct kdf_bytes passphrase, struct key *ret_key)
{
    int worst = -EACCES;
    for (uint32_t i = 0; i < h->nslots; i++) {
        int err = try_slot(dev, h, &h->slots[i], passphrase, ret_key);
        if (!err)
            return 0;
        if (err != -EACCES)
            worst = err;
    }
    return worst;
}

/* Find the volume key. */
static int unlock(struct blk_device *dev, const struct luks_header *h,
                  const struct luks_key_source *source, struct key *ret_key)
{
    uint8_t *buf = heap_alloc(LUKS_PASSPHRASE_MAX);
    int err = buf ? -EACCES : -ENOMEM;
    for (unsigned attempt = 0; err == -EACCES; attempt++) {
        int n = source->get(source->arg, attempt, buf, LUKS_PASSPHRASE_MAX);
        if (n < 0) {
            err = n;
            break;
        }
        err = try_slots(dev, h, (struct kdf_bytes){ buf, (size_t)n }, ret_key);
        kdf_wipe(buf, (size_t)n);
    }
    heap_free(buf);
    return err;
}

int luks_open(struct blk_device *dev, const char *name, const struct luks_key_source *key,
              struct blk_device **ret_dev)
{
    struct luks_header *h = heap_alloc(sizeof(*h));
    struct xts *xts;
    struct key volume;
    int err = h ? blk_claim(dev) : -ENOMEM;
    if (err) {
        heap_free(h);
        return err;
    }
    err = luks_header_read(dev, h);
    if (!err)
        err = unlock(dev, h, key, &volume);
    if (!err)
        err = xts_create(volume.bytes, volume.n, &xts);
    kdf_wipe(&volume, sizeof(volume));
    if (!err) {
        struct crypt_layout layout = { h->offset, h->length, h->sector_size, h->iv_tweak,
                                       h->allow_discards };
        err = crypt_create(dev, name, &layout, xts, ret_dev);
    }
    if (err)
        blk_release(dev);
    heap_free(h);
    return err;
}

void luks_wipe(void)
{
    crypt_wipe();
}
