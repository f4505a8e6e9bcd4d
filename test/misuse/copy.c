/* SPDX-License-Identifier: MIT */
/* Copies check direction and type, and their result cannot be dropped. */
#include <abi/stat.h>
#include <abi/uio.h>
#include <libos/user.h>

int f(user_stat_out_t out, user_stat_in_t in, user_u8_out_t bytes, user_iovec_in_t vec);

int f(user_stat_out_t out, user_stat_in_t in, user_u8_out_t bytes, user_iovec_in_t vec)
{
    struct abi_stat st;
    struct abi_timespec ts = { 0, 0 };
    struct abi_iovec iov;
    char text[4];
    if (user_get(&st, in, 1) != 0 || user_put(out, &st, 1) != 0 || user_get(&st, out, 1) != 0)
        return -EFAULT;
    if (user_get(text, bytes, 4) != 0 || user_clear(out, 1) != 0 || user_get(&iov, vec, 1) != 0)
        return -EFAULT;
    out = user_advance(out, 1);
    in = user_cast(user_stat_in_t, out);
    bytes = user_at(user_u8_out_t, 4096ul);
#if MISUSE == 1
    return user_put(in, &st, 1); /* const: the program said in */
#elif MISUSE == 2
    return user_put(out, &ts, 1); /* another type */
#elif MISUSE == 3
    return user_get(&ts, in, 1);
#elif MISUSE == 4
    return user_clear(in, 1);
#elif MISUSE == 5
    user_get(&st, in, 1); /* unchecked */
#elif MISUSE == 6
    user_put(out, &st, 1);
#elif MISUSE == 7
    return *iov.iov_base; /* what was fetched cannot be followed either */
#elif MISUSE == 8
    return user_get(&st, &ts, 1); /* a libOS pointer */
#elif MISUSE == 9
    const struct abi_stat fixed = { 0 };
    return user_get(&fixed, in, 1);
#elif MISUSE == 10
    struct abi_stat *p = user_advance(out, 1);
    return p != 0;
#endif
    return (int)ts.tv_sec + text[0] + (int)user_is_null(bytes) + (int)user_is_null(in);
}
