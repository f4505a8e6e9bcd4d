/* SPDX-License-Identifier: MIT */
/* SHA-256 against FIPS 180-4's examples, and verity against veritysetup: what it made is accepted, a changed bit anywhere
 * is found, and only where it is. Each case runs in a child, since verity is set up once. */
#include <libos/page.h>
#include <libos/sha256.h>
#include <libos/verity.h>
#include <plat/cpu.h>
#include <plat/host.h>

#include <abi/errno.h>
#include "image.h"

#include <setjmp.h>
#include <cmocka.h>

int waitpid(int pid, int *status,
            int options); /* <sys/wait.h> and libOS's signal numbers exclude each other */

static struct file_image root, hash;
static uint8_t root_hash[32];

static void digest_is(const char *text, size_t times, const char *hex)
{
    struct sha256 s;
    uint8_t d[32];
    char got[65];
    sha256_init(&s);
    for (size_t i = 0; i < times; i++)
        sha256_add(&s, text, strlen(text));
    sha256_end(&s, d);
    for (unsigned i = 0; i < 32; i++)
        sprintf(got + 2 * i, "%02x", d[i]);
    assert_string_equal(got, hex);
}

static void known_answers(void **state)
{
    (void)state;
    digest_is("", 0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    digest_is("abc", 1, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    digest_is("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 1,
              "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
    digest_is("a", 1000000, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
    digest_is("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", 20000,
              "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

void x86_sha256(uint32_t state[8], const void *data, size_t blocks);

/* By the CPU's instructions and in C: the same, for any number of blocks. And the program's registers are as before. */
static void both_ways(void **state)
{
    static uint8_t data[64 * 17];
    static ALIGNED(16) uint8_t before[11][16], after[11][16];
    uint32_t one[8], two[8];

    (void)state;
    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = (uint8_t)(i * 167 + (i >> 5));
    memset(before, 0xa5, sizeof(before));
    for (size_t blocks = 0; blocks <= 17; blocks++) {
        for (unsigned i = 0; i < 8; i++)
            one[i] = two[i] = 0x9e3779b9u * (i + 1);
        sha256_compress(one, data, blocks);
        if (!plat_sha256(two, data, blocks)) {
            print_message("this CPU has no SHA instructions\n");
            return;
        }
        assert_memory_equal(one, two, sizeof(one));
    }
#define EACH(op) op(0) op(1) op(2) op(3) op(4) op(5) op(6) op(7) op(8) op(9) op(10)
#define PUT(n)   "movdqa 16*" #n "(%%rbx), %%xmm" #n "\n\t"
#define GET(n)   "movdqa %%xmm" #n ", 16*" #n "(%%r12)\n\t"
    const void *const args[] = { two, data, before, after };
    __asm__ volatile(
        "movq (%0), %%rdi\n\tmovq 8(%0), %%rsi\n\tmovl $3, %%edx\n\t"
        "movq 16(%0), %%rbx\n\tmovq 24(%0), %%r12\n\t" EACH(PUT) "call x86_sha256\n\t" EACH(GET)
        :
        : "r"(args)
        : "memory", "cc", "rax", "rbx", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12",
          "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10");
    assert_memory_equal(before, after, sizeof(before));
}

/* Eight messages at once: what each gives alone, for any number of blocks and any alignment. */
static void in_lanes(void **state)
{
    static uint8_t data[64 * 40];
    uint32_t lanes[8][PLAT_SHA256_LANES], alone[8];
    const void *at[PLAT_SHA256_LANES];

    (void)state;
    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = (uint8_t)(i * 89 + (i >> 7));
    for (size_t blocks = 0; blocks <= 17; blocks++) {
        for (unsigned m = 0; m < PLAT_SHA256_LANES; m++) {
            at[m] = data + 61 * m;
            for (unsigned w = 0; w < 8; w++)
                lanes[w][m] = 0x9e3779b9u * (w + 1) + m;
        }
        if (!plat_sha256_lanes(lanes, at, blocks)) {
            print_message("this CPU has no AVX2\n");
            return;
        }
        for (unsigned m = 0; m < PLAT_SHA256_LANES; m++) {
            for (unsigned w = 0; w < 8; w++)
                alone[w] = 0x9e3779b9u * (w + 1) + m;
            sha256_compress(alone, at[m], blocks);
            for (unsigned w = 0; w < 8; w++)
                assert_int_equal(lanes[w][m], alone[w]);
        }
    }
}

/* The same with padding and behind a salt; a salt that is not of whole blocks is refused. */
static void digests_in_lanes(void **state)
{
    static uint8_t data[PLAT_SHA256_LANES][4096];
    uint8_t found[PLAT_SHA256_LANES][32], want[32];
    const void *at[PLAT_SHA256_LANES];
    struct sha256 salted, s;

    (void)state;
    for (unsigned m = 0; m < PLAT_SHA256_LANES; m++) {
        memset(data[m], 'a' + (int)m, sizeof(data[m]));
        at[m] = data[m];
    }
    sha256_init(&salted);
    for (unsigned salt = 0; salt < 2; salt++) {
        if (!sha256_lanes(&salted, at, 4096, found))
            return;
        for (unsigned m = 0; m < PLAT_SHA256_LANES; m++) {
            s = salted;
            sha256_add(&s, data[m], 4096);
            sha256_end(&s, want);
            assert_memory_equal(found[m], want, sizeof(want));
        }
        sha256_add(&salted, data, 64);
    }
    sha256_add(&salted, data, 1);
    assert_false(sha256_lanes(&salted, at, 4096, found));
}

/* Run fn in a child; its result as an exit status. */
static int in_child(int (*fn)(void))
{
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        (void)!freopen("/dev/null", "w", stderr);
        _exit(-fn());
    }
    int status;
    waitpid(pid, &status, 0);
    return status & 0x7f ? -1000 : -(status >> 8 & 0xff);
}

static int set_up(void)
{
    return verity_init(root.data, root.size, hash.data, hash.size, root_hash);
}

static int all_blocks(void)
{
    int err = set_up();
    for (size_t at = 0; at < root.size && !err; at += 4096) {
        err = verity_check(at + 17, 1000);
        if (!err && !verity_ready(at, 1))
            err = -EFAULT;
    }
    return err;
}

static void accepts(void **state)
{
    (void)state;
    assert_int_equal(in_child(all_blocks), 0);
}

static size_t damage_at;

/* The block that was damaged is found, its neighbours are not blamed. */
static int one_block(void)
{
    int err = set_up();
    if (err)
        return damage_at < 4096 ? err : -1;
    for (size_t at = 0; at < root.size; at += 4096) {
        bool hit = at / 4096 == damage_at / 4096;
        if ((verity_check(at, 4096) == -EIO) != hit || (verity_ready(at, 1) != 0) == hit)
            return -EFAULT;
    }
    return 0;
}

static void data_damage(void **state)
{
    (void)state;
    for (damage_at = 4096; damage_at < root.size; damage_at += 9 * 4096 + 77) {
        root.data[damage_at] ^= 1 << damage_at % 8;
        assert_int_equal(in_child(one_block), 0);
        root.data[damage_at] ^= 1 << damage_at % 8;
    }
    root.data[5] ^= 1;
    assert_int_equal(in_child(set_up), -EIO);
    root.data[5] ^= 1;
}

static void tree_damage(void **state)
{
    (void)state;
    /* The top block; then some block below it. */
    hash.data[4096 + 40] ^= 0x80;
    assert_int_equal(in_child(all_blocks), -EIO);
    hash.data[4096 + 40] ^= 0x80;
    hash.data[hash.size - 4096 + 10] ^= 1;
    assert_int_equal(in_child(all_blocks), -EIO);
    hash.data[hash.size - 4096 + 10] ^= 1;
    root_hash[31] ^= 1;
    assert_int_equal(in_child(set_up), -EIO);
    root_hash[31] ^= 1;
}

static void superblock(void **state)
{
    (void)state;
    static const struct {
        size_t at;
        uint8_t value;
    } bad[] = { { 0, 'x' },   { 8, 2 },     { 12, 0 }, { 32, 'm' },
                { 65, 0x20 }, { 69, 0x20 }, { 72, 1 }, { 81, 9 } };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        uint8_t old = hash.data[bad[i].at];
        hash.data[bad[i].at] = bad[i].value;
        assert_int_equal(in_child(set_up), -EINVAL);
        hash.data[bad[i].at] = old;
    }
    hash.data[88] ^= 1; /* the salt */
    assert_int_equal(in_child(set_up), -EIO);
    hash.data[88] ^= 1;
    size_t size = hash.size;
    for (hash.size = 0; hash.size < size; hash.size += 4096)
        assert_int_equal(in_child(set_up), -EINVAL);
    hash.size = size;
    root.size -= 4096;
    assert_int_equal(in_child(set_up), -EINVAL);
    root.size += 4096;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_answers), cmocka_unit_test(both_ways),
        cmocka_unit_test(in_lanes),      cmocka_unit_test(digests_in_lanes),
        cmocka_unit_test(accepts),       cmocka_unit_test(data_damage),
        cmocka_unit_test(tree_damage),   cmocka_unit_test(superblock),
    };
    plat_host_init();
    page_init();
    image_make("");
    root = image_load("root.img");
    hash = image_load("root.hash");
    image_root_hash(root_hash);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    image_remove();
    return failed;
}
