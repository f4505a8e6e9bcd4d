/* SPDX-License-Identifier: MIT */
/* mount(2), umount2(2), mount_namespaces(7): binds, moves, flags of one mount, sharing, busy and lazy unmounts, what stat, statfs,
 * rename, openat2, inotify and /proc say of mounts. On Linux in a mount namespace of the test's own. */
#define _GNU_SOURCE
#include "t.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define TOP "/tmp/t_mount"
#define A   TOP "/a"
#define B   TOP "/b"
#define C   TOP "/c"

static long mnt(const char *source, const char *target, const char *type, unsigned long flags,
                const char *data)
{
    return call(SYS_mount, source, target, type, flags, data);
}

static long umnt(const char *target, int flags)
{
    return call(SYS_umount2, target, flags);
}

static long open_close(const char *name, int flags)
{
    long fd = call(SYS_open, name, flags, 0644);
    if (fd >= 0)
        call(SYS_close, fd);
    return fd >= 0 ? 0 : fd;
}

static long make(const char *name)
{
    return open_close(name, O_CREAT | O_RDWR);
}

static bool exists(const char *name)
{
    struct stat st;
    return call(SYS_lstat, name, &st) == 0;
}

static ino_t ino(const char *name)
{
    struct stat st = { .st_ino = 0 };
    CHECK(0, call(SYS_lstat, name, &st));
    return st.st_ino;
}

/* The line of /proc/self/mountinfo that is mounted at point, the last one; "" if none. */
static const char *info(const char *point)
{
    static char text[65536], line[512];
    size_t len = 0;
    long fd = call(SYS_open, "/proc/self/mountinfo", O_RDONLY), got;
    while ((got = call(SYS_read, fd, text + len, sizeof(text) - 1 - len)) > 0)
        len += (size_t)got;
    text[len] = '\0';
    call(SYS_close, fd);
    line[0] = '\0';
    char want[256];
    snprintf(want, sizeof(want), " %s ", point);
    for (char *p = strtok(text, "\n"); p; p = strtok(NULL, "\n"))
        if (strstr(p, want))
            snprintf(line, sizeof(line), "%s", p);
    return line;
}

static bool says(const char *point, const char *part)
{
    const char *line = info(point);
    bool ok = strstr(line, part) != NULL;
    if (!ok)
        fprintf(stderr, "%s: no \"%s\" in \"%s\"\n", point, part, line);
    return ok;
}

static void errors(void)
{
    CHECK(-ENOENT, mnt("x", TOP "/none", "tmpfs", 0, NULL));
    CHECK(-EFAULT, mnt(T_BAD, A, "tmpfs", 0, NULL));
    CHECK(-EFAULT, mnt("x", T_BAD, "tmpfs", 0, NULL));
    CHECK(-EFAULT, mnt("x", A, T_BAD, 0, NULL));
    CHECK(-ENODEV, mnt("x", A, "nosuchfs", 0, NULL));
    CHECK(-EINVAL, mnt("x", A, NULL, 0, NULL));
    CHECK(-EINVAL, mnt("x", A, "tmpfs", 0, "nosuchoption"));
    CHECK(-EINVAL, mnt(NULL, A, NULL, MS_BIND, NULL));
    CHECK(-EINVAL, mnt("", A, NULL, MS_BIND, NULL));
    CHECK(-ENOENT, mnt(TOP "/none", A, NULL, MS_BIND, NULL));
    CHECK(-EINVAL, mnt("x", A, "tmpfs", MS_REMOUNT, NULL)); /* no mount's root */
    CHECK(-EINVAL, mnt("x", A, NULL, MS_REMOUNT | MS_BIND, NULL));
    CHECK(-EINVAL, mnt(NULL, A, NULL, MS_PRIVATE, NULL));
    CHECK(-EINVAL, mnt(A, B, NULL, MS_MOVE, NULL));
    CHECK(-EINVAL, umnt(A, 0));
    CHECK(-EINVAL, umnt(A, 0x100));
    CHECK(-ENOENT, umnt(TOP "/none", 0));
    CHECK(-EFAULT, umnt(T_BAD, 0));
    CHECK(0, make(TOP "/file"));
    CHECK(-ENOTDIR, mnt("x", TOP "/file", "tmpfs", 0, NULL));
    CHECK(-ENOTDIR, mnt(A, TOP "/file", NULL, MS_BIND, NULL));
    CHECK(-ENOTDIR, mnt(TOP "/file", A, NULL, MS_BIND, NULL));
}

