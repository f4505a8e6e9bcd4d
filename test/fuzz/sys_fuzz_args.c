/* SPDX-License-Identifier: MIT */
/* Arguments for random system calls, by the types of the table: mostly ones that make sense, now and then anything. */
#define _GNU_SOURCE
#include "sys_fuzz.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <time.h>

enum { PAGE = 4096, ARENA_PAGES = 16, FDS = 24, SPARE_PAGES = 64 };

static int fds[FDS];
static unsigned nfds;
static char *arena; /* ARENA_PAGES, then nothing; the first page can only be read */
static char *spare; /* what calls on mappings are about */

uint32_t fuzz_next(struct fuzz *f)
{
    f->state = f->state * 6364136223846793005ull + 1442695040888963407ull;
    return (uint32_t)(f->state >> 33);
}

static void add(long fd)
{
    if (fd >= 0 && nfds < FDS)
        fds[nfds++] = (int)fd;
}

void fuzz_setup(void)
{
    static const char *const files[] = { FUZZ_DIR "/a", FUZZ_DIR "/b" };
    static const int kinds[][2] = { { AF_UNIX, SOCK_STREAM }, { AF_UNIX, SOCK_DGRAM },
                                    { AF_INET, SOCK_STREAM }, { AF_INET, SOCK_DGRAM },
                                    { AF_INET6, SOCK_DGRAM }, { AF_NETLINK, SOCK_RAW } };
    int pair[2];
    nfds = 0;
    call(SYS_mkdir, FUZZ_DIR, 0777);
    call(SYS_mkdir, FUZZ_DIR "/d", 0777);
    for (int i = 0; i < 2; i++) {
        long fd = call(SYS_open, files[i], O_RDWR | O_CREAT | O_NONBLOCK, 0666);
        add(fd >= 0 ? fd
                    : call(SYS_memfd_create, "fuzz", 0)); /* what they were may be in the way */
        call(SYS_ftruncate, fds[nfds - 1], 10000);
    }
    add(call(SYS_open, FUZZ_DIR, O_RDONLY | O_DIRECTORY, 0));
    add(call(SYS_open, "/dev/null", O_RDWR, 0));
    add(call(SYS_open, "/dev/zero", O_RDWR, 0));
    add(call(SYS_open, "/proc/self/status", O_RDONLY, 0));
    add(call(SYS_open, "/dev/ptmx", O_RDWR | O_NOCTTY | O_NONBLOCK, 0));
    add(call(SYS_open, FUZZ_DIR "/a", O_PATH, 0));
    if (call(SYS_pipe2, pair, O_NONBLOCK) == 0)
        add(pair[0]), add(pair[1]);
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        add(call(SYS_socket, kinds[i][0], kinds[i][1] | SOCK_NONBLOCK, 0));
    if (call(SYS_socketpair, AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair) == 0)
        add(pair[0]), add(pair[1]);
    add(call(SYS_epoll_create1, 0));
    add(call(SYS_eventfd2, 3, EFD_NONBLOCK));
    add(call(SYS_timerfd_create, CLOCK_MONOTONIC, O_NONBLOCK));
    add(call(SYS_inotify_init1, O_NONBLOCK));
    add(call(SYS_memfd_create, "fuzz", MFD_ALLOW_SEALING));
    arena = (char *)call(SYS_mmap, NULL, (ARENA_PAGES + 1) * PAGE, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    spare = (char *)call(SYS_mmap, NULL, SPARE_PAGES * PAGE, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    call(SYS_munmap, arena + ARENA_PAGES * PAGE, PAGE);
    memset(arena, 0, ARENA_PAGES * PAGE);
    call(SYS_mprotect, arena, PAGE, PROT_READ);
}

static uint64_t number(struct fuzz *f)
{
    static const uint64_t edges[] = { 0,     1,          2,          7,          8,
                                      16,    63,         64,         255,        4095,
                                      4096,  4097,       65536,      0x7fffffff, 0x80000000,
                                      ~0u,   1ull << 32, 1ull << 47, 1ull << 62, ~0ull >> 1,
                                      ~0ull, -2ull,      -4096ull,   1ull << 63 };
    switch (fuzz_pick(f, 4)) {
    case 0:
        return edges[fuzz_pick(f, sizeof(edges) / sizeof(edges[0]))];
    case 1:
        return (uint64_t)fuzz_next(f) << 32 | fuzz_next(f);
    default:
        return fuzz_pick(f, 100);
    }
}

static int descriptor(struct fuzz *f)
{
    if (fuzz_pick(f, 16) == 0)
        return (int)number(f) % 2000 + 1000;
    return fds[fuzz_pick(f, nfds)];
}

/* Room of n bytes in the arena that calls may write. */
static char *room(struct fuzz *f, size_t n)
{
    size_t all = (ARENA_PAGES - 1) * PAGE;
    if (n > all)
        n = all;
    return arena + PAGE +
           (fuzz_pick(f, 3) ? (fuzz_pick(f, (uint32_t)(all - n + 1)) & ~7ul) : all - n);
}

static void fill(struct fuzz *f, char *p, size_t n)
{
    size_t i = 0;
    for (; i + 8 <= n && i < 512; i += 8) {
        uint64_t v = fuzz_pick(f, 3) ? fuzz_pick(f, 4) : number(f);
        memcpy(p + i, &v, 8);
    }
}

static void fill_address(struct fuzz *f, char *p)
{
    struct sockaddr_un u = { .sun_family = AF_UNIX, .sun_path = FUZZ_DIR "/s" };
    struct sockaddr_in in = { .sin_family = AF_INET,
                              .sin_port = htons((uint16_t)(7000 + fuzz_pick(f, 3))),
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_port = htons(7003) };
    switch (fuzz_pick(f, 4)) {
    case 0:
        memcpy(p, &u, sizeof(u));
        break;
    case 1:
        memcpy(p, &in, sizeof(in));
        break;
    case 2:
        in6.sin6_addr = in6addr_loopback;
        memcpy(p, &in6, sizeof(in6));
        break;
    default:
        fill(f, p, 64);
    }
}

static void fill_vectors(struct fuzz *f, struct iovec *v, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        v[i].iov_len = fuzz_pick(f, 8) ? fuzz_pick(f, 5000) : number(f);
        v[i].iov_base = fuzz_pick(f, 16) ? room(f, v[i].iov_len) : (void *)number(f);
    }
}

/* A message with a name, data, and control data that may carry descriptors. */
static void fill_message(struct fuzz *f, struct msghdr *m)
{
    struct iovec *v = (struct iovec *)room(f, 4 * sizeof(*v));
    char *control = room(f, 128);
    fill_vectors(f, v, 4);
    *m = (struct msghdr){ .msg_iov = v, .msg_iovlen = fuzz_pick(f, 5) };
    if (fuzz_pick(f, 2)) {
        m->msg_name = room(f, 128);
        fill_address(f, m->msg_name);
        m->msg_namelen = fuzz_pick(f, 120);
    }
    if (fuzz_pick(f, 2)) {
        struct cmsghdr *c = (struct cmsghdr *)control;
        int some[2] = { descriptor(f), descriptor(f) };
        fill(f, control, 128);
        c->cmsg_len = fuzz_pick(f, 4) ? CMSG_LEN(sizeof(some)) : number(f);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = (int)fuzz_pick(f, 3) + 1;
        memcpy(CMSG_DATA(c), some, sizeof(some));
        m->msg_control = control;
        m->msg_controllen = fuzz_pick(f, 128);
    }
}

/* What a pointer to kind points to. */
static void fill_kind(struct fuzz *f, unsigned kind, char *p, size_t n)
{
    struct timespec soon = { 0, fuzz_pick(f, 100000) };
    struct {
        int fd;
        short events, revents;
    } poll = { descriptor(f), (short)fuzz_next(f), 0 };
    struct epoll_event ev = { .events = fuzz_next(f) };
    if (n < 64 && kind != K_iovec)
        return;
    fill(f, p, n);
    switch (kind) {
    case K_void:
        if (fuzz_pick(f, 2))
            fill_address(f, p);
        break;
    case K_iovec:
        fill_vectors(f, (struct iovec *)p, n / sizeof(struct iovec));
        break;
    case K_msghdr:
    case K_mmsghdr:
        fill_message(f, (struct msghdr *)p);
        break;
    case K_timespec:
    case K_timeval:
        if (fuzz_pick(f, 8))
            memcpy(p, &soon, sizeof(soon));
        break;
    case K_pollfd:
        for (size_t i = 0; i + sizeof(poll) <= n && i < 256; i += sizeof(poll))
            memcpy(p + i, &poll, sizeof(poll));
        break;
    case K_epoll_event:
        memcpy(p, &ev, sizeof(ev));
        break;
    default:
        break;
    }
}

static const char *path(struct fuzz *f)
{
    static const char *const names[] = {
        FUZZ_DIR "/a",
        FUZZ_DIR "/b",
        FUZZ_DIR "/c",
        FUZZ_DIR "/d",
        FUZZ_DIR "/d/e",
        FUZZ_DIR "/d/../a",
        FUZZ_DIR "/l",
        FUZZ_DIR "/s",
        FUZZ_DIR "/nothing",
        FUZZ_DIR "/a/below",
        FUZZ_DIR,
        "/proc/self/status",
        "/dev/null",
        "/proc/self/fd/3",
        "/proc/self/maps",
        "",
        "a",
        "d/e",
        "/proc/self/mem",
        "user.fuzz",
    };
    static const char edge[] = "/tmp/fuzz/a";
    char *p;
    switch (fuzz_pick(f, 16)) {
    case 0:
        return (const char *)number(f);
    case 1: /* right before what is not mapped */
        p = arena + ARENA_PAGES * PAGE - sizeof(edge);
        memcpy(p, edge, sizeof(edge));
        return p;
    case 2: /* too long */
        p = room(f, 5000);
        memset(p, 'x', 4999);
        p[4999] = 0;
        return p;
    default:
        return names[fuzz_pick(f, sizeof(names) / sizeof(names[0]))];
    }
}

static long flags(struct fuzz *f, const struct trace_arg *t, bool one)
{
    const struct trace_value *v = &trace_values[t->values];
    unsigned n = 0;
    long r = 0;
    if (!t->values || fuzz_pick(f, 24) == 0)
        return (long)number(f);
    while (v[n].name)
        n++;
    if (!n)
        return 0;
    for (unsigned i = one ? 1 : fuzz_pick(f, 4); i; i--)
        r |= (long)v[fuzz_pick(f, n)].value;
    return r;
}

static long pointer(struct fuzz *f, const struct trace_arg *t)
{
    size_t n = t->len == 0 || t->len >= 15 ? 256 : 64ul * t->len;
    switch (fuzz_pick(f, 24)) {
    case 0:
        return 0;
    case 1:
        return (long)number(f);
    case 2:
        return (long)arena; /* to be read only */
    case 3:
        return (long)(arena + ARENA_PAGES * PAGE - 3);
    case 4:
        return (long)0xffff800000001000ul;
    default:
        break;
    }
    if (fuzz_pick(f, 4) == 0)
        n = 8192;
    char *p = room(f, n);
    fill_kind(f, t->kind, p, n);
    return (long)p;
}

static long value(struct fuzz *f, const struct trace_arg *t)
{
    switch (t->kind) {
    case K_fd:
        return descriptor(f);
    case K_dirfd:
        return fuzz_pick(f, 2) ? AT_FDCWD : descriptor(f);
    case K_pid:
        return fuzz_pick(f, 8) ? f->pids[fuzz_pick(f, 4)] : (long)number(f) | 0x10000;
    case K_sig:
        return fuzz_pick(f, 8) ? fuzz_pick(f, 65) : (long)number(f);
    case K_one:
        return flags(f, t, true);
    case K_flags:
    case K_lflags:
        return flags(f, t, false);
    case K_mode:
        return fuzz_next(f) & 07777;
    case K_path:
    case K_str:
        return (long)path(f);
    case K_addr:
        return fuzz_pick(f, 8) ? (long)(spare + fuzz_pick(f, SPARE_PAGES) * PAGE)
                               : (long)number(f) | 0x700000000000;
    case K_size:
        return fuzz_pick(f, 8) ? fuzz_pick(f, 20000) : (long)number(f);
    default:
        return (long)number(f);
    }
}

void fuzz_arguments(struct fuzz *f, const struct trace_call *c, long a[6])
{
    memset(a, 0, 6 * sizeof(*a));
    for (unsigned i = 0; i < c->count; i++) {
        const struct trace_arg *t = &trace_args[c->args + i];
        a[i] = t->way == TRACE_VALUE || t->kind == K_path || t->kind == K_str ? value(f, t)
                                                                              : pointer(f, t);
    }
}
