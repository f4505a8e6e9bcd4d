/* SPDX-License-Identifier: MIT */
/* Terminals as objects: creation, open and close, sessions and job control, hang-up. Who controls what is kept twice,
 * in the terminal (session, foreground group; t->lock) and in each process (process->tty; process_lock): both locks are taken,
 * t->lock first, to change it. A session's terminal is counted once, by the session: the processes only point to it. */
#include "tty_int.h"
#include <abi/errno.h>
#include <abi/fcntl.h>
#include <abi/poll.h>
#include <abi/signal.h>
#include <libos/file.h>
#include <libos/heap.h>
#include <libos/signal.h>
#include <libos/user.h>
#include <stdio.h>
#include <string.h>

enum { CAP_SYS_ADMIN = 21 };

#define CONTROL(c) ((c)&037)

static const uint8_t default_cc[ABI_NCCS] = {
    [VINTR] = CONTROL('C'),
    [VQUIT] = 034,
    [VERASE] = 0177,
    [VKILL] = CONTROL('U'),
    [VEOF] = CONTROL('D'),
    [VTIME] = 0,
    [VMIN] = 1,
    [VSTART] = CONTROL('Q'),
    [VSTOP] = CONTROL('S'),
    [VSUSP] = CONTROL('Z'),
    [VREPRINT] = CONTROL('R'),
    [VDISCARD] = CONTROL('O'),
    [VWERASE] = CONTROL('W'),
    [VLNEXT] = CONTROL('V'),
};

struct tty *tty_create(const struct tty_ops *ops, void *data, const char *name, uint32_t rdev,
                       bool stream)
{
    struct tty *t = heap_zalloc(sizeof(*t));
    if (!t)
        return NULL;
    t->refs = 1;
    spin_init(&t->lock, RANK_TTY);
    waitq_init(&t->read_wait);
    waitq_init(&t->write_wait);
    t->ops = ops;
    t->data = data;
    t->rdev = rdev;
    snprintf(t->name, sizeof(t->name), "%s", name);
    struct abi_termios2 *m = &t->termios;
    m->c_cflag = B38400 | CS8 | CREAD;
    m->c_ispeed = m->c_ospeed = 38400;
    memcpy(m->c_cc, default_cc, sizeof(m->c_cc));
    t->stream = stream;
    if (!stream) {
        m->c_iflag = ICRNL | IXON;
        m->c_oflag = OPOST | ONLCR;
        m->c_lflag = ISIG | ICANON | ECHO | ECHOE | ECHOK | ECHOCTL | ECHOKE | IEXTEN;
    }
    return t;
}

void tty_get(struct tty *t)
{
    t->refs++;
}

void tty_put(struct tty *t)
{
    if (!t || atomic_fetch_sub(&t->refs, 1) != 1)
        return;
    if (t->ops->release)
        t->ops->release(t);
    heap_free(t);
}

struct tty *tty_of_file(struct file *f)
{
    return f->ops == &tty_file_ops ? ((struct tty_file *)f->data)->tty : NULL;
}

/* Take the current process's session as t's. Locks: t->lock held. */
static void control_locked(struct tty *t)
{
    struct process *p = process_current();
    if (!t->session)
        tty_get(t); /* the session's */
    spin_lock(&process_lock);
    p->tty = t;
    t->session = p->sid;
    t->pgrp = p->pgid;
    spin_unlock(&process_lock);
}

void tty_set_controlling(struct tty *t)
{
    spin_lock(&t->lock);
    control_locked(t);
    spin_unlock(&t->lock);
}

int tty_open(struct tty *t, struct file *f, bool may_control)
{
    struct tty_file *tf = heap_alloc(sizeof(*tf));
    struct process *p = process_current();
    int err = 0;
    if (!tf)
        return -ENOMEM;
    spin_lock(&t->lock);
    if (t->other_closed) {
        err = -EIO;
    } else if (t->exclusive && t->opens && !cred_capable(CAP_SYS_ADMIN)) {
        err = -EBUSY;
    } else {
        t->opens++;
        tf->tty = t;
        tf->generation = t->generation;
        if (may_control && !t->stream && f->can_read && !(f->flags & O_NOCTTY) &&
            p->is_session_leader && !p->tty && !t->session)
            control_locked(t);
    }
    spin_unlock(&t->lock);
    if (err) {
        heap_free(tf);
        return err;
    }
    tty_get(t);
    f->ops = t->stream ? &tty_stream_ops : &tty_file_ops;
    f->data = tf;
    if (t->ops->opened)
        t->ops->opened(t);
    return 0;
}

static int leave_tty(struct process *p, void *arg)
{
    if (p->tty == arg)
        p->tty = NULL;
    return 0;
}

/* No process has t as its controlling terminal any more. Locks: t->lock held. True: the session's reference is the
 * caller's, to put once no lock is held. */
static bool release_session(struct tty *t)
{
    if (!t->session)
        return false;
    t->session = t->pgrp = 0;
    spin_lock(&process_lock);
    process_each(0, leave_tty, t);
    spin_unlock(&process_lock);
    return true;
}

void tty_disassociate(struct process *p)
{
    spin_lock(&process_lock);
    struct tty *t = p->tty;
    bool leader = p->is_session_leader;
    if (t && leader)
        tty_get(t);
    else
        p->tty = NULL;
    spin_unlock(&process_lock);
    if (!t || !leader)
        return;
    spin_lock(&t->lock);
    bool ours = t->session == p->sid;
    if (ours) {
        tty_signal(t, SIGHUP);
        tty_signal(t, SIGCONT);
        release_session(t);
    }
    spin_unlock(&t->lock);
    if (ours)
        tty_put(t);
    tty_put(t);
}

