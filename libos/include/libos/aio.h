/* SPDX-License-Identifier: MIT */
/* Linux asynchronous I/O (io_setup(2) and its family). Direct transfers run while their submitter goes on; everything else is done
 * when io_submit returns, as on Linux. */
#ifndef LIBOS_AIO_H
#define LIBOS_AIO_H

#include <abi/aio.h>
#include <libos/file.h>

struct aio_context;
struct mm;

/* What a request says, checked by the caller. */
struct aio_job {
    struct file *file;    /* borrowed */
    struct file *eventfd; /* borrowed; is told of the end; NULL */
    struct iter *it;      /* memory of a transfer; NULL: sync */
    bool write, data_only;
    uint64_t pos;
    uint64_t data, obj; /* of the event */
};

/* Make a context for nr requests at once in mm; its name is an address of the program's. -EAGAIN (too many), -ENOMEM.
 * May sleep. */
NODISCARD int aio_setup(struct mm *mm, unsigned nr, uintptr_t *ret_id);
/* The context called id with a reference, ended by aio_put; NULL. */
struct aio_context *aio_find(struct mm *mm, uintptr_t id);
void aio_put(struct aio_context *c);
/* End the context: waits for what is under way. -EINVAL. */
NODISCARD int aio_destroy(struct mm *mm, uintptr_t id);
/* Start job. -EAGAIN: the context is full. May sleep. */
NODISCARD int aio_start(struct aio_context *c, const struct aio_job *job);
/* Take up to n events; how many there were. May sleep. */
long aio_take(struct aio_context *c, struct abi_io_event *out, long n);
/* Wait until there are n events. -EINTR, -ETIMEDOUT; -EINVAL: the context was destroyed. */
NODISCARD int aio_wait(struct aio_context *c, long n, uint64_t deadline_ns);
/* Are there events? */
bool aio_ready(const struct aio_context *c);

#endif
