/* SPDX-License-Identifier: MIT */
/* Threads without end: the call that makes one too many fails, and the program goes on. */
#include "attack.h"

#include <errno.h>
#include <pthread.h>

static void *wait_forever(void *arg)
{
    pause();
    return arg;
}

int main(void)
{
    pthread_attr_t attr;
    pthread_t t;
    long n = 0;
    int err;

    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, 65536);
    while (!(err = pthread_create(&t, &attr, wait_forever, NULL)) && n < 200000)
        n++;
    attack_check(err == EAGAIN || err == ENOMEM, "after %ld threads: %d", n, err);
    attack_check(n > 100, "only %ld threads", n);
    puts("pass");
    return 0;
}
