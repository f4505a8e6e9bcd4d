/* SPDX-License-Identifier: MIT */
/* Strings, lists, files and the one-line end. See janitor.c for what is removed at exit. */
#include "util.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <linux/fs.h>

static int fail_status = FAIL_OTHER;

void fail_set_status(int status)
{
    fail_status = status;
}

void progress(const char *what)
{
    static bool shown;
    if ((what || shown) && isatty(STDERR_FILENO))
        fprintf(stderr, "\r\033[K%s%s", what ? what : "", what ? " ..." : "");
    shown = what != NULL;
}

/* One write for the whole line, so that lines of two processes do not mix; control bytes of names are not passed on. */
static void print_line(const char *subject, const char *text)
{
    struct buf b = { 0 };
    progress(NULL);
    buf_printf(&b, "alcove: %s%s%s", subject ? subject : "", subject ? ": " : "", text);
    for (size_t i = 0; i < b.len; i++)
        if ((unsigned char)b.s[i] < 0x20 || b.s[i] == 0x7f)
            b.s[i] = '?';
    buf_str(&b, "\n");
    if (write(STDERR_FILENO, b.s, b.len) < 0)
        return; /* nobody listens: the exit status remains */
}

void fail(const char *subject, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    char *text = NULL;
    if (vasprintf(&text, fmt, ap) < 0)
        text = NULL;
    va_end(ap);
    print_line(subject, text ? text : "out of memory");
    remove_finish();
    exit(fail_status);
}

void fail_errno(const char *subject, int err, const char *what)
{
    if (err == ENOSPC || err == EDQUOT)
        fail(subject, "%s: the disk is full; free space there, or choose another place", what);
    if (err == EFBIG)
        fail(subject, "%s: larger than the file size limit; raise it (ulimit -f)", what);
    fail(subject, "%s: %s", what, strerror(err));
}

void say(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    char *text = NULL;
    if (vasprintf(&text, fmt, ap) < 0)
        text = NULL;
    va_end(ap);
    if (text)
        print_line(NULL, text);
    free(text);
}

static void *need(void *p)
{
    if (!p) {
        static const char line[] = "alcove: out of memory\n";
        (void)!write(STDERR_FILENO, line, sizeof(line) - 1);
        remove_finish();
        _exit(fail_status);
    }
    return p;
}

void *xcalloc(size_t n, size_t size)
{
    return need(calloc(n ? n : 1, size ? size : 1));
}

void *xrealloc(void *p, size_t n, size_t size)
{
    return need(reallocarray(p, n ? n : 1, size));
}

char *xstrdup(const char *s)
{
    return need(strdup(s));
}

char *xstrndup(const char *s, size_t n)
{
    return need(strndup(s, n));
}

char *xprintf(const char *fmt, ...)
{
    va_list ap;
    char *s = NULL;
    va_start(ap, fmt);
    int n = vasprintf(&s, fmt, ap);
    va_end(ap);
    return need(n < 0 ? NULL : s);
}

void buf_add(struct buf *b, const void *p, size_t n)
{
    if (b->len + n + 1 > b->cap) {
        b->cap = (b->len + n + 1) * 2;
        b->s = xrealloc(b->s, b->cap, 1);
    }
    if (n)
        memcpy(b->s + b->len, p, n);
    b->len += n;
    b->s[b->len] = 0;
}

void buf_str(struct buf *b, const char *s)
{
    buf_add(b, s, strlen(s));
}

void buf_printf(struct buf *b, const char *fmt, ...)
{
    va_list ap;
    char *s = NULL;
    va_start(ap, fmt);
    int n = vasprintf(&s, fmt, ap);
    va_end(ap);
    buf_add(b, need(n < 0 ? NULL : s), (size_t)n);
    free(s);
}

void buf_json(struct buf *b, const char *s)
{
    buf_str(b, "\"");
    for (; *s; s++) {
        unsigned char c = (unsigned char)*s;
        if (c == '"' || c == '\\')
            buf_printf(b, "\\%c", c);
        else if (c < 0x20 || c == 0x7f)
            buf_printf(b, "\\u%04x", c);
        else
            buf_add(b, s, 1);
    }
    buf_str(b, "\"");
}

void list_add(struct list *l, const char *s)
{
    if (l->n + 2 > l->cap) {
        l->cap = (l->n + 2) * 2;
        l->v = xrealloc(l->v, l->cap, sizeof(*l->v));
    }
    l->v[l->n++] = xstrdup(s);
    l->v[l->n] = NULL;
}

bool list_has(const struct list *l, const char *s)
{
    for (size_t i = 0; i < l->n; i++)
        if (strcmp(l->v[i], s) == 0)
            return true;
    return false;
}

