/* SPDX-License-Identifier: MIT */
#include "key_release.h"

#include <abi/errno.h>
#include <libos/random.h>
#include <mbedtls/constant_time.h>
#include <mbedtls/ecdh.h>
#include <mbedtls/ecdsa.h>
#include <mbedtls/gcm.h>
#include <mbedtls/md.h>
#include <mbedtls/platform_util.h>
#include <mbedtls/sha256.h>
#include <mbedtls/sha512.h>
#include <string.h>

_Static_assert(sizeof(struct alcove_key_request) == 160, "alcove/keyrelease.h");
_Static_assert(sizeof(struct alcove_key_answer) == 224, "alcove/keyrelease.h");

enum { SHA256 = 32, SHA384 = 48, CONTEXT = sizeof(ALCOVE_KEY_CONTEXT) - 1 };

static int noise(void *unused, unsigned char *out, size_t n)
{
    (void)unused;
    random_bytes(out, n);
    return 0;
}

static int error_of(int mbedtls)
{
    return mbedtls == MBEDTLS_ERR_MPI_ALLOC_FAILED || mbedtls == MBEDTLS_ERR_ECP_ALLOC_FAILED
               ? -ENOMEM
               : -EBADMSG;
}

static int make_pair(struct key_release *k)
{
    mbedtls_ecp_group group;
    mbedtls_ecp_point point;
    mbedtls_mpi secret;
    size_t n = 0;
    int err;

    mbedtls_ecp_group_init(&group);
    mbedtls_ecp_point_init(&point);
    mbedtls_mpi_init(&secret);
    err = mbedtls_ecp_group_load(&group, MBEDTLS_ECP_DP_SECP384R1);
    err = err ? err : mbedtls_ecdh_gen_public(&group, &secret, &point, noise, NULL);
    err = err ? err : mbedtls_mpi_write_binary(&secret, k->secret, sizeof(k->secret));
    err = err ? err
              : mbedtls_ecp_point_write_binary(&group, &point, MBEDTLS_ECP_PF_UNCOMPRESSED, &n,
                                               k->head.point, sizeof(k->head.point));
    mbedtls_mpi_free(&secret);
    mbedtls_ecp_point_free(&point);
    mbedtls_ecp_group_free(&group);
    return err ? error_of(err) : 0;
}

static void make_data(struct key_release *k)
{
    mbedtls_sha512_context c;

    mbedtls_sha512_init(&c);
    (void)mbedtls_sha512_starts_ret(&c, 0);
    (void)mbedtls_sha512_update_ret(&c, (const uint8_t *)ALCOVE_KEY_CONTEXT, CONTEXT);
    (void)mbedtls_sha512_update_ret(&c, k->head.nonce, sizeof(k->head.nonce));
    (void)mbedtls_sha512_update_ret(&c, k->head.point, sizeof(k->head.point));
    (void)mbedtls_sha512_update_ret(&c, (const uint8_t *)k->name, k->head.name_size);
    (void)mbedtls_sha512_finish_ret(&c, k->data);
    mbedtls_sha512_free(&c);
}

int key_release_begin(struct key_release *k, const uint8_t nonce[ALCOVE_KEY_NONCE],
                      const char *name)
{
    size_t n = strlen(name);
    int err;

    *k = (struct key_release){ .head = { .name_size = (uint32_t)n } };
    if (!n || n > ALCOVE_KEY_NAME_MAX)
        return -EINVAL;
    memcpy(k->head.magic, ALCOVE_KEY_REQUEST, sizeof(k->head.magic));
    memcpy(k->head.nonce, nonce, ALCOVE_KEY_NONCE);
    memcpy(k->name, name, n);
    err = make_pair(k);
    if (!err)
        make_data(k);
    return err;
}

void key_release_head(struct key_release *k, uint32_t kind, size_t report, size_t certs)
{
    k->head.kind = kind;
    k->head.report_size = (uint32_t)report;
    k->head.certs_size = (uint32_t)certs;
}

static int check_signature(const uint8_t point[ALCOVE_KEY_POINT], const uint8_t hash[SHA384],
                           const uint8_t *signature)
{
    mbedtls_ecp_group group;
    mbedtls_ecp_point signer;
    mbedtls_mpi r, s;
    int err;

    mbedtls_ecp_group_init(&group);
    mbedtls_ecp_point_init(&signer);
    mbedtls_mpi_init(&r);
    mbedtls_mpi_init(&s);
    err = mbedtls_ecp_group_load(&group, MBEDTLS_ECP_DP_SECP384R1);
    err = err ? err : mbedtls_ecp_point_read_binary(&group, &signer, point, ALCOVE_KEY_POINT);
    err = err ? err : mbedtls_ecp_check_pubkey(&group, &signer);
    err = err ? err : mbedtls_mpi_read_binary(&r, signature, ALCOVE_KEY_SIGNATURE / 2);
    err = err ? err
              : mbedtls_mpi_read_binary(&s, signature + ALCOVE_KEY_SIGNATURE / 2,
                                        ALCOVE_KEY_SIGNATURE / 2);
    err = err ? err : mbedtls_ecdsa_verify(&group, hash, SHA384, &signer, &r, &s);
    mbedtls_mpi_free(&s);
    mbedtls_mpi_free(&r);
    mbedtls_ecp_point_free(&signer);
    mbedtls_ecp_group_free(&group);
    if (err == MBEDTLS_ERR_MPI_ALLOC_FAILED)
        return -ENOMEM;
    return err ? -EACCES : 0;
}

