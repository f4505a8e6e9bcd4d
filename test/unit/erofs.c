/* SPDX-License-Identifier: MIT */
/* The image reader against images of mkfs.erofs: every file, name and attribute; then damaged images, which must give
 * errors and nothing worse. */
#include <libos/erofs.h>
#include <libos/page.h>
#include <plat/host.h>

#include <abi/errno.h>
#include <abi/stat.h>
#include "image.h"

#include <setjmp.h>
#include <cmocka.h>

static struct file_image im;
static struct erofs fs;
static unsigned some_packed; /* compressed files seen */
static struct erofs_buf buf; /* in memory nothing is held */

static uint64_t find(const char *path)
{
    uint64_t nid = fs.root_nid;
    char copy[256], *save = NULL;
    strcpy(copy, path);
    for (char *part = strtok_r(copy, "/", &save); part; part = strtok_r(NULL, "/", &save)) {
        struct erofs_inode dir;
        assert_int_equal(erofs_inode(&fs, nid, &dir), 0);
        assert_int_equal(erofs_lookup(&fs, &dir, part, strlen(part), &nid), 0);
    }
    return nid;
}

static struct erofs_inode inode_at(const char *path)
{
    struct erofs_inode inode;
    assert_int_equal(erofs_inode(&fs, find(path), &inode), 0);
    return inode;
}

/* In pieces that begin and end anywhere, and in one. */
static void unpacked(const struct erofs_inode *inode, unsigned file)
{
    uint8_t *all = malloc(inode->size);
    some_packed++;
    for (uint64_t step = 1, off = 0; off < inode->size; off += step, step = step * 5 % 9973) {
        size_t n = off + step < inode->size ? step : inode->size - off;
        memset(all, 0xaa, n);
        assert_int_equal(erofs_unpack(&fs, inode, off, n, all), 0);
        for (size_t j = 0; j < n; j++)
            assert_int_equal(all[j], image_byte(file, off + j));
    }
    assert_int_equal(erofs_unpack(&fs, inode, 0, inode->size, all), 0);
    for (size_t j = 0; j < inode->size; j++)
        assert_int_equal(all[j], image_byte(file, j));
    free(all);
}

static void content(void **state)
{
    (void)state;
    for (unsigned i = 0; i < IMAGE_FILES; i++) {
        char name[32];
        snprintf(name, sizeof(name), "dir/file%u", i);
        struct erofs_inode inode = inode_at(name);
        assert_true(S_ISREG(inode.mode));
        assert_int_equal(inode.size, image_sizes[i]);
        if (erofs_packed(&inode)) {
            unpacked(&inode, i);
            continue;
        }
        for (uint64_t off = 0; off < inode.size;) {
            const uint8_t *p;
            size_t n;
            assert_int_equal(erofs_data(&fs, &inode, off, &buf, &p, &n), 0);
            assert_true(n > 0 && n <= 4096 - off % 4096 && n <= inode.size - off);
            for (size_t j = 0; j < n; j++)
                assert_int_equal(p ? p[j] : 0, image_byte(i, off + j));
            off += n;
        }
    }
}

static void names(void **state)
{
    (void)state;
    struct erofs_inode dir = inode_at("many");
    struct erofs_entry e;
    uint64_t pos = 0, last = 0, nid;
    unsigned count = 0;
    int err;
    while (!(err = erofs_next(&fs, &dir, &pos, &buf, &e))) {
        assert_true(count == 0 || e.pos > last);
        last = e.pos;
        assert_true(pos <= dir.size);
        assert_int_equal(erofs_lookup(&fs, &dir, e.name, e.len, &nid), 0);
        assert_int_equal(nid, e.nid);
        count++;
    }
    assert_int_equal(err, -ENOENT);
    assert_int_equal(count, IMAGE_NAMES + 2);
    assert_int_equal(erofs_lookup(&fs, &dir, "a_name", 6, &nid), -ENOENT);
    assert_int_equal(erofs_lookup(&fs, &dir, "zzz", 3, &nid), -ENOENT);
    assert_int_equal(erofs_lookup(&fs, &dir, "!", 1, &nid), -ENOENT);
}

