/* SPDX-License-Identifier: MIT */
/* Terminals: the line discipline (n_tty) over a byte channel. termios(3), ioctl_tty(2). */
#ifndef LIBOS_DEV_TTY_H
#define LIBOS_DEV_TTY_H

#include <abi/termios.h>
#include <libos/dev/serial.h>
#include <libos/lock.h>
#include <libos/waitq.h>

struct file;
struct process;
struct tty;

enum {
    TTY_INPUT_SIZE = 4096, /* a line holds at most one byte less */
    TTY_ECHO_SIZE = 4096,
};

/* Where a terminal's output goes. Called with tty->lock held; nothing sleeps. */
struct tty_ops {
    size_t (*room)(struct tty *t);                              /* bytes that write takes now */
    void (*write)(struct tty *t, const uint8_t *buf, size_t n); /* n is at most room */
    size_t (*pending)(struct tty *t);                           /* bytes not sent yet */
    void (*discard)(struct tty *t);                             /* forget bytes not sent yet */
    void (*resume)(struct tty *t);                /* there is room for input again; may be NULL */
    void (*status)(struct tty *t, unsigned bits); /* packet mode: TIOCPKT_*; may be NULL */
    void (*opened)(struct tty *t);                /* one more open file; may be NULL */
    void (*closed)(struct tty *t);                /* the last open file is gone; may be NULL */
    void (*release)(struct tty *t); /* last reference gone, no lock held; may be NULL */
};

struct tty {
    _Atomic uint32_t refs;
    struct spin lock;
    const struct tty_ops *ops;
    void *data; /* of the owner */
    uint32_t rdev;
    char name[16]; /* "console", "pts/0" */

    /* guarded by lock */
    struct abi_termios2 termios;
    struct abi_termios2 locked; /* TIOCSLCKTRMIOS: bits and characters that stay as they are */
    struct abi_winsize winsize;
    int pgrp, session; /* foreground group; session whose controlling terminal this is; 0: none */
    uint32_t opens;
    uint32_t generation;           /* of hang-ups: files of an older one are dead */
    bool exclusive, no_more_input; /* TIOCEXCL; tty_end_input */
    bool stream;                   /* set at creation: files are byte streams, not terminals */
    bool stopped, flow_stopped;    /* output: by ^S or TCOOFF; TCOOFF, which ^Q does not undo */
    bool other_closed;             /* a pseudo-terminal without its master */

    /* Input: a ring of bytes; head, canon_head and tail count up and wrap by TTY_INPUT_SIZE. guarded by lock */
    uint8_t input[TTY_INPUT_SIZE];
    uint64_t line_ends[TTY_INPUT_SIZE / 64]; /* bit: the byte ends a line */
    uint32_t head, canon_head, tail;
    bool quote_next, erasing, throttled;

    /* Output: what did not fit, and where the cursor is. guarded by lock */
    uint8_t echo[TTY_ECHO_SIZE];
    uint32_t echo_head, echo_tail;
    uint32_t column, canon_column;

    bool reader_busy, writer_busy; /* guarded by lock: one reader, one writer at a time */
    struct waitq read_wait, write_wait;
};

/* A terminal with default modes, one reference. stream: its files are byte streams instead: bytes pass unchanged and no
 * terminal call works on them (ENOTTY). NULL: out of memory. */
struct tty *tty_create(const struct tty_ops *ops, void *data, const char *name, uint32_t rdev,
                       bool stream);
void tty_get(struct tty *t);
void tty_put(struct tty *t);

/* Bytes that tty_receive takes now. Locks: takes t->lock. */
size_t tty_receive_room(struct tty *t);
/* Input from the line: n bytes, at most tty_receive_room; error concerns the last. How many were taken: fewer when another one was
 * faster. From interrupts too. Locks: takes t->lock, may send signals and wake. */
size_t tty_receive(struct tty *t, const uint8_t *buf, size_t n, enum serial_error error);
/* The channel has room for output again. */
void tty_output_ready(struct tty *t);
/* No more input will come: reads give what is there, then 0. */
void tty_end_input(struct tty *t);
/* Change the window size; SIGWINCH to the foreground group when it differs. */
void tty_set_winsize(struct tty *t, const struct abi_winsize *ws);
/* Hang up: open files are dead, the session's leader gets SIGHUP and SIGCONT, the foreground group too. */
void tty_hangup(struct tty *t);

/* Open t as f: sets f->ops and f->data, makes t the controlling terminal where open(2) does. -EBUSY (TIOCEXCL), -EIO,
 * -ENOMEM. */
NODISCARD int tty_open(struct tty *t, struct file *f, bool may_control);
/* The terminal of an open file, borrowed; NULL: not a terminal. */
struct tty *tty_of_file(struct file *f);
/* Make t the controlling terminal of the current process, which leads a session, and its group the foreground. */
void tty_set_controlling(struct tty *t);
/* The current process ends or gives its session up: as the session's leader it hangs its controlling terminal up. */
void tty_disassociate(struct process *p);

#endif
