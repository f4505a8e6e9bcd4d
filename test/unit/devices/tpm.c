/* SPDX-License-Identifier: MIT */
/* The TPM's two kinds of registers and the spaces of /dev/tpmrm0, against a TPM that is played here: honest, slow, lying
 * about lengths, and one that answers anything; and the firmware's log, whole, cut and changed. */
#include "tpm/tpm.h"
#include "setup.h"

#include <abi/errno.h>
#include <abi/stat.h>
#include <base/eventlog.h>
#include <libos/vfs.h>
#include <stdlib.h>

#include "../../../libos/dev/tpm_int.h"

#define PAGE_AT 0xfed40000ull

enum { LOADED_MAX = 3, CODE_CREATE = 0x131, CODE_READ = 0x173, CODE_SESSION = 0x176 };

/* The registers of both kinds, by what is written to them. */
static uint8_t regs[TPM_PAGE], answer[TPM_BUFFER], fifo[TPM_BUFFER];
static size_t answer_n, fifo_n, fifo_at;
static bool crb, deaf;

static void put_reg(unsigned reg, uint32_t v)
{
    memcpy(regs + reg, &v, 4);
}

static void crb_write(unsigned reg, uint32_t v)
{
    switch (reg) {
    case 0x08: /* LOC_CTRL */
        put_reg(0, v == 1 && !deaf ? 0x82 : 0x80);
        break;
    case 0x40: /* CTRL_REQ: done at once */
        break;
    case 0x4c: /* CTRL_START */
        memcpy(regs + 0x80, answer, answer_n < 0xf80 ? answer_n : 0xf80);
        break;
    default:
        put_reg(reg, v);
    }
}

static void tis_write(unsigned reg, uint32_t v)
{
    switch (reg) {
    case 0x00:
        regs[0] = v == 2 && !deaf ? 0xa0 : 0x80;
        break;
    case 0x18:
        if (v & 0x40)
            put_reg(0x18, 0xc0 | 7 << 8), fifo_n = fifo_at = 0;
        if (v & 0x20)
            put_reg(0x18, 0x90 | 5 << 8), fifo_at = 0;
        break;
    case 0x24: {
        size_t want = fifo_n + 1 < 6 ? TPM_BUFFER : tpm_get32(fifo + 2);
        fifo[fifo_n++ % TPM_BUFFER] = (uint8_t)v;
        put_reg(0x18, (fifo_n < want ? 0x88u : 0x80u) | 7 << 8);
        break;
    }
    }
}

static uint64_t bus_read(uint64_t pa, unsigned bytes)
{
    uint64_t v = 0;

    assert_true(pa >= PAGE_AT && pa + bytes <= PAGE_AT + TPM_PAGE && pa % bytes == 0);
    if (!crb && pa - PAGE_AT == 0x24)
        return fifo_at < answer_n ? answer[fifo_at++] : 0xff;
    memcpy(&v, regs + (pa - PAGE_AT), bytes);
    return v;
}

static void bus_write(uint64_t pa, unsigned bytes, uint64_t v)
{
    assert_true(pa >= PAGE_AT && pa + bytes <= PAGE_AT + TPM_PAGE && pa % bytes == 0);
    (crb ? crb_write : tis_write)((unsigned)(pa - PAGE_AT), (uint32_t)v);
}

static size_t the_log(void *ret, size_t max);
static const struct plat_host_bus bus = { .mmio_read = bus_read,
                                          .mmio_write = bus_write,
                                          .tpm_log = the_log };

static void reset(bool is_crb)
{
    memset(regs, 0, sizeof(regs));
    crb = is_crb;
    deaf = false;
    plat_host_bus_set(&bus);
    tpm_regs = plat_mmio_map(PAGE_AT, TPM_PAGE);
    if (!crb) {
        put_reg(0xf00, 0x10001014);
        return;
    }
    put_reg(0x30, 1);
    put_reg(0x58, 0xf80);
    put_reg(0x5c, (uint32_t)PAGE_AT + 0x80);
    put_reg(0x64, 0xf80);
    put_reg(0x68, (uint32_t)PAGE_AT + 0x80);
}

