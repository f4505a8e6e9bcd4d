/* SPDX-License-Identifier: MIT */
/* A user pointer is not a pointer. */
#include <abi/stat.h>
#include <libos/user.h>

long f(user_stat_out_t up, user_stat_in_t in, struct abi_stat *kernel);
void takes_in(user_stat_in_t in);

void takes_in(user_stat_in_t in)
{
    (void)in;
}

long f(user_stat_out_t up, user_stat_in_t in, struct abi_stat *kernel)
{
    takes_in(in);
#if MISUSE == 1
    return (*up).st_size;
#elif MISUSE == 2
    return up->st_size;
#elif MISUSE == 3
    return up[0].st_size;
#elif MISUSE == 4
    struct abi_stat *p = up;
    return p->st_size;
#elif MISUSE == 5
    struct abi_stat *p = (struct abi_stat *)up;
    return p->st_size;
#elif MISUSE == 6
    up = up + 1;
#elif MISUSE == 7
    up++;
#elif MISUSE == 8
    takes_in(up); /* out where in is wanted */
#elif MISUSE == 9
    up = in;
#elif MISUSE == 10
    up = kernel;
#elif MISUSE == 11
    up = 5; /* a number becomes a user pointer only by user_at() */
#elif MISUSE == 12
    return up.phantom->st_size;
#elif MISUSE == 13
    if (up)
        return 0;
#elif MISUSE == 14
    __builtin_memcpy(kernel, up, sizeof(*kernel));
#elif MISUSE == 15
    return (long)up;
#endif
    return user_is_null(up) ? kernel->st_size : 0;
}
