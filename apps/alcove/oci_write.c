/* SPDX-License-Identifier: MIT */
/* An OCI image archive whose only file is app.elf, with the annotations by which urunc and Kata find and start it. Spec: OCI
 * image-spec 1.1, image-layout.md. No time, no owner: same parts, same bytes. */
#include "oci_write.h"

#include "hash.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

enum { BLOCK = 512, CHUNK = 1 << 16 };

#define KERNEL_PATH "unikernel/app.elf"
#define BLOBS       "blobs/sha256/"

struct blob_out {
    char *digest; /* 64 digits */
    uint64_t size;
};

static void octal(char *field, size_t n, uint64_t v)
{
    memcpy(field, xprintf("%0*llo", (int)n - 1, (unsigned long long)v), n - 1);
}

static void header(char h[BLOCK], const char *name, uint64_t size, bool dir)
{
    unsigned sum = 0;
    memset(h, 0, BLOCK);
    memcpy(h, name, strnlen(name, 99));
    octal(h + 100, 8, dir ? 0755 : 0644);
    octal(h + 108, 8, 0);
    octal(h + 116, 8, 0);
    if (size >= 1ULL << 33) {
        h[124] = (char)0x80; /* binary */
        for (int i = 0; i < 8; i++)
            h[128 + i] = (char)(size >> (56 - 8 * i));
    } else {
        octal(h + 124, 12, size);
    }
    octal(h + 136, 12, 0);
    h[156] = dir ? '5' : '0';
    memcpy(h + 257,
           "ustar\0"
           "00",
           8);
    memset(h + 148, ' ', 8);
    for (int i = 0; i < BLOCK; i++)
        sum += (unsigned char)h[i];
    octal(h + 148, 7, sum);
}

/* The archive of the layer, compressed to path; its digest as it is stored, and of what is in it. */
struct layer_out {
    gzFile gz;
    struct hash plain;
    const char *path;
};

static void layer_add(struct layer_out *l, const void *p, size_t n)
{
    hash_add(&l->plain, p, n);
    if (n && gzwrite(l->gz, p, (unsigned)n) != (int)n)
        fail_errno(l->path, errno ? errno : EIO, "cannot write");
}

static void layer_file(struct layer_out *l, const char *name, const uint8_t *data, size_t size)
{
    static const char zero[BLOCK];
    char h[BLOCK];
    header(h, name, size, false);
    layer_add(l, h, sizeof(h));
    for (size_t at = 0; at < size; at += CHUNK)
        layer_add(l, data + at, size - at < CHUNK ? size - at : CHUNK);
    layer_add(l, zero, (BLOCK - size % BLOCK) % BLOCK);
}

static char *write_layer(const char *path, const uint8_t *elf, size_t size)
{
    static const char end[2 * BLOCK];
    uint8_t sum[HASH_MAX];
    char h[BLOCK];
    struct layer_out l = { .path = path, .gz = gzopen(path, "wbe6") };
    if (!l.gz)
        fail_errno(path, errno, "cannot write");
    hash_begin(&l.plain, "SHA256");
    header(h, "unikernel/", 0, true);
    layer_add(&l, h, sizeof(h));
    layer_file(&l, KERNEL_PATH, elf, size);
    layer_add(&l, end, sizeof(end));
    if (gzclose(l.gz) != Z_OK)
        fail_errno(path, errno ? errno : EIO, "cannot write");
    return hash_hex(sum, hash_end(&l.plain, sum));
}

static struct blob_out measure(const void *p, size_t n)
{
    uint8_t sum[HASH_MAX];
    size_t k = hash_bytes("SHA256", p, n, sum);
    return (struct blob_out){ hash_hex(sum, k), n };
}

static void out_file(int fd, const char *name, const void *p, size_t n, const char *path)
{
    static const char zero[BLOCK];
    char h[BLOCK];
    header(h, name, n, false);
    write_all(fd, h, sizeof(h), path);
    write_all(fd, p, n, path);
    write_all(fd, zero, (BLOCK - n % BLOCK) % BLOCK, path);
}

