/* SPDX-License-Identifier: MIT */
/* What a program does with files, on an ext4 disk. The script around it (run.py) makes the image and checks it afterwards. */
#define _GNU_SOURCE

#include <t.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "disk.h"

int t_main(void);

static char buf[1 << 20], got[1 << 20];

#define makedev_(a, b) ((((a)&0xfffUL) << 8) | ((b)&0xff) | (((b) & ~0xffUL) << 12))

static void mount_disk(void)
{
    CHECK(0, call(SYS_mount, "/dev/disk", "/mnt", "ext4", 0, 0));
}

static void unmount(void)
{
    CHECK(0, call(SYS_umount2, "/mnt", 0));
}

static long open_file(const char *name, int flags)
{
    long fd = call(SYS_open, name, flags, 0644);
    CHECK(true, fd >= 0);
    return fd;
}

static void fill(char *p, size_t n, unsigned seed)
{
    for (size_t i = 0; i < n; i++)
        p[i] = (char)(i * 7 + seed + (i >> 9));
}

static void contents(void)
{
    static const size_t sizes[] = { 1, 100, 4095, 4096, 4097, 70000, 1 << 20 };
    char name[64];
    for (unsigned i = 0; i < 7; i++) {
        sprintf(name, "/mnt/file%u", i);
        long fd = open_file(name, O_RDWR | O_CREAT | O_EXCL);
        fill(buf, sizes[i], i);
        CHECK(sizes[i], call(SYS_write, fd, buf, sizes[i]));
        if (i % 2)
            CHECK(0, call(SYS_fsync, fd));
        CHECK(0, call(SYS_close, fd));
    }
    unmount();
    mount_disk();
    for (unsigned i = 0; i < 7; i++) {
        sprintf(name, "/mnt/file%u", i);
        long fd = open_file(name, O_RDONLY);
        fill(buf, sizes[i], i);
        CHECK(sizes[i], call(SYS_read, fd, got, sizeof(got)));
        CHECK(0, memcmp(buf, got, sizes[i]));
        CHECK(0, call(SYS_close, fd));
    }
}

static void names(void)
{
    struct stat st;
    char name[300], text[5000];
    CHECK(0, call(SYS_mkdir, "/mnt/dir", 0755));
    for (unsigned i = 0; i < 600; i++) {
        sprintf(name, "/mnt/dir/a name that is not short, number %u", i);
        CHECK(0, call(SYS_mknod, name, S_IFREG | 0600, 0));
    }
    CHECK(-EEXIST, call(SYS_mkdir, "/mnt/dir", 0755));
    CHECK(-ENOTEMPTY, call(SYS_rmdir, "/mnt/dir"));
    for (unsigned i = 0; i < 600; i += 3) {
        sprintf(name, "/mnt/dir/a name that is not short, number %u", i);
        CHECK(0, call(SYS_unlink, name));
    }
    CHECK(0, call(SYS_mkdir, "/mnt/dir/sub", 0700));
    CHECK(0, call(SYS_rename, "/mnt/dir/sub", "/mnt/sub"));
    CHECK(0, call(SYS_stat, "/mnt/dir", &st));
    CHECK(2, st.st_nlink);
    CHECK(0, call(SYS_symlink, "short", "/mnt/sub/short"));
    memset(text, 'x', 200);
    strcpy(text + 200, "end");
    CHECK(0, call(SYS_symlink, text, "/mnt/sub/long"));
    CHECK(0, call(SYS_link, "/mnt/file1", "/mnt/sub/link"));
    CHECK(0, call(SYS_mknod, "/mnt/sub/dev", S_IFCHR | 0600, makedev_(300, 70000)));
    CHECK(0, call(SYS_rename, "/mnt/file0", "/mnt/file2"));
    unmount();
    mount_disk();
    CHECK(-ENOENT, call(SYS_stat, "/mnt/file0", &st));
    CHECK(0, call(SYS_stat, "/mnt/file2", &st));
    CHECK(1, st.st_size);
    CHECK(0, call(SYS_stat, "/mnt/sub/link", &st));
    CHECK(2, st.st_nlink);
    CHECK(203, call(SYS_readlink, "/mnt/sub/long", got, 1000));
    CHECK(0, memcmp(got, text, 203));
    CHECK(5, call(SYS_readlink, "/mnt/sub/short", got, 1000));
    CHECK(0, call(SYS_lstat, "/mnt/sub/dev", &st));
    CHECK((long)makedev_(300, 70000), (long)st.st_rdev);
    unsigned n = 0;
    long fd = open_file("/mnt/dir", O_RDONLY | O_DIRECTORY), r;
    while ((r = call(SYS_getdents64, fd, got, 3000)) > 0)
        for (long at = 0; at < r; at += *(unsigned short *)(got + at + 16))
            n++;
    CHECK(402, n);
    CHECK(0, call(SYS_close, fd));
    sprintf(name, "/mnt/dir/a name that is not short, number %u", 3);
    CHECK(-ENOENT, call(SYS_stat, name, &st));
    sprintf(name, "/mnt/dir/a name that is not short, number %u", 4);
    CHECK(0, call(SYS_stat, name, &st));
}

