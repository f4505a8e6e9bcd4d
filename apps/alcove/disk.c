/* SPDX-License-Identifier: MIT */
/* The disk that clouds and firmware boot, and the wrappings that clouds want. The identifiers on it come from a hash of
 * app.efi: same parts, same bytes, and two images never share one. */
#include "disk.h"

#include "efi.h"
#include "sha256.h"
#include "tools.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

enum { FIRST = 2048 /* sector of the ESP: 1 MiB */ };
#define MIB (1ULL << 20)

/* A disk as a file without a name that others see, and its size. */
struct disk {
    char *path;
    int fd;
    uint64_t size, used; /* what lies between used and the last MiB is zero */
};

static int open_or_fail(const char *path, int flags)
{
    int fd = open(path, flags | O_CLOEXEC, file_mode());
    if (fd < 0)
        fail_errno(path, errno, "cannot write");
    return fd;
}

/* The raw disk at path; at least least bytes and a multiple of unit. */
static struct disk make_disk(const struct image_parts *parts, const char *path, uint64_t unit)
{
    const uint8_t *data;
    size_t size;
    struct sha256 s;
    uint8_t ids[32];
    uint32_t serial;
    const char *efi = parts->efi;
    if (!efi) {
        efi = path_join(temp_dir(), "app.efi");
        efi_write(parts, efi);
    }
    int err = file_map(efi, &data, &size);
    if (err < 0)
        fail_errno(efi, -err, "cannot read it back");
    sha256_init(&s);
    sha256_add(&s, data, size);
    sha256_done(&s, ids);
    memcpy(&serial, ids + 4, sizeof(serial));

    struct esp e = esp_plan(size, serial);
    struct disk d = { .path = xstrdup(path) };
    d.used = (FIRST + (uint64_t)e.sectors) * DISK_SECTOR;
    d.size = (d.used + MIB + unit - 1) / unit * unit;
    int in = open_or_fail(efi, O_RDONLY);
    d.fd = open_or_fail(path, O_RDWR | O_CREAT | O_EXCL);
    if (ftruncate(d.fd, (off_t)d.size) < 0)
        fail_errno(path, errno, "cannot write");
    gpt_write(d.fd, d.size / DISK_SECTOR, FIRST, e.sectors, ids, path);
    esp_write(&e, in, d.fd, FIRST * DISK_SECTOR, path);
    close(in);
    return d;
}

static void finish(int fd, const char *path)
{
    if (close(fd) < 0)
        fail_errno(path, errno, "cannot write");
}

void disk_write(const struct image_parts *parts, const char *path)
{
    struct disk d = make_disk(parts, path, MIB);
    finish(d.fd, path);
}

void disk_write_qcow2(const struct image_parts *parts, const char *path)
{
    struct buf out = { 0 };
    struct disk d = make_disk(parts, path_join(temp_dir(), "disk.raw"), MIB);
    finish(d.fd, d.path);
    const char *const argv[] = { "qemu-img", "convert", "-f", "raw", "-O",
                                 "qcow2",    d.path,    path, NULL };
    tool_run(argv, NULL, "qemu-utils", &out);
    if (chmod(path, file_mode()) < 0)
        fail_errno(path, errno, "cannot write");
}

static void put32be(uint8_t *p, uint32_t v)
{
    for (int i = 0; i < 4; i++)
        p[i] = (uint8_t)(v >> (24 - 8 * i));
}

/* Cylinders, heads and sectors that stand for a size: the algorithm of the specification's appendix. */
static void vhd_geometry(uint64_t sectors, uint8_t ret[4])
{
    uint64_t heads, per_track, tracks;
    if (sectors > 65535ULL * 16 * 255)
        sectors = 65535ULL * 16 * 255;
    if (sectors >= 65535ULL * 16 * 63) {
        per_track = 255;
        heads = 16;
        tracks = sectors / per_track;
    } else {
        per_track = 17;
        tracks = sectors / per_track;
        heads = (tracks + 1023) / 1024;
        if (heads < 4)
            heads = 4;
        if (tracks >= heads * 1024 || heads > 16) {
            per_track = 31;
            heads = 16;
            tracks = sectors / per_track;
        }
        if (tracks >= heads * 1024) {
            per_track = 63;
            heads = 16;
            tracks = sectors / per_track;
        }
    }
    uint64_t cylinders = tracks / heads;
    ret[0] = (uint8_t)(cylinders >> 8);
    ret[1] = (uint8_t)cylinders;
    ret[2] = (uint8_t)heads;
    ret[3] = (uint8_t)per_track;
}

/* A fixed disk: its bytes, then this sector. Spec: Microsoft's "Virtual Hard Disk Image Format", 1.0. Azure wants whole
 * MiBs before it. */
