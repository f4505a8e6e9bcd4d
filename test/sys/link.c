/* SPDX-License-Identifier: MIT */
/* Names: link, unlink, symlink, readlink, rename in all its forms. */
#define _GNU_SOURCE
#include <t_file.h>

static char buf[300];

static long ino(const char *name)
{
    struct stat st;
    long err = call(SYS_lstat, name, &st);
    return err ? err : (long)st.st_ino;
}

static void links(void)
{
    t_write("f", "text");
    CHECK(0, call(SYS_link, "f", "g"));
    CHECK(ino("f"), ino("g"));
    CHECK(-EEXIST, call(SYS_link, "f", "g"));
    CHECK(-ENOENT, call(SYS_link, "none", "h"));
    CHECK(-EPERM, call(SYS_link, ".", "h"));
    CHECK(-ENOENT, call(SYS_link, "f", "none/h"));
    CHECK(0, call(SYS_symlink, "f", "l"));
    CHECK(0, call(SYS_link, "l", "l2")); /* the link itself */
    CHECK(ino("l"), ino("l2"));
    CHECK(0, call(SYS_linkat, AT_FDCWD, "l", AT_FDCWD, "l3", AT_SYMLINK_FOLLOW));
    CHECK(ino("f"), ino("l3"));
    CHECK(-EINVAL, call(SYS_linkat, AT_FDCWD, "l", AT_FDCWD, "l4", AT_SYMLINK_NOFOLLOW));
    CHECK(0, call(SYS_unlink, "l3"));
    CHECK(0, call(SYS_unlink, "l2"));
    CHECK(-ENOENT, call(SYS_unlink, "l2"));
    CHECK(0, call(SYS_unlink, "f"));
    CHECK(1, t_holds("g", "text"));
    CHECK(-ENOENT, ino("f"));
    CHECK(0, call(SYS_mkdir, "d", 0755));
    CHECK(-EISDIR, call(SYS_unlink, "d"));
    CHECK(-ENOTDIR, call(SYS_unlink, "g/"));
    CHECK(-ENOTDIR, call(SYS_unlinkat, AT_FDCWD, "g", AT_REMOVEDIR));
    CHECK(-EINVAL, call(SYS_unlinkat, AT_FDCWD, "g", 1));
    CHECK(0, call(SYS_unlinkat, AT_FDCWD, "d", AT_REMOVEDIR));
    CHECK(-EBADF, call(SYS_unlinkat, 999, "g", 0));
    CHECK(-ENOENT, call(SYS_unlink, ""));
}

static void symlinks(void)
{
    memset(buf, '#', sizeof(buf));
    CHECK(1, call(SYS_readlink, "l", buf, 100));
    CHECK('f', buf[0]);
    CHECK('#', buf[1]); /* no NUL */
    CHECK(0, call(SYS_symlink, "longer/target", "m"));
    CHECK(6, call(SYS_readlink, "m", buf, 6));
    CHECK(-EINVAL, call(SYS_readlink, "m", buf, 0));
    CHECK(-EINVAL, call(SYS_readlink, "m", buf, -1));
    CHECK(-EINVAL, call(SYS_readlink, "g", buf, 10));
    CHECK(-EINVAL, call(SYS_readlink, ".", buf, 10));
    CHECK(-ENOENT, call(SYS_readlink, "none", buf, 10));
    CHECK(-EFAULT, call(SYS_readlink, "m", T_BAD, 10));
    CHECK(-EEXIST, call(SYS_symlink, "x", "m"));
    CHECK(-ENOENT, call(SYS_symlink, "", "empty"));
    CHECK(0, call(SYS_symlinkat, "x", AT_FDCWD, "n"));
    CHECK(-ENOENT, call(SYS_readlinkat, AT_FDCWD, "", buf, 10));
    static char target[5000];
    memset(target, 'a', 4095);
    CHECK(0, call(SYS_symlink, target, "big"));
    CHECK(10, call(SYS_readlink, "big", buf, 10));
    target[4095] = 'a';
    CHECK(-ENAMETOOLONG, call(SYS_symlink, target, "bigger"));
}

