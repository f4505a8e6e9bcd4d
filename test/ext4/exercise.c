/* SPDX-License-Identifier: MIT */
/* Random operations on a small tree, from a seed: every result, and every byte read, goes into a digest that is printed from time to
 * time. The same program runs on the host's tmpfs and, in process, on ext4: the digests must agree. The tree is remounted now
 * and then where it is a disk. Environment: EXERCISE_DIR, EXERCISE_OPS, EXERCISE_SEED, EXERCISE_EVERY (operations
 * between two digests; 1 finds the one that differs). */
#define _GNU_SOURCE

#include <t.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>

int t_main(void);

enum { NAMES = 24, DIRS = 4, FILE_MAX = 300000, CHUNK = 70000, PAGE = 4096 };

static char buf[CHUNK], root[256];
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

static void map_some(long fd)
{
    struct stat st;
    if (call(SYS_fstat, fd, &st) || st.st_size < PAGE)
        return;
    long p = call(SYS_mmap, 0, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
                  (long)rnd((uint32_t)(st.st_size / PAGE)) * PAGE);
    CHECK(true, p > 0);
    add((void *)p, PAGE);
    uint32_t from = rnd(PAGE / 2), n = rnd(PAGE / 2);
    memset((char *)p + from, (int)rnd(256), n);
    if (getenv("EXERCISE_TRACE"))
        printf(" map+%u,%u", from, n);
    CHECK(0, call(SYS_munmap, p, PAGE));
}

/* What both file systems can do; the space itself is not compared. */
static void allocate_some(long fd)
{
    static const int modes[] = { 0, FALLOC_FL_KEEP_SIZE,
                                 FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE };
    note(call(SYS_fallocate, fd, modes[rnd(3)], rnd(FILE_MAX), 1 + rnd(CHUNK)));
}

static void in_file(void)
{
    char name[300];
    struct stat st;
    pick(name);
    if (getenv("EXERCISE_TRACE"))
        printf("\n%s", name + strlen(root));
    long fd = call(SYS_open, name, O_RDWR | (rnd(2) ? O_CREAT : 0), 0644);
    note(fd < 0 ? fd : 0);
    for (uint32_t n = fd < 0 ? 0 : 1 + rnd(4); n; n--) {
        switch (rnd(9)) {
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
            map_some(fd);
            break;
        case 7:
            allocate_some(fd);
            break;
        default:
            note(rnd(2) ? call(SYS_fsync, fd) : call(SYS_fdatasync, fd));
        }
    }
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

static void names(void)
{
    char a[300], b[300];
    struct stat st;
    pick(a);
    pick(b);
    switch (rnd(7)) {
    case 0:
        note(call(SYS_rename, a, b));
        break;
    case 1:
        note(call(SYS_link, a, b));
        break;
    case 2:
        note(call(SYS_unlink, a));
        break;
    case 3:
        note(call(SYS_symlink, "somewhere", a));
        break;
    case 4:
        note(call(SYS_mkdir, a, 0755));
        break;
    case 5:
        note(call(SYS_rmdir, a));
        break;
    default:
        if (!note(call(SYS_lstat, a, &st))) {
            note((long)st.st_mode);
            note((long)st.st_nlink);
            if (S_ISREG(st.st_mode) || S_ISLNK(st.st_mode))
                note(st.st_size);
        }
    }
}

static void remount(void)
{
    CHECK(0, call(SYS_umount2, root, 0));
    CHECK(0, call(SYS_mount, "/dev/disk", root, "ext4", 0, 0));
}

int t_main(void)
{
    long ops = atol(getenv("EXERCISE_OPS"));
    long every = getenv("EXERCISE_EVERY") ? atol(getenv("EXERCISE_EVERY")) : 1000;
    seed = (uint64_t)atol(getenv("EXERCISE_SEED"));
    snprintf(root, sizeof(root), "%s", getenv("EXERCISE_DIR"));
    disk = !strcmp(root, "/mnt");
    if (disk)
        CHECK(0, call(SYS_mount, "/dev/disk", root, "ext4", 0, 0));
    for (int i = 0; i < DIRS; i++) {
        char name[300];
        sprintf(name, "%s/d%d", root, i);
        CHECK(0, call(SYS_mkdir, name, 0755));
    }
    for (long i = 0; i < ops && !t_failures; i++) {
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
        if (i % every == every - 1 || i + 1 == ops)
            printf("%ld %016llx\n", i + 1, (unsigned long long)digest);
        if (disk && i % 1000 == 999)
            remount();
    }
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
