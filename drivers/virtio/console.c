/* SPDX-License-Identifier: MIT */
/* virtio-console: byte channels to the host. Without VIRTIO_CONSOLE_F_MULTIPORT there is one, the console; with it, ports
 * say over a pair of control queues what they are called and whether the host has them open. A port is a channel of
 * libos/dev/serial.h: output waits with its user and is pulled a page at a time, input is pushed as far as there is room.
 * Each queue's lock guards its ring and the buffers of it; no lock is held over a push. Spec: virtio 1.2, 5.3. */
#include "virtio/console.h"

#include <abi/errno.h>
#include <base/log.h>
#include <libos/heap.h>
#include <plat/cpu.h>
#include <plat/time.h>
#include <string.h>

enum { CONFIG_MAX_PORTS = 4 };

static uint64_t console_features(uint64_t offered)
{
    return offered & VIRTIO_BIT(CONSOLE_F_MULTIPORT);
}

static struct virtio_queue *port_queue(struct console_port *p, unsigned way)
{
    /* 5.3.2: those of port 0, then the control queues, then the others. */
    unsigned first = p->id ? 2 * p->id + 2 : 0;
    return &p->console->dev->queues[first + way];
}

static struct virtq_seg segment(const struct console_buffer *b, uint32_t len)
{
    return (struct virtq_seg){ .addr = b->mem.addr, .len = len };
}

/* Let the device fill b. Locks: q->lock held. */
static int offer(struct virtio_queue *q, struct console_buffer *b)
{
    struct virtq_seg seg = segment(b, b->size);
    return virtq_put(&q->ring, &seg, 0, 1, b);
}

/* Take back what the device has sent. Locks: q->lock held. -EIO: it broke the rules. */
static int reap(struct virtio_queue *q)
{
    void *token;
    uint32_t len;
    int got;
    while ((got = virtq_get(&q->ring, &token, &len)) > 0)
        ((struct console_buffer *)token)->busy = false;
    return got;
}

static struct console_buffer *idle_buffer(struct console_port *p)
{
    for (unsigned i = 0; i < CONSOLE_BUFFERS; i++)
        if (!p->out[i].busy)
            return &p->out[i];
    return NULL;
}

/* Send what the user has, as far as there are buffers; the rest when one comes back. Locks: q->lock held. *ret_pulled: there
 * is more room for output now. */
static int transmit(struct console_port *p, bool *ret_pulled)
{
    struct virtio_queue *q = port_queue(p, CONSOLE_OUT);
    struct serial *s = &p->serial;
    struct console_buffer *b;
    int err = reap(q);
    do {
        while (!err && (b = idle_buffer(p))) {
            size_t n = s->user ? s->user->pull(s, b->mem.ptr, CONSOLE_BUFFER) : 0;
            if (!n)
                break;
            struct virtq_seg seg = segment(b, (uint32_t)n);
            *ret_pulled = b->busy = true;
            err = virtq_put(&q->ring, &seg, 1, 0, b);
        }
        virtio_kick(q);
        if (err || idle_buffer(p)) {
            virtq_disable(&q->ring);
            break;
        }
        /* All are on their way: an interrupt when the first is back, unless it is by now. */
    } while (virtq_enable(&q->ring, 1) && (err = reap(q)) == 0);
    return err;
}

static void port_start(struct serial *s)
{
    struct console_port *p = s->data;
    struct virtio_queue *q = port_queue(p, CONSOLE_OUT);
    bool pulled = false;
    spin_lock(&q->lock);
    int err = p->console->dev->failed ? -EIO : transmit(p, &pulled);
    spin_unlock(&q->lock);
    if (err == -EIO)
        virtio_fail(q->dev, q->ring.why); /* no more than once */
}

static void port_discard(struct serial *s)
{
    struct console_port *p = s->data;
    struct virtio_queue *q = port_queue(p, CONSOLE_OUT);
    uint8_t buf[64];
    spin_lock(&q->lock);
    while (s->user && s->user->pull(s, buf, sizeof(buf)))
        ;
    spin_unlock(&q->lock);
}