static void binds(void)
{
    CHECK(0, mnt("one", A, "tmpfs", 0, "mode=755"));
    CHECK(0, call(SYS_mkdir, A "/d", 0755));
    CHECK(0, make(A "/d/f"));
    CHECK(0, mnt(A "/d", B, NULL, MS_BIND, NULL));
    CHECK(ino(A "/d/f"), ino(B "/f"));
    CHECK(true, says(B, " /d " B " "));
    CHECK(true, says(B, " - tmpfs one rw"));
    /* ".." leaves through the mount point. */
    CHECK(ino(TOP), ino(B "/.."));
    CHECK(ino(A), ino(A "/d/.."));
    /* One file system, two mounts. */
    CHECK(-EXDEV, call(SYS_rename, B "/f", A "/d/g"));
    CHECK(-EXDEV, call(SYS_link, B "/f", A "/d/g"));
    CHECK(0, call(SYS_rename, B "/f", B "/g"));
    CHECK(true, exists(A "/d/g"));
    /* A mount point cannot go, by whatever name. */
    CHECK(0, call(SYS_mkdir, B "/m", 0755));
    CHECK(0, mnt("two", B "/m", "tmpfs", 0, NULL));
    CHECK(-EBUSY, call(SYS_rmdir, B "/m"));
    CHECK(-EBUSY, call(SYS_rmdir, A "/d/m"));
    CHECK(-EBUSY, call(SYS_rename, B "/m", B "/n"));
    /* What is mounted in the one is not in the other. */
    CHECK(0, make(B "/m/x"));
    CHECK(false, exists(A "/d/m/x"));
    /* A file over a file. */
    CHECK(0, make(A "/file"));
    CHECK(0, mnt(A "/file", TOP "/file", NULL, MS_BIND, NULL));
    CHECK(ino(A "/file"), ino(TOP "/file"));
    CHECK(-EBUSY, call(SYS_unlink, TOP "/file"));
    CHECK(0, umnt(TOP "/file", 0));
    /* With and without what is below. */
    CHECK(0, mnt(B, C, NULL, MS_BIND, NULL));
    CHECK(false, exists(C "/m/x"));
    CHECK(0, umnt(C, 0));
    CHECK(0, mnt(B, C, NULL, MS_BIND | MS_REC, NULL));
    CHECK(true, exists(C "/m/x"));
    CHECK(-EBUSY, umnt(C, 0));
    CHECK(0, umnt(C "/m", 0));
    CHECK(0, umnt(C, 0));
    CHECK(-EBUSY, umnt(B, 0));
    CHECK(0, umnt(B "/m", 0));
    CHECK(0, umnt(B, 0));
    CHECK(0, umnt(A, 0));
    CHECK(false, exists(A "/d"));
}

static void stacks(void)
{
    CHECK(0, mnt("one", A, "tmpfs", 0, NULL));
    CHECK(0, make(A "/1"));
    CHECK(0, mnt("two", A, "tmpfs", 0, NULL));
    CHECK(false, exists(A "/1"));
    CHECK(0, make(A "/2"));
    CHECK(0, mnt("three", A, "tmpfs", 0, NULL));
    CHECK(0, make(A "/3"));
    CHECK(ino(TOP), ino(A "/.."));
    CHECK(0, mnt(A, A, NULL, MS_BIND, NULL));
    CHECK(0, umnt(A, 0));
    CHECK(true, exists(A "/3"));
    CHECK(0, umnt(A, 0));
    CHECK(true, exists(A "/2"));
    CHECK(0, umnt(A, 0));
    CHECK(true, exists(A "/1"));
    CHECK(0, umnt(A, 0));
    CHECK(-EINVAL, umnt(A, 0));
}

static long flags_of(const char *name)
{
    struct statfs st;
    CHECK(0, call(SYS_statfs, name, &st));
    return st.f_flags &
           (ST_RDONLY | ST_NOSUID | ST_NODEV | ST_NOEXEC | ST_NOATIME | ST_NODIRATIME | 0x1000);
}

