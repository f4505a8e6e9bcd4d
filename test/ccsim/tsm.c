/* SPDX-License-Identifier: MIT */
/* A client written against Linux's documentation of /sys/kernel/config/tsm/report (Documentation/ABI/testing/configfs-tsm-report):
 * makes a request, writes it, reads the report, and looks at the rules about generations. usage: tsm PROVIDER [refused] ("none":
 * there is no configfs). Prints each report in hexadecimal for the host to check its signature. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#define REPORT "/sys/kernel/config/tsm/report"

static int checks, failed, snp;

static void check(int good, const char *what)
{
    checks++;
    if (!good) {
        failed++;
        printf("failed: %s (errno %d)\n", what, errno);
    }
}

static const char *path(const char *item, const char *file)
{
    static char text[200];

    snprintf(text, sizeof(text), REPORT "/%s/%s", item, file);
    return text;
}

/* -1 and errno of the first call that failed. */
static ssize_t put(const char *item, const char *file, const void *data, size_t n)
{
    int fd = open(path(item, file), O_WRONLY);
    ssize_t done = fd < 0 ? -1 : write(fd, data, n);
    int err = errno;

    if (fd >= 0)
        close(fd);
    errno = err;
    return done;
}

static ssize_t get(const char *item, const char *file, void *data, size_t max)
{
    int fd = open(path(item, file), O_RDONLY), err;
    ssize_t n, done = 0;

    if (fd < 0)
        return -1;
    while ((n = read(fd, (char *)data + done,
                     max - (size_t)done < 100 ? max - (size_t)done : 100)) > 0)
        done += n;
    err = errno;
    close(fd);
    errno = err;
    return n < 0 ? -1 : done;
}

static long number(const char *item, const char *file)
{
    char text[32];
    ssize_t n = get(item, file, text, sizeof(text) - 1);

    if (n < 2 || text[n - 1] != '\n')
        return -1;
    text[n - 1] = 0;
    return atol(text);
}

static void tree(void)
{
    static const char *const for_all[] = { "generation", "inblob", "outblob", "provider" };
    static const char *const for_snp[] = { "auxblob", "privlevel", "privlevel_floor" };
    struct statfs fs;
    struct stat st;
    struct dirent *e;
    DIR *d;
    int n = 0;

    check(statfs("/sys/kernel/config", &fs) == 0 && fs.f_type == 0x62656570, "configfs");
    check(mkdir(REPORT "/a", 0755) == 0, "mkdir");
    check(mkdir(REPORT "/a", 0755) == -1 && errno == EEXIST, "mkdir again");
    check(mkdir(REPORT "/b", 0755) == 0, "another");
    check(mkdir(REPORT "/a/b", 0755) == -1 && errno == EPERM, "mkdir in a report");
    check(mkdir("/sys/kernel/config/x", 0755) == -1 && errno == EPERM, "mkdir in the root");
    check(mkdir("/sys/kernel/config/tsm/x", 0755) == -1 && errno == EPERM, "mkdir in tsm");
    check(rmdir(REPORT) == -1 && (errno == EPERM || errno == ENOTEMPTY), "rmdir of report");
    check(unlink(path("a", "inblob")) == -1 && errno == EPERM, "unlink");
    check(open(path("a", "new"), O_CREAT | O_RDWR, 0600) == -1 && errno == EACCES, "a new file");
    for (int i = 0; i < 4; i++)
        check(stat(path("a", for_all[i]), &st) == 0 && S_ISREG(st.st_mode), for_all[i]);
    for (int i = 0; i < 3; i++)
        check((stat(path("a", for_snp[i]), &st) == 0) == snp, for_snp[i]);
    check(stat(path("a", "inblob"), &st) == 0 && (st.st_mode & 0777) == 0200,
          "inblob is for writing");
    check(stat(path("a", "outblob"), &st) == 0 && (st.st_mode & 0777) == 0444,
          "outblob is for reading");
    d = opendir(REPORT "/a");
    while (d && (e = readdir(d)))
        n += e->d_name[0] != '.';
    if (d)
        closedir(d);
    check(n == (snp ? 7 : 4), "the listing");
    check(rmdir(REPORT "/b") == 0 && stat(REPORT "/b", &st) == -1 && errno == ENOENT, "rmdir");
}

static void reports(const char *provider)
{
    static uint8_t out[40000], again[40000];
    uint8_t data[65];
    char text[64] = "";
    ssize_t n;
    long g;

    for (int i = 0; i < 65; i++)
        data[i] = (uint8_t)(7 * i + 3);
    check(get("a", "provider", text, sizeof(text) - 1) > 0 &&
              !strncmp(text, provider, strlen(provider)) && !strcmp(text + strlen(provider), "\n"),
          "provider");
    check(number("a", "generation") == 0, "generation");
    check(get("a", "outblob", out, sizeof(out)) == -1 && errno == EINVAL, "a report of nothing");
    check(put("a", "inblob", data, 65) == -1 && errno == EFBIG, "65 bytes");
    check(number("a", "generation") == 0, "do not count");
    check(put("a", "inblob", data, 64) == 64, "inblob");
    check(number("a", "generation") == 1, "counts");
    n = get("a", "outblob", out, sizeof(out));
    check(n > 632, "outblob");
    check(!memcmp(out + (snp ? 0x50 : 48 + 520), data, 64), "the data is in it");
    printf("%s ", snp ? "report" : "quote");
    for (ssize_t i = 0; i < n; i++)
        printf("%02x", out[i]);
    printf("\n");
    check(get("a", "outblob", again, sizeof(again)) == n && !memcmp(out, again, (size_t)n),
          "the same once more");
    g = number("a", "generation");
    data[0]++;
    check(put("a", "inblob", data, 64) == 64 && number("a", "generation") == g + 1,
          "another request");
    check(get("a", "outblob", again, sizeof(again)) == n && memcmp(out, again, (size_t)n) != 0,
          "another report");
    check(put("a", "inblob", data, 10) == 10 && get("a", "outblob", out, sizeof(out)) == -1 &&
              errno == EINVAL,
          "a request of 10 bytes");
    check(put("a", "provider", "x", 1) == -1 && errno == EACCES, "provider is for reading");
}

