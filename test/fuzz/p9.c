/* SPDX-License-Identifier: MIT */
/* The file system of a shared directory against a server that lies. libOS boots in this process. The server has a directory with a few
 * names and answers as it should, but for what the input says: one byte for each message, from 160 on a change of the answer, of
 * which the next bytes tell the kind and the place; from 140 on the thread has to die while it waits, and the answer comes later.
 * What was made of the answers is all gone after the unmount. */
#include "../../libos/fs/9p/p9.h"

#include <abi/errno.h>
#include <abi/fcntl.h>
#include <abi/stat.h>
#include <abi/statfs.h>
#include <base/log.h>
#include <libos/file.h>
#include <libos/flock.h>
#include <libos/heap.h>
#include <libos/mount.h>
#include <libos/p9.h>
#include <libos/page.h>
#include <libos/process.h>
#include <libos/random.h>
#include <libos/sched.h>
#include <libos/thread.h>
#include <libos/time.h>
#include <plat/host.h>
#include <plat/upcall.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#undef main

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);
int fuzz_main(int argc, char **argv);
void machine_exit(int wait_status);

enum { HONEST = 160, DEADLY = 140, FIDS = 256, FILE_BYTES = 5000, HELD = 64, VALUE_BYTES = 300 };

static const uint8_t *input;
static size_t input_left;
static uint32_t modes[FIDS];       /* of what each fid is */
static bool created;               /* "new" is there */
static struct p9_call *held[HELD]; /* messages whose answers come later */
static unsigned held_count, hold_type, flushes, unlocks;
static bool others_lock; /* somebody else holds a lock of everything */
static unsigned long long mounts, reads, refusals;
static int arg_count;
static char **arg_values;

static uint8_t next(void)
{
    if (!input_left)
        return 0;
    input_left--;
    return *input++;
}

struct answer {
    uint8_t bytes[P9_MSG + P9_DATA];
    size_t len;
};

static void put(struct answer *a, uint64_t v, unsigned n)
{
    memcpy(a->bytes + a->len, &v, n);
    a->len += n;
}

static void put_qid(struct answer *a, uint32_t mode)
{
    put(a, S_ISDIR(mode) ? 0x80 : 0, 1);
    put(a, 1, 4);
    put(a, mode, 8); /* one file of each kind */
}

static uint64_t number(const uint8_t *m, size_t at, unsigned n)
{
    uint64_t v = 0;
    memcpy(&v, m + at, n);
    return v;
}

/* What a name is: its first letter says so. 0: there is nothing of that name. */
static uint32_t mode_of(char c)
{
    if (c == 'n')
        return created ? S_IFREG | 0644 : 0;
    return c == 'd' ? S_IFDIR | 0755 : c == 'f' ? S_IFREG | 0644 : c == 'l' ? S_IFLNK | 0777 : 0;
}

static int walk(struct answer *a, const uint8_t *m)
{
    uint32_t mode = modes[number(m, 7, 4) % FIDS], names = (uint32_t)number(m, 15, 2);
    if (names)
        mode = S_ISDIR(mode) ? mode_of((char)m[19]) : 0;
    if (!mode)
        return ENOENT;
    modes[number(m, 11, 4) % FIDS] = mode;
    put(a, names, 2);
    if (names)
        put_qid(a, mode);
    return 0;
}

static void attributes(struct answer *a, uint32_t mode)
{
    put(a, 0x7ff, 8);
    put_qid(a, mode);
    put(a, mode, 4);
    put(a, 0, 8); /* owner */
    put(a, 1, 8);
    put(a, 0, 8);
    put(a, FILE_BYTES, 8);
    for (unsigned i = 0; i < 12; i++)
        put(a, 4096, 8); /* block size, blocks, times, generation, version */
}

static void listing(struct answer *a, uint64_t from)
{
    static const char names[] = "dfl";
    size_t count = a->len;
    put(a, 0, 4);
    for (uint64_t i = from; i < 3; i++) {
        put_qid(a, mode_of(names[i]));
        put(a, i + 1, 8);
        put(a, 8, 1);
        put(a, 1, 2);
        put(a, (uint8_t)names[i], 1);
    }
    uint32_t n = (uint32_t)(a->len - count - 4);
    memcpy(a->bytes + count, &n, 4);
}

