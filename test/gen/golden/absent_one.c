/* SPDX-License-Identifier: MIT */
/* Written by syscalls/gen.py from syscalls/table. The calls of a libOS that is linked without one: not implemented. */
#include <sys_proto.h>

long sys_read(int fd, user_u8_out_t buf, size_t count)
{
    return sys_missing(0);
}

long sys_lseek(int fd, long offset, int whence)
{
    return sys_missing(8);
}