static bool port_idle(struct serial *s)
{
    struct console_port *p = s->data;
    struct virtio_queue *q = port_queue(p, CONSOLE_OUT);
    spin_lock(&q->lock);
    int err = p->console->dev->failed ? -EIO : reap(q);
    bool idle = err || q->ring.in_flight == 0;
    spin_unlock(&q->lock);
    return idle;
}

static bool port_send_wait(struct serial *s, const uint8_t *buf, size_t n, uint64_t wait_ns)
{
    struct console_port *p = s->data;
    struct virtio_queue *q = port_queue(p, CONSOLE_OUT);
    uint64_t last = plat_time_ns();
    while (n && !p->console->dev->failed && plat_time_ns() - last <= wait_ns) {
        struct console_buffer *b;
        spin_lock(&q->lock);
        if (reap(q) == 0 && (b = idle_buffer(p))) {
            size_t part = n < CONSOLE_BUFFER ? n : CONSOLE_BUFFER;
            struct virtq_seg seg = segment(b, (uint32_t)part);
            memcpy(b->mem.ptr, buf, part);
            if (virtq_put(&q->ring, &seg, 1, 0, b) == 0) {
                b->busy = true;
                buf += part;
                n -= part;
                last = plat_time_ns();
            }
            virtio_kick(q);
        }
        spin_unlock(&q->lock);
        plat_relax();
    }
    return n == 0;
}

/* The next bytes for the user: of the buffer in hand, or of one that the device has filled. NULL: there are none. Locks:
 * q->lock held. */
static struct console_buffer *filled(struct console_port *p, struct virtio_queue *q, int *ret_err)
{
    void *token;
    uint32_t len;
    if (p->in_hand)
        return p->in_hand;
    *ret_err = virtq_get(&q->ring, &token, &len);
    if (*ret_err <= 0)
        return NULL;
    p->in_hand = token;
    p->in_hand->from = 0;
    p->in_hand->to = len; /* at most CONSOLE_BUFFER: the ring has looked */
    return p->in_hand;
}

/* A piece of b to the user; its size. The device may write on in the buffer, so that the piece is a copy. */
static size_t hand_on(struct serial *s, const struct console_buffer *b)
{
    uint8_t copy[CONSOLE_PIECE];
    size_t room = s->user->room(s), n = b->to - b->from < room ? b->to - b->from : room;
    n = n < sizeof(copy) ? n : sizeof(copy);
    memcpy(copy, (const uint8_t *)b->mem.ptr + b->from, n);
    if (n)
        s->user->push(s, copy, n, SERIAL_OK);
    return n;
}

/* Hand input on while there is room for it. One caller at a time does; another has it look again. */
static void receive(struct console_port *p)
{
    struct virtio_queue *q = port_queue(p, CONSOLE_IN);
    struct serial *s = &p->serial;
    struct console_buffer *b;
    int err = 0;
    spin_lock(&q->lock);
    p->receive_again = true;
    if (p->receiving || p->console->dev->failed || !s->user) {
        spin_unlock(&q->lock);
        return;
    }
    p->receiving = true;
    while (p->receive_again) {
        p->receive_again = false;
        while ((b = filled(p, q, &err))) {
            spin_unlock(&q->lock);
            size_t n = hand_on(s, b);
            spin_lock(&q->lock);
            b->from += n;
            if (b->from < b->to && !n)
                break; /* until the user resumes */
            if (b->from < b->to)
                continue;
            p->in_hand = NULL;
            err = offer(q, b);
            virtio_kick(q);
        }
        if (!b && virtq_enable(&q->ring, 1))
            p->receive_again = true;
    }
    p->receiving = false;
    spin_unlock(&q->lock);
    if (err == -EIO)
        virtio_fail(q->dev, q->ring.why);
}

static struct console_port *port_of(struct virtio_queue *q)
{
    struct console *c = q->dev->data;
    unsigned i = q->index / 2;
    return &c->ports[i ? i - 1 : 0];
}

static void in_interrupt(struct virtio_queue *q)
{
    receive(port_of(q));
}

