/* SPDX-License-Identifier: MIT */
/* HTTP/1.1 as far as it takes to read a request whose body has a stated length. */
#include "keyserver.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum {
    HEAD_MAX = 8192,
    BODY_MAX = (int)sizeof(struct alcove_key_request) + ALCOVE_KEY_NAME_MAX +
               ALCOVE_KEY_REPORT_MAX + ALCOVE_KEY_CERTS_MAX,
};

size_t request_receive(int fd, struct buf *b, size_t *ret_body)
{
    size_t head = 0, body = 0;

    for (;;) {
        char piece[4096], *end, *length;
        ssize_t n;

        if (head && b->len >= head + body)
            break;
        n = recv(fd, piece, sizeof(piece), 0);
        if (n <= 0)
            return 0;
        buf_add(b, piece, (size_t)n);
        if (head)
            continue;
        end = memmem(b->s, b->len, "\r\n\r\n", 4);
        if (!end && b->len > HEAD_MAX)
            return 0;
        if (!end)
            continue;
        head = (size_t)(end - b->s) + 4;
        *end = 0;
        length = strcasestr(b->s, "\r\nContent-Length:");
        body = length ? strtoul(length + 17, NULL, 10) : 0;
        if (body > BODY_MAX)
            return 0;
    }
    *ret_body = body;
    return head;
}
