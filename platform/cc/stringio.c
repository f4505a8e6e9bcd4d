/* SPDX-License-Identifier: MIT */
/* The processor's part of string I/O, which an exit leaves to the guest. */
#include "cc/stringio.h"

#define KERNEL_HALF 0xffff800000000000ull

enum { FLAG_DOWN = 1 << 10 };

bool string_plan(const struct plat_frame *f, const struct insn *i, size_t room,
                 struct string_io *ret)
{
    bool down = f->rflags & FLAG_DOWN;
    uint64_t at = i->kind == INSN_IN ? f->rdi : f->rsi, count = i->repeat ? f->rcx : 1, rest;

    if (count > room / i->size)
        count = room / i->size;
    *ret = (struct string_io){
        .at = at, .count = count, .step = down ? -(intptr_t)i->size : i->size, .size = i->size
    };
    if (!count)
        return true;
    rest = (count - 1) * i->size;
    if (down)
        return at >= KERNEL_HALF && at - KERNEL_HALF >= rest && UINT64_MAX - at >= i->size - 1u;
    return at >= KERNEL_HALF && UINT64_MAX - at >= rest + i->size - 1;
}

static void move(uint8_t *to, const uint8_t *from, unsigned n)
{
    while (n--)
        *to++ = *from++;
}

void string_gather(const struct string_io *s, uint8_t *buf)
{
    for (size_t k = 0; k < s->count; k++)
        move(buf + k * s->size, (const uint8_t *)(s->at + k * (uintptr_t)s->step), s->size);
}

void string_scatter(const struct string_io *s, const uint8_t *buf)
{
    for (size_t k = 0; k < s->count; k++)
        move((uint8_t *)(s->at + k * (uintptr_t)s->step), buf + k * s->size, s->size);
}

void string_advance(struct plat_frame *f, const struct insn *i, const struct string_io *s)
{
    *(i->kind == INSN_IN ? &f->rdi : &f->rsi) += s->count * (uintptr_t)s->step;
    if (i->repeat)
        f->rcx -= s->count;
    if (!i->repeat || !f->rcx)
        f->rip += i->length;
}
