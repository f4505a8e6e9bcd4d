/* SPDX-License-Identifier: MIT */
/* virtio-console against a device that is honest, slow, and one that lies: ports that do not exist, messages cut short,
 * completions of nothing. Bytes arrive once and in order, or the device is reset with a line. */
#include "virtio/console.h"
#include "fake.h"
#include "setup.h"

#include <libos/dev/console.h>

static struct console *con;
static struct serial *stdio;
static uint8_t sent[20000], heard[20000];
static size_t sent_at, sent_end, heard_n, room;
static unsigned told[8]; /* events that the driver sent */

static size_t user_room(struct serial *s)
{
    (void)s;
    return room;
}

static void user_push(struct serial *s, const uint8_t *buf, size_t n, enum serial_error error)
{
    (void)s;
    assert_int_equal(error, SERIAL_OK);
    assert_true(n <= room && heard_n + n <= sizeof(heard));
    memcpy(heard + heard_n, buf, n);
    heard_n += n;
    room -= n;
}

static size_t user_pull(struct serial *s, uint8_t *buf, size_t n)
{
    (void)s;
    if (n > sent_end - sent_at)
        n = sent_end - sent_at;
    memcpy(buf, sent + sent_at, n);
    sent_at += n;
    return n;
}

static const struct serial_user user = { .room = user_room, .push = user_push, .pull = user_pull };

/* Take what the driver says on the control queue at once. */
static void notified(struct fake *f, unsigned queue)
{
    struct fake_chain c;
    (void)f;
    while (queue == CONSOLE_CONTROL_OUT && fake_take(queue, &c)) {
        struct console_message m;
        assert_int_equal(c.part[0].len, sizeof(m));
        memcpy(&m, c.part[0].p, sizeof(m));
        assert_true(m.event < 8);
        told[m.event]++;
        fake_use(queue, c.head, 0);
    }
}

/* The device sends a control message: n bytes of a header and a name. */
static void say(uint32_t id, uint16_t event, uint16_t value, const char *name, uint32_t n)
{
    struct fake_chain c;
    struct console_message m = { id, event, value };
    assert_true(fake_take(CONSOLE_CONTROL_IN, &c));
    assert_int_equal(c.n, 1);
    assert_int_equal(c.part[0].len, CONSOLE_MESSAGE_MAX);
    memcpy(c.part[0].p, &m, sizeof(m));
    memcpy(c.part[0].p + sizeof(m), name, strlen(name));
    fake_use(CONSOLE_CONTROL_IN, c.head, n);
    fake_interrupt(false);
    notified(&fake, CONSOLE_CONTROL_OUT); /* the driver need not notify again */
}

static void start(void)
{
    uint32_t ports = 3;
    if (con)
        return;
    fake_init(VIRTIO_CONSOLE, VIRTIO_BIT(CONSOLE_F_MULTIPORT) | VIRTIO_BIT(VIRTIO_F_EVENT_IDX));
    memcpy(fake.config + 4, &ports, sizeof(ports));
    fake.notify = notified;
    fake_probe();
    con = fake_device()->data;
    assert_int_equal(con->nports, 3);
    assert_int_equal(told[CONSOLE_DEVICE_READY], 1);
}

/* Queues of port 1. */
enum { IN = 4, OUT = 5 };

static void ports(void **state)
{
    (void)state;
    start();
    say(1, CONSOLE_PORT_ADD, 1, "", 8);
    say(2, CONSOLE_PORT_ADD, 1, "", 8);
    assert_int_equal(told[CONSOLE_PORT_READY], 2);
    assert_int_equal(told[CONSOLE_PORT_OPEN], 0);
    say(1, CONSOLE_PORT_NAME, 1, "alcove.stdio", 8 + 12);
    say(1, CONSOLE_PORT_NAME, 1, "alcove.stdio", 8 + 12);
    assert_int_equal(told[CONSOLE_PORT_OPEN], 1);
    stdio = &con->ports[1].serial;
    assert_null(stdio->user);
    stdio->user = &user;
}

