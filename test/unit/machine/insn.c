/* SPDX-License-Identifier: MIT */
/* The decoder of instructions that a host has to serve: real encodings, and every cut and random byte string without a
 * read past its end (the sanitizer sees to that). */
#include "cc/insn.h"
#include "cc/stringio.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct plat_frame regs = {
    .rax = 0x1000,
    .rcx = 0x2000,
    .rdx = 0x3f8,
    .rbx = 0x4000,
    .rsp = 0x5000,
    .rbp = 0x6000,
    .rsi = 0x7000,
    .rdi = 0x8000,
    .r8 = 0x9000,
    .r12 = 0xa000,
    .r13 = 0xb000,
    .rip = 0x100000,
};

struct sample {
    const char *bytes;
    size_t n;
    struct insn want;
};

static const struct sample samples[] = {
    { "\x0f\xa2", 2, { .kind = INSN_CPUID, .length = 2 } },
    { "\x0f\x30", 2, { .kind = INSN_WRMSR, .length = 2 } },
    { "\x0f\x32", 2, { .kind = INSN_RDMSR, .length = 2 } },
    { "\x0f\x31", 2, { .kind = INSN_RDTSC, .length = 2 } },
    { "\x0f\x01\xf9", 3, { .kind = INSN_RDTSCP, .length = 3 } },
    { "\x0f\x09", 2, { .kind = INSN_WBINVD, .length = 2 } },
    { "\x0f\x23\xf8", 3, { .kind = INSN_DR7_WRITE, .length = 3 } },
    { "\x44\x0f\x21\xfb", 4, { .kind = INSN_DR7_READ, .length = 4, .reg = 3 } },
    { "\xec", 1, { .kind = INSN_IN, .length = 1, .size = 1 } },
    /* insb; rep insl; rep outsw with the prefixes in both orders */
    { "\x6c", 1, { .kind = INSN_IN, .length = 1, .size = 1, .string = true } },
    { "\xf3\x6d", 2, { .kind = INSN_IN, .length = 2, .size = 4, .string = true, .repeat = true } },
    { "\x66\xf3\x6f",
      3,
      { .kind = INSN_OUT, .length = 3, .size = 2, .string = true, .repeat = true } },
    { "\xf3\x66\x6f",
      3,
      { .kind = INSN_OUT, .length = 3, .size = 2, .string = true, .repeat = true } },
    { "\x66\xef", 2, { .kind = INSN_OUT, .length = 2, .size = 2 } },
    { "\xe6\x80",
      2,
      { .kind = INSN_OUT, .length = 2, .size = 1, .immediate = true, .value = 0x80 } },
    /* mov (%rax), %ecx; mov %ecx, 0x20(%rdi); mov %r9, (%r12); mov 0xb0(%r13), %al */
    { "\x8b\x08", 2, { .kind = INSN_LOAD, .length = 2, .size = 4, .reg = 1, .address = 0x1000 } },
    { "\x89\x4f\x20",
      3,
      { .kind = INSN_STORE, .length = 3, .size = 4, .reg = 1, .address = 0x8020 } },
    { "\x4d\x89\x0c\x24",
      4,
      { .kind = INSN_STORE, .length = 4, .size = 8, .reg = 9, .address = 0xa000 } },
    { "\x41\x8a\x85\xb0\x00\x00\x00",
      7,
      { .kind = INSN_LOAD, .length = 7, .size = 1, .address = 0xb0b0 } },
    /* mov %ah, (%rbx); mov %spl, (%rbx): with REX it is another register */
    { "\x88\x23",
      2,
      { .kind = INSN_STORE, .length = 2, .size = 1, .high_byte = true, .address = 0x4000 } },
    { "\x40\x88\x23",
      3,
      { .kind = INSN_STORE, .length = 3, .size = 1, .reg = 4, .address = 0x4000 } },
    /* movl $-1, 8(%rbx,%rcx,4); movw $0x1234, 0x10(%rip); movq $-2, (%rax) */
    { "\xc7\x44\x8b\x08\xff\xff\xff\xff",
      8,
      { .kind = INSN_STORE,
        .length = 8,
        .size = 4,
        .immediate = true,
        .value = UINT64_MAX,
        .address = 0xc008 } },
    { "\x66\xc7\x05\x10\x00\x00\x00\x34\x12",
      9,
      { .kind = INSN_STORE,
        .length = 9,
        .size = 2,
        .immediate = true,
        .value = 0x1234,
        .address = 0x100019 } },
    { "\x48\xc7\x00\xfe\xff\xff\xff",
      7,
      { .kind = INSN_STORE,
        .length = 7,
        .size = 8,
        .immediate = true,
        .value = UINT64_MAX - 1,
        .address = 0x1000 } },
    /* movzbl -1(%rsi), %edx; movzwl (%r8), %r10d; mov 0x12345678, %eax */
    { "\x0f\xb6\x56\xff",
      4,
      { .kind = INSN_LOAD, .length = 4, .size = 1, .reg = 2, .extend = true, .address = 0x6fff } },
    { "\x45\x0f\xb7\x10",
      4,
      { .kind = INSN_LOAD, .length = 4, .size = 2, .reg = 10, .extend = true, .address = 0x9000 } },
    { "\x8b\x04\x25\x78\x56\x34\x12",
      7,
      { .kind = INSN_LOAD, .length = 7, .size = 4, .address = 0x12345678 } },
};

