/* SPDX-License-Identifier: MIT */
/* The overlay file system: what layers show together, whiteouts and opaque directories as they lie in the upper layer, copies of
 * content, owners, times and attributes, listings, renames, hard links. On Linux in a mount namespace of the test's own. */
#define _GNU_SOURCE
#include "t.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define TOP "/tmp/t_overlay"
#define L1  TOP "/l1"
#define L2  TOP "/l2"
#define U   TOP "/u"
#define W   TOP "/w"
#define M   TOP "/m"

static void put(const char *name, const char *text)
{
    long fd = call(SYS_open, name, O_CREAT | O_TRUNC | O_WRONLY, 0644);
    CHECK((long)strlen(text), call(SYS_write, fd, text, strlen(text)));
    call(SYS_close, fd);
}

static bool holds(const char *name, const char *text)
{
    char buf[64];
    long fd = call(SYS_open, name, O_RDONLY);
    long n = call(SYS_read, fd, buf, sizeof(buf) - 1);
    call(SYS_close, fd);
    buf[n > 0 ? n : 0] = '\0';
    if (strcmp(buf, text) == 0)
        return true;
    fprintf(stderr, "%s: \"%s\" (%ld)\n", name, buf, n);
    return false;
}

static struct stat at(const char *name)
{
    struct stat st = { .st_mode = 0 };
    call(SYS_lstat, name, &st);
    return st;
}

static bool exists(const char *name)
{
    return at(name).st_mode != 0;
}

static bool whiteout(const char *name)
{
    struct stat st = at(name);
    return S_ISCHR(st.st_mode) && st.st_rdev == makedev(0, 0);
}

static bool opaque(const char *name)
{
    char value[4];
    return call(SYS_getxattr, name, "trusted.overlay.opaque", value, sizeof(value)) == 1 &&
           value[0] == 'y';
}

