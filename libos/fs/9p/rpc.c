/* SPDX-License-Identifier: MIT */
/* Messages of 9P2000.L: numbers are little-endian, texts have a length of 16 bits in front. The server is not trusted: an answer is
 * copied once and then read with bounds, its size has to be what the device wrote, its tag and type those asked for. */
#include "p9.h"

#include <abi/errno.h>
#include <libos/heap.h>
#include <libos/sched.h>
#include <string.h>

enum { HEADER = 7, R_LERROR = 7, COUNT_AT = HEADER, DATA_AT = HEADER + 4, ERRNO_MAX = 133 };

static struct p9_channel *channels;
static struct spin channels_lock = SPIN_INIT(RANK_FS_MOUNTS);

void p9_register(struct p9_channel *ch)
{
    waitq_init(&ch->room);
    spin_init(&ch->lock, RANK_FS_CACHE);
    spin_lock(&channels_lock);
    ch->next = channels;
    channels = ch;
    spin_unlock(&channels_lock);
}

struct p9_channel *p9_channel_find(const char *tag)
{
    spin_lock(&channels_lock);
    struct p9_channel *ch = channels;
    while (ch && strcmp(ch->tag, tag))
        ch = ch->next;
    spin_unlock(&channels_lock);
    return ch;
}

void p9_done(struct p9_channel *ch, struct p9_call *c, int64_t len)
{
    spin_lock(&c->wait.lock);
    bool abandoned = c->abandoned;
    c->result = len;
    c->done = true;
    if (c->wait.head)
        thread_wake(c->wait.head->thread);
    /* The waiter takes the lock before it leaves: c is gone after this, when there is one. */
    spin_unlock(&c->wait.lock);
    if (abandoned) {
        c->next = atomic_load(&ch->back);
        while (!atomic_compare_exchange_weak(&ch->back, &c->next, c))
            ;
    }
    if (waitq_active(&ch->room))
        waitq_wake(&ch->room, WAITQ_ALL, 0);
}

struct p9_msg *p9_begin(enum p9_type type)
{
    struct p9_msg *m = heap_alloc(sizeof(*m));
    if (!m)
        return NULL;
    memset(m, 0, offsetof(struct p9_msg, out));
    m->refs = 1;
    m->at = 4; /* the size comes last */
    p9_put(m, type, 1);
    p9_put(m, 0, 2);
    return m;
}

void p9_free(struct p9_msg *m)
{
    if (!m || atomic_fetch_sub(&m->refs, 1) != 1)
        return;
    heap_free(m->kept);
    heap_free(m);
}

void p9_put(struct p9_msg *m, uint64_t value, unsigned bytes)
{
    if (bytes > P9_MSG - m->at) {
        m->bad = true;
        return;
    }
    memcpy(m->out + m->at, &value, bytes);
    m->at += bytes;
}

void p9_put_name(struct p9_msg *m, const char *name, size_t len)
{
    p9_put(m, len, 2);
    if (m->bad || len > P9_MSG - m->at) {
        m->bad = true;
        return;
    }
    memcpy(m->out + m->at, name, len);
    m->at += (uint32_t)len;
}

uint64_t p9_get(struct p9_msg *m, unsigned bytes)
{
    uint64_t value = 0;
    if (bytes > m->end - m->at) {
        m->bad = true;
        return 0;
    }
    memcpy(&value, m->seen + m->at, bytes);
    m->at += bytes;
    return value;
}

/* Wait until the device has answered, or the thread must die. The device may write into the memory until it has. */
static int64_t transfer(struct p9 *fs, struct p9_msg *m)
{
    struct p9_channel *ch = fs->ch;
    struct p9_call *c = &m->call;
    unsigned kind = m->firm ? SLEEP_UNINTERRUPTIBLE : SLEEP_KILLABLE;
    struct waiter me;
    int err, killed = 0;
    waitq_init(&c->wait);
    (void)WAIT_EVENT(&ch->room, kind, NO_DEADLINE, (err = ch->start(ch, c)) != -EAGAIN);
    if (err)
        return err == -EAGAIN ? -ERESTARTSYS : -EIO; /* the device never had it */
    waitq_add(&c->wait, &me);
    while (thread_prepare_sleep(kind), !c->done && !(killed = thread_sleep(NO_DEADLINE)))
        ;
    thread_finish_sleep();
    waitq_remove(&c->wait, &me);
    return killed && p9_abandon(fs, m) ? -EINTR : c->result;
}

int p9_verdict(struct p9_msg *m, uint32_t got)
{
    m->end = got < m->call.in_len ? got : m->call.in_len;
    m->at = 0;
    memcpy(m->seen, m->in, m->end);
    uint64_t size = p9_get(m, 4), kind = p9_get(m, 1), its = p9_get(m, 2);
    if (m->bad || size != got || its != m->tag)
        return -EIO;
    if (kind == R_LERROR) {
        uint64_t code = p9_get(m, 4);
        return m->bad || !code || code > ERRNO_MAX ? -EIO : -(int)code;
    }
    return kind == m->out[4] + 1u ? 0 : -EIO;
}

static int exchange(struct p9 *fs, struct p9_msg *m)
{
    struct p9_channel *ch = fs->ch;
    uint32_t size = m->at + m->call.out_data_len;
    bool version = m->out[4] == T_VERSION;
    uint32_t len = m->at;
    m->at = m->end = 0; /* nothing to read, until there is */
    if (m->bad)
        return -EINVAL;
    if (UNLIKELY(ch->back))
        p9_reap(fs);
    m->tag = version ? 0xffff : p9_tag_new(ch);
    if (m->tag == P9_TAGS)
        return -EIO;
    memcpy(m->out, &size, 4);
    memcpy(m->out + 5, &m->tag, 2);
    m->call.out = m->out;
    m->call.out_len = len;
    m->call.in = m->in;
    m->session = fs->session;
    int64_t got = transfer(fs, m);
    /* One that was abandoned keeps its tag. */
    if (!version && !m->call.abandoned)
        p9_tag_drop(ch, m->tag);
    return got < 0 ? (int)got : p9_verdict(m, (uint32_t)got);
}

int p9_send(struct p9 *fs, struct p9_msg *m)
{
    m->call.in_len = P9_MSG;
    return exchange(fs, m);
}

int p9_send_data(struct p9 *fs, struct p9_msg *m, const void *data, uint32_t len)
{
    m->call.out_data = data;
    m->call.out_data_len = len;
    return p9_send(fs, m);
}

int64_t p9_fetch_data(struct p9 *fs, struct p9_msg *m, void *data, uint32_t len)
{
    m->call.in_len = DATA_AT;
    m->call.in_data = data;
    m->call.in_data_len = len;
    int err = exchange(fs, m);
    if (err)
        return err;
    uint64_t n = p9_get(m, 4);
    return m->bad || n > len || n + DATA_AT != (uint64_t)m->call.result ? -EIO : (int64_t)n;
}
