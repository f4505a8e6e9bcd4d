/* SPDX-License-Identifier: MIT */
/* Options of the level IPPROTO_TCP; tcp(7). */
#include "tcp.h"
#include <abi/errno.h>
#include <string.h>

enum { MSS_MIN = 88, MSS_MAX = 32767, KEEP_MAX = 32767, KEEPCNT_MAX = 127, SYNCNT_MAX = 127 };

static int set_congestion(struct tcpsock *t, const void *value, unsigned len)
{
    char name[sizeof(t->congestion)] = { 0 };
    if (len < 1)
        return -EINVAL;
    memcpy(name, value, len < sizeof(name) ? len : sizeof(name) - 1);
    /* lwIP's is New Reno, whatever it is called. */
    if (strcmp(name, "reno"))
        return -ENOENT;
    return 0;
}

enum { DEFER_TRIES_MAX = 255, RETRY_S_MAX = 120, LINGER2_MAX = 120, LINGER2_DEFAULT = 60 };

/* Seconds as the tries of a SYN-ACK that begin in them, the first after one second, each wait twice the one before. */
static uint8_t tries_of(int seconds)
{
    unsigned tries = seconds > 0, wait = 1;
    for (int64_t all = 1; tries && seconds > all && tries < DEFER_TRIES_MAX; tries++) {
        wait = wait * 2 < RETRY_S_MAX ? wait * 2 : RETRY_S_MAX;
        all += wait;
    }
    return (uint8_t)tries;
}

static int seconds_of(unsigned tries)
{
    int all = tries ? 1 : 0;
    for (int wait = 1; tries > 1; tries--) {
        wait = wait * 2 < RETRY_S_MAX ? wait * 2 : RETRY_S_MAX;
        all += wait;
    }
    return all;
}

static int set_range(uint32_t *at, int value, int least, int most)
{
    if (value < least || value > most)
        return -EINVAL;
    *at = (uint32_t)value;
    return 0;
}

static void push(struct tcpsock *t)
{
    if (!t->peer)
        tcpsock_remote_push(t);
}

static int set_number(struct tcpsock *t, int name, int v)
{
    switch (name) {
    case TCP_NODELAY:
        t->nodelay = v;
        if (v)
            push(t);
        return 0;
    case TCP_CORK:
        t->cork = v;
        if (!v)
            push(t);
        return 0;
    case TCP_MAXSEG:
        if (v && (v < MSS_MIN || v > MSS_MAX))
            return -EINVAL;
        t->maxseg = v;
        return 0;
    case TCP_KEEPIDLE:
        return set_range(&t->keepidle_s, v, 1, KEEP_MAX);
    case TCP_KEEPINTVL:
        return set_range(&t->keepintvl_s, v, 1, KEEP_MAX);
    case TCP_KEEPCNT:
        return set_range(&t->keepcnt, v, 1, KEEPCNT_MAX);
    case TCP_SYNCNT:
        if (v < 1 || v > SYNCNT_MAX)
            return -EINVAL;
        t->syncnt = v;
        return 0;
    case TCP_LINGER2:
        t->linger2 = v < 0 ? -1 : v > LINGER2_MAX ? LINGER2_MAX : v ? v : LINGER2_DEFAULT;
        return 0;
    case TCP_DEFER_ACCEPT:
        t->defer = tries_of(v);
        return 0;
    case TCP_QUICKACK:
        t->quickack = v & 1;
        return 0;
    case TCP_USER_TIMEOUT:
        if (v < 0)
            return -EINVAL;
        t->user_timeout_ms = (uint32_t)v;
        return 0;
    case TCP_NOTSENT_LOWAT:
        t->notsent_lowat = (uint32_t)v;
        return 0;
    case TCP_WINDOW_CLAMP:
        return 0;
    case TCP_FASTOPEN: /* connections are opened the ordinary way; a server's option is a queue's length */
        if (v < 0 || (t->state != TCP_IS_CLOSED && t->state != TCP_IS_LISTEN))
            return -EINVAL;
        t->fastopen = v;
        return 0;
    case TCP_FASTOPEN_CONNECT:
        return v < 0 || v > 1 ? -EINVAL : v ? -EOPNOTSUPP : 0;
    default:
        return -ENOPROTOOPT;
    }
}

