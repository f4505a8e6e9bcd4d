/* SPDX-License-Identifier: MIT */
/* statmount(2), listmount(2), and statx's unique mount ids. On Linux in a mount namespace of the test's own. */
#define _GNU_SOURCE
#include "t.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef SYS_statmount
#define SYS_statmount 457
#define SYS_listmount 458
#endif

#define TOP "/tmp/t_statmount"
#define A   TOP "/a"
#define B   TOP "/b"

enum {
    SB_BASIC = 1,
    MNT_BASIC = 2,
    PROPAGATE_FROM = 4,
    MNT_ROOT = 8,
    MNT_POINT = 0x10,
    FS_TYPE = 0x20,
    MNT_OPTS = 0x80,
    FS_SUBTYPE = 0x100,
    SB_SOURCE = 0x200,
    OPT_ARRAY = 0x400,
    ID_UNIQUE = 0x4000, /* of statx */
    REVERSE = 1,
};
#define LSMT_ROOT (~0ull)
#define FIRST_ID  (1ull << 31)

struct request {
    uint32_t size, spare;
    uint64_t id, param, ns;
};

struct answer {
    uint32_t size, mnt_opts;
    uint64_t mask;
    uint32_t dev_major, dev_minor;
    uint64_t magic;
    uint32_t sb_flags, fs_type;
    uint64_t id, parent;
    uint32_t id_old, parent_old;
    uint64_t attr, propagation, peer_group, master, propagate_from;
    uint32_t root, point;
    uint64_t ns;
    uint32_t fs_subtype, sb_source, opt_num, opt_array, opt_sec_num, opt_sec_array;
    uint64_t more[46];
    char str[4096];
};
_Static_assert(offsetof(struct answer, str) == 512, "as Linux has it");

static struct answer a;

static long ask(uint64_t id, uint64_t mask)
{
    struct request r = { sizeof r, 0, id, mask, 0 };
    memset(&a, 0, sizeof a);
    return call(SYS_statmount, &r, &a, sizeof a, 0);
}

static uint64_t id_of(const char *path)
{
    struct statx x;
    CHECK(0, call(SYS_statx, AT_FDCWD, path, 0, ID_UNIQUE, &x));
    CHECK(ID_UNIQUE, x.stx_mask & ID_UNIQUE);
    CHECK(true, x.stx_mnt_id > FIRST_ID);
    return x.stx_mnt_id;
}

static void basics(void)
{
    struct stat st;
    struct statfs fs;
    uint64_t id = id_of(A), parent = id_of(TOP "/..");
    CHECK(true, id > parent);
    CHECK(0, ask(id, SB_BASIC | MNT_BASIC | MNT_ROOT | MNT_POINT | FS_TYPE | SB_SOURCE));
    CHECK(SB_BASIC | MNT_BASIC | MNT_ROOT | MNT_POINT | FS_TYPE | SB_SOURCE, a.mask);
    CHECK(0, stat(A, &st));
    CHECK(major(st.st_dev), a.dev_major);
    CHECK(minor(st.st_dev), a.dev_minor);
    CHECK(0, statfs(A, &fs));
    CHECK(fs.f_type, a.magic);
    CHECK(0, a.sb_flags);
    CHECK(id, a.id);
    CHECK(id_of(TOP), a.parent);
    struct statx x;
    CHECK(0, call(SYS_statx, AT_FDCWD, A, 0, STATX_MNT_ID, &x));
    CHECK(x.stx_mnt_id, a.id_old);
    CHECK(0, call(SYS_statx, AT_FDCWD, TOP, 0, STATX_MNT_ID, &x));
    CHECK(x.stx_mnt_id, a.parent_old);
    CHECK(0x2 | 0x8, a.attr & 0xf); /* MOUNT_ATTR_NOSUID, NOEXEC */
    CHECK(MS_PRIVATE, a.propagation);
    CHECK(0, a.peer_group);
    CHECK(0, a.master);
    CHECK(0, strcmp(a.str + a.root, "/"));
    CHECK(0, strcmp(a.str + a.point, A));
    CHECK(0, strcmp(a.str + a.fs_type, "tmpfs"));
    CHECK(0, strcmp(a.str + a.sb_source, "t_source"));
    CHECK(true, a.size > 512 + 5 && a.size < 512 + 200);
    /* Only what is asked for. */
    CHECK(0, ask(id, MNT_BASIC));
    CHECK(MNT_BASIC, a.mask);
    CHECK(512, a.size);
    CHECK(0, a.magic);
    CHECK(0, ask(id, FS_SUBTYPE)); /* it has none */
    CHECK(0, a.mask);
    CHECK(0, ask(id, 1ull << 60)); /* of a later kernel */
    CHECK(0, a.mask);
}