/* What an honest server says. An errno. */
static int honest(struct answer *a, unsigned type, const uint8_t *m)
{
    uint32_t mode = modes[number(m, 7, 4) % FIDS];
    uint64_t pos = number(m, 11, 8), n = number(m, 19, 4);
    switch (type) {
    case T_VERSION:
        put(a, P9_DATA + 24, 4);
        put(a, 8, 2);
        memcpy(a->bytes + a->len, "9P2000.L", 8);
        a->len += 8;
        return 0;
    case T_ATTACH:
        modes[number(m, 7, 4) % FIDS] = S_IFDIR | 0755;
        put_qid(a, S_IFDIR);
        return 0;
    case T_WALK:
        return walk(a, m);
    case T_GETATTR:
        attributes(a, mode);
        return 0;
    case T_LCREATE:
        created = true;
        modes[number(m, 7, 4) % FIDS] = S_IFREG | 0644;
        __attribute__((fallthrough));
    case T_LOPEN:
        put_qid(a, mode);
        put(a, 0, 4);
        return 0;
    case T_XATTRWALK:
        modes[number(m, 11, 4) % FIDS] = S_IFREG | 0644;
        put(a, number(m, 15, 2) ? VALUE_BYTES : 7, 8);
        return 0;
    case T_LOCK:
        unlocks += m[11] == 2;
        put(a, others_lock && m[11] != 2, 1);
        return 0;
    case T_GETLOCK:
        put(a, others_lock ? 1 : 2, 1);
        put(a, 5, 8);
        put(a, 10, 8);
        put(a, 77, 4);
        put(a, 0, 2);
        return 0;
    case T_CLUNK:
        modes[number(m, 7, 4) % FIDS] = 0;
        return 0;
    case T_FLUSH:
        flushes++;
        return 0;
    case T_READ:
        n = pos < FILE_BYTES ? min_u64(n, FILE_BYTES - pos) : 0;
        put(a, n, 4);
        memset(a->bytes + a->len, 'x', n);
        a->len += n;
        return 0;
    case T_WRITE:
        put(a, n, 4);
        return 0;
    case T_READDIR:
        listing(a, pos);
        return 0;
    case T_READLINK:
        put(a, 1, 2);
        put(a, 'f', 1);
        return 0;
    case T_STATFS:
        for (unsigned i = 0; i < 8; i++)
            put(a, 1000, 8);
        return 0;
    case T_MKDIR:
    case T_SYMLINK:
    case T_MKNOD:
        put_qid(a, mode);
        return 0;
    default:
        return 0; /* nothing but its header */
    }
}

static void change(struct answer *a, size_t room)
{
    uint8_t kind = next();
    size_t at = next() | (size_t)next() << 8;
    if (kind < 160)
        a->bytes[at % (a->len < 200 ? a->len : 200)] ^= next();
    else if (kind < 200)
        a->len = at % (a->len + 1);
    else if (kind < 230)
        a->len = at % (room + 1);
    else
        for (size_t i = 0; i < 8; i++)
            a->bytes[(at + i) % (a->len < 200 ? a->len : 200)] = kind & 1 ? 0xff : next();
    if (kind & 2) { /* the header tells the same lie */
        uint32_t size = (uint32_t)a->len;
        memcpy(a->bytes, &size, 4);
    }
}

static void reply(struct p9_channel *ch, struct p9_call *c, bool lie)
{
    static struct answer a;
    const uint8_t *m = c->out;
    size_t room = (size_t)c->in_len + c->in_data_len;
    unsigned type = m[4];
    a.len = 7;
    int code = honest(&a, type, m);
    if (code) {
        a.len = 7;
        put(&a, (uint64_t)code, 4);
    }
    uint32_t size = (uint32_t)a.len;
    memcpy(a.bytes, &size, 4);
    a.bytes[4] = (uint8_t)(code ? 7 : type + 1);
    memcpy(a.bytes + 5, m + 5, 2);
    if (lie)
        change(&a, room);
    if (a.len > room)
        a.len = room; /* the ring's driver lets no device say more */
    size_t first = a.len < c->in_len ? a.len : c->in_len;
    memcpy(c->in, a.bytes, first);
    if (c->in_data_len)
        memcpy(c->in_data, a.bytes + first, a.len - first);
    p9_done(ch, c, (int64_t)a.len);
}

