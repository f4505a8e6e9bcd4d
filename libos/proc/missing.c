/* SPDX-License-Identifier: MIT */
/* Calls that are not implemented: counted while the program runs, named once when it ends, so that a program that does
 * not work can be told what it lacked. Counters are relaxed: they order nothing. */
#include <libos/sys.h>

#include <abi/errno.h>
#include <base/log.h>
#include <stdatomic.h>
#include <stdio.h>

static _Atomic unsigned counts[SYS_NUMBER_END + 1];
static const char *(*call_name)(unsigned long nr);

long sys_missing(unsigned long nr)
{
    atomic_fetch_add_explicit(&counts[nr < SYS_NUMBER_END ? nr : SYS_NUMBER_END], 1,
                              memory_order_relaxed);
    return -ENOSYS;
}

static bool decoding; /* set at boot */

void sys_set_decoding(void)
{
    decoding = true;
}

bool sys_decoding(void)
{
    return decoding;
}

void sys_set_names(const char *(*lookup)(unsigned long nr))
{
    call_name = lookup;
}

const char *sys_name(unsigned long nr)
{
    return call_name ? call_name(nr) : NULL;
}

void sys_missing_report(void)
{
    char line[400];
    size_t used = 0;
    for (unsigned nr = 0; nr <= SYS_NUMBER_END; nr++) {
        unsigned n = atomic_load_explicit(&counts[nr], memory_order_relaxed);
        if (n == 0)
            continue;
        const char *name = sys_name(nr);
        int len = name ? snprintf(line + used, sizeof(line) - used, " %s (%u)", name, n)
                       : snprintf(line + used, sizeof(line) - used, " %u (%u)", nr, n);
        if (len < 0 || used + (size_t)len >=
                           sizeof(line)) { /* the rest does not fit: say so, keep what does */
            line[used] = '\0';
            log_warn("not implemented:%s and more", line);
            return;
        }
        used += (size_t)len;
    }
    if (used != 0)
        log_warn("not implemented:%s", line);
}
