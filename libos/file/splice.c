/* SPDX-License-Identifier: MIT */
/* splice and tee. Between pipes, buffers move or are shared: no byte is copied. Between a pipe and a file one page at a
 * time is copied, under the pipe's lock on the way out, so that what cannot be written stays in the pipe. Two pipes are
 * locked in order of address. splice(2), tee(2). */
#include "pipe_int.h"
#include <abi/errno.h>
#include <abi/fcntl.h>
#include <libos/file.h>
#include <libos/page.h>
#include <libos/sched.h>

bool pipe_is(const struct file *f)
{
    return f->ops == &pipe_ops;
}

bool pipe_ready(const struct file *f)
{
    return f->can_write ? pipe_can_write(f->data) : pipe_can_read(f->data);
}

static void lock_both(struct pipe *a, struct pipe *b)
{
    mutex_lock(a < b ? &a->lock : &b->lock);
    mutex_lock(a < b ? &b->lock : &a->lock);
}

static void unlock_both(struct pipe *a, struct pipe *b)
{
    mutex_unlock(&a->lock);
    mutex_unlock(&b->lock);
}

/* Take n bytes off the oldest buffer. Locks: p->lock held. */
static void drop(struct pipe *p, size_t n)
{
    struct pipe_slot *s = pipe_slot(p, p->tail);
    s->off += (uint16_t)n;
    s->len -= (uint16_t)n;
    if (!s->len) {
        pipe_page_free(p, s->page);
        p->tail++;
    }
}

/* Move (or, with keep, share) up to len bytes of buffers. Locks: both held. */
static size_t transfer(struct pipe *in, struct pipe *out, size_t len, bool keep)
{
    size_t done = 0;
    uint32_t i = in->tail;
    while (done < len && i != in->head && !pipe_full(out)) {
        struct pipe_slot *s = pipe_slot(in, i);
        size_t n = s->len < len - done ? s->len : len - done;
        struct pipe_slot copy = *s;
        copy.len = (uint16_t)n;
        copy.shared = true;
        if (keep || n < s->len) {
            page_get(s->page);
            s->shared = true;
        }
        *pipe_slot(out, out->head++) = copy;
        done += n;
        if (keep) {
            i++;
        } else if (n == s->len) {
            i = ++in->tail; /* the reference went along */
        } else {
            s->off += (uint16_t)n;
            s->len -= (uint16_t)n;
        }
    }
    return done;
}

/* Nothing could be moved: why, or wait for it. 1: try again. No lock held. */
static int wait_pipes(struct pipe *in, struct pipe *out, bool no_wait)
{
    if (!out->readers) {
        pipe_sigpipe();
        return -EPIPE;
    }
    bool empty = pipe_empty(in);
    if (empty && !in->writers)
        return 0;
    if (no_wait)
        return -EAGAIN;
    int err = empty ? pipe_sleep(in, &in->read_wait, pipe_can_read)
                    : pipe_sleep(out, &out->write_wait, pipe_can_write);
    return err ? err : 1;
}

static long between_pipes(struct pipe *in, struct pipe *out, size_t len, bool no_wait, bool keep)
{
    if (in == out)
        return -EINVAL;
    for (;;) {
        lock_both(in, out);
        size_t n = out->readers ? transfer(in, out, len, keep) : 0;
        unlock_both(in, out);
        if (n) {
            pipe_wake(&out->read_wait, PIPE_IN);
            if (!keep)
                pipe_wake(&in->write_wait, PIPE_OUT);
            return (long)n;
        }
        int more = wait_pipes(in, out, no_wait);
        if (more <= 0)
            return more;
    }
}

/* Put a page with n bytes into the pipe, waiting for room. On error the page stays the caller's. */
static int add_page(struct pipe *p, struct page *page, size_t n, bool no_wait)
{
    for (;;) {
        mutex_lock(&p->lock);
        bool readers = p->readers, room = !pipe_full(p);
        if (readers && room)
            *pipe_slot(p, p->head++) = (struct pipe_slot){ .page = page, .len = (uint16_t)n };
        mutex_unlock(&p->lock);
        if (!readers) {
            pipe_sigpipe();
            return -EPIPE;
        }
        if (room) {
            pipe_wake(&p->read_wait, PIPE_IN);
            return 0;
        }
        int err = no_wait ? -EAGAIN : pipe_sleep(p, &p->write_wait, pipe_can_write);
        if (err)
            return err;
    }
}

