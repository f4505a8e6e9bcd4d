/* SPDX-License-Identifier: MIT */
/* SOL_SOCKET: the options that all families have. What a family or protocol must know of it hears through
 * option_changed; what this file does not know it is asked for. socket(7). */
#include "netconf.h"
#include "sock_int.h"
#include <abi/errno.h>
#include <abi/if.h>
#include <abi/time.h>
#include <libos/process.h>
#include <libos/vfs.h>
#include <limits.h>
#include <string.h>

enum {
    CAP_NET_ADMIN = 12,
    CAP_NET_RAW = 13,
    BUF_LIMIT = SOCKET_BUF_DEFAULT, /* net.core.wmem_max, rmem_max */
    SNDBUF_MIN = 4608,
    RCVBUF_MIN = 2304,
    PRIORITY_FREE = 6, /* up to here without a capability */
    LINGER_MAX = INT_MAX / 1000,
    BPF_EXTENSIONS = 64, /* loads of what is beside the packet, as Linux numbers them */
};

static const struct {
    int name;
    uint32_t flag;
} flag_options[] = {
    { SO_REUSEADDR, SOCKET_REUSEADDR },
    { SO_REUSEPORT, SOCKET_REUSEPORT },
    { SO_KEEPALIVE, SOCKET_KEEPALIVE },
    { SO_BROADCAST, SOCKET_BROADCAST },
    { SO_OOBINLINE, SOCKET_OOBINLINE },
    { SO_PASSCRED, SOCKET_PASSCRED },
    { SO_DONTROUTE, SOCKET_DONTROUTE },
    { SO_RXQ_OVFL, SOCKET_RXQ_OVFL },
    { SO_NO_CHECK, SOCKET_NO_CHECK },
    { SO_PASSSEC, SOCKET_PASSSEC },
    { SO_DEBUG, SOCKET_DEBUG },
    { SO_ZEROCOPY, SOCKET_ZEROCOPY },
    { SO_LOCK_FILTER, SOCKET_LOCK_FILTER },
    { SO_TIMESTAMP, SOCKET_TIMESTAMP },
    { SO_TIMESTAMPNS, SOCKET_TIMESTAMPNS },
};

static uint32_t flag_of(int name)
{
    for (size_t i = 0; i < ARRAY_SIZE(flag_options); i++)
        if (flag_options[i].name == name)
            return flag_options[i].flag;
    return 0;
}

static void set_flag(struct socket *s, uint32_t flag, bool on)
{
    spin_lock(&s->lock);
    s->flags = on ? s->flags | flag : s->flags & ~flag;
    if (on && flag == SOCKET_TIMESTAMP)
        s->flags &= ~(uint32_t)SOCKET_TIMESTAMPNS;
    if (on && flag == SOCKET_TIMESTAMPNS)
        s->flags &= ~(uint32_t)SOCKET_TIMESTAMP;
    spin_unlock(&s->lock);
}

static int set_flag_option(struct socket *s, int name, uint32_t flag, int value)
{
    bool local = s->family == AF_UNIX, tcp = s->type == SOCK_STREAM;
    if (name == SO_DEBUG && value && !cred_capable(CAP_NET_ADMIN))
        return -EACCES;
    if (name == SO_PASSCRED && !local && s->family != AF_NETLINK)
        return -EOPNOTSUPP;
    if (name == SO_ZEROCOPY) {
        if (s->family != AF_INET && s->family != AF_INET6)
            return -EOPNOTSUPP;
        if (!tcp && s->type != SOCK_DGRAM)
            return -EOPNOTSUPP;
        if (value < 0 || value > 1)
            return -EINVAL;
    }
    if (name == SO_LOCK_FILTER && !value && s->flags & SOCKET_LOCK_FILTER)
        return -EPERM;
    if (name == SO_REUSEPORT && value && s->family != AF_INET && s->family != AF_INET6)
        return -EOPNOTSUPP;
    set_flag(s, flag, value);
    return 0;
}

