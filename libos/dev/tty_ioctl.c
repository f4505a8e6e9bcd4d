/* SPDX-License-Identifier: MIT */
/* The ioctls of terminals: modes, flow, queues, window size. ioctl_tty(2). */
#include "tty_int.h"
#include <abi/errno.h>
#include <abi/fcntl.h>
#include <abi/poll.h>
#include <abi/signal.h>
#include <libos/process.h>
#include <libos/user.h>
#include <string.h>

enum { CAP_SYS_ADMIN = 21, TERMIO_CC = 8 };

/* B0 to B38400, then those with CBAUDEX (010000) set: B57600 on. */
static const uint32_t speeds[] = { 0,   50,   75,   110,  134,  150,  200,   300,
                                   600, 1200, 1800, 2400, 4800, 9600, 19200, 38400 };
static const uint32_t fast_speeds[] = { 0,       57600,   115200,  230400,  460800,  500000,
                                        576000,  921600,  1000000, 1152000, 1500000, 2000000,
                                        2500000, 3000000, 3500000, 4000000 };

static uint32_t speed_of(uint32_t code, uint32_t number)
{
    code &= CBAUD;
    if (code == BOTHER)
        return number;
    return code & BOTHER ? fast_speeds[code & 017] : speeds[code & 017];
}

static void set_speeds(struct abi_termios2 *m)
{
    uint32_t in = m->c_cflag >> IBSHIFT & CBAUD;
    m->c_ospeed = speed_of(m->c_cflag, m->c_ospeed);
    m->c_ispeed = in ? speed_of(in, m->c_ispeed) : m->c_ospeed;
}

/* How the modes are laid out for a call. */
enum layout { LAYOUT_TERMIOS, LAYOUT_TERMIOS2, LAYOUT_TERMIO };

static long put_modes(const struct abi_termios2 *m, unsigned long arg, enum layout layout)
{
    if (layout == LAYOUT_TERMIOS2)
        return user_put(user_at(user_termios2_out_t, arg), m, 1);
    if (layout == LAYOUT_TERMIOS) {
        struct abi_termios out = {
            m->c_iflag, m->c_oflag, m->c_cflag, m->c_lflag, m->c_line, { 0 }
        };
        memcpy(out.c_cc, m->c_cc, sizeof(out.c_cc));
        return user_put(user_at(user_termios_out_t, arg), &out, 1);
    }
    struct abi_termio out = { (uint16_t)m->c_iflag,
                              (uint16_t)m->c_oflag,
                              (uint16_t)m->c_cflag,
                              (uint16_t)m->c_lflag,
                              m->c_line,
                              { 0 } };
    memcpy(out.c_cc, m->c_cc, sizeof(out.c_cc));
    return user_put(user_at(user_termio_out_t, arg), &out, 1);
}

/* Change *m by what the program gives. */
static int get_modes(struct abi_termios2 *m, unsigned long arg, enum layout layout)
{
    int err;
    if (layout == LAYOUT_TERMIOS2) {
        err = user_get(m, user_at(user_termios2_in_t, arg), 1);
    } else if (layout == LAYOUT_TERMIOS) {
        struct abi_termios in;
        err = user_get(&in, user_at(user_termios_in_t, arg), 1);
        if (!err)
            memcpy(m, &in, sizeof(in));
    } else {
        struct abi_termio in;
        err = user_get(&in, user_at(user_termio_in_t, arg), 1);
        if (!err) {
            m->c_iflag = (m->c_iflag & ~0xffffu) | in.c_iflag;
            m->c_oflag = (m->c_oflag & ~0xffffu) | in.c_oflag;
            m->c_cflag = (m->c_cflag & ~0xffffu) | in.c_cflag;
            m->c_lflag = (m->c_lflag & ~0xffffu) | in.c_lflag;
            m->c_line = in.c_line;
            memcpy(m->c_cc, in.c_cc, TERMIO_CC);
        }
    }
    if (!err)
        set_speeds(m);
    return err;
}

/* What is locked of *m stays as it was. */
static void keep_locked(struct abi_termios2 *m, const struct abi_termios2 *old,
                        const struct abi_termios2 *locked)
{
    m->c_iflag = (m->c_iflag & ~locked->c_iflag) | (old->c_iflag & locked->c_iflag);
    m->c_oflag = (m->c_oflag & ~locked->c_oflag) | (old->c_oflag & locked->c_oflag);
    m->c_cflag = (m->c_cflag & ~locked->c_cflag) | (old->c_cflag & locked->c_cflag);
    m->c_lflag = (m->c_lflag & ~locked->c_lflag) | (old->c_lflag & locked->c_lflag);
    m->c_line = locked->c_line ? old->c_line : m->c_line;
    for (unsigned i = 0; i < sizeof(m->c_cc); i++)
        m->c_cc[i] = locked->c_cc[i] ? old->c_cc[i] : m->c_cc[i];
}

