/* SPDX-License-Identifier: MIT */
/* The block layer over a memory device and over a driver that does what the test says: merging, cutting, order, errors. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <abi/errno.h>
#include <base/crc.h>
#include <libos/dev/blk.h>
#include <libos/page.h>
#include <libos/process.h>
#include <libos/sched.h>
#include <plat/cpu.h>
#include <plat/host.h>
#include <plat/mem.h>
#include <plat/upcall.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The kernel's; nothing here ends a machine. */
_Noreturn void machine_exit(int wait_status);
_Noreturn void machine_exit(int wait_status)
{
    exit(wait_status ? 1 : 0);
}

/* A driver that keeps requests until the test ends them, and has room for a number of them. */
static struct {
    struct blk_device dev;
    struct blk_request *out[64];
    unsigned n, room, kicks, refused;
} fake;

static int fake_submit(struct blk_device *dev, struct blk_request *r, bool more)
{
    (void)dev, (void)more;
    if (fake.n == fake.room) {
        fake.refused++;
        return -EAGAIN;
    }
    fake.out[fake.n++] = r;
    return 0;
}

static void fake_kick(struct blk_device *dev, unsigned queue)
{
    (void)dev, (void)queue;
    fake.kicks++;
}

/* End the first request. */
static void finish(int status)
{
    assert_true(fake.n > 0);
    struct blk_request *r = fake.out[0];
    memmove(fake.out, fake.out + 1, --fake.n * sizeof(fake.out[0]));
    blk_done(r, status);
}

static const struct blk_ops fake_ops = { .submit = fake_submit, .kick = fake_kick };

static void fake_reset(void)
{
    assert_int_equal(fake.n, 0);
    fake.room = 64;
    fake.kicks = fake.refused = 0;
}

static unsigned ended;
static int last_status;

static void io_done(struct blk_io *io)
{
    ended++;
    last_status = io->status;
}

static char *mem; /* a block of 64 pages */

static struct blk_io make_io(enum blk_op op, uint64_t sector, uint32_t sectors, struct blk_seg *seg)
{
    *seg = (struct blk_seg){ plat_virt_to_phys(mem + sector * BLK_SECTOR), sectors * BLK_SECTOR };
    return (struct blk_io){ .dev = &fake.dev,
                            .op = (uint8_t)op,
                            .sector = sector,
                            .sectors = sectors,
                            .segs = seg,
                            .nsegs = 1,
                            .done = io_done };
}

static void neighbours_are_merged(void **state)
{
    (void)state;
    fake_reset();
    struct blk_io io[8];
    struct blk_seg seg[8];
    struct blk_plug plug;
    static const uint64_t order[] = { 24, 0, 8, 16, 40, 56, 48, 80 };
    blk_plug_start(&plug);
    ended = 0;
    for (unsigned i = 0; i < 8; i++) {
        io[i] = make_io(BLK_WRITE, order[i], 8, &seg[i]);
        blk_submit(&io[i], &plug);
    }
    assert_int_equal(fake.n, 0);
    blk_plug_finish(&plug);
    assert_int_equal(fake.n, 3);
    assert_int_equal(fake.kicks, 1);
    assert_int_equal(fake.out[0]->sector, 0);
    assert_int_equal(fake.out[0]->sectors, 32);
    assert_int_equal(fake.out[0]->nsegs, 1); /* the memory is contiguous too */
    assert_int_equal(fake.out[1]->sector, 40);
    assert_int_equal(fake.out[1]->sectors, 24);
    assert_int_equal(fake.out[2]->sectors, 8);
    finish(0);
    assert_int_equal(ended, 4);
    finish(-EIO);
    assert_int_equal(ended, 7);
    assert_int_equal(last_status, -EIO);
    finish(0);
    assert_int_equal(ended, 8);
    assert_int_equal(last_status, 0);
}

static void large_ones_are_cut(void **state)
{
    (void)state;
    fake_reset();
    struct blk_seg seg;
    struct blk_io io = make_io(BLK_READ, 0, 400, &seg);
    ended = 0;
    blk_submit(&io, NULL);
    /* 64 sectors at most. */
    assert_int_equal(fake.n, 7);
    uint64_t at = 0;
    for (unsigned i = 0; i < 7; i++) {
        assert_int_equal(fake.out[i]->sector, at);
        assert_true(fake.out[i]->segs[0].addr.v == seg.addr.v + at * BLK_SECTOR);
        at += fake.out[i]->sectors;
    }
    assert_int_equal(at, 400);
    for (unsigned i = 0; i < 7; i++) {
        assert_int_equal(ended, 0);
        finish(i == 3 ? -ENODATA : 0);
    }
    assert_int_equal(ended, 1);
    assert_int_equal(last_status, -ENODATA);
}

