/* SPDX-License-Identifier: MIT */
/* The server's identity, and the cryptography of an answer, by libcrypto. alcove/keyrelease.h says what is computed. */
#include "hash.h"
#include "keyserver.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { SECRET = 48, KEY = 32 };

void identity_create(const char *path)
{
    EVP_PKEY *key = EVP_EC_gen("P-384");
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    FILE *f = fd < 0 ? NULL : fdopen(fd, "w");

    if (!f)
        fail_errno(path, errno, "cannot be made");
    if (!key || PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL) != 1 || fclose(f) != 0)
        fail(path, "cannot be written");
    EVP_PKEY_free(key);
}

EVP_PKEY *identity_read(const char *path)
{
    FILE *f = fopen(path, "re");
    EVP_PKEY *key;
    char group[32] = "";

    if (!f)
        fail_errno(path, errno, "cannot be read; alcove keyserver --init DIR makes one");
    key = PEM_read_PrivateKey(f, NULL, NULL, NULL);
    fclose(f);
    if (!key || EVP_PKEY_get_group_name(key, group, sizeof(group), NULL) != 1 ||
        strcmp(group, "secp384r1") != 0)
        fail(path, "is no private key of the curve P-384");
    return key;
}

void point_of(EVP_PKEY *key, uint8_t ret[ALCOVE_KEY_POINT])
{
    size_t n = 0;

    if (EVP_PKEY_get_octet_string_param(key, OSSL_PKEY_PARAM_PUB_KEY, ret, ALCOVE_KEY_POINT, &n) !=
            1 ||
        n != ALCOVE_KEY_POINT || ret[0] != 4)
        fail("libcrypto", "has no uncompressed point of a key");
}

char *identity_fingerprint(EVP_PKEY *key)
{
    uint8_t point[ALCOVE_KEY_POINT], digest[HASH_MAX];

    point_of(key, point);
    return hash_hex(digest, hash_bytes("SHA256", point, sizeof(point), digest));
}

static EVP_PKEY *key_of_point(const uint8_t point[ALCOVE_KEY_POINT])
{
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, (char *)"P-384", 0),
        OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, (void *)point, ALCOVE_KEY_POINT),
        OSSL_PARAM_construct_end(),
    };
    EVP_PKEY_CTX *c = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
    EVP_PKEY *key = NULL;

    if (!c || EVP_PKEY_fromdata_init(c) != 1 ||
        EVP_PKEY_fromdata(c, &key, EVP_PKEY_PUBLIC_KEY, params) != 1)
        key = NULL;
    EVP_PKEY_CTX_free(c);
    return key;
}

/* The x-coordinate of the shared point. False: the other side's point is not one. */
static bool agree(EVP_PKEY *own, EVP_PKEY *theirs, uint8_t ret[SECRET])
{
    EVP_PKEY_CTX *c = EVP_PKEY_CTX_new(own, NULL);
    size_t n = SECRET;
    bool ok = c && EVP_PKEY_derive_init(c) == 1 && EVP_PKEY_derive_set_peer_ex(c, theirs, 1) == 1 &&
              EVP_PKEY_derive(c, ret, &n) == 1 && n == SECRET;

    EVP_PKEY_CTX_free(c);
    return ok;
}

static bool derive(const uint8_t secret[SECRET], const struct alcove_key_request *r,
                   const uint8_t server[ALCOVE_KEY_POINT], uint8_t ret[KEY])
{
    EVP_PKEY_CTX *c = EVP_PKEY_CTX_new_id(EVP_PKEY_HKDF, NULL);
    struct buf info = { 0 };
    size_t n = KEY;
    bool ok;

    buf_add(&info, ALCOVE_KEY_CONTEXT, sizeof(ALCOVE_KEY_CONTEXT) - 1);
    buf_add(&info, r->point, sizeof(r->point));
    buf_add(&info, server, ALCOVE_KEY_POINT);
    ok = c && EVP_PKEY_derive_init(c) == 1 && EVP_PKEY_CTX_set_hkdf_md(c, EVP_sha256()) == 1 &&
         EVP_PKEY_CTX_set1_hkdf_salt(c, r->nonce, sizeof(r->nonce)) == 1 &&
         EVP_PKEY_CTX_set1_hkdf_key(c, secret, SECRET) == 1 &&
         EVP_PKEY_CTX_add1_hkdf_info(c, (uint8_t *)info.s, (int)info.len) == 1 &&
         EVP_PKEY_derive(c, ret, &n) == 1;
    EVP_PKEY_CTX_free(c);
    return ok;
}

