/* SPDX-License-Identifier: MIT */
/* Messages to the person who runs the VM, and the end of the VM when libOS itself is wrong. */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <base/compiler.h>
#include <stddef.h>

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

/* Print one line, without its newline, when level is at most the level set. At most 512 bytes; longer lines are cut.
 * Never sleeps, takes no lock that a caller could hold; may be called from anywhere, interrupt handlers included. */
void log_line(enum log_level level, const char *format, ...) PRINTF(2, 3);

/* Write len bytes as they are, at any level. Same contexts as log_line. */
void log_raw(const char *text, size_t len);

/* Print messages of this level and below from now on; the default is LOG_WARN. */
void log_set_level(enum log_level level);

/* Say what is wrong with libOS, print a backtrace and stop the VM as failed. For libOS bugs only: what a program, a
 * device or the host can cause is an errno. */
NORETURN void panic(const char *format, ...) PRINTF(1, 2) COLD;

/* Where messages go; the platform sets it as its first act. write gets whole lines with their newline (log_line) or
 * bytes as they are (log_raw); stop, called first by a panic, halts the other CPUs, or this one if another
 * panics already; finish ends the VM as failed, after a panic's text, and does not return. */
struct log_backend {
    void (*write)(enum log_level level, const char *text, size_t len);
    void (*stop)(void);
    size_t (*backtrace)(unsigned long *addrs, size_t max);
    NORETURN void (*finish)(void);
};
void log_set_backend(const struct log_backend *backend);
/* Replace only where lines go (the control channel, once its driver runs); panics keep the backend's. NULL: back. */
void log_set_sink(void (*sink)(enum log_level level, const char *text, size_t len));

#define log_error(...) log_line(LOG_ERROR, __VA_ARGS__)
#define log_warn(...)  log_line(LOG_WARN, __VA_ARGS__)
#define log_info(...)  log_line(LOG_INFO, __VA_ARGS__)
#define log_debug(...) log_line(LOG_DEBUG, __VA_ARGS__)

/* must(e): evaluate always, panic when false. Side effects are welcome. */
#define must(e)                                                                                    \
    do {                                                                                           \
        if (UNLIKELY(!(e)))                                                                        \
            panic("%s:%d: %s", __FILE__, __LINE__, #e);                                            \
    } while (0)

#endif
