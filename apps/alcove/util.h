/* SPDX-License-Identifier: MIT */
/* Small things every file of the alcove command uses: ending with one line, growing strings and lists, whole files,
 * and what must be removed when the command ends, however it ends.
 *
 * The command is one short-lived process: memory is given back by its end, not by free(). */
#ifndef ALCOVE_CMD_UTIL_H
#define ALCOVE_CMD_UTIL_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))

/* Exit statuses of alcove's own failures; `run` and `trace` set fail_status to FAIL_RUN first. */
enum { FAIL_OTHER = 1, FAIL_RUN = 125 };
void fail_set_status(int status);

/* Print "alcove: SUBJECT: message" on stderr and exit. subject may be NULL. Never returns. */
__attribute__((noreturn)) void fail(const char *subject, const char *fmt, ...) PRINTF(2, 3);

/* As fail(), with the text of errno value err after the message; names a full disk as such. */
__attribute__((noreturn)) void fail_errno(const char *subject, int err, const char *what);

/* Show on a terminal what is being done, in place of the last such text; NULL: nothing any more. Quiet in a pipe. */
void progress(const char *what);

/* Print one line on stderr. */
void say(const char *fmt, ...) PRINTF(1, 2);

void *xcalloc(size_t n, size_t size); /* zeroed; never NULL */
void *xrealloc(void *p, size_t n, size_t size);
char *xstrdup(const char *s);
char *xstrndup(const char *s, size_t n);
char *xprintf(const char *fmt, ...) PRINTF(1, 2);

/* A growing byte string; s is always zero-terminated once something was added. All zero is empty. */
struct buf {
    char *s;
    size_t len, cap;
};
void buf_add(struct buf *b, const void *p, size_t n);
void buf_str(struct buf *b, const char *s);
void buf_printf(struct buf *b, const char *fmt, ...) PRINTF(2, 3);
/* Add s as a JSON string with its quotes. */
void buf_json(struct buf *b, const char *s);

/* A growing list of strings. All zero is empty; v[n] is NULL once something was added. */
struct list {
    char **v;
    size_t n, cap;
};
void list_add(struct list *l, const char *s); /* keeps a copy */
bool list_has(const struct list *l, const char *s);
void list_sort(struct list *l); /* by bytes */

/* DIR/NAME with exactly one slash between. */
char *path_join(const char *dir, const char *name);
const char *path_base(const char *path); /* after the last slash */
bool path_under(const char *path,
                const char *dir); /* path is dir or below it; both clean and absolute */
/* Absolute form of path against the current directory, without "." and double slashes; links are not followed. */
char *path_absolute(const char *path);
bool ends_with(const char *s, const char *end);

/* A whole file, mapped or read; at most max bytes. 0 or -errno (-EFBIG: larger). Zero-terminated when read. */
int file_read(const char *path, size_t max, struct buf *ret);
/* Map a regular file read-only. 0 or -errno (-EISDIR, -EINVAL: not a regular file). Empty files give *ret_p = "". */
int file_map(const char *path, const uint8_t **ret_p, size_t *ret_size);
/* Write everything or end the command with a line about path. */
void write_all(int fd, const void *p, size_t n, const char *path);
void write_at(int fd, const void *p, size_t n, uint64_t offset, const char *path);
/* Copy size bytes of in (from its start) to out at offset, sharing blocks where the file system can. */
void copy_range(int in, int out, uint64_t offset, uint64_t size, const char *path);

/* From here on new files get exactly the permission bits that are asked for; called once. */
void umask_clear(void);
/* Permission bits that the user's umask gives a new file. */
mode_t file_mode(void);

/* Create a private directory under $TMPDIR (else /dev/shm with 4 GiB free, else /tmp), removed with all its content when this process ends. */
char *temp_dir(void);
/* Have path (a file or a directory tree) removed when this process ends, also by a signal. */
void remove_at_exit(const char *path);
/* Remove now what was registered and wait for it; called on every orderly exit. */
void remove_finish(void);
/* In a forked child that does not exec: forget the registrations. */
void remove_forget(void);

#endif
