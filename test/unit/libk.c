/* SPDX-License-Identifier: MIT */
/* The kernel's string, stdlib and formatting functions (libk), run as an ordinary process without a C library:
 * exactly the objects that the kernel links. Exit status 0, or 1 after a line that says what differs. */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SYS_write = 1, SYS_exit_group = 231, AREA = 160, LENGTHS = 80, OFFSETS = 36 };

static long syscall3(long nr, long a, const void *b, size_t c)
{
    long ret;
    __asm__ volatile("syscall"
                     : "=a"(ret)
                     : "0"(nr), "D"(a), "S"(b), "d"(c)
                     : "rcx", "r11", "memory");
    return ret;
}

static _Noreturn void finish(int status)
{
    for (;;)
        (void)syscall3(SYS_exit_group, status, NULL, 0);
}

static void say(const char *text)
{
    (void)syscall3(SYS_write, 1, text, strlen(text));
}

static void check(int ok, const char *what, int a, int b, int c)
{
    char line[200];
    if (ok)
        return;
    (void)snprintf(line, sizeof line, "libk: %s is wrong (%d, %d, %d)\n", what, a, b, c);
    say(line);
    finish(1);
}

static volatile unsigned char want[AREA];
static unsigned char src[AREA], dst[AREA];

static int same(void)
{
    for (int i = 0; i < AREA; i++)
        if (dst[i] != want[i])
            return 0;
    return 1;
}

static void check_moves(int len, int from, int to)
{
    for (int i = 0; i < AREA; i++)
        src[i] = dst[i] = want[i] = (unsigned char)(i * 7 + len);
    for (int i = 0; i < len; i++)
        want[to + i] = src[from + i];
    check(memmove(dst + to, dst + from, (size_t)len) == dst + to && same(), "memmove", len, from,
          to);
    for (int i = 0; i < AREA; i++)
        dst[i] = 0x55;
    for (int i = 0; i < AREA; i++)
        want[i] = i >= to && i < to + len ? src[from + i - to] : 0x55;
    check(memcpy(dst + to, src + from, (size_t)len) == dst + to && same(), "memcpy", len, from, to);
    for (int i = 0; i < AREA; i++)
        want[i] = i >= to && i < to + len ? (unsigned char)(from + 200) : 0x55;
    check(memset(dst + to, from + 200, (size_t)len) == dst + to && same(), "memset", len, from, to);
}

int __popcountdi2(long long v);

static void check_popcount(void)
{
    check(__popcountdi2(0) == 0 && __popcountdi2(-1) == 64, "__popcountdi2", 0, 0, 0);
    for (int bit = 0; bit < 63; bit++) {
        check(__popcountdi2(1ll << bit) == 1, "__popcountdi2", bit, 1, 0);
        check(__popcountdi2((1ll << bit) - 1) == bit, "__popcountdi2", bit, 2, 0);
    }
}

static int by_value(const void *a, const void *b)
{
    return *(const int *)a - *(const int *)b;
}

static void check_text(void)
{
    char line[200];
    int n = snprintf(line, sizeof line, "%d %u %zu %lx %p %jd %-5s| %05d %c %lld %td %.3s %#x %8s|",
                     -5, 7u, (size_t)99, 0xdeadbeefUL, (void *)0x1234, (intmax_t)-1, "ab", 42, 'z',
                     -1LL, (ptrdiff_t)3, "abcdef", 255, "r");
    const char *text = "-5 7 99 deadbeef 0x1234 -1 ab   | 00042 z -1 3 abc 0xff        r|";
    check(strcmp(line, text) == 0, "snprintf's text", n, 0, 0);
    check((size_t)n == strlen(text), "snprintf's length", n, 0, 0);
    check(snprintf(line, 4, "%s", "abcdef") == 6 && strcmp(line, "abc") == 0, "snprintf's bound", 0,
          0, 0);
    check(strtol("-0x1fz", NULL, 0) == -31, "strtol", 0, 0, 0);
    check(strtoul("18446744073709551615", NULL, 10) == UINT64_MAX, "strtoul", 0, 0, 0);
    check(strcmp(strstr("hello world", "o w"), "o world") == 0, "strstr", 0, 0, 0);
    check(strchr("abc", 'd') == NULL && strrchr("abcb", 'b')[1] == 0, "strchr", 0, 0, 0);
    check(memcmp("abcdefghijklm", "abcdefghijklz", 13) < 0, "memcmp", 0, 0, 0);
    check(strnlen("abc", 2) == 2 && strspn("aab", "a") == 2 && strcspn("aab", "b") == 2, "strnlen",
          0, 0, 0);
    int numbers[6] = { 5, 3, 9, 1, 2, 8 };
    qsort(numbers, 6, sizeof numbers[0], by_value);
    for (int i = 1; i < 6; i++)
        check(numbers[i - 1] < numbers[i], "qsort", i, 0, 0);
}

/* Entered by the Linux kernel with a 16-byte aligned stack and no return address. */
__attribute__((force_align_arg_pointer)) _Noreturn void _start(void);

void _start(void)
{
    for (int len = 0; len < LENGTHS; len++)
        for (int from = 0; from < OFFSETS; from++)
            for (int to = 0; to < OFFSETS; to++)
                check_moves(len, from, to);
    check_text();
    check_popcount();
    finish(0);
}
