/* SPDX-License-Identifier: MIT */
/* Input processing: what a byte from the line does. Everything happens as it arrives, in the interrupt: echo and signals do
 * not wait for a reader. The buffer is a ring; head counts bytes put, tail bytes read, canon_head is where the line that
 * is being edited begins. A byte that ends a line has its bit in line_ends set. termios(3). */
#include "tty_int.h"
#include <abi/poll.h>
#include <abi/signal.h>
#include <libos/signal.h>
#include <string.h>

enum { SLOT = TTY_INPUT_SIZE - 1 };

static uint8_t cc(const struct tty *t, unsigned i)
{
    return t->termios.c_cc[i];
}

static bool is_cc(const struct tty *t, unsigned i, uint8_t c)
{
    return c == t->termios.c_cc[i] && c != TTY_DISABLED;
}

static bool lflag(const struct tty *t, uint32_t bits)
{
    return t->termios.c_lflag & bits;
}

static uint8_t input_at(const struct tty *t, uint32_t i)
{
    return t->input[i & SLOT];
}

static bool is_continuation(const struct tty *t, uint8_t c)
{
    return t->termios.c_iflag & IUTF8 && (c & 0xc0) == 0x80;
}

static bool is_alnum(uint8_t c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_control(uint8_t c)
{
    return c < ' ' || c == 0x7f;
}

static void mark_end(struct tty *t, uint32_t i)
{
    t->line_ends[(i & SLOT) / 64] |= 1ull << (i % 64);
}

static bool ends_line(const struct tty *t, uint32_t i)
{
    return t->line_ends[(i & SLOT) / 64] >> (i % 64) & 1;
}

static void unmark(struct tty *t, uint32_t i)
{
    t->line_ends[(i & SLOT) / 64] &= ~(1ull << (i % 64));
}

static void store(struct tty *t, uint8_t c)
{
    t->input[t->head++ & SLOT] = c;
}

static void wake_readers(struct tty *t)
{
    if (waitq_active(&t->read_wait))
        waitq_wake(&t->read_wait, WAITQ_ALL, EPOLLIN | EPOLLRDNORM);
}

void tty_signal(struct tty *t, int sig)
{
    struct abi_siginfo info = { .si_signo = sig, .si_code = SI_KERNEL };
    if (t->pgrp)
        (void)signal_send_group(t->pgrp, &info); /* a group that has ended gets nothing */
}

void tty_flush_input(struct tty *t)
{
    t->tail = t->canon_head = t->head;
    memset(t->line_ends, 0, sizeof(t->line_ends));
    t->erasing = t->quote_next = false;
    if (t->ops->status)
        t->ops->status(t, TIOCPKT_FLUSHREAD);
    tty_unthrottle(t);
}

/* ^C and its like. */
static void receive_signal(struct tty *t, int sig, uint8_t c)
{
    tty_signal(t, sig);
    if (!lflag(t, NOFLSH)) {
        t->echo_tail = t->echo_head;
        t->ops->discard(t);
        tty_flush_input(t);
        waitq_wake(&t->write_wait, WAITQ_ALL, EPOLLOUT | EPOLLWRNORM); /* there is room now */
    }
    if (t->termios.c_iflag & IXON)
        tty_start(t);
    if (lflag(t, ECHO))
        tty_echo_control(t, c);
}

static void finish_erasing(struct tty *t)
{
    if (t->erasing) {
        tty_echo_raw(t, '/');
        t->column++;
        t->erasing = false;
    }
}

static void rub_out(struct tty *t)
{
    tty_echo_raw(t, '\b');
    tty_echo_raw(t, ' ');
    tty_echo_raw(t, '\b');
    if (t->column)
        t->column--;
}

/* Go back over a tab that was erased: to the column where it began, which follows from what is before it in the line. */
static void rub_out_tab(struct tty *t)
{
    uint32_t columns = 0, i = t->head;
    bool after_tab = false;
    while (i != t->canon_head) {
        uint8_t c = input_at(t, --i);
        if (c == '\t') {
            after_tab = true;
            break;
        }
        if (is_control(c))
            columns += lflag(t, ECHOCTL) ? 2 : 0;
        else if (!is_continuation(t, c))
            columns++;
    }
    if (!after_tab)
        columns += t->canon_column;
    for (uint32_t back = 8 - (columns & 7); back; back--) {
        tty_echo_raw(t, '\b');
        if (t->column)
            t->column--;
    }
}

/* Show that the character at t->head (which c is; n bytes) is gone. */
static void show_erased(struct tty *t, uint8_t c, uint32_t n, unsigned key)
{
    if (lflag(t, ECHOPRT)) {
        if (!t->erasing) {
            tty_echo_raw(t, '\\');
            t->column++;
            t->erasing = true;
        }
        tty_echo_control(t, c);
        for (uint32_t i = 1; i < n; i++)
            tty_echo_raw(t, input_at(t, t->head + i));
    } else if (key == VERASE && !lflag(t, ECHOE)) {
        tty_echo_control(t, cc(t, VERASE));
    } else if (c == '\t') {
        rub_out_tab(t);
    } else {
        if (is_control(c) && lflag(t, ECHOCTL))
            rub_out(t);
        if (!is_control(c) || lflag(t, ECHOCTL))
            rub_out(t);
    }
}

/* Erase one character from the end of the line, all its bytes. False: it begins before the line does. */
static bool erase_one(struct tty *t, unsigned key, bool *seen_word)
{
    uint32_t at = t->head;
    uint8_t c;
    do {
        c = input_at(t, --at);
    } while (is_continuation(t, c) && at != t->canon_head);
    if (is_continuation(t, c))
        return false;
    if (key == VWERASE) {
        if (is_alnum(c) || c == '_')
            *seen_word = true;
        else if (*seen_word)
            return false;
    }
    uint32_t n = t->head - at;
    t->head = at;
    if (lflag(t, ECHO))
        show_erased(t, c, n, key);
    return true;
}

/* VERASE, VWERASE, VKILL. */
static void erase(struct tty *t, unsigned key)
{
    bool seen_word = false;
    if (t->head == t->canon_head)
        return;
    if (key == VKILL && !lflag(t, ECHO)) {
        t->head = t->canon_head;
        return;
    }
    if (key == VKILL && !(lflag(t, ECHOK) && lflag(t, ECHOKE) && lflag(t, ECHOE))) {
        t->head = t->canon_head;
        finish_erasing(t);
        tty_echo_control(t, cc(t, VKILL));
        if (lflag(t, ECHOK))
            tty_echo(t, '\n');
        return;
    }
    while (t->head != t->canon_head && erase_one(t, key, &seen_word))
        if (key == VERASE)
            break;
    if (t->head == t->canon_head && lflag(t, ECHO))
        finish_erasing(t);
}

static void reprint(struct tty *t, uint8_t c)
{
    finish_erasing(t);
    tty_echo_control(t, c);
    tty_echo(t, '\n');
    for (uint32_t i = t->canon_head; i != t->head; i++)
        tty_echo_control(t, input_at(t, i));
}

static void end_line(struct tty *t, uint8_t c)
{
    mark_end(t, t->head);
    store(t, c);
    t->canon_head = t->head;
    wake_readers(t);
}

/* 0377 is doubled for programs that asked for PARMRK, so that it cannot be taken for a mark. */
static void store_marked(struct tty *t, uint8_t c)
{
    if (c == 0377 && t->termios.c_iflag & PARMRK)
        store(t, c);
    store(t, c);
}

/* moves: a new line is one; else it shows as ^J. */
static void echo_typed(struct tty *t, uint8_t c, bool moves)
{
    finish_erasing(t);
    if (c == '\n' && moves) {
        tty_echo(t, '\n');
        return;
    }
    if (t->canon_head == t->head)
        t->canon_column = t->column;
    tty_echo_control(t, c);
}

/* A byte that means something to line editing; true: it was dealt with. */
static bool receive_canonical(struct tty *t, uint8_t c)
{
    bool extended = lflag(t, IEXTEN);
    if (is_cc(t, VERASE, c)) {
        erase(t, VERASE);
    } else if (is_cc(t, VKILL, c)) {
        erase(t, VKILL);
    } else if (extended && is_cc(t, VWERASE, c)) {
        erase(t, VWERASE);
    } else if (extended && is_cc(t, VLNEXT, c)) {
        t->quote_next = true;
        if (lflag(t, ECHO)) {
            finish_erasing(t);
            if (lflag(t, ECHOCTL)) {
                tty_echo_raw(t, '^');
                tty_echo_raw(t, '\b');
            }
        }
    } else if (extended && lflag(t, ECHO) && is_cc(t, VREPRINT, c)) {
        reprint(t, c);
    } else if (c == '\n') {
        if (lflag(t, ECHO | ECHONL))
            tty_echo(t, '\n');
        end_line(t, c);
    } else if (is_cc(t, VEOF, c)) {
        end_line(t, TTY_DISABLED);
    } else if (is_cc(t, VEOL, c) || (extended && is_cc(t, VEOL2, c))) {
        if (lflag(t, ECHO))
            echo_typed(t, c, true);
        if (c == 0377 && t->termios.c_iflag & PARMRK)
            store(t, c);
        end_line(t, c);
    } else {
        return false;
    }
    return true;
}

/* Flow control and signals; true: the byte was dealt with. */
static bool receive_special(struct tty *t, uint8_t c)
{
    if (t->termios.c_iflag & IXON) {
        if (is_cc(t, VSTART, c)) {
            tty_start(t);
            return true;
        }
        if (is_cc(t, VSTOP, c)) {
            tty_stop(t);
            return true;
        }
    }
    if (!lflag(t, ISIG))
        return false;
    if (is_cc(t, VINTR, c))
        receive_signal(t, SIGINT, c);
    else if (is_cc(t, VQUIT, c))
        receive_signal(t, SIGQUIT, c);
    else if (is_cc(t, VSUSP, c))
        receive_signal(t, SIGTSTP, c);
    else
        return false;
    return true;
}

static void receive_byte(struct tty *t, uint8_t c)
{
    uint32_t iflag = t->termios.c_iflag;
    bool was_return = false;
    if (iflag & ISTRIP)
        c &= 0x7f;
    if (iflag & IUCLC && lflag(t, IEXTEN) && c >= 'A' && c <= 'Z')
        c += 'a' - 'A';
    if (t->quote_next) {
        t->quote_next = false;
        goto plain;
    }
    if (t->stopped && !t->flow_stopped && iflag & IXON && iflag & IXANY && !is_cc(t, VSTOP, c))
        tty_start(t);
    if (receive_special(t, c))
        return;
    if (c == '\r') {
        if (iflag & IGNCR)
            return;
        was_return = iflag & ICRNL;
        if (was_return)
            c = '\n';
    } else if (c == '\n' && iflag & INLCR) {
        c = '\r';
    }
    if (lflag(t, ICANON) && receive_canonical(t, c))
        return;
plain:
    if (lflag(t, ECHO))
        echo_typed(t, c, was_return);
    store_marked(t, c);
}

/* A byte that came with an error. */
static void receive_error(struct tty *t, uint8_t c, enum serial_error error)
{
    uint32_t iflag = t->termios.c_iflag;
    if (error == SERIAL_OVERRUN) {
        receive_byte(t, c);
    } else if (error == SERIAL_BREAK) {
        if (iflag & IGNBRK)
            return;
        if (iflag & BRKINT) {
            receive_signal(t, SIGINT, TTY_DISABLED);
            return;
        }
        if (iflag & PARMRK) {
            store(t, 0377);
            store(t, 0);
        }
        store(t, 0);
    } else if (!(iflag & INPCK)) {
        receive_byte(t, c);
    } else if (!(iflag & IGNPAR)) {
        if (iflag & PARMRK) {
            store(t, 0377);
            store(t, 0);
            store(t, c);
        } else {
            store(t, 0);
        }
    }
}

/* Room for bytes from the line. A line without an end that fills the buffer does not stop input: further bytes replace its
 * last one, so that the end of the line can arrive. Locks: t->lock held. */
static size_t receive_room(const struct tty *t)
{
    uint32_t used = t->head - t->tail;
    size_t free = TTY_INPUT_SIZE - used, each = t->termios.c_iflag & PARMRK ? 3 : 1;
    if (free / each > 1)
        return free / each - 1;
    return lflag(t, ICANON) && t->canon_head == t->tail ? 1 : 0;
}

size_t tty_receive_room(struct tty *t)
{
    spin_lock(&t->lock);
    size_t room = receive_room(t);
    if (!room)
        t->throttled = true;
    spin_unlock(&t->lock);
    return room;
}

/* Nothing is to be done to input but to keep it. */
static bool input_is_plain(const struct tty *t)
{
    return !(t->termios.c_iflag & (ISTRIP | IUCLC | IXON | INLCR | IGNCR | ICRNL | PARMRK)) &&
           !lflag(t, ISIG | ICANON | ECHO) && !t->quote_next;
}

static size_t store_all(struct tty *t, const uint8_t *buf, size_t n)
{
    size_t room = TTY_INPUT_SIZE - (t->head - t->tail);
    n = n < room ? n : room;
    for (size_t i = 0; i < n; i++)
        store(t, buf[i]);
    return n;
}

size_t tty_receive(struct tty *t, const uint8_t *buf, size_t n, enum serial_error error)
{
    size_t i = 0;
    spin_lock(&t->lock);
    bool plain = error == SERIAL_OK && input_is_plain(t);
    if (plain)
        i = store_all(t, buf, n);
    for (; !plain && i < n; i++) {
        size_t each = t->termios.c_iflag & PARMRK ? 3 : 1;
        if (TTY_INPUT_SIZE - (t->head - t->tail) < each) {
            if (!lflag(t, ICANON) || t->canon_head != t->tail)
                break;
            t->head = t->tail + TTY_INPUT_SIZE - (uint32_t)each;
        }
        if (i + 1 == n && error != SERIAL_OK)
            receive_error(t, buf[i], error);
        else
            receive_byte(t, buf[i]);
    }
    if (tty_input_available(t, true))
        wake_readers(t);
    spin_unlock(&t->lock);
    return i;
}

void tty_unthrottle(struct tty *t)
{
    if (!t->throttled || !receive_room(t))
        return;
    t->throttled = false;
    if (t->ops->resume)
        t->ops->resume(t);
}

size_t tty_input_count(const struct tty *t)
{
    if (!lflag(t, ICANON))
        return t->head - t->tail;
    size_t n = t->canon_head - t->tail;
    for (uint32_t i = t->tail; i != t->canon_head; i++)
        if (ends_line(t, i) && input_at(t, i) == TTY_DISABLED)
            n--; /* an end of file is no byte */
    return n;
}

bool tty_input_available(const struct tty *t, bool for_poll)
{
    if (lflag(t, ICANON))
        return *(const volatile uint32_t *)&t->canon_head != *(const volatile uint32_t *)&t->tail;
    uint32_t want = for_poll && !cc(t, VTIME) && cc(t, VMIN) ? cc(t, VMIN) : 1;
    return *(const volatile uint32_t *)&t->head - *(const volatile uint32_t *)&t->tail >= want;
}

static size_t take_line(struct tty *t, uint8_t *buf, size_t max, bool *ret_end)
{
    size_t n = 0;
    while (t->tail != t->canon_head && n < max && !*ret_end) {
        uint8_t c = input_at(t, t->tail);
        *ret_end = ends_line(t, t->tail);
        unmark(t, t->tail++);
        if (!*ret_end || c != TTY_DISABLED)
            buf[n++] = c;
    }
    /* An end of file right behind a buffer that is full belongs to it: else the next read would see it alone. */
    if (!*ret_end && n == max && t->tail != t->canon_head && ends_line(t, t->tail) &&
        input_at(t, t->tail) == TTY_DISABLED) {
        unmark(t, t->tail++);
        *ret_end = true;
    }
    return n;
}

size_t tty_take(struct tty *t, uint8_t *buf, size_t max, bool *ret_end)
{
    size_t n = 0;
    *ret_end = false;
    if (lflag(t, ICANON)) {
        n = take_line(t, buf, max, ret_end);
    } else {
        while (t->tail != t->head && n < max) {
            unmark(t, t->tail);
            buf[n++] = input_at(t, t->tail++);
        }
        if (t->canon_head - t->tail > t->head - t->tail)
            t->canon_head = t->tail; /* it was overtaken */
    }
    tty_unthrottle(t);
    return n;
}

void tty_termios_changed(struct tty *t, const struct abi_termios2 *old)
{
    if ((old->c_lflag ^ t->termios.c_lflag) & ICANON) {
        memset(t->line_ends, 0, sizeof(t->line_ends));
        if (!lflag(t, ICANON) || t->head == t->tail) {
            t->canon_head = t->tail;
        } else { /* what was typed before counts as a line */
            mark_end(t, t->head - 1);
            t->canon_head = t->head;
        }
        t->erasing = t->quote_next = false;
    }
    if (old->c_iflag & IXON && !(t->termios.c_iflag & IXON) && !t->flow_stopped)
        tty_start(t);
    if (t->ops->status && (old->c_lflag ^ t->termios.c_lflag) & ICANON)
        tty_unthrottle(t);
    waitq_wake(&t->read_wait, WAITQ_ALL, EPOLLIN | EPOLLRDNORM);
    waitq_wake(&t->write_wait, WAITQ_ALL, EPOLLOUT | EPOLLWRNORM);
}
