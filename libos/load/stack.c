/* SPDX-License-Identifier: MIT */
/* The initial stack: strings first, from the top down, then (psABI x86-64 3.4.1) auxiliary vector, environment pointers,
 * argument pointers and argc, 16-byte aligned. Strings are copied from the caller once; where each lies is found by
 * reading the copy. */
#include "load.h"

#include <abi/elf.h>
#include <abi/errno.h>
#include <abi/resource.h>
#include <libos/heap.h>
#include <libos/mm.h>
#include <libos/process.h>
#include <libos/random.h>
#include <libos/user.h>
#include <plat/cpu.h>
#include <string.h>

enum {
    STACK_EXTRA = 128 * 1024, /* mapped below the initial stack pointer */
    STACK_SHIFT_BITS = 22,    /* randomness of the stack's place, in pages */
    CLOCK_TICKS = 100,
    RSEQ_FEATURE_SIZE = 28, /* as Linux 6.3 and later: up to mm_cid */
    RSEQ_ALIGN = 32,
    SIGNAL_STACK_MIN = 3632, /* a signal frame with AVX-512 state */
};

int stack_push(struct stack *s, const void *data, size_t n)
{
    if (n > s->p - s->limit)
        return -E2BIG;
    s->p -= n;
    return mm_write(s->mm, s->p, data, n);
}

int stack_begin(struct exec *e)
{
    uint64_t limit = process_limit(process_current(), RLIMIT_STACK);
    uint64_t strings = min_u64(max_u64(min_u64(limit / 4, ARG_TOTAL_MAX), ARG_TOTAL_MIN), limit);
    uintptr_t top = PLAT_USER_MAX - aslr_shift(e, STACK_SHIFT_BITS);
    size_t size = align_up(strings + STACK_EXTRA + 16 * PAGE_SIZE, PAGE_SIZE);
    struct mm_map what = { .addr = top - size,
                           .size = size,
                           .prot = PLAT_READ | PLAT_WRITE,
                           .fixed = true,
                           .flags = AREA_GROWSDOWN | AREA_STACK | AREA_NOHUGE,
                           .name = "[stack]" };
    uintptr_t at;
    int err = mm_map(e->mm, &what, &at);
    if (err)
        return err;
    e->mm->stack_top = top;
    e->stack = (struct stack){ .mm = e->mm, .top = top, .p = top, .limit = top - strings };
    uint64_t zero = 0;
    return stack_push(&e->stack, &zero, sizeof zero);
}

/* The i-th string pointer of src: *ret 0 at the end. */
static int pointer_at(const struct strings *src, size_t i, uintptr_t *ret)
{
    if (src->kernel) {
        *ret = (uintptr_t)src->kernel[i];
        return 0;
    }
    *ret = 0;
    return src->user ? user_read_raw(ret, src->user + i * sizeof *ret, sizeof *ret) : 0;
}

int stack_count(const struct strings *src)
{
    for (int n = 0; n < ARG_TOTAL_MAX / (int)sizeof(uintptr_t); n++) {
        uintptr_t p;
        int err = pointer_at(src, (size_t)n, &p);
        if (err)
            return err;
        if (!p)
            return n;
    }
    return -E2BIG;
}

/* Push one string of the program's; buf has ARG_STRLEN_MAX bytes, or is *small with a page. */
static int push_user(struct stack *s, uintptr_t src, char **buf, size_t *size)
{
    long len = user_str(*buf, *size, user_at(user_str_t, src));
    if (len == -ENAMETOOLONG && *size < ARG_STRLEN_MAX) {
        char *large = heap_alloc(ARG_STRLEN_MAX);
        if (!large)
            return -ENOMEM;
        heap_free(*buf);
        *buf = large;
        *size = ARG_STRLEN_MAX;
        len = user_str(*buf, *size, user_at(user_str_t, src));
    }
    return len == -ENAMETOOLONG ? -E2BIG
           : len < 0            ? (int)len
                                : stack_push(s, *buf, (size_t)len + 1);
}

int stack_push_strings(struct stack *s, const struct strings *src, int count)
{
    size_t size = PAGE_SIZE;
    char *buf = src->kernel ? NULL : heap_alloc(size);
    int err = 0;
    if (!src->kernel && !buf)
        return -ENOMEM;
    for (int i = count; i-- > 0 && !err;) {
        uintptr_t p;
        err = pointer_at(src, (size_t)i, &p);
        if (err)
            break;
        if (src->kernel)
            err = stack_push(s, (const char *)p, strlen((const char *)p) + 1);
        else
            err = p ? push_user(s, p, &buf, &size) : -EFAULT;
    }
    heap_free(buf);
    return err;
}

/* A reader of the strings that were pushed. */
struct reader {
    struct mm *mm;
    uintptr_t at, end;
    char buf[256];
    size_t n, i;
};

/* Go past one string. False at the end. */
static bool skip_string(struct reader *r)
{
    while (r->at < r->end) {
        if (r->i == r->n) {
            size_t want = r->end - r->at < sizeof r->buf ? r->end - r->at : sizeof r->buf;
            r->n = mm_access(r->mm, r->at, r->buf, want, false, false);
            r->i = 0;
            if (!r->n)
                return false;
        }
        const char *from = r->buf + r->i, *zero = memchr(from, 0, r->n - r->i);
        size_t passed = zero ? (size_t)(zero - from) + 1 : r->n - r->i;
        r->at += passed;
        r->i += passed;
        if (zero)
            return true;
    }
    return false;
}

