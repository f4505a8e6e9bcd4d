/* SPDX-License-Identifier: MIT */
/* Streams of blobs. What comes in is hostile: a stream that does not end where it should, or whose digest is another, ends
 * the command; how much comes out is for the reader above to bound. */
#include "blob.h"

#include "sha256.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

enum { IN_SIZE = 256 * 1024, OUT_SIZE = 256 * 1024 };
enum kind { PLAIN, GZIP, ZSTD };

struct blob_reader {
    const char *name, *digest;
    int fd;
    uint64_t at, left; /* of the file */
    enum kind kind;
    z_stream z;
    ZSTD_DStream *zstd;
    bool ended;              /* the compressed stream has */
    size_t in_from, in_to;   /* compressed bytes not yet used */
    size_t out_from, out_to; /* decompressed ones not yet taken */
    struct sha256 whole, inner;
    uint8_t in[IN_SIZE], out[OUT_SIZE];
};

static bool refill(struct blob_reader *r)
{
    if (r->in_from < r->in_to)
        return true;
    size_t want = r->left < IN_SIZE ? (size_t)r->left : IN_SIZE;
    if (!want)
        return false;
    ssize_t n = pread(r->fd, r->in, want, (off_t)r->at);
    if (n <= 0)
        fail(r->name, "is truncated");
    r->at += (uint64_t)n;
    r->left -= (uint64_t)n;
    r->in_from = 0;
    r->in_to = (size_t)n;
    if (r->digest)
        sha256_add(&r->whole, r->in, (size_t)n);
    return true;
}

struct blob_reader *blob_open(const struct blob *blob, const char *name, const char *digest)
{
    static const uint8_t zstd_magic[4] = { 0x28, 0xb5, 0x2f, 0xfd };
    struct blob_reader *r = xcalloc(1, sizeof(*r));
    r->name = name;
    r->digest = digest;
    r->at = blob->offset;
    r->left = blob->size;
    r->fd = open(blob->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (r->fd < 0)
        fail_errno(name, errno, "cannot read");
    sha256_init(&r->whole);
    sha256_init(&r->inner);
    if (refill(r) && r->in_to >= 4) {
        if (r->in[0] == 0x1f && r->in[1] == 0x8b)
            r->kind = GZIP;
        else if (memcmp(r->in, zstd_magic, 4) == 0)
            r->kind = ZSTD;
    }
    if (r->kind == GZIP && inflateInit2(&r->z, 15 + 16) != Z_OK)
        fail(name, "cannot be decompressed: out of memory");
    if (r->kind == ZSTD && !(r->zstd = ZSTD_createDStream()))
        fail(name, "cannot be decompressed: out of memory");
    return r;
}

/* Members of gzip files may follow each other. */
static size_t inflate_some(struct blob_reader *r)
{
    r->z.next_in = r->in + r->in_from;
    r->z.avail_in = (unsigned)(r->in_to - r->in_from);
    r->z.next_out = r->out;
    r->z.avail_out = OUT_SIZE;
    int rc = inflate(&r->z, Z_NO_FLUSH);
    if (rc != Z_OK && rc != Z_STREAM_END && rc != Z_BUF_ERROR)
        fail(r->name, "is damaged: %s", r->z.msg ? r->z.msg : "not gzip data");
    r->in_from = r->in_to - r->z.avail_in;
    r->ended = rc == Z_STREAM_END;
    if (r->ended)
        (void)inflateReset(&r->z);
    return OUT_SIZE - r->z.avail_out;
}

static size_t unzstd_some(struct blob_reader *r)
{
    ZSTD_inBuffer in = { r->in + r->in_from, r->in_to - r->in_from, 0 };
    ZSTD_outBuffer out = { r->out, OUT_SIZE, 0 };
    size_t rc = ZSTD_decompressStream(r->zstd, &out, &in);
    if (ZSTD_isError(rc))
        fail(r->name, "is damaged: %s", ZSTD_getErrorName(rc));
    r->in_from += in.pos;
    r->ended = rc == 0;
    return out.pos;
}

static size_t plain_some(struct blob_reader *r)
{
    size_t n = r->in_to - r->in_from;
    memcpy(r->out, r->in + r->in_from, n);
    r->in_from = r->in_to;
    r->ended = true;
    return n;
}

/* More decompressed bytes in r->out; false: there are none. */
static bool more(struct blob_reader *r)
{
    while (r->out_from == r->out_to) {
        if (!refill(r)) {
            if (!r->ended && r->kind != PLAIN)
                fail(r->name, "is truncated");
            return false;
        }
        r->out_from = 0;
        r->out_to = r->kind == GZIP   ? inflate_some(r)
                    : r->kind == ZSTD ? unzstd_some(r)
                                      : plain_some(r);
        sha256_add(&r->inner, r->out, r->out_to);
    }
    return true;
}

bool blob_read(struct blob_reader *r, void *p, size_t n)
{
    uint8_t *to = p;
    for (size_t done = 0; done < n;) {
        if (!more(r)) {
            if (done)
                fail(r->name, "is truncated");
            return false;
        }
        size_t have = r->out_to - r->out_from;
        size_t take = have < n - done ? have : n - done;
        memcpy(to + done, r->out + r->out_from, take);
        r->out_from += take;
        done += take;
    }
    return true;
}

static void check(const char *name, const char *want, struct sha256 *s, const char *what)
{
    uint8_t sum[32];
    char hex[65];
    sha256_done(s, sum);
    sha256_hex(sum, hex);
    if (strncmp(want, "sha256:", 7) != 0)
        fail(name, "has the %s '%s'; only sha256 is known", what, want);
    if (strcmp(want + 7, hex) != 0)
        fail(name, "is not what its image says (%s); fetch it again", what);
}

void blob_close(struct blob_reader *r, const char *diff_id)
{
    while (more(r))
        r->out_from = r->out_to;
    if (r->digest)
        check(r->name, r->digest, &r->whole, "digest");
    if (diff_id)
        check(r->name, diff_id, &r->inner, "diff id");
    if (r->kind == GZIP)
        (void)inflateEnd(&r->z);
    if (r->kind == ZSTD)
        (void)ZSTD_freeDStream(r->zstd);
    close(r->fd);
    free(r);
}

void blob_load(const struct blob *blob, const char *name, size_t max, const char *digest,
               struct buf *ret)
{
    struct sha256 s;
    if (blob->size > max)
        fail(name, "is larger than %zu bytes", max);
    char *p = xcalloc(1, (size_t)blob->size + 1);
    int fd = open(blob->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        fail_errno(name, errno, "cannot read");
    if (pread(fd, p, (size_t)blob->size, (off_t)blob->offset) != (ssize_t)blob->size)
        fail(name, "is truncated");
    close(fd);
    sha256_init(&s);
    sha256_add(&s, p, (size_t)blob->size);
    if (digest)
        check(name, digest, &s, "digest");
    ret->len = 0;
    buf_add(ret, p, (size_t)blob->size);
}
