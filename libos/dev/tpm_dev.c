/* SPDX-License-Identifier: MIT */
/* /dev/tpm0 and /dev/tpmrm0: one writes a command, then reads its answer. Spec: Linux, drivers/char/tpm as a program sees it
 * (a write takes as long as the command), TSS 2.0 TCTI. */
#include "tpm_int.h"

#include <abi/errno.h>
#include <abi/poll.h>
#include <libos/file.h>
#include <libos/heap.h>
#include <libos/iter.h>
#include <libos/poll.h>
#include <libos/waitq.h>
#include <mbedtls/platform_util.h>
#include <plat/time.h>

#define KEEP_NS 120000000000ull /* how long an answer waits to be read */

struct client {
    struct mutex lock;
    struct tpm_space *space; /* NULL: /dev/tpm0 */
    size_t size, taken;      /* of an answer; guarded by lock */
    uint64_t until_ns;       /* when it is thrown away */
    struct waitq wait;
    uint8_t command[TPM_BUFFER], answer[TPM_BUFFER]; /* guarded by lock */
};

static _Atomic bool raw_open;

/* How much of an answer is there to be read; an old one is not. The lock is held. */
static size_t pending(struct client *c)
{
    if (c->size && plat_time_ns() >= c->until_ns) {
        mbedtls_platform_zeroize(c->answer, sizeof(c->answer));
        c->size = c->taken = 0;
    }
    return c->size - c->taken;
}

static ssize_type tpm_read(struct file *f, struct iter *it, uint64_t *pos)
{
    struct client *c = f->data;
    ssize_type n;
    size_t left;

    (void)pos;
    mutex_lock(&c->lock);
    left = pending(c);
    n = (ssize_type)iter_put(it, c->answer + c->taken, left < it->left ? left : it->left);
    if (n < (ssize_type)left && it->left)
        n = -EFAULT;
    else
        c->taken += (size_t)n;
    if (n < 0 || c->taken == c->size) {
        mbedtls_platform_zeroize(c->answer, c->size);
        c->size = c->taken = 0;
    }
    mutex_unlock(&c->lock);
    waitq_wake(&c->wait, WAITQ_ALL, EPOLLOUT);
    return n;
}

/* Send the n bytes that command holds, and keep the answer. */
static ssize_type transact(struct client *c, size_t n)
{
    uint32_t size = n < TPM_HEADER ? 0 : tpm_get32(c->command + 2);
    ssize_type got;

    if (size < TPM_HEADER || size > n)
        return -EINVAL;
    mutex_lock(&tpm_lock);
    got = c->space ? tpm_space_send(c->space, c->command, size, c->answer)
                   : tpm_send(c->command, size, c->answer);
    mutex_unlock(&tpm_lock);
    if (got < 0)
        return got;
    c->size = (size_t)got;
    c->taken = 0;
    c->until_ns = plat_time_ns() + KEEP_NS;
    return (ssize_type)n;
}

static ssize_type tpm_write(struct file *f, struct iter *it, uint64_t *pos)
{
    struct client *c = f->data;
    size_t n = it->left;
    ssize_type done;

    (void)pos;
    if (n > TPM_BUFFER)
        return -E2BIG;
    mutex_lock(&c->lock);
    if (pending(c))
        done = -EBUSY;
    else if (iter_get(it, c->command, n) < n)
        done = -EFAULT;
    else
        done = transact(c, n);
    mutex_unlock(&c->lock);
    waitq_wake(&c->wait, WAITQ_ALL, EPOLLIN);
    return done;
}

static unsigned tpm_poll(struct file *f, struct poll_table *pt)
{
    struct client *c = f->data;

    poll_wait(pt, &c->wait);
    return *(volatile size_t *)&c->size ? EPOLLIN | EPOLLRDNORM : EPOLLOUT | EPOLLWRNORM;
}

static void tpm_release(struct file *f)
{
    struct client *c = f->data;

    if (c->space)
        tpm_space_destroy(c->space);
    else
        raw_open = false;
    mbedtls_platform_zeroize(c, sizeof(*c));
    heap_free(c);
}

static const struct file_ops tpm_ops = {
    .read = tpm_read, .write = tpm_write, .poll = tpm_poll, .release = tpm_release
};

static int open_client(struct file *f, struct tpm_space *space)
{
    struct client *c = heap_zalloc(sizeof(*c));

    if (!c)
        return -ENOMEM;
    mutex_init(&c->lock, RANK_TSM);
    waitq_init(&c->wait);
    c->space = space;
    f->data = c;
    f->ops = &tpm_ops;
    return 0;
}

int tpm_open(struct file *f, uint32_t minor)
{
    bool closed = false;
    int err;

    (void)minor;
    if (!tpm_attributes(TPM_CC_GET_CAPABILITY))
        return -ENXIO;
    if (!atomic_compare_exchange_strong(&raw_open, &closed, true))
        return -EBUSY;
    err = open_client(f, NULL);
    if (err)
        raw_open = false;
    return err;
}

int tpmrm_open(struct file *f, uint32_t minor)
{
    struct tpm_space *s;
    int err;

    (void)minor;
    if (!tpm_attributes(TPM_CC_GET_CAPABILITY))
        return -ENXIO;
    s = tpm_space_create();
    err = s ? open_client(f, s) : -ENOMEM;
    if (err)
        heap_free(s);
    return err;
}
