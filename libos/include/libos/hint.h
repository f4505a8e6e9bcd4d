/* SPDX-License-Identifier: MIT */
/* Hints about what a program will do with a file: readahead(2), posix_fadvise(2). */
#ifndef LIBOS_HINT_H
#define LIBOS_HINT_H

#include <base/types.h>

struct file;

/* Read bytes [from, from + len) of f into the page cache, as far as there is free memory; len 0: to the end. Nothing for files that are in
 * memory anyway. Errors are left to who reads. May sleep. */
void hint_will_need(struct file *f, uint64_t from, uint64_t len);
/* Write back and drop what the page cache has of whole pages in the range; what is mapped stays. May sleep. */
void hint_dont_need(struct file *f, uint64_t from, uint64_t len);

#endif
