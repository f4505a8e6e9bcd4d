/* SPDX-License-Identifier: MIT */
/* `alcove keyserver`: gives the keys of volumes to attested images. keyserver.c listens, request.c decides, policy.c says who
 * may have what, snp_report.c is AMD's evidence, tdx_quote.c Intel's, http.c reads requests, seal.c the cryptography of the answer. What comes from the network is
 * hostile: one process per connection reads it, and ends with it. alcove/keyrelease.h has the protocol. */
#ifndef ALCOVE_CMD_KEYSERVER_H
#define ALCOVE_CMD_KEYSERVER_H

#include "util.h"

#include <alcove/keyrelease.h>
#include <openssl/types.h>
#include <openssl/x509.h>

enum {
    SNP_MEASUREMENT = 48,
    TDX_MEASUREMENT = 48,
    TDX_TCB = 16,
    QE_SIGNER = 32,
    NONCES = 1024,
    NONCE_SECONDS = 120
};

/* One volume of the policy file. */
struct key_rule {
    char *name, *key;             /* key: path of its file */
    struct list snp_measurements; /* hexadecimal, lower case */
    uint8_t snp_least_tcb[8];     /* as in a report: boot loader first, microcode last */
    struct list tdx_measurements; /* MRTD, RTMR1 and RTMR2 with a space between them */
    uint8_t tdx_least_tcb[TDX_TCB];
    struct list tdx_qe_signers; /* hexadecimal: MRSIGNER of quoting enclaves */
    struct key_rule *next;
};

/* The server's directory, read at its start: identity.pem, policy.conf, trust/, revoked/. */
struct key_server {
    EVP_PKEY *identity;
    X509_STORE *trust;
    struct key_rule *rules;
    struct nonce_table *nonces;
};

/* policy.conf at path; a line that is not understood ends the command. */
struct key_rule *policy_read(const char *path);
struct key_rule *policy_find(struct key_rule *rules, const char *name);

/* What a report says that policy and protocol look at. */
struct snp_claims {
    uint8_t measurement[SNP_MEASUREMENT], data[ALCOVE_KEY_DATA], tcb[8];
    bool debug;
    uint32_t vmpl;
};
/* Trust anchors in dir/trust, revocation lists in dir/revoked. */
X509_STORE *trust_read(const char *dir);
/* NULL: the report is a chip's whose key the trust anchors vouch for, and *ret is what it says. Else why not. certs: the
 * table that came with it. */
const char *snp_report_check(X509_STORE *trust, const uint8_t *report, size_t n,
                             const uint8_t *certs, size_t certs_size, struct snp_claims *ret);

/* NULL: trust vouches for cert, with others between the two. Else why not. */
const char *chain_check(X509_STORE *trust, X509 *cert, STACK_OF(X509) * others);

/* The same of a TD. */
struct tdx_claims {
    uint8_t measurements[3][TDX_MEASUREMENT]; /* MRTD, RTMR1, RTMR2 */
    uint8_t data[ALCOVE_KEY_DATA], tcb[TDX_TCB], qe_signer[QE_SIGNER];
    bool debug;
};
/* NULL: the quote is a TD's on a machine whose key the trust anchors vouch for, and *ret is what it says. Else why not. */
const char *tdx_quote_check(X509_STORE *trust, const uint8_t *quote, size_t n,
                            struct tdx_claims *ret);

/* Read a request from the socket into b: the offset of its body, *ret_body bytes long; 0: it is none, or too long. */
size_t request_receive(int fd, struct buf *b, size_t *ret_body);

/* Fresh numbers, shared by the processes of all connections; each is good once, for NONCE_SECONDS. */
struct nonce_table *nonces_create(void);
void nonce_give(struct nonce_table *t, uint8_t ret[ALCOVE_KEY_NONCE]);
bool nonce_take(struct nonce_table *t, const uint8_t nonce[ALCOVE_KEY_NONCE]);

/* Decide on the body of a request: NULL and the answer's body, or why it is refused. who: for the log. */
const char *request_decide(struct key_server *s, const uint8_t *body, size_t n, const char *who,
                           struct buf *ret);

/* A new identity, an existing one, its public key as a point. Ends the command when it cannot be. */
void identity_create(const char *path);
EVP_PKEY *identity_read(const char *path);
void point_of(EVP_PKEY *key, uint8_t ret[ALCOVE_KEY_POINT]);
/* SHA-256 of the point, in hexadecimal: what images are built with. */
char *identity_fingerprint(EVP_PKEY *key);

/* The answer: key encrypted to the guest's point, signed. False: the point is none of the curve. */
bool seal_answer(const struct key_server *s, const struct alcove_key_request *request,
                 const uint8_t data[ALCOVE_KEY_DATA], const uint8_t *key, size_t key_size,
                 struct buf *ret);

#endif
