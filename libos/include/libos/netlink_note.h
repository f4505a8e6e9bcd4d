/* SPDX-License-Identifier: MIT */
/* A message for one AF_NETLINK socket that is made now and sent later, when nothing may fail any more: how libOS tells a
 * program's own thread of something (mq_notify(2) with SIGEV_THREAD). */
#ifndef LIBOS_NETLINK_NOTE_H
#define LIBOS_NETLINK_NOTE_H

#include <base/compiler.h>
#include <base/types.h>

struct file;
struct netlink_note;

/* A copy of size bytes of data (at least one), to the socket of f, which stays as long. -ENOTSOCK: f is no socket; -EINVAL: of
 * another family; -ENOMEM. */
NODISCARD int netlink_note_create(struct file *f, const void *data, size_t size,
                                  struct netlink_note **ret_note);
/* Send it with last as its last byte. NULL is allowed. No spin lock is held. */
void netlink_note_send(struct netlink_note *take_note, uint8_t last);
/* Give it up unsent. NULL is allowed. No spin lock is held. */
void netlink_note_destroy(struct netlink_note *take_note);

#endif
