/* SPDX-License-Identifier: MIT */
/* Written by syscalls/gen.py from syscalls/table. The dispatcher: registers in, result out. */
#include <base/compiler.h>
#include <libos/sys.h>
#include <stdatomic.h>
#include <sys_proto.h>

/* How often each call was made that is not implemented (sys_missing_report). They order nothing. */
static _Atomic unsigned missing[SYS_NUMBER_END], missing_beyond;

/* The parameters are in the order in which the entry code has them: a0 to a5 in registers, nr on the stack. Every body
 * is then a jump with its arguments in place. Tracing costs nothing here: see upcall_syscall_traced in trace.c. */
long upcall_syscall(unsigned long a0, unsigned long a1, unsigned long a2, unsigned long a3, unsigned long a4,
                    unsigned long a5, unsigned long nr)
{
    switch (nr) {
    case 0:
        return sys_read((int)a0, (user_u8_out_t){ a1 }, (size_t)a2);
    case 8:
        return sys_lseek((int)a0, (long)a1, (int)a2);
    case 9:
        if ((unsigned long)a2 & ~(unsigned long)(PROT_READ | PROT_WRITE))
            return -EINVAL;
        return sys_mmap((uintptr_t)a0, (size_t)a1, (unsigned long)a2, (unsigned long)a3, (int)a4, (long)a5);
    case 22:
        return sys_pipe((user_int_out_t){ a0 });
    case 35:
        return sys_nanosleep((user_timespec_in_t){ a0 }, (user_timespec_out_t){ a1 });
    case 96:
        return sys_gettimeofday((user_timeval_out_t){ a0 }, (user_timezone_out_t){ a1 });
    case 188:
        return sys_setxattr((user_str_t){ a0 }, (user_str_t){ a1 }, (user_u8_in_t){ a2 }, (size_t)a3, (unsigned)a4);
    case 293:
        if ((unsigned)a1 & ~(unsigned)(O_CLOEXEC | O_NONBLOCK))
            return -EINVAL;
        return sys_pipe2((user_int_out_t){ a0 }, (unsigned)a1);
    case 24: /* sched_yield */
        return 0;
    case 39: /* getpid */
        return 1;
    case 165: /* mount */
        return -EPERM;
    case 1 ... 7:
    case 10 ... 21:
    case 23:
    case 25 ... 34:
    case 36 ... 38:
    case 40 ... 95:
    case 97 ... 164:
    case 166 ... 187:
    case 189 ... 292:
    case 294 ... SYS_NUMBER_END - 1:
        atomic_fetch_add_explicit(&missing[nr], 1, memory_order_relaxed);
        return -ENOSYS;
    default:
        atomic_fetch_add_explicit(&missing_beyond, 1, memory_order_relaxed);
        return -ENOSYS;
    }
}

long sys_missing(unsigned long nr)
{
    atomic_fetch_add_explicit(&missing[nr], 1, memory_order_relaxed);
    return -ENOSYS;
}

unsigned sys_missed(unsigned long nr)
{
    return atomic_load_explicit(nr < SYS_NUMBER_END ? &missing[nr] : &missing_beyond, memory_order_relaxed);
}
