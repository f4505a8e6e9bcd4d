/* SPDX-License-Identifier: MIT */
/* io_uring with a program that writes anything anywhere in its rings: whatever comes of it, a ring made afterwards works. The numbers
 * are the same in each run. Addresses are those of a buffer, of nothing, or none; descriptors are this program's. */
#define _GNU_SOURCE
#include <t_file.h>
#include <t_uring.h>

#include <sys/eventfd.h>
#include <sys/socket.h>

enum { RINGS = 60, ROUNDS = 60, ENTRIES = 16 };

static uint64_t state = 88172645463325252u;
static char *buf;
static int fds[8];

static uint32_t rnd(uint32_t n)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (uint32_t)(state >> 33) % n;
}

static uint64_t address(void)
{
    switch (rnd(8)) {
    case 0:
        return (uintptr_t)T_BAD;
    case 1:
        return 0;
    case 2:
        return (uintptr_t) "f"; /* as a name */
    case 3:
        return (uintptr_t)buf + 4096 * 8 - rnd(64); /* the end */
    default:
        return (uintptr_t)buf + rnd(4096 * 7) / 8 * 8;
    }
}

static void scribble(struct io_uring_sqe *s)
{
    memset(s, 0, sizeof(*s));
    /* 63: beyond what there is. Advice about memory could take the test's own away. */
    do
        s->opcode = (uint8_t)rnd(rnd(20) ? IORING_OP_SOCKET + 1 : 64);
    while (s->opcode == IORING_OP_MADVISE || s->opcode > IORING_OP_SOCKET + 1);
    s->flags = (uint8_t)(rnd(3) ? 0 : rnd(256));
    s->ioprio = (uint16_t)(rnd(4) ? 0 : rnd(8));
    s->fd = rnd(10) ? fds[rnd(8)] : (int)rnd(4) - 2;
    s->off = rnd(3) ? 0 : rnd(2) ? address() : rnd(20000);
    s->addr = rnd(6) ? address() : rnd(4);
    s->len = rnd(3) ? rnd(64) : rnd(2) ? 1 : rnd(70000);
    s->rw_flags = rnd(4) ? 0 : 1u << rnd(32);
    s->user_data = rnd(16);
    s->buf_index = (uint16_t)(rnd(3) ? 0 : rnd(4));
    s->personality = (uint16_t)(rnd(20) ? 0 : 1);
    s->file_index = rnd(4) ? 0 : rnd(2) ? rnd(6) : -1u;
    if (s->opcode == IORING_OP_CLOSE)
        s->fd = 900; /* this test's descriptors stay */
    if (s->opcode == IORING_OP_SYMLINKAT || s->opcode == IORING_OP_LINKAT ||
        s->opcode == IORING_OP_RENAMEAT)
        s->addr2 = (uintptr_t) "g";
}

static void registrations(struct ring *r)
{
    int some[4] = { fds[0], -1, fds[2], fds[3] };
    struct {
        void *p;
        size_t n;
    } iov[2] = { { buf, 5000 }, { buf + 8192, 100 } };
    call(SYS_io_uring_register, r->fd, IORING_REGISTER_FILES, some, 4);
    call(SYS_io_uring_register, r->fd, IORING_REGISTER_BUFFERS, iov, 2);
    call(SYS_io_uring_register, r->fd, rnd(30), rnd(2) ? (uintptr_t)buf : (uintptr_t)T_BAD, rnd(6));
}

static void one_ring(void)
{
    static const unsigned kinds[] = { 0, IORING_SETUP_SUBMIT_ALL, IORING_SETUP_COOP_TASKRUN,
                                      IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN,
                                      IORING_SETUP_SQE128 | IORING_SETUP_CQE32 };
    struct ring r = { 0 };
    if (!CHECK(true, ring_open(&r, ENTRIES, kinds[rnd(5)]) >= 0))
        return;
    registrations(&r);
    unsigned *words = ring_word(&r, 0);
    for (int i = 0; i < ROUNDS; i++) {
        unsigned n = rnd(6);
        for (unsigned k = 0; k < n; k++) {
            unsigned at = r.tail++ & (ENTRIES - 1);
            scribble((void *)((char *)r.sqes + at * ring_sqe_size(&r)));
            ring_word(&r, r.p.sq_off.array)[at] = rnd(30) ? at : rnd(100);
        }
        __atomic_store_n(ring_word(&r, r.p.sq_off.tail), r.tail, __ATOMIC_RELEASE);
        if (rnd(4) == 0)
            words[rnd(48)] = rnd(2) ? rnd(64) : (uint32_t)state;
        call(SYS_io_uring_enter, r.fd, rnd(20) ? n : rnd(100), 0, IORING_ENTER_GETEVENTS, NULL, 0);
        if (rnd(2))
            *ring_word(&r, r.p.cq_off.head) = *ring_word(&r, r.p.cq_off.tail);
        if (rnd(3) == 0)
            call(SYS_write, fds[1], "data", 4);
        r.tail = rnd(10) ? *ring_word(&r, r.p.sq_off.head) : r.tail;
    }
    call(SYS_munmap, r.sqes, ENTRIES * ring_sqe_size(&r));
    call(SYS_munmap, r.mem, r.size);
    CHECK(0, call(SYS_close, r.fd));
    while (call(SYS_read, fds[0], buf, 4096) > 0)
        ;
}

int main(void)
{
    struct ring r = { 0 };
    t_enter();
    buf = t_pages(8);
    CHECK(0, call(SYS_pipe2, fds, O_NONBLOCK));
    CHECK(0, call(SYS_socketpair, AF_UNIX, SOCK_STREAM, 0, fds + 2));
    fds[4] = (int)call(SYS_open, "f", O_RDWR | O_CREAT, 0644);
    fds[5] = (int)call(SYS_eventfd2, 0, 0);
    fds[6] = (int)call(SYS_epoll_create1, 0);
    fds[7] = (int)call(SYS_socket, AF_INET, SOCK_DGRAM, 0);
    for (int i = 0; i < RINGS; i++)
        one_ring();
    CHECK(true, ring_open(&r, 8, 0) >= 0);
    sqe(&r, IORING_OP_NOP, -1, 1);
    CHECK(0, result(&r));
    ring_close(&r);
    return t_leave();
}