static uint32_t buffer_size(int value, uint32_t least, bool force)
{
    uint32_t v = (uint32_t)value;
    if (force)
        v = value < 0 ? 0 : v > INT_MAX / 2 ? INT_MAX / 2 : v;
    else if (v > BUF_LIMIT)
        v = BUF_LIMIT;
    return v * 2 < least ? least : v * 2;
}

static int set_buffer(struct socket *s, int name, int value)
{
    bool force = name == SO_SNDBUFFORCE || name == SO_RCVBUFFORCE;
    if (force && !cred_capable(CAP_NET_ADMIN))
        return -EPERM;
    if (name == SO_SNDBUF || name == SO_SNDBUFFORCE) {
        s->sndbuf = buffer_size(value, SNDBUF_MIN, force);
        set_flag(s, SOCKET_SNDBUF_SET, true);
        socket_wake_all(s, SOCKET_OUT);
    } else {
        s->rcvbuf = buffer_size(value, RCVBUF_MIN, force);
        set_flag(s, SOCKET_RCVBUF_SET, true);
    }
    return 0;
}

static int set_timeout(uint64_t *ret, const void *value, unsigned len)
{
    struct abi_timeval tv;
    if (len < sizeof(tv))
        return -EINVAL;
    memcpy(&tv, value, sizeof(tv));
    if (tv.tv_usec < 0 || tv.tv_usec >= 1000000)
        return -EDOM;
    if (tv.tv_sec < 0)
        *ret = 0;
    else if ((!tv.tv_sec && !tv.tv_usec) || tv.tv_sec >= INT64_MAX / 1000000000 - 1)
        *ret = NO_DEADLINE;
    else
        *ret = (uint64_t)tv.tv_sec * NS_PER_SEC + (uint64_t)tv.tv_usec * 1000;
    return 0;
}

static int set_linger(struct socket *s, const void *value, unsigned len)
{
    struct abi_linger l;
    if (len < sizeof(l))
        return -EINVAL;
    memcpy(&l, value, sizeof(l));
    s->linger_s = (unsigned)l.l_linger > LINGER_MAX ? LINGER_MAX : l.l_linger;
    set_flag(s, SOCKET_LINGER, l.l_onoff);
    return 0;
}

static int bind_index(struct socket *s, int index)
{
    if (index < 0)
        return -EINVAL;
    if (s->bound_dev && !cred_capable(CAP_NET_RAW))
        return -EPERM;
    s->bound_dev = index;
    return 0;
}

/* A name, with a zero or without, that is cut where it is too long; none: any interface. */
static int bind_device(struct socket *s, const void *value, unsigned len)
{
    char name[IFNAMSIZ] = "";
    struct net_interface n = { .index = 0 };
    memcpy(name, value, min_u64(len, sizeof(name) - 1));
    if (*name && !netconf_find(name, 0, &n))
        return -ENODEV;
    return bind_index(s, *name ? (int)n.index : 0);
}

static int set_number(struct socket *s, int name, int value)
{
    uint32_t flag = flag_of(name);
    if (flag)
        return set_flag_option(s, name, flag, value);
    switch (name) {
    case SO_SNDBUF:
    case SO_RCVBUF:
    case SO_SNDBUFFORCE:
    case SO_RCVBUFFORCE:
        return set_buffer(s, name, value);
    case SO_PRIORITY:
        if ((value < 0 || value > PRIORITY_FREE) && !cred_capable(CAP_NET_ADMIN) &&
            !cred_capable(CAP_NET_RAW))
            return -EPERM;
        s->priority = (uint32_t)value;
        return 0;
    case SO_MARK:
        if (!cred_capable(CAP_NET_ADMIN) && !cred_capable(CAP_NET_RAW))
            return -EPERM;
        s->mark = (uint32_t)value;
        return 0;
    case SO_RCVLOWAT:
        s->rcvlowat = value < 0 ? INT_MAX : value ? (uint32_t)value : 1;
        return 0;
    case SO_BSDCOMPAT:
    case SO_BUSY_POLL:
    case SO_INCOMING_CPU:
        return 0; /* hints */
    case SO_BINDTOIFINDEX:
        return bind_index(s, value);
    case SO_DETACH_FILTER:
        return -ENOENT;
    default:
        return -ENOPROTOOPT; /* also those that can only be read */
    }
}

