/* SPDX-License-Identifier: MIT */
/* Threads of a relinked program, and its start. The thread control block stands at %fs:0; it holds newlib's per-thread
 * state. */
#include "sys.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct alcove_thread first;

/* newlib's state of the calling thread (errno, stdio, strtok, ...). */
struct _reent *__getreent(void)
{
    return thread_self()->reent;
}

static void thread_entry(void *arg)
{
    struct alcove_thread *t = arg;
    t->result = t->fn(t->arg);
    _reclaim_reent(t->reent);
    for (;;)
        (void)alcove_syscall(LINUX_EXIT, 0, 0, 0, 0, 0, 0);
}

int alcove_thread_create(struct alcove_thread **ret_thread, int (*fn)(void *arg), void *arg)
{
    struct alcove_thread *t = calloc(1, sizeof *t);
    void *stack = alcove_stack_alloc(ALCOVE_STACK_SIZE);
    if (!t || !stack) {
        if (stack)
            alcove_stack_free(stack, ALCOVE_STACK_SIZE);
        free(t);
        return ENOMEM;
    }
    *t = (struct alcove_thread){
        .self = t, .reent = &t->own_reent, .fn = fn, .arg = arg, .alive = 1, .stack = stack
    };
    _REENT_INIT_PTR(t->reent);
    int r = alcove_thread_start(thread_entry, t, stack, ALCOVE_STACK_SIZE, t, &t->alive);
    if (r) {
        alcove_stack_free(stack, ALCOVE_STACK_SIZE);
        free(t);
        return errno_from_linux(-r);
    }
    *ret_thread = t;
    return 0;
}

int alcove_thread_join(struct alcove_thread *take_thread, int *ret_result)
{
    struct alcove_thread *t = take_thread;
    uint32_t alive;
    while ((alive = __atomic_load_n(&t->alive, __ATOMIC_ACQUIRE)))
        (void)alcove_syscall(LINUX_FUTEX, (long)(uintptr_t)&t->alive, FUTEX_WAIT_PRIVATE, alive, 0,
                             0, 0);
    if (ret_result)
        *ret_result = t->result;
    alcove_stack_free(t->stack, ALCOVE_STACK_SIZE);
    free(t);
    return 0;
}

void alcove_thread_yield(void)
{
    (void)alcove_syscall(LINUX_SCHED_YIELD, 0, 0, 0, 0, 0, 0);
}

/* Called around the constructors and destructors of the program by newlib. */
void _init(void);
void _fini(void);

void _init(void)
{
}

void _fini(void)
{
}

extern char **environ;
extern void __libc_init_array(void);
extern void __libc_fini_array(void);
extern int main(int argc, char **argv, char **envp);

void alcove_start(void)
{
    char **argv, **envp;
    first.self = &first;
    first.reent = _GLOBAL_REENT;
    alcove_set_tls(&first);
    int argc = alcove_arguments(&argv, &envp);
    environ = envp;
    __libc_init_array();
    (void)atexit(__libc_fini_array);
    exit(main(argc, argv, envp));
}
