/* SPDX-License-Identifier: MIT */
/* Mounting through descriptors: fsopen, fsconfig, fsmount, move_mount, open_tree, fspick, mount_setattr. On Linux in a mount
 * namespace of the test's own. */
#define _GNU_SOURCE
#include "t.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <sched.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#define TOP         "/tmp/t_fsmount"
#define A           TOP "/a"
#define B           TOP "/b"
#define MS_PRIVATE_ (1 << 18)
#define MS_SHARED_  (1 << 20)
#define DETACH      2

static bool exists(const char *name)
{
    struct stat st;
    return call(SYS_lstat, name, &st) == 0;
}

static long set(long fd, const char *key, const char *value)
{
    return call(SYS_fsconfig, fd, value ? FSCONFIG_SET_STRING : FSCONFIG_SET_FLAG, key, value, 0);
}

static long make_at(long dir, const char *name)
{
    long fd = call(SYS_openat, dir, name, O_CREAT | O_RDWR, 0644);
    if (fd >= 0)
        call(SYS_close, fd);
    return fd < 0 ? fd : 0;
}

static long flags_of(const char *name)
{
    struct statfs st;
    CHECK(0, call(SYS_statfs, name, &st));
    return st.f_flags & 0x3c0f;
}

static void opens(void)
{
    char buf[16];
    CHECK(-ENODEV, call(SYS_fsopen, "nosuchfs", 0));
    CHECK(-EINVAL, call(SYS_fsopen, "tmpfs", 2));
    CHECK(-EFAULT, call(SYS_fsopen, T_BAD, 0));
    long fd = call(SYS_fsopen, "tmpfs", FSOPEN_CLOEXEC);
    CHECK(true, fd >= 0);
    CHECK(FD_CLOEXEC, call(SYS_fcntl, fd, F_GETFD));
    CHECK(-EINVAL, call(SYS_fsconfig, -1, FSCONFIG_SET_FLAG, "ro", 0, 0));
    CHECK(-EBADF, call(SYS_fsconfig, 999, FSCONFIG_SET_FLAG, "ro", 0, 0));
    CHECK(-EOPNOTSUPP, call(SYS_fsconfig, fd, 99, 0, 0, 0));
    CHECK(-EINVAL, call(SYS_fsconfig, fd, FSCONFIG_SET_FLAG, "ro", "x", 0));
    CHECK(-EINVAL, call(SYS_fsconfig, fd, FSCONFIG_SET_FLAG, 0, 0, 0));
    CHECK(-EINVAL, call(SYS_fsconfig, fd, FSCONFIG_SET_STRING, "size", 0, 0));
    CHECK(-EINVAL, call(SYS_fsconfig, fd, FSCONFIG_CMD_CREATE, "x", 0, 0));
    CHECK(-EINVAL, call(SYS_fsmount, fd, 0, 0)); /* nothing made yet */
    CHECK(-EBUSY, call(SYS_fsconfig, fd, FSCONFIG_CMD_RECONFIGURE, 0, 0, 0));
    CHECK(-EINVAL, set(fd, "nonsense", "1"));
    CHECK(0, set(fd, "source", "name"));
    CHECK(0, set(fd, "size", "64k"));
    CHECK(0, set(fd, "mode", "700"));
    CHECK(0, call(SYS_fsconfig, fd, FSCONFIG_CMD_CREATE, 0, 0, 0));
    CHECK(-EBUSY, call(SYS_fsconfig, fd, FSCONFIG_CMD_CREATE, 0, 0, 0));
    CHECK(-EBUSY, set(fd, "size", "64k"));
    CHECK(-EINVAL, call(SYS_fsmount, fd, 8, 0));
    CHECK(-EINVAL, call(SYS_fsmount, fd, 0, 0x70));
    CHECK(-EINVAL, call(SYS_fsmount, fd, 0, 1 << 30));
    long m = call(SYS_fsmount, fd, FSMOUNT_CLOEXEC, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOATIME);
    CHECK(true, m >= 0);
    CHECK(-EBUSY, call(SYS_fsmount, fd, 0, 0));
    CHECK(0, make_at(m, "f"));
    CHECK(-EBADF, call(SYS_read, m, buf, 1));
    CHECK(0, call(SYS_move_mount, m, "", AT_FDCWD, A, MOVE_MOUNT_F_EMPTY_PATH));
    CHECK(true, exists(A "/f"));
    CHECK(2 | 1024, flags_of(A));
    struct stat st;
    CHECK(0, call(SYS_stat, A, &st));
    CHECK(S_IFDIR | 0700, st.st_mode);
    CHECK(0, call(SYS_close, m));
    CHECK(true, exists(A "/f"));
    CHECK(0, call(SYS_umount2, A, 0)); /* the setup does not hold it */
    call(SYS_close, fd);
    CHECK(-EINVAL,
          call(SYS_fsconfig, call(SYS_open, "/", O_RDONLY), FSCONFIG_SET_FLAG, "ro", 0, 0));
    call(SYS_close, fd);
}

