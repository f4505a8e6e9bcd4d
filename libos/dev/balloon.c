/* SPDX-License-Identifier: MIT */
/* Memory that the host is lent (balloon.h). Pages in the balloon are allocated and in a list here; the machine's total is smaller by
 * them, so what programs are told is what they can have. Lock: one spin lock over the lists, never held while pages are
 * allocated or freed: it is of the same rank as theirs, as memory may run short in any place. */
#include <libos/dev/balloon.h>

#include <libos/lock.h>
#include <libos/page.h>
#include <plat/mem.h>
#include <stdatomic.h>

enum { BATCH = 32, KEEP_MIN = 1024 /* pages */ };

static struct spin lock = SPIN_INIT(RANK_PAGES);
/* By next; guarded by lock. The host may take the content of those that arrive at any moment. */
static struct page *arriving, *lent, *leaving;
static _Atomic uint64_t count; /* of the first two */

static void push(struct page **list, struct page *p)
{
    p->next = *list;
    *list = p;
}

static struct page *pop(struct page **list)
{
    struct page *p = *list;

    if (p)
        *list = p->next;
    return p;
}

uint64_t balloon_count(void)
{
    return atomic_load_explicit(&count, memory_order_relaxed);
}

size_t balloon_inflate(uint32_t *pfn, size_t n)
{
    uint64_t keep = max_u64(KEEP_MIN, page_total_count() / 32);
    size_t got = 0;

    while (got < n && page_available_count() > keep) {
        struct page *p = page_alloc(0, PAGE_KERNEL, PAGE_NORECLAIM);

        if (!p || page_addr(p).v >> PAGE_SHIFT > UINT32_MAX) {
            if (p)
                page_put(p);
            break;
        }
        pfn[got++] = (uint32_t)(page_addr(p).v >> PAGE_SHIFT);
        spin_lock(&lock);
        push(&arriving, p);
        atomic_fetch_add(&count, 1);
        spin_unlock(&lock);
        page_lend(1);
    }
    return got;
}

void balloon_arrived(void)
{
    struct page *p;

    spin_lock(&lock);
    while ((p = pop(&arriving)))
        push(&lent, p);
    spin_unlock(&lock);
}

size_t balloon_deflate(uint32_t *pfn, size_t n)
{
    size_t got = 0;
    struct page *p;

    spin_lock(&lock);
    while (got < n && (p = pop(&lent))) {
        atomic_fetch_sub(&count, 1);
        pfn[got++] = (uint32_t)(page_addr(p).v >> PAGE_SHIFT);
        push(&leaving, p);
    }
    spin_unlock(&lock);
    return got;
}

static void give_back(struct page *list)
{
    struct page *p;

    while ((p = pop(&list))) {
        page_lend(-1);
        page_put(p);
    }
}

void balloon_returned(void)
{
    struct page *list;

    spin_lock(&lock);
    list = leaving;
    leaving = NULL;
    spin_unlock(&lock);
    give_back(list);
}

/* Memory is short, with any lock held: pages of the host's are used without asking, which it allows by a feature. */
static size_t yield(size_t n)
{
    struct page *list = NULL, *p;
    size_t got = 0;

    if (!spin_trylock(&lock))
        return 0;
    while (got < n && (p = pop(&lent))) {
        atomic_fetch_sub(&count, 1);
        push(&list, p);
        got++;
    }
    spin_unlock(&lock);
    give_back(list);
    return got;
}

void balloon_yields(void)
{
    page_on_pressure(yield);
}

void balloon_memory(struct balloon_memory *ret)
{
    struct page_stats s;

    page_stats(&s);
    *ret = (struct balloon_memory){ s.total << PAGE_SHIFT, s.free << PAGE_SHIFT,
                                    page_available_count() << PAGE_SHIFT, s.file << PAGE_SHIFT };
}

size_t balloon_report(void **block, size_t n)
{
    struct page *p[BATCH];
    size_t got = page_unreported(p, n < BATCH ? n : BATCH);

    _Static_assert(BALLOON_BLOCK == PAGE_SIZE << PAGE_ORDER_MAX, "the largest blocks are reported");
    for (size_t i = 0; i < got; i++)
        block[i] = page_ptr(p[i]);
    return got;
}

void balloon_reported(void *const *block, size_t n)
{
    for (size_t i = 0; i < n; i++)
        page_reported(page_of(plat_virt_to_phys(block[i])));
}
