/* SPDX-License-Identifier: MIT */
/* openat and openat2: relative to descriptors, nameless files, restricted walks; modes at creation. */
#define _GNU_SOURCE
#include <t_file.h>

#include <linux/openat2.h>

static long mode_of(const char *name)
{
    struct stat st;
    long err = call(SYS_stat, name, &st);
    return err ? err : (long)st.st_mode;
}

static long opens(const char *name, int flags)
{
    long fd = call(SYS_open, name, flags, 0644);
    return fd < 0 ? fd : call(SYS_close, fd);
}

static void creates(void)
{
    CHECK(-ENOENT, opens("f", O_RDONLY));
    CHECK(0, call(SYS_umask, 0) >= 0 ? 0 : 1);
    long fd = call(SYS_open, "f", O_RDWR | O_CREAT | O_EXCL, 07777);
    CHECK(S_IFREG | 07777, mode_of("f"));
    call(SYS_close, fd);
    CHECK(-EEXIST, opens("f", O_RDWR | O_CREAT | O_EXCL));
    CHECK(0, opens("f", O_RDWR | O_CREAT));
    call(SYS_umask, 027);
    fd = call(SYS_creat, "g", 0666);
    CHECK(O_WRONLY | 0100000, call(SYS_fcntl, fd, F_GETFL)); /* O_LARGEFILE is always on */
    CHECK(S_IFREG | 0640, mode_of("g"));
    CHECK(3, call(SYS_write, fd, "abc", 3));
    call(SYS_close, fd);
    call(SYS_umask, 022);
    struct stat st;
    CHECK(0, opens("g", O_WRONLY | O_TRUNC));
    CHECK(0, call(SYS_stat, "g", &st));
    CHECK(0, st.st_size);
    fd = call(SYS_open, "ro", O_RDWR | O_CREAT, 0400); /* the mode is for the next one who opens */
    CHECK(1, call(SYS_write, fd, "x", 1));
    call(SYS_close, fd);
    CHECK(-ENOENT, opens("none/f", O_RDWR | O_CREAT));
    CHECK(-ENOTDIR, opens("f/f", O_RDWR | O_CREAT));
    CHECK(-EISDIR, opens(".", O_RDWR));
    CHECK(-EISDIR, opens(".", O_RDONLY | O_CREAT));
    CHECK(-EISDIR, opens("new/", O_RDWR | O_CREAT));
    CHECK(-ENOENT, opens("", O_RDONLY));
    CHECK(-ENOTDIR, opens("f/", O_RDONLY));
    CHECK(-ENOTDIR, opens("f", O_RDONLY | O_DIRECTORY));
    CHECK(0, opens(".", O_RDONLY | O_DIRECTORY));
    CHECK(0, opens("f", O_RDONLY | 0x20000000)); /* an unknown flag is ignored */
}

static void follows(void)
{
    CHECK(0, call(SYS_symlink, "f", "link"));
    CHECK(0, call(SYS_symlink, "nowhere", "dangling"));
    CHECK(0, call(SYS_symlink, "loop", "loop"));
    CHECK(0, opens("link", O_RDONLY));
    CHECK(-ELOOP, opens("link", O_RDONLY | O_NOFOLLOW));
    CHECK(-ELOOP, opens("loop", O_RDONLY));
    CHECK(-ENOENT, opens("dangling", O_RDONLY));
    CHECK(-EEXIST, opens("dangling", O_RDWR | O_CREAT | O_EXCL));
    CHECK(0, opens("dangling", O_RDWR | O_CREAT)); /* makes what it points to */
    CHECK(S_IFREG | 0644, mode_of("nowhere"));
    long fd = call(SYS_open, "link", O_PATH | O_NOFOLLOW);
    struct stat st;
    CHECK(0, call(SYS_fstat, fd, &st));
    CHECK(S_IFLNK | 0777, st.st_mode);
    CHECK(-EBADF, call(SYS_read, fd, &st, 1));
    CHECK(-EBADF, call(SYS_fchmod, fd, 0600));
    CHECK(-EBADF, call(SYS_ftruncate, fd, 0));
    CHECK(-EBADF, call(SYS_ioctl, fd, 0x5401, &st));
    char buf[8];
    CHECK(1, call(SYS_readlinkat, fd, "", buf, 8));
    CHECK(O_PATH | O_NOFOLLOW, call(SYS_fcntl, fd, F_GETFL));
    call(SYS_close, fd);
    char name[300];
    memset(name, 'a', sizeof(name));
    name[256] = '\0';
    CHECK(-ENAMETOOLONG, opens(name, O_RDONLY));
    name[255] = '\0';
    CHECK(0, opens(name, O_RDWR | O_CREAT));
    static char path[5000];
    for (int i = 0; i < 4998; i += 2)
        memcpy(path + i, "./", 2);
    CHECK(-ENAMETOOLONG, opens(path, O_RDONLY));
    path[4095] = '\0';
    CHECK(0, opens(path, O_RDONLY));
}

