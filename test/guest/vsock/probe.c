/* SPDX-License-Identifier: MIT */
/* In the guest: AF_VSOCK with a peer at the host (run.py). The first argument chooses what is done; "vsock: PASSED" at the end.
 * Host ports: 1000 echoes, 1001 counts and answers with the sum, 1002 asks for connections to a port of ours, 1003 lies,
 * 1004 is told that it may call. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/vm_sockets.h>
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BULK = 3 << 20, PIECE = 50000, CALLERS = 20, OUR_PORT = 2000, MESSAGE = 60000 };

#define NEED(x)                                                                                    \
    do {                                                                                           \
        if (!(x)) {                                                                                \
            printf("%s:%d: %s (errno %d)\n", __FILE__, __LINE__, #x, errno);                       \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

static int dial(int type, unsigned port)
{
    struct sockaddr_vm a = { .svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_HOST, .svm_port = port };
    struct timeval patience = { 60, 0 };
    int s = socket(AF_VSOCK, type, 0);
    NEED(s >= 0);
    NEED(setsockopt(s, AF_VSOCK, SO_VM_SOCKETS_CONNECT_TIMEOUT, &patience, sizeof(patience)) == 0);
    if (connect(s, (void *)&a, sizeof(a)) == 0)
        return s;
    int err = errno;
    close(s);
    errno = err;
    return -1;
}

static unsigned char byte_at(size_t i)
{
    return (unsigned char)(i * 7 + i / 251);
}

static void *write_all(void *arg)
{
    static unsigned char buf[PIECE];
    for (size_t at = 0; at < BULK;) {
        size_t n = BULK - at < PIECE ? BULK - at : PIECE;
        for (size_t i = 0; i < n; i++)
            buf[i] = byte_at(at + i);
        ssize_t w = write(*(int *)arg, buf, n);
        NEED(w > 0);
        at += (size_t)w;
    }
    NEED(shutdown(*(int *)arg, SHUT_WR) == 0);
    return NULL;
}

/* Much data there and back, more than either side keeps. */
static void bulk(void)
{
    static unsigned char buf[PIECE];
    pthread_t writer;
    ssize_t n;
    size_t at = 0;
    int s = dial(SOCK_STREAM, 1000);
    NEED(s >= 0);
    NEED(pthread_create(&writer, NULL, write_all, &s) == 0);
    while ((n = read(s, buf, sizeof(buf))) > 0)
        for (ssize_t i = 0; i < n; i++, at++)
            NEED(buf[i] == byte_at(at));
    NEED(n == 0 && at == BULK);
    NEED(pthread_join(writer, NULL) == 0);
    NEED(close(s) == 0);
    printf("bulk: %zu bytes there and back\n", at);
}

static void messages(void)
{
    static char out[MESSAGE], in[MESSAGE];
    int s = dial(SOCK_SEQPACKET, 1000);
    NEED(s >= 0);
    for (int i = 1; i < 20; i++) {
        size_t n = (size_t)i * (MESSAGE / 20);
        memset(out, i, n);
        NEED(send(s, out, n, i % 2 ? MSG_EOR : 0) == (ssize_t)n);
        struct iovec iov = { in, sizeof(in) };
        struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };
        NEED(recvmsg(s, &m, 0) == (ssize_t)n);
        NEED(m.msg_flags == (i % 2 ? MSG_EOR : 0));
        NEED(memcmp(in, out, n) == 0);
    }
    NEED(close(s) == 0);
    printf("messages: whole and in order\n");
}

