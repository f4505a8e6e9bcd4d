/* SPDX-License-Identifier: MIT */
/* Messages between an SEV-SNP guest and the security processor. */
#ifndef LIBOS_SNP_H
#define LIBOS_SNP_H

#include <base/compiler.h>
#include <base/types.h>

enum {
    SNP_MESSAGE_MAX = 4000, /* bytes of a message */
    SNP_REPORT_DATA = 64,
    SNP_CERTS_MAX = 16384, /* bytes of certificates that the host may give along */
    SNP_MSG_KEY = 3,       /* requests; the answer's number is one more */
    SNP_MSG_REPORT = 5,
    SNP_MSG_TSC = 17,
    SNP_TSC_REQUEST = 128,
    SNP_ERR_LENGTH =
        1, /* the host's error, in verdict's upper half: more room for certificates is needed */
    SNP_ERR_BUSY = 2,
};

/* MSG_REPORT_REQ */
struct snp_report_request {
    uint8_t data[SNP_REPORT_DATA];
    uint32_t vmpl;
    uint8_t reserved[28];
};
/* MSG_REPORT_RSP begins with this. */
struct snp_report_head {
    uint32_t status, size;
    uint8_t reserved[24];
};

/* Where certificates go. bytes: room, whole pages, 0: none wanted; after SNP_ERR_LENGTH what is needed. */
struct snp_certs {
    uint8_t *buf;
    uint32_t bytes;
};

/* Take the key. -ENODEV: this guest has none; -ENOMEM. Once. */
NODISCARD int snp_messages_init(void);
/* The guest's privilege level. */
unsigned snp_vmpl(void);

/* Send a request of n bytes and take the answer, of max bytes at most; the rest of ret_answer is cleared. *ret_verdict:
 * 0, or who failed and how (plat_snp_request). certs NULL: none. -ENOTTY: the key is gone after an earlier error. -EIO,
 * -EBADMSG, -ETIMEDOUT: the host or the message failed, and the key is wiped; but not for SNP_ERR_LENGTH, also -EIO.
 * -ENOMEM. Sleeps; takes RANK_CC. */
NODISCARD int snp_message(unsigned type, const void *request, size_t n, void *ret_answer,
                          size_t max, struct snp_certs *certs, uint64_t *ret_verdict);

/* A report with certificates as far as certs has room; answer has SNP_MESSAGE_MAX bytes. Errors as above. */
NODISCARD int snp_report(const struct snp_report_request *r, void *ret_answer,
                         struct snp_certs *certs, uint64_t *ret_verdict);

struct file;
/* Open /dev/sev-guest. -ENXIO: no SEV-SNP guest. */
NODISCARD int sev_guest_open(struct file *f, uint32_t minor);

#endif
