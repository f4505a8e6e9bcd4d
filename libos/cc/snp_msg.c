/* SPDX-License-Identifier: MIT */
/* Messages to the security processor of an SEV-SNP guest and back: encrypted with AES-256-GCM under a key that only the two
 * have, numbered, carried by the host. One at a time, under lock. A number is used for one plain text only: a request that
 * the host is too busy for is sent again as it is, and any other failure wipes the key, because nobody can tell then
 * whether the processor has seen the number. Spec: AMD SEV-SNP firmware ABI 1.55, 7.3 and 8.26. */
#include <libos/snp.h>

#include <abi/errno.h>
#include <base/log.h>
#include <libos/heap.h>
#include <libos/lock.h>
#include <libos/waitq.h>
#include <mbedtls/gcm.h>
#include <mbedtls/platform_util.h>
#include <plat/cc.h>
#include <plat/dma.h>
#include <plat/time.h>
#include <string.h>

enum {
    ALGO_AES_256_GCM = 1,
    HEADER_VERSION = 1,
    MESSAGE_VERSION = 1,
    TAG = 16,
    IV = 12,
    KEY_BITS = 256,
    SEQUENCE_MAX = 0xfffffffd,
    CERT_PAGES = SNP_CERTS_MAX / PAGE_SIZE,
};
#define BUSY_LIMIT_NS (60ull * 1000000000)
#define BUSY_WAIT_NS  (200ull * 1000000)

struct PACKED header {
    uint8_t tag[32];
    uint64_t sequence, reserved0;
    uint8_t algo, version; /* from algo on: authenticated */
    uint16_t header_size;
    uint8_t type, message_version;
    uint16_t size;
    uint32_t reserved1;
    uint8_t key_number, reserved2[35];
};
struct PACKED message {
    struct header h;
    uint8_t payload[SNP_MESSAGE_MAX];
};
_Static_assert(sizeof(struct message) == PAGE_SIZE, "one page each way");
enum { AAD_AT = offsetof(struct header, algo), AAD = sizeof(struct header) - AAD_AT };

static struct {
    struct mutex lock;
    bool ready; /* guarded by lock: key is one */
    uint8_t key[PLAT_SNP_KEY];
    uint64_t sequence; /* of the last message that was answered */
    unsigned vmpl;
    struct message *out, *in;               /* private copies */
    struct plat_dma request, answer, certs; /* what the host sees */
} channel;

unsigned snp_vmpl(void)
{
    return channel.vmpl;
}

/* How the processor makes this guest's counter, for further CPUs' first state. MSG_TSC_INFO_RSP. */
static void ask_for_counter(void)
{
    static const uint8_t request[SNP_TSC_REQUEST];
    struct PACKED {
        uint32_t status, reserved0;
        uint64_t scale, offset;
        uint32_t factor;
        uint8_t reserved1[100];
    } answer;
    uint64_t verdict = 0;
    int err =
        snp_message(SNP_MSG_TSC, request, sizeof(request), &answer, sizeof(answer), NULL, &verdict);

    if (!err && !answer.status && answer.scale)
        plat_snp_set_counter(answer.scale, answer.offset);
    else
        log_warn("sev-guest: nothing is known of the counter (error %d, status 0x%x)", -err,
                 err ? 0 : (unsigned)answer.status);
}

int snp_messages_init(void)
{
    int err;

    mutex_init(&channel.lock, RANK_CC);
    channel.out = heap_alloc(sizeof(*channel.out));
    channel.in = heap_alloc(sizeof(*channel.in));
    if (!channel.out || !channel.in)
        return -ENOMEM;
    err = plat_dma_alloc(PAGE_SIZE, &channel.request);
    if (!err)
        err = plat_dma_alloc(PAGE_SIZE, &channel.answer);
    if (!err)
        err = plat_dma_alloc(SNP_CERTS_MAX, &channel.certs);
    if (!err)
        err = plat_snp_take_key(channel.key, &channel.sequence, &channel.vmpl);
    channel.ready = !err;
    if (!err && plat_snp_secure_tsc())
        ask_for_counter();
    return err;
}

/* channel.out becomes the request with the next number. */
static int encrypt(mbedtls_gcm_context *gcm, unsigned type, const void *request, size_t n)
{
    struct message *m = channel.out;
    uint8_t iv[IV] = { 0 };

    memset(m, 0, sizeof(*m));
    m->h = (struct header){ .sequence = channel.sequence + 1,
                            .algo = ALGO_AES_256_GCM,
                            .version = HEADER_VERSION,
                            .header_size = sizeof(m->h),
                            .type = (uint8_t)type,
                            .message_version = MESSAGE_VERSION,
                            .size = (uint16_t)n,
                            .key_number = (uint8_t)channel.vmpl };
    memcpy(iv, &m->h.sequence, sizeof(m->h.sequence));
    return mbedtls_gcm_crypt_and_tag(gcm, MBEDTLS_GCM_ENCRYPT, n, iv, IV, (uint8_t *)&m->h + AAD_AT,
                                     AAD, request, m->payload, TAG, m->h.tag)
               ? -EIO
               : 0;
}