static void set_answer(uint32_t said, size_t n)
{
    for (size_t i = 0; i < sizeof(answer); i++)
        answer[i] = (uint8_t)(i * 7);
    tpm_header(answer, said, 0);
    answer_n = n;
}

static ssize_type command(uint8_t *ret)
{
    uint8_t c[12];
    tpm_header(c, sizeof(c), 0x17b);
    c[10] = 0, c[11] = 16;
    return (crb ? tpm_crb : tpm_tis).command(c, sizeof(c), ret);
}

static void honest(bool is_crb)
{
    static const size_t sizes[] = { 10, 11, 12, 13, 28, 1000, 0xf80 };
    uint8_t ret[TPM_BUFFER];
    const char *what;

    reset(is_crb);
    assert_int_equal((is_crb ? tpm_crb_probe : tpm_tis_probe)(&what), 0);
    for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++) {
        set_answer((uint32_t)sizes[i], sizes[i]);
        assert_int_equal(command(ret), sizes[i]);
        assert_memory_equal(ret, answer, sizes[i]);
    }
}

static void lying(bool is_crb)
{
    static const uint32_t sizes[] = { 0, 9, TPM_BUFFER + 1, 0x7fffffff, 0xffffffff };
    uint8_t ret[TPM_BUFFER];

    reset(is_crb);
    for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++) {
        set_answer(sizes[i], 100);
        assert_int_equal(command(ret), -EIO);
    }
    deaf = true;
    assert_int_equal(command(ret), -EIO);
}

static void test_crb(void **state)
{
    uint8_t c[TPM_BUFFER] = { 0 }, ret[TPM_BUFFER];
    (void)state;
    honest(true);
    lying(true);
    deaf = false;
    put_reg(0x44, 1);
    set_answer(100, 100);
    assert_int_equal(command(ret), -EIO);
    assert_int_equal(tpm_crb.command(c, 0xf81, ret), -E2BIG);
}

static void test_tis(void **state)
{
    (void)state;
    honest(false);
    lying(false);
}

/* Buffers that lie in memory, over the registers, or of no size. */
static void test_probe(void **state)
{
    static const struct {
        unsigned reg;
        uint32_t value;
        int err;
    } rows[] = { { 0x30, 0, -ENODEV },       { 0x5c, 0x1000, -EIO },     { 0x60, 1, -EIO },
                 { 0x68, 0xfed40040, -EIO }, { 0x68, 0xfed41000, -EIO }, { 0x58, 9, -EIO },
                 { 0x64, 0, -EIO },          { 0x68, 0xfed40081, -EIO } };
    const char *what;
    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        reset(true);
        put_reg(rows[i].reg, rows[i].value);
        assert_int_equal(tpm_crb_probe(&what), rows[i].err);
    }
    reset(true);
    put_reg(0x64, 0xffffffff); /* as much as fits in the page */
    assert_int_equal(tpm_crb_probe(&what), 0);
    reset(false);
    put_reg(0xf00, 0xffffffff);
    assert_int_equal(tpm_tis_probe(&what), -ENODEV);
}

/* A TPM with room for LOADED_MAX objects, whose contexts are their number. */
static uint32_t loaded[LOADED_MAX], next_object;
static bool wild;
static uint64_t seed = 88172645463325252ull;

static uint32_t any(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (uint32_t)seed;
}

static ssize_type say(uint8_t *ret, size_t n, uint32_t rc)
{
    tpm_header(ret, (uint32_t)n, rc);
    return (ssize_type)n;
}

/* Handle of an object that was put into a free place; 0: none is. */
static uint32_t place(uint32_t object)
{
    for (uint32_t i = 0; i < LOADED_MAX; i++)
        if (!loaded[i]) {
            loaded[i] = object;
            return 0x80000000 | i;
        }
    return 0;
}