/* Answer the n-th of those that were held back. */
static void reply_late(struct p9_channel *ch, unsigned n, bool lie)
{
    struct p9_call *c = held[n];
    held[n] = held[--held_count];
    reply(ch, c, lie);
}

static int start(struct p9_channel *ch, struct p9_call *c)
{
    const uint8_t *m = c->out;
    must(c->out_len >= 7 && number(m, 0, 4) == (uint64_t)c->out_len + c->out_data_len);
    uint8_t what = next();
    if (held_count && what % 3 == 1)
        reply_late(ch, what / 3 % held_count, what >= HONEST);
    bool hold = (hold_type && m[4] == hold_type) || (what >= DEADLY && what < HONEST);
    if (hold && held_count < HELD && !((struct p9_msg *)c)->firm) {
        hold_type = 0;
        held[held_count++] = c;
        thread_set_work(thread_current(), WORK_KILLED);
    } else {
        reply(ch, c, what >= HONEST);
    }
    return 0;
}

static bool emit(struct dir_sink *s, const char *name, size_t len, uint64_t ino, uint64_t next_pos,
                 unsigned type)
{
    (void)s, (void)ino, (void)next_pos, (void)type;
    must(len && len <= ABI_NAME_MAX && !memchr(name, '/', len) && !memchr(name, 0, len));
    return next() != 1;
}

/* Attributes, and locks of what is open. */
static void more(struct file *f)
{
    char buf[VALUE_BYTES];
    struct lock_range r = { F_WRLCK, 3, 8, 1 };
    struct inode *i = f->inode;
    if (!i->ops->getxattr)
        return;
    refusals += i->ops->getxattr(i, "user.a", buf, sizeof(buf)) < 0;
    int n = i->ops->listxattr(i, buf, sizeof(buf));
    must(n <= 0 || (size_t)n > sizeof(buf) || !buf[n - 1]);
    refusals += i->ops->setxattr(i, "user.a", "value", 5, 0) < 0;
    refusals += i->ops->setxattr(i, "user.a", NULL, 0, 0) < 0;
    if (!f->ops->lock)
        return;
    refusals += f->ops->lock(f, &r, false) < 0;
    if (!f->ops->getlock(f, &r))
        must(r.type == F_UNLCK || (r.end <= INT64_MAX && r.start <= r.end));
}

static void use(const char *name, unsigned flags)
{
    static char buf[3 * PAGE_SIZE];
    struct abi_stat st;
    struct file *f;
    struct iter it;
    uint64_t pos = 0;
    if (path_open(AT_FDCWD, name, flags, 0644, 0, &f)) {
        refusals++;
        return;
    }
    (void)inode_stat(f->inode, &st);
    more(f);
    if (S_ISDIR(f->inode->mode)) {
        struct dir_sink sink = { emit };
        for (unsigned i = 0; i < 3; i++)
            (void)(f->ops->readdir && f->ops->readdir(f, &sink, &pos));
    } else if (S_ISREG(f->inode->mode)) {
        struct page *p = NULL;
        iter_kernel(&it, buf, sizeof(buf));
        reads += file_read(f, &it, &pos) > 0;
        if (f->can_write) {
            iter_kernel(&it, buf, 100);
            (void)file_write(f, &it, &pos);
        }
        if (!pagemap_get(&f->inode->pages, 0, true, &p)) {
            if (f->can_write)
                (void)f->inode->pages.ops->make_writable(&f->inode->pages, 0, p);
            page_put(p);
        }
        if (f->can_write && f->ops->sync)
            (void)f->ops->sync(f, 0, UINT64_MAX, false);
        if (f->can_write)
            refusals += inode_truncate(f->inode, 10) != 0;
    }
    file_put(f);
}

