/* SPDX-License-Identifier: MIT */
/* Errors of write-back, told once to everybody who could have caused them: a word that counts errors and holds the last one. Each
 * open file remembers the word as it was when it last asked. Linux, lib/errseq.c, describes the semantics: an error that
 * nobody has been told of yet is told to who opens the file afterwards, too. */
#ifndef LIBOS_ERRSEQ_H
#define LIBOS_ERRSEQ_H

#include <base/types.h>
#include <stdatomic.h>

/* The errno is in the low bits, the counter above. ERRSEQ_SEEN: somebody was told; a further error counts anew. */
enum { ERRSEQ_ERRNO = 0xfff, ERRSEQ_SEEN = 0x1000, ERRSEQ_ONE = 0x2000 };

/* Note err, a negative errno. */
static inline void errseq_set(_Atomic uint32_t *seq, int err)
{
    uint32_t old = atomic_load(seq), new;
    do
        new = (old & ~(uint32_t)(ERRSEQ_ERRNO | ERRSEQ_SEEN)) +
              (old & ERRSEQ_SEEN ? ERRSEQ_ONE : 0) + ((uint32_t)-err & ERRSEQ_ERRNO);
    while (!atomic_compare_exchange_weak(seq, &old, new));
}

/* What a file that is opened now remembers. */
static inline uint32_t errseq_sample(const _Atomic uint32_t *seq)
{
    uint32_t now = atomic_load(seq);
    return now & ERRSEQ_SEEN ? now : 0;
}

/* The error since *seen was last set, or 0; it is told once. */
static inline int errseq_check(_Atomic uint32_t *seq, _Atomic uint32_t *seen)
{
    uint32_t now = atomic_load(seq);
    if (now == atomic_load(seen))
        return 0;
    /* Who loses the race against another error tells that one's next time. */
    uint32_t told = now | ERRSEQ_SEEN;
    (void)atomic_compare_exchange_strong(seq, &now, told);
    return atomic_exchange(seen, told) == told ? 0 : -(int)(told & ERRSEQ_ERRNO);
}

#endif
