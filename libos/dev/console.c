/* SPDX-License-Identifier: MIT */
/* The console terminal over channel 0 and the control channel over channel 1. Output waits in a ring: the terminal puts bytes
 * in under its lock, the driver takes them out under its own; each index is written by one side only. The ring exists without
 * a driver too, and then drains into the platform's polled console. */
#include "dev.h"
#include <abi/errno.h>
#include <abi/fcntl.h>
#include <abi/signal.h>
#include <abi/stat.h>
#include <base/log.h>
#include <libos/dev/console.h>
#include <libos/dev/tty.h>
#include <libos/file.h>
#include <libos/process.h>
#include <libos/signal.h>
#include <limits.h>
#include <plat/console.h>
#include <plat/cpu.h>
#include <plat/time.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    CHANNELS = 2,
    CONSOLE = 0,
    CONTROL = 1,
    RING_SIZE = 8192, /* a power of two */
    LINE_SIZE = 64,   /* longest line from the host */
    LOG_SIZE = 600,
};
#define STALL_NS (5 * NS_PER_SEC)

static struct serial *channels[CHANNELS];
static struct tty *console;

/* Console output on its way. */
static struct {
    _Atomic uint32_t head, tail;
    uint8_t bytes[RING_SIZE];
} ring;

/* Input so far, and where it ends. Written by the two interrupt handlers; guarded by console->lock. */
static uint64_t received, input_end = UINT64_MAX;

/* The line that the host is sending on the control channel. */
static struct {
    char text[LINE_SIZE];
    size_t len;
    bool too_long;
} line;

int serial_register(unsigned i, struct serial *s)
{
    if (i >= CHANNELS)
        return -EINVAL;
    if (channels[i])
        return -EBUSY;
    channels[i] = s;
    return 0;
}

static size_t ring_used(void)
{
    return ring.head - ring.tail;
}

static size_t ring_take(uint8_t *buf, size_t n)
{
    size_t i = 0;
    /* Acquire, by default: bytes up to head are there. */
    for (uint32_t head = ring.head, tail = ring.tail; i < n && tail != head; i++) {
        buf[i] = ring.bytes[tail++ % RING_SIZE];
        ring.tail = tail;
    }
    return i;
}

/* Without a driver: out at once. */
static void ring_drain_polled(void)
{
    uint8_t buf[64];
    for (size_t n; (n = ring_take(buf, sizeof(buf)));)
        plat_console_write((const char *)buf, n);
}

static size_t console_room(struct tty *t)
{
    return RING_SIZE - ring_used();
}

static void console_write(struct tty *t, const uint8_t *buf, size_t n)
{
    uint32_t head = ring.head;
    for (size_t i = 0; i < n; i++)
        ring.bytes[head++ % RING_SIZE] = buf[i];
    ring.head = head; /* release: the bytes are there before the index says so */
    if (channels[CONSOLE])
        channels[CONSOLE]->ops->start(channels[CONSOLE]);
    else
        ring_drain_polled();
}

static size_t console_pending(struct tty *t)
{
    struct serial *s = channels[CONSOLE];
    size_t used = ring_used();
    return used ? used : s && !s->ops->idle(s);
}

static void console_discard(struct tty *t)
{
    if (channels[CONSOLE])
        channels[CONSOLE]->ops->discard(channels[CONSOLE]);
}

static void console_resume(struct tty *t)
{
    if (channels[CONSOLE])
        channels[CONSOLE]->ops->resume(channels[CONSOLE]);
}

static const struct tty_ops console_ops = { .room = console_room,
                                            .write = console_write,
                                            .pending = console_pending,
                                            .discard = console_discard,
                                            .resume = console_resume };

static size_t input_room(struct serial *s)
{
    return tty_receive_room(console);
}

static void check_end(void)
{
    if (received >= input_end)
        tty_end_input(console);
}

static void input_push(struct serial *s, const uint8_t *buf, size_t n, enum serial_error error)
{
    tty_receive(console, buf, n, error);
    received += n;
    check_end();
}

static size_t output_pull(struct serial *s, uint8_t *buf, size_t n)
{
    return ring_take(buf, n);
}

static void output_sent(struct serial *s)
{
    if (ring_used() < RING_SIZE / 4)
        tty_output_ready(console);
}

static const struct serial_user console_user = {
    .room = input_room, .push = input_push, .pull = output_pull, .sent = output_sent
};

static void send_signal(const char *name)
{
    for (int sig = 1; sig < ABI_SIGRTMIN; sig++) {
        if (strcmp(signal_name(sig) + strlen("SIG"), name))
            continue;
        struct abi_siginfo info = { .si_signo = sig, .si_code = SI_KERNEL };
        if (!console->pgrp || signal_send_group(console->pgrp, &info)) {
            struct process *p = process_find(1);
            if (p) {
                signal_kernel(p, sig);
                process_put(p);
            }
        }
        return;
    }
}

/* A number and what follows it; false: there is none. */
static bool number(const char **text, unsigned long max, unsigned long *ret)
{
    char *end;
    if (**text < '0' || **text > '9')
        return false;
    *ret = strtoul(*text, &end, 10);
    *text = *end == ' ' ? end + 1 : end;
    return *ret <= max;
}

