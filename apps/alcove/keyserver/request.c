/* SPDX-License-Identifier: MIT */
/* Whether a request gets its key. Each check has one reason, which the guest and the log are told. */
#include "hash.h"
#include "keyserver.h"

#include <openssl/crypto.h>
#include <string.h>

enum { VMPL_MAX = 3 };

struct parts {
    struct alcove_key_request head;
    char name[ALCOVE_KEY_NAME_MAX + 1];
    const uint8_t *report, *certs;
};

static const char *take_apart(const uint8_t *body, size_t n, struct parts *p)
{
    if (n < sizeof(p->head))
        return "the request is cut off";
    memcpy(&p->head, body, sizeof(p->head));
    if (memcmp(p->head.magic, ALCOVE_KEY_REQUEST, sizeof(p->head.magic)) != 0)
        return "the request is none of this protocol";
    if (!p->head.name_size || p->head.name_size > ALCOVE_KEY_NAME_MAX ||
        p->head.report_size > ALCOVE_KEY_REPORT_MAX || p->head.certs_size > ALCOVE_KEY_CERTS_MAX ||
        n - sizeof(p->head) != (size_t)p->head.name_size + p->head.report_size + p->head.certs_size)
        return "the request's sizes do not fit";
    memcpy(p->name, body + sizeof(p->head), p->head.name_size);
    p->report = body + sizeof(p->head) + p->head.name_size;
    p->certs = p->report + p->head.report_size;
    return NULL;
}

static void report_data(const struct parts *p, uint8_t ret[ALCOVE_KEY_DATA])
{
    struct hash h;
    uint8_t digest[HASH_MAX];

    hash_begin(&h, "SHA512");
    hash_add(&h, ALCOVE_KEY_CONTEXT, sizeof(ALCOVE_KEY_CONTEXT) - 1);
    hash_add(&h, p->head.nonce, sizeof(p->head.nonce));
    hash_add(&h, p->head.point, sizeof(p->head.point));
    hash_add(&h, p->name, p->head.name_size);
    (void)hash_end(&h, digest);
    memcpy(ret, digest, ALCOVE_KEY_DATA);
}

static bool tcb_enough(const uint8_t have[8], const uint8_t least[8])
{
    for (unsigned i = 0; i < 8; i++)
        if (have[i] < least[i])
            return false;
    return true;
}

static const char *judge(const struct key_rule *rule, const struct snp_claims *c,
                         const uint8_t data[ALCOVE_KEY_DATA])
{
    if (CRYPTO_memcmp(c->data, data, ALCOVE_KEY_DATA) != 0)
        return "the report is not about this request";
    if (c->debug)
        return "the guest can be debugged by its host";
    if (c->vmpl > VMPL_MAX)
        return "the report has no privilege level";
    if (!tcb_enough(c->tcb, rule->snp_least_tcb))
        return "the platform's firmware is older than the policy allows";
    if (!list_has(&rule->snp_measurements, hash_hex(c->measurement, sizeof(c->measurement))))
        return "the measurement is not one that the policy names";
    return NULL;
}

const char *request_decide(struct key_server *s, const uint8_t *body, size_t n, const char *who,
                           struct buf *ret)
{
    struct parts p = { 0 };
    struct snp_claims claims;
    uint8_t data[ALCOVE_KEY_DATA];
    struct buf key = { 0 };
    const char *why = take_apart(body, n, &p);
    struct key_rule *rule;

    if (why)
        return why;
    if (!nonce_take(s->nonces, p.head.nonce)) /* first: whatever else is wrong, it is used up */
        return "the nonce was not given out, is used up or too old";
    if (p.head.kind != ALCOVE_KEY_SNP)
        return "this kind of report is not known here";
    why = snp_report_check(s->trust, p.report, p.head.report_size, p.certs, p.head.certs_size,
                           &claims);
    if (why)
        return why;
    report_data(&p, data);
    rule = policy_find(s->rules, p.name);
    if (!rule)
        return "the policy has no such volume";
    why = judge(rule, &claims, data);
    if (why)
        return why;
    if (file_read(rule->key, ALCOVE_KEY_MAX, &key) < 0 || !key.len) {
        say("keyserver: %s: %s: the key cannot be read", who, rule->key);
        return "the server cannot read the key";
    }
    if (!seal_answer(s, &p.head, data, (uint8_t *)key.s, key.len, ret))
        return "the guest's public key is none";
    OPENSSL_cleanse(key.s, key.len);
    say("keyserver: %s: the key of %s was given to measurement %s", who, rule->name,
        hash_hex(claims.measurement, sizeof(claims.measurement)));
    return NULL;
}
