/* SPDX-License-Identifier: MIT */
/* In place of Linux AIO in a libOS that is linked without it: no address space has contexts. */
#include <libos/mm.h>

void aio_exit(struct mm *mm)
{
}
