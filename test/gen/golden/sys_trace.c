/* SPDX-License-Identifier: MIT */
/* Written by syscalls/gen.py from syscalls/table. What trace.c knows about each call. */
#include "trace.h"
#include <sys_proto.h>

const struct trace_call trace_calls[] = {
    { 0, 0, 3, K_ssize, 1 }, /* read */
    { 8, 3, 3, K_off, 0 }, /* lseek */
    { 9, 6, 6, K_addr, 0 }, /* mmap */
    { 22, 12, 1, K_int, 0 }, /* pipe */
    { 24, 13, 0, K_int, 0 }, /* sched_yield */
    { 35, 13, 2, K_int, 0 }, /* nanosleep */
    { 39, 15, 0, K_pid, 0 }, /* getpid */
    { 96, 15, 2, K_int, 0 }, /* gettimeofday */
    { 165, 17, 5, K_int, 0 }, /* mount */
    { 188, 22, 5, K_int, 0 }, /* setxattr */
    { 246, 27, 4, K_int, 0 }, /* kexec_load */
    { 293, 31, 2, K_int, 0 }, /* pipe2 */
};
const unsigned trace_call_count = 12;

const struct trace_arg trace_args[] = {
    { TRACE_VALUE, K_fd, 0, 0 }, /* read: fd */
    { TRACE_OUT, K_u8, 18, 0 }, /* read: buf */
    { TRACE_VALUE, K_size, 0, 0 }, /* read: count */
    { TRACE_VALUE, K_fd, 0, 0 }, /* lseek: fd */
    { TRACE_VALUE, K_off, 0, 0 }, /* lseek: offset */
    { TRACE_VALUE, K_one, 0, 1 }, /* lseek: whence */
    { TRACE_VALUE, K_addr, 0, 0 }, /* mmap: addr */
    { TRACE_VALUE, K_size, 0, 0 }, /* mmap: len */
    { TRACE_VALUE, K_lflags, 0, 5 }, /* mmap: prot */
    { TRACE_VALUE, K_lflags, 0, 8 }, /* mmap: flags */
    { TRACE_VALUE, K_fd, 0, 0 }, /* mmap: fd */
    { TRACE_VALUE, K_off, 0, 0 }, /* mmap: off */
    { TRACE_OUT, K_int, 2, 0 }, /* pipe: fds */
    { TRACE_IN, K_timespec, 0, 0 }, /* nanosleep: req */
    { TRACE_OUT, K_timespec, 0, 0 }, /* nanosleep: rem */
    { TRACE_OUT, K_timeval, 0, 0 }, /* gettimeofday: tv */
    { TRACE_OUT, K_timezone, 0, 0 }, /* gettimeofday: tz */
    { TRACE_IN, K_path, 0, 0 }, /* mount: source */
    { TRACE_IN, K_path, 0, 0 }, /* mount: target */
    { TRACE_IN, K_path, 0, 0 }, /* mount: type */
    { TRACE_VALUE, K_ulong, 0, 0 }, /* mount: flags */
    { TRACE_IN, K_void, 0, 0 }, /* mount: data */
    { TRACE_IN, K_path, 0, 0 }, /* setxattr: path */
    { TRACE_IN, K_str, 0, 0 }, /* setxattr: name */
    { TRACE_IN, K_u8, 19, 0 }, /* setxattr: value */
    { TRACE_VALUE, K_size, 0, 0 }, /* setxattr: size */
    { TRACE_VALUE, K_flags, 0, 11 }, /* setxattr: flags */
    { TRACE_VALUE, K_ulong, 0, 0 }, /* kexec_load: entry */
    { TRACE_VALUE, K_ulong, 0, 0 }, /* kexec_load: n */
    { TRACE_IN, K_void, 0, 0 }, /* kexec_load: segments */
    { TRACE_VALUE, K_ulong, 0, 0 }, /* kexec_load: flags */
    { TRACE_OUT, K_int, 2, 0 }, /* pipe2: fds */
    { TRACE_VALUE, K_flags, 0, 14 }, /* pipe2: flags */
};

/* Lists of names, each ended by a name at offset 0. */
const struct trace_value trace_values[] = {
    { 0, 0 }, { (uint32_t)SEEK_SET, 1 }, { (uint32_t)SEEK_CUR, 10 }, { (uint32_t)SEEK_END, 19 }, { 0, 0 },
    { (uint32_t)PROT_READ, 28 }, { (uint32_t)PROT_WRITE, 38 }, { 0, 0 }, { (uint32_t)MAP_SHARED, 49 },
    { (uint32_t)MAP_PRIVATE, 60 }, { 0, 0 }, { (uint32_t)XATTR_CREATE, 72 }, { (uint32_t)XATTR_REPLACE, 85 },
    { 0, 0 }, { (uint32_t)O_CLOEXEC, 99 }, { (uint32_t)O_NONBLOCK, 109 }, { 0, 0 },
};

const char trace_strings[] =
    "\0" "SEEK_SET\0" "SEEK_CUR\0" "SEEK_END\0" "PROT_READ\0" "PROT_WRITE\0" "MAP_SHARED\0" "MAP_PRIVATE\0"
    "XATTR_CREATE\0" "XATTR_REPLACE\0" "O_CLOEXEC\0" "O_NONBLOCK\0";
