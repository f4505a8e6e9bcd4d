/* SPDX-License-Identifier: MIT */
/* What comes to `alcove keyserver` from the network: the input is written to a socket, read by the server's own reader and decided on.
 * The number that the server gave out is put where a request has its, so that the evidence behind it is looked at. */
#include "keyserver/keyserver.h"

#include <alcove/keyrelease.h>
#include <openssl/x509.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Of janitor.c, which knows what the command has to remove: nothing here. */
void remove_finish(void)
{
}

enum { SENT_MAX = 60000, QUOTE_LEAST = 1300 };

static struct key_server server;

static void start(void)
{
    static struct key_rule rule = { .name = (char *)"data", .key = (char *)"/dev/null" };

    server =
        (struct key_server){ .trust = X509_STORE_new(), .rules = &rule, .nonces = nonces_create() };
}

/* A head that fits, before a body of n bytes. */
static size_t head(char *to, size_t max, size_t n)
{
    return (size_t)snprintf(to, max, "POST /v1/key HTTP/1.1\r\nContent-Length: %zu\r\n\r\n", n);
}

static void put(uint8_t *to, uint32_t v, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        to[i] = (uint8_t)(v >> 8 * i);
}

/* The input is a quote of version 4 whose parts fit but for the innermost. */
static void shape_quote(uint8_t *q, uint32_t n)
{
    put(q, 4, 2);
    put(q + 2, 2, 2);
    put(q + 4, 0x81, 4);
    put(q + 632, n - 636, 4);
    put(q + 764, 6, 2);
    put(q + 766, n - 770, 4);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t sent[SENT_MAX + 128];
    struct buf b = { 0 }, out = { 0 };
    size_t at = 0, n;
    int pair[2];

    if (!server.trust)
        start();
    if (size < 2 || size > SENT_MAX || socketpair(AF_UNIX, SOCK_STREAM, 0, pair))
        return 0;
    if (data[0] & 1)
        at = head((char *)sent, 128, size - 1);
    memcpy(sent + at, data + 1, size - 1);
    if (data[0] & 2 && size - 1 >= sizeof(struct alcove_key_request)) {
        struct alcove_key_request *r = malloc(sizeof(*r));

        memcpy(r, sent + at, sizeof(*r));
        memcpy(r->magic, ALCOVE_KEY_REQUEST, sizeof(r->magic));
        nonce_give(server.nonces, r->nonce);
        r->kind = 1 + (data[0] >> 2 & 1);
        r->name_size = 4;
        if (data[0] & 8) /* all that is left is the report */
            r->report_size = (uint32_t)(size - 1 - sizeof(*r) - 4), r->certs_size = 0;
        memcpy(sent + at, r, sizeof(*r));
        if (r->kind == ALCOVE_KEY_TDX && data[0] & 16 && r->report_size > QUOTE_LEAST)
            shape_quote(sent + at + sizeof(*r) + 4, r->report_size);
        free(r);
    }
    n = at + size - 1;
    if (write(pair[0], sent, n) == (ssize_t)n && shutdown(pair[0], SHUT_WR) == 0) {
        at = request_receive(pair[1], &b, &n);
        if (at)
            (void)request_decide(&server, (uint8_t *)b.s + at, n, "fuzz", &out);
    }
    close(pair[0]);
    close(pair[1]);
    free(b.s);
    free(out.s);
    return 0;
}
