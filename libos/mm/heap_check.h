/* SPDX-License-Identifier: MIT */
/* Of the heap, in a build with AddressSanitizer: what is freed waits in a queue before it is used again, and nothing may touch
 * it there; nor what lies between the end of an object and the end of its slab's. Else nothing at all. */
#ifndef MM_HEAP_CHECK_H
#define MM_HEAP_CHECK_H

#include <libos/heap.h>

#ifdef __has_feature
#if __has_feature(address_sanitizer)
#define HEAP_CHECK
#endif
#endif
#ifdef __SANITIZE_ADDRESS__
#define HEAP_CHECK
#endif

#ifdef HEAP_CHECK
#include <sanitizer/asan_interface.h>

enum { HEAP_QUEUE = 512 };

/* *s and *o become the object that has waited longest, and is to be freed in place of what they were; NULL: none yet. Of small
 * objects; there is one CPU on a host. */
static inline bool heap_check_free(struct slab **s, void **o)
{
    static struct {
        struct slab *slab;
        void *object;
    } queue[HEAP_QUEUE];
    static unsigned at;
    if (__asan_address_is_poisoned(*o))
        *(volatile char *)*o = 0; /* freed twice: the report says where */
    ASAN_POISON_MEMORY_REGION(*o, (*s)->size);
    struct slab *oldest_slab = queue[at].slab;
    void *oldest = queue[at].object;
    queue[at].slab = *s;
    queue[at].object = *o;
    at = (at + 1) % HEAP_QUEUE;
    if (oldest)
        ASAN_UNPOISON_MEMORY_REGION(oldest, oldest_slab->size);
    *s = oldest_slab;
    *o = oldest;
    return oldest;
}

/* Of room bytes at p only size may be used; or one: an address that may not be touched at all has been freed. */
static inline void heap_check_size(void *p, size_t size, size_t room)
{
    size = size ? size : 1;
    ASAN_UNPOISON_MEMORY_REGION(p, size);
    if (room > size)
        ASAN_POISON_MEMORY_REGION((char *)p + size, room - size);
}
#else
static inline bool heap_check_free(struct slab **s, void **o)
{
    return true;
}

static inline void heap_check_size(void *p, size_t size, size_t room)
{
}
#endif

#endif
