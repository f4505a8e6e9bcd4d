/* SPDX-License-Identifier: MIT */
/* How strace shows what the program's pointers point to: one function per type. Long structs show their main members
 * and "..."; types without a function are shown as an address by the caller. */
#include "trace.h"

#include <libos/user.h>
#include <sys_proto.h>

#include <base/compiler.h>
#include <string.h>

/* Anything that is fetched. */
union object {
    uint8_t u8;
    int i;
    long l;
    uint64_t u64;
    struct abi_timespec timespec;
    struct abi_timeval timeval;
    struct abi_timezone timezone;
    struct abi_itimerspec itimerspec;
    struct abi_itimerval itimerval;
    struct abi_utimbuf utimbuf;
    struct abi_tms tms;
    struct abi_stat stat;
    struct abi_statx statx;
    struct abi_statfs statfs;
    struct abi_iovec iovec;
    struct abi_rlimit rlimit;
    struct abi_rusage rusage;
    struct abi_sched_param sched_param;
    struct abi_sched_attr sched_attr;
    struct abi_clone_args clone_args;
    struct abi_sigaction sigaction;
    struct abi_siginfo siginfo;
    struct abi_sigevent sigevent;
    struct abi_stack stack;
    struct abi_sigset_arg sigset_arg;
    struct abi_pollfd pollfd;
    struct abi_epoll_event epoll_event;
    struct abi_futex_waitv futex_waitv;
    struct abi_open_how open_how;
    struct abi_utsname utsname;
    struct abi_sysinfo sysinfo;
    struct abi_cap_header cap_header;
    struct abi_cap_data cap_data;
};

#define SIZE_OF(name) [K_##name] = sizeof(((union object *)0)->name)

static const uint16_t sizes[] = {
    [K_int] = 4,          [K_uint] = 4,         [K_long] = 8,         [K_off] = 8,
    [K_ulong] = 8,        [K_size] = 8,         [K_addr] = 8,         [K_u64] = 8,
    [K_u8] = 1,           [K_char] = 1,         [K_sigset] = 8,       SIZE_OF(timespec),
    SIZE_OF(timeval),     SIZE_OF(timezone),    SIZE_OF(itimerspec),  SIZE_OF(itimerval),
    SIZE_OF(utimbuf),     SIZE_OF(tms),         SIZE_OF(stat),        SIZE_OF(statx),
    SIZE_OF(statfs),      SIZE_OF(iovec),       SIZE_OF(rlimit),      SIZE_OF(rusage),
    SIZE_OF(sched_param), SIZE_OF(sched_attr),  SIZE_OF(clone_args),  SIZE_OF(sigaction),
    SIZE_OF(siginfo),     SIZE_OF(sigevent),    SIZE_OF(stack),       SIZE_OF(sigset_arg),
    SIZE_OF(pollfd),      SIZE_OF(epoll_event), SIZE_OF(futex_waitv), SIZE_OF(open_how),
    SIZE_OF(utsname),     SIZE_OF(sysinfo),     SIZE_OF(cap_header),  SIZE_OF(cap_data),
    [K_cap_data + 1] = 0,
};

size_t trace_object_size(unsigned kind)
{
    return kind < ARRAY_SIZE(sizes) ? sizes[kind] : 0;
}

/* One bit of a set, with its name; names are short, so they stand in place and need no relocation. */
struct bit {
    uint32_t value;
    char name[16];
};

static void add_bits(struct trace_line *l, const struct bit *bits, size_t n, unsigned long v)
{
    const char *bar = "";
    for (size_t i = 0; i < n; i++)
        if (v & bits[i].value) {
            trace_add(l, "%s%s", bar, bits[i].name);
            v &= ~(unsigned long)bits[i].value;
            bar = "|";
        }
    if (v || !*bar)
        trace_add(l, v ? "%s%#lx" : "%s%lu", bar, v);
}