static bool encrypt(const uint8_t key[KEY], const uint8_t iv[ALCOVE_KEY_IV],
                    const uint8_t data[ALCOVE_KEY_DATA], const uint8_t *plain, size_t n,
                    struct buf *ret)
{
    uint8_t out[ALCOVE_KEY_MAX], tag[ALCOVE_KEY_TAG];
    EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
    int len = 0;
    bool ok = c && n <= sizeof(out) &&
              EVP_EncryptInit_ex(c, EVP_aes_256_gcm(), NULL, key, iv) == 1 &&
              EVP_EncryptUpdate(c, NULL, &len, data, ALCOVE_KEY_DATA) == 1 &&
              EVP_EncryptUpdate(c, out, &len, plain, (int)n) == 1 && (size_t)len == n &&
              EVP_EncryptFinal_ex(c, out + n, &len) == 1 &&
              EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_GCM_GET_TAG, sizeof(tag), tag) == 1;

    EVP_CIPHER_CTX_free(c);
    if (!ok)
        return false;
    buf_add(ret, out, n);
    buf_add(ret, tag, sizeof(tag));
    return true;
}

/* Add r and s over data and what is in b so far. */
static bool sign(EVP_PKEY *key, const uint8_t data[ALCOVE_KEY_DATA], struct buf *b)
{
    uint8_t der[160], both[ALCOVE_KEY_SIGNATURE];
    const uint8_t *p = der;
    size_t n = sizeof(der);
    EVP_MD_CTX *c = EVP_MD_CTX_new();
    ECDSA_SIG *sig;
    bool ok = c && EVP_DigestSignInit(c, NULL, EVP_sha384(), NULL, key) == 1 &&
              EVP_DigestSignUpdate(c, data, ALCOVE_KEY_DATA) == 1 &&
              EVP_DigestSignUpdate(c, b->s, b->len) == 1 && EVP_DigestSignFinal(c, der, &n) == 1;

    EVP_MD_CTX_free(c);
    sig = ok ? d2i_ECDSA_SIG(NULL, &p, (long)n) : NULL;
    ok = sig && BN_bn2binpad(ECDSA_SIG_get0_r(sig), both, sizeof(both) / 2) > 0 &&
         BN_bn2binpad(ECDSA_SIG_get0_s(sig), both + sizeof(both) / 2, sizeof(both) / 2) > 0;
    ECDSA_SIG_free(sig);
    if (ok)
        buf_add(b, both, sizeof(both));
    return ok;
}

bool seal_answer(const struct key_server *s, const struct alcove_key_request *request,
                 const uint8_t data[ALCOVE_KEY_DATA], const uint8_t *key, size_t key_size,
                 struct buf *ret)
{
    struct alcove_key_answer a = { .key_size = (uint32_t)key_size };
    EVP_PKEY *theirs = key_of_point(request->point), *own = EVP_EC_gen("P-384");
    uint8_t secret[SECRET], cipher_key[KEY];
    bool ok = theirs && own && agree(own, theirs, secret) && RAND_bytes(a.iv, sizeof(a.iv)) == 1;

    if (ok) {
        memcpy(a.magic, ALCOVE_KEY_ANSWER, sizeof(a.magic));
        point_of(s->identity, a.signer);
        point_of(own, a.point);
        buf_add(ret, &a, sizeof(a));
        ok = derive(secret, request, a.point, cipher_key) &&
             encrypt(cipher_key, a.iv, data, key, key_size, ret) && sign(s->identity, data, ret);
    }
    EVP_PKEY_free(own);
    EVP_PKEY_free(theirs);
    return ok;
}