static void a_full_device_is_waited_for(void **state)
{
    (void)state;
    fake_reset();
    fake.room = 2;
    struct blk_io io[10];
    struct blk_seg seg[10];
    ended = 0;
    for (unsigned i = 0; i < 10; i++) {
        io[i] = make_io(BLK_READ, i * 16, 8, &seg[i]);
        blk_submit(&io[i], NULL);
    }
    assert_int_equal(fake.n, 2);
    assert_true(fake.refused > 0);
    while (fake.n)
        finish(0);
    assert_int_equal(ended, 10);
}

static void fua_becomes_a_flush(void **state)
{
    (void)state;
    fake_reset();
    struct blk_seg seg;
    struct blk_io io = make_io(BLK_WRITE, 8, 8, &seg);
    io.flags = BLK_FUA;
    ended = 0;
    blk_submit(&io, NULL);
    assert_int_equal(fake.n, 1);
    assert_int_equal(fake.out[0]->op, BLK_WRITE);
    assert_int_equal(fake.out[0]->flags, 0);
    finish(0);
    assert_int_equal(ended, 0);
    assert_int_equal(fake.n, 1);
    assert_int_equal(fake.out[0]->op, BLK_FLUSH);
    finish(-EIO);
    assert_int_equal(ended, 1);
    assert_int_equal(last_status, -EIO);
}

static void what_cannot_be_is_refused(void **state)
{
    (void)state;
    fake_reset();
    struct blk_seg seg;
    struct {
        uint64_t sector;
        uint32_t sectors;
        enum blk_op op;
        int status;
    } rows[] = {
        { 1016, 16, BLK_READ, -EIO },
        { UINT64_MAX - 7, 8, BLK_READ, -EIO },
        { 0, 0, BLK_READ, -EINVAL },
        { 0, 8, BLK_DISCARD, -EOPNOTSUPP },
        { 0, 8, BLK_WRITE_ZEROES, -EOPNOTSUPP },
    };
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        struct blk_io io = make_io(rows[i].op, 0, rows[i].sectors, &seg);
        io.sector = rows[i].sector;
        ended = 0;
        blk_submit(&io, NULL);
        assert_int_equal(ended, 1);
        assert_int_equal(last_status, rows[i].status);
    }
    fake.dev.limits.read_only = true;
    struct blk_io io = make_io(BLK_WRITE, 0, 8, &seg);
    blk_submit(&io, NULL);
    assert_int_equal(last_status, -EROFS);
    fake.dev.limits.read_only = false;
    assert_int_equal(fake.n, 0);
}

static void memory_device_keeps_data(void **state)
{
    (void)state;
    struct blk_device *d;
    assert_int_equal(blk_ram_create("ram0", 1 << 20, &d), 0);
    assert_int_equal(blk_ram_create("ram0", 1 << 20, &d), -EEXIST);
    for (size_t i = 0; i < 32768; i++)
        mem[i] = (char)(i * 31 + i / 512);
    assert_int_equal(blk_write(d, 3, 64, mem, BLK_FUA), 0);
    assert_int_equal(blk_zero(d, 10, 20), 0);
    blk_discard(d, 40, 2);
    assert_int_equal(blk_flush(d), 0);
    assert_int_equal(blk_read(d, 3, 64, mem + 32768), 0);
    assert_memory_equal(mem, mem + 32768, 7 * 512);
    for (size_t i = 7 * 512; i < 27 * 512; i++)
        assert_int_equal(mem[32768 + i], 0);
    assert_memory_equal(mem + 27 * 512, mem + 32768 + 27 * 512, 10 * 512);
    assert_ptr_equal(blk_find("/dev/ram0"), d);
    assert_null(blk_find("ram1"));
    assert_int_equal(blk_claim(d), 0);
    assert_int_equal(blk_claim(d), -EBUSY);
    blk_release(d);
}

