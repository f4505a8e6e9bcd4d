/* SPDX-License-Identifier: MIT */
/* Time does not go back, whatever the host does to the counter: looks at the clock between outputs, at which the simulator
 * turns it. Ends with the line that programs of test/sys end with. */
#include <stdio.h>
#include <time.h>
#include <unistd.h>

enum { ROUNDS = 3000 };

static long long now(clockid_t c)
{
    struct timespec t;

    clock_gettime(c, &t);
    return t.tv_sec * 1000000000ll + t.tv_nsec;
}

int main(int argc, char **argv)
{
    long long start = now(CLOCK_MONOTONIC), last = start, wall = now(CLOCK_REALTIME);
    int back = 0, ahead = 0;

    for (int i = 0; i < ROUNDS; i++) {
        long long t = now(CLOCK_MONOTONIC), w = now(CLOCK_REALTIME);

        back += t < last || w < wall;
        ahead += t - last > 3600000000000ll;
        last = t;
        wall = w;
        if (i % 20 == 0 && write(1, ".", 1) != 1)
            return 2;
    }
    if (back || ahead)
        printf("\nback %d times, ahead %d times\n", back, ahead);
    printf("\n2 checks, %d failed\n", (back != 0) + (ahead != 0));
    return back || ahead;
}