static void mount_flags(void)
{
    struct stat before, after;
    struct timespec old[2] = { { 1000, 0 }, { 2000, 0 } };
    char c;
    CHECK(0, mnt("one", A, "tmpfs", MS_NOSUID | MS_NODEV, NULL));
    CHECK(ST_NOSUID | ST_NODEV | 0x1000, flags_of(A));
    CHECK(0, make(A "/f"));
    CHECK(0, call(SYS_chmod, A "/f", 0755));
    CHECK(0, mnt(A, B, NULL, MS_BIND, NULL));
    CHECK(ST_NOSUID | ST_NODEV | 0x1000, flags_of(B));
    CHECK(0, mnt(NULL, B, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOEXEC, NULL));
    CHECK(ST_RDONLY | ST_NOEXEC | 0x1000, flags_of(B));
    CHECK(ST_NOSUID | ST_NODEV | 0x1000, flags_of(A));
    CHECK(true, says(B, " ro,noexec,relatime "));
    CHECK(true, says(B, " - tmpfs one rw"));
    CHECK(-EROFS, open_close(B "/f", O_RDWR));
    CHECK(-EROFS, make(B "/g"));
    CHECK(-EROFS, call(SYS_mkdir, B "/g", 0755));
    CHECK(-EROFS, call(SYS_unlink, B "/f"));
    CHECK(-EROFS, call(SYS_chmod, B "/f", 0644));
    CHECK(-EROFS, call(SYS_truncate, B "/f", 0));
    CHECK(-EROFS, call(SYS_utimensat, AT_FDCWD, B "/f", old, 0));
    CHECK(-EROFS, call(SYS_setxattr, B "/f", "user.x", "y", 1, 0));
    CHECK(-EROFS, call(SYS_faccessat2, AT_FDCWD, B "/f", W_OK, 0));
    CHECK(-EACCES, call(SYS_faccessat2, AT_FDCWD, B "/f", X_OK, 0));
    char *argv[] = { "x", NULL };
    CHECK(-EACCES, call(SYS_execve, B "/f", argv, argv + 1));
    CHECK(0, open_close(B "/f", O_RDONLY));
    CHECK(0, open_close(A "/f", O_RDWR));
    /* Access times. */
    CHECK(0, mnt(NULL, B, NULL, MS_REMOUNT | MS_BIND | MS_NOATIME, NULL));
    CHECK(0, call(SYS_utimensat, AT_FDCWD, A "/f", old, 0));
    long fd = call(SYS_open, A "/f", O_RDWR);
    CHECK(1, call(SYS_write, fd, "x", 1));
    call(SYS_close, fd);
    CHECK(0, call(SYS_utimensat, AT_FDCWD, A "/f", old, 0));
    fd = call(SYS_open, B "/f", O_RDONLY);
    CHECK(1, call(SYS_read, fd, &c, 1));
    call(SYS_close, fd);
    CHECK(0, call(SYS_stat, B "/f", &before));
    CHECK(1000, before.st_atim.tv_sec);
    fd = call(SYS_open, A "/f", O_RDONLY);
    CHECK(1, call(SYS_read, fd, &c, 1));
    call(SYS_close, fd);
    CHECK(0, call(SYS_stat, B "/f", &after));
    CHECK(true, after.st_atim.tv_sec > 1000);
    /* Nothing about times keeps them. */
    CHECK(0, mnt(NULL, B, NULL, MS_REMOUNT | MS_BIND, NULL));
    CHECK(ST_NOATIME, flags_of(B));
    CHECK(0, mnt(NULL, B, NULL, MS_REMOUNT | MS_BIND | MS_STRICTATIME, NULL));
    CHECK(0, flags_of(B));
    /* Symbolic links that are not followed there. */
    CHECK(0, call(SYS_symlink, "f", A "/l"));
    CHECK(0, mnt(NULL, B, NULL, MS_REMOUNT | MS_BIND | 256, NULL));
    CHECK(-ELOOP, open_close(B "/l", O_RDONLY));
    CHECK(0, open_close(A "/l", O_RDONLY));
    CHECK(true, says(B, ",nosymfollow"));
    CHECK(0, umnt(B, 0));
    CHECK(0, umnt(A, 0));
    CHECK(0, mnt("one", A, "tmpfs", MS_NODEV, NULL));
    if (call(SYS_mknod, A "/null", S_IFCHR | 0666, 0x103) == 0)
        CHECK(-EACCES, open_close(A "/null", O_RDONLY));
    CHECK(0, umnt(A, 0));
}

