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

static bool tcb_enough(const uint8_t *have, const uint8_t *least, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
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
    if (!tcb_enough(c->tcb, rule->snp_least_tcb, sizeof(c->tcb)))
        return "the platform's firmware is older than the policy allows";
    if (!list_has(&rule->snp_measurements, hash_hex(c->measurement, sizeof(c->measurement))))
        return "the measurement is not one that the policy names";
    return NULL;
}

static char *tdx_measurements(const struct tdx_claims *c)
{
    char *text = xstrdup(hash_hex(c->measurements[0], TDX_MEASUREMENT));

    for (unsigned i = 1; i < 3; i++)
        text = xprintf("%s %s", text, hash_hex(c->measurements[i], TDX_MEASUREMENT));
    return text;
}

static const char *judge_tdx(const struct key_rule *rule, const struct tdx_claims *c,
                             const uint8_t data[ALCOVE_KEY_DATA])
{
    if (CRYPTO_memcmp(c->data, data, ALCOVE_KEY_DATA) != 0)
        return "the report is not about this request";
    if (c->debug)
        return "the guest can be debugged by its host";
    if (!list_has(&rule->tdx_qe_signers, hash_hex(c->qe_signer, sizeof(c->qe_signer))))
        return "the quoting enclave's signer is not one that the policy names";
    if (!tcb_enough(c->tcb, rule->tdx_least_tcb, sizeof(c->tcb)))
        return "the platform's firmware is older than the policy allows";
    if (!list_has(&rule->tdx_measurements, tdx_measurements(c)))
        return "the measurement is not one that the policy names";
    return NULL;
}

/* Is the evidence genuine, and does the policy have what it says? *ret_rule and, for the log, *ret_what. */
static const char *weigh(struct key_server *s, const struct parts *p,
                         const uint8_t data[ALCOVE_KEY_DATA], struct key_rule **ret_rule,
                         const char **ret_what)
{
    bool tdx = p->head.kind == ALCOVE_KEY_TDX;
    struct snp_claims snp;
    struct tdx_claims td;
    const char *why = "this kind of report is not known here";

    if (tdx)
        why = tdx_quote_check(s->trust, p->report, p->head.report_size, &td);
    else if (p->head.kind == ALCOVE_KEY_SNP)
        why = snp_report_check(s->trust, p->report, p->head.report_size, p->certs,
                               p->head.certs_size, &snp);
    if (why)
        return why;
    *ret_rule = policy_find(s->rules, p->name);
    if (!*ret_rule)
        return "the policy has no such volume";
    *ret_what = tdx ? tdx_measurements(&td) : hash_hex(snp.measurement, sizeof(snp.measurement));
    return tdx ? judge_tdx(*ret_rule, &td, data) : judge(*ret_rule, &snp, data);
}

const char *request_decide(struct key_server *s, const uint8_t *body, size_t n, const char *who,
                           struct buf *ret)
{
    struct parts p = { 0 };
    uint8_t data[ALCOVE_KEY_DATA];
    struct buf key = { 0 };
    const char *why = take_apart(body, n, &p);
    struct key_rule *rule;
    const char *what;

    if (why)
        return why;
    if (!nonce_take(s->nonces, p.head.nonce)) /* first: whatever else is wrong, it is used up */
        return "the nonce was not given out, is used up or too old";
    report_data(&p, data);
    why = weigh(s, &p, data, &rule, &what);
    if (why)
        return why;
    if (file_read(rule->key, ALCOVE_KEY_MAX, &key) < 0 || !key.len) {
        say("keyserver: %s: %s: the key cannot be read", who, rule->key);
        return "the server cannot read the key";
    }
    if (!seal_answer(s, &p.head, data, (uint8_t *)key.s, key.len, ret))
        return "the guest's public key is none";
    OPENSSL_cleanse(key.s, key.len);
    say("keyserver: %s: the key of %s was given to measurement %s", who, rule->name, what);
    return NULL;
}
