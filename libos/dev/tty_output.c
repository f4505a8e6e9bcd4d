/* SPDX-License-Identifier: MIT */
/* Output processing (OPOST) and echo. Column tracking follows what is sent, so that tabs and erasures come out right.
 * An echo that does not fit into the driver waits in t->echo, already processed; nothing overtakes it. termios(3). */
#include "tty_int.h"
#include <abi/poll.h>
#include <string.h>

enum { OPOST_MAX = 8 }; /* bytes that one byte can become: a tab */

static bool is_control(uint8_t c)
{
    return c < ' ' || c == 0x7f;
}

size_t tty_room(struct tty *t)
{
    return t->stopped ? 0 : t->ops->room(t);
}

bool tty_drain_echo(struct tty *t)
{
    while (t->echo_tail != t->echo_head) {
        size_t room = tty_room(t);
        uint32_t at = t->echo_tail % TTY_ECHO_SIZE;
        size_t n = t->echo_head - t->echo_tail;
        n = n < TTY_ECHO_SIZE - at ? n : TTY_ECHO_SIZE - at;
        n = n < room ? n : room;
        if (!n)
            return false;
        t->ops->write(t, t->echo + at, n);
        t->echo_tail += (uint32_t)n;
    }
    return true;
}

/* Send n bytes of echo, or queue them; what does not fit the queue is lost, as a terminal that nobody reads loses it. */
static void emit(struct tty *t, const uint8_t *buf, size_t n)
{
    if (tty_drain_echo(t) && tty_room(t) >= n) {
        t->ops->write(t, buf, n);
        return;
    }
    if (TTY_ECHO_SIZE - (t->echo_head - t->echo_tail) < n)
        return;
    for (size_t i = 0; i < n; i++)
        t->echo[t->echo_head++ % TTY_ECHO_SIZE] = buf[i];
}

static size_t newline(struct tty *t, uint8_t *out)
{
    uint32_t o = t->termios.c_oflag;
    if (o & ONLRET)
        t->column = 0;
    if (o & ONLCR) {
        t->column = t->canon_column = 0;
        out[0] = '\r';
        out[1] = '\n';
        return 2;
    }
    t->canon_column = t->column;
    out[0] = '\n';
    return 1;
}

static size_t carriage_return(struct tty *t, uint8_t *out)
{
    uint32_t o = t->termios.c_oflag;
    if (o & ONOCR && t->column == 0)
        return 0;
    out[0] = '\r';
    if (o & OCRNL) {
        out[0] = '\n';
        if (!(o & ONLRET))
            return 1;
    }
    t->column = t->canon_column = 0;
    return 1;
}

static size_t tab(struct tty *t, uint8_t *out)
{
    size_t spaces = 8 - (t->column & 7);
    t->column += (uint32_t)spaces;
    out[0] = '\t';
    if ((t->termios.c_oflag & XTABS) != XTABS)
        return 1;
    memset(out, ' ', spaces);
    return spaces;
}

/* Process one byte of output into out; how many bytes came of it. */
static size_t opost(struct tty *t, uint8_t c, uint8_t out[OPOST_MAX])
{
    switch (c) {
    case '\n':
        return newline(t, out);
    case '\r':
        return carriage_return(t, out);
    case '\t':
        return tab(t, out);
    case '\b':
        if (t->column)
            t->column--;
        break;
    default:
        if (is_control(c))
            break;
        if (t->termios.c_oflag & OLCUC && c >= 'a' && c <= 'z')
            c -= 'a' - 'A';
        if (!(t->termios.c_iflag & IUTF8 && (c & 0xc0) == 0x80))
            t->column++;
    }
    out[0] = c;
    return 1;
}

/* Bytes at the start of buf that pass unchanged and advance the column by one each. */
static size_t plain_run(const struct tty *t, const uint8_t *buf, size_t n)
{
    size_t i = 0;
    if (t->termios.c_oflag & OLCUC)
        return 0;
    while (i < n && buf[i] >= ' ' && buf[i] < 0x7f)
        i++;
    return i;
}

size_t tty_output(struct tty *t, const uint8_t *buf, size_t n)
{
    size_t done = 0;
    if (!tty_drain_echo(t))
        return 0;
    while (done < n) {
        size_t room = tty_room(t), left = n - done;
        size_t run = t->termios.c_oflag & OPOST ? plain_run(t, buf + done, left) : left;
        run = run < room ? run : room;
        if (run) {
            t->ops->write(t, buf + done, run);
            t->column += (uint32_t)run;
            done += run;
            continue;
        }
        if (room < OPOST_MAX)
            break;
        uint8_t out[OPOST_MAX];
        size_t len = opost(t, buf[done++], out);
        if (len)
            t->ops->write(t, out, len);
    }
    return done;
}

void tty_echo_raw(struct tty *t, uint8_t c)
{
    emit(t, &c, 1);
}

void tty_echo(struct tty *t, uint8_t c)
{
    uint8_t out[OPOST_MAX] = { c };
    size_t n = t->termios.c_oflag & OPOST ? opost(t, c, out) : 1;
    if (n)
        emit(t, out, n);
}

void tty_echo_control(struct tty *t, uint8_t c)
{
    if (!(t->termios.c_lflag & ECHOCTL) || !is_control(c) || c == '\t') {
        tty_echo(t, c);
        return;
    }
    emit(t, (uint8_t[]){ '^', c ^ 0100 }, 2);
    t->column += 2;
}

void tty_stop(struct tty *t)
{
    if (t->stopped)
        return;
    t->stopped = true;
    if (t->ops->status)
        t->ops->status(t, TIOCPKT_STOP);
}

void tty_start(struct tty *t)
{
    if (!t->stopped || t->flow_stopped)
        return;
    t->stopped = false;
    if (t->ops->status)
        t->ops->status(t, TIOCPKT_START);
    tty_drain_echo(t);
    waitq_wake(&t->write_wait, WAITQ_ALL, EPOLLOUT | EPOLLWRNORM);
}

void tty_output_ready(struct tty *t)
{
    spin_lock(&t->lock);
    bool clear = tty_drain_echo(t);
    spin_unlock(&t->lock);
    if (clear && waitq_active(&t->write_wait))
        waitq_wake(&t->write_wait, WAITQ_ALL, EPOLLOUT | EPOLLWRNORM);
}