static void read_only(void)
{
    CHECK(0, mnt("one", A, "tmpfs", 0, NULL));
    CHECK(0, mnt(A, B, NULL, MS_BIND, NULL));
    long fd = call(SYS_open, A "/f", O_CREAT | O_RDWR, 0644);
    CHECK(-EBUSY, mnt(NULL, A, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL));
    CHECK(-EBUSY, mnt(NULL, B, NULL, MS_REMOUNT | MS_RDONLY, NULL));
    CHECK(0, mnt(NULL, B, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL));
    CHECK(0, make(A "/g"));
    CHECK(0, mnt(NULL, B, NULL, MS_REMOUNT | MS_BIND, NULL));
    call(SYS_close, fd);
    CHECK(0, mnt(NULL, A, NULL, MS_REMOUNT | MS_RDONLY, NULL));
    CHECK(-EROFS, make(A "/h"));
    CHECK(-EROFS, make(B "/h"));
    CHECK(true, says(B, " rw,relatime "));
    CHECK(true, says(B, " - tmpfs one ro"));
    CHECK(true, says(A, " ro,relatime "));
    CHECK(0, mnt(NULL, A, NULL, MS_REMOUNT, NULL));
    CHECK(0, make(B "/h"));
    CHECK(0, umnt(B, 0));
    CHECK(0, umnt(A, 0));
}

static void busy(void)
{
    char c = 0;
    CHECK(0, mnt("one", A, "tmpfs", 0, NULL));
    long fd = call(SYS_open, A "/f", O_CREAT | O_RDWR, 0644);
    CHECK(-EBUSY, umnt(A, 0));
    CHECK(-EBUSY, umnt(A, MNT_EXPIRE));
    CHECK(0, umnt(A, MNT_DETACH));
    CHECK(false, exists(A "/f"));
    CHECK(1, call(SYS_write, fd, "x", 1));
    CHECK(1, call(SYS_pread64, fd, &c, 1, 0));
    CHECK('x', c);
    CHECK(0, call(SYS_close, fd));
    /* As the working directory. */
    CHECK(0, mnt("one", A, "tmpfs", 0, NULL));
    CHECK(0, call(SYS_mkdir, A "/d", 0755));
    CHECK(0, mnt("two", A "/d", "tmpfs", 0, NULL));
    CHECK(0, call(SYS_chdir, A "/d"));
    CHECK(-EBUSY, umnt(A, 0));
    CHECK(-EBUSY, umnt(A "/d", 0));
    CHECK(0, umnt(A, MNT_DETACH));
    CHECK(0, make("f"));
    CHECK(ino("."), ino(".."));
    char cwd[256];
    CHECK(true, call(SYS_getcwd, cwd, sizeof(cwd)) > 0);
    CHECK(true, strncmp(cwd, "(unreachable)", 13) == 0);
    CHECK(true, mnt("x", ".", "tmpfs", 0, NULL) < 0); /* it is in no name space any more */
    CHECK(-EINVAL, mnt(".", B, NULL, MS_BIND, NULL));
    CHECK(-EINVAL, umnt(".", MNT_DETACH));
    CHECK(0, call(SYS_chdir, "/"));
    /* Expiry. */
    CHECK(0, mnt("one", A, "tmpfs", 0, NULL));
    CHECK(-EINVAL, umnt(A, MNT_EXPIRE | MNT_DETACH));
    CHECK(-EINVAL, umnt(A, MNT_EXPIRE | MNT_FORCE));
    CHECK(-EAGAIN, umnt(A, MNT_EXPIRE));
    CHECK(false, exists(A "/f"));
    CHECK(-EAGAIN, umnt(A, MNT_EXPIRE));
    CHECK(0, umnt(A, MNT_EXPIRE));
    CHECK(-EINVAL, umnt(A, MNT_EXPIRE));
    /* Links. */
    CHECK(0, mnt("one", A, "tmpfs", 0, NULL));
    CHECK(0, call(SYS_symlink, A, TOP "/link"));
    CHECK(-EINVAL, umnt(TOP "/link", UMOUNT_NOFOLLOW));
    CHECK(0, umnt(TOP "/link", MNT_FORCE));
    CHECK(0, call(SYS_unlink, TOP "/link"));
}

