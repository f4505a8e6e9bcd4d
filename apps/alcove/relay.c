/* SPDX-License-Identifier: MIT */
/* The relay: one poll loop between the user (standard streams, terminal, signals) and the VM (console, ports, control channel,
 * QEMU's messages). Buffers are bounded: a side is only read while the other side's buffer has room. The control channel's lines
 * come from the guest, so they are bounded and never trusted for more than what is printed or returned. */
#include "vm.h"
#include "volume.h"

#include <alcove/image.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

enum {
    CHUNK = 16384,
    OUT_MAX = 64 << 20,    /* of the console, while nobody reads standard output */
    LINE_MAX_BYTES = 8192, /* of the control channel */
    TAIL = 4096,           /* of the console, for the message when the guest dies */
    GRACE_MS = 30000,      /* for the program to end after SIGTERM or SIGHUP */
    LINGER_MS = 5000,      /* for QEMU to end after the guest's last word */
};

/* Bytes on their way in one direction. */
struct flow {
    char data[CHUNK];
    size_t from, to;
};

/* Bytes on their way to standard output or standard error. */
struct outlet {
    int fd;
    struct buf bytes;
    size_t from; /* bytes that are written */
    bool gone;   /* nobody reads it any more */
};

enum { OUT, ERR, OUTLETS };

struct relay {
    const struct vm_spec *spec;
    struct vm *vm;
    struct flow in;             /* stdin -> console, or the first port */
    struct outlet out[OUTLETS]; /* console and first port -> stdout, second port -> stderr */
    bool port_end[2];
    bool in_port;           /* the guest takes input by its first port */
    struct buf control_out; /* what waits to be sent on the control channel */
    struct buf control_line, errors;
    char tail[TAIL];
    size_t tail_len;
    uint64_t in_total;        /* bytes of stdin passed on */
    bool in_eof, in_eof_sent; /* end of stdin: seen, told to the guest */
    bool in_ready;            /* the guest said "ready" */
    size_t marks;             /* bytes of ALCOVE_UEFI_MARK seen; all: the firmware has gone */
    bool console_end, control_end, vm_end;
    int signals;      /* signalfd */
    int asked;        /* times that a signal asked to end */
    int status;       /* of the program; -1: not known yet */
    int64_t deadline; /* when QEMU is killed; 0: not set */
};

static struct termios saved_termios;
static bool termios_changed;

static void restore_terminal(void)
{
    if (termios_changed)
        (void)tcsetattr(STDIN_FILENO, TCSADRAIN, &saved_termios);
    termios_changed = false;
}

static void raw_terminal(void)
{
    struct termios raw;
    if (tcgetattr(STDIN_FILENO, &saved_termios) < 0)
        return;
    raw = saved_termios;
    cfmakeraw(&raw);
    if (tcsetattr(STDIN_FILENO, TCSADRAIN, &raw) == 0) {
        termios_changed = true;
        (void)atexit(restore_terminal);
    }
}

static int64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void send_winsize(struct relay *r)
{
    struct winsize ws;
    if (r->spec->tty && ioctl(STDOUT_FILENO, TIOCGWINSZ, &ws) == 0)
        buf_printf(&r->control_out, "winsize %u %u\n", ws.ws_col, ws.ws_row);
}

/* A signal number from "9" or "KILL"; 0 when it is none. */
static int signal_number(const char *s)
{
    char *end;
    long v = strtol(s, &end, 10);
    if (*s >= '0' && *s <= '9' && !*end)
        return v > 0 && v < 65 ? (int)v : 0;
    if (strncmp(s, "SIG", 3) == 0)
        s += 3;
    for (int i = 1; i < 32; i++) {
        const char *name = sigabbrev_np(i);
        if (name && strcmp(name, s) == 0)
            return i;
    }
    return 0;
}

/* "LEVEL TEXT" of the guest on stderr. */
static void print_log(char *line, bool whole)
{
    char *text = strchr(line, ' ');
    text = text ? text + 1 : line;
    for (char *c = text; *c; c++)
        if (((unsigned char)*c < 0x20 && *c != '\t') || *c == 0x7f)
            *c = '?';
    /* In raw mode the terminal does not add the carriage return. */
    fprintf(stderr, "%s%s%s", text, whole && termios_changed ? "\r" : "", whole ? "\n" : "");
}

/* The guest's address; one on the user network is always the same, and nobody reaches it. */
static void address_line(struct relay *r, const char *address)
{
    if (r->spec->net->tap && !r->spec->quiet && address[strspn(address, "0123456789.")] == 0)
        fprintf(stderr, "alcove: the guest's address is %s%s\n", address,
                termios_changed ? "\r" : "");
}