static void levels(void)
{
    static uint8_t aux[20000], data[64];
    uint32_t at[2];

    check(number("a", "privlevel_floor") == 0, "privlevel_floor");
    check(put("a", "privlevel", "2\n", 2) == 2, "privlevel 2");
    check(put("a", "privlevel", "0x3", 3) == 3, "privlevel 3");
    check(put("a", "privlevel", "4", 1) == -1 && errno == EINVAL, "privlevel 4");
    check(put("a", "privlevel", "-1", 2) == -1 && errno == EINVAL, "privlevel -1");
    check(put("a", "privlevel", "two", 3) == -1 && errno == EINVAL, "privlevel two");
    check(put("a", "inblob", data, 64) == 64, "inblob");
    check(get("a", "auxblob", aux, sizeof(aux)) > 1000, "auxblob");
    memcpy(at, aux + 16, 8);
    check(at[0] >= 48 && at[0] < 16384 && at[1] > 100, "the certificate table");
    check(get("a", "outblob", aux, sizeof(aux)) == 1184 && aux[0x30] == 3, "outblob of that level");
}

/* Two requests do not know of each other. */
static void two(void)
{
    static uint8_t one[40000], other[40000];
    uint8_t data[64] = { 1 };

    check(mkdir(REPORT "/x", 0755) == 0 && mkdir(REPORT "/y", 0755) == 0, "two requests");
    check(put("x", "inblob", data, 64) == 64, "one");
    data[0] = 2;
    check(put("y", "inblob", data, 64) == 64, "the other");
    check(get("x", "outblob", one, sizeof(one)) > 0 &&
              get("y", "outblob", other, sizeof(other)) > 0,
          "reports");
    check(one[snp ? 0x50 : 568] == 1 && other[snp ? 0x50 : 568] == 2, "each its own");
    check(rmdir(REPORT "/x") == 0 && rmdir(REPORT "/y") == 0 && rmdir(REPORT "/a") == 0,
          "all are removed");
}

/* One of several processes that ask at once, in a request of its own: each report is about what it asked. 0: as it should be. */
static int ask_often(int who)
{
    static uint8_t out[40000];
    char name[16];
    uint8_t data[64];
    int bad = 0;

    snprintf(name, sizeof(name), "p%d", who);
    if (mkdir(path(name, ""), 0755) != 0)
        return 1;
    for (int round = 0; round < 6; round++) {
        memset(data, who * 16 + round, sizeof(data));
        bad |= put(name, "inblob", data, 64) != 64 || get(name, "outblob", out, sizeof(out)) <= 0 ||
               memcmp(out + (snp ? 0x50 : 568), data, 64) ||
               number(name, "generation") != round + 1;
    }
    return bad | (rmdir(path(name, "")) != 0);
}

/* And of several that share one request: a report is of one of them, whole, or the kernel says that it was overtaken. */
static int share_one(int who)
{
    static uint8_t out[40000];
    uint8_t data[64];

    for (int round = 0; round < 6; round++) {
        const uint8_t *in = out + (snp ? 0x50 : 568);
        ssize_t n;

        memset(data, who + 1, sizeof(data));
        if (put("shared", "inblob", data, 64) != 64)
            return 1;
        n = get("shared", "outblob", out, sizeof(out));
        if (n < 0 && errno != EWOULDBLOCK)
            return 1;
        if (n >= 0 && (*in < 1 || *in > 4 || memcmp(in, in + 1, 63)))
            return 1;
    }
    return 0;
}

static void at_once(int (*work)(int), const char *what)
{
    int status, bad = 0;

    fflush(stdout);
    for (int i = 0; i < 4; i++)
        if (fork() == 0)
            _exit(work(i));
    for (int i = 0; i < 4; i++)
        bad |= wait(&status) < 0 || status;
    check(!bad, what);
}

static void concurrent(void)
{
    at_once(ask_often, "four requests at once");
    check(mkdir(REPORT "/shared", 0755) == 0, "a request for all");
    at_once(share_one, "one request of four");
    check(number("shared", "generation") == 24, "each write counts");
    check(rmdir(REPORT "/shared") == 0, "it is removed");
}

/* The host does not make a report, or not one that can be. */
static void refused(void)
{
    uint8_t data[64] = { 1 }, out[4096];

    check(mkdir(REPORT "/x", 0755) == 0 && put("x", "inblob", data, 64) == 64, "a request");
    check(get("x", "outblob", out, sizeof(out)) == -1 && errno == EIO, "no report");
    check(get("x", "outblob", out, sizeof(out)) == -1 && errno == EIO, "nor at the second try");
}

int main(int argc, char **argv)
{
    const char *provider = argc > 1 ? argv[1] : "none";

    snp = !strcmp(provider, "sev_guest");
    if (!strcmp(provider, "none")) {
        check(mkdir(REPORT "/a", 0755) == -1 && errno == ENOENT,
              "no such thing outside of a confidential guest");
    } else if (argc > 2 && !strcmp(argv[2], "concurrent")) {
        concurrent();
    } else if (argc > 2) {
        refused();
    } else {
        tree();
        reports(provider);
        if (snp)
            levels();
        two();
    }
    printf("%d checks, %d failed\n", checks, failed);
    return failed != 0;
}
