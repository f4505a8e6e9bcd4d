/* SPDX-License-Identifier: MIT */
/* Written by syscalls/gen.py from syscalls/table. What the declarations imply, as tests; they pass on Linux too. */
#include "t_auto.h"

int main(void)
{
    t_auto_init();
    if (t_auto_row(0, "read", 1, 0)) {
        CHECK(true, call(0, t_fd, T_KERNEL, 1) < 0);
    }
    if (t_auto_row(8, "lseek", 1, 0)) {
        CHECK(-EBADF, call(8, -1, 0, SEEK_SET));
        CHECK(-EBADF, call(8, T_NO_FD, 0, SEEK_SET));
    }
    if (t_auto_row(9, "mmap", 1, 0)) {
        CHECK(-EINVAL, call(9, t_page, 1, T_UNKNOWN(PROT_READ | PROT_WRITE), 0, t_fd, 0));
    }
    if (t_auto_row(22, "pipe", 1, 0)) {
        CHECK(-EFAULT, call(22, T_BAD));
        CHECK(-EFAULT, call(22, T_KERNEL));
    }
    if (t_auto_row(35, "nanosleep", 1, 0)) {
        CHECK(-EFAULT, call(35, T_BAD, t_buf));
        CHECK(-EFAULT, call(35, T_KERNEL, t_buf));
        CHECK(-EFAULT, call(35, t_buf, T_BAD));
        CHECK(-EFAULT, call(35, t_buf, T_KERNEL));
    }
    if (t_auto_row(188, "setxattr", 1, 0)) {
        CHECK(-EFAULT, call(188, t_path, T_BAD, t_buf, 1, 0));
        CHECK(-EFAULT, call(188, t_path, T_KERNEL, t_buf, 1, 0));
        CHECK(-EFAULT, call(188, t_path, "user.t", T_BAD, 1, 0));
        CHECK(-EFAULT, call(188, t_path, "user.t", T_KERNEL, 1, 0));
    }
    if (t_auto_row(293, "pipe2", 1, 0)) {
        CHECK(-EFAULT, call(293, T_BAD, 0));
        CHECK(-EFAULT, call(293, T_KERNEL, 0));
        CHECK(-EINVAL, call(293, t_buf, T_UNKNOWN(O_CLOEXEC | O_NONBLOCK)));
    }
    return t_auto_end();
}
