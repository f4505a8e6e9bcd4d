/* SPDX-License-Identifier: MIT */
/* What each of these programs begins with: libOS's lower half, and no machine that could end. */
#ifndef SETUP_H
#define SETUP_H

#include <libos/page.h>
#include <libos/random.h>
#include <libos/sched.h>
#include <libos/time.h>
#include <plat/host.h>
#include <plat/mem.h>

#include <base/log.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* The kernel's. */
_Noreturn void machine_exit(int wait_status);
_Noreturn void machine_exit(int wait_status)
{
    exit(wait_status ? 1 : 0);
}

static unsigned log_lines;

static void count_log(enum log_level level, const char *text, size_t len)
{
    (void)level, (void)text, (void)len;
    log_lines++;
}

static inline void setup(void)
{
    plat_host_init();
    page_init();
    sched_init_cpu(0);
    random_init();
    time_init();
    log_set_sink(count_log);
}

#endif
