/* SPDX-License-Identifier: MIT */
/* stat in all its forms, statx, statfs. */
#define _GNU_SOURCE
#include <t_file.h>

#include <linux/magic.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>

static struct stat st;

static void stats(void)
{
    t_write("f", "0123456789");
    CHECK(0, call(SYS_stat, "f", &st));
    CHECK(S_IFREG | 0644, st.st_mode);
    CHECK(10, st.st_size);
    CHECK(1, st.st_nlink);
    CHECK(8, st.st_blocks);
    CHECK(4096, st.st_blksize);
    CHECK(call(SYS_getuid), st.st_uid);
    CHECK(call(SYS_getgid), st.st_gid);
    ino_t ino = st.st_ino;
    dev_t dev = st.st_dev;
    CHECK(1, ino != 0);
    CHECK(0, call(SYS_link, "f", "g"));
    CHECK(0, call(SYS_lstat, "g", &st));
    CHECK((long)ino, st.st_ino);
    CHECK((long)dev, st.st_dev);
    CHECK(2, st.st_nlink);
    CHECK(0, call(SYS_symlink, "f", "l"));
    CHECK(0, call(SYS_lstat, "l", &st));
    CHECK(S_IFLNK | 0777, st.st_mode);
    CHECK(1, st.st_size);
    CHECK(1, st.st_ino != ino);
    CHECK(0, call(SYS_stat, "l", &st));
    CHECK((long)ino, st.st_ino);
    CHECK(0, call(SYS_mkdir, "d", 0700));
    CHECK(0, call(SYS_stat, "d", &st));
    CHECK(S_IFDIR | 0700, st.st_mode);
    CHECK(2, st.st_nlink);
    CHECK(0, call(SYS_mkdir, "d/sub", 0700));
    CHECK(0, call(SYS_stat, "d", &st));
    CHECK(3, st.st_nlink);
    CHECK(-ENOENT, call(SYS_stat, "none", &st));
    CHECK(-ENOENT, call(SYS_stat, "", &st));
    CHECK(-ENOTDIR, call(SYS_stat, "f/x", &st));
    CHECK(-EFAULT, call(SYS_stat, "f", T_BAD));
}

static void by_descriptor(void)
{
    long fd = call(SYS_open, "f", O_RDONLY), dir = call(SYS_open, "d", O_PATH);
    CHECK(0, call(SYS_fstat, fd, &st));
    CHECK(10, st.st_size);
    CHECK(0, call(SYS_newfstatat, fd, "", &st, AT_EMPTY_PATH));
    CHECK(10, st.st_size);
    CHECK(-ENOENT, call(SYS_newfstatat, fd, "", &st, 0));
    CHECK(0, call(SYS_newfstatat, dir, "sub", &st, 0));
    CHECK(0, call(SYS_newfstatat, dir, "../l", &st, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT));
    CHECK(S_IFLNK | 0777, st.st_mode);
    CHECK(0, call(SYS_newfstatat, AT_FDCWD, "", &st, AT_EMPTY_PATH));
    CHECK(S_IFDIR, st.st_mode & S_IFMT);
    CHECK(-EINVAL, call(SYS_newfstatat, dir, "sub", &st, 0x10000));
    CHECK(-ENOTDIR, call(SYS_newfstatat, fd, "x", &st, 0));
    CHECK(-EBADF, call(SYS_newfstatat, 999, "x", &st, 0));
    CHECK(-EBADF, call(SYS_fstat, 999, &st));
    CHECK(-EFAULT, call(SYS_fstat, fd, T_BAD));
    CHECK(0, call(SYS_fstat, dir, &st)); /* O_PATH is enough */
    CHECK(0, call(SYS_unlink, "g"));
    CHECK(0, call(SYS_unlink, "f"));
    CHECK(0, call(SYS_fstat, fd, &st));
    CHECK(0, st.st_nlink); /* gone, but open */
    call(SYS_close, fd);
    call(SYS_close, dir);
}