static void attributes(void **state)
{
    (void)state;
    struct erofs_inode in = inode_at("dir/file4");
    assert_int_equal(in.mode, S_IFREG | 04750);
    in = inode_at("dir/hard");
    assert_int_equal(in.nlink, 3);
    assert_int_equal(in.nid, find("dir/file3"));
    assert_true(S_ISFIFO(inode_at("dir/fifo").mode));
    assert_int_equal(inode_at("empty").mode, S_IFDIR | 01777);
    in = inode_at("dir/link");
    char text[64];
    assert_int_equal(erofs_readlink(&fs, &in, text, sizeof(text)), 12);
    assert_memory_equal(text, "../dir/file2", 12);
    assert_int_equal(erofs_readlink(&fs, &in, text, 5), -ERANGE);
    struct erofs_inode file = inode_at("dir/file1");
    uint64_t nid;
    assert_int_equal(erofs_lookup(&fs, &file, "x", 1, &nid), -ENOTDIR);
}

/* Read all of an image, whatever it says, to a bounded depth. */
static void visit(uint64_t nid, unsigned depth, unsigned *budget)
{
    struct erofs_inode in;
    struct erofs_entry e;
    struct erofs_xattr x;
    const uint8_t *p;
    size_t n;
    unsigned pos = 0;
    if (!*budget || erofs_inode(&fs, nid, &in))
        return;
    --*budget;
    for (unsigned i = 0; i < 100 && erofs_next_xattr(&fs, &in, &pos, &buf, &x) == 0; i++)
        ;
    if (S_ISLNK(in.mode)) {
        char text[4096];
        (void)!erofs_readlink(&fs, &in, text, sizeof(text));
    } else if (S_ISREG(in.mode)) {
        volatile uint8_t sum = 0;
        uint8_t piece[512];
        for (uint64_t off = 0; erofs_packed(&in) && off + 512 < in.size && off < 1 << 20;
             off += 50000)
            if (!erofs_unpack(&fs, &in, off, sizeof(piece), piece))
                sum = (uint8_t)(sum + piece[0]);
        for (uint64_t off = 0, i = 0; !erofs_packed(&in) && off < in.size && i < 300;
             off += n, i++) {
            if (erofs_data(&fs, &in, off, &buf, &p, &n))
                break;
            assert_true(n > 0);
            for (size_t j = 0; p && j < n; j++)
                sum = (uint8_t)(sum + p[j]);
        }
    } else if (S_ISDIR(in.mode) && depth < 8) {
        uint64_t at = 0, sub;
        for (unsigned i = 0; i < 1100 && erofs_next(&fs, &in, &at, &buf, &e) == 0; i++) {
            (void)!erofs_lookup(&fs, &in, e.name, e.len, &sub);
            visit(e.nid, depth + 1, budget);
        }
    }
}

static void damaged(void **state)
{
    (void)state;
    uint32_t random = 12345;
    uint8_t *good = malloc(im.size);
    memcpy(good, im.data, im.size);
    for (unsigned round = 0; round < 150; round++) {
        for (unsigned i = 0; i < 1 + round % 20; i++) {
            random = random * 1664525 + 1013904223;
            /* Most of the damage where structures are. */
            size_t at = random % 8 ? 1024 + (random >> 3) % 60000 : (random >> 3) % im.size;
            random = random * 1664525 + 1013904223;
            im.data[at] = round % 3 ? (uint8_t)(random >> 24) : 0xff;
        }
        if (erofs_open(im.data, im.size, &fs) == 0) {
            unsigned budget = 1500;
            visit(fs.root_nid, 0, &budget);
        }
        memcpy(im.data, good, im.size);
    }
    for (size_t size = 0; size < 8192; size += 511)
        if (erofs_open(im.data, size, &fs) == 0)
            fail_msg("a truncated image was accepted");
    free(good);
    assert_int_equal(erofs_open(im.data, im.size, &fs), 0);
}

static int run(const char *options)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(content),
        cmocka_unit_test(names),
        cmocka_unit_test(attributes),
        cmocka_unit_test(damaged),
    };
    image_make(options);
    im = image_load("root.img");
    if (erofs_open(im.data, im.size, &fs))
        return 1;
    int err = dup(2);
    (void)!freopen("/dev/null", "w", stderr); /* each damage is reported there */
    int failed = cmocka_run_group_tests_name(options, tests, NULL, NULL);
    dup2(err, 2);
    close(err);
    free(im.data);
    image_remove();
    return failed;
}

int main(void)
{
    plat_host_init();
    page_init();
    int failed = run("") + run("--chunksize=4096");
    unsigned before = some_packed;
    failed += run("-zlz4hc") + run("-zlz4 -C65536") + run("-zlz4hc,12 -Elegacy-compress");
    return failed + (some_packed == before);
}
