/* SPDX-License-Identifier: MIT */
/* newlib's per-thread state, one for the whole kernel: only the errno that snprintf and strtol may set is ever written,
 * and nothing in the kernel reads it. */
#include <newlib.h>

#include <reent.h>
#include <stdlib.h>

static struct _reent kernel_reent;
struct _reent *_impure_ptr = &kernel_reent;

/* The formatter asks for memory only for asprintf, which the kernel does not have. */
void *_malloc_r(struct _reent *r, size_t size)
{
    (void)r, (void)size;
    return NULL;
}

void *_realloc_r(struct _reent *r, void *p, size_t size)
{
    (void)r, (void)p, (void)size;
    return NULL;
}

void _free_r(struct _reent *r, void *p)
{
    (void)r, (void)p;
}

int *__errno(void)
{
    return &kernel_reent._errno;
}
