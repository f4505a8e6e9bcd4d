/* SPDX-License-Identifier: MIT */
/* Pipes and FIFOs: a ring of page-sized buffers, as Linux has it, because its shape can be seen: capacity is counted in
 * buffers, a write goes into the last buffer when it fits there, a write of at most PIPE_BUF bytes is never split.
 * pipe->lock (a mutex: user memory is copied under it) guards the ring and the counts; poll reads them without it.
 * A pipe lives as long as a file of its inode does. pipe(7), fifo(7). */
#include "pipe_int.h"
#include <abi/errno.h>
#include <abi/fcntl.h>
#include <abi/poll.h>
#include <abi/signal.h>
#include <abi/stat.h>
#include <abi/termios.h>
#include <libos/file.h>
#include <libos/heap.h>
#include <libos/page.h>
#include <libos/pipe.h>
#include <libos/poll.h>
#include <libos/sched.h>
#include <libos/signal.h>
#include <libos/user.h>
#include <plat/time.h>
#include <string.h>

enum { CAP_SYS_RESOURCE = 24 };

static struct slab pipes = SLAB_INIT("pipe", struct pipe);

static struct pipe *pipe_alloc(struct inode *inode)
{
    struct pipe *p = slab_alloc(&pipes);
    if (!p)
        return NULL;
    memset(p, 0, sizeof(*p));
    mutex_init(&p->lock, RANK_PIPE);
    waitq_init(&p->read_wait);
    waitq_init(&p->write_wait);
    p->slots = p->first_slots;
    p->nslots = PIPE_DEFAULT_SLOTS;
    p->inode = inode;
    return p;
}

void pipe_page_free(struct pipe *p, struct page *page)
{
    if (p->nspare < PIPE_SPARE_PAGES && page->refs == 1)
        p->spare[p->nspare++] = page;
    else
        page_put(page);
}

static void pipe_destroy(struct pipe *p)
{
    for (; p->tail != p->head; p->tail++)
        page_put(pipe_slot(p, p->tail)->page);
    while (p->nspare)
        page_put(p->spare[--p->nspare]);
    if (p->slots != p->first_slots)
        heap_free(p->slots);
    slab_free(&pipes, p);
}

void pipe_wake(struct waitq *q, unsigned events)
{
    if (waitq_active(q))
        waitq_wake(q, 1, events);
}

/* Sleep on q as one of those woken singly until cond(p) or a signal. */
int pipe_sleep(struct pipe *p, struct waitq *q, bool (*cond)(const struct pipe *p))
{
    struct waiter w;
    int err = 0;
    waitq_add_exclusive(q, &w);
    while (thread_prepare_sleep(SLEEP_INTERRUPTIBLE),
           !cond(p) && !(err = thread_sleep(NO_DEADLINE)))
        ;
    thread_finish_sleep();
    waitq_remove(q, &w);
    return err == -EINTR ? -ERESTARTSYS : err;
}

bool pipe_can_read(const struct pipe *p)
{
    return !pipe_empty(p) || !*(const volatile uint32_t *)&p->writers;
}

bool pipe_can_write(const struct pipe *p)
{
    return !pipe_full(p) || !*(const volatile uint32_t *)&p->readers;
}

/* Take bytes out of the oldest buffers. Bytes, or -EFAULT. Locks: p->lock held. */
static ssize_type pipe_take(struct pipe *p, struct iter *it, bool *ret_freed)
{
    ssize_type done = 0;
    while (it->left && p->head != p->tail) {
        struct pipe_slot *s = pipe_slot(p, p->tail);
        size_t want = it->left < s->len ? it->left : s->len;
        size_t n = iter_put(it, (uint8_t *)page_ptr(s->page) + s->off, want);
        if (n < want)
            return done ? done : -EFAULT; /* nothing of this buffer is lost */
        bool packet = s->packet;
        s->off += n;
        s->len -= n;
        done += (ssize_type)n;
        if (packet)
            s->len = 0; /* the rest of a packet is lost */
        if (!s->len) {
            pipe_page_free(p, s->page);
            p->tail++;
            *ret_freed = true;
        }
        if (packet)
            break;
    }
    return done;
}

