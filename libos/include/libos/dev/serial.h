/* SPDX-License-Identifier: MIT */
/* The class of byte channels (UARTs, virtio-console): drivers/ fills it, libos/dev/console.c uses it. */
#ifndef LIBOS_DEV_SERIAL_H
#define LIBOS_DEV_SERIAL_H

#include <base/compiler.h>
#include <base/types.h>

struct serial;

/* What a driver does. Called with the user's lock held and interrupts off; nothing sleeps. */
struct serial_ops {
    /* Start sending what the user's pull gives. Bounded work; the rest leaves by interrupt. */
    void (*start)(struct serial *s);
    /* Throw away what pull gives; bytes that the device has already will still be sent. */
    void (*discard)(struct serial *s);
    /* Receive again after push had no room. resume_pushes: it pushes itself, so that no lock of the user's may be held. */
    void (*resume)(struct serial *s);
    bool resume_pushes;
    /* True when the device has sent everything it was given. */
    bool (*idle)(struct serial *s);
    /* Send n bytes now, waiting for the device; false when it made no progress for wait_ns. */
    bool (*send_wait)(struct serial *s, const uint8_t *buf, size_t n, uint64_t wait_ns);
};

/* One channel; the driver's memory, kept for good. */
struct serial {
    const struct serial_ops *ops;
    void *data;                     /* of the driver */
    const struct serial_user *user; /* NULL: nobody listens */
    void *user_data;
};

enum serial_error { SERIAL_OK, SERIAL_BREAK, SERIAL_PARITY, SERIAL_FRAME, SERIAL_OVERRUN };

/* What a channel's user does. Called by the driver from its interrupt handler. */
struct serial_user {
    /* Bytes that may be pushed now. */
    size_t (*room)(struct serial *s);
    /* Take n received bytes, at most room; error: what came with the last of them. */
    void (*push)(struct serial *s, const uint8_t *buf, size_t n, enum serial_error error);
    /* Give up to n bytes to send; how many. */
    size_t (*pull)(struct serial *s, uint8_t *buf, size_t n);
    /* After a pull from an interrupt: there is room for more output. */
    void (*sent)(struct serial *s);
};

/* What channels are for. With ports (virtio), the console's bytes may come and go by one, and standard error by another. */
enum serial_channel {
    SERIAL_CONSOLE,
    SERIAL_CONTROL,
    SERIAL_STDIO,
    SERIAL_STDERR,
    SERIAL_CHANNELS
};

/* A driver found a channel. From interrupts too. -EBUSY: there is one already; -EPERM: this image says nothing to the host. */
NODISCARD int serial_register(enum serial_channel i, struct serial *s);

#endif
