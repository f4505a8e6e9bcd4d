/* SPDX-License-Identifier: MIT */
/* /dev/sev-guest, as Linux has it: attestation reports and keys from the security processor. No state of its own.
 * Spec: Linux, Documentation/virt/coco/sev-guest.rst and include/uapi/linux/sev-guest.h. */
#include <libos/snp.h>

#include <abi/errno.h>
#include <libos/file.h>
#include <libos/heap.h>
#include <libos/user.h>
#include <mbedtls/platform_util.h>
#include <plat/cc.h>
#include <string.h>

/* _IOWR('S', 0 to 2, struct snp_guest_request_ioctl) */
#define SNP_GET_REPORT      0xc0205300u
#define SNP_GET_DERIVED_KEY 0xc0205301u
#define SNP_GET_EXT_REPORT  0xc0205302u

enum { NO_FIRMWARE_CALL = 0xff, DERIVED_KEY_ANSWER = 64 };

typedef USER(uint8_t) user_bytes_t;

struct guest_request {
    uint8_t message_version, reserved[7];
    user_bytes_t request, answer;
    uint64_t verdict;
};
_Static_assert(sizeof(struct guest_request) == 32, "struct snp_guest_request_ioctl");
typedef USER(struct guest_request) user_request_t;
typedef USER(const struct guest_request) user_request_in_t;

struct extended_request {
    struct snp_report_request report;
    user_bytes_t certs;
    uint32_t certs_size, reserved;
};
_Static_assert(sizeof(struct extended_request) == 112, "struct snp_ext_report_req");
typedef USER(struct extended_request) user_extended_t;
typedef USER(const struct extended_request) user_extended_in_t;
typedef USER(const struct snp_report_request) user_report_in_t;

/* MSG_KEY_REQ */
struct key_request {
    uint32_t root_select, reserved;
    uint64_t field_select;
    uint32_t vmpl, svn;
    uint64_t tcb;
};
typedef USER(const struct key_request) user_key_in_t;

static int get_report(struct guest_request *g)
{
    struct snp_report_request r;
    uint8_t *answer;
    int err = user_get(&r, user_cast(user_report_in_t, g->request), 1);

    if (err)
        return err;
    answer = heap_alloc(SNP_MESSAGE_MAX);
    if (!answer)
        return -ENOMEM;
    err = snp_report(&r, answer, NULL, &g->verdict);
    if (!err)
        err = user_put(g->answer, answer, SNP_MESSAGE_MAX);
    heap_free(answer);
    return err;
}

static int get_key(struct guest_request *g)
{
    struct key_request r;
    uint8_t answer[DERIVED_KEY_ANSWER];
    int err = user_get(&r, user_cast(user_key_in_t, g->request), 1);

    if (!err)
        err = snp_message(SNP_MSG_KEY, &r, sizeof(r), answer, sizeof(answer), NULL, &g->verdict);
    if (!err)
        err = user_put(g->answer, answer, sizeof(answer));
    mbedtls_platform_zeroize(answer, sizeof(answer));
    return err;
}

/* The report and certificates, when the program wants some and gives room for all of them. */
static int extended(struct guest_request *g, struct extended_request *r, uint8_t *answer,
                    uint8_t *buf)
{
    user_extended_t up = user_cast(user_extended_t, g->request);
    bool wanted = r->certs_size && !user_is_null(r->certs);
    struct snp_certs certs = { buf, wanted ? r->certs_size : 0 };
    int err = snp_report(&r->report, answer, &certs, &g->verdict), put;

    if (g->verdict >> 32 == SNP_ERR_LENGTH) {
        r->certs_size = certs.bytes;
        put = user_put(up, r, 1);
        err = put ? put : err;
    }
    if (!err && wanted)
        err = user_put(r->certs, buf, r->certs_size);
    return err ? err : user_put(g->answer, answer, SNP_MESSAGE_MAX);
}

static int get_extended_report(struct guest_request *g)
{
    struct extended_request r;
    uint8_t *buf;
    int err = user_get(&r, user_cast(user_extended_in_t, g->request), 1);

    if (err)
        return err;
    if (r.certs_size && !user_is_null(r.certs) &&
        (r.certs_size > SNP_CERTS_MAX || r.certs_size % PAGE_SIZE))
        return -EINVAL;
    buf = heap_alloc(SNP_CERTS_MAX + SNP_MESSAGE_MAX);
    if (!buf)
        return -ENOMEM;
    err = extended(g, &r, buf + SNP_CERTS_MAX, buf);
    heap_free(buf);
    return err;
}

static int serve(unsigned cmd, struct guest_request *g)
{
    if (cmd != SNP_GET_REPORT && cmd != SNP_GET_DERIVED_KEY && cmd != SNP_GET_EXT_REPORT)
        return -ENOTTY;
    if (user_is_null(g->request) || user_is_null(g->answer))
        return -EINVAL;
    if (cmd == SNP_GET_REPORT)
        return get_report(g);
    return cmd == SNP_GET_DERIVED_KEY ? get_key(g) : get_extended_report(g);
}

static long sev_ioctl(struct file *f, unsigned cmd, unsigned long arg)
{
    user_request_t up = user_at(user_request_t, arg);
    struct guest_request g;
    int err = user_get(&g, user_cast(user_request_in_t, up), 1);

    (void)f;
    if (err)
        return err;
    g.verdict = NO_FIRMWARE_CALL;
    if (!g.message_version)
        return -EINVAL;
    err = serve(cmd, &g);
    if (g.verdict && user_put(up, &g, 1))
        return -EFAULT;
    return err;
}

static const struct file_ops sev_ops = { .ioctl = sev_ioctl, .seek = file_seek_nowhere };

int sev_guest_open(struct file *f, uint32_t minor)
{
    (void)minor;
    if (!plat_snp())
        return -ENXIO;
    f->ops = &sev_ops;
    return 0;
}
