/* SPDX-License-Identifier: MIT */
/* What a disk costs: mounts DEVICE (a clean ext4), then writes, reads and runs SQLite on it. Each measurement lies between two
 * marks for the counting plugin and prints "op NAME COUNT". Usage: diskbench DEVICE [NAME...] */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MARK(id)                                                                                   \
    __asm__ volatile(".byte 0x0f, 0x1f, 0x80; .long 0x554c0000 | %c0" ::"i"(id) : "memory")
#define TRY(call)                                                                                  \
    do {                                                                                           \
        if ((call) < 0) {                                                                          \
            printf("%s: %s\n", #call, strerror(errno));                                            \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

enum { MIB = 1 << 20, PAGE = 4096, FILE_MIB = 64, DEPTH = 32 };
static const char *device;
static char *buf;
static int fd;
static sqlite3 *db;

static void mount_it(long n)
{
    (void)n;
    TRY(mount(device, "/mnt", "ext4", 0, ""));
}

static void big_file(void)
{
    TRY(fd = open("/mnt/file", O_RDWR | O_CREAT, 0644));
    for (int i = 0; i < FILE_MIB; i++)
        TRY(pwrite(fd, buf, MIB, (off_t)i * MIB));
    TRY(fsync(fd));
}

static void close_file(void)
{
    close(fd);
}

static void write_fdatasync_4k(long n)
{
    for (long i = 0; i < n; i++) {
        TRY(pwrite(fd, buf, PAGE, 0));
        TRY(fdatasync(fd));
    }
}

static void append_fdatasync_4k(long n)
{
    for (long i = 0; i < n; i++) {
        TRY(pwrite(fd, buf, PAGE, (off_t)FILE_MIB * MIB + i * PAGE));
        TRY(fdatasync(fd));
    }
}

static void write_fsync_1m(long n)
{
    for (long i = 0; i < n; i++) {
        TRY(pwrite(fd, buf, MIB, 0));
        TRY(fsync(fd));
    }
}

static uint64_t seed = 1;
static long random_page(void)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (long)((seed >> 33) % (FILE_MIB * (MIB / PAGE)));
}

static aio_context_t aio;
static void open_direct(void)
{
    TRY(fd = open("/mnt/file", O_RDONLY | O_DIRECT));
    TRY(syscall(SYS_io_setup, DEPTH * 2, &aio));
}

static void submit(struct iocb *cb, int i)
{
    struct iocb *list[1] = { cb };
    *cb = (struct iocb){ .aio_lio_opcode = IOCB_CMD_PREAD,
                         .aio_fildes = (uint32_t)fd,
                         .aio_buf = (uint64_t)(uintptr_t)(buf + i * PAGE),
                         .aio_nbytes = PAGE,
                         .aio_offset = random_page() * PAGE,
                         .aio_data = (uint64_t)i };
    TRY(syscall(SYS_io_submit, aio, 1, list));
}

/* As fio does: what is done is replaced, one request a call, 32 in flight. */
static void read_direct_qd32(long n)
{
    static struct iocb cb[DEPTH];
    struct io_event ev[DEPTH];
    long begun = 0;
    for (; begun < DEPTH; begun++)
        submit(&cb[begun], (int)begun);
    for (long done = 0; done < n;) {
        long got = syscall(SYS_io_getevents, aio, 1, DEPTH, ev, NULL);
        TRY(got);
        for (long i = 0; i < got; i++) {
            if (ev[i].res != PAGE) {
                printf("read: %lld\n", (long long)ev[i].res);
                exit(1);
            }
            if (begun++ < n)
                submit(&cb[ev[i].data], (int)ev[i].data);
        }
        done += got;
    }
}

static void sql(const char *text)
{
    char *err = NULL;
    if (sqlite3_exec(db, text, NULL, NULL, &err)) {
        printf("%s: %s\n", text, err);
        exit(1);
    }
}

static void open_db(void)
{
    if (sqlite3_open("/mnt/t.db", &db))
        exit(1);
    sql("create table if not exists t(id integer primary key, name text, value integer)");
}

static void close_db(void)
{
    sqlite3_close(db);
}

static void insert(sqlite3_stmt *s, long i)
{
    char name[32];
    snprintf(name, sizeof(name), "name %ld", i);
    sqlite3_bind_text(s, 1, name, -1, SQLITE_TRANSIENT);
    sqlite3_bind_int64(s, 2, i * 7919 % 10007);
    if (sqlite3_step(s) != SQLITE_DONE)
        exit(1);
    sqlite3_reset(s);
}

static void inserts(long n)
{
    sqlite3_stmt *s;
    sqlite3_prepare_v2(db, "insert into t(name, value) values(?, ?)", -1, &s, NULL);
    for (long i = 0; i < n; i++)
        insert(s, i);
    sqlite3_finalize(s);
}

static void sqlite_inserts(long n)
{
    sql("begin");
    inserts(n);
    sql("commit");
}

static void sqlite_commits(long n)
{
    inserts(n);
}

static void sqlite_selects(long n)
{
    sqlite3_stmt *s;
    sqlite3_prepare_v2(db, "select name, value from t where id = ?", -1, &s, NULL);
    for (long i = 0; i < n; i++) {
        sqlite3_bind_int64(s, 1, 1 + i * 4999 % 20000);
        if (sqlite3_step(s) != SQLITE_ROW)
            exit(1);
        sqlite3_reset(s);
    }
    sqlite3_finalize(s);
}

static const struct {
    const char *name;
    void (*run)(long n);
    long warm, n;
    void (*before)(void), (*after)(void);
} ops[] = {
    { "mount", mount_it, 0, 1, NULL, NULL },
    { "write_fdatasync_4k", write_fdatasync_4k, 4, 50, big_file, close_file },
    { "append_fdatasync_4k", append_fdatasync_4k, 0, 50, big_file, close_file },
    { "write_fsync_1m", write_fsync_1m, 2, 8, big_file, close_file },
    { "read_direct_qd32", read_direct_qd32, 64, 2048, open_direct, close_file },
    { "sqlite_inserts", sqlite_inserts, 0, 20000, open_db, close_db },
    { "sqlite_selects", sqlite_selects, 0, 5000, open_db, close_db },
    { "sqlite_commits", sqlite_commits, 2, 100, open_db, close_db },
};

int main(int argc, char **argv)
{
    device = argv[1];
    buf = aligned_alloc(PAGE, MIB);
    memset(buf, 'x', MIB);
    setvbuf(stdout, NULL, _IOLBF, 0);
    mkdir("/mnt", 0755);
    for (unsigned i = 0; i < sizeof(ops) / sizeof(ops[0]); i++) {
        bool wanted = argc < 3 || i == 0;
        for (int a = 2; a < argc; a++)
            wanted |= !strcmp(argv[a], ops[i].name);
        if (!wanted)
            continue;
        if (ops[i].before)
            ops[i].before();
        if (ops[i].warm)
            ops[i].run(ops[i].warm);
        MARK(0xb1);
        ops[i].run(ops[i].n);
        MARK(0xe1);
        if (ops[i].after)
            ops[i].after();
        printf("op %s %ld\n", ops[i].name, ops[i].n);
    }
    umount("/mnt");
    puts("end");
    return 0;
}