static ssize_type list_commands(uint8_t *ret)
{
    static const uint32_t codes[] = { CODE_CREATE | TPM_CC_RHANDLE | 1u << 25,
                                      TPM_CC_CONTEXT_LOAD | TPM_CC_RHANDLE,
                                      TPM_CC_CONTEXT_SAVE | 1u << 25,
                                      TPM_CC_FLUSH_CONTEXT,
                                      CODE_READ | 1u << 25,
                                      CODE_SESSION | TPM_CC_RHANDLE | 1u << 25,
                                      TPM_CC_GET_CAPABILITY };
    ret[10] = 0;
    tpm_put32(ret + 11, TPM_CAP_COMMANDS);
    tpm_put32(ret + 15, ARRAY_SIZE(codes));
    for (unsigned i = 0; i < ARRAY_SIZE(codes); i++)
        tpm_put32(ret + 19 + 4 * i, codes[i]);
    return say(ret, 19 + sizeof(codes), 0);
}

static ssize_type list_objects(uint8_t *ret)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < LOADED_MAX; i++)
        if (loaded[i])
            tpm_put32(ret + 19 + 4 * n++, 0x80000000 | i);
    ret[10] = 0;
    tpm_put32(ret + 11, TPM_CAP_HANDLES);
    tpm_put32(ret + 15, n);
    return say(ret, 19 + 4 * n, 0);
}

/* SHA-1 without registers, SHA-256 and an algorithm that nobody knows with some. */
static ssize_type list_banks(uint8_t *ret)
{
    static const uint8_t banks[] = { 0, 4, 3, 0, 0, 0, 0, 11, 3, 255, 255, 255, 0x77, 0x77, 1, 1 };

    ret[10] = 0;
    tpm_put32(ret + 11, TPM_CAP_PCRS);
    tpm_put32(ret + 15, 3);
    memcpy(ret + 19, banks, sizeof(banks));
    return say(ret, 19 + sizeof(banks), 0);
}

/* Register n of SHA-256 has bytes of n. */
static ssize_type read_register(const uint8_t *c, uint8_t *ret)
{
    uint8_t n = 0, selection[6];

    memcpy(selection, c + 14, sizeof(selection)); /* command and answer may be one */
    assert_int_equal(tpm_get32(c + 10), 1);
    assert_int_equal(tpm_get16(c + 14), 11);
    while (!(c[17 + n / 8] >> n % 8 & 1))
        n++;
    memset(ret + 10, 0, 90);
    tpm_put32(ret + 14, 1);
    memcpy(ret + 18, selection, sizeof(selection));
    tpm_put32(ret + 24, 1);
    ret[29] = 32;
    memset(ret + 30, n, 32);
    return say(ret, 62, 0);
}

static ssize_type anything(uint8_t *ret)
{
    size_t n = any() % 8 ? any() % 60 : any() % TPM_BUFFER;
    for (size_t i = 0; i < n; i++)
        ret[i] = (uint8_t)(any() % 4 ? any() % 3 : any());
    if (n >= TPM_HEADER && any() % 8)
        tpm_header(ret, (uint32_t)n, any() % 3 ? 0 : any());
    return any() % 16 ? (ssize_type)n : -EIO;
}

static ssize_type model(const uint8_t *c, size_t n, uint8_t *ret)
{
    uint32_t code = tpm_get32(c + 6), handle = n >= 14 ? tpm_get32(c + 10) : 0,
             i = handle & 0xffffff;

    assert_true(n >= TPM_HEADER && n <= TPM_BUFFER && tpm_get32(c + 2) <= n);
    if (wild)
        return anything(ret);
    switch (code) {
    case TPM_CC_GET_CAPABILITY:
        return handle == TPM_CAP_COMMANDS ? list_commands(ret)
               : handle == TPM_CAP_PCRS   ? list_banks(ret)
                                          : list_objects(ret);
    case TPM_CC_PCR_READ:
        return read_register(c, ret);
    case CODE_CREATE:
        tpm_put32(ret + 10, place(++next_object));
        return say(ret, 14, 0);
    case CODE_SESSION:
        tpm_put32(ret + 10, 0x02000000 | next_object++ % 64);
        return say(ret, 14, 0);
    case TPM_CC_CONTEXT_LOAD:
        tpm_put32(ret + 10, handle & 0x80000000 ? handle & ~0x80000000u : place(handle));
        return say(ret, 14, 0);
    }
    if (handle >> 24 == 2 && code == TPM_CC_CONTEXT_SAVE) {
        tpm_put32(ret + 10, 0x80000000 | handle);
        return say(ret, 14, 0);
    }
    if (handle >> 24 == 2)
        return say(ret, 10, 0);
    if (handle >> 24 != 0x80 || i >= LOADED_MAX || !loaded[i])
        return say(ret, 10, 0x18b);
    tpm_put32(ret + 10, loaded[i]);
    if (code != TPM_CC_FLUSH_CONTEXT)
        return say(ret, 14, 0);
    loaded[i] = 0;
    return say(ret, 10, 0);
}