static void moves(void)
{
    CHECK(0, mnt("one", A, "tmpfs", 0, NULL));
    CHECK(0, mnt(NULL, A, NULL, MS_PRIVATE, NULL));
    CHECK(0, call(SYS_mkdir, A "/d", 0755));
    CHECK(0, mnt("two", A "/d", "tmpfs", 0, NULL));
    CHECK(0, make(A "/d/f"));
    CHECK(0, call(SYS_mkdir, A "/d/e", 0755));
    CHECK(-ELOOP, mnt(A, A "/d/e", NULL, MS_MOVE, NULL));
    CHECK(-EINVAL, mnt(A "/d", TOP "/file", NULL, MS_MOVE, NULL));
    CHECK(-ENOENT, mnt(A "/none", B, NULL, MS_MOVE, NULL));
    long fd = call(SYS_open, A "/d/f", O_RDONLY);
    CHECK(0, mnt(A "/d", B, NULL, MS_MOVE, NULL));
    CHECK(true, exists(B "/f"));
    CHECK(false, exists(A "/d/f"));
    CHECK(ino(TOP), ino(B "/.."));
    CHECK(0, call(SYS_rmdir, A "/d"));
    char name[64], at[256];
    snprintf(name, sizeof(name), "/proc/self/fd/%ld", fd);
    long n = call(SYS_readlink, name, at, sizeof(at) - 1);
    at[n > 0 ? n : 0] = '\0';
    CHECK(0, strcmp(at, B "/f"));
    call(SYS_close, fd);
    CHECK(0, umnt(B, 0));
    CHECK(0, umnt(A, 0));
}

static void sharing(void)
{
    CHECK(0, mnt("one", A, "tmpfs", 0, NULL));
    CHECK(0, call(SYS_mkdir, A "/m", 0755));
    CHECK(0, mnt(NULL, A, NULL, MS_SHARED, NULL));
    CHECK(true, says(A, " shared:"));
    CHECK(0, mnt(A, B, NULL, MS_BIND, NULL));
    CHECK(0, mnt(A, C, NULL, MS_BIND, NULL));
    CHECK(0, mnt(NULL, C, NULL, MS_SLAVE, NULL));
    CHECK(true, says(C, " master:"));
    CHECK(true, strstr(info(C), "shared:") == NULL);
    /* From a peer to the peer and the slave. */
    CHECK(0, mnt("two", B "/m", "tmpfs", 0, NULL));
    CHECK(0, make(B "/m/f"));
    CHECK(true, exists(A "/m/f"));
    CHECK(true, exists(C "/m/f"));
    CHECK(true, says(A "/m", " shared:"));
    CHECK(true, says(C "/m", " master:"));
    CHECK(-EINVAL, mnt(A "/m", TOP "/d", NULL, MS_MOVE, NULL)); /* in a shared parent */
    CHECK(0, umnt(A "/m", 0));
    CHECK(false, exists(A "/m/f"));
    CHECK(false, exists(B "/m/f"));
    CHECK(false, exists(C "/m/f"));
    /* Not from the slave. */
    CHECK(0, mnt("two", C "/m", "tmpfs", 0, NULL));
    CHECK(0, make(C "/m/f"));
    CHECK(false, exists(A "/m/f"));
    CHECK(0, umnt(C "/m", 0));
    /* Private ones neither give nor take. */
    CHECK(0, mnt(NULL, C, NULL, MS_PRIVATE, NULL));
    CHECK(0, mnt("two", A "/m", "tmpfs", 0, NULL));
    CHECK(0, make(A "/m/f"));
    CHECK(true, exists(B "/m/f"));
    CHECK(false, exists(C "/m/f"));
    CHECK(0, umnt(B "/m", 0));
    CHECK(false, exists(A "/m/f"));
    CHECK(0, umnt(C, 0));
    /* What cannot be bound. */
    CHECK(0, mnt(NULL, B, NULL, MS_UNBINDABLE, NULL));
    CHECK(true, says(B, " unbindable "));
    CHECK(-EINVAL, mnt(B, C, NULL, MS_BIND, NULL));
    CHECK(-EINVAL, mnt(NULL, B, NULL, MS_SHARED | MS_PRIVATE, NULL));
    CHECK(-EINVAL, mnt(NULL, B, NULL, MS_SHARED | MS_NOSUID, NULL));
    CHECK(0, mnt(NULL, B, NULL, MS_SHARED | MS_SILENT, NULL));
    CHECK(0, umnt(B, 0));
    CHECK(0, umnt(A, 0));
}

