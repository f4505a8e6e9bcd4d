/* SPDX-License-Identifier: MIT */
/* Mounts ext4 disks, one after the other, and prints all that a program can learn of each file, with hashes of its content, of its
 * attributes and of where it has data. The same static program runs on Linux and on Alcove. usage: listing DEVICE... */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

enum { BLOCK = 4096, CHUNK = 1 << 16, PARTS = 1 << 16, PATH_SIZE = 4096 };

static uint64_t count;
static bool failed;

static void fail(const char *what, const char *path)
{
    printf("error: %s of %s: %s\n", what, path, strerror(errno));
    failed = true;
}

static uint64_t mix(uint64_t h, const void *data, size_t n)
{
    const unsigned char *c = data;
    for (; n >= 8; c += 8, n -= 8) {
        uint64_t word;
        memcpy(&word, c, 8);
        h = (h ^ word) * 0x9e3779b97f4a7c15u;
        h ^= h >> 29;
    }
    for (; n; c++, n--)
        h = (h ^ *c) * 0x100000001b3u;
    return h;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static uint64_t attributes(const char *path)
{
    static char names[65536], value[65536];
    const char *sorted[512];
    uint64_t h = 0;
    size_t n = 0;
    ssize_t size = llistxattr(path, names, sizeof(names));
    if (size < 0)
        fail("attributes", path);
    for (ssize_t at = 0; at < size && n < 512; at += (ssize_t)strlen(names + at) + 1)
        sorted[n++] = names + at;
    qsort(sorted, n, sizeof(*sorted), by_name);
    for (size_t i = 0; i < n; i++) {
        ssize_t got = lgetxattr(path, sorted[i], value, sizeof(value));
        if (got < 0)
            fail(sorted[i], path);
        else
            h = mix(mix(h, sorted[i], strlen(sorted[i]) + 1), value, (size_t)got);
    }
    return h;
}

/* The blocks that are not all zeros, each with its place. */
static uint64_t content(int fd, off_t from, off_t end, uint64_t h)
{
    static char buf[CHUNK];
    static const char zeros[BLOCK];
    ssize_t got;
    for (off_t p = from; p < end; p += got) {
        got = pread(fd, buf, sizeof(buf), p);
        if (got <= 0)
            return 0;
        for (off_t i = 0; i < got; i += BLOCK) {
            size_t n = (size_t)(got - i < BLOCK ? got - i : BLOCK);
            off_t at = p + i;
            if (memcmp(buf + i, zeros, n))
                h = mix(mix(h, &at, sizeof(at)), buf + i, n);
        }
    }
    return h;
}

/* The content; where it has data goes into *ret_map. That is asked before anything is read: pages that were read ahead count as data
 * on Linux, even where nothing was ever written. */
static uint64_t file(const char *path, uint64_t *ret_map)
{
    static off_t part[PARTS][2];
    uint64_t h = 1, map = 0;
    int fd = open(path, O_RDONLY | O_NOATIME), n = 0;
    if (fd < 0) {
        fail("opening", path);
        return 0;
    }
    off_t end = lseek(fd, 0, SEEK_END);
    for (off_t at = 0; at < end && n < PARTS; at = part[n++][1]) {
        part[n][0] = lseek(fd, at, SEEK_DATA);
        if (part[n][0] < 0)
            break;
        part[n][1] = lseek(fd, part[n][0], SEEK_HOLE);
        map = mix(map, part[n], sizeof(part[n]));
    }
    for (int i = 0; i < n && h; i++)
        h = content(fd, part[i][0] / BLOCK * BLOCK, part[i][1], h);
    posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED); /* the file may have another name */
    if (!h || n == PARTS)
        fail("reading", path);
    close(fd);
    *ret_map = map;
    return h;
}

static void walk(const char *path);

static void entry(const char *path)
{
    struct statx st;
    char to[PATH_SIZE] = "";
    uint64_t map = 0, hash = 0;
    if (statx(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS | STATX_BTIME, &st)) {
        fail("statx", path);
        return;
    }
    count++;
    if (S_ISREG(st.stx_mode))
        hash = file(path, &map);
    if (S_ISLNK(st.stx_mode) && readlink(path, to, sizeof(to) - 1) < 0)
        fail("readlink", path);
    printf("f %s %o %u:%u %u %" PRIu64 " %" PRIu64
           " %lld.%09u %lld.%09u %lld.%09u %u:%u %016" PRIx64 " %016" PRIx64 " %016" PRIx64 " %s\n",
           path, st.stx_mode, st.stx_uid, st.stx_gid, st.stx_nlink, (uint64_t)st.stx_size,
           (uint64_t)st.stx_blocks, (long long)st.stx_mtime.tv_sec, st.stx_mtime.tv_nsec,
           (long long)st.stx_ctime.tv_sec, st.stx_ctime.tv_nsec, (long long)st.stx_btime.tv_sec,
           st.stx_btime.tv_nsec, st.stx_rdev_major, st.stx_rdev_minor, hash, map, attributes(path),
           to);
    if (S_ISDIR(st.stx_mode))
        walk(path);
}

static void walk(const char *path)
{
    struct dirent **names;
    char below[PATH_SIZE];
    int n = scandir(path, &names, NULL, alphasort);
    if (n < 0)
        fail("scandir", path);
    for (int i = 0; i < n; i++) {
        if (strcmp(names[i]->d_name, ".") && strcmp(names[i]->d_name, "..")) {
            snprintf(below, sizeof(below), "%s/%s", path, names[i]->d_name);
            entry(below);
        }
        free(names[i]);
    }
    if (n >= 0)
        free(names);
}

int main(int argc, char **argv)
{
    mkdir("/tmp/disk", 0755);
    for (int i = 1; i < argc; i++) {
        count = 0;
        printf("disk %d\n", i);
        if (mount(argv[i], "/tmp/disk", "ext4", MS_NOATIME, ""))
            fail("mount", argv[i]);
        entry("/tmp/disk");
        if (umount("/tmp/disk"))
            fail("umount", argv[i]);
        printf("disk %d has %" PRIu64 " files\n", i, count);
    }
    printf("%s\n", failed ? "failed" : "listed");
    return failed;
}
