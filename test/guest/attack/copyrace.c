/* SPDX-License-Identifier: MIT */
/* A thread unmaps, remaps and protects a page while another passes it to calls: each call ends with a count or EFAULT. */
#define _GNU_SOURCE
#include "attack.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/uio.h>
#include <time.h>

static char *area;
static atomic_int stop;

static void *flip(void *arg)
{
    (void)arg;
    for (unsigned i = 0; !atomic_load(&stop); i++) {
        switch (i % 4) {
        case 0:
            munmap(area + 4096, 4096);
            break;
        case 1:
            mmap(area + 4096, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
                 -1, 0);
            break;
        case 2:
            mprotect(area + 4096, 4096, PROT_READ);
            break;
        case 3:
            madvise(area + 4096, 4096, MADV_DONTNEED);
            break;
        }
        if (i % 16 == 0)
            sched_yield();
    }
    return NULL;
}

int main(void)
{
    pthread_t t;
    int zero = open("/dev/zero", O_RDONLY), fd[2];
    time_t end = time(NULL) + 2;

    area = mmap(NULL, 3 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    attack_check(pipe2(fd, O_NONBLOCK) == 0 && pthread_create(&t, NULL, flip, NULL) == 0, "set-up");
    for (unsigned long i = 0; time(NULL) < end; i++) {
        struct iovec iov[2] = { { area, 4096 }, { area + 4096, 4096 } };
        ssize_t n = read(zero, area, 3 * 4096);
        attack_check(n > 0 || (n == -1 && errno == EFAULT), "read: %zd, errno %d", n, errno);
        n = writev(fd[1], iov, 2);
        attack_check(n > 0 || errno == EFAULT || errno == EAGAIN, "writev: %zd, errno %d", n,
                     errno);
        n = readv(fd[0], iov, 2);
        attack_check(n > 0 || errno == EFAULT || errno == EAGAIN, "readv: %zd, errno %d", n, errno);
        if (i % 8 == 0)
            sched_yield();
    }
    atomic_store(&stop, 1);
    pthread_join(t, NULL);
    puts("pass");
    return 0;
}
