/* SPDX-License-Identifier: MIT */
#include "json.h"

#include <abi/errno.h>
#include <string.h>

/* Where cutting stands. */
struct cutter {
    struct json *j;
    uint32_t at;
};

static int value(struct cutter *c, unsigned depth);

static char peek(const struct cutter *c)
{
    return c->at < c->j->len ? c->j->text[c->at] : '\0';
}

static void skip_space(struct cutter *c)
{
    for (char x; (x = peek(c)) == ' ' || x == '\t' || x == '\n' || x == '\r';)
        c->at++;
}

/* The next character but space is x; step over it. */
static bool take(struct cutter *c, char x)
{
    skip_space(c);
    if (peek(c) != x)
        return false;
    c->at++;
    return true;
}

static int token(struct cutter *c, enum json_type type, uint32_t at, uint32_t len)
{
    struct json *j = c->j;
    if (j->n == j->max)
        return -E2BIG;
    j->tokens[j->n] = (struct json_token){ (uint8_t)type, at, len, j->n + 1 };
    j->n++;
    return 0;
}

static int string(struct cutter *c)
{
    if (!take(c, '"'))
        return -EINVAL;
    uint32_t at = c->at;
    for (char x; (x = peek(c)) != '"'; c->at++) {
        if ((unsigned char)x < ' ')
            return -EINVAL;
        if (x == '\\') {
            c->at++;
            if ((unsigned char)peek(c) < ' ')
                return -EINVAL;
        }
    }
    c->at++;
    return token(c, JSON_STRING, at, c->at - 1 - at);
}

/* A number, true, false or null: looked at when somebody asks for it. */
static int plain(struct cutter *c)
{
    uint32_t at = c->at;
    char first = peek(c);
    for (char x; (x = peek(c)) == '-' || x == '+' || x == '.' || (x >= '0' && x <= '9') ||
                 (x >= 'a' && x <= 'z') || x == 'E';)
        c->at++;
    if (c->at == at)
        return -EINVAL;
    bool number = first == '-' || (first >= '0' && first <= '9');
    return token(c, number ? JSON_NUMBER : JSON_WORD, at, c->at - at);
}

/* An object or array, whose first bracket is next. */
static int children(struct cutter *c, unsigned depth, char end)
{
    uint32_t me = c->j->n, at = c->at++;
    int err = token(c, end == '}' ? JSON_OBJECT : JSON_ARRAY, at, 0);
    if (err || depth == JSON_DEPTH_MAX)
        return err ? err : -EINVAL;
    if (!take(c, end)) {
        do {
            if (end == '}' && ((err = string(c)) || !take(c, ':')))
                return err ? err : -EINVAL;
            if ((err = value(c, depth + 1)))
                return err;
        } while (take(c, ','));
        if (!take(c, end))
            return -EINVAL;
    }
    c->j->tokens[me].len = c->at - at;
    c->j->tokens[me].next = c->j->n;
    return 0;
}

static int value(struct cutter *c, unsigned depth)
{
    skip_space(c);
    switch (peek(c)) {
    case '{':
        return children(c, depth, '}');
    case '[':
        return children(c, depth, ']');
    case '"':
        return string(c);
    default:
        return plain(c);
    }
}

int json_parse(struct json *j)
{
    struct cutter c = { j, 0 };
    j->len = strnlen(j->text, j->len);
    j->n = 0;
    int err = value(&c, 0);
    skip_space(&c);
    return err ? err : c.at == j->len ? 0 : -EINVAL;
}

static bool text_is(const struct json *j, uint32_t t, const char *text, size_t len)
{
    return j->tokens[t].len == len && !memcmp(j->text + j->tokens[t].at, text, len);
}

uint32_t json_first(const struct json *j, uint32_t parent)
{
    const struct json_token *p = &j->tokens[parent];
    bool holds = p->type == JSON_OBJECT || p->type == JSON_ARRAY;
    return holds && p->next > parent + 1 ? parent + 1 : 0;
}

uint32_t json_after(const struct json *j, uint32_t parent, uint32_t child)
{
    uint32_t next = j->tokens[child].next;
    if (j->tokens[parent].type == JSON_OBJECT)
        next = j->tokens[next].next; /* child is a name: over its value */
    return next < j->tokens[parent].next ? next : 0;
}

uint32_t json_member(const struct json *j, uint32_t object, const char *name, size_t len)
{
    if (j->tokens[object].type != JSON_OBJECT)
        return 0;
    for (uint32_t t = json_first(j, object); t; t = json_after(j, object, t))
        if (text_is(j, t, name, len))
            return t + 1;
    return 0;
}

uint32_t json_get(const struct json *j, uint32_t object, const char *name)
{
    return json_member(j, object, name, strlen(name));
}

bool json_is(const struct json *j, uint32_t t, const char *text)
{
    return t && j->tokens[t].type == JSON_STRING && text_is(j, t, text, strlen(text));
}

bool json_number(const struct json *j, uint32_t t, uint64_t max, uint64_t *ret)
{
    const struct json_token *k = &j->tokens[t];
    uint64_t n = 0;
    if (!t || (k->type != JSON_NUMBER && k->type != JSON_STRING) || !k->len)
        return false;
    for (uint32_t i = 0; i < k->len; i++) {
        unsigned digit = (unsigned)(j->text[k->at + i] - '0');
        if (digit > 9 || n > (UINT64_MAX - digit) / 10)
            return false;
        n = n * 10 + digit;
    }
    *ret = n;
    return n <= max;
}

static int sextet(char c)
{
    return c >= 'A' && c <= 'Z'   ? c - 'A'
           : c >= 'a' && c <= 'z' ? c - 'a' + 26
           : c >= '0' && c <= '9' ? c - '0' + 52
           : c == '+'             ? 62
           : c == '/'             ? 63
                                  : -1;
}

int json_base64(const struct json *j, uint32_t t, uint8_t *ret, size_t size)
{
    uint32_t bits = 0, have = 0;
    size_t n = 0;
    if (!t || j->tokens[t].type != JSON_STRING)
        return -EINVAL;
    const char *s = j->text + j->tokens[t].at, *end = s + j->tokens[t].len;
    while (end > s && end[-1] == '=')
        end--;
    for (; s < end; s++) {
        if (*s == '\\') /* "\/" */
            continue;
        int v = sextet(*s);
        if (v < 0)
            return -EINVAL;
        bits = bits << 6 | (uint32_t)v;
        have += 6;
        if (have < 8)
            continue;
        have -= 8;
        if (n == size)
            return -E2BIG;
        ret[n++] = (uint8_t)(bits >> have);
    }
    return (int)n;
}
