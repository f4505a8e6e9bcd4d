/* SPDX-License-Identifier: MIT */
/* A machine that goes on from a snapshot: other random numbers, wall time stepped, monotonic time not. */
#include <libos/page.h>
#include <libos/random.h>
#include <libos/time.h>
#include <libos/timer.h>
#include <plat/host.h>
#include <plat/time.h>
#include <plat/upcall.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

_Noreturn void machine_exit(int wait_status);
_Noreturn void machine_exit(int wait_status)
{
    _exit(wait_status);
}

/* What the generator gives in a copy of this process, which is what a clone of a machine is. */
static void clone_gives(uint64_t a, uint64_t b, uint8_t out[64], size_t n)
{
    int ends[2];

    assert_int_equal(pipe(ends), 0);
    int pid = fork();
    if (!pid) {
        plat_host_generation_set(a, b);
        random_bytes(out, n);
        _exit(write(ends[1], out, n) != (ssize_t)n);
    }
    assert_int_equal(read(ends[0], out, n), n);
    close(ends[0]);
    close(ends[1]);
}

static void random_numbers(void **state)
{
    uint8_t first[64], second[64];

    (void)state;
    for (size_t n = 16; n <= 64; n += 48) { /* from the pool, and past it */
        clone_gives(1, 2, first, n);
        clone_gives(1, 2, second, n);
        assert_memory_equal(first, second, n); /* or the rest would prove nothing */
        clone_gives(1, 3, first, n);
        assert_memory_not_equal(first, second, n);
        clone_gives(1, 3, second, n); /* the processor's numbers make them differ, too */
        assert_memory_not_equal(first, second, n);
    }
}

static void wall_time(void **state)
{
    uint64_t mono = plat_time_ns(), offset = clock_realtime_offset();

    (void)state;
    upcall_resumed();
    assert_true(clock_realtime_offset() == offset); /* nothing moved */
    plat_host_wall_step(3600ll * 1000000000);
    upcall_resumed();
    assert_in_range(clock_realtime_offset() - offset, 3599ull * 1000000000, 3601ull * 1000000000);
    assert_in_range(plat_time_ns(), mono, mono + 600ull * 1000000000);
    /* What a program has set stays a difference. */
    clock_set_realtime(1000000000);
    plat_host_wall_step(-7200ll * 1000000000);
    offset = clock_realtime_offset();
    upcall_resumed();
    assert_in_range(offset - clock_realtime_offset(), 7199ull * 1000000000, 7201ull * 1000000000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_numbers),
        cmocka_unit_test(wall_time),
    };

    plat_host_generation_set(1, 2);
    plat_host_init();
    page_init();
    random_init();
    time_init();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
