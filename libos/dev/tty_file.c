/* SPDX-License-Identifier: MIT */
/* Terminals as files: read with VMIN and VTIME, write, poll. One reader and one writer at a time, so that lines stay
 * whole. Bytes go through a buffer on the stack: t->lock is never held over a copy. termios(3). */
#include "tty_int.h"
#include <abi/errno.h>
#include <abi/fcntl.h>
#include <abi/poll.h>
#include <abi/signal.h>
#include <libos/file.h>
#include <libos/heap.h>
#include <libos/owner.h>
#include <libos/poll.h>
#include <libos/process.h>
#include <libos/sched.h>
#include <plat/time.h>

enum { PIECE = 256, TENTH_NS = 100000000 };

/* Be the only reader (or writer). -EAGAIN (another is, O_NONBLOCK), -ERESTARTSYS. */
static int enter(struct tty *t, bool *busy, struct waitq *q, bool wait)
{
    for (;;) {
        spin_lock(&t->lock);
        bool mine = !*busy;
        *busy = true;
        spin_unlock(&t->lock);
        if (mine)
            return 0;
        if (!wait)
            return -EAGAIN;
        int err = WAIT_EVENT(q, SLEEP_INTERRUPTIBLE, NO_DEADLINE, !*(volatile bool *)busy);
        if (err)
            return -ERESTARTSYS;
    }
}

static void leave(struct tty *t, bool *busy, struct waitq *q)
{
    spin_lock(&t->lock);
    *busy = false;
    spin_unlock(&t->lock);
    if (waitq_active(q))
        waitq_wake(q, WAITQ_ALL, 0);
}

/* A read on its way. */
struct reading {
    struct tty_file *tf;
    struct file *file;
    bool canonical, no_wait; /* no_wait: VMIN and VTIME are 0 */
    uint32_t minimum;        /* bytes that end the read */
    uint64_t between_ns;     /* VTIME after each byte; 0: none */
    uint64_t deadline_ns;
};

static void begin_read(struct reading *r)
{
    const struct abi_termios2 *m = &r->tf->tty->termios;
    uint64_t time = m->c_cc[VTIME] * (uint64_t)TENTH_NS;
    r->canonical = m->c_lflag & ICANON;
    r->deadline_ns = NO_DEADLINE;
    r->between_ns = 0;
    r->minimum = 1;
    r->no_wait = false;
    if (r->canonical)
        return;
    if (m->c_cc[VMIN]) {
        r->minimum = m->c_cc[VMIN];
        r->between_ns = time;
    } else if (time) {
        r->deadline_ns = plat_time_ns() + time;
    } else {
        r->no_wait = true;
    }
}

static bool read_may_go_on(const struct reading *r)
{
    const struct tty *t = r->tf->tty;
    return tty_input_available(t, false) || tty_hung(r->tf) ||
           *(const volatile bool *)&t->other_closed || *(const volatile bool *)&t->no_more_input ||
           r->canonical != (bool)(t->termios.c_lflag & ICANON);
}

/* Nothing is there: wait. 1: look again; 0: the read ends; or an errno. */
static int wait_for_input(struct reading *r, ssize_type done)
{
    struct tty *t = r->tf->tty;
    if (t->other_closed)
        return -EIO;
    if (tty_hung(r->tf) || t->no_more_input || r->no_wait)
        return 0;
    if (r->file->flags & O_NONBLOCK)
        return -EAGAIN;
    int err = WAIT_EVENT(&t->read_wait, SLEEP_INTERRUPTIBLE, r->deadline_ns, read_may_go_on(r));
    if (err == -ETIMEDOUT)
        return 0;
    return err ? -ERESTARTSYS : 1;
}

