/* SPDX-License-Identifier: MIT */
/* open, openat, openat2, creat: flags, modes, and errors in Linux's order. */
#include <t_files.h>

#include <linux/openat2.h>

static void kinds_of_errors(void)
{
    make_file("f", "hello");
    CHECK(0, call(SYS_mkdir, P("d"), 0755));
    CHECK(0, call(SYS_symlink, "f", P("l")));
    CHECK(0, call(SYS_symlink, "nothing", P("dangling")));
    CHECK(0, call(SYS_symlink, "loop", P("loop")));

    CHECK(-ENOENT, call(SYS_open, "", O_RDONLY));
    CHECK(-ENOENT, call(SYS_open, P("none"), O_RDONLY));
    CHECK(-ENOENT, call(SYS_open, P("none/x"), O_RDONLY));
    CHECK(-ENOTDIR, call(SYS_open, P("f/x"), O_RDONLY));
    CHECK(-ENOTDIR, call(SYS_open, P("f/"), O_RDONLY));
    CHECK(-ENOTDIR, call(SYS_open, P("f/."), O_RDONLY));
    CHECK(-ENOTDIR, call(SYS_open, P("f"), O_RDONLY | O_DIRECTORY));
    CHECK(-EISDIR, call(SYS_open, P("d"), O_WRONLY));
    CHECK(-EISDIR, call(SYS_open, P("d"), O_RDWR));
    CHECK(-EISDIR, call(SYS_open, P("d"), O_RDONLY | O_CREAT, 0644));
    CHECK(-EISDIR, call(SYS_open, P("d/"), O_RDONLY | O_CREAT, 0644));
    CHECK(-EISDIR, call(SYS_open, P("new/"), O_RDONLY | O_CREAT, 0644));
    CHECK(-EISDIR, call(SYS_open, P("d/."), O_RDONLY | O_CREAT, 0644));
    CHECK(-EISDIR, call(SYS_open, P("d/.."), O_RDONLY | O_CREAT, 0644));
    CHECK(-EEXIST, call(SYS_open, P("d"), O_RDONLY | O_CREAT | O_EXCL, 0644));
    CHECK(-EEXIST, call(SYS_open, P("f"), O_RDONLY | O_CREAT | O_EXCL, 0644));
    CHECK(-EEXIST, call(SYS_open, P("dangling"), O_RDONLY | O_CREAT | O_EXCL, 0644));
    CHECK(-ENOENT, call(SYS_open, P("dangling"), O_RDONLY));
    CHECK(-ELOOP, call(SYS_open, P("loop"), O_RDONLY));
    CHECK(-ELOOP, call(SYS_open, P("l"), O_RDONLY | O_NOFOLLOW));
    CHECK(-ELOOP, call(SYS_open, P("l"), O_RDONLY | O_NOFOLLOW | O_CREAT, 0644));
    CHECK(-ENOTDIR, call(SYS_open, P("l"), O_RDONLY | O_NOFOLLOW | O_DIRECTORY));
    CHECK(-ENOTDIR, call(SYS_open, P("l/"), O_RDONLY));
    CHECK(-EFAULT, call(SYS_open, T_BAD, O_RDONLY));
    CHECK(-EBADF, call(SYS_openat, 999, "x", O_RDONLY));
    CHECK(-EINVAL, call(SYS_open, P("new"), O_RDWR | O_CREAT | O_DIRECTORY, 0644));

    char name[300];
    memset(name, 'n', sizeof(name));
    name[255] = '\0';
    CHECK(-ENOENT, call(SYS_openat, dir_fd, name, O_RDONLY));
    name[255] = 'n';
    name[256] = '\0';
    CHECK(-ENAMETOOLONG, call(SYS_openat, dir_fd, name, O_RDONLY));
    CHECK(-ENAMETOOLONG, call(SYS_openat, dir_fd, name, O_RDONLY | O_CREAT, 0644));
    static char path[5000];
    memset(path, '/', sizeof(path) - 1);
    CHECK(-ENAMETOOLONG, call(SYS_open, path, O_RDONLY));
    path[4095] = '\0';
    CHECK(-EISDIR, call(SYS_open, path, O_WRONLY));
}