static const struct tpm_chip chip = { model };

/* A command with one number in it; the answer's number, UINT32_MAX: it refused, or an errno. */
static int64_t ask(struct tpm_space *s, uint32_t code, uint32_t number)
{
    uint8_t c[22] = { 0 }, ret[TPM_BUFFER];
    size_t n = code == TPM_CC_GET_CAPABILITY ? 22 : 14;
    ssize_type got;

    tpm_header(c, (uint32_t)n, code);
    tpm_put32(c + 10, number);
    mutex_lock(&tpm_lock);
    got = tpm_space_send(s, c, n, ret);
    mutex_unlock(&tpm_lock);
    if (got < 0)
        return got;
    return tpm_get32(ret + 6)              ? UINT32_MAX
           : code == TPM_CC_GET_CAPABILITY ? tpm_get32(ret + 15)
           : got >= 14                     ? tpm_get32(ret + 10)
                                           : 0;
}

static void test_space(void **state)
{
    struct tpm_space *a = tpm_space_create(), *b = tpm_space_create();
    int64_t h[4];
    (void)state;
    assert_true(a && b);
    for (int i = 0; i < 3; i++) {
        h[i] = ask(a, CODE_CREATE, 0x40000001);
        assert_int_equal(h[i], 0x80ffffff - i);
    }
    assert_int_equal(ask(b, CODE_CREATE, 0x40000001), 0x80ffffff); /* a name of its own */
    assert_int_equal(ask(a, CODE_READ, (uint32_t)h[0]), 1);
    assert_int_equal(ask(a, CODE_READ, (uint32_t)h[2]), 3);
    assert_int_equal(ask(b, CODE_READ, 0x80ffffff), 4);
    assert_int_equal(ask(b, CODE_READ, (uint32_t)h[1]), -EINVAL); /* of a's, not of b's */
    assert_int_equal(ask(b, CODE_READ, 0x80000000), -EINVAL);
    assert_int_equal(ask(a, TPM_CC_GET_CAPABILITY, TPM_CAP_HANDLES), 3);
    assert_int_equal(ask(b, TPM_CC_GET_CAPABILITY, TPM_CAP_HANDLES), 1);
    assert_int_equal(ask(a, TPM_CC_FLUSH_CONTEXT, (uint32_t)h[1]), 0);
    assert_int_equal(ask(a, CODE_READ, (uint32_t)h[1]), -EINVAL);
    assert_int_equal(ask(a, CODE_CREATE, 0x40000001), h[1]);
    assert_int_equal(ask(a, 0x1234, 0), UINT32_MAX); /* a command that the TPM does not have */
    for (int i = 0; i < 3; i++)
        assert_int_equal(ask(a, CODE_SESSION, 0x40000007) >> 24, 2);
    assert_int_equal(ask(a, CODE_SESSION, 0x40000007), -ENOMEM);
    tpm_space_destroy(a);
    tpm_space_destroy(b);
    for (int i = 0; i < LOADED_MAX; i++)
        assert_int_equal(loaded[i], 0);
}