int stack_drop_string(struct stack *s)
{
    struct reader r = { .mm = s->mm, .at = s->p, .end = s->top };
    if (!skip_string(&r))
        return -EFAULT;
    s->p = r.at;
    return 0;
}

/* Words on their way to the stack, upwards. */
struct words {
    struct mm *mm;
    uintptr_t at;
    unsigned long buf[64];
    size_t n;
    int err;
};

static void words_flush(struct words *w)
{
    size_t bytes = w->n * sizeof *w->buf;
    int err = mm_write(w->mm, w->at, w->buf, bytes);
    w->err = err ? err : w->err;
    w->at += bytes;
    w->n = 0;
}

static void word(struct words *w, unsigned long value)
{
    w->buf[w->n++] = value;
    if (w->n == ARRAY_SIZE(w->buf))
        words_flush(w);
}

static void string_pointers(struct words *w, struct mm *mm, uintptr_t start, uintptr_t end,
                            int count)
{
    struct reader r = { .mm = mm, .at = start, .end = end };
    for (int i = 0; i < count; i++) {
        word(w, r.at);
        if (!skip_string(&r))
            w->err = -EFAULT;
    }
    word(w, 0);
}

/* The auxiliary vector into mm->auxv. Number of words. */
static size_t auxv_fill(struct exec *e, uintptr_t random, uintptr_t platform)
{
    const unsigned long v[] = {
        AT_SYSINFO_EHDR,
        e->mm->vdso,
        AT_MINSIGSTKSZ,
        SIGNAL_STACK_MIN,
        AT_HWCAP,
        plat_hwcap(),
        AT_PAGESZ,
        PAGE_SIZE,
        AT_CLKTCK,
        CLOCK_TICKS,
        AT_PHDR,
        e->phdr,
        AT_PHENT,
        sizeof(struct abi_elf64_phdr),
        AT_PHNUM,
        e->phnum,
        AT_BASE,
        e->base,
        AT_FLAGS,
        0,
        AT_ENTRY,
        e->program_entry,
        AT_UID,
        e->uid,
        AT_EUID,
        e->euid,
        AT_GID,
        e->gid,
        AT_EGID,
        e->egid,
        AT_SECURE,
        e->secure,
        AT_RANDOM,
        random,
        AT_HWCAP2,
        plat_hwcap2(),
        AT_EXECFN,
        e->execfn,
        AT_PLATFORM,
        platform,
        AT_RSEQ_FEATURE_SIZE,
        RSEQ_FEATURE_SIZE,
        AT_RSEQ_ALIGN,
        RSEQ_ALIGN,
        AT_NULL,
        0,
    };
    _Static_assert(sizeof v <= sizeof e->mm->auxv, "room for the auxiliary vector");
    size_t skip = e->mm->vdso ? 0 : 2;
    memcpy(e->mm->auxv, v + skip, sizeof v - skip * sizeof *v);
    return ARRAY_SIZE(v) - skip;
}

/* Give back what was reserved below the stack: it grows again by itself. */
static void stack_trim(struct exec *e, uintptr_t sp)
{
    struct mm *mm = e->mm;
    mm_read_lock(mm);
    struct area *a = area_find(mm, e->stack.top - 1);
    uintptr_t start = a ? a->start : 0;
    mm_read_unlock(mm);
    uintptr_t keep = (sp - STACK_EXTRA) & PAGE_MASK;
    /* Nothing was touched there; should it fail all the same, the stack is larger than need be. */
    if (start && keep > start && mm_unmap(mm, start, keep - start))
        return;
}

int stack_finish(struct exec *e, uintptr_t *ret_sp)
{
    struct stack *s = &e->stack;
    uint8_t seed[16];
    /* Everything from here on comes on top of what E2BIG counts. */
    s->limit = 0;
    s->p &= ~(uintptr_t)15;
    if (!e->fixed)
        s->p -= random_u64() % 8192 & ~15ull;
    int err = stack_push(s, "x86_64", 7);
    uintptr_t platform = s->p;
    random_bytes(seed, sizeof seed);
    if (err || (err = stack_push(s, seed, sizeof seed)))
        return err;
    uintptr_t random = s->p;
    size_t auxc = auxv_fill(e, random, platform);
    size_t total = 1 + (size_t)e->argc + 1 + (size_t)e->envc + 1 + auxc;
    uintptr_t sp = (s->p - total * sizeof(long)) & ~(uintptr_t)15;
    struct words w = { .mm = e->mm, .at = sp };
    word(&w, (unsigned long)e->argc);
    string_pointers(&w, e->mm, e->arg_start, e->arg_end, e->argc);
    string_pointers(&w, e->mm, e->env_start, e->env_end, e->envc);
    for (size_t i = 0; i < auxc; i++)
        word(&w, e->mm->auxv[i]);
    words_flush(&w);
    if (w.err)
        return w.err;
    e->mm->arg_start = e->arg_start;
    e->mm->arg_end = e->arg_end;
    e->mm->env_start = e->env_start;
    e->mm->env_end = e->env_end;
    stack_trim(e, sp);
    *ret_sp = sp;
    return 0;
}
