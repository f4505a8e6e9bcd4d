/* SPDX-License-Identifier: MIT */
/* Modes, owners, times and extended attributes. */
#define _GNU_SOURCE
#include <t_file.h>

#include <sys/time.h>
#include <sys/xattr.h>
#include <utime.h>

static struct stat st;

static long mode_of(const char *name)
{
    long err = call(SYS_stat, name, &st);
    return err ? err : (long)(st.st_mode & 07777);
}

static void modes(void)
{
    t_write("f", "x");
    CHECK(0, call(SYS_chmod, "f", 04751));
    CHECK(04751, mode_of("f"));
    CHECK(0, call(SYS_chmod, "f", 0177600)); /* the type cannot change */
    CHECK(07600, mode_of("f"));
    CHECK(S_IFREG, st.st_mode & S_IFMT);
    long fd = call(SYS_open, "f", O_RDWR);
    CHECK(0, call(SYS_fchmod, fd, 06755));
    CHECK(06755, mode_of("f"));
    if (call(SYS_getuid) != 0) /* root's writes and truncations leave the set-id bits */
        CHECK(1, call(SYS_write, fd, "y", 1));
    CHECK(0, call(SYS_symlink, "f", "l"));
    CHECK(0, call(SYS_chmod, "l", 0600));
    CHECK(0600, mode_of("f"));
    CHECK(0, call(SYS_fchmodat, AT_FDCWD, "f", 0640));
    CHECK(0640, mode_of("f"));
    CHECK(-ENOENT, call(SYS_chmod, "none", 0600));
    CHECK(-EBADF, call(SYS_fchmod, 999, 0600));
    CHECK(-ENOENT, call(SYS_fchmodat, AT_FDCWD, "", 0600));
    call(SYS_close, fd);
}

static void owners(void)
{
    if (call(SYS_getuid) != 0)
        return;
    CHECK(0, call(SYS_chmod, "f", 06755));
    CHECK(0, call(SYS_chown, "f", 12, 34));
    CHECK(0755, mode_of("f")); /* a new owner takes the set-id bits away */
    CHECK(12, st.st_uid);
    CHECK(34, st.st_gid);
    CHECK(0, call(SYS_chown, "f", -1, 56));
    CHECK(0, call(SYS_stat, "f", &st));
    CHECK(12, st.st_uid);
    CHECK(56, st.st_gid);
    CHECK(0, call(SYS_lchown, "l", 7, 8));
    CHECK(0, call(SYS_stat, "f", &st));
    CHECK(12, st.st_uid);
    CHECK(0, call(SYS_lstat, "l", &st));
    CHECK(7, st.st_uid);
    CHECK(0, call(SYS_fchownat, AT_FDCWD, "l", 9, -1, AT_SYMLINK_NOFOLLOW));
    CHECK(0, call(SYS_lstat, "l", &st));
    CHECK(9, st.st_uid);
    CHECK(-EINVAL, call(SYS_fchownat, AT_FDCWD, "l", 9, -1, 1));
    CHECK(-ENOENT, call(SYS_chown, "none", 0, 0));
    CHECK(-EBADF, call(SYS_fchown, 999, 0, 0));
    CHECK(0, call(SYS_chown, "f", 0, 0));
}

