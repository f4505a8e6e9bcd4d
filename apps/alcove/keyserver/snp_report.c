/* SPDX-License-Identifier: MIT */
/* AMD's evidence: the report, the chip's certificate (VCEK) that signs it, the chain up to a trust anchor. Spec: SEV-SNP
 * firmware ABI 1.55, 7.3 and 8.14.2.3; "Versioned Chip Endorsement Key certificate and KDS interface" 1.00, 3. */
#include "keyserver.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509_vfy.h>
#include <string.h>

enum {
    REPORT = 1184,
    SIGNED = 0x2a0,
    AT_POLICY = 8,
    AT_VMPL = 0x30,
    AT_ALGORITHM = 0x34,
    AT_DATA = 0x50,
    AT_MEASUREMENT = 0x90,
    AT_TCB = 0x180,
    AT_CHIP = 0x1a0,
    CHIP = 64,
    ECDSA_P384_SHA384 = 1,
    POLICY_DEBUG = 1 << 19,
    NUMBER = 72, /* r and s in a report, little-endian */
    CERTS = 8,
};

static const uint8_t guid_vcek[16] = { 0x8d, 0x75, 0xda, 0x63, 0x64, 0xe6, 0x64, 0x45,
                                       0xad, 0xc5, 0xf4, 0xb9, 0x3b, 0xe8, 0xac, 0xcd };

/* One trust anchor or revocation list per PEM block. */
static void add_file(X509_STORE *store, const char *path, bool lists)
{
    FILE *f = fopen(path, "re");
    unsigned n = 0;

    if (!f)
        fail_errno(path, errno, "cannot be read");
    for (;; n++) {
        X509 *cert = lists ? NULL : PEM_read_X509(f, NULL, NULL, NULL);
        X509_CRL *crl = lists ? PEM_read_X509_CRL(f, NULL, NULL, NULL) : NULL;

        if (!cert && !crl)
            break;
        if (cert ? X509_STORE_add_cert(store, cert) != 1 : X509_STORE_add_crl(store, crl) != 1)
            fail(path, "cannot be used");
        X509_free(cert);
        X509_CRL_free(crl);
    }
    fclose(f);
    ERR_clear_error();
    if (!n)
        fail(path, "has no %s in PEM form", lists ? "revocation list" : "certificate");
}

static unsigned add_directory(X509_STORE *store, const char *dir, bool lists)
{
    DIR *d = opendir(dir);
    unsigned n = 0;

    if (!d)
        return 0;
    for (struct dirent *e; (e = readdir(d));)
        if (ends_with(e->d_name, ".pem")) {
            add_file(store, path_join(dir, e->d_name), lists);
            n++;
        }
    closedir(d);
    return n;
}

/* Makers publish revocation lists for their own keys, not for chips': a missing list is no error, an old one is. */
static int no_list_is_fine(int ok, X509_STORE_CTX *c)
{
    return ok || X509_STORE_CTX_get_error(c) == X509_V_ERR_UNABLE_TO_GET_CRL;
}

X509_STORE *trust_read(const char *dir)
{
    X509_STORE *store = X509_STORE_new();
    char *anchors = path_join(dir, "trust");

    if (!store)
        fail("libcrypto", "has no memory");
    if (!add_directory(store, anchors, false))
        fail(anchors, "has no .pem file; put the root certificates of the chips' makers there");
    if (add_directory(store, path_join(dir, "revoked"), true)) {
        (void)X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL);
        X509_STORE_set_verify_cb(store, no_list_is_fine);
    }
    return store;
}

static uint32_t word(const uint8_t *p)
{
    return p[0] | p[1] << 8 | p[2] << 16 | (uint32_t)p[3] << 24;
}

/* The chip's certificate, and the others of the table; both to be freed. */
static X509 *read_table(const uint8_t *table, size_t n, STACK_OF(X509) * others)
{
    X509 *chip = NULL;

    for (unsigned i = 0; i < CERTS && (i + 1) * 24u <= n; i++) {
        const uint8_t *e = table + i * 24u;
        uint32_t at = word(e + 16), size = word(e + 20);
        const uint8_t *der = table + at;
        X509 *cert;

        if (!size)
            break;
        if (at > n || size > n - at || !(cert = d2i_X509(NULL, &der, (long)size)))
            continue;
        if (memcmp(e, guid_vcek, sizeof(guid_vcek)) == 0 && !chip)
            chip = cert;
        else
            (void)sk_X509_push(others, cert);
    }
    return chip;
}

const char *chain_check(X509_STORE *trust, X509 *chip, STACK_OF(X509) * others)
{
    X509_STORE_CTX *c = X509_STORE_CTX_new();
    const char *why = "libcrypto has no memory";

    if (c && X509_STORE_CTX_init(c, trust, chip, others) == 1)
        why = X509_verify_cert(c) == 1 ? NULL
                                       : X509_verify_cert_error_string(X509_STORE_CTX_get_error(c));
    X509_STORE_CTX_free(c);
    return why ? xprintf("the chip's certificate: %s", why) : NULL;
}

