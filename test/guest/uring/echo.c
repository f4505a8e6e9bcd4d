/* SPDX-License-Identifier: MIT */
/* An echo server on liburing: one multishot accept, a multishot receive for each connection, into provided buffers that go out again
 * as they are and come back when they are sent. usage: echo PORT [defer | sqpoll] */
#include <errno.h>
#include <liburing.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BUFFERS = 256, BUFFER_SIZE = 2048, GROUP = 1, CONNECTIONS = 1024, ENTRIES = 512 };
enum op { OP_ACCEPT, OP_RECV, OP_SEND };

struct connection {
    int head, tail; /* buffers to be sent, in order; -1: none */
    int receiving, sending, ended, open;
};

static struct io_uring ring;
static struct io_uring_buf_ring *bufs;
static char memory[BUFFERS][BUFFER_SIZE];
static unsigned length[BUFFERS];
static int after[BUFFERS];
static struct connection connections[CONNECTIONS];
static int
    given; /* buffers that are with the kernel, or in completions that were not looked at yet */
static int starved; /* some connection waits for a buffer */

static void die(const char *what, int err)
{
    fprintf(stderr, "echo: %s: %s\n", what, strerror(-err));
    exit(1);
}

static struct io_uring_sqe *get(enum op op, int fd)
{
    struct io_uring_sqe *s = io_uring_get_sqe(&ring);
    while (!s) {
        io_uring_submit(&ring);
        s = io_uring_get_sqe(&ring);
    }
    memset(s, 0, sizeof(*s));
    s->user_data = (unsigned long)op << 32 | (unsigned)fd;
    return s;
}

static void tag(struct io_uring_sqe *s, enum op op, int fd)
{
    s->user_data = (unsigned long)op << 32 | (unsigned)fd;
}

static void give_back(int id)
{
    io_uring_buf_ring_add(bufs, memory[id], BUFFER_SIZE, (unsigned short)id,
                          io_uring_buf_ring_mask(BUFFERS), 0);
    io_uring_buf_ring_advance(bufs, 1);
    given++;
}

static void receive(int fd)
{
    struct io_uring_sqe *s = get(OP_RECV, fd);
    io_uring_prep_recv(s, fd, NULL, 0, 0);
    tag(s, OP_RECV, fd);
    s->ioprio |= IORING_RECV_MULTISHOT;
    s->flags |= IOSQE_BUFFER_SELECT;
    s->buf_group = GROUP;
    connections[fd].receiving = 1;
}

static void send_next(int fd)
{
    struct connection *c = &connections[fd];
    if (c->sending || c->head < 0)
        return;
    struct io_uring_sqe *s = get(OP_SEND, fd);
    io_uring_prep_send(s, fd, memory[c->head], length[c->head], MSG_WAITALL);
    tag(s, OP_SEND, fd);
    c->sending = 1;
}

static void maybe_close(int fd)
{
    struct connection *c = &connections[fd];
    if (!c->open || !c->ended || c->receiving || c->sending || c->head >= 0)
        return;
    c->open = 0;
    close(fd);
}

static void accepted(int fd)
{
    if (fd < 0)
        die("accept", fd);
    if (fd >= CONNECTIONS)
        exit(2);
    connections[fd] = (struct connection){ .head = -1, .tail = -1, .open = 1 };
    receive(fd);
}

static void received(int fd, const struct io_uring_cqe *cqe)
{
    struct connection *c = &connections[fd];
    if (!(cqe->flags & IORING_CQE_F_MORE))
        c->receiving = 0;
    if (cqe->res > 0) {
        int id = (int)(cqe->flags >> IORING_CQE_BUFFER_SHIFT);
        given--;
        length[id] = (unsigned)cqe->res;
        after[id] = -1;
        if (c->head < 0)
            c->head = id;
        else
            after[c->tail] = id;
        c->tail = id;
        send_next(fd);
    } else if (cqe->res == -ENOBUFS) {
        if (given)
            receive(
                fd); /* the sends before it were over already, and none may come that gives one back */
        else
            starved = 1;
    } else {
        c->ended = 1;
    }
    if (!c->receiving && !c->ended && cqe->res != -ENOBUFS)
        receive(fd);
    maybe_close(fd);
}

static void sent(int fd, int res)
{
    struct connection *c = &connections[fd];
    int id = c->head;
    if (res >= 0 && (unsigned)res != length[id])
        die("short send", -EIO);
    if (res < 0)
        c->ended = 1;
    c->head = after[id];
    c->sending = 0;
    give_back(id);
    send_next(fd);
    for (int i = 0; starved && i < CONNECTIONS; i++)
        if (connections[i].open && !connections[i].receiving && !connections[i].ended)
            receive(i);
    starved = 0;
    maybe_close(fd);
}

static void handle(const struct io_uring_cqe *cqe)
{
    int fd = (int)(unsigned)cqe->user_data;
    switch ((enum op)(cqe->user_data >> 32)) {
    case OP_ACCEPT:
        if (!(cqe->flags & IORING_CQE_F_MORE))
            die("accept has ended", cqe->res);
        accepted(cqe->res);
        break;
    case OP_RECV:
        received(fd, cqe);
        break;
    case OP_SEND:
        sent(fd, cqe->res);
        break;
    }
}

static void set_up(const char *how)
{
    struct io_uring_params p = { 0 };
    if (strcmp(how, "defer") == 0)
        p.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN;
    else if (strcmp(how, "sqpoll") == 0)
        p.flags = IORING_SETUP_SQPOLL;
    p.sq_thread_idle = 5;
    int err = io_uring_queue_init_params(ENTRIES, &ring, &p);
    if (err)
        die("io_uring_queue_init", err);
    if (posix_memalign((void **)&bufs, 4096, BUFFERS * sizeof(struct io_uring_buf)))
        die("memory", -ENOMEM);
    struct io_uring_buf_reg reg = { .ring_addr = (unsigned long)bufs,
                                    .ring_entries = BUFFERS,
                                    .bgid = GROUP };
    err = io_uring_register_buf_ring(&ring, &reg, 0);
    if (err)
        die("io_uring_register_buf_ring", err);
    io_uring_buf_ring_init(bufs);
    for (int i = 0; i < BUFFERS; i++)
        give_back(i);
}

int main(int argc, char **argv)
{
    struct sockaddr_in a = { .sin_family = AF_INET };
    int l = socket(AF_INET, SOCK_STREAM, 0), one = 1;
    if (argc < 2)
        return 2;
    a.sin_port = htons((unsigned short)atoi(argv[1]));
    setsockopt(l, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (bind(l, (struct sockaddr *)&a, sizeof(a)) || listen(l, 256))
        die("listen", -errno);
    set_up(argc > 2 ? argv[2] : "");
    struct io_uring_sqe *s = get(OP_ACCEPT, l);
    io_uring_prep_multishot_accept(s, l, NULL, NULL, 0);
    tag(s, OP_ACCEPT, l);
    for (;;) {
        struct io_uring_cqe *cqe;
        unsigned head, n = 0;
        int err = io_uring_submit_and_wait(&ring, 1);
        if (err < 0 && err != -EINTR)
            die("io_uring_submit_and_wait", err);
        io_uring_for_each_cqe(&ring, head, cqe)
        {
            handle(cqe);
            n++;
        }
        io_uring_cq_advance(&ring, n);
    }
}
