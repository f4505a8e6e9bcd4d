// SPDX-License-Identifier: MIT
/* What libOS remembers of a disk's files is memory that programs get back: thousands of inodes and blocks of directories are
 * looked at, then a process uses what was free before. Usage: caches DIRECTORY */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { DIRECTORIES = 60, FILES = 100 };

static void fail(const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    vprintf(format, ap);
    va_end(ap);
    printf("\n");
    fflush(stdout);
    _exit(1);
}

static long meminfo(const char *name)
{
    char line[128];
    long value = -1;
    FILE *f = fopen("/proc/meminfo", "r");
    while (f && fgets(line, sizeof(line), f))
        if (!strncmp(line, name, strlen(name)))
            value = atol(line + strlen(name) + 1);
    if (!f || value < 0)
        fail("no %s in /proc/meminfo", name);
    fclose(f);
    return value;
}

static void name_of(char name[256], const char *dir, int d, int f)
{
    snprintf(name, 256, f < 0 ? "%s/d%d" : "%s/d%d/a-file-with-a-long-name-%d", dir, d, f);
}

static void make(const char *dir)
{
    char name[256];
    for (int d = 0; d < DIRECTORIES; d++) {
        name_of(name, dir, d, -1);
        if (mkdir(name, 0755))
            fail("%s: %m", name);
        for (int f = 0; f < FILES; f++) {
            name_of(name, dir, d, f);
            int fd = open(name, O_CREAT | O_EXCL | O_WRONLY, 0600 + f % 8);
            if (fd < 0 || close(fd))
                fail("%s: %m", name);
        }
    }
    sync();
}

static void look(const char *dir)
{
    char name[256];
    struct stat st;
    for (int d = 0; d < DIRECTORIES; d++)
        for (int f = 0; f < FILES; f++) {
            name_of(name, dir, d, f);
            if (stat(name, &st) || st.st_mode != (S_IFREG | (0600u + (unsigned)f % 8)))
                fail("%s: mode %o: %m", name, (unsigned)st.st_mode);
        }
}

/* A process of so many KiB. */
static void use(long kib)
{
    pid_t pid = fork();
    if (pid == 0) {
        size_t size = (size_t)kib << 10;
        char *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (p == MAP_FAILED)
            _exit(2);
        for (size_t i = 0; i < size; i += 4096)
            p[i] = (char)(i >> 12);
        for (size_t i = 0; i < size; i += 4096)
            if (p[i] != (char)(i >> 12))
                _exit(3);
        _exit(0);
    }
    int status;
    if (waitpid(pid, &status, 0) != pid || status)
        fail("a process of %ld KiB ended with 0x%x", kib, status);
}

int main(int argc, char **argv)
{
    (void)argc;
    umask(0);
    long before = meminfo("MemAvailable") * 9 / 10;
    use(before);
    if (mkdir(argv[1], 0755))
        fail("%s: %m", argv[1]);
    make(argv[1]);
    for (int round = 0; round < 3; round++) {
        look(argv[1]);
        if (round == 0 && meminfo("MemAvailable") > before)
            fail("the caches are too small for this test: %ld of %ld KiB are still there",
                 meminfo("MemAvailable"), before);
        use(before);
    }
    puts("caches: ok");
    return 0;
}
