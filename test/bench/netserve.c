/* SPDX-License-Identifier: MIT */
/* The guest's half of net.py, for what needs no program of Debian's: one thread per port. 7001 takes what comes; 7002 is told a
 * number of bytes and sends as many; 7003 reads a request, answers with 800 bytes and closes; 7004 keeps what connects, in an
 * epoll set; 7005 says how much memory is free, in KiB. */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PIECE = 65536, ANSWER = 800 };

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

static void take(int fd)
{
    static char buf[PIECE];
    while (read(fd, buf, sizeof(buf)) > 0) {}
    close(fd);
}

static void give(int fd)
{
    static char buf[PIECE];
    uint64_t left = 0;
    ssize_t n;
    if (read(fd, &left, sizeof(left)) != sizeof(left))
        fail("read");
    while (left && (n = write(fd, buf, left < PIECE ? left : PIECE)) > 0)
        left -= (uint64_t)n;
    close(fd);
}

static void answer(int fd)
{
    static char buf[ANSWER], request[1024];
    if (read(fd, request, sizeof(request)) > 0 && write(fd, buf, sizeof(buf)) != sizeof(buf))
        fail("write");
    close(fd);
}

static void keep(int fd)
{
    static int set = -1;
    if (set < 0)
        set = epoll_create1(0);
    struct epoll_event e = { EPOLLIN, { .fd = fd } };
    if (epoll_ctl(set, EPOLL_CTL_ADD, fd, &e))
        fail("epoll_ctl");
}

static void memory(int fd)
{
    char line[128];
    unsigned long kib = 0;
    FILE *f = fopen("/proc/meminfo", "r");
    while (f && fgets(line, sizeof(line), f) && sscanf(line, "MemAvailable: %lu", &kib) != 1) {}
    if (f)
        fclose(f);
    dprintf(fd, "%lu\n", kib);
    close(fd);
}

static void (*const jobs[])(int) = { take, give, answer, keep, memory };

static void *serve(void *arg)
{
    unsigned i = (unsigned)(uintptr_t)arg;
    int one = 1, l = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((uint16_t)(7001 + i)) };
    setsockopt(l, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (bind(l, (struct sockaddr *)&a, sizeof(a)) || listen(l, 1000))
        fail("listen");
    for (;;) {
        int fd = accept(l, NULL, NULL);
        if (fd < 0)
            fail("accept");
        jobs[i](fd);
    }
    return NULL;
}

int main(void)
{
    struct rlimit many = { 20000, 20000 };
    pthread_t t;
    if (setrlimit(RLIMIT_NOFILE, &many))
        fail("setrlimit");
    for (uintptr_t i = 1; i < sizeof(jobs) / sizeof(jobs[0]); i++)
        if (pthread_create(&t, NULL, serve, (void *)i))
            fail("pthread_create");
    serve(NULL);
}
