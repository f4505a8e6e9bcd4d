/* SPDX-License-Identifier: MIT */
/* name_to_handle_at(2), open_by_handle_at(2), on the file system of /tmp, or one of the test's own. */
#define _GNU_SOURCE
#include <t.h>

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#define TOP "/tmp/t_handle"

static struct {
    unsigned bytes;
    int type;
    unsigned char data[128];
} h, other;

static long get(const char *path, int flags)
{
    int id = -1;
    h.bytes = sizeof h.data;
    return call(SYS_name_to_handle_at, AT_FDCWD, path, &h, &id, flags);
}

static long put(int flags)
{
    int dir = open(TOP, O_RDONLY | O_DIRECTORY);
    long fd = call(SYS_open_by_handle_at, dir, &h, flags);
    close(dir);
    return fd;
}

static ino_t ino_of(long fd)
{
    struct stat st = { .st_ino = 0 };
    CHECK(0, fstat((int)fd, &st));
    return st.st_ino;
}

static void make(const char *path)
{
    int fd = open(path, O_CREAT | O_RDWR, 0644);
    CHECK(true, fd >= 0);
    CHECK(4, write(fd, "text", 4));
    close(fd);
}

static void files(void)
{
    char got[8] = { 0 };
    struct stat st;
    make(TOP "/file");
    CHECK(0, get(TOP "/file", 0));
    CHECK(true, h.bytes > 0 && h.bytes <= 128);
    long fd = put(O_RDWR);
    CHECK(true, fd >= 0);
    CHECK(4, read((int)fd, got, 8));
    CHECK(0, memcmp(got, "text", 4));
    CHECK(0, stat(TOP "/file", &st));
    CHECK(st.st_ino, ino_of(fd));
    close((int)fd);
    /* It follows the file, not the name. */
    CHECK(0, rename(TOP "/file", TOP "/moved"));
    make(TOP "/file");
    fd = put(O_RDONLY);
    CHECK(st.st_ino, ino_of(fd));
    close((int)fd);
    other = h;
    CHECK(0, get(TOP "/file", 0));
    CHECK(true, memcmp(&h, &other, sizeof h) != 0);
    h = other;
    CHECK(0, unlink(TOP "/moved"));
    CHECK(-ESTALE, put(O_RDONLY));
}

static void directories(void)
{
    char name[64] = { 0 };
    CHECK(0, mkdir(TOP "/dir", 0755));
    CHECK(0, mkdir(TOP "/dir/below", 0755));
    make(TOP "/dir/below/file");
    CHECK(0, get(TOP "/dir/below", 0));
    long fd = put(O_RDONLY | O_DIRECTORY);
    CHECK(true, fd >= 0);
    CHECK(true, openat((int)fd, "file", O_RDONLY) >= 0);
    CHECK(0, fchdir((int)fd));
    CHECK(true, call(SYS_getcwd, name, sizeof name) > 0);
    CHECK(0, strcmp(name, TOP "/dir/below"));
    CHECK(0, chdir("/"));
    close((int)fd);
    CHECK(-EISDIR, put(O_RDWR));
    fd = put(O_PATH);
    CHECK(true, fd >= 0);
    close((int)fd);
    CHECK(0, get(TOP, 0)); /* the root */
    fd = put(O_RDONLY);
    CHECK(true, openat((int)fd, "dir", O_RDONLY) >= 0);
    close((int)fd);
    CHECK(0, get(TOP "/dir/below/file", 0));
    CHECK(-ENOTDIR, put(O_RDONLY | O_DIRECTORY));
}

static void links(void)
{
    CHECK(0, symlink("file", TOP "/link"));
    CHECK(0, get(TOP "/link", 0));
    CHECK(-ELOOP, put(O_RDONLY));
    other = h;
    CHECK(0, get(TOP "/file", 0));
    CHECK(true, memcmp(&h, &other, sizeof h) != 0);
    other = h;
    CHECK(0, get(TOP "/link", AT_SYMLINK_FOLLOW));
    CHECK(0, memcmp(&h, &other, 8 + h.bytes));
    int fd = open(TOP "/file", O_PATH), id;
    h.bytes = 128;
    CHECK(0, call(SYS_name_to_handle_at, fd, "", &h, &id, AT_EMPTY_PATH));
    CHECK(0, memcmp(&h, &other, 8 + h.bytes));
    struct statx x;
    CHECK(0, statx(fd, "", AT_EMPTY_PATH, STATX_MNT_ID, &x));
    CHECK(x.stx_mnt_id, id);
    close(fd);
}

static void errors(void)
{
    int id = -1;
    h.bytes = 0; /* asking how long */
    CHECK(-EOVERFLOW, call(SYS_name_to_handle_at, AT_FDCWD, TOP "/file", &h, &id, 0));
    CHECK(true, h.bytes > 0);
    CHECK(true, id > 0);
    h.bytes = 129;
    CHECK(-EINVAL, call(SYS_name_to_handle_at, AT_FDCWD, TOP "/file", &h, &id, 0));
    CHECK(-EINVAL, get(TOP "/file", 0x8000));
    CHECK(-ENOENT, get(TOP "/none", 0));
    CHECK(-ENOENT, get("", 0));
    CHECK(-EOPNOTSUPP, get("/proc/self/status", 0));
    CHECK(-EFAULT, call(SYS_name_to_handle_at, AT_FDCWD, TOP "/file", T_BAD, &id, 0));
    h.bytes = 128;
    CHECK(-EFAULT, call(SYS_name_to_handle_at, AT_FDCWD, TOP "/file", &h, T_BAD, 0));
    CHECK(0, get(TOP "/file", 0));
    CHECK(-EBADF, call(SYS_open_by_handle_at, -1, &h, O_RDONLY));
    CHECK(-EFAULT, call(SYS_open_by_handle_at, AT_FDCWD, T_BAD, O_RDONLY));
    unsigned n = h.bytes;
    h.bytes = 0;
    CHECK(-EINVAL, put(O_RDONLY));
    h.bytes = 129;
    CHECK(-EINVAL, put(O_RDONLY));
    h.bytes = n;
    memset(h.data, 0x55, sizeof h.data);
    CHECK(-ESTALE, put(O_RDONLY));
    CHECK(0, get(TOP "/file", 0));
    CHECK(0, call(SYS_prctl, PR_CAPBSET_DROP, 2, 0, 0, 0)); /* of no consequence */
    CHECK(0, setresuid(1234, 1234, 1234));
    CHECK(-EPERM, put(O_RDONLY));
    CHECK(0, get(TOP "/file", 0));
}

int main(void)
{
    if (geteuid())
        return 1;
    if (!t_alcove() && unshare(CLONE_NEWNS))
        return 1;
    CHECK(0, mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL));
    mkdir(TOP, 0755);
    CHECK(0, mount("none", TOP, "tmpfs", 0, NULL));
    CHECK(0, chmod(TOP, 0755));
    files();
    directories();
    links();
    errors();
    return t_end();
}
