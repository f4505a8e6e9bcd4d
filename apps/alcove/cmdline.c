/* SPDX-License-Identifier: MIT */
/* Quoting and splitting of the measured command line. The guest has its own reader; test/cmd compares the two directions
 * here. */
#include "cmdline.h"

#include <string.h>

static bool plain(const char *s)
{
    if (!*s)
        return false;
    for (; *s; s++)
        if ((unsigned char)*s <= ' ' || *s == 0x7f || *s == '"' || *s == '\\')
            return false;
    return true;
}

void cmdline_add(struct buf *b, const char *token)
{
    if (b->len)
        buf_str(b, " ");
    if (plain(token)) {
        buf_str(b, token);
        return;
    }
    buf_str(b, "\"");
    for (const char *c = token; *c; c++) {
        if (*c == '"' || *c == '\\')
            buf_printf(b, "\\%c", *c);
        else if (*c == '\n')
            buf_str(b, "\\n");
        else if (*c == '\t')
            buf_str(b, "\\t");
        else if ((unsigned char)*c < ' ' || *c == 0x7f)
            buf_printf(b, "\\x%02X", (unsigned char)*c);
        else
            buf_add(b, c, 1);
    }
    buf_str(b, "\"");
}

static int hex_digit(char c)
{
    const char *digits = "0123456789abcdef", *at = c ? strchr(digits, c | 0x20) : NULL;
    return at && *at ? (int)(at - digits) : -1;
}

/* One escape after the backslash at s[0]; its length there or 0 when bad. */
static size_t unescape(const char *s, size_t n, struct buf *token)
{
    if (n >= 2 && (s[1] == '"' || s[1] == '\\')) {
        buf_add(token, s + 1, 1);
        return 2;
    }
    if (n >= 2 && (s[1] == 'n' || s[1] == 't')) {
        buf_str(token, s[1] == 'n' ? "\n" : "\t");
        return 2;
    }
    if (n >= 4 && s[1] == 'x' && hex_digit(s[2]) >= 0 && hex_digit(s[3]) >= 0) {
        char c = (char)(hex_digit(s[2]) << 4 | hex_digit(s[3]));
        if (!c)
            return 0;
        buf_add(token, &c, 1);
        return 4;
    }
    return 0;
}

bool cmdline_split(const char *s, size_t n, struct list *ret)
{
    if (memchr(s, 0, n))
        return false;
    for (size_t i = 0; i < n;) {
        struct buf token = { 0 };
        bool quoted = s[i] == '"';
        buf_add(&token, "", 0);
        i += quoted;
        while (i < n && s[i] != (quoted ? '"' : ' ')) {
            size_t used = quoted && s[i] == '\\' ? unescape(s + i, n - i, &token) : 1;
            if (!used)
                return false;
            if (!quoted || s[i] != '\\')
                buf_add(&token, s + i, 1);
            i += used;
        }
        if (quoted && (i >= n || (++i < n && s[i] != ' ')))
            return false;
        i += i < n;
        list_add(ret, token.s);
    }
    return true;
}

size_t cmdline_args(const struct list *tokens)
{
    for (size_t i = 0; i < tokens->n; i++)
        if (strcmp(tokens->v[i], "--") == 0)
            return i + 1;
    return tokens->n;
}

const char *cmdline_option(const struct list *tokens, const char *name)
{
    size_t n = strlen(name);
    for (size_t i = 0; i < tokens->n && strcmp(tokens->v[i], "--") != 0; i++) {
        if (strncmp(tokens->v[i], name, n) == 0 && tokens->v[i][n] == '=')
            return tokens->v[i] + n + 1;
        if (strcmp(tokens->v[i], name) == 0)
            return "";
    }
    return NULL;
}
