/* SPDX-License-Identifier: MIT */
/* The network of the VM that `run` starts: what the options say, and what becomes of it on QEMU's and the guest's command
 * lines. */
#ifndef ALCOVE_CMD_NET_H
#define ALCOVE_CMD_NET_H

#include "util.h"

struct net_spec {
    const char *tap;          /* NULL: none */
    bool user, none;          /* as --net says */
    const char *ip, *gateway; /* as --ip says */
    const char *dns;
    struct list ports;  /* QEMU's hostfwd= values */
    unsigned vsock_cid; /* 0: no socket device to the host */
    const char *notify; /* what the guest tells of the program's start and end; NULL: nobody */
    unsigned metrics;   /* the guest's port for its counters; 0: none */
    const char *vsock_socket; /* of what serves it; NULL: the host's kernel */
};

/* One of the options publish, net, ip, dns, vsock, notify and metrics; ends the command with a line when its value is wrong. */
void net_option(struct net_spec *n, const char *name, const char *v);

/* Is there a network device? With -p and no --net it is QEMU's user network; with neither there is none. */
bool net_is_on(const struct net_spec *n);
/* Add what QEMU needs to its arguments; and to the guest's boot command line, what its addresses are. */
void net_qemu_args(const struct net_spec *n, const char *machine, struct list *args);
/* The same of the socket device to the host. */
void vsock_qemu_args(const struct net_spec *n, const char *machine, struct list *args);
void net_append(const struct net_spec *n, struct buf *append);

#endif
