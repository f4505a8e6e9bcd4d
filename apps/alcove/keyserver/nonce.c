/* SPDX-License-Identifier: MIT */
/* Numbers that were given out and not used yet, in memory that all processes of the server share. */
#include "keyserver.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

enum { FREE, WRITING, GOOD };

struct nonce {
    _Atomic int state;
    _Atomic int64_t given; /* seconds */
    uint8_t value[ALCOVE_KEY_NONCE];
};

struct nonce_table {
    _Atomic unsigned next;
    struct nonce nonces[NONCES];
};

static int64_t now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec;
}

struct nonce_table *nonces_create(void)
{
    void *p = mmap(NULL, sizeof(struct nonce_table), PROT_READ | PROT_WRITE,
                   MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    if (p == MAP_FAILED)
        fail_errno(NULL, errno, "no memory");
    return p;
}

/* The oldest one makes room: whoever asks for thousands cannot fill the server, only shorten the life of numbers. */
void nonce_give(struct nonce_table *t, uint8_t ret[ALCOVE_KEY_NONCE])
{
    for (;;) {
        struct nonce *n = &t->nonces[atomic_fetch_add(&t->next, 1) % NONCES];
        int state = atomic_load(&n->state);

        if (state == WRITING || !atomic_compare_exchange_strong(&n->state, &state, WRITING))
            continue;
        if (RAND_bytes(ret, ALCOVE_KEY_NONCE) != 1)
            fail("libcrypto", "has no random numbers");
        memcpy(n->value, ret, ALCOVE_KEY_NONCE);
        atomic_store(&n->given, now());
        atomic_store(&n->state, GOOD);
        return;
    }
}

bool nonce_take(struct nonce_table *t, const uint8_t nonce[ALCOVE_KEY_NONCE])
{
    for (unsigned i = 0; i < NONCES; i++) {
        struct nonce *n = &t->nonces[i];
        int good = GOOD;
        bool fresh;

        if (atomic_load(&n->state) != GOOD ||
            CRYPTO_memcmp(n->value, nonce, ALCOVE_KEY_NONCE) != 0 ||
            !atomic_compare_exchange_strong(&n->state, &good, WRITING))
            continue;
        fresh = CRYPTO_memcmp(n->value, nonce, ALCOVE_KEY_NONCE) == 0 &&
                now() - atomic_load(&n->given) <= NONCE_SECONDS;
        atomic_store(&n->state, FREE);
        return fresh;
    }
    return false;
}
