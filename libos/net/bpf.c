/* SPDX-License-Identifier: MIT */
/* Classic BPF as system call filters and sockets use it: a check that makes running safe, and the interpreter. Jumps go
 * forwards only, so a program of n instructions ends after n steps. Spec: seccomp(2), Linux's networking/filter documentation. */
#include <libos/bpf.h>

#include <abi/errno.h>
#include <abi/if_packet.h>

#define ANCILLARY ((uint32_t)SKF_AD_OFF)

/* What only programs over packets have: loads of bytes and half words, by a place that is computed, and the remainder. */
static bool code_of_packets(uint16_t code)
{
    unsigned size = code & 0x18, mode = code & 0xe0;
    if (code == (BPF_LDX | BPF_B | BPF_MSH) || (code & ~(unsigned)BPF_X) == (BPF_ALU | BPF_MOD))
        return true;
    return (code & 7) == BPF_LD && (mode == BPF_ABS || mode == BPF_IND) && size != 0x18;
}

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

/* May a load have this place in a packet? What is below zero names facts about it. */
static bool place_good(uint32_t k)
{
    if (k < ANCILLARY)
        return k <= INT32_MAX;
    k -= ANCILLARY;
    return k == SKF_AD_PROTOCOL || k == SKF_AD_PKTTYPE || k == SKF_AD_IFINDEX ||
           k == SKF_AD_VLAN_TAG || k == SKF_AD_VLAN_TAG_PRESENT;
}

/* Is the instruction's constant what its code can have? left: instructions after it; size: of the data, 0 for a packet. */
static bool constant_good(const struct abi_sock_filter *i, size_t left, size_t size)
{
    if (!size && (i->code & 7) == BPF_LD && (i->code & 0xe0) == BPF_ABS)
        return place_good(i->k);
    switch (i->code) {
    case BPF_LD | BPF_W | BPF_ABS:
        return i->k < size && !(i->k & 3);
    case BPF_LD | BPF_MEM:
    case BPF_LDX | BPF_MEM:
    case BPF_ST:
    case BPF_STX:
        return i->k < BPF_MEMWORDS;
    case BPF_ALU | BPF_DIV | BPF_K:
    case BPF_ALU | BPF_MOD | BPF_K:
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

static int check(const struct abi_sock_filter *prog, size_t n, size_t size, uint16_t *scratch)
{
    if (n == 0 || n > BPF_MAXINSNS)
        return -EINVAL;
    for (size_t pc = 0; pc < n; pc++)
        if (!(code_known(prog[pc].code) || (!size && code_of_packets(prog[pc].code))) ||
            !constant_good(&prog[pc], n - pc - 1, size))
            return -EINVAL;
    if ((prog[n - 1].code & 7) != BPF_RET)
        return -EINVAL;
    return memory_good(prog, n, scratch) ? 0 : -EINVAL;
}

int bpf_check(const struct abi_sock_filter *prog, size_t n, size_t size, uint16_t *scratch)
{
    return check(prog, n, size, scratch);
}

int bpf_check_packet(const struct abi_sock_filter *prog, size_t n, uint16_t *scratch)
{
    return check(prog, n, 0, scratch);
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
    case BPF_MOD:
        return a % b;
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

/* Load from a packet. False: there is nothing at that place, which ends the program. */
static bool packet_load(const struct bpf_packet *p, uint16_t code, uint32_t at, uint32_t *ret)
{
    unsigned n = (code & 0x18) == BPF_B ? 1 : (code & 0x18) == BPF_H ? 2 : 4;
    if (at >= ANCILLARY) {
        at -= ANCILLARY;
        *ret = at == SKF_AD_PROTOCOL  ? p->protocol
               : at == SKF_AD_PKTTYPE ? p->type
               : at == SKF_AD_IFINDEX ? p->ifindex
                                      : 0;
        return true;
    }
    if (at > p->have || p->have - at < n)
        return false;
    *ret = 0;
    for (unsigned i = 0; i < n; i++)
        *ret = *ret << 8 | p->data[at + i];
    if ((code & 0xe0) == BPF_MSH)
        *ret = (*ret & 15) * 4;
    return true;
}

/* What is run on: words, or a packet. */
struct input {
    const uint32_t *words;
    uint32_t size;
    const struct bpf_packet *packet;
};

/* Run a load. False: the program ends. */
static bool load(const struct abi_sock_filter *i, const struct input *in, const uint32_t *mem,
                 uint32_t x, uint32_t *ret)
{
    unsigned mode = i->code & 0xe0;
    if (mode == BPF_IMM)
        *ret = i->k;
    else if (mode == BPF_MEM)
        *ret = mem[i->k];
    else if (mode == BPF_LEN)
        *ret = in->size;
    else if (in->packet)
        return packet_load(in->packet, i->code, mode == BPF_IND ? x + i->k : i->k, ret);
    else
        *ret = in->words[i->k / 4];
    return true;
}

static uint32_t run(const struct abi_sock_filter *i, const struct input *in)
{
    uint32_t a = 0, x = 0, v, mem[BPF_MEMWORDS];
    for (;; i++) {
        uint32_t operand = i->code & BPF_X ? x : i->k;
        unsigned op = i->code & 0xf0;
        switch (i->code & 7) {
        case BPF_RET:
            return i->code & BPF_A ? a : i->k;
        case BPF_ALU:
            if ((op == BPF_DIV || op == BPF_MOD) && !operand)
                return 0;
            a = alu(op, a, operand);
            break;
        case BPF_JMP:
            if (op == BPF_JA)
                i += i->k;
            else
                i += compare(op, a, operand) ? i->jt : i->jf;
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
        default: /* LD and LDX */
            if (!load(i, in, mem, x, &v))
                return 0;
            if ((i->code & 7) == BPF_LD)
                a = v;
            else
                x = v;
        }
    }
}

uint32_t bpf_run(const struct abi_sock_filter *prog, const uint32_t *data, size_t size)
{
    struct input in = { data, (uint32_t)size, NULL };
    return run(prog, &in);
}

uint32_t bpf_run_packet(const struct abi_sock_filter *prog, const struct bpf_packet *p)
{
    struct input in = { NULL, p->len, p };
    return run(prog, &in);
}
