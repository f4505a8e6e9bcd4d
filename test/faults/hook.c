/* SPDX-License-Identifier: MIT */
/* Makes allocations fail, and counts what is allocated, for tests. The linker puts these functions between libOS and its
 * allocators (--wrap), in the test programs' link and in that of a kernel which is made for tests only; the objects of
 * libOS are the product's own. What is freed is overwritten (and under AddressSanitizer out of bounds), so that its use
 * shows. For one CPU: libOS is not interrupted there, and allocators do not sleep, so nothing here needs a lock. */
#include "fault.h"

#include <base/log.h>
#include <libos/heap.h>
#include <libos/page.h>
#include <libos/process.h>
#include <libos/thread.h>
#include <plat/mem.h>
#include <plat/thread.h>
#include <string.h>

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifdef SANITIZED
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(p, n)   ((void)(p), (void)(n))
#define ASAN_UNPOISON_MEMORY_REGION(p, n) ((void)(p), (void)(n))
#endif

enum {
    BITS = 17,
    ENTRIES = 1 << BITS,
    LEAKS_SHOWN = 24,
    FREE_BYTE = 0x6b,
    NEW_BYTE = 0x5a,
    LINK = 8
};

/* What exists, found by its address. */
struct entry {
    void *object; /* NULL: never used; GONE: free again */
    void *caller;
    uint64_t serial;
};
#define GONE ((void *)1)

static struct entry *entries; /* from the first question on; NULL: nothing is noted */
static uint64_t serial, mark;
static long objects, kernel_pages;
static unsigned inside; /* the heap asks for pages for itself */

static struct thread *armed;
static int armed_tid;
static unsigned long succeed, fail, failed;
static void *where;

void *__real_slab_alloc(struct slab *s);
void __real_slab_free(struct slab *s, void *p);
void *__real_heap_alloc(size_t size);
void *__real_heap_realloc(void *p, size_t old_size, size_t size);
void __real_heap_free(void *p);
struct page *__real_page_alloc(unsigned order, enum page_kind kind, unsigned flags);
size_t __real_page_alloc_bulk(struct page **out, size_t n, enum page_kind kind, unsigned flags);
void __real_page_free_last(struct page *p);
long __real_sys_prctl(int option, unsigned long arg2, unsigned long arg3, unsigned long arg4,
                      unsigned long arg5);

void *__wrap_slab_alloc(struct slab *s);
void __wrap_slab_free(struct slab *s, void *p);
void *__wrap_heap_alloc(size_t size);
void *__wrap_heap_zalloc(size_t size);
void *__wrap_heap_calloc(size_t n, size_t size);
void *__wrap_heap_realloc(void *p, size_t old_size, size_t size);
void __wrap_heap_free(void *p);
char *__wrap_heap_strdup(const char *s);
struct page *__wrap_page_alloc(unsigned order, enum page_kind kind, unsigned flags);
size_t __wrap_page_alloc_bulk(struct page **out, size_t n, enum page_kind kind, unsigned flags);
void __wrap_page_free_last(struct page *p);
long __wrap_sys_prctl(int option, unsigned long arg2, unsigned long arg3, unsigned long arg4,
                      unsigned long arg5);

#define CALLER __builtin_return_address(0)

static struct entry *slot(const void *object, bool new)
{
    size_t i = ((uintptr_t)object >> 3) * 0x9e3779b97f4a7c15ull >> (64 - BITS);
    for (size_t n = 0; n < ENTRIES; n++, i = (i + 1) % ENTRIES) {
        struct entry *e = &entries[i];
        if (e->object == object || (new && (!e->object || e->object == GONE)))
            return e;
        if (!e->object)
            return NULL;
    }
    return NULL;
}

static void note(void *object, void *caller)
{
    struct entry *e = entries ? slot(object, true) : NULL;
    if (e)
        *e = (struct entry){ object, caller, ++serial };
}

static void forget(void *object)
{
    struct entry *e = entries ? slot(object, false) : NULL;
    if (e)
        e->object = GONE;
}

/* Is this allocation of the current thread to fail? */
static bool fails(void *caller)
{
    if (inside || !armed || thread_current() != armed || armed->tid != armed_tid)
        return false;
    if (succeed) {
        succeed--;
        return false;
    }
    if (!fail)
        return false;
    fail--;
    failed++;
    where = caller;
    return true;
}

static void *made(void *p, size_t size, void *caller)
{
    if (!p)
        return NULL;
    ASAN_UNPOISON_MEMORY_REGION(p, size);
    objects++;
    note(p, caller);
    return p;
}

/* Bytes at p that are the object's, 0: its readers may come late, or it is a block of pages. */
static size_t room(void *p)
{
    struct page *page = page_of(plat_virt_to_phys(p));
    struct slab *s = page->owner;
    return s && !s->keep && s->size <= PAGE_SIZE / 2 ? s->size : 0;
}

static void unmade(void *p)
{
    size_t size = room(p);
    objects--;
    forget(p);
    if (size > LINK) {
        memset((char *)p + LINK, FREE_BYTE, size - LINK);
        ASAN_POISON_MEMORY_REGION((char *)p + LINK, size - LINK);
    }
}

void *__wrap_slab_alloc(struct slab *s)
{
    if (fails(CALLER))
        return NULL;
    inside++;
    void *p = __real_slab_alloc(s);
    inside--;
    made(p, s->size, CALLER);
    if (p && !s->keep)
        memset(p, NEW_BYTE, s->size);
    return p;
}