static void relative(void)
{
    CHECK(0, call(SYS_mkdir, "d", 0755));
    long dir = call(SYS_open, "d", O_RDONLY), path = call(SYS_open, "d", O_PATH),
         file = call(SYS_open, "f", O_RDONLY);
    long fd = call(SYS_openat, dir, "in", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    CHECK(FD_CLOEXEC, call(SYS_fcntl, fd, F_GETFD));
    call(SYS_close, fd);
    CHECK(S_IFREG | 0600, mode_of("d/in"));
    fd = call(SYS_openat, path, "in", O_RDONLY);
    CHECK(1, fd >= 0);
    CHECK(0, call(SYS_fcntl, fd, F_GETFD));
    call(SYS_close, fd);
    CHECK(-ENOTDIR, call(SYS_openat, file, "in", O_RDONLY));
    CHECK(-EBADF, call(SYS_openat, 999, "in", O_RDONLY));
    fd = call(SYS_openat, 999, "/dev/null", O_RDONLY); /* absolute: not looked at */
    CHECK(1, fd >= 0);
    call(SYS_close, fd);
    CHECK(-ENOENT, call(SYS_openat, dir, "", O_RDONLY));
    call(SYS_close, dir);
    call(SYS_close, path);
    call(SYS_close, file);
}

static void nameless(void)
{
    struct stat st;
    long fd = call(SYS_open, ".", O_TMPFILE | O_RDWR, 0600);
    CHECK(0, call(SYS_fstat, fd, &st));
    CHECK(0, st.st_nlink);
    CHECK(S_IFREG | 0600, st.st_mode);
    char path[40];
    snprintf(path, sizeof(path), "/proc/self/fd/%ld", fd);
    CHECK(0, call(SYS_linkat, AT_FDCWD, path, AT_FDCWD, "named", AT_SYMLINK_FOLLOW));
    CHECK(0, call(SYS_fstat, fd, &st));
    CHECK(1, st.st_nlink);
    call(SYS_close, fd);
    CHECK(-EINVAL, opens(".", O_TMPFILE | O_RDONLY));
    CHECK(-ENOTDIR, opens("f", O_TMPFILE | O_RDWR));
}

static long open_how(const char *path, uint64_t flags, uint64_t mode, uint64_t resolve, size_t size)
{
    struct {
        struct open_how how;
        uint64_t more;
    } h = { { flags, mode, resolve }, 0 };
    return call(SYS_openat2, AT_FDCWD, path, &h, size);
}

static long opens_how(const char *path, uint64_t flags, uint64_t mode, uint64_t resolve)
{
    long fd = open_how(path, flags, mode, resolve, sizeof(struct open_how));
    return fd < 0 ? fd : call(SYS_close, fd);
}

static void strict(void)
{
    CHECK(0, opens_how("f", O_RDONLY, 0, 0));
    CHECK(0, opens_how("h", O_RDWR | O_CREAT, 0600, 0));
    CHECK(-EINVAL, opens_how("f", O_RDONLY, 0600, 0));
    CHECK(-EINVAL, opens_how("f", O_RDWR | O_CREAT, 010600, 0));
    CHECK(-EINVAL, opens_how("f", 0x20000000, 0, 0));
    CHECK(-EINVAL, opens_how("f", O_RDONLY, 0, 0x40000));
    CHECK(-EINVAL, opens_how("f", O_PATH | O_RDWR, 0, 0));
    CHECK(-ELOOP, opens_how("link", O_RDONLY, 0, RESOLVE_NO_SYMLINKS));
    CHECK(-EXDEV, opens_how("../x", O_RDONLY, 0, RESOLVE_BENEATH));
    CHECK(-EXDEV, opens_how("/dev/null", O_RDONLY, 0, RESOLVE_BENEATH));
    CHECK(0, opens_how("d/../f", O_RDONLY, 0, RESOLVE_BENEATH));
    CHECK(0, opens_how("/f", O_RDONLY, 0, RESOLVE_IN_ROOT));
    CHECK(0, opens_how("../../f", O_RDONLY, 0, RESOLVE_IN_ROOT));
    CHECK(-EINVAL, open_how("f", O_RDONLY, 0, 0, 8));
    long fd =
        open_how("f", O_RDONLY, 0, 0, sizeof(struct open_how) + 8); /* longer, the rest is zero */
    CHECK(1, fd >= 0);
    call(SYS_close, fd);
    struct {
        struct open_how how;
        uint64_t more;
    } h = { { O_RDONLY, 0, 0 }, 1 };
    CHECK(-E2BIG, call(SYS_openat2, AT_FDCWD, "f", &h, sizeof(h)));
    CHECK(-EFAULT, call(SYS_openat2, AT_FDCWD, "f", T_BAD, sizeof(struct open_how)));
}

int main(void)
{
    t_enter();
    creates();
    follows();
    relative();
    nameless();
    strict();
    return t_leave();
}
