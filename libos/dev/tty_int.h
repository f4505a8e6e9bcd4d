/* SPDX-License-Identifier: MIT */
/* What the files of the line discipline share. Functions need t->lock held unless they say otherwise. */
#ifndef DEV_TTY_INT_H
#define DEV_TTY_INT_H

#include <abi/termios.h>
#include <libos/dev/tty.h>

enum {
    CONTROL_S = 023,
    CONTROL_Q = 021,
    TTY_DISABLED =
        0, /* the control character that is none; also what an end of file leaves in the buffer */
    TTY_WAKE_BELOW = 256, /* writers are woken when less than this is unsent */
};

struct file;
struct iter;
struct poll_table;
struct process;

/* f->data of an open terminal. */
struct tty_file {
    struct tty *tty;     /* counted */
    uint32_t generation; /* of tty when opened; another one: hung up */
};

extern const struct file_ops tty_file_ops, tty_stream_ops;

static inline bool tty_has(uint32_t flags, uint32_t bit)
{
    return flags & bit;
}

static inline bool tty_hung(const struct tty_file *tf)
{
    return *(const volatile uint32_t *)&tf->tty->generation != tf->generation;
}

/* Output. tty_output: as much of buf as fits now, processed; bytes taken. tty_echo: one byte, processed, queued when it
 * does not fit. tty_echo_control: the same with ^X for control characters. tty_echo_raw: unprocessed. */
size_t tty_output(struct tty *t, const uint8_t *buf, size_t n);
void tty_echo(struct tty *t, uint8_t c);
void tty_echo_control(struct tty *t, uint8_t c);
void tty_echo_raw(struct tty *t, uint8_t c);
/* Send echoes that did not fit before. False: some are still left. */
bool tty_drain_echo(struct tty *t);
size_t tty_room(struct tty *t);
void tty_start(struct tty *t);
void tty_stop(struct tty *t);

/* Input. tty_take: up to max bytes into buf; *ret_end: a line ended there. */
size_t tty_take(struct tty *t, uint8_t *buf, size_t max, bool *ret_end);
bool tty_input_available(const struct tty *t, bool for_poll);
size_t tty_input_count(const struct tty *t);
void tty_flush_input(struct tty *t);
void tty_termios_changed(struct tty *t, const struct abi_termios2 *old);
/* Tell the driver that there is room again, if it was told otherwise. */
void tty_unthrottle(struct tty *t);
/* A signal to the foreground group. */
void tty_signal(struct tty *t, int sig);

/* Job control: may the current process do this to t (sig: SIGTTIN for reading, SIGTTOU for the rest)? 0; -EIO: it may not, and
 * a signal would not help; -ERESTARTSYS: its group was sent sig. Takes t->lock. */
NODISCARD int tty_check_job(struct tty *t, int sig);
/* Wait until all output was sent or a signal comes. No lock held. -ERESTARTSYS. */
NODISCARD int tty_wait_sent(struct tty *t);

/* file_ops.async: the foreground group owns it, or the process, if nobody was named. */
NODISCARD int tty_async(struct file *f);

/* The ioctls of terminals, for t; real is the terminal whose modes they mean (a master's slave). No lock held. */
long tty_ioctl(struct tty *t, unsigned cmd, unsigned long arg);
/* TIOCSCTTY and its like, which concern the current process. */
long tty_session_ioctl(struct tty *t, unsigned cmd, unsigned long arg, bool is_master);
/* -ENOIOCTL inside libOS: not one of these. */
enum { TTY_NO_IOCTL = 515 };

#endif