static void add_poll(struct trace_line *l, unsigned v, bool epoll)
{
    static const struct bit bits[] = {
        { POLLIN, "POLLIN" },
        { POLLPRI, "POLLPRI" },
        { POLLOUT, "POLLOUT" },
        { POLLERR, "POLLERR" },
        { POLLHUP, "POLLHUP" },
        { POLLNVAL, "POLLNVAL" },
        { POLLRDNORM, "POLLRDNORM" },
        { POLLRDBAND, "POLLRDBAND" },
        { POLLWRNORM, "POLLWRNORM" },
        { POLLRDHUP, "POLLRDHUP" },
        { EPOLLET, "POLLET" },
        { EPOLLONESHOT, "POLLONESHOT" },
        { EPOLLEXCLUSIVE, "POLLEXCLUSIVE" },
    };
    const char *bar = "";
    if (!v)
        trace_add(l, "0");
    for (size_t i = 0; i < ARRAY_SIZE(bits); i++)
        if (v & bits[i].value) {
            trace_add(l, "%s%s%s", bar, epoll ? "E" : "", bits[i].name);
            bar = "|";
        }
}

static void add_timespec(struct trace_line *l, const struct abi_timespec *t)
{
    trace_add(l, "{tv_sec=%ld, tv_nsec=%ld}", t->tv_sec, t->tv_nsec);
}

static void add_timeval(struct trace_line *l, const struct abi_timeval *t)
{
    trace_add(l, "{tv_sec=%ld, tv_usec=%ld}", t->tv_sec, t->tv_usec);
}

static void add_file_mode(struct trace_line *l, uint32_t mode)
{
    static const char types[16][8] = { [S_IFIFO >> 12] = "S_IFIFO", [S_IFCHR >> 12] = "S_IFCHR",
                                       [S_IFDIR >> 12] = "S_IFDIR", [S_IFBLK >> 12] = "S_IFBLK",
                                       [S_IFREG >> 12] = "S_IFREG", [S_IFLNK >> 12] = "S_IFLNK" };
    const char *type = types[mode >> 12 & 15];
    if (S_ISSOCK(mode))
        trace_add(l, "S_IFSOCK|%#03o", mode & ~(unsigned)S_IFMT);
    else if (*type)
        trace_add(l, "%.8s|%#03o", type, mode & ~(unsigned)S_IFMT);
    else
        trace_add(l, "%#o", mode);
}

static void add_stat(struct trace_line *l, const struct abi_stat *s)
{
    trace_add(l, "{st_mode=");
    add_file_mode(l, s->st_mode);
    if (S_ISCHR(s->st_mode) || S_ISBLK(s->st_mode))
        trace_add(l, ", st_rdev=makedev(%#x, %#x), ...}", abi_major(s->st_rdev),
                  abi_minor(s->st_rdev));
    else
        trace_add(l, ", st_size=%ld, ...}", s->st_size);
}

static void add_limit(struct trace_line *l, const char *name, uint64_t v)
{
    if (v == ABI_RLIM_INFINITY)
        trace_add(l, "%s=RLIM64_INFINITY", name);
    else if (v > 1024 && v % 1024 == 0)
        trace_add(l, "%s=%lu*1024", name, v / 1024);
    else
        trace_add(l, "%s=%lu", name, v);
}

static void add_sigaction(struct trace_line *l, const struct abi_sigaction *a)
{
    static const struct bit bits[] = {
        { SA_RESTORER, "SA_RESTORER" },   { SA_ONSTACK, "SA_ONSTACK" },
        { SA_RESTART, "SA_RESTART" },     { SA_NODEFER, "SA_NODEFER" },
        { SA_RESETHAND, "SA_RESETHAND" }, { SA_SIGINFO, "SA_SIGINFO" },
        { SA_NOCLDSTOP, "SA_NOCLDSTOP" }, { SA_NOCLDWAIT, "SA_NOCLDWAIT" },
    };
    if (a->handler <= ABI_SIG_IGN)
        trace_add(l, "{sa_handler=%s", a->handler == ABI_SIG_DFL ? "SIG_DFL" : "SIG_IGN");
    else
        trace_add(l, a->flags & SA_SIGINFO ? "{sa_sigaction=%#lx" : "{sa_handler=%#lx", a->handler);
    trace_add(l, ", sa_mask=");
    trace_sigset(l, a->mask);
    trace_add(l, ", sa_flags=");
    add_bits(l, bits, ARRAY_SIZE(bits), a->flags);
    trace_add(l, a->flags & SA_RESTORER ? ", sa_restorer=%#lx}" : "}", a->restorer);
}

