/* SPDX-License-Identifier: MIT */
/* Random operations on a small tree, from a seed: every result, and every byte read, goes into a digest that is printed from time to
 * time. The same program runs on the host's tmpfs and, in process or in a guest, on ext4: the digests must agree. What tmpfs
 * cannot do (FALLOC_FL_COLLAPSE_RANGE, INSERT_RANGE and ZERO_RANGE, O_DIRECT on older kernels) is done to it by reads and
 * writes. The disk is remounted now and then. Environment: EXERCISE_DIR, EXERCISE_OPS, EXERCISE_SEED, EXERCISE_EVERY (operations
 * between two digests; 1 finds the one that differs), EXERCISE_DISK (what to mount there; /dev/disk for /mnt), EXERCISE_WORKERS
 * (processes, each with a directory of its own; the disk is then not remounted). */
#define _GNU_SOURCE

#include <t.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

int t_main(void);

enum {
    NAMES = 24,
    DIRS = 4,
    FILE_MAX = 300000,
    FAR = 1 << 30, /* where a sparse file gets a few bytes */
    CHUNK = 70000,
    PAGE = 4096,
    DIRECT = CHUNK / PAGE, /* pages */
    MAPPED = 8,            /* pages at once */
    XATTR_MAX = 90,        /* so that all of a file fit beside each other in a block of 1 KiB */
};

static char buf[CHUNK], *direct, root[256];
static uint64_t seed, digest;
static bool disk;

static uint32_t rnd(uint32_t n)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(seed >> 33) % n;
}

static void add(const void *p, size_t n)
{
    const unsigned char *c = p;
    for (size_t i = 0; i < n; i++)
        digest = (digest ^ c[i]) * 0x100000001b3u;
}

static long note(long result)
{
    add(&result, sizeof(result));
    if (getenv("EXERCISE_TRACE"))
        printf(" %ld", result);
    return result;
}

static void pick(char *out)
{
    uint32_t d = rnd(DIRS + 1);
    if (d == DIRS)
        sprintf(out, "%s/n%u", root, rnd(NAMES));
    else
        sprintf(out, "%s/d%u/n%u", root, d, rnd(NAMES));
}

static void write_some(long fd)
{
    size_t n = 1 + rnd(rnd(4) ? 5000 : CHUNK);
    memset(buf, (int)rnd(256), n);
    note(call(SYS_pwrite64, fd, buf, n, rnd(FILE_MAX)));
}

static void read_some(long fd)
{
    size_t n = 1 + rnd(CHUNK);
    long at = rnd(FILE_MAX), got = note(call(SYS_pread64, fd, buf, n, at));
    if (got > 0)
        add(buf, (size_t)got);
    for (long i = 0; getenv("EXERCISE_TRACE") && i < got; i++)
        if (i == 0 || buf[i] != buf[i - 1])
            printf(" %ld:%02x", at + i, (unsigned char)buf[i]);
}

static long size_of(long fd)
{
    struct stat st;
    CHECK(0, call(SYS_fstat, fd, &st));
    return st.st_size;
}

/* Look at some pages and change a part of them through memory. */
static void map_some(long fd)
{
    long pages = size_of(fd) / PAGE, n = 1 + rnd(MAPPED);
    if (pages < n)
        return;
    long p = call(SYS_mmap, 0, n * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
                  (long)rnd((uint32_t)(pages - n + 1)) * PAGE);
    CHECK(true, p > 0);
    add((void *)p, (size_t)n * PAGE);
    uint32_t from = rnd((uint32_t)n * PAGE / 2), length = rnd((uint32_t)n * PAGE / 2);
    memset((char *)p + from, (int)rnd(256), length);
    if (getenv("EXERCISE_TRACE"))
        printf(" map+%u,%u", from, length);
    if (rnd(4) == 0)
        note(call(SYS_msync, p, n * PAGE, rnd(2) ? MS_SYNC : MS_ASYNC));
    CHECK(0, call(SYS_munmap, p, n * PAGE));
}

