/* SPDX-License-Identifier: MIT */
/* Written by syscalls/gen.py from syscalls/table. The calls as data, for host tools. */
#ifndef SYS_LIST_H
#define SYS_LIST_H

static const struct sys_list_entry {
    unsigned nr;
    const char *name, *status, *note;
} sys_list[] = {
    { 0, "read", "partial", "golden" },
    { 8, "lseek", "partial", "golden" },
    { 9, "mmap", "partial", "golden" },
    { 22, "pipe", "partial", "golden" },
    { 24, "sched_yield", "stub=0", "golden" },
    { 35, "nanosleep", "partial", "golden" },
    { 39, "getpid", "stub=1", "golden" },
    { 96, "gettimeofday", "partial", "golden" },
    { 165, "mount", "refuse=EPERM", "one \"image\", one root" },
    { 188, "setxattr", "partial", "golden" },
    { 246, "kexec_load", "refuse=ENOSYS", "never" },
    { 293, "pipe2", "partial", "no O_DIRECT packets" },
};

#endif