static void add_siginfo(struct trace_line *l, const struct abi_siginfo *s)
{
    trace_add(l, "{si_signo=");
    trace_signal(l, s->si_signo);
    trace_add(l, ", si_code=%d", s->si_code);
    if (s->si_signo == SIGSEGV || s->si_signo == SIGBUS || s->si_signo == SIGILL ||
        s->si_signo == SIGFPE)
        trace_add(l, ", si_addr=%#lx}", s->fault.si_addr);
    else if (s->si_signo == SIGCHLD)
        trace_add(l, ", si_pid=%d, si_uid=%u, si_status=%d, ...}", s->chld.si_pid, s->chld.si_uid,
                  s->chld.si_status);
    else
        trace_add(l, ", si_pid=%d, si_uid=%u, si_value=%#lx}", s->rt.si_pid, s->rt.si_uid,
                  s->rt.si_value.sival_ptr);
}

static bool add_time(struct trace_line *l, unsigned kind, const union object *o)
{
    switch (kind) {
    case K_timespec:
        add_timespec(l, &o->timespec);
        return true;
    case K_timeval:
        add_timeval(l, &o->timeval);
        return true;
    case K_timezone:
        trace_add(l, "{tz_minuteswest=%d, tz_dsttime=%d}", o->timezone.tz_minuteswest,
                  o->timezone.tz_dsttime);
        return true;
    case K_itimerspec:
        trace_add(l, "{it_interval=");
        add_timespec(l, &o->itimerspec.it_interval);
        trace_add(l, ", it_value=");
        add_timespec(l, &o->itimerspec.it_value);
        trace_add(l, "}");
        return true;
    case K_itimerval:
        trace_add(l, "{it_interval=");
        add_timeval(l, &o->itimerval.it_interval);
        trace_add(l, ", it_value=");
        add_timeval(l, &o->itimerval.it_value);
        trace_add(l, "}");
        return true;
    case K_utimbuf:
        trace_add(l, "{actime=%ld, modtime=%ld}", o->utimbuf.actime, o->utimbuf.modtime);
        return true;
    case K_tms:
        trace_add(l, "{tms_utime=%ld, tms_stime=%ld, tms_cutime=%ld, tms_cstime=%ld}",
                  o->tms.tms_utime, o->tms.tms_stime, o->tms.tms_cutime, o->tms.tms_cstime);
        return true;
    }
    return false;
}

static bool add_file(struct trace_line *l, unsigned kind, const union object *o)
{
    switch (kind) {
    case K_stat:
        add_stat(l, &o->stat);
        return true;
    case K_statx:
        trace_add(l, "{stx_mask=%#x, stx_mode=", o->statx.stx_mask);
        add_file_mode(l, o->statx.stx_mode);
        trace_add(l, ", stx_size=%lu, ...}", o->statx.stx_size);
        return true;
    case K_statfs:
        trace_add(l, "{f_type=%#lx, f_bsize=%ld, f_blocks=%lu, f_bfree=%lu, f_bavail=%lu, ...}",
                  o->statfs.f_type, o->statfs.f_bsize, o->statfs.f_blocks, o->statfs.f_bfree,
                  o->statfs.f_bavail);
        return true;
    case K_iovec:
        trace_add(l, "{iov_base=%#lx, iov_len=%lu}", o->iovec.iov_base.addr, o->iovec.iov_len);
        return true;
    case K_open_how:
        trace_add(l, "{flags=%#lx, mode=%#lo, resolve=%#lx}", o->open_how.flags, o->open_how.mode,
                  o->open_how.resolve);
        return true;
    case K_pollfd:
        trace_add(l, "{fd=%d, events=", o->pollfd.fd);
        add_poll(l, (uint16_t)o->pollfd.events, false);
        if (o->pollfd.revents) {
            trace_add(l, ", revents=");
            add_poll(l, (uint16_t)o->pollfd.revents, false);
        }
        trace_add(l, "}");
        return true;
    case K_epoll_event:
        trace_add(l, "{events=");
        add_poll(l, o->epoll_event.events, true);
        trace_add(l, ", data=%#lx}", o->epoll_event.data);
        return true;
    }
    return false;
}

