/* SPDX-License-Identifier: MIT */
/* /etc/ld.so.cache in glibc's format "glibc-ld.so.cache1.1", alone or after the old format's table (as ldconfig wrote it
 * before glibc 2.32). Read as hostile input; written with the few entries that an image needs. */
#include "ldso.h"

#include <stdlib.h>
#include <string.h>

#define OLD_MAGIC "ld.so-1.7.0"
#define NEW_MAGIC "glibc-ld.so.cache1.1"

enum {
    CACHE_MAX = 64 << 20,
    OLD_ENTRY = 12,
    FLAG_X86_64_LIBC6 = 0x0303, /* FLAG_ELF_LIBC6 | FLAG_X8664_LIB64 */
    LITTLE_ENDIAN_MARK = 2,
};

struct cache_header {
    char magic[20];
    uint32_t n;
    uint32_t strings_size;
    uint8_t flags;
    uint8_t padding[3];
    uint32_t extension_offset;
    uint32_t unused[3];
};

struct cache_entry {
    int32_t flags;
    uint32_t key, value; /* offsets of strings from the header */
    uint32_t osversion;
    uint64_t hwcap;
};

_Static_assert(sizeof(struct cache_header) == 48 && sizeof(struct cache_entry) == 24,
               "as in the file");

/* A string at offset at of the n bytes at p, NULL when it leaves them. */
static const char *string_at(const char *p, size_t n, uint32_t at)
{
    return at < n && memchr(p + at, 0, n - at) ? p + at : NULL;
}

bool ldcache_read(const char *path, struct list *ret)
{
    struct buf b = { 0 };
    struct cache_header h;
    if (file_read(path, CACHE_MAX, &b) < 0)
        return false;
    size_t at = 0;
    if (b.len >= 16 && memcmp(b.s, OLD_MAGIC, sizeof(OLD_MAGIC) - 1) == 0) {
        uint32_t n;
        memcpy(&n, b.s + 12, 4);
        at = (16 + (size_t)n * OLD_ENTRY + 7) & ~(size_t)7;
    }
    if (at > b.len || b.len - at < sizeof(h))
        return false;
    const char *p = b.s + at;
    size_t size = b.len - at;
    memcpy(&h, p, sizeof(h));
    if (memcmp(h.magic, NEW_MAGIC, sizeof(h.magic)) != 0 ||
        h.n > (size - sizeof(h)) / sizeof(struct cache_entry))
        return false;
    for (uint32_t i = 0; i < h.n; i++) {
        struct cache_entry e;
        memcpy(&e, p + sizeof(h) + i * sizeof(e), sizeof(e));
        const char *key = string_at(p, size, e.key), *value = string_at(p, size, e.value);
        if (!key || !value)
            return false;
        /* Entries for CPU levels (hwcap not 0) have a baseline entry beside them. */
        if (e.flags == FLAG_X86_64_LIBC6 && e.hwcap == 0)
            list_add(ret, xprintf("%s\n%s", key, value));
    }
    return true;
}

/* The order that ld.so's binary search expects: digits compare as numbers, everything backwards. */
static int cache_compare(const char *a, const char *b)
{
    while (*a) {
        bool da = *a >= '0' && *a <= '9', db = *b >= '0' && *b <= '9';
        if (da && db) {
            char *ea, *eb;
            unsigned long na = strtoul(a, &ea, 10), nb = strtoul(b, &eb, 10);
            if (na != nb)
                return na < nb ? -1 : 1;
            a = ea;
            b = eb;
        } else if (da != db) {
            return da ? 1 : -1;
        } else if (*a != *b) {
            return (unsigned char)*a < (unsigned char)*b ? -1 : 1;
        } else {
            a++;
            b++;
        }
    }
    return *b ? -1 : 0;
}

struct pair {
    const char *name, *path;
};

static int backwards(const void *a, const void *b)
{
    return cache_compare(((const struct pair *)b)->name, ((const struct pair *)a)->name);
}

void ldcache_make(const struct list *entries, struct buf *ret)
{
    size_t n = entries->n / 2;
    struct pair *pairs = xcalloc(n, sizeof(*pairs));
    struct buf strings = { 0 };
    struct cache_header h = { .n = (uint32_t)n, .flags = LITTLE_ENDIAN_MARK };
    memcpy(h.magic, NEW_MAGIC, sizeof(h.magic));
    for (size_t i = 0; i < n; i++)
        pairs[i] = (struct pair){ entries->v[2 * i], entries->v[2 * i + 1] };
    qsort(pairs, n, sizeof(*pairs), backwards);
    size_t base = sizeof(h) + n * sizeof(struct cache_entry);
    struct cache_entry *e = xcalloc(n, sizeof(*e));
    for (size_t i = 0; i < n; i++) {
        e[i] = (struct cache_entry){ .flags = FLAG_X86_64_LIBC6,
                                     .key = (uint32_t)(base + strings.len) };
        buf_add(&strings, pairs[i].name, strlen(pairs[i].name) + 1);
        e[i].value = (uint32_t)(base + strings.len);
        buf_add(&strings, pairs[i].path, strlen(pairs[i].path) + 1);
    }
    h.strings_size = (uint32_t)strings.len;
    buf_add(ret, &h, sizeof(h));
    buf_add(ret, e, n * sizeof(*e));
    buf_add(ret, strings.s, strings.len);
}