static void tells(void)
{
    struct open_how how = { .flags = O_RDONLY, .resolve = RESOLVE_NO_XDEV };
    struct statx sx, sy;
    struct inotify_event e[8];
    CHECK(0, mnt("one", A, "tmpfs", 0, NULL));
    CHECK(0, make(A "/f"));
    CHECK(-EXDEV, call(SYS_openat2, AT_FDCWD, A "/f", &how, sizeof(how)));
    long dir = call(SYS_open, A, O_RDONLY | O_DIRECTORY);
    long fd = call(SYS_openat2, dir, "f", &how, sizeof(how));
    CHECK(true, fd >= 0);
    CHECK(-EXDEV, call(SYS_openat2, dir, "..", &how, sizeof(how)));
    call(SYS_close, fd);
    call(SYS_close, dir);
    CHECK(0, call(SYS_statx, AT_FDCWD, A, 0, STATX_MNT_ID, &sx));
    CHECK(0, call(SYS_statx, AT_FDCWD, A "/f", 0, STATX_MNT_ID, &sy));
    CHECK(STATX_MNT_ID, sx.stx_mask & STATX_MNT_ID);
    CHECK(sx.stx_mnt_id, sy.stx_mnt_id);
    CHECK(STATX_ATTR_MOUNT_ROOT, sx.stx_attributes & STATX_ATTR_MOUNT_ROOT);
    CHECK(0, sy.stx_attributes & STATX_ATTR_MOUNT_ROOT);
    CHECK((long)sx.stx_mnt_id, atol(info(A)));
    /* A watch ends with the file system. */
    long in = call(SYS_inotify_init1, IN_NONBLOCK);
    long wd = call(SYS_inotify_add_watch, in, A "/f", IN_MODIFY);
    CHECK(true, wd > 0);
    CHECK(0, umnt(A, 0));
    CHECK(2 * (long)sizeof(e[0]), call(SYS_read, in, e, sizeof(e)));
    CHECK(IN_UNMOUNT, e[0].mask);
    CHECK(wd, e[0].wd);
    CHECK(IN_IGNORED, e[1].mask);
    call(SYS_close, in);
}

static void polls(void)
{
    static const char *const names[] = { "/proc/self/mounts", "/proc/self/mountinfo",
                                         "/proc/mounts" };
    char text[64];
    struct pollfd p[3];
    for (int i = 0; i < 3; i++)
        p[i] = (struct pollfd){ .fd = (int)call(SYS_open, names[i], O_RDONLY), .events = POLLPRI };
    CHECK(0, call(SYS_poll, p, 3, 0));
    CHECK(0, mnt("one", A, "tmpfs", 0, NULL));
    CHECK(3, call(SYS_poll, p, 3, 0));
    CHECK(POLLPRI | POLLERR, p[0].revents);
    CHECK(POLLPRI | POLLERR, p[1].revents);
    CHECK(0, call(SYS_poll, p, 3, 0)); /* told once */
    CHECK(0, umnt(A, 0));
    CHECK(3, call(SYS_poll, p, 3, 0));
    p[0].events = POLLIN | POLLPRI;
    CHECK(1, call(SYS_poll, p, 1, 0));
    CHECK(POLLIN, p[0].revents);
    CHECK(true, call(SYS_read, p[0].fd, text, sizeof(text)) > 0);
    for (int i = 0; i < 3; i++)
        call(SYS_close, p[i].fd);
}

