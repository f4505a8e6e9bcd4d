/* SPDX-License-Identifier: MIT */
/* Messages whose sender had to die before the answer came. The device may still write into their memory, so they are left to it, with
 * the data's, and the server is told by a flush that nobody waits. When the device gives one back it goes to the channel's list, from any
 * context; the next who sends a message tidies up: fids that the answer made are clunked, and a tag can be used again
 * when both the message and its flush are back (the server may answer them in any order, or the message not at all). */
#include "p9.h"

#include <abi/errno.h>
#include <string.h>

enum { NEW_FID_AT = 11, FID_AT = 7 };

uint16_t p9_tag_new(struct p9_channel *ch)
{
    uint16_t tag = P9_TAGS;
    spin_lock(&ch->lock);
    for (unsigned i = 0; i < P9_TAGS / 64 && tag == P9_TAGS; i++)
        if (ch->tags[i] != UINT64_MAX) {
            unsigned bit = (unsigned)__builtin_ctzll(~ch->tags[i]);
            ch->tags[i] |= 1ull << bit;
            tag = (uint16_t)(i * 64 + bit);
        }
    spin_unlock(&ch->lock);
    return tag;
}

static void drop_locked(struct p9_channel *ch, uint16_t tag)
{
    ch->tags[tag / 64] &= ~(1ull << tag % 64);
}

void p9_tag_drop(struct p9_channel *ch, uint16_t tag)
{
    spin_lock(&ch->lock);
    drop_locked(ch, tag);
    spin_unlock(&ch->lock);
}

/* A message that nobody will wait for; NULL. */
static struct p9_msg *begin_lonely(struct p9 *fs, enum p9_type type, uint32_t value, unsigned bytes)
{
    struct p9_msg *m = p9_begin(type);
    uint16_t tag = m ? p9_tag_new(fs->ch) : P9_TAGS;
    if (tag == P9_TAGS) {
        p9_free(m);
        return NULL;
    }
    p9_put(m, value, bytes);
    memcpy(m->out, &m->at, 4);
    memcpy(m->out + 5, &tag, 2);
    m->tag = tag;
    m->missing = 1;
    m->session = fs->session;
    waitq_init(&m->call.wait);
    m->call = (struct p9_call){ .out = m->out,
                                .out_len = m->at,
                                .in = m->in,
                                .in_len = P9_MSG,
                                .wait = m->call.wait,
                                .abandoned = true };
    return m;
}

/* m or its flush is not in the device any more. */
static void one_back(struct p9_channel *ch, struct p9_msg *m)
{
    spin_lock(&ch->lock);
    bool last = --m->missing == 0;
    if (last)
        drop_locked(ch, m->tag);
    spin_unlock(&ch->lock);
    if (last)
        p9_free(m);
}

static void start_lonely(struct p9 *fs, struct p9_msg *m)
{
    struct p9_msg *of = m->of;
    if (!fs->ch->start(fs->ch, &m->call))
        return;
    one_back(fs->ch, m);
    if (of)
        one_back(fs->ch, of);
}

bool p9_abandon(struct p9 *fs, struct p9_msg *m)
{
    struct p9_call *c = &m->call;
    struct p9_msg *flush = m->out[4] == T_CLUNK ? NULL : begin_lonely(fs, T_FLUSH, m->tag, 2);
    m->missing = flush ? 2 : 1;
    atomic_fetch_add(&m->refs, 1);
    m->kept = m->lend ? *m->lend : NULL;
    spin_lock(&c->wait.lock);
    bool there = c->done;
    c->abandoned = !there;
    spin_unlock(&c->wait.lock);
    if (there) {
        m->kept = NULL;
        atomic_fetch_sub(&m->refs, 1);
        if (flush)
            one_back(fs->ch, flush);
        return false;
    }
    if (m->lend)
        *m->lend = NULL;
    if (flush) {
        flush->of = m;
        start_lonely(fs, flush);
    }
    return true;
}

/* The answer to m came too late: what it did is undone. */
static void late(struct p9 *fs, struct p9_msg *m)
{
    uint32_t fid;
    unsigned type = m->out[4];
    bool walk = type == T_WALK || type == T_XATTRWALK;
    if (m->session != fs->session || (!walk && type != T_CLUNK))
        return;
    memcpy(&fid, m->out + (walk ? NEW_FID_AT : FID_AT), 4);
    m->bad = false;
    int err = m->call.result < 0 ? (int)m->call.result : p9_verdict(m, (uint32_t)m->call.result);
    if (type == T_WALK && !err && p9_get(m, 2) == 0 && (m->out[15] | m->out[16]) != 0)
        err = -ENOENT;
    if (!walk || err) {
        p9_fid_drop(fs, fid);
        return;
    }
    struct p9_msg *clunk = begin_lonely(fs, T_CLUNK, fid, 4);
    if (clunk)
        start_lonely(fs, clunk);
}

void p9_reap(struct p9 *fs)
{
    struct p9_call *c = atomic_exchange(&fs->ch->back, NULL), *next;
    for (; c; c = next) {
        struct p9_msg *m = (struct p9_msg *)c, *of = m->of;
        next = c->next;
        late(fs, m);
        one_back(fs->ch, m);
        if (of)
            one_back(fs->ch, of);
    }
}