/* A disk partitioned by sfdisk; expected: names, starts and sizes of its partitions. */
static void partitioned(const char *name, const char *script, const char *const *names, unsigned n)
{
    struct blk_device *d;
    char command[600], line[512];
    snprintf(command, sizeof(command),
             "truncate -s 8M part.img && printf '%s' | /sbin/sfdisk -q part.img && cat part.img",
             script);
    assert_int_equal(blk_ram_create(name, 8 << 20, &d), 0);
    FILE *f = popen(command, "r");
    uint64_t sector = 0;
    while (fread(line, 1, 512, f) == 512) {
        memcpy(mem, line, 512);
        static const char zeros[512];
        if (memcmp(line, zeros, 512))
            assert_int_equal(blk_write(d, sector, 1, mem, 0), 0);
        sector++;
    }
    assert_int_equal(pclose(f), 0);
    assert_int_equal(sector, (8 << 20) / 512);
    remove("part.img");
    blk_scan();
    struct blk_device *p = blk_next(d);
    for (unsigned i = 0; i < n; i++, p = blk_next(p)) {
        assert_non_null(p);
        snprintf(line, sizeof(line), "%s %llu %llu", p->name, (unsigned long long)p->first,
                 (unsigned long long)p->sectors);
        assert_string_equal(line, names[i]);
        assert_ptr_equal(p->whole, d);
    }
    assert_true(!p || p->whole != d);
}

static void partitions_are_found(void **state)
{
    (void)state;
    static const char *const gpt[] = { "ramg1 2048 4096", "ramg3 8192 1024" };
    partitioned("ramg",
                "label: gpt\\n1: start=2048 size=4096 name=first "
                "uuid=12345678-9ABC-4DEF-8123-456789ABCDEF\\n3: start=8192 size=1024\\n",
                gpt, 2);
    assert_ptr_equal(blk_find("PARTUUID=12345678-9abc-4def-8123-456789abcdef"), blk_find("ramg1"));
    assert_ptr_equal(blk_find("PARTLABEL=first"), blk_find("ramg1"));
    static const char *const mbr[] = { "ram9p1 64 512", "ram9p5 2048 100", "ram9p6 4096 200" };
    partitioned("ram9",
                "label: dos\\n1: start=64 size=512\\n2: start=1024 size=8000 type=5\\n"
                "5: start=2048 size=100\\n6: start=4096 size=200\\n",
                mbr, 3);
    /* Writes to a partition land in it, and cannot leave it. */
    struct blk_device *p = blk_find("ram9p5"), *d = p->whole;
    memset(mem, 'x', 512);
    assert_int_equal(blk_write(p, 99, 1, mem, 0), 0);
    assert_int_equal(blk_write(p, 100, 1, mem, 0), -EIO);
    assert_int_equal(blk_read(d, 2147, 1, mem + 512), 0);
    assert_memory_equal(mem, mem + 512, 512);
}

static void checksums(void **state)
{
    (void)state;
    assert_true(~crc32_add(~0u, "123456789", 9) == 0xcbf43926);
    assert_true(~crc32c_add(~0u, "123456789", 9) == 0xe3069283);
    assert_true(~plat_crc32c(~0u, "123456789", 9) == 0xe3069283);
    assert_int_equal(crc16_add(0, "123456789", 9), 0xbb3d);
}

int main(void)
{
    plat_host_init();
    page_init();
    sched_init_cpu(0);
    struct page *p = page_alloc(6, PAGE_KERNEL, PAGE_ZERO);
    mem = page_ptr(p);
    strcpy(fake.dev.name, "fake");
    fake.dev.ops = &fake_ops;
    fake.dev.scanned = true; /* nobody would answer */
    fake.dev.sectors = 1024;
    fake.dev.limits = (struct blk_limits){
        .logical_block = 512,
        .physical_block = 512,
        .max_sectors = 64,
        .max_segs = 16,
        .max_seg_len = 65536,
        .queues = 1,
        .queue_depth = 64,
        .volatile_cache = true,
    };
    if (blk_register(&fake.dev))
        return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(neighbours_are_merged),       cmocka_unit_test(large_ones_are_cut),
        cmocka_unit_test(a_full_device_is_waited_for), cmocka_unit_test(fua_becomes_a_flush),
        cmocka_unit_test(what_cannot_be_is_refused),   cmocka_unit_test(memory_device_keeps_data),
        cmocka_unit_test(partitions_are_found),        cmocka_unit_test(checksums),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
