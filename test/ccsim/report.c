/* SPDX-License-Identifier: MIT */
/* A client written against Linux's documentation of /dev/tdx_guest: asks for a report and looks at it. In a guest that is none, the device is
 * not there. Ends with the line that programs of test/sys end with. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

struct tdx_report_req {
    unsigned char reportdata[64];
    unsigned char tdreport[1024];
};
#define TDX_CMD_GET_REPORT0 _IOWR('T', 1, struct tdx_report_req)

static int checks, failed;

static void check(int good, const char *what)
{
    checks++;
    if (!good) {
        failed++;
        printf("failed: %s (errno %d)\n", what, errno);
    }
}

int main(int argc, char **argv)
{
    static struct tdx_report_req r;
    int tdx = argc > 1 && !strcmp(argv[1], "tdx");
    int fd = open("/dev/tdx_guest", O_RDWR);

    if (!tdx) {
        check(fd < 0 && errno == ENOENT, "no device outside of a TDX guest");
    } else {
        check(fd >= 0, "open");
        for (int i = 0; i < 64; i++)
            r.reportdata[i] = (unsigned char)(i * 3 + 1);
        check(ioctl(fd, TDX_CMD_GET_REPORT0, &r) == 0, "report");
        check(r.tdreport[0] == 0x81, "type");
        check(!memcmp(r.tdreport + 128, r.reportdata, 64), "report data");
        check(r.tdreport[515] == 0x10, "SEPT_VE_DISABLE");
        check(r.tdreport[528] == 0x4d && r.tdreport[575] == 0x4d, "measurement");
        check(ioctl(fd, TDX_CMD_GET_REPORT0, NULL) == -1 && errno == EFAULT, "no buffer");
        check(ioctl(fd, _IO('T', 9), &r) == -1 && errno == ENOTTY, "another command");
        close(fd);
    }
    printf("%d checks, %d failed\n", checks, failed);
    return failed != 0;
}