static void set_modes(struct tty *t, const struct abi_termios2 *m)
{
    spin_lock(&t->lock);
    struct abi_termios2 old = t->termios;
    t->termios = *m;
    keep_locked(&t->termios, &old, &t->locked);
    if (t->ops->status) /* nothing is lost on the way to a master */
        t->termios.c_cflag = (t->termios.c_cflag & ~(uint32_t)(CSIZE | PARENB)) | CS8 | CREAD;
    tty_termios_changed(t, &old);
    bool was_flow =
        old.c_iflag & IXON && old.c_cc[VSTOP] == CONTROL_S && old.c_cc[VSTART] == CONTROL_Q;
    bool is_flow = m->c_iflag & IXON && m->c_cc[VSTOP] == CONTROL_S && m->c_cc[VSTART] == CONTROL_Q;
    if (t->ops->status && was_flow != is_flow)
        t->ops->status(t, is_flow ? TIOCPKT_DOSTOP : TIOCPKT_NOSTOP);
    if (t->ops->status && (old.c_lflag | m->c_lflag) & EXTPROC)
        t->ops->status(t, TIOCPKT_IOCTL);
    spin_unlock(&t->lock);
}

enum { SET_NOW, SET_DRAIN, SET_FLUSH };

static long change_modes(struct tty *t, unsigned long arg, enum layout layout, unsigned when)
{
    struct abi_termios2 m = t->termios;
    int err = tty_check_job(t, SIGTTOU);
    if (!err)
        err = get_modes(&m, arg, layout);
    if (err)
        return err;
    if (when != SET_NOW) {
        err = tty_wait_sent(t);
        if (err)
            return err;
    }
    if (when == SET_FLUSH) {
        spin_lock(&t->lock);
        tty_flush_input(t);
        spin_unlock(&t->lock);
    }
    set_modes(t, &m);
    return 0;
}

/* TIOCSLCKTRMIOS. */
static long lock_modes(struct tty *t, unsigned long arg)
{
    struct abi_termios in;
    if (!cred_capable(CAP_SYS_ADMIN))
        return -EPERM;
    if (user_get(&in, user_at(user_termios_in_t, arg), 1))
        return -EFAULT;
    spin_lock(&t->lock);
    memcpy(&t->locked, &in, sizeof(in));
    spin_unlock(&t->lock);
    return 0;
}

/* TIOCSSOFTCAR: a line that is always up. */
static long set_soft_carrier(struct tty *t, unsigned long arg)
{
    int on;
    if (user_get(&on, user_at(user_int_in_t, arg), 1))
        return -EFAULT;
    struct abi_termios2 m = t->termios;
    m.c_cflag = (m.c_cflag & ~(uint32_t)CLOCAL) | (on ? CLOCAL : 0);
    set_modes(t, &m);
    return 0;
}

static long mode_ioctl(struct tty *t, unsigned cmd, unsigned long arg)
{
    struct abi_termios2 m = t->termios;
    switch (cmd) {
    case TCGETS:
        return put_modes(&m, arg, LAYOUT_TERMIOS);
    case TCGETS2:
        return put_modes(&m, arg, LAYOUT_TERMIOS2);
    case TCGETA:
        return put_modes(&m, arg, LAYOUT_TERMIO);
    case TCSETS:
    case TCSETSW:
    case TCSETSF:
        return change_modes(t, arg, LAYOUT_TERMIOS, cmd - TCSETS);
    case TIOCGLCKTRMIOS:
        m = t->locked;
        return put_modes(&m, arg, LAYOUT_TERMIOS);
    case TIOCSLCKTRMIOS:
        return lock_modes(t, arg);
    case TIOCSSOFTCAR:
        return set_soft_carrier(t, arg);
    case TCSETS2:
    case TCSETS2 + 1:
    case TCSETS2 + 2:
        return change_modes(t, arg, LAYOUT_TERMIOS2, cmd - TCSETS2);
    case TCSETA:
    case TCSETAW:
    case TCSETAF:
        return change_modes(t, arg, LAYOUT_TERMIO, cmd - TCSETA);
    default:
        return -TTY_NO_IOCTL;
    }
}

static void flow_output(struct tty *t, bool stop)
{
    spin_lock(&t->lock);
    if (stop) {
        t->flow_stopped = true;
        tty_stop(t);
    } else if (t->flow_stopped) {
        t->flow_stopped = false;
        tty_start(t);
    }
    spin_unlock(&t->lock);
}

