/* SPDX-License-Identifier: MIT */
/* Classic BPF as system call filters use it: a check that makes running safe, and the interpreter. Jumps go forwards only,
 * so a program of n instructions ends after n steps. Spec: seccomp(2), Linux's networking/filter documentation. */
#include <libos/bpf.h>

#include <abi/errno.h>

/* May a filter have this instruction at all? */
static bool code_known(uint16_t code)
{
    switch (code) {
    case BPF_LD | BPF_W | BPF_ABS:
    case BPF_LD | BPF_W | BPF_LEN:
    case BPF_LD | BPF_IMM:
    case BPF_LD | BPF_MEM:
    case BPF_LDX | BPF_W | BPF_LEN:
    case BPF_LDX | BPF_IMM:
    case BPF_LDX | BPF_MEM:
    case BPF_ST:
    case BPF_STX:
    case BPF_RET | BPF_K:
    case BPF_RET | BPF_A:
    case BPF_MISC | BPF_TAX:
    case BPF_MISC | BPF_TXA:
    case BPF_ALU | BPF_NEG:
    case BPF_JMP | BPF_JA:
        return true;
    default:
        break;
    }
    unsigned op = code & 0xf0, class = code & 7;
    if (code & ~(unsigned)(0xf0 | BPF_X | 7))
        return false;
    if (class == BPF_ALU)
        return op <= BPF_RSH || op == BPF_XOR;
    return class == BPF_JMP && op >= BPF_JEQ && op <= BPF_JSET;
}

static bool is_jump(uint16_t code)
{
    return (code & 7) == BPF_JMP;
}

/* Is the instruction's constant what its code can have? left: instructions after it. */
static bool constant_good(const struct abi_sock_filter *i, size_t left, size_t size)
{
    switch (i->code) {
    case BPF_LD | BPF_W | BPF_ABS:
        return i->k < size && !(i->k & 3);
    case BPF_LD | BPF_MEM:
    case BPF_LDX | BPF_MEM:
    case BPF_ST:
    case BPF_STX:
        return i->k < BPF_MEMWORDS;
    case BPF_ALU | BPF_DIV | BPF_K:
        return i->k != 0;
    case BPF_ALU | BPF_LSH | BPF_K:
    case BPF_ALU | BPF_RSH | BPF_K:
        return i->k < 32;
    case BPF_JMP | BPF_JA:
        return i->k < left;
    default:
        return !is_jump(i->code) || (i->jt < left && i->jf < left);
    }
}

/* Is a word of memory read only where every way there has written it? valid[pc]: bit map of words that are known then. */
static bool memory_good(const struct abi_sock_filter *prog, size_t n, uint16_t *valid)
{
    uint16_t now = 0;
    for (size_t pc = 0; pc < n; pc++)
        valid[pc] = UINT16_MAX;
    for (size_t pc = 0; pc < n; pc++) {
        const struct abi_sock_filter *i = &prog[pc];
        now &= valid[pc];
        if (i->code == BPF_ST || i->code == BPF_STX) {
            now |= (uint16_t)(1u << i->k);
        } else if (i->code == (BPF_LD | BPF_MEM) || i->code == (BPF_LDX | BPF_MEM)) {
            if (!(now >> i->k & 1))
                return false;
        } else if (i->code == (BPF_JMP | BPF_JA)) {
            valid[pc + 1 + i->k] &= now;
            now = UINT16_MAX;
        } else if (is_jump(i->code)) {
            valid[pc + 1 + i->jt] &= now;
            valid[pc + 1 + i->jf] &= now;
            now = UINT16_MAX;
        }
    }
    return true;
}

int bpf_check(const struct abi_sock_filter *prog, size_t n, size_t size, uint16_t *scratch)
{
    if (n == 0 || n > BPF_MAXINSNS)
        return -EINVAL;
    for (size_t pc = 0; pc < n; pc++)
        if (!code_known(prog[pc].code) || !constant_good(&prog[pc], n - pc - 1, size))
            return -EINVAL;
    if ((prog[n - 1].code & 7) != BPF_RET)
        return -EINVAL;
    return memory_good(prog, n, scratch) ? 0 : -EINVAL;
}

static uint32_t alu(unsigned op, uint32_t a, uint32_t b)
{
    switch (op) {
    case BPF_ADD:
        return a + b;
    case BPF_SUB:
        return a - b;
    case BPF_MUL:
        return a * b;
    case BPF_DIV:
        return a / b; /* not 0: see bpf_run */
    case BPF_OR:
        return a | b;
    case BPF_AND:
        return a & b;
    case BPF_LSH:
        return a << (b & 31);
    case BPF_RSH:
        return a >> (b & 31);
    case BPF_NEG:
        return -a;
    default:
        return a ^ b;
    }
}

static bool compare(unsigned op, uint32_t a, uint32_t b)
{
    switch (op) {
    case BPF_JEQ:
        return a == b;
    case BPF_JGT:
        return a > b;
    case BPF_JGE:
        return a >= b;
    default:
        return a & b;
    }
}

uint32_t bpf_run(const struct abi_sock_filter *i, const uint32_t *data, size_t size)
{
    uint32_t a = 0, x = 0, mem[BPF_MEMWORDS];
    for (;; i++) {
        uint32_t operand = i->code & BPF_X ? x : i->k;
        switch (i->code & 7) {
        case BPF_RET:
            return i->code & BPF_A ? a : i->k;
        case BPF_ALU:
            if ((i->code & 0xf0) == BPF_DIV && !operand)
                return 0;
            a = alu(i->code & 0xf0, a, operand);
            break;
        case BPF_JMP:
            if ((i->code & 0xf0) == BPF_JA)
                i += i->k;
            else
                i += compare(i->code & 0xf0, a, operand) ? i->jt : i->jf;
            break;
        case BPF_ST:
            mem[i->k] = a;
            break;
        case BPF_STX:
            mem[i->k] = x;
            break;
        case BPF_MISC:
            if (i->code & BPF_TXA)
                a = x;
            else
                x = a;
            break;
        default: { /* LD and LDX */
            unsigned mode = i->code & 0xe0;
            uint32_t v = mode == BPF_ABS   ? data[i->k / 4]
                         : mode == BPF_MEM ? mem[i->k]
                         : mode == BPF_LEN ? (uint32_t)size
                                           : i->k;
            if ((i->code & 7) == BPF_LD)
                a = v;
            else
                x = v;
        }
        }
    }
}
