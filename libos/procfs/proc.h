/* SPDX-License-Identifier: MIT */
/* What the files of /proc share. */
#ifndef FS_PROC_H
#define FS_PROC_H

#include "gen.h"
#include <libos/access.h>

struct fd_table;
struct fs_context;
struct mm;
struct thread;

enum { PROC_HZ = 100, NS_PER_TICK = 10000000 };

/* The thread that a node is about, with a reference; NULL: it has ended. */
struct thread *proc_thread(const struct gen_ctx *c);

/* May the current thread do this to c's thread? mode: ACCESS_READ or ACCESS_ATTACH. 0, -EPERM, -ESRCH. */
int proc_may_access(const struct gen_ctx *c, unsigned mode);
/* ACCESS_READ, in the words of files: 0, -EACCES, -ESRCH. */
int proc_may_look(const struct gen_ctx *c);
/* Open a file about the memory of c's thread: for ACCESS_READ; for ACCESS_ATTACH. It stays about the address space of now.
 * 0, -EACCES, -ESRCH. */
int proc_open_mm(struct gen_ctx *c);
int proc_open_mem(struct gen_ctx *c);
/* The address space of c's thread, with a reference; NULL: it has none any more, or another than when c's file was opened. */
struct mm *proc_mm(const struct gen_ctx *c);

/* The tables of the tree. */
extern const struct gen_entry proc_pid_entries[], proc_task_entries[], proc_system_entries[],
    proc_sys_entries[], proc_net_entries[], proc_sys_net_entries[], proc_sysvipc_entries[],
    proc_ns_entries[];
extern const struct gen_names proc_fd_names, proc_fdinfo_names;
extern const struct file_ops proc_mem_fops, proc_pagemap_fops;

/* Shown in more than one place. */
int proc_show_maps(struct text *t, const struct gen_ctx *c);
int proc_show_smaps(struct text *t, const struct gen_ctx *c);
int proc_show_smaps_rollup(struct text *t, const struct gen_ctx *c);
int proc_show_numa_maps(struct text *t, const struct gen_ctx *c);
int proc_store_clear_refs(const struct gen_ctx *c, char *value, size_t len);
int proc_show_stat(struct text *t, const struct gen_ctx *c);
int proc_show_status(struct text *t, const struct gen_ctx *c);
int proc_show_call(struct text *t, const struct gen_ctx *c);
int proc_show_statm(struct text *t, const struct gen_ctx *c);
int proc_show_mounts(struct text *t, const struct gen_ctx *c);
int proc_show_mountinfo(struct text *t, const struct gen_ctx *c);
int proc_show_mountstats(struct text *t, const struct gen_ctx *c);
/* Make what /proc/PID/ns leads to. -ENOMEM. */
int proc_ns_init(void);
int proc_show_filesystems(struct text *t, const struct gen_ctx *c);
int proc_enter_fd(const struct gen_ctx *c);
int proc_enter_fdinfo(const struct gen_ctx *c);
int proc_link_cwd(struct text *t, const struct gen_ctx *c);
int proc_link_root(struct text *t, const struct gen_ctx *c);
int proc_link_exe(struct text *t, const struct gen_ctx *c);
int proc_follow_cwd(const struct gen_ctx *c, struct path *ret);
int proc_follow_root(const struct gen_ctx *c, struct path *ret);
int proc_follow_exe(const struct gen_ctx *c, struct path *ret);

/* Threads of c's process by number, for the task directory: the first tid from there on, or -1. */
int proc_next_tid(const struct gen_ctx *c, int from);

#endif
