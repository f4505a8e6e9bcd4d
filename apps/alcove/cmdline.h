/* SPDX-License-Identifier: MIT */
/* The measured command line of an image: tokens, quoted as ARCHITECTURE.md, "The image", says. */
#ifndef ALCOVE_CMD_CMDLINE_H
#define ALCOVE_CMD_CMDLINE_H

#include "util.h"

/* Add one token, with a space before it unless it is the first. */
void cmdline_add(struct buf *b, const char *token);

/* Split into tokens. False when a quote is not closed, an escape is unknown or a zero byte is in it. */
bool cmdline_split(const char *s, size_t n, struct list *ret);

/* The value of the first option NAME=value (or the name alone: "") before "--"; NULL when it is not there. */
const char *cmdline_option(const struct list *tokens, const char *name);

/* Index of the first token after "--"; tokens->n when there is none. */
size_t cmdline_args(const struct list *tokens);

#endif
