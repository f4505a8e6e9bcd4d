/* SPDX-License-Identifier: MIT */
/* flock. fcntl's locks are in fd.c. */
#include "sys_proto.h"

#include <abi/fcntl.h>
#include <libos/file.h>
#include <libos/flock.h>

long sys_flock(int fd, unsigned operation)
{
    struct fd_ref ref;
    long err = fd_borrow(fd, &ref);
    if (err)
        return err;
    err = flock_set(ref.file, operation);
    fd_return(&ref);
    return err;
}
