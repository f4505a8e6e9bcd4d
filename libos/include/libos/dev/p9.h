/* SPDX-License-Identifier: MIT */
/* Channels to a 9P server: what a driver registers, and what the file system sends through it. */
#ifndef LIBOS_DEV_P9_H
#define LIBOS_DEV_P9_H

#include <base/compiler.h>
#include <base/types.h>
#include <libos/waitq.h>

enum {
    P9_TAG_MAX = 64 /* with the zero */,
    P9_TAGS = 1024 /* of messages; a ring has room for fewer */
};

/* A message and the room for its answer, in memory of libOS that lies in the linear map; the device's until p9_done. */
struct p9_call {
    const void *out, *out_data;
    uint32_t out_len, out_data_len; /* out_data_len 0: there is none */
    void *in, *in_data;
    uint32_t in_len, in_data_len; /* room; in is filled before in_data */
    int64_t result;     /* bytes that the device says it wrote, at most the room; or -EIO */
    volatile bool done; /* guarded by wait.lock */
    bool abandoned;     /* nobody waits; guarded by wait.lock */
    struct waitq wait;
    struct p9_call *next; /* of the channel's abandoned ones that are back */
};

struct p9_channel {
    char tag[P9_TAG_MAX];
    /* Hand c to the device. -EAGAIN: no room until another call is done; -EIO: the device is gone. Does not sleep. */
    int (*start)(struct p9_channel *ch, struct p9_call *c);
    void *data;
    /* The file system's. */
    struct p9_channel *next;
    struct waitq room;
    _Atomic bool claimed;
    struct p9_call *_Atomic back; /* abandoned calls that the device gave back */
    struct spin lock;             /* RANK_FS_CACHE: the tags, and how far abandoned calls are */
    uint64_t tags[P9_TAGS / 64];
    uint32_t session; /* counts the mounts */
};

/* A driver found a server; kept for good. */
void p9_register(struct p9_channel *ch);
/* c was answered with len bytes, or -EIO. From any context, no lock of the driver held. */
void p9_done(struct p9_channel *ch, struct p9_call *c, int64_t len);

#endif
