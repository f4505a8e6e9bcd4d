/* SPDX-License-Identifier: MIT */
/* The memory devices: null, zero, full, random, urandom, kmsg. null(4), full(4), random(4). No state but the pages of a
 * mapped /dev/zero, which belong to the open file: holes until written. */
#include "dev.h"
#include <abi/errno.h>
#include <abi/fcntl.h>
#include <abi/poll.h>
#include <base/log.h>
#include <libos/file.h>
#include <libos/heap.h>
#include <libos/poll.h>
#include <libos/process.h>
#include <libos/random.h>
#include <libos/sched.h>
#include <libos/signal.h>
#include <libos/user.h>
#include <string.h>

enum {
    ZERO_PIECE = 64 * 1024, /* bytes between two preemption points */
    RANDOM_PIECE = 256,
    RNDGETENTCNT_BITS = 256,
    KMSG_LINE = 512,
};
#define RNDGETENTCNT   0x80045200u
#define RNDADDTOENTCNT 0x40045201u
#define RNDADDENTROPY  0x40085203u
#define RNDZAPENTCNT   0x5204u
#define RNDCLEARPOOL   0x5206u
#define RNDRESEEDCRNG  0x5207u

static ssize_type read_nothing(struct file *f, struct iter *it, uint64_t *pos)
{
    return 0;
}

/* Everything is taken, without being looked at: Linux's null takes unreadable memory too. */
static ssize_type write_anything(struct file *f, struct iter *it, uint64_t *pos)
{
    size_t n = it->left;
    it->left = 0;
    return (ssize_type)n;
}

static const struct file_ops null_ops = {
    .read = read_nothing, .write = write_anything, .seek = file_seek_nowhere, .nowait = true
};

static NOINLINE ssize_type zero_read_long(struct iter *it)
{
    size_t done = 0;
    while (it->left) {
        size_t want = it->left < ZERO_PIECE ? it->left : ZERO_PIECE;
        size_t n = iter_zero(it, want);
        done += n;
        if (n < want)
            return done ? (ssize_type)done : -EFAULT;
        if (it->left && thread_preempt_point())
            break;
    }
    return (ssize_type)done;
}

static ssize_type zero_read(struct file *f, struct iter *it, uint64_t *pos)
{
    size_t n = it->left;
    if (n > ZERO_PIECE)
        return zero_read_long(it);
    size_t done = iter_zero(it, n);
    return LIKELY(done || !n) ? (ssize_type)done : -EFAULT;
}

static int zero_fill(struct pagemap *m, uint64_t index, bool writable, struct page **ret)
{
    *ret = writable ? page_alloc(0, PAGE_FILE, PAGE_ZERO) : NULL;
    return writable && !*ret ? -ENOMEM : 0;
}

static const struct pagemap_ops zero_pages = { .fill = zero_fill };

static struct pagemap *zero_pagemap(struct file *f)
{
    return f->data;
}

static void zero_release(struct file *f)
{
    if (f->data)
        pagemap_fini(f->data);
    heap_free(f->data);
}

static const struct file_ops zero_ops = { .read = zero_read,
                                          .write = write_anything,
                                          .seek = file_seek_nowhere,
                                          .pagemap = zero_pagemap,
                                          .release = zero_release,
                                          .nowait = true };

static int zero_open(struct file *f)
{
    struct pagemap *m = heap_zalloc(sizeof(*m));
    if (!m)
        return -ENOMEM;
    pagemap_init(m, &zero_pages, NULL);
    f->data = m;
    f->ops = &zero_ops;
    return 0;
}

static ssize_type full_write(struct file *f, struct iter *it, uint64_t *pos)
{
    return it->left ? -ENOSPC : 0;
}

static const struct file_ops full_ops = { .read = zero_read,
                                          .write = full_write,
                                          .seek = file_seek_nowhere };

