/* SPDX-License-Identifier: MIT */
/* Names that programs give to anonymous areas, PR_SET_VMA of prctl(2). Areas share equal names, so that neighbours still join: a
 * name is counted and lies in a table. Lock: names_lock. */
#include "area.h"

#include <abi/errno.h>
#include <abi/stat.h>
#include <libos/file.h>
#include <libos/heap.h>
#include <stdio.h>
#include <string.h>
#include <utlist.h>

enum { BUCKETS = 64, TEXT_MAX = 104 /* "[anon_shmem:", a name, "]" */ };

struct area_name {
    struct area_name *next;
    uint32_t refs;
    char text[];
};

static struct spin names_lock = SPIN_INIT(RANK_AREA_NAME);
static struct area_name *names[BUCKETS]; /* guarded by names_lock, as what they lead to */

static struct area_name **bucket(const char *text)
{
    uint32_t h = 0;
    while (*text)
        h = h * 31 + (uint8_t)*text++;
    return &names[h % BUCKETS];
}

static struct area_name *of(const char *text)
{
    return CONTAINER_OF(text, struct area_name, text[0]);
}

void area_name_get(const struct area *a)
{
    if (LIKELY(!(a->flags & AREA_NAMED)))
        return;
    spin_lock(&names_lock);
    of(a->name)->refs++;
    spin_unlock(&names_lock);
}

void area_name_put(const struct area *a)
{
    if (LIKELY(!(a->flags & AREA_NAMED)))
        return;
    struct area_name *n = of(a->name);
    spin_lock(&names_lock);
    bool last = --n->refs == 0;
    if (last)
        LL_DELETE(*bucket(n->text), n);
    spin_unlock(&names_lock);
    if (last)
        heap_free(n);
}

/* The shared copy of text, with one more reference; NULL: out of memory. */
static const char *intern(const char *text)
{
    size_t len = strlen(text) + 1;
    struct area_name *fresh = heap_alloc(sizeof(*fresh) + len), *n, **list = bucket(text);
    if (!fresh)
        return NULL;
    memcpy(fresh->text, text, len);
    fresh->refs = 0;
    spin_lock(&names_lock);
    LL_FOREACH(*list, n)
    if (strcmp(n->text, text) == 0)
        break;
    if (!n) {
        n = fresh;
        LL_PREPEND(*list, n);
    }
    n->refs++;
    spin_unlock(&names_lock);
    if (n != fresh)
        heap_free(fresh);
    return n->text;
}

/* Name the part [start, end) of a. */
static int name_part(struct area *a, uintptr_t start, uintptr_t end, const char *name)
{
    struct mm *mm = a->mm;
    char text[TEXT_MAX];
    if (a->file && a->file->inode->nlink)
        return -EBADF;
    if (a->name && !(a->flags & AREA_NAMED))
        return 0; /* the heap or a stack: maps goes on to call it so */
    if ((a->start < start || a->end > end) && mm->area_count >= MM_AREAS_MAX)
        return -ENOMEM;
    int err = area_cut(mm, start, end);
    if (err)
        return err;
    a = area_at(mm, start);
    const char *kept = NULL;
    if (name) {
        snprintf(text, sizeof(text), "[anon%s:%s]", a->file ? "_shmem" : "", name);
        kept = intern(text);
        if (!kept)
            return -ENOMEM;
    }
    area_name_put(a);
    a->name = kept;
    a->flags = (a->flags & ~(uint32_t)AREA_NAMED) | (kept ? AREA_NAMED : 0);
    area_join(a);
    return 0;
}

int mm_set_name(struct mm *mm, uintptr_t start, size_t size, const char *name)
{
    uintptr_t end = start + align_up(size, PAGE_SIZE);
    int err = 0, hole = 0;
    if (start & ~PAGE_MASK || end < start || (size && end == start))
        return -EINVAL;
    mm_write_lock(mm);
    while (start < end && !err) {
        struct area *a = area_find(mm, start);
        if (!a || a->start >= end) {
            hole = -ENOMEM;
            break;
        }
        if (a->start > start) {
            hole = -ENOMEM;
            start = a->start;
        }
        uintptr_t next = a->end < end ? a->end : end;
        err = name_part(a, start, next, name);
        start = next;
    }
    mm_write_unlock(mm);
    return err ? err : hole;
}