static void through_links(void)
{
    long fd = call(SYS_open, P("l"), O_RDONLY);
    char buf[8] = "";
    CHECK(5, call(SYS_read, fd, buf, 8));
    CHECK(0, memcmp(buf, "hello", 5));
    CHECK(0, call(SYS_close, fd));

    CHECK(0, call(SYS_symlink, "made", P("to_made")));
    fd = call(SYS_open, P("to_made"), O_WRONLY | O_CREAT, 0640);
    CHECK(true, fd >= 0);
    CHECK(0, call(SYS_close, fd));
    CHECK(0640, mode_of("made") & 07777);
    CHECK(0, call(SYS_symlink, "d/../d/./../f", P("roundabout")));
    fd = call(SYS_open, P("roundabout"), O_RDONLY);
    CHECK(true, fd >= 0);
    CHECK(0, call(SYS_close, fd));

    /* Forty links are followed, not one more. */
    char from[32] = "f", to[32];
    for (int i = 0; i < 41; i++) {
        sprintf(to, "chain%d", i);
        CHECK(0, call(SYS_symlink, from, P(to)));
        strcpy(from, to);
    }
    fd = call(SYS_open, P("chain39"), O_RDONLY);
    CHECK(true, fd >= 0);
    CHECK(0, call(SYS_close, fd));
    CHECK(-ELOOP, call(SYS_open, P("chain40"), O_RDONLY));
}

