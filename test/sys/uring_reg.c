/* SPDX-License-Identifier: MIT */
/* io_uring_register, and the operations on registered things, names and descriptors. */
#define _GNU_SOURCE
#include <t_file.h>
#include <t_uring.h>

#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/xattr.h>

static struct ring r;
static char *buf;
static int fd;

static long reg(unsigned op, void *arg, unsigned n)
{
    return call(SYS_io_uring_register, r.fd, op, arg, n);
}

static struct io_uring_sqe *io(int op, int f, void *p, unsigned n, uint64_t off)
{
    struct io_uring_sqe *s = sqe(&r, op, f, 9);
    s->addr = (uintptr_t)p;
    s->len = n;
    s->off = off;
    return s;
}

static void files(void)
{
    int fds[4] = { fd, -1, fd, -1 }, more = fd, bad = 9999;
    CHECK(-EFAULT, reg(IORING_REGISTER_FILES, NULL, 4));
    CHECK(-EINVAL, reg(IORING_REGISTER_FILES, fds, 0));
    CHECK(-EBADF, reg(IORING_REGISTER_FILES, &bad, 1));
    CHECK(-ENXIO, reg(IORING_UNREGISTER_FILES, NULL, 0));
    CHECK(0, reg(IORING_REGISTER_FILES, fds, 4));
    CHECK(-EBUSY, reg(IORING_REGISTER_FILES, fds, 4));
    io(IORING_OP_WRITE, 0, (void *)"fixed", 5, 0)->flags = IOSQE_FIXED_FILE;
    CHECK(5, result(&r));
    io(IORING_OP_READ, 1, buf, 5, 0)->flags = IOSQE_FIXED_FILE;
    CHECK(-EBADF, result(&r));
    io(IORING_OP_READ, 4, buf, 5, 0)->flags = IOSQE_FIXED_FILE;
    CHECK(-EBADF, result(&r));
    struct io_uring_files_update up = { .offset = 3, .fds = (uintptr_t)&more };
    CHECK(1, reg(IORING_REGISTER_FILES_UPDATE, &up, 1));
    up.offset = 4;
    CHECK(-EINVAL, reg(IORING_REGISTER_FILES_UPDATE, &up, 1));
    io(IORING_OP_READ, 3, buf, 5, 0)->flags = IOSQE_FIXED_FILE;
    CHECK(5, result(&r));
    CHECK(0, memcmp(buf, "fixed", 5));
    int none = -1;
    io(IORING_OP_FILES_UPDATE, -1, &none, 1, 3);
    CHECK(1, result(&r));
    io(IORING_OP_READ, 3, buf, 5, 0)->flags = IOSQE_FIXED_FILE;
    CHECK(-EBADF, result(&r));
    CHECK(0, reg(IORING_UNREGISTER_FILES, NULL, 0));
}

/* Slots instead of descriptors. */
static void slots(void)
{
    struct io_uring_rsrc_register sparse = { .nr = 4, .flags = IORING_RSRC_REGISTER_SPARSE };
    CHECK(0, reg(IORING_REGISTER_FILES2, &sparse, sizeof(sparse)));
    struct io_uring_sqe *s = io(IORING_OP_OPENAT, AT_FDCWD, (void *)"f", 0, 0);
    s->file_index = 2;
    CHECK(0, result(&r));
    io(IORING_OP_READ, 1, buf, 5, 0)->flags = IOSQE_FIXED_FILE;
    CHECK(5, result(&r));
    for (int i = 2; i < 4; i++) {
        s = io(IORING_OP_OPENAT, AT_FDCWD, (void *)"f", 0, 0);
        s->file_index = IORING_FILE_INDEX_ALLOC;
        CHECK(i, result(&r));
    }
    s = io(IORING_OP_OPENAT, AT_FDCWD, (void *)"f", 0, 0);
    s->file_index = 5;
    CHECK(-EINVAL, result(&r));
    struct io_uring_file_index_range range = { .off = 0, .len = 1 };
    CHECK(0, reg(IORING_REGISTER_FILE_ALLOC_RANGE, &range, 0));
    s = io(IORING_OP_SOCKET, AF_UNIX, NULL, 0, SOCK_STREAM);
    s->file_index = IORING_FILE_INDEX_ALLOC;
    CHECK(0, result(&r));
    s = io(IORING_OP_SOCKET, AF_UNIX, NULL, 0, SOCK_STREAM);
    s->file_index = IORING_FILE_INDEX_ALLOC;
    CHECK(-ENFILE, result(&r));
    sqe(&r, IORING_OP_CLOSE, 0, 1)->file_index = 2;
    CHECK(0, result(&r));
    sqe(&r, IORING_OP_CLOSE, 0, 1)->file_index = 2;
    CHECK(-EBADF, result(&r));
    sqe(&r, IORING_OP_CLOSE, 0, 1)->file_index = 20;
    CHECK(-EINVAL, result(&r));
    CHECK(0, reg(IORING_UNREGISTER_FILES, NULL, 0));
}

