/* SPDX-License-Identifier: MIT */
/* A key from a server: its number, a report about it, the key. Nothing that comes back is believed before its signature was
 * checked (key_release.c); the text of a refusal is shown with what is printable of it. */
#include <libos/key_agent.h>

#include "key_release.h"

#include <abi/errno.h>
#include <abi/in.h>
#include <abi/socket.h>
#include <base/log.h>
#include <libos/file.h>
#include <libos/heap.h>
#include <libos/socket.h>
#include <libos/tsm.h>
#include <plat/time.h>
#include <stdio.h>
#include <string.h>

enum {
    ANSWER_MAX = 16384, /* of the server, head included */
    HEAD_MAX = 512,     /* of a request of ours */
    TIMEOUT_S = 20,
    OK = 200,
    FORBIDDEN = 403,
};

struct server {
    struct abi_sockaddr_storage address;
    uint8_t fingerprint[KEY_FINGERPRINT];
    char host[24]; /* as in the address, for the Host line */
};

/* What a server said: a view of the buffer that it was read into. */
struct answer {
    unsigned status;
    const uint8_t *body;
    size_t size;
};

static bool number(const char **s, unsigned max, unsigned *ret)
{
    const char *p = *s;
    unsigned v = 0;

    while (*p >= '0' && *p <= '9' && v <= max)
        v = v * 10 + (unsigned)(*p++ - '0');
    if (p == *s || v > max)
        return false;
    *s = p;
    *ret = v;
    return true;
}

static int digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool read_fingerprint(const char *s, uint8_t ret[KEY_FINGERPRINT])
{
    for (unsigned i = 0; i < KEY_FINGERPRINT; i++, s += 2) {
        if (digit(s[0]) < 0 || digit(s[1]) < 0)
            return false;
        ret[i] = (uint8_t)(digit(s[0]) << 4 | digit(s[1]));
    }
    return !*s;
}

static bool read_where(const char *s, struct server *ret)
{
    static const char scheme[] = "http://";
    unsigned part, port = ALCOVE_KEY_PORT;
    struct abi_sockaddr_in *a = (struct abi_sockaddr_in *)&ret->address;
    const char *start;

    *ret = (struct server){ 0 };
    if (strncmp(s, scheme, sizeof(scheme) - 1))
        return false;
    start = s += sizeof(scheme) - 1;
    for (unsigned i = 0; i < 4; i++) {
        if ((i && *s++ != '.') || !number(&s, 255, &part))
            return false;
        ((uint8_t *)&a->sin_addr)[i] = (uint8_t)part;
    }
    if (*s == ':' && (s++, !number(&s, 65535, &port) || !port))
        return false;
    if ((size_t)(s - start) >= sizeof(ret->host))
        return false;
    memcpy(ret->host, start, (size_t)(s - start));
    if (*s == '/')
        s++;
    a->sin_family = AF_INET;
    a->sin_port = (uint16_t)(port << 8 | port >> 8);
    return *s++ == '#' && read_fingerprint(s, ret->fingerprint);
}

static int send_all(struct socket *s, const void *p, size_t n)
{
    while (n) {
        struct iter it;
        struct socket_msg m = { .it = &it, .flags = MSG_NOSIGNAL };
        ssize_type done;

        iter_kernel(&it, (void *)p, n);
        done = socket_send(s, &m);
        if (done <= 0)
            return done ? (int)done : -EPIPE;
        p = (const uint8_t *)p + done;
        n -= (size_t)done;
    }
    return 0;
}

/* Until the server closes; -EBADMSG: more than fits. */
static int receive_all(struct socket *s, uint8_t *buf, size_t *ret_size)
{
    for (size_t at = 0;;) {
        struct iter it;
        struct socket_msg m = { .it = &it };
        ssize_type n;

        if (at == ANSWER_MAX)
            return -EBADMSG;
        iter_kernel(&it, buf + at, ANSWER_MAX - at);
        n = socket_recv(s, &m);
        if (n < 0)
            return (int)n;
        if (!n) {
            *ret_size = at;
            return 0;
        }
        at += (size_t)n;
    }
}

/* "HTTP/1.1 200 ..." to the empty line, then the body, to the end. */
static int parse(const uint8_t *buf, size_t n, struct answer *ret)
{
    const char *p = (const char *)buf + 9;

    if (n < 16 || memcmp(buf, "HTTP/1.", 7))
        return -EBADMSG;
    if (!number(&p, 999, &ret->status))
        return -EBADMSG;
    for (size_t i = 12; i + 4 <= n; i++)
        if (!memcmp(buf + i, "\r\n\r\n", 4)) {
            ret->body = buf + i + 4;
            ret->size = n - i - 4;
            return 0;
        }
    return -EBADMSG;
}

struct part {
    const void *p;
    size_t n;
};

