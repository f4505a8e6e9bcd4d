/* SPDX-License-Identifier: MIT */
/* What the library of Argon2 is compiled with: no threads, libOS's heap, and a look at other threads every few blocks. It asks
 * for each block where the one to mix in lies, and that question goes through argon2_index. */
#ifndef CRYPTO_ARGON2_HOOKS_H
#define CRYPTO_ARGON2_HOOKS_H

#include <base/types.h>

struct Argon2_instance_t;
struct Argon2_position_t;

/* index_alpha of the library, and now and then a preempt point before. */
uint32_t argon2_index(const struct Argon2_instance_t *instance,
                      const struct Argon2_position_t *position, uint32_t random, int same_lane);

#endif
