/* SPDX-License-Identifier: MIT */
/* What a compiler calls instead of writing it out. Its own library keeps values below the stack pointer, where an interrupt
 * of ring 0 would overwrite them, so it is not linked: 128-bit division, counting bits, complex multiplication. */
#include <math.h>

typedef unsigned __int128 u128;
typedef __int128 s128;

int __popcountdi2(long long v);
u128 __udivmodti4(u128 n, u128 d, u128 *ret_rest);
u128 __udivti3(u128 n, u128 d);
u128 __umodti3(u128 n, u128 d);
s128 __divti3(s128 n, s128 d);
s128 __modti3(s128 n, s128 d);

int __popcountdi2(long long v)
{
    int count = 0;
    for (unsigned long long n = (unsigned long long)v; n; n &= n - 1)
        count++;
    return count;
}

u128 __udivmodti4(u128 n, u128 d, u128 *ret_rest)
{
    u128 quotient = 0, rest = 0;
    if (!d)
        __builtin_trap();
    for (int bit = 127; bit >= 0; bit--) {
        int carry = (int)(rest >> 127);
        rest = rest << 1 | (n >> bit & 1);
        if (carry || rest >= d) {
            rest -= d;
            quotient |= (u128)1 << bit;
        }
    }
    if (ret_rest)
        *ret_rest = rest;
    return quotient;
}

u128 __udivti3(u128 n, u128 d)
{
    return __udivmodti4(n, d, 0);
}

u128 __umodti3(u128 n, u128 d)
{
    u128 rest;
    (void)__udivmodti4(n, d, &rest);
    return rest;
}

static u128 magnitude(s128 v)
{
    return v < 0 ? -(u128)v : (u128)v;
}

s128 __divti3(s128 n, s128 d)
{
    u128 q = __udivti3(magnitude(n), magnitude(d));
    return (n < 0) != (d < 0) ? (s128)-q : (s128)q;
}

s128 __modti3(s128 n, s128 d)
{
    u128 rest = __umodti3(magnitude(n), magnitude(d));
    return n < 0 ? (s128)-rest : (s128)rest;
}

/* C11 annex G.5.1: the product, with infinities put back where the plain formula gives NaN in both parts. */
#define COMPLEX_PRODUCT(name, type, copysign_of)                                                   \
    _Complex type name(type a, type b, type c, type d);                                            \
    _Complex type name(type a, type b, type c, type d)                                             \
    {                                                                                              \
        type x = a * c - b * d, y = a * d + b * c;                                                 \
        if (isnan(x) && isnan(y) && (isinf(a) || isinf(b) || isinf(c) || isinf(d))) {              \
            a = copysign_of(isinf(a) ? 1 : isnan(a) ? 0 : a, a);                                   \
            b = copysign_of(isinf(b) ? 1 : isnan(b) ? 0 : b, b);                                   \
            c = copysign_of(isinf(c) ? 1 : isnan(c) ? 0 : c, c);                                   \
            d = copysign_of(isinf(d) ? 1 : isnan(d) ? 0 : d, d);                                   \
            x = (type)INFINITY * (a * c - b * d);                                                  \
            y = (type)INFINITY * (a * d + b * c);                                                  \
        }                                                                                          \
        return __builtin_complex(x, y);                                                            \
    }

COMPLEX_PRODUCT(__mulsc3, float, __builtin_copysignf)
COMPLEX_PRODUCT(__muldc3, double, __builtin_copysign)
COMPLEX_PRODUCT(__mulxc3, long double, __builtin_copysignl)