/* One request, its body in parts; the answer lies in buf, of ANSWER_MAX bytes. */
static int post(const struct server *server, const char *path, const struct part *parts, size_t n,
                uint8_t *buf, struct answer *ret)
{
    struct file *f;
    size_t total = 0, size = 0;
    char head[HEAD_MAX];
    int err = socket_create(AF_INET, SOCK_STREAM, 0, 0, &f), length;

    if (err)
        return err;
    struct socket *s = socket_of(f);
    s->rcvtimeo_ns = s->sndtimeo_ns = TIMEOUT_S * NS_PER_SEC;
    for (size_t i = 0; i < n; i++)
        total += parts[i].n;
    length =
        snprintf(head, sizeof(head),
                 "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n",
                 path, server->host, total);
    err = socket_connect(s, &server->address, sizeof(struct abi_sockaddr_in), false);
    err = err ? err : send_all(s, head, (size_t)length);
    for (size_t i = 0; i < n && !err; i++)
        err = send_all(s, parts[i].p, parts[i].n);
    err = err ? err : receive_all(s, buf, &size);
    file_put(f);
    return err ? err : parse(buf, size, ret);
}

static int refuse(const struct server *server, const struct answer *a)
{
    char why[128];
    size_t n = min_u64(a->size, sizeof(why) - 1);

    for (size_t i = 0; i < n; i++)
        why[i] = (char)(a->body[i] >= ' ' && a->body[i] < 0x7f ? a->body[i] : '?');
    why[n] = 0;
    log_error("the key server %s refuses (%u): %s", server->host, a->status, why);
    return -EACCES;
}

/* With the report made: ask, and open the answer. */
static int ask(const struct server *server, struct key_release *k, const struct tsm_request *r,
               uint8_t *buf, uint8_t *ret_key, size_t *ret_size)
{
    const struct part parts[] = { { &k->head, sizeof(k->head) },
                                  { k->name, k->head.name_size },
                                  { r->out, r->out_size },
                                  { r->aux, r->aux_size } };
    struct answer a;
    int err = post(server, "/v1/key", parts, ARRAY_SIZE(parts), buf, &a);

    if (err)
        return err;
    if (a.status != OK)
        return refuse(server, &a);
    err = key_release_open(k, a.body, a.size, server->fingerprint, ret_key, ret_size);
    if (err == -EACCES)
        log_error("%s is not the key server that this image was built for", server->host);
    return err;
}

/* From the server's number to the key. k and buf are the caller's, to be wiped. */
static int negotiate(const struct tsm_provider *t, const struct server *server, const char *name,
                     struct key_release *k, uint8_t *buf, uint8_t *ret_key, size_t *ret_size)
{
    struct tsm_request r = { .in_size = ALCOVE_KEY_DATA };
    struct answer a;
    int err = post(server, "/v1/nonce", NULL, 0, buf, &a);

    if (!err && (a.status != OK || a.size != ALCOVE_KEY_NONCE))
        err = refuse(server, &a);
    err = err ? err : key_release_begin(k, a.body, name);
    if (err)
        return err;
    memcpy(r.in, k->data, sizeof(k->data));
    r.privlevel = t->has_privlevel ? t->privlevel_floor() : 0;
    err = t->make(&r);
    if (!err && (r.out_size > ALCOVE_KEY_REPORT_MAX || r.aux_size > ALCOVE_KEY_CERTS_MAX))
        err = -EBADMSG;
    if (!err) {
        key_release_head(k, t->has_privlevel ? ALCOVE_KEY_SNP : ALCOVE_KEY_TDX, r.out_size,
                         r.aux_size);
        err = ask(server, k, &r, buf, ret_key, ret_size);
    }
    heap_free(r.out);
    heap_free(r.aux);
    return err;
}

int key_agent_ask(const char *where, const char *name, uint8_t *ret_key, size_t max)
{
    const struct tsm_provider *t = tsm_provider();
    struct server server;
    struct key_release *k;
    uint8_t *buf;
    size_t n = 0;
    int err = -ENOMEM;

    if (!read_where(where, &server)) {
        log_error("a key server is http://A.B.C.D[:PORT]#FINGERPRINT, not '%s'", where);
        return -EINVAL;
    }
    if (!t) {
        log_error("a key server gives keys to confidential guests only, and this is none");
        return -ENODEV;
    }
    if (max < ALCOVE_KEY_MAX)
        return -EINVAL;
    k = heap_alloc(sizeof(*k));
    buf = heap_alloc(ANSWER_MAX);
    if (k && buf) {
        err = negotiate(t, &server, name, k, buf, ret_key, &n);
        key_release_end(k);
        if (err && err != -EACCES)
            log_error("no key from the key server %s (error %d)", server.host, -err);
    }
    heap_free(buf);
    heap_free(k);
    return err ? err : (int)n;
}