static void descriptor(struct buf *b, const char *type, const struct blob_out *o)
{
    buf_printf(
        b, "{\"mediaType\":\"application/vnd.oci.image.%s\",\"digest\":\"sha256:%s\",\"size\":%llu",
        type, o->digest, (unsigned long long)o->size);
}

/* Labels of the configuration and annotations of the manifest: engines read either. */
static void annotations(struct buf *b)
{
    buf_str(b, "{\"com.urunc.unikernel.binary\":\"/" KERNEL_PATH "\","
               "\"com.urunc.unikernel.cmdline\":\"console=tty\","
               "\"com.urunc.unikernel.hypervisor\":\"qemu\","
               "\"com.urunc.unikernel.mountRootfs\":\"false\","
               "\"com.urunc.unikernel.unikernelType\":\"linux\","
               "\"com.urunc.unikernel.unikernelVersion\":\"" ALCOVE_VERSION "\","
               "\"io.katacontainers.config.hypervisor.kernel\":\"/" KERNEL_PATH "\"}");
}

static const uint8_t *map(const char *path, size_t *ret_size)
{
    const uint8_t *data;
    int err = file_map(path, &data, ret_size);
    if (err < 0)
        fail_errno(path, -err, "cannot read it back");
    return data;
}

void oci_write(const struct image_parts *parts, const char *path)
{
    struct buf config = { 0 }, manifest = { 0 }, index = { 0 };
    static const char layout[] = "{\"imageLayoutVersion\":\"1.0.0\"}", end[2 * BLOCK];
    char *dir = temp_dir(), *elf = path_join(dir, "app.elf"), *gz = path_join(dir, "layer.tar.gz");
    size_t elf_size, gz_size;
    image_write(parts, elf);
    const uint8_t *data = map(elf, &elf_size);
    char *diff_id = write_layer(gz, data, elf_size);
    const uint8_t *packed = map(gz, &gz_size);
    struct blob_out layer = measure(packed, gz_size);

    buf_str(
        &config,
        "{\"architecture\":\"amd64\",\"os\":\"linux\",\"config\":{\"Entrypoint\":[\"/" KERNEL_PATH
        "\"],\"Labels\":");
    annotations(&config);
    buf_printf(&config, "},\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"sha256:%s\"]}}",
               diff_id);
    struct blob_out c = measure(config.s, config.len);
    buf_str(&manifest,
            "{\"schemaVersion\":2,\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\","
            "\"config\":");
    descriptor(&manifest, "config.v1+json", &c);
    buf_str(&manifest, "},\"layers\":[");
    descriptor(&manifest, "layer.v1.tar+gzip", &layer);
    buf_str(&manifest, "}],\"annotations\":");
    annotations(&manifest);
    buf_str(&manifest, "}");
    struct blob_out m = measure(manifest.s, manifest.len);
    buf_str(&index, "{\"schemaVersion\":2,\"manifests\":[");
    descriptor(&index, "manifest.v1+json", &m);
    buf_str(&index, ",\"annotations\":{\"org.opencontainers.image.ref.name\":\"latest\"}}]}");

    int out = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, file_mode());
    if (out < 0)
        fail_errno(path, errno, "cannot write");
    out_file(out, "oci-layout", layout, sizeof(layout) - 1, path);
    out_file(out, "index.json", index.s, index.len, path);
    out_file(out, xprintf(BLOBS "%s", m.digest), manifest.s, manifest.len, path);
    out_file(out, xprintf(BLOBS "%s", c.digest), config.s, config.len, path);
    out_file(out, xprintf(BLOBS "%s", layer.digest), packed, gz_size, path);
    write_all(out, end, sizeof(end), path);
    if (close(out) < 0)
        fail_errno(path, errno, "cannot write");
}