static void sizes(void)
{
    struct stat st;
    long fd = open_file("/mnt/sparse", O_RDWR | O_CREAT);
    CHECK(3, call(SYS_pwrite64, fd, "end", 3, 5 << 20));
    CHECK(0, call(SYS_fsync, fd));
    CHECK(0, call(SYS_fstat, fd, &st));
    CHECK(true, st.st_blocks <= 16);
    CHECK(5 << 20, call(SYS_lseek, fd, 0, SEEK_DATA));
    CHECK(0, call(SYS_ftruncate, fd, 1000000));
    CHECK(0, call(SYS_ftruncate, fd, 6000000));
    CHECK(10, call(SYS_pread64, fd, got, 10, 5 << 20));
    CHECK(0, got[0] | got[1] | got[2]);
    CHECK(0, call(SYS_fallocate, fd, 0, 0, 200000));
    CHECK(0, call(SYS_fstat, fd, &st));
    CHECK(true, st.st_blocks >= 200000 / 512);
    fill(buf, 100000, 3);
    CHECK(100000, call(SYS_pwrite64, fd, buf, 100000, 50000));
    CHECK(0, call(SYS_fallocate, fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 60000, 20000));
    memset(buf + 10000, 0, 20000);
    CHECK(100000, call(SYS_pread64, fd, got, 100000, 50000));
    CHECK(0, memcmp(buf, got, 100000));
    CHECK(0, call(SYS_fallocate, fd, FALLOC_FL_COLLAPSE_RANGE, 40960, 8192));
    CHECK(100000, call(SYS_pread64, fd, got, 100000, 50000 - 8192));
    CHECK(0, memcmp(buf, got, 100000));
    CHECK(0, call(SYS_fallocate, fd, FALLOC_FL_INSERT_RANGE, 40960, 16384));
    CHECK(100000, call(SYS_pread64, fd, got, 50000, 50000 + 8192 + 50000) + 50000);
    CHECK(0, memcmp(buf + 50000, got, 50000));
    CHECK(0, call(SYS_fallocate, fd, FALLOC_FL_ZERO_RANGE, 4096, 8192));
    CHECK(0, call(SYS_close, fd));
}