static void renames(void)
{
    t_write("a", "A");
    t_write("b", "B");
    long i = ino("a");
    CHECK(0, call(SYS_rename, "a", "b"));
    CHECK(i, ino("b"));
    CHECK(-ENOENT, ino("a"));
    CHECK(0, call(SYS_rename, "b", "b"));
    CHECK(0, call(SYS_link, "b", "b2"));
    CHECK(0, call(SYS_rename, "b", "b2")); /* two names of one file: nothing happens */
    CHECK(i, ino("b"));
    CHECK(-ENOENT, call(SYS_rename, "none", "c"));
    CHECK(0, call(SYS_mkdir, "d", 0755));
    CHECK(0, call(SYS_mkdir, "e", 0755));
    CHECK(0, call(SYS_mkdir, "d/in", 0755));
    CHECK(-EISDIR, call(SYS_rename, "b", "d"));
    CHECK(-ENOTDIR, call(SYS_rename, "d", "b"));
    CHECK(-ENOTEMPTY, call(SYS_rename, "e", "d"));
    CHECK(-EINVAL, call(SYS_rename, "d", "d/in/sub"));
    CHECK(-EBUSY, call(SYS_rename, "d", "."));
    CHECK(-EBUSY, call(SYS_rename, "d/in", "d/in/.."));
    CHECK(-ENOTDIR, call(SYS_rename, "b", "f2/"));
    CHECK(0, call(SYS_rename, "d", "e")); /* onto an empty one */
    CHECK(1, ino("e/in") > 0);
    CHECK(0, call(SYS_rename, "e/", "d/"));
    CHECK(0, call(SYS_symlink, "d", "ld"));
    CHECK(-ENOTDIR, call(SYS_rename, "ld/", "x"));
    CHECK(0, call(SYS_rename, "ld", "x")); /* the link, not the directory */
    CHECK(1, call(SYS_readlink, "x", buf, 10));
    struct stat st;
    CHECK(0, call(SYS_mkdir, "p", 0755));
    CHECK(0, call(SYS_rename, "d/in", "p/in"));
    CHECK(0, call(SYS_stat, "p", &st));
    CHECK(3, st.st_nlink);
    CHECK(0, call(SYS_stat, "d", &st));
    CHECK(2, st.st_nlink);
    CHECK(0, call(SYS_stat, "p/in/..", &st));
    CHECK(ino("p"), st.st_ino);
}

static long rename_with(const char *from, const char *to, unsigned flags)
{
    return call(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, flags);
}

static void renames_with_flags(void)
{
    t_write("a", "A");
    t_write("c", "C");
    CHECK(-EEXIST, rename_with("a", "c", RENAME_NOREPLACE));
    CHECK(0, rename_with("a", "fresh", RENAME_NOREPLACE));
    CHECK(0, rename_with("fresh", "c", RENAME_EXCHANGE));
    CHECK(1, t_holds("c", "A"));
    CHECK(1, t_holds("fresh", "C"));
    CHECK(0, rename_with("c", "p", RENAME_EXCHANGE)); /* a file and a directory */
    CHECK(1, t_holds("p", "A"));
    CHECK(1, ino("c/in") > 0);
    CHECK(-ENOENT, rename_with("c", "none", RENAME_EXCHANGE));
    CHECK(-EINVAL, rename_with("c", "c/in", RENAME_EXCHANGE));
    CHECK(-EINVAL, rename_with("c", "p", RENAME_EXCHANGE | RENAME_NOREPLACE));
    CHECK(-EINVAL, rename_with("c", "p", 8));
    long dir = call(SYS_open, "c", O_RDONLY);
    CHECK(0, call(SYS_renameat, dir, "in", AT_FDCWD, "out"));
    CHECK(-EBADF, call(SYS_renameat, 999, "in", AT_FDCWD, "out"));
    CHECK(-EXDEV, call(SYS_rename, "p", "/proc/x"));
    call(SYS_close, dir);
}

int main(void)
{
    t_enter();
    links();
    symlinks();
    renames();
    renames_with_flags();
    return t_leave();
}
