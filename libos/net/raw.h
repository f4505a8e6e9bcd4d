/* SPDX-License-Identifier: MIT */
#ifndef NET_RAW_H
#define NET_RAW_H

#include <stdbool.h>

/* Was there ever a raw socket that wants packets of this protocol? Locks: core held. */
bool rawsock_hooked(unsigned protocol);

#endif