void disk_write_vhd(const struct image_parts *parts, const char *path)
{
    uint8_t f[DISK_SECTOR] = "conectix";
    uint32_t sum = 0;
    struct disk d = make_disk(parts, path, MIB);
    put32be(f + 8, 2);        /* features: reserved, always set */
    put32be(f + 12, 0x10000); /* version 1.0 */
    memset(f + 16, 0xff, 8);  /* no further header: fixed */
    /* Who made it; QEMU takes the size from here, and not from the geometry, of a few that it knows. No time. */
    memcpy(f + 28, "qem2", 4);
    put32be(f + 32, 0x10000);
    memcpy(f + 36, "Wi2k", 4);
    for (int i = 0; i < 2; i++) {
        put32be(f + 40 + 8 * i, (uint32_t)(d.size >> 32));
        put32be(f + 44 + 8 * i, (uint32_t)d.size);
    }
    vhd_geometry(d.size / DISK_SECTOR, f + 56);
    put32be(f + 60, 2); /* fixed */
    /* Its identifier: the GPT's. */
    if (pread(d.fd, f + 68, 16, DISK_SECTOR + 56) != 16)
        fail_errno(path, errno, "cannot read it back");
    for (size_t i = 0; i < sizeof(f); i++)
        sum += f[i];
    put32be(f + 64, ~sum);
    write_at(d.fd, f, sizeof(f), d.size, path);
    finish(d.fd, path);
}

static void octal(char *field, size_t n, uint64_t v)
{
    memcpy(field, xprintf("%0*llo", (int)n - 1, (unsigned long long)v), n - 1);
}

/* The header of one sparse member in GNU's old format: what lies in the file is [0, used) and the last MiB. */
static void tar_header(const struct disk *d, char h[DISK_SECTOR])
{
    unsigned sum = 0;
    uint64_t tail = d->size - MIB;
    memcpy(h, "disk.raw", 8);
    octal(h + 100, 8, 0644);
    octal(h + 108, 8, 0);
    octal(h + 116, 8, 0);
    octal(h + 124, 12, d->used + MIB);
    octal(h + 136, 12, 0);
    h[156] = 'S';
    memcpy(h + 257, "ustar  ", 8);
    octal(h + 386, 12, 0);
    octal(h + 398, 12, d->used);
    octal(h + 410, 12, tail);
    octal(h + 422, 12, MIB);
    octal(h + 483, 12, d->size);
    memset(h + 148, ' ', 8);
    for (int i = 0; i < DISK_SECTOR; i++)
        sum += (unsigned char)h[i];
    octal(h + 148, 7, sum);
}

static void gz_add(gzFile gz, const void *p, size_t n, const char *path)
{
    if (n && gzwrite(gz, p, (unsigned)n) != (int)n)
        fail_errno(path, errno ? errno : EIO, "cannot write");
}

static void gz_copy(gzFile gz, const struct disk *d, uint64_t at, uint64_t n, const char *path)
{
    static char chunk[1 << 16];
    while (n) {
        size_t want = n < sizeof(chunk) ? (size_t)n : sizeof(chunk);
        if (pread(d->fd, chunk, want, (off_t)at) != (ssize_t)want)
            fail_errno(d->path, errno, "cannot read it back");
        gz_add(gz, chunk, want, path);
        at += want;
        n -= want;
    }
}

/* Google's: a tar file, compressed by gzip, whose member disk.raw is a whole number of GiB. */
static void write_gcp(const struct disk *d, const char *path)
{
    char h[DISK_SECTOR] = { 0 }, end[2 * DISK_SECTOR] = { 0 };
    int fd = open_or_fail(path, O_WRONLY | O_CREAT | O_EXCL);
    gzFile gz = gzdopen(fd, "wb6");
    if (!gz)
        fail_errno(path, ENOMEM, "cannot write");
    tar_header(d, h);
    gz_add(gz, h, sizeof(h), path);
    gz_copy(gz, d, 0, d->used, path);
    gz_copy(gz, d, d->size - MIB, MIB, path);
    gz_add(gz, end, sizeof(end), path);
    if (gzclose(gz) != Z_OK)
        fail_errno(path, errno ? errno : EIO, "cannot write");
    finish(d->fd, d->path);
}

void disk_write_gcp(const struct image_parts *parts, const char *path)
{
    struct disk d = make_disk(parts, path_join(temp_dir(), "disk.raw"), 1ULL << 30);
    write_gcp(&d, path);
}

void disk_copy_gcp(const char *from, const char *path)
{
    const uint64_t unit = 1ULL << 30;
    struct stat st;
    struct disk d = { .path = path_join(temp_dir(), "root.raw") };
    int in = open(from, O_RDONLY | O_CLOEXEC);
    if (in < 0 || fstat(in, &st) < 0)
        fail_errno(from, errno, "cannot be read");
    d.used = ((uint64_t)st.st_size + MIB - 1) / MIB * MIB;
    d.size = (d.used + MIB + unit - 1) / unit * unit;
    d.fd = open_or_fail(d.path, O_RDWR | O_CREAT | O_EXCL);
    copy_range(in, d.fd, 0, (uint64_t)st.st_size, from);
    if (ftruncate(d.fd, (off_t)d.size) < 0)
        fail_errno(d.path, errno, "cannot write");
    close(in);
    write_gcp(&d, path);
}