static void rights(void)
{
    CHECK(0, mnt("one", A, "tmpfs", 0, NULL));
    CHECK(0, call(SYS_setresuid, -1, 1000, 0));
    CHECK(-EPERM, mnt("one", B, "tmpfs", 0, NULL));
    CHECK(-ENOENT, mnt("one", TOP "/none", "tmpfs", 0, NULL));
    CHECK(-EPERM, mnt(A, B, NULL, MS_BIND, NULL));
    CHECK(-EPERM, umnt(A, 0));
    CHECK(-EPERM, umnt(A, MNT_EXPIRE));
    CHECK(-EPERM, call(SYS_pivot_root, A, A));
    CHECK(0, call(SYS_setresuid, -1, 0, 0));
    CHECK(0, umnt(A, 0));
}

static void pivots(void)
{
    CHECK(0, mnt("one", A, "tmpfs", 0, NULL));
    CHECK(0, call(SYS_mkdir, A "/d", 0755));
    CHECK(-ENOENT, call(SYS_pivot_root, TOP "/none", A));
    CHECK(-ENOTDIR, call(SYS_pivot_root, TOP "/file", A));
    CHECK(-EINVAL, call(SYS_pivot_root, A "/d", A "/d"));
    CHECK(-EFAULT, call(SYS_pivot_root, T_BAD, A));
    CHECK(0, umnt(A, 0));
}

/* How many mounts are at or below TOP. */
static int mounts_at_top(void)
{
    static char buf[32768];
    long fd = call(SYS_open, "/proc/self/mountinfo", O_RDONLY, 0), n, len = 0;
    int found = 0;
    while ((n = call(SYS_read, fd, buf + len, sizeof(buf) - 1 - (size_t)len)) > 0)
        len += n;
    call(SYS_close, fd);
    buf[len] = '\0';
    for (char *at = buf; (at = strstr(at, " " TOP)); at++)
        found++;
    return found;
}

/* A shared mount that is bound into itself: the new one is its peer, but gets no copy of itself. */
static void into_itself(void)
{
    int before = mounts_at_top();
    CHECK(0, mnt("self", A, "tmpfs", 0, NULL));
    CHECK(0, mnt(NULL, A, NULL, MS_SHARED, NULL));
    CHECK(0, call(SYS_mkdir, A "/b", 0755));
    CHECK(0, call(SYS_mkdir, A "/c", 0755));
    CHECK(0, mnt(A, A "/b", NULL, MS_BIND, NULL));
    CHECK(before + 2, mounts_at_top());
    CHECK(0, mnt(A, A "/c", NULL, MS_BIND, NULL));
    CHECK(before + 4, mounts_at_top()); /* the one at b is told of it too */
    CHECK(0, mnt(A, A "/c", NULL, MS_BIND | MS_REC, NULL));
    CHECK(before + 20, mounts_at_top());
    /* One of them is on A itself, over the first. */
    for (int i = 0; i < 4 && mounts_at_top() > before; i++)
        CHECK(0, umnt(A, MNT_DETACH));
    CHECK(before, mounts_at_top());
}

int main(void)
{
#ifndef T_IN_PROCESS
    if (!t_alcove() && unshare((geteuid() ? CLONE_NEWUSER : 0) | CLONE_NEWNS))
        return 1;
    call(SYS_mount, NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL);
#endif
    call(SYS_umask, 022);
    call(SYS_mkdir, "/tmp", 01777);
    call(SYS_mkdir, TOP, 0755);
    CHECK(0, mnt("top", TOP, "tmpfs", 0, NULL));
    CHECK(0, call(SYS_mkdir, A, 0755));
    CHECK(0, call(SYS_mkdir, B, 0755));
    CHECK(0, call(SYS_mkdir, C, 0755));
    CHECK(0, call(SYS_mkdir, TOP "/d", 0755));
    errors();
    binds();
    stacks();
    mount_flags();
    read_only();
    busy();
    moves();
    sharing();
    into_itself();
    tells();
    polls();
    rights();
    pivots();
    CHECK(0, umnt(TOP, 0));
    CHECK(0, call(SYS_rmdir, TOP));
    return t_end();
}
