/* SPDX-License-Identifier: MIT */
/* What libOS does for the system call layer beside the calls themselves: names and counts what is not implemented. */
#ifndef LIBOS_SYS_H
#define LIBOS_SYS_H

#include <stdbool.h>

enum { SYS_NUMBER_END = 512 }; /* numbers from here on are counted together */

/* Give the functions that know a call's name (or NULL), and how often it was made though it is not implemented (nr at most
 * SYS_NUMBER_END). Boot only. */
void sys_set_calls(const char *(*name)(unsigned long nr), unsigned (*missed)(unsigned long nr));

/* Decode system calls on the console (alcove trace). Boot only. And: are they? */
void sys_set_decoding(void);
bool sys_decoding(void);

/* Set the system call layer up. Boot only; defined by syscalls/. */
void sys_init(void);

/* The call's name, or NULL. */
const char *sys_name(unsigned long nr);

/* Log one line with the calls that were answered by ENOSYS and how often; nothing if there were none. At the end. */
void sys_missing_report(void);

#endif