static int set_general(struct socket *s, int name, const void *value, unsigned len)
{
    int n;
    switch (name) {
    case SO_BINDTODEVICE:
        return bind_device(s, value, len);
    case SO_LINGER:
        return len < sizeof(n) ? -EINVAL : set_linger(s, value, len);
    case SO_RCVTIMEO:
        return len < sizeof(n) ? -EINVAL : set_timeout(&s->rcvtimeo_ns, value, len);
    case SO_SNDTIMEO:
        return len < sizeof(n) ? -EINVAL : set_timeout(&s->sndtimeo_ns, value, len);
    default:
        if (len < sizeof(n))
            return -EINVAL;
        memcpy(&n, value, sizeof(n));
        return set_number(s, name, n);
    }
}

int socket_set_option(struct socket *s, int level, int name, const void *value, unsigned len)
{
    int err = -ENOPROTOOPT;
    if (level == SOL_SOCKET && (name == SO_ATTACH_FILTER || name == SO_DETACH_FILTER) &&
        s->flags & SOCKET_LOCK_FILTER)
        return -EPERM;
    if (s->ops->set_option) {
        err = s->ops->set_option(s, level, name, value, len);
        if (level != SOL_SOCKET || err != -ENOPROTOOPT)
            return err;
    }
    if (level != SOL_SOCKET)
        return err;
    err = set_general(s, name, value, len);
    if (!err && s->ops->option_changed)
        s->ops->option_changed(s, name);
    return err;
}

static void get_timeout(uint64_t ns, struct abi_timeval *tv)
{
    *tv = (struct abi_timeval){ 0 };
    if (ns == NO_DEADLINE)
        return;
    tv->tv_sec = (int64_t)(ns / NS_PER_SEC);
    tv->tv_usec = (int64_t)(ns % NS_PER_SEC / 1000);
}

static int get_number(struct socket *s, int name, int *ret)
{
    uint32_t flag = flag_of(name);
    if (flag) {
        *ret = (s->flags & flag) != 0;
        return 0;
    }
    switch (name) {
    case SO_TYPE:
        *ret = s->type;
        return 0;
    case SO_DOMAIN:
        *ret = s->family;
        return 0;
    case SO_PROTOCOL:
        *ret = s->protocol;
        return 0;
    case SO_ERROR:
        *ret = -socket_take_error(s);
        return 0;
    case SO_ACCEPTCONN:
        *ret = s->ops->accept_state && !s->ops->accept_state(s);
        return 0;
    case SO_SNDBUF:
        *ret = (int)s->sndbuf;
        return 0;
    case SO_RCVBUF:
        *ret = (int)s->rcvbuf;
        return 0;
    case SO_RCVLOWAT:
        *ret = (int)s->rcvlowat;
        return 0;
    case SO_SNDLOWAT:
        *ret = 1;
        return 0;
    case SO_PRIORITY:
        *ret = (int)s->priority;
        return 0;
    case SO_MARK:
        *ret = (int)s->mark;
        return 0;
    case SO_BINDTOIFINDEX:
        *ret = s->bound_dev;
        return 0;
    case SO_BSDCOMPAT:
    case SO_BUSY_POLL:
        *ret = 0;
        return 0;
    case SO_INCOMING_CPU:
    case SO_PEEK_OFF:
        *ret = -1;
        return 0;
    default:
        return -ENOPROTOOPT;
    }
}