/* What makes no sense is ignored, and a later message is still understood. */
static void nonsense(void **state)
{
    unsigned ready = told[CONSOLE_PORT_READY];
    (void)state;
    say(3, CONSOLE_PORT_ADD, 1, "", 8);
    say(UINT32_MAX, CONSOLE_PORT_NAME, 1, "alcove.stdio", 20);
    say(2, CONSOLE_PORT_NAME, 1, "alcove.stderr", 7);
    say(2, CONSOLE_PORT_NAME, 1, "alcove.stderr", 8 + 12);
    say(2, 77, 1, "", 8);
    say(0, CONSOLE_PORT_ADD, 1, "", 0);
    assert_int_equal(told[CONSOLE_PORT_READY], ready);
    assert_int_equal(told[CONSOLE_PORT_OPEN], 1);
    for (unsigned i = 0; i < 100; i++) /* more than there are buffers */
        say(2, CONSOLE_RESIZE, 1, "", CONSOLE_MESSAGE_MAX);
    say(2, CONSOLE_PORT_NAME, 1, "alcove.stderr", 8 + 13);
    assert_int_equal(told[CONSOLE_PORT_OPEN], 2);
    assert_false(con->dev->failed);
    assert_int_equal(log_lines, 0);
}

/* More than its buffers hold, to a device that takes one at a time. */
static void output(void **state)
{
    static uint8_t got[sizeof(sent)];
    struct fake_chain c;
    size_t n = 0;
    (void)state;
    for (size_t i = 0; i < sizeof(sent); i++)
        sent[i] = (uint8_t)(i * 7 + i / 256);
    sent_at = 0;
    sent_end = sizeof(sent);
    stdio->ops->start(stdio);
    assert_int_equal(sent_at, CONSOLE_BUFFERS * CONSOLE_BUFFER);
    assert_false(stdio->ops->idle(stdio));
    while (fake_take(OUT, &c)) {
        memcpy(got + n, c.part[0].p, c.part[0].len);
        n += c.part[0].len;
        fake_use(OUT, c.head, 0);
        fake_interrupt(false);
    }
    assert_int_equal(n, sizeof(sent));
    assert_memory_equal(got, sent, n);
    assert_true(stdio->ops->idle(stdio));
    assert_int_equal(log_lines, 0);
}

static void input(const uint8_t *bytes, uint32_t n)
{
    struct fake_chain c;
    assert_true(fake_take(IN, &c));
    assert_int_equal(c.part[0].len, CONSOLE_BUFFER);
    memcpy(c.part[0].p, bytes, n);
    fake_use(IN, c.head, n);
    fake_interrupt(false);
}

/* There is no room at first, and then for one byte at a time, or for much. */
static void slow_reader(void **state)
{
    (void)state;
    heard_n = room = 0;
    input(sent, 3000);
    input(sent + 3000, CONSOLE_BUFFER);
    assert_int_equal(heard_n, 0);
    for (size_t i = 0; i < 500; i++) {
        room = 1;
        stdio->ops->resume(stdio);
        assert_int_equal(heard_n, i + 1);
    }
    room = 10000;
    stdio->ops->resume(stdio);
    assert_int_equal(heard_n, 3000 + CONSOLE_BUFFER);
    input(sent + heard_n, 100); /* the buffers are the device's again */
    input(sent + heard_n, 0);
    assert_int_equal(heard_n, 3100 + CONSOLE_BUFFER);
    assert_memory_equal(heard, sent, heard_n);
    assert_int_equal(log_lines, 0);
}

/* Last: a completion that there cannot be ends the device, and its channel then takes and gives nothing. */
static void lies(void **state)
{
    struct fake_chain c;
    (void)state;
    assert_true(fake_take(IN, &c));
    fake_use(IN, c.head, CONSOLE_BUFFER + 1);
    room = sizeof(heard) - heard_n;
    size_t before = heard_n;
    fake_interrupt(false);
    assert_true(con->dev->failed);
    assert_int_equal(heard_n, before);
    assert_int_equal(log_lines, 1);
    sent_at = 0;
    stdio->ops->start(stdio);
    assert_int_equal(sent_at, 0);
    assert_true(stdio->ops->idle(stdio)); /* nobody waits for it */
    assert_false(stdio->ops->send_wait(stdio, sent, 10, 1000));
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(ports), cmocka_unit_test(nonsense),
                                        cmocka_unit_test(output), cmocka_unit_test(slow_reader),
                                        cmocka_unit_test(lies) };
    setup();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