/* The answer is copied out of the host's reach once; then its header must be the one that belongs to the request. */
static int decrypt(mbedtls_gcm_context *gcm, void *ret_answer, size_t max)
{
    const struct header *sent = &channel.out->h;
    struct message *m = channel.in;
    uint8_t iv[IV] = { 0 };

    memcpy(m, channel.answer.ptr, sizeof(*m));
    if (m->h.sequence != sent->sequence + 1 || m->h.algo != ALGO_AES_256_GCM ||
        m->h.type != sent->type + 1 || m->h.message_version != sent->message_version ||
        m->h.header_size != sizeof(m->h) || m->h.size > max || m->h.size > sizeof(m->payload))
        return -EBADMSG;
    memset(ret_answer, 0, max);
    memcpy(iv, &m->h.sequence, sizeof(m->h.sequence));
    return mbedtls_gcm_auth_decrypt(gcm, m->h.size, iv, IV, (uint8_t *)&m->h + AAD_AT, AAD,
                                    m->h.tag, TAG, m->payload, ret_answer)
               ? -EBADMSG
               : 0;
}

/* Some time until the next try. */
static void busy_wait(void)
{
    uint64_t deadline = plat_time_ns() + BUSY_WAIT_NS;

    while (thread_prepare_sleep(SLEEP_UNINTERRUPTIBLE), !thread_sleep(deadline))
        ;
    thread_finish_sleep();
}

/* Until the host has carried the request and an answer is there. *ret_verdict: what failed. -EIO with SNP_ERR_LENGTH: the
 * request was carried without certificates, and *pages is what they need. */
static int carry(uint64_t certs, uint64_t *pages, uint64_t *ret_verdict)
{
    uint64_t start = plat_time_ns(), length_error = 0, offered = *pages;

    for (;;) {
        uint64_t verdict = 0;
        int err =
            plat_snp_request(channel.request.addr, channel.answer.addr, certs, pages, &verdict);

        if (err || !verdict) {
            *ret_verdict = length_error ? length_error : verdict;
            return length_error ? -EIO : err;
        }
        if (verdict == (uint64_t)SNP_ERR_BUSY << 32) {
            if (plat_time_ns() - start > BUSY_LIMIT_NS) {
                *ret_verdict = verdict;
                return -ETIMEDOUT;
            }
            busy_wait();
            *pages = certs ? offered : *pages;
        } else if (verdict == (uint64_t)SNP_ERR_LENGTH << 32 && certs) {
            length_error = verdict; /* the number must be used up all the same */
            certs = 0;
        } else {
            *ret_verdict = verdict;
            return -EIO;
        }
    }
}

static void wipe_key(unsigned type, int err)
{
    mbedtls_platform_zeroize(channel.key, sizeof(channel.key));
    channel.ready = false;
    log_warn("sev-guest: message %u failed (error %d): the key of this guest's messages is wiped",
             type, -err);
}

static int exchange(mbedtls_gcm_context *gcm, void *ret_answer, size_t max, struct snp_certs *certs,
                    uint64_t *ret_verdict)
{
    uint64_t pages = certs ? certs->bytes / PAGE_SIZE : 0;
    int err;

    memset(channel.answer.ptr, 0, PAGE_SIZE);
    memset(channel.certs.ptr, 0, SNP_CERTS_MAX);
    memcpy(channel.request.ptr, channel.out, sizeof(*channel.out));
    err = carry(certs ? channel.certs.addr : 0, &pages, ret_verdict);
    if (err && *ret_verdict != (uint64_t)SNP_ERR_LENGTH << 32)
        return err;
    channel.sequence += 2;
    if (err) { /* what the host asks for is only a number: a user's buffer of that size is the user's affair */
        certs->bytes = (uint32_t)min_u64(pages, UINT32_MAX / PAGE_SIZE) * PAGE_SIZE;
        return err;
    }
    err = decrypt(gcm, ret_answer, max);
    if (!err && certs)
        memcpy(certs->buf, channel.certs.ptr, certs->bytes);
    return err;
}

int snp_message(unsigned type, const void *request, size_t n, void *ret_answer, size_t max,
                struct snp_certs *certs, uint64_t *ret_verdict)
{
    mbedtls_gcm_context gcm;
    int err = 0;

    must(n <= SNP_MESSAGE_MAX && max <= SNP_MESSAGE_MAX);
    must(!certs || (certs->bytes <= SNP_CERTS_MAX && certs->bytes % PAGE_SIZE == 0));
    mutex_lock(&channel.lock);
    if (!channel.ready) {
        mutex_unlock(&channel.lock);
        return -ENOTTY;
    }
    mbedtls_gcm_init(&gcm);
    if (channel.sequence > SEQUENCE_MAX ||
        mbedtls_gcm_setkey(&gcm, MBEDTLS_CIPHER_ID_AES, channel.key, KEY_BITS))
        err = -EIO;
    if (!err)
        err = encrypt(&gcm, type, request, n);
    if (!err)
        err = exchange(&gcm, ret_answer, max, certs, ret_verdict);
    mbedtls_gcm_free(&gcm);
    if (err && !(err == -EIO && *ret_verdict == (uint64_t)SNP_ERR_LENGTH << 32))
        wipe_key(type, err);
    mutex_unlock(&channel.lock);
    return err;
}

int snp_report(const struct snp_report_request *r, void *ret_answer, struct snp_certs *certs,
               uint64_t *ret_verdict)
{
    return snp_message(SNP_MSG_REPORT, r, sizeof(*r), ret_answer, SNP_MESSAGE_MAX, certs,
                       ret_verdict);
}
