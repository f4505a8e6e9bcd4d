/* SPDX-License-Identifier: MIT */
/* Calls that are not implemented: the dispatcher counts them while the program runs; they are named once when it ends, so
 * that a program that does not work can be told what it lacked. */
#include <libos/sys.h>

#include <base/log.h>
#include <stdio.h>

static const char *(*call_name)(unsigned long nr); /* set at boot */
static unsigned (*call_missed)(unsigned long nr);
static bool decoding; /* set at boot */

void sys_set_decoding(void)
{
    decoding = true;
}

bool sys_decoding(void)
{
    return decoding;
}

void sys_set_calls(const char *(*name)(unsigned long nr), unsigned (*missed)(unsigned long nr))
{
    call_name = name;
    call_missed = missed;
}

const char *sys_name(unsigned long nr)
{
    return call_name ? call_name(nr) : NULL;
}

void sys_missing_report(void)
{
    char line[400];
    size_t used = 0;
    for (unsigned nr = 0; call_missed && nr <= SYS_NUMBER_END; nr++) {
        unsigned n = call_missed(nr);
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