void socket_memory(const struct socket *s, uint32_t ret[SKMEM_COUNT])
{
    memset(ret, 0, SKMEM_COUNT * sizeof(*ret));
    ret[SKMEM_RMEM] = s->rq.charged;
    ret[SKMEM_RCVBUF] = s->rcvbuf;
    ret[SKMEM_WMEM] = s->wmem;
    ret[SKMEM_SNDBUF] = s->sndbuf;
    ret[SKMEM_DROPS] = s->dropped;
}

/* The name of the interface that the socket is bound to, with its zero; nothing when there is none. */
static int get_device(const struct socket *s, void *value, unsigned *len)
{
    struct net_interface n;
    unsigned room = *len;
    *len = 0;
    if (!s->bound_dev)
        return 0;
    if (room < IFNAMSIZ)
        return -EINVAL;
    if (!netconf_find(NULL, (unsigned)s->bound_dev, &n))
        return -ENODEV;
    *len = (unsigned)strlen(n.name) + 1;
    memcpy(value, n.name, *len);
    return 0;
}

/* What has a form of its own. -ENOPROTOOPT: it is no such option. */
static int get_special(struct socket *s, int name, void *value, unsigned *len)
{
    struct abi_sockaddr_storage peer;
    uint64_t cookie;
    uint32_t mem[SKMEM_COUNT];
    const void *from = &cookie;
    int n = 0;
    unsigned size = sizeof(cookie);
    switch (name) {
    case SO_PEERNAME:
        n = socket_name(s, true, &peer);
        if (n >= 0 && (unsigned)n < *len)
            n = -EINVAL;
        if (n < 0)
            return n;
        from = &peer;
        size = *len;
        break;
    case SO_COOKIE:
        if (*len < sizeof(cookie))
            return -EINVAL;
        cookie = s->inode ? s->inode->ino : 0;
        break;
    case SO_BINDTODEVICE:
        return get_device(s, value, len);
    case SO_MEMINFO:
        socket_memory(s, mem);
        from = mem;
        size = sizeof(mem);
        break;
    case SO_BPF_EXTENSIONS:
    case SO_INCOMING_NAPI_ID:
        n = name == SO_BPF_EXTENSIONS ? BPF_EXTENSIONS : 0;
        from = &n;
        size = sizeof(n);
        break;
    default:
        return -ENOPROTOOPT;
    }
    if (*len > size)
        *len = size;
    memcpy(value, from, *len);
    return 0;
}

static int get_general(struct socket *s, int name, void *value, unsigned *len)
{
    union {
        int n;
        struct abi_linger linger;
        struct abi_timeval tv;
        struct abi_ucred cred;
    } u;
    unsigned size = sizeof(int);
    int err = 0;
    if (name == SO_LINGER) {
        u.linger = (struct abi_linger){ (s->flags & SOCKET_LINGER) != 0, s->linger_s };
        size = sizeof(u.linger);
    } else if (name == SO_RCVTIMEO || name == SO_SNDTIMEO) {
        get_timeout(name == SO_RCVTIMEO ? s->rcvtimeo_ns : s->sndtimeo_ns, &u.tv);
        size = sizeof(u.tv);
    } else if (name == SO_PEERCRED) {
        u.cred = (struct abi_ucred){ 0, UINT32_MAX, UINT32_MAX };
        size = sizeof(u.cred);
    } else {
        err = get_number(s, name, &u.n);
    }
    if (*len > size)
        *len = size;
    if (!err)
        memcpy(value, &u, *len);
    return err;
}

int socket_get_option(struct socket *s, int level, int name, void *value, unsigned *len)
{
    int err = -ENOPROTOOPT;
    if (s->ops->get_option) {
        err = s->ops->get_option(s, level, name, value, len);
        if (level != SOL_SOCKET || err != -ENOPROTOOPT)
            return err;
    }
    if (level != SOL_SOCKET)
        return err;
    err = get_special(s, name, value, len);
    return err == -ENOPROTOOPT ? get_general(s, name, value, len) : err;
}
