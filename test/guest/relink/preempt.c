/* SPDX-License-Identifier: MIT */
/* Threads of a relinked program that never call libOS must not keep others from running; floating-point registers are each
 * thread's own; a bad pointer ends the program with SIGSEGV, like any other. */
#include <alcove/thread.h>
#include <stdio.h>

enum { SPINNERS = 3, TURNS = 5 };

static volatile int stop;
static int *volatile bad = (int *)8;

static int spin(void *arg)
{
    double start = *(double *)arg, v = start;
    while (!stop)
        v = (v * 3 + start) / 4;
    return v == start;
}

int main(void)
{
    struct alcove_thread *threads[SPINNERS];
    double values[SPINNERS] = { 1.0, 2.5, 1e10 };
    int kept = 0;
    for (int i = 0; i < SPINNERS; i++)
        if (alcove_thread_create(&threads[i], spin, &values[i]))
            return 1;
    for (int i = 0; i < TURNS; i++) {
        alcove_thread_yield();
        printf("turn %d of %.1f\n", i, TURNS / 1.0);
    }
    stop = 1;
    for (int i = 0; i < SPINNERS; i++) {
        int same;
        alcove_thread_join(threads[i], &same);
        kept += same;
    }
    printf("%d of %d kept their registers\n", kept, SPINNERS);
    fflush(stdout);
    *bad = 1;
    printf("not reached\n");
    return 0;
}