/* One line from the guest. */
static void control_line(struct relay *r, char *line)
{
    size_t n = strlen(line);
    const char *key;
    if (n && line[n - 1] == '\r')
        line[n - 1] = 0;
    if (strcmp(line, "ports") == 0 || (r->spec->firmware && ends_with(line, "ports"))) {
        r->in_port = r->vm->ports[OUT] >= 0 && !r->in_ready;
    } else if (strcmp(line, "ready") == 0 ||
               (r->spec->firmware && !r->in_ready && ends_with(line, "ready"))) {
        /* Firmware writes on this UART too, until it has gone. */
        r->in_ready = true;
        send_winsize(r);
    } else if (strncmp(line, "exit ", 5) == 0 && r->status < 0) {
        r->status = (int)(strtoul(line + 5, NULL, 10) & 0xff);
    } else if (strncmp(line, "killed ", 7) == 0 && r->status < 0) {
        int sig = signal_number(line + 7);
        r->status = sig ? 128 + sig : FAIL_RUN;
    } else if (!r->in_ready &&
               (key = strstr(line, "key /"))) { /* firmware may have written before it */
        volume_key(r->spec, key + 4, &r->control_out);
    } else if (strncmp(line, "address ", 8) == 0) {
        address_line(r, line + 8);
    } else if (strncmp(line, "log ", 4) == 0) {
        if (!r->spec->quiet)
            print_log(line + 4, true);
    } else if (strncmp(line, "part ", 5) == 0) {
        if (!r->spec->quiet)
            print_log(line + 5, false);
    }
    if (r->status >= 0)
        r->deadline = now_ms() + LINGER_MS;
}

static void control_read(struct relay *r)
{
    char chunk[4096];
    ssize_t n = read(r->vm->control, chunk, sizeof(chunk));
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
        r->control_end = true;
    for (ssize_t i = 0; i < n; i++) {
        if (chunk[i] == '\n') {
            buf_add(&r->control_line, "", 0);
            control_line(r, r->control_line.s);
            r->control_line.len = 0;
        } else if (r->control_line.len < LINE_MAX_BYTES && chunk[i]) {
            buf_add(&r->control_line, &chunk[i], 1);
        }
    }
}

static void control_write(struct relay *r)
{
    ssize_t n = write(r->vm->control, r->control_out.s, r->control_out.len);
    if (n > 0) {
        memmove(r->control_out.s, r->control_out.s + n, r->control_out.len - (size_t)n);
        r->control_out.len -= (size_t)n;
    } else if (n < 0 && errno != EAGAIN && errno != EINTR) {
        r->control_out.len = 0;
    }
}

static void keep_tail(struct relay *r, const char *p, size_t n)
{
    if (n >= TAIL) {
        memcpy(r->tail, p + n - TAIL, TAIL);
        r->tail_len = TAIL;
        return;
    }
    if (r->tail_len + n > TAIL) {
        size_t drop = r->tail_len + n - TAIL;
        memmove(r->tail, r->tail + drop, r->tail_len - drop);
        r->tail_len -= drop;
    }
    memcpy(r->tail + r->tail_len, p, n);
    r->tail_len += n;
}

/* How many of the n bytes are the firmware's: all before libOS's mark, and the mark. */
static size_t skip_firmware(struct relay *r, const char *p, size_t n)
{
    static const char mark[] = ALCOVE_UEFI_MARK;
    size_t i = 0;
    for (; r->spec->firmware && r->marks < sizeof(mark) - 1 && i < n; i++)
        r->marks = p[i] == mark[r->marks] ? r->marks + 1 : p[i] == mark[0];
    return i;
}

static void outlet_add(struct outlet *o, const char *p, size_t n)
{
    if (!o->gone)
        buf_add(&o->bytes, p, n);
}

static void console_read(struct relay *r)
{
    char chunk[CHUNK];
    ssize_t n = read(r->vm->console, chunk, sizeof(chunk));
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
        r->console_end = true;
    if (n <= 0)
        return;
    keep_tail(r, chunk, (size_t)n);
    size_t skip = skip_firmware(r, chunk, (size_t)n);
    outlet_add(&r->out[OUT], chunk + skip, (size_t)n - skip);
}

static void port_read(struct relay *r, unsigned i)
{
    char chunk[CHUNK];
    ssize_t n = read(r->vm->ports[i], chunk, sizeof(chunk));
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
        r->port_end[i] = true;
    if (n > 0)
        outlet_add(&r->out[i], chunk, (size_t)n);
}

static void vm_kill(struct relay *r)
{
    (void)kill(r->vm->pid, SIGKILL);
}