static void times(void)
{
    struct timespec ts[2] = { { 100, 200 }, { 300, 999999999 } };
    CHECK(0, call(SYS_utimensat, AT_FDCWD, "f", ts, 0));
    CHECK(0, call(SYS_stat, "f", &st));
    CHECK(100, st.st_atim.tv_sec);
    CHECK(200, st.st_atim.tv_nsec);
    CHECK(300, st.st_mtim.tv_sec);
    CHECK(999999999, st.st_mtim.tv_nsec);
    CHECK(1, st.st_ctim.tv_sec > 1000000);
    ts[0].tv_nsec = UTIME_OMIT;
    ts[1] = (struct timespec){ 0, UTIME_NOW };
    CHECK(0, call(SYS_utimensat, AT_FDCWD, "f", ts, 0));
    CHECK(0, call(SYS_stat, "f", &st));
    CHECK(100, st.st_atim.tv_sec);
    CHECK(1, st.st_mtim.tv_sec > 1000000);
    ts[1].tv_nsec = UTIME_OMIT;
    CHECK(0, call(SYS_utimensat, AT_FDCWD, "none", ts, 0)); /* nothing to do, nothing looked at */
    ts[1].tv_nsec = 1000000000;
    CHECK(-EINVAL, call(SYS_utimensat, AT_FDCWD, "f", ts, 0));
    CHECK(-EINVAL, call(SYS_utimensat, AT_FDCWD, "f", NULL, 1));
    CHECK(-ENOENT, call(SYS_utimensat, AT_FDCWD, "none", NULL, 0));
    CHECK(-EFAULT, call(SYS_utimensat, AT_FDCWD, "f", T_BAD, 0));
    long fd = call(SYS_open, "f", O_RDONLY);
    ts[0] = ts[1] = (struct timespec){ -5, 1 }; /* before 1970 */
    CHECK(0, call(SYS_utimensat, fd, NULL, ts, 0));
    CHECK(0, call(SYS_fstat, fd, &st));
    CHECK(-5, st.st_mtim.tv_sec);
    call(SYS_close, fd);
    CHECK(0, call(SYS_utimensat, AT_FDCWD, "l", ts, AT_SYMLINK_NOFOLLOW));
    CHECK(0, call(SYS_lstat, "l", &st));
    CHECK(-5, st.st_mtim.tv_sec);
    struct utimbuf u = { 11, 22 };
    CHECK(0, call(SYS_utime, "f", &u));
    CHECK(0, call(SYS_stat, "f", &st));
    CHECK(11, st.st_atim.tv_sec);
    CHECK(22, st.st_mtim.tv_sec);
    struct timeval tv[2] = { { 33, 5 }, { 44, 999999 } };
    CHECK(0, call(SYS_utimes, "f", tv));
    CHECK(0, call(SYS_stat, "f", &st));
    CHECK(5000, st.st_atim.tv_nsec);
    CHECK(44, st.st_mtim.tv_sec);
    tv[0].tv_usec = 1000000;
    CHECK(-EINVAL, call(SYS_utimes, "f", tv));
    CHECK(-EINVAL, call(SYS_futimesat, AT_FDCWD, "f", tv));
    CHECK(0, call(SYS_futimesat, AT_FDCWD, "f", NULL));
}

static void attributes(void)
{
    char buf[64];
    const char *name = "user.key";
    long fd = call(SYS_open, "f", O_RDWR);
    long err = call(SYS_setxattr, "f", name, "value", 5, 0);
    if (err ==
        -EOPNOTSUPP) /* tmpfs has user attributes from Linux 6.6 on: then the others that root may set */
        name = "trusted.key", err = call(SYS_setxattr, "f", name, "value", 5, 0);
    CHECK(0, err);
    CHECK(5, call(SYS_getxattr, "f", name, buf, sizeof(buf)));
    CHECK(0, memcmp(buf, "value", 5));
    CHECK(5, call(SYS_fgetxattr, fd, name, NULL, 0)); /* how long is it? */
    CHECK(-ERANGE, call(SYS_getxattr, "f", name, buf, 4));
    CHECK(-EEXIST, call(SYS_setxattr, "f", name, "v2", 2, XATTR_CREATE));
    CHECK(0, call(SYS_fsetxattr, fd, name, "v2", 2, XATTR_REPLACE));
    CHECK(2, call(SYS_lgetxattr, "f", name, buf, sizeof(buf)));
    CHECK(-ENODATA, call(SYS_getxattr, "f", "user.none", buf, sizeof(buf)));
    CHECK(-ENODATA, call(SYS_removexattr, "f", "user.none"));
    CHECK(-ENODATA, call(SYS_setxattr, "f", "trusted.new", "v", 1, XATTR_REPLACE));
    CHECK(-EOPNOTSUPP, call(SYS_setxattr, "f", "nonsense", "v", 1, 0));
    CHECK(-EINVAL, call(SYS_setxattr, "f", name, "v", 1, 4));
    CHECK(-E2BIG, call(SYS_setxattr, "f", name, buf, 65537, 0));
    CHECK(-ERANGE, call(SYS_setxattr, "f", "", "v", 1, 0));
    CHECK(-EFAULT, call(SYS_setxattr, "f", name, T_BAD, 1, 0));
    CHECK(0, call(SYS_setxattr, "f", "trusted.empty", NULL, 0, 0));
    CHECK(0, call(SYS_getxattr, "f", "trusted.empty", buf, sizeof(buf)));
    long len = call(SYS_flistxattr, fd, NULL, 0);
    CHECK((long)(strlen(name) + 1 + sizeof("trusted.empty")), len);
    CHECK(len, call(SYS_listxattr, "f", buf, sizeof(buf)));
    CHECK(-ERANGE, call(SYS_llistxattr, "f", buf, len - 1));
    CHECK(0, call(SYS_removexattr, "f", "trusted.empty"));
    CHECK(0, call(SYS_fremovexattr, fd, name));
    CHECK(0, call(SYS_listxattr, "f", buf, sizeof(buf)));
    CHECK(-EPERM, call(SYS_lsetxattr, "l", "user.key", "v", 1, 0)); /* not on links */
    call(SYS_close, fd);
}

int main(void)
{
    t_enter();
    modes();
    owners();
    times();
    if (call(SYS_getuid) == 0)
        attributes();
    return t_leave();
}
