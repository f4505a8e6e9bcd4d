/* SPDX-License-Identifier: MIT */
/* A JSON reader (RFC 8259) for text that nobody vouches for: the text is cut into tokens once, with bounds on their number and
 * depth, and questions are asked of the tokens. Nothing is allocated and nothing is written into the text. */
#ifndef LUKS_JSON_H
#define LUKS_JSON_H

#include <base/compiler.h>
#include <base/types.h>

enum json_type { JSON_OBJECT, JSON_ARRAY, JSON_STRING, JSON_NUMBER, JSON_WORD };
enum { JSON_DEPTH_MAX = 10 };

struct json_token {
    uint8_t type;     /* enum json_type */
    uint32_t at, len; /* in the text; of a string without its quotes */
    uint32_t next;    /* the token behind this value and all in it */
};

struct json {
    const char *text;
    size_t len;
    struct json_token *tokens; /* a member of an object is two: its name and its value */
    uint32_t n, max;
};

/* Cut j->text into j->tokens; token 0 is the whole. The text ends at a zero or at len. -EINVAL: not JSON, or too deep;
 * -E2BIG: more than j->max tokens. */
NODISCARD int json_parse(struct json *j);

/* The functions below take token 0 for "there is none", which the whole never is as an answer, and answer 0 for it. */

/* The value of the member called name (of the len bytes) of an object. */
uint32_t json_member(const struct json *j, uint32_t object, const char *name, size_t len);
/* The value of the member whose name is a string of C. */
uint32_t json_get(const struct json *j, uint32_t object, const char *name);
/* Walk an object's or array's children: the first one (of an object: a name, whose value is the next token), and the one
 * behind child. 0 at the end. */
uint32_t json_first(const struct json *j, uint32_t parent);
uint32_t json_after(const struct json *j, uint32_t parent, uint32_t child);
/* Is it this string? */
bool json_is(const struct json *j, uint32_t token, const char *text);
/* A whole number, written as a number or in a string (LUKS2 writes 64-bit ones so). False: it is not one, or above max. */
bool json_number(const struct json *j, uint32_t token, uint64_t max, uint64_t *ret);
/* Bytes in base64 (RFC 4648); how many, -EINVAL: not base64, -E2BIG: more than size. */
int json_base64(const struct json *j, uint32_t token, uint8_t *ret, size_t size);

#endif
