/* SPDX-License-Identifier: MIT */
/* The root: a tmpfs over the image of image.h. What the image has is there, can be changed, and stays changed. Runs as the
 * first process (in_process.c). */
#define _GNU_SOURCE

#include <t.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

int t_main(void);

static char buf[1 << 21];

static uint8_t byte(unsigned n, size_t at)
{
    return (uint8_t)(at * 7 + n * 13 + (at >> 8) * 3 + 1);
}

static const long sizes[] = { 0, 1, 100, 4095, 4096, 4097, 8192, 12000, 100000, 1048577 };

static struct stat stat_of(const char *name)
{
    struct stat st;
    memset(&st, 0, sizeof(st));
    CHECK(0, call(SYS_lstat, name, &st));
    return st;
}

static void reads(void)
{
    for (unsigned i = 0; i < 10; i++) {
        char name[32];
        sprintf(name, "/dir/file%u", i);
        CHECK(sizes[i], stat_of(name).st_size);
        long fd = call(SYS_open, name, O_RDONLY);
        CHECK(sizes[i], call(SYS_read, fd, buf, sizeof(buf)));
        CHECK(0, call(SYS_read, fd, buf + sizes[i], 1));
        long wrong = 0;
        for (long j = 0; j < sizes[i]; j++)
            wrong += (uint8_t)buf[j] != byte(i, (size_t)j);
        CHECK(0, wrong);
        CHECK(0, call(SYS_close, fd));
    }
    CHECK(04750, stat_of("/dir/file4").st_mode & 07777);
    CHECK(1000000000, stat_of("/dir/file6").st_mtime);
    CHECK(12, call(SYS_readlink, "/dir/link", buf, 100));
    long fd = call(SYS_open, "/dir/link", O_RDONLY);
    CHECK(100, call(SYS_read, fd, buf, 1000));
    CHECK(0, call(SYS_close, fd));
    CHECK(-ENOENT, call(SYS_open, "/dir/nothing", O_RDONLY));
    CHECK(-ENOTDIR, call(SYS_open, "/dir/file1/x", O_RDONLY));
}

static void shared_inodes(void)
{
    struct stat a = stat_of("/dir/file3"), b = stat_of("/empty/hard3");
    CHECK(a.st_ino, b.st_ino);
    CHECK(3, a.st_nlink);
    long fd = call(SYS_open, "/dir/hard", O_WRONLY);
    CHECK(5, call(SYS_pwrite64, fd, "HELLO", 5, 10));
    CHECK(0, call(SYS_close, fd));
    fd = call(SYS_open, "/empty/hard3", O_RDONLY);
    CHECK(5, call(SYS_pread64, fd, buf, 5, 10));
    CHECK(0, memcmp(buf, "HELLO", 5));
    CHECK(1, call(SYS_pread64, fd, buf, 1, 15));
    CHECK(byte(3, 15), (uint8_t)buf[0]);
    CHECK(0, call(SYS_close, fd));
    CHECK(0, call(SYS_unlink, "/dir/file3"));
    CHECK(2, stat_of("/dir/hard").st_nlink);
    CHECK(0, call(SYS_unlink, "/dir/hard"));
    CHECK(0, call(SYS_unlink, "/empty/hard3"));
    CHECK(-ENOENT, call(SYS_lstat, "/empty/hard3", &a));
}

/* How often does name occur in the listing of directory path; *ret_all: names in all. */
static int listed(const char *path, const char *name, int *ret_all)
{
    static char list[2000];
    int found = 0;
    long n, fd = call(SYS_open, path, O_RDONLY | O_DIRECTORY);
    CHECK(true, fd >= 0);
    *ret_all = 0;
    while ((n = call(SYS_getdents64, fd, list, sizeof(list))) > 0)
        for (long at = 0; at < n; at += *(unsigned short *)(list + at + 16)) {
            found += !strcmp(list + at + 19, name);
            ++*ret_all;
        }
    CHECK(0, n);
    CHECK(0, call(SYS_close, fd));
    return found;
}

static void names(void)
{
    struct stat st;
    int all;
    CHECK(1, listed("/many", "a_name_that_is_not_short_77", &all));
    CHECK(1002, all);
    long fd = call(SYS_open, "/many/added", O_RDWR | O_CREAT, 0644);
    CHECK(true, fd >= 0);
    CHECK(0, call(SYS_close, fd));
    CHECK(1, listed("/many", "added", &all));
    CHECK(1003, all);
    CHECK(-EEXIST, call(SYS_mkdir, "/many/a_name_that_is_not_short_5", 0755));
    CHECK(0, call(SYS_unlink, "/many/a_name_that_is_not_short_5"));
    CHECK(-ENOENT, call(SYS_lstat, "/many/a_name_that_is_not_short_5", &st));
    CHECK(0, listed("/many", "a_name_that_is_not_short_5", &all));
    CHECK(1002, all);
    CHECK(0, call(SYS_rename, "/many/a_name_that_is_not_short_6", "/dir/moved"));
    CHECK(0, listed("/many", "a_name_that_is_not_short_6", &all));
    CHECK(1001, all);
    CHECK(1, listed("/dir", "moved", &all));
    CHECK(0,
          call(SYS_rename, "/many/a_name_that_is_not_short_7", "/many/a_name_that_is_not_short_8"));
    CHECK(0, listed("/many", "a_name_that_is_not_short_7", &all));
    CHECK(1000, all);
    CHECK(-ENOTEMPTY, call(SYS_rmdir, "/dir/sub"));
    CHECK(0, call(SYS_rmdir, "/dir/sub/deep"));
    CHECK(0, call(SYS_rmdir, "/dir/sub"));
    CHECK(-ENOENT, call(SYS_lstat, "/dir/sub", &st));
    CHECK(0, call(SYS_mkdir, "/dir/sub", 0755));
    CHECK(0, listed("/dir/sub", "deep", &all));
    CHECK(2, all);
}

