/* SPDX-License-Identifier: MIT */
/* signalfd(2): signals of the reader, taken by read. The file keeps only the set. */
#include <abi/errno.h>
#include <abi/fcntl.h>
#include <abi/poll.h>
#include <libos/event.h>
#include <libos/file.h>
#include <libos/heap.h>
#include <libos/poll.h>
#include <libos/signal.h>
#include <stdio.h>
#include <string.h>

struct signalfd {
    _Atomic uint64_t mask;
};

/* Which members of siginfo count, by signal and code (signal(7), as Linux's siginfo_layout). */
static void fill_info(struct abi_signalfd_siginfo *out, const struct abi_siginfo *in)
{
    memset(out, 0, sizeof(*out));
    out->ssi_signo = (uint32_t)in->si_signo;
    out->ssi_errno = in->si_errno;
    out->ssi_code = in->si_code;
    bool from_kernel = in->si_code > 0 && in->si_code < SI_KERNEL;
    if (from_kernel && in->si_signo == SIGCHLD) {
        out->ssi_pid = (uint32_t)in->chld.si_pid;
        out->ssi_uid = in->chld.si_uid;
        out->ssi_status = in->chld.si_status;
        out->ssi_utime = (uint64_t)in->chld.si_utime;
        out->ssi_stime = (uint64_t)in->chld.si_stime;
    } else if (from_kernel && in->si_signo == SIGIO) {
        out->ssi_band = (uint32_t)in->poll.si_band;
        out->ssi_fd = in->poll.si_fd;
    } else if (from_kernel && in->si_signo == SIGSYS) {
        out->ssi_call_addr = in->sys.si_call_addr;
        out->ssi_syscall = in->sys.si_syscall;
        out->ssi_arch = in->sys.si_arch;
    } else if (from_kernel) {
        out->ssi_addr = in->fault.si_addr;
        if (in->si_signo == SIGBUS)
            out->ssi_addr_lsb = (uint16_t)in->fault.si_addr_lsb;
    } else if (in->si_code == SI_TIMER) {
        out->ssi_tid = (uint32_t)in->timer.si_tid;
        out->ssi_overrun = (uint32_t)in->timer.si_overrun;
        out->ssi_ptr = in->timer.si_value.sival_ptr;
        out->ssi_int = in->timer.si_value.sival_int;
    } else {
        out->ssi_pid = (uint32_t)in->rt.si_pid;
        out->ssi_uid = in->rt.si_uid;
        out->ssi_ptr = in->si_code < 0 ? in->rt.si_value.sival_ptr : 0;
        out->ssi_int = in->si_code < 0 ? in->rt.si_value.sival_int : 0;
    }
}

static bool signalfd_ready(const struct signalfd *s)
{
    return signal_pending() & s->mask;
}

/* The next signal of the set; waits for it if asked to. */
static int signalfd_next(const struct signalfd *s, struct abi_siginfo *info, bool wait)
{
    while (!signal_take_now(s->mask, info)) {
        if (!wait)
            return -EAGAIN;
        int err = WAIT_EVENT(signal_waitq(), SLEEP_INTERRUPTIBLE, NO_DEADLINE, signalfd_ready(s));
        if (err)
            return -ERESTARTSYS;
    }
    return 0;
}

static ssize_type signalfd_read(struct file *f, struct iter *it, uint64_t *pos)
{
    struct signalfd *s = f->data;
    struct abi_siginfo info;
    struct abi_signalfd_siginfo out;
    ssize_type done = 0;
    if (it->left < sizeof(out))
        return -EINVAL;
    while (it->left >= sizeof(out)) {
        int err = signalfd_next(s, &info, !done && !(f->flags & O_NONBLOCK));
        if (err)
            return done ? done : err;
        fill_info(&out, &info);
        if (iter_put(it, &out, sizeof(out)) < sizeof(out))
            return done ? done : -EFAULT;
        done += (ssize_type)sizeof(out);
    }
    return done;
}

static unsigned signalfd_poll(struct file *f, struct poll_table *pt)
{
    poll_wait(pt, signal_waitq());
    return signalfd_ready(f->data) ? EPOLLIN : 0;
}

static void signalfd_release(struct file *f)
{
    heap_free(f->data);
}

static void signalfd_fdinfo(struct file *f, char *buf, size_t size)
{
    struct signalfd *s = f->data;
    snprintf(buf, size, "sigmask:\t%016llx\n", (unsigned long long)s->mask);
}

static const struct file_ops signalfd_ops = { .seek = file_seek_nowhere,
                                              .read = signalfd_read,
                                              .poll = signalfd_poll,
                                              .release = signalfd_release,
                                              .fdinfo = signalfd_fdinfo };

static uint64_t allowed(uint64_t mask)
{
    return mask & ~(ABI_SIGBIT(SIGKILL) | ABI_SIGBIT(SIGSTOP));
}

int signalfd_create(uint64_t mask, unsigned flags, struct file **ret_file)
{
    struct signalfd *s = heap_zalloc(sizeof(*s));
    if (!s)
        return -ENOMEM;
    s->mask = allowed(mask);
    int err =
        file_create_anon(&signalfd_ops, "[signalfd]", O_RDWR | (flags & SFD_NONBLOCK), s, ret_file);
    if (err)
        heap_free(s);
    return err;
}

int signalfd_set(struct file *f, uint64_t mask)
{
    if (f->ops != &signalfd_ops)
        return -EINVAL;
    struct signalfd *s = f->data;
    s->mask = allowed(mask);
    return 0;
}
