/* SPDX-License-Identifier: MIT */
/* What /proc tells of single pages: pagemap, clear_refs, numa_maps, smaps; and /proc/sys/vm. */
#define _GNU_SOURCE
#include <t.h>

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
    PAGE = 4096,
    RW = PROT_READ | PROT_WRITE,
    ANON = MAP_PRIVATE | MAP_ANONYMOUS,
    BIND = 2,
    NR_MSEAL = 462
};

#define PRESENT   (1ull << 63)
#define FILE_PAGE (1ull << 61)
#define EXCLUSIVE (1ull << 56)

static char text[1 << 20];

static char *map(size_t size, int flags, int fd)
{
    return (char *)call(SYS_mmap, NULL, size, RW, flags, fd, 0);
}

static void read_all(const char *name)
{
    long fd = call(SYS_open, name, O_RDONLY, 0), n, at = 0;
    CHECK(true, fd >= 0);
    while ((n = call(SYS_read, fd, text + at, sizeof text - 1 - (size_t)at)) > 0)
        at += n;
    text[at] = 0;
    call(SYS_close, fd);
}

static uint64_t entry(long fd, const char *p)
{
    uint64_t e = 0;
    CHECK(8, call(SYS_pread64, fd, &e, 8, (uintptr_t)p / PAGE * 8));
    return e;
}

static void pagemap(void)
{
    uint64_t e[4];
    long fd = call(SYS_open, "/proc/self/pagemap", O_RDONLY, 0);
    char *p = map(4 * PAGE, ANON, -1);
    CHECK(true, fd >= 0);
    p[0] = p[2 * PAGE] = 1;
    CHECK(32, call(SYS_pread64, fd, e, 32, (uintptr_t)p / PAGE * 8));
    CHECK(true, e[0] & PRESENT && e[0] & EXCLUSIVE && !(e[0] & FILE_PAGE));
    CHECK(0, e[1]);
    CHECK(true, (e[2] & PRESENT) != 0);
    CHECK(0, e[3]);
    int file = (int)call(SYS_memfd_create, "p", 0);
    CHECK(0, call(SYS_ftruncate, file, PAGE));
    char *s = map(PAGE, MAP_SHARED, file);
    s[0] = 1;
    CHECK(true, entry(fd, s) & PRESENT && entry(fd, s) & FILE_PAGE);
    CHECK(-EINVAL, call(SYS_pread64, fd, e, 8, 4));
    CHECK(-EINVAL, call(SYS_pread64, fd, e, 9, 8));
    CHECK(0, call(SYS_munmap, p, 4 * PAGE));
    CHECK(0, entry(fd, p));
    CHECK(0, call(SYS_munmap, s, PAGE));
    call(SYS_close, file);
    call(SYS_close, fd);
}

static void clear_refs(void)
{
    long fd = call(SYS_open, "/proc/self/clear_refs", O_WRONLY, 0);
    CHECK(true, fd >= 0);
    for (char c = '1'; c <= '5'; c++)
        if (c != '4') /* needs a kernel that tracks it */
            CHECK(1, call(SYS_pwrite64, fd, &c, 1, 0));
    CHECK(-EINVAL, call(SYS_pwrite64, fd, "0", 1, 0));
    CHECK(-EINVAL, call(SYS_pwrite64, fd, "6", 1, 0));
    CHECK(-EINVAL, call(SYS_pwrite64, fd, "x", 1, 0));
    call(SYS_close, fd);
}

/* The lines of smaps for the area at p. */
static const char *area_of(const char *p)
{
    char start[32];
    snprintf(start, sizeof start, "%08lx-", (unsigned long)(uintptr_t)p);
    read_all("/proc/self/smaps");
    const char *at = strstr(text, start);
    CHECK(true, at != NULL);
    return at ? at : text;
}

static long kb(const char *area, const char *name)
{
    const char *at = strstr(area, name);
    return at ? atol(at + strlen(name)) : -1;
}

static void smaps(void)
{
    char *p = map(6 * PAGE, ANON, -1);
    CHECK(0, call(SYS_mprotect, p + 4 * PAGE, 2 * PAGE, PROT_NONE)); /* an area of its own */
    p[0] = p[2 * PAGE] = 1;
    CHECK(0, call(SYS_mlock, p, PAGE));
    CHECK(0, call(SYS_munlock, p, PAGE));
    const char *a = area_of(p);
    CHECK(16, kb(a, "Size:"));
    CHECK(8, kb(a, "Rss:"));
    CHECK(8, kb(a, "Pss:"));
    CHECK(8, kb(a, "Private_Dirty:"));
    CHECK(0, kb(a, "Shared_Clean:"));
    CHECK(8, kb(a, "Anonymous:"));
    CHECK(0, kb(a, "Swap:"));
    CHECK(0, kb(a, "Locked:"));
    read_all("/proc/self/smaps_rollup");
    CHECK(true, kb(text, "Rss:") >= 8 && kb(text, "Pss:") <= kb(text, "Rss:"));
    if (call(NR_MSEAL, p + 5 * PAGE, PAGE, 0) == 0)
        CHECK(true, strstr(area_of(p + 5 * PAGE), " sl") != NULL);
}

static void numa_maps(void)
{
    unsigned long node0 = 1;
    char line[64];
    char *p = map(2 * PAGE, ANON, -1);
    p[0] = 1;
    CHECK(0, call(SYS_mbind, p, 2 * PAGE, BIND, &node0, 64, 0));
    read_all("/proc/self/numa_maps");
    snprintf(line, sizeof line, "%08lx bind:0 anon=1 dirty=1", (unsigned long)(uintptr_t)p);
    CHECK(true, strstr(text, line) != NULL);
    CHECK(0, call(SYS_munmap, p, 2 * PAGE));
}

static void numbers(void)
{
    static const char *const names[] = {
        "overcommit_memory", "overcommit_ratio",   "max_map_count", "swappiness",
        "min_free_kbytes",   "dirty_ratio",        "nr_hugepages",  "nr_overcommit_hugepages",
        "page-cluster",      "vfs_cache_pressure", "mmap_min_addr", "panic_on_oom"
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char name[96], *end;
        snprintf(name, sizeof name, "/proc/sys/vm/%s", names[i]);
        read_all(name);
        long v = strtol(text, &end, 10);
        CHECK(true, v >= 0 && end != text && *end == '\n');
    }
    read_all("/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages");
    CHECK(0, atol(text));
    read_all("/proc/vmstat");
    CHECK(true, strstr(text, "nr_free_pages ") && strstr(text, "pswpin "));
    read_all("/sys/devices/system/node/node0/meminfo");
    CHECK(true, strstr(text, "Node 0 MemTotal:") != NULL);
}

int main(void)
{
    pagemap();
    clear_refs();
    smaps();
    numa_maps();
    numbers();
    return t_end();
}