static void tags(void)
{
    int fds[2] = { fd, fd }, p[2];
    uint64_t tag[2] = { 0, 1234 };
    struct io_uring_rsrc_register all = { .nr = 2, .data = (uintptr_t)fds, .tags = (uintptr_t)tag };
    CHECK(0, reg(IORING_REGISTER_FILES2, &all, sizeof(all)));
    CHECK(0, call(SYS_pipe2, p, 0));
    tag[0] = 5678;
    struct io_uring_rsrc_update2 up = {
        .offset = 1, .nr = 1, .data = (uintptr_t)p, .tags = (uintptr_t)tag
    };
    CHECK(1, reg(IORING_REGISTER_FILES_UPDATE2, &up, sizeof(up)));
    CHECK_NEXT(&r, 1234, 0);
    /* The one in use goes when its user does. */
    io(IORING_OP_READ, 1, buf, 1, 0)->flags = IOSQE_FIXED_FILE;
    CHECK(1, submit(&r, 0));
    CHECK(0, reg(IORING_UNREGISTER_FILES, NULL, 0));
    CHECK(1, call(SYS_write, p[1], "x", 1));
    CHECK_NEXT(&r, 9, 1);
    CHECK_NEXT(&r, 5678, 0);
    call(SYS_close, p[0]);
    call(SYS_close, p[1]);
}

static void buffers(void)
{
    struct iovec iov[2] = { { buf, 8192 }, { buf + 8192, 100 } };
    CHECK(-EFAULT, reg(IORING_REGISTER_BUFFERS, T_BAD, 1));
    CHECK(-EINVAL, reg(IORING_REGISTER_BUFFERS, iov, 0));
    CHECK(-ENXIO, reg(IORING_UNREGISTER_BUFFERS, NULL, 0));
    io(IORING_OP_READ_FIXED, fd, buf, 5, 0);
    CHECK(-EFAULT, result(&r));
    CHECK(0, reg(IORING_REGISTER_BUFFERS, iov, 2));
    CHECK(-EBUSY, reg(IORING_REGISTER_BUFFERS, iov, 2));
    memcpy(buf + 4094, "across", 6);
    io(IORING_OP_WRITE_FIXED, fd, buf + 4094, 6, 0);
    CHECK(6, result(&r));
    io(IORING_OP_READ_FIXED, fd, buf + 8192, 6, 0)->buf_index = 1;
    CHECK(6, result(&r));
    CHECK(0, memcmp(buf + 8192, "across", 6));
    io(IORING_OP_READ_FIXED, fd, buf + 8192, 101, 0)->buf_index = 1;
    CHECK(-EFAULT, result(&r));
    io(IORING_OP_READ_FIXED, fd, buf, 1, 0)->buf_index = 1;
    CHECK(-EFAULT, result(&r));
    io(IORING_OP_READ_FIXED, fd, buf, 1, 0)->buf_index = 2;
    CHECK(-EFAULT, result(&r));
    CHECK(0, reg(IORING_UNREGISTER_BUFFERS, NULL, 0));
}

