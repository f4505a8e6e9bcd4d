/* SPDX-License-Identifier: MIT */
/* Intel's evidence: a quote of version 4 or 5. The quoting enclave signs it with a key of its own (P-256); that key's hash is in
 * a report on the enclave, which the machine's provisioning certification key (PCK) signs; the chain of the PCK's certificate, up
 * to a trust anchor, comes in the quote. Spec: Intel TDX DCAP Quote Generation Library and Quote Verification Library,
 * appendix A.3 and A.4. What of Intel's collateral (TCB info, enclave identity) says is the policy's here: the least TCB, and whose
 * enclave it is. */
#include "hash.h"
#include "keyserver.h"

#include <openssl/bio.h>
#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <string.h>

enum {
    HEADER = 48,
    BODY = 584, /* of TDX 1.0; 1.5 has more behind it */
    BODY_15 = 648,
    KIND_TD10 = 2,
    KIND_TD15 = 3,
    ECDSA_P256 = 2,
    TEE_TDX = 0x81,
    NUMBERS = 64, /* r and s, x and y: highest byte first */
    CERT_QE_REPORT = 6,
    CERT_PCK_CHAIN = 5,
    QE_REPORT = 384,
    QE_AT_SIGNER = 128,
    QE_AT_DATA = 320,
    AT_ATTRIBUTES = 120,
    AT_MRTD = 136,
    AT_RTMR = 328,
    AT_DATA = 520,
    ATTRIBUTE_DEBUG = 1,
    CHAIN_MAX = 8,
};

/* What is left of the quote; good: nothing was missing so far. */
struct cursor {
    const uint8_t *p;
    size_t left;
    bool good;
};

static const uint8_t *take(struct cursor *c, size_t n)
{
    static const uint8_t nothing[BODY_15];
    const uint8_t *p = c->p;

    if (c->left < n) {
        c->good = false;
        c->left = 0;
        return nothing;
    }
    c->p += n;
    c->left -= n;
    return p;
}

static uint16_t take16(struct cursor *c)
{
    const uint8_t *p = take(c, 2);

    return (uint16_t)(p[0] | p[1] << 8);
}

static uint32_t take32(struct cursor *c)
{
    uint32_t low = take16(c);

    return low | (uint32_t)take16(c) << 16;
}

/* A part of n bytes as a cursor of its own. */
static struct cursor part(struct cursor *c, size_t n)
{
    struct cursor in = { c->p, n, c->left >= n && c->good };

    if (!in.good)
        in.left = 0;
    (void)(c->left >= n ? take(c, n) : take(c, c->left + 1));
    return in;
}

struct quote {
    const uint8_t *header, *body, *signature, *key, *qe_report, *qe_signature, *auth, *pem;
    size_t signed_size, auth_size, pem_size;
};

static bool take_certification(struct cursor *c, struct quote *q)
{
    struct cursor in;

    if (take16(c) != CERT_QE_REPORT)
        return false;
    in = part(c, take32(c));
    q->qe_report = take(&in, QE_REPORT);
    q->qe_signature = take(&in, NUMBERS);
    q->auth_size = take16(&in);
    q->auth = in.p;
    (void)part(&in, q->auth_size);
    if (take16(&in) != CERT_PCK_CHAIN)
        return false;
    q->pem_size = take32(&in);
    q->pem = in.p;
    (void)part(&in, q->pem_size);
    return in.good && !in.left;
}

/* False: it is no quote of a TD. Some services fill up behind it. */
static bool take_apart(const uint8_t *p, size_t n, struct quote *q)
{
    struct cursor c = { p, n, true }, in;
    unsigned version, kind = KIND_TD10;
    uint32_t size = BODY;

    q->header = take(&c, HEADER);
    version = q->header[0] | q->header[1] << 8;
    if ((q->header[2] | q->header[3] << 8) != ECDSA_P256 || q->header[4] != TEE_TDX ||
        q->header[5] || q->header[6] || q->header[7] || (version != 4 && version != 5))
        return false;
    if (version == 5) {
        kind = take16(&c);
        size = take32(&c);
    }
    if (size != (kind == KIND_TD10 ? BODY : kind == KIND_TD15 ? BODY_15 : 0))
        return false;
    q->body = take(&c, size);
    q->signed_size = (size_t)(c.p - p);
    in = part(&c, take32(&c));
    q->signature = take(&in, NUMBERS);
    q->key = take(&in, NUMBERS);
    return take_certification(&in, q) && in.good && !in.left && c.good;
}