/* Listing while removing: nothing is lost, nothing comes twice. */
static void remove_all(void)
{
    static char list[600];
    long n, removed = 0, fd = call(SYS_open, "/many", O_RDONLY | O_DIRECTORY);
    while ((n = call(SYS_getdents64, fd, list, sizeof(list))) > 0)
        for (long at = 0; at < n; at += *(unsigned short *)(list + at + 16))
            if (list[at + 19] != '.')
                removed += call(SYS_unlinkat, fd, list + at + 19, 0) == 0;
    CHECK(998, removed);
    CHECK(0, call(SYS_close, fd));
    CHECK(0, call(SYS_rmdir, "/many"));
}

static void content(void)
{
    /* A page of the image is replaced when it is written, the others are not. */
    long fd = call(SYS_open, "/dir/file9", O_RDWR);
    CHECK(3, call(SYS_pwrite64, fd, "abc", 3, 500000));
    CHECK(1048577, call(SYS_pread64, fd, buf, sizeof(buf), 0));
    CHECK(0, memcmp(buf + 500000, "abc", 3));
    CHECK(byte(9, 499999), (uint8_t)buf[499999]);
    CHECK(byte(9, 500003), (uint8_t)buf[500003]);
    CHECK(byte(9, 600000), (uint8_t)buf[600000]);
    /* What was cut off does not come back. */
    CHECK(0, call(SYS_ftruncate, fd, 100001));
    CHECK(0, call(SYS_ftruncate, fd, 300000));
    CHECK(300000, call(SYS_pread64, fd, buf, sizeof(buf), 0));
    CHECK(byte(9, 100000), (uint8_t)buf[100000]);
    long wrong = 0;
    for (long i = 100001; i < 300000; i++)
        wrong += buf[i] != 0;
    CHECK(0, wrong);
    CHECK(0, call(SYS_fallocate, fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 5000, 10000));
    CHECK(300000, call(SYS_pread64, fd, buf, sizeof(buf), 0));
    CHECK(byte(9, 4999), (uint8_t)buf[4999]);
    CHECK(byte(9, 15000), (uint8_t)buf[15000]);
    wrong = 0;
    for (long i = 5000; i < 15000; i++)
        wrong += buf[i] != 0;
    CHECK(0, wrong);
    CHECK(100001, call(SYS_lseek, fd, 90000, SEEK_HOLE) > 100000 ? 100001 : 0);
    CHECK(0, call(SYS_close, fd));
    fd = call(SYS_open, "/dir/file8", O_WRONLY | O_TRUNC);
    CHECK(0, call(SYS_close, fd));
    CHECK(0, stat_of("/dir/file8").st_size);
}

/* Mappings of a file of the image: shared ones change it, private ones do not. */
static void mapped(void)
{
    const int both = PROT_READ | PROT_WRITE;
    char c;
    long fd = call(SYS_open, "/dir/file7", O_RDWR);
    char *shared = (char *)call(SYS_mmap, 0, 12000, both, MAP_SHARED, fd, 0);
    char *private = (char *)call(SYS_mmap, 0, 12000, both, MAP_PRIVATE, fd, 0);
    bool same = true;
    for (size_t i = 0; i < 12000; i++)
        same = same && (unsigned char)shared[i] == byte(7, i) && shared[i] == private[i];
    CHECK(true, same);
    shared[5000] = 'X';
    private[9000] = 'Y';
    CHECK(1, call(SYS_pread64, fd, &c, 1, 5000));
    CHECK('X', c);
    CHECK(1, call(SYS_pread64, fd, &c, 1, 9000));
    CHECK(byte(7, 9000), (unsigned char)c);
    CHECK(1, call(SYS_pwrite64, fd, "Z", 1, 1));
    CHECK('Z', shared[1]);
    CHECK(0, call(SYS_munmap, shared, 12000));
    CHECK(0, call(SYS_munmap, private, 12000));
    CHECK(1, call(SYS_pread64, fd, &c, 1, 5000));
    CHECK('X', c);
    CHECK(1, call(SYS_pread64, fd, &c, 1, 5001));
    CHECK(byte(7, 5001), (unsigned char)c);
    CHECK(0, call(SYS_close, fd));
}

int t_main(void)
{
    reads();
    mapped();
    shared_inodes();
    names();
    remove_all();
    content();
    return t_end();
}
