/* SPDX-License-Identifier: MIT */
/* INS and OUTS of ring 0 in pieces, as the host serves them. Pure. Spec: AMD APM volume 3, INSx, OUTSx, REP. */
#ifndef CC_STRINGIO_H
#define CC_STRINGIO_H

#include "cc/insn.h"

/* Elements that one call moves: count of them, size bytes each, the first one at at, each further one step bytes on. */
struct string_io {
    uintptr_t at;
    size_t count;
    intptr_t step;
    uint8_t size;
};

/* What the instruction i with the registers f does next, in a buffer of room bytes; count 0: nothing, it is over. False:
 * it touches memory that is not ring 0's (addresses below the kernel's half, or around the end of memory). */
NODISCARD bool string_plan(const struct plat_frame *f, const struct insn *i, size_t room,
                           struct string_io *ret);
/* OUTS: the elements into buf, in order. INS: buf into the elements. */
void string_gather(const struct string_io *s, uint8_t *buf);
void string_scatter(const struct string_io *s, const uint8_t *buf);
/* The registers after that; rip goes on when nothing is left, else the instruction begins again and may be interrupted. */
void string_advance(struct plat_frame *f, const struct insn *i, const struct string_io *s);

#endif
