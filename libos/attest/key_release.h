/* SPDX-License-Identifier: MIT */
/* The guest's side of alcove/keyrelease.h, without its network: what is asked, and what an answer is worth. The answer is
 * hostile until its signature is checked. Own memory only; one request at a time per structure. */
#ifndef ATTEST_KEY_RELEASE_H
#define ATTEST_KEY_RELEASE_H

#include <alcove/keyrelease.h>
#include <base/compiler.h>
#include <base/types.h>

enum { KEY_FINGERPRINT = 32, KEY_SECRET = 48 };

struct key_release {
    struct alcove_key_request head;
    char name[ALCOVE_KEY_NAME_MAX + 1];
    uint8_t data[ALCOVE_KEY_DATA]; /* what the report is to be about */
    uint8_t secret[KEY_SECRET];    /* of the key pair that is made for this request */
};

/* Make a key pair and the report's data. name: of a volume, at most ALCOVE_KEY_NAME_MAX bytes. -EINVAL: the name; -ENOMEM. */
NODISCARD int key_release_begin(struct key_release *k, const uint8_t nonce[ALCOVE_KEY_NONCE],
                                const char *name);

/* The request's head for a report of kind ALCOVE_KEY_*; the name, the report and the certificates go behind it. */
void key_release_head(struct key_release *k, uint32_t kind, size_t report, size_t certs);

/* Take the key out of an answer of n bytes: at most ALCOVE_KEY_MAX. -EBADMSG: malformed; -EACCES: not signed by the server
 * whose key has this SHA-256; -EKEYREJECTED: it does not decrypt; -ENOMEM. */
NODISCARD int key_release_open(const struct key_release *k, const uint8_t *answer, size_t n,
                               const uint8_t fingerprint[KEY_FINGERPRINT], uint8_t *ret_key,
                               size_t *ret_size);

/* Forget the key pair. */
void key_release_end(struct key_release *k);

#endif
