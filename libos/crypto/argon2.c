/* SPDX-License-Identifier: MIT */
/* Argon2 by its reference implementation, which wants its memory in one piece: blocks of pages are taken until enough of them
 * are neighbours. That works at boot, when little is in use, which is when keys are needed. */
#include "argon2_hooks.h"

#include <abi/errno.h>
#include <argon2.h>
#include <core.h>
#include <libos/heap.h>
#include <libos/kdf.h>
#include <libos/page.h>
#include <libos/sched.h>

enum { BREATHE = 32 /* blocks of 1 KiB filled: some tens of us */, CHUNK_ORDER = PAGE_ORDER_MAX };
#define CHUNK ((size_t)PAGE_SIZE << CHUNK_ORDER)

/* The memory of the one derivation that runs. */
static struct page **chunks; /* of CHUNK bytes each, in order of address */
static size_t nchunks;
static _Atomic bool busy;

uint32_t argon2_index(const argon2_instance_t *instance, const argon2_position_t *position,
                      uint32_t random, int same_lane)
{
    if (position->index % BREATHE == 0)
        thread_preempt_point();
    return index_alpha(instance, position, random, same_lane);
}

/* Where a run of n neighbours begins in chunks; nchunks: nowhere. */
static size_t run_of(size_t n)
{
    size_t first = 0;
    for (size_t i = 0; i < nchunks; i++) {
        if (i && page_addr(chunks[i]).v != page_addr(chunks[i - 1]).v + CHUNK)
            first = i;
        if (i - first + 1 == n)
            return first;
    }
    return nchunks;
}

/* In its place by address. */
static void insert(struct page *p)
{
    size_t i = nchunks++;
    for (; i && page_addr(chunks[i - 1]).v > page_addr(p).v; i--)
        chunks[i] = chunks[i - 1];
    chunks[i] = p;
}

static int take(uint8_t **memory, size_t size)
{
    size_t n = (size + CHUNK - 1) / CHUNK, most = page_total_count() * PAGE_SIZE / CHUNK;
    struct page *p;
    if (!(chunks = heap_calloc(most + 1, sizeof(*chunks))))
        return -1;
    for (nchunks = 0; nchunks < most; insert(p)) {
        if (run_of(n) != nchunks || !(p = page_alloc(CHUNK_ORDER, PAGE_KERNEL, 0)))
            break;
    }
    size_t first = run_of(n), kept = 0;
    for (size_t i = 0; i < nchunks; i++) {
        if (i >= first && i < first + n)
            chunks[kept++] = chunks[i];
        else
            page_put(chunks[i]);
    }
    nchunks = kept;
    if (kept)
        *memory = page_ptr(chunks[0]);
    return kept ? 0 : -1;
}

/* Wiped by the library, which knows how much it used. */
static void give_back(uint8_t *memory, size_t size)
{
    (void)memory, (void)size;
    for (size_t i = 0; i < nchunks; i++)
        page_put(chunks[i]);
    nchunks = 0;
}

/* RFC 9106, 3.2: all lanes have four slices of the same length, so some of the memory asked for may stay unused. */
static int run(argon2_context *c, argon2_type type)
{
    uint32_t slice = c->m_cost / (ARGON2_SYNC_POINTS * c->lanes);
    argon2_instance_t run = {
        .version = c->version,
        .passes = c->t_cost,
        .memory_blocks = slice * ARGON2_SYNC_POINTS * c->lanes,
        .segment_length = slice,
        .lane_length = slice * ARGON2_SYNC_POINTS,
        .lanes = c->lanes,
        .threads = c->threads,
        .type = type,
    };
    int err = validate_inputs(c);
    if (err == ARGON2_OK)
        err = initialize(&run, c);
    if (err == ARGON2_OK)
        err = fill_memory_blocks(&run);
    if (err == ARGON2_OK)
        finalize(c, &run);
    return err;
}

int kdf_argon2(const struct kdf_argon2 *cost, struct kdf_bytes password, struct kdf_bytes salt,
               uint8_t *out, size_t out_size)
{
    argon2_context c = {
        .out = out,
        .outlen = (uint32_t)out_size,
        .pwd = (uint8_t *)(uintptr_t)password.p, /* neither is written: no flag asks for that */
        .pwdlen = (uint32_t)password.n,
        .salt = (uint8_t *)(uintptr_t)salt.p,
        .saltlen = (uint32_t)salt.n,
        .t_cost = cost->passes,
        .m_cost = cost->memory_kib,
        .lanes = cost->lanes,
        .threads = 1,
        .version = ARGON2_VERSION_13,
        .allocate_cbk = take,
        .free_cbk = give_back,
    };
    bool no = false;
    if (!c.lanes || c.m_cost / 8 < c.lanes)
        return -EINVAL;
    if (!atomic_compare_exchange_strong(&busy, &no, true))
        return -ENOMEM;
    int err = run(&c, cost->id ? Argon2_id : Argon2_i);
    heap_free(chunks);
    chunks = NULL;
    atomic_store(&busy, false);
    return err == ARGON2_OK ? 0 : err == ARGON2_MEMORY_ALLOCATION_ERROR ? -ENOMEM : -EINVAL;
}