static void probing(void)
{
    struct io_uring_probe *p = (void *)buf;
    memset(buf, 0, 4096);
    CHECK(0, reg(IORING_REGISTER_PROBE, p, 64));
    CHECK(true, p->last_op >= IORING_OP_SOCKET);
    for (unsigned i = 0; i <= IORING_OP_SOCKET; i++)
        CHECK(true, p->ops[i].op == i && p->ops[i].flags & IO_URING_OP_SUPPORTED);
    CHECK(-EINVAL, reg(IORING_REGISTER_PROBE, p, 64)); /* must be zero */
    CHECK(-EINVAL, reg(200, NULL, 0));
    unsigned max[2] = { 0, 0 };
    CHECK(0, reg(IORING_REGISTER_IOWQ_MAX_WORKERS, max, 2));
    CHECK(true, max[0] > 0 && max[1] > 0);
    CHECK(-EINVAL, reg(IORING_REGISTER_IOWQ_MAX_WORKERS, max, 1));
    long id = reg(IORING_REGISTER_PERSONALITY, NULL, 0);
    CHECK(true, id > 0);
    sqe(&r, IORING_OP_NOP, -1, 1)->personality = (uint16_t)id;
    CHECK(0, result(&r));
    CHECK(0, reg(IORING_UNREGISTER_PERSONALITY, NULL, (unsigned)id));
    CHECK(-EINVAL, reg(IORING_UNREGISTER_PERSONALITY, NULL, (unsigned)id));
}

static void ring_fds(void)
{
    struct io_uring_rsrc_update up = { .offset = -1u, .data = (uint64_t)r.fd };
    CHECK(1, reg(IORING_REGISTER_RING_FDS, &up, 1));
    CHECK(true, up.offset < 16);
    sqe(&r, IORING_OP_NOP, -1, 3);
    *ring_word(&r, r.p.sq_off.tail) = r.tail;
    r.queued = 0;
    const unsigned flags = IORING_ENTER_GETEVENTS | IORING_ENTER_REGISTERED_RING;
    CHECK(1, call(SYS_io_uring_enter, up.offset, 1, 1, flags, NULL, 0));
    CHECK_NEXT(&r, 3, 0);
    CHECK(-EINVAL, call(SYS_io_uring_enter, 1000, 1, 1, flags, NULL, 0));
    up.data = 0;
    CHECK(1, reg(IORING_UNREGISTER_RING_FDS, &up, 1));
    CHECK(-EBADF, call(SYS_io_uring_enter, up.offset, 0, 0, flags, NULL, 0));
}

static void restricted(void)
{
    struct ring t = { 0 };
    struct io_uring_restriction res[] = {
        { .opcode = IORING_RESTRICTION_SQE_OP, .sqe_op = IORING_OP_NOP },
        { .opcode = IORING_RESTRICTION_REGISTER_OP, .register_op = IORING_REGISTER_ENABLE_RINGS },
        { .opcode = IORING_RESTRICTION_SQE_FLAGS_ALLOWED, .sqe_flags = IOSQE_ASYNC },
    };
    CHECK(-EBADFD, reg(IORING_REGISTER_RESTRICTIONS, res, 3));
    CHECK(true, ring_open(&t, 4, IORING_SETUP_R_DISABLED) >= 0);
    CHECK(-EBADFD, call(SYS_io_uring_enter, t.fd, 0, 0, 0, NULL, 0));
    CHECK(0, call(SYS_io_uring_register, t.fd, IORING_REGISTER_RESTRICTIONS, res, 3));
    CHECK(-EBUSY, call(SYS_io_uring_register, t.fd, IORING_REGISTER_RESTRICTIONS, res, 3));
    CHECK(0, call(SYS_io_uring_register, t.fd, IORING_REGISTER_ENABLE_RINGS, NULL, 0));
    sqe(&t, IORING_OP_NOP, -1, 1);
    CHECK(0, result(&t));
    sqe(&t, IORING_OP_NOP, -1, 1)->flags = IOSQE_IO_LINK;
    CHECK(-EACCES, result(&t));
    sqe(&t, IORING_OP_TIMEOUT, -1, 1);
    CHECK(-EACCES, result(&t));
    CHECK(-EACCES, call(SYS_io_uring_register, t.fd, IORING_UNREGISTER_FILES, NULL, 0));
    ring_close(&t);
}

