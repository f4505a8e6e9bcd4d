/* SPDX-License-Identifier: MIT */
/* The security processor's side of guest messages, and the host that carries them. Its key for reports is a test's (made by
 * openssl, opt/ccsim/vcek); certificates that the host has are opt/ccsim/certs. A guest that uses a number twice for different
 * texts, or a page of its own for the messages, ends the run.
 * Spec: AMD SEV-SNP firmware ABI 1.55, 7.3 and 8.26; GHCB specification 2.03, 4.1.7 and 4.1.8. */
#include "ccsim.h"
#include "x86_64/x86.h"

#include <libos/sha256.h>
#include <mbedtls/ecdsa.h>
#include <mbedtls/gcm.h>
#include <mbedtls/sha256.h>
#include <mbedtls/sha512.h>
#include <string.h>

enum {
    LATE = 20, /* exits after which nobody reads the answer any more */
    KEYS = 4,
    KEY = 32,
    TAG = 16,
    HASH = 48,
    CERTS_MAX = 16384,
    MSG_KEY = 3,
    MSG_REPORT = 5,
    MSG_TSC = 17,
    REPORT = 0x4a0,
    SIGNED = 0x2a0,
    SCALAR = 48,
    STATUS_PARAMETER = 0x16,
};
#define ERR_LENGTH (1ull << 32)
#define ERR_BUSY   (2ull << 32)

struct PACKED message {
    uint8_t tag[32];
    uint64_t sequence, reserved0;
    uint8_t algo, version;
    uint16_t header_size;
    uint8_t type, message_version;
    uint16_t size;
    uint32_t reserved1;
    uint8_t key_number, reserved2[35];
    uint8_t payload[4000];
};
enum { AAD_AT = 48, AAD = 48 };

static uint64_t answered[KEYS];     /* the last number of each key */
static struct message last_request; /* as the guest sent it */
static struct message last_answer;  /* what it got */

void sim_key(unsigned n, uint8_t key[KEY])
{
    for (unsigned i = 0; i < KEY; i++)
        key[i] = (uint8_t)(0xa0 + n * KEY + i); /* a pattern that a leak is found by: io.c */
}

/* Mbed TLS, as libOS builds it, leaves this to libOS. */
int mbedtls_internal_sha256_process(mbedtls_sha256_context *ctx, const unsigned char data[64])
{
    sha256_compress(ctx->state, data, 1);
    return 0;
}

static int noise(void *arg, unsigned char *out, size_t n)
{
    (void)arg;
    for (size_t i = 0; i < n; i++)
        out[i] = (uint8_t)(x86_rdtsc() >> 3 ^ i * 77);
    return 0;
}

static int numbers_out(const mbedtls_mpi *r, const mbedtls_mpi *s, bool p256, uint8_t *out)
{
    if (p256)
        return mbedtls_mpi_write_binary(r, out, 32) | mbedtls_mpi_write_binary(s, out + 32, 32);
    return mbedtls_mpi_write_binary_le(r, out, 72) | mbedtls_mpi_write_binary_le(s, out + 72, 72);
}

static void sign_with(const uint8_t *scalar, bool p256, const uint8_t *data, size_t n, uint8_t *out)
{
    mbedtls_ecp_group group;
    mbedtls_mpi key, r, s;
    uint8_t hash[64];
    int err;

    mbedtls_ecp_group_init(&group);
    mbedtls_mpi_init(&key);
    mbedtls_mpi_init(&r);
    mbedtls_mpi_init(&s);
    if (p256)
        mbedtls_sha256_ret(data, n, hash, 0);
    else
        mbedtls_sha512_ret(data, n, hash, 1);
    err =
        mbedtls_ecp_group_load(&group, p256 ? MBEDTLS_ECP_DP_SECP256R1 : MBEDTLS_ECP_DP_SECP384R1) |
        mbedtls_mpi_read_binary(&key, scalar, p256 ? 32 : SCALAR);
    err |= err ? 0 : mbedtls_ecdsa_sign(&group, &r, &s, &key, hash, p256 ? 32 : HASH, noise, NULL);
    err |= numbers_out(&r, &s, p256, out);
    mbedtls_mpi_free(&s);
    mbedtls_mpi_free(&r);
    mbedtls_mpi_free(&key);
    mbedtls_ecp_group_free(&group);
    if (err)
        sim_fail("signing a report gives error %d", err);
}