static int hang_up_leader(struct process *p, void *arg)
{
    const int *session = arg;
    if (p->sid == *session && p->is_session_leader) {
        signal_kernel(p, SIGHUP);
        signal_kernel(p, SIGCONT);
    }
    return 0;
}

void tty_hangup(struct tty *t)
{
    spin_lock(&t->lock);
    int session = t->session;
    if (session) {
        spin_lock(&process_lock);
        process_each(0, hang_up_leader, &session);
        spin_unlock(&process_lock);
        tty_signal(t, SIGHUP);
    }
    bool had_session = release_session(t);
    t->generation++;
    t->opens = 0;
    t->exclusive = t->stopped = t->flow_stopped = false;
    t->tail = t->canon_head = t->head;
    t->echo_tail = t->echo_head;
    spin_unlock(&t->lock);
    unsigned gone = EPOLLIN | EPOLLOUT | EPOLLERR | EPOLLHUP | EPOLLRDNORM | EPOLLWRNORM;
    waitq_wake(&t->read_wait, WAITQ_ALL, gone);
    waitq_wake(&t->write_wait, WAITQ_ALL, gone);
    if (had_session)
        tty_put(t);
}

void tty_end_input(struct tty *t)
{
    spin_lock(&t->lock);
    t->no_more_input = true;
    spin_unlock(&t->lock);
    waitq_wake(&t->read_wait, WAITQ_ALL, EPOLLIN | EPOLLRDNORM);
}

void tty_set_winsize(struct tty *t, const struct abi_winsize *ws)
{
    spin_lock(&t->lock);
    if (memcmp(&t->winsize, ws, sizeof(*ws))) {
        t->winsize = *ws;
        tty_signal(t, SIGWINCH);
    }
    spin_unlock(&t->lock);
}

static bool signal_is_refused(int sig)
{
    struct abi_sigaction action;
    if (thread_current()->sigmask & ABI_SIGBIT(sig))
        return true;
    return !signal_action(sig, NULL, &action) && action.handler == ABI_SIG_IGN;
}

/* No parent outside the group but in the session could set the group going again. Only the current process's own parent
 * is asked. Locks: process_lock held. */
static bool is_orphaned(const struct process *p)
{
    return !p->parent || p->parent->pgid == p->pgid || p->parent->sid != p->sid;
}

int tty_check_job(struct tty *t, int sig)
{
    struct process *p = process_current();
    spin_lock(&process_lock);
    bool ours = p->tty == t;
    int pgid = p->pgid;
    bool orphaned = is_orphaned(p);
    spin_unlock(&process_lock);
    int foreground = *(volatile int *)&t->pgrp;
    if (!ours || !foreground || foreground == pgid)
        return 0;
    if (signal_is_refused(sig))
        return sig == SIGTTIN ? -EIO : 0;
    if (orphaned)
        return -EIO;
    struct abi_siginfo info = { .si_signo = sig, .si_code = SI_KERNEL };
    (void)signal_send_group(pgid, &info); /* the group is the caller's own */
    return -ERESTARTSYS;
}

static long set_controlling(struct tty *t, unsigned long steal)
{
    struct process *p = process_current();
    if (p->is_session_leader && p->sid == t->session)
        return 0;
    if (!p->is_session_leader || p->tty)
        return -EPERM;
    bool stolen = false;
    spin_lock(&t->lock);
    bool may = !t->session || (steal == 1 && cred_capable(CAP_SYS_ADMIN));
    if (may) {
        stolen = release_session(t);
        control_locked(t);
    }
    spin_unlock(&t->lock);
    if (stolen)
        tty_put(t);
    return may ? 0 : -EPERM;
}

static int group_session(struct process *p, void *arg)
{
    *(int *)arg = p->sid;
    return 1;
}

static long set_foreground(struct tty *t, unsigned long arg)
{
    struct process *p = process_current();
    int pgrp, session = 0;
    int err = tty_check_job(t, SIGTTOU);
    if (err)
        return err == -EIO ? -ENOTTY : err;
    if (p->tty != t || t->session != p->sid)
        return -ENOTTY;
    err = user_get(&pgrp, user_at(user_int_in_t, arg), 1);
    if (err)
        return err;
    if (pgrp < 0)
        return -EINVAL;
    spin_lock(&process_lock);
    process_each(pgrp ? pgrp : -1, group_session, &session);
    spin_unlock(&process_lock);
    if (!session)
        return -ESRCH;
    if (session != p->sid)
        return -EPERM;
    spin_lock(&t->lock);
    t->pgrp = pgrp;
    spin_unlock(&t->lock);
    return 0;
}

long tty_session_ioctl(struct tty *t, unsigned cmd, unsigned long arg, bool is_master)
{
    struct process *p = process_current();
    switch (cmd) {
    case TIOCSCTTY:
        return set_controlling(t, arg);
    case TIOCNOTTY:
        if (p->tty != t)
            return -ENOTTY;
        tty_disassociate(p);
        return 0;
    case TIOCGPGRP:
        if (!is_master && p->tty != t)
            return -ENOTTY;
        return user_put(user_at(user_int_out_t, arg), &t->pgrp, 1);
    case TIOCSPGRP:
        return set_foreground(t, arg);
    case TIOCGSID:
        if ((!is_master && p->tty != t) || !t->session)
            return -ENOTTY;
        return user_put(user_at(user_int_out_t, arg), &t->session, 1);
    default:
        return -TTY_NO_IOCTL;
    }
}
