/* SPDX-License-Identifier: MIT */
/* Address spaces that fork each other, against a model: each mapped page has a number, which only its own address space
 * changes. Random maps, writes, protections, moves, forks and ends; then every page of memory is back. */
#include "boot.h"
#include <abi/mman.h>
#include <base/log.h>
#include <libos/file.h>
#include <libos/mm.h>
#include <libos/page.h>
#include <libos/process.h>
#include <libos/random.h>
#include <libos/sched.h>
#include <libos/time.h>
#include <libos/vfs.h>
#include <plat/host.h>
#include <plat/upcall.h>
#include <plat/user.h>

#include <abi/errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PAGES = 2048 + 100, SPACES = 6, RANGE_MAX = 700, SHARED_PAGES = 64 };

static const uintptr_t base =
    0x200000000000 - 50 * PAGE_SIZE; /* begins in the middle of a page table */

/* What the model knows of a page. */
struct cell {
    uint64_t value;
    bool mapped, writable, shared, dontfork, wipe;
    unsigned index; /* of a shared page in the file */
};

static struct space {
    struct mm *mm;
    struct cell cell[PAGES];
} space[SPACES];
static uint64_t shared_value[SHARED_PAGES];
static struct file *shared_file;
static uint64_t seed = 1, writes;
static unsigned failures, steps = 6000;

#define EXPECT(e)                                                                                  \
    do {                                                                                           \
        if (!(e) && failures++ < 10)                                                               \
            fprintf(stderr, "%s:%d: %s (step %llu)\n", __FILE__, __LINE__, #e,                     \
                    (unsigned long long)step);                                                     \
    } while (0)

static unsigned long long step;

static unsigned pick(unsigned n)
{
    seed = seed * 6364136223846793005ull + 1442695040888963407ull;
    return (unsigned)(seed >> 33) % n;
}

static void run_of(unsigned *from, unsigned *n)
{
    *from = pick(PAGES);
    unsigned size = pick(20);
    *n = 1 + pick(size ? size < 15 ? 20 : RANGE_MAX : PAGES);
    if (*from + *n > PAGES)
        *n = PAGES - *from;
}

static uintptr_t at(unsigned page)
{
    return base + (uintptr_t)page * PAGE_SIZE;
}

static uint64_t *value_of(struct cell *c)
{
    return c->shared ? &shared_value[c->index] : &c->value;
}

/* Through the page tables of the CPU where s is the current one, else from outside. */
static bool access_page(struct space *s, unsigned page, uint64_t *value, bool write)
{
    uintptr_t va = at(page) + 0x128;
    if (s->mm != thread_current()->mm)
        return mm_access(s->mm, va, value, sizeof *value, write, false) == sizeof *value;
    return (write ? plat_user_write(va, value, sizeof *value)
                  : plat_user_read(value, va, sizeof *value)) == 0;
}

static void do_read(struct space *s, unsigned page)
{
    uint64_t got = ~0ull;
    bool ok = access_page(s, page, &got, false);
    EXPECT(ok == s->cell[page].mapped);
    if (ok)
        EXPECT(got == *value_of(&s->cell[page]));
}

static void do_write(struct space *s, unsigned page)
{
    uint64_t value = ++writes;
    struct cell *c = &s->cell[page];
    bool ok = access_page(s, page, &value, true);
    EXPECT(ok == (c->mapped && c->writable));
    if (ok)
        *value_of(c) = value;
}

