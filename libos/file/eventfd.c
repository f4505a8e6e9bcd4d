/* SPDX-License-Identifier: MIT */
/* eventfd(2): a 64-bit counter that can be waited for. lock guards it. */
#include <abi/errno.h>
#include <abi/fcntl.h>
#include <abi/poll.h>
#include <libos/event.h>
#include <libos/file.h>
#include <libos/heap.h>
#include <libos/poll.h>
#include <stdio.h>

struct eventfd {
    struct spin lock;
    uint64_t count; /* guarded by lock; at most UINT64_MAX - 1 */
    bool semaphore;
    uint32_t id;
    struct waitq wait;
};

static struct slab eventfds = SLAB_INIT("eventfd", struct eventfd);
static _Atomic uint32_t next_id;

static uint64_t count_now(const struct eventfd *e)
{
    return *(const volatile uint64_t *)&e->count;
}

/* Take the count, or one of it; false: it is 0. */
static bool eventfd_take(struct eventfd *e, uint64_t *ret)
{
    spin_lock(&e->lock);
    *ret = e->semaphore && e->count ? 1 : e->count;
    e->count -= *ret;
    spin_unlock(&e->lock);
    if (*ret && waitq_active(&e->wait))
        waitq_wake(&e->wait, WAITQ_ALL, EPOLLOUT);
    return *ret != 0;
}

static ssize_type eventfd_read(struct file *f, struct iter *it, uint64_t *pos)
{
    struct eventfd *e = f->data;
    uint64_t value;
    if (it->left < sizeof(value))
        return -EINVAL;
    while (!eventfd_take(e, &value)) {
        if (file_nowait(f, it))
            return -EAGAIN;
        int err = WAIT_EVENT(&e->wait, SLEEP_INTERRUPTIBLE, NO_DEADLINE, count_now(e));
        if (err)
            return -ERESTARTSYS;
    }
    return iter_put(it, &value, sizeof(value)) == sizeof(value) ? (ssize_type)sizeof(value)
                                                                : -EFAULT;
}

static bool eventfd_add(struct eventfd *e, uint64_t value)
{
    spin_lock(&e->lock);
    bool fits = value < UINT64_MAX - e->count;
    if (fits)
        e->count += value;
    spin_unlock(&e->lock);
    if (fits && waitq_active(&e->wait))
        waitq_wake(&e->wait, WAITQ_ALL, EPOLLIN);
    return fits;
}

static ssize_type eventfd_write(struct file *f, struct iter *it, uint64_t *pos)
{
    struct eventfd *e = f->data;
    uint64_t value;
    if (it->left < sizeof(value))
        return -EINVAL;
    if (iter_get(it, &value, sizeof(value)) < sizeof(value))
        return -EFAULT;
    if (value == UINT64_MAX)
        return -EINVAL;
    while (!eventfd_add(e, value)) {
        if (file_nowait(f, it))
            return -EAGAIN;
        int err = WAIT_EVENT(&e->wait, SLEEP_INTERRUPTIBLE, NO_DEADLINE,
                             value < UINT64_MAX - count_now(e));
        if (err)
            return -ERESTARTSYS;
    }
    return sizeof(value);
}

static ALWAYS_INLINE unsigned ready(struct eventfd *e)
{
    uint64_t count = count_now(e);
    return (count ? EPOLLIN : 0) | (count < UINT64_MAX - 1 ? EPOLLOUT : 0) |
           (count == UINT64_MAX ? EPOLLERR : 0);
}

static NOINLINE unsigned eventfd_poll_wait(struct eventfd *e, struct poll_table *pt)
{
    poll_wait(pt, &e->wait);
    return ready(e);
}

static unsigned eventfd_poll(struct file *f, struct poll_table *pt)
{
    return pt ? eventfd_poll_wait(f->data, pt) : ready(f->data);
}

static void eventfd_release(struct file *f)
{
    slab_free(&eventfds, f->data);
}

static void eventfd_fdinfo(struct file *f, char *buf, size_t size)
{
    struct eventfd *e = f->data;
    snprintf(buf, size, "eventfd-count: %16llx\neventfd-id: %u\neventfd-semaphore: %d\n",
             (unsigned long long)count_now(e), (unsigned)e->id, e->semaphore);
}

static const struct file_ops eventfd_ops = { .seek = file_seek_nowhere,
                                             .read = eventfd_read,
                                             .write = eventfd_write,
                                             .poll = eventfd_poll,
                                             .release = eventfd_release,
                                             .nowait = true,
                                             .fdinfo = eventfd_fdinfo };

int eventfd_create(unsigned count, unsigned flags, struct file **ret_file)
{
    struct eventfd *e = slab_alloc(&eventfds);
    if (!e)
        return -ENOMEM;
    spin_init(&e->lock, RANK_FILE);
    waitq_init(&e->wait);
    e->count = count;
    e->semaphore = flags & EFD_SEMAPHORE;
    e->id = next_id++;
    int err =
        file_create_anon(&eventfd_ops, "[eventfd]", O_RDWR | (flags & EFD_NONBLOCK), e, ret_file);
    if (err)
        slab_free(&eventfds, e);
    return err;
}

void eventfd_signal(struct file *f, uint64_t value)
{
    (void)eventfd_add(f->data, value);
}

bool file_is_eventfd(const struct file *f)
{
    return f->ops == &eventfd_ops;
}