/* TCXONC. */
static long flow(struct tty *t, unsigned long arg)
{
    int err = tty_check_job(t, SIGTTOU);
    if (err)
        return err;
    switch (arg) {
    case TCOOFF:
    case TCOON:
        flow_output(t, arg == TCOOFF);
        return 0;
    case TCIOFF:
    case TCION: {
        uint8_t c = t->termios.c_cc[arg == TCIOFF ? VSTOP : VSTART];
        spin_lock(&t->lock);
        if (c != TTY_DISABLED && tty_room(t))
            t->ops->write(t, &c, 1);
        spin_unlock(&t->lock);
        return 0;
    }
    default:
        return -EINVAL;
    }
}

static void discard_output(struct tty *t)
{
    t->echo_tail = t->echo_head;
    t->ops->discard(t);
    if (t->ops->status)
        t->ops->status(t, TIOCPKT_FLUSHWRITE);
}

/* TCFLSH. */
static long flush(struct tty *t, unsigned long arg)
{
    int err = tty_check_job(t, SIGTTOU);
    if (err)
        return err;
    if (arg > TCIOFLUSH)
        return -EINVAL;
    spin_lock(&t->lock);
    if (arg != TCOFLUSH)
        tty_flush_input(t);
    if (arg != TCIFLUSH)
        discard_output(t);
    spin_unlock(&t->lock);
    waitq_wake(&t->write_wait, WAITQ_ALL, EPOLLOUT | EPOLLWRNORM);
    return 0;
}

/* TCSBRK with an argument, which is tcdrain; without one it asks for a break, which no channel here has. */
static long drain(struct tty *t)
{
    int err = tty_check_job(t, SIGTTOU);
    return err ? err : tty_wait_sent(t);
}

static long get_count(struct tty *t, bool input, unsigned long arg)
{
    spin_lock(&t->lock);
    int n = (int)(input ? tty_input_count(t) : t->ops->pending(t));
    spin_unlock(&t->lock);
    return user_put(user_at(user_int_out_t, arg), &n, 1);
}

static long set_winsize(struct tty *t, unsigned long arg)
{
    struct abi_winsize ws;
    int err = user_get(&ws, user_at(user_winsize_in_t, arg), 1);
    if (!err)
        tty_set_winsize(t, &ws);
    return err;
}

static long set_discipline(unsigned long arg)
{
    int n;
    int err = user_get(&n, user_at(user_int_in_t, arg), 1);
    return err ? err : n ? -EINVAL : 0; /* N_TTY is the only one */
}

static long put_int(unsigned long arg, int value)
{
    return user_put(user_at(user_int_out_t, arg), &value, 1);
}

/* TIOCSTI, as Linux with dev.tty.legacy_tiocsti=0: typing for others is an attack, but for an administrator. */
static long type_in(struct tty *t, unsigned long arg)
{
    uint8_t c;
    if (!cred_capable(CAP_SYS_ADMIN))
        return -EIO;
    if (user_get(&c, user_at(user_u8_in_t, arg), 1))
        return -EFAULT;
    tty_receive(t, &c, 1, SERIAL_OK);
    return 0;
}

long tty_ioctl(struct tty *t, unsigned cmd, unsigned long arg)
{
    switch (cmd) {
    case TIOCGWINSZ:
        return user_put(user_at(user_winsize_out_t, arg), &t->winsize, 1);
    case TIOCSWINSZ:
        return set_winsize(t, arg);
    case TIOCEXCL:
    case TIOCNXCL:
        t->exclusive = cmd == TIOCEXCL;
        return 0;
    case TIOCGEXCL:
        return put_int(arg, t->exclusive);
    case TIOCGDEV:
        return put_int(arg, (int)t->rdev);
    case TIOCGETD:
        return put_int(arg, 0);
    case TIOCSETD:
        return set_discipline(arg);
    case TIOCSTI:
        return type_in(t, arg);
    case TIOCGSOFTCAR:
        return put_int(arg, !!(t->termios.c_cflag & CLOCAL));
    case TIOCVHANGUP:
        if (!cred_capable(CAP_SYS_ADMIN))
            return -EPERM;
        tty_hangup(t);
        return 0;
    case TCXONC:
        return flow(t, arg);
    case TCFLSH:
        return flush(t, arg);
    case TCSBRK:
    case TCSBRKP:
    case TIOCSBRK:
        return drain(t);
    case TIOCCBRK:
        return tty_check_job(t, SIGTTOU);
    case FIONREAD:
        return get_count(t, true, arg);
    case TIOCOUTQ:
        return get_count(t, false, arg);
    default:
        return mode_ioctl(t, cmd, arg);
    }
}