static void modes(void)
{
    long old = call(SYS_umask, 027);
    CHECK(027, call(SYS_umask, 027));
    long fd = call(SYS_creat, P("masked"), 0777);
    CHECK(true, fd >= 0);
    CHECK(0750, mode_of("masked") & 07777);
    CHECK(3, call(SYS_write, fd, "abc", 3));
    CHECK(-EBADF, call(SYS_read, fd, from_buf, 1));
    CHECK(0, call(SYS_close, fd));
    call(SYS_umask, old);

    fd = call(SYS_open, P("masked"), O_RDONLY | O_TRUNC);
    CHECK(0, size_of("masked"));
    CHECK(-EBADF, call(SYS_write, fd, "x", 1));
    CHECK(0, call(SYS_close, fd));

    fd = call(SYS_open, P("masked"), O_WRONLY | O_APPEND);
    CHECK(2, call(SYS_write, fd, "ab", 2));
    CHECK(0, call(SYS_lseek, fd, 0, SEEK_SET));
    CHECK(2, call(SYS_write, fd, "cd", 2));
    CHECK(4, call(SYS_lseek, fd, 0, SEEK_CUR));
    CHECK(O_WRONLY | O_APPEND | 0100000, call(SYS_fcntl, fd, F_GETFL));
    CHECK(0, call(SYS_close, fd));

    fd = call(SYS_open, P("masked"), 3); /* neither: for ioctl only */
    CHECK(true, fd >= 0);
    CHECK(-EBADF, call(SYS_read, fd, from_buf, 1));
    CHECK(-EBADF, call(SYS_write, fd, from_buf, 1));
    CHECK(0, call(SYS_close, fd));

    fd = call(SYS_open, P("masked"),
              O_RDWR | O_SYNC | O_NOATIME | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    CHECK(O_RDWR | O_SYNC | O_NOATIME | O_NONBLOCK | 0100000, call(SYS_fcntl, fd, F_GETFL));
    CHECK(FD_CLOEXEC, call(SYS_fcntl, fd, F_GETFD));
    CHECK(0, call(SYS_close, fd));
}

static void path_only(void)
{
    struct stat st;
    long fd = call(SYS_open, P("l"), O_PATH | O_NOFOLLOW);
    CHECK(true, fd >= 0);
    CHECK(0, call(SYS_fstat, fd, &st));
    CHECK(S_IFLNK, st.st_mode & S_IFMT);
    CHECK(1, call(SYS_readlinkat, fd, "", from_buf, 100));
    CHECK(-EBADF, call(SYS_read, fd, from_buf, 1));
    CHECK(-EBADF, call(SYS_ioctl, fd, 0x5421, from_buf));
    CHECK(O_PATH | O_NOFOLLOW, call(SYS_fcntl, fd, F_GETFL));
    CHECK(0, call(SYS_close, fd));
    fd = call(SYS_open, P("d"), O_PATH | O_DIRECTORY | O_RDWR);
    CHECK(true, fd >= 0);
    long in = call(SYS_openat, fd, "inside", O_RDWR | O_CREAT, 0600);
    CHECK(true, in >= 0);
    CHECK(0, call(SYS_close, in));
    CHECK(0, call(SYS_unlinkat, fd, "inside", 0));
    CHECK(-EBADF, call(SYS_getdents64, fd, from_buf, 100));
    CHECK(0, call(SYS_close, fd));
}

static void nameless(void)
{
    struct stat st;
    CHECK(-EINVAL, call(SYS_open, P("d"), O_TMPFILE | O_RDONLY, 0600));
    CHECK(-EINVAL, call(SYS_open, P("d"), (O_TMPFILE & ~O_DIRECTORY) | O_RDWR, 0600));
    CHECK(-ENOTDIR, call(SYS_open, P("f"), O_TMPFILE | O_RDWR, 0600));
    CHECK(-ENOENT, call(SYS_open, P("none"), O_TMPFILE | O_RDWR, 0600));
    long fd = call(SYS_open, P("d"), O_TMPFILE | O_RDWR, 0600);
    CHECK(true, fd >= 0);
    CHECK(5, call(SYS_write, fd, "never", 5));
    CHECK(0, call(SYS_fstat, fd, &st));
    CHECK(0, st.st_nlink);
    CHECK(5, st.st_size);
    if (call(SYS_linkat, fd, "", AT_FDCWD, P("named"), AT_EMPTY_PATH) ==
        0) { /* takes a capability */
        CHECK(0, call(SYS_fstat, fd, &st));
        CHECK(1, st.st_nlink);
        CHECK(5, size_of("named"));
    }
    CHECK(0, call(SYS_close, fd));
}

static long open2(const char *path, uint64_t flags, uint64_t mode, uint64_t resolve)
{
    struct open_how how = { .flags = flags, .mode = mode, .resolve = resolve };
    return call(SYS_openat2, dir_fd, path, &how, sizeof(how));
}

static void check_open2(long want, const char *path, uint64_t resolve)
{
    long fd = open2(path, O_RDONLY, 0, resolve);
    CHECK(want, fd < 0 ? fd : 0);
    if (fd >= 0)
        CHECK(0, call(SYS_close, fd));
}

static void restricted(void)
{
    CHECK(0, call(SYS_symlink, "../f", P("d/up")));
    CHECK(0, call(SYS_symlink, "../../f", P("d/out")));
    CHECK(0, call(SYS_symlink, "/f", P("d/abs")));
    check_open2(0, "f", RESOLVE_BENEATH);
    check_open2(0, "d/../f", RESOLVE_BENEATH);
    check_open2(0, "d/up", RESOLVE_BENEATH);
    check_open2(-EXDEV, "../f", RESOLVE_BENEATH);
    check_open2(-EXDEV, "d/out", RESOLVE_BENEATH);
    check_open2(-EXDEV, "/f", RESOLVE_BENEATH);
    check_open2(-EXDEV, "d/abs", RESOLVE_BENEATH);
    check_open2(0, "/f", RESOLVE_IN_ROOT);
    check_open2(0, "d/abs", RESOLVE_IN_ROOT);
    check_open2(0, "d/out", RESOLVE_IN_ROOT);
    check_open2(0, "../../../f", RESOLVE_IN_ROOT);
    check_open2(-ELOOP, "l", RESOLVE_NO_SYMLINKS);
    check_open2(-ELOOP, "d/up", RESOLVE_NO_SYMLINKS);
    check_open2(0, "f", RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV);
    check_open2(0, "f", RESOLVE_CACHED);
    check_open2(-EINVAL, "f", 0x40);
    check_open2(-EINVAL, "f", RESOLVE_BENEATH | RESOLVE_IN_ROOT);
    CHECK(-EINVAL, open2("f", O_RDONLY, 0644, 0));
    CHECK(-EINVAL, open2("f", O_RDONLY | 0x80000000ull, 0, 0));
    CHECK(-EINVAL, open2("f", O_RDONLY | 1ull << 40, 0, 0));
    CHECK(-EINVAL, open2("new2", O_RDWR | O_CREAT, 010000, 0));
    CHECK(-EINVAL, open2("f", O_PATH | O_RDWR, 0, 0));
    CHECK(-EAGAIN, open2("f", O_RDWR | O_TRUNC, 0, RESOLVE_CACHED));
    struct {
        struct open_how how;
        uint64_t more;
    } big = { { .flags = O_RDONLY }, 0 };
    long fd = call(SYS_openat2, dir_fd, "f", &big, sizeof(big));
    CHECK(true, fd >= 0);
    CHECK(0, call(SYS_close, fd));
    big.more = 1;
    CHECK(-E2BIG, call(SYS_openat2, dir_fd, "f", &big, sizeof(big)));
    CHECK(-EINVAL, call(SYS_openat2, dir_fd, "f", &big, 8));
    CHECK(-EFAULT, call(SYS_openat2, dir_fd, "f", T_BAD, sizeof(struct open_how)));
}

int main(void)
{
    begin("open");
    kinds_of_errors();
    through_links();
    modes();
    path_only();
    nameless();
    restricted();
    finish();
    return t_end();
}
