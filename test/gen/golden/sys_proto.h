/* SPDX-License-Identifier: MIT */
/* Written by syscalls/gen.py from syscalls/table. The bodies, one per call that has one: a result or a negative errno. */
#ifndef SYS_PROTO_H
#define SYS_PROTO_H

#include <abi/errno.h>
#include <abi/fcntl.h>
#include <abi/futex.h>
#include <abi/inotify.h>
#include <abi/mman.h>
#include <abi/poll.h>
#include <abi/prctl.h>
#include <abi/resource.h>
#include <abi/rseq.h>
#include <abi/sched.h>
#include <abi/signal.h>
#include <abi/socket.h>
#include <abi/stat.h>
#include <abi/statfs.h>
#include <abi/time.h>
#include <abi/uio.h>
#include <abi/utsname.h>
#include <abi/xattr.h>
#include <base/user_ptr.h>
#include <stddef.h>

long sys_read(int fd, user_u8_out_t buf, size_t count);
long sys_lseek(int fd, long offset, int whence);
long sys_mmap(uintptr_t addr, size_t len, unsigned long prot, unsigned long flags, int fd, long off);
long sys_pipe(user_int_out_t fds);
long sys_nanosleep(user_timespec_in_t req, user_timespec_out_t rem);
long sys_gettimeofday(user_timeval_out_t tv, user_timezone_out_t tz);
long sys_setxattr(user_str_t path, user_str_t name, user_u8_in_t value, size_t size, unsigned flags);
long sys_pipe2(user_int_out_t fds, unsigned flags);

long upcall_syscall(unsigned long a0, unsigned long a1, unsigned long a2, unsigned long a3, unsigned long a4,
                    unsigned long a5, unsigned long nr);
long upcall_syscall_traced(unsigned long a0, unsigned long a1, unsigned long a2, unsigned long a3, unsigned long a4,
                    unsigned long a5, unsigned long nr);

/* How often the call nr, at most SYS_NUMBER_END, was made though it is not implemented. */
unsigned sys_missed(unsigned long nr);
/* Count such a call, below SYS_NUMBER_END. -ENOSYS. */
long sys_missing(unsigned long nr);
/* The name of a call, or NULL. Slow: it counts names. */
const char *sys_call_name(unsigned long nr);

#endif