/* By a second descriptor, past the page cache. */
static void direct_some(const char *name)
{
    long n = (1 + (long)rnd(DIRECT)) * PAGE, at = (long)rnd(FILE_MAX / PAGE) * PAGE;
    bool writes = rnd(2);
    long fd = call(SYS_open, name, O_RDWR | (disk ? O_DIRECT : 0), 0);
    if (fd < 0) /* it has no name any more */
        return;
    if (writes) {
        memset(direct, (int)rnd(256), (size_t)n);
        note(call(SYS_pwrite64, fd, direct, n, at));
    } else {
        long got = note(call(SYS_pread64, fd, direct, n, at));
        if (got > 0)
            add(direct, (size_t)got);
    }
    call(SYS_close, fd);
}

/* Move what lies between from and size by so much. */
static void shift(long fd, long from, long size, long by)
{
    char *all = malloc((size_t)(size - from) + 1);
    CHECK(size - from, call(SYS_pread64, fd, all, size - from, from));
    CHECK(size - from, call(SYS_pwrite64, fd, all, size - from, from + by));
    free(all);
}

/* What tmpfs lacks, as fallocate(2) says it. */
static long allocate_by_hand(long fd, int mode, long at, long n)
{
    long size = size_of(fd);
    if (mode & FALLOC_FL_ZERO_RANGE) {
        long end = (mode & FALLOC_FL_KEEP_SIZE) && at + n > size ? size : at + n;
        memset(buf, 0, sizeof(buf));
        if (end > at)
            CHECK(end - at, call(SYS_pwrite64, fd, buf, end - at, at));
        return 0;
    }
    if ((mode == FALLOC_FL_COLLAPSE_RANGE ? at + n : at) >= size || (at | n) % PAGE)
        return -EINVAL;
    if (mode == FALLOC_FL_COLLAPSE_RANGE) {
        shift(fd, at + n, size, -n);
        return call(SYS_ftruncate, fd, size - n);
    }
    shift(fd, at, size, n);
    memset(buf, 0, sizeof(buf));
    CHECK(n, call(SYS_pwrite64, fd, buf, n, at));
    return 0;
}

/* All modes; the space itself is not compared. */
static void allocate_some(long fd)
{
    static const int modes[] = { 0,
                                 FALLOC_FL_KEEP_SIZE,
                                 FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                                 FALLOC_FL_ZERO_RANGE,
                                 FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE,
                                 FALLOC_FL_COLLAPSE_RANGE,
                                 FALLOC_FL_INSERT_RANGE };
    uint32_t m = rnd(7);
    long at = rnd(FILE_MAX), n = 1 + rnd(CHUNK);
    if (m >= 5 && rnd(16)) {
        at -= at % PAGE;
        n = n / PAGE * PAGE + (n < PAGE ? PAGE : 0);
    }
    if (m >= 5 && size_of(fd) > 2 * FILE_MAX)
        return;
    if (getenv("EXERCISE_TRACE"))
        printf(" falloc%x %ld,%ld", modes[m], at, n);
    if (m < 3 || disk) {
        note(call(SYS_fallocate, fd, modes[m], at, n));
        return;
    }
    long flags = call(SYS_fcntl, fd, F_GETFL); /* with O_APPEND, pwrite(2) appends */
    CHECK(0, call(SYS_fcntl, fd, F_SETFL, flags & ~O_APPEND));
    note(allocate_by_hand(fd, modes[m], at, n));
    CHECK(0, call(SYS_fcntl, fd, F_SETFL, flags));
}

/* Set, read, list or remove attributes. tmpfs has had trusted.* for the longest time. */
static void attributes(long fd)
{
    static const char *const key[] = { "trusted.a", "trusted.some.longer.name", "trusted.z" };
    char value[128];
    const char *k = key[rnd(3)];
    long got;
    switch (rnd(5)) {
    case 0:
    case 1:
        got = rnd(XATTR_MAX);
        memset(value, (int)rnd(256), (size_t)got);
        note(call(SYS_fsetxattr, fd, k, value, got, rnd(3)));
        break;
    case 2:
        note(call(SYS_fremovexattr, fd, k));
        break;
    case 3:
        note(call(SYS_flistxattr, fd, value, sizeof(value)));
        break;
    default:
        got = note(call(SYS_fgetxattr, fd, k, value, rnd(4) ? sizeof(value) : rnd(XATTR_MAX)));
        if (got > 0)
            add(value, (size_t)got);
    }
}

