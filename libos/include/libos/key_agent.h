/* SPDX-License-Identifier: MIT */
/* Keys that a server gives to this guest because of what it is: `alcove keyserver`, alcove/keyrelease.h. */
#ifndef LIBOS_KEY_AGENT_H
#define LIBOS_KEY_AGENT_H

#include <base/compiler.h>
#include <base/types.h>

/* Ask the server at where, "http://A.B.C.D[:PORT]#FINGERPRINT" (the SHA-256 of its identity, hexadecimal), for the key of the
 * volume of that name: its bytes, at most max. What fails is said in a logged line. -EINVAL: where or the name is malformed; -ENODEV: this is
 * no confidential guest; -EACCES: the server refuses, or is not the one that the image was built for; -EBADMSG, -EKEYREJECTED: its answer
 * is none; -ENOMEM, and what connecting and the report can fail with. After net_start. Sleeps. */
NODISCARD int key_agent_ask(const char *where, const char *name, uint8_t *ret_key, size_t max);

#endif