static void trees(void)
{
    CHECK(0, call(SYS_mount, "one", A, "tmpfs", 0, 0));
    CHECK(0, make_at(AT_FDCWD, A "/f"));
    CHECK(0, call(SYS_mkdir, A "/d", 0755));
    CHECK(0, call(SYS_mount, "two", A "/d", "tmpfs", 0, 0));
    CHECK(0, make_at(AT_FDCWD, A "/d/g"));
    CHECK(-EINVAL, call(SYS_open_tree, AT_FDCWD, A, 0x10000));
    CHECK(-EINVAL, call(SYS_open_tree, AT_FDCWD, A, AT_RECURSIVE));
    CHECK(-ENOENT, call(SYS_open_tree, AT_FDCWD, TOP "/none", 0));
    long fd = call(SYS_open_tree, AT_FDCWD, A, OPEN_TREE_CLONE);
    CHECK(true, fd >= 0);
    CHECK(-ENOENT, call(SYS_faccessat, fd, "d/g", F_OK));
    CHECK(0, call(SYS_faccessat, fd, "f", F_OK));
    CHECK(0, call(SYS_close, fd));
    fd = call(SYS_open_tree, AT_FDCWD, A, OPEN_TREE_CLONE | AT_RECURSIVE | OPEN_TREE_CLOEXEC);
    CHECK(0, call(SYS_faccessat, fd, "d/g", F_OK));
    CHECK(-EINVAL, call(SYS_move_mount, fd, "d", AT_FDCWD, B, 0)); /* only as a whole */
    CHECK(-EINVAL, call(SYS_move_mount, fd, "", AT_FDCWD, B, 0x1000 | MOVE_MOUNT_F_EMPTY_PATH));
    CHECK(-ENOENT, call(SYS_move_mount, fd, "", AT_FDCWD, B, 0));
    CHECK(0, call(SYS_move_mount, fd, "", AT_FDCWD, B, MOVE_MOUNT_F_EMPTY_PATH));
    CHECK(true, exists(B "/d/g"));
    CHECK(0, call(SYS_close, fd));
    CHECK(true, exists(B "/d/g"));
    CHECK(0, call(SYS_umount2, B, DETACH));
    CHECK(false, exists(B "/d"));
    /* A plain one is an O_PATH descriptor, and moves what is there. */
    fd = call(SYS_open_tree, AT_FDCWD, A "/d", 0);
    CHECK(0, call(SYS_move_mount, fd, "", AT_FDCWD, B, MOVE_MOUNT_F_EMPTY_PATH));
    CHECK(true, exists(B "/g"));
    CHECK(false, exists(A "/d/g"));
    CHECK(-EBUSY, call(SYS_umount2, B, 0));
    call(SYS_close, fd);
    CHECK(0, call(SYS_umount2, B, 0));
    /* Beneath. */
    CHECK(0, call(SYS_mount, "top", B, "tmpfs", 0, 0));
    CHECK(0, make_at(AT_FDCWD, B "/top"));
    fd = call(SYS_open_tree, AT_FDCWD, A, OPEN_TREE_CLONE);
    CHECK(0, call(SYS_move_mount, fd, "", AT_FDCWD, B,
                  MOVE_MOUNT_F_EMPTY_PATH | 0x200 /* MOVE_MOUNT_BENEATH */));
    call(SYS_close, fd);
    CHECK(true, exists(B "/top"));
    CHECK(0, call(SYS_umount2, B, 0));
    CHECK(true, exists(B "/f"));
    CHECK(0, call(SYS_umount2, B, 0));
    CHECK(0, call(SYS_umount2, A, 0));
}

static void picks(void)
{
    struct statfs st;
    CHECK(0, call(SYS_mount, "one", A, "tmpfs", 0, "size=64k"));
    CHECK(0, call(SYS_mkdir, A "/d", 0755));
    CHECK(-EINVAL, call(SYS_fspick, AT_FDCWD, A, 0x10));
    CHECK(-EINVAL, call(SYS_fspick, AT_FDCWD, A "/d", 0));
    CHECK(-ENOENT, call(SYS_fspick, AT_FDCWD, TOP "/none", 0));
    long fd = call(SYS_fspick, AT_FDCWD, A, FSPICK_CLOEXEC);
    CHECK(true, fd >= 0);
    CHECK(-EBUSY, call(SYS_fsconfig, fd, FSCONFIG_CMD_CREATE, 0, 0, 0));
    CHECK(0, set(fd, "size", "128k"));
    CHECK(0, call(SYS_fsconfig, fd, FSCONFIG_CMD_RECONFIGURE, 0, 0, 0));
    CHECK(0, call(SYS_statfs, A, &st));
    CHECK(32, st.f_blocks);
    CHECK(0, set(fd, "ro", NULL));
    CHECK(0, call(SYS_fsconfig, fd, FSCONFIG_CMD_RECONFIGURE, 0, 0, 0));
    CHECK(-EROFS, make_at(AT_FDCWD, A "/f"));
    CHECK(0, set(fd, "rw", NULL));
    CHECK(0, call(SYS_fsconfig, fd, FSCONFIG_CMD_RECONFIGURE, 0, 0, 0));
    CHECK(0, make_at(AT_FDCWD, A "/f"));
    CHECK(0, call(SYS_umount2, A, 0));
    call(SYS_close, fd);
}

