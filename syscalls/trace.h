/* SPDX-License-Identifier: MIT */
/* The descriptors that gen.py writes (sys_trace.c), and what the decoder's files share. */
#ifndef SYSCALLS_TRACE_H
#define SYSCALLS_TRACE_H

#include <base/compiler.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum trace_way { TRACE_VALUE, TRACE_IN, TRACE_OUT, TRACE_INOUT };

/* One per type of the table: numbers, strings, then what pointers point to. */
enum trace_kind {
    K_int,
    K_fd,
    K_dirfd,
    K_pid,
    K_sig,
    K_clock,
    K_key,
    K_one,
    K_uint,
    K_uid,
    K_gid,
    K_mode,
    K_flags,
    K_long,
    K_off,
    K_ulong,
    K_size,
    K_ssize,
    K_addr,
    K_lflags,
    K_void,
    K_path,
    K_str,
    K_u8,
    K_char,
    K_u64,
    K_sigset,
    K_timespec,
    K_timeval,
    K_timezone,
    K_itimerspec,
    K_itimerval,
    K_utimbuf,
    K_tms,
    K_timex,
    K_stat,
    K_statx,
    K_statfs,
    K_iovec,
    K_rlimit,
    K_rusage,
    K_sched_param,
    K_sched_attr,
    K_clone_args,
    K_sigaction,
    K_siginfo,
    K_sigevent,
    K_stack,
    K_sigset_arg,
    K_pollfd,
    K_epoll_event,
    K_futex_waitv,
    K_open_how,
    K_utsname,
    K_sysinfo,
    K_msghdr,
    K_mmsghdr,
    K_cap_header,
    K_cap_data,
};

/* The image carries a thousand of these, so they are packed. */
struct trace_call {
    uint16_t nr;
    uint16_t args; /* index of the first one in trace_args */
    uint16_t count : 3, ret : 6,
        blocks : 1; /* arguments; kind of the result, K_void: does not return */
};

struct trace_arg {
    uint8_t way : 2, kind : 6;
    uint8_t len; /* 0: one object; below 15: that many; 15: up to a NULL; 16 + n: argument n says */
    uint16_t values; /* index of its list of names in trace_values; 0: none */
};

struct PACKED trace_value {
    uint32_t value;
    uint16_t name; /* offset into trace_strings; 0 ends the list */
};
_Static_assert(K_cap_data < 64, "kinds have six bits");

extern const struct trace_call trace_calls[]; /* sorted by number */
extern const unsigned trace_call_count;
extern const struct trace_arg trace_args[];
extern const struct trace_value trace_values[];
extern const char trace_strings[];

/* Do the call, printing it (trace.c). */
long trace_decode(const unsigned long all[6], unsigned long nr);

/* A line under construction; what does not fit is dropped and shown as "...". */
struct trace_line {
    size_t used;
    size_t column; /* where text starts on the console */
    char text[480];
};

void trace_add(struct trace_line *l, const char *format, ...) PRINTF(2, 3);
/* "bytes" with C escapes, the first TRACE_STRING of n. */
void trace_bytes(struct trace_line *l, uintptr_t addr, size_t n);
/* NAME|NAME|0x80, from a list in trace_values. */
void trace_flags(struct trace_line *l, const struct trace_value *list, unsigned long v);
/* One object of kind, read from addr; false when it cannot be read or has no decoder. */
bool trace_object(struct trace_line *l, unsigned kind, uintptr_t addr);
size_t trace_object_size(unsigned kind);
void trace_signal(struct trace_line *l, int sig);
void trace_sigset(struct trace_line *l, uint64_t set);
/* "ENOENT", or NULL. */
const char *trace_errno(int err);

enum { TRACE_STRING = 32, TRACE_PATH = 160, TRACE_ELEMENTS = 8 };

#endif
