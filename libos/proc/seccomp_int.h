/* SPDX-License-Identifier: MIT */
/* Filters and their listeners, between seccomp.c and seccomp_notify.c. */
#ifndef PROC_SECCOMP_INT_H
#define PROC_SECCOMP_INT_H

#include <libos/seccomp.h>

struct seccomp_listener;

/* One program. Immutable; those installed later come first. */
struct seccomp_filter {
    _Atomic uint32_t refs;
    _Atomic uint32_t users; /* threads that have it: a listener hears when there are none */
    struct seccomp_filter *prev;
    struct seccomp_listener *listener; /* NULL: nobody to ask */
    uint16_t len, total;               /* instructions; of all in the chain, four more for each */
    bool log;
    struct abi_sock_filter prog[];
};

void seccomp_filter_put(struct seccomp_filter *f);

/* SIGSYS for the call in t's frame, with this si_code; fatal: it cannot be caught. */
void seccomp_sigsys(struct thread *t, int code, bool fatal);

/* A listener with one reference, and a file for it. killable: a question that was taken waits for its answer in spite of signals.
 * -ENOMEM, -ENFILE. */
NODISCARD int seccomp_listener_create(bool killable, struct seccomp_listener **ret,
                                      struct file **ret_file);
void seccomp_listener_put(struct seccomp_listener *l);
/* No thread has the filter any more. */
void seccomp_listener_unused(struct seccomp_listener *l);
/* Ask about data: true: do the call. False: *ret is its result. May sleep. */
bool seccomp_listener_ask(struct seccomp_listener *l, const struct abi_seccomp_data *data,
                          long *ret);

#endif
