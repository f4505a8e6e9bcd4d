/* SPDX-License-Identifier: MIT */
/* flock: locks that belong to open files. */
#define _GNU_SOURCE
#include <t_file.h>

#include <sys/file.h>

int main(void)
{
    t_enter();
    t_write("f", "x");
    long a = call(SYS_open, "f", O_RDONLY), b = call(SYS_open, "f", O_RDONLY), c = call(SYS_dup, a);
    CHECK(0, call(SYS_flock, a, LOCK_SH));
    CHECK(0, call(SYS_flock, b, LOCK_SH | LOCK_NB));
    CHECK(-EAGAIN, call(SYS_flock, a, LOCK_EX | LOCK_NB));
    CHECK(0, call(SYS_flock, b, LOCK_UN));
    CHECK(0, call(SYS_flock, a, LOCK_EX | LOCK_NB));
    CHECK(-EAGAIN, call(SYS_flock, b, LOCK_SH | LOCK_NB));
    CHECK(0, call(SYS_flock, c, LOCK_EX | LOCK_NB)); /* a duplicate shares the lock */
    call(SYS_close, a);
    CHECK(-EAGAIN, call(SYS_flock, b, LOCK_SH | LOCK_NB));
    call(SYS_close, c); /* the last one gives it up */
    CHECK(0, call(SYS_flock, b, LOCK_EX | LOCK_NB));
    CHECK(0, call(SYS_flock, b, LOCK_SH)); /* one lock, converted */
    CHECK(-EINVAL, call(SYS_flock, b, 0));
    CHECK(-EINVAL, call(SYS_flock, b, LOCK_SH | LOCK_EX));
    CHECK(-EBADF, call(SYS_flock, 999, LOCK_SH));
    CHECK(0, call(SYS_flock, b, LOCK_UN));
    CHECK(0, call(SYS_flock, b, LOCK_UN));
    a = call(SYS_open, "f", O_PATH);
    CHECK(-EBADF, call(SYS_flock, a, LOCK_SH));
    call(SYS_close, a);
    call(SYS_close, b);
    return t_leave();
}