/* A copy that ends where the bytes end. */
static bool decode(const void *bytes, size_t n, struct insn *ret)
{
    uint8_t *copy = malloc(n ? n : 1);
    bool ok;

    memcpy(copy, bytes, n);
    ok = insn_decode(copy, n, &regs, ret);
    free(copy);
    return ok;
}

static void encodings(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]); i++) {
        const struct sample *s = &samples[i];
        struct insn got;

        assert_true(decode(s->bytes, s->n, &got));
        assert_int_equal(got.kind, s->want.kind);
        assert_int_equal(got.length, s->want.length);
        assert_int_equal(got.size, s->want.size);
        if (s->want.kind >= INSN_LOAD || s->want.immediate) {
            if (!s->want.immediate)
                assert_int_equal(got.reg, s->want.reg);
            assert_int_equal(got.immediate, s->want.immediate);
            assert_int_equal(got.high_byte, s->want.high_byte);
            assert_int_equal(got.extend, s->want.extend);
            assert_int_equal(got.value, s->want.value);
            assert_int_equal(got.address, s->want.address);
        }
        for (size_t n = 0; n < s->n; n++)
            assert_false(decode(s->bytes, n, &got));
    }
}

/* What ring 0 does not use is not decoded: register forms, string I/O, arithmetic on memory, other prefixes. */
static void refused(void **state)
{
    static const char *const bytes[] = {
        "\x8b\xc1\0\0\0\0",   "\x67\x6c\0\0\0\0",   "\xf2\x6e\0\0\0\0", "\xf3\x0f\x32\0\0\0",
        "\x83\x08\x01\0\0\0", "\xf0\x89\x08\0\0\0", "\x0f\x05\0\0\0\0", "\xc7\x08\x01\0\0\0",
        "\x0f\x23\xf0\0\0\0", "\x64\x8b\x08\0\0\0", "\xf4\0\0\0\0\0"
    };
    struct insn got;

    (void)state;
    for (size_t i = 0; i < sizeof(bytes) / sizeof(bytes[0]); i++)
        assert_false(decode(bytes[i], 6, &got));
}

static void random_bytes(void **state)
{
    uint64_t x = 88172645463325252ull;
    struct insn got;

    (void)state;
    for (unsigned round = 0; round < 300000; round++) {
        uint8_t bytes[16];
        size_t n;

        for (unsigned i = 0; i < 16; i++) {
            x ^= x << 13;
            x ^= x >> 7;
            x ^= x << 17;
            bytes[i] = (uint8_t)x;
        }
        n = x >> 32 & 15;
        if (decode(bytes, n, &got))
            assert_true(got.length >= 1 && got.length <= n && got.size <= 8);
    }
}