/* r and s as the report has them: 72 bytes each, the lowest first. */
void sim_sign(const uint8_t *data, size_t n, uint8_t *out)
{
    uint8_t scalar[SCALAR];

    if (sim_file("opt/ccsim/vcek", scalar, sizeof(scalar)) != sizeof(scalar))
        sim_fail("the guest asks for a report, and there is no key to sign it");
    sign_with(scalar, false, data, n, out);
}

void sim_sign_quote(const uint8_t *data, size_t n, uint8_t *out)
{
    uint8_t key[96]; /* the scalar, the point */

    if (sim_file("opt/ccsim/qe-key", key, sizeof(key)) != sizeof(key))
        sim_fail("the guest asks for a quote, and there is no key to sign it");
    sign_with(key, true, data, n, out);
    memcpy(out + 64, key + 32, 64);
}

static void put(uint8_t *p, uint64_t v, unsigned n)
{
    memcpy(p, &v, n);
}

void sim_report(const uint8_t data[64], unsigned vmpl, uint8_t *r)
{
    memset(r, 0, REPORT);
    put(r, 2, 4); /* version */
    put(r + 8, 0x30000 | (sim_attack("debug") ? 1 << 19 : 0), 8);
    put(r + 0x30, vmpl, 4);
    put(r + 0x34, 1, 4); /* ECDSA P-384 with SHA-384 */
    put(r + 0x38, 0x0a14000000000003, 8);
    memcpy(r + 0x50, data, 64);
    sim_measurement(r + 0x90);
    memset(r + 0x140, 0x52, 32);
    put(r + 0x180, 0x0a14000000000003, 8);
    memset(r + 0x1a0, 0x43, 64);
    sim_sign(r, SIGNED, r + SIGNED);
}

/* MSG_REPORT_REQ to MSG_REPORT_RSP; the answer's size. */
static size_t report(const uint8_t *in, uint8_t *out)
{
    uint32_t vmpl = *(const uint32_t *)(in + 64);

    if (vmpl > 3 || vmpl < sim_vmpl()) {
        put(out, STATUS_PARAMETER, 4);
        return 32;
    }
    put(out + 4, REPORT, 4);
    sim_report(in, vmpl, out + 32);
    return 32 + REPORT;
}

/* MSG_KEY_REQ: a key that depends on the request and on the machine. */
static size_t derived_key(const uint8_t *in, uint8_t *out)
{
    uint8_t text[64] = "of this machine", hash[64];

    if (*(const uint32_t *)in > 3 || *(const uint64_t *)(in + 8) > 0x3f ||
        *(const uint32_t *)(in + 16) < sim_vmpl() || *(const uint32_t *)(in + 16) > 3) {
        put(out, STATUS_PARAMETER, 4);
        return 64;
    }
    memcpy(text + 32, in, 32);
    mbedtls_sha512_ret(text, sizeof(text), hash, 0);
    memcpy(out + 32, hash, 32);
    return 64;
}

/* MSG_TSC_INFO_REQ: the counter as it is, one to one. */
static size_t tsc_info(uint8_t *out)
{
    put(out + 8, 1ull << 32, 8); /* scale, 8.32 */
    put(out + 16, sim_options.secure_tsc ? SIM_TSC_OFFSET : 0, 8);
    put(out + 24, sim_options.secure_tsc ? sim_tsc_factor() : 0, 4);
    return 128;
}

static size_t serve(unsigned type, const uint8_t *in, size_t n, uint8_t *out)
{
    if (type == MSG_REPORT && n == 96)
        return report(in, out);
    if (type == MSG_KEY && n == 32)
        return derived_key(in, out);
    if (type == MSG_TSC && n == 128)
        return tsc_info(out);
    sim_fail("message %u of %lu bytes", type, n);
}

static int crypt(struct message *m, int mode, const uint8_t *in, uint8_t *out)
{
    mbedtls_gcm_context gcm;
    uint8_t key[KEY], iv[12] = { 0 }, tag[TAG];
    int err;

    sim_key(m->key_number, key);
    memcpy(iv, &m->sequence, 8);
    mbedtls_gcm_init(&gcm);
    err = mbedtls_gcm_setkey(&gcm, MBEDTLS_CIPHER_ID_AES, key, 256) |
          mbedtls_gcm_starts(&gcm, mode, iv, sizeof(iv), (uint8_t *)m + AAD_AT, AAD) |
          mbedtls_gcm_update(&gcm, m->size, in, out) | mbedtls_gcm_finish(&gcm, tag, TAG);
    mbedtls_gcm_free(&gcm);
    if (mode == MBEDTLS_GCM_DECRYPT)
        return err || memcmp(tag, m->tag, TAG) != 0;
    memset(m->tag, 0, sizeof(m->tag));
    memcpy(m->tag, tag, TAG);
    return err;
}