static int by_bytes(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

void list_sort(struct list *l)
{
    if (l->n)
        qsort(l->v, l->n, sizeof(*l->v), by_bytes);
}

char *path_join(const char *dir, const char *name)
{
    size_t n = strlen(dir);
    while (n && dir[n - 1] == '/')
        n--;
    while (*name == '/')
        name++;
    return xprintf("%.*s/%s", (int)n, dir, name);
}

const char *path_base(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

bool path_under(const char *path, const char *dir)
{
    size_t n = strlen(dir);
    if (n && dir[n - 1] == '/')
        n--;
    return strncmp(path, dir, n) == 0 && (path[n] == '/' || path[n] == 0);
}

char *path_absolute(const char *path)
{
    char *full = xstrdup(path);
    if (path[0] != '/') {
        char *cwd = getcwd(NULL, 0);
        if (!cwd)
            fail_errno(path, errno, "cannot find the current directory");
        full = path_join(cwd, path);
    }
    char *out = full;
    for (char *in = full; *in;) {
        if (in[0] == '/' && (in[1] == '/' || in[1] == 0) && !(in == full && in[1] == 0))
            in++;
        else if (in[0] == '/' && in[1] == '.' && (in[2] == '/' || in[2] == 0))
            in += 2;
        else
            *out++ = *in++;
    }
    *out = 0;
    return *full ? full : xstrdup("/");
}

bool ends_with(const char *s, const char *end)
{
    size_t n = strlen(s), m = strlen(end);
    return n >= m && strcmp(s + n - m, end) == 0;
}

static mode_t user_umask = 022;

mode_t file_mode(void)
{
    return 0666 & ~user_umask;
}

void umask_clear(void)
{
    user_umask = umask(0);
}

int file_read(const char *path, size_t max, struct buf *ret)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    char chunk[16384];
    ssize_t n;
    buf_add(ret, "", 0);
    while ((n = read(fd, chunk, sizeof(chunk))) > 0 && ret->len + (size_t)n <= max)
        buf_add(ret, chunk, (size_t)n);
    int err = n < 0 ? -errno : n > 0 ? -EFBIG : 0;
    close(fd);
    return err;
}

int file_map(const char *path, const uint8_t **ret_p, size_t *ret_size)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return -errno;
    int err = fstat(fd, &st) < 0    ? -errno
              : S_ISDIR(st.st_mode) ? -EISDIR
              : S_ISREG(st.st_mode) ? 0
                                    : -EINVAL;
    if (!err && st.st_size == 0) {
        *ret_p = (const uint8_t *)"";
        *ret_size = 0;
    } else if (!err) {
        void *p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        err = p == MAP_FAILED ? -errno : 0;
        *ret_p = p;
        *ret_size = (size_t)st.st_size;
    }
    close(fd);
    return err;
}

void write_all(int fd, const void *p, size_t n, const char *path)
{
    for (const char *c = p; n;) {
        ssize_t w = write(fd, c, n);
        if (w < 0 && errno == EINTR)
            continue;
        if (w < 0)
            fail_errno(path, errno, "cannot write");
        c += w;
        n -= (size_t)w;
    }
}

void write_at(int fd, const void *p, size_t n, uint64_t offset, const char *path)
{
    if (lseek(fd, (off_t)offset, SEEK_SET) < 0)
        fail_errno(path, errno, "cannot seek");
    write_all(fd, p, n, path);
}

/* The plain way, from where both files stand now. */
static void copy_by_hand(int in, int out, uint64_t size, const char *path)
{
    static char chunk[1 << 18];
    while (size) {
        size_t want = size < sizeof(chunk) ? (size_t)size : sizeof(chunk);
        ssize_t n = read(in, chunk, want);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            fail_errno(path, errno, "cannot read");
        if (n == 0)
            fail(path, "became shorter while it was read; try again");
        write_all(out, chunk, (size_t)n, path);
        size -= (uint64_t)n;
    }
}

void copy_range(int in, int out, uint64_t offset, uint64_t size, const char *path)
{
    if (offset == 0 && ioctl(out, FICLONE, in) == 0)
        return;
    off_t from = 0, to = (off_t)offset;
    while (size) {
        ssize_t n = copy_file_range(in, &from, out, &to, (size_t)size, 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        size -= (uint64_t)n;
    }
    if (!size)
        return;
    if (lseek(in, from, SEEK_SET) < 0 || lseek(out, to, SEEK_SET) < 0)
        fail_errno(path, errno, "cannot seek");
    copy_by_hand(in, out, size, path);
}
