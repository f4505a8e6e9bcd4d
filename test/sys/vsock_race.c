/* SPDX-License-Identifier: MIT */
/* AF_VSOCK: threads that connect one socket at once, to a port where nobody listens, over the loopback. Each try ends, and the
 * socket is good for the next one. A Linux without vsock, or without its loopback, is asked for nothing. */
#define _GNU_SOURCE
#include <t.h>

#include <errno.h>
#include <linux/vm_sockets.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum { THREADS = 3, TRIES = 2000, PORT = 77777 };

static int s;
static _Atomic int refused, odd;

static void *connect_again(void *arg)
{
    const struct sockaddr_vm a = { .svm_family = AF_VSOCK,
                                   .svm_cid = VMADDR_CID_LOCAL,
                                   .svm_port = PORT };
    for (int i = 0; i < TRIES; i++) {
        if (connect(s, (const struct sockaddr *)&a, sizeof(a)) == 0)
            odd++; /* also when another thread took the error: rare enough not to be all */
        else if (errno == ECONNRESET)
            refused++;
        else if (errno != EALREADY && errno != EINPROGRESS)
            odd += TRIES * THREADS;
    }
    return arg;
}

int main(void)
{
    struct stat st;
    pthread_t t[THREADS];
    s = socket(AF_VSOCK, SOCK_STREAM, 0);
    if (!t_alcove() && (s < 0 || stat("/sys/module/vsock_loopback", &st))) {
        CHECK(true, s >= 0 || errno == EAFNOSUPPORT);
        return t_end();
    }
    CHECK(true, s >= 0);
    alarm(100);
    for (int i = 0; i < THREADS; i++)
        CHECK(0, pthread_create(&t[i], NULL, connect_again, NULL));
    for (int i = 0; i < THREADS; i++)
        CHECK(0, pthread_join(t[i], NULL));
    CHECK(true, refused > 0);
    CHECK(true, odd < TRIES * THREADS);
    close(s);
    return t_end();
}
