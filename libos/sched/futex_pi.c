/* SPDX-License-Identifier: MIT */
/* PI futexes: to come. */
#include "futex_int.h"

void futex_pi_exit(struct thread *t)
{
    (void)t;
}
