/* SPDX-License-Identifier: MIT */
/* What a user may do in directories that all write to, and with capabilities one by one: links that are not his, access(2) by real
 * ids, owners of files with set-id bits. Run as root; children become users. */
#define _GNU_SOURCE
#include <t.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define TOP "/tmp/t_protect"

enum { USER = 1000, OTHER = 1001, CHOWN = 1, DAC_READ = 4 };

static bool sysctl(const char *name)
{
    char path[64], c = '0';
    snprintf(path, sizeof path, "/proc/sys/fs/protected_%s", name);
    int fd = open(path, O_RDONLY);
    (void)!read(fd, &c, 1);
    close(fd);
    return c != '0';
}

static void file(const char *name, int mode, int uid)
{
    int fd = open(name, O_CREAT | O_RDWR, 0600);
    CHECK(0, fchown(fd, (uid_t)uid, (gid_t)uid));
    CHECK(0, fchmod(fd, (mode_t)mode));
    close(fd);
}

/* Run fn as uid with these effective capabilities. */
static void as(int uid, unsigned caps, void (*fn)(void))
{
    int status, pid = fork();
    if (pid == 0) {
        struct __user_cap_header_struct h = { _LINUX_CAPABILITY_VERSION_3, 0 };
        struct __user_cap_data_struct d[2] = { { caps, caps, 0 }, { 0, 0, 0 } };
        t_failures = 0;
        CHECK(0, prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0));
        CHECK(0, call(SYS_setgroups, 0, NULL));
        CHECK(0, call(SYS_setresgid, uid, uid, uid));
        CHECK(0, call(SYS_setresuid, uid, uid, uid));
        CHECK(0, call(SYS_capset, &h, d));
        fn();
        _exit(t_failures != 0);
    }
    CHECK(pid, waitpid(pid, &status, 0));
    CHECK(0, status);
}

static void hard_links(void)
{
    long no = sysctl("hardlinks") ? -EPERM : 0;
    CHECK(no, call(SYS_link, TOP "/secret", TOP "/l1"));
    CHECK(no, call(SYS_link, TOP "/readable", TOP "/l2"));
    CHECK(0, call(SYS_link, TOP "/writable", TOP "/l3"));
    CHECK(no, call(SYS_link, TOP "/setuid", TOP "/l4"));
    CHECK(0, call(SYS_link, TOP "/mine", TOP "/l5"));
    CHECK(no, call(SYS_link, TOP "/fifo", TOP "/l6"));
}

static long opens(const char *name)
{
    long fd = call(SYS_open, name, O_RDONLY);
    if (fd >= 0)
        close((int)fd);
    return fd < 0 ? fd : 0;
}

static void symbolic_links(void)
{
    long no = sysctl("symlinks") ? -EACCES : 0;
    char text[32];
    CHECK(no, opens(TOP "/shared/theirs"));
    CHECK(0, opens(TOP "/shared/owners")); /* the directory's owner's */
    CHECK(0, opens(TOP "/shared/mine"));
    CHECK(0, opens(TOP "/theirs"));          /* not a shared directory */
    CHECK(0, opens(TOP "/shared/dir/mine")); /* on the way */
    CHECK(true, call(SYS_readlink, TOP "/shared/theirs", text, sizeof text) > 0);
}

/* Real ids decide, and without root's they have no capabilities. */
static void access_ids(void)
{
    CHECK(0, opens(TOP "/secret"));
    CHECK(-EACCES, call(SYS_access, TOP "/secret", R_OK));
    CHECK(-EACCES, call(SYS_faccessat2, AT_FDCWD, TOP "/secret", R_OK, 0));
    CHECK(0, call(SYS_faccessat2, AT_FDCWD, TOP "/secret", R_OK, AT_EACCESS));
}

static void owners(void)
{
    struct stat st;
    CHECK(0, call(SYS_chown, TOP "/secret", USER, USER));
    CHECK(-EPERM, call(SYS_chown, TOP "/setuid", USER, USER)); /* the bit would go: not his */
    CHECK(-EPERM, call(SYS_chown, TOP "/setgid", USER, USER));
    CHECK(0, stat(TOP "/setgid", &st));
    CHECK(0, st.st_uid);
    CHECK(0, call(SYS_chown, TOP "/secret", 0, 0));
}

int main(void)
{
    umask(0);
    mkdir(TOP, 0777);
    mkdir(TOP "/shared", 01777);
    CHECK(0, chown(TOP "/shared", OTHER, OTHER));
    CHECK(0, chmod(TOP "/shared", 01777));
    mkdir(TOP "/real", 0755);
    file(TOP "/secret", 0600, 0);
    file(TOP "/readable", 0644, 0);
    file(TOP "/writable", 0666, 0);
    file(TOP "/setuid", 04777, 0);
    file(TOP "/setgid", 02745, 0);
    file(TOP "/mine", 0600, USER);
    file(TOP "/real/mine", 0600, USER);
    CHECK(0, mkfifo(TOP "/fifo", 0666));
    const struct {
        const char *name, *to;
        int uid;
    } links[] = { { "/shared/theirs", "../readable", 2000 },
                  { "/shared/owners", "../readable", OTHER },
                  { "/shared/mine", "../readable", USER },
                  { "/theirs", "readable", 2000 },
                  { "/shared/dir", "../real", 2000 } };
    for (unsigned i = 0; i < sizeof links / sizeof *links; i++) {
        char name[64];
        snprintf(name, sizeof name, TOP "%s", links[i].name);
        CHECK(0, symlink(links[i].to, name));
        CHECK(0, lchown(name, (uid_t)links[i].uid, (gid_t)links[i].uid));
    }
    as(USER, 0, hard_links);
    as(USER, 0, symbolic_links);
    as(USER, DAC_READ, access_ids);
    as(USER, CHOWN, owners);
    return (t_alcove() ? 0 : system("rm -rf " TOP)) | t_end();
}
