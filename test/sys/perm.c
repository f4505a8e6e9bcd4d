/* SPDX-License-Identifier: MIT */
/* Rights: mode bits, owners, groups, sticky and set-id bits, as one user and another. Run as root: setfsuid(2) makes the
 * thread somebody else for files only, and takes the capabilities that matter here. */
#include <t_files.h>

#include <time.h>

enum { USER = 1234, OTHER = 4321 };

static void become(long uid, long gid)
{
    call(SYS_setfsgid, gid);
    call(SYS_setfsuid, uid);
}

/* Make a file or directory of an owner and mode, as root. */
static void given(const char *name, int mode, long uid, long gid, bool directory)
{
    become(0, 0);
    if (directory)
        CHECK(0, call(SYS_mkdir, P(name), 0700));
    else
        make_file(name, "text");
    CHECK(0, call(SYS_chown, P(name), uid, gid));
    CHECK(0, call(SYS_chmod, P(name), mode));
}

static long opens(const char *name, int flags)
{
    long fd = call(SYS_open, P(name), flags, 0644);
    if (fd < 0)
        return fd;
    call(SYS_close, fd);
    return 0;
}

static void mode_bits(void)
{
    given("mine", 0640, USER, USER, false);
    become(USER, USER);
    CHECK(0, opens("mine", O_RDWR));
    become(OTHER, USER);
    CHECK(0, opens("mine", O_RDONLY));
    CHECK(-EACCES, opens("mine", O_RDWR));
    CHECK(-EACCES, opens("mine", O_WRONLY));
    CHECK(-EACCES, opens("mine", O_RDONLY | O_TRUNC));
    CHECK(-EACCES, opens("mine", 3));
    become(OTHER, OTHER);
    CHECK(-EACCES, opens("mine", O_RDONLY));
    CHECK(0, opens("mine", O_PATH));
    CHECK(-EACCES, call(SYS_truncate, P("mine"), 0));
    CHECK(-EACCES, opens("mine", O_RDONLY | O_NOATIME));

    given("odd", 0077, USER, USER,
          false); /* the owner's bits count for the owner, even when others have more */
    become(USER, USER);
    CHECK(-EACCES, opens("odd", O_RDONLY));
    become(OTHER, USER);
    CHECK(0, opens("odd", O_RDWR));
    become(0, 0);
    CHECK(0, opens("odd", O_RDWR));
    given("none", 0000, USER, USER, false);
    CHECK(0, opens("none", O_RDWR));
    CHECK(0, call(SYS_access, P("none"), R_OK | W_OK));
    CHECK(-EACCES, call(SYS_access, P("none"), X_OK));
}

static void directories(void)
{
    struct stat st;
    given("d", 0711, USER, USER, true);
    given("d/f", 0666, USER, USER, false);
    become(OTHER, OTHER);
    CHECK(0, opens("d/f", O_RDWR));                   /* may pass, */
    CHECK(-EACCES, opens("d", O_RDONLY));             /* not list, */
    CHECK(-EACCES, opens("d/new", O_CREAT | O_RDWR)); /* not add */
    CHECK(-EACCES, call(SYS_unlink, P("d/f")));
    CHECK(-EACCES, call(SYS_mkdir, P("d/s"), 0755));
    CHECK(-EEXIST, call(SYS_mkdir, P("d/f"), 0755));
    CHECK(-ENOENT, call(SYS_unlink, P("d/none")));
    CHECK(-EACCES, call(SYS_rename, P("d/f"), P("d/g")));
    CHECK(-EACCES, call(SYS_symlink, "x", P("d/s")));
    CHECK(-EACCES, call(SYS_link, P("d/f"), P("d/h")));
    become(0, 0);
    CHECK(0, call(SYS_chmod, P("d"), 0644));
    become(OTHER, OTHER);
    CHECK(-EACCES, opens("d/f", O_RDONLY));
    CHECK(-EACCES, call(SYS_stat, P("d/f"), &st));
    CHECK(-EACCES, call(SYS_stat, P("d/none/x"), &st));
    CHECK(-EACCES, call(SYS_chdir, P("d")));
    CHECK(0, opens("d", O_RDONLY));
    become(0, 0);
    CHECK(0, opens("d/f", O_RDONLY));
}