static int compare(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The names in a directory, sorted, with blanks between. */
static const char *names(const char *dir)
{
    static char text[512], buf[4096];
    char *all[64];
    size_t n = 0;
    long fd = call(SYS_open, dir, O_RDONLY | O_DIRECTORY), got;
    text[0] = '\0';
    while ((got = call(SYS_getdents64, fd, buf, sizeof(buf))) > 0)
        for (long i = 0; i < got; i += *(unsigned short *)(buf + i + 16))
            if (strcmp(buf + i + 19, ".") && strcmp(buf + i + 19, "..") && n < 64)
                all[n++] = strdup(buf + i + 19);
    CHECK(0, got);
    call(SYS_close, fd);
    qsort(all, n, sizeof(all[0]), compare);
    for (size_t i = 0; i < n; i++) {
        strcat(text, i ? " " : "");
        strcat(text, all[i]);
        free(all[i]);
    }
    return text;
}

static bool lists(const char *dir, const char *want)
{
    const char *got = names(dir);
    if (strcmp(got, want) == 0)
        return true;
    fprintf(stderr, "%s: \"%s\"\n", dir, got);
    return false;
}

static void make_layers(void)
{
    CHECK(0, call(SYS_mkdir, L1, 0755));
    CHECK(0, call(SYS_mkdir, L2, 0755));
    CHECK(0, call(SYS_mkdir, U, 0755));
    CHECK(0, call(SYS_mkdir, W, 0755));
    CHECK(0, call(SYS_mkdir, M, 0755));
    put(L2 "/low", "low2");
    put(L2 "/both", "both2");
    put(L1 "/both", "both1");
    put(L1 "/one", "one1");
    CHECK(0, call(SYS_mkdir, L1 "/d", 0750));
    CHECK(0, call(SYS_mkdir, L2 "/d", 0700));
    put(L1 "/d/a", "a1");
    put(L2 "/d/a", "a2");
    put(L2 "/d/b", "b2");
    CHECK(0, call(SYS_mkdir, L2 "/d/e", 0755));
    put(L2 "/d/e/f", "f2");
    CHECK(0, call(SYS_symlink, "low", L2 "/link"));
    CHECK(0, call(SYS_link, L2 "/low", L2 "/hard"));
    put(U "/up", "up");
    /* Hidden before it is mounted. */
    put(L2 "/gone", "x");
    CHECK(0, call(SYS_mknod, L1 "/gone", S_IFCHR, 0));
    CHECK(0, call(SYS_mkdir, L2 "/o", 0755));
    put(L2 "/o/x", "x");
    CHECK(0, call(SYS_mkdir, L1 "/o", 0755));
    put(L1 "/o/y", "y");
    CHECK(0, call(SYS_setxattr, L1 "/o", "trusted.overlay.opaque", "y", 1, 0));
    /* For what is removed later. */
    CHECK(0, call(SYS_mkdir, L2 "/rm", 0755));
    put(L2 "/rm/1", "1");
    put(L2 "/mv", "mv");
    CHECK(0, call(SYS_mkdir, L2 "/mvd", 0755));
    put(L2 "/mvd/1", "1");
}

static long mount_it(const char *options)
{
    return call(SYS_mount, "ovl", M, "overlay", 0, options);
}

static void errors(void)
{
    CHECK(-EINVAL, mount_it(NULL));
    CHECK(-EINVAL, mount_it("lowerdir=" L1)); /* one layer is none */
    CHECK(-EINVAL, mount_it("lowerdir=" L1 ",upperdir=" U));
    CHECK(-EINVAL, mount_it("lowerdir=" L1 ",upperdir=" U ",workdir=" U));
    CHECK(-ENOENT, mount_it("lowerdir=" L1 ",upperdir=" U ",workdir=" U "/none"));
    CHECK(-ENOENT, mount_it("lowerdir=" TOP "/none,upperdir=" U ",workdir=" W));
    CHECK(-EINVAL, mount_it("lowerdir=" L1 ",upperdir=" U ",workdir=" W ",nonsense=1"));
    /* Without an upper layer it cannot be written. */
    CHECK(0, mount_it("lowerdir=" L1 ":" L2));
    CHECK(true, holds(M "/both", "both1"));
    CHECK(-EROFS, call(SYS_mkdir, M "/x", 0755));
    CHECK(-EROFS, call(SYS_open, M "/both", O_RDWR));
    CHECK(-EROFS, call(SYS_unlink, M "/both"));
    CHECK(true, lists(M, "both d hard link low mv mvd o one rm"));
    CHECK(0, call(SYS_umount2, M, 0));
}

static void shows(void)
{
    struct statfs fs;
    CHECK(true, lists(M, "both d hard link low mv mvd o one rm up"));
    CHECK(true, lists(M "/d", "a b e"));
    CHECK(true, lists(M "/o", "y"));
    CHECK(true, holds(M "/both", "both1"));
    CHECK(true, holds(M "/low", "low2"));
    CHECK(true, holds(M "/link", "low2"));
    CHECK(true, holds(M "/d/a", "a1"));
    CHECK(true, holds(M "/d/b", "b2"));
    CHECK(true, holds(M "/d/e/f", "f2"));
    CHECK(-ENOENT, call(SYS_open, M "/gone", O_RDONLY));
    CHECK(-ENOENT, call(SYS_open, M "/o/x", O_RDONLY));
    CHECK(S_IFDIR | 0750, at(M "/d").st_mode);
    CHECK(1, at(M "/d").st_nlink);
    CHECK(0, call(SYS_statfs, M, &fs));
    CHECK(0x794c7630, fs.f_type);
    long fd = call(SYS_open, M "/low", O_RDONLY);
    struct stat st, by_name = at(M "/low");
    CHECK(0, call(SYS_fstat, fd, &st));
    CHECK(by_name.st_ino, st.st_ino);
    CHECK(by_name.st_dev, st.st_dev);
    CHECK(at(M).st_dev, at(M "/d").st_dev);
    char *p = (char *)call(SYS_mmap, 0, 4096, PROT_READ, MAP_PRIVATE, fd, 0);
    CHECK(0, memcmp(p, "low2", 4));
    call(SYS_munmap, p, 4096);
    call(SYS_close, fd);
}

static void copies(void)
{
    struct timespec old[2] = { { 1000, 5 }, { 2000, 6 } };
    char value[16];
    CHECK(0, call(SYS_utimensat, AT_FDCWD, L2 "/d/b", old, 0));
    CHECK(0, call(SYS_chown, L2 "/d/b", 12, 34));
    CHECK(0, call(SYS_chmod, L2 "/d/b", 0640));
    CHECK(0, call(SYS_setxattr, L2 "/d/b", "trusted.mine", "value", 5, 0));
    ino_t ino = at(M "/d/b").st_ino;
    /* Reading does not copy; changing does, with the directories above. */
    CHECK(true, holds(M "/d/b", "b2"));
    CHECK(false, exists(U "/d"));
    CHECK(0, call(SYS_chmod, M "/d/b", 0600));
    CHECK(true, exists(U "/d/b"));
    CHECK(S_IFDIR | 0750, at(U "/d").st_mode);
    struct stat st = at(M "/d/b"), up = at(U "/d/b");
    CHECK(S_IFREG | 0600, st.st_mode);
    CHECK(12, up.st_uid);
    CHECK(34, up.st_gid);
    CHECK(2000, up.st_mtim.tv_sec);
    CHECK(6, up.st_mtim.tv_nsec);
    CHECK(ino, st.st_ino);
    CHECK(5, call(SYS_getxattr, M "/d/b", "trusted.mine", value, sizeof(value)));
    CHECK(5, call(SYS_getxattr, U "/d/b", "trusted.mine", value, sizeof(value)));
    CHECK(S_IFREG | 0640, at(L2 "/d/b").st_mode);
    /* Content. */
    long fd = call(SYS_open, M "/low", O_RDWR | O_APPEND);
    CHECK(3, call(SYS_write, fd, "+up", 3));
    call(SYS_close, fd);
    CHECK(true, holds(M "/low", "low2+up"));
    CHECK(true, holds(U "/low", "low2+up"));
    CHECK(true, holds(L2 "/low", "low2"));
    CHECK(7, at(M "/low").st_size);
    CHECK(0, call(SYS_truncate, M "/both", 2));
    CHECK(true, holds(M "/both", "bo"));
    CHECK(true, holds(L1 "/both", "both1"));
    fd = call(SYS_open, M "/one", O_WRONLY | O_TRUNC);
    call(SYS_close, fd);
    CHECK(0, at(M "/one").st_size);
    CHECK(true, holds(L1 "/one", "one1"));
    CHECK(0, call(SYS_lchown, M "/link", 1, 2));
    CHECK(1, at(U "/link").st_uid);
    CHECK(true, holds(M "/link", "low2+up"));
    /* Attributes of the overlay's own are not shown. */
    CHECK(true, call(SYS_getxattr, M "/o", "trusted.overlay.opaque", value, sizeof(value)) < 0);
}

static void changes(void)
{
    /* Whiteouts. */
    CHECK(0, call(SYS_unlink, M "/hard"));
    CHECK(true, whiteout(U "/hard"));
    CHECK(false, exists(M "/hard"));
    CHECK(0, call(SYS_unlink, M "/low"));
    CHECK(true, whiteout(U "/low"));
    CHECK(0, call(SYS_unlink, M "/up"));
    CHECK(false, exists(U "/up"));
    CHECK(-ENOTEMPTY, call(SYS_rmdir, M "/rm"));
    CHECK(0, call(SYS_unlink, M "/rm/1"));
    CHECK(true, lists(M "/rm", ""));
    CHECK(0, call(SYS_rmdir, M "/rm"));
    CHECK(true, whiteout(U "/rm"));
    /* Over a whiteout. */
    put(M "/hard", "new");
    CHECK(true, holds(U "/hard", "new"));
    CHECK(0, call(SYS_mkdir, M "/rm", 0700));
    CHECK(true, opaque(U "/rm"));
    CHECK(true, lists(M "/rm", ""));
    put(M "/rm/2", "2");
    CHECK(true, lists(M "/rm", "2"));
    CHECK(0, call(SYS_symlink, "x", M "/low"));
    CHECK(true, S_ISLNK(at(U "/low").st_mode));
    CHECK(-EPERM, call(SYS_mknod, M "/char", S_IFCHR | 0600, 0));
    /* Renames. */
    CHECK(0, call(SYS_rename, M "/mv", M "/mv2"));
    CHECK(true, whiteout(U "/mv"));
    CHECK(true, holds(M "/mv2", "mv"));
    CHECK(-EXDEV, call(SYS_rename, M "/mvd", M "/mvd2"));
    CHECK(0, call(SYS_mkdir, M "/new", 0755));
    put(M "/new/f", "f");
    CHECK(0, call(SYS_rename, M "/new", M "/new2"));
    CHECK(true, holds(M "/new2/f", "f"));
    CHECK(false, exists(U "/new"));
    CHECK(0, call(SYS_rename, M "/new2", M "/mv")); /* over a whiteout */
    CHECK(true, holds(M "/mv/f", "f"));
    CHECK(true, opaque(U "/mv"));
    CHECK(0, call(SYS_rename, M "/mv2", M "/both"));
    CHECK(true, holds(M "/both", "mv"));
    CHECK(0, call(SYS_renameat2, AT_FDCWD, M "/both", AT_FDCWD, M "/hard", 2));
    CHECK(true, holds(M "/both", "new"));
    CHECK(-EINVAL, call(SYS_renameat2, AT_FDCWD, M "/both", AT_FDCWD, M "/hard2", 4));
    CHECK(-EEXIST, call(SYS_renameat2, AT_FDCWD, M "/both", AT_FDCWD, M "/hard", 1));
    /* Links. */
    CHECK(0, call(SYS_link, M "/d/a", M "/d/l"));
    CHECK(2, at(M "/d/a").st_nlink);
    CHECK(at(M "/d/a").st_ino, at(M "/d/l").st_ino);
    put(M "/d/l", "changed");
    CHECK(true, holds(M "/d/a", "changed"));
    CHECK(true, holds(L1 "/d/a", "a1"));
    CHECK(0, call(SYS_unlink, M "/d/a"));
    CHECK(true, holds(M "/d/l", "changed"));
    CHECK(true, lists(M "/d", "b e l"));
    CHECK(0, call(SYS_mknod, M "/d/fifo", S_IFIFO | 0600, 0));
    CHECK(true, S_ISFIFO(at(U "/d/fifo").st_mode));
    CHECK(true, lists(M, "both d hard link low mv mvd o one rm"));
}

/* Everything is there after the next mount too. */
static void again(void)
{
    CHECK(0, mount_it("lowerdir=" L1 ":" L2 ",upperdir=" U ",workdir=" W));
    CHECK(true, lists(M, "both d hard link low mv mvd o one rm"));
    CHECK(true, lists(M "/d", "b e fifo l"));
    CHECK(true, lists(M "/rm", "2"));
    CHECK(true, holds(M "/both", "new"));
    long fd = call(SYS_open, M "/d/b", O_RDONLY);
    CHECK(-EBUSY, call(SYS_umount2, M, 0));
    CHECK(0, call(SYS_umount2, M, MNT_DETACH));
    char c;
    CHECK(1, call(SYS_read, fd, &c, 1));
    CHECK('b', c);
    call(SYS_close, fd);
}

/* Another user may what the modes say, wherever the layers lie. */
static void users(void)
{
    CHECK(0, mount_it("lowerdir=" L1 ":" L2 ",upperdir=" U ",workdir=" W));
    CHECK(0, call(SYS_chmod, M, 0777));
    CHECK(0, call(SYS_setresuid, -1, 1000, 0));
    CHECK(-EACCES, call(SYS_open, M "/mvd/1", O_RDWR));
    put(M "/mine", "mine");
    CHECK(1000, at(M "/mine").st_uid);
    CHECK(-EACCES, call(SYS_unlink, M "/mvd/1"));
    CHECK(0, call(SYS_unlink, M "/one"));
    CHECK(0, call(SYS_setresuid, -1, 0, 0));
    CHECK(true, whiteout(U "/one"));
    CHECK(1000, at(U "/mine").st_uid);
    CHECK(0, call(SYS_umount2, M, 0));
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
    CHECK(0, call(SYS_mount, "top", TOP, "tmpfs", 0, "mode=755"));
    make_layers();
    errors();
    CHECK(0, mount_it("lowerdir=" L1 ":" L2 ",upperdir=" U ",workdir=" W));
    shows();
    copies();
    changes();
    CHECK(0, call(SYS_umount2, M, 0));
    again();
    users();
    CHECK(0, call(SYS_umount2, TOP, 0));
    CHECK(0, call(SYS_rmdir, TOP));
    return t_end();
}