static void mapped(void)
{
    long fd = open_file("/mnt/mapped", O_RDWR | O_CREAT);
    CHECK(0, call(SYS_ftruncate, fd, 3 * 4096));
    long p = call(SYS_mmap, 0, 3 * 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    CHECK(true, p > 0);
    ((char *)p)[5000] = 'm';
    CHECK(1, call(SYS_pread64, fd, got, 1, 5000));
    CHECK('m', got[0]);
    CHECK(0, call(SYS_fsync, fd));
    ((char *)p)[5001] = 'n';
    CHECK(0, call(SYS_msync, p, 3 * 4096, MS_SYNC));
    CHECK(0, call(SYS_munmap, p, 3 * 4096));
    CHECK(0, call(SYS_close, fd));
    unmount();
    mount_disk();
    fd = open_file("/mnt/mapped", O_RDONLY);
    CHECK(2, call(SYS_pread64, fd, got, 2, 5000));
    CHECK(0, memcmp(got, "mn", 2));
    CHECK(0, call(SYS_close, fd));
}

/* A program that faults keeps its vector registers, whatever comes while the fault is served. */
static void registers(void)
{
    static const char want[16] = "vector register";
    char six[16], seven[16];
    long fd = open_file("/mnt/registers", O_RDWR | O_CREAT);
    CHECK(sizeof(want), call(SYS_write, fd, want, sizeof(want)));
    CHECK(0, call(SYS_close, fd));
    unmount();
    mount_disk();
    fd = open_file("/mnt/registers", O_RDONLY);
    long p = call(SYS_mmap, 0, 4096, PROT_READ, MAP_PRIVATE, fd, 0);
    CHECK(true, p > 0);
    disk_ticks = true;
    __asm__ volatile("movdqu (%1), %%xmm6\n\t"
                     "movdqa %%xmm6, %%xmm7\n\t"
                     "movb (%0), %%al\n\t" /* the fault */
                     "movdqu %%xmm6, (%2)\n\t"
                     "movdqu %%xmm7, (%3)"
                     :
                     : "r"(p), "r"(want), "r"(six), "r"(seven)
                     : "rax", "xmm6", "xmm7", "memory");
    disk_ticks = false;
    CHECK(0, memcmp(six, want, 16));
    CHECK(0, memcmp(seven, want, 16));
    CHECK(0, call(SYS_munmap, p, 4096));
    CHECK(0, call(SYS_close, fd));
}

static void attributes(void)
{
    char value[3000];
    struct stat st;
    memset(value, 'v', sizeof(value));
    CHECK(0, call(SYS_setxattr, "/mnt/file3", "user.small", "1", 1, 0));
    CHECK(0, call(SYS_setxattr, "/mnt/file3", "user.large", value, 800, 0));
    CHECK(-EEXIST, call(SYS_setxattr, "/mnt/file3", "user.small", "2", 1, 1));
    CHECK(800, call(SYS_getxattr, "/mnt/file3", "user.large", got, sizeof(got)));
    CHECK(0, memcmp(got, value, 800));
    CHECK(0, call(SYS_chmod, "/mnt/file3", 04711));
    CHECK(0, call(SYS_chown, "/mnt/file3", 100000, 70000));
    unmount();
    mount_disk();
    CHECK(1, call(SYS_getxattr, "/mnt/file3", "user.small", got, sizeof(got)));
    CHECK(800, call(SYS_getxattr, "/mnt/file3", "user.large", got, sizeof(got)));
    CHECK(22, call(SYS_listxattr, "/mnt/file3", got, sizeof(got)));
    CHECK(0, call(SYS_removexattr, "/mnt/file3", "user.large"));
    CHECK(0, call(SYS_stat, "/mnt/file3", &st));
    CHECK(100000, st.st_uid);
    CHECK(70000, st.st_gid);
}

static void full(void)
{
    struct statfs_ {
        long type, bsize, blocks, bfree, bavail, files, ffree, fsid[2], namelen, frsize, flags,
            spare[4];
    } st;
    long fd = open_file("/mnt/full", O_WRONLY | O_CREAT), n = 0, r = 0;
    fill(buf, sizeof(buf), 9);
    while ((r = call(SYS_write, fd, buf, sizeof(buf))) == sizeof(buf))
        n += r;
    if (r > 0)
        r = call(SYS_write, fd, buf, sizeof(buf));
    CHECK(-ENOSPC, r);
    CHECK(0, call(SYS_fsync, fd));
    CHECK(0, call(SYS_close, fd));
    CHECK(0, call(SYS_unlink, "/mnt/full"));
    CHECK(0, call(SYS_sync));
    CHECK(0, call(SYS_statfs, "/mnt", &st));
    CHECK(true, st.bfree * st.bsize >= n);
}

/* Pages [from, from + n) of the 64 of fd that the page cache has. */
static unsigned cached(long fd, unsigned from, unsigned n)
{
    unsigned char there[64];
    unsigned sum = 0;
    char *p = (char *)call(SYS_mmap, 0, sizeof(there) * 4096, PROT_READ, MAP_SHARED, fd, 0);
    CHECK(0, call(SYS_mincore, p, sizeof(there) * 4096, there));
    for (unsigned i = from; i < from + n; i++)
        sum += there[i] & 1;
    CHECK(0, call(SYS_munmap, p, sizeof(there) * 4096));
    return sum;
}

static struct {
    unsigned bytes;
    int type;
    unsigned data[32];
} handle;

static void get_handle(const char *name)
{
    int id;
    handle.bytes = sizeof(handle.data);
    CHECK(0, call(SYS_name_to_handle_at, AT_FDCWD, name, &handle, &id, 0));
    CHECK(8, handle.bytes);
    CHECK(1, handle.type);
}

static long open_handle(int flags)
{
    long top = call(SYS_open, "/mnt", O_RDONLY | O_DIRECTORY, 0);
    long fd = call(SYS_open_by_handle_at, top, &handle, flags);
    CHECK(0, call(SYS_close, top));
    return fd;
}

/* Handles outlive the mount that gave them: with nothing in memory, files and directories are found by number. */
static void handles(void)
{
    char name[64], text[64] = "";
    struct stat st, other;
    long fd;
    CHECK(0, call(SYS_mkdir, "/mnt/h", 0755));
    for (unsigned i = 0; i < 300; i++) {
        sprintf(name, "/mnt/h/%u", i);
        CHECK(0, call(SYS_mkdir, name, 0755));
    }
    CHECK(0, call(SYS_mkdir, "/mnt/h/299/deep", 0755));
    fd = open_file("/mnt/h/299/deep/file", O_RDWR | O_CREAT | O_EXCL);
    CHECK(6, call(SYS_write, fd, "inside", 6));
    CHECK(0, call(SYS_close, fd));
    get_handle("/mnt/h/299/deep");
    CHECK(0, call(SYS_rename, "/mnt/h/299", "/mnt/h/moved"));
    unmount();
    mount_disk();
    fd = open_handle(O_RDONLY | O_DIRECTORY);
    CHECK(true, fd >= 0);
    CHECK(0, call(SYS_fchdir, fd));
    CHECK(18, call(SYS_getcwd, text, sizeof(text)));
    CHECK(0, strcmp(text, "/mnt/h/moved/deep"));
    CHECK(0, call(SYS_fstat, fd, &st));
    CHECK(0, call(SYS_stat, "/mnt/h/moved/deep", &other));
    CHECK(st.st_ino, other.st_ino);
    CHECK(0, call(SYS_chdir, "/"));
    CHECK(0, call(SYS_close, fd));
    get_handle("/mnt/h/moved/deep/file");
    unmount();
    mount_disk();
    fd = open_handle(O_RDWR);
    CHECK(true, fd >= 0);
    CHECK(6, call(SYS_read, fd, text, sizeof(text)));
    CHECK(0, memcmp(text, "inside", 6));
    CHECK(6, call(SYS_write, fd, ", more", 6));
    CHECK(0, call(SYS_close, fd));
    CHECK(0, call(SYS_stat, "/mnt/h/moved/deep/file", &st));
    CHECK(12, st.st_size);
    CHECK(-ENOTDIR, open_handle(O_RDONLY | O_DIRECTORY));
    /* Another generation, no such number, and those that are not for programs. */
    handle.data[1] ^= 1;
    CHECK(-ESTALE, open_handle(O_RDONLY));
    handle.data[1] ^= 1;
    CHECK(0, call(SYS_unlink, "/mnt/h/moved/deep/file"));
    CHECK(-ESTALE, open_handle(O_RDONLY));
    handle.data[1] = 0;
    static const unsigned bad[] = { 0, 1, 3, 7, 8, 10, 0x7fffffff, ~0u };
    for (unsigned i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        handle.data[0] = bad[i];
        CHECK(-ESTALE, open_handle(O_RDONLY));
    }
    handle.data[0] = 2; /* the root, of whatever generation */
    fd = open_handle(O_RDONLY | O_DIRECTORY);
    CHECK(0, call(SYS_fstat, fd, &st));
    CHECK(2, st.st_ino);
    CHECK(0, call(SYS_close, fd));
    get_handle("/mnt");
    handle.bytes = 4;
    CHECK(-ESTALE, open_handle(O_RDONLY));
}

static void hints(void)
{
    long fd = open_file("/mnt/hints", O_RDWR | O_CREAT);
    fill(buf, 64 * 4096, 5);
    CHECK(64 * 4096, call(SYS_write, fd, buf, 64 * 4096));
    CHECK(64, cached(fd, 0, 64));
    CHECK(0, call(SYS_fadvise64, fd, 0, 0, POSIX_FADV_DONTNEED)); /* writes them, too */
    CHECK(0, cached(fd, 0, 64));
    CHECK(0, call(SYS_readahead, fd, 16 * 4096, 8 * 4096));
    CHECK(8, cached(fd, 16, 8));
    CHECK(0, cached(fd, 0, 16));
    CHECK(0, call(SYS_fadvise64, fd, 40 * 4096, 20 * 4096, POSIX_FADV_WILLNEED));
    CHECK(20, cached(fd, 40, 20));
    CHECK(0, call(SYS_fadvise64, fd, 40 * 4096 + 1, 4 * 4096, POSIX_FADV_DONTNEED));
    CHECK(1, cached(fd, 40, 1)); /* only a part of it was named */
    CHECK(0, cached(fd, 41, 3));
    CHECK(1, cached(fd, 44, 1));
    CHECK(64 * 4096, call(SYS_pread64, fd, got, 64 * 4096, 0));
    CHECK(0, memcmp(buf, got, 64 * 4096));
    CHECK(0, call(SYS_close, fd));
    CHECK(0, call(SYS_unlink, "/mnt/hints"));
}

/* Sectors that were written since it was called last. */
static long written(void)
{
    static uint64_t before;
    uint64_t now = blk_find("disk")->done_sectors[BLK_WRITE], n = now - before;
    before = now;
    return (long)n;
}

enum { PAGE_SECTORS = 8, RANGED_PAGES = 128 };

/* Of a file that is dirty everywhere, one page at a time. False: the file system's thread came in between. */
static bool ranged_once(long fd, long sync_fd, char *map)
{
    CHECK(RANGED_PAGES * 4096, call(SYS_pwrite64, fd, buf, RANGED_PAGES * 4096, 0));
    (void)written();
    CHECK(0, call(SYS_sync_file_range, fd, 0, 0, SYNC_FILE_RANGE_WAIT_BEFORE));
    bool ok = written() == 0;
    CHECK(0, call(SYS_sync_file_range, fd, 10 * 4096 + 5, 4090, SYNC_FILE_RANGE_WRITE));
    ok = ok && written() == PAGE_SECTORS;
    CHECK(0, call(SYS_sync_file_range, fd, 10 * 4096, 3 * 4096, 7));
    ok = ok && written() == 2 * PAGE_SECTORS;
    CHECK(0, call(SYS_msync, map + 20 * 4096, 4096, MS_ASYNC));
    ok = ok && written() == 0;
    CHECK(0, call(SYS_msync, map + 20 * 4096, 4096, MS_SYNC));
    ok = ok && written() == PAGE_SECTORS;
    map[(long)30 * 4096] = 'x';
    CHECK(0, call(SYS_msync, map + 30 * 4096, 2 * 4096, MS_SYNC));
    ok = ok && written() == 2 * PAGE_SECTORS;
    CHECK(4096, call(SYS_pwrite64, sync_fd, buf, 4096, 40 * 4096));
    ok = ok && written() == PAGE_SECTORS;
    CHECK(0, call(SYS_fdatasync, fd));
    return ok && written() == (RANGED_PAGES - 7) * PAGE_SECTORS;
}

static void ranged(void)
{
    long fd = open_file("/mnt/ranged", O_RDWR | O_CREAT), sync_fd;
    sync_fd = open_file("/mnt/ranged", O_WRONLY | O_DSYNC);
    bool ok = false;
    CHECK(RANGED_PAGES * 4096, call(SYS_pwrite64, fd, buf, RANGED_PAGES * 4096, 0));
    CHECK(0, call(SYS_fsync, fd));
    long map = call(SYS_mmap, 0, RANGED_PAGES * 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    CHECK(true, map > 0);
    for (int i = 0; i < 20 && !ok; i++)
        ok = ranged_once(fd, sync_fd, (char *)map);
    CHECK(true, ok);
    CHECK(0, call(SYS_munmap, map, RANGED_PAGES * 4096));
    CHECK(0, call(SYS_close, fd));
    CHECK(0, call(SYS_close, sync_fd));
    CHECK(0, call(SYS_unlink, "/mnt/ranged"));
}

/* A write over what is there while somebody else's commit is under way, which the file waits for: the commit's flush may have
 * come before. */
static void synced_late(const char *journal)
{
    long fd = open_file("/mnt/late", O_RDWR | O_CREAT),
         other = open_file("/mnt/other", O_RDWR | O_CREAT);
    fill(buf, 4096, 1);
    CHECK(4096, call(SYS_pwrite64, fd, buf, 4096, 0));
    CHECK(0, call(SYS_fsync, fd));
    CHECK(4096, call(SYS_pwrite64, other, buf, 4096, 0));
    CHECK(0, call(SYS_ftruncate, fd, 4096)); /* a transaction that fdatasync has to wait for */
    CHECK(4096, call(SYS_pwrite64, fd, buf + 1, 4096, 0));
    disk_hold((int)other, *journal);
    CHECK(0, call(SYS_fdatasync, fd));
    CHECK(true, disk_hold_flushed());
    CHECK(0, call(SYS_close, fd));
    CHECK(0, call(SYS_close, other));
}

int t_main(void)
{
    mount_disk();
    handles();
    hints();
    ranged();
    if (!getenv("LUKS_KEY")) /* there the disk does not know a commit when it sees one */
        synced_late(getenv("EXT4_JOURNAL"));
    contents();
    names();
    sizes();
    mapped();
    registers();
    attributes();
    full();
    unmount();
    return t_end();
}