int tcpsock_set_option(struct socket *s, int level, int name, const void *value, unsigned len)
{
    struct tcpsock *t = tcpsock_of(s);
    int v;
    if (level != IPPROTO_TCP) {
        int err = inet_set_option(s, level, name, value, len);
        if (!err && !t->peer)
            tcpsock_remote_options(t);
        return err;
    }
    if (name == TCP_CONGESTION)
        return set_congestion(t, value, len);
    if (len < sizeof(v))
        return -EINVAL;
    memcpy(&v, value, sizeof(v));
    int err = set_number(t, name, v);
    if (!err && !t->peer)
        tcpsock_remote_options(t);
    return err;
}

void tcpsock_option_changed(struct socket *s, int name)
{
    struct tcpsock *t = tcpsock_of(s);
    if (!t->peer && name == SO_KEEPALIVE)
        tcpsock_remote_options(t);
}

static void get_info(struct tcpsock *t, struct abi_tcp_info *info)
{
    memset(info, 0, sizeof(*info));
    info->tcpi_state = t->state;
    info->tcpi_options = 7; /* time stamps, SACK, window scaling */
    info->pad_scale = 0x77;
    info->tcpi_snd_mss = info->tcpi_rcv_mss = info->tcpi_advmss = TCP_MSS_LOCAL;
    info->tcpi_pmtu = 65535;
    info->tcpi_rto = 201000;
    info->tcpi_rtt = 20;
    info->tcpi_snd_cwnd = 10;
    info->tcpi_rcv_space = t->in.s.rcvbuf / 2;
    info->tcpi_snd_ssthresh = 0x7fffffff;
    info->tcpi_reordering = 3;
    if (!t->peer)
        tcpsock_remote_info(t, info);
    else
        info->tcpi_unacked = 0;
}

static int get_number(struct tcpsock *t, int name, int *v)
{
    switch (name) {
    case TCP_NODELAY:
        *v = t->nodelay;
        return 0;
    case TCP_CORK:
        *v = t->cork;
        return 0;
    case TCP_MAXSEG:
        *v = t->state == TCP_IS_CLOSED || t->state == TCP_IS_LISTEN ? (t->maxseg ? t->maxseg : 536)
             : t->peer                                              ? TCP_MSS_LOCAL
                                                                    : 1448;
        return 0;
    case TCP_KEEPIDLE:
        *v = (int)t->keepidle_s;
        return 0;
    case TCP_KEEPINTVL:
        *v = (int)t->keepintvl_s;
        return 0;
    case TCP_KEEPCNT:
        *v = (int)t->keepcnt;
        return 0;
    case TCP_SYNCNT:
        *v = t->syncnt;
        return 0;
    case TCP_LINGER2:
        *v = t->linger2;
        return 0;
    case TCP_DEFER_ACCEPT:
        *v = seconds_of(t->defer);
        return 0;
    case TCP_QUICKACK:
        *v = !t->quickack ? 1 : t->quickack;
        return 0;
    case TCP_USER_TIMEOUT:
        *v = (int)t->user_timeout_ms;
        return 0;
    case TCP_NOTSENT_LOWAT:
        *v = (int)t->notsent_lowat;
        return 0;
    case TCP_WINDOW_CLAMP:
    case TCP_FASTOPEN_CONNECT:
        *v = 0;
        return 0;
    case TCP_FASTOPEN:
        *v = t->fastopen;
        return 0;
    default:
        return -ENOPROTOOPT;
    }
}

int tcpsock_get_option(struct socket *s, int level, int name, void *value, unsigned *len)
{
    struct tcpsock *t = tcpsock_of(s);
    struct abi_tcp_info info;
    const void *from = &info;
    unsigned size = sizeof(int);
    int v, err = 0;
    if (level != IPPROTO_TCP)
        return inet_get_option(s, level, name, value, len);
    if (name == TCP_INFO) {
        get_info(t, &info);
        size = sizeof(info);
    } else if (name == TCP_CONGESTION) {
        from = t->congestion;
        size = sizeof(t->congestion);
    } else {
        err = get_number(t, name, &v);
        from = &v;
    }
    if (*len > size)
        *len = size;
    if (!err)
        memcpy(value, from, *len);
    return err;
}