/* Part of a file system, shared; a slave of it. */
static void binds(void)
{
    CHECK(0, mkdir(A "/sub", 0755));
    CHECK(0, mkdir(A "/mirror", 0755));
    CHECK(0, mount(A "/sub", B, NULL, MS_BIND, NULL));
    CHECK(0, mount(NULL, B, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOATIME | MS_NODEV, NULL));
    uint64_t id = id_of(B);
    CHECK(0, ask(id, MNT_BASIC | SB_BASIC | MNT_ROOT | MNT_POINT));
    CHECK(0, strcmp(a.str + a.root, "/sub"));
    CHECK(0, strcmp(a.str + a.point, B));
    CHECK(0x1 | 0x4 | 0x10, a.attr);
    CHECK(0, a.sb_flags);
    CHECK(0, mount(NULL, B, NULL, MS_SHARED, NULL));
    CHECK(0, ask(id, MNT_BASIC));
    CHECK(MS_SHARED, a.propagation);
    CHECK(true, a.peer_group > 0);
    uint64_t group = a.peer_group;
    CHECK(0, mount(B, A "/mirror", NULL, MS_BIND, NULL));
    CHECK(0, mount(NULL, A "/mirror", NULL, MS_SLAVE, NULL));
    CHECK(0, ask(id_of(A "/mirror"), MNT_BASIC | PROPAGATE_FROM));
    CHECK(MS_SLAVE, a.propagation);
    CHECK(0, a.peer_group);
    CHECK(group, a.master);
    CHECK(group, a.propagate_from);
    CHECK(0, umount(A "/mirror"));
    CHECK(0, umount(B));
    CHECK(-ENOENT, ask(id, MNT_BASIC));
}

static void options(void)
{
    uint64_t id = id_of(A);
    CHECK(0, ask(id, MNT_OPTS | OPT_ARRAY));
    CHECK(MNT_OPTS | OPT_ARRAY, a.mask);
    CHECK(true, strstr(a.str + a.mnt_opts, "size=1024k") != NULL);
    CHECK(true, a.str[a.mnt_opts] != ',');
    int found = 0;
    const char *o = a.str + a.opt_array;
    for (unsigned i = 0; i < a.opt_num; i++, o += strlen(o) + 1)
        found += strcmp(o, "size=1024k") == 0;
    CHECK(1, found);
    CHECK(0, mount(NULL, A, NULL, MS_REMOUNT | MS_RDONLY | MS_NOSUID | MS_NOEXEC, NULL));
    CHECK(0, ask(id, SB_BASIC));
    CHECK(1, a.sb_flags); /* SB_RDONLY */
    CHECK(0, mount(NULL, A, NULL, MS_REMOUNT | MS_NOSUID | MS_NOEXEC, NULL));
}

static void errors(void)
{
    uint64_t id = id_of(A);
    struct request r = { sizeof r, 0, id, MNT_BASIC | MNT_POINT, 0 };
    CHECK(-EINVAL, call(SYS_statmount, &r, &a, sizeof a, 1));
    CHECK(-EFAULT, call(SYS_statmount, T_BAD, &a, sizeof a, 0));
    CHECK(-EFAULT, call(SYS_statmount, &r, T_BAD, sizeof a, 0));
    CHECK(-EOVERFLOW, call(SYS_statmount, &r, &a, 512, 0));
    CHECK(-EOVERFLOW, call(SYS_statmount, &r, &a, 512 + 4, 0));
    r.param = MNT_BASIC;
    memset(&a, 0xff, sizeof a);
    CHECK(0, call(SYS_statmount, &r, &a, 64, 0)); /* as much as there is room for */
    CHECK(64, a.size);
    CHECK(-1, a.propagation);
    r.size = 23;
    CHECK(-EINVAL, call(SYS_statmount, &r, &a, sizeof a, 0));
    r.size = 24; /* the first version */
    CHECK(0, call(SYS_statmount, &r, &a, sizeof a, 0));
    r.size = 8192;
    CHECK(-E2BIG, call(SYS_statmount, &r, &a, sizeof a, 0));
    struct {
        struct request r;
        uint64_t more;
    } longer = { { 40, 0, id, MNT_BASIC, 0 }, 0 };
    CHECK(0, call(SYS_statmount, &longer, &a, sizeof a, 0));
    longer.more = 1;
    CHECK(-E2BIG, call(SYS_statmount, &longer, &a, sizeof a, 0));
    CHECK(-EINVAL, ask(1, MNT_BASIC));
    CHECK(-EINVAL, ask(FIRST_ID, MNT_BASIC));
    CHECK(-ENOENT, ask(~0ull - 1, MNT_BASIC));
}