static void registers(void **state)
{
    struct plat_frame f = regs;

    (void)state;
    assert_ptr_equal(insn_register(&f, 0), &f.rax);
    assert_ptr_equal(insn_register(&f, 4), &f.rsp);
    assert_ptr_equal(insn_register(&f, 15), &f.r15);
}

#define HALF 0xffff800000000000ull

/* Which memory string I/O may touch, in how many pieces, and where it stands after each. */
static void strings(void **state)
{
    static const struct {
        uint64_t at, count;
        bool down, ok;
        size_t want;
    } cases[] = {
        { HALF, 10, false, true, 10 },
        { HALF, 1000, false, true, 64 },
        { HALF, 0, false, true, 0 },
        { 0x1000, 0, false, true, 0 },
        { 0x7ffffffff000, 1, false, false, 0 }, /* ring 3's */
        { HALF - 4, 2, false, false, 0 },       /* from there into ring 0's */
        { HALF + 4, 2, true, true, 2 },
        { HALF + 4, 3, true, false, 0 },        /* down into ring 3's */
        { UINT64_MAX - 7, 2, false, true, 2 },  /* the last eight bytes */
        { UINT64_MAX - 7, 3, false, false, 0 }, /* around the end */
        { UINT64_MAX - 2, 1, false, false, 0 },
        { UINT64_MAX - 2, 1, true, false, 0 },
        { UINT64_MAX - 3, UINT64_MAX, true, true, 64 },
    };
    struct insn i = { .kind = INSN_OUT, .length = 2, .size = 4, .string = true, .repeat = true };
    (void)state;

    for (size_t k = 0; k < sizeof(cases) / sizeof(cases[0]); k++) {
        struct plat_frame f = { .rsi = cases[k].at,
                                .rcx = cases[k].count,
                                .rip = 100,
                                .rflags = cases[k].down ? 1 << 10 : 0 };
        struct string_io s;
        int64_t step = cases[k].down ? -4 : 4;

        assert_int_equal(string_plan(&f, &i, 259, &s), cases[k].ok);
        if (!cases[k].ok)
            continue;
        assert_int_equal(s.count, cases[k].want);
        string_advance(&f, &i, &s);
        assert_int_equal(f.rsi, cases[k].at + (uint64_t)step * s.count);
        assert_int_equal(f.rcx, cases[k].count - s.count);
        assert_int_equal(f.rip, f.rcx ? 100 : 102);
    }
    i.repeat = false;
    i.kind = INSN_IN;
    struct plat_frame f = { .rdi = HALF, .rcx = 7, .rip = 100 };
    struct string_io s;
    assert_true(string_plan(&f, &i, 4, &s) && s.count == 1);
    string_advance(&f, &i, &s);
    assert_true(f.rdi == HALF + 4 && f.rcx == 7 && f.rip == 102);
}

static void string_bytes(void **state)
{
    uint8_t memory[6] = { 1, 2, 3, 4, 5, 6 }, buf[6];
    struct string_io up = { .at = (uintptr_t)memory, .count = 3, .step = 2, .size = 2 };
    struct string_io down = { .at = (uintptr_t)(memory + 4), .count = 3, .step = -2, .size = 2 };
    (void)state;

    string_gather(&up, buf);
    assert_memory_equal(buf, memory, 6);
    string_gather(&down, buf);
    assert_memory_equal(buf, ((uint8_t[]){ 5, 6, 3, 4, 1, 2 }), 6);
    string_scatter(&up, buf);
    assert_memory_equal(memory, buf, 6);
    string_scatter(&down, buf);
    assert_memory_equal(memory, ((uint8_t[]){ 1, 2, 3, 4, 5, 6 }), 6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(encodings), cmocka_unit_test(refused), cmocka_unit_test(random_bytes),
        cmocka_unit_test(registers), cmocka_unit_test(strings), cmocka_unit_test(string_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
