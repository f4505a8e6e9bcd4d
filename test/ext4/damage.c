/* SPDX-License-Identifier: MIT */
/* Everything that a program can do on a file system that is damaged in some place: whatever the calls say, nothing else may happen.
 * damage.py damages the image; the sanitizers, the lock checker and a deadline judge. */
#define _GNU_SOURCE

#include <t.h>

#include <fcntl.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>

int t_main(void);

static char buf[65536];
static unsigned budget = 400; /* names looked at: a damaged tree may have no end */

static void read_file(const char *path)
{
    long fd = call(SYS_open, path, O_RDONLY | O_NONBLOCK);
    if (fd < 0)
        return;
    for (unsigned i = 0; i < 8 && call(SYS_read, fd, buf, sizeof(buf)) > 0; i++)
        ;
    (void)call(SYS_pread64, fd, buf, 5000, 1000000);
    (void)call(SYS_lseek, fd, 0, SEEK_DATA);
    (void)call(SYS_close, fd);
}

static void change_file(const char *path)
{
    long fd = call(SYS_open, path, O_RDWR | O_NONBLOCK);
    if (fd < 0)
        return;
    (void)call(SYS_pwrite64, fd, buf, 9000, 3000);
    (void)call(SYS_pwrite64, fd, buf, 100, 200000);
    (void)call(SYS_fsync, fd);
    (void)call(SYS_fallocate, fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 4096, 8192);
    (void)call(SYS_fallocate, fd, FALLOC_FL_COLLAPSE_RANGE, 4096, 4096);
    (void)call(SYS_ftruncate, fd, 1000);
    (void)call(SYS_close, fd);
    (void)call(SYS_setxattr, path, "user.a", "value", 5, 0);
}

static void visit(const char *path, unsigned depth);

static void visit_name(const char *dir, const char *name, unsigned depth)
{
    char path[1024];
    struct stat st;
    if (snprintf(path, sizeof(path), "%s/%s", dir, name) >= (int)sizeof(path) || !budget)
        return;
    budget--;
    if (call(SYS_lstat, path, &st))
        return;
    (void)call(SYS_readlink, path, buf, 4096);
    (void)call(SYS_listxattr, path, buf, 4096);
    (void)call(SYS_getxattr, path, "user.large", buf, 4096);
    if (S_ISDIR(st.st_mode)) {
        visit(path, depth + 1);
        return;
    }
    if (S_ISREG(st.st_mode)) {
        read_file(path);
        if (budget % 3 == 0)
            change_file(path);
    }
    if (budget % 5 == 0)
        (void)call(SYS_unlink, path);
}

static void visit(const char *path, unsigned depth)
{
    static const char *const fixed[] = { "new", "a name that is not short, number 7",
                                         "lost+found" };
    char list[4096], new[1100];
    long n, fd = depth > 6 ? -1 : call(SYS_open, path, O_RDONLY | O_DIRECTORY);
    if (fd < 0)
        return;
    for (unsigned i = 0; i < 8 && (n = call(SYS_getdents64, fd, list, sizeof(list))) > 0; i++)
        for (long at = 0; at < n; at += *(unsigned short *)(list + at + 16))
            if (strcmp(list + at + 19, ".") && strcmp(list + at + 19, ".."))
                visit_name(path, list + at + 19, depth);
    (void)call(SYS_close, fd);
    for (unsigned i = 0; i < 3; i++) {
        snprintf(new, sizeof(new), "%s/%s", path, fixed[i]);
        fd = call(SYS_open, new, O_WRONLY | O_CREAT, 0600);
        if (fd >= 0) {
            (void)call(SYS_write, fd, buf, 10000);
            (void)call(SYS_close, fd);
        }
    }
    snprintf(new, sizeof(new), "%s/newdir", path);
    (void)call(SYS_mkdir, new, 0755);
    snprintf(new, sizeof(new), "%s/moved", path);
    (void)call(SYS_rename, "/mnt/new", new);
}

int t_main(void)
{
    if (!call(SYS_mount, "/dev/disk", "/mnt", "ext4", 0, 0)) {
        visit("/mnt", 0);
        (void)call(SYS_sync);
        CHECK(0, call(SYS_umount2, "/mnt", 0));
    }
    CHECK(0, call(SYS_rmdir, "/tmp")); /* the machine lives */
    return t_end();
}