/* The host calls us, many at once. */
static void called(void)
{
    struct sockaddr_vm a = { .svm_family = AF_VSOCK,
                             .svm_cid = VMADDR_CID_ANY,
                             .svm_port = OUR_PORT };
    socklen_t len = sizeof(a);
    char buf[64];
    int l = socket(AF_VSOCK, SOCK_STREAM, 0), s;
    NEED(l >= 0 && bind(l, (void *)&a, sizeof(a)) == 0 && listen(l, CALLERS) == 0);
    s = dial(SOCK_STREAM, 1002);
    NEED(s >= 0 && write(s, "call", 4) == 4);
    for (int i = 0; i < CALLERS; i++) {
        int c = accept(l, (void *)&a, &len);
        NEED(c >= 0 && a.svm_cid == VMADDR_CID_HOST);
        ssize_t n = recv(c, buf, sizeof(buf), 0);
        NEED(n > 0 && write(c, buf, (size_t)n) == n);
        NEED(read(c, buf, sizeof(buf)) == 0); /* the host has it and ends */
        NEED(close(c) == 0);
    }
    NEED(read(s, buf, sizeof(buf)) == 2 && memcmp(buf, "ok", 2) == 0);
    NEED(close(s) == 0 && close(l) == 0);
    printf("called: %d times\n", CALLERS);
}

static void small(void)
{
    unsigned cid = 0;
    int f = open("/dev/vsock", O_RDONLY);
    NEED(f >= 0 && ioctl(f, IOCTL_VM_SOCKETS_GET_LOCAL_CID, &cid) == 0);
    printf("cid: %u\n", cid);
    NEED(close(f) == 0);
    NEED(dial(SOCK_STREAM, 999) < 0 && errno == ECONNRESET);
    /* Its own context id is this machine. */
    struct sockaddr_vm a = { .svm_family = AF_VSOCK, .svm_cid = cid, .svm_port = VMADDR_PORT_ANY };
    socklen_t len = sizeof(a);
    int l = socket(AF_VSOCK, SOCK_STREAM, 0), s = socket(AF_VSOCK, SOCK_STREAM, 0);
    NEED(bind(l, (void *)&a, len) == 0 && listen(l, 1) == 0 &&
         getsockname(l, (void *)&a, &len) == 0);
    NEED(connect(s, (void *)&a, len) == 0 && close(s) == 0 && close(l) == 0);
}

/* Is the echo of a byte right? */
static int echoes(void)
{
    char c = 'e';
    int s = dial(SOCK_STREAM, 1000);
    if (s < 0)
        return 0;
    int good = write(s, &c, 1) == 1 && read(s, &c, 1) == 1 && c == 'e';
    close(s);
    return good;
}

/* The host breaks a rule on this connection: its answer, then the end or an error; others go on, if they may. */
static void lied_to(const char *how, int others)
{
    char buf[4096];
    ssize_t n;
    int s = dial(SOCK_STREAM, 1003);
    NEED(s >= 0 && write(s, how, strlen(how)) == (ssize_t)strlen(how));
    if (strcmp(how, "credit") == 0) { /* reading would give credit back */
        struct pollfd p = { s, 0, 0 };
        NEED(poll(&p, 1, -1) == 1 && p.revents & POLLERR);
    }
    while ((n = read(s, buf, sizeof(buf))) > 0)
        ;
    printf("lie %s: read %zd errno %d\n", how, n, n < 0 ? errno : 0);
    NEED(close(s) == 0);
    NEED(echoes() == others);
    NEED(others || errno == ENODEV);
}

/* Until the host has called us, and hung up. */
static void wait_for_host(void)
{
    struct sockaddr_vm a = { .svm_family = AF_VSOCK,
                             .svm_cid = VMADDR_CID_ANY,
                             .svm_port = OUR_PORT };
    int l = socket(AF_VSOCK, SOCK_STREAM, 0), c;
    char buf[64];
    NEED(l >= 0 && bind(l, (void *)&a, sizeof(a)) == 0 && listen(l, 1) == 0);
    NEED((c = dial(SOCK_STREAM, 1004)) >= 0 && close(c) == 0); /* it may call now */
    NEED((c = accept(l, NULL, NULL)) >= 0);
    while (read(c, buf, sizeof(buf)) > 0)
        ;
}

int main(int argc, char **argv)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    NEED(argc == 2);
    if (strcmp(argv[1], "serve") == 0) {
        small();
        messages();
        called();
        bulk();
        NEED(echoes());
    } else if (strcmp(argv[1], "wait") == 0) {
        wait_for_host();
        return 7;
    } else { /* what the host does on port 1003; upper case: the device does not survive it */
        NEED(echoes());
        lied_to(argv[1], argv[1][0] >= 'a');
    }
    puts("vsock: PASSED");
    return 0;
}