static long attr(const char *name, unsigned flags, struct mount_attr a)
{
    return call(SYS_mount_setattr, AT_FDCWD, name, flags, &a, sizeof(a));
}

static void attrs(void)
{
    struct mount_attr a = { .attr_set = MOUNT_ATTR_RDONLY };
    char big[64] = { 0 };
    CHECK(0, call(SYS_mount, "one", A, "tmpfs", 0, 0));
    CHECK(0, call(SYS_mkdir, A "/d", 0755));
    CHECK(0, call(SYS_mount, "two", A "/d", "tmpfs", 0, 0));
    CHECK(-EINVAL, call(SYS_mount_setattr, AT_FDCWD, A, 0, &a, 8));
    CHECK(-E2BIG, call(SYS_mount_setattr, AT_FDCWD, A, 0, &a, 1 << 20));
    memcpy(big, &a, sizeof(a));
    big[40] = 1;
    CHECK(-E2BIG, call(SYS_mount_setattr, AT_FDCWD, A, 0, big, sizeof(big)));
    big[40] = 0;
    CHECK(-EFAULT, call(SYS_mount_setattr, AT_FDCWD, A, 0, T_BAD, sizeof(a)));
    CHECK(-EINVAL, attr(A, 0x10000, a));
    CHECK(-EINVAL, attr(A "/d/..", 0, (struct mount_attr){ .attr_set = 1 << 30 }));
    CHECK(-EINVAL, attr(A, 0, (struct mount_attr){ .attr_set = MOUNT_ATTR_NOATIME }));
    CHECK(-EINVAL, attr(A, 0, (struct mount_attr){ .attr_clr = MOUNT_ATTR_NOATIME }));
    CHECK(-EINVAL, attr(A, 0, (struct mount_attr){ .propagation = MS_SHARED_ | MS_PRIVATE_ }));
    CHECK(0, call(SYS_mount_setattr, AT_FDCWD, A, 0, big, sizeof(big)));
    CHECK(1 | 0x1000, flags_of(A));
    CHECK(0x1000, flags_of(A "/d"));
    CHECK(0, attr(A, AT_RECURSIVE,
                  (struct mount_attr){ .attr_set = MOUNT_ATTR_NOEXEC,
                                       .attr_clr = MOUNT_ATTR_RDONLY }));
    CHECK(8 | 0x1000, flags_of(A));
    CHECK(8 | 0x1000, flags_of(A "/d"));
    CHECK(0, attr(A, 0,
                  (struct mount_attr){ .attr_set = MOUNT_ATTR_NOATIME,
                                       .attr_clr = MOUNT_ATTR__ATIME }));
    CHECK(8 | 1024, flags_of(A));
    /* All or none. */
    long fd = call(SYS_open, A "/d/f", O_CREAT | O_RDWR, 0644);
    CHECK(-EBUSY, attr(A, AT_RECURSIVE, a));
    CHECK(8 | 1024, flags_of(A));
    CHECK(0, make_at(AT_FDCWD, A "/g"));
    call(SYS_close, fd);
    CHECK(0, attr(A, 0, (struct mount_attr){ .propagation = MS_PRIVATE_ }));
    CHECK(0, call(SYS_umount2, A, DETACH));
}

int main(void)
{
#ifndef T_IN_PROCESS
    if (!t_alcove() && unshare((geteuid() ? CLONE_NEWUSER : 0) | CLONE_NEWNS))
        return 1;
    call(SYS_mount, NULL, "/", NULL, (1 << 14) | MS_PRIVATE_, NULL);
#endif
    call(SYS_mkdir, "/tmp", 01777);
    call(SYS_mkdir, TOP, 0755);
    CHECK(0, call(SYS_mount, "top", TOP, "tmpfs", 0, 0));
    CHECK(0, call(SYS_mkdir, A, 0755));
    CHECK(0, call(SYS_mkdir, B, 0755));
    opens();
    trees();
    picks();
    attrs();
    CHECK(0, call(SYS_umount2, TOP, 0));
    CHECK(0, call(SYS_rmdir, TOP));
    return t_end();
}
