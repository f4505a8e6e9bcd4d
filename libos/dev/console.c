/* SPDX-License-Identifier: MIT */
/* The console terminal over a UART or a virtio port, standard error over a port of its own if there is one, and the control
 * channel. Output waits in a ring: the terminal puts bytes in under its lock, the driver takes them out under its own; each
 * index is written by one side only. The ring exists without a driver too, and then drains into the platform's polled
 * console. */
#include "dev.h"
#include <abi/errno.h>
#include <abi/fcntl.h>
#include <abi/signal.h>
#include <abi/stat.h>
#include <base/log.h>
#include <libos/deferred.h>
#include <libos/dev/console.h>
#include <libos/dev/tty.h>
#include <libos/file.h>
#include <libos/process.h>
#include <libos/sched.h>
#include <libos/signal.h>
#include <libos/vfs.h>
#include <libos/waitq.h>
#include <limits.h>
#include <plat/console.h>
#include <plat/cpu.h>
#include <plat/time.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    RING_SIZE = 8192, /* a power of two */
    LINE_SIZE = 64,   /* longest line from the host */
    LOG_SIZE = 600,
};
#define STALL_NS (5 * NS_PER_SEC)
#define PORTS_NS (3 * NS_PER_SEC)

static struct serial *_Atomic channels[SERIAL_CHANNELS];
static struct tty *console, *errors;

/* Output on its way. */
struct output {
    struct serial *_Atomic channel; /* NULL: the platform's console */
    struct tty **tty;
    _Atomic uint32_t head, tail;
    uint8_t bytes[RING_SIZE];
};
static struct output out, out_errors; /* all zeros: they take no room in the image */
static struct waitq ports_wait = { .lock = SPIN_INIT(RANK_WAITQ) };

static bool ready, silent; /* there is a console; struct console_options */
static unsigned ports;     /* that the program gets */

/* Input so far, and where it ends. Written by the two interrupt handlers; guarded by console->lock. */
static uint64_t received, input_end = UINT64_MAX;

/* The line that the host is sending on the control channel. */
static struct {
    char text[LINE_SIZE];
    size_t len;
    bool too_long;
} line;

static size_t ring_used(const struct output *o)
{
    return o->head - o->tail;
}

static size_t ring_take(struct output *o, uint8_t *buf, size_t n)
{
    size_t i = 0;
    /* Acquire, by default: bytes up to head are there. */
    uint32_t head = o->head, tail = o->tail;
    for (; i < n && tail != head; i++)
        buf[i] = o->bytes[tail++ % RING_SIZE];
    o->tail = tail;
    return i;
}

/* Without a driver: out at once. */
static void ring_drain_polled(struct output *o)
{
    uint8_t buf[64];
    for (size_t n; (n = ring_take(o, buf, sizeof(buf)));)
        plat_console_write((const char *)buf, n);
}

static size_t console_room(struct tty *t)
{
    return RING_SIZE - ring_used(t->data);
}

static void console_write(struct tty *t, const uint8_t *buf, size_t n)
{
    struct output *o = t->data;
    uint32_t head = o->head;
    for (size_t i = 0; i < n; i++)
        o->bytes[head++ % RING_SIZE] = buf[i];
    o->head = head; /* release: the bytes are there before the index says so */
    struct serial *s = o->channel;
    if (s)
        s->ops->start(s);
    else
        ring_drain_polled(o);
}

static size_t console_pending(struct tty *t)
{
    struct output *o = t->data;
    struct serial *s = o->channel;
    size_t used = ring_used(o);
    return used ? used : s && !s->ops->idle(s);
}

static void console_discard(struct tty *t)
{
    struct serial *s = ((struct output *)t->data)->channel;
    if (s)
        s->ops->discard(s);
}

static void resume_work(struct deferred *d)
{
    struct serial *s = out.channel;
    s->ops->resume(s);
}

static void console_resume(struct tty *t)
{
    static struct deferred work = { .run = resume_work };
    struct serial *s = ((struct output *)t->data)->channel;
    if (s && s->ops->resume_pushes)
        deferred_queue(&work); /* the terminal's lock is held */
    else if (s)
        s->ops->resume(s);
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
    return ring_take(s->user_data, buf, n);
}

static void output_sent(struct serial *s)
{
    struct output *o = s->user_data;
    if (ring_used(o) < RING_SIZE / 4)
        tty_output_ready(*o->tty);
}

static const struct serial_user console_user = {
    .room = input_room, .push = input_push, .pull = output_pull, .sent = output_sent
};