static bool add_signal(struct trace_line *l, unsigned kind, const union object *o)
{
    switch (kind) {
    case K_sigset:
        trace_sigset(l, o->u64);
        return true;
    case K_sigaction:
        add_sigaction(l, &o->sigaction);
        return true;
    case K_siginfo:
        add_siginfo(l, &o->siginfo);
        return true;
    case K_sigevent:
        trace_add(l, "{sigev_notify=%d, sigev_signo=", o->sigevent.sigev_notify);
        trace_signal(l, o->sigevent.sigev_signo);
        trace_add(l, "}");
        return true;
    case K_stack:
        trace_add(l, "{ss_sp=%#lx, ss_flags=%s, ss_size=%lu}", o->stack.ss_sp,
                  o->stack.ss_flags & SS_DISABLE   ? "SS_DISABLE"
                  : o->stack.ss_flags & SS_ONSTACK ? "SS_ONSTACK"
                                                   : "0",
                  o->stack.ss_size);
        return true;
    case K_sigset_arg:
        trace_add(l, "{sigmask=%#lx, sigsetsize=%lu}", o->sigset_arg.set.addr, o->sigset_arg.size);
        return true;
    }
    return false;
}

static bool add_process(struct trace_line *l, unsigned kind, const union object *o)
{
    switch (kind) {
    case K_rlimit:
        add_limit(l, "{rlim_cur", o->rlimit.rlim_cur);
        add_limit(l, ", rlim_max", o->rlimit.rlim_max);
        trace_add(l, "}");
        return true;
    case K_rusage:
        trace_add(l, "{ru_utime=");
        add_timeval(l, &o->rusage.ru_utime);
        trace_add(l, ", ru_stime=");
        add_timeval(l, &o->rusage.ru_stime);
        trace_add(l, ", ...}");
        return true;
    case K_sched_param:
        trace_add(l, "[%d]", o->sched_param.sched_priority);
        return true;
    case K_sched_attr:
        trace_add(
            l,
            "{size=%u, sched_policy=%u, sched_flags=%#lx, sched_nice=%d, sched_priority=%u, ...}",
            o->sched_attr.size, o->sched_attr.sched_policy, o->sched_attr.sched_flags,
            o->sched_attr.sched_nice, o->sched_attr.sched_priority);
        return true;
    case K_clone_args:
        trace_add(l, "{flags=%#lx, exit_signal=%lu, stack=%#lx, stack_size=%#lx, tls=%#lx, ...}",
                  o->clone_args.flags, o->clone_args.exit_signal, o->clone_args.stack,
                  o->clone_args.stack_size, o->clone_args.tls);
        return true;
    case K_futex_waitv:
        trace_add(l, "{val=%#lx, uaddr=%#lx, flags=%#x}", o->futex_waitv.val, o->futex_waitv.uaddr,
                  o->futex_waitv.flags);
        return true;
    case K_utsname:
        trace_add(l, "{sysname=\"%.65s\", nodename=\"%.65s\", ...}", o->utsname.sysname,
                  o->utsname.nodename);
        return true;
    case K_sysinfo:
        trace_add(l, "{uptime=%ld, totalram=%lu, freeram=%lu, procs=%u, mem_unit=%u, ...}",
                  o->sysinfo.uptime, o->sysinfo.totalram, o->sysinfo.freeram, o->sysinfo.procs,
                  o->sysinfo.mem_unit);
        return true;
    case K_cap_header:
        trace_add(l, "{version=%#x, pid=%d}", o->cap_header.version, o->cap_header.pid);
        return true;
    case K_cap_data:
        trace_add(l, "{effective=%#x, permitted=%#x, inheritable=%#x}", o->cap_data.effective,
                  o->cap_data.permitted, o->cap_data.inheritable);
        return true;
    }
    return false;
}

bool trace_object(struct trace_line *l, unsigned kind, uintptr_t addr)
{
    union object o;
    size_t size = trace_object_size(kind);
    if (!size || user_read_raw(&o, addr, size))
        return false;
    switch (kind) {
    case K_int:
        trace_add(l, "%d", o.i);
        return true;
    case K_uint:
        trace_add(l, "%u", (unsigned)o.i);
        return true;
    case K_long:
    case K_off:
        trace_add(l, "%ld", o.l);
        return true;
    case K_size:
        trace_add(l, "%lu", o.u64);
        return true;
    case K_addr:
    case K_ulong:
    case K_u64:
        trace_add(l, o.u64 ? "%#lx" : "NULL", o.u64);
        return true;
    }
    return add_time(l, kind, &o) || add_file(l, kind, &o) || add_signal(l, kind, &o) ||
           add_process(l, kind, &o);
}