static long list(uint64_t id, uint64_t after, uint64_t *ids, size_t n, unsigned flags)
{
    struct request r = { sizeof r, 0, id, after, 0 };
    return call(SYS_listmount, &r, ids, n, flags);
}

static void lists(void)
{
    uint64_t ids[1000], some[4], back[1000], id = id_of(A);
    CHECK(0, mkdir(A "/x", 0755));
    CHECK(0, mount("none", A "/x", "tmpfs", 0, NULL));
    CHECK(0, mkdir(A "/x/y", 0755));
    CHECK(0, mount("none", A "/x/y", "tmpfs", 0, NULL));
    uint64_t x = id_of(A "/x"), y = id_of(A "/x/y");
    CHECK(2, list(id, 0, ids, 1000, 0));
    CHECK(x, ids[0]);
    CHECK(y, ids[1]);
    CHECK(0, list(y, 0, ids, 1000, 0));
    CHECK(1, list(id, 0, ids, 1, 0));
    CHECK(1, list(id, x, ids, 1000, 0));
    CHECK(y, ids[0]);
    CHECK(0, list(id, y, ids, 1000, 0));
    CHECK(2, list(id, 0, ids, 1000, REVERSE));
    CHECK(y, ids[0]);
    CHECK(1, list(id, y, ids, 1000, REVERSE));
    CHECK(x, ids[0]);
    long n = list(LSMT_ROOT, 0, ids, 1000, 0);
    CHECK(true, n >= 4);
    for (long i = 1; i < n; i++)
        CHECK(true, ids[i - 1] < ids[i]);
    CHECK(y, ids[n - 1]);
    CHECK(x, ids[n - 2]);
    CHECK(n, list(LSMT_ROOT, 0, back, 1000, REVERSE));
    for (long i = 0; i < n; i++)
        CHECK(ids[i], back[n - 1 - i]);
    long seen = 0; /* piece by piece */
    for (long got; (got = list(LSMT_ROOT, seen ? ids[seen - 1] : 0, some, 4, 0)) > 0; seen += got)
        CHECK(0, memcmp(some, ids + seen, (size_t)got * 8));
    CHECK(n, seen);
    CHECK(-EINVAL, list(LSMT_ROOT, 5, ids, 4, 0));
    CHECK(-EINVAL, list(LSMT_ROOT, 0, ids, 4, 2));
    CHECK(-EINVAL, list(7, 0, ids, 4, 0));
    CHECK(-ENOENT, list(~0ull - 1, 0, ids, 4, 0));
    CHECK(-EFAULT, list(LSMT_ROOT, 0, T_BAD, 4, 0));
    CHECK(-EOVERFLOW, list(LSMT_ROOT, 0, ids, 1000001, 0));
    CHECK(0, list(LSMT_ROOT, 0, ids, 0, 0));
}

/* Below chroot: what is outside is the administrator's. */
static void from_below(void)
{
    uint64_t outside = id_of(TOP), inside = id_of(A "/x"), ids[1000];
    struct __user_cap_header_struct header = { _LINUX_CAPABILITY_VERSION_3, 0 };
    struct __user_cap_data_struct no_rights[2] = { { 0 } };
    int pid = fork(), status;
    if (pid == 0) {
        CHECK(0, chroot(A "/x"));
        CHECK(0, chdir("/"));
        CHECK(0, ask(inside, MNT_POINT));
        CHECK(0, strcmp(a.str + a.point, "/"));
        CHECK(0, ask(id_of("/y"), MNT_POINT));
        CHECK(0, strcmp(a.str + a.point, "/y"));
        CHECK(0, ask(outside, MNT_BASIC));
        CHECK(2, list(LSMT_ROOT, 0, ids, 1000, 0));
        CHECK(0, call(SYS_capset, &header, no_rights));
        CHECK(-EPERM, ask(outside, MNT_BASIC));
        CHECK(-EPERM, list(outside, 0, ids, 1000, 0));
        CHECK(0, ask(inside, MNT_BASIC));
        _exit(t_failures != 0);
    }
    CHECK(pid, waitpid(pid, &status, 0));
    CHECK(0, status);
}

int main(void)
{
    if (!t_alcove() && unshare((geteuid() ? CLONE_NEWUSER : 0) | CLONE_NEWNS))
        return 1;
    CHECK(0, mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL));
    mkdir(TOP, 0755);
    CHECK(0, mount("none", TOP, "tmpfs", 0, NULL));
    CHECK(0, mkdir(A, 0755));
    CHECK(0, mkdir(B, 0755));
    CHECK(0, mount("t_source", A, "tmpfs", MS_NOSUID | MS_NOEXEC, "size=1m"));
    basics();
    binds();
    options();
    errors();
    lists();
    from_below();
    CHECK(0, umount2(TOP, MNT_DETACH));
    rmdir(TOP);
    return t_end();
}