/* Whatever it answers: no memory is touched that is not the space's, and none is lost. */
static void test_wild(void **state)
{
    static const uint32_t codes[] = { CODE_CREATE,          CODE_READ,
                                      CODE_SESSION,         TPM_CC_CONTEXT_LOAD,
                                      TPM_CC_CONTEXT_SAVE,  TPM_CC_FLUSH_CONTEXT,
                                      TPM_CC_GET_CAPABILITY };
    (void)state;
    wild = true;
    for (int round = 0; round < 2000; round++) {
        struct tpm_space *s = tpm_space_create();
        assert_non_null(s);
        for (int i = 0; i < 10; i++)
            (void)ask(s, codes[any() % ARRAY_SIZE(codes)], any() % 2 ? 0x80ffffff - any() % 4 : 1);
        tpm_space_destroy(s);
    }
    wild = false;
}

/* A log of two events and zeros behind them. */
static size_t the_log(void *ret, size_t max)
{
    static const uint8_t events[] = {
        /* first: register 0, type 3, no digest, 33 bytes: SHA-256 alone */
        0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 33, 0,
        0, 0, 'S', 'p', 'e', 'c', ' ', 'I', 'D', ' ', 'E', 'v', 'e', 'n', 't', '0', '3', 0, 0, 0, 0,
        0, 0, 2, 0, 2, 1, 0, 0, 0, 11, 0, 32, 0, 0,
        /* second: register 4, a digest, one byte */
        4, 0, 0, 0, 13, 0, 0, 0, 1, 0, 0, 0, 11, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
        1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 'x'
    };
    uint8_t all[sizeof(events) + 100] = { 0 };

    memcpy(all, events, sizeof(events));
    if (ret)
        memcpy(ret, all, max < sizeof(all) ? max : sizeof(all));
    return sizeof(all);
}

static void test_files(void **state)
{
    uint8_t digest[TPM_DIGEST_MAX];
    const uint8_t *log;
    size_t size;
    (void)state;

    assert_true(tpm_exists() && tpm_has_bank(256));
    assert_false(tpm_has_bank(1) || tpm_has_bank(384) || tpm_has_bank(0x7777) || tpm_has_bank(0));
    for (unsigned i = 0; i < 24; i++) {
        assert_int_equal(tpm_pcr(256, i, digest), 32);
        assert_true(digest[0] == i && digest[31] == i);
    }
    assert_int_equal(tpm_pcr(256, 24, digest), -ENODEV);
    assert_int_equal(tpm_pcr(1, 0, digest), -ENODEV);
    log = tpm_log(&size);
    assert_non_null(log);
    assert_int_equal(size, 65 + 51);
    assert_int_equal(log[size - 1], 'x');
    wild = true;
    for (int i = 0; i < 20000; i++)
        (void)!tpm_pcr(256, 3, digest);
    wild = false;
}

/* Whatever a log says: nothing beyond it is read, and what is kept is inside. Each is as long as its memory. */
static void test_log(void **state)
{
    uint8_t whole[216];
    size_t good = the_log(whole, sizeof(whole));
    (void)state;

    assert_true(good == sizeof(whole) && eventlog_size(whole, good) == 116);
    for (size_t n = 0; n <= good; n++) {
        uint8_t *copy = malloc(n ? n : 1);

        memcpy(copy, whole, n);
        assert_int_equal(eventlog_size(copy, n), n < 65 ? 0 : n < 116 ? 65 : 116);
        free(copy);
    }
    for (int round = 0; round < 100000; round++) {
        size_t n = any() % (good + 1), size;
        uint8_t *copy = malloc(n ? n : 1);

        memcpy(copy, whole, n);
        for (unsigned i = any() % 4; n && i; i--)
            copy[any() % n] = (uint8_t)(any() % 3 ? any() : 255);
        size = eventlog_size(copy, n);
        assert_true(size <= n);
        free(copy);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_crb),   cmocka_unit_test(test_tis),
                                        cmocka_unit_test(test_probe), cmocka_unit_test(test_space),
                                        cmocka_unit_test(test_wild),  cmocka_unit_test(test_files),
                                        cmocka_unit_test(test_log) };
    setup();
    must(vfs_init(NULL, 0) == 0);
    must(vfs_make("/dev", S_IFDIR | 0755, 0, NULL) == 0);
    plat_host_bus_set(&bus);
    must(tpm_register(&chip) == 0);
    must(tpm_register(&chip) == -EEXIST);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