static void changes(void)
{
    struct path p;
    int err = vfs_mknod(AT_FDCWD, "/m/dir", S_IFDIR | 0755, 0);
    err |= vfs_symlink("f", AT_FDCWD, "/m/link");
    err |= vfs_rename(AT_FDCWD, "/m/f", AT_FDCWD, "/m/d/f", 0);
    err |= vfs_unlink(AT_FDCWD, "/m/f", false);
    refusals += err != 0;
    if (!path_walk(AT_FDCWD, "/m/l", WALK_FOLLOW, &p))
        path_put(&p);
}

/* One file under two names, of which the first is asked for again when the directory of the second is in no use any more. */
static void two_names(void)
{
    struct file *f;
    struct path p;
    if (path_open(AT_FDCWD, "/m/f", O_RDONLY, 0, 0, &f))
        return;
    if (!path_walk(AT_FDCWD, "/m/d/f", 0, &p))
        path_put(&p);
    if (!path_walk(AT_FDCWD, "/m/f", 0, &p))
        path_put(&p);
    file_put(f);
}

static unsigned fids_in_use(const struct p9 *fs)
{
    unsigned n = 0;
    for (unsigned i = 0; i < ARRAY_SIZE(fs->fids); i++)
        n += (unsigned)__builtin_popcountll(fs->fids[i]);
    return n;
}

/* The next message of this type has no answer while its sender lives: f has to end with want. */
static void die_in(struct p9_channel *ch, unsigned type, long (*f)(void *), void *arg, long want)
{
    unsigned before = flushes;
    hold_type = type;
    long got = f(arg);
    thread_clear_work(thread_current(), WORK_KILLED);
    if (got != want || held_count != 1 || hold_type || flushes != before + (type != T_CLUNK))
        panic("message %u: %ld, %u held, %u flushes", type, got, held_count, flushes - before);
    reply_late(ch, 0, false);
}

static long read_some(void *f)
{
    static char buf[PAGE_SIZE];
    struct iter it;
    uint64_t pos = 0;
    iter_kernel(&it, buf, sizeof(buf));
    return file_read(f, &it, &pos);
}

static long close_it(void *f)
{
    file_put(f);
    return 0;
}

static long look_up(void *name)
{
    struct path p;
    int err = path_walk(AT_FDCWD, name, 0, &p);
    if (!err)
        path_put(&p);
    return err;
}

static long attribute(void *f)
{
    struct inode *i = ((struct file *)f)->inode;
    char buf[VALUE_BYTES];
    return i->ops->getxattr(i, "user.a", buf, sizeof(buf));
}

/* A sender dies in each kind of wait; afterwards all fids and tags are free. */
static void deaths(struct p9_channel *ch)
{
    struct superblock *sb;
    struct path root;
    struct file *f, *again;
    must(p9_mount("t", false, &sb) == 0 && vfs_mount(sb, "/m", "t", 0) == 0);
    must(path_open(AT_FDCWD, "/m/f", O_RDWR, 0, 0, &f) == 0);
    must(path_open(AT_FDCWD, "/m/f", O_RDWR, 0, 0, &again) == 0);
    unsigned fids = fids_in_use(sb->data);
    die_in(ch, T_READ, read_some, f, -EINTR);
    die_in(ch, T_WALK, look_up, "/m/d", -EINTR);
    die_in(ch, T_WALK, look_up, "/m/none", -EINTR);
    die_in(ch, T_GETATTR, look_up, "/m/d", -EINTR);
    die_in(ch, T_XATTRWALK, attribute, f, -EINTR);
    die_in(ch, T_CLUNK, close_it, again, 0);
    must(attribute(f) == VALUE_BYTES);
    must(attribute(f) ==
         VALUE_BYTES); /* whose first message tidied up after the clunks of the one before */
    for (unsigned i = 0; i < ARRAY_SIZE(ch->tags); i++)
        must(ch->tags[i] == 0);
    must(fids_in_use(sb->data) == fids - 1 && !ch->back);
    /* One that stays over the unmount belongs to no file of the next. */
    hold_type = T_WALK;
    must(look_up("/m/d") == -EINTR && held_count == 1);
    thread_clear_work(thread_current(), WORK_KILLED);
    file_put(f);
    must(path_walk(AT_FDCWD, "/m", 0, &root) == 0 && mount_umount(&root, 0) == 0);
    reply_late(ch, 0, false);
}