/* One page from a file. Bytes, 0 at the end. Room is waited for before the file is read; should another writer take it
 * meanwhile, what was read of a seekable file is given back. */
static ssize_type page_from_file(struct file *in, uint64_t *pos, struct pipe *p, size_t len,
                                 bool no_wait)
{
    struct iter it;
    if (!pipe_can_write(p)) {
        int err = no_wait ? -EAGAIN : pipe_sleep(p, &p->write_wait, pipe_can_write);
        if (err)
            return err;
    }
    struct page *page = page_alloc(0, PAGE_KERNEL, 0);
    if (!page)
        return -ENOMEM;
    iter_kernel(&it, page_ptr(page), len < PAGE_SIZE ? len : PAGE_SIZE);
    ssize_type n = file_read(in, &it, pos);
    int err = n > 0 ? add_page(p, page, (size_t)n, no_wait) : 0;
    if (err && pos)
        *pos -= (uint64_t)n;
    else if (err && in->seekable)
        in->pos -= (uint64_t)n;
    if (err || n <= 0)
        page_put(page);
    return err ? err : n;
}

static long from_file(struct file *in, uint64_t *pos, struct pipe *p, size_t len, bool no_wait)
{
    long done = 0;
    while (len) {
        ssize_type n = page_from_file(in, pos, p, len, no_wait || done);
        if (n <= 0)
            return done ? done : n;
        done += n;
        len -= (size_t)n;
        if (!in->seekable || thread_preempt_point())
            break; /* more would have to be waited for */
    }
    return done;
}

/* Write what the pipe holds now. Bytes, or what the file said first. */
static long drain_to_file(struct pipe *p, struct file *out, uint64_t *pos, size_t len)
{
    long done = 0;
    mutex_lock(&p->lock);
    while (len && p->tail != p->head) {
        struct pipe_slot *s = pipe_slot(p, p->tail);
        size_t want = s->len < len ? s->len : len;
        struct iter it;
        iter_kernel(&it, (uint8_t *)page_ptr(s->page) + s->off, want);
        ssize_type n = file_write(out, &it, pos);
        if (n <= 0) {
            done = done ? done : n;
            break;
        }
        drop(p, (size_t)n);
        done += n;
        len -= (size_t)n;
    }
    mutex_unlock(&p->lock);
    if (done > 0)
        pipe_wake(&p->write_wait, PIPE_OUT);
    return done;
}

static long to_file(struct pipe *p, struct file *out, uint64_t *pos, size_t len, bool no_wait)
{
    if (out->flags & O_APPEND)
        return -EINVAL;
    while (pipe_empty(p)) {
        if (!p->writers)
            return 0;
        int err = no_wait ? -EAGAIN : pipe_sleep(p, &p->read_wait, pipe_can_read);
        if (err)
            return err;
    }
    return drain_to_file(p, out, pos, len);
}

static bool waits(const struct file *f, bool no_wait)
{
    return !no_wait && !(f->flags & O_NONBLOCK);
}

long pipe_splice(struct file *in, uint64_t *in_pos, struct file *out, uint64_t *out_pos, size_t len,
                 bool no_wait)
{
    if (!in->can_read || !out->can_write)
        return -EBADF;
    if (pipe_is(in) && pipe_is(out))
        return between_pipes(in->data, out->data, len, !waits(in, no_wait) || !waits(out, no_wait),
                             false);
    if (pipe_is(in))
        return to_file(in->data, out, out_pos, len, !waits(in, no_wait));
    if (pipe_is(out))
        return from_file(in, in_pos, out->data, len, !waits(out, no_wait));
    return -EINVAL;
}

long pipe_tee(struct file *in, struct file *out, size_t len, bool no_wait)
{
    if (!in->can_read || !out->can_write)
        return -EBADF;
    if (!pipe_is(in) || !pipe_is(out))
        return -EINVAL;
    return between_pipes(in->data, out->data, len, !waits(in, no_wait) || !waits(out, no_wait),
                         true);
}
