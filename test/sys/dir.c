/* SPDX-License-Identifier: MIT */
/* Directories: mkdir, rmdir, mknod, getdents64, getdents. */
#define _GNU_SOURCE
#include <t_file.h>

#include <sys/sysmacros.h>

static char buf[8192];

static void makes_and_removes(void)
{
    struct stat st;
    CHECK(0, call(SYS_mkdir, "d", 0777));
    CHECK(0, call(SYS_stat, "d", &st));
    CHECK(S_IFDIR | 0755, st.st_mode); /* less the umask */
    CHECK(-EEXIST, call(SYS_mkdir, "d", 0777));
    CHECK(-EEXIST, call(SYS_mkdir, ".", 0777));
    CHECK(-EEXIST, call(SYS_mkdir, "/", 0777));
    CHECK(-ENOENT, call(SYS_mkdir, "none/d", 0777));
    CHECK(-ENOENT, call(SYS_mkdir, "", 0777));
    CHECK(0, call(SYS_mkdir, "slash/", 0777));
    CHECK(0, call(SYS_rmdir, "slash/"));
    CHECK(0, call(SYS_mkdirat, AT_FDCWD, "d/sub", 01777));
    CHECK(0, call(SYS_stat, "d/sub", &st));
    CHECK(S_IFDIR | 01755, st.st_mode);
    CHECK(-ENOTEMPTY, call(SYS_rmdir, "d"));
    CHECK(-EINVAL, call(SYS_rmdir, "d/sub/."));
    CHECK(-ENOTEMPTY, call(SYS_rmdir, "d/sub/.."));
    CHECK(-EBUSY, call(SYS_rmdir, "/"));
    CHECK(0, call(SYS_rmdir, "d/sub"));
    CHECK(-ENOENT, call(SYS_rmdir, "d/sub"));
    t_write("f", "x");
    CHECK(-ENOTDIR, call(SYS_rmdir, "f"));
    CHECK(-EEXIST, call(SYS_mkdir, "f", 0777));
    CHECK(-ENOTDIR, call(SYS_mkdir, "f/d", 0777));
    CHECK(0, call(SYS_symlink, "nowhere", "l"));
    CHECK(-EEXIST, call(SYS_mkdir, "l", 0777));
    CHECK(-ENOTDIR, call(SYS_rmdir, "l"));
    CHECK(-EFAULT, call(SYS_mkdir, T_BAD, 0777));
    CHECK(-EBADF, call(SYS_mkdirat, 999, "x", 0777));
}

static void makes_nodes(void)
{
    struct stat st;
    CHECK(0, call(SYS_mknod, "file", S_IFREG | 0600, 0));
    CHECK(0, call(SYS_mknod, "file0", 0600, 0));
    CHECK(0, call(SYS_stat, "file0", &st));
    CHECK(S_IFREG | 0600, st.st_mode);
    CHECK(0, call(SYS_mknodat, AT_FDCWD, "fifo", S_IFIFO | 0644, 0));
    CHECK(0, call(SYS_stat, "fifo", &st));
    CHECK(S_IFIFO | 0644, st.st_mode);
    long fd = call(SYS_open, "fifo", O_RDWR | O_NONBLOCK);
    CHECK(2, call(SYS_write, fd, "hi", 2));
    CHECK(2, call(SYS_read, fd, buf, 10));
    call(SYS_close, fd);
    CHECK(-ENXIO, call(SYS_open, "fifo", O_WRONLY | O_NONBLOCK)); /* nobody reads */
    CHECK(0, call(SYS_mknod, "sock", S_IFSOCK | 0644, 0));
    CHECK(-ENXIO, call(SYS_open, "sock", O_RDWR));
    CHECK(-EEXIST, call(SYS_mknod, "fifo", S_IFIFO | 0644, 0));
    CHECK(-EPERM, call(SYS_mknod, "x", S_IFDIR | 0644, 0));
    CHECK(-EINVAL, call(SYS_mknod, "x", 0130000, 0));
}