static void names(void)
{
    struct io_uring_sqe *s;
    struct statx st;
    io(IORING_OP_MKDIRAT, AT_FDCWD, (void *)"dir", 0755, 0);
    CHECK(0, result(&r));
    io(IORING_OP_MKDIRAT, AT_FDCWD, (void *)"dir", 0755, 0);
    CHECK(-EEXIST, result(&r));
    s = io(IORING_OP_OPENAT, AT_FDCWD, (void *)"dir/a", 0644, 0);
    s->open_flags = O_RDWR | O_CREAT;
    long f = result(&r);
    CHECK(true, f >= 0);
    struct open_how {
        uint64_t flags, mode, resolve;
    } how = { .flags = O_RDONLY };
    s = io(IORING_OP_OPENAT2, AT_FDCWD, (void *)"dir/a", sizeof(how), (uintptr_t)&how);
    long g = result(&r);
    CHECK(true, g >= 0);
    how.resolve = 1 << 20;
    s = io(IORING_OP_OPENAT2, AT_FDCWD, (void *)"dir/a", sizeof(how), (uintptr_t)&how);
    CHECK(-EINVAL, result(&r));
    s = io(IORING_OP_STATX, AT_FDCWD, (void *)"dir/a", STATX_BASIC_STATS, (uintptr_t)&st);
    CHECK(0, result(&r));
    CHECK(0100644, st.stx_mode);
    s = io(IORING_OP_LINKAT, AT_FDCWD, (void *)"dir/a", (unsigned)AT_FDCWD, (uintptr_t) "dir/b");
    CHECK(0, result(&r));
    s = io(IORING_OP_SYMLINKAT, AT_FDCWD, (void *)"a", 0, (uintptr_t) "dir/s");
    CHECK(0, result(&r));
    s = io(IORING_OP_RENAMEAT, AT_FDCWD, (void *)"dir/b", (unsigned)AT_FDCWD, (uintptr_t) "dir/c");
    CHECK(0, result(&r));
    io(IORING_OP_UNLINKAT, AT_FDCWD, (void *)"dir/b", 0, 0);
    CHECK(-ENOENT, result(&r));
    const char *const all[] = { "dir/a", "dir/c", "dir/s" };
    for (int i = 0; i < 3; i++)
        io(IORING_OP_UNLINKAT, AT_FDCWD, (void *)(uintptr_t)all[i], 0, 0)->flags = IOSQE_IO_LINK;
    io(IORING_OP_UNLINKAT, AT_FDCWD, (void *)"dir", 0, 0)->unlink_flags = AT_REMOVEDIR;
    CHECK(4, submit(&r, 4));
    for (int i = 0; i < 4; i++)
        CHECK_NEXT(&r, 9, 0);
    sqe(&r, IORING_OP_CLOSE, (int)f, 1);
    CHECK(0, result(&r));
    sqe(&r, IORING_OP_CLOSE, (int)g, 1);
    CHECK(0, result(&r));
    sqe(&r, IORING_OP_CLOSE, (int)g, 1);
    CHECK(-EBADF, result(&r));
    sqe(&r, IORING_OP_CLOSE, (int)r.fd, 1);
    CHECK(-EBADF, result(&r));
    s = io(IORING_OP_OPENAT, AT_FDCWD, (void *)"nothing", 0, 0);
    CHECK(-ENOENT, result(&r));
    io(IORING_OP_UNLINKAT, AT_FDCWD, T_BAD, 0, 0);
    CHECK(-EFAULT, result(&r));
}

