/* SPDX-License-Identifier: MIT */
/* The console terminal and the control channel beside it (ARCHITECTURE.md, "Console and control channel"). */
#ifndef LIBOS_DEV_CONSOLE_H
#define LIBOS_DEV_CONSOLE_H

#include <base/compiler.h>
#include <base/types.h>

struct file;

struct console_options {
    bool raw;            /* no echo, no line editing, no output processing */
    bool silent;         /* no channel that is found later is used */
    uint16_t cols, rows; /* the window's size to begin with; 0: not known */
};

/* Make the console's terminal, after drivers have registered their channels; without any, output goes through the
 * platform's polled console and there is no input. -ENOMEM. */
NODISCARD int console_init(const struct console_options *o);

/* Open the console for the first process, for reading and writing, and make it the controlling terminal of the current
 * process, whose group becomes the foreground group. -ENFILE, -ENOMEM. */
NODISCARD int console_open(struct file **ret_file);

/* Wait for count ports (0 to 2: standard input and output, standard error), a few seconds at most, and use the first in
 * place of the UART from then on; the host is told. Before console_open. May sleep. -ENOMEM. */
NODISCARD int console_take_ports(unsigned count);
/* Open standard error's own port for the first process. -ENODEV: there is none, the console is for both; -ENFILE, -ENOMEM. */
NODISCARD int console_open_errors(struct file **ret_file);

/* Put libOS's own text on the console (or, with a control channel, send it there as a log line). Callable from any context. */
void console_log(int level, const char *text, size_t len);

/* Tell the host which address the machine has got (at most 48 bytes of text). */
void control_send_address(const char *address);
/* Ask the host by the control channel for the key called name, a mount point; its length. -ENODEV (no control channel), -ENOENT (the host
 * has none), -EFBIG (longer than size), -EINVAL (not understood), -ETIMEDOUT, -ENAMETOOLONG. May sleep. */
NODISCARD int control_ask_key(const char *name, uint8_t *buf, size_t size);
/* Ask at the console, without echo, for a line; its length. Only after control_send_ready does the host pass input on. -ENODATA (the
 * input has ended), -EFBIG, and what opening or reading the console says. May sleep. */
NODISCARD int console_ask(const char *prompt, uint8_t *buf, size_t size);
/* Tell the host that the program runs: "ready". Once; again is nothing. */
void control_send_ready(void);

/* The end of the machine: wait until all console output has left (giving up when the device makes no progress for five
 * seconds), then tell the host the wait status of process 1: "exit N" or "killed SIG". Without a control channel nothing is
 * said. Works with interrupts off; does not sleep. */
void control_send_exit(int wait_status);

#endif