/* A few bytes far away, or in between. */
static void far_some(long fd)
{
    note(call(SYS_pwrite64, fd, "far", 3, rnd(FAR)));
    note(size_of(fd));
}

static void about_file(long fd)
{
    struct stat st;
    struct timespec t[2] = { { .tv_sec = rnd(2000000000), .tv_nsec = rnd(1000000000) },
                             { .tv_sec = rnd(2000000000), .tv_nsec = rnd(1000000000) } };
    switch (rnd(4)) {
    case 0:
        note(call(SYS_fchmod, fd, rnd(07777)));
        break;
    case 1:
        note(call(SYS_fchown, fd, rnd(100000), rnd(100000)));
        break;
    case 2:
        note(call(SYS_utimensat, fd, 0, t, 0));
        CHECK(0, call(SYS_fstat, fd, &st));
        note(st.st_mtim.tv_sec);
        note(st.st_mtim.tv_nsec);
        break;
    default:
        CHECK(0, call(SYS_fstat, fd, &st));
        note((long)st.st_mode);
        note((long)st.st_uid);
        note((long)st.st_gid);
    }
}

static void one_in_file(long fd, const char *name)
{
    switch (rnd(16)) {
    case 0:
    case 1:
    case 2:
        write_some(fd);
        break;
    case 3:
    case 4:
        read_some(fd);
        break;
    case 5:
        note(call(SYS_ftruncate, fd, rnd(FILE_MAX)));
        break;
    case 6:
    case 7:
        map_some(fd);
        break;
    case 8:
    case 9:
        allocate_some(fd);
        break;
    case 10:
        direct_some(name);
        break;
    case 11:
        attributes(fd);
        break;
    case 12:
        about_file(fd);
        break;
    case 13:
        if (rnd(4) == 0)
            far_some(fd);
        break;
    case 14: /* what comes next is done to a file without a name, or with one less */
        if (rnd(8) == 0)
            note(call(SYS_unlink, name));
        break;
    default:
        note(rnd(2) ? call(SYS_fsync, fd) : call(SYS_fdatasync, fd));
    }
}

static void in_file(void)
{
    static const int flags[] = {
        0, O_CREAT, O_CREAT, O_CREAT | O_EXCL, O_CREAT | O_APPEND, O_CREAT | O_TRUNC
    };
    char name[300];
    struct stat st;
    pick(name);
    if (getenv("EXERCISE_TRACE"))
        printf("\n%s", name + strlen(root));
    long fd = call(SYS_open, name, O_RDWR | flags[rnd(6)], 0644);
    note(fd < 0 ? fd : 0);
    for (uint32_t n = fd < 0 ? 0 : 1 + rnd(4); n; n--)
        one_in_file(fd, name);
    if (fd < 0)
        return;
    CHECK(0, call(SYS_fstat, fd, &st));
    note(st.st_size);
    note((long)st.st_nlink);
    call(SYS_close, fd);
}

/* The names of a directory, in no order. */
static void list(void)
{
    static char entries[16384];
    char name[300];
    long sum = 0, n;
    sprintf(name, "%s/d%u", root, rnd(DIRS));
    long fd = call(SYS_open, name, O_RDONLY | O_DIRECTORY);
    CHECK(true, fd >= 0);
    while ((n = call(SYS_getdents64, fd, entries, sizeof(entries))) > 0)
        for (long at = 0; at < n;) {
            const struct dirent64 *e = (void *)(entries + at);
            long h = e->d_type;
            for (const char *c = e->d_name; *c; c++)
                h = h * 31 + *c;
            sum += h;
            at += e->d_reclen;
        }
    note(n);
    note(sum);
    call(SYS_close, fd);
}

static void look(const char *name)
{
    struct stat st;
    char to[64];
    if (note(call(SYS_lstat, name, &st)))
        return;
    note((long)st.st_mode);
    note((long)st.st_nlink);
    if (S_ISREG(st.st_mode) || S_ISLNK(st.st_mode))
        note(st.st_size);
    if (S_ISLNK(st.st_mode)) {
        long n = note(call(SYS_readlink, name, to, sizeof(to)));
        add(to, n > 0 ? (size_t)n : 0);
    }
}

