/* SPDX-License-Identifier: MIT */
/* Private to the virtio-console driver and its tests. Spec: virtio 1.2, 5.3. */
#ifndef DRIVERS_VIRTIO_CONSOLE_H
#define DRIVERS_VIRTIO_CONSOLE_H

#include "virtio/virtio.h"

#include <libos/dev/serial.h>

enum {
    CONSOLE_F_MULTIPORT = 1,
    CONSOLE_PORTS = 3,   /* that are used; a device may have more */
    CONSOLE_BUFFERS = 2, /* each way of each port */
    CONSOLE_BUFFER = 4096,
    CONSOLE_PIECE = 256, /* of input, on the stack */
    CONSOLE_RING = 8,
    CONSOLE_MESSAGES = 32, /* from the device that may wait: it drops what finds no buffer */
    CONSOLE_MESSAGE_MAX = CONSOLE_BUFFER / CONSOLE_MESSAGES, /* bytes of one message, with a name */
    CONSOLE_IN = 0,
    CONSOLE_OUT = 1,
    CONSOLE_CONTROL_IN = 2,
    CONSOLE_CONTROL_OUT = 3,
};
#define CONSOLE_WAIT_NS 200000000ull

enum console_event {
    CONSOLE_DEVICE_READY,
    CONSOLE_PORT_ADD,
    CONSOLE_PORT_REMOVE,
    CONSOLE_PORT_READY,
    CONSOLE_CONSOLE_PORT,
    CONSOLE_RESIZE,
    CONSOLE_PORT_OPEN,
    CONSOLE_PORT_NAME,
};

/* On the control queues, little-endian. */
struct console_message {
    uint32_t id;
    uint16_t event, value;
};

struct console_buffer {
    struct plat_dma mem;
    uint32_t size;
    size_t from, to; /* input not handed on yet */
    bool busy;       /* output: the device has it */
};

struct console;

/* One channel; the buffers are guarded by the lock of the queue they belong to. */
struct console_port {
    struct console *console;
    unsigned id;
    struct serial serial;
    struct console_buffer in[CONSOLE_BUFFERS], out[CONSOLE_BUFFERS];
    struct console_buffer *in_hand; /* whose bytes are being handed on */
    bool receiving, receive_again;
    bool used; /* given to libOS; control queue's handler only */
};

struct console {
    struct virtio_device *dev;
    unsigned nports;
    struct console_port ports[CONSOLE_PORTS];
    struct console_buffer word,
        heard[CONSOLE_MESSAGES]; /* control messages: to the device, from it */
};

#endif
