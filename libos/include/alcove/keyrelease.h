/* SPDX-License-Identifier: MIT */
/* How an attested guest gets a key from `alcove keyserver`: two HTTP/1.1 POST requests, bodies as below, integers
 * little-endian. The channel is not trusted. The request is bound to a report by its data:
 *
 *     report data = SHA-512(ALCOVE_KEY_CONTEXT || nonce || guest's public key || volume's name)
 *
 * The key comes encrypted to the guest's public key, which it made for this request: AES-256-GCM, associated data = the
 * report data, key = HKDF-SHA-256 (RFC 5869) of the x-coordinate of ECDH over P-384, salt = nonce, info =
 * ALCOVE_KEY_CONTEXT || guest's public key || server's public key. The server signs, with ECDSA over P-384 and SHA-384, the
 * report data followed by the answer up to its signature; the guest knows the signing key by its SHA-256.
 * Public keys are uncompressed points (SEC 1, 2.3.3). */
#ifndef ALCOVE_KEYRELEASE_H
#define ALCOVE_KEYRELEASE_H

#include <stdint.h>

#define ALCOVE_KEY_CONTEXT "alcove key release 1" /* without its terminating zero */
#define ALCOVE_KEY_REQUEST "ALKEYREQ"
#define ALCOVE_KEY_ANSWER  "ALKEYANS"

enum {
    ALCOVE_KEY_PORT = 8440,
    ALCOVE_KEY_NONCE =
        32, /* the body of the answer to POST /v1/nonce; good for one request, for two minutes */
    ALCOVE_KEY_POINT = 97,
    ALCOVE_KEY_DATA = 64, /* report data */
    ALCOVE_KEY_IV = 12,
    ALCOVE_KEY_TAG = 16,
    ALCOVE_KEY_SIGNATURE = 96, /* r and s, big-endian */
    ALCOVE_KEY_MAX = 4096,     /* bytes of a key */
    ALCOVE_KEY_NAME_MAX = 63,  /* of a volume's name: letters, digits, - _ . */
    ALCOVE_KEY_REPORT_MAX = 16384,
    ALCOVE_KEY_CERTS_MAX = 16384,
    ALCOVE_KEY_SNP = 1, /* kinds of reports */
    ALCOVE_KEY_TDX = 2,
};

/* The body of POST /v1/key; behind it the volume's name, the report (SNP: as the security processor made it; TDX: a quote)
 * and SNP's certificate table. A refusal has status 403 and a line of text. */
struct alcove_key_request {
    char magic[8];
    uint32_t kind, name_size, report_size, certs_size;
    uint8_t nonce[ALCOVE_KEY_NONCE];
    uint8_t point[ALCOVE_KEY_POINT];
    uint8_t reserved[7];
};

/* The answer; behind it the encrypted key, its tag and the signature. */
struct alcove_key_answer {
    char magic[8];
    uint32_t key_size, reserved0;
    uint8_t signer[ALCOVE_KEY_POINT];
    uint8_t point[ALCOVE_KEY_POINT];
    uint8_t iv[ALCOVE_KEY_IV];
    uint8_t reserved[2];
};
#endif
