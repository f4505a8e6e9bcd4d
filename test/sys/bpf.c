/* SPDX-License-Identifier: MIT */
/* Filters of system calls, code by code: which instructions with which constants are taken, and what each computes. */
#define _GNU_SOURCE
#include <t.h>

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { GUARD = 4, LAST = 4000 };

#define NR            offsetof(struct seccomp_data, nr)
#define S(c, v)       ((struct sock_filter)BPF_STMT(c, v))
#define J(c, v, t, f) ((struct sock_filter)BPF_JUMP(c, v, t, f))

static long install(struct sock_filter *code, unsigned n)
{
    struct sock_fprog prog = { (unsigned short)n, code };
    return call(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &prog);
}

/* Only getppid sees what comes behind the first instructions. */
static unsigned guard(struct sock_filter *code)
{
    code[0] = S(BPF_LD | BPF_W | BPF_ABS, NR);
    code[1] = J(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 1, 0);
    code[2] = S(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    code[3] = S(BPF_ST, 0); /* word 0 of memory is known */
    return GUARD;
}

/* What Linux takes (seccomp_check_filter, bpf_check_classic), with the constant k and one instruction behind it. */
static bool wanted(unsigned code, uint32_t k)
{
    unsigned op = code & 0xf0;
    switch (code) {
    case BPF_LD | BPF_W | BPF_ABS:
        return k < sizeof(struct seccomp_data) && !(k & 3);
    case BPF_LD | BPF_MEM:
    case BPF_LDX | BPF_MEM:
        return k == 0; /* others were not written */
    case BPF_ST:
    case BPF_STX:
        return k < BPF_MEMWORDS;
    case BPF_JMP | BPF_JA:
        return k == 0;
    case BPF_LD | BPF_W | BPF_LEN:
    case BPF_LDX | BPF_W | BPF_LEN:
    case BPF_LD | BPF_IMM:
    case BPF_LDX | BPF_IMM:
    case BPF_RET | BPF_K:
    case BPF_RET | BPF_A:
    case BPF_MISC | BPF_TAX:
    case BPF_MISC | BPF_TXA:
    case BPF_ALU | BPF_NEG:
        return true;
    case BPF_ALU | BPF_DIV | BPF_K:
        return k != 0;
    case BPF_ALU | BPF_LSH | BPF_K:
    case BPF_ALU | BPF_RSH | BPF_K:
        return k < 32;
    default:
        break;
    }
    if ((code & ~(0xf0u | BPF_X | 7u)) != 0)
        return false;
    if ((code & 7) == BPF_ALU)
        return op <= BPF_RSH || op == BPF_XOR;
    return (code & 7) == BPF_JMP && op >= BPF_JEQ && op <= BPF_JSET;
}

static void check_codes(void)
{
    static const uint32_t constants[] = { 0,  1,  4,  15,         16,         31,
                                          32, 60, 64, 0x7fffffff, 0xfffff000, ~0u };
    struct sock_filter code[GUARD + 2];
    guard(code);
    for (unsigned c = 0; c < 0x10000; c = c < 0x1ff ? c + 1 : c * 2 + 1) {
        for (size_t i = 0; i < sizeof(constants) / sizeof(constants[0]); i++) {
            code[GUARD] = (struct sock_filter){ (uint16_t)c, 0, 0, constants[i] };
            code[GUARD + 1] = S(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
            long r = install(code, GUARD + 2);
            t_checks++;
            if (r != (wanted(c, constants[i]) ? 0 : -EINVAL) && t_failures++ < 10)
                fprintf(stderr, "code %#x constant %#x: %s\n", c, constants[i],
                        r ? t_name(r) : "taken");
        }
    }
}

static void check_shape(void)
{
    static struct sock_filter code[BPF_MAXINSNS + 1];
    for (unsigned i = 0; i <= BPF_MAXINSNS; i++)
        code[i] = S(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    CHECK(-EINVAL, install(code, 0));
    CHECK(-EINVAL, install(code, BPF_MAXINSNS + 1));
    CHECK(0, install(code, BPF_MAXINSNS));
    CHECK(-EFAULT, install(T_BAD, 4));
    code[0] = S(BPF_LD | BPF_W | BPF_LEN, 0); /* the last one does not return */
    CHECK(-EINVAL, install(code, 1));
    code[0] = J(BPF_JMP | BPF_JEQ | BPF_K, 1, 1, 0);
    CHECK(-EINVAL, install(code, 2)); /* jumps behind the end */
    CHECK(0, install(code, 3));
    code[0] = J(BPF_JMP | BPF_JEQ | BPF_K, 1, 0, 255);
    CHECK(0, install(code, 257));
    CHECK(-EINVAL, install(code, 256));
    /* Word 3 is known on one way only. */
    code[0] = J(BPF_JMP | BPF_JEQ | BPF_K, 1, 1, 0);
    code[1] = S(BPF_ST, 3);
    code[2] = S(BPF_LD | BPF_MEM, 3);
    CHECK(-EINVAL, install(code, 4));
    code[0] = J(BPF_JMP | BPF_JEQ | BPF_K, 1, 0, 0);
    CHECK(0, install(code, 4));
}

/* One operation: what it leaves in A. x is in X. */
struct operation {
    uint16_t code;
    uint32_t a, k, x, want;
};

static uint32_t compute(unsigned op, uint32_t a, uint32_t b)
{
    switch (op) {
    case BPF_ADD:
        return a + b;
    case BPF_SUB:
        return a - b;
    case BPF_MUL:
        return a * b;
    case BPF_DIV:
        return b ? a / b : 0;
    case BPF_OR:
        return a | b;
    case BPF_AND:
        return a & b;
    case BPF_XOR:
        return a ^ b;
    case BPF_LSH:
        return a << (b & 31);
    case BPF_RSH:
        return a >> (b & 31);
    default:
        return -a;
    }
}

/* A filter in which the n-th operation that is wrong makes getppid fail with n. */
static unsigned add(struct sock_filter *p, const struct operation *o, unsigned n)
{
    p[0] = S(BPF_LDX | BPF_IMM, o->x);
    p[1] = S(BPF_LD | BPF_IMM, o->a);
    p[2] = S(o->code, o->k);
    p[3] = J(BPF_JMP | BPF_JEQ | BPF_K, o->want, 1, 0);
    p[4] = S(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | n);
    return 5;
}

/* All operands of one operation, as constant and from X. */
static void check_operation(unsigned op)
{
    static const uint32_t values[] = { 0, 1, 2, 31, 0x7fffffff, 0x80000000, 0xdeadbeef, ~0u };
    static struct sock_filter code[BPF_MAXINSNS];
    bool shift = op == BPF_LSH || op == BPF_RSH;
    unsigned n = guard(code), cases = 0;
    for (size_t i = 0; i < 64; i++) {
        uint32_t a = values[i % 8], b = values[i / 8], want = compute(op, a, b);
        if ((op == BPF_DIV && !b) || (shift && b > 31))
            continue;
        n += add(code + n, &(struct operation){ (uint16_t)(BPF_ALU | op | BPF_K), a, b, ~b, want },
                 ++cases);
        if (op != BPF_NEG)
            n += add(code + n,
                     &(struct operation){ (uint16_t)(BPF_ALU | op | BPF_X), a, 5, b, want },
                     ++cases);
    }
    code[n++] = S(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | LAST);
    CHECK(0, install(code, n));
    long got = call(SYS_getppid);
    if (!CHECK(-LAST, got))
        fprintf(stderr, "  operation %#x, case %ld\n", op, -got);
}

/* Each of the four comparisons, both ways, and moves between A, X and memory. */
static void check_jumps(unsigned unused)
{
    static struct sock_filter code[BPF_MAXINSNS];
    unsigned n = guard(code), cases = 0;
    static const uint32_t values[] = { 0, 1, 6, 0x80000000, ~0u };
    (void)unused;
    for (size_t i = 0; i < 25; i++) {
        uint32_t a = values[i % 5], b = values[i / 5];
        bool truth[] = { a == b, a > b, a >= b, (a & b) != 0 };
        static const uint16_t ops[] = { BPF_JEQ, BPF_JGT, BPF_JGE, BPF_JSET };
        for (int k = 0; k < 8; k++) {
            code[n++] = S(BPF_LDX | BPF_IMM, k % 2 ? b : ~b);
            code[n++] = S(BPF_LD | BPF_IMM, a);
            code[n] = J(BPF_JMP | ops[k / 2] | (k % 2 ? BPF_X : BPF_K), b, 1, 0);
            if (!truth[k / 2])
                code[n].jt = 0, code[n].jf = 1;
            n++;
            code[n++] = S(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ++cases);
        }
    }
    const struct sock_filter moves[] = { S(BPF_LD | BPF_IMM, 77),
                                         S(BPF_ST, 15),
                                         S(BPF_LDX | BPF_MEM, 15),
                                         S(BPF_MISC | BPF_TXA, 0),
                                         S(BPF_ALU | BPF_ADD | BPF_K, 1),
                                         S(BPF_MISC | BPF_TAX, 0),
                                         S(BPF_STX, 2),
                                         S(BPF_LD | BPF_W | BPF_LEN, 0),
                                         S(BPF_ALU | BPF_ADD | BPF_X, 0),
                                         J(BPF_JMP | BPF_JEQ | BPF_K,
                                           78 + sizeof(struct seccomp_data), 1, 0),
                                         S(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (cases + 1)),
                                         S(BPF_LD | BPF_MEM, 2),
                                         J(BPF_JMP | BPF_JEQ | BPF_K, 78, 1, 0),
                                         S(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (cases + 2)) };
    cases += 2;
    memcpy(code + n, moves, sizeof(moves));
    n += sizeof(moves) / sizeof(moves[0]);
    code[n++] = S(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | LAST);
    CHECK(0, install(code, n));
    long got = call(SYS_getppid);
    if (!CHECK(-LAST, got))
        fprintf(stderr, "  jumps, case %ld\n", -got);
}

/* Division by a zero in X ends the filter with 0: the thread is killed. */
static void check_zero(unsigned unused)
{
    struct sock_filter code[GUARD + 5];
    (void)unused;
    guard(code);
    code[GUARD] = S(BPF_LDX | BPF_IMM, 0);
    code[GUARD + 1] = S(BPF_LD | BPF_IMM, 5);
    code[GUARD + 2] = S(BPF_ALU | BPF_DIV | BPF_X, 0);
    code[GUARD + 3] = S(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | 1);
    CHECK(0, install(code, GUARD + 4));
    call(SYS_getppid);
    _exit(9);
}

/* In a child of its own: filters stay. Its wait status. */
static int in_child(void (*body)(unsigned), unsigned arg)
{
    int status = -1, pid = fork();
    if (pid == 0) {
        t_failures = 0;
        prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
        body(arg);
        _exit(t_failures != 0);
    }
    CHECK(pid, waitpid(pid, &status, 0));
    return status;
}

static void codes(unsigned unused)
{
    (void)unused;
    check_codes();
}

static void shape(unsigned unused)
{
    (void)unused;
    check_shape();
}

int main(void)
{
    static const uint16_t ops[] = { BPF_ADD, BPF_SUB, BPF_MUL, BPF_DIV, BPF_OR,
                                    BPF_AND, BPF_XOR, BPF_LSH, BPF_RSH, BPF_NEG };
    CHECK(0, in_child(codes, 0));
    CHECK(0, in_child(shape, 0));
    for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++)
        CHECK(0, in_child(check_operation, ops[i]));
    CHECK(0, in_child(check_jumps, 0));
    CHECK(SIGSYS, in_child(check_zero, 0) & 0x7f);
    return t_end();
}
