/* SPDX-License-Identifier: MIT */
/* A decoder for the few instructions that #VC and #VE are raised for in ring 0: bounded, without memory accesses of its own,
 * and deaf to everything else. Spec: AMD APM volume 3, chapter 1. */
#include "cc/insn.h"

struct cursor {
    const uint8_t *p;
    size_t left;
    bool ok;
};

enum { REX_W = 8, REX_R = 4, REX_X = 2, REX_B = 1 };

static uint64_t take(struct cursor *c, unsigned n)
{
    uint64_t v = 0;

    if (c->left < n) {
        c->ok = false;
        return 0;
    }
    for (unsigned i = 0; i < n; i++)
        v |= (uint64_t)c->p[i] << 8 * i;
    c->p += n;
    c->left -= n;
    return v;
}

static uint64_t take_signed(struct cursor *c, unsigned n)
{
    unsigned shift = 64 - 8 * n;

    return (uint64_t)((int64_t)(take(c, n) << shift) >> shift);
}

uint64_t *insn_register(struct plat_frame *f, unsigned n)
{
    uint64_t *const places[16] = { &f->rax, &f->rcx, &f->rdx, &f->rbx, &f->rsp, &f->rbp,
                                   &f->rsi, &f->rdi, &f->r8,  &f->r9,  &f->r10, &f->r11,
                                   &f->r12, &f->r13, &f->r14, &f->r15 };

    return places[n & 15];
}

static uint64_t value_of(const struct plat_frame *f, unsigned n)
{
    struct plat_frame copy = *f;

    return *insn_register(&copy, n);
}

/* The operands of a ModRM byte whose r/m is memory. False: r/m is a register. rip-relative addresses are counted from the
 * end of the instruction, which needs the bytes that still follow: tail. */
static bool memory_operand(struct cursor *c, uint8_t rex, const struct plat_frame *f,
                           const uint8_t *start, unsigned tail, struct insn *ret)
{
    uint8_t modrm = (uint8_t)take(c, 1), mod = modrm >> 6, rm = modrm & 7;
    uint64_t address = 0;

    ret->reg = (uint8_t)((modrm >> 3 & 7) | (rex & REX_R ? 8 : 0));
    if (!c->ok || mod == 3)
        return false;
    if (rm == 4) {
        uint8_t sib = (uint8_t)take(c, 1);
        unsigned index = (sib >> 3 & 7) | (rex & REX_X ? 8u : 0), base = sib & 7;
        if (index != 4)
            address = value_of(f, index) << (sib >> 6);
        if (base == 5 && mod == 0)
            address += take_signed(c, 4);
        else
            address += value_of(f, base | (rex & REX_B ? 8u : 0));
    } else if (rm == 5 && mod == 0) {
        uint64_t displacement = take_signed(c, 4);
        address = f->rip + (uint64_t)(c->p - start) + tail + displacement;
    } else {
        address = value_of(f, rm | (rex & REX_B ? 8u : 0));
    }
    if (mod == 1)
        address += take_signed(c, 1);
    else if (mod == 2)
        address += take_signed(c, 4);
    ret->address = address;
    return c->ok;
}

/* A byte register without REX: 4 to 7 are ah, ch, dh, bh. */
static void byte_register(struct insn *ret, uint8_t rex)
{
    if (!rex && ret->reg >= 4 && ret->reg < 8) {
        ret->high_byte = true;
        ret->reg -= 4;
    }
}

static bool decode_move(struct cursor *c, uint8_t op, uint8_t rex, bool narrow,
                        const struct plat_frame *f, const uint8_t *start, struct insn *ret)
{
    bool byte = !(op & 1);
    unsigned word = rex & REX_W ? 8 : narrow ? 2 : 4;

    ret->size = (uint8_t)(byte ? 1 : word);
    if (op == 0xc6 || op == 0xc7) {
        unsigned n = byte ? 1 : narrow && !(rex & REX_W) ? 2 : 4;
        ret->kind = INSN_STORE;
        ret->immediate = true;
        if (!memory_operand(c, rex, f, start, n, ret) || ret->reg % 8 != 0)
            return false;
        ret->value = take_signed(c, n);
        return c->ok;
    }
    ret->kind = op & 2 ? INSN_LOAD : INSN_STORE;
    if (!memory_operand(c, rex, f, start, 0, ret))
        return false;
    if (byte)
        byte_register(ret, rex);
    return true;
}