static void do_map(struct space *s, unsigned from, unsigned n, bool shared)
{
    struct mm_map what = { .addr = at(from),
                           .size = (size_t)n * PAGE_SIZE,
                           .prot = PLAT_READ | PLAT_WRITE,
                           .fixed = true };
    unsigned first = 0;
    if (shared) {
        n = n < SHARED_PAGES ? n : SHARED_PAGES;
        first = pick(SHARED_PAGES - n + 1);
        what.size = (size_t)n * PAGE_SIZE;
        what.file = shared_file;
        what.flags = AREA_SHARED;
        what.offset = (uint64_t)first * PAGE_SIZE;
    } else if (pick(2)) {
        what.flags = AREA_HUGE;
    }
    uintptr_t ret;
    EXPECT(mm_map(s->mm, &what, &ret) == 0 && ret == what.addr);
    for (unsigned i = 0; i < n; i++)
        s->cell[from + i] =
            (struct cell){ .mapped = true, .writable = true, .shared = shared, .index = first + i };
}

static void do_unmap(struct space *s, unsigned from, unsigned n)
{
    EXPECT(mm_unmap(s->mm, at(from), (size_t)n * PAGE_SIZE) == 0);
    memset(&s->cell[from], 0, n * sizeof(struct cell));
}

static bool all_mapped(const struct space *s, unsigned from, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        if (!s->cell[from + i].mapped)
            return false;
    return true;
}

static void do_protect(struct space *s, unsigned from, unsigned n)
{
    bool writable = pick(2);
    if (!all_mapped(s, from, n))
        return;
    EXPECT(mm_protect(s->mm, at(from), (size_t)n * PAGE_SIZE,
                      PLAT_READ | (writable ? PLAT_WRITE : 0), 0) == 0);
    for (unsigned i = 0; i < n; i++)
        s->cell[from + i].writable = writable;
}

static void do_advise(struct space *s, unsigned from, unsigned n)
{
    static const int advices[] = { MADV_DONTNEED, MADV_DONTFORK, MADV_DOFORK, MADV_WIPEONFORK,
                                   MADV_KEEPONFORK };
    unsigned which = pick(5);
    if (!all_mapped(s, from, n))
        return;
    for (unsigned i = 0; which >= 3 && i < n; i++)
        if (s->cell[from + i].shared)
            return; /* EINVAL half-way */
    EXPECT(mm_advise(s->mm, at(from), (size_t)n * PAGE_SIZE, advices[which]) == 0);
    for (unsigned i = 0; i < n; i++) {
        struct cell *c = &s->cell[from + i];
        switch (which) {
        case 0:
            c->value = 0; /* a shared page stays what it is */
            break;
        case 1:
        case 2:
            c->dontfork = which == 1;
            break;
        default:
            c->wipe = which == 3;
        }
    }
}

/* Move pages to a free place, at a distance that need not be a multiple of 2 MiB. */
static void do_move(struct space *s, unsigned from, unsigned n)
{
    unsigned to = pick(PAGES - n + 1);
    uintptr_t ret;
    if (!n || !all_mapped(s, from, n) || (to < from + n && from < to + n))
        return;
    for (unsigned i = 1; i < n; i++) { /* one area only */
        struct cell *a = &s->cell[from], *b = &s->cell[from + i];
        if (b->shared != a->shared || b->writable != a->writable || b->dontfork != a->dontfork ||
            b->wipe != a->wipe || (a->shared && b->index != a->index + i))
            return;
    }
    int err = mm_remap(s->mm, at(from), (size_t)n * PAGE_SIZE, (size_t)n * PAGE_SIZE,
                       MREMAP_MAYMOVE | MREMAP_FIXED, at(to), &ret);
    if (err ==
        -EFAULT) { /* two areas that look alike to the model; the place was emptied already */
        memset(&s->cell[to], 0, n * sizeof(struct cell));
        return;
    }
    EXPECT(err == 0 && ret == at(to));
    memcpy(&s->cell[to], &s->cell[from], n * sizeof(struct cell));
    memset(&s->cell[from], 0, n * sizeof(struct cell));
}

static void do_end(struct space *s)
{
    if (s->mm == thread_current()->mm)
        return;
    mm_put(s->mm);
    s->mm = NULL;
}

