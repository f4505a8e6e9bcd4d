/* SPDX-License-Identifier: MIT */
/* Passphrases that come from outside: from whoever sits at the console, and from the host by the control channel. */
#include "dev.h"

#include <abi/errno.h>
#include <abi/fcntl.h>
#include <base/log.h>
#include <libos/dev/console.h>
#include <libos/dev/tty.h>
#include <libos/file.h>
#include <libos/iter.h>
#include <libos/sched.h>
#include <libos/vfs.h>
#include <plat/time.h>
#include <stdio.h>
#include <string.h>

#define ANSWER_NS (30 * NS_PER_SEC)

/* The answer that is waited for: where the host's lines go. */
static struct {
    struct waitq q;
    uint8_t *buf; /* guarded by q.lock; NULL: nobody waits */
    size_t size, n;
    _Atomic int result; /* 1: not there yet; else 0 or a negative errno */
} answer = { .q = { .lock = SPIN_INIT(RANK_WAITQ) } };

static int hex_digit(char c)
{
    c |= 0x20;
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Bytes in hexadecimal digits. */
static int add(const char *text)
{
    for (; *text; text += 2) {
        int high = hex_digit(text[0]), low = high < 0 ? -1 : hex_digit(text[1]);
        if (low < 0)
            return -EINVAL;
        if (answer.n == answer.size)
            return -EFBIG;
        answer.buf[answer.n++] = (uint8_t)(high << 4 | low);
    }
    return 1;
}

static void wipe(volatile uint8_t *p, size_t n)
{
    while (n--)
        *p++ = 0;
}

void control_key(const char *text)
{
    spin_lock(&answer.q.lock);
    if (answer.buf && answer.result == 1) {
        answer.result = !strcmp(text, "end") ? 0 : !strcmp(text, "none") ? -ENOENT : add(text);
        if (answer.result != 1 && answer.q.head)
            thread_wake(answer.q.head->thread);
    }
    spin_unlock(&answer.q.lock);
}

int control_ask_key(const char *name, uint8_t *buf, size_t size)
{
    char text[96];
    int n = snprintf(text, sizeof(text), "key %s\n", name);
    if (n >= (int)sizeof(text))
        return -ENAMETOOLONG;
    spin_lock(&answer.q.lock);
    answer.buf = buf;
    answer.size = size;
    answer.n = 0;
    answer.result = 1;
    spin_unlock(&answer.q.lock);
    int err = control_send(text, (size_t)n);
    if (!err)
        err = WAIT_EVENT(&answer.q, SLEEP_UNINTERRUPTIBLE, plat_time_ns() + ANSWER_NS,
                         answer.result != 1);
    spin_lock(&answer.q.lock);
    answer.buf = NULL;
    spin_unlock(&answer.q.lock);
    if (!err)
        err = answer.result;
    if (err)
        wipe(buf, answer.n);
    return err ? err : (int)answer.n;
}

/* Echo on or off; what it was. */
static bool set_echo(struct tty *t, bool on)
{
    spin_lock(&t->lock);
    bool was = t->termios.c_lflag & ECHO;
    t->termios.c_lflag = on ? t->termios.c_lflag | ECHO : t->termios.c_lflag & ~(unsigned)ECHO;
    spin_unlock(&t->lock);
    return was;
}

static void say(struct file *f, bool terminal, const char *text)
{
    struct iter it;
    if (!terminal) { /* not between the program's bytes */
        console_log(LOG_WARN, text, strlen(text));
        return;
    }
    iter_kernel(&it, (void *)(uintptr_t)text, strlen(text));
    (void)file_write(f, &it, NULL); /* without a prompt, the input still counts */
}

/* One line without its end; its length, -ENODATA: the input has ended. */
static int read_line(struct file *f, uint8_t *buf, size_t size)
{
    size_t n = 0;
    for (;;) {
        struct iter it;
        uint8_t c;
        iter_kernel(&it, &c, 1);
        ssize_type got = file_read(f, &it, NULL);
        if (got < 0)
            return (int)got;
        if (got == 0)
            return n ? (int)n : -ENODATA;
        if (c == '\n' || c == '\r')
            return (int)n;
        if (n == size)
            return -EFBIG;
        buf[n++] = c;
    }
}

int console_ask(const char *prompt, uint8_t *buf, size_t size)
{
    struct file *f;
    int err = path_open_kernel("/dev/console", O_RDWR | O_NOCTTY, &f);
    if (err)
        return err;
    struct tty *t = tty_of_file(f);
    bool echo = t && set_echo(t, false);
    say(f, t, prompt);
    int n = read_line(f, buf, size);
    say(f, t, "\n");
    if (echo)
        set_echo(t, true);
    file_put(f);
    return n;
}
