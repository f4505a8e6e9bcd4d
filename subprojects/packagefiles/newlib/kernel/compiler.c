/* SPDX-License-Identifier: MIT */
/* What gcc calls instead of writing it out, as no libgcc is linked (its functions may use a red zone). */
int __popcountdi2(long long v);

int __popcountdi2(long long v)
{
    unsigned long long n = (unsigned long long)v;

    n -= n >> 1 & 0x5555555555555555u;
    n = (n & 0x3333333333333333u) + (n >> 2 & 0x3333333333333333u);
    n = (n + (n >> 4)) & 0x0f0f0f0f0f0f0f0fu;
    return (int)(n * 0x0101010101010101u >> 56);
}
