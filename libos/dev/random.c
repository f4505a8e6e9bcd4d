/* SPDX-License-Identifier: MIT */
/* The random generator: a ChaCha20 key that is replaced by its own output after each request (fast key erasure), so
 * that what was given out cannot be computed from later state. Entropy is mixed in by hashing with the same
 * permutation. Nothing is given before 256 bits were credited. RFC 8439 for the block function. */
#include <libos/random.h>

#include <libos/lock.h>

#include <base/chacha20.h>
#include <base/log.h>
#include <plat/boot.h>
#include <plat/time.h>
#include <string.h>

enum { KEY_WORDS = 8, BLOCK_WORDS = 16, ENOUGH_BITS = 256, POOL_BYTES = 8 * 64 };

static struct spin lock = SPIN_INIT(RANK_PAGES);
static uint32_t key[KEY_WORDS]; /* guarded by lock */
static uint64_t counter; /* guarded by lock: never repeats, so no two blocks of one key are equal */
static unsigned credited; /* guarded by lock */

/* Output made in advance, as most ask for a few bytes only. What is given out is cleared; new entropy discards the rest.
 * Guarded by lock. */
static uint8_t pool[POOL_BYTES];
static size_t pooled; /* bytes at the end of pool that were not given out */

/* The machine that the key belongs to: another one that goes on from the same snapshot must not give the same output.
 * Guarded by lock. */
static uint64_t generation[2];

/* Replace the key by output of the generator. */
static void turn_key(void)
{
    uint32_t block[BLOCK_WORDS];

    chacha20_block(key, counter++, 1, block);
    memcpy(key, block, sizeof key);
    memset(block, 0, sizeof block);
}

/* Locks: lock held. */
static void mix(const void *data, size_t n)
{
    const uint8_t *p = data;

    while (n) {
        uint32_t piece[KEY_WORDS] = { 0 };
        size_t len = n < sizeof piece ? n : sizeof piece;

        memcpy(piece, p, len);
        for (int i = 0; i < KEY_WORDS; i++)
            key[i] ^= piece[i];
        turn_key();
        p += len;
        n -= len;
    }
    memset(pool, 0, sizeof pool);
    pooled = 0;
}

/* New entropy: what tells two machines apart, the processor's, and the time, which goes on differently in each.
 * Locks: lock held. */
static void reseed(void)
{
    uint8_t seed[64];
    uint64_t time = plat_time_ns();

    plat_generation(generation);
    (void)plat_random(seed, sizeof seed); /* where there is none, what tells them apart has to do */
    mix(generation, sizeof generation);
    mix(seed, sizeof seed);
    mix(&time, sizeof time);
    memset(seed, 0, sizeof seed);
}

/* Before any output. Locks: lock held. */
static void look_at_generation(void)
{
    uint64_t now[2];

    plat_generation(now);
    if (UNLIKELY(now[0] != generation[0] || now[1] != generation[1]))
        reseed();
}

void random_reseed(void)
{
    spin_lock(&lock);
    reseed();
    spin_unlock(&lock);
}

void random_add(const void *data, size_t n, unsigned bits)
{
    spin_lock(&lock);
    mix(data, n);
    credited = bits > ENOUGH_BITS - credited ? ENOUGH_BITS : credited + bits;
    spin_unlock(&lock);
}

void random_init(void)
{
    uint8_t seed[64];
    uint64_t time[2] = { plat_time_ns(), plat_wall_at_boot_ns() };
    unsigned bits = plat_random(seed, sizeof seed);

    plat_generation(generation);
    random_add(time, sizeof time, 0);
    random_add(seed, sizeof seed, bits);
    memset(seed, 0, sizeof seed);
}

bool random_ready(void)
{
    return credited >= ENOUGH_BITS;
}

/* Fill the pool; the key is replaced, too. Locks: lock held. */
static void pool_fill(void)
{
    uint32_t block[BLOCK_WORDS];

    for (size_t at = 0; at < sizeof pool; at += sizeof block) {
        chacha20_block(key, counter++, 0, block);
        memcpy(pool + at, block, sizeof block);
    }
    pooled = sizeof pool;
    memset(block, 0, sizeof block);
    turn_key();
}

static void few_bytes(void *buf, size_t n)
{
    spin_lock(&lock);
    look_at_generation();
    if (UNLIKELY(n > pooled))
        pool_fill();
    uint8_t *from = pool + sizeof pool - pooled;
    memcpy(buf, from, n);
    memset(from, 0, n);
    pooled -= n;
    spin_unlock(&lock);
}

void random_bytes(void *buf, size_t n)
{
    uint32_t block[BLOCK_WORDS];
    uint8_t *out = buf;

    must(random_ready());
    if (n <= sizeof block) {
        few_bytes(buf, n);
        return;
    }
    spin_lock(&lock);
    look_at_generation();
    while (n) {
        size_t len = n < sizeof block ? n : sizeof block;

        chacha20_block(key, counter++, 0, block);
        memcpy(out, block, len);
        out += len;
        n -= len;
    }
    turn_key();
    spin_unlock(&lock);
    memset(block, 0, sizeof block);
}

uint64_t random_u64(void)
{
    uint64_t v;

    random_bytes(&v, sizeof v);
    return v;
}
