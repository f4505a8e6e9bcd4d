/* SPDX-License-Identifier: MIT */
/* libOS's own memory: object caches and sizes in general. Nothing here sleeps; NULL means out of memory. */
#ifndef LIBOS_HEAP_H
#define LIBOS_HEAP_H

#include <libos/lock.h>

/* Memory of at least size bytes, 16-byte aligned (page aligned from 4096 on). Not cleared. NULL. */
void *heap_alloc(size_t size);
/* The same, cleared. */
void *heap_zalloc(size_t size);
/* n objects of size bytes, cleared; NULL also when n * size overflows. */
void *heap_calloc(size_t n, size_t size);
/* Grow or shrink; on NULL the old memory is unchanged. p may be NULL. */
void *heap_realloc(void *p, size_t old_size, size_t size);
/* Give memory back; NULL is fine. */
void heap_free(void *p);
/* A copy of a string. NULL. */
char *heap_strdup(const char *s);

/* A cache of objects of one size. Define statically with SLAB_INIT. */
struct slab {
    const char *name;
    uint32_t size, align;
    struct spin lock;
    uint32_t id; /* of its place in each CPU's front; 0: none yet */
    bool
        keep; /* its pages never become anything else: who reads a freed object finds one of the kind */
    void *partial;   /* guarded by lock: slabs with free objects */
    uint32_t slabs;  /* guarded by lock: pages held */
    void **magazine; /* guarded by lock: SLAB_MAGAZINE free objects at hand, most recent last */
    uint32_t in_magazine;
};

enum { SLAB_MAGAZINE = 64 };

#define SLAB_INIT(n, type)                                                                         \
    {                                                                                              \
        .name = (n), .size = sizeof(type), .align = _Alignof(type), .lock = SPIN_INIT(RANK_SLAB),  \
        .magazine = (void *[SLAB_MAGAZINE])                                                        \
        {                                                                                          \
            NULL                                                                                   \
        }                                                                                          \
    }

/* An object, not cleared; NULL. */
void *slab_alloc(struct slab *s);
void slab_free(struct slab *s, void *p);

#endif