static ssize_type pipe_read(struct file *f, struct iter *it, uint64_t *pos)
{
    struct pipe *p = f->data;
    ssize_type done;
    bool freed = false;
    if (!it->left)
        return 0;
    mutex_lock(&p->lock);
    for (;;) {
        done = pipe_take(p, it, &freed);
        if (done || !p->writers)
            break;
        if (file_nowait(f, it)) {
            done = -EAGAIN;
            break;
        }
        mutex_unlock(&p->lock);
        int err = pipe_sleep(p, &p->read_wait, pipe_can_read);
        mutex_lock(&p->lock);
        if (err && pipe_empty(p)) {
            done = err;
            break;
        }
    }
    bool more = !pipe_empty(p);
    mutex_unlock(&p->lock);
    if (freed)
        pipe_wake(&p->write_wait, PIPE_OUT);
    if (more)
        pipe_wake(&p->read_wait,
                  PIPE_IN |
                      WAKE_AGAIN); /* the wake that brought us here may have been the only one */
    return done;
}

/* Put the first bytes into the newest buffer when the last, partial page of the write fits there. Bytes, or -EFAULT. */
static ssize_type pipe_merge(struct pipe *p, struct iter *it)
{
    size_t n = it->left & (PAGE_SIZE - 1);
    if (!n || p->head == p->tail)
        return 0;
    struct pipe_slot *s = pipe_slot(p, p->head - 1);
    size_t end = s->off + s->len;
    if (s->packet || s->shared || end + n > PAGE_SIZE)
        return 0;
    size_t got = iter_get(it, (uint8_t *)page_ptr(s->page) + end, n);
    if (got < n && !got)
        return -EFAULT;
    s->len += got;
    return (ssize_type)got;
}

/* Fill one further buffer. Bytes, -EFAULT, -ENOMEM. Locks: p->lock held; there is room. */
static ssize_type pipe_add(struct pipe *p, struct iter *it, bool packet)
{
    struct page *page = p->nspare ? p->spare[--p->nspare] : page_alloc(0, PAGE_KERNEL, 0);
    if (!page)
        return -ENOMEM;
    size_t want = it->left < PAGE_SIZE ? it->left : PAGE_SIZE;
    size_t n = iter_get(it, page_ptr(page), want);
    if (!n) {
        pipe_page_free(p, page);
        return -EFAULT;
    }
    *pipe_slot(p, p->head) =
        (struct pipe_slot){ .page = page, .len = (uint16_t)n, .packet = packet };
    p->head++;
    return (ssize_type)n;
}

void pipe_sigpipe(void)
{
    struct abi_siginfo info = { .si_signo = SIGPIPE, .si_code = SI_USER };
    info.rt.si_pid = process_current()->pid;
    info.rt.si_uid = thread_current()->cred->uid;
    (void)signal_send_thread(thread_current(), &info); /* the current thread has not ended */
}

/* Write until all is in, the pipe is full, or something is wrong. Bytes added, or what stopped it before the first byte
 * (0: full). Locks: p->lock held. */
static ssize_type pipe_put(struct pipe *p, struct iter *it, bool packet)
{
    ssize_type done = 0;
    while (it->left && !pipe_full(p)) {
        size_t want = it->left < PAGE_SIZE ? it->left : PAGE_SIZE;
        ssize_type n = pipe_add(p, it, packet);
        if (n < 0)
            return done ? done : n;
        done += n;
        if ((size_t)n < want)
            break;
    }
    return done;
}

/* One round of writing and sleeping. 1: go on; 0: all is written; or the errno that ends the write. */
static int pipe_write_step(struct pipe *p, struct file *f, struct iter *it, ssize_type *done)
{
    if (!p->readers) {
        pipe_sigpipe();
        return -EPIPE;
    }
    ssize_type n = pipe_put(p, it, f->flags & O_DIRECT);
    if (n < 0)
        return (int)n;
    *done += n;
    if (!it->left)
        return 0;
    if (!pipe_full(p))
        return n ? 1 : -EFAULT;
    if (file_nowait(f, it))
        return -EAGAIN;
    mutex_unlock(&p->lock);
    if (*done)
        pipe_wake(&p->read_wait, PIPE_IN);
    int err = pipe_sleep(p, &p->write_wait, pipe_can_write);
    mutex_lock(&p->lock);
    return err ? err : 1;
}

