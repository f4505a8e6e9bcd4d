/* SPDX-License-Identifier: MIT */
/* A client written against Linux's documentation of /dev/sev-guest (Documentation/virt/coco/sev-guest.rst): asks for reports, keys
 * and certificates and looks at them; prints the report in hexadecimal for the host to check its signature. With the
 * argument "wiped", the host is expected to spoil the first message: everything after that is ENOTTY. */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

struct snp_report_req {
    uint8_t user_data[64];
    uint32_t vmpl;
    uint8_t rsvd[28];
};
struct snp_report_resp {
    uint8_t data[4000];
};
struct snp_derived_key_req {
    uint32_t root_key_select, rsvd;
    uint64_t guest_field_select;
    uint32_t vmpl, guest_svn;
    uint64_t tcb_version;
};
struct snp_derived_key_resp {
    uint8_t data[64];
};
struct snp_guest_request_ioctl {
    uint8_t msg_version;
    uint64_t req_data, resp_data;
    union {
        uint64_t exitinfo2;
        struct {
            uint32_t fw_error, vmm_error;
        };
    };
};
struct snp_ext_report_req {
    struct snp_report_req data;
    uint64_t certs_address;
    uint32_t certs_len;
};
#define SNP_GET_REPORT      _IOWR('S', 0x0, struct snp_guest_request_ioctl)
#define SNP_GET_DERIVED_KEY _IOWR('S', 0x1, struct snp_guest_request_ioctl)
#define SNP_GET_EXT_REPORT  _IOWR('S', 0x2, struct snp_guest_request_ioctl)

static int checks, failed, fd;

static void check(int good, const char *what)
{
    checks++;
    if (!good) {
        failed++;
        printf("failed: %s (errno %d)\n", what, errno);
    }
}

static int request(unsigned long command, void *req, void *resp,
                   struct snp_guest_request_ioctl *ret)
{
    *ret = (struct snp_guest_request_ioctl){ .msg_version = 1,
                                             .req_data = (uintptr_t)req,
                                             .resp_data = (uintptr_t)resp };
    return ioctl(fd, command, ret);
}

static void hex(const char *name, const uint8_t *p, size_t n)
{
    printf("%s ", name);
    for (size_t i = 0; i < n; i++)
        printf("%02x", p[i]);
    printf("\n");
}

static void reports(void)
{
    static struct snp_report_resp resp;
    struct snp_guest_request_ioctl g;
    struct snp_report_req req = { .vmpl = 0 };
    uint32_t head[2];

    for (int i = 0; i < 64; i++)
        req.user_data[i] = (uint8_t)(i * 3 + 1);
    for (int round = 0; round < 3; round++) {
        check(request(SNP_GET_REPORT, &req, &resp, &g) == 0, "report");
        memcpy(head, resp.data, 8);
        check(head[0] == 0 && head[1] == 1184, "status and size");
        check(!memcmp(resp.data + 32 + 0x50, req.user_data, 64), "report data");
        req.user_data[0]++;
    }
    hex("report", resp.data + 32, 1184);
    req.vmpl = 9;
    check(request(SNP_GET_REPORT, &req, &resp, &g) == 0,
          "the firmware's refusal is in the message");
    memcpy(head, resp.data, 8);
    check(head[0] == 0x16 && head[1] == 0, "INVALID_PARAM");
}

static void keys(void)
{
    struct snp_derived_key_req req = { .guest_field_select = 8 };
    struct snp_derived_key_resp one, two;
    struct snp_guest_request_ioctl g;
    uint8_t none[32] = { 0 };

    check(request(SNP_GET_DERIVED_KEY, &req, &one, &g) == 0, "derived key");
    check(request(SNP_GET_DERIVED_KEY, &req, &two, &g) == 0, "derived key again");
    check(!memcmp(one.data, two.data, 64) && !memcmp(one.data, none, 32), "the same key");
    check(memcmp(one.data + 32, none, 32) != 0, "a key");
    req.guest_field_select = 0;
    check(request(SNP_GET_DERIVED_KEY, &req, &two, &g) == 0, "another derived key");
    check(memcmp(one.data, two.data, 64) != 0, "which differs");
}

