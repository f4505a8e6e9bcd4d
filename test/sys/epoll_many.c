/* SPDX-License-Identifier: MIT */
/* epoll with 100,000 descriptors, or as many as the hard limit lets an ordinary user have: each is found when it is ready, once where
 * it asked for that, and none is when all have gone. */
#define _GNU_SOURCE
#include <t.h>

#include <stdint.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>

enum { WANTED = 100000, SPARE = 64, STEP = 997, BATCH = 512 };

static int *fds;

static int room(void)
{
    struct rlimit r;
    CHECK(0, call(SYS_prlimit64, 0, RLIMIT_NOFILE, NULL, &r));
    if (r.rlim_cur < WANTED + SPARE) {
        struct rlimit more = { WANTED + SPARE,
                               r.rlim_max > WANTED + SPARE ? r.rlim_max : WANTED + SPARE };
        if (call(SYS_prlimit64, 0, RLIMIT_NOFILE, &more, NULL)) {
            more = (struct rlimit){ r.rlim_max, r.rlim_max };
            CHECK(0, call(SYS_prlimit64, 0, RLIMIT_NOFILE, &more, NULL));
        }
        CHECK(0, call(SYS_prlimit64, 0, RLIMIT_NOFILE, NULL, &r));
    }
    return r.rlim_cur < WANTED + SPARE ? (int)r.rlim_cur - SPARE : WANTED;
}

/* Collect all that is ready; how many there were, each one counted in seen. */
static long collect(long ep, unsigned char *seen)
{
    static struct epoll_event got[BATCH];
    long n, all = 0;
    while ((n = call(SYS_epoll_wait, ep, got, BATCH, 0)) > 0) {
        for (long i = 0; i < n; i++)
            seen[got[i].data.u32]++;
        all += n;
    }
    CHECK(0, n);
    return all;
}

int main(void)
{
    int n = room();
    uint64_t one = 1;
    long ep = call(SYS_epoll_create1, 0), good = 0, fired = 0;
    unsigned char *seen = calloc((size_t)n, 1);
    fds = calloc((size_t)n, sizeof(*fds));
    for (int i = 0; i < n; i++) {
        /* Edges, so that collecting ends by itself. */
        struct epoll_event e = { .events = EPOLLIN | EPOLLET | (i % 2 ? EPOLLONESHOT : 0),
                                 .data.u32 = (uint32_t)i };
        fds[i] = (int)call(SYS_eventfd2, 0, EFD_NONBLOCK);
        good += fds[i] >= 0 && call(SYS_epoll_ctl, ep, EPOLL_CTL_ADD, fds[i], &e) == 0;
    }
    CHECK(n, good);
    CHECK(0, collect(ep, seen));
    for (int i = 0; i < n; i += STEP, fired++)
        call(SYS_write, fds[i], &one, sizeof(one));
    CHECK(fired, collect(ep, seen));
    for (int i = 0; i < n; i++)
        call(SYS_write, fds[i], &one, sizeof(one));
    /* Of those that fired before, the odd ones have had their one shot. */
    CHECK(n - fired / 2, collect(ep, seen));
    long wrong = 0;
    for (int i = 0; i < n; i++)
        wrong += seen[i] != (i % STEP || i % 2 ? 1 : 2);
    CHECK(0, wrong);
    for (int i = 0; i < n; i += 2)
        good -= call(SYS_epoll_ctl, ep, EPOLL_CTL_DEL, fds[i], NULL) == 0;
    CHECK(n / 2, good);
    for (int i = 0; i < n; i++) {
        call(SYS_write, fds[i], &one, sizeof(one));
        call(SYS_close, fds[i]);
    }
    CHECK(0, collect(ep, seen));
    CHECK(0, call(SYS_close, ep));
    return t_end();
}