/* Names in the directory, by getdents64 with a buffer of this size, each seen exactly once. */
static int count(long fd, size_t size, int *types)
{
    int n = 0;
    long got;
    CHECK(0, call(SYS_lseek, fd, 0, SEEK_SET));
    while ((got = call(SYS_getdents64, fd, buf, size)) > 0)
        for (long at = 0; at < got; n++) {
            struct dirent64 *d = (struct dirent64 *)(buf + at);
            CHECK(0, d->d_reclen % 8);
            if (d->d_type == DT_REG && types)
                types[0]++;
            if (d->d_type == DT_DIR && types)
                types[1]++;
            at += d->d_reclen;
        }
    CHECK(0, got);
    return n;
}

static void lists(void)
{
    char name[32];
    CHECK(0, call(SYS_mkdir, "many", 0755));
    for (int i = 0; i < 200; i++) {
        snprintf(name, sizeof(name), "many/entry-%d", i);
        t_write(name, "");
    }
    long fd = call(SYS_open, "many", O_RDONLY | O_DIRECTORY);
    int types[2] = { 0, 0 };
    CHECK(202, count(fd, sizeof(buf), types)); /* with . and .. */
    CHECK(200, types[0]);
    CHECK(2, types[1]);
    CHECK(202, count(fd, 64, NULL));
    CHECK(-EINVAL,
          call(SYS_lseek, fd, 0, SEEK_SET) ?: call(SYS_getdents64, fd, buf, 8)); /* nothing fits */
    CHECK(-EFAULT, call(SYS_getdents64, fd, T_BAD, 100));

    /* d_off is where the next entry is. */
    CHECK(1, call(SYS_getdents64, fd, buf, 200) > 0);
    struct dirent64 *first = (struct dirent64 *)buf,
                    *second = (struct dirent64 *)(buf + first->d_reclen);
    strcpy(name, second->d_name);
    CHECK(first->d_off, call(SYS_lseek, fd, first->d_off, SEEK_SET));
    CHECK(1, call(SYS_getdents64, fd, buf, 200) > 0);
    CHECK(0, strcmp(((struct dirent64 *)buf)->d_name, name));

    /* What is removed while it is read is not listed again. */
    CHECK(0, call(SYS_lseek, fd, 0, SEEK_SET));
    int removed = 0;
    for (long got; (got = call(SYS_getdents64, fd, buf, 300)) > 0;)
        for (long at = 0; at < got;) {
            struct dirent64 *d = (struct dirent64 *)(buf + at);
            snprintf(name, sizeof(name), "many/%.20s", d->d_name);
            removed += d->d_type == DT_REG && call(SYS_unlink, name) == 0;
            at += d->d_reclen;
        }
    CHECK(200, removed);
    CHECK(2, count(fd, sizeof(buf), NULL));

    t_write("many/one", "");
    CHECK(0, call(SYS_lseek, fd, 0, SEEK_SET));
    struct {
        unsigned long ino, off;
        unsigned short len;
        char name[];
    } *old = (void *)buf;
    long got = call(SYS_getdents, fd, buf, sizeof(buf));
    bool found = false;
    for (long at = 0; at < got; at += old->len) {
        old = (void *)(buf + at);
        found |= strcmp(old->name, "one") == 0 && buf[at + old->len - 1] == DT_REG;
    }
    CHECK(true, found);
    CHECK(0, call(SYS_unlink, "many/one"));
    CHECK(0, call(SYS_rmdir, "many"));
    CHECK(-ENOENT,
          call(SYS_lseek, fd, 0, SEEK_SET) ?: call(SYS_getdents64, fd, buf, 100)); /* removed */
    call(SYS_close, fd);
    fd = call(SYS_open, "f", O_RDONLY);
    CHECK(-ENOTDIR, call(SYS_getdents64, fd, buf, 100));
    call(SYS_close, fd);
    fd = call(SYS_open, "d", O_PATH);
    CHECK(-EBADF, call(SYS_getdents64, fd, buf, 100));
    call(SYS_close, fd);
}

int main(void)
{
    t_enter();
    makes_and_removes();
    makes_nodes();
    lists();
    return t_leave();
}
