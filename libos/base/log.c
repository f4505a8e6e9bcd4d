/* SPDX-License-Identifier: MIT */
/* Messages and panics. Formatting happens here, on the caller's stack; the bytes go to the backend that the platform
 * registers first of all, or to a sink that a driver puts in front of it. A panic always uses the backend: it is
 * polled and needs nothing that may be broken. */
#include <base/log.h>

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum { LINE_MAX_BYTES = 512, BACKTRACE_MAX = 24 };

static const struct log_backend *backend;
static void (*sink)(enum log_level level, const char *text, size_t len);
static enum log_level shown = LOG_WARN;
static bool panicking;

void log_set_backend(const struct log_backend *b)
{
    backend = b;
}

void log_set_sink(void (*fn)(enum log_level level, const char *text, size_t len))
{
    sink = fn;
}

void log_set_level(enum log_level level)
{
    shown = level;
}

static void emit(enum log_level level, const char *text, size_t len)
{
    if (sink && !panicking)
        sink(level, text, len);
    else if (backend)
        backend->write(level, text, len);
}

/* Format into buf, always ended by a newline; the length. */
static size_t format_line(char *buf, size_t size, const char *prefix, const char *format,
                          va_list args)
{
    int n = snprintf(buf, size, "%s", prefix);
    int m = vsnprintf(buf + n, size - (size_t)n, format, args);
    size_t len = (size_t)n + (size_t)(m < 0 ? 0 : m);

    if (len > size - 2)
        len = size - 2;
    buf[len++] = '\n';
    return len;
}

void log_line(enum log_level level, const char *format, ...)
{
    static const char *const prefix[] = { "alcove: error: ", "alcove: warning: ", "alcove: ",
                                          "alcove: debug: " };
    char buf[LINE_MAX_BYTES];
    va_list args;

    if (level > shown)
        return;
    va_start(args, format);
    emit(level, buf, format_line(buf, sizeof buf, prefix[level], format, args));
    va_end(args);
}

void log_raw(const char *text, size_t len)
{
    emit(LOG_ERROR, text, len);
}

static void panic_line(const char *format, ...)
{
    char buf[128];
    va_list args;

    va_start(args, format);
    emit(LOG_ERROR, buf, format_line(buf, sizeof buf, "", format, args));
    va_end(args);
}

void panic(const char *format, ...)
{
    unsigned long addrs[BACKTRACE_MAX];
    char buf[LINE_MAX_BYTES];
    va_list args;

    if (backend)
        backend->stop();
    if (!panicking) {
        panicking = true;
        va_start(args, format);
        emit(LOG_ERROR, buf, format_line(buf, sizeof buf, "panic: ", format, args));
        va_end(args);
        size_t n = backend ? backend->backtrace(addrs, BACKTRACE_MAX) : 0;
        for (size_t i = 0; i < n; i++)
            panic_line("  #%zu 0x%lx", i, addrs[i]);
    }
    if (backend)
        backend->finish();
    __builtin_trap();
}