static ssize_type read_loop(struct reading *r, struct iter *it)
{
    struct tty *t = r->tf->tty;
    uint8_t buf[PIECE];
    ssize_type done = 0;
    while (it->left) {
        bool end;
        spin_lock(&t->lock);
        size_t n = tty_take(t, buf, it->left < PIECE ? it->left : PIECE, &end);
        spin_unlock(&t->lock);
        if (n && iter_put(it, buf, n) < n)
            return done ? done : -EFAULT;
        done += (ssize_type)n;
        if (end)
            break;
        if (n && r->canonical && tty_input_available(t, false))
            continue; /* a long line */
        if (n && !r->canonical) {
            if (done >= (ssize_type)r->minimum && !tty_input_available(t, false))
                break;
            if (r->between_ns)
                r->deadline_ns = plat_time_ns() + r->between_ns;
            continue;
        }
        int more = wait_for_input(r, done);
        if (more <= 0)
            return done ? done : more;
    }
    return done;
}

static ssize_type tty_read(struct file *f, struct iter *it, uint64_t *pos)
{
    struct reading r = { .tf = f->data, .file = f };
    struct tty *t = r.tf->tty;
    if (tty_hung(r.tf))
        return 0;
    int err = tty_check_job(t, SIGTTIN);
    if (!err)
        err = enter(t, &t->reader_busy, &t->read_wait, !(f->flags & O_NONBLOCK));
    if (err)
        return err;
    begin_read(&r);
    ssize_type n = read_loop(&r, it);
    leave(t, &t->reader_busy, &t->read_wait);
    return n;
}

static bool write_may_go_on(const struct tty_file *tf)
{
    struct tty *t = tf->tty;
    spin_lock(&t->lock);
    bool room = tty_drain_echo(t) && tty_room(t) >= 8;
    spin_unlock(&t->lock);
    return room || tty_hung(tf) || t->other_closed;
}

static int wait_for_room(struct tty_file *tf, struct file *f)
{
    struct tty *t = tf->tty;
    if (tty_hung(tf) || t->other_closed)
        return -EIO;
    if (f->flags & O_NONBLOCK)
        return -EAGAIN;
    struct waiter w;
    int err = 0;
    waitq_add(&t->write_wait, &w);
    while (!write_may_go_on(tf)) {
        thread_prepare_sleep(SLEEP_INTERRUPTIBLE);
        /* The condition needs a lock, so it is asked before and after: a wake between ends the sleep at once. */
        if (write_may_go_on(tf) || (err = thread_sleep(NO_DEADLINE)))
            break;
    }
    thread_finish_sleep();
    waitq_remove(&t->write_wait, &w);
    return err ? -ERESTARTSYS : 0;
}

static ssize_type write_loop(struct tty_file *tf, struct file *f, struct iter *it)
{
    struct tty *t = tf->tty;
    uint8_t buf[PIECE];
    ssize_type done = 0;
    while (it->left) {
        size_t want = it->left < PIECE ? it->left : PIECE;
        size_t n = iter_get(it, buf, want), at = 0;
        while (at < n) {
            spin_lock(&t->lock);
            bool gone = tty_hung(tf) || t->other_closed;
            size_t took = gone ? 0 : tty_output(t, buf + at, n - at);
            spin_unlock(&t->lock);
            at += took;
            done += (ssize_type)took;
            int err = at < n ? wait_for_room(tf, f) : 0;
            if (err)
                return done ? done : err;
        }
        if (n < want)
            return done ? done : -EFAULT;
        if (done % PAGE_SIZE == 0)
            thread_preempt_point();
    }
    return done;
}

static ssize_type tty_write(struct file *f, struct iter *it, uint64_t *pos)
{
    struct tty_file *tf = f->data;
    struct tty *t = tf->tty;
    if (tty_hung(tf) || t->other_closed)
        return -EIO;
    int err = t->termios.c_lflag & TOSTOP ? tty_check_job(t, SIGTTOU) : 0;
    if (!err)
        err = enter(t, &t->writer_busy, &t->write_wait, !(f->flags & O_NONBLOCK));
    if (err)
        return err;
    ssize_type n = write_loop(tf, f, it);
    leave(t, &t->writer_busy, &t->write_wait);
    return n;
}