static void do_fork(struct space *s)
{
    struct space *child = &space[pick(SPACES)];
    if (child == s || child->mm == thread_current()->mm)
        return;
    if (child->mm)
        mm_put(child->mm);
    EXPECT(mm_fork(s->mm, &child->mm) == 0);
    memcpy(child->cell, s->cell, sizeof child->cell);
    for (unsigned i = 0; i < PAGES; i++) {
        struct cell *c = &child->cell[i];
        if (c->dontfork)
            *c = (struct cell){ 0 };
        else if (c->wipe)
            c->value = 0;
    }
}

static void do_switch(struct space *s)
{
    thread_current()->mm = s->mm;
    sched_set_mm(s->mm);
}

static void check_rss(struct space *s)
{
    int64_t there = 0;
    rwmutex_read_lock(&s->mm->lock);
    for (unsigned i = 0; i < PAGES; i++) {
        struct plat_leaf leaf;
        plat_mmu_query(&s->mm->aspace, at(i), &leaf);
        struct page *p =
            leaf.present ? page_of(PADDR(leaf.pa.v + (at(i) & (leaf.size - 1)))) : NULL;
        if (p && p->kind != PAGE_RESERVED)
            there++;
    }
    rwmutex_read_unlock(&s->mm->lock);
    EXPECT(there == s->mm->rss_anon + s->mm->rss_file);
}

static void do_step(void)
{
    struct space *s = &space[pick(SPACES)];
    unsigned from, n, what = pick(100);
    if (!s->mm)
        return;
    run_of(&from, &n);
    if (what < 40)
        for (unsigned i = 0; i < n; i += 1 + pick(8))
            do_write(s, from + i);
    else if (what < 60)
        for (unsigned i = 0; i < n; i += 1 + pick(8))
            do_read(s, from + i);
    else if (what < 62)
        do_map(s, 0, PAGES, false); /* with large pages inside */
    else if (what < 68)
        do_map(s, from, n, pick(5) == 0);
    else if (what < 72)
        do_unmap(s, from, n);
    else if (what < 78)
        do_protect(s, from, n);
    else if (what < 82)
        do_advise(s, from, n);
    else if (what < 86)
        do_move(s, from, n);
    else if (what < 95)
        do_fork(s);
    else if (what < 97)
        do_end(s);
    else
        do_switch(s);
}

static uint64_t in_use(void)
{
    struct page_stats st;
    page_stats(&st);
    return st.anon;
}

static void test(void *arg)
{
    (void)arg;
    must((space[0].mm = mm_create()));
    space[0].mm->brk_start = space[0].mm->brk = 0x100000000000;
    do_switch(&space[0]);
    must(shmem_file_create("shared", SHARED_PAGES * PAGE_SIZE, 0, &shared_file) == 0);
    uint64_t before = in_use();
    for (step = 0; step < steps && !failures; step++) {
        do_step();
        if (step % 50 == 0)
            for (unsigned k = 0; k < SPACES; k++)
                if (space[k].mm)
                    check_rss(&space[k]);
        if (step % 500 == 0)
            for (unsigned k = 0; k < SPACES; k++)
                for (unsigned i = 0; space[k].mm && i < PAGES; i++)
                    do_read(&space[k], i);
    }
    for (unsigned k = 0; k < SPACES; k++)
        if (space[k].mm)
            do_end(&space[k]);
    for (unsigned k = 0; k < SPACES; k++)
        if (space[k].mm)
            do_unmap(&space[k], 0, PAGES);
    EXPECT(in_use() == before);
    printf("%llu steps, %llu writes, %u failed\n", step, (unsigned long long)writes, failures);
    fflush(NULL);
    _exit(failures != 0);
}

/* unit-fork [SEED [STEPS]] */
int main(int argc, char **argv)
{
    if (argc > 1)
        seed = strtoull(argv[1], NULL, 0);
    if (argc > 2)
        steps = (unsigned)strtoul(argv[2], NULL, 0);
    boot();
    boot_enter(test);
}
