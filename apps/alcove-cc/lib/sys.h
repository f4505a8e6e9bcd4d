/* SPDX-License-Identifier: MIT */
/* Linux system calls as newlib's glue makes them, and the thread control block. Private to lib/. */
#ifndef LIB_SYS_H
#define LIB_SYS_H

#include <alcove/syscall.h>
#include <alcove/thread.h>
#include <reent.h>
#include <stdint.h>

enum {
    LINUX_READ = 0,
    LINUX_WRITE = 1,
    LINUX_OPEN = 2,
    LINUX_CLOSE = 3,
    LINUX_STAT = 4,
    LINUX_FSTAT = 5,
    LINUX_LSEEK = 8,
    LINUX_MMAP = 9,
    LINUX_MPROTECT = 10,
    LINUX_MUNMAP = 11,
    LINUX_BRK = 12,
    LINUX_IOCTL = 16,
    LINUX_SCHED_YIELD = 24,
    LINUX_GETPID = 39,
    LINUX_EXIT = 60,
    LINUX_KILL = 62,
    LINUX_FCNTL = 72,
    LINUX_RENAME = 82,
    LINUX_MKDIR = 83,
    LINUX_LINK = 86,
    LINUX_UNLINK = 87,
    LINUX_GETTIMEOFDAY = 96,
    LINUX_TIMES = 100,
    LINUX_FUTEX = 202,
    LINUX_EXIT_GROUP = 231,
    LINUX_GETRANDOM = 318,
};

enum { FUTEX_WAIT_PRIVATE = 128, FUTEX_WAKE_PRIVATE = 129 };

/* At %fs:0 of each thread. */
struct alcove_thread {
    struct alcove_thread *self;
    struct _reent *reent;
    int (*fn)(void *arg);
    void *arg;
    int result;
    uint32_t alive; /* futex: the kernel clears it when the thread has left its stack */
    void *stack;
    struct _reent own_reent;
};

static inline struct alcove_thread *thread_self(void)
{
    struct alcove_thread *t;
    __asm__("movq %%fs:0, %0" : "=r"(t));
    return t;
}

/* In alcove.o, the kernel's part. */

/* Start a thread of this process that runs entry(arg) from the top of stack, with the FS base at tls; *alive becomes 0, with
 * a futex wake, when the thread has ended. 0, or a negative Linux errno. */
int alcove_thread_start(void (*entry)(void *arg), void *arg, void *stack, size_t stack_size,
                        void *tls, uint32_t *alive);
/* Memory for a stack: always present, so an interrupt can push onto it. NULL: none. */
void *alcove_stack_alloc(size_t size);
void alcove_stack_free(void *stack, size_t size);
/* Set the FS base of the current thread. */
void alcove_set_tls(void *tls);
/* The program's arguments: *ret_argv ends with NULL. The count. */
int alcove_arguments(char ***ret_argv, char ***ret_envp);

/* In this library. */

/* The program's first function, called by the kernel's part on the first thread. */
void alcove_start(void);
/* newlib's errno for a positive Linux one. */
int errno_from_linux(int e);
/* -1 with errno set when r is negative, else r. */
long result(long r);

#endif