/* A line from the host: hostile text, zero-terminated. What is not understood is ignored. */
static void control_line(const char *text)
{
    unsigned long cols, rows, end;
    const char *rest = strchr(text, ' ');
    size_t len = rest ? (size_t)(rest++ - text) : 0;
    if (len == 7 && !memcmp(text, "winsize", len)) {
        if (number(&rest, UINT16_MAX, &cols) && number(&rest, UINT16_MAX, &rows))
            tty_set_winsize(console, &(struct abi_winsize){ .ws_row = (uint16_t)rows,
                                                            .ws_col = (uint16_t)cols });
    } else if (len == 6 && !memcmp(text, "signal", len)) {
        send_signal(rest);
    } else if (len == 3 && !memcmp(text, "key", len)) {
        control_key(rest);
    } else if (len == 9 && !memcmp(text, "stdin-eof", len)) {
        if (number(&rest, ULONG_MAX, &end)) {
            input_end = end;
            check_end();
        }
    }
}

static size_t control_room(struct serial *s)
{
    return LINE_SIZE;
}

static void control_push(struct serial *s, const uint8_t *buf, size_t n, enum serial_error error)
{
    for (size_t i = 0; i < n; i++) {
        if (buf[i] == '\n') {
            line.text[line.len] = '\0';
            if (!line.too_long)
                control_line(line.text);
            memset(line.text, 0, sizeof(line.text)); /* it may have been a key */
            line.len = 0;
            line.too_long = false;
        } else if (buf[i] != '\r') {
            if (line.len + 1 < LINE_SIZE)
                line.text[line.len++] = (char)buf[i];
            else
                line.too_long = true;
        }
    }
}

static size_t control_pull(struct serial *s, uint8_t *buf, size_t n)
{
    return 0; /* lines to the host are sent at once */
}

static const struct serial_user control_user = { .room = control_room,
                                                 .push = control_push,
                                                 .pull = control_pull };

int control_send(const char *text, size_t len)
{
    struct serial *s = channels[CONTROL];
    if (!s)
        return -ENODEV;
    return s->ops->send_wait(s, (const uint8_t *)text, len, STALL_NS) ? 0 : -EIO;
}

/* The same where nobody can be told that it does not get out. */
static void control_tell(const char *text, size_t len)
{
    (void)control_send(text, len);
}

void console_log(int level, const char *text, size_t len)
{
    static const char *const names[] = { "error", "warn", "info", "debug" };
    char buf[LOG_SIZE];
    if (!channels[CONTROL]) {
        plat_console_write(text, len);
        return;
    }
    while (len) {
        const char *end = memchr(text, '\n', len);
        size_t n = end ? (size_t)(end - text) : len;
        int m = snprintf(buf, sizeof(buf), "%s %s %.*s\n", end ? "log" : "part", names[level & 3],
                         (int)(n < 512 ? n : 512), text);
        control_tell(buf, (size_t)m);
        n += end != NULL;
        text += n;
        len -= n;
    }
}

static void log_sink(enum log_level level, const char *text, size_t len)
{
    console_log((int)level, text, len);
}

int console_init(bool raw, uint16_t cols, uint16_t rows)
{
    console = tty_create(&console_ops, NULL, "console",
                         (uint32_t)abi_makedev(MAJOR_TTY, MINOR_CONSOLE), raw);
    if (!console)
        return -ENOMEM;
    tty_set_winsize(console, &(struct abi_winsize){ .ws_row = rows, .ws_col = cols });
    static const struct serial_user *const users[CHANNELS] = { &console_user, &control_user };
    for (unsigned i = 0; i < CHANNELS; i++) {
        if (!channels[i])
            continue;
        channels[i]->user = users[i];
        channels[i]->ops->resume(channels[i]);
    }
    if (channels[CONTROL])
        log_set_sink(log_sink);
    return 0;
}

int console_device_open(struct file *f, uint32_t minor)
{
    return console ? tty_open(console, f, minor == MINOR_TTYS0) : -ENXIO;
}

int console_open(struct file **ret_file)
{
    int err = path_open_kernel("/dev/console", O_RDWR, ret_file);
    if (!err && tty_of_file(*ret_file))
        tty_set_controlling(console);
    return err;
}

void control_send_address(const char *address)
{
    char text[64];
    int n = snprintf(text, sizeof(text), "address %s\n", address);
    control_tell(text, (size_t)n);
}

void control_send_ready(void)
{
    static bool said; /* by the first thread of the first process */
    if (!said)
        control_tell("ready\n", strlen("ready\n"));
    said = true;
}

/* Wait until the console's output has left, as long as there is progress. */
static void console_flush(struct serial *s)
{
    uint64_t last = plat_time_ns();
    size_t left = ring_used();
    while (left || !s->ops->idle(s)) {
        s->ops->start(s);
        plat_relax();
        size_t now = ring_used();
        if (now != left)
            last = plat_time_ns();
        else if (plat_time_ns() - last > STALL_NS)
            return;
        left = now;
    }
}

void control_send_exit(int wait_status)
{
    char text[32];
    int sig = wait_status & 0x7f;
    if (channels[CONSOLE])
        console_flush(channels[CONSOLE]);
    int n = sig ? snprintf(text, sizeof(text), "killed %d\n", sig)
                : snprintf(text, sizeof(text), "exit %d\n", wait_status >> 8 & 0xff);
    control_tell(text, (size_t)n);
}
