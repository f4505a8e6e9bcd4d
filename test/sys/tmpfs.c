// SPDX-License-Identifier: MIT
/* tmpfs(5): limits of size and inodes, what statfs(2) and /proc/mounts say of them, the errors at the limit, remounting, and the
 * options. Where the user is not root, in a user name space of its own. */
#define _GNU_SOURCE
#include <t.h>

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#define AT "/tmp/t_tmpfs"

static char page[4096];

static long mount_it(const char *options)
{
    return call(SYS_mount, "t_source", AT, "tmpfs", 0, options);
}

static void unmount(void)
{
    CHECK(0, call(SYS_umount2, AT, 0));
}

static struct statfs stat_it(void)
{
    struct statfs s;
    memset(&s, 0, sizeof(s));
    CHECK(0, call(SYS_statfs, AT, &s));
    return s;
}

static bool shown(const char *text)
{
    static char all[65536];
    size_t n = 0;
    long fd = call(SYS_open, "/proc/self/mounts", O_RDONLY), got;
    while (n < sizeof(all) - 1 && (got = call(SYS_read, fd, all + n, sizeof(all) - 1 - n)) > 0)
        n += (size_t)got;
    all[n] = '\0';
    call(SYS_close, fd);
    char *line = strstr(all, " " AT " ");
    if (!line)
        return false;
    *strchr(line, '\n') = '\0';
    return strstr(line, text) != NULL;
}

static long file(const char *name, int flags)
{
    return call(SYS_open, name, flags | O_RDWR | O_CREAT, 0600);
}

/* 16 pages: the write that does not fit is cut, the next one is refused; what is removed is free again. */
static void size_limit(void)
{
    static char big[17 * 4096];
    CHECK(0, mount_it("size=64k"));
    CHECK(16, stat_it().f_blocks);
    CHECK(16, stat_it().f_bfree);
    CHECK(true, shown("size=64k"));
    long fd = file(AT "/a", 0);
    memset(big, 7, sizeof(big));
    CHECK(65536, call(SYS_write, fd, big, sizeof(big)));
    CHECK(0, stat_it().f_bfree);
    CHECK(0, stat_it().f_bavail);
    CHECK(-ENOSPC, call(SYS_write, fd, big, 1));
    CHECK(1, call(SYS_pwrite64, fd, big, 1, 100));
    CHECK(0, call(SYS_ftruncate, fd, 1 << 20));
    CHECK(-ENOSPC, call(SYS_pwrite64, fd, big, 1, 100000));
    CHECK(-ENOSPC, call(SYS_fallocate, fd, 0, 65536, 4096));
    long b = file(AT "/b", 0);
    CHECK(true, b >= 0);
    CHECK(-ENOSPC, call(SYS_write, b, big, 1));
    CHECK(0, call(SYS_fallocate, fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 2 * 4096));
    CHECK(2, stat_it().f_bfree);
    CHECK(-ENOSPC, call(SYS_fallocate, b, 0, 0, 3 * 4096));
    CHECK(2, stat_it().f_bfree);
    CHECK(0, call(SYS_fallocate, b, 0, 0, 2 * 4096));
    CHECK(0, stat_it().f_bfree);
    CHECK(0, call(SYS_ftruncate, fd, 0));
    CHECK(14, stat_it().f_bfree);
    call(SYS_close, b);
    CHECK(0, call(SYS_unlink, AT "/b"));
    CHECK(16, stat_it().f_bfree);
    CHECK(5, call(SYS_pwrite64, fd, "hello", 5, 4094)); /* two pages */
    CHECK(14, stat_it().f_bfree);
    CHECK(0, call(SYS_unlink, AT "/a"));
    CHECK(14, stat_it().f_bfree);
    call(SYS_close, fd);
    CHECK(16, stat_it().f_bfree);
    unmount();
}

