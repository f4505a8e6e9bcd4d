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

enum { KEY_WORDS = 8, BLOCK_WORDS = 16, ENOUGH_BITS = 256 };

static struct spin lock = SPIN_INIT(RANK_PAGES);
static uint32_t key[KEY_WORDS]; /* guarded by lock */
static uint64_t counter; /* guarded by lock: never repeats, so no two blocks of one key are equal */
static unsigned credited; /* guarded by lock */

/* Replace the key by output of the generator. */
static void turn_key(void)
{
    uint32_t block[BLOCK_WORDS];

    chacha20_block(key, counter++, 1, block);
    memcpy(key, block, sizeof key);
    memset(block, 0, sizeof block);
}

void random_add(const void *data, size_t n, unsigned bits)
{
    const uint8_t *p = data;

    spin_lock(&lock);
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
    credited = bits > ENOUGH_BITS - credited ? ENOUGH_BITS : credited + bits;
    spin_unlock(&lock);
}

void random_init(void)
{
    uint8_t seed[64];
    uint64_t time[2] = { plat_time_ns(), plat_wall_at_boot_ns() };
    unsigned bits = plat_random(seed, sizeof seed);

    random_add(time, sizeof time, 0);
    random_add(seed, sizeof seed, bits);
    memset(seed, 0, sizeof seed);
}

bool random_ready(void)
{
    return credited >= ENOUGH_BITS;
}

/* One block is the new key and up to as many bytes of output. */
static void few_bytes(void *buf, size_t n)
{
    uint32_t block[BLOCK_WORDS];

    spin_lock(&lock);
    chacha20_block(key, counter++, 0, block);
    memcpy(key, block, sizeof key);
    spin_unlock(&lock);
    memcpy(buf, block + KEY_WORDS, n);
    memset(block, 0, sizeof block);
}

void random_bytes(void *buf, size_t n)
{
    uint32_t block[BLOCK_WORDS];
    uint8_t *out = buf;

    must(random_ready());
    if (n <= sizeof block - sizeof key) {
        few_bytes(buf, n);
        return;
    }
    spin_lock(&lock);
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