static void others(void)
{
    struct io_uring_sqe *s = io(IORING_OP_FSETXATTR, fd, (void *)"user.x", 3, (uintptr_t) "abc");
    long n = result(&r);
    if (n != -EOPNOTSUPP) {
        CHECK(0, n);
        s = io(IORING_OP_GETXATTR, 0, (void *)"user.x", 100, (uintptr_t)buf);
        s->addr3 = (uintptr_t) "f";
        CHECK(3, result(&r));
        CHECK(0, memcmp(buf, "abc", 3));
    }
    s = io(IORING_OP_FADVISE, fd, NULL, 100, 0);
    s->fadvise_advice = POSIX_FADV_SEQUENTIAL;
    CHECK(0, result(&r));
    s = io(IORING_OP_MADVISE, -1, buf, 4096, 0);
    s->fadvise_advice = MADV_DONTNEED;
    CHECK(0, result(&r));
    s = io(IORING_OP_MADVISE, -1, buf, 4096, 0);
    s->fadvise_advice = 4711;
    CHECK(-EINVAL, result(&r));
    int ep = (int)call(SYS_epoll_create1, 0), p[2], q[2];
    CHECK(0, call(SYS_pipe2, p, 0));
    CHECK(0, call(SYS_pipe2, q, 0));
    struct epoll_event ev = { .events = EPOLLIN, .data.u64 = 77 };
    s = io(IORING_OP_EPOLL_CTL, ep, &ev, EPOLL_CTL_ADD, (uint64_t)p[0]);
    CHECK(0, result(&r));
    s = io(IORING_OP_EPOLL_CTL, ep, &ev, EPOLL_CTL_ADD, (uint64_t)p[0]);
    CHECK(-EEXIST, result(&r));
    CHECK(4, call(SYS_write, p[1], "pipe", 4));
    CHECK(1, call(SYS_epoll_wait, ep, &ev, 1, 0));
    s = io(IORING_OP_TEE, q[1], NULL, 4, 0);
    s->splice_fd_in = p[0];
    CHECK(4, result(&r));
    s = io(IORING_OP_SPLICE, q[1], NULL, 4, (uint64_t)-1);
    s->splice_fd_in = p[0];
    s->splice_off_in = (uint64_t)-1;
    CHECK(4, result(&r));
    CHECK(8, call(SYS_read, q[0], buf, 100));
    CHECK(0, memcmp(buf, "pipepipe", 8));
    s = io(IORING_OP_SYNC_FILE_RANGE, fd, NULL, 100, 0);
    s->sync_range_flags = 2;
    CHECK(0, result(&r));
    for (int i = 0; i < 2; i++) {
        call(SYS_close, p[i]);
        call(SYS_close, q[i]);
    }
    call(SYS_close, ep);
}

static void messages(void)
{
    struct ring t = { 0 };
    CHECK(true, ring_open(&t, 4, 0) >= 0);
    struct io_uring_sqe *s = io(IORING_OP_MSG_RING, (int)t.fd, NULL, 42, 4711);
    CHECK(0, result(&r));
    CHECK_NEXT(&t, 4711, 42);
    s = io(IORING_OP_MSG_RING, fd, NULL, 42, 4711);
    CHECK(-EBADFD, result(&r));
    struct io_uring_sync_cancel_reg c = { .addr = 99, .timeout = { -1, -1 } };
    CHECK(-ENOENT, reg(IORING_REGISTER_SYNC_CANCEL, &c, 1));
    int p[2];
    CHECK(0, call(SYS_pipe2, p, 0));
    s = io(IORING_OP_READ, p[0], buf, 1, 0);
    s->user_data = 99;
    CHECK(1, submit(&r, 0));
    CHECK(0, reg(IORING_REGISTER_SYNC_CANCEL, &c, 1));
    CHECK_NEXT(&r, 99, -ECANCELED);
    call(SYS_close, p[0]);
    call(SYS_close, p[1]);
    ring_close(&t);
}

int main(void)
{
    t_enter();
    buf = t_pages(4);
    fd = (int)call(SYS_open, "f", O_RDWR | O_CREAT, 0644);
    CHECK(true, ring_open(&r, 16, 0) >= 0);
    files();
    slots();
    tags();
    buffers();
    probing();
    ring_fds();
    restricted();
    names();
    others();
    messages();
    ring_close(&r);
    call(SYS_close, fd);
    return t_leave();
}