/* The content of extension oid. */
static const ASN1_OCTET_STRING *extension(X509 *cert, const char *oid)
{
    ASN1_OBJECT *o = OBJ_txt2obj(oid, 1);
    int at = X509_get_ext_by_OBJ(cert, o, -1);

    ASN1_OBJECT_free(o);
    return at < 0 ? NULL : X509_EXTENSION_get_data(X509_get_ext(cert, at));
}

/* An INTEGER of one byte, or of two with a leading zero; -1: it is none. */
static int small_number(const ASN1_OCTET_STRING *s)
{
    const uint8_t *p = s ? ASN1_STRING_get0_data(s) : NULL;
    int n = s ? ASN1_STRING_length(s) : 0;

    if (n == 3 && p[0] == 2 && p[1] == 1 && p[2] < 0x80)
        return p[2];
    return n == 4 && p[0] == 2 && p[1] == 2 && p[2] == 0 ? p[3] : -1;
}

/* The certificate is for this chip at this version of its firmware. */
static const char *check_binding(X509 *chip, const uint8_t *report)
{
    static const struct {
        const char *oid;
        unsigned at;
    } parts[] = { { "1.3.6.1.4.1.3704.1.3.1", 0 },
                  { "1.3.6.1.4.1.3704.1.3.2", 1 },
                  { "1.3.6.1.4.1.3704.1.3.3", 6 },
                  { "1.3.6.1.4.1.3704.1.3.8", 7 } };
    const ASN1_OCTET_STRING *id = extension(chip, "1.3.6.1.4.1.3704.1.4");
    const uint8_t *p = id ? ASN1_STRING_get0_data(id) : NULL;
    int n = id ? ASN1_STRING_length(id) : 0;

    for (unsigned i = 0; i < sizeof(parts) / sizeof(*parts); i++)
        if (small_number(extension(chip, parts[i].oid)) != report[AT_TCB + parts[i].at])
            return "the chip's certificate is for another version of its firmware";
    if (n == CHIP + 2 && p[0] == 4 &&
        p[1] == CHIP) { /* as an OCTET STRING; some have the bytes alone */
        p += 2;
        n -= 2;
    }
    if (n != CHIP || memcmp(p, report + AT_CHIP, CHIP) != 0)
        return "the chip's certificate is for another chip";
    return NULL;
}

static const char *check_signature(X509 *chip, const uint8_t *report)
{
    const uint8_t *at = report + SIGNED;
    ECDSA_SIG *sig = ECDSA_SIG_new();
    BIGNUM *r = BN_lebin2bn(at, NUMBER, NULL), *s = BN_lebin2bn(at + NUMBER, NUMBER, NULL);
    EVP_MD_CTX *c = EVP_MD_CTX_new();
    uint8_t *der = NULL;
    int n = 0;
    bool good = false;

    if (sig && r && s && ECDSA_SIG_set0(sig, r, s) == 1)
        n = i2d_ECDSA_SIG(sig, &der);
    if (n > 0 && c &&
        EVP_DigestVerifyInit(c, NULL, EVP_sha384(), NULL, X509_get0_pubkey(chip)) == 1)
        good = EVP_DigestVerify(c, der, (size_t)n, report, SIGNED) == 1;
    OPENSSL_free(der);
    EVP_MD_CTX_free(c);
    ECDSA_SIG_free(sig);
    return good ? NULL : "the report's signature is wrong";
}

const char *snp_report_check(X509_STORE *trust, const uint8_t *report, size_t n,
                             const uint8_t *certs, size_t certs_size, struct snp_claims *ret)
{
    STACK_OF(X509) *others = sk_X509_new_null();
    const char *why;
    X509 *chip;

    if (n != REPORT || word(report) < 2 || word(report + AT_ALGORITHM) != ECDSA_P384_SHA384)
        return "the report is none of SEV-SNP's";
    chip = others ? read_table(certs, certs_size, others) : NULL;
    if (!chip)
        why = "the chip's certificate did not come with the report";
    else if (!(why = chain_check(trust, chip, others)) && !(why = check_binding(chip, report)))
        why = check_signature(chip, report);
    X509_free(chip);
    sk_X509_pop_free(others, X509_free);
    if (why)
        return why;
    memcpy(ret->measurement, report + AT_MEASUREMENT, sizeof(ret->measurement));
    memcpy(ret->data, report + AT_DATA, sizeof(ret->data));
    memcpy(ret->tcb, report + AT_TCB, sizeof(ret->tcb));
    ret->debug = word(report + AT_POLICY) & POLICY_DEBUG;
    ret->vmpl = word(report + AT_VMPL);
    return NULL;
}