/* A mapping of a file counts what is touched. */
static void mapping(void)
{
    CHECK(0, mount_it("size=4m,mode=700"));
    CHECK(true, shown("mode=700"));
    long fd = file(AT "/m", 0);
    CHECK(0, call(SYS_ftruncate, fd, 64 * 4096));
    CHECK(1024, stat_it().f_bfree);
    char *m = (char *)call(SYS_mmap, 0, 64 * 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    CHECK(0, call(SYS_pread64, fd, page, 0, 0));
    for (int i = 0; i < 10; i++)
        m[i * 4096] = 1;
    CHECK(1014, stat_it().f_bfree);
    CHECK(0, call(SYS_madvise, m, 4 * 4096, MADV_REMOVE));
    CHECK(1018, stat_it().f_bfree);
    CHECK(0, call(SYS_munmap, m, 64 * 4096));
    call(SYS_close, fd);
    struct stat st;
    CHECK(0, call(SYS_stat, AT, &st));
    CHECK(S_IFDIR | 0700, st.st_mode);
    unmount();
}

static void inode_limit(void)
{
    CHECK(0, mount_it("nr_inodes=4,size=1m"));
    CHECK(true, shown("nr_inodes=4"));
    CHECK(4, stat_it().f_files);
    CHECK(3, stat_it().f_ffree);
    CHECK(0, call(SYS_mkdir, AT "/d", 0755));
    long fd = file(AT "/f", 0);
    CHECK(true, fd >= 0);
    CHECK(0, call(SYS_link, AT "/f", AT "/g"));
    CHECK(0, stat_it().f_ffree);
    CHECK(-ENOSPC, call(SYS_link, AT "/f", AT "/h"));
    CHECK(-ENOSPC, call(SYS_symlink, "x", AT "/h"));
    CHECK(-ENOSPC, call(SYS_mkdir, AT "/h", 0755));
    CHECK(-ENOSPC, file(AT "/h", 0));
    CHECK(0, call(SYS_rename, AT "/g", AT "/i"));
    CHECK(0, call(SYS_unlink, AT "/i"));
    CHECK(1, stat_it().f_ffree);
    CHECK(0, call(SYS_symlink, "x", AT "/h"));
    CHECK(0, call(SYS_rename, AT "/h", AT "/f")); /* replaces it, but it is open */
    CHECK(0, stat_it().f_ffree);
    call(SYS_close, fd);
    CHECK(1, stat_it().f_ffree);
    CHECK(0, call(SYS_rmdir, AT "/d"));
    CHECK(2, stat_it().f_ffree);
    unmount();
}

static void remount(void)
{
    CHECK(0, mount_it("size=64k"));
    long fd = file(AT "/a", 0);
    for (int i = 0; i < 8; i++)
        CHECK(4096, call(SYS_write, fd, page, 4096));
    call(SYS_close, fd);
    CHECK(-EINVAL, call(SYS_mount, 0, AT, 0, MS_REMOUNT, "size=4k"));
    CHECK(0, call(SYS_mount, 0, AT, 0, MS_REMOUNT, "size=40k"));
    CHECK(10, stat_it().f_blocks);
    CHECK(2, stat_it().f_bfree);
    CHECK(-EINVAL, call(SYS_mount, 0, AT, 0, MS_REMOUNT, "nonsense=4k"));
    CHECK(0, call(SYS_mount, 0, AT, 0, MS_REMOUNT, "size=1m"));
    CHECK(256, stat_it().f_blocks);
    unmount();
    CHECK(0, mount_it("size=0,nr_inodes=0"));
    CHECK(0, stat_it().f_blocks);
    CHECK(0, stat_it().f_files);
    CHECK(-EINVAL, call(SYS_mount, 0, AT, 0, MS_REMOUNT, "size=40k"));
    unmount();
}

static void options(void)
{
    struct stat st;
    CHECK(-EINVAL, mount_it("size="));
    CHECK(-EINVAL, mount_it("size=12q"));
    CHECK(-EINVAL, mount_it("nr_inodes=5%"));
    CHECK(-EINVAL, mount_it("mode=9"));
    CHECK(-EINVAL, mount_it("uid=-1"));
    CHECK(-EINVAL, mount_it("bogus"));
    CHECK(0, mount_it("nr_blocks=3,uid=0,gid=0,mode=1755,nr_inodes=1k"));
    CHECK(3, stat_it().f_blocks);
    CHECK(1024, stat_it().f_files);
    CHECK(0, call(SYS_stat, AT, &st));
    CHECK(S_IFDIR | 01755, st.st_mode);
    unmount();
    CHECK(0, mount_it("size=5000"));
    CHECK(2, stat_it().f_blocks);
    unmount();
    CHECK(0, mount_it("size=50%"));
    struct statfs half = stat_it();
    unmount();
    CHECK(0, mount_it(NULL));
    struct statfs def = stat_it();
    CHECK(true, half.f_blocks <= def.f_blocks + 1 && half.f_blocks > def.f_blocks * 9 / 10);
    CHECK(true, def.f_files >= 1000);
    CHECK(def.f_blocks, def.f_bfree);
    CHECK(false, shown("size="));
    unmount();
}

int main(void)
{
#ifndef T_IN_PROCESS
    if (!t_alcove() && geteuid() && unshare(CLONE_NEWUSER | CLONE_NEWNS))
        return 1;
#endif
    call(SYS_mkdir, "/tmp", 01777);
    call(SYS_rmdir, AT);
    CHECK(0, call(SYS_mkdir, AT, 0755));
    size_limit();
    mapping();
    inode_limit();
    remount();
    options();
    CHECK(0, call(SYS_rmdir, AT));
    return t_end();
}