static unsigned tty_poll(struct file *f, struct poll_table *pt)
{
    struct tty_file *tf = f->data;
    struct tty *t = tf->tty;
    unsigned events = 0;
    poll_wait(pt, &t->read_wait);
    poll_wait(pt, &t->write_wait);
    if (tty_hung(tf))
        return EPOLLIN | EPOLLOUT | EPOLLERR | EPOLLHUP | EPOLLRDNORM | EPOLLWRNORM;
    if (tty_input_available(t, true) || t->no_more_input)
        events |= EPOLLIN | EPOLLRDNORM;
    if (t->other_closed)
        events |= EPOLLHUP;
    spin_lock(&t->lock);
    if (tty_room(t) && t->ops->pending(t) < TTY_WAKE_BELOW)
        events |= EPOLLOUT | EPOLLWRNORM;
    spin_unlock(&t->lock);
    return events;
}

static long tty_file_ioctl(struct file *f, unsigned cmd, unsigned long arg)
{
    struct tty_file *tf = f->data;
    if (tty_hung(tf))
        return cmd == TIOCSPGRP ? -ENOTTY : -EIO;
    if (cmd == TIOCGPTPEER) /* of masters */
        return -EIO;
    long result = tty_session_ioctl(tf->tty, cmd, arg, false);
    if (result == -TTY_NO_IOCTL)
        result = tty_ioctl(tf->tty, cmd, arg);
    return result == -TTY_NO_IOCTL ? -ENOTTY : result;
}

static void tty_release(struct file *f)
{
    struct tty_file *tf = f->data;
    struct tty *t = tf->tty;
    spin_lock(&t->lock);
    bool last = !tty_hung(tf) && --t->opens == 0;
    if (last)
        t->exclusive = false;
    spin_unlock(&t->lock);
    if (last && t->ops->closed)
        t->ops->closed(t);
    tty_put(t);
    heap_free(tf);
}

static bool all_sent(struct tty *t)
{
    spin_lock(&t->lock);
    bool sent = tty_drain_echo(t) && !t->ops->pending(t);
    spin_unlock(&t->lock);
    return sent;
}

int tty_wait_sent(struct tty *t)
{
    enum { LOOK_AGAIN_NS = 10000000 }; /* the last bytes leave the device without telling */
    while (!all_sent(t)) {
        thread_prepare_sleep(SLEEP_INTERRUPTIBLE);
        int err = thread_sleep(plat_time_ns() + LOOK_AGAIN_NS);
        thread_finish_sleep();
        if (err == -EINTR)
            return -ERESTARTSYS;
    }
    return 0;
}

int tty_async(struct file *f)
{
    struct tty_file *tf = f->ops == &tty_file_ops ? f->data : NULL;
    int pgrp = tf ? *(const volatile int *)&tf->tty->pgrp : 0;
    return pgrp ? file_set_owner_first(f, F_OWNER_PGRP, pgrp)
                : file_set_owner_first(f, F_OWNER_PID, process_current()->pid);
}

const struct file_ops tty_file_ops = { .read = tty_read,
                                       .write = tty_write,
                                       .poll = tty_poll,
                                       .ioctl = tty_file_ioctl,
                                       .async = tty_async,
                                       .release = tty_release };

static long stream_ioctl(struct file *f, unsigned cmd, unsigned long arg)
{
    struct tty_file *tf = f->data;
    return cmd == FIONREAD ? tty_ioctl(tf->tty, cmd, arg) : -ENOTTY;
}

const struct file_ops tty_stream_ops = { .read = tty_read,
                                         .write = tty_write,
                                         .poll = tty_poll,
                                         .ioctl = stream_ioctl,
                                         .release = tty_release };
