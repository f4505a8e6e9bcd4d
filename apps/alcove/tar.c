/* SPDX-License-Identifier: MIT */
/* Every field of a header is bounded; names are taken as they are, for the one who applies them to judge. */
#include "tar.h"

#include <stdlib.h>
#include <string.h>

enum { BLOCK = 512, EXTENSION_MAX = 1 << 20 };
#define SIZE_LIMIT (1ULL << 50)

struct __attribute__((packed)) header {
    char name[100], mode[8], uid[8], gid[8], size[12], mtime[12], sum[8], type, link[100];
    char magic[6], version[2], user[32], group[32], major[8], minor[8], prefix[155], pad[12];
};
_Static_assert(sizeof(struct header) == BLOCK, "a block");

void tar_init(struct tar *t, struct blob_reader *r, const char *name)
{
    *t = (struct tar){ .r = r, .name = name };
}

static bool read_bytes(struct tar *t, void *p, size_t n)
{
    if (!blob_read(t->r, p, n))
        return false;
    t->at += n;
    return true;
}

/* Octal digits, or GNU's big-endian binary with the first bit set. */
static int64_t number(const struct tar *t, const char *field, size_t n)
{
    uint64_t v = 0;
    size_t i = 0;
    if ((uint8_t)field[0] & 0x80) {
        if ((uint8_t)field[0] & 0x40) { /* negative: only times before 1970 */
            return -1;
        }
        for (v = (uint8_t)field[0] & 0x3f, i = 1; i < n; i++) {
            if (v >> 54)
                fail(t->name, "is damaged: a number in a header is too large");
            v = v << 8 | (uint8_t)field[i];
        }
        return (int64_t)v;
    }
    while (i < n && field[i] == ' ')
        i++;
    for (; i < n && field[i] >= '0' && field[i] <= '7'; i++)
        v = v << 3 | (uint64_t)(field[i] - '0');
    if (i < n && field[i] && field[i] != ' ')
        fail(t->name, "is damaged: a header has a field that is not a number");
    return (int64_t)(v & INT64_MAX);
}

static void check_sum(const struct tar *t, const struct header *h)
{
    const uint8_t *b = (const void *)h;
    int64_t sum = 0, want = number(t, h->sum, sizeof(h->sum));
    for (size_t i = 0; i < BLOCK; i++)
        sum += i >= 148 && i < 156 ? ' ' : b[i];
    if (sum != want)
        fail(t->name, "is damaged: a header's checksum is wrong (not a tar archive?)");
}

size_t tar_data(struct tar *t, void *p, size_t n)
{
    size_t take = t->left < n ? (size_t)t->left : n;
    if (take && !read_bytes(t, p, take))
        fail(t->name, "is truncated");
    t->left -= take;
    return take;
}

static void skip(struct tar *t)
{
    char chunk[8192];
    uint64_t pad = t->pad;
    while (tar_data(t, chunk, sizeof(chunk)))
        ;
    if (pad && !read_bytes(t, chunk, (size_t)pad))
        fail(t->name, "is truncated");
    t->pad = 0;
}

static void begin_data(struct tar *t, uint64_t size)
{
    if (size > SIZE_LIMIT)
        fail(t->name, "is damaged: a member of %llu bytes", (unsigned long long)size);
    t->left = size;
    t->pad = (BLOCK - size % BLOCK) % BLOCK;
}

/* The data of a header that extends the next one. */
static void extension(struct tar *t, uint64_t size, struct buf *ret)
{
    if (size > EXTENSION_MAX)
        fail(t->name, "is damaged: an extended header of %llu bytes", (unsigned long long)size);
    begin_data(t, size);
    char *p = xcalloc(1, (size_t)size + 1);
    (void)tar_data(t, p, (size_t)size);
    ret->len = 0;
    buf_add(ret, p, (size_t)size);
    free(p);
    skip(t);
}

static struct timespec pax_time(const char *v)
{
    struct timespec ts = { 0 };
    char *end;
    ts.tv_sec = (time_t)strtoll(v, &end, 10);
    long scale = 100000000;
    if (*end == '.')
        for (end++; *end >= '0' && *end <= '9' && scale; end++, scale /= 10)
            ts.tv_nsec += (*end - '0') * scale;
    return ts;
}