/* Locks reach the server, whose answer counts, and go there with the file. */
static void server_locks(void)
{
    struct abi_flock l = { .l_type = F_WRLCK, .l_start = 3, .l_len = 4 };
    struct superblock *sb;
    struct path root;
    struct file *f;
    must(p9_mount("t", false, &sb) == 0 && vfs_mount(sb, "/m", "t", 0) == 0);
    must(path_open(AT_FDCWD, "/m/f", O_RDWR, 0, 0, &f) == 0);
    others_lock = true;
    must(posix_lock_set(f, -1, F_OFD_SETLK, &l) == -EAGAIN && !f->inode->locks);
    must(flock_set(f, LOCK_EX | LOCK_NB) == -EAGAIN && !f->inode->locks);
    must(posix_lock_get(f, F_OFD_GETLK, &l) == 0);
    must(l.l_type == F_WRLCK && l.l_start == 5 && l.l_len == 10 && l.l_pid == -77);
    others_lock = false;
    l = (struct abi_flock){ .l_type = F_WRLCK, .l_start = 3, .l_len = 4 };
    must(posix_lock_get(f, F_OFD_GETLK, &l) == 0 && l.l_type == F_UNLCK);
    must(flock_set(f, LOCK_EX) == 0 && f->inode->locks);
    unsigned before = unlocks;
    file_put(f);
    must(unlocks == before + 1);
    must(path_walk(AT_FDCWD, "/m", 0, &root) == 0 && mount_umount(&root, 0) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct abi_statfs fs = { 0 };
    struct superblock *sb;
    struct path root;
    input = bytes;
    input_left = size;
    memset(modes, 0, sizeof(modes));
    created = false;
    if (p9_mount("t", false, &sb)) {
        refusals++;
        thread_clear_work(thread_current(), WORK_KILLED);
        return 0;
    }
    must(vfs_mount(sb, "/m", "t", 0) == 0);
    mounts++;
    use("/m", O_RDONLY);
    use("/m/f", O_RDONLY);
    use("/m/f", O_RDWR);
    use("/m/l", O_RDONLY);
    use("/m/d/new", O_RDWR | O_CREAT);
    two_names();
    changes();
    sb->statfs(sb, &fs);
    thread_clear_work(thread_current(), WORK_KILLED);
    must(path_walk(AT_FDCWD, "/m", 0, &root) == 0 && mount_umount(&root, 0) == 0);
    return 0;
}

static void first(void *arg)
{
    static struct p9_channel channel = { .tag = "t", .start = start };
    (void)arg;
    p9_register(&channel);
    (void)LLVMFuzzerTestOneInput((const uint8_t *)"", 0);
    if (mounts != 1 || reads != 4) /* of an honest one */
        panic("%llu mounts, %llu reads, %llu refusals", mounts, reads, refusals);
    deaths(&channel);
    server_locks();
    int status = fuzz_main(arg_count, arg_values);
    printf("%llu mounts, %llu reads, %llu refusals\n", mounts, reads, refusals);
    fflush(NULL);
    _exit(status);
}

void machine_exit(int wait_status)
{
    _exit(wait_status != 0);
}

void upcall_boot(void)
{
    panic("not booted this way");
}

int main(int argc, char **argv)
{
    struct thread *thread;
    arg_count = argc;
    arg_values = argv;
    plat_host_init();
    page_init();
    sched_init_cpu(0);
    random_init();
    time_init();
    must(vfs_init(NULL, 0) == 0);
    must(process_create_first(first, NULL, &thread) == 0);
    sched_start(thread);
    sched_idle();
}