static size_t no_room(struct serial *s)
{
    return 0;
}

static void no_push(struct serial *s, const uint8_t *buf, size_t n, enum serial_error error)
{
}

/* Nothing is taken from it. */
static const struct serial_user errors_user = {
    .room = no_room, .push = no_push, .pull = output_pull, .sent = output_sent
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
    struct serial *s = channels[SERIAL_CONTROL];
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
    if (!channels[SERIAL_CONTROL]) {
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

/* Begin to use a channel that was found, when the console is there. The standard streams' are begun by console_take_ports. */
static void channel_use(enum serial_channel i)
{
    struct serial *s = channels[i];
    if (!s || !ready)
        return;
    if (i == SERIAL_CONSOLE) {
        s->user_data = &out;
        s->user = &console_user;
        if (!out.channel)
            out.channel = s;
        s->ops->resume(s);
    } else if (i == SERIAL_CONTROL) {
        s->user = &control_user;
        s->ops->resume(s);
        log_set_sink(log_sink);
    }
}

int serial_register(enum serial_channel i, struct serial *s)
{
    struct serial *none = NULL;
    if (silent)
        return -EPERM;
    if (!atomic_compare_exchange_strong(&channels[i], &none, s))
        return -EBUSY;
    channel_use(i);
    if (waitq_active(&ports_wait))
        waitq_wake(&ports_wait, WAITQ_ALL, 0);
    return 0;
}

static bool ports_there(void)
{
    return channels[SERIAL_STDIO] && (ports < 2 || channels[SERIAL_STDERR]);
}

int console_take_ports(unsigned count)
{
    struct serial *s = out.channel;
    int err = count || (s && s->ops->resume_pushes) ? deferred_start() : 0;
    ports = count;
    if (err || !ports)
        return err;
    uint64_t end = plat_time_ns() + PORTS_NS;
    (void)WAIT_EVENT(&ports_wait, SLEEP_KILLABLE, end, ports_there());
    if (!(s = channels[SERIAL_STDIO])) {
        log_info("console: the ports that the command line speaks of are not there");
        return 0;
    }
    s->user_data = &out;
    s->user = &console_user;
    out.channel = s;
    s->ops->resume(s);
    control_tell("ports\n", strlen("ports\n"));
    return 0;
}

int console_init(const struct console_options *o)
{
    silent = o->silent;
    out.tty = &console;
    out_errors.tty = &errors;
    console = tty_create(&console_ops, &out, "console",
                         (uint32_t)abi_makedev(MAJOR_TTY, MINOR_CONSOLE), o->raw);
    if (!console)
        return -ENOMEM;
    tty_set_winsize(console, &(struct abi_winsize){ .ws_row = o->rows, .ws_col = o->cols });
    ready = true;
    channel_use(SERIAL_CONSOLE);
    channel_use(SERIAL_CONTROL);
    return 0;
}

int console_device_open(struct file *f, uint32_t minor)
{
    return console ? tty_open(console, f, minor == MINOR_TTYS0) : -ENXIO;
}

int console_errors_device_open(struct file *f, uint32_t minor)
{
    return errors ? tty_open(errors, f, false) : -ENXIO;
}

int console_open_errors(struct file **ret_file)
{
    struct serial *s = channels[SERIAL_STDERR];
    uint64_t rdev = abi_makedev(MAJOR_HVC, MINOR_HVC_ERRORS);
    if (!s || ports < 2 || out.channel != channels[SERIAL_STDIO])
        return -ENODEV;
    if (!(errors = tty_create(&console_ops, &out_errors, "hvc1", (uint32_t)rdev, true)))
        return -ENOMEM;
    s->user_data = &out_errors;
    s->user = &errors_user;
    out_errors.channel = s;
    int err = vfs_make("/dev/hvc1", S_IFCHR | 0620, (uint32_t)rdev, NULL);
    return err ? err : path_open_kernel("/dev/hvc1", O_RDWR, ret_file);
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

/* Wait until output has left, as long as there is progress. */
static void flush(struct output *o)
{
    struct serial *s = o->channel;
    uint64_t last = plat_time_ns();
    size_t left = ring_used(o);
    while (s && (left || !s->ops->idle(s))) {
        s->ops->start(s);
        plat_relax();
        size_t now = ring_used(o);
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
    flush(&out);
    flush(&out_errors);
    int n = sig ? snprintf(text, sizeof(text), "killed %d\n", sig)
                : snprintf(text, sizeof(text), "exit %d\n", wait_status >> 8 & 0xff);
    control_tell(text, (size_t)n);
}
