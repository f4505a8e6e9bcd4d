/* SPDX-License-Identifier: MIT */
/* Runs a fuzz entry without libFuzzer: on the files named, or on inputs of its own from a fixed seed, many of them
 * mutations of one another, so that every build exercises the entry. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

enum { SIZE_MAX_BYTES = 4096, ROUNDS = 20000 };

static uint64_t seed = 88172645463325252ull;

static uint64_t next(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    return seed ^= seed << 17;
}

static int run_file(const char *name)
{
    static uint8_t bytes[1 << 20];
    FILE *f = fopen(name, "rb");
    size_t n;

    if (!f) {
        perror(name);
        return 1;
    }
    n = fread(bytes, 1, sizeof(bytes), f);
    fclose(f);
    LLVMFuzzerTestOneInput(bytes, n);
    return 0;
}

int main(int argc, char **argv)
{
    static const uint8_t spice[] = { 0, 1, 2, 8, 0x0a, 0x12, 0x7f, 0x80, 0xff };
    uint8_t last[SIZE_MAX_BYTES];

    for (int i = 1; i < argc; i++)
        if (run_file(argv[i]))
            return 1;
    if (argc > 1)
        return 0;
    memset(last, 0, sizeof(last));
    for (unsigned i = 0; i < ROUNDS; i++) {
        size_t size = next() % SIZE_MAX_BYTES;
        uint8_t *copy = malloc(size + 1);

        for (unsigned j = 0; j < 1 + next() % 64; j++)
            last[next() % sizeof(last)] =
                next() & 1 ? (uint8_t)next() : spice[next() % sizeof(spice)];
        memcpy(copy, last, size);
        LLVMFuzzerTestOneInput(copy, size);
        free(copy);
    }
    printf("%u inputs\n", ROUNDS);
    return 0;
}