static ssize_type pipe_write(struct file *f, struct iter *it, uint64_t *pos)
{
    struct pipe *p = f->data;
    ssize_type done = 0;
    int step = 1;
    if (!it->left)
        return 0;
    mutex_lock(&p->lock);
    if (p->readers && !(f->flags & O_DIRECT)) {
        done = pipe_merge(p, it);
        if (done < 0)
            step = (int)done, done = 0;
        else if (done)
            step = it->left ? 1 : 0;
    }
    while (step > 0)
        step = pipe_write_step(p, f, it, &done);
    bool room = !pipe_full(p);
    mutex_unlock(&p->lock);
    if (done)
        pipe_wake(&p->read_wait, PIPE_IN);
    if (room)
        pipe_wake(&p->write_wait, PIPE_OUT | WAKE_AGAIN);
    return done ? done : step;
}

static unsigned pipe_poll(struct file *f, struct poll_table *pt)
{
    struct pipe *p = f->data;
    unsigned events = 0;
    if (f->can_read) {
        poll_wait(pt, &p->read_wait);
        if (!pipe_empty(p))
            events |= PIPE_IN;
        /* f->pos: how many writers there had been when a FIFO was opened without one. */
        if (!p->writers && f->pos != p->writer_opens)
            events |= EPOLLHUP;
    }
    if (f->can_write) {
        poll_wait(pt, &p->write_wait);
        if (!pipe_full(p))
            events |= PIPE_OUT;
        if (!p->readers)
            events |= EPOLLERR;
    }
    return events;
}

static long pipe_ioctl(struct file *f, unsigned cmd, unsigned long arg)
{
    struct pipe *p = f->data;
    if (cmd != FIONREAD)
        return -ENOTTY;
    int n = 0;
    mutex_lock(&p->lock);
    for (uint32_t i = p->tail; i != p->head; i++)
        n += pipe_slot(p, i)->len;
    mutex_unlock(&p->lock);
    return user_put(user_at(user_int_out_t, arg), &n, 1);
}

static void pipe_put_file(struct pipe *p)
{
    struct inode *inode = p->inode;
    spin_lock(&inode->lock_lock);
    bool last = --p->files == 0;
    if (last)
        inode->pipe = NULL;
    spin_unlock(&inode->lock_lock);
    if (last)
        pipe_destroy(p);
}

static void pipe_drop_end(struct pipe *p, bool reader, bool writer)
{
    mutex_lock(&p->lock);
    p->readers -= reader;
    p->writers -= writer;
    bool half = !p->readers != !p->writers;
    mutex_unlock(&p->lock);
    if (half) {
        waitq_wake(&p->read_wait, WAITQ_ALL, PIPE_IN | EPOLLERR | EPOLLHUP);
        waitq_wake(&p->write_wait, WAITQ_ALL, PIPE_OUT | EPOLLERR | EPOLLHUP);
    }
}

static void pipe_release(struct file *f)
{
    struct pipe *p = f->data;
    pipe_drop_end(p, f->can_read, f->can_write);
    pipe_put_file(p);
}

const struct file_ops pipe_ops = { .read = pipe_read,
                                   .write = pipe_write,
                                   .poll = pipe_poll,
                                   .ioctl = pipe_ioctl,
                                   .release = pipe_release,
                                   .async = file_async_plain,
                                   .nowait = true };

int pipe_create(unsigned flags, struct file *ret_ends[2])
{
    struct file *in, *out;
    unsigned keep = flags & O_NONBLOCK;
    struct inode *inode = anon_inode_create(S_IFIFO | 0600);
    if (!inode)
        return -ENOMEM;
    int err = -ENOMEM;
    struct pipe *p = pipe_alloc(inode);
    if (!p)
        goto out_inode;
    p->readers = p->writers = p->writer_opens = p->reader_opens = 1;
    p->files = 2;
    p->anonymous = true;
    inode->pipe = p;
    err = file_create_inode(&pipe_ops, inode, "pipe", O_RDONLY | keep, p, &in);
    if (err)
        goto out_pipe;
    err =
        file_create_inode(&pipe_ops, inode, "pipe", O_WRONLY | keep | (flags & O_DIRECT), p, &out);
    if (err) {
        p->writers = 0;
        p->files = 1;
        file_put(in); /* and with it the pipe */
        goto out_inode;
    }
    inode_put(inode); /* each file has its own */
    ret_ends[0] = in;
    ret_ends[1] = out;
    return 0;
out_pipe:
    pipe_destroy(p);
out_inode:
    inode_put(inode);
    return err;
}