static void names(void)
{
    char a[300], b[300];
    pick(a);
    pick(b);
    switch (rnd(10)) {
    case 0:
    case 1:
        note(call(SYS_rename, a, b));
        break;
    case 2:
        note(call(SYS_renameat2, AT_FDCWD, a, AT_FDCWD, b, 1 + rnd(2))); /* noreplace, exchange */
        break;
    case 3:
        note(call(SYS_link, a, b));
        break;
    case 4:
        note(call(SYS_unlink, a));
        break;
    case 5:
        note(call(SYS_symlink, "somewhere", a));
        break;
    case 6:
        note(call(SYS_mkdir, a, 0755));
        break;
    case 7:
        note(call(SYS_rmdir, a));
        break;
    case 8:
        note(call(SYS_truncate, a, rnd(FILE_MAX)));
        break;
    default:
        look(a);
    }
}

static const char *device(void)
{
    const char *name = getenv("EXERCISE_DISK");
    return name ? name : !strcmp(root, "/mnt") ? "/dev/disk" : NULL;
}

static void mount_it(void)
{
    CHECK(0, call(SYS_mount, device(), root, "ext4", 0, 0));
}

static void one(void)
{
    switch (rnd(8)) {
    case 0:
        list();
        break;
    case 1:
    case 2:
    case 3:
        names();
        break;
    default:
        in_file();
    }
}

/* All of it below root. WHO stands before each digest. */
static void work(const char *who, bool remounts)
{
    long ops = atol(getenv("EXERCISE_OPS"));
    long every = getenv("EXERCISE_EVERY") ? atol(getenv("EXERCISE_EVERY")) : 1000;
    for (int i = 0; i < DIRS; i++) {
        char name[300];
        sprintf(name, "%s/d%d", root, i);
        CHECK(0, call(SYS_mkdir, name, 0755));
    }
    for (long i = 0; i < ops && !t_failures; i++) {
        one();
        if (i % every == every - 1 || i + 1 == ops) {
            printf("%s%ld %016llx\n", who, i + 1, (unsigned long long)digest);
            fflush(stdout);
        }
        if (remounts && i % 1000 == 999) {
            CHECK(0, call(SYS_umount2, root, 0));
            mount_it();
        }
    }
}

#ifdef T_IN_PROCESS
static void workers(int n)
{
    (void)n;
    work("", disk);
}
#else
/* N processes at once. */
static void workers(int n)
{
    char top[256], who[32];
    if (n == 0) {
        work("", disk);
        return;
    }
    strcpy(top, root);
    fflush(stdout);
    for (int i = 0; i < n; i++)
        if (fork() == 0) {
            snprintf(root, sizeof(root), "%.200s/w%d", top, i);
            snprintf(who, sizeof(who), "worker %d: ", i);
            seed += (uint64_t)i;
            CHECK(0, call(SYS_mkdir, root, 0755));
            work(who, false);
            fflush(stdout);
            _exit(t_failures != 0);
        }
    for (int i = 0, status; i < n; i++)
        CHECK(true, wait(&status) > 0 && status == 0);
}
#endif

int t_main(void)
{
    const char *n = getenv("EXERCISE_WORKERS");
    seed = (uint64_t)atol(getenv("EXERCISE_SEED"));
    snprintf(root, sizeof(root), "%s", getenv("EXERCISE_DIR"));
    disk = device() != NULL;
    call(SYS_umask, 022);
    long p = call(SYS_mmap, 0, DIRECT * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
                  -1, 0);
    CHECK(true, p > 0);
    direct = (char *)p;
    if (disk) {
        call(SYS_mkdir, root, 0755);
        mount_it();
    }
    workers(n ? atoi(n) : 0);
    if (disk)
        CHECK(0, call(SYS_umount2, root, 0));
    fflush(stdout);
    return t_end();
}

#ifndef T_IN_PROCESS
int main(void)
{
    return t_main();
}
#endif
