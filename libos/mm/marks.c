/* SPDX-License-Identifier: MIT */
/* Marks on pages: guards, and what a userfaultfd wants to know of writes to. They lie beside the page tables, in a tree with
 * a node per 2 MiB that has any: so they are there for pages that are not, and shared page tables need not know them. An
 * address space without marks pays one look at the tree's root. */
#include "marks.h"
#include "area.h"

#include <abi/errno.h>
#include <libos/heap.h>
#include <string.h>

enum { PAGES = LARGE_SIZE / PAGE_SIZE, WORD = 64, WORDS = PAGES / WORD };

struct mark_block {
    RB_ENTRY(mark_block) node;
    uintptr_t base; /* 2 MiB aligned */
    uint64_t bits[MARKS][WORDS];
};

static int by_base(const struct mark_block *a, const struct mark_block *b)
{
    return a->base < b->base ? -1 : a->base > b->base;
}

RB_GENERATE_STATIC(mark_tree, mark_block, node, by_base)

/* The block at or after va. */
static struct mark_block *block_from(struct mm *mm, uintptr_t va)
{
    struct mark_block key;
    key.base = va & LARGE_MASK;
    return RB_NFIND(mark_tree, &mm->marks, &key);
}

static struct mark_block *block_at(struct mm *mm, uintptr_t va)
{
    struct mark_block *b = block_from(mm, va);
    return b && b->base <= va ? b : NULL;
}

static struct mark_block *block_make(struct mm *mm, uintptr_t va)
{
    struct mark_block *b = block_at(mm, va);
    if (b)
        return b;
    b = heap_alloc(sizeof(*b));
    if (!b)
        return NULL;
    memset(b, 0, sizeof(*b));
    b->base = va & LARGE_MASK;
    RB_INSERT(mark_tree, &mm->marks, b);
    return b;
}

/* The bits of word w that lie in the pages [first, last). */
static uint64_t mask_of(unsigned w, unsigned first, unsigned last)
{
    unsigned low = w * WORD, high = low + WORD;
    if (last <= low || first >= high)
        return 0;
    uint64_t mask = ~0ull;
    if (first > low)
        mask &= ~0ull << (first - low);
    if (last < high)
        mask &= ~0ull >> (high - last);
    return mask;
}

/* The pages of b that [start, end) covers, as [*first, *last). */
static void part_of(uintptr_t base, uintptr_t start, uintptr_t end, unsigned *first, unsigned *last)
{
    *first = start > base ? (unsigned)((start - base) >> PAGE_SHIFT) : 0;
    *last = end - base < LARGE_SIZE ? (unsigned)((end - base) >> PAGE_SHIFT) : PAGES;
}

int marks_set(struct mm *mm, uintptr_t start, uintptr_t end, enum mark kind)
{
    for (uintptr_t base = start & LARGE_MASK; base < end; base += LARGE_SIZE) {
        struct mark_block *b = block_make(mm, base);
        unsigned first, last;
        if (!b)
            return -ENOMEM;
        part_of(base, start, end, &first, &last);
        for (unsigned w = 0; w < WORDS; w++)
            b->bits[kind][w] |= mask_of(w, first, last);
    }
    return 0;
}

static bool is_empty(const struct mark_block *b)
{
    for (unsigned k = 0; k < MARKS; k++)
        for (unsigned w = 0; w < WORDS; w++)
            if (b->bits[k][w])
                return false;
    return true;
}

void marks_clear(struct mm *mm, uintptr_t start, uintptr_t end, enum mark kind)
{
    struct mark_block *b = marks_any(mm) ? block_from(mm, start) : NULL, *next;
    for (; b && b->base < end; b = next) {
        unsigned first, last;
        next = RB_NEXT(mark_tree, &mm->marks, b);
        part_of(b->base, start, end, &first, &last);
        for (unsigned k = 0; k < MARKS; k++)
            for (unsigned w = 0; w < WORDS && (kind == MARKS || kind == k); w++)
                b->bits[k][w] &= ~mask_of(w, first, last);
        if (!is_empty(b))
            continue;
        RB_REMOVE(mark_tree, &mm->marks, b);
        heap_free(b);
    }
}

bool marks_at(struct mm *mm, uintptr_t va, enum mark kind)
{
    const struct mark_block *b = marks_any(mm) ? block_at(mm, va) : NULL;
    unsigned page = b ? (unsigned)((va - b->base) >> PAGE_SHIFT) : 0;
    return b && (b->bits[kind][page / WORD] >> page % WORD & 1);
}

uintptr_t marks_next(struct mm *mm, uintptr_t va, uintptr_t end)
{
    struct mark_block *b = marks_any(mm) ? block_from(mm, va) : NULL;
    for (; b && b->base < end; b = RB_NEXT(mark_tree, &mm->marks, b)) {
        unsigned first, last;
        part_of(b->base, va, end, &first, &last);
        for (unsigned w = 0; w < WORDS; w++) {
            uint64_t any = 0;
            for (unsigned k = 0; k < MARKS; k++)
                any |= b->bits[k][w];
            any &= mask_of(w, first, last);
            if (any)
                return b->base +
                       ((uintptr_t)(w * WORD + (unsigned)__builtin_ctzll(any)) << PAGE_SHIFT);
        }
    }
    return end;
}

int marks_copy(struct mm *mm, uintptr_t to, struct mm *src, uintptr_t from, size_t size,
               bool watched)
{
    uintptr_t end = from + size;
    int err = 0;
    for (uintptr_t va = marks_next(src, from, end); va < end && !err;
         va = marks_next(src, va + PAGE_SIZE, end)) {
        uintptr_t at = to + (va - from);
        for (unsigned k = 0; k < MARKS && !err; k++)
            if ((k != MARK_WATCH || watched) && marks_at(src, va, (enum mark)k))
                err = marks_set(mm, at, at + PAGE_SIZE, (enum mark)k);
    }
    return err;
}

void marks_free(struct mm *mm)
{
    marks_clear(mm, 0, PLAT_USER_MAX, MARKS);
}
