/* SPDX-License-Identifier: MIT */
/* The image reader on damaged images. The input is a list of changes to an image that mkfs.erofs made: three bytes each,
 * two of them the place, where the lower half of it is the first 16 KiB (superblock, inodes, directories). All of the
 * result is then read. */
#include <libos/erofs.h>

#include <abi/stat.h>
#include <base/log.h>
#include <libos/verity.h>
#include "../unit/image.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

/* What the reader calls. */
int verity_check(uint64_t offset, uint64_t size)
{
    (void)offset, (void)size;
    return 0;
}

void log_line(enum log_level level, const char *format, ...)
{
    (void)level, (void)format; /* every damage is reported; thousands of them are no help */
}

/* As it is, and compressed with both kinds of index: the first byte of the input chooses. */
static const char *const options[] = { "", "-zlz4hc", "-zlz4 -Elegacy-compress" };
enum { IMAGES = sizeof(options) / sizeof(options[0]) };
static struct file_image originals[IMAGES];
static uint8_t *image;

static void begin(void)
{
    size_t size = 0;
    for (unsigned i = 0; i < IMAGES; i++) {
        image_make(options[i]);
        originals[i] = image_load("root.img");
        image_remove();
        size = originals[i].size > size ? originals[i].size : size;
    }
    image = malloc(size);
}

static void read_file(const struct erofs *fs, const struct erofs_inode *in)
{
    volatile uint8_t sum = 0;
    const uint8_t *p;
    struct erofs_buf buf = { 0 }; /* in memory nothing is held */
    size_t n;
    unsigned pieces = 0;
    uint8_t piece[3000];
    for (uint64_t off = 0; erofs_packed(in) && off + sizeof(piece) < in->size && pieces < 8;
         pieces++) {
        if (!erofs_unpack(fs, in, off, sizeof(piece), piece))
            sum = (uint8_t)(sum + piece[0]);
        off += 70001;
    }
    if (erofs_packed(in))
        return;
    for (uint64_t off = 0; off < in->size && pieces < 20; off += n, pieces++) {
        if (erofs_data(fs, in, off, &buf, &p, &n))
            break;
        if (n == 0)
            abort();
        for (size_t i = 0; p && i < n; i += 64)
            sum = (uint8_t)(sum + p[i]);
    }
}

static void visit(const struct erofs *fs, uint64_t nid, unsigned depth, unsigned *budget)
{
    struct erofs_inode in;
    struct erofs_entry e;
    struct erofs_xattr x;
    char text[4096];
    struct erofs_buf buf = { 0 };
    unsigned at = 0;
    uint64_t pos = 0, sub;
    if (*budget == 0 || erofs_inode(fs, nid, &in))
        return;
    --*budget;
    for (unsigned i = 0; i < 16 && erofs_next_xattr(fs, &in, &at, &buf, &x) == 0; i++)
        ;
    if (S_ISLNK(in.mode))
        (void)!erofs_readlink(fs, &in, text, sizeof(text));
    else if (S_ISREG(in.mode))
        read_file(fs, &in);
    else if (S_ISDIR(in.mode) && depth < 6)
        for (unsigned i = 0; i < 40 && erofs_next(fs, &in, &pos, &buf, &e) == 0; i++) {
            (void)!erofs_lookup(fs, &in, e.name, e.len, &sub);
            visit(fs, e.nid, depth + 1, budget);
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct erofs fs;
    unsigned budget = 60;
    if (!image)
        begin();
    struct file_image good = originals[size ? bytes[0] % IMAGES : 0];
    memcpy(image, good.data, good.size);
    for (size_t i = 0; i + 3 <= size; i += 3) {
        size_t at = bytes[i] | (size_t)bytes[i + 1] << 8;
        at = at < 32768 ? 1024 + at / 2 : (at - 32768) * (good.size / 32768);
        if (at < good.size)
            image[at] = bytes[i + 2];
    }
    if (erofs_open(image, good.size, &fs) == 0)
        visit(&fs, fs.root_nid, 0, &budget);
    return 0;
}