static void certificates(void)
{
    static struct snp_report_resp resp;
    struct snp_guest_request_ioctl g;
    struct snp_ext_report_req req = { .certs_len = 0 };
    uint32_t at[2];
    uint8_t *certs;

    check(request(SNP_GET_EXT_REPORT, &req, &resp, &g) == -1 && errno == EIO,
          "no room for certificates");
    check(g.vmm_error == 1 && g.fw_error == 0, "INVALID_LEN");
    check(req.certs_len && req.certs_len % 4096 == 0, "the room that is needed");
    certs = aligned_alloc(4096, 16384);
    req.certs_address = (uintptr_t)certs;
    memset(&resp, 0, sizeof(resp));
    check(request(SNP_GET_EXT_REPORT, &req, &resp, &g) == 0, "extended report");
    check(resp.data[4] == 0xa0 && resp.data[5] == 4, "with a report");
    memcpy(at, certs + 16, 8);
    check(at[0] < 16384 && at[1] && at[1] < 16384 - at[0], "an entry of the table");
    req.certs_len = 4095;
    check(request(SNP_GET_EXT_REPORT, &req, &resp, &g) == -1 && errno == EINVAL,
          "room that is no multiple of pages");
    check(g.exitinfo2 == 0xff, "no call of the firmware");
    req.certs_len = 5 * 4096;
    check(request(SNP_GET_EXT_REPORT, &req, &resp, &g) == -1 && errno == EINVAL,
          "more than 16 KiB");
    req.certs_len = 16384;
    req.certs_address = 8;
    check(request(SNP_GET_EXT_REPORT, &req, &resp, &g) == -1 && errno == EFAULT, "a bad address");
}

static void errors(void)
{
    struct snp_guest_request_ioctl g;
    struct snp_report_req req = { .vmpl = 0 };
    static struct snp_report_resp resp;

    check(request(SNP_GET_REPORT, NULL, &resp, &g) == -1 && errno == EINVAL, "no request");
    check(request(SNP_GET_REPORT, &req, NULL, &g) == -1 && errno == EINVAL,
          "no room for an answer");
    check(g.fw_error == 0xff, "no call of the firmware");
    check(request(SNP_GET_REPORT, (void *)8, &resp, &g) == -1 && errno == EFAULT,
          "a bad request address");
    check(request(SNP_GET_REPORT, &req, (void *)8, &g) == -1 && errno == EFAULT,
          "a bad answer address");
    check(ioctl(fd, SNP_GET_REPORT, NULL) == -1 && errno == EFAULT, "no argument");
    g = (struct snp_guest_request_ioctl){ .msg_version = 0 };
    check(ioctl(fd, SNP_GET_REPORT, &g) == -1 && errno == EINVAL, "message version 0");
    check(request(_IOWR('S', 9, struct snp_guest_request_ioctl), &req, &resp, &g) == -1 &&
              errno == ENOTTY,
          "another command");
}

/* The host spoils the message number `good` + 1. */
static void wiped(int good)
{
    static struct snp_report_resp resp;
    struct snp_guest_request_ioctl g;
    struct snp_report_req req = { .vmpl = 0 };

    for (int i = 0; i < good; i++)
        check(request(SNP_GET_REPORT, &req, &resp, &g) == 0, "report");
    memset(&resp, 0, sizeof(resp));
    check(request(SNP_GET_REPORT, &req, &resp, &g) == -1 && (errno == EIO || errno == EBADMSG),
          "a spoilt message");
    check(resp.data[0] == 0 && resp.data[4] == 0, "nothing of it is given out");
    for (int i = 0; i < 2; i++)
        check(request(SNP_GET_REPORT, &req, &resp, &g) == -1 && errno == ENOTTY, "the key is gone");
}

int main(int argc, char **argv)
{
    fd = open("/dev/sev-guest", O_RDWR);
    if (argc > 1 && !strcmp(argv[1], "none")) {
        check(fd < 0 && errno == ENOENT, "no device outside of an SEV-SNP guest");
    } else if (argc > 2 && !strcmp(argv[1], "wiped")) {
        check(fd >= 0, "open");
        wiped(atoi(argv[2]));
    } else {
        check(fd >= 0, "open");
        reports();
        keys();
        certificates();
        errors();
        reports();
    }
    printf("%d checks, %d failed\n", checks, failed);
    return failed != 0;
}