static void out_interrupt(struct virtio_queue *q)
{
    struct console_port *p = port_of(q);
    struct serial *s = &p->serial;
    bool pulled = false;
    spin_lock(&q->lock);
    int err = q->dev->failed ? 0 : transmit(p, &pulled);
    spin_unlock(&q->lock);
    if (err == -EIO)
        virtio_fail(q->dev, q->ring.why);
    if (pulled && s->user && s->user->sent)
        s->user->sent(s);
}

static void port_resume(struct serial *s)
{
    receive(s->data);
}

static const struct serial_ops port_ops = { .start = port_start,
                                            .discard = port_discard,
                                            .resume = port_resume,
                                            .resume_pushes = true,
                                            .idle = port_idle,
                                            .send_wait = port_send_wait };

/* Say something about a port on the control queue; when the device is slow, wait for the last word to be taken. */
static void tell(struct console *c, uint32_t id, uint16_t event, uint16_t value)
{
    struct virtio_queue *q = &c->dev->queues[CONSOLE_CONTROL_OUT];
    struct console_message m = { id, event, value };
    uint64_t end = plat_time_ns() + CONSOLE_WAIT_NS;
    struct virtq_seg seg = segment(&c->word, sizeof(m));
    spin_lock(&q->lock);
    while (c->word.busy && plat_time_ns() < end) {
        void *token;
        uint32_t len;
        c->word.busy = virtq_get(&q->ring, &token, &len) == 0;
        plat_relax();
    }
    if (!c->word.busy) {
        memcpy(c->word.mem.ptr, &m, sizeof(m));
        c->word.busy = virtq_put(&q->ring, &seg, 1, 0, &c->word) == 0;
        virtio_kick(q);
    }
    spin_unlock(&q->lock);
}

/* Give the port to libOS as its channel i, once. */
static void port_use(struct console_port *p, unsigned i)
{
    if (p->used)
        return;
    p->used = true;
    if (virtio_has(p->console->dev, CONSOLE_F_MULTIPORT))
        tell(p->console, p->id, CONSOLE_PORT_OPEN, 1);
    if (serial_register(i, &p->serial) == 0)
        receive(p);
}

/* A message from the device, a copy of it: n bytes, with what follows it. What is not understood is ignored. */
static void message(struct console *c, const uint8_t *bytes, size_t n)
{
    struct console_message m;
    if (n < sizeof(m))
        return;
    memcpy(&m, bytes, sizeof(m));
    bytes += sizeof(m);
    n -= sizeof(m);
    if (m.id >= c->nports)
        return;
    struct console_port *p = &c->ports[m.id];
    if (m.event == CONSOLE_PORT_ADD)
        tell(c, m.id, CONSOLE_PORT_READY, 1);
    else if (m.event == CONSOLE_CONSOLE_PORT)
        port_use(p, SERIAL_CONSOLE);
    else if (m.event == CONSOLE_PORT_NAME && n >= strlen("alcove.stdio") &&
             !memcmp(bytes, "alcove.stdio", strlen("alcove.stdio")))
        port_use(p, SERIAL_STDIO);
    else if (m.event == CONSOLE_PORT_NAME && n >= strlen("alcove.stderr") &&
             !memcmp(bytes, "alcove.stderr", strlen("alcove.stderr")))
        port_use(p, SERIAL_STDERR);
}

static void control_interrupt(struct virtio_queue *q)
{
    struct console *c = q->dev->data;
    uint8_t copy[CONSOLE_MESSAGE_MAX];
    void *token;
    uint32_t len;
    int got;
    do {
        spin_lock(&q->lock);
        while ((got = virtq_get(&q->ring, &token, &len)) > 0) {
            struct console_buffer *b = token;
            size_t n = len < sizeof(copy) ? len : sizeof(copy);
            memcpy(copy, b->mem.ptr, n);
            got = offer(q, b);
            virtio_kick(q);
            spin_unlock(&q->lock);
            message(c, copy, n); /* the device may answer at once */
            spin_lock(&q->lock);
            if (got)
                break;
        }
        bool more = !got && virtq_enable(&q->ring, 1);
        spin_unlock(&q->lock);
        if (!more)
            break;
    } while (true);
    if (got == -EIO)
        virtio_fail(q->dev, q->ring.why);
}

static int buffer_alloc(struct console_buffer *b)
{
    b->size = CONSOLE_BUFFER;
    return plat_dma_alloc(CONSOLE_BUFFER, &b->mem);
}