static ssize_type random_read(struct file *f, struct iter *it, uint64_t *pos)
{
    uint8_t buf[RANDOM_PIECE];
    size_t done = 0;
    if (!random_ready())
        return -EIO; /* no source of entropy was found at boot, and none will come */
    while (it->left) {
        size_t want = it->left < sizeof(buf) ? it->left : sizeof(buf);
        random_bytes(buf, want);
        size_t n = iter_put(it, buf, want);
        done += n;
        if (n < want && !done)
            return -EFAULT;
        if (n < want || (done % PAGE_SIZE == 0 && thread_preempt_point()))
            break;
    }
    memset(buf, 0, sizeof(buf));
    return (ssize_type)done;
}

/* Mixed in, but trusted for nothing. */
static ssize_type random_write(struct file *f, struct iter *it, uint64_t *pos)
{
    uint8_t buf[RANDOM_PIECE];
    size_t done = 0;
    while (it->left) {
        size_t want = it->left < sizeof(buf) ? it->left : sizeof(buf);
        size_t n = iter_get(it, buf, want);
        random_add(buf, n, 0);
        done += n;
        if (n < want && !done)
            return -EFAULT;
        if (n < want || (done % PAGE_SIZE == 0 && thread_preempt_point()))
            break;
    }
    return (ssize_type)done;
}

static unsigned random_poll(struct file *f, struct poll_table *pt)
{
    return (random_ready() ? EPOLLIN | EPOLLRDNORM : 0) | EPOLLOUT | EPOLLWRNORM;
}

static long random_ioctl(struct file *f, unsigned cmd, unsigned long arg)
{
    enum { CAP_SYS_ADMIN = 21 };
    int bits = random_ready() ? RNDGETENTCNT_BITS : 0;
    switch (cmd) {
    case RNDGETENTCNT:
        return user_put(user_at(user_int_out_t, arg), &bits, 1);
    case RNDADDTOENTCNT:
    case RNDADDENTROPY:
        return -EPERM; /* a program cannot vouch for entropy here */
    case RNDZAPENTCNT:
    case RNDCLEARPOOL:
    case RNDRESEEDCRNG:
        return cred_capable(CAP_SYS_ADMIN)
                   ? 0
                   : -EPERM; /* each use of the generator erases its key anyway */
    default:
        return -ENOTTY;
    }
}

static const struct file_ops random_ops = { .read = random_read,
                                            .write = random_write,
                                            .seek = file_seek_nowhere,
                                            .poll = random_poll,
                                            .ioctl = random_ioctl };

/* Lines for the log, as /dev/kmsg takes them: an optional <priority>, then text. */
static ssize_type kmsg_write(struct file *f, struct iter *it, uint64_t *pos)
{
    char line[KMSG_LINE];
    size_t len = it->left;
    if (len >= sizeof(line))
        return -EINVAL;
    if (iter_get(it, line, len) < len)
        return -EFAULT;
    for (size_t i = 0; i < len; i++)
        if ((uint8_t)line[i] < ' ' && line[i] != '\t')
            line[i] = i + 1 == len ? '\0' : ' ';
    line[len] = '\0';
    log_info("%s: %s", thread_current()->comm, line);
    return (ssize_type)len;
}

static ssize_type kmsg_read(struct file *f, struct iter *it, uint64_t *pos)
{
    return f->flags & O_NONBLOCK ? -EAGAIN : -EPERM; /* messages are not kept */
}

static const struct file_ops kmsg_ops = { .read = kmsg_read,
                                          .write = kmsg_write,
                                          .seek = file_seek_nowhere };

int mem_open(struct file *f, uint32_t minor)
{
    f->seekable = true;
    switch (minor) {
    case MINOR_NULL:
        f->ops = &null_ops;
        return 0;
    case MINOR_ZERO:
        return zero_open(f);
    case MINOR_FULL:
        f->ops = &full_ops;
        return 0;
    case MINOR_RANDOM:
    case MINOR_URANDOM:
        f->ops = &random_ops;
        return 0;
    case MINOR_KMSG:
        f->ops = &kmsg_ops;
        return 0;
    default:
        return -ENXIO;
    }
}