static void extended(void)
{
    struct statx x;
    t_write("f", "abc");
    CHECK(0, call(SYS_statx, AT_FDCWD, "f", 0, STATX_BASIC_STATS | STATX_BTIME, &x));
    CHECK(STATX_BASIC_STATS, x.stx_mask & STATX_BASIC_STATS);
    CHECK(S_IFREG | 0644, x.stx_mode);
    CHECK(3, x.stx_size);
    CHECK(1, x.stx_nlink);
    CHECK(0, call(SYS_stat, "f", &st));
    CHECK((long)st.st_ino, x.stx_ino);
    CHECK(major(st.st_dev), x.stx_dev_major);
    CHECK(minor(st.st_dev), x.stx_dev_minor);
    CHECK(st.st_mtim.tv_sec, x.stx_mtime.tv_sec);
    CHECK(st.st_mtim.tv_nsec, x.stx_mtime.tv_nsec);
    CHECK(0, call(SYS_statx, AT_FDCWD, "l", AT_SYMLINK_NOFOLLOW, STATX_TYPE, &x));
    CHECK(S_IFLNK, x.stx_mode & S_IFMT);
    CHECK(0, call(SYS_statx, AT_FDCWD, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, 0, &x));
    CHECK(-EINVAL, call(SYS_statx, AT_FDCWD, "f", AT_STATX_FORCE_SYNC | AT_STATX_DONT_SYNC, 0, &x));
    CHECK(-EINVAL, call(SYS_statx, AT_FDCWD, "f", 0, 0x80000000u, &x));
    CHECK(-EINVAL, call(SYS_statx, AT_FDCWD, "f", 0x10, 0, &x));
    CHECK(-ENOENT, call(SYS_statx, AT_FDCWD, "", 0, 0, &x));
    CHECK(-EFAULT, call(SYS_statx, AT_FDCWD, "f", 0, 0, T_BAD));
    CHECK(0, call(SYS_statx, AT_FDCWD, "/dev/null", 0, STATX_BASIC_STATS, &x));
    CHECK(1, x.stx_rdev_major);
    CHECK(3, x.stx_rdev_minor);
}

static void devices(void)
{
    CHECK(0, call(SYS_stat, "/dev/null", &st));
    CHECK(S_IFCHR | 0666, st.st_mode);
    CHECK((long)makedev(1, 3), st.st_rdev);
    CHECK(0, call(SYS_stat, "/dev/zero", &st));
    CHECK((long)makedev(1, 5), st.st_rdev);
    CHECK(0, call(SYS_stat, "/dev/urandom", &st));
    CHECK((long)makedev(1, 9), st.st_rdev);
    CHECK(0, call(SYS_stat, "/", &st));
    CHECK(S_IFDIR, st.st_mode & S_IFMT);
}

static void times(void)
{
    struct stat after;
    CHECK(0, call(SYS_stat, "d", &st));
    struct timespec pause = { 0, 20000000 };
    CHECK(0, call(SYS_nanosleep, &pause, NULL));
    t_write("d/new", "x");
    CHECK(0, call(SYS_stat, "d", &after));
    CHECK(1,
          after.st_mtim.tv_sec > st.st_mtim.tv_sec || after.st_mtim.tv_nsec > st.st_mtim.tv_nsec);
    CHECK(0, call(SYS_stat, "d/new", &st));
    CHECK(0, call(SYS_nanosleep, &pause, NULL));
    CHECK(0, call(SYS_chmod, "d/new", 0600)); /* the status changed, the content did not */
    CHECK(0, call(SYS_stat, "d/new", &after));
    CHECK(0, memcmp(&st.st_mtim, &after.st_mtim, sizeof(st.st_mtim)));
    CHECK(1, memcmp(&st.st_ctim, &after.st_ctim, sizeof(st.st_ctim)) != 0);
}

static void file_systems(void)
{
    struct statfs fs;
    CHECK(0, call(SYS_statfs, ".", &fs));
    CHECK(TMPFS_MAGIC, fs.f_type);
    CHECK(4096, fs.f_bsize);
    CHECK(255, fs.f_namelen);
    CHECK(1, fs.f_blocks >= fs.f_bfree && fs.f_bfree >= fs.f_bavail && fs.f_blocks != 0);
    long fd = call(SYS_open, "f", O_RDONLY);
    CHECK(0, call(SYS_fstatfs, fd, &fs));
    CHECK(TMPFS_MAGIC, fs.f_type);
    call(SYS_close, fd);
    CHECK(0, call(SYS_statfs, "/proc", &fs));
    CHECK(PROC_SUPER_MAGIC, fs.f_type);
    CHECK(-ENOENT, call(SYS_statfs, "none", &fs));
    CHECK(-EFAULT, call(SYS_statfs, ".", T_BAD));
    CHECK(-EBADF, call(SYS_fstatfs, 999, &fs));
}

int main(void)
{
    t_enter();
    stats();
    by_descriptor();
    extended();
    devices();
    times();
    file_systems();
    return t_leave();
}