/* The queues of one port and their buffers; input may come once the device is ready. */
static int port_init(struct console *c, unsigned id)
{
    struct console_port *p = &c->ports[id];
    *p = (struct console_port){ .console = c, .id = id, .serial = { .ops = &port_ops, .data = p } };
    for (unsigned way = CONSOLE_IN; way <= CONSOLE_OUT; way++) {
        struct virtio_queue *q = port_queue(p, way);
        unsigned index = (unsigned)(q - c->dev->queues);
        int err = virtio_queue_start(c->dev, index, index, CONSOLE_RING, 0,
                                     way == CONSOLE_IN ? in_interrupt : out_interrupt);
        for (unsigned i = 0; !err && i < CONSOLE_BUFFERS; i++) {
            struct console_buffer *b = way == CONSOLE_IN ? &p->in[i] : &p->out[i];
            err = buffer_alloc(b);
            if (!err && way == CONSOLE_IN) {
                spin_lock(&q->lock);
                err = offer(q, b);
                spin_unlock(&q->lock);
            }
        }
        if (err)
            return err;
    }
    return 0;
}

static int control_init(struct console *c)
{
    struct virtio_queue *q = &c->dev->queues[CONSOLE_CONTROL_IN];
    struct plat_dma all;
    int err = virtio_queue_start(c->dev, CONSOLE_CONTROL_IN, CONSOLE_CONTROL_IN, CONSOLE_MESSAGES,
                                 0, control_interrupt);
    if (!err)
        err = virtio_queue_start(c->dev, CONSOLE_CONTROL_OUT, CONSOLE_CONTROL_OUT, CONSOLE_RING, 0,
                                 NULL);
    if (!err)
        err = buffer_alloc(&c->word);
    if (!err)
        err = plat_dma_alloc(CONSOLE_BUFFER, &all);
    for (unsigned i = 0; !err && i < CONSOLE_MESSAGES && i < q->ring.size; i++) {
        size_t at = (size_t)i * CONSOLE_MESSAGE_MAX;
        c->heard[i].mem.ptr = (uint8_t *)all.ptr + at;
        c->heard[i].mem.addr = all.addr + at;
        c->heard[i].size = CONSOLE_MESSAGE_MAX;
        spin_lock(&q->lock);
        err = offer(q, &c->heard[i]);
        spin_unlock(&q->lock);
    }
    return err;
}

static void kick_input(struct virtio_queue *q)
{
    spin_lock(&q->lock);
    (void)virtq_enable(&q->ring, 1);
    virtio_kick(q);
    spin_unlock(&q->lock);
}

static int console_probe(struct virtio_device *d)
{
    struct console *c = heap_zalloc(sizeof(*c));
    bool multiport = virtio_has(d, CONSOLE_F_MULTIPORT);
    uint32_t max = 1;
    if (!c)
        return -ENOMEM;
    c->dev = d;
    d->data = c; /* kept: a channel that was registered stays */
    int err = multiport ? virtio_config(d, CONFIG_MAX_PORTS, &max, sizeof(max), sizeof(max)) : 0;
    if (!err && max == 0)
        err = -EIO;
    c->nports = max < CONSOLE_PORTS ? max : CONSOLE_PORTS;
    if (!err)
        err = virtio_queues_alloc(d, multiport ? 2 * c->nports + 2 : 2);
    for (unsigned i = 0; !err && i < c->nports; i++)
        err = port_init(c, i);
    if (!err && multiport)
        err = control_init(c);
    if (err)
        return err;
    virtio_ready(d);
    for (unsigned i = 0; i < c->nports; i++)
        kick_input(port_queue(&c->ports[i], CONSOLE_IN));
    if (multiport) {
        kick_input(&d->queues[CONSOLE_CONTROL_IN]);
        tell(c, 0, CONSOLE_DEVICE_READY, 1);
    } else {
        port_use(&c->ports[0], SERIAL_CONSOLE);
    }
    return 0;
}

const struct virtio_driver virtio_console_driver = {
    .type = VIRTIO_CONSOLE,
    .name = "console",
    .features = console_features,
    .probe = console_probe,
};