static bool decode_two_byte(struct cursor *c, uint8_t rex, const struct plat_frame *f,
                            const uint8_t *start, struct insn *ret)
{
    uint8_t op = (uint8_t)take(c, 1), next;

    switch (op) {
    case 0x01:
        ret->kind = INSN_RDTSCP;
        return take(c, 1) == 0xf9;
    case 0x09:
        ret->kind = INSN_WBINVD;
        return true;
    case 0x21:
    case 0x23:
        next = (uint8_t)take(c, 1);
        ret->kind = op == 0x21 ? INSN_DR7_READ : INSN_DR7_WRITE;
        ret->reg = (uint8_t)((next & 7) | (rex & REX_B ? 8 : 0));
        return c->ok && next >> 6 == 3 && (next >> 3 & 7) == 7;
    case 0x30:
        ret->kind = INSN_WRMSR;
        return true;
    case 0x31:
        ret->kind = INSN_RDTSC;
        return true;
    case 0x32:
        ret->kind = INSN_RDMSR;
        return true;
    case 0xa2:
        ret->kind = INSN_CPUID;
        return true;
    case 0xb6:
    case 0xb7:
        ret->kind = INSN_LOAD;
        ret->size = op == 0xb6 ? 1 : 2;
        ret->extend = true;
        return memory_operand(c, rex, f, start, 0, ret);
    default:
        return false;
    }
}

static bool decode_one(struct cursor *c, uint8_t rex, bool narrow, const struct plat_frame *f,
                       const uint8_t *start, struct insn *ret)
{
    uint8_t op = (uint8_t)take(c, 1);

    switch (op) {
    case 0x0f:
        return decode_two_byte(c, rex, f, start, ret);
    case 0x88:
    case 0x89:
    case 0x8a:
    case 0x8b:
    case 0xc6:
    case 0xc7:
        return decode_move(c, op, rex, narrow, f, start, ret);
    case 0x6c:
    case 0x6d:
    case 0x6e:
    case 0x6f:
        ret->string = true;
        ret->kind = op & 2 ? INSN_OUT : INSN_IN;
        ret->size = op & 1 ? narrow ? 2 : 4 : 1;
        return true;
    case 0xe4:
    case 0xe5:
    case 0xe6:
    case 0xe7:
        ret->immediate = true;
        ret->value = take(c, 1);
        /* fall through */
    case 0xec:
    case 0xed:
    case 0xee:
    case 0xef:
        ret->kind = op & 2 ? INSN_OUT : INSN_IN;
        ret->size = op & 1 ? narrow ? 2 : 4 : 1;
        return true;
    default:
        return false;
    }
}

bool insn_decode(const uint8_t *bytes, size_t n, const struct plat_frame *f, struct insn *ret)
{
    struct cursor c = { bytes, n < INSN_MAX ? n : INSN_MAX, true };
    uint8_t rex = 0;
    bool narrow = false, repeat = false;

    *ret = (struct insn){ 0 };
    while (c.left && (*c.p == 0x66 || *c.p == 0xf3)) {
        narrow |= *c.p == 0x66;
        repeat |= take(&c, 1) == 0xf3;
    }
    if (c.left && (*c.p & 0xf0) == 0x40)
        rex = (uint8_t)take(&c, 1);
    if (!decode_one(&c, rex, narrow, f, bytes, ret) || !c.ok || (repeat && !ret->string))
        return false;
    ret->repeat = repeat;
    ret->length = (uint8_t)(c.p - bytes);
    return true;
}

uint64_t insn_mask(unsigned size)
{
    return size >= 8 ? UINT64_MAX : (1ull << 8 * size) - 1;
}

void insn_set(struct plat_frame *f, const struct insn *i, uint64_t value)
{
    uint64_t *reg = insn_register(f, i->reg);

    value &= insn_mask(i->size);
    if (i->extend || i->size >= 4)
        *reg = value;
    else if (i->high_byte)
        *reg = (*reg & ~0xff00ull) | value << 8;
    else
        *reg = (*reg & ~insn_mask(i->size)) | value;
}

uint64_t insn_get(struct plat_frame *f, const struct insn *i)
{
    return (*insn_register(f, i->reg) >> (i->high_byte ? 8 : 0)) & insn_mask(i->size);
}