static void check_request(const struct message *q)
{
    if (q->algo != 1 || q->version != 1 || q->header_size != 96 || q->message_version != 1 ||
        q->size > sizeof(q->payload) || q->key_number >= KEYS || q->key_number < sim_vmpl() ||
        !(q->sequence & 1))
        sim_fail("guest message %u, sequence %lu: bad header", q->type, q->sequence);
    if (q->sequence == last_request.sequence && memcmp(q, &last_request, sizeof(*q)) != 0)
        sim_fail("sequence number %lu is used for two different messages", q->sequence);
}

/* The firmware: a message in, a message out, or its error. */
static uint64_t firmware(const struct message *q, struct message *out)
{
    static uint8_t text[4000], answer[4000];
    struct message copy = *q;

    if (q->sequence != answered[q->key_number] + 1)
        sim_fail("guest message with sequence %lu after %lu", q->sequence, answered[q->key_number]);
    if (crypt(&copy, MBEDTLS_GCM_DECRYPT, q->payload, text))
        sim_fail("guest message %lu cannot be decrypted", q->sequence);
    memset(out, 0, sizeof(*out));
    memset(answer, 0, sizeof(answer));
    memcpy((uint8_t *)out + AAD_AT, (const uint8_t *)q + AAD_AT, AAD);
    out->sequence = q->sequence + 1;
    out->type = (uint8_t)(q->type + 1);
    out->size = (uint16_t)serve(q->type, text, q->size, answer);
    if (crypt(out, MBEDTLS_GCM_ENCRYPT, answer, out->payload))
        sim_fail("an answer could not be encrypted");
    answered[q->key_number] = out->sequence;
    sim_counts.messages++;
    return 0;
}

/* What a host does to an answer on its way. */
static void attack_answer(struct message *m, const struct message *before)
{
    if (sim_attack("message-replay") && before->sequence)
        *m = *before;
    if (sim_attack("message-bit"))
        m->payload[7] ^= 1;
    if (sim_attack("message-tag"))
        m->tag[0] ^= 1;
    if (sim_attack("message-type"))
        m->type += 2;
    if (sim_attack("message-size"))
        m->size = 0xffff;
    if (sim_attack("message-none"))
        memset(m, 0, sizeof(*m));
}

static void *shared_page(uint64_t gpa)
{
    if (gpa % PAGE_SIZE || gpa >= GUEST_MEMORY || sim_page_state(gpa) != PAGE_SHARED)
        sim_fail("message page 0x%lx is not shared", gpa);
    return sim_host(sim_shared(gpa));
}

/* Certificates into the guest's pages; false: it wants more room, *pages of it. */
static bool give_certs(uint64_t gpa, uint64_t *pages)
{
    static uint8_t certs[CERTS_MAX];
    size_t n = sim_file("opt/ccsim/certs", certs, sizeof(certs));
    uint64_t need = align_up(n, PAGE_SIZE) / PAGE_SIZE;

    if (sim_attack("certs-length"))
        need = UINT64_MAX;
    if (*pages < need) {
        *pages = need;
        return false;
    }
    for (uint64_t i = 0; i < need; i++)
        memcpy(shared_page(gpa + i * PAGE_SIZE), certs + i * PAGE_SIZE, PAGE_SIZE);
    return true;
}

static struct {
    uint64_t gpa, due;
    bool done;
} late;

void sim_psp_work(void)
{
    if (!sim_attack("message-late") || late.done || !late.gpa || sim_counts.exits < late.due)
        return;
    memset(shared_page(late.gpa), 0xee, PAGE_SIZE);
    late.done = true;
}

uint64_t sim_guest_request(uint64_t request, uint64_t answer, uint64_t certs, uint64_t *pages)
{
    static unsigned busy = 2;
    struct message *q = shared_page(request), *a = shared_page(answer), before = last_answer;
    uint64_t verdict;

    check_request(q);
    last_request = *q;
    if ((sim_attack("message-busy") && busy) || sim_attack("message-drop")) {
        busy--;
        return ERR_BUSY;
    }
    if (sim_attack("message-error"))
        return STATUS_PARAMETER;
    if (sim_attack("message-host-error"))
        return 7ull << 32;
    if (certs && !give_certs(certs, pages))
        return ERR_LENGTH;
    late.gpa = answer;
    late.due = sim_counts.exits + LATE;
    verdict = firmware(q, a);
    last_answer = *a;
    attack_answer(a, &before);
    return verdict;
}