/* The pipe of a FIFO, made at its first open; counts the file. NULL: out of memory. */
static struct pipe *fifo_pipe(struct inode *inode)
{
    struct pipe *fresh = NULL;
    for (;;) {
        spin_lock(&inode->lock_lock);
        if (!inode->pipe) {
            inode->pipe = fresh;
            fresh = NULL;
        }
        struct pipe *p = inode->pipe;
        if (p)
            p->files++;
        spin_unlock(&inode->lock_lock);
        if (p) {
            if (fresh)
                pipe_destroy(fresh);
            return p;
        }
        fresh = pipe_alloc(inode);
        if (!fresh)
            return NULL;
    }
}

/* Wait until the other side's counter of opens moves on from seen. */
static int fifo_wait_partner(struct waitq *q, const uint32_t *counter, uint32_t seen)
{
    int err = WAIT_EVENT(q, SLEEP_INTERRUPTIBLE, NO_DEADLINE,
                         *(const volatile uint32_t *)counter != seen);
    return err == -EINTR ? -ERESTARTSYS : err;
}

/* The two halves of opening: count this side in, wake those who wait for it, and wait for the other. */
static int fifo_enter(struct pipe *p, struct file *f)
{
    bool wait = !(f->flags & O_NONBLOCK) && !p->anonymous;
    mutex_lock(&p->lock);
    if (f->can_write && !f->can_read && !wait && !p->anonymous && !p->readers) {
        mutex_unlock(&p->lock);
        return -ENXIO;
    }
    uint32_t readers_seen = p->reader_opens, writers_seen = p->writer_opens;
    p->reader_opens += f->can_read;
    p->writer_opens += f->can_write;
    p->readers += f->can_read;
    p->writers += f->can_write;
    bool need_writer = f->can_read && !p->writers, need_reader = f->can_write && !p->readers;
    f->pos = need_writer && !wait && !p->anonymous ? writers_seen : UINT64_MAX;
    mutex_unlock(&p->lock);
    if (f->can_read)
        waitq_wake(&p->write_wait, WAITQ_ALL, PIPE_OUT);
    if (f->can_write)
        waitq_wake(&p->read_wait, WAITQ_ALL, 0);
    int err = 0;
    if (need_writer && wait)
        err = fifo_wait_partner(&p->read_wait, &p->writer_opens, writers_seen);
    else if (need_reader && wait)
        err = fifo_wait_partner(&p->write_wait, &p->reader_opens, readers_seen);
    if (err)
        pipe_drop_end(p, f->can_read, f->can_write);
    return err;
}

int fifo_open(struct inode *inode, struct file *f)
{
    struct pipe *p = fifo_pipe(inode);
    if (!p)
        return -ENOMEM;
    int err = fifo_enter(p, f);
    if (err) {
        pipe_put_file(p);
        return err;
    }
    f->ops = &pipe_ops;
    f->data = p;
    return 0;
}

long pipe_size(struct file *f)
{
    return f->ops == &pipe_ops ? (long)((struct pipe *)f->data)->nslots * PAGE_SIZE : -EBADF;
}

/* Move the ring to n slots. Locks: p->lock held. */
static int pipe_resize(struct pipe *p, uint32_t n)
{
    uint32_t used = p->head - p->tail;
    if (n < used)
        return -EBUSY;
    struct pipe_slot *slots = heap_calloc(n, sizeof(*slots));
    if (!slots)
        return -ENOMEM;
    for (uint32_t i = 0; i < used; i++)
        slots[i] = *pipe_slot(p, p->tail + i);
    if (p->slots != p->first_slots)
        heap_free(p->slots);
    p->slots = slots;
    p->nslots = n;
    p->tail = 0;
    p->head = used;
    return 0;
}

long pipe_set_size(struct file *f, unsigned long size)
{
    if (f->ops != &pipe_ops)
        return -EBADF;
    struct pipe *p = f->data;
    if (size > 1ul << 31)
        return -EINVAL;
    uint32_t n = 1;
    while ((uint64_t)n * PAGE_SIZE < size)
        n *= 2;
    mutex_lock(&p->lock);
    long result = 0;
    if (n > p->nslots && (uint64_t)n * PAGE_SIZE > PIPE_MAX_SIZE && !cred_capable(CAP_SYS_RESOURCE))
        result = -EPERM;
    else if (n != p->nslots)
        result = pipe_resize(p, n);
    bool room = !pipe_full(p);
    mutex_unlock(&p->lock);
    if (room)
        pipe_wake(&p->write_wait, PIPE_OUT);
    return result ? result : (long)n * PAGE_SIZE;
}