static void sticky(void)
{
    given("t", 01777, 0, 0, true);
    given("t/his", 0666, USER, USER, false);
    given("t/hers", 0666, OTHER, OTHER, false);
    become(USER, USER);
    CHECK(-EPERM, call(SYS_unlink, P("t/hers")));
    CHECK(-EPERM, call(SYS_rename, P("t/hers"), P("t/x")));
    CHECK(-EPERM, call(SYS_rename, P("t/his"), P("t/hers")));
    CHECK(0, call(SYS_rename, P("t/his"), P("t/also_his")));
    CHECK(0, call(SYS_unlink, P("t/also_his")));
    become(0, 0);
    CHECK(0, call(SYS_unlink, P("t/hers")));
}

static void owners(void)
{
    static const struct timespec times[2] = { { 1, 0 }, { 2, 0 } };
    struct stat st;
    given("o", 06755, USER, USER, false);
    become(USER, USER);
    CHECK(-EPERM, call(SYS_chown, P("o"), OTHER, -1));
    CHECK(-EPERM, call(SYS_chown, P("o"), -1, OTHER));
    CHECK(06755, mode_of("o") & 07777);
    CHECK(0, call(SYS_chown, P("o"), USER,
                  USER)); /* what it is already; set-id bits go all the same */
    CHECK(0755, mode_of("o") & 07777);
    CHECK(0, call(SYS_chmod, P("o"), 06755));
    long fd = call(SYS_open, P("o"), O_WRONLY);
    CHECK(1, call(SYS_write, fd, "x", 1));
    CHECK(0, call(SYS_close, fd));
    CHECK(0755, mode_of("o") & 07777);
    become(OTHER, OTHER);
    CHECK(-EPERM, call(SYS_chmod, P("o"), 0777));
    CHECK(-EPERM, call(SYS_utimensat, AT_FDCWD, P("o"), times, 0));
    CHECK(-EACCES, call(SYS_utimensat, AT_FDCWD, P("o"), 0, 0));
    become(0, 0);
    CHECK(0, call(SYS_chmod, P("o"), 0666));
    become(OTHER, OTHER);
    CHECK(0, call(SYS_utimensat, AT_FDCWD, P("o"), 0, 0));
    CHECK(-EPERM, call(SYS_utimensat, AT_FDCWD, P("o"), times, 0));
    CHECK(-EPERM, opens("o", O_RDONLY | O_NOATIME));
    CHECK(-EPERM, call(SYS_mknod, P("t/dev"), S_IFCHR | 0600, 0x103));
    become(0, 0);
    /* Group of a set-group-id directory. */
    given("g", 02777, USER, OTHER, true);
    become(USER, USER);
    make_file("g/f", "x");
    CHECK(0, call(SYS_mkdir, P("g/d"), 0755));
    CHECK(0, call(SYS_stat, P("g/f"), &st));
    CHECK(OTHER, st.st_gid);
    CHECK(USER, st.st_uid);
    CHECK(02755, mode_of("g/d") & 07777);
    become(0, 0);
}

static void attributes(void)
{
    given("x", 0600, USER, USER, false);
    become(USER, USER);
    CHECK(0, call(SYS_setxattr, P("x"), "user.a", "v", 1, 0));
    become(OTHER, OTHER);
    CHECK(-EACCES, call(SYS_setxattr, P("x"), "user.a", "v", 1, 0));
    CHECK(-EACCES, call(SYS_getxattr, P("x"), "user.a", from_buf, 10));
    become(0, 0);
}

int main(void)
{
    if (call(SYS_geteuid) != 0) {
        fprintf(stderr, "perm: to be run as root\n");
        return 1;
    }
    begin("perm");
    CHECK(0, call(SYS_chmod, t_dir, 0755));
    mode_bits();
    directories();
    sticky();
    owners();
    attributes();
    finish();
    return t_end();
}
