/* SPDX-License-Identifier: MIT */
/* Written by syscalls/gen.py from syscalls/table. What trace.c knows about each call. */
#include "trace.h"
#include <sys_proto.h>

static const struct trace_flag flags_lseek_whence[] = {
    { SEEK_SET, "SEEK_SET" }, { SEEK_CUR, "SEEK_CUR" }, { SEEK_END, "SEEK_END" },
    { 0, NULL },
};

static const struct trace_flag flags_mmap_prot[] = {
    { PROT_READ, "PROT_READ" }, { PROT_WRITE, "PROT_WRITE" },
    { 0, NULL },
};

static const struct trace_flag flags_mmap_flags[] = {
    { MAP_SHARED, "MAP_SHARED" }, { MAP_PRIVATE, "MAP_PRIVATE" },
    { 0, NULL },
};

static const struct trace_flag flags_setxattr_flags[] = {
    { XATTR_CREATE, "XATTR_CREATE" }, { XATTR_REPLACE, "XATTR_REPLACE" },
    { 0, NULL },
};

static const struct trace_flag flags_pipe2_flags[] = {
    { O_CLOEXEC, "O_CLOEXEC" }, { O_NONBLOCK, "O_NONBLOCK" },
    { 0, NULL },
};

const struct trace_call trace_calls[] = {
    { 0, 3, 1, K_ssize, "read", {
        { TRACE_VALUE, K_fd, -1, NULL }, { TRACE_OUT, K_u8, 18, NULL }, { TRACE_VALUE, K_size, -1, NULL },
    } },
    { 8, 3, 0, K_off, "lseek", {
        { TRACE_VALUE, K_fd, -1, NULL }, { TRACE_VALUE, K_off, -1, NULL },
        { TRACE_VALUE, K_one, -1, flags_lseek_whence },
    } },
    { 9, 6, 0, K_addr, "mmap", {
        { TRACE_VALUE, K_addr, -1, NULL }, { TRACE_VALUE, K_size, -1, NULL },
        { TRACE_VALUE, K_lflags, -1, flags_mmap_prot }, { TRACE_VALUE, K_lflags, -1, flags_mmap_flags },
        { TRACE_VALUE, K_fd, -1, NULL }, { TRACE_VALUE, K_off, -1, NULL },
    } },
    { 22, 1, 0, K_int, "pipe", {
        { TRACE_OUT, K_int, 2, NULL },
    } },
    { 24, 0, 0, K_int, "sched_yield", { { 0 } } },
    { 35, 2, 0, K_int, "nanosleep", {
        { TRACE_IN, K_timespec, -1, NULL }, { TRACE_OUT, K_timespec, -1, NULL },
    } },
    { 39, 0, 0, K_pid, "getpid", { { 0 } } },
    { 96, 2, 0, K_int, "gettimeofday", {
        { TRACE_OUT, K_timeval, -1, NULL }, { TRACE_OUT, K_timezone, -1, NULL },
    } },
    { 165, 5, 0, K_int, "mount", {
        { TRACE_IN, K_path, -1, NULL }, { TRACE_IN, K_path, -1, NULL }, { TRACE_IN, K_path, -1, NULL },
        { TRACE_VALUE, K_ulong, -1, NULL }, { TRACE_IN, K_void, -1, NULL },
    } },
    { 188, 5, 0, K_int, "setxattr", {
        { TRACE_IN, K_path, -1, NULL }, { TRACE_IN, K_str, -1, NULL }, { TRACE_IN, K_u8, 19, NULL },
        { TRACE_VALUE, K_size, -1, NULL }, { TRACE_VALUE, K_flags, -1, flags_setxattr_flags },
    } },
    { 246, 4, 0, K_int, "kexec_load", {
        { TRACE_VALUE, K_ulong, -1, NULL }, { TRACE_VALUE, K_ulong, -1, NULL }, { TRACE_IN, K_void, -1, NULL },
        { TRACE_VALUE, K_ulong, -1, NULL },
    } },
    { 293, 2, 0, K_int, "pipe2", {
        { TRACE_OUT, K_int, 2, NULL }, { TRACE_VALUE, K_flags, -1, flags_pipe2_flags },
    } },
};
const unsigned trace_call_count = 12;