/* The x-coordinate of the point that both sides come to. */
static int agree(const struct key_release *k, const uint8_t theirs[ALCOVE_KEY_POINT],
                 uint8_t ret[KEY_SECRET])
{
    mbedtls_ecp_group group;
    mbedtls_ecp_point point;
    mbedtls_mpi secret, shared;
    int err;

    mbedtls_ecp_group_init(&group);
    mbedtls_ecp_point_init(&point);
    mbedtls_mpi_init(&secret);
    mbedtls_mpi_init(&shared);
    err = mbedtls_ecp_group_load(&group, MBEDTLS_ECP_DP_SECP384R1);
    err = err ? err : mbedtls_ecp_point_read_binary(&group, &point, theirs, ALCOVE_KEY_POINT);
    err = err ? err : mbedtls_ecp_check_pubkey(&group, &point);
    err = err ? err : mbedtls_mpi_read_binary(&secret, k->secret, sizeof(k->secret));
    err = err ? err : mbedtls_ecdh_compute_shared(&group, &shared, &point, &secret, noise, NULL);
    err = err ? err : mbedtls_mpi_write_binary(&shared, ret, KEY_SECRET);
    mbedtls_mpi_free(&shared);
    mbedtls_mpi_free(&secret);
    mbedtls_ecp_point_free(&point);
    mbedtls_ecp_group_free(&group);
    return err ? error_of(err) : 0;
}

/* HKDF-SHA-256, one block. */
static int derive(const struct key_release *k, const uint8_t theirs[ALCOVE_KEY_POINT],
                  const uint8_t secret[KEY_SECRET], uint8_t ret[SHA256])
{
    const mbedtls_md_info_t *md = mbedtls_md_info_from_type(MBEDTLS_MD_SHA256);
    uint8_t info[CONTEXT + 2 * ALCOVE_KEY_POINT + 1], *p = info;
    int err;

    memcpy(p, ALCOVE_KEY_CONTEXT, CONTEXT);
    memcpy(p += CONTEXT, k->head.point, ALCOVE_KEY_POINT);
    memcpy(p += ALCOVE_KEY_POINT, theirs, ALCOVE_KEY_POINT);
    p[ALCOVE_KEY_POINT] = 1; /* RFC 5869, 2.3: T(1) */
    err = mbedtls_md_hmac(md, k->head.nonce, sizeof(k->head.nonce), secret, KEY_SECRET, ret);
    err = err ? err : mbedtls_md_hmac(md, ret, SHA256, info, sizeof(info), ret);
    return err ? -ENOMEM : 0;
}

static int decrypt(const struct key_release *k, const struct alcove_key_answer *a,
                   const uint8_t key[SHA256], const uint8_t *body, uint8_t *ret_key)
{
    mbedtls_gcm_context c;
    int err;

    mbedtls_gcm_init(&c);
    err = mbedtls_gcm_setkey(&c, MBEDTLS_CIPHER_ID_AES, key, 8 * SHA256);
    err = err ? err
              : mbedtls_gcm_auth_decrypt(&c, a->key_size, a->iv, sizeof(a->iv), k->data,
                                         sizeof(k->data), body + a->key_size, ALCOVE_KEY_TAG, body,
                                         ret_key);
    mbedtls_gcm_free(&c);
    return err ? -EKEYREJECTED : 0;
}

/* Everything but the signature is signed; the signer is the one that the image was built for. */
static int check_answer(const struct key_release *k, const uint8_t *answer, size_t n,
                        const struct alcove_key_answer *a, const uint8_t *fingerprint)
{
    mbedtls_sha512_context c;
    uint8_t hash[64];

    (void)mbedtls_sha256_ret(a->signer, sizeof(a->signer), hash, 0);
    if (mbedtls_ct_memcmp(hash, fingerprint, KEY_FINGERPRINT))
        return -EACCES;
    mbedtls_sha512_init(&c);
    (void)mbedtls_sha512_starts_ret(&c, 1);
    (void)mbedtls_sha512_update_ret(&c, k->data, sizeof(k->data));
    (void)mbedtls_sha512_update_ret(&c, answer, n - ALCOVE_KEY_SIGNATURE);
    (void)mbedtls_sha512_finish_ret(&c, hash);
    mbedtls_sha512_free(&c);
    return check_signature(a->signer, hash, answer + n - ALCOVE_KEY_SIGNATURE);
}

int key_release_open(const struct key_release *k, const uint8_t *answer, size_t n,
                     const uint8_t fingerprint[KEY_FINGERPRINT], uint8_t *ret_key, size_t *ret_size)
{
    struct alcove_key_answer a;
    uint8_t secret[KEY_SECRET], key[SHA256];
    int err;

    if (n < sizeof(a))
        return -EBADMSG;
    memcpy(&a, answer, sizeof(a));
    if (memcmp(a.magic, ALCOVE_KEY_ANSWER, sizeof(a.magic)) || !a.key_size ||
        a.key_size > ALCOVE_KEY_MAX ||
        n != sizeof(a) + a.key_size + ALCOVE_KEY_TAG + ALCOVE_KEY_SIGNATURE)
        return -EBADMSG;
    err = check_answer(k, answer, n, &a, fingerprint);
    err = err ? err : agree(k, a.point, secret);
    err = err ? err : derive(k, a.point, secret, key);
    err = err ? err : decrypt(k, &a, key, answer + sizeof(a), ret_key);
    mbedtls_platform_zeroize(secret, sizeof(secret));
    mbedtls_platform_zeroize(key, sizeof(key));
    if (!err)
        *ret_size = a.key_size;
    return err;
}

void key_release_end(struct key_release *k)
{
    mbedtls_platform_zeroize(k, sizeof(*k));
}
