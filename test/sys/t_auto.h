/* SPDX-License-Identifier: MIT */
/* What the generated t_auto.c stands on: harmless values for every kind of argument, and bad ones. */
#ifndef T_AUTO_H
#define T_AUTO_H

#define _GNU_SOURCE /* strerrorname_np */
#include <t.h>

#include <abi/fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys_proto.h>

#define T_NO_FD  1000000
#define T_KERNEL ((void *)0xffff800000000000ul)
/* The highest bit that is not in known, the sign bit left alone. */
#define T_UNKNOWN(known) t_unknown(known)

static const char *t_row;  /* the call under test */
static int t_fd;           /* a regular file, open for reading and writing */
static const char *t_path; /* its name */
static char *t_buf;        /* zeros */
static char *t_page;       /* a page of the program's */

static inline unsigned t_unknown(unsigned known)
{
    for (int bit = 30; bit >= 0; bit--)
        if (!(known & 1u << bit))
            return 1u << bit;
    return 0;
}

static inline void t_auto_init(void)
{
    static char path[] = "/tmp/t_auto";
    t_path = path;
    t_fd = (int)call(SYS_open, path, O_RDWR | O_CREAT, 0600);
    call(SYS_pwrite64, t_fd, "xxxx", 4,
         0); /* something to read, so that a read looks at its buffer */
    t_buf = calloc(1, 4096);
    t_page = (char *)(((uintptr_t)calloc(3, 4096) + 4095) & ~4095ul);
}

/* Run this row's checks? On Linux all; on Alcove those of calls that have a body, the others must give their one answer.
 * Calls newer than the kernel that runs the oracle are not there to be asked. */
static inline bool t_auto_row(long nr, const char *name, bool has_body, long answer)
{
    t_row = name;
    if (t_alcove())
        return has_body || (CHECK(answer, call(nr)) && false);
    return nr <= SYS_set_mempolicy_home_node || call(nr, -1, -1, -1, -1, -1, -1) != -ENOSYS;
}

static inline int t_auto_end(void)
{
    (void)call(SYS_unlink, t_path); /* whether or not there is such a call yet */
    return t_end();
}

#endif
