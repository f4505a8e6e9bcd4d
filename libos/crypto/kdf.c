/* SPDX-License-Identifier: MIT */
/* PBKDF2 over Mbed TLS's hashes. Its own function begins each HMAC anew; here the two states behind the padded key are kept and
 * copied, which halves the work, and other threads run now and then. */
#include <libos/kdf.h>

#include <abi/errno.h>
#include <base/log.h>
#include <libos/sched.h>
#include <libos/sha256.h>
#include <mbedtls/md.h>
#include <mbedtls/platform_util.h>
#include <mbedtls/sha256.h>
#include <mbedtls/sha512.h>
#include <string.h>

enum { BLOCK_MAX = 128, BREATHE = 64 /* iterations: about 100 us without instructions for SHA */ };

struct hmac {
    mbedtls_md_context_t inner, outer, work; /* the states behind the padded key; what runs */
};

/* Mbed TLS's compression function is libOS's own. */
int mbedtls_internal_sha256_process(mbedtls_sha256_context *ctx, const unsigned char data[64])
{
    if (!plat_sha256(ctx->state, data, 1))
        sha256_compress(ctx->state, data, 1);
    return 0;
}

static const mbedtls_md_info_t *info(enum kdf_hash hash)
{
    return mbedtls_md_info_from_type(hash == KDF_SHA512 ? MBEDTLS_MD_SHA512 : MBEDTLS_MD_SHA256);
}

size_t kdf_hash_size(enum kdf_hash hash)
{
    return mbedtls_md_get_size(info(hash));
}

void kdf_wipe(void *p, size_t n)
{
    mbedtls_platform_zeroize(p, n);
}

bool kdf_equal(const void *a, const void *b, size_t n)
{
    const volatile uint8_t *x = a, *y = b;
    uint8_t differ = 0;
    while (n--)
        differ |= (uint8_t)(*x++ ^ *y++);
    return !differ;
}

/* ctx, set up, has had text. */
static void begin(mbedtls_md_context_t *ctx, struct kdf_bytes text)
{
    must(!mbedtls_md_starts(ctx) && !mbedtls_md_update(ctx, text.p, text.n));
}

static bool setup(mbedtls_md_context_t *ctx, enum kdf_hash hash)
{
    mbedtls_md_init(ctx);
    return !mbedtls_md_setup(ctx, info(hash), 0);
}

void kdf_digest(enum kdf_hash hash, struct kdf_bytes a, struct kdf_bytes b, uint8_t *ret_digest)
{
    if (hash == KDF_SHA512) {
        mbedtls_sha512_context c;
        mbedtls_sha512_init(&c);
        must(!mbedtls_sha512_starts_ret(&c, 0) && !mbedtls_sha512_update_ret(&c, a.p, a.n) &&
             !mbedtls_sha512_update_ret(&c, b.p, b.n) &&
             !mbedtls_sha512_finish_ret(&c, ret_digest));
        mbedtls_sha512_free(&c);
        return;
    }
    struct sha256 s;
    sha256_init(&s);
    sha256_add(&s, a.p, a.n);
    sha256_add(&s, b.p, b.n);
    sha256_end(&s, ret_digest);
    kdf_wipe(&s, sizeof(s));
}

/* RFC 2104: the key, hashed if it is too long, in the two pads. */
static void key(struct hmac *h, enum kdf_hash hash, struct kdf_bytes password)
{
    uint8_t pad[BLOCK_MAX] = { 0 };
    size_t block = hash == KDF_SHA512 ? 128 : 64;
    if (password.n > block)
        kdf_digest(hash, password, (struct kdf_bytes){ pad, 0 }, pad);
    else
        memcpy(pad, password.p, password.n);
    for (size_t i = 0; i < block; i++)
        pad[i] ^= 0x36;
    begin(&h->inner, (struct kdf_bytes){ pad, block });
    for (size_t i = 0; i < block; i++)
        pad[i] ^= 0x36 ^ 0x5c;
    begin(&h->outer, (struct kdf_bytes){ pad, block });
    kdf_wipe(pad, sizeof(pad));
}

/* The HMAC of a and b. */
static void mac(struct hmac *h, struct kdf_bytes a, struct kdf_bytes b, uint8_t *ret, size_t size)
{
    must(!mbedtls_md_clone(&h->work, &h->inner) && !mbedtls_md_update(&h->work, a.p, a.n) &&
         !mbedtls_md_update(&h->work, b.p, b.n) && !mbedtls_md_finish(&h->work, ret) &&
         !mbedtls_md_clone(&h->work, &h->outer) && !mbedtls_md_update(&h->work, ret, size) &&
         !mbedtls_md_finish(&h->work, ret));
}

/* RFC 8018, 5.2: block number i of the output. */
static void block(struct hmac *h, struct kdf_bytes salt, uint32_t iterations, uint32_t i,
                  uint8_t *sum, size_t size)
{
    uint8_t u[KDF_HASH_MAX],
        n[4] = { (uint8_t)(i >> 24), (uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i };
    mac(h, salt, (struct kdf_bytes){ n, 4 }, u, size);
    memcpy(sum, u, size);
    for (uint32_t k = 1; k < iterations; k++) {
        mac(h, (struct kdf_bytes){ u, size }, (struct kdf_bytes){ u, 0 }, u, size);
        for (size_t j = 0; j < size; j++)
            sum[j] ^= u[j];
        if (k % BREATHE == 0)
            thread_preempt_point();
    }
    kdf_wipe(u, sizeof(u));
}

int kdf_pbkdf2(enum kdf_hash hash, struct kdf_bytes password, struct kdf_bytes salt,
               uint32_t iterations, uint8_t *out, size_t out_size)
{
    struct hmac h;
    uint8_t sum[KDF_HASH_MAX];
    size_t size = kdf_hash_size(hash);
    bool inner = setup(&h.inner, hash), outer = setup(&h.outer, hash), work = setup(&h.work, hash);
    bool ready = inner && outer && work; /* all three are to be freed below */
    if (ready)
        key(&h, hash, password);
    for (size_t at = 0; ready && at < out_size; at += size) {
        block(&h, salt, iterations, (uint32_t)(at / size) + 1, sum, size);
        memcpy(out + at, sum, at + size <= out_size ? size : out_size - at);
    }
    mbedtls_md_free(&h.inner);
    mbedtls_md_free(&h.outer);
    mbedtls_md_free(&h.work);
    kdf_wipe(sum, sizeof(sum));
    return ready ? 0 : -ENOMEM;
}
