/* SPDX-License-Identifier: MIT */
/* Who makes reports in this guest, and SEV-SNP's provider: an extended report of the security processor.
 * Spec: Linux, Documentation/ABI/testing/configfs-tsm-report. */
#include <libos/tsm.h>

#include "cc_int.h"

#include <abi/errno.h>
#include <libos/heap.h>
#include <libos/page.h>
#include <libos/snp.h>
#include <plat/cc.h>
#include <string.h>

enum { BLOCK_ORDER = 2, STATUS_PARAMETER = 0x16, HEAD = sizeof(struct snp_report_head) };

/* One certificate of the table that the host gave: its kind, and where it lies. */
struct cert_entry {
    uint8_t guid[16];
    uint32_t offset, size;
};

/* Bytes of certificates in buf, which is the host's: at most size. */
static size_t certs_size(const uint8_t *buf, size_t size)
{
    static const uint8_t end[16];
    struct cert_entry e;
    uint64_t most = 0;

    for (size_t at = 0; at + sizeof(e) <= size; at += sizeof(e)) {
        memcpy(&e, buf + at, sizeof(e));
        if (!memcmp(e.guid, end, sizeof(end)))
            break;
        most = max_u64(most, (uint64_t)e.offset + e.size);
    }
    return min_u64(most, size);
}

static int take_answer(struct tsm_request *r, const uint8_t *answer, const uint8_t *certs)
{
    struct snp_report_head head;
    size_t aux = certs_size(certs, SNP_CERTS_MAX);

    memcpy(&head, answer, sizeof(head));
    if (head.status)
        return head.status == STATUS_PARAMETER ? -EINVAL : -ENXIO;
    if (!head.size || head.size > SNP_MESSAGE_MAX - HEAD)
        return -EIO;
    r->out = heap_alloc(head.size);
    r->aux = aux ? heap_alloc(aux) : NULL;
    if (!r->out || (aux && !r->aux))
        return -ENOMEM;
    memcpy(r->out, answer + HEAD, head.size);
    r->out_size = head.size;
    if (aux)
        memcpy(r->aux, certs, aux);
    r->aux_size = aux;
    return 0;
}

static int keep(uint8_t **ret, size_t *ret_size, const void *from, size_t n)
{
    *ret = heap_alloc(n);
    if (!*ret)
        return -ENOMEM;
    memcpy(*ret, from, n);
    *ret_size = n;
    return 0;
}

static bool below_module(void)
{
    return plat_svsm() != 0;
}

/* A report of the module at VMPL 0 on its services. */
static int svsm_make(struct tsm_request *r)
{
    static const uint8_t none[TSM_GUID];
    struct plat_svsm_attest q = { .version = r->service_version,
                                  .report_size = PAGE_SIZE,
                                  .manifest_size = PAGE_SIZE,
                                  .certs_size = 2 * PAGE_SIZE };
    struct page *pages = page_alloc(BLOCK_ORDER, PAGE_KERNEL, PAGE_ZERO);
    uint8_t *block = pages ? page_ptr(pages) : NULL;
    int err;

    if (!block)
        return -ENOMEM;

    memcpy(q.nonce, r->in, sizeof(q.nonce));
    memcpy(q.guid, r->service_guid, sizeof(q.guid));
    q.single = memcmp(q.guid, none, sizeof(none)) != 0;
    q.report = block;
    q.manifest = block + PAGE_SIZE;
    q.certs = block + 2 * PAGE_SIZE;
    err = plat_svsm_attest(&q);
    if (!err)
        err = keep(&r->out, &r->out_size, q.report, q.report_size);
    if (!err)
        err = keep(&r->manifest, &r->manifest_size, q.manifest, q.manifest_size);
    if (!err && q.certs_size)
        err = keep(&r->aux, &r->aux_size, q.certs, q.certs_size);
    page_put(pages);
    return err;
}

static int snp_make(struct tsm_request *r)
{
    struct snp_report_request q = { .vmpl = r->privlevel };
    uint8_t *buf;
    struct snp_certs certs;
    uint64_t verdict;
    int err;

    if (r->in_size != SNP_REPORT_DATA || r->service == TSM_SERVICE_OTHER)
        return -EINVAL;
    if (r->service == TSM_SERVICE_SVSM)
        return svsm_make(r);
    buf = heap_alloc(SNP_CERTS_MAX + SNP_MESSAGE_MAX);
    if (!buf)
        return -ENOMEM;
    memcpy(q.data, r->in, sizeof(q.data));
    certs = (struct snp_certs){ buf, SNP_CERTS_MAX };
    err = snp_report(&q, buf + SNP_CERTS_MAX, &certs, &verdict);
    if (!err)
        err = take_answer(r, buf + SNP_CERTS_MAX, buf);
    heap_free(buf);
    return err;
}

static const struct tsm_provider snp_provider = { "sev_guest", true, snp_vmpl, below_module,
                                                  snp_make };
static const struct tsm_provider tdx_provider = { "tdx_guest", false, NULL, NULL, tdx_quote };

const struct tsm_provider *tsm_provider(void)
{
    if (plat_tdx())
        return &tdx_provider;
    return plat_snp() ? &snp_provider : NULL;
}
