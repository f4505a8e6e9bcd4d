/* SPDX-License-Identifier: MIT */
/* MSG_OOB on AF_UNIX streams: the byte beside the stream, the mark where reads end, SIGURG, SO_OOBINLINE. */
#define _GNU_SOURCE
#include <t.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef SIOCATMARK
#define SIOCATMARK 0x8905
#endif

static int a, b;

static void pair(int type)
{
    int s[2];
    CHECK(0, call(SYS_socketpair, AF_UNIX, type, 0, s));
    a = s[0];
    b = s[1];
    CHECK(0, call(SYS_fcntl, b, F_SETFL, O_NONBLOCK));
}

static void done(void)
{
    call(SYS_close, a);
    call(SYS_close, b);
}

static long put(const char *text, int flags)
{
    return call(SYS_sendto, a, text, strlen(text), flags, NULL, 0);
}

/* What a receive gives: its length, and the same bytes. */
static void get(int line, long want, const char *text, size_t n, int flags)
{
    char buf[32] = { 0 };
    long got = call(SYS_recvfrom, b, buf, n, flags, NULL, NULL);
    if (got != want || (want > 0 && memcmp(buf, text, (size_t)want)))
        fprintf(stderr, "line %d: got %ld \"%s\"\n", line, got, buf);
    CHECK(want, got);
    if (want > 0)
        CHECK(0, memcmp(buf, text, (size_t)want));
}
#define GET(want, text, n, flags) get(__LINE__, want, text, n, flags)

static unsigned polled(void)
{
    struct pollfd p = { b, POLLIN | POLLPRI, 0 };
    call(SYS_poll, &p, 1, 0);
    return (unsigned)p.revents;
}

static int marked(void)
{
    int at = -1;
    CHECK(0, call(SYS_ioctl, b, SIOCATMARK, &at));
    return at;
}

static void beside(void)
{
    pair(SOCK_STREAM);
    GET(-EINVAL, "", 1, MSG_OOB);
    CHECK(0, marked());
    CHECK(5, put("hello", MSG_OOB));
    CHECK(POLLIN | POLLPRI, polled());
    CHECK(3, put("abc", 0));
    CHECK(0, marked());
    GET(1, "o", 1, MSG_OOB | MSG_PEEK);
    GET(4, "hell", 10, 0); /* a read ends at the mark */
    CHECK(1, marked());
    GET(1, "o", 5, MSG_OOB);
    CHECK(POLLIN, polled());
    GET(-EINVAL, "", 1, MSG_OOB);
    GET(3, "abc", 10, 0);
    CHECK(0, marked());
    /* Not asked for: it is passed over. */
    CHECK(2, put("xy", MSG_OOB));
    CHECK(1, put("z", 0));
    GET(1, "x", 10, 0);
    CHECK(1, marked());
    GET(1, "z", 10, 0);
    GET(-EINVAL, "", 1, MSG_OOB);
    GET(-EAGAIN, "", 1, 0);
    /* A newer one makes the older one part of the stream. */
    CHECK(2, put("pq", MSG_OOB));
    CHECK(2, put("rs", MSG_OOB));
    GET(1, "s", 1, MSG_OOB);
    GET(3, "pqr", 10, 0);
    CHECK(1, put("q", MSG_OOB));
    CHECK(1, put("s", MSG_OOB));
    GET(1, "q", 10, 0);
    GET(1, "s", 1, MSG_OOB);
    CHECK(1, put("u", MSG_OOB));
    CHECK(POLLPRI, polled() & POLLPRI);
    GET(-EAGAIN, "", 10, 0);
    done();
}

static void within(void)
{
    int on = 1;
    pair(SOCK_STREAM);
    CHECK(0, call(SYS_setsockopt, b, SOL_SOCKET, SO_OOBINLINE, &on, sizeof on));
    CHECK(3, put("abc", MSG_OOB));
    CHECK(1, put("d", 0));
    GET(-EINVAL, "", 1, MSG_OOB);
    GET(2, "ab", 10, 0);
    CHECK(1, marked());
    GET(2, "cd", 10, 0);
    CHECK(0, marked());
    done();
}

#ifndef T_IN_PROCESS /* signals are the process's there */
static volatile int urgent;

static void on_urgent(int sig)
{
    urgent += sig == SIGURG;
}

static void tells(void)
{
    pair(SOCK_STREAM);
    signal(SIGURG, on_urgent);
    CHECK(1, put("a", MSG_OOB));
    CHECK(0, urgent); /* nobody owns it */
    CHECK(0, call(SYS_fcntl, b, F_SETOWN, getpid()));
    CHECK(1, put("b", MSG_OOB));
    CHECK(1, urgent);
    done();
}
#endif

static void others(void)
{
    pair(SOCK_DGRAM);
    CHECK(-EOPNOTSUPP, put("a", MSG_OOB));
    GET(-EOPNOTSUPP, "", 1, MSG_OOB);
    done();
    pair(SOCK_SEQPACKET);
    CHECK(-EOPNOTSUPP, put("a", MSG_OOB));
    GET(-EOPNOTSUPP, "", 1, MSG_OOB);
    done();
    pair(SOCK_STREAM);
    CHECK(-EOPNOTSUPP, put("", MSG_OOB));
    done();
}

int main(void)
{
    beside();
    within();
#ifndef T_IN_PROCESS
    tells();
#endif
    others();
    return t_end();
}
