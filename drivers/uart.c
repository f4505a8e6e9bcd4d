/* SPDX-License-Identifier: MIT */
/* The 16550 UART by interrupt, both directions, with its FIFOs. lock guards the registers and the shadow of IER; it is never
 * held while the user is called for input, since the user's lock comes first. The platform has set the line up and
 * announced the ports. Spec: National PC16550D data sheet, 8. */
#include "drivers.h"
#include <base/log.h>
#include <libos/dev/serial.h>
#include <libos/lock.h>
#include <plat/console.h>
#include <plat/cpu.h>
#include <plat/irq.h>
#include <plat/mmio.h>
#include <plat/time.h>

enum {
    REG_DATA = 0,
    REG_IER = 1,
    REG_IIR = 2,
    REG_FCR = 2,
    REG_LSR = 5,
    IER_RECEIVED = 1,
    IER_EMPTY = 2,
    IER_LINE = 4,
    IIR_NONE = 1,
    FCR_ENABLE = 1,
    FCR_TRIGGER_14 = 0xc0,
    LSR_READY = 1,
    LSR_OVERRUN = 2,
    LSR_PARITY = 4,
    LSR_FRAME = 8,
    LSR_BREAK = 0x10,
    LSR_EMPTY = 0x20,
    LSR_IDLE = 0x40,
    LSR_ERRORS = LSR_OVERRUN | LSR_PARITY | LSR_FRAME | LSR_BREAK,
    FIFO = 16,
    UARTS = 2,
    LATE_NS = 100000000,
    START_FIFOS = 4,      /* FIFO fills of one start */
    INTERRUPT_FIFOS = 16, /* FIFOs served, each way, by one interrupt */
};

struct uart {
    struct serial serial;
    struct spin lock;
    uint16_t port;
    bool
        no_interrupt; /* none of the machine's could be had: output alone, and whoever writes waits */
    uint8_t ier;      /* guarded by lock: what is in IER */
};

static struct uart uarts[UARTS];

static uint8_t get(const struct uart *u, unsigned reg)
{
    return plat_io_read8((uint16_t)(u->port + reg));
}

static void put(const struct uart *u, unsigned reg, uint8_t value)
{
    plat_io_write8((uint16_t)(u->port + reg), value);
}

static void set_ier(struct uart *u, uint8_t ier)
{
    if (ier != u->ier) {
        u->ier = ier;
        put(u, REG_IER, ier);
    }
}

/* Send n bytes and wait until they have left; false: there was no progress for wait_ns. Locks: u->lock held. */
static bool send_locked(struct uart *u, const uint8_t *buf, size_t n, uint64_t wait_ns)
{
    uint64_t last = plat_time_ns();
    for (;;) {
        uint8_t lsr = get(u, REG_LSR);
        if (!n && lsr & LSR_IDLE)
            return true;
        if (n && lsr & LSR_EMPTY) {
            for (size_t i = 0; i < FIFO && n; i++, n--)
                put(u, REG_DATA, *buf++);
            last = plat_time_ns();
        } else if (plat_time_ns() - last > wait_ns) {
            return false;
        }
        plat_relax();
    }
}

/* All that there is; what the device does not take in time is lost. Locks: u->lock held. */
static void transmit_waiting(struct uart *u)
{
    struct serial *s = &u->serial;
    uint8_t buf[FIFO];
    size_t n;
    while (s->user && (n = s->user->pull(s, buf, FIFO)))
        if (!send_locked(u, buf, n, LATE_NS))
            return;
}

/* Fill the transmit FIFO up to fifos times, while it is empty. True: something went out. Locks: u->lock held. */
static bool transmit(struct uart *u, unsigned fifos)
{
    struct serial *s = &u->serial;
    uint8_t buf[FIFO];
    bool sent = false;
    while (fifos && get(u, REG_LSR) & LSR_EMPTY) {
        size_t n = s->user ? s->user->pull(s, buf, FIFO) : 0;
        if (!n) {
            set_ier(u, u->ier & ~IER_EMPTY);
            return sent;
        }
        for (size_t i = 0; i < n; i++)
            put(u, REG_DATA, buf[i]);
        sent = true;
        fifos--;
    }
    set_ier(u, u->ier | IER_EMPTY); /* the rest when the FIFO is empty */
    return sent;
}