static void pax_record(struct tar *t, const char *key, const char *value, size_t n)
{
    struct tar_entry *e = &t->e;
    if (strcmp(key, "path") == 0)
        e->path = xstrndup(value, n);
    else if (strcmp(key, "linkpath") == 0)
        e->link = xstrndup(value, n);
    else if (strcmp(key, "size") == 0)
        e->size = strtoull(value, NULL, 10);
    else if (strcmp(key, "uid") == 0)
        e->uid = (uint32_t)strtoul(value, NULL, 10);
    else if (strcmp(key, "gid") == 0)
        e->gid = (uint32_t)strtoul(value, NULL, 10);
    else if (strcmp(key, "mtime") == 0)
        e->mtime = pax_time(value);
    else if (strncmp(key, "GNU.sparse.", 11) == 0)
        fail(t->name, "has a sparse file, which no layer of a container image may have");
}

/* "LENGTH KEY=VALUE\n", repeated. */
static void pax_apply(struct tar *t, const struct buf *records)
{
    const char *s = records->s, *end = s + records->len;
    while (s && s < end) {
        char *after;
        unsigned long long n = strtoull(s, &after, 10);
        if (*after != ' ' || n > (size_t)(end - s) || s + n <= after + 1 || s[n - 1] != '\n')
            fail(t->name, "is damaged: a bad extended header");
        const char *key = after + 1, *eq = memchr(key, '=', (size_t)(s + n - key));
        if (!eq)
            fail(t->name, "is damaged: a bad extended header");
        char *name = xstrndup(key, (size_t)(eq - key)),
             *value = xstrndup(eq + 1, (size_t)(s + n - 1 - (eq + 1)));
        pax_record(t, name, value, (size_t)(s + n - 1 - (eq + 1)));
        free(name);
        free(value);
        s += n;
    }
}

static enum tar_kind kind_of(char type)
{
    switch (type) {
    case '0':
    case 0:
    case '7':
        return TAR_FILE;
    case '1':
        return TAR_LINK;
    case '2':
        return TAR_SYMLINK;
    case '5':
        return TAR_DIR;
    default:
        return TAR_OTHER;
    }
}

static void fill(struct tar *t, const struct header *h)
{
    struct tar_entry *e = &t->e;
    bool ustar = memcmp(h->magic, "ustar\0", 6) == 0;
    free(e->path);
    free(e->link);
    char *name = xstrndup(h->name, sizeof(h->name));
    char *prefix = xstrndup(h->prefix, sizeof(h->prefix));
    *e = (struct tar_entry){ .kind = kind_of(h->type) };
    e->path = ustar && *prefix ? xprintf("%s/%s", prefix, name) : xstrdup(name);
    e->link = xstrndup(h->link, sizeof(h->link));
    e->mode = (uint32_t)number(t, h->mode, sizeof(h->mode)) & 07777;
    e->uid = (uint32_t)number(t, h->uid, sizeof(h->uid));
    e->gid = (uint32_t)number(t, h->gid, sizeof(h->gid));
    int64_t size = number(t, h->size, sizeof(h->size));
    e->size = size < 0 ? SIZE_LIMIT + 1 : (uint64_t)size;
    e->mtime.tv_sec = (time_t)number(t, h->mtime, sizeof(h->mtime));
    free(name);
    free(prefix);
}

static void finish(struct tar *t)
{
    struct tar_entry *e = &t->e;
    size_t n = strlen(e->path);
    if (n && e->path[n - 1] == '/' && e->kind == TAR_FILE)
        e->kind = TAR_DIR; /* the oldest format has no type for them */
    while (n && e->path[n - 1] == '/')
        e->path[--n] = 0;
    if (e->kind != TAR_FILE)
        e->size = 0;
    if (e->mtime.tv_sec < 0)
        e->mtime = (struct timespec){ 0 };
}

const struct tar_entry *tar_next(struct tar *t)
{
    static const struct header zero;
    struct buf records = { 0 }, long_name = { 0 }, long_link = { 0 };
    struct header h;
    skip(t);
    for (;;) {
        if (!read_bytes(t, &h, sizeof(h)) || memcmp(&h, &zero, sizeof(h)) == 0)
            return NULL;
        check_sum(t, &h);
        uint64_t size = (uint64_t)number(t, h.size, sizeof(h.size));
        if (h.type == 'x')
            extension(t, size, &records);
        else if (h.type == 'g')
            extension(t, size, &t->global);
        else if (h.type == 'L')
            extension(t, size, &long_name);
        else if (h.type == 'K')
            extension(t, size, &long_link);
        else
            break;
    }
    if (h.type == 'S')
        fail(t->name, "has a sparse file, which no layer of a container image may have");
    fill(t, &h);
    if (long_name.len)
        t->e.path = xstrdup(long_name.s);
    if (long_link.len)
        t->e.link = xstrdup(long_link.s);
    pax_apply(t, &t->global);
    pax_apply(t, &records);
    uint64_t data = t->e.kind == TAR_FILE ? t->e.size : 0;
    finish(t);
    begin_data(t, data);
    return &t->e;
}