void __wrap_slab_free(struct slab *s, void *p)
{
    inside++;
    if (p)
        unmade(p);
    __real_slab_free(s, p);
    inside--;
}

static void *heap(size_t size, int fill, void *caller)
{
    if (fails(caller))
        return NULL;
    inside++;
    void *p = __real_heap_alloc(size);
    inside--;
    if (made(p, size, caller)) {
        size_t whole = room(p);
        ASAN_UNPOISON_MEMORY_REGION(p, whole ? whole : size);
        memset(p, fill, size);
    }
    return p;
}

void *__wrap_heap_alloc(size_t size)
{
    return heap(size, NEW_BYTE, CALLER);
}

void *__wrap_heap_zalloc(size_t size)
{
    return heap(size, 0, CALLER);
}

void *__wrap_heap_calloc(size_t n, size_t size)
{
    size_t total;
    return __builtin_mul_overflow(n, size, &total) ? NULL : heap(total, 0, CALLER);
}

void *__wrap_heap_realloc(void *p, size_t old_size, size_t size)
{
    if (!p)
        return heap(size, NEW_BYTE, CALLER);
    if (fails(CALLER))
        return NULL;
    void *q = heap(size, NEW_BYTE, CALLER);
    if (q) {
        memcpy(q, p, old_size < size ? old_size : size);
        __wrap_heap_free(p);
    }
    return q;
}

void __wrap_heap_free(void *p)
{
    inside++;
    if (p)
        unmade(p);
    __real_heap_free(p);
    inside--;
}

char *__wrap_heap_strdup(const char *s)
{
    size_t n = strlen(s) + 1;
    char *copy = heap(n, NEW_BYTE, CALLER);
    return copy ? memcpy(copy, s, n) : NULL;
}

struct page *__wrap_page_alloc(unsigned order, enum page_kind kind, unsigned flags)
{
    if (!(flags & PAGE_MUST) && fails(CALLER))
        return NULL;
    struct page *p = __real_page_alloc(order, kind, flags);
    if (p && !inside && kind == PAGE_KERNEL) {
        kernel_pages += 1l << order;
        note(p, CALLER);
    }
    return p;
}

size_t __wrap_page_alloc_bulk(struct page **out, size_t n, enum page_kind kind, unsigned flags)
{
    return fails(CALLER) ? 0 : __real_page_alloc_bulk(out, n, kind, flags);
}

void __wrap_page_free_last(struct page *p)
{
    if (p->kind == PAGE_KERNEL) {
        ASAN_UNPOISON_MEMORY_REGION(page_ptr(p), (size_t)PAGE_SIZE << p->order);
        if (!inside) {
            kernel_pages -= 1l << p->order;
            forget(p);
        }
    }
    __real_page_free_last(p);
}

/* Where an address of this image lies from here; test/faults/faults.py makes names of it. */
static long offset(void *caller)
{
    return (long)((uintptr_t)caller - (uintptr_t)__wrap_slab_alloc);
}

static long leaks(void)
{
    long n = 0;
    for (size_t i = 0; i < ENTRIES; i++) {
        struct entry *e = &entries[i];
        if (!e->object || e->object == GONE || e->serial <= mark)
            continue;
        if (n++ < LEAKS_SHOWN)
            log_error("fault: still there: hook%+ld", offset(e->caller));
    }
    return n;
}

static long count(unsigned long what)
{
    struct page_stats s;
    page_stats(&s);
    switch (what) {
    case FAULT_OBJECTS:
        return objects;
    case FAULT_KERNEL_PAGES:
        return kernel_pages;
    case FAULT_ANON_PAGES:
        return (long)s.anon;
    case FAULT_FILE_PAGES:
        return (long)s.file;
    case FAULT_PROCESSES:
        return (long)process_count();
    default:
        return (long)thread_count();
    }
}

static void entries_make(void)
{
    struct page *p = __real_page_alloc(PAGE_ORDER_MAX, PAGE_KERNEL, PAGE_ZERO | PAGE_MUST);
    _Static_assert(ENTRIES * sizeof(struct entry) <= (size_t)PAGE_SIZE << PAGE_ORDER_MAX,
                   "one block");
    must(p);
    entries = page_ptr(p);
}

static long control(unsigned long what, unsigned long a, unsigned long b)
{
    if (!entries)
        entries_make();
    switch (what) {
    case FAULT_ARM:
        succeed = a;
        fail = b;
        armed = thread_current();
        armed_tid = armed->tid;
        return 0;
    case FAULT_DISARM:
        armed = NULL;
        return 0;
    case FAULT_FAILED:
        return (long)failed;
    case FAULT_LIVE:
        return count(a);
    case FAULT_MARK:
        mark = serial;
        failed = 0;
        return 0;
    case FAULT_LEAKS:
        return leaks();
    default:
        log_error("fault: failed at: hook%+ld", offset(where));
        return 0;
    }
}

long __wrap_sys_prctl(int option, unsigned long arg2, unsigned long arg3, unsigned long arg4,
                      unsigned long arg5)
{
    return option == FAULT_PRCTL ? control(arg2, arg3, arg4)
                                 : __real_sys_prctl(option, arg2, arg3, arg4, arg5);
}
