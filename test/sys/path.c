/* SPDX-License-Identifier: MIT */
/* Working directory, root, access, umask, and the path walk itself. */
#define _GNU_SOURCE
#include <t_file.h>

static char buf[4096];

static void working_directory(void)
{
    long len = (long)strlen(t_dir) + 1;
    CHECK(len, call(SYS_getcwd, buf, sizeof(buf))); /* the NUL counts */
    CHECK(0, strcmp(buf, t_dir));
    CHECK(len, call(SYS_getcwd, buf, len));
    CHECK(-ERANGE, call(SYS_getcwd, buf, len - 1));
    CHECK(-ERANGE, call(SYS_getcwd, NULL, 0));
    CHECK(-EFAULT, call(SYS_getcwd, T_BAD, 4096));
    CHECK(0, call(SYS_mkdir, "d", 0755));
    CHECK(0, call(SYS_chdir, "d"));
    CHECK(len + 2, call(SYS_getcwd, buf, sizeof(buf)));
    CHECK(0, strcmp(buf + len - 1, "/d"));
    CHECK(0, call(SYS_chdir, ".."));
    long fd = call(SYS_open, "d", O_RDONLY);
    CHECK(0, call(SYS_fchdir, fd));
    CHECK(len + 2, call(SYS_getcwd, buf, sizeof(buf)));
    CHECK(0, call(SYS_rmdir, t_dir) == -ENOTEMPTY ? 0 : 1);
    CHECK(0, call(SYS_chdir, t_dir));
    CHECK(0, call(SYS_rmdir, "d"));
    CHECK(0, call(SYS_fchdir, fd)); /* a removed directory can be entered, and has no name */
    CHECK(-ENOENT, call(SYS_getcwd, buf, sizeof(buf)));
    CHECK(-ENOENT, call(SYS_open, "new", O_RDWR | O_CREAT, 0600));
    CHECK(0, call(SYS_chdir, t_dir));
    call(SYS_close, fd);
    t_write("f", "x");
    CHECK(-ENOTDIR, call(SYS_chdir, "f"));
    CHECK(-ENOENT, call(SYS_chdir, "none"));
    CHECK(-ENOENT, call(SYS_chdir, ""));
    fd = call(SYS_open, "f", O_RDONLY);
    CHECK(-ENOTDIR, call(SYS_fchdir, fd));
    call(SYS_close, fd);
    CHECK(0, call(SYS_chdir, "/"));
    CHECK(2, call(SYS_getcwd, buf, sizeof(buf)));
    CHECK(0, strcmp(buf, "/"));
    CHECK(0, call(SYS_chdir, "/../../.."));
    CHECK(2, call(SYS_getcwd, buf, sizeof(buf)));
    CHECK(0, call(SYS_chdir, t_dir));
}

static void accesses(void)
{
    CHECK(0, call(SYS_access, "f", F_OK));
    CHECK(0, call(SYS_access, "f", R_OK | W_OK));
    CHECK(-EACCES, call(SYS_access, "f", X_OK)); /* not even for root without any x bit */
    CHECK(0, call(SYS_access, ".", X_OK));
    CHECK(-EINVAL, call(SYS_access, "f", 8));
    CHECK(-ENOENT, call(SYS_access, "none", F_OK));
    CHECK(-ENOENT, call(SYS_access, "", F_OK));
    CHECK(0, call(SYS_faccessat, AT_FDCWD, "f", R_OK));
    CHECK(-EBADF, call(SYS_faccessat, 999, "f", R_OK));
    CHECK(0, call(SYS_faccessat2, AT_FDCWD, "f", R_OK, AT_EACCESS));
    CHECK(-EINVAL, call(SYS_faccessat2, AT_FDCWD, "f", R_OK, 1));
    long fd = call(SYS_open, "f", O_PATH);
    CHECK(0, call(SYS_faccessat2, fd, "", R_OK, AT_EMPTY_PATH));
    CHECK(-ENOENT, call(SYS_faccessat2, fd, "", R_OK, 0));
    CHECK(-ENOTDIR, call(SYS_faccessat, fd, "x", F_OK));
    call(SYS_close, fd);
    CHECK(0, call(SYS_symlink, "none", "dangling"));
    CHECK(-ENOENT, call(SYS_access, "dangling", F_OK));
    CHECK(0, call(SYS_faccessat2, AT_FDCWD, "dangling", F_OK, AT_SYMLINK_NOFOLLOW));
}

static void masks(void)
{
    CHECK(022, call(SYS_umask, 07077));
    CHECK(077, call(SYS_umask, 022)); /* only the permission bits are kept */
}

static void walks(void)
{
    struct stat st;
    CHECK(0, call(SYS_mkdir, "a", 0755));
    CHECK(0, call(SYS_mkdir, "a/b", 0755));
    t_write("a/b/c", "deep");
    CHECK(1, t_holds("a/b/c", "deep"));
    CHECK(1, t_holds("a//b/./../b///c", "deep"));
    CHECK(0, call(SYS_symlink, "b", "a/l"));
    CHECK(1, t_holds("a/l/c", "deep"));
    CHECK(0, call(SYS_symlink, "../a/l/../l", "a/far"));
    CHECK(1, t_holds("a/far/c", "deep"));
    snprintf(buf, sizeof(buf), "%s/a", t_dir);
    CHECK(0, call(SYS_symlink, buf, "absolute"));
    CHECK(1, t_holds("absolute/b/c", "deep"));
    CHECK(-ENOTDIR, call(SYS_stat, "a/b/c/", &st));
    CHECK(-ENOTDIR, call(SYS_stat, "a/b/c/..", &st));
    CHECK(-ENOENT, call(SYS_stat, "a/none/..", &st));
    CHECK(0, call(SYS_stat, "a/l/", &st));
    CHECK(0, call(SYS_lstat, "a/l/", &st)); /* the slash makes it the directory */
    CHECK(S_IFDIR, st.st_mode & S_IFMT);
    CHECK(0, call(SYS_lstat, "a/l", &st));
    CHECK(S_IFLNK, st.st_mode & S_IFMT);
    char name[8], target[8];
    for (int i = 0; i <= 40; i++) { /* s0 -> a, s1 -> s0, ... */
        snprintf(name, sizeof(name), "s%d", i);
        snprintf(target, sizeof(target), i ? "s%d" : "a", i - 1);
        CHECK(0, call(SYS_symlink, target, name));
    }
    CHECK(0, call(SYS_stat, "s39", &st)); /* forty links, and no more */
    CHECK(-ELOOP, call(SYS_stat, "s40", &st));
}

static void other_roots(void)
{
    CHECK(-ENOENT, call(SYS_chroot, "none"));
    CHECK(-ENOTDIR, call(SYS_chroot, "f"));
    CHECK(-EFAULT, call(SYS_chroot, T_BAD));
}

int main(void)
{
    t_enter();
    working_directory();
    accesses();
    masks();
    walks();
    other_roots();
    return t_leave();
}