/* The first certificate of the text, and the others; both to be freed. */
static X509 *read_chain(const uint8_t *text, size_t n, STACK_OF(X509) * others)
{
    BIO *b = BIO_new_mem_buf(text, (int)n);
    X509 *leaf = b ? PEM_read_bio_X509(b, NULL, NULL, NULL) : NULL, *more;

    for (unsigned i = 0; leaf && i < CHAIN_MAX && (more = PEM_read_bio_X509(b, NULL, NULL, NULL));
         i++)
        if (!sk_X509_push(others, more))
            X509_free(more);
    ERR_clear_error();
    BIO_free(b);
    return leaf;
}

static EVP_PKEY *key_of(const uint8_t numbers[NUMBERS])
{
    uint8_t point[1 + NUMBERS] = { 4 };
    char group[] = "prime256v1";
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, group, 0),
        OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, point, sizeof(point)),
        OSSL_PARAM_construct_end(),
    };
    EVP_PKEY_CTX *c = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
    EVP_PKEY *key = NULL;

    memcpy(point + 1, numbers, NUMBERS);
    if (!c || EVP_PKEY_fromdata_init(c) != 1 ||
        EVP_PKEY_fromdata(c, &key, EVP_PKEY_PUBLIC_KEY, params) != 1)
        key = NULL;
    EVP_PKEY_CTX_free(c);
    ERR_clear_error();
    return key;
}

static bool verify(EVP_PKEY *key, const uint8_t numbers[NUMBERS], const uint8_t *p, size_t n)
{
    ECDSA_SIG *sig = ECDSA_SIG_new();
    BIGNUM *r = BN_bin2bn(numbers, NUMBERS / 2, NULL),
           *s = BN_bin2bn(numbers + NUMBERS / 2, NUMBERS / 2, NULL);
    EVP_MD_CTX *c = EVP_MD_CTX_new();
    uint8_t *der = NULL;
    int size = 0;
    bool good = false;

    if (sig && r && s && ECDSA_SIG_set0(sig, r, s) == 1)
        size = i2d_ECDSA_SIG(sig, &der);
    if (key && size > 0 && c && EVP_DigestVerifyInit(c, NULL, EVP_sha256(), NULL, key) == 1)
        good = EVP_DigestVerify(c, der, (size_t)size, p, n) == 1;
    OPENSSL_free(der);
    EVP_MD_CTX_free(c);
    ECDSA_SIG_free(sig);
    ERR_clear_error();
    return good;
}

/* The enclave's report is about the key that signs the quote. */
static bool names_key(const struct quote *q)
{
    static const uint8_t zeros[32];
    uint8_t digest[HASH_MAX];
    struct hash h;

    hash_begin(&h, "SHA256");
    hash_add(&h, q->key, NUMBERS);
    hash_add(&h, q->auth, q->auth_size);
    (void)hash_end(&h, digest);
    return memcmp(q->qe_report + QE_AT_DATA, digest, 32) == 0 &&
           memcmp(q->qe_report + QE_AT_DATA + 32, zeros, 32) == 0;
}

static const char *check(X509_STORE *trust, const uint8_t *quote, const struct quote *q)
{
    STACK_OF(X509) *others = sk_X509_new_null();
    X509 *pck = others ? read_chain(q->pem, q->pem_size, others) : NULL;
    EVP_PKEY *key = key_of(q->key);
    const char *why = NULL;

    if (!pck)
        why = "the machine's certificate did not come with the quote";
    else if ((why = chain_check(trust, pck, others)))
        ;
    else if (!verify(X509_get0_pubkey(pck), q->qe_signature, q->qe_report, QE_REPORT))
        why = "the signature of the quoting enclave's report is wrong";
    else if (!names_key(q))
        why = "the quoting enclave's report is about another key";
    else if (!verify(key, q->signature, quote, q->signed_size))
        why = "the quote's signature is wrong";
    EVP_PKEY_free(key);
    X509_free(pck);
    sk_X509_pop_free(others, X509_free);
    return why;
}

const char *tdx_quote_check(X509_STORE *trust, const uint8_t *quote, size_t n,
                            struct tdx_claims *ret)
{
    struct quote q = { 0 };
    const char *why;

    if (!take_apart(quote, n, &q))
        return "the quote is none of a TD's";
    why = check(trust, quote, &q);
    if (why)
        return why;
    memcpy(ret->measurements[0], q.body + AT_MRTD, TDX_MEASUREMENT);
    for (unsigned i = 0; i < 2; i++) /* RTMR1, RTMR2 */
        memcpy(ret->measurements[1 + i], q.body + AT_RTMR + (i + 1u) * TDX_MEASUREMENT,
               TDX_MEASUREMENT);
    memcpy(ret->data, q.body + AT_DATA, sizeof(ret->data));
    memcpy(ret->tcb, q.body, sizeof(ret->tcb));
    memcpy(ret->qe_signer, q.qe_report + QE_AT_SIGNER, sizeof(ret->qe_signer));
    ret->debug = q.body[AT_ATTRIBUTES] & ATTRIBUTE_DEBUG;
    return NULL;
}