static void outlet_write(struct relay *r, struct outlet *o)
{
    /* At most what a pipe that polls writable takes without blocking, so that signals are not kept waiting. */
    size_t n = o->bytes.len - o->from;
    ssize_t w = write(o->fd, o->bytes.s + o->from, n < 4096 ? n : 4096);
    if (w > 0) {
        o->from += (size_t)w;
        if (o->from == o->bytes.len)
            o->bytes.len = o->from = 0;
    } else if (w < 0 && errno != EAGAIN && errno != EINTR) {
        o->gone = true;
        o->bytes.len = o->from = 0;
        if (o->fd != STDOUT_FILENO && errno != EPIPE)
            return; /* standard error was closed from the beginning, or is full: the program goes on */
        /* Nobody reads it any more: the program would have got SIGPIPE. */
        r->status = errno == EPIPE ? 128 + SIGPIPE : FAIL_RUN;
        if (errno != EPIPE)
            say("standard output: cannot write: %s", strerror(errno));
        vm_kill(r);
    }
}

static void stdin_read(struct relay *r)
{
    ssize_t n = read(STDIN_FILENO, r->in.data, sizeof(r->in.data));
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
        r->in_eof = true;
    r->in.from = 0;
    r->in.to = n > 0 ? (size_t)n : 0;
}

static void console_write(struct relay *r)
{
    int to = r->in_port ? r->vm->ports[OUT] : r->vm->console;
    ssize_t n = write(to, r->in.data + r->in.from, r->in.to - r->in.from);
    if (n > 0) {
        r->in.from += (size_t)n;
        r->in_total += (uint64_t)n;
    } else if (n < 0 && errno != EAGAIN && errno != EINTR) {
        r->in.from = r->in.to;
        r->in_eof = true;
    }
}

static void signal_read(struct relay *r)
{
    struct signalfd_siginfo s;
    if (read(r->signals, &s, sizeof(s)) != sizeof(s))
        return;
    if (s.ssi_signo == SIGWINCH) {
        send_winsize(r);
        return;
    }
    buf_printf(&r->control_out, "signal %s\n", sigabbrev_np((int)s.ssi_signo));
    if (!r->deadline && (s.ssi_signo == SIGTERM || s.ssi_signo == SIGHUP))
        r->deadline = now_ms() + GRACE_MS;
    /* The second request does not ask the guest, nor the first one when nobody is there to ask. */
    if (++r->asked >= 2 || !r->in_ready) {
        r->status = r->status < 0 ? 128 + (int)s.ssi_signo : r->status;
        vm_kill(r);
    }
}

static void errors_read(struct relay *r)
{
    char chunk[1024];
    ssize_t n = read(r->vm->errors, chunk, sizeof(chunk));
    if (n > 0 && r->spec->verbose)
        (void)!write(STDERR_FILENO, chunk, (size_t)n);
    if (n > 0 && r->errors.len < TAIL)
        buf_add(&r->errors, chunk, (size_t)n);
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
        close(r->vm->errors);
        r->vm->errors = -1;
    }
}

enum {
    P_STDIN,
    P_STDOUT,
    P_STDERR,
    P_CONSOLE,
    P_PORT,
    P_PORT_ERR,
    P_CONTROL,
    P_SIGNALS,
    P_ERRORS,
    P_VM,
    P_COUNT
};

static bool waits(const struct outlet *o)
{
    return o->bytes.len > o->from;
}

/* Read from the VM while there is room for it; write: there is something for it. */
static void set_input(struct pollfd *p, int fd, const struct outlet *o, bool write)
{
    short events = (short)((o->bytes.len < OUT_MAX ? POLLIN : 0) | (write ? POLLOUT : 0));
    *p = (struct pollfd){ events ? fd : -1, events, 0 };
}

static void set_poll(const struct relay *r, struct pollfd p[P_COUNT])
{
    bool in_waits = r->in.to > r->in.from;
    /* Input goes to the guest once its driver is there: before, the UART would lose it. */
    p[P_STDIN] =
        (struct pollfd){ !r->in_eof && !in_waits && r->in_ready ? STDIN_FILENO : -1, POLLIN, 0 };
    for (unsigned i = 0; i < OUTLETS; i++) {
        const struct outlet *o = &r->out[i];
        p[P_STDOUT + i] = (struct pollfd){ waits(o) ? o->fd : -1, POLLOUT, 0 };
        set_input(&p[P_PORT + i], r->port_end[i] ? -1 : r->vm->ports[i], o,
                  in_waits && r->in_port && i == OUT);
    }
    set_input(&p[P_CONSOLE], r->console_end ? -1 : r->vm->console, &r->out[OUT],
              in_waits && !r->in_port);
    p[P_CONTROL] = (struct pollfd){ r->control_end ? -1 : r->vm->control, POLLIN, 0 };
    p[P_CONTROL].events |= r->control_out.len ? POLLOUT : 0;
    p[P_SIGNALS] = (struct pollfd){ r->signals, POLLIN, 0 };
    p[P_ERRORS] = (struct pollfd){ r->vm->errors, POLLIN, 0 };
    p[P_VM] = (struct pollfd){ r->vm_end ? -1 : r->vm->pidfd, POLLIN, 0 };
}

