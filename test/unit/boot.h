/* SPDX-License-Identifier: MIT */
/* For a program that is libOS in a process, with a first thread of its own: the steps of boot, and an end. */
#ifndef BOOT_H
#define BOOT_H

#include <base/log.h>
#include <libos/page.h>
#include <libos/process.h>
#include <libos/random.h>
#include <libos/sched.h>
#include <libos/time.h>
#include <libos/vfs.h>
#include <plat/host.h>
#include <plat/upcall.h>

#include <unistd.h>

_Noreturn void machine_exit(int wait_status);
_Noreturn void machine_exit(int wait_status)
{
    _exit(wait_status != 0);
}

void upcall_boot(void)
{
    panic("not booted this way");
}

/* Up to an empty tree of names. */
static inline void boot(void)
{
    plat_host_init();
    page_init();
    sched_init_cpu(0);
    random_init();
    time_init();
    must(vfs_init(NULL, 0) == 0);
}

/* Run first as the first process; does not return. */
static inline void boot_enter(void (*first)(void *))
{
    struct thread *thread;
    must(process_create_first(first, NULL, &thread) == 0);
    sched_start(thread);
    sched_idle();
}

#endif
