/* SPDX-License-Identifier: MIT */
/* The rules that app.elf and app.efi must keep so that every loader takes them. */
#ifndef ALCOVE_CMD_LINT_H
#define ALCOVE_CMD_LINT_H

#include <stddef.h>
#include <stdint.h>

/* NULL when the file keeps all rules, else the first one that it breaks ("rule 2: ..."). */
const char *lint_elf(const uint8_t *data, size_t size);
struct pe;
const char *lint_pe(const struct pe *pe);

#endif
