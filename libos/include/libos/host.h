/* SPDX-License-Identifier: MIT */
/* What the host hears of the guest over AF_VSOCK: that the program runs and how it ended, by the protocol of sd_notify(3), and
 * libOS's counters. Both only when the boot command line asks for them. */
#ifndef LIBOS_HOST_H
#define LIBOS_HOST_H

#include <base/compiler.h>
#include <base/types.h>

/* Is it the address of a notification socket: "vsock-stream:CID:PORT", "vsock-seqpacket:CID:PORT" or "vsock:CID:PORT"? */
bool host_notify_address(const char *text);
/* Send text to address, one connection for it; the wait for an answer is at most some seconds. A failure is a warning. The
 * caller is a thread that may sleep. */
void host_notify(const char *address, const char *text);
/* Answer whoever connects to port with the counters, in the Prometheus text format behind an HTTP header; for good. A failure is a
 * warning. May sleep. */
void host_metrics_start(unsigned port);

#endif
