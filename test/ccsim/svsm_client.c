/* SPDX-License-Identifier: MIT */
/* A client of a secure VM service module by the files that Linux has for it (Documentation/ABI/testing/configfs-tsm-report): a report on its
 * services. Prints the report for the host to check its signature, and what its data has to be the SHA-512 of. */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ITEM "/sys/kernel/config/tsm/report/a"

static int checks, failed;

static void check(int good, const char *what)
{
    checks++;
    if (!good) {
        failed++;
        printf("failed: %s (errno %d)\n", what, errno);
    }
}

static ssize_t put(const char *path, const void *data, size_t n)
{
    int fd = open(path, O_WRONLY);
    ssize_t done = fd < 0 ? -1 : write(fd, data, n);
    int err = errno;

    if (fd >= 0)
        close(fd);
    errno = err;
    return done;
}

static ssize_t get(const char *path, void *data, size_t max)
{
    int fd = open(path, O_RDONLY);
    ssize_t n = fd < 0 ? -1 : read(fd, data, max);
    int err = errno;

    if (fd >= 0)
        close(fd);
    errno = err;
    return n;
}

static void print(const char *what, const uint8_t *p, ssize_t n)
{
    printf("%s ", what);
    for (ssize_t i = 0; i < n; i++)
        printf("%02x", p[i]);
    printf("\n");
}

static void services(void)
{
    static const char guid[] = "69736363-276d-2073-7365-727669636500\n"; /* "ccsim's service" */
    static uint8_t report[4096], bound[64 + 4096];
    ssize_t n, m;

    for (int i = 0; i < 64; i++)
        bound[i] = (uint8_t)(i * 5 + 1);
    check(put(ITEM "/inblob", bound, 64) == 64, "inblob");
    check(put(ITEM "/service_provider", "other", 5) == 5, "a provider that is none");
    check(get(ITEM "/outblob", report, sizeof(report)) == -1 && errno == EINVAL, "has no report");
    check(put(ITEM "/service_provider", "svsm\n", 5) == 5, "service_provider");
    n = get(ITEM "/outblob", report, sizeof(report));
    check(n == 1184, "outblob");
    check(report[0x30] == 0, "of level 0");
    m = get(ITEM "/manifestblob", bound + 64, 4096);
    check(m == 48 && !memcmp(bound + 64, "the services", 12), "manifestblob");
    print("report", report, n);
    print("bound", bound, 64 + m);
    check(put(ITEM "/service_guid", "no guid", 7) == -1 && errno == EINVAL, "a guid that is none");
    check(put(ITEM "/service_guid", "00000000-0000-0000-0000-000000000001", 36) == 36, "another");
    check(get(ITEM "/outblob", report, sizeof(report)) == -1 && errno == EINVAL, "is not there");
    check(put(ITEM "/service_guid", guid, 37) == 37, "a service");
    check(put(ITEM "/service_manifest_version", "1", 1) == 1, "its manifest's version");
    check(get(ITEM "/outblob", report, sizeof(report)) == 1184, "its report");
    check(put(ITEM "/service_manifest_version", "7", 1) == 1, "another version");
    check(get(ITEM "/outblob", report, sizeof(report)) == -1 && errno == EINVAL, "is not there");
    check(put(ITEM "/service_manifest_version", "x", 1) == -1 && errno == EINVAL, "no version");
}

int main(void)
{
    static uint8_t report[4096];
    uint8_t data[64] = { 7 };
    char text[16] = "";

    check(mkdir(ITEM, 0755) == 0, "mkdir");
    check(get(ITEM "/privlevel_floor", text, sizeof(text) - 1) == 2 && text[0] == '2',
          "the floor is the guest's level");
    check(put(ITEM "/privlevel", "1", 1) == -1 && errno == EINVAL, "none below it");
    check(put(ITEM "/inblob", data, 64) == 64, "inblob");
    check(get(ITEM "/outblob", report, sizeof(report)) == 1184 && report[0x30] == 2,
          "a report of its own level");
    services();
    check(rmdir(ITEM) == 0, "rmdir");
    printf("%d checks, %d failed\n", checks, failed);
    return failed != 0;
}
