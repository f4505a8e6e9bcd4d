/* SPDX-License-Identifier: MIT */
/* A program linked into the image: what the boot order calls, and what the program's library (lib/sys.h) calls. */
#ifndef RELINK_H
#define RELINK_H

#include <base/compiler.h>
#include <stddef.h>
#include <stdint.h>

struct payload;

/* What stands for the payload of an image without one: a command line and nothing else. */
void relink_payload(struct payload *ret);

/* Become the program: the rest of the first thread's work. -ENOMEM; does not return otherwise. */
NODISCARD int relink_first(void);

/* The program's first function, in lib/thread.c. */
void alcove_start(void);

/* Declared for the program in lib/sys.h, with the same types. */
int alcove_thread_start(void (*entry)(void *arg), void *arg, void *stack, size_t stack_size,
                        void *tls, uint32_t *alive);
void *alcove_stack_alloc(size_t size);
void alcove_stack_free(void *stack, size_t size);
void alcove_set_tls(void *tls);
int alcove_arguments(char ***ret_argv, char ***ret_envp);

#endif