static void serve(struct relay *r, const struct pollfd p[P_COUNT])
{
    if (p[P_SIGNALS].revents)
        signal_read(r);
    if (p[P_STDIN].revents)
        stdin_read(r);
    if ((p[P_CONSOLE].revents | p[P_PORT].revents) & POLLOUT)
        console_write(r);
    if (p[P_CONSOLE].revents & (POLLIN | POLLHUP | POLLERR) && r->out[OUT].bytes.len < OUT_MAX)
        console_read(r);
    for (unsigned i = 0; i < OUTLETS; i++) {
        if (p[P_PORT + i].revents & (POLLIN | POLLHUP | POLLERR) && r->out[i].bytes.len < OUT_MAX)
            port_read(r, i);
        if (p[P_STDOUT + i].revents)
            outlet_write(r, &r->out[i]);
    }
    if (p[P_CONTROL].revents & POLLOUT)
        control_write(r);
    if (p[P_CONTROL].revents & (POLLIN | POLLHUP | POLLERR))
        control_read(r);
    if (p[P_ERRORS].revents)
        errors_read(r);
    if (p[P_VM].revents)
        r->vm_end = true;
    if (r->in_eof && !r->in_eof_sent && r->in.from == r->in.to && r->in_ready) {
        buf_printf(&r->control_out, "stdin-eof %llu\n", (unsigned long long)r->in_total);
        r->in_eof_sent = true;
    }
}

static void loop(struct relay *r)
{
    struct pollfd p[P_COUNT];
    /* Everything that was written before the end is passed on. */
    while (!r->vm_end || !r->console_end || !r->control_end || !r->port_end[OUT] ||
           !r->port_end[ERR] || waits(&r->out[OUT]) || waits(&r->out[ERR])) {
        int timeout = -1;
        if (r->deadline && !r->vm_end) {
            int64_t left = r->deadline - now_ms();
            if (left <= 0)
                vm_kill(r);
            timeout = left > 0 ? (int)left : 100;
        }
        set_poll(r, p);
        if (poll(p, P_COUNT, timeout) < 0) {
            if (errno != EINTR)
                fail_errno(NULL, errno, "cannot wait");
            continue;
        }
        serve(r, p);
    }
}

/* Why there is no exit status: QEMU's own words if it had any, else the end of what the console showed. */
static int report_death(struct relay *r, int wait_status)
{
    while (r->vm->errors >= 0 && r->errors.len < TAIL) {
        size_t before = r->errors.len;
        errors_read(r);
        if (r->errors.len == before)
            break;
    }
    if (r->errors.len) {
        char *first = xstrdup(r->errors.s);
        first[strcspn(first, "\n")] = 0;
        fail("qemu-system-x86_64", "%s", first);
    }
    if (WIFSIGNALED(wait_status))
        fail("qemu-system-x86_64", "was killed by signal %d", WTERMSIG(wait_status));
    if (!r->tail_len)
        fail(path_base(r->spec->image),
             "the VM ended without a word; try --machine q35, or -v to see QEMU's command line");
    say("the VM ended without the program's exit status; the end of its console:");
    const char *from = r->tail + r->tail_len, *end = from;
    for (int lines = 0; from > r->tail; from--)
        if (from[-1] == '\n' && lines++ == 20)
            break;
    (void)!write(STDERR_FILENO, from, (size_t)(end - from));
    if (end[-1] != '\n')
        (void)!write(STDERR_FILENO, "\n", 1);
    return FAIL_RUN;
}

static int open_signals(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGHUP);
    sigaddset(&set, SIGQUIT);
    sigaddset(&set, SIGWINCH);
    (void)signal(SIGPIPE, SIG_IGN);
    if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
        fail_errno(NULL, errno, "cannot block signals");
    int fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (fd < 0)
        fail_errno(NULL, errno, "cannot watch signals");
    return fd;
}

int vm_relay(const struct vm_spec *spec, struct vm *vm)
{
    struct relay *r = xcalloc(1, sizeof(*r));
    int wait_status = 0;
    r->spec = spec;
    r->vm = vm;
    r->status = -1;
    r->signals = open_signals();
    for (unsigned i = 0; i < OUTLETS; i++) {
        r->out[i].fd = i == OUT ? STDOUT_FILENO : STDERR_FILENO;
        r->port_end[i] = vm->ports[i] < 0;
    }
    if (spec->tty)
        raw_terminal();
    loop(r);
    restore_terminal();
    while (waitpid(vm->pid, &wait_status, 0) < 0 && errno == EINTR)
        ;
    return r->status >= 0 ? r->status : report_death(r, wait_status);
}