static void uart_start(struct serial *s)
{
    struct uart *u = s->data;
    spin_lock(&u->lock);
    if (u->no_interrupt)
        transmit_waiting(u);
    else
        transmit(u, START_FIFOS);
    spin_unlock(&u->lock);
}

static void uart_discard(struct serial *s)
{
    struct uart *u = s->data;
    uint8_t buf[FIFO];
    spin_lock(&u->lock);
    while (s->user && s->user->pull(s, buf, FIFO))
        ;
    spin_unlock(&u->lock);
}

static void uart_resume(struct serial *s)
{
    struct uart *u = s->data;
    spin_lock(&u->lock);
    set_ier(u, u->ier | IER_RECEIVED | IER_LINE);
    spin_unlock(&u->lock);
}

static bool uart_idle(struct serial *s)
{
    return get(s->data, REG_LSR) & LSR_IDLE;
}

static bool uart_send_wait(struct serial *s, const uint8_t *buf, size_t n, uint64_t wait_ns)
{
    struct uart *u = s->data;
    bool done;
    spin_lock(&u->lock);
    done = send_locked(u, buf, n, wait_ns);
    spin_unlock(&u->lock);
    return done;
}

static const struct serial_ops uart_ops = { .start = uart_start,
                                            .discard = uart_discard,
                                            .resume = uart_resume,
                                            .idle = uart_idle,
                                            .send_wait = uart_send_wait };

static enum serial_error error_of(uint8_t lsr)
{
    return lsr & LSR_BREAK     ? SERIAL_BREAK
           : lsr & LSR_FRAME   ? SERIAL_FRAME
           : lsr & LSR_PARITY  ? SERIAL_PARITY
           : lsr & LSR_OVERRUN ? SERIAL_OVERRUN
                               : SERIAL_OK;
}

/* Take up to a FIFO of bytes and hand them on. False: nothing more to take now. */
static bool receive(struct uart *u)
{
    struct serial *s = &u->serial;
    uint8_t buf[FIFO];
    size_t n = 0, room = s->user ? s->user->room(s) : 0;
    enum serial_error error = SERIAL_OK;
    spin_lock(&u->lock);
    if (!room)
        set_ier(u, u->ier & ~(IER_RECEIVED |
                              IER_LINE)); /* until resume; the device then holds the host back */
    while (n < FIFO && n < room && error == SERIAL_OK) {
        uint8_t lsr = get(u, REG_LSR);
        if (!(lsr & LSR_READY))
            break;
        error = error_of(lsr & LSR_ERRORS);
        buf[n++] = get(u, REG_DATA);
    }
    spin_unlock(&u->lock);
    if (n)
        s->user->push(s, buf, n, error);
    return n;
}

static void uart_interrupt(void *arg)
{
    struct uart *u = arg;
    struct serial *s = &u->serial;
    bool sent = false;
    unsigned work = INTERRUPT_FIFOS;
    while (work && !(get(u, REG_IIR) & IIR_NONE)) {
        while (work && receive(u))
            work--;
        spin_lock(&u->lock);
        if (u->ier & IER_EMPTY)
            sent |= transmit(u, 1);
        spin_unlock(&u->lock);
        if (work)
            work--;
    }
    if (!work) { /* the line may be edge-triggered: let what is left raise it anew */
        spin_lock(&u->lock);
        put(u, REG_IER, 0);
        put(u, REG_IER, u->ier);
        spin_unlock(&u->lock);
    }
    if (sent && s->user && s->user->sent)
        s->user->sent(s);
}

static int uart_probe(void)
{
    struct plat_uart info;
    for (unsigned i = 0; i < UARTS && plat_uart(i, &info); i++) {
        struct uart *u = &uarts[i];
        spin_init(&u->lock, RANK_SERIAL);
        u->port = info.port;
        u->serial.ops = &uart_ops;
        u->serial.data = u;
        put(u, REG_IER, 0);
        /* An interrupt for 14 bytes, or for fewer once the line rests for the time of four. */
        put(u, REG_FCR, FCR_ENABLE | FCR_TRIGGER_14);
        u->no_interrupt = plat_irq_attach(info.gsi, uart_interrupt, u) != 0;
        if (u->no_interrupt)
            log_warn("uart: port 0x%x has no interrupt: output alone", u->port);
        int err = serial_register(i, &u->serial);
        if (err)
            return err;
    }
    return 0;
}

const struct driver uart_driver = { "uart", uart_probe };
